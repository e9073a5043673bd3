/* What numbers are clamped to before or behind a matrix. */
#ifndef GEMLET_MODEL_CONTAINER_BOUNDS_H
#define GEMLET_MODEL_CONTAINER_BOUNDS_H

#include <stddef.h>

/* Both or, where nothing is clamped, neither: NULL. */
typedef struct gemlet_bounds {
    const float *least, *most; /* [1], finite and in order */
} gemlet_bounds;

/* y = clamp(x), in place or not; NaN becomes the lower bound. */
static inline void gemlet_clamp(const gemlet_bounds *bounds, const float *x, size_t count, float *y) {
    float least = *bounds->least, most = *bounds->most;
    for (size_t i = 0; i < count; i++) {
        float value = x[i] > least ? x[i] : least;
        y[i] = value < most ? value : most;
    }
}

#endif
