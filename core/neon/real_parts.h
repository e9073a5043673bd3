/* What the files of the float family share: the sums of real.h. */
#ifndef GEMLET_CORE_NEON_REAL_PARTS_H
#define GEMLET_CORE_NEON_REAL_PARTS_H

#include "core/neon/partial.h"
#include "core/real.h"

/* (l0 + l1) + (l2 + l3) */
GEMLET_INLINE float add_lanes(float32x4_t x) {
    float32x4_t pairs = vpaddq_f32(x, x);
    return vgetq_lane_f32(vpaddq_f32(pairs, pairs), 0);
}

void gemlet_real_dot_neon(const gemlet_rows *rows, const float *x, size_t x_stride, size_t count, float *y, size_t y_stride);
void gemlet_real_mix_neon(const gemlet_rows *rows, const float *weights, size_t weight_stride, size_t count, float *y,
                          size_t y_stride);
void gemlet_real_from_bfloat16_neon(const uint16_t *x, size_t length, float *y);
void gemlet_real_to_bfloat16_neon(const float *x, size_t length, uint16_t *y);
void gemlet_real_add_bfloat16_neon(uint16_t *y, const float *scale, const float *x, size_t length);
void gemlet_real_depthwise_neon(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding,
                                size_t outputs, float *y);

#endif
