/* matrix.c at dotprod: tiles of 4 and 16 vectors, as quads.
 *
 * A quad's record of a block has 4 scales, 4 corrections, then for each 4 columns 16 bytes: those of vector 0, 1, 2, 3.  So a load
 * of bytes serves four dot products that don't wait for each other, one for each row, and then is done with; and the corrections
 * are what a row's sums start with, as they lie. */
#ifndef GEMLET_CORE_NEON_MATRIX_DOTPROD_H
#define GEMLET_CORE_NEON_MATRIX_DOTPROD_H

#include <stdbool.h>

#include "core/neon/matrix_parts.h"
#include "core/neon/ordered.h"

enum {
    LARGE_TILE = GEMLET_TILE,
    QUAD = 4,
    QUAD_CORRECTIONS = 16,
    QUAD_BYTES = 32,
    QUAD_RECORD = QUAD_BYTES + QUAD * GEMLET_BLOCK,
    VECTOR_RECORD = QUAD_RECORD / QUAD
};

GEMLET_INLINE void store_quad(const quantized_block block[QUAD], unsigned char *quad) {
    int32_t *columns = (int32_t *)(void *)(quad + QUAD_BYTES);
    int32x4x4_t low, high;
    for (size_t v = 0; v < QUAD; v++) {
        ((float *)(void *)quad)[v] = block[v].scale;
        ((int32_t *)(void *)(quad + QUAD_CORRECTIONS))[v] = block[v].correction;
        low.val[v] = vreinterpretq_s32_s8(block[v].low);
        high.val[v] = vreinterpretq_s32_s8(block[v].high);
    }
    vst4q_s32(columns, low);
    vst4q_s32(columns + 16, high);
}

/* 4 rows: low[i] and high[i] hold columns 4 i .. of the block's first and second half, 4 bytes a row. */
typedef struct micro_panel {
    int8x16_t low[4], high[4];
} micro_panel;

GEMLET_INLINE void load_packed(gemlet_weight_type type, const unsigned char *w, micro_panel *m) {
    ORDERED_LOAD(m->low[0], w);
    ORDERED_LOAD(m->low[1], w + 16);
    ORDERED_LOAD(m->low[2], w + 32);
    ORDERED_LOAD(m->low[3], w + 48);
    if (type == GEMLET_Q8_0) {
        ORDERED_LOAD(m->high[0], w + 64);
        ORDERED_LOAD(m->high[1], w + 80);
        ORDERED_LOAD(m->high[2], w + 96);
        ORDERED_LOAD(m->high[3], w + 112);
    }
}

GEMLET_INLINE void unpack(gemlet_weight_type type, micro_panel *m) {
    if (type == GEMLET_Q4_0) {
        int8x16_t mask;
        ORDERED_SET_BYTES(mask, 15);
        ORDERED_HIGH_NIBBLES(m->high[0], m->low[0]);
        ORDERED_HIGH_NIBBLES(m->high[1], m->low[1]);
        ORDERED_HIGH_NIBBLES(m->high[2], m->low[2]);
        ORDERED_HIGH_NIBBLES(m->high[3], m->low[3]);
        ORDERED_AND(m->low[0], m->low[0], mask);
        ORDERED_AND(m->low[1], m->low[1], mask);
        ORDERED_AND(m->low[2], m->low[2], mask);
        ORDERED_AND(m->low[3], m->low[3], mask);
    }
}

/* 4 columns of a quad in x, of 4 rows in w: each sum waits for its last product only every fourth instruction. */
#define ADD_COLUMNS(x, w)                                                                                                          \
    ORDERED_DOT_LANE(row0, x, w, 0);                                                                                               \
    ORDERED_DOT_LANE(row1, x, w, 1);                                                                                               \
    ORDERED_DOT_LANE(row2, x, w, 2);                                                                                               \
    ORDERED_DOT_LANE(row3, x, w, 3)

/* The same, with a load between. */
#define ADD_COLUMNS_AND_LOAD(x, w, to, from)                                                                                       \
    ORDERED_DOT_LANE(row0, x, w, 0);                                                                                               \
    ORDERED_LOAD(to, from);                                                                                                        \
    ORDERED_DOT_LANE(row1, x, w, 1);                                                                                               \
    ORDERED_DOT_LANE(row2, x, w, 2);                                                                                               \
    ORDERED_DOT_LANE(row3, x, w, 3)

/* A row's sums start with the corrections, or zeros.  Those are loaded, too: to set or copy a register takes a pipe that
 * multiplies. */
#define LOAD_START(row) ORDERED_LOAD(row, type == GEMLET_Q4_0 ? (const void *)(record + QUAD_CORRECTIONS) : (const void *)zeros)

/* Rounds a row's sum into its float sum; then the next quad's may start. */
#define FINISH_ROW(row, sum)                                                                                                       \
    ORDERED_MULTIPLY_ADD(sum, row, x_scales);                                                                                      \
    if (more) {                                                                                                                    \
        LOAD_START(row);                                                                                                           \
    }

/* sums[4 q + r]: row r of quad q. */
GEMLET_INLINE void accumulate_block(gemlet_weight_type type, size_t tile, const unsigned char *w, const unsigned char *w_scales,
                                    const unsigned char *record, float32x4_t *sums) {
    static const int32_t zeros[4] = {0};
    /* 16 float sums, 8 vectors of weights and the rows' scales leave just these. */
    ORDERED_LOCAL int32x4_t row0 ORDERED_REGISTER("v0"), row1 ORDERED_REGISTER("v1");
    ORDERED_LOCAL int32x4_t row2 ORDERED_REGISTER("v2"), row3 ORDERED_REGISTER("v3");
    ORDERED_LOCAL int8x16_t x0 ORDERED_REGISTER("v4"), x1 ORDERED_REGISTER("v5"), x2 ORDERED_REGISTER("v6");
    float32x4_t scales, x_scales;
    micro_panel m;
    load_packed(type, w, &m);
    ORDERED_LOAD_HALF(scales, w_scales);
    ORDERED_LOAD(x0, record + QUAD_BYTES);
    ORDERED_LOAD(x1, record + QUAD_BYTES + 16);
    unpack(type, &m);
    ORDERED_FROM_HALF(scales);
    LOAD_START(row0);
    LOAD_START(row1);
    LOAD_START(row2);
    LOAD_START(row3);
#pragma GCC unroll 4
    for (size_t q = 0; q < tile / QUAD; q++) {
        const unsigned char *bytes = record + QUAD_BYTES;
        const bool more = q + 1 < tile / QUAD;
        ADD_COLUMNS_AND_LOAD(x0, m.low[0], x2, bytes + 32);
        ADD_COLUMNS(x1, m.low[1]);
        ORDERED_LOAD_PAIR(x0, x1, bytes + 48);
        ADD_COLUMNS(x2, m.low[2]);
        ADD_COLUMNS_AND_LOAD(x0, m.low[3], x2, bytes + 80);
        ADD_COLUMNS(x1, m.high[0]);
        ORDERED_LOAD_PAIR(x0, x1, bytes + 96);
        ADD_COLUMNS(x2, m.high[1]);
        ADD_COLUMNS_AND_LOAD(x0, m.high[2], x_scales, record);
        ADD_COLUMNS(x1, m.high[3]);
        record += QUAD_RECORD;
        if (more) {
            ORDERED_LOAD(x0, record + QUAD_BYTES);
            ORDERED_LOAD(x1, record + QUAD_BYTES + 16);
        }
        ORDERED_TO_FLOAT(row0);
        ORDERED_TO_FLOAT(row1);
        ORDERED_TO_FLOAT(row2);
        ORDERED_TO_FLOAT(row3);
        ORDERED_MULTIPLY_LANE(row0, scales, 0);
        ORDERED_MULTIPLY_LANE(row1, scales, 1);
        ORDERED_MULTIPLY_LANE(row2, scales, 2);
        ORDERED_MULTIPLY_LANE(row3, scales, 3);
        FINISH_ROW(row0, sums[4 * q])
        FINISH_ROW(row1, sums[4 * q + 1])
        FINISH_ROW(row2, sums[4 * q + 2])
        FINISH_ROW(row3, sums[4 * q + 3])
    }
}

/* Rows of 4 vectors become vectors of 4 rows. */
GEMLET_INLINE void store_tile(size_t tile, const float32x4_t *sums, size_t rows, float *y, size_t y_stride) {
    for (size_t v = 0; v < tile; v += QUAD, y += QUAD * y_stride) {
        float32x4_t low01 = vzip1q_f32(sums[v], sums[v + 1]), high01 = vzip2q_f32(sums[v], sums[v + 1]);
        float32x4_t low23 = vzip1q_f32(sums[v + 2], sums[v + 3]), high23 = vzip2q_f32(sums[v + 2], sums[v + 3]);
        store_any(y, vcombine_f32(vget_low_f32(low01), vget_low_f32(low23)), rows);
        store_any(y + y_stride, vcombine_f32(vget_high_f32(low01), vget_high_f32(low23)), rows);
        store_any(y + 2 * y_stride, vcombine_f32(vget_low_f32(high01), vget_low_f32(high23)), rows);
        store_any(y + 3 * y_stride, vcombine_f32(vget_high_f32(high01), vget_high_f32(high23)), rows);
    }
}

#endif
