/* Depthwise convolution.  Every level uses it.
 *
 * A group of channels walks along the row.  Each input pixel is loaded once and added to every output whose window holds it; the
 * weights and the sums of the outputs under way stay in registers. */
#include "core/neon/neon.h"

#if GEMLET_COMPILED_LEVEL == 1
#include <stdbool.h>

#include "core/neon/real_parts.h"

/* The loops below have constant bounds once inlined, and their arrays become registers only when they are unrolled. */
#define GEMLET_UNROLL _Pragma("GCC unroll 16")

enum {
    KERNEL = GEMLET_DEPTHWISE_KERNEL_MAX,
    /* Input columns that are walked before the next channels get their turn: the lines of `kernel` rows (of 64 bytes, which hold
     * more channels than a group) then stay in a first-level cache of 32 KiB. */
    COLUMNS = 64
};

/* One group of 4 x `vectors` channels. */
typedef struct depthwise_group {
    float32x4_t weights[KERNEL][KERNEL][2]; /* [row][column] */
    const float *rows[KERNEL];
    size_t pixel; /* floats from one pixel to the next */
} depthwise_group;

/* The sums of outputs under way: output o (from the first of the walk) is in slot o % slots. */
GEMLET_INLINE size_t slots_of(size_t kernel, size_t stride) {
    return (kernel + stride - 1) / stride;
}

/* Adds one input column.  `phase` is its number, counted from the first column of the walk, modulo slots * stride; column `t` of a
 * window is this one for the output phase - t. */
GEMLET_INLINE void depthwise_column(size_t kernel, size_t stride, size_t vectors, const depthwise_group *group, size_t phase,
                                    bool inside, ptrdiff_t offset, float32x4_t sum[KERNEL][2]) {
    size_t slots = slots_of(kernel, stride);
    size_t starting = phase / stride % slots;
    if (!inside) {
        if (phase % stride == 0) {
            sum[starting][0] = sum[starting][vectors - 1] = vdupq_n_f32(-0.0f);
        }
        return;
    }
    GEMLET_UNROLL
    for (size_t r = 0; r < kernel; r++) {
        GEMLET_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            float32x4_t x = vld1q_f32(group->rows[r] + offset + 4 * v);
            GEMLET_UNROLL
            for (size_t t = phase % stride; t < kernel; t += stride) {
                size_t slot = (phase + slots * stride - t) / stride % slots;
                if (t == 0 && r == 0) {
                    sum[slot][v] = vmulq_f32(x, group->weights[r][t][v]);
                } else {
                    sum[slot][v] = vfmaq_f32(sum[slot][v], x, group->weights[r][t][v]);
                }
            }
        }
    }
}

/* Where a walk is. */
typedef struct depthwise_place {
    ptrdiff_t column; /* input column of the next phase 0, may lie outside the picture */
    size_t done;      /* columns walked */
    float *out;       /* the next output to be finished */
} depthwise_place;

/* Walks one period of columns.  `checked` is constant: the first and the last period mind the borders of walk and picture. */
GEMLET_INLINE void depthwise_period(size_t kernel, size_t stride, size_t vectors, bool checked, const depthwise_group *group,
                                    size_t width, size_t columns, depthwise_place *place, float32x4_t sum[KERNEL][2]) {
    const size_t slots = slots_of(kernel, stride);
    const size_t period = slots * stride;
    GEMLET_UNROLL
    for (size_t phase = 0; phase < period; phase++) {
        ptrdiff_t column = place->column + (ptrdiff_t)phase;
        if (checked && place->done + phase >= columns) {
            break;
        }
        bool inside = !checked || (column >= 0 && column < (ptrdiff_t)width);
        depthwise_column(kernel, stride, vectors, group, phase, inside, column * (ptrdiff_t)group->pixel, sum);
        if ((phase + period - (kernel - 1)) % stride == 0 && (!checked || place->done + phase >= kernel - 1)) {
            size_t finished = (phase + period - (kernel - 1)) / stride % slots;
            GEMLET_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                vst1q_f32(place->out + 4 * v, sum[finished][v]);
            }
            place->out += group->pixel;
        }
    }
    place->column += (ptrdiff_t)period;
    place->done += period;
}

/* Outputs [first, first + count) of one group of channels. */
GEMLET_INLINE void depthwise_walk(size_t kernel, size_t stride, size_t vectors, const depthwise_group *group, size_t width,
                                  size_t padding, size_t first, size_t count, float *y) {
    const size_t period = slots_of(kernel, stride) * stride;
    const size_t columns = (count - 1) * stride + kernel;
    depthwise_place place = {(ptrdiff_t)(first * stride) - (ptrdiff_t)padding, 0, y + first * group->pixel};
    float32x4_t sum[KERNEL][2];
    for (size_t slot = 0; slot < KERNEL; slot++) {
        sum[slot][0] = sum[slot][1] = vdupq_n_f32(0.0f);
    }
    depthwise_period(kernel, stride, vectors, true, group, width, columns, &place, sum);
    while (place.done < columns) {
        while (place.done + period <= columns && place.column >= 0 && place.column + (ptrdiff_t)period <= (ptrdiff_t)width) {
            depthwise_period(kernel, stride, vectors, false, group, width, columns, &place, sum);
        }
        if (place.done < columns) {
            depthwise_period(kernel, stride, vectors, true, group, width, columns, &place, sum);
        }
    }
}

GEMLET_INLINE void depthwise_channels(size_t kernel, size_t stride, size_t vectors, const gemlet_depthwise *conv,
                                      const float *const *rows, size_t channel, size_t width, size_t padding, size_t first,
                                      size_t count, float *y) {
    depthwise_group group;
    const float *present = NULL;
    for (size_t r = kernel; r-- > 0;) {
        present = rows[r] != NULL ? rows[r] : present;
    }
    for (size_t r = 0; r < kernel; r++) {
        group.rows[r] = (rows[r] != NULL ? rows[r] : present) + channel;
        for (size_t t = 0; t < kernel; t++) {
            for (size_t v = 0; v < vectors; v++) {
                const float *weights = conv->weights + (r * kernel + t) * conv->channels + channel + 4 * v;
                group.weights[r][t][v] = rows[r] != NULL ? vld1q_f32(weights) : vdupq_n_f32(0.0f);
            }
        }
    }
    group.pixel = conv->channels;
    depthwise_walk(kernel, stride, vectors, &group, width, padding, first, count, y + channel);
}

/* All channels in groups; the last group overlaps the one before it where they don't divide.  5 x 5 weights leave no registers for
 * a second vector. */
GEMLET_INLINE void depthwise_row(size_t kernel, size_t stride, const gemlet_depthwise *conv, const float *const *rows, size_t width,
                                 size_t padding, size_t first, size_t count, float *y) {
    const size_t channels = conv->channels;
    size_t channel = 0;
    for (; kernel == 3 && channel + 8 <= channels; channel += 8) {
        depthwise_channels(kernel, stride, 2, conv, rows, channel, width, padding, first, count, y);
    }
    for (; channel < channels; channel += 4) {
        size_t from = channel + 4 <= channels ? channel : channels - 4;
        depthwise_channels(kernel, stride, 1, conv, rows, from, width, padding, first, count, y);
    }
}

void gemlet_real_depthwise_neon(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding,
                                size_t outputs, float *y) {
    if (conv->channels < 4) {
        gemlet_real_kernels_scalar.depthwise(conv, rows, width, padding, outputs, y);
        return;
    }
    /* Equal walks of at most COLUMNS columns. */
    const size_t walks = (outputs * conv->stride + COLUMNS - 1) / COLUMNS;
    size_t first = 0;
    for (size_t walk = 1; walk <= walks; walk++) {
        size_t count = outputs * walk / walks - first;
        if (count == 0) {
            continue;
        }
        if (conv->kernel == 3 && conv->stride == 1) {
            depthwise_row(3, 1, conv, rows, width, padding, first, count, y);
        } else if (conv->kernel == 3) {
            depthwise_row(3, 2, conv, rows, width, padding, first, count, y);
        } else if (conv->stride == 1) {
            depthwise_row(5, 1, conv, rows, width, padding, first, count, y);
        } else {
            depthwise_row(5, 2, conv, rows, width, padding, first, count, y);
        }
        first += count;
    }
}
#endif
