/* Products with rows of float32, half precision or int8: attention over the cache and small dense matrices.  Every level uses
 * these. */
#if defined(__GNUC__) && !defined(__clang__)
/* Scheduling before registers are given out overlaps more sums than there are registers for: 5 to 15 % more instructions. */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "core/neon/neon.h"

#if GEMLET_COMPILED_LEVEL == 1
#include "core/neon/ordered.h"
#include "core/neon/real_parts.h"

enum { TILE = 4 }; /* rows, and vectors, that are worked on together */

typedef struct float32x8 {
    float32x4_t half[2];
} float32x8;

GEMLET_INLINE size_t element_bytes(gemlet_row_type type) {
    return type == GEMLET_ROW_F32 ? sizeof(float) : type == GEMLET_ROW_F16 ? sizeof(uint16_t) : sizeof(int8_t);
}

GEMLET_INLINE float32x8 load8(gemlet_row_type type, const unsigned char *from) {
    if (type == GEMLET_ROW_F32) {
        return (float32x8){{vld1q_f32((const float *)(const void *)from), vld1q_f32((const float *)(const void *)(from + 16))}};
    }
    if (type == GEMLET_ROW_F16) {
        uint16x8_t x = vld1q_u16((const uint16_t *)(const void *)from);
        return (float32x8){{vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(x))), vcvt_high_f32_f16(vreinterpretq_f16_u16(x))}};
    }
    int16x8_t x = vmovl_s8(vld1_s8((const int8_t *)(const void *)from));
    return (float32x8){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(x)))}};
}

/* The first `count` < 8 elements, then zeros, which are zero bytes in every type. */
GEMLET_INLINE float32x8 load8_part(gemlet_row_type type, const unsigned char *from, size_t count) {
    _Alignas(16) unsigned char bytes[32] = {0};
    memcpy(bytes, from, count * element_bytes(type));
    return load8(type, bytes);
}

GEMLET_INLINE float32x8 load8_any(gemlet_row_type type, const unsigned char *from, size_t count) {
    return count >= 8 ? load8(type, from) : load8_part(type, from, count);
}

/* ---- dot ---- */

/* Adds elements [i, i + 8) of TILE rows and `vectors` vectors to their partial sums; `count` of the elements exist. */
GEMLET_INLINE void dot_step(gemlet_row_type type, size_t vectors, const unsigned char *const *row, const float *const *x, size_t i,
                            size_t count, float32x4_t sum[TILE][TILE]) {
    float32x8 elements[TILE];
    for (size_t r = 0; r < TILE; r++) {
        elements[r] = load8_any(type, row[r] + i * element_bytes(type), count);
    }
    /* Half by half, so that a sum waits for its last product as long as possible. */
    for (size_t h = 0; h < 2; h++) {
        float32x4_t factor[TILE];
        for (size_t v = 0; v < vectors; v++) {
            factor[v] = count >= 8 ? vld1q_f32(x[v] + i + 4 * h)
                                   : load8_part(GEMLET_ROW_F32, (const unsigned char *)(x[v] + i), count).half[h];
        }
        for (size_t v = 0; v < vectors; v++) {
            for (size_t r = 0; r < TILE; r++) {
                ORDERED_MULTIPLY_ADD(sum[v][r], factor[v], elements[r].half[h]);
            }
        }
    }
}

/* Four rows from `first`, of which `present` exist (the others read the last one again and are not stored), times `vectors`. */
GEMLET_INLINE void dot_tile(gemlet_row_type type, size_t vectors, const gemlet_rows *rows, size_t first, const float *x,
                            size_t x_stride, float *y, size_t y_stride) {
    size_t present = rows->count - first < TILE ? rows->count - first : TILE;
    const unsigned char *row[TILE];
    const float *vector[TILE];
    float32x4_t sum[TILE][TILE];
    for (size_t r = 0; r < TILE; r++) {
        size_t at = first + (r < present ? r : present - 1);
        row[r] = (const unsigned char *)rows->data + at * rows->stride * element_bytes(type);
        vector[r] = x + (r < vectors ? r : 0) * x_stride;
        for (size_t v = 0; v < TILE; v++) {
            sum[v][r] = vdupq_n_f32(0.0f);
        }
    }
    size_t i = 0;
    for (; i + 8 <= rows->length; i += 8) {
        dot_step(type, vectors, row, vector, i, 8, sum);
    }
    if (i < rows->length) {
        dot_step(type, vectors, row, vector, i, rows->length - i, sum);
    }
    float32x4_t scale = vdupq_n_f32(0.0f);
    if (type == GEMLET_ROW_S8) {
        scale = present == TILE ? vld1q_f32(rows->scale + first) : load_part(rows->scale + first, present);
    }
    for (size_t v = 0; v < vectors; v++) {
        float32x4_t total = vpaddq_f32(vpaddq_f32(sum[v][0], sum[v][1]), vpaddq_f32(sum[v][2], sum[v][3]));
        total = type == GEMLET_ROW_S8 ? vmulq_f32(total, scale) : total;
        if (present == TILE) {
            vst1q_f32(y + v * y_stride + first, total);
        } else {
            store_part(y + v * y_stride + first, total, present);
        }
    }
}

GEMLET_INLINE void dot_typed(gemlet_row_type type, const gemlet_rows *rows, const float *x, size_t x_stride, size_t count, float *y,
                             size_t y_stride) {
    size_t v = 0;
    for (; v + TILE <= count; v += TILE) {
        for (size_t row = 0; row < rows->count; row += TILE) {
            dot_tile(type, TILE, rows, row, x + v * x_stride, x_stride, y + v * y_stride, y_stride);
        }
    }
    for (; v < count; v++) {
        for (size_t row = 0; row < rows->count; row += TILE) {
            dot_tile(type, 1, rows, row, x + v * x_stride, x_stride, y + v * y_stride, y_stride);
        }
    }
}

void gemlet_real_dot_neon(const gemlet_rows *rows, const float *x, size_t x_stride, size_t count, float *y, size_t y_stride) {
    switch (rows->type) {
    case GEMLET_ROW_F32: dot_typed(GEMLET_ROW_F32, rows, x, x_stride, count, y, y_stride); break;
    case GEMLET_ROW_F16: dot_typed(GEMLET_ROW_F16, rows, x, x_stride, count, y, y_stride); break;
    case GEMLET_ROW_S8: dot_typed(GEMLET_ROW_S8, rows, x, x_stride, count, y, y_stride); break;
    }
}

/* ---- mix ---- */

/* One row's 16 (or `count`) elements. */
GEMLET_INLINE void load16_any(gemlet_row_type type, const unsigned char *from, size_t count, float32x4_t elements[4]) {
    float32x8 low = load8_any(type, from, count);
    float32x8 high = low;
    if (count > 8) {
        high = load8_any(type, from + 8 * element_bytes(type), count - 8);
    }
    elements[0] = low.half[0];
    elements[1] = low.half[1];
    elements[2] = high.half[0];
    elements[3] = high.half[1];
}

/* Adds them to the sums of `vectors` vectors, whose weights are in a lane; lane numbers must be literals. */
#define GEMLET_MIX_ROW(weights, lane)                                                                                              \
    load16_any(type, from, count, elements);                                                                                       \
    for (size_t v = 0; v < vectors; v++) {                                                                                         \
        for (size_t h = 0; h < (count > 8 ? 4 : 2); h++) {                                                                         \
            ORDERED_MULTIPLY_ADD_LANE(sum[v][h], elements[h], (weights)[v], lane);                                                 \
        }                                                                                                                          \
    }                                                                                                                              \
    from += step

/* The weights of rows [r, r + 4) for each vector, with the rows' scales. */
GEMLET_INLINE void mix_weights(const gemlet_rows *rows, gemlet_row_type type, size_t vectors, size_t r, const float *weights,
                               size_t weight_stride, float32x4_t *out) {
    for (size_t v = 0; v < vectors; v++) {
        out[v] = vld1q_f32(weights + v * weight_stride + r);
        out[v] = type == GEMLET_ROW_S8 ? vmulq_f32(out[v], vld1q_f32(rows->scale + r)) : out[v];
    }
}

/* Elements [first, first + count) of `vectors` outputs, over all rows; count <= 16. */
GEMLET_INLINE void mix_tile(gemlet_row_type type, size_t vectors, const gemlet_rows *rows, size_t first, size_t count,
                            const float *weights, size_t weight_stride, float *y, size_t y_stride) {
    float32x4_t sum[TILE][4];
    for (size_t v = 0; v < vectors; v++) {
        for (size_t h = 0; h < 4; h++) {
            const float *from = y + v * y_stride + first + 4 * h;
            sum[v][h] = count >= 4 * h + 4 ? vld1q_f32(from) : vdupq_n_f32(0.0f);
            if (count > 4 * h && count < 4 * h + 4) {
                sum[v][h] = load_part(from, count - 4 * h);
            }
        }
    }
    const size_t step = rows->stride * element_bytes(type);
    const unsigned char *from = (const unsigned char *)rows->data + first * element_bytes(type);
    float32x4_t four[TILE];
    float32x4_t weight[TILE];
    float32x4_t elements[4];
    size_t r = 0;
    for (; r + 4 <= rows->count; r += 4) {
        mix_weights(rows, type, vectors, r, weights, weight_stride, four);
        GEMLET_MIX_ROW(four, 0);
        GEMLET_MIX_ROW(four, 1);
        GEMLET_MIX_ROW(four, 2);
        GEMLET_MIX_ROW(four, 3);
    }
    for (; r < rows->count; r++) {
        for (size_t v = 0; v < vectors; v++) {
            float one = weights[v * weight_stride + r];
            weight[v] = vdupq_n_f32(type == GEMLET_ROW_S8 ? one * rows->scale[r] : one);
        }
        GEMLET_MIX_ROW(weight, 0);
    }
    for (size_t v = 0; v < vectors; v++) {
        for (size_t h = 0; h < 4; h++) {
            float *to = y + v * y_stride + first + 4 * h;
            if (count >= 4 * h + 4) {
                vst1q_f32(to, sum[v][h]);
            } else if (count > 4 * h) {
                store_part(to, sum[v][h], count - 4 * h);
            }
        }
    }
}

GEMLET_INLINE void mix_vectors(gemlet_row_type type, size_t vectors, const gemlet_rows *rows, const float *weights,
                               size_t weight_stride, float *y, size_t y_stride) {
    size_t i = 0;
    for (; i + 16 <= rows->length; i += 16) {
        mix_tile(type, vectors, rows, i, 16, weights, weight_stride, y, y_stride);
    }
    for (size_t v = 0; v < vectors && i < rows->length; v++) {
        mix_tile(type, 1, rows, i, rows->length - i, weights + v * weight_stride, 0, y + v * y_stride, 0);
    }
}

GEMLET_INLINE void mix_typed(gemlet_row_type type, const gemlet_rows *rows, const float *weights, size_t weight_stride,
                             size_t count, float *y, size_t y_stride) {
    size_t v = 0;
    for (; v + TILE <= count; v += TILE) {
        mix_vectors(type, TILE, rows, weights + v * weight_stride, weight_stride, y + v * y_stride, y_stride);
    }
    for (; v < count; v++) {
        mix_vectors(type, 1, rows, weights + v * weight_stride, weight_stride, y + v * y_stride, y_stride);
    }
}

void gemlet_real_mix_neon(const gemlet_rows *rows, const float *weights, size_t weight_stride, size_t count, float *y,
                          size_t y_stride) {
    switch (rows->type) {
    case GEMLET_ROW_F32: mix_typed(GEMLET_ROW_F32, rows, weights, weight_stride, count, y, y_stride); break;
    case GEMLET_ROW_F16: mix_typed(GEMLET_ROW_F16, rows, weights, weight_stride, count, y, y_stride); break;
    case GEMLET_ROW_S8: mix_typed(GEMLET_ROW_S8, rows, weights, weight_stride, count, y, y_stride); break;
    }
}
#endif
