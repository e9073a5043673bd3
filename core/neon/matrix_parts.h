/* What the products of text matrices share: dense ones (matrix.c) and those of sparse layers (matrix_sparse.c). */
#ifndef GEMLET_CORE_NEON_MATRIX_PARTS_H
#define GEMLET_CORE_NEON_MATRIX_PARTS_H

#include "core/neon/partial.h"
#include "core/quant/matrix.h"
#include "core/quant/packing.h"

enum { MICRO_ROWS = 4, HALF_BLOCK = GEMLET_BLOCK / 2 };

GEMLET_INLINE size_t weight_bytes(gemlet_weight_type type) {
    return type == GEMLET_Q4_0 ? HALF_BLOCK : GEMLET_BLOCK;
}

GEMLET_INLINE float32x4_t load_scales(const unsigned char *scales) {
    return vcvt_f32_f16(vld1_f16((const float16_t *)(const void *)scales));
}

/* A tile of one vector: a correction and a scale for each block, then the blocks' bytes. */
typedef struct one_scale {
    int32_t correction;
    float scale;
} one_scale;

typedef struct one_vector {
    one_scale *scales;
    int8_t *bytes;
} one_vector;

GEMLET_INLINE one_vector one_vector_at(const void *x, size_t blocks) {
    one_scale *scales = (one_scale *)(uintptr_t)x;
    return (one_vector){scales, (int8_t *)(void *)(scales + blocks)};
}

/* One quantised block: 32 bytes in two vectors, its scale and its correction. */
typedef struct quantized_block {
    int8x16_t low, high;
    float scale;
    int32_t correction;
} quantized_block;

#if GEMLET_COMPILED_LEVEL == 1

GEMLET_INLINE int16x8_t multiply_low(int8x16_t a, int8x16_t b) {
    return vmull_s8(vget_low_s8(a), vget_low_s8(b));
}

GEMLET_INLINE int16x8_t accumulate_low(int16x8_t sum, int8x16_t a, int8x16_t b) {
    return vmlal_s8(sum, vget_low_s8(a), vget_low_s8(b));
}

#endif

/* matrix_sparse.c; see matrix.h. */
void GEMLET_LEVEL_NAME(gemlet_multiply_rows)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x,
                                             float *y);
void GEMLET_LEVEL_NAME(gemlet_multiply_columns)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x,
                                                size_t first_row, size_t end_row, float *y);

#endif
