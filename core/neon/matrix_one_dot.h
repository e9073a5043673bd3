/* matrix.c at dotprod and i8mm: one vector times a panel of 16 rows.
 *
 * Each step multiplies 4 columns by 16 rows: four products, of 4 rows each, that don't wait for each other.  Everything is loaded
 * well before its step, the next block's beginning during the end of this one. */
#ifndef GEMLET_CORE_NEON_MATRIX_ONE_DOT_H
#define GEMLET_CORE_NEON_MATRIX_ONE_DOT_H

#include <stdbool.h>

#include "core/neon/matrix_parts.h"
#include "core/neon/ordered.h"

/* Sums of 4 x 4 rows, columns of the rows, and the vector.  Bound, or the compiler would copy them from one turn of the loop to the
 * next. */
#define DECLARE_REGISTERS                                                                                                          \
    ORDERED_LOCAL int32x4_t rows0 ORDERED_REGISTER("v0"), rows4 ORDERED_REGISTER("v1"), rows8 ORDERED_REGISTER("v2");              \
    ORDERED_LOCAL int32x4_t rows12 ORDERED_REGISTER("v3");                                                                         \
    ORDERED_LOCAL int8x16_t a0 ORDERED_REGISTER("v16"), a1 ORDERED_REGISTER("v17"), a2 ORDERED_REGISTER("v18");                    \
    ORDERED_LOCAL int8x16_t a3 ORDERED_REGISTER("v19"), b0 ORDERED_REGISTER("v20"), b1 ORDERED_REGISTER("v21");                    \
    ORDERED_LOCAL int8x16_t b2 ORDERED_REGISTER("v22"), b3 ORDERED_REGISTER("v23");                                                \
    ORDERED_LOCAL int8x16_t x_low ORDERED_REGISTER("v4"), x_high ORDERED_REGISTER("v5");                                           \
    float32x4_t halves0, halves8, scales0, scales4, scales8, scales12, x_scale

#define W(group, i) (w + GROUP_BYTES * (group) + 16 * (i))
#define NEXT_W(group) (w + PANEL_BYTES + GROUP_BYTES * (group))

#define NEXT(more, load)                                                                                                           \
    if (more) {                                                                                                                    \
        load;                                                                                                                      \
    }

#define DOT_ROWS(w0, w1, w2, w3, x, lane, load, later_load)                                                                        \
    ORDERED_DOT_LANE(rows0, w0, x, lane);                                                                                          \
    load;                                                                                                                          \
    ORDERED_DOT_LANE(rows4, w1, x, lane);                                                                                          \
    ORDERED_DOT_LANE(rows8, w2, x, lane);                                                                                          \
    later_load;                                                                                                                    \
    ORDERED_DOT_LANE(rows12, w3, x, lane);

/* The high nibbles go to h0 .. h3, the low ones stay. */
#define UNPACK(w0, w1, w2, w3)                                                                                                     \
    ORDERED_HIGH_NIBBLES(h0, w0);                                                                                                  \
    ORDERED_HIGH_NIBBLES(h1, w1);                                                                                                  \
    ORDERED_HIGH_NIBBLES(h2, w2);                                                                                                  \
    ORDERED_HIGH_NIBBLES(h3, w3);                                                                                                  \
    ORDERED_AND(w0, w0, mask);                                                                                                     \
    ORDERED_AND(w1, w1, mask);                                                                                                     \
    ORDERED_AND(w2, w2, mask);                                                                                                     \
    ORDERED_AND(w3, w3, mask);

#define START_Q4(corrections)                                                                                                      \
    ORDERED_REPEAT_LANE(rows0, corrections, 1);                                                                                    \
    ORDERED_REPEAT_LANE(rows4, corrections, 1);                                                                                    \
    ORDERED_REPEAT_LANE(rows8, corrections, 1);                                                                                    \
    ORDERED_REPEAT_LANE(rows12, corrections, 1)
#define START_Q8(corrections)                                                                                                      \
    ORDERED_SET_BYTES(rows0, 0);                                                                                                   \
    ORDERED_SET_BYTES(rows4, 0);                                                                                                   \
    ORDERED_SET_BYTES(rows8, 0);                                                                                                   \
    ORDERED_SET_BYTES(rows12, 0)

/* The first block's columns 0-3 and 4-7 of all rows, and its vector. */
#define LOAD_FIRST                                                                                                                 \
    ORDERED_LOAD_PAIR(a0, b0, W(0, 0));                                                                                            \
    ORDERED_LOAD_PAIR(a1, b1, W(1, 0));                                                                                            \
    ORDERED_LOAD_PAIR(a2, b2, W(2, 0));                                                                                            \
    ORDERED_LOAD_PAIR(a3, b3, W(3, 0));                                                                                            \
    ORDERED_LOAD_PAIR(x_low, x_high, x.bytes);                                                                                     \
    ORDERED_LOAD_REPEATED(x_scale, &x.scales->correction);

/* Scales the sums of the rows and adds them to the float sums; then the next block's may start.  x_scale is the block's scale, then
 * the next one's correction. */
#define FINISH_ROWS(more, START, load, later_load)                                                                                 \
    ORDERED_FROM_LOW_HALF(scales0, halves0);                                                                                       \
    ORDERED_FROM_HIGH_HALF(scales4, halves0);                                                                                      \
    ORDERED_FROM_LOW_HALF(scales8, halves8);                                                                                       \
    ORDERED_FROM_HIGH_HALF(scales12, halves8);                                                                                     \
    ORDERED_TO_FLOAT(rows0);                                                                                                       \
    ORDERED_TO_FLOAT(rows4);                                                                                                       \
    ORDERED_TO_FLOAT(rows8);                                                                                                       \
    ORDERED_TO_FLOAT(rows12);                                                                                                      \
    later_load;                                                                                                                    \
    ORDERED_MULTIPLY(rows0, scales0);                                                                                              \
    ORDERED_MULTIPLY(rows4, scales4);                                                                                              \
    ORDERED_MULTIPLY(rows8, scales8);                                                                                              \
    ORDERED_MULTIPLY(rows12, scales12);                                                                                            \
    load;                                                                                                                          \
    ORDERED_MULTIPLY_ADD_LANE(sums[0], rows0, x_scale, 0);                                                                         \
    ORDERED_MULTIPLY_ADD_LANE(sums[1], rows4, x_scale, 0);                                                                         \
    ORDERED_MULTIPLY_ADD_LANE(sums[2], rows8, x_scale, 0);                                                                         \
    ORDERED_MULTIPLY_ADD_LANE(sums[3], rows12, x_scale, 0);                                                                        \
    NEXT(more, START(x_scale))

/* The registers of what has been multiplied take the next loads. */
#define BLOCK_Q4(more)                                                                                                             \
    UNPACK(a0, a1, a2, a3)                                                                                                         \
    DOT_ROWS(a0, a1, a2, a3, x_low, 0, ORDERED_LOAD_PAIR(c0, c1, W(2, 2)), )                                                       \
    DOT_ROWS(h0, h1, h2, h3, x_high, 0, , ORDERED_LOAD_PAIR(a0, a1, W(0, 2)))                                                      \
    UNPACK(b0, b1, b2, b3)                                                                                                         \
    DOT_ROWS(b0, b1, b2, b3, x_low, 1, ORDERED_LOAD_PAIR(a2, a3, W(1, 2)), )                                                       \
    DOT_ROWS(h0, h1, h2, h3, x_high, 1, , ORDERED_LOAD_PAIR(b0, b1, W(3, 2)))                                                      \
    UNPACK(a0, a2, c0, b0)                                                                                                         \
    DOT_ROWS(a0, a2, c0, b0, x_low, 2, ORDERED_LOAD_PAIR(halves0, halves8, w - 2 * GEMLET_PANEL_ROWS), )                           \
    DOT_ROWS(h0, h1, h2, h3, x_high, 2, , NEXT(more, ORDERED_LOAD_PAIR(a0, b0, NEXT_W(0))))                                        \
    UNPACK(a1, a3, c1, b1)                                                                                                         \
    DOT_ROWS(a1, a3, c1, b1, x_low, 3, NEXT(more, ORDERED_LOAD_PAIR(a2, b2, NEXT_W(2))), )                                         \
    DOT_ROWS(h0, h1, h2, h3, x_high, 3, ORDERED_LOAD_HALF(x_scale, &x.scales->scale),                                              \
             NEXT(more, ORDERED_LOAD_PAIR(a1, b1, NEXT_W(1))))                                                                     \
    FINISH_ROWS(more, START_Q4, NEXT(more, ORDERED_LOAD_PAIR(a3, b3, NEXT_W(3))),                                                  \
                NEXT(more, ORDERED_LOAD_PAIR(x_low, x_high, x.bytes + GEMLET_BLOCK)))

GEMLET_INLINE void sum_panel_q4(const unsigned char *panel, size_t blocks, one_vector x, float32x4_t sums[4]) {
    enum { GROUP_BYTES = 64, PANEL_BYTES = 18 * GEMLET_PANEL_ROWS };
    DECLARE_REGISTERS;
    int8x16_t h0, h1, h2, h3, c0, c1;
    const int8x16_t mask = vdupq_n_s8(15);
    const unsigned char *w = panel + 2 * GEMLET_PANEL_ROWS;
    LOAD_FIRST
    START_Q4(x_scale);
    for (const one_scale *last = x.scales + blocks - 1; x.scales != last; x.scales++) {
        BLOCK_Q4(true)
        GEMLET_HIDE(w); /* or there would be two pointers */
        w += PANEL_BYTES;
        x.bytes += GEMLET_BLOCK;
    }
    BLOCK_Q4(false)
}

#define BLOCK_Q8(more)                                                                                                             \
    DOT_ROWS(a0, a1, a2, a3, x_low, 0, ORDERED_LOAD_PAIR(c0, d0, W(0, 2)), ORDERED_LOAD_PAIR(c1, d1, W(1, 2)))                     \
    DOT_ROWS(b0, b1, b2, b3, x_low, 1, ORDERED_LOAD_PAIR(c2, d2, W(2, 2)), ORDERED_LOAD_PAIR(c3, d3, W(3, 2)))                     \
    DOT_ROWS(c0, c1, c2, c3, x_low, 2, ORDERED_LOAD_PAIR(a0, b0, W(0, 4)), ORDERED_LOAD_PAIR(a1, b1, W(1, 4)))                     \
    DOT_ROWS(d0, d1, d2, d3, x_low, 3, ORDERED_LOAD_PAIR(a2, b2, W(2, 4)), ORDERED_LOAD_PAIR(a3, b3, W(3, 4)))                     \
    DOT_ROWS(a0, a1, a2, a3, x_high, 0, ORDERED_LOAD_PAIR(c0, d0, W(0, 6)), ORDERED_LOAD_PAIR(c1, d1, W(1, 6)))                    \
    DOT_ROWS(b0, b1, b2, b3, x_high, 1, ORDERED_LOAD_PAIR(c2, d2, W(2, 6)), ORDERED_LOAD_PAIR(c3, d3, W(3, 6)))                    \
    DOT_ROWS(c0, c1, c2, c3, x_high, 2, NEXT(more, ORDERED_LOAD_PAIR(a0, b0, NEXT_W(0))),                                          \
             NEXT(more, ORDERED_LOAD_PAIR(a1, b1, NEXT_W(1))))                                                                     \
    DOT_ROWS(d0, d1, d2, d3, x_high, 3, ORDERED_LOAD_PAIR(halves0, halves8, w - 2 * GEMLET_PANEL_ROWS),                            \
             ORDERED_LOAD_HALF(x_scale, &x.scales->scale))                                                                         \
    NEXT(more, ORDERED_LOAD_PAIR(a2, b2, NEXT_W(2)))                                                                               \
    FINISH_ROWS(more, START_Q8, NEXT(more, ORDERED_LOAD_PAIR(a3, b3, NEXT_W(3))),                                                  \
                NEXT(more, ORDERED_LOAD_PAIR(x_low, x_high, x.bytes + GEMLET_BLOCK)))

GEMLET_INLINE void sum_panel_q8(const unsigned char *panel, size_t blocks, one_vector x, float32x4_t sums[4]) {
    enum { GROUP_BYTES = 128, PANEL_BYTES = 34 * GEMLET_PANEL_ROWS };
    DECLARE_REGISTERS;
    int8x16_t c0, c1, c2, c3, d0, d1, d2, d3;
    const unsigned char *w = panel + 2 * GEMLET_PANEL_ROWS;
    LOAD_FIRST
    START_Q8(x_scale);
    for (const one_scale *last = x.scales + blocks - 1; x.scales != last; x.scales++) {
        BLOCK_Q8(true)
        GEMLET_HIDE(w); /* or there would be two pointers */
        w += PANEL_BYTES;
        x.bytes += GEMLET_BLOCK;
    }
    BLOCK_Q8(false)
}

/* At least one block. */
GEMLET_INLINE void sum_panel(gemlet_weight_type type, const unsigned char *panel, size_t blocks, one_vector x,
                             float32x4_t sums[4]) {
    if (type == GEMLET_Q4_0) {
        sum_panel_q4(panel, blocks, x, sums);
    } else {
        sum_panel_q8(panel, blocks, x, sums);
    }
}

#endif
