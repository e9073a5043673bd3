/* matrix.c at neon: tiles of 4 and 8 vectors, and one vector.
 *
 * A quad's record of a block has 4 scales, 4 corrections, then 32 bytes of each vector.  Weights come as rows of 16 columns by LD4.
 *
 * Cortex-A53 answers a multiplication after six cycles, and most else, too.  So the products of 4 rows and a vector are summed in
 * rounds of one multiplication for each row, and in the gaps between stand two steps each of what follows for the two vectors
 * before (or, of one vector, for the 4 rows before): adding up lanes, and scaling.  Tiles of 16 would leave no registers for that.
 */
#ifndef GEMLET_CORE_NEON_MATRIX_NEON_H
#define GEMLET_CORE_NEON_MATRIX_NEON_H

#include "core/neon/matrix_parts.h"
#include "core/neon/ordered.h"

enum {
    LARGE_TILE = 8,
    QUAD = 4,
    QUAD_CORRECTIONS = 16,
    QUAD_BYTES = 32,
    QUAD_RECORD = QUAD_BYTES + QUAD * GEMLET_BLOCK,
    VECTOR_RECORD = QUAD_RECORD / QUAD
};

GEMLET_INLINE void store_quad(const quantized_block block[QUAD], unsigned char *quad) {
    int8_t *bytes = (int8_t *)(quad + QUAD_BYTES);
    for (size_t v = 0; v < QUAD; v++) {
        ((float *)(void *)quad)[v] = block[v].scale;
        ((int32_t *)(void *)(quad + QUAD_CORRECTIONS))[v] = block[v].correction;
        vst1q_s8(bytes + v * GEMLET_BLOCK, block[v].low);
        vst1q_s8(bytes + v * GEMLET_BLOCK + HALF_BLOCK, block[v].high);
    }
}

/* w0 .. w3 hold the first halves of 4 rows, w4 .. w7 the second; r0 .. r9 and t0, t1 go round. */
#define DECLARE_REGISTERS                                                                                                          \
    ORDERED_LOCAL int8x16_t w0 ORDERED_REGISTER("v20"), w1 ORDERED_REGISTER("v21"), w2 ORDERED_REGISTER("v22");                    \
    ORDERED_LOCAL int8x16_t w3 ORDERED_REGISTER("v23"), w4 ORDERED_REGISTER("v24"), w5 ORDERED_REGISTER("v25");                    \
    ORDERED_LOCAL int8x16_t w6 ORDERED_REGISTER("v26"), w7 ORDERED_REGISTER("v27");                                                \
    ORDERED_LOCAL int16x8_t r0 ORDERED_REGISTER("v0"), r1 ORDERED_REGISTER("v1"), r2 ORDERED_REGISTER("v2");                       \
    ORDERED_LOCAL int16x8_t r3 ORDERED_REGISTER("v3"), r4 ORDERED_REGISTER("v4"), r5 ORDERED_REGISTER("v5");                       \
    ORDERED_LOCAL int16x8_t r6 ORDERED_REGISTER("v6"), r7 ORDERED_REGISTER("v7");                                                  \
    ORDERED_LOCAL int32x4_t t0 ORDERED_REGISTER("v18")

#define DECLARE_TWO_MORE ORDERED_LOCAL int16x8_t r8 ORDERED_REGISTER("v16"), r9 ORDERED_REGISTER("v17")

#define UNPACK_NIBBLES                                                                                                             \
    ORDERED_HIGH_NIBBLES(w4, w0);                                                                                                  \
    ORDERED_HIGH_NIBBLES(w5, w1);                                                                                                  \
    ORDERED_HIGH_NIBBLES(w6, w2);                                                                                                  \
    ORDERED_HIGH_NIBBLES(w7, w3);                                                                                                  \
    ORDERED_AND(w0, w0, mask);                                                                                                     \
    ORDERED_AND(w1, w1, mask);                                                                                                     \
    ORDERED_AND(w2, w2, mask);                                                                                                     \
    ORDERED_AND(w3, w3, mask);

/* One instruction for each row, of its first half or of its second. */
#define FIRST_ROUND(INSTRUCTION, s0, s1, s2, s3, x)                                                                                \
    INSTRUCTION(s0, w0, x);                                                                                                        \
    INSTRUCTION(s1, w1, x);                                                                                                        \
    INSTRUCTION(s2, w2, x);                                                                                                        \
    INSTRUCTION(s3, w3, x);
#define SECOND_ROUND(INSTRUCTION, s0, s1, s2, s3, x)                                                                               \
    INSTRUCTION(s0, w4, x);                                                                                                        \
    INSTRUCTION(s1, w5, x);                                                                                                        \
    INSTRUCTION(s2, w6, x);                                                                                                        \
    INSTRUCTION(s3, w7, x);

/* Steps for vectors before v, where there are such. */
#define AFTER(v, first, step)                                                                                                      \
    if ((v) >= (first)) {                                                                                                          \
        step;                                                                                                                      \
    }
#define ADD_LANES(v, ADD, b0, b1, b2, b3)                                                                                          \
    AFTER(v, 1, ADD(b0, b0, b1))                                                                                                   \
    AFTER(v, 1, ADD(b2, b2, b3))
#define SCALE_BY_ROW(v, product) AFTER(v, 2, ORDERED_MULTIPLY(product, scales))
#define SCALE_BY_VECTOR(v, product, lane) AFTER(v, 2, ORDERED_MULTIPLY_ADD_LANE(sums[(v) < 2 ? 0 : (v)-2], product, x_scales, lane))

#define LOAD_VECTOR(v, lane, low, high)                                                                                            \
    if ((lane) < QUAD || (v) < tile) {                                                                                             \
        ORDERED_LOAD_PAIR(low, high, quad + QUAD_BYTES + GEMLET_BLOCK * (lane) + ((lane) == 4 ? QUAD_BYTES : 0));                  \
    }

/* 4 rows of Q4_0 times 32 columns.  Of a nibble and a byte 16 products fit 16 bits, 8 of them of a weight up to 15 and 8 up to 8:
 * below 23,400. */
#define ROUNDS_Q4(s0, s1, s2, s3, low, high, gap1, gap2, gap3, gap4)                                                               \
    FIRST_ROUND(ORDERED_MULTIPLY_LOW, s0, s1, s2, s3, low)                                                                         \
    gap1 FIRST_ROUND(ORDERED_ACCUMULATE_HIGH, s0, s1, s2, s3, low)                                                                 \
    gap2 SECOND_ROUND(ORDERED_ACCUMULATE_LOW, s0, s1, s2, s3, high)                                                                \
    gap3 SECOND_ROUND(ORDERED_ACCUMULATE_HIGH, s0, s1, s2, s3, high) gap4

/* Vector v of a tile; b0 .. b3 are the sums of vector v - 1 and `last` its total; `total` has the product of vector v - 2 first. */
#define VECTOR_Q4(v, lane, lane_2, s0, s1, s2, s3, b0, b1, b2, b3, low, high, total, last)                                         \
    if ((lane) == 0) {                                                                                                             \
        ORDERED_LOAD(corrections, quad + QUAD_CORRECTIONS);                                                                        \
    } else if ((lane) == 2) {                                                                                                      \
        ORDERED_LOAD(x_scales, quad);                                                                                              \
    }                                                                                                                              \
    ROUNDS_Q4(s0, s1, s2, s3, low, high,                                                                                           \
              ADD_LANES(v, ORDERED_ADD_PAIRS_16, b0, b1, b2, b3) LOAD_VECTOR((v) + 1, (lane) + 1, b1, b3),                         \
              AFTER(v, 1, ORDERED_ADD_PAIRS_16(b0, b0, b2)) SCALE_BY_ROW(v, total),                                                \
              AFTER(v, 1, ORDERED_ACCUMULATE_PAIRS(last, b0)) SCALE_BY_VECTOR(v, total, lane_2),                                   \
              AFTER(v, 1, ORDERED_TO_FLOAT(last)) ORDERED_REPEAT_LANE(total, corrections, lane);)

#define FINISH_Q4(v, b0, b1, b2, b3)                                                                                               \
    ADD_LANES(v, ORDERED_ADD_PAIRS_16, b0, b1, b2, b3)                                                                             \
    SCALE_BY_ROW(v, t0)                                                                                                            \
    AFTER(v, 1, ORDERED_ADD_PAIRS_16(b0, b0, b2))                                                                                  \
    SCALE_BY_VECTOR(v, t0, 2)                                                                                                      \
    ORDERED_ACCUMULATE_PAIRS(t1, b0);                                                                                              \
    ORDERED_TO_FLOAT(t1);                                                                                                          \
    SCALE_BY_ROW(v, t1)                                                                                                            \
    SCALE_BY_VECTOR((v) + 1, t1, 3)

GEMLET_INLINE void accumulate_block_q4(size_t tile, const unsigned char *w, const unsigned char *w_scales,
                                       const unsigned char *quad, float32x4_t *sums) {
    DECLARE_REGISTERS;
    DECLARE_TWO_MORE;
    ORDERED_LOCAL int32x4_t t1 ORDERED_REGISTER("v19");
    int32x4_t corrections;
    int8x16_t mask;
    float32x4_t scales, x_scales;
    ORDERED_LOAD_ROWS(w0, w1, w2, w3, w, "v20", "v21", "v22", "v23");
    ORDERED_LOAD_HALF(scales, w_scales);
    LOAD_VECTOR(0, 0, r8, r9)
    ORDERED_SET_BYTES(mask, 15);
    UNPACK_NIBBLES
    ORDERED_FROM_HALF(scales);
    VECTOR_Q4(0, 0, 2, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, t0, t1)
    VECTOR_Q4(1, 1, 3, r8, r9, r4, r6, r0, r1, r2, r3, r5, r7, t1, t0)
    VECTOR_Q4(2, 2, 0, r5, r7, r0, r2, r8, r9, r4, r6, r1, r3, t0, t1)
    VECTOR_Q4(3, 3, 1, r1, r3, r8, r4, r5, r7, r0, r2, r9, r6, t1, t0)
    if (tile == QUAD) {
        FINISH_Q4(QUAD, r1, r3, r8, r4)
        return;
    }
    quad += QUAD_RECORD;
    VECTOR_Q4(4, 0, 2, r9, r6, r5, r0, r1, r3, r8, r4, r7, r2, t0, t1)
    VECTOR_Q4(5, 1, 3, r7, r2, r1, r8, r9, r6, r5, r0, r3, r4, t1, t0)
    VECTOR_Q4(6, 2, 0, r3, r4, r9, r5, r7, r2, r1, r8, r6, r0, t0, t1)
    VECTOR_Q4(7, 3, 1, r6, r0, r7, r1, r3, r4, r9, r5, r2, r8, t1, t0)
    FINISH_Q4(LARGE_TILE, r6, r0, r7, r1)
}

/* The same of Q8_0, where two products fit 16 bits.  l0 .. l3 sum those of the first halves, then all; h0, h1, b1, b3 those of the
 * second. t0 has the product of vector v - 2, then the total of v - 1. */
#define VECTOR_Q8(v, lane, lane_2, l0, l1, l2, l3, b0, b1, b2, b3, h0, h1)                                                         \
    if ((lane) == 2) {                                                                                                             \
        ORDERED_LOAD(x_scales, quad);                                                                                              \
    }                                                                                                                              \
    FIRST_ROUND(ORDERED_MULTIPLY_LOW, l0, l1, l2, l3, x_low)                                                                       \
    ADD_LANES(v, ORDERED_ADD_PAIRS_32, b0, b1, b2, b3)                                                                             \
    SCALE_BY_ROW(v, t0)                                                                                                            \
    SECOND_ROUND(ORDERED_MULTIPLY_LOW, h0, h1, b1, b3, x_high)                                                                     \
    SCALE_BY_VECTOR(v, t0, lane_2)                                                                                                 \
    FIRST_ROUND(ORDERED_ACCUMULATE_HIGH, l0, l1, l2, l3, x_low)                                                                    \
    AFTER(v, 1, ORDERED_ADD_PAIRS_32(t0, b0, b2))                                                                                  \
    SECOND_ROUND(ORDERED_ACCUMULATE_HIGH, h0, h1, b1, b3, x_high)                                                                  \
    ROWS_OF_PAIRS(l0, l1, l2, l3)                                                                                                  \
    AFTER(v, 1, ORDERED_TO_FLOAT(t0))                                                                                              \
    LOAD_VECTOR((v) + 1, (lane) + 1, x_low, x_high)                                                                                \
    MORE_PAIRS(l0, l1, l2, l3, h0, h1, b1, b3)

#define ROWS_OF_PAIRS(l0, l1, l2, l3)                                                                                              \
    ORDERED_PAIRS(l0, l0);                                                                                                         \
    ORDERED_PAIRS(l1, l1);                                                                                                         \
    ORDERED_PAIRS(l2, l2);                                                                                                         \
    ORDERED_PAIRS(l3, l3);

#define MORE_PAIRS(l0, l1, l2, l3, h0, h1, h2, h3)                                                                                 \
    ORDERED_ACCUMULATE_PAIRS(l0, h0);                                                                                              \
    ORDERED_ACCUMULATE_PAIRS(l1, h1);                                                                                              \
    ORDERED_ACCUMULATE_PAIRS(l2, h2);                                                                                              \
    ORDERED_ACCUMULATE_PAIRS(l3, h3);

#define FINISH_Q8(v, b0, b1, b2, b3)                                                                                               \
    ADD_LANES(v, ORDERED_ADD_PAIRS_32, b0, b1, b2, b3)                                                                             \
    SCALE_BY_ROW(v, t0)                                                                                                            \
    SCALE_BY_VECTOR(v, t0, 2)                                                                                                      \
    ORDERED_ADD_PAIRS_32(t0, b0, b2);                                                                                              \
    ORDERED_TO_FLOAT(t0);                                                                                                          \
    SCALE_BY_ROW(v, t0)                                                                                                            \
    SCALE_BY_VECTOR((v) + 1, t0, 3)

GEMLET_INLINE void accumulate_block_q8(size_t tile, const unsigned char *w, const unsigned char *w_scales,
                                       const unsigned char *quad, float32x4_t *sums) {
    DECLARE_REGISTERS;
    DECLARE_TWO_MORE;
    int8x16_t x_low, x_high;
    float32x4_t scales, x_scales;
    ORDERED_LOAD_ROWS(w0, w1, w2, w3, w, "v20", "v21", "v22", "v23");
    ORDERED_LOAD_ROWS(w4, w5, w6, w7, w + 64, "v24", "v25", "v26", "v27");
    ORDERED_LOAD_HALF(scales, w_scales);
    LOAD_VECTOR(0, 0, x_low, x_high)
    ORDERED_FROM_HALF(scales);
    VECTOR_Q8(0, 0, 2, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9)
    VECTOR_Q8(1, 1, 3, r8, r9, r5, r7, r0, r1, r2, r3, r4, r6)
    VECTOR_Q8(2, 2, 0, r4, r6, r1, r3, r8, r9, r5, r7, r0, r2)
    VECTOR_Q8(3, 3, 1, r0, r2, r9, r7, r4, r6, r1, r3, r8, r5)
    if (tile == QUAD) {
        FINISH_Q8(QUAD, r0, r2, r9, r7)
        return;
    }
    quad += QUAD_RECORD;
    VECTOR_Q8(4, 0, 2, r8, r5, r6, r3, r0, r2, r9, r7, r4, r1)
    VECTOR_Q8(5, 1, 3, r4, r1, r2, r7, r8, r5, r6, r3, r0, r9)
    VECTOR_Q8(6, 2, 0, r0, r9, r5, r3, r4, r1, r2, r7, r8, r6)
    VECTOR_Q8(7, 3, 1, r8, r6, r1, r7, r0, r9, r5, r3, r4, r2)
    FINISH_Q8(LARGE_TILE, r8, r6, r1, r7)
}

GEMLET_INLINE void accumulate_block(gemlet_weight_type type, size_t tile, const unsigned char *w, const unsigned char *w_scales,
                                    const unsigned char *record, float32x4_t *sums) {
    if (type == GEMLET_Q4_0) {
        accumulate_block_q4(tile, w, w_scales, record, sums);
    } else {
        accumulate_block_q8(tile, w, w_scales, record, sums);
    }
}

GEMLET_INLINE void store_tile(size_t tile, const float32x4_t *sums, size_t rows, float *y, size_t y_stride) {
    for (size_t v = 0; v < tile; v++) {
        store_any(y + v * y_stride, sums[v], rows);
    }
}

/* ---- one vector times a panel of 16 rows ---- */

/* Where rows 4 g .. lie; computed at once, as a core in order waits for an addition between multiplications. */
#define DECLARE_ROWS(bytes)                                                                                                        \
    const unsigned char *first[4] = {w};                                                                                           \
    first[1] = w + (bytes);                                                                                                        \
    first[2] = w + 2 * (bytes);                                                                                                    \
    first[3] = w + 3 * (bytes);                                                                                                    \
    GEMLET_HIDE(first[1]);                                                                                                         \
    GEMLET_HIDE(first[2]);                                                                                                         \
    GEMLET_HIDE(first[3])

#define LOAD_FIRST_HALVES(g) ORDERED_LOAD_ROWS(w0, w1, w2, w3, first[g], "v20", "v21", "v22", "v23");
#define LOAD_SECOND_HALVES(g) ORDERED_LOAD_ROWS(w4, w5, w6, w7, second[g], "v24", "v25", "v26", "v27");

/* Rows 4 g .. of a panel; rows - 1 and - 2 as the vectors above.  FROM_HALF takes the scales of rows g - 2. */
#define ROWS_Q4(g, s0, s1, s2, s3, b0, b1, b2, b3, total, last, FROM_HALF, halves)                                                 \
    UNPACK_NIBBLES                                                                                                                 \
    ADD_LANES(g, ORDERED_ADD_PAIRS_16, b0, b1, b2, b3)                                                                             \
    ROUNDS_Q4(s0, s1, s2, s3, x_low, x_high, AFTER(g, 1, ORDERED_ADD_PAIRS_16(b0, b0, b2)) AFTER(g, 2, FROM_HALF(scales, halves)), \
              AFTER(g, 1, ORDERED_ACCUMULATE_PAIRS(last, b0)) SCALE_BY_ROW(g, total) if ((g) < 3){LOAD_FIRST_HALVES((g) + 1)},     \
              AFTER(g, 1, ORDERED_TO_FLOAT(last)) SCALE_BY_X(g, total), ORDERED_LOAD_REPEATED(total, &scale->correction);)
#define SCALE_BY_X(g, product) AFTER(g, 2, ORDERED_MULTIPLY_ADD_LANE(sums[(g) < 2 ? 0 : (g)-2], product, x_scale, 1))

GEMLET_INLINE void accumulate_one_q4(const unsigned char *w, const int8_t *x, const one_scale *scale, float32x4_t *sums) {
    DECLARE_REGISTERS;
    ORDERED_LOCAL int32x4_t t1 ORDERED_REGISTER("v19");
    int8x16_t x_low, x_high;
    const int8x16_t mask = vdupq_n_s8(15);
    float32x4_t scales, last_scales, x_scale, halves01, halves23;
    DECLARE_ROWS(64);
    LOAD_FIRST_HALVES(0)
    ORDERED_LOAD_PAIR(x_low, x_high, x);
    ORDERED_LOAD_PAIR(halves01, halves23, w - 2 * GEMLET_PANEL_ROWS);
    ORDERED_LOAD_HALF(x_scale, scale);
    ROWS_Q4(0, r0, r1, r2, r3, r4, r5, r6, r7, t0, t1, ORDERED_FROM_LOW_HALF, halves01)
    ROWS_Q4(1, r4, r5, r6, r7, r0, r1, r2, r3, t1, t0, ORDERED_FROM_LOW_HALF, halves01)
    ROWS_Q4(2, r0, r1, r2, r3, r4, r5, r6, r7, t0, t1, ORDERED_FROM_LOW_HALF, halves01)
    ROWS_Q4(3, r4, r5, r6, r7, r0, r1, r2, r3, t1, t0, ORDERED_FROM_HIGH_HALF, halves01)
    ORDERED_FROM_LOW_HALF(scales, halves23);
    ORDERED_FROM_HIGH_HALF(last_scales, halves23);
    ADD_LANES(4, ORDERED_ADD_PAIRS_16, r4, r5, r6, r7)
    ORDERED_MULTIPLY(t0, scales);
    ORDERED_ADD_PAIRS_16(r4, r4, r6);
    ORDERED_MULTIPLY_ADD_LANE(sums[2], t0, x_scale, 1);
    ORDERED_ACCUMULATE_PAIRS(t1, r4);
    ORDERED_TO_FLOAT(t1);
    ORDERED_MULTIPLY(t1, last_scales);
    ORDERED_MULTIPLY_ADD_LANE(sums[3], t1, x_scale, 1);
}

/* l0 .. l3 sum the products of the first halves, then all; h0 .. h3 those of the second. */
#define ROWS_Q8(g, l0, l1, l2, l3, b0, b1, b2, b3, h0, h1, FROM_HALF, halves)                                                      \
    FIRST_ROUND(ORDERED_MULTIPLY_LOW, l0, l1, l2, l3, x_low)                                                                       \
    ADD_LANES(g, ORDERED_ADD_PAIRS_32, b0, b1, b2, b3)                                                                             \
    SCALE_BY_ROW(g, t0)                                                                                                            \
    SECOND_ROUND(ORDERED_MULTIPLY_LOW, h0, h1, b1, b3, x_high)                                                                     \
    SCALE_BY_X(g, t0)                                                                                                              \
    FIRST_ROUND(ORDERED_ACCUMULATE_HIGH, l0, l1, l2, l3, x_low)                                                                    \
    AFTER(g, 1, ORDERED_ADD_PAIRS_32(t0, b0, b2))                                                                                  \
    if ((g) < 3) {                                                                                                                 \
        LOAD_FIRST_HALVES((g) + 1)                                                                                                 \
    }                                                                                                                              \
    SECOND_ROUND(ORDERED_ACCUMULATE_HIGH, h0, h1, b1, b3, x_high)                                                                  \
    ROWS_OF_PAIRS(l0, l1, l2, l3)                                                                                                  \
    if ((g) < 3) {                                                                                                                 \
        LOAD_SECOND_HALVES((g) + 1)                                                                                                \
    }                                                                                                                              \
    AFTER(g, 1, FROM_HALF(scales, halves))                                                                                         \
    AFTER(g, 1, ORDERED_TO_FLOAT(t0))                                                                                              \
    MORE_PAIRS(l0, l1, l2, l3, h0, h1, b1, b3)

GEMLET_INLINE void accumulate_one_q8(const unsigned char *w, const int8_t *x, const one_scale *scale, float32x4_t *sums) {
    DECLARE_REGISTERS;
    DECLARE_TWO_MORE;
    int8x16_t x_low, x_high;
    float32x4_t scales, x_scale, halves01, halves23;
    DECLARE_ROWS(128);
    const unsigned char *second[4] = {first[0] + 64, first[1] + 64, first[2] + 64, first[3] + 64};
    LOAD_FIRST_HALVES(0)
    LOAD_SECOND_HALVES(0)
    ORDERED_LOAD_PAIR(x_low, x_high, x);
    ORDERED_LOAD_PAIR(halves01, halves23, w - 2 * GEMLET_PANEL_ROWS);
    ORDERED_LOAD_HALF(x_scale, scale);
    ROWS_Q8(0, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, ORDERED_FROM_LOW_HALF, halves01)
    ROWS_Q8(1, r8, r9, r5, r7, r0, r1, r2, r3, r4, r6, ORDERED_FROM_LOW_HALF, halves01)
    ROWS_Q8(2, r4, r6, r1, r3, r8, r9, r5, r7, r0, r2, ORDERED_FROM_HIGH_HALF, halves01)
    ROWS_Q8(3, r0, r2, r9, r7, r4, r6, r1, r3, r8, r5, ORDERED_FROM_LOW_HALF, halves23)
    ADD_LANES(4, ORDERED_ADD_PAIRS_32, r0, r2, r9, r7)
    ORDERED_MULTIPLY(t0, scales);
    ORDERED_FROM_HIGH_HALF(scales, halves23);
    ORDERED_MULTIPLY_ADD_LANE(sums[2], t0, x_scale, 1);
    ORDERED_ADD_PAIRS_32(t0, r0, r9);
    ORDERED_TO_FLOAT(t0);
    ORDERED_MULTIPLY(t0, scales);
    ORDERED_MULTIPLY_ADD_LANE(sums[3], t0, x_scale, 1);
}

/* A panel of 16 rows. */
GEMLET_INLINE void sum_panel(gemlet_weight_type type, const unsigned char *panel, size_t blocks, one_vector x,
                             float32x4_t sums[4]) {
    const unsigned char *w = panel + 2 * GEMLET_PANEL_ROWS; /* past the scales */
    for (const one_scale *end = x.scales + blocks; x.scales != end; x.scales++) {
        if (type == GEMLET_Q4_0) {
            accumulate_one_q4(w, x.bytes, x.scales, sums);
        } else {
            accumulate_one_q8(w, x.bytes, x.scales, sums);
        }
        w += GEMLET_PANEL_ROWS * (2 + weight_bytes(type));
        x.bytes += GEMLET_BLOCK;
    }
}

#endif
