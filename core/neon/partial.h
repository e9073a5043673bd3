/* Vectors of which only the first lanes are there: at the end of a row.  And maxima of what was loaded so. */
#ifndef GEMLET_CORE_NEON_PARTIAL_H
#define GEMLET_CORE_NEON_PARTIAL_H

#include <string.h>

#include "core/neon/neon.h"

/* The first `count` < 4 floats, then zeros. */
GEMLET_INLINE float32x4_t load_part(const float *x, size_t count) {
    float lanes[4] = {0};
    memcpy(lanes, x, count * sizeof *x);
    return vld1q_f32(lanes);
}

GEMLET_INLINE void store_part(float *y, float32x4_t value, size_t count) {
    float lanes[4];
    vst1q_f32(lanes, value);
    memcpy(y, lanes, count * sizeof *y);
}

/* The first `count` floats of 4 or more. */
GEMLET_INLINE float32x4_t load_any(const float *x, size_t count) {
    return count >= 4 ? vld1q_f32(x) : load_part(x, count);
}

GEMLET_INLINE void store_any(float *y, float32x4_t value, size_t count) {
    if (count >= 4) {
        vst1q_f32(y, value);
    } else {
        store_part(y, value, count);
    }
}

/* A zero of which the compiler does not know that it is one: it would take x - 0 for x, which keeps a NaN signalling. */
GEMLET_INLINE float32x4_t unknown_zero(void) {
    float32x4_t zero = vdupq_n_f32(0.0f);
#if defined(__aarch64__)
    __asm__("" : "+w"(zero));
#endif
    return zero;
}

/* The larger ones of `largest` and |x - zero|; NaN is none, not even one that signals, at which FMAXNM would forget what it had. */
GEMLET_INLINE float32x4_t larger_magnitudes(float32x4_t largest, float32x4_t x, float32x4_t zero) {
    return vmaxnmq_f32(largest, vabdq_f32(x, zero));
}

#endif
