/* row_scaled.c at dotprod: 8 rows of a panel times one or two quads.
 *
 * A quad's 64 bytes of 16 columns are, for each 4 columns, those of vector 0, 1, 2, 3: a load of them serves dot products of 4 rows
 * with each vector.  The sums of 8 rows and 8 vectors stay in 16 registers over the whole row.  A step multiplies 4 columns of each
 * part of the bytes; what is quick, unpacking and loads, stands together before the products. */
#ifndef GEMLET_CORE_NEON_ROW_SCALED_DOTPROD_H
#define GEMLET_CORE_NEON_ROW_SCALED_DOTPROD_H

#include "core/neon/row_scaled_one_dot.h"

enum { HALF_PANEL_BYTES = 2 * GROUP_BYTES, HALF_PANEL_ROWS = 2 * GROUP_ROWS };

GEMLET_INLINE void store_quad(const int8x16_t codes[QUAD], unsigned char *chunk) {
    int32x4x4_t words;
    for (size_t v = 0; v < QUAD; v++) {
        words.val[v] = vreinterpretq_s32_s8(codes[v]);
    }
    vst4q_s32((int32_t *)(void *)chunk, words);
}

/* The sums of the codes of a quad's vectors. */
typedef int32x4_t quad_sums;

GEMLET_INLINE quad_sums add_chunk(quad_sums sums, const unsigned char *chunk) {
    for (size_t i = 0; i < QUAD; i++) {
        sums = vdotq_s32(sums, vld1q_s8((const int8_t *)chunk + 16 * i), vdupq_n_s8(1));
    }
    return sums;
}

GEMLET_INLINE int32x4_t finish_sums(quad_sums sums) {
    return sums;
}

/* Products of 4 columns: `upper` and `lower` 4 rows each with every vector of the quads. */
GEMLET_INLINE void add_columns(size_t quads, int32x4_t *upper, int32x4_t *lower, int8x16_t w_upper, int8x16_t w_lower,
                               const int8x16_t *x) {
#pragma GCC unroll 2
    for (size_t q = 0; q < quads; q++) {
        ORDERED_DOT_LANE(upper[4 * q], w_upper, x[q], 0);
        ORDERED_DOT_LANE(upper[4 * q + 1], w_upper, x[q], 1);
        ORDERED_DOT_LANE(upper[4 * q + 2], w_upper, x[q], 2);
        ORDERED_DOT_LANE(upper[4 * q + 3], w_upper, x[q], 3);
        ORDERED_DOT_LANE(lower[4 * q], w_lower, x[q], 0);
        ORDERED_DOT_LANE(lower[4 * q + 1], w_lower, x[q], 1);
        ORDERED_DOT_LANE(lower[4 * q + 2], w_lower, x[q], 2);
        ORDERED_DOT_LANE(lower[4 * q + 3], w_lower, x[q], 3);
    }
}

GEMLET_INLINE void load_columns(size_t quads, const unsigned char *const *x, size_t offset, int8x16_t *out) {
#pragma GCC unroll 2
    for (size_t q = 0; q < quads; q++) {
        ORDERED_LOAD(out[q], x[q] + offset);
    }
}

/* The same of two steps, which lie side by side: out[step][quad]. */
GEMLET_INLINE void load_two_columns(size_t quads, const unsigned char *const *x, size_t offset, int8x16_t out[2][2]) {
#pragma GCC unroll 2
    for (size_t q = 0; q < quads; q++) {
        ORDERED_LOAD_PAIR(out[0][q], out[1][q], x[q] + offset);
    }
}

/* 64 columns a turn, in pairs of steps of 4 and 4: what a pair loads lies side by side. */
GEMLET_INLINE void w4_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2], int32x4_t *upper,
                            int32x4_t *lower) {
    int8x16_t b0[2], b1[2], mask;
    ORDERED_SET_BYTES(mask, 15);
    ORDERED_LOAD_PAIR(b0[0], b0[1], w);
    ORDERED_LOAD_PAIR(b1[0], b1[1], w + GROUP_BYTES);
    for (size_t turns = columns / 64; turns != 0; turns--) {
#pragma GCC unroll 4
        for (size_t pair = 0; pair < 4; pair++) {
            int8x16_t low0[2], low1[2], high0[2], high1[2], x_low[2][2], x_high[2][2];
            const unsigned char *from = w + (pair + 1) / 2 * BLOCK_BYTES + 32 * ((pair + 1) % 2);
            size_t x_at = pair / 2 * 2 * QUAD_CHUNK_BYTES + 32 * (pair % 2);
            load_two_columns(quads, x, x_at, x_low);
            ORDERED_HIGH_NIBBLES(high0[0], b0[0]);
            ORDERED_HIGH_NIBBLES(high1[0], b1[0]);
            ORDERED_AND(low0[0], b0[0], mask);
            ORDERED_AND(low1[0], b1[0], mask);
            ORDERED_AND(low0[1], b0[1], mask);
            ORDERED_AND(low1[1], b1[1], mask);
            add_columns(quads, upper, lower, low0[0], low1[0], x_low[0]);
            add_columns(quads, upper, lower, low0[1], low1[1], x_low[1]);
            load_two_columns(quads, x, x_at + QUAD_CHUNK_BYTES, x_high);
            ORDERED_HIGH_NIBBLES(high0[1], b0[1]);
            ORDERED_HIGH_NIBBLES(high1[1], b1[1]);
            ORDERED_LOAD_PAIR(b0[0], b0[1], from);
            ORDERED_LOAD_PAIR(b1[0], b1[1], from + GROUP_BYTES);
            add_columns(quads, upper, lower, high0[0], high1[0], x_high[0]);
            add_columns(quads, upper, lower, high0[1], high1[1], x_high[1]);
        }
        w += 2 * BLOCK_BYTES;
        x[0] += 4 * QUAD_CHUNK_BYTES;
        x[1] += 4 * QUAD_CHUNK_BYTES;
    }
}

/* 64 columns a turn, in steps of 4 from each part. */
GEMLET_INLINE void w2_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2], int32x4_t *upper,
                            int32x4_t *lower) {
    int8x16_t b0, b1, mask;
    ORDERED_SET_BYTES(mask, 3);
    ORDERED_LOAD(b0, w);
    ORDERED_LOAD(b1, w + GROUP_BYTES);
    for (size_t turns = columns / 64; turns != 0; turns--) {
#pragma GCC unroll 4
        for (size_t step = 0; step < 4; step++) {
            int8x16_t even0, even1, odd0, odd1, x_even[2], x_odd[2];
            const unsigned char *from = w + (step + 1) / 4 * BLOCK_BYTES + 16 * ((step + 1) % 4);
            ORDERED_SHIFT(odd0, b0, 2);
            ORDERED_SHIFT(odd1, b1, 2);
            ORDERED_AND(even0, b0, mask);
            ORDERED_AND(even1, b1, mask);
            ORDERED_AND(odd0, odd0, mask);
            ORDERED_AND(odd1, odd1, mask);
            load_columns(quads, x, 16 * step, x_even);
            load_columns(quads, x, QUAD_CHUNK_BYTES + 16 * step, x_odd);
            add_columns(quads, upper, lower, even0, even1, x_even);
            add_columns(quads, upper, lower, odd0, odd1, x_odd);
            ORDERED_SHIFT(even0, b0, 4);
            ORDERED_SHIFT(even1, b1, 4);
            ORDERED_SHIFT_SIGNED(odd0, b0, 6);
            ORDERED_SHIFT_SIGNED(odd1, b1, 6);
            ORDERED_AND(even0, even0, mask);
            ORDERED_AND(even1, even1, mask);
            load_columns(quads, x, 2 * QUAD_CHUNK_BYTES + 16 * step, x_even);
            load_columns(quads, x, 3 * QUAD_CHUNK_BYTES + 16 * step, x_odd);
            ORDERED_LOAD(b0, from);
            ORDERED_LOAD(b1, from + GROUP_BYTES);
            add_columns(quads, upper, lower, even0, even1, x_even);
            add_columns(quads, upper, lower, odd0, odd1, x_odd);
        }
        w += BLOCK_BYTES;
        x[0] += 4 * QUAD_CHUNK_BYTES;
        x[1] += 4 * QUAD_CHUNK_BYTES;
    }
}

/* 64 columns a turn, in steps of 4 and 4. */
GEMLET_INLINE void w8_quads(size_t quads, const unsigned char *w, size_t columns, const unsigned char *x[2], int32x4_t *upper,
                            int32x4_t *lower) {
    for (size_t turns = columns / 64; turns != 0; turns--) {
#pragma GCC unroll 8
        for (size_t step = 0; step < 8; step++) {
            size_t offset = step / 2 * QUAD_CHUNK_BYTES + step % 2 * 32;
            const unsigned char *from = w + step / 2 * BLOCK_BYTES + step % 2 * 32;
            int8x16_t upper0, upper1, lower0, lower1, x_both[2][2];
            ORDERED_LOAD_PAIR(upper0, upper1, from);
            ORDERED_LOAD_PAIR(lower0, lower1, from + GROUP_BYTES);
            load_two_columns(quads, x, offset, x_both);
            add_columns(quads, upper, lower, upper0, lower0, x_both[0]);
            add_columns(quads, upper, lower, upper1, lower1, x_both[1]);
        }
        w += 4 * BLOCK_BYTES;
        x[0] += 4 * QUAD_CHUNK_BYTES;
        x[1] += 4 * QUAD_CHUNK_BYTES;
    }
}

GEMLET_INLINE void half_panel_times_quads(gemlet_weight_type type, size_t quads, const row_panel *p, size_t row,
                                          const unsigned char *x) {
    int32x4_t upper[LARGE_TILE], lower[LARGE_TILE];
    const unsigned char *quad[2] = {x, quad_at(p, x, quads - 1)}, *codes[2] = {quad[0] + QUAD_HEADER, quad[1] + QUAD_HEADER};
    const unsigned char *w = weights_of(p) + row / HALF_PANEL_ROWS * HALF_PANEL_BYTES;
#pragma GCC unroll 2
    for (size_t q = 0; q < quads; q++) {
        int32x4_t corrections = vld1q_s32((const int32_t *)(const void *)quad[q]);
        upper[4 * q] = lower[4 * q] = vdupq_laneq_s32(corrections, 0);
        upper[4 * q + 1] = lower[4 * q + 1] = vdupq_laneq_s32(corrections, 1);
        upper[4 * q + 2] = lower[4 * q + 2] = vdupq_laneq_s32(corrections, 2);
        upper[4 * q + 3] = lower[4 * q + 3] = vdupq_laneq_s32(corrections, 3);
    }
    if (type == GEMLET_W2) {
        w2_quads(quads, w, p->columns, codes, upper, lower);
    } else if (type == GEMLET_W4) {
        w4_quads(quads, w, p->columns, codes, upper, lower);
    } else {
        w8_quads(quads, w, p->columns, codes, upper, lower);
    }
    int32x4_t tile[LARGE_TILE][2];
#pragma GCC unroll 8
    for (size_t v = 0; v < QUAD * quads; v++) {
        tile[v][0] = upper[v];
        tile[v][1] = lower[v];
    }
    store_tile(p, &(sums_tile){tile[0], QUAD * quads, 2, row, x + QUAD_SCALES, (size_t)(quad[1] - quad[0])});
}

GEMLET_INLINE void panel_times_quads(gemlet_weight_type type, size_t quads, const row_panel *p, const unsigned char *x) {
    for (size_t row = 0; row < rows_of(p); row += HALF_PANEL_ROWS) {
        half_panel_times_quads(type, quads, p, row, x);
    }
}

#endif
