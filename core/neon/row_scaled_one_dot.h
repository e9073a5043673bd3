/* row_scaled.c at dotprod and i8mm: one vector times a panel of 16 rows.
 *
 * A step multiplies 4 columns of each part of the bytes by 16 rows: dot products of 4 rows each that don't wait for each other. The
 * next step's weights are loaded meanwhile, all at once: loads and what unpacks them are quick, and stand together. */
#ifndef GEMLET_CORE_NEON_ROW_SCALED_ONE_DOT_H
#define GEMLET_CORE_NEON_ROW_SCALED_ONE_DOT_H

#include "core/neon/row_scaled_parts.h"

enum { GROUPS = GEMLET_PANEL_ROWS / GROUP_ROWS };

/* Where step `step` of 4 columns has its 4 rows of group `group`. */
#define STEP_WEIGHTS(w, step, group) ((w) + BLOCK_BYTES * ((step) / 4) + GROUP_BYTES * (group) + 16 * ((step) % 4))

#define LOAD_STEP(w, step)                                                                                                         \
    ORDERED_LOAD(b[0], STEP_WEIGHTS(w, step, 0));                                                                                  \
    ORDERED_LOAD(b[1], STEP_WEIGHTS(w, step, 1));                                                                                  \
    ORDERED_LOAD(b[2], STEP_WEIGHTS(w, step, 2));                                                                                  \
    ORDERED_LOAD(b[3], STEP_WEIGHTS(w, step, 3))

/* ---- 4 bits ---- */

#define W4_STEP(lane, next)                                                                                                        \
    ORDERED_HIGH_NIBBLES(high[0], b[0]);                                                                                           \
    ORDERED_HIGH_NIBBLES(high[1], b[1]);                                                                                           \
    ORDERED_HIGH_NIBBLES(high[2], b[2]);                                                                                           \
    ORDERED_HIGH_NIBBLES(high[3], b[3]);                                                                                           \
    ORDERED_AND(low[0], b[0], mask);                                                                                               \
    ORDERED_AND(low[1], b[1], mask);                                                                                               \
    ORDERED_AND(low[2], b[2], mask);                                                                                               \
    ORDERED_AND(low[3], b[3], mask);                                                                                               \
    next;                                                                                                                          \
    W4_DOTS(0, lane)                                                                                                               \
    W4_DOTS(1, lane)                                                                                                               \
    W4_DOTS(2, lane)                                                                                                               \
    W4_DOTS(3, lane)
#define W4_DOTS(group, lane)                                                                                                       \
    ORDERED_DOT_LANE(lows[group], low[group], x_low, lane);                                                                        \
    ORDERED_DOT_LANE(highs[group], high[group], x_high, lane);

/* 64 columns a turn. */
GEMLET_INLINE void w4_rows(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t sums[GROUPS]) {
    int32x4_t lows[GROUPS] = {sums[0], sums[1], sums[2], sums[3]}, highs[GROUPS];
    int8x16_t b[GROUPS], low[GROUPS], high[GROUPS], x_low, x_high, mask;
    ORDERED_SET_BYTES(mask, 15);
    ORDERED_SET_BYTES(highs[0], 0);
    ORDERED_SET_BYTES(highs[1], 0);
    ORDERED_SET_BYTES(highs[2], 0);
    ORDERED_SET_BYTES(highs[3], 0);
    LOAD_STEP(w, 0);
    for (const int8_t *end = x + columns; x != end; x += 64, w += 2 * BLOCK_BYTES) {
        ORDERED_LOAD_PAIR(x_low, x_high, x);
        W4_STEP(0, LOAD_STEP(w, 1))
        W4_STEP(1, LOAD_STEP(w, 2))
        W4_STEP(2, LOAD_STEP(w, 3))
        W4_STEP(3, LOAD_STEP(w, 4))
        ORDERED_LOAD_PAIR(x_low, x_high, x + 32);
        W4_STEP(0, LOAD_STEP(w, 5))
        W4_STEP(1, LOAD_STEP(w, 6))
        W4_STEP(2, LOAD_STEP(w, 7))
        W4_STEP(3, LOAD_STEP(w, 8))
    }
#pragma GCC unroll 4
    for (size_t g = 0; g < GROUPS; g++) {
        sums[g] = vaddq_s32(lows[g], highs[g]);
    }
}

/* ---- 2 bits: the parts in the middle are multiplied where they stand, 4 and 16 times too large, and have sums of their own ----
 */

#define W2_GROUP(group)                                                                                                            \
    ORDERED_AND(part0[(group) % 2], b[group], mask0);                                                                              \
    ORDERED_AND(part1[(group) % 2], b[group], mask1);                                                                              \
    ORDERED_AND(part2[(group) % 2], b[group], mask2);                                                                              \
    ORDERED_SHIFT_SIGNED(b[group], b[group], 6);

#define W2_DOTS(group, lane)                                                                                                       \
    ORDERED_DOT_LANE(ones[group], part0[(group) % 2], x0, lane);                                                                   \
    ORDERED_DOT_LANE(fours[group], part1[(group) % 2], x1, lane);                                                                  \
    ORDERED_DOT_LANE(sixteens[group], part2[(group) % 2], x2, lane);

/* Two groups at a time: more find no registers. */
#define W2_GROUPS(first, second, lane, w, step)                                                                                    \
    W2_GROUP(first)                                                                                                                \
    W2_GROUP(second)                                                                                                               \
    W2_DOTS(first, lane)                                                                                                           \
    W2_DOTS(second, lane)                                                                                                          \
    ORDERED_DOT_LANE(ones[first], b[first], x3, lane);                                                                             \
    ORDERED_DOT_LANE(ones[second], b[second], x3, lane);                                                                           \
    ORDERED_LOAD(b[first], STEP_WEIGHTS(w, step, first));                                                                          \
    ORDERED_LOAD(b[second], STEP_WEIGHTS(w, step, second));

#define W2_STEP(lane, w, step)                                                                                                     \
    W2_GROUPS(0, 1, lane, w, step)                                                                                                 \
    W2_GROUPS(2, 3, lane, w, step)

/* 64 columns a turn. */
GEMLET_INLINE void w2_rows(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t sums[GROUPS]) {
    int32x4_t ones[GROUPS] = {sums[0], sums[1], sums[2], sums[3]}, fours[GROUPS], sixteens[GROUPS];
    int8x16_t b[GROUPS], part0[2], part1[2], part2[2], x0, x1, x2, x3, mask0, mask1, mask2;
    ORDERED_SET_BYTES(mask0, 3);
    ORDERED_SET_BYTES(mask1, 12);
    ORDERED_SET_BYTES(mask2, 48);
#pragma GCC unroll 4
    for (size_t g = 0; g < GROUPS; g++) {
        ORDERED_SET_BYTES(fours[g], 0);
        ORDERED_SET_BYTES(sixteens[g], 0);
    }
    LOAD_STEP(w, 0);
    for (const int8_t *end = x + columns; x != end; x += 64, w += BLOCK_BYTES) {
        ORDERED_LOAD_PAIR(x0, x1, x);
        ORDERED_LOAD_PAIR(x2, x3, x + 32);
        W2_STEP(0, w, 1)
        W2_STEP(1, w, 2)
        W2_STEP(2, w, 3)
        W2_STEP(3, w, 4)
    }
#pragma GCC unroll 4
    for (size_t g = 0; g < GROUPS; g++) { /* each sum is a multiple of what it is divided by */
        sums[g] = vaddq_s32(ones[g], vaddq_s32(vshrq_n_s32(fours[g], 2), vshrq_n_s32(sixteens[g], 4)));
    }
}

/* ---- 8 bits ---- */

/* 4 columns twice of all groups, from `at` on. */
#define W8_STEPS(at, first, second)                                                                                                \
    ORDERED_LOAD_PAIR(b[0], b[1], at);                                                                                             \
    ORDERED_LOAD_PAIR(b[2], b[3], (at) + GROUP_BYTES);                                                                             \
    ORDERED_LOAD_PAIR(b[4], b[5], (at) + 2 * GROUP_BYTES);                                                                         \
    ORDERED_LOAD_PAIR(b[6], b[7], (at) + 3 * GROUP_BYTES);                                                                         \
    ORDERED_DOT_LANE(rows[0], b[0], x0, first);                                                                                    \
    ORDERED_DOT_LANE(rows[1], b[2], x0, first);                                                                                    \
    ORDERED_DOT_LANE(rows[2], b[4], x0, first);                                                                                    \
    ORDERED_DOT_LANE(rows[3], b[6], x0, first);                                                                                    \
    ORDERED_DOT_LANE(rows[0], b[1], x0, second);                                                                                   \
    ORDERED_DOT_LANE(rows[1], b[3], x0, second);                                                                                   \
    ORDERED_DOT_LANE(rows[2], b[5], x0, second);                                                                                   \
    ORDERED_DOT_LANE(rows[3], b[7], x0, second);

/* 16 columns a turn. */
GEMLET_INLINE void w8_rows(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t sums[GROUPS]) {
    int32x4_t rows[GROUPS] = {sums[0], sums[1], sums[2], sums[3]};
    int8x16_t b[2 * GROUPS], x0;
    for (const int8_t *end = x + columns; x != end; x += CHUNK, w += BLOCK_BYTES) {
        ORDERED_LOAD(x0, x);
        W8_STEPS(w, 0, 1)
        W8_STEPS(w + 32, 2, 3)
    }
#pragma GCC unroll 4
    for (size_t g = 0; g < GROUPS; g++) {
        sums[g] = rows[g];
    }
}

GEMLET_INLINE void panel_times_one(gemlet_weight_type type, const row_panel *p, const unsigned char *x) {
    const one_header *header = (const one_header *)(const void *)x;
    const int8_t *codes = (const int8_t *)(header + 1);
    int32x4_t start = vdupq_n_s32(header->correction), sums[GROUPS] = {start, start, start, start};
    if (type == GEMLET_W2) {
        w2_rows(weights_of(p), p->columns, codes, sums);
    } else if (type == GEMLET_W4) {
        w4_rows(weights_of(p), p->columns, codes, sums);
    } else {
        w8_rows(weights_of(p), p->columns, codes, sums);
    }
    if (p->output_scale > 0.0f && p->rows >= GEMLET_PANEL_ROWS) { /* as store_tile, from where the sums are */
#pragma GCC unroll 4
        for (size_t g = 0; g < GROUPS; g++) {
            float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(sums[g]), vld1q_f32(factors_of(p) + GROUP_ROWS * g));
            vst1q_f32(p->y + GROUP_ROWS * g, vmulq_n_f32(rounded(scaled), p->output_scale));
        }
        return;
    }
    const int32x4_t tile[GROUPS] = {sums[0], sums[1], sums[2], sums[3]};
    store_tile(p, &(sums_tile){tile, 1, GROUPS, 0, (const unsigned char *)&header->scale, 0});
}

#endif
