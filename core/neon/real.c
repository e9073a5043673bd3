/* The float kernels that run along one vector.  Every level uses these: they need nothing beyond ARMv8.0. */
#include "core/neon/neon.h"

#if GEMLET_COMPILED_LEVEL == 1
#include <math.h>

#include "core/neon/real_parts.h"
#include "core/real_polynomials.h"

/* ---- sums ---- */

typedef struct sum16 {
    float32x4_t partial[4];
} sum16;

GEMLET_INLINE sum16 sum16_zero(void) {
    float32x4_t zero = vdupq_n_f32(0.0f);
    return (sum16){{zero, zero, zero, zero}};
}

GEMLET_INLINE float sum16_total(const sum16 *sum) {
    const float32x4_t *p = sum->partial;
    return add_lanes(vaddq_f32(vaddq_f32(p[0], p[1]), vaddq_f32(p[2], p[3])));
}

static float sum_of_squares(const float *x, size_t length) {
    sum16 sum = sum16_zero();
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        for (size_t j = 0; j < 4; j++) {
            float32x4_t term = vld1q_f32(x + i + 4 * j);
            sum.partial[j] = vfmaq_f32(sum.partial[j], term, term);
        }
    }
    for (size_t j = 0; i < length; i += 4, j++) {
        float32x4_t term = load_any(x + i, length - i);
        sum.partial[j] = vfmaq_f32(sum.partial[j], term, term);
    }
    return sum16_total(&sum);
}

static float sum_of_squares_about(const float *x, float center, size_t length) {
    float32x4_t about = vdupq_n_f32(center);
    sum16 sum = sum16_zero();
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        for (size_t j = 0; j < 4; j++) {
            float32x4_t term = vsubq_f32(vld1q_f32(x + i + 4 * j), about);
            sum.partial[j] = vfmaq_f32(sum.partial[j], term, term);
        }
    }
    for (size_t j = 0; i < length; i += 4, j++) {
        size_t count = length - i < 4 ? length - i : 4;
        float32x4_t term = vsubq_f32(load_any(x + i, count), about);
        if (count < 4) {
            float lanes[4] = {0};
            store_part(lanes, term, count);
            term = vld1q_f32(lanes);
        }
        sum.partial[j] = vfmaq_f32(sum.partial[j], term, term);
    }
    return sum16_total(&sum);
}

static float sum_of(const float *x, size_t length) {
    sum16 sum = sum16_zero();
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        for (size_t j = 0; j < 4; j++) {
            sum.partial[j] = vaddq_f32(sum.partial[j], vld1q_f32(x + i + 4 * j));
        }
    }
    for (size_t j = 0; i < length; i += 4, j++) {
        sum.partial[j] = vaddq_f32(sum.partial[j], load_any(x + i, length - i));
    }
    return sum16_total(&sum);
}

static float mean_square(const float *x, size_t length) {
    return length == 0 ? 0.0f : sum_of_squares(x, length) / (float)length;
}

/* ---- functions of one element ---- */

GEMLET_INLINE float32x4_t gelu_of(float32x4_t x) {
    float32x4_t c = vminq_f32(vabsq_f32(x), vdupq_n_f32(GEMLET_GELU_LARGEST));
    float32x4_t square = vmulq_f32(c, c);
    float32x4_t p01 = vfmaq_f32(vdupq_n_f32(GEMLET_GELU_0), c, vdupq_n_f32(GEMLET_GELU_1));
    float32x4_t p23 = vfmaq_f32(vdupq_n_f32(GEMLET_GELU_2), c, vdupq_n_f32(GEMLET_GELU_3));
    float32x4_t p45 = vfmaq_f32(vdupq_n_f32(GEMLET_GELU_4), c, vdupq_n_f32(GEMLET_GELU_5));
    float32x4_t p456 = vfmaq_f32(p45, square, vdupq_n_f32(GEMLET_GELU_6));
    float32x4_t p = vfmaq_f32(p01, vfmaq_f32(p23, p456, square), square);
    float32x4_t p2 = vmulq_f32(p, p);
    float32x4_t p4 = vmulq_f32(p2, p2);
    float32x4_t p8 = vmulq_f32(p4, p4);
    float32x4_t p16 = vmulq_f32(p8, p8);
    /* Clearing by mask, unlike a maximum, keeps NaN and costs the same at every host. */
    float32x4_t positive = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vcltzq_f32(x)));
    return vsubq_f32(positive, vdivq_f32(c, p16));
}

/* 2^v for v <= 0 as `power` * (1 + `rest`). */
typedef struct exponential {
    float32x4_t power;
    float32x4_t rest;
} exponential;

/* v = n + f with a whole n and |f| <= 0.5; *power = 2^n. */
GEMLET_INLINE float32x4_t fraction_of(float32x4_t v, float32x4_t *power) {
    v = vmaxq_f32(v, vdupq_n_f32(GEMLET_EXP_LOWEST));
    float32x4_t shifted = vaddq_f32(v, vdupq_n_f32(GEMLET_EXP_ROUND));
    *power = vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23));
    return vsubq_f32(v, vsubq_f32(shifted, vdupq_n_f32(GEMLET_EXP_ROUND)));
}

GEMLET_INLINE exponential exp2_parts(float32x4_t v) {
    exponential parts;
    float32x4_t f = fraction_of(v, &parts.power);
    float32x4_t square = vmulq_f32(f, f);
    float32x4_t q01 = vfmaq_f32(vdupq_n_f32(GEMLET_EXP_0), f, vdupq_n_f32(GEMLET_EXP_1));
    float32x4_t q23 = vfmaq_f32(vdupq_n_f32(GEMLET_EXP_2), f, vdupq_n_f32(GEMLET_EXP_3));
    float32x4_t q = vfmaq_f32(q01, vfmaq_f32(q23, square, vdupq_n_f32(GEMLET_EXP_4)), square);
    parts.rest = vmulq_f32(f, q);
    return parts;
}

GEMLET_INLINE float32x4_t exp_of(float32x4_t x) {
    exponential parts = exp2_parts(vmulq_f32(x, vdupq_n_f32(GEMLET_LOG2_E)));
    return vfmaq_f32(parts.power, parts.power, parts.rest);
}

GEMLET_INLINE float32x4_t tanh_of(float32x4_t z) {
    exponential parts = exp2_parts(vmulq_f32(vabsq_f32(z), vdupq_n_f32(-2.0f * GEMLET_LOG2_E)));
    float32x4_t m = vfmaq_f32(vsubq_f32(parts.power, vdupq_n_f32(1.0f)), parts.power, parts.rest);
    float32x4_t ratio = vdivq_f32(m, vaddq_f32(vdupq_n_f32(2.0f), m));
    return vbslq_f32(vdupq_n_u32(0x7FFFFFFFu), ratio, z);
}

GEMLET_INLINE float32x4_t sigmoid_of(float32x4_t x) {
    float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t e = exp_of(vnegq_f32(vabsq_f32(x)));
    return vdivq_f32(vbslq_f32(vcltzq_f32(x), e, one), vaddq_f32(one, e));
}

/* ---- one vector in, one out ---- */

/* What the walks below do with four elements; a and b are broadcast parameters. */
typedef enum operation {
    GELU,
    GELU_MULTIPLY,
    SIGMOID_MULTIPLY,
    NORM,
    NORM_WEIGHT,
    NORM_GELU,
    NORM_WEIGHT_GELU,
    SOFT_CAP,
    SCALE,
    ADD_SCALED,
    MULTIPLY
} operation;

GEMLET_INLINE float32x4_t apply(operation what, float32x4_t x, float32x4_t second, float32x4_t a, float32x4_t b) {
    switch (what) {
    case GELU: return gelu_of(x);
    case GELU_MULTIPLY: return vmulq_f32(gelu_of(x), second);
    case SIGMOID_MULTIPLY: return vmulq_f32(sigmoid_of(x), second);
    case NORM:
    case SCALE: return vmulq_f32(x, a);
    case NORM_WEIGHT: return vmulq_f32(vmulq_f32(x, a), second);
    case NORM_GELU: return gelu_of(vmulq_f32(x, a));
    case NORM_WEIGHT_GELU: return gelu_of(vmulq_f32(vmulq_f32(x, a), second));
    case SOFT_CAP: return vmulq_f32(b, tanh_of(vmulq_f32(x, a)));
    case ADD_SCALED: return vfmaq_f32(x, a, second);
    case MULTIPLY: return vmulq_f32(x, second);
    }
    return x;
}

/* y = what(x, second).  Four vectors are loaded before the first is stored: y may be x, so the compiler could not overlap them. */
GEMLET_INLINE void walk(operation what, const float *x, const float *second, float first_parameter, float second_parameter,
                        size_t length, float *y) {
    float32x4_t a = vdupq_n_f32(first_parameter);
    float32x4_t b = vdupq_n_f32(second_parameter);
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        float32x4_t in[4];
        float32x4_t other[4];
        for (size_t j = 0; j < 4; j++) {
            in[j] = vld1q_f32(x + i + 4 * j);
            other[j] = second != NULL ? vld1q_f32(second + i + 4 * j) : a;
        }
        for (size_t j = 0; j < 4; j++) {
            in[j] = apply(what, in[j], other[j], a, b);
        }
        for (size_t j = 0; j < 4; j++) {
            vst1q_f32(y + i + 4 * j, in[j]);
        }
    }
    for (; i + 4 <= length; i += 4) {
        float32x4_t other = second != NULL ? vld1q_f32(second + i) : a;
        vst1q_f32(y + i, apply(what, vld1q_f32(x + i), other, a, b));
    }
    if (i < length) {
        float32x4_t other = second != NULL ? load_part(second + i, length - i) : a;
        store_part(y + i, apply(what, load_part(x + i, length - i), other, a, b), length - i);
    }
}

static void rms_norm(const float *x, const float *weight, float epsilon, size_t length, float *y) {
    float inverse = 1.0f / sqrtf(mean_square(x, length) + epsilon);
    if (weight != NULL) {
        walk(NORM_WEIGHT, x, weight, inverse, 0.0f, length, y);
    } else {
        walk(NORM, x, NULL, inverse, 0.0f, length, y);
    }
}

static void layer_norm(const float *x, const float *weight, const float *bias, float epsilon, size_t length, float *y) {
    float mean = length == 0 ? 0.0f : sum_of(x, length) / (float)length;
    float variance = length == 0 ? 0.0f : sum_of_squares_about(x, mean, length) / (float)length;
    float32x4_t center = vdupq_n_f32(mean), inverse = vdupq_n_f32(1.0f / sqrtf(variance + epsilon));
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        float32x4_t normed = vmulq_f32(vsubq_f32(vld1q_f32(x + i), center), inverse);
        vst1q_f32(y + i, vfmaq_f32(vld1q_f32(bias + i), normed, vld1q_f32(weight + i)));
    }
    if (i < length) {
        float32x4_t normed = vmulq_f32(vsubq_f32(load_part(x + i, length - i), center), inverse);
        float32x4_t out = vfmaq_f32(load_part(bias + i, length - i), normed, load_part(weight + i, length - i));
        store_part(y + i, out, length - i);
    }
}

static void rms_norm_gelu(const float *x, const float *weight, float epsilon, size_t length, float *y) {
    float inverse = 1.0f / sqrtf(mean_square(x, length) + epsilon);
    if (weight != NULL) {
        walk(NORM_WEIGHT_GELU, x, weight, inverse, 0.0f, length, y);
    } else {
        walk(NORM_GELU, x, NULL, inverse, 0.0f, length, y);
    }
}

static void gelu(const float *x, size_t length, float *y) {
    walk(GELU, x, NULL, 0.0f, 0.0f, length, y);
}

static void gelu_multiply(const float *gate, const float *up, size_t length, float *y) {
    walk(GELU_MULTIPLY, gate, up, 0.0f, 0.0f, length, y);
}

static void sigmoid_multiply(const float *gate, const float *up, size_t length, float *y) {
    walk(SIGMOID_MULTIPLY, gate, up, 0.0f, 0.0f, length, y);
}

static void soft_cap(float *x, float cap, size_t length) {
    walk(SOFT_CAP, x, NULL, 1.0f / cap, cap, length, x);
}

static void scale(float *x, float a, size_t length) {
    walk(SCALE, x, NULL, a, 0.0f, length, x);
}

static void add_scaled(float *y, float a, const float *x, size_t length) {
    walk(ADD_SCALED, y, x, a, 0.0f, length, y);
}

static void multiply(float *y, const float *x, size_t length) {
    walk(MULTIPLY, y, x, 0.0f, 0.0f, length, y);
}

static void multiply_add(float *y, const float *a, const float *x, size_t length) {
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        vst1q_f32(y + i, vfmaq_f32(vld1q_f32(y + i), vld1q_f32(a + i), vld1q_f32(x + i)));
    }
    if (i < length) {
        size_t rest = length - i;
        store_part(y + i, vfmaq_f32(load_part(y + i, rest), load_part(a + i, rest), load_part(x + i, rest)), rest);
    }
}

/* ---- softmax ---- */

static float largest_of(const float *x, size_t length) {
    float32x4_t most = vdupq_n_f32(-INFINITY);
    float32x4_t second = most;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        most = vmaxnmq_f32(most, vld1q_f32(x + i));
        second = vmaxnmq_f32(second, vld1q_f32(x + i + 4));
    }
    float lanes[4];
    vst1q_f32(lanes, vmaxnmq_f32(most, second));
    float largest = -INFINITY;
    for (size_t j = 0; j < 4; j++) {
        largest = lanes[j] > largest ? lanes[j] : largest;
    }
    for (; i < length; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

/* x = exp(x - center); answers SUM16 of the results. */
static float exponentials(float *x, float center, size_t length) {
    float32x4_t about = vdupq_n_f32(center);
    sum16 sum = sum16_zero();
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        float32x4_t e[4];
        for (size_t j = 0; j < 4; j++) {
            e[j] = exp_of(vsubq_f32(vld1q_f32(x + i + 4 * j), about));
        }
        for (size_t j = 0; j < 4; j++) {
            vst1q_f32(x + i + 4 * j, e[j]);
            sum.partial[j] = vaddq_f32(sum.partial[j], e[j]);
        }
    }
    for (size_t j = 0; i < length; i += 4, j++) {
        size_t count = length - i < 4 ? length - i : 4;
        float lanes[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}; /* exp makes zeros of them */
        memcpy(lanes, x + i, count * sizeof *x);
        float32x4_t e = exp_of(vsubq_f32(vld1q_f32(lanes), about));
        store_part(x + i, e, count);
        sum.partial[j] = vaddq_f32(sum.partial[j], e);
    }
    return sum16_total(&sum);
}

static float center_of(const float *x, size_t length) {
    float largest = largest_of(x, length);
    return largest == -INFINITY ? 0.0f : largest;
}

static void softmax(float *x, size_t length) {
    float sum = exponentials(x, center_of(x, length), length);
    scale(x, sum == 0.0f ? 0.0f : 1.0f / sum, length);
}

/* Of 16 elements; adds to the sums of t and of t - 128 * w. */
GEMLET_INLINE void block_step(const float *x, float32x4_t largest, int8_t *weights, int32x4_t *sum, int32x4_t *rest) {
    int32x4_t t[4];
    int16x8_t pairs[2];
    for (size_t j = 0; j < 4; j++) {
        float32x4_t power, f = fraction_of(vsubq_f32(vld1q_f32(x + 4 * j), largest), &power);
        float32x4_t p01 = vfmaq_f32(vdupq_n_f32(GEMLET_UNITS_0), f, vdupq_n_f32(GEMLET_UNITS_1));
        float32x4_t p23 = vfmaq_f32(vdupq_n_f32(GEMLET_UNITS_2), f, vdupq_n_f32(GEMLET_UNITS_3));
        t[j] = vcvtnq_s32_f32(vmulq_f32(vfmaq_f32(p01, vmulq_f32(f, f), p23), power));
    }
    for (size_t j = 0; j < 2; j++) {
        pairs[j] = vuzp1q_s16(vreinterpretq_s16_s32(t[2 * j]), vreinterpretq_s16_s32(t[2 * j + 1]));
        *sum = vpadalq_s16(*sum, pairs[j]);
    }
    /* What rounding leaves is t's lowest 7 bits as a signed number: t doubled in 8 bits and halved with its sign. */
    int8x16_t lowest = vuzp1q_s8(vreinterpretq_s8_s16(pairs[0]), vreinterpretq_s8_s16(pairs[1]));
    *rest = vpadalq_s16(*rest, vpaddlq_s8(vshrq_n_s8(vshlq_n_s8(lowest, 1), 1)));
    int8x16_t w = vcombine_s8(vrshrn_n_s16(pairs[0], 7), vrshrn_n_s16(pairs[1], 7)); /* modulo 256 */
    vst1q_s8(weights, vsubq_s8(w, vdupq_n_s8(GEMLET_WEIGHT_CENTER)));
}

static gemlet_softmax_block softmax_block(const float *x, size_t length, int8_t *weights) {
    float largest = center_of(x, length);
    float32x4_t center = vdupq_n_f32(largest);
    int32x4_t sum = vdupq_n_s32(0), rest = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        block_step(x + i, center, weights + i, &sum, &rest);
    }
    if (i < length) {
        float last[16];
        for (size_t j = 0; j < 16; j++) {
            last[j] = i + j < length ? x[i + j] : -INFINITY; /* they get no weight */
        }
        block_step(last, center, weights + i, &sum, &rest);
    }
    return (gemlet_softmax_block){largest, vaddvq_s32(sum), vaddvq_s32(rest)};
}

/* ---- the rest ---- */

static void rope(float *x, const float *cosine, const float *sine, size_t length) {
    size_t half = length / 2;
    for (size_t i = 0; i < half; i += 4) {
        size_t count = half - i < 4 ? half - i : 4;
        float *low = x + i;
        float *high = x + half + i;
        float32x4_t a = load_any(low, count);
        float32x4_t b = load_any(high, count);
        float32x4_t c = load_any(cosine + i, count);
        float32x4_t s = load_any(sine + i, count);
        float32x4_t new_low = vfmaq_f32(vmulq_f32(a, c), vnegq_f32(b), s);
        float32x4_t new_high = vfmaq_f32(vmulq_f32(b, c), a, s);
        store_any(low, new_low, count);
        store_any(high, new_high, count);
    }
}

GEMLET_INLINE uint16x4_t half_of(float32x4_t x) {
    float32x4_t limit = vdupq_n_f32(65504.0f);
    return vreinterpret_u16_f16(vcvt_f16_f32(vmaxq_f32(vminq_f32(x, limit), vnegq_f32(limit))));
}

static void to_half(const float *x, size_t length, uint16_t *y) {
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        vst1_u16(y + i, half_of(vld1q_f32(x + i)));
    }
    if (i < length) {
        uint16_t lanes[4];
        vst1_u16(lanes, half_of(load_part(x + i, length - i)));
        memcpy(y + i, lanes, (length - i) * sizeof *y);
    }
}

/* 16 bits, 4 apart, of the elements above the cut-off: one of the 16 in 20 is, so that most groups of 16 are skipped or have few.
 */
GEMLET_INLINE uint64_t above_mask(const float *x, float32x4_t cutoff) {
    uint16x4_t m0 = vmovn_u32(vcgtq_f32(vld1q_f32(x), cutoff));
    uint16x4_t m1 = vmovn_u32(vcgtq_f32(vld1q_f32(x + 4), cutoff));
    uint16x4_t m2 = vmovn_u32(vcgtq_f32(vld1q_f32(x + 8), cutoff));
    uint16x4_t m3 = vmovn_u32(vcgtq_f32(vld1q_f32(x + 12), cutoff));
    uint8x16_t bytes = vcombine_u8(vmovn_u16(vcombine_u16(m0, m1)), vmovn_u16(vcombine_u16(m2, m3)));
    uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(bytes), 4);
    return vget_lane_u64(vreinterpret_u64_u8(nibbles), 0);
}

static size_t select_above(const float *x, size_t length, float multiplier, uint32_t *list, float *values) {
    float mean = sum_of(x, length) / (float)length;
    float deviation = sqrtf(sum_of_squares_about(x, mean, length) / (float)length);
    float cutoff = mean + deviation * multiplier;
    size_t count = 0;
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        uint64_t mask = above_mask(x + i, vdupq_n_f32(cutoff)) & UINT64_C(0x1111111111111111);
        for (; mask != 0; mask &= mask - 1) {
            size_t at = i + (size_t)__builtin_ctzll(mask) / 4;
            list[count] = (uint32_t)at;
            values[count++] = x[at] - cutoff;
        }
    }
    for (; i < length; i++) {
        if (x[i] > cutoff) {
            list[count] = (uint32_t)i;
            values[count++] = x[i] - cutoff;
        }
    }
    return count;
}

const gemlet_real_kernels gemlet_real_kernels_neon = {
    .mean_square = mean_square,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .rms_norm_gelu = rms_norm_gelu,
    .gelu = gelu,
    .gelu_multiply = gelu_multiply,
    .sigmoid_multiply = sigmoid_multiply,
    .softmax = softmax,
    .softmax_block = softmax_block,
    .soft_cap = soft_cap,
    .scale = scale,
    .add_scaled = add_scaled,
    .multiply = multiply,
    .multiply_add = multiply_add,
    .rope = rope,
    .to_half = to_half,
    .from_bfloat16 = gemlet_real_from_bfloat16_neon,
    .to_bfloat16 = gemlet_real_to_bfloat16_neon,
    .add_bfloat16 = gemlet_real_add_bfloat16_neon,
    .dot = gemlet_real_dot_neon,
    .mix = gemlet_real_mix_neon,
    .select_above = select_above,
    .depthwise = gemlet_real_depthwise_neon,
};
#endif
