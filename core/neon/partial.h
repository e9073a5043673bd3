/* Vectors of which only the first lanes are there: at the end of a row. */
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

#endif
