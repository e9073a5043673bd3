/* Arrays of bfloat16: the encoder's pictures.  Every level uses these. */
#include "core/neon/neon.h"

#if GEMLET_COMPILED_LEVEL == 1
#include "core/neon/real_parts.h"

enum { STEP = 8 };

typedef struct float32x8 {
    float32x4_t low, high;
} float32x8;

/* Zeros go below the bits: for the high half, by interleaving. */
GEMLET_INLINE float32x8 load_bfloat16(const uint16_t *x) {
    uint16x8_t bits = vld1q_u16(x), zero = vdupq_n_u16(0);
    return (float32x8){vreinterpretq_f32_u16(vzip1q_u16(zero, bits)), vreinterpretq_f32_u16(vzip2q_u16(zero, bits))};
}

GEMLET_INLINE void store_bfloat16(uint16_t *y, float32x8 x) {
    uint16x4_t low = vrshrn_n_u32(vreinterpretq_u32_f32(x.low), 16);
    vst1q_u16(y, vcombine_u16(low, vrshrn_n_u32(vreinterpretq_u32_f32(x.high), 16)));
}

GEMLET_INLINE float32x8 load_floats(const float *x) {
    return (float32x8){vld1q_f32(x), vld1q_f32(x + 4)};
}

GEMLET_INLINE void store_floats(float *y, float32x8 x) {
    vst1q_f32(y, x.low);
    vst1q_f32(y + 4, x.high);
}

void gemlet_real_from_bfloat16_neon(const uint16_t *x, size_t length, float *y) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        store_floats(y + i, load_bfloat16(x + i));
    }
    if (i < length) {
        uint16_t from[STEP] = {0};
        float to[STEP];
        memcpy(from, x + i, (length - i) * sizeof *x);
        store_floats(to, load_bfloat16(from));
        memcpy(y + i, to, (length - i) * sizeof *y);
    }
}

void gemlet_real_to_bfloat16_neon(const float *x, size_t length, uint16_t *y) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        store_bfloat16(y + i, load_floats(x + i));
    }
    if (i < length) {
        float from[STEP] = {0};
        uint16_t to[STEP];
        memcpy(from, x + i, (length - i) * sizeof *x);
        store_bfloat16(to, load_floats(from));
        memcpy(y + i, to, (length - i) * sizeof *y);
    }
}

GEMLET_INLINE void add_step(uint16_t *y, const float *scale, const float *x) {
    float32x8 sum = load_bfloat16(y), term = load_floats(x);
    if (scale != NULL) {
        float32x8 factor = load_floats(scale);
        sum = (float32x8){vfmaq_f32(sum.low, term.low, factor.low), vfmaq_f32(sum.high, term.high, factor.high)};
    } else {
        sum = (float32x8){vaddq_f32(sum.low, term.low), vaddq_f32(sum.high, term.high)};
    }
    store_bfloat16(y, sum);
}

GEMLET_INLINE void add_scaled_or_not(uint16_t *y, const float *scale, const float *x, size_t length) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        add_step(y + i, scale != NULL ? scale + i : NULL, x + i);
    }
    if (i < length) {
        uint16_t sum[STEP] = {0};
        float factor[STEP] = {0}, term[STEP] = {0};
        memcpy(sum, y + i, (length - i) * sizeof *y);
        memcpy(term, x + i, (length - i) * sizeof *x);
        if (scale != NULL) {
            memcpy(factor, scale + i, (length - i) * sizeof *scale);
        }
        add_step(sum, scale != NULL ? factor : NULL, term);
        memcpy(y + i, sum, (length - i) * sizeof *y);
    }
}

void gemlet_real_add_bfloat16_neon(uint16_t *y, const float *scale, const float *x, size_t length) {
    if (scale != NULL) {
        add_scaled_or_not(y, scale, x, length);
    } else {
        add_scaled_or_not(y, NULL, x, length);
    }
}
#endif
