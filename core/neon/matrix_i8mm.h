/* matrix.c at i8mm: tiles of 4 and 16 vectors, as quads of two pairs.
 *
 * SMMLA multiplies 2 rows x 8 columns by 2 vectors x 8 columns, so that a sum holds rows r, r, r + 1, r + 1 of a pair of vectors.
 * A quad's record of a block has the scales of its pairs, their corrections, both in the order of such a sum, then for each 8
 * columns 8 bytes of vector 0, 1, 2, 3. */
#ifndef GEMLET_CORE_NEON_MATRIX_I8MM_H
#define GEMLET_CORE_NEON_MATRIX_I8MM_H

#include <stdbool.h>

#include "core/neon/matrix_parts.h"
#include "core/neon/ordered.h"

enum {
    LARGE_TILE = GEMLET_TILE,
    QUAD = 4,
    QUAD_CORRECTIONS = 32,
    QUAD_BYTES = 64,
    QUAD_RECORD = QUAD_BYTES + QUAD * GEMLET_BLOCK,
    VECTOR_RECORD = QUAD_RECORD / QUAD
};

GEMLET_INLINE void store_quad(const quantized_block block[QUAD], unsigned char *quad) {
    int64_t *columns = (int64_t *)(void *)(quad + QUAD_BYTES);
    int64x2x4_t low, high;
    for (size_t v = 0; v < QUAD; v++) {
        size_t first = v / 2 * 4 + v % 2; /* of the two places in a pair's sum */
        float *scale = (float *)(void *)quad + first;
        int32_t *correction = (int32_t *)(void *)(quad + QUAD_CORRECTIONS) + first;
        scale[0] = scale[2] = block[v].scale;
        correction[0] = correction[2] = block[v].correction;
        low.val[v] = vreinterpretq_s64_s8(block[v].low);
        high.val[v] = vreinterpretq_s64_s8(block[v].high);
    }
    vst4q_s64(columns, low);
    vst4q_s64(columns + 8, high);
}

/* 4 rows x 32 columns: 8 columns of one row, 8 of the other, four times. */
typedef struct row_pairs {
    int8x16_t rows01[4], rows23[4];
} row_pairs;

/* Zips before it unpacks nibbles, for half the zips. */
GEMLET_INLINE void load_row_pairs(gemlet_weight_type type, const unsigned char *w, row_pairs *p) {
    int8x16_t a, b, c, d, mask, rows01[2], rows23[2];
    ORDERED_LOAD_PAIR(a, b, w);
    ORDERED_LOAD_PAIR(c, d, w + 32);
    if (type == GEMLET_Q4_0) {
        ORDERED_SET_BYTES(mask, 15);
        ORDERED_ZIP_WORDS(rows01[0], rows23[0], a, b);
        ORDERED_ZIP_WORDS(rows01[1], rows23[1], c, d);
        ORDERED_HIGH_NIBBLES(p->rows01[2], rows01[0]);
        ORDERED_HIGH_NIBBLES(p->rows23[2], rows23[0]);
        ORDERED_HIGH_NIBBLES(p->rows01[3], rows01[1]);
        ORDERED_HIGH_NIBBLES(p->rows23[3], rows23[1]);
        ORDERED_AND(p->rows01[0], rows01[0], mask);
        ORDERED_AND(p->rows23[0], rows23[0], mask);
        ORDERED_AND(p->rows01[1], rows01[1], mask);
        ORDERED_AND(p->rows23[1], rows23[1], mask);
    } else {
        ORDERED_ZIP_WORDS(p->rows01[0], p->rows23[0], a, b);
        ORDERED_ZIP_WORDS(p->rows01[1], p->rows23[1], c, d);
        ORDERED_LOAD_PAIR(a, b, w + 64);
        ORDERED_LOAD_PAIR(c, d, w + 96);
        ORDERED_ZIP_WORDS(p->rows01[2], p->rows23[2], a, b);
        ORDERED_ZIP_WORDS(p->rows01[3], p->rows23[3], c, d);
    }
}

/* 8 columns: four products that don't wait for each other. */
#define ADD_COLUMNS(i)                                                                                                             \
    ORDERED_LOAD_PAIR(x0, x1, bytes + 32 * (i));                                                                                   \
    ORDERED_MATRIX_MULTIPLY(first01, m.rows01[i], x0);                                                                             \
    ORDERED_MATRIX_MULTIPLY(first23, m.rows23[i], x0);                                                                             \
    ORDERED_MATRIX_MULTIPLY(second01, m.rows01[i], x1);                                                                            \
    ORDERED_MATRIX_MULTIPLY(second23, m.rows23[i], x1)

/* Sums start with the corrections, or zeros.  Those are loaded, too: to set or copy a register takes a pipe that multiplies. */
#define LOAD_START(sum, pair)                                                                                                      \
    ORDERED_LOAD(sum, type == GEMLET_Q4_0 ? (const void *)(record + QUAD_CORRECTIONS + 16 * (pair)) : (const void *)zeros)

/* Rounds a sum into its float sum; then the next quad's may start. */
#define FINISH_PAIR(pair, products, x_scales, sum)                                                                                 \
    ORDERED_MULTIPLY_ADD(sum, products, x_scales);                                                                                 \
    if (more) {                                                                                                                    \
        LOAD_START(products, pair);                                                                                                \
    }

/* sums[4 q ..]: quad q's first pair with rows 0 and 1, with 2 and 3, then its second pair. */
GEMLET_INLINE void accumulate_block(gemlet_weight_type type, size_t tile, const unsigned char *w, const unsigned char *w_scales,
                                    const unsigned char *record, float32x4_t *sums) {
    static const int32_t zeros[4] = {0};
    /* 16 float sums, 8 vectors of weights and two of the rows' scales leave just these. */
    ORDERED_LOCAL int32x4_t first01 ORDERED_REGISTER("v0"), first23 ORDERED_REGISTER("v1");
    ORDERED_LOCAL int32x4_t second01 ORDERED_REGISTER("v2"), second23 ORDERED_REGISTER("v3");
    ORDERED_LOCAL int8x16_t x0 ORDERED_REGISTER("v4"), x1 ORDERED_REGISTER("v5");
    float32x4_t scales, scales01, scales23, first_scales, second_scales;
    row_pairs m;
    ORDERED_LOAD_HALF(scales, w_scales);
    load_row_pairs(type, w, &m);
    ORDERED_FROM_HALF(scales);
    ORDERED_ZIP_WORDS(scales01, scales23, scales, scales);
    LOAD_START(first01, 0);
    LOAD_START(first23, 0);
    LOAD_START(second01, 1);
    LOAD_START(second23, 1);
#pragma GCC unroll 4
    for (size_t q = 0; q < tile / QUAD; q++) {
        const unsigned char *bytes = record + QUAD_BYTES;
        const bool more = q + 1 < tile / QUAD;
        ADD_COLUMNS(0);
        ADD_COLUMNS(1);
        ADD_COLUMNS(2);
        ADD_COLUMNS(3);
        ORDERED_LOAD_PAIR(first_scales, second_scales, record);
        ORDERED_TO_FLOAT(first01);
        ORDERED_TO_FLOAT(first23);
        ORDERED_TO_FLOAT(second01);
        ORDERED_TO_FLOAT(second23);
        ORDERED_MULTIPLY(first01, scales01);
        ORDERED_MULTIPLY(first23, scales23);
        ORDERED_MULTIPLY(second01, scales01);
        ORDERED_MULTIPLY(second23, scales23);
        record += QUAD_RECORD;
        FINISH_PAIR(0, first01, first_scales, sums[4 * q])
        FINISH_PAIR(0, first23, first_scales, sums[4 * q + 1])
        FINISH_PAIR(1, second01, second_scales, sums[4 * q + 2])
        FINISH_PAIR(1, second23, second_scales, sums[4 * q + 3])
    }
}

GEMLET_INLINE void store_tile(size_t tile, const float32x4_t *sums, size_t rows, float *y, size_t y_stride) {
    for (size_t pair = 0; pair < tile / 2; pair++) {
        store_any(y + 2 * pair * y_stride, vuzp1q_f32(sums[2 * pair], sums[2 * pair + 1]), rows);
        store_any(y + (2 * pair + 1) * y_stride, vuzp2q_f32(sums[2 * pair], sums[2 * pair + 1]), rows);
    }
}

#endif
