/* Products of quantised text matrices on NEON.  Compiled once per level; see matrix.h for what is computed and packing.h for the
 * layouts.  Tiles: GEMLET_TILE vectors, then 4, then 1, so that `count` vectors are stored without padding.
 *
 * Activations, private to this file.  A tile of one vector is three arrays over its blocks: scales, corrections, bytes.  A tile of
 * T vectors is a sequence of block records: T scales, T corrections, T x 32 bytes; i8mm pairs the vectors: 8 bytes of one, 8 of the
 * other, and for each pair 4 scales and 4 corrections in the 2 x 2 order that SMMLA answers.  A correction is -8 * the sum of the
 * block's first 16 bytes: what the offset of Q4_0's low nibbles adds too much.
 */
#include <stdbool.h>
#include <string.h>

#include "core/neon/neon.h"
#include "core/quant/matrix.h"
#include "core/quant/packing.h"

#define PAIRED (GEMLET_COMPILED_LEVEL == 3)

enum { SMALL_TILE = 4, MICRO_ROWS = 4, HALF_BLOCK = GEMLET_BLOCK / 2 };

GEMLET_INLINE size_t tile_size(size_t left) {
    return left >= GEMLET_TILE ? GEMLET_TILE : left >= SMALL_TILE ? SMALL_TILE : 1;
}

/* A tile's block record: first its scales and corrections, then its bytes. */
GEMLET_INLINE size_t bytes_offset(size_t tile) {
    return (PAIRED ? 16 : 8) * tile;
}

GEMLET_INLINE size_t record_bytes(size_t tile) {
    return tile == 1 ? 40 : bytes_offset(tile) + GEMLET_BLOCK * tile;
}

/* --- quantise -------------------------------------------------------------------------------------------------------------- */

/* One quantised block: 32 bytes in two vectors, its scale and its correction. */
typedef struct quantized_block {
    int8x16_t low, high;
    float scale;
    int32_t correction;
} quantized_block;

GEMLET_INLINE int8x16_t quantize_half(const float32x4_t *x, float inverse) {
    int16x8_t a =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[0], inverse))), vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[1], inverse))));
    int16x8_t b =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[2], inverse))), vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[3], inverse))));
    return vcombine_s8(vmovn_s16(a), vmovn_s16(b));
}

GEMLET_INLINE quantized_block quantize_block(const float *x) {
    float32x4_t v[8];
    float32x4_t largest = vdupq_n_f32(0.0f);
    for (int i = 0; i < 8; i++) {
        v[i] = vld1q_f32(x + 4 * i);
        largest = vmaxnmq_f32(largest, vabsq_f32(v[i]));
    }
    float maximum = vmaxvq_f32(largest);
    float inverse = 127.0f / maximum;
    quantized_block block = {vdupq_n_s8(0), vdupq_n_s8(0), 0.0f, 0};
    if (inverse > 0.0f && inverse <= 3.402823466e38f) { /* neither of an infinity nor of (almost) zero */
        block.low = quantize_half(v, inverse);
        block.high = quantize_half(v + 4, inverse);
        block.scale = maximum / 127.0f;
        block.correction = -8 * (int32_t)vaddlvq_s8(block.low);
    }
    return block;
}

GEMLET_INLINE void store_in_tile(quantized_block block, size_t tile, size_t v, unsigned char *record) {
    float *scale = (float *)(void *)record;
    int32_t *correction = (int32_t *)(void *)record;
    int8_t *bytes = (int8_t *)(record + bytes_offset(tile));
    if (!PAIRED) {
        scale[v] = block.scale;
        correction[tile + v] = block.correction;
        vst1q_s8(bytes + GEMLET_BLOCK * v, block.low);
        vst1q_s8(bytes + GEMLET_BLOCK * v + HALF_BLOCK, block.high);
        return;
    }
    size_t pair = v / 2;
    size_t side = v % 2;
    for (size_t i = side; i < 4; i += 2) {
        scale[8 * pair + i] = block.scale;
        correction[8 * pair + 4 + i] = block.correction;
    }
    int8_t *half = bytes + 64 * pair + 8 * side;
    vst1_s8(half, vget_low_s8(block.low));
    vst1_s8(half + 16, vget_high_s8(block.low));
    vst1_s8(half + 32, vget_low_s8(block.high));
    vst1_s8(half + 48, vget_high_s8(block.high));
}

static void quantize_tile(const float *x, size_t stride, size_t tile, size_t blocks, unsigned char *out) {
    for (size_t v = 0; v < tile; v++) {
        for (size_t b = 0; b < blocks; b++) {
            store_in_tile(quantize_block(x + v * stride + b * GEMLET_BLOCK), tile, v, out + b * record_bytes(tile));
        }
    }
}

/* The three arrays of a tile of one vector. */
typedef struct one_vector {
    float *scale;
    int32_t *correction;
    int8_t *bytes;
} one_vector;

GEMLET_INLINE one_vector one_vector_at(const void *x, size_t blocks) {
    float *scale = (float *)(uintptr_t)x;
    int32_t *correction = (int32_t *)(void *)(scale + blocks);
    return (one_vector){scale, correction, (int8_t *)(void *)(correction + blocks)};
}

static void quantize_one(const float *x, size_t blocks, void *out) {
    one_vector vector = one_vector_at(out, blocks);
    for (size_t b = 0; b < blocks; b++) {
        quantized_block block = quantize_block(x + b * GEMLET_BLOCK);
        vector.scale[b] = block.scale;
        vector.correction[b] = block.correction;
        vst1q_s8(vector.bytes + b * GEMLET_BLOCK, block.low);
        vst1q_s8(vector.bytes + b * GEMLET_BLOCK + HALF_BLOCK, block.high);
    }
}

static void quantize(const float *x, size_t stride, size_t count, size_t length, void *out) {
    unsigned char *to = out;
    size_t blocks = length / GEMLET_BLOCK;
    for (size_t v = 0; v < count;) {
        size_t tile = tile_size(count - v);
        if (tile == 1) {
            quantize_one(x + v * stride, blocks, to);
        } else {
            quantize_tile(x + v * stride, stride, tile, blocks, to);
        }
        to += blocks * record_bytes(tile);
        v += tile;
    }
}

/* --- weights of 4 rows of a panel ------------------------------------------------------------------------------------------ */

/* One block of 4 rows.  Where SDOT is there, low[i] holds columns 4 i .. of the block's first half, high[i] of its second, 4 bytes
 * a row; elsewhere low[i] and high[i] hold row i. */
typedef struct micro_panel {
    int8x16_t low[4], high[4];
} micro_panel;

/* 64 bytes, as micro_panel takes them.  One LD1 needs four free registers side by side: where most hold sums, gcc spills some to
 * have them. */
GEMLET_INLINE int8x16x4_t load_64(const int8_t *w, bool few_registers) {
#if GEMLET_COMPILED_LEVEL >= 2
    return few_registers ? (int8x16x4_t){{vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)}} : vld1q_s8_x4(w);
#else
    (void)few_registers;
    int32x4x4_t rows = vld4q_s32((const int32_t *)(const void *)w);
    return (int8x16x4_t){{vreinterpretq_s8_s32(rows.val[0]), vreinterpretq_s8_s32(rows.val[1]), vreinterpretq_s8_s32(rows.val[2]),
                          vreinterpretq_s8_s32(rows.val[3])}};
#endif
}

GEMLET_INLINE micro_panel load_micro_panel(gemlet_weight_type type, const int8_t *w, bool few_registers) {
    micro_panel m;
    int8x16x4_t first = load_64(w, few_registers);
    if (type == GEMLET_Q8_0) {
        int8x16x4_t second = load_64(w + 64, few_registers);
        for (int i = 0; i < 4; i++) {
            m.low[i] = first.val[i];
            m.high[i] = second.val[i];
        }
        return m;
    }
    for (int i = 0; i < 4; i++) {
        m.low[i] = vandq_s8(first.val[i], vdupq_n_s8(15));
        m.high[i] = vshrq_n_s8(first.val[i], 4);
    }
    return m;
}

GEMLET_INLINE size_t weight_bytes(gemlet_weight_type type) {
    return type == GEMLET_Q4_0 ? HALF_BLOCK : GEMLET_BLOCK;
}

GEMLET_INLINE float32x4_t load_scales(const unsigned char *scales) {
    return vcvt_f32_f16(vld1_f16((const float16_t *)(const void *)scales));
}

/* --- block sums: 4 rows x 1 vector ------------------------------------------------------------------------------------------ */

/* 32 bytes of a vector. */
typedef struct vector_bytes {
    int8x16_t low, high;
} vector_bytes;

GEMLET_INLINE vector_bytes load_vector(const int8_t *x) {
    return (vector_bytes){vld1q_s8(x), vld1q_s8(x + HALF_BLOCK)};
}

#if GEMLET_COMPILED_LEVEL >= 2

GEMLET_INLINE int32x4_t micro_sums(gemlet_weight_type type, int32x4_t start, const micro_panel *m, const vector_bytes *x) {
    (void)type;
    start = vdotq_laneq_s32(start, m->low[0], x->low, 0);
    start = vdotq_laneq_s32(start, m->low[1], x->low, 1);
    start = vdotq_laneq_s32(start, m->low[2], x->low, 2);
    start = vdotq_laneq_s32(start, m->low[3], x->low, 3);
    start = vdotq_laneq_s32(start, m->high[0], x->high, 0);
    start = vdotq_laneq_s32(start, m->high[1], x->high, 1);
    start = vdotq_laneq_s32(start, m->high[2], x->high, 2);
    return vdotq_laneq_s32(start, m->high[3], x->high, 3);
}

/* Sum of 32 products in 4 partial sums. */
GEMLET_INLINE int32x4_t partial_sums(gemlet_weight_type type, int8x16_t low, int8x16_t high, int8x16_t x_low, int8x16_t x_high) {
    (void)type;
    return vdotq_s32(vdotq_s32(vdupq_n_s32(0), low, x_low), high, x_high);
}

#else

GEMLET_INLINE int16x8_t multiply_low(int8x16_t a, int8x16_t b) {
    return vmull_s8(vget_low_s8(a), vget_low_s8(b));
}

GEMLET_INLINE int16x8_t accumulate_low(int16x8_t sum, int8x16_t a, int8x16_t b) {
    return vmlal_s8(sum, vget_low_s8(a), vget_low_s8(b));
}

/* Two products of bytes (a weight at most 128, an activation 127) stay within int16; of Q4_0 16 do, 8 of them of a weight up to 15
 * and 8 up to 8: below 23,400.  Row by row within each step: what depends on each other stands apart, for cores that execute in
 * order. */
GEMLET_INLINE int32x4_t micro_sums(gemlet_weight_type type, int32x4_t start, const micro_panel *m, const vector_bytes *x) {
    int16x8_t low[4];
    int16x8_t high[4];
    int32x4_t rows[4];
    for (int i = 0; i < 4; i++) {
        low[i] = multiply_low(m->low[i], x->low);
    }
    for (int i = 0; i < 4; i++) {
        low[i] = vmlal_high_s8(low[i], m->low[i], x->low);
    }
    if (type == GEMLET_Q4_0) {
        for (int i = 0; i < 4; i++) {
            low[i] = accumulate_low(low[i], m->high[i], x->high);
        }
        for (int i = 0; i < 4; i++) {
            low[i] = vmlal_high_s8(low[i], m->high[i], x->high);
        }
        return vpadalq_s16(start, vpaddq_s16(vpaddq_s16(low[0], low[1]), vpaddq_s16(low[2], low[3])));
    }
    for (int i = 0; i < 4; i++) {
        high[i] = multiply_low(m->high[i], x->high);
        rows[i] = vpaddlq_s16(low[i]);
    }
    for (int i = 0; i < 4; i++) {
        high[i] = vmlal_high_s8(high[i], m->high[i], x->high);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = vpadalq_s16(rows[i], high[i]);
    }
    return vpaddq_s32(vpaddq_s32(rows[0], rows[1]), vpaddq_s32(rows[2], rows[3]));
}

GEMLET_INLINE int32x4_t partial_sums(gemlet_weight_type type, int8x16_t low, int8x16_t high, int8x16_t x_low, int8x16_t x_high) {
    int16x8_t a = vmlal_high_s8(multiply_low(low, x_low), low, x_low);
    if (type == GEMLET_Q4_0) {
        return vpaddlq_s16(vmlal_high_s8(accumulate_low(a, high, x_high), high, x_high));
    }
    return vpadalq_s16(vpaddlq_s16(a), vmlal_high_s8(multiply_low(high, x_high), high, x_high));
}

#endif

/* --- dense products --------------------------------------------------------------------------------------------------------- */

/* Stores the sums of up to 4 rows. */
GEMLET_INLINE void store_rows(float32x4_t sums, size_t rows, float *y) {
    if (rows >= MICRO_ROWS) {
        vst1q_f32(y, sums);
        return;
    }
    float part[MICRO_ROWS];
    vst1q_f32(part, sums);
    memcpy(y, part, rows * sizeof *part);
}

GEMLET_INLINE int32x4_t start_sums(gemlet_weight_type type, int32x4_t corrections) {
    return type == GEMLET_Q4_0 ? corrections : vdupq_n_s32(0);
}

/* The scales of a panel's 16 rows. */
typedef struct panel_scales {
    float32x4_t rows[4];
} panel_scales;

GEMLET_INLINE panel_scales load_panel_scales(const unsigned char *scales) {
    const float16_t *half = (const float16_t *)(const void *)scales;
    float16x8_t low = vld1q_f16(half);
    float16x8_t high = vld1q_f16(half + 8);
    return (panel_scales){
        {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)}};
}

/* A panel of 16 rows times one vector.  Pointers walk, so that loads can post-increment. */
GEMLET_INLINE void panel_times_one(gemlet_weight_type type, const unsigned char *panel, size_t blocks, const void *x, size_t rows,
                                   float *y) {
    one_vector vector = one_vector_at(x, blocks);
    float32x4_t sums[4] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    for (const float *end = vector.scale + blocks; vector.scale != end; vector.scale++) {
        vector_bytes bytes = load_vector(vector.bytes);
        vector.bytes += GEMLET_BLOCK;
        float32x4_t scale = vld1q_dup_f32(vector.scale);
        panel_scales scales = load_panel_scales(panel);
        panel += 2 * GEMLET_PANEL_ROWS;
        GEMLET_HIDE(panel);
#pragma GCC unroll 4
        for (size_t g = 0; g < 4; g++) {
            micro_panel m = load_micro_panel(type, (const int8_t *)panel, false);
            panel += MICRO_ROWS * weight_bytes(type);
            GEMLET_HIDE(panel);
            GEMLET_HIDE(vector.correction); /* loaded anew: as cheap as a copy, which would be copied once more */
            int32x4_t start = start_sums(type, vld1q_dup_s32(vector.correction));
            float32x4_t product = vmulq_f32(vcvtq_f32_s32(micro_sums(type, start, &m, &bytes)), scales.rows[g]);
            sums[g] = vfmaq_f32(sums[g], product, scale);
        }
        vector.correction++;
    }
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; g++) { /* unrolled, or the sums would live in memory */
        if (MICRO_ROWS * g < rows) {
            store_rows(sums[g], rows - MICRO_ROWS * g, y + MICRO_ROWS * g);
        }
    }
}

#if PAIRED

/* 2 rows x 32 columns as SMMLA takes them: 8 columns of one row, 8 of the other, four times. */
typedef struct row_pairs {
    int8x16_t rows01[4], rows23[4];
} row_pairs;

#define ZIP_LOW(a, b) vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)))
#define ZIP_HIGH(a, b) vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)))

/* Zips before it unpacks nibbles, for half the zips. */
GEMLET_INLINE row_pairs load_row_pairs(gemlet_weight_type type, const int8_t *w) {
    row_pairs p;
    int8x16x4_t first = vld1q_s8_x4(w);
    int8x16_t zipped[4] = {ZIP_LOW(first.val[0], first.val[1]), ZIP_LOW(first.val[2], first.val[3]),
                           ZIP_HIGH(first.val[0], first.val[1]), ZIP_HIGH(first.val[2], first.val[3])};
    if (type == GEMLET_Q8_0) {
        int8x16x4_t second = vld1q_s8_x4(w + 64);
        p = (row_pairs){{zipped[0], zipped[1], ZIP_LOW(second.val[0], second.val[1]), ZIP_LOW(second.val[2], second.val[3])},
                        {zipped[2], zipped[3], ZIP_HIGH(second.val[0], second.val[1]), ZIP_HIGH(second.val[2], second.val[3])}};
        return p;
    }
    for (int i = 0; i < 2; i++) {
        p.rows01[i] = vandq_s8(zipped[i], vdupq_n_s8(15));
        p.rows01[2 + i] = vshrq_n_s8(zipped[i], 4);
        p.rows23[i] = vandq_s8(zipped[2 + i], vdupq_n_s8(15));
        p.rows23[2 + i] = vshrq_n_s8(zipped[2 + i], 4);
    }
    return p;
}

GEMLET_INLINE void accumulate_block(gemlet_weight_type type, size_t tile, const unsigned char *w, float32x4_t scales,
                                    const unsigned char *record, float32x4_t *sums) {
    row_pairs pairs = load_row_pairs(type, (const int8_t *)w);
    float32x4_t scales01 = vzip1q_f32(scales, scales);
    float32x4_t scales23 = vzip2q_f32(scales, scales);
    const float *scale = (const float *)(const void *)record;
    const int32_t *correction = (const int32_t *)(const void *)record;
    const int8_t *bytes = (const int8_t *)(record + bytes_offset(tile));
#pragma GCC unroll 8
    for (size_t pair = 0; pair < tile / 2; pair++) {
        float32x4_t x_scale = vld1q_f32(scale + 8 * pair);
        int32x4_t rows01 = start_sums(type, vld1q_s32(correction + 8 * pair + 4));
        int32x4_t rows23 = rows01;
#pragma GCC unroll 2
        for (size_t i = 0; i < 4; i += 2) {
            int8x16_t x0 = vld1q_s8(bytes + 64 * pair + 16 * i);
            int8x16_t x1 = vld1q_s8(bytes + 64 * pair + 16 * i + 16);
            rows01 = vmmlaq_s32(rows01, pairs.rows01[i], x0);
            rows23 = vmmlaq_s32(rows23, pairs.rows23[i], x0);
            rows01 = vmmlaq_s32(rows01, pairs.rows01[i + 1], x1);
            rows23 = vmmlaq_s32(rows23, pairs.rows23[i + 1], x1);
        }
        sums[2 * pair] = vfmaq_f32(sums[2 * pair], vmulq_f32(vcvtq_f32_s32(rows01), scales01), x_scale);
        sums[2 * pair + 1] = vfmaq_f32(sums[2 * pair + 1], vmulq_f32(vcvtq_f32_s32(rows23), scales23), x_scale);
    }
}

GEMLET_INLINE void store_tile(size_t tile, const float32x4_t *sums, size_t rows, float *y, size_t y_stride) {
    for (size_t pair = 0; pair < tile / 2; pair++) {
        store_rows(vuzp1q_f32(sums[2 * pair], sums[2 * pair + 1]), rows, y + 2 * pair * y_stride);
        store_rows(vuzp2q_f32(sums[2 * pair], sums[2 * pair + 1]), rows, y + (2 * pair + 1) * y_stride);
    }
}

#else

#define ACCUMULATE_VECTOR(lane)                                                                                                    \
    {                                                                                                                              \
        vector_bytes x = load_vector(bytes + GEMLET_BLOCK * (v + (lane)));                                                         \
        int32x4_t start = type == GEMLET_Q4_0 ? vdupq_laneq_s32(corrections, lane) : vdupq_n_s32(0);                               \
        float32x4_t product = vmulq_f32(vcvtq_f32_s32(micro_sums(type, start, &m, &x)), scales);                                   \
        sums[v + (lane)] = vfmaq_laneq_f32(sums[v + (lane)], product, x_scales, lane);                                             \
    }

GEMLET_INLINE void accumulate_block(gemlet_weight_type type, size_t tile, const unsigned char *w, float32x4_t scales,
                                    const unsigned char *record, float32x4_t *sums) {
    micro_panel m = load_micro_panel(type, (const int8_t *)w, tile == GEMLET_TILE);
    const float *scale = (const float *)(const void *)record;
    const int32_t *correction = (const int32_t *)(const void *)record + tile;
    const int8_t *bytes = (const int8_t *)(record + bytes_offset(tile));
#pragma GCC unroll 4
    for (size_t v = 0; v < tile; v += 4) {
        float32x4_t x_scales = vld1q_f32(scale + v);
        int32x4_t corrections = vld1q_s32(correction + v);
        ACCUMULATE_VECTOR(0)
        ACCUMULATE_VECTOR(1)
        ACCUMULATE_VECTOR(2)
        ACCUMULATE_VECTOR(3)
    }
}

GEMLET_INLINE void store_tile(size_t tile, const float32x4_t *sums, size_t rows, float *y, size_t y_stride) {
    for (size_t v = 0; v < tile; v++) {
        store_rows(sums[v], rows, y + v * y_stride);
    }
}

#endif

/* A panel of 16 rows, 4 at a time, times a tile of vectors. */
GEMLET_INLINE void panel_times_tile(gemlet_weight_type type, size_t tile, const unsigned char *panel, size_t blocks,
                                    const unsigned char *x, size_t rows, float *y, size_t y_stride) {
    for (size_t g = 0; g < 4 && MICRO_ROWS * g < rows; g++) {
        float32x4_t sums[GEMLET_TILE];
        for (size_t v = 0; v < tile; v++) {
            sums[v] = vdupq_n_f32(0.0f);
        }
        const unsigned char *block = panel;
        const unsigned char *record = x;
        for (size_t b = 0; b < blocks; b++) {
            const unsigned char *weights = block + 2 * GEMLET_PANEL_ROWS + g * MICRO_ROWS * weight_bytes(type);
            accumulate_block(type, tile, weights, load_scales(block + 8 * g), record, sums);
            block += GEMLET_PANEL_ROWS * (2 + weight_bytes(type));
            record += record_bytes(tile);
        }
        store_tile(tile, sums, rows - MICRO_ROWS * g, y + MICRO_ROWS * g, y_stride);
    }
}

/* Each shape is a function of its own, so that its loop can be found in the object and its registers are its own. */
#define PANEL_FUNCTION(name, type, tile)                                                                                           \
    static __attribute__((noinline)) void name(const unsigned char *panel, size_t blocks, const unsigned char *x, size_t rows,     \
                                               float *y, size_t y_stride) {                                                        \
        panel_times_tile(type, tile, panel, blocks, x, rows, y, y_stride);                                                         \
    }

#define PANEL_FUNCTION_ONE(name, type)                                                                                             \
    static __attribute__((noinline)) void name(const unsigned char *panel, size_t blocks, const unsigned char *x, size_t rows,     \
                                               float *y, size_t y_stride) {                                                        \
        (void)y_stride;                                                                                                            \
        panel_times_one(type, panel, blocks, x, rows, y);                                                                          \
    }

PANEL_FUNCTION(q4_0_times_16, GEMLET_Q4_0, GEMLET_TILE)
PANEL_FUNCTION(q4_0_times_4, GEMLET_Q4_0, SMALL_TILE)
PANEL_FUNCTION_ONE(q4_0_times_1, GEMLET_Q4_0)
PANEL_FUNCTION(q8_0_times_16, GEMLET_Q8_0, GEMLET_TILE)
PANEL_FUNCTION(q8_0_times_4, GEMLET_Q8_0, SMALL_TILE)
PANEL_FUNCTION_ONE(q8_0_times_1, GEMLET_Q8_0)

typedef void panel_function(const unsigned char *panel, size_t blocks, const unsigned char *x, size_t rows, float *y,
                            size_t y_stride);

static panel_function *panel_function_for(gemlet_weight_type type, size_t tile) {
    if (type == GEMLET_Q4_0) {
        return tile == GEMLET_TILE ? q4_0_times_16 : tile == SMALL_TILE ? q4_0_times_4 : q4_0_times_1;
    }
    return tile == GEMLET_TILE ? q8_0_times_16 : tile == SMALL_TILE ? q8_0_times_4 : q8_0_times_1;
}

/* Panels outermost: the weights pass once, the activations of a prefill chunk stay in cache. */
static void multiply(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride) {
    size_t blocks = w->columns / GEMLET_BLOCK;
    size_t panel_bytes = blocks * GEMLET_PANEL_ROWS * (2 + weight_bytes(w->type));
    for (size_t p = first_panel; p < end_panel; p++) {
        const unsigned char *panel = (const unsigned char *)w->data + p * panel_bytes;
        size_t row = p * GEMLET_PANEL_ROWS;
        size_t rows = w->rows - row < GEMLET_PANEL_ROWS ? w->rows - row : GEMLET_PANEL_ROWS;
        const unsigned char *tile_x = x;
        for (size_t v = 0; v < count;) {
            size_t tile = tile_size(count - v);
            panel_function_for(w->type, tile)(panel, blocks, tile_x, rows, y + v * y_stride + row, y_stride);
            tile_x += blocks * record_bytes(tile);
            v += tile;
        }
    }
}

/* --- products of single rows ------------------------------------------------------------------------------------------------ */

GEMLET_INLINE int32x4_t row_block_sums(gemlet_weight_type type, const int8_t *w, const int8_t *x) {
    int8x16_t low = vld1q_s8(w);
    int8x16_t high;
    if (type == GEMLET_Q4_0) {
        high = vshrq_n_s8(low, 4);
        low = vandq_s8(low, vdupq_n_s8(15));
    } else {
        high = vld1q_s8(w + HALF_BLOCK);
    }
    return partial_sums(type, low, high, vld1q_s8(x), vld1q_s8(x + HALF_BLOCK));
}

GEMLET_INLINE float one_row(gemlet_weight_type type, const unsigned char *row, size_t blocks, one_vector x) {
    const unsigned char *scales = row;
    const int8_t *w = (const int8_t *)row + gemlet_row_scale_bytes(blocks * GEMLET_BLOCK);
    float y = 0.0f;
    size_t b = 0;
    for (; b + 4 <= blocks; b += 4) {
        int32x4_t s[4];
        for (size_t i = 0; i < 4; i++) {
            s[i] = row_block_sums(type, w + (b + i) * weight_bytes(type), x.bytes + (b + i) * GEMLET_BLOCK);
        }
        int32x4_t sums = vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
        if (type == GEMLET_Q4_0) {
            sums = vaddq_s32(sums, vld1q_s32(x.correction + b));
        }
        float32x4_t products = vmulq_f32(vcvtq_f32_s32(sums), load_scales(scales + 2 * b));
        float32x4_t x_scales = vld1q_f32(x.scale + b);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 0), x_scales, 0);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 1), x_scales, 1);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 2), x_scales, 2);
        y = vfmas_laneq_f32(y, vgetq_lane_f32(products, 3), x_scales, 3);
    }
    for (; b < blocks; b++) {
        int32_t sum = vaddvq_s32(row_block_sums(type, w + b * weight_bytes(type), x.bytes + b * GEMLET_BLOCK));
        float16x4_t scale = vreinterpret_f16_u16(vdup_n_u16(0));
        memcpy(&scale, scales + 2 * b, 2);
        float product = (float)(sum + (type == GEMLET_Q4_0 ? x.correction[b] : 0)) * vgetq_lane_f32(vcvt_f32_f16(scale), 0);
        y = vfmas_laneq_f32(y, product, vdupq_n_f32(x.scale[b]), 0);
    }
    return y;
}

static void multiply_rows(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, float *y) {
    size_t blocks = w->columns / GEMLET_BLOCK;
    size_t row_bytes = gemlet_packing_group_bytes(w->type, GEMLET_PACKED_ROWS, w->rows, w->columns);
    one_vector vector = one_vector_at(x, blocks);
    for (size_t i = 0; i < list_length; i++) {
        const unsigned char *row = (const unsigned char *)w->data + list[i] * row_bytes;
        y[i] = w->type == GEMLET_Q4_0 ? one_row(GEMLET_Q4_0, row, blocks, vector) : one_row(GEMLET_Q8_0, row, blocks, vector);
    }
}

/* --- products with mostly zero vectors -------------------------------------------------------------------------------------- */

/* The listed columns of some blocks, found once for all rows.  Offsets count from the matrix's beginning, for row 0. */
enum { LISTED_MOST = 128 };

typedef struct listed_block {
    size_t scales;
    float x_scale;
    int16_t correction; /* -8 times the sum of the values */
    uint16_t columns;
} listed_block;

typedef struct listed_column {
    int8_t value; /* first: the load that repeats it over a register takes no offset */
    size_t weights;
} listed_column;

typedef struct listed_blocks {
    listed_block blocks[LISTED_MOST];
    listed_column columns[LISTED_MOST]; /* of the first block, then of the next */
    size_t count;
} listed_blocks;

/* Answers how many columns of the list are in `listed`: those of whole blocks. */
static size_t find_listed(const gemlet_matrix *w, size_t padded_rows, const uint32_t *list, size_t length, one_vector x,
                          listed_blocks *listed) {
    size_t column_bytes = w->type == GEMLET_Q4_0 ? padded_rows / 2 : padded_rows;
    size_t block_bytes = 2 * padded_rows + GEMLET_BLOCK * column_bytes;
    size_t i = 0;
    listed->count = 0;
    while (i < length && i + GEMLET_BLOCK <= LISTED_MOST) {
        size_t b = list[i] / GEMLET_BLOCK;
        size_t first = i;
        int32_t sum = 0;
        for (; i < length && list[i] / GEMLET_BLOCK == b; i++) {
            size_t offset = b * block_bytes + 2 * padded_rows + list[i] % GEMLET_BLOCK * column_bytes;
            listed->columns[i] = (listed_column){x.bytes[list[i]], offset};
            sum += x.bytes[list[i]];
        }
        listed->blocks[listed->count++] = (listed_block){b * block_bytes, x.scale[b], (int16_t)(-8 * sum), (uint16_t)(i - first)};
    }
    return i;
}

/* Sums of a strip of 64 rows, in row order, 4 rows a vector; `halves` is 1 in the strips of 32 that the last rows are in. */
enum { STRIP = 64, STRIP_VECTORS = STRIP / 4 };

/* Sums of 8 rows. */
GEMLET_INLINE void add_scaled_sums(int32x4_t low, int32x4_t high, const unsigned char *scales, float x_scale,
                                   float32x4_t *results) {
    float16x8_t scale = vld1q_f16((const float16_t *)(const void *)scales);
    results[0] = vfmaq_n_f32(results[0], vmulq_f32(vcvtq_f32_s32(low), vcvt_f32_f16(vget_low_f16(scale))), x_scale);
    results[1] = vfmaq_n_f32(results[1], vmulq_f32(vcvtq_f32_s32(high), vcvt_high_f32_f16(scale)), x_scale);
}

/* Adds a column to the sums of 8 rows each, or, where it is the first, sets those that no correction is in. */
GEMLET_INLINE void add_column_q4(const int8_t *w, size_t halves, const listed_column *column, bool first, int16x8_t *narrow) {
    int8x16_t value = vld1q_dup_s8(&column->value);
    w += column->weights;
    for (size_t h = 0; h < halves; h++) {
        int8x16_t bytes = vld1q_s8(w + 16 * h);
        int8x16_t low = vandq_s8(bytes, vdupq_n_s8(15));
        int8x16_t high = vshrq_n_s8(bytes, 4);
        int16x8_t *sums = narrow + 4 * h;
        sums[0] = vmlal_s8(sums[0], vget_low_s8(low), vget_low_s8(value));
        sums[1] = vmlal_high_s8(sums[1], low, value);
        sums[2] =
            first ? vmull_s8(vget_low_s8(high), vget_low_s8(value)) : vmlal_s8(sums[2], vget_low_s8(high), vget_low_s8(value));
        sums[3] = first ? vmull_high_s8(high, value) : vmlal_high_s8(sums[3], high, value);
    }
}

/* 32 products of a nibble and a byte stay within int16 in the end, so that wrapping on the way is harmless. */
GEMLET_INLINE void add_block_q4(const int8_t *w, size_t halves, const listed_block *block, const listed_column *columns,
                                const unsigned char *scales, float32x4_t *results) {
    int16x8_t narrow[STRIP / 8];
    for (size_t i = 0; i < 4 * halves; i++) {
        narrow[i] = vdupq_n_s16(block->correction);
    }
    add_column_q4(w, halves, columns, true, narrow);
    for (size_t i = 1; i < block->columns; i++) {
        add_column_q4(w, halves, columns + i, false, narrow);
    }
    for (size_t i = 0; i < 4 * halves; i++) { /* at once, or more sums than registers would be alive */
        add_scaled_sums(vmovl_s16(vget_low_s16(narrow[i])), vmovl_high_s16(narrow[i]), scales + 16 * i, block->x_scale,
                        results + 2 * i);
    }
}

GEMLET_INLINE void add_block_q8(const int8_t *w, size_t halves, const listed_block *block, const listed_column *columns,
                                const unsigned char *scales, float32x4_t *results) {
    int32x4_t sums[STRIP_VECTORS];
    for (size_t i = 0; i < 8 * halves; i++) {
        sums[i] = vdupq_n_s32(0);
    }
    for (const listed_column *end = columns + block->columns; columns != end; columns++) {
        int8x16_t value = vld1q_dup_s8(&columns->value);
        for (size_t h = 0; h < 2 * halves; h++) {
            int8x16_t weights = vld1q_s8(w + columns->weights + 16 * h);
            int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(value));
            int16x8_t high = vmull_high_s8(weights, value);
            sums[4 * h] = vaddw_s16(sums[4 * h], vget_low_s16(low));
            sums[4 * h + 1] = vaddw_high_s16(sums[4 * h + 1], low);
            sums[4 * h + 2] = vaddw_s16(sums[4 * h + 2], vget_low_s16(high));
            sums[4 * h + 3] = vaddw_high_s16(sums[4 * h + 3], high);
        }
    }
    for (size_t i = 0; i < 4 * halves; i++) {
        add_scaled_sums(sums[2 * i], sums[2 * i + 1], scales + 16 * i, block->x_scale, results + 2 * i);
    }
}

GEMLET_INLINE float32x4_t load_rows(const float *y, size_t rows) {
    float few[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (rows >= 4) {
        return vld1q_f32(y);
    }
    memcpy(few, y, rows * sizeof *y);
    return vld1q_f32(few);
}

/* `halves` x 32 rows from `first_row` on, of which `rows` are there: added to y, or y where nothing is in it yet. */
GEMLET_INLINE void strip_times_one(gemlet_weight_type type, size_t halves, const gemlet_matrix *w, const listed_blocks *listed,
                                   size_t first_row, size_t rows, bool begun, float *y) {
    float32x4_t results[STRIP_VECTORS] = {vdupq_n_f32(0.0f)}; /* for an analyzer that does not see that all of them are set below */
#pragma GCC unroll 16
    for (size_t v = 0; v < 8 * halves; v++) { /* unrolled, or the results would live in memory */
        results[v] = begun && 4 * v < rows ? load_rows(y + 4 * v, rows - 4 * v) : vdupq_n_f32(0.0f);
    }
    const unsigned char *data = w->data;
    const int8_t *weights = (const int8_t *)data + (type == GEMLET_Q4_0 ? first_row / 2 : first_row);
    const listed_column *columns = listed->columns;
    for (const listed_block *block = listed->blocks; block != listed->blocks + listed->count; block++) {
        const unsigned char *scales = data + block->scales + 2 * first_row;
        if (type == GEMLET_Q4_0) {
            add_block_q4(weights, halves, block, columns, scales, results);
        } else {
            add_block_q8(weights, halves, block, columns, scales, results);
        }
        columns += block->columns;
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < 8 * halves; v++) {
        if (4 * v < rows) {
            store_rows(results[v], rows - 4 * v, y + 4 * v);
        }
    }
}

GEMLET_INLINE void multiply_columns_typed(gemlet_weight_type type, const gemlet_matrix *w, const uint32_t *list, size_t list_length,
                                          const void *x, size_t first_row, size_t end_row, float *y) {
    one_vector vector = one_vector_at(x, w->columns / GEMLET_BLOCK);
    size_t padded_rows = (w->rows + GEMLET_COLUMN_ROWS - 1) / GEMLET_COLUMN_ROWS * GEMLET_COLUMN_ROWS;
    listed_blocks listed;
    size_t done = 0;
    do {
        bool begun = done > 0;
        done += find_listed(w, padded_rows, list + done, list_length - done, vector, &listed);
        size_t row = first_row;
        for (; row + STRIP <= end_row; row += STRIP) {
            strip_times_one(type, 2, w, &listed, row, STRIP, begun, y + row);
        }
        for (; row < end_row; row += STRIP / 2) {
            strip_times_one(type, 1, w, &listed, row, end_row - row < STRIP / 2 ? end_row - row : STRIP / 2, begun, y + row);
        }
    } while (done < list_length);
}

static void multiply_columns(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, size_t first_row,
                             size_t end_row, float *y) {
    if (w->type == GEMLET_Q4_0) {
        multiply_columns_typed(GEMLET_Q4_0, w, list, list_length, x, first_row, end_row, y);
    } else {
        multiply_columns_typed(GEMLET_Q8_0, w, list, list_length, x, first_row, end_row, y);
    }
}

const gemlet_matrix_kernels GEMLET_LEVEL_NAME(gemlet_matrix_kernels) = {quantize, (PAIRED ? 16 : 8) + GEMLET_BLOCK, multiply,
                                                                        multiply_rows, multiply_columns};
