/* Depthwise convolution.  Every level uses it.
 *
 * A group of channels walks along the row.  Each input pixel is loaded once and added to every output whose window holds it; the
 * weights and the sums of the outputs under way stay in registers. */
#if defined(__GNUC__) && !defined(__clang__)
/* Scheduling before registers are given out overlaps more sums than there are registers for: 10 % more instructions. */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "core/neon/neon.h"

#if GEMLET_COMPILED_LEVEL == 1
#include <stdbool.h>

#include "core/neon/ordered.h"
#include "core/neon/real_parts.h"

/* The loops below have constant bounds once inlined, and their arrays become registers only when they are unrolled. */
#define GEMLET_UNROLL _Pragma("GCC unroll 16")

enum {
    KERNEL = GEMLET_DEPTHWISE_KERNEL_MAX,
    /* Pixels that are walked before the next channels get their turn: the cache lines of 64 bytes, which hold the channels of four
     * groups, then stay in a first-level cache of 32 KiB. */
    WALK_PIXELS = 320
};

/* Two groups of 4 channels walk together where their weights have registers: a core that executes in order then waits less, as an
 * output's products wait for each other. */
enum { GROUPS = 2 };

GEMLET_INLINE size_t groups_of(size_t kernel) {
    return kernel == 3 ? GROUPS : 1;
}

/* Groups of 4 channels. */
typedef struct depthwise_group {
    float32x4_t weights[KERNEL][KERNEL][GROUPS]; /* [row][column] */
    const float *rows[KERNEL];
    size_t pixel; /* floats from one pixel to the next */
} depthwise_group;

/* The sums of outputs under way: output o (from the first of the walk) is in slot o % slots. */
GEMLET_INLINE size_t slots_of(size_t kernel, size_t stride) {
    return (kernel + stride - 1) / stride;
}

GEMLET_INLINE void load_pixel(size_t groups, const float *from, float32x4_t x[GROUPS]) {
    GEMLET_UNROLL
    for (size_t g = 0; g < groups; g++) {
        ORDERED_LOAD(x[g], from + 4 * g);
    }
}

/* Adds one input column.  `phase` is its number, counted from the first column of the walk, modulo slots * stride; column `t` of a
 * window is this one for the output phase - t. */
GEMLET_INLINE void depthwise_column(size_t kernel, size_t stride, size_t groups, const depthwise_group *group, size_t phase,
                                    bool inside, ptrdiff_t offset, float32x4_t sum[KERNEL][GROUPS]) {
    size_t slots = slots_of(kernel, stride);
    size_t starting = phase / stride % slots;
    if (!inside) {
        if (phase % stride == 0) {
            for (size_t g = 0; g < groups; g++) {
                sum[starting][g] = vdupq_n_f32(-0.0f);
            }
        }
        return;
    }
    /* All rows are loaded first where the sums under way leave registers for them. */
    const size_t ahead = kernel == 3 || stride == 2 ? kernel : 0;
    float32x4_t x[KERNEL][GROUPS];
    GEMLET_UNROLL
    for (size_t r = 0; r < ahead; r++) {
        load_pixel(groups, group->rows[r] + offset, x[r]);
    }
    GEMLET_UNROLL
    for (size_t r = 0; r < kernel; r++) {
        if (ahead == 0) {
            load_pixel(groups, group->rows[r] + offset, x[r]);
        }
        GEMLET_UNROLL
        for (size_t t = phase % stride; t < kernel; t += stride) {
            size_t slot = (phase + slots * stride - t) / stride % slots;
            GEMLET_UNROLL
            for (size_t g = 0; g < groups; g++) {
                float32x4_t weight = group->weights[r][t][g];
                if (t == 0 && r == 0) {
                    sum[slot][g] = vmulq_f32(x[r][g], weight);
                } else {
                    ORDERED_MULTIPLY_ADD(sum[slot][g], x[r][g], weight);
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

/* Walks one period of columns.  `checked` is constant: the first and the last periods mind the borders of walk and picture,
 * `columns` being the length of the walk and `end` where it leaves the picture. */
GEMLET_INLINE void depthwise_period(size_t kernel, size_t stride, size_t groups, bool checked, const depthwise_group *group,
                                    size_t end, size_t columns, depthwise_place *place, float32x4_t sum[KERNEL][GROUPS]) {
    const size_t slots = slots_of(kernel, stride);
    const size_t period = slots * stride;
    GEMLET_UNROLL
    for (size_t phase = 0; phase < period; phase++) {
        ptrdiff_t column = place->column + (ptrdiff_t)phase;
        /* Past the end of the walk is like outside of the picture: nothing is read, and no output finishes. */
        bool inside = !checked || (column >= 0 && place->done + phase < end);
        depthwise_column(kernel, stride, groups, group, phase, inside, column * (ptrdiff_t)group->pixel, sum);
        if ((phase + period - (kernel - 1)) % stride == 0 &&
            (!checked || (place->done + phase >= kernel - 1 && place->done + phase < columns))) {
            size_t finished = (phase + period - (kernel - 1)) / stride % slots;
            for (size_t g = 0; g < groups; g++) {
                vst1q_f32(place->out + 4 * g, sum[finished][g]);
            }
            place->out += group->pixel;
        }
    }
    place->column += (ptrdiff_t)period;
    place->done += period;
}

/* Outputs [first, first + count) of one group of channels. */
GEMLET_INLINE void depthwise_walk(size_t kernel, size_t stride, size_t groups, const depthwise_group *group, size_t width,
                                  size_t padding, size_t first, size_t count, float *y) {
    const size_t period = slots_of(kernel, stride) * stride;
    const size_t columns = (count - 1) * stride + kernel;
    depthwise_place place = {.column = (ptrdiff_t)(first * stride) - (ptrdiff_t)padding};
    place.out = y + first * group->pixel;
    float32x4_t sum[KERNEL][GROUPS];
    for (size_t slot = 0; slot < KERNEL; slot++) {
        for (size_t g = 0; g < GROUPS; g++) {
            sum[slot][g] = vdupq_n_f32(0.0f);
        }
    }
    /* Columns before `end`, counted from the first of the walk, are inside the picture. */
    const ptrdiff_t available = (ptrdiff_t)width - place.column;
    const size_t end = available < (ptrdiff_t)columns ? (size_t)available : columns;
    while (place.done < columns) {
        depthwise_period(kernel, stride, groups, true, group, end, columns, &place, sum);
        size_t plain = place.column >= 0 && place.done < end ? (end - place.done) / period : 0;
        for (; plain > 0; plain--) {
            depthwise_period(kernel, stride, groups, false, group, end, columns, &place, sum);
        }
    }
}

GEMLET_INLINE void depthwise_channels(size_t kernel, size_t stride, size_t groups, const gemlet_depthwise *conv,
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
            const float *weights = conv->weights + (r * kernel + t) * conv->channels + channel;
            for (size_t g = 0; g < groups; g++) {
                group.weights[r][t][g] = rows[r] != NULL ? vld1q_f32(weights + 4 * g) : vdupq_n_f32(0.0f);
            }
        }
    }
    group.pixel = conv->channels;
    depthwise_walk(kernel, stride, groups, &group, width, padding, first, count, y + channel);
}

/* All channels in groups of 4; the last group overlaps the one before it where they don't divide. */
GEMLET_INLINE void depthwise_row(size_t kernel, size_t stride, const gemlet_depthwise *conv, const float *const *rows, size_t width,
                                 size_t padding, size_t first, size_t count, float *y) {
    const size_t channels = conv->channels;
    const size_t groups = groups_of(kernel);
    size_t channel = 0;
    for (; channel + 4 * groups <= channels; channel += 4 * groups) {
        depthwise_channels(kernel, stride, groups, conv, rows, channel, width, padding, first, count, y);
    }
    for (; channel < channels; channel += 4) {
        size_t from = channel + 4 <= channels ? channel : channels - 4;
        depthwise_channels(kernel, stride, 1, conv, rows, from, width, padding, first, count, y);
    }
}

typedef void row_function(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding, size_t first,
                          size_t count, float *y);

/* Functions of their own: registers are given out better than in one that holds all four. */
#define GEMLET_DEPTHWISE_ROW(kernel, stride)                                                                                       \
    __attribute__((noinline)) static void row_##kernel##_##stride(const gemlet_depthwise *conv, const float *const *rows,          \
                                                                  size_t width, size_t padding, size_t first, size_t count,        \
                                                                  float *y) {                                                      \
        depthwise_row(kernel, stride, conv, rows, width, padding, first, count, y);                                                \
    }
GEMLET_DEPTHWISE_ROW(3, 1)
GEMLET_DEPTHWISE_ROW(3, 2)
GEMLET_DEPTHWISE_ROW(5, 1)
GEMLET_DEPTHWISE_ROW(5, 2)

void gemlet_real_depthwise_neon(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding,
                                size_t outputs, float *y) {
    if (conv->channels < 4) {
        gemlet_real_kernels_scalar.depthwise(conv, rows, width, padding, outputs, y);
        return;
    }
    static row_function *const functions[2][2] = {{row_3_1, row_3_2}, {row_5_1, row_5_2}};
    row_function *row = functions[conv->kernel == 5][conv->stride == 2];
    /* Equal walks. */
    const size_t walks = (outputs * conv->stride * conv->kernel + WALK_PIXELS - 1) / WALK_PIXELS;
    size_t first = 0;
    for (size_t walk = 1; walk <= walks; walk++) {
        size_t count = outputs * walk / walks - first;
        if (count > 0) {
            row(conv, rows, width, padding, first, count, y);
            first += count;
        }
    }
}
#endif
