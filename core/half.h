/* IEEE 754 binary16 as 16 bits, in portable C. */
#ifndef GEMLET_CORE_HALF_H
#define GEMLET_CORE_HALF_H

#include <stdint.h>
#include <string.h>

/* Exact for every input; NaN stays NaN. */
static inline float gemlet_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu;
    uint32_t mantissa = half & 0x3FFu;
    uint32_t bits = 0;
    float value = 0.0f;
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24 is exact in float */
        value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else {
        uint32_t float_exponent = exponent == 0x1Fu ? 0xFFu : exponent + 112u;
        bits = sign | float_exponent << 23 | mantissa << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to nearest, ties to even; what is beyond the largest finite half becomes an infinity; NaN becomes a quiet NaN. */
static inline uint16_t gemlet_float_to_half(float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u) {
        return (uint16_t)(sign | 0x7E00u);
    }
    if (bits >= 0x477FF000u) { /* rounds to 65,536 or more */
        return (uint16_t)(sign | 0x7C00u);
    }
    if (bits < 0x38800000u) { /* subnormal half: adding 0.5 leaves the rounded value * 2^24 in the low bits */
        float magnitude = 0.0f;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3F000000u));
    }
    uint32_t odd = (bits >> 13) & 1u;
    return (uint16_t)(sign | ((bits - 0x38000000u + 0xFFFu + odd) >> 13));
}

#endif
