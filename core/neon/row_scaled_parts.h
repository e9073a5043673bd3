/* What the levels' products with one scale a row share (row_scaled.c).
 *
 * Weights are loaded ahead of their use, beyond the last of a panel, too: others or the tensor's tail follow.
 *
 * Activations, private to these files: quads of 4 vectors, then single ones, so that `count` vectors are stored without padding.  A
 * single vector is its correction, its scale and its codes; a quad its corrections, its scales and, for each 16 columns, 64 bytes
 * that the level's header describes.  A correction is what the offsets of the weights add too much. */
#ifndef GEMLET_CORE_NEON_ROW_SCALED_PARTS_H
#define GEMLET_CORE_NEON_ROW_SCALED_PARTS_H

#include <stdbool.h>

#include "core/neon/ordered.h"
#include "core/neon/partial.h"
#include "core/quant/row_scaled.h"

enum {
    GROUP_ROWS = 4,
    GROUP_BYTES = 64,  /* of 4 rows in a column block of a panel */
    BLOCK_BYTES = 256, /* of a panel's column block */
    QUAD = 4,
    QUAD_HEADER = QUAD * GEMLET_ACTIVATION_HEADER,
    QUAD_SCALES = 16,
    CHUNK = 16, /* columns */
    QUAD_CHUNK_BYTES = QUAD * CHUNK,
    LARGE_TILE = 2 * QUAD
};

typedef struct one_header {
    int32_t correction;
    float scale;
} one_header;

/* A panel, those behind it, and where their products go. */
typedef struct row_panel {
    const unsigned char *panel;
    size_t panel_bytes;
    size_t columns; /* padded */
    size_t rows;    /* of this panel and those behind it */
    float output_scale;
    bool unscaled; /* the factors are all: vectors have no scale of their own */
    float *y;      /* of the first vector */
    size_t y_stride;
} row_panel;

GEMLET_INLINE const unsigned char *weights_of(const row_panel *p) {
    return p->panel + GEMLET_ROW_SCALED_PANEL_HEADER;
}

GEMLET_INLINE const float *factors_of(const row_panel *p) {
    return (const float *)(const void *)p->panel;
}

GEMLET_INLINE size_t rows_of(const row_panel *p) {
    return p->rows < GEMLET_PANEL_ROWS ? p->rows : GEMLET_PANEL_ROWS;
}

GEMLET_INLINE void next_panel(row_panel *p) {
    p->panel += p->panel_bytes;
    p->rows -= rows_of(p);
    p->y += GEMLET_PANEL_ROWS;
}

GEMLET_INLINE const unsigned char *quad_at(const row_panel *p, const unsigned char *x, size_t quad) {
    return x + quad * QUAD * (p->columns + GEMLET_ACTIVATION_HEADER);
}

/* Sums of some vectors, each of `groups` times 4 rows from `row` on, side by side. */
typedef struct sums_tile {
    const int32x4_t *sums;       /* [vectors][groups] */
    size_t vectors, groups, row; /* groups: 2 or 4 */
    const unsigned char *scales; /* of the vectors, 4 or 1 together */
    size_t scales_stride;        /* bytes from 4 to the next */
} sums_tile;

/* NaN becomes -128. */
GEMLET_INLINE float32x4_t rounded(float32x4_t x) {
    return vminnmq_f32(vmaxnmq_f32(vrndnq_f32(x), vdupq_n_f32(-128.0f)), vdupq_n_f32(127.0f));
}

/* What becomes of a sum times its row's factor. */
typedef enum finish { FINISH_ROUNDED, FINISH_SCALED, FINISH_NOT } finish;

GEMLET_INLINE float32x4_t finished(float32x4_t value, finish how, float scale) {
    return how == FINISH_NOT ? value : vmulq_n_f32(how == FINISH_ROUNDED ? rounded(value) : value, scale);
}

GEMLET_INLINE float scale_of(const row_panel *p, const sums_tile *t, finish how, size_t v) {
    const float *scales = (const float *)(const void *)(t->scales + v / QUAD * t->scales_stride);
    return how == FINISH_ROUNDED ? p->output_scale : how == FINISH_SCALED ? scales[v % QUAD] : 1.0f;
}

/* Where all rows are there, as they mostly are. */
GEMLET_INLINE void store_whole_tile(const row_panel *p, const sums_tile *t, finish how) {
    for (size_t g = 0; g < t->groups; g += 2) {
        const float *factors = factors_of(p) + t->row + GROUP_ROWS * g;
        const float32x4_t upper = vld1q_f32(factors), lower = vld1q_f32(factors + GROUP_ROWS);
        const int32x4_t *sums = t->sums + g;
        float *y = p->y + t->row + GROUP_ROWS * g;
        for (size_t v = 0; v < t->vectors; v++, sums += t->groups, y += p->y_stride) {
            float scale = scale_of(p, t, how, v);
            vst1q_f32(y, finished(vmulq_f32(vcvtq_f32_s32(sums[0]), upper), how, scale));
            vst1q_f32(y + GROUP_ROWS, finished(vmulq_f32(vcvtq_f32_s32(sums[1]), lower), how, scale));
        }
    }
}

/* Likewise some of them. */
GEMLET_INLINE void store_part_of_tile(const row_panel *p, const sums_tile *t, finish how) {
    for (size_t v = 0; v < t->vectors; v++) {
        float scale = scale_of(p, t, how, v);
        for (size_t g = 0; g < t->groups && t->row + GROUP_ROWS * g < p->rows; g++) {
            size_t row = t->row + GROUP_ROWS * g;
            float32x4_t value = vmulq_f32(vcvtq_f32_s32(t->sums[v * t->groups + g]), vld1q_f32(factors_of(p) + row));
            store_any(p->y + v * p->y_stride + row, finished(value, how, scale), p->rows - row);
        }
    }
}

/* What row_scaled.h makes of sums.  Not inlined: all shapes share it. */
static __attribute__((noinline)) void store_tile(const row_panel *p, const sums_tile *t) {
    finish how = p->output_scale > 0.0f ? FINISH_ROUNDED : p->unscaled ? FINISH_NOT : FINISH_SCALED;
    if (p->rows < t->row + GROUP_ROWS * t->groups) {
        store_part_of_tile(p, t, how);
    } else if (how == FINISH_ROUNDED) {
        store_whole_tile(p, t, FINISH_ROUNDED);
    } else if (how == FINISH_SCALED) {
        store_whole_tile(p, t, FINISH_SCALED);
    } else {
        store_whole_tile(p, t, FINISH_NOT);
    }
}

#endif
