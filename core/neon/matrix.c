/* Quantised vectors, and dense products of text matrices, on NEON.  Compiled once per level; see matrix.h for what is computed and
 * packing.h for the layouts.  Tiles: GEMLET_TILE vectors, then 4, then 1, so that `count` vectors are stored without padding.
 *
 * Activations, private to these files and matrix_sparse.c, which takes one vector.  A tile of one vector has a
 * correction and a scale for each block, then the bytes.  A tile of more is a sequence of block records, which the level's header
 * describes.  A correction is -8 * the sum of the block's first 16 bytes: what the offset of Q4_0's low nibbles adds too much.
 */
#include <stdbool.h>

#if GEMLET_COMPILED_LEVEL == 1
#include "core/neon/matrix_neon.h"
#elif GEMLET_COMPILED_LEVEL == 2
#include "core/neon/matrix_dotprod.h"
#include "core/neon/matrix_one_dot.h"
#else
#include "core/neon/matrix_i8mm.h"
#include "core/neon/matrix_one_dot.h"
#endif

enum { SMALL_TILE = 4 };

GEMLET_INLINE size_t tile_size(size_t left) {
    return left >= LARGE_TILE ? LARGE_TILE : left >= SMALL_TILE ? SMALL_TILE : 1;
}

GEMLET_INLINE size_t record_bytes(size_t tile) {
    return tile == 1 ? 40 : tile * VECTOR_RECORD;
}

/* --- quantise -------------------------------------------------------------------------------------------------------------- */

GEMLET_INLINE int8x16_t quantize_half(const float32x4_t *x, float inverse) {
    int16x8_t a =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[0], inverse))), vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[1], inverse))));
    int16x8_t b =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[2], inverse))), vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[3], inverse))));
    return vcombine_s8(vmovn_s16(a), vmovn_s16(b));
}

GEMLET_INLINE quantized_block quantize_block(const float *x) {
    float32x4_t v[8];
    float32x4_t largest = vdupq_n_f32(0.0f), zero = unknown_zero();
    for (int i = 0; i < 8; i++) {
        v[i] = vld1q_f32(x + 4 * i);
        largest = larger_magnitudes(largest, v[i], zero);
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

static void quantize_tile(const float *x, size_t stride, size_t tile, size_t blocks, unsigned char *out) {
    for (size_t v = 0; v < tile; v += QUAD, out += QUAD_RECORD, x += QUAD * stride) {
        for (size_t b = 0; b < blocks; b++) {
            quantized_block block[QUAD];
#pragma GCC unroll 4
            for (size_t i = 0; i < QUAD; i++) {
                block[i] = quantize_block(x + i * stride + b * GEMLET_BLOCK);
            }
            store_quad(block, out + b * record_bytes(tile));
        }
    }
}

static void quantize_one(const float *x, size_t first, size_t end, size_t blocks, void *out) {
    one_vector vector = one_vector_at(out, blocks);
    for (size_t b = first; b < end; b++) {
        quantized_block block = quantize_block(x + (b - first) * GEMLET_BLOCK);
        vector.scales[b] = (one_scale){block.correction, block.scale};
        vst1q_s8(vector.bytes + b * GEMLET_BLOCK, block.low);
        vst1q_s8(vector.bytes + b * GEMLET_BLOCK + HALF_BLOCK, block.high);
    }
}

static void quantize(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, void *out) {
    unsigned char *to = out;
    size_t blocks = length / GEMLET_BLOCK;
    size_t first_block = first / GEMLET_BLOCK;
    size_t end_block = end / GEMLET_BLOCK;
    for (size_t v = 0; v < count;) {
        size_t tile = tile_size(count - v);
        if (tile == 1) {
            quantize_one(x + v * stride, first_block, end_block, blocks, to);
        } else {
            quantize_tile(x + v * stride, stride, tile, end_block - first_block, to + first_block * record_bytes(tile));
        }
        to += blocks * record_bytes(tile);
        v += tile;
    }
}

/* --- dense products --------------------------------------------------------------------------------------------------------- */

/* A panel of 16 rows times one vector. */
GEMLET_INLINE void panel_times_one(gemlet_weight_type type, const unsigned char *panel, size_t blocks, const void *x, size_t rows,
                                   float *y) {
    float32x4_t sums[4] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    if (blocks > 0) {
        sum_panel(type, panel, blocks, one_vector_at(x, blocks), sums);
    }
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; g++) { /* unrolled, or the sums would live in memory */
        if (MICRO_ROWS * g < rows) {
            store_any(y + MICRO_ROWS * g, sums[g], rows - MICRO_ROWS * g);
        }
    }
}

/* A panel of 16 rows, 4 at a time, times a tile of vectors. */
GEMLET_INLINE void panel_times_tile(gemlet_weight_type type, size_t tile, const unsigned char *panel, size_t blocks,
                                    const unsigned char *x, size_t rows, float *y, size_t y_stride) {
    for (size_t g = 0; g < 4 && MICRO_ROWS * g < rows; g++) {
        float32x4_t sums[LARGE_TILE];
        for (size_t v = 0; v < tile; v++) {
            sums[v] = vdupq_n_f32(0.0f);
        }
        const unsigned char *block = panel;
        const unsigned char *record = x;
        for (const unsigned char *end = x + blocks * record_bytes(tile); record != end; record += record_bytes(tile)) {
            const unsigned char *weights = block + 2 * GEMLET_PANEL_ROWS + g * MICRO_ROWS * weight_bytes(type);
            accumulate_block(type, tile, weights, block + 8 * g, record, sums);
            block += GEMLET_PANEL_ROWS * (2 + weight_bytes(type));
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

PANEL_FUNCTION(q4_0_times_many, GEMLET_Q4_0, LARGE_TILE)
PANEL_FUNCTION(q4_0_times_4, GEMLET_Q4_0, SMALL_TILE)
PANEL_FUNCTION_ONE(q4_0_times_1, GEMLET_Q4_0)
PANEL_FUNCTION(q8_0_times_many, GEMLET_Q8_0, LARGE_TILE)
PANEL_FUNCTION(q8_0_times_4, GEMLET_Q8_0, SMALL_TILE)
PANEL_FUNCTION_ONE(q8_0_times_1, GEMLET_Q8_0)

typedef void panel_function(const unsigned char *panel, size_t blocks, const unsigned char *x, size_t rows, float *y,
                            size_t y_stride);

static panel_function *panel_function_for(gemlet_weight_type type, size_t tile) {
    if (type == GEMLET_Q4_0) {
        return tile == LARGE_TILE ? q4_0_times_many : tile == SMALL_TILE ? q4_0_times_4 : q4_0_times_1;
    }
    return tile == LARGE_TILE ? q8_0_times_many : tile == SMALL_TILE ? q8_0_times_4 : q8_0_times_1;
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

const gemlet_matrix_kernels GEMLET_LEVEL_NAME(gemlet_matrix_kernels) = {
    .quantize = quantize,
    .block_bytes = VECTOR_RECORD,
    .multiply = multiply,
    .multiply_rows = GEMLET_LEVEL_NAME(gemlet_multiply_rows),
    .multiply_columns = GEMLET_LEVEL_NAME(gemlet_multiply_columns),
};
