/* Magnitudes of activations, for the definitions of what quantises them. */
#ifndef GEMLET_CORE_QUANT_MAGNITUDE_H
#define GEMLET_CORE_QUANT_MAGNITUDE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The largest |x| of `count` floats, NaN being none; 0 where there is no other.  By their bits, which order them: of a NaN that
 * signals compilers make what they like, as of one that does not. */
static inline float gemlet_largest_magnitude(const float *x, size_t count) {
    const uint32_t infinity = UINT32_C(0x7F800000);
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= UINT32_C(0x7FFFFFFF);
        largest = bits <= infinity && bits > largest ? bits : largest;
    }
    float magnitude;
    memcpy(&magnitude, &largest, sizeof magnitude);
    return magnitude;
}

#endif
