/* row_scaled.c at neon: 4 rows of a panel times two vectors, and 8 rows times one; of 8 bits, 8 rows times four.
 *
 * LD4 makes 16 columns of a row each of 64 bytes.  Products of 64 columns fit sums of 16 bits: of those a lane takes eight, of at
 * most 15 * 128 (4 bits) or 3 * 128; of weights of 8 bits, which are not -128, two (bytes_neon.h).  A multiplication is answered
 * after six cycles on Cortex-A53: so eight sums go in turn, or four with unpacking between.  A quad's 64 bytes of 16 columns are
 * those of each vector. */
#ifndef GEMLET_CORE_NEON_ROW_SCALED_NEON_H
#define GEMLET_CORE_NEON_ROW_SCALED_NEON_H

#include "core/neon/bytes_neon.h"
#include "core/neon/row_scaled_parts.h"

GEMLET_INLINE void store_quad(const int8x16_t codes[QUAD], unsigned char *chunk) {
    for (size_t v = 0; v < QUAD; v++) {
        vst1q_s8((int8_t *)chunk + CHUNK * v, codes[v]);
    }
}

/* The sums of the codes of a quad's vectors, each in four parts. */
typedef struct quad_sums {
    int32x4_t vector[QUAD];
} quad_sums;

GEMLET_INLINE quad_sums add_chunk(quad_sums sums, const unsigned char *chunk) {
    for (size_t v = 0; v < QUAD; v++) {
        sums.vector[v] = vpadalq_s16(sums.vector[v], vpaddlq_s8(vld1q_s8((const int8_t *)chunk + CHUNK * v)));
    }
    return sums;
}

/* Adds up each of four sums. */
GEMLET_INLINE int32x4_t add_lanes(const int32x4_t *sums) {
    return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
}

GEMLET_INLINE int32x4_t finish_sums(quad_sums sums) {
    return add_lanes(sums.vector);
}

/* b0 .. b3 hold bytes of 4 rows, u what is unpacked of them. */
#define DECLARE_ROWS                                                                                                               \
    ORDERED_LOCAL int8x16_t b0 ORDERED_REGISTER("v20"), b1 ORDERED_REGISTER("v21");                                                \
    ORDERED_LOCAL int8x16_t b2 ORDERED_REGISTER("v22"), b3 ORDERED_REGISTER("v23")
#define LOAD_ROWS(from) ORDERED_LOAD_ROWS(b0, b1, b2, b3, from, "v20", "v21", "v22", "v23")

#define EACH_ROW(INSTRUCTION, s, u, x)                                                                                             \
    INSTRUCTION((s)[0], (u)[0], x);                                                                                                \
    INSTRUCTION((s)[1], (u)[1], x);                                                                                                \
    INSTRUCTION((s)[2], (u)[2], x);                                                                                                \
    INSTRUCTION((s)[3], (u)[3], x)
#define EACH_SUM(INSTRUCTION, to, from)                                                                                            \
    INSTRUCTION((to)[0], (from)[0]);                                                                                               \
    INSTRUCTION((to)[1], (from)[1]);                                                                                               \
    INSTRUCTION((to)[2], (from)[2]);                                                                                               \
    INSTRUCTION((to)[3], (from)[3])
#define MASK_ROWS(u)                                                                                                               \
    ORDERED_AND((u)[0], b0, mask);                                                                                                 \
    ORDERED_AND((u)[1], b1, mask);                                                                                                 \
    ORDERED_AND((u)[2], b2, mask);                                                                                                 \
    ORDERED_AND((u)[3], b3, mask)
#define SHIFT_ROWS(SHIFT, u, bits)                                                                                                 \
    SHIFT((u)[0], b0, bits);                                                                                                       \
    SHIFT((u)[1], b1, bits);                                                                                                       \
    SHIFT((u)[2], b2, bits);                                                                                                       \
    SHIFT((u)[3], b3, bits)
#define MASK_AGAIN(u)                                                                                                              \
    ORDERED_AND((u)[0], (u)[0], mask);                                                                                             \
    ORDERED_AND((u)[1], (u)[1], mask);                                                                                             \
    ORDERED_AND((u)[2], (u)[2], mask);                                                                                             \
    ORDERED_AND((u)[3], (u)[3], mask)

/* ---- two vectors ---- */

/* A part of 16 columns: LOW begins the sums or goes on with them. */
#define LAST_OF_TWO(LOW)                                                                                                           \
    EACH_ROW(LOW, s0, u, x0);                                                                                                      \
    EACH_ROW(LOW, s1, u, x1);                                                                                                      \
    EACH_ROW(ORDERED_ACCUMULATE_HIGH, s0, u, x0);                                                                                  \
    EACH_ROW(ORDERED_ACCUMULATE_HIGH, s1, u, x1);

/* The same, and the vectors of the next part are loaded. */
#define PART_OF_TWO(LOW, next)                                                                                                     \
    EACH_ROW(LOW, s0, u, x0);                                                                                                      \
    EACH_ROW(LOW, s1, u, x1);                                                                                                      \
    EACH_ROW(ORDERED_ACCUMULATE_HIGH, s0, u, x0);                                                                                  \
    ORDERED_LOAD(x0, next);                                                                                                        \
    EACH_ROW(ORDERED_ACCUMULATE_HIGH, s1, u, x1);                                                                                  \
    ORDERED_LOAD(x1, (next) + CHUNK);

#define DECLARE_TWO                                                                                                                \
    DECLARE_ROWS;                                                                                                                  \
    int16x8_t s0[GROUP_ROWS], s1[GROUP_ROWS];                                                                                      \
    int8x16_t u[GROUP_ROWS], x0, x1;                                                                                               \
    LOAD_ROWS(w)

#define LOAD_TWO(from)                                                                                                             \
    ORDERED_LOAD(x0, from);                                                                                                        \
    ORDERED_LOAD(x1, (from) + CHUNK)

/* sums[0 .. 3]: rows of the first vector, [4 .. 7]: of the second. */
GEMLET_INLINE void w4_two(const unsigned char *w, size_t columns, const unsigned char *x, int32x4_t *sums) {
    DECLARE_TWO;
    int8x16_t mask;
    const unsigned char *odd = w + BLOCK_BYTES; /* LD4 takes no offset, and an addition before it would be waited for */
    ORDERED_SET_BYTES(mask, 15);
    for (size_t turns = columns / 64; turns != 0; turns--) {
        GEMLET_HIDE(odd);
        LOAD_TWO(x);
        w += 2 * BLOCK_BYTES;
        GEMLET_HIDE(w);
        MASK_ROWS(u);
        PART_OF_TWO(ORDERED_MULTIPLY_LOW, x + QUAD_CHUNK_BYTES)
        SHIFT_ROWS(ORDERED_SHIFT_SIGNED, u, 4);
        LOAD_ROWS(odd);
        odd += 2 * BLOCK_BYTES;
        PART_OF_TWO(ORDERED_ACCUMULATE_LOW, x + 2 * QUAD_CHUNK_BYTES)
        MASK_ROWS(u);
        PART_OF_TWO(ORDERED_ACCUMULATE_LOW, x + 3 * QUAD_CHUNK_BYTES)
        SHIFT_ROWS(ORDERED_SHIFT_SIGNED, u, 4);
        LOAD_ROWS(w);
        LAST_OF_TWO(ORDERED_ACCUMULATE_LOW)
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums, s0);
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums + GROUP_ROWS, s1);
        x += 4 * QUAD_CHUNK_BYTES;
    }
}

GEMLET_INLINE void w2_two(const unsigned char *w, size_t columns, const unsigned char *x, int32x4_t *sums) {
    DECLARE_TWO;
    int8x16_t mask;
    ORDERED_SET_BYTES(mask, 3);
    for (size_t turns = columns / 64; turns != 0; turns--) {
        LOAD_TWO(x);
        MASK_ROWS(u);
        PART_OF_TWO(ORDERED_MULTIPLY_LOW, x + QUAD_CHUNK_BYTES)
        SHIFT_ROWS(ORDERED_SHIFT, u, 2);
        MASK_AGAIN(u);
        PART_OF_TWO(ORDERED_ACCUMULATE_LOW, x + 2 * QUAD_CHUNK_BYTES)
        SHIFT_ROWS(ORDERED_SHIFT, u, 4);
        MASK_AGAIN(u);
        PART_OF_TWO(ORDERED_ACCUMULATE_LOW, x + 3 * QUAD_CHUNK_BYTES)
        SHIFT_ROWS(ORDERED_SHIFT_SIGNED, u, 6);
        LOAD_ROWS(w + BLOCK_BYTES);
        LAST_OF_TWO(ORDERED_ACCUMULATE_LOW)
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums, s0);
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums + GROUP_ROWS, s1);
        w += BLOCK_BYTES;
        x += 4 * QUAD_CHUNK_BYTES;
    }
}

/* `group` of a panel times vectors 2 * pair and the next of a quad: what they have of 4 rows to first and second. */
GEMLET_INLINE void group_times_pair(gemlet_weight_type type, const row_panel *p, size_t group, const unsigned char *quad,
                                    size_t pair, int32x4_t *first, int32x4_t *second) {
    int32x4_t sums[2 * GROUP_ROWS];
    const unsigned char *w = weights_of(p) + group * GROUP_BYTES, *x = quad + QUAD_HEADER + 2 * CHUNK * pair;
    const int32_t *corrections = (const int32_t *)(const void *)quad + 2 * pair;
#pragma GCC unroll 8
    for (size_t i = 0; i < 2 * GROUP_ROWS; i++) {
        sums[i] = vdupq_n_s32(0);
    }
    if (type == GEMLET_W2) {
        w2_two(w, p->columns, x, sums);
    } else {
        w4_two(w, p->columns, x, sums);
    }
    *first = vaddq_s32(add_lanes(sums), vdupq_n_s32(corrections[0]));
    *second = vaddq_s32(add_lanes(sums + GROUP_ROWS), vdupq_n_s32(corrections[1]));
}

/* ---- four vectors, 8 bits ---- */

/* 16 columns of 8 rows. */
GEMLET_INLINE void w8_chunk(const int8_t *w, const int8_t **x, int32x4_t sum[QUAD][GROUP_ROWS]) {
    int8x16x4_t upper = vld1q_s8_x4(w), lower = vld1q_s8_x4(w + GROUP_BYTES);
    int32x4x4_t vector = load_repeated(x);
    ADD_AND_LOAD(sum[0], upper, lower, HALVES_OF_ROWS, vector, *x);
    ADD_AND_LOAD(sum[1], upper, lower, HALVES_OF_ROWS, vector, *x);
    ADD_AND_LOAD(sum[2], upper, lower, HALVES_OF_ROWS, vector, *x);
    ADD_LAST(sum[3], upper, lower, HALVES_OF_ROWS, vector, *x);
}

/* A panel's rows from `group` on, 8, times a quad: tile[vector][group]. */
GEMLET_INLINE void half_panel_times_quad(const row_panel *p, size_t groups, size_t group, const unsigned char *quad,
                                         int32x4_t *tile) {
    const int8_t *x = (const int8_t *)(quad + QUAD_HEADER);
    const int8_t *w = (const int8_t *)(weights_of(p) + group * GROUP_BYTES);
    int32x4_t sum[QUAD][GROUP_ROWS] = {{vdupq_n_s32(0)}};
    for (size_t chunks = p->columns / CHUNK; chunks != 0; chunks--, w += BLOCK_BYTES) {
        w8_chunk(w, &x, sum);
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < QUAD; v++) {
        tile[v * groups + group] = vpaddq_s32(sum[v][0], sum[v][1]);
        tile[v * groups + group + 1] = vpaddq_s32(sum[v][2], sum[v][3]);
    }
}

GEMLET_INLINE void w8_panel_times_quads(size_t quads, const row_panel *p, const unsigned char *x) {
    size_t groups = rows_of(p) > 2 * (size_t)GROUP_ROWS ? 4 : 2;
    for (size_t q = 0; q < quads; q++) {
        int32x4_t tile[QUAD * GEMLET_PANEL_ROWS / GROUP_ROWS];
        const unsigned char *quad = quad_at(p, x, q);
        for (size_t g = 0; g < groups; g += 2) {
            half_panel_times_quad(p, groups, g, quad, tile);
        }
        row_panel quad_panel = *p;
        quad_panel.y += QUAD * q * p->y_stride;
        store_tile(&quad_panel, &(sums_tile){tile, QUAD, groups, 0, quad + QUAD_SCALES, 0});
    }
}

GEMLET_INLINE void panel_times_quads(gemlet_weight_type type, size_t quads, const row_panel *p, const unsigned char *x) {
    if (type == GEMLET_W8) {
        w8_panel_times_quads(quads, p, x);
        return;
    }
    size_t groups = rows_of(p) > 2 * (size_t)GROUP_ROWS ? 4 : 2;
    for (size_t pair = 0; pair < 2 * quads; pair++) {
        int32x4_t tile[2 * GEMLET_PANEL_ROWS / GROUP_ROWS];
        const unsigned char *quad = quad_at(p, x, pair / 2);
        for (size_t g = 0; g < groups; g++) {
            group_times_pair(type, p, g, quad, pair % 2, &tile[g], &tile[groups + g]);
        }
        row_panel pair_panel = *p;
        pair_panel.y += 2 * pair * p->y_stride;
        store_tile(&pair_panel, &(sums_tile){tile, 2, groups, 0, quad + QUAD_SCALES + pair % 2 * 2 * sizeof(float), 0});
    }
}

/* ---- one vector ---- */

/* A part of 16 columns of 4 rows; `unpack` prepares the next part's, in the other of u and v. */
#define PART_OF_ONE(LOW, u, x, unpack_early, unpack_late)                                                                          \
    EACH_ROW(LOW, s, u, x);                                                                                                        \
    unpack_early;                                                                                                                  \
    EACH_ROW(ORDERED_ACCUMULATE_HIGH, s, u, x);                                                                                    \
    unpack_late;

#define MASK_TWO_ROWS(u, first, b_first, b_second)                                                                                 \
    ORDERED_AND((u)[first], b_first, mask);                                                                                        \
    ORDERED_AND((u)[(first) + 1], b_second, mask)
#define HIGH_OF_TWO_ROWS(u, first, b_first, b_second)                                                                              \
    ORDERED_HIGH_NIBBLES((u)[first], b_first);                                                                                     \
    ORDERED_HIGH_NIBBLES((u)[(first) + 1], b_second)

/* 64 columns of 4 rows, of which the first 32 have been loaded; then those at `next`. */
#define W4_GROUP(at, next, sums)                                                                                                   \
    MASK_ROWS(u);                                                                                                                  \
    PART_OF_ONE(ORDERED_MULTIPLY_LOW, u, x0, HIGH_OF_TWO_ROWS(v, 0, b0, b1), HIGH_OF_TWO_ROWS(v, 2, b2, b3))                       \
    LOAD_ROWS(at);                                                                                                                 \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, v, x1, , MASK_TWO_ROWS(u, 0, b0, b1); MASK_TWO_ROWS(u, 2, b2, b3))                         \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, u, x2, HIGH_OF_TWO_ROWS(v, 0, b0, b1), HIGH_OF_TWO_ROWS(v, 2, b2, b3))                     \
    LOAD_ROWS(next);                                                                                                               \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, v, x3, , )                                                                                 \
    EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums, s)

#define W2_GROUP(at, next, sums)                                                                                                   \
    MASK_ROWS(u);                                                                                                                  \
    PART_OF_ONE(ORDERED_MULTIPLY_LOW, u, x0, SHIFT_ROWS(ORDERED_SHIFT, v, 2), MASK_AGAIN(v))                                       \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, v, x1, SHIFT_ROWS(ORDERED_SHIFT, u, 4), MASK_AGAIN(u))                                     \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, u, x2, SHIFT_ROWS(ORDERED_SHIFT_SIGNED, v, 6), LOAD_ROWS(next))                            \
    PART_OF_ONE(ORDERED_ACCUMULATE_LOW, v, x3, , )                                                                                 \
    EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums, s)

#define DECLARE_ONE                                                                                                                \
    DECLARE_ROWS;                                                                                                                  \
    int16x8_t s[GROUP_ROWS];                                                                                                       \
    int8x16_t u[GROUP_ROWS], v[GROUP_ROWS], x0, x1, x2, x3, mask;                                                                  \
    LOAD_ROWS(w)

#define LOAD_64_OF_ONE                                                                                                             \
    ORDERED_LOAD_PAIR(x0, x1, x);                                                                                                  \
    ORDERED_LOAD_PAIR(x2, x3, x + 2 * CHUNK)

/* sums[0 .. 3]: of the first 4 rows, [4 .. 7]: of the next. */
GEMLET_INLINE void w4_one(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t *sums) {
    DECLARE_ONE;
    const unsigned char *odd = w + BLOCK_BYTES, *lower = w + GROUP_BYTES, *lower_odd = odd + GROUP_BYTES;
    ORDERED_SET_BYTES(mask, 15);
    for (const int8_t *end = x + columns; x != end; x += 64) {
        GEMLET_HIDE(odd);
        GEMLET_HIDE(lower);
        GEMLET_HIDE(lower_odd);
        LOAD_64_OF_ONE;
        w += 2 * BLOCK_BYTES;
        GEMLET_HIDE(w);
        W4_GROUP(odd, lower, sums);
        W4_GROUP(lower_odd, w, sums + GROUP_ROWS);
        odd += 2 * BLOCK_BYTES;
        lower += 2 * BLOCK_BYTES;
        lower_odd += 2 * BLOCK_BYTES;
    }
}

GEMLET_INLINE void w2_one(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t *sums) {
    DECLARE_ONE;
    ORDERED_SET_BYTES(mask, 3);
    for (size_t turns = columns / 64; turns != 0; turns--, x += 64) {
        LOAD_64_OF_ONE;
        W2_GROUP(w, w + GROUP_BYTES, sums);
        W2_GROUP(w + GROUP_BYTES, w + BLOCK_BYTES, sums + GROUP_ROWS);
        w += BLOCK_BYTES;
    }
}

#define W8_GROUP(s)                                                                                                                \
    ORDERED_MULTIPLY_LOW((s)[0], b0, x0);                                                                                          \
    ORDERED_MULTIPLY_LOW((s)[1], b1, x0);                                                                                          \
    ORDERED_MULTIPLY_LOW((s)[2], b2, x0);                                                                                          \
    ORDERED_MULTIPLY_LOW((s)[3], b3, x0);                                                                                          \
    ORDERED_ACCUMULATE_HIGH((s)[0], b0, x0);                                                                                       \
    ORDERED_ACCUMULATE_HIGH((s)[1], b1, x0);                                                                                       \
    ORDERED_ACCUMULATE_HIGH((s)[2], b2, x0);                                                                                       \
    ORDERED_ACCUMULATE_HIGH((s)[3], b3, x0)

GEMLET_INLINE void w8_one(const unsigned char *w, size_t columns, const int8_t *x, int32x4_t *sums) {
    DECLARE_ROWS;
    int16x8_t upper[GROUP_ROWS], lower[GROUP_ROWS];
    int8x16_t x0;
    for (const int8_t *end = x + columns; x != end; x += CHUNK, w += BLOCK_BYTES) {
        ORDERED_LOAD(x0, x);
        LOAD_ROWS(w);
        W8_GROUP(upper);
        LOAD_ROWS(w + GROUP_BYTES);
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums, upper);
        W8_GROUP(lower);
        EACH_SUM(ORDERED_ACCUMULATE_PAIRS, sums + GROUP_ROWS, lower);
    }
}

GEMLET_INLINE void half_panel_times_one(gemlet_weight_type type, const row_panel *p, size_t group, const one_header *header,
                                        int32x4_t *tile) {
    const int8_t *codes = (const int8_t *)(header + 1);
    const unsigned char *w = weights_of(p) + group * GROUP_BYTES;
    int32x4_t sums[2 * GROUP_ROWS], start = vdupq_n_s32(header->correction);
#pragma GCC unroll 8
    for (size_t i = 0; i < 2 * GROUP_ROWS; i++) {
        sums[i] = vdupq_n_s32(0);
    }
    if (type == GEMLET_W2) {
        w2_one(w, p->columns, codes, sums);
    } else if (type == GEMLET_W4) {
        w4_one(w, p->columns, codes, sums);
    } else {
        w8_one(w, p->columns, codes, sums);
    }
    tile[group] = vaddq_s32(add_lanes(sums), start);
    tile[group + 1] = vaddq_s32(add_lanes(sums + GROUP_ROWS), start);
}

GEMLET_INLINE void panel_times_one(gemlet_weight_type type, const row_panel *p, const unsigned char *x) {
    const one_header *header = (const one_header *)(const void *)x;
    int32x4_t tile[GEMLET_PANEL_ROWS / GROUP_ROWS];
    size_t groups = rows_of(p) > 2 * (size_t)GROUP_ROWS ? 4 : 2;
    for (size_t g = 0; g < groups; g += 2) {
        half_panel_times_one(type, p, g, header, tile);
    }
    store_tile(p, &(sums_tile){tile, 1, groups, 0, (const unsigned char *)&header->scale, 0});
}

#endif
