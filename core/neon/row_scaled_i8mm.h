/* row_scaled.c at i8mm: 8 rows of a panel times one or two quads.
 *
 * SMMLA multiplies 2 rows x 8 columns by 2 vectors x 8 columns, so that a sum holds rows r, r, r + 1, r + 1 of a pair of vectors.
 * Weights of 4 rows x 4 columns are zipped to such pairs of rows before they are unpacked.  A quad's 64 bytes of 16 columns are,
 * for each 8 columns, those of vector 0, 1, 2, 3. */
#ifndef GEMLET_CORE_NEON_ROW_SCALED_I8MM_H
#define GEMLET_CORE_NEON_ROW_SCALED_I8MM_H

#include "core/neon/row_scaled_one_dot.h"

enum { HALF_PANEL_BYTES = 2 * GROUP_BYTES, HALF_PANEL_ROWS = 2 * GROUP_ROWS, ROW_PAIRS = HALF_PANEL_ROWS / 2 };

GEMLET_INLINE void store_quad(const int8x16_t codes[QUAD], unsigned char *chunk) {
    int64x2x4_t words;
    for (size_t v = 0; v < QUAD; v++) {
        words.val[v] = vreinterpretq_s64_s8(codes[v]);
    }
    vst4q_s64((int64_t *)(void *)chunk, words);
}

/* The sums of the codes of a quad's vectors, each in two parts. */
typedef struct quad_sums {
    int32x4_t pair[2];
} quad_sums;

GEMLET_INLINE quad_sums add_chunk(quad_sums sums, const unsigned char *chunk) {
    for (size_t i = 0; i < QUAD; i++) {
        sums.pair[i % 2] = vdotq_s32(sums.pair[i % 2], vld1q_s8((const int8_t *)chunk + 16 * i), vdupq_n_s8(1));
    }
    return sums;
}

GEMLET_INLINE int32x4_t finish_sums(quad_sums sums) {
    return vpaddq_s32(sums.pair[0], sums.pair[1]);
}

/* 8 columns of 4 row pairs, not unpacked yet, from `w` on, where a step of 4 columns and the next one lie. */
GEMLET_INLINE void load_row_pairs(const unsigned char *w, int8x16_t pairs[ROW_PAIRS]) {
    int8x16_t a0, a1, b0, b1;
    ORDERED_LOAD_PAIR(a0, a1, w);
    ORDERED_LOAD_PAIR(b0, b1, w + GROUP_BYTES);
    ORDERED_ZIP_WORDS(pairs[0], pairs[1], a0, a1);
    ORDERED_ZIP_WORDS(pairs[2], pairs[3], b0, b1);
}

/* Products of 8 columns of the row pairs with the quads' vectors, which lie `offset` bytes on. */
GEMLET_INLINE void add_columns(size_t quads, int32x4_t (*sums)[ROW_PAIRS], const int8x16_t w[ROW_PAIRS],
                               const unsigned char *const *x, size_t offset) {
#pragma GCC unroll 2
    for (size_t q = 0; q < quads; q++) {
        int8x16_t x0, x1;
        ORDERED_LOAD_PAIR(x0, x1, x[q] + offset);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q][0], w[0], x0);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q][1], w[1], x0);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q][2], w[2], x0);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q][3], w[3], x0);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q + 1][0], w[0], x1);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q + 1][1], w[1], x1);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q + 1][2], w[2], x1);
        ORDERED_MATRIX_MULTIPLY(sums[2 * q + 1][3], w[3], x1);
    }
}

#define EACH_PAIR(INSTRUCTION)                                                                                                     \
    INSTRUCTION(0);                                                                                                                \
    INSTRUCTION(1);                                                                                                                \
    INSTRUCTION(2);                                                                                                                \
    INSTRUCTION(3)
#define MASK(i) ORDERED_AND(u[i], b[i], mask)
#define MASK_AGAIN(i) ORDERED_AND(u[i], u[i], mask)
#define SHIFT_2(i) ORDERED_SHIFT(u[i], b[i], 2)
#define SHIFT_4(i) ORDERED_SHIFT(u[i], b[i], 4)
#define SHIFT_6(i) ORDERED_SHIFT_SIGNED(u[i], b[i], 6)
#define HIGH_NIBBLES(i) ORDERED_HIGH_NIBBLES(u[i], b[i])

/* 32 columns a turn, in steps of 8 and 8. */
GEMLET_INLINE void w4_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2],
                            int32x4_t (*sums)[ROW_PAIRS]) {
    int8x16_t mask;
    ORDERED_SET_BYTES(mask, 15);
    for (size_t turns = columns / 32; turns != 0; turns--) {
#pragma GCC unroll 2
        for (size_t step = 0; step < 2; step++) {
            int8x16_t b[ROW_PAIRS], u[ROW_PAIRS];
            load_row_pairs(w + 32 * step, b);
            EACH_PAIR(MASK);
            add_columns(quads, sums, u, x, 32 * step);
            EACH_PAIR(HIGH_NIBBLES);
            add_columns(quads, sums, u, x, QUAD_CHUNK_BYTES + 32 * step);
        }
        w += BLOCK_BYTES;
        x[0] += 2 * QUAD_CHUNK_BYTES;
        x[1] += 2 * QUAD_CHUNK_BYTES;
    }
}

/* 64 columns a turn, in steps of 8 from each part. */
GEMLET_INLINE void w2_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2],
                            int32x4_t (*sums)[ROW_PAIRS]) {
    int8x16_t mask;
    ORDERED_SET_BYTES(mask, 3);
    for (size_t turns = columns / 64; turns != 0; turns--) {
#pragma GCC unroll 2
        for (size_t step = 0; step < 2; step++) {
            int8x16_t b[ROW_PAIRS], u[ROW_PAIRS];
            load_row_pairs(w + 32 * step, b);
            EACH_PAIR(MASK);
            add_columns(quads, sums, u, x, 32 * step);
            EACH_PAIR(SHIFT_2);
            EACH_PAIR(MASK_AGAIN);
            add_columns(quads, sums, u, x, QUAD_CHUNK_BYTES + 32 * step);
            EACH_PAIR(SHIFT_4);
            EACH_PAIR(MASK_AGAIN);
            add_columns(quads, sums, u, x, 2 * QUAD_CHUNK_BYTES + 32 * step);
            EACH_PAIR(SHIFT_6);
            add_columns(quads, sums, u, x, 3 * QUAD_CHUNK_BYTES + 32 * step);
        }
        w += BLOCK_BYTES;
        x[0] += 4 * QUAD_CHUNK_BYTES;
        x[1] += 4 * QUAD_CHUNK_BYTES;
    }
}

/* 64 columns a turn. */
GEMLET_INLINE void w8_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2],
                            int32x4_t (*sums)[ROW_PAIRS]) {
    for (size_t turns = columns / 64; turns != 0; turns--) {
#pragma GCC unroll 8
        for (size_t step = 0; step < 8; step++) {
            int8x16_t b[ROW_PAIRS];
            load_row_pairs(w + step / 2 * BLOCK_BYTES + step % 2 * 32, b);
            add_columns(quads, sums, b, x, step / 2 * QUAD_CHUNK_BYTES + step % 2 * 32);
        }
        w += 4 * BLOCK_BYTES;
        x[0] += 4 * QUAD_CHUNK_BYTES;
        x[1] += 4 * QUAD_CHUNK_BYTES;
    }
}

GEMLET_INLINE void half_panel_times_quads(gemlet_weight_type type, size_t quads, const row_panel *p, size_t row,
                                          const unsigned char *x) {
    int32x4_t sums[LARGE_TILE / 2][ROW_PAIRS];
    const unsigned char *quad[2] = {x, quad_at(p, x, quads - 1)}, *codes[2] = {quad[0] + QUAD_HEADER, quad[1] + QUAD_HEADER};
    const unsigned char *w = weights_of(p) + row / HALF_PANEL_ROWS * HALF_PANEL_BYTES;
#pragma GCC unroll 4
    for (size_t pair = 0; pair < 2 * quads; pair++) {
        int32x2_t corrections = vld1_s32((const int32_t *)(const void *)quad[pair / 2] + pair % 2 * 2);
#pragma GCC unroll 4
        for (size_t r = 0; r < ROW_PAIRS; r++) {
            sums[pair][r] = vcombine_s32(corrections, corrections);
        }
    }
    if (type == GEMLET_W2) {
        w2_quads(quads, w, p->columns, codes, sums);
    } else if (type == GEMLET_W4) {
        w4_quads(quads, w, p->columns, codes, sums);
    } else {
        w8_quads(quads, w, p->columns, codes, sums);
    }
    int32x4_t tile[LARGE_TILE][2];
#pragma GCC unroll 8
    for (size_t v = 0; v < QUAD * quads; v += 2) { /* rows 0, 0, 1, 1 and 2, 2, 3, 3 of a pair to rows 0 .. 3 of each */
        tile[v][0] = vuzp1q_s32(sums[v / 2][0], sums[v / 2][1]);
        tile[v][1] = vuzp1q_s32(sums[v / 2][2], sums[v / 2][3]);
        tile[v + 1][0] = vuzp2q_s32(sums[v / 2][0], sums[v / 2][1]);
        tile[v + 1][1] = vuzp2q_s32(sums[v / 2][2], sums[v / 2][3]);
    }
    store_tile(p, &(sums_tile){tile[0], QUAD * quads, 2, row, x + QUAD_SCALES, (size_t)(quad[1] - quad[0])});
}

GEMLET_INLINE void panel_times_quads(gemlet_weight_type type, size_t quads, const row_panel *p, const unsigned char *x) {
    for (size_t row = 0; row < rows_of(p); row += HALF_PANEL_ROWS) {
        half_panel_times_quads(type, quads, p, row, x);
    }
}

#endif
