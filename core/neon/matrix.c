/* Quantised vectors, and dense products of text matrices, on NEON.  Compiled once per level; see matrix.h for what is computed and
 * packing.h for the layouts.  Tiles: GEMLET_TILE vectors, then 4, then 1, so that `count` vectors are stored without padding.
 *
 * Activations, private to this file and matrix_sparse.c, which takes one vector.  A tile of one vector is three arrays over its
 * blocks: scales, corrections, bytes.  A tile of T vectors is a sequence of block records: T scales, T corrections, T x 32 bytes;
 * i8mm pairs the vectors: 8 bytes of one, 8 of the other, and for each pair 4 scales and 4 corrections in the 2 x 2 order that
 * SMMLA answers.  A correction is -8 * the sum of the block's first 16 bytes: what the offset of Q4_0's low nibbles adds too much.
 */
#include <stdbool.h>

#include "core/neon/matrix_parts.h"

#define PAIRED (GEMLET_COMPILED_LEVEL == 3)

enum { SMALL_TILE = 4 };

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

#else

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

#endif

/* --- dense products --------------------------------------------------------------------------------------------------------- */

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
            store_any(y + MICRO_ROWS * g, sums[g], rows - MICRO_ROWS * g);
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
        store_any(y + 2 * pair * y_stride, vuzp1q_f32(sums[2 * pair], sums[2 * pair + 1]), rows);
        store_any(y + (2 * pair + 1) * y_stride, vuzp2q_f32(sums[2 * pair], sums[2 * pair + 1]), rows);
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
        store_any(y + v * y_stride, sums[v], rows);
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

const gemlet_matrix_kernels GEMLET_LEVEL_NAME(gemlet_matrix_kernels) = {quantize, (PAIRED ? 16 : 8) + GEMLET_BLOCK, multiply,
                                                                        GEMLET_LEVEL_NAME(gemlet_multiply_rows),
                                                                        GEMLET_LEVEL_NAME(gemlet_multiply_columns)};
