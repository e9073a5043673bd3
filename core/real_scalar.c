/* The definition of the float kernels, operation by operation. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/half.h"
#include "core/real.h"
#include "core/real_polynomials.h"

/* SUM16 of real.h.  Padding with zeros changes only the sign of a zero, but NEON adds them, so the definition does. */
typedef struct sum16 {
    float partial[16];
} sum16;

static float sum16_total(const sum16 *sum) {
    const float *p = sum->partial;
    float q[4];
    for (size_t j = 0; j < 4; j++) {
        q[j] = (p[j] + p[4 + j]) + (p[8 + j] + p[12 + j]);
    }
    return (q[0] + q[1]) + (q[2] + q[3]);
}

static size_t round_up(size_t length, size_t multiple) {
    return (length + multiple - 1) / multiple * multiple;
}

static float sum_of_squares_about(const float *x, float center, size_t length) {
    sum16 sum = {{0}};
    for (size_t i = 0; i < round_up(length, 4); i++) {
        float term = i < length ? x[i] - center : 0.0f;
        sum.partial[i % 16] = fmaf(term, term, sum.partial[i % 16]);
    }
    return sum16_total(&sum);
}

static float sum_of(const float *x, size_t length) {
    sum16 sum = {{0}};
    for (size_t i = 0; i < round_up(length, 4); i++) {
        sum.partial[i % 16] += i < length ? x[i] : 0.0f;
    }
    return sum16_total(&sum);
}

static float mean_square(const float *x, size_t length) {
    return length == 0 ? 0.0f : sum_of_squares_about(x, 0.0f, length) / (float)length;
}

static void rms_norm(const float *x, const float *weight, float epsilon, size_t length, float *y) {
    float inverse = 1.0f / sqrtf(mean_square(x, length) + epsilon);
    for (size_t i = 0; i < length; i++) {
        float normed = x[i] * inverse;
        y[i] = weight != NULL ? normed * weight[i] : normed;
    }
}

static void layer_norm(const float *x, const float *weight, const float *bias, float epsilon, size_t length, float *y) {
    float mean = length == 0 ? 0.0f : sum_of(x, length) / (float)length;
    float variance = length == 0 ? 0.0f : sum_of_squares_about(x, mean, length) / (float)length;
    float inverse = 1.0f / sqrtf(variance + epsilon);
    for (size_t i = 0; i < length; i++) {
        y[i] = fmaf((x[i] - mean) * inverse, weight[i], bias[i]);
    }
}

static float gelu_of(float x) {
    float magnitude = fabsf(x);
    float c = magnitude > GEMLET_GELU_LARGEST ? GEMLET_GELU_LARGEST : magnitude;
    float square = c * c;
    float p01 = fmaf(c, GEMLET_GELU_1, GEMLET_GELU_0);
    float p23 = fmaf(c, GEMLET_GELU_3, GEMLET_GELU_2);
    float p45 = fmaf(c, GEMLET_GELU_5, GEMLET_GELU_4);
    float p = fmaf(fmaf(fmaf(square, GEMLET_GELU_6, p45), square, p23), square, p01);
    float p2 = p * p;
    float p4 = p2 * p2;
    float p8 = p4 * p4;
    float p16 = p8 * p8;
    return (x < 0.0f ? 0.0f : x) - c / p16;
}

static void gelu(const float *x, size_t length, float *y) {
    for (size_t i = 0; i < length; i++) {
        y[i] = gelu_of(x[i]);
    }
}

static void gelu_multiply(const float *gate, const float *up, size_t length, float *y) {
    for (size_t i = 0; i < length; i++) {
        y[i] = gelu_of(gate[i]) * up[i];
    }
}

static void rms_norm_gelu(const float *x, const float *weight, float epsilon, size_t length, float *y) {
    rms_norm(x, weight, epsilon, length, y);
    gelu(y, length, y);
}

/* 2^v for v <= 0 as `power` * (1 + `rest`), with power a power of two or 0. */
typedef struct exponential {
    float power;
    float rest;
} exponential;

/* v = n + f with a whole n and |f| <= 0.5; *power = 2^n. */
static float fraction_of(float v, float *power) {
    v = v < GEMLET_EXP_LOWEST ? GEMLET_EXP_LOWEST : v;
    float shifted = v + GEMLET_EXP_ROUND;
    uint32_t bits = 0;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= 23;
    memcpy(power, &bits, sizeof bits);
    return v - (shifted - GEMLET_EXP_ROUND);
}

static exponential exp2_parts(float v) {
    exponential parts;
    float f = fraction_of(v, &parts.power);
    float square = f * f;
    float q01 = fmaf(f, GEMLET_EXP_1, GEMLET_EXP_0);
    float q23 = fmaf(f, GEMLET_EXP_3, GEMLET_EXP_2);
    float q = fmaf(fmaf(square, GEMLET_EXP_4, q23), square, q01);
    parts.rest = f * q;
    return parts;
}

static float exp_of(float x) {
    exponential parts = exp2_parts(x * GEMLET_LOG2_E);
    return fmaf(parts.power, parts.rest, parts.power);
}

static float sigmoid_of(float x) {
    float e = exp_of(-fabsf(x));
    float denominator = 1.0f + e;
    return (x < 0.0f ? e : 1.0f) / denominator;
}

static void sigmoid_multiply(const float *gate, const float *up, size_t length, float *y) {
    for (size_t i = 0; i < length; i++) {
        y[i] = sigmoid_of(gate[i]) * up[i];
    }
}

/* The largest element; 0 where all are masked. */
static float center_of(const float *x, size_t length) {
    float largest = -INFINITY;
    for (size_t i = 0; i < length; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest == -INFINITY ? 0.0f : largest;
}

static void softmax(float *x, size_t length) {
    float center = center_of(x, length);
    for (size_t i = 0; i < length; i++) {
        x[i] = exp_of(x[i] - center);
    }
    float sum = sum_of(x, length);
    float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
    for (size_t i = 0; i < length; i++) {
        x[i] *= inverse;
    }
}

static int32_t units_of(float v) {
    float power = 0.0f, f = fraction_of(v, &power);
    float p = fmaf(f * f, fmaf(f, GEMLET_UNITS_3, GEMLET_UNITS_2), fmaf(f, GEMLET_UNITS_1, GEMLET_UNITS_0));
    float t = p * power;
    return t >= 0.0f ? (int32_t)rintf(t) : 0;
}

static gemlet_softmax_block softmax_block(const float *x, size_t length, int8_t *weights) {
    gemlet_softmax_block block = {center_of(x, length), 0, 0};
    for (size_t i = 0; i < round_up(length, 16); i++) {
        int32_t t = i < length ? units_of(x[i] - block.largest) : 0;
        int32_t w = (t + GEMLET_WEIGHT_UNITS / 2) / GEMLET_WEIGHT_UNITS;
        weights[i] = (int8_t)(w - GEMLET_WEIGHT_CENTER);
        block.sum += t;
        block.rest += t - GEMLET_WEIGHT_UNITS * w;
    }
    return block;
}

/* tanh|z| = -m / (2 + m) with m = exp(-2|z|) - 1, so that small arguments keep their relative precision. */
static float tanh_of(float z) {
    exponential parts = exp2_parts(fabsf(z) * (-2.0f * GEMLET_LOG2_E));
    float m = fmaf(parts.power, parts.rest, parts.power - 1.0f);
    return copysignf(m / (2.0f + m), z);
}

static void soft_cap(float *x, float cap, size_t length) {
    float inverse = 1.0f / cap;
    for (size_t i = 0; i < length; i++) {
        x[i] = cap * tanh_of(x[i] * inverse);
    }
}

static void scale(float *x, float a, size_t length) {
    for (size_t i = 0; i < length; i++) {
        x[i] = a * x[i];
    }
}

static void add_scaled(float *y, float a, const float *x, size_t length) {
    for (size_t i = 0; i < length; i++) {
        y[i] = fmaf(a, x[i], y[i]);
    }
}

static void multiply(float *y, const float *x, size_t length) {
    for (size_t i = 0; i < length; i++) {
        y[i] = y[i] * x[i];
    }
}

static void multiply_add(float *y, const float *a, const float *x, size_t length) {
    for (size_t i = 0; i < length; i++) {
        y[i] = fmaf(a[i], x[i], y[i]);
    }
}

static void rope(float *x, const float *cosine, const float *sine, size_t length) {
    size_t half = length / 2;
    for (size_t i = 0; i < half; i++) {
        float a = x[i];
        float b = x[half + i];
        x[i] = fmaf(-b, sine[i], a * cosine[i]);
        x[half + i] = fmaf(a, sine[i], b * cosine[i]);
    }
}

static void to_half(const float *x, size_t length, uint16_t *y) {
    for (size_t i = 0; i < length; i++) {
        float value = x[i] > 65504.0f ? 65504.0f : x[i];
        y[i] = gemlet_float_to_half(value < -65504.0f ? -65504.0f : value);
    }
}

static float bfloat16_to_float(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value = 0.0f;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t float_to_bfloat16(float x) {
    uint32_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits >> 16) + (bits >> 15 & 1));
}

static void from_bfloat16(const uint16_t *x, size_t length, float *y) {
    for (size_t i = 0; i < length; i++) {
        y[i] = bfloat16_to_float(x[i]);
    }
}

static void to_bfloat16(const float *x, size_t length, uint16_t *y) {
    for (size_t i = 0; i < length; i++) {
        y[i] = float_to_bfloat16(x[i]);
    }
}

static void add_bfloat16(uint16_t *y, const float *scale, const float *x, size_t length) {
    for (size_t i = 0; i < length; i++) {
        float sum = bfloat16_to_float(y[i]);
        y[i] = float_to_bfloat16(scale != NULL ? fmaf(x[i], scale[i], sum) : x[i] + sum);
    }
}

static float row_element(const gemlet_rows *rows, size_t row, size_t i) {
    size_t at = row * rows->stride + i;
    switch (rows->type) {
    case GEMLET_ROW_F16: return gemlet_half_to_float(((const uint16_t *)rows->data)[at]);
    case GEMLET_ROW_S8: return (float)((const int8_t *)rows->data)[at];
    default: return ((const float *)rows->data)[at];
    }
}

static void dot(const gemlet_rows *rows, const float *x, size_t x_stride, size_t count, float *y, size_t y_stride) {
    for (size_t v = 0; v < count; v++) {
        for (size_t row = 0; row < rows->count; row++) {
            float p[4] = {0};
            for (size_t i = 0; i < round_up(rows->length, 8); i++) {
                bool inside = i < rows->length;
                p[i % 4] = fmaf(inside ? x[v * x_stride + i] : 0.0f, inside ? row_element(rows, row, i) : 0.0f, p[i % 4]);
            }
            float sum = (p[0] + p[1]) + (p[2] + p[3]);
            y[v * y_stride + row] = rows->type == GEMLET_ROW_S8 ? sum * rows->scale[row] : sum;
        }
    }
}

static void mix(const gemlet_rows *rows, const float *weights, size_t weight_stride, size_t count, float *y, size_t y_stride) {
    for (size_t v = 0; v < count; v++) {
        for (size_t row = 0; row < rows->count; row++) {
            float weight = weights[v * weight_stride + row];
            weight = rows->type == GEMLET_ROW_S8 ? weight * rows->scale[row] : weight;
            for (size_t i = 0; i < rows->length; i++) {
                y[v * y_stride + i] = fmaf(weight, row_element(rows, row, i), y[v * y_stride + i]);
            }
        }
    }
}

static size_t select_above(const float *x, size_t length, float multiplier, uint32_t *list, float *values) {
    float mean = sum_of(x, length) / (float)length;
    float deviation = sqrtf(sum_of_squares_about(x, mean, length) / (float)length);
    float cutoff = mean + deviation * multiplier;
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        if (x[i] > cutoff) {
            list[count] = (uint32_t)i;
            values[count++] = x[i] - cutoff;
        }
    }
    return count;
}

/* One output: the window begins at `column`, which may lie left of the picture. */
static float depthwise_output(const gemlet_depthwise *conv, const float *const *rows, const float *present, size_t width,
                              ptrdiff_t column, size_t channel) {
    float sum = -0.0f; /* adding to it leaves the first product as it is */
    for (size_t t = 0; t < conv->kernel; t++) {
        ptrdiff_t at = column + (ptrdiff_t)t;
        if (at < 0 || at >= (ptrdiff_t)width) {
            continue;
        }
        for (size_t r = 0; r < conv->kernel; r++) {
            float weight = rows[r] != NULL ? conv->weights[(r * conv->kernel + t) * conv->channels + channel] : 0.0f;
            const float *row = rows[r] != NULL ? rows[r] : present;
            sum = fmaf(row[(size_t)at * conv->channels + channel], weight, sum);
        }
    }
    return sum;
}

static void depthwise(const gemlet_depthwise *conv, const float *const *rows, size_t width, size_t padding, size_t outputs,
                      float *y) {
    const float *present = NULL;
    for (size_t r = 0; r < conv->kernel && present == NULL; r++) {
        present = rows[r];
    }
    for (size_t o = 0; o < outputs && present != NULL; o++) {
        ptrdiff_t column = (ptrdiff_t)(o * conv->stride) - (ptrdiff_t)padding;
        for (size_t channel = 0; channel < conv->channels; channel++) {
            y[o * conv->channels + channel] = depthwise_output(conv, rows, present, width, column, channel);
        }
    }
}

const gemlet_real_kernels gemlet_real_kernels_scalar = {
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
    .from_bfloat16 = from_bfloat16,
    .to_bfloat16 = to_bfloat16,
    .add_bfloat16 = add_bfloat16,
    .dot = dot,
    .mix = mix,
    .select_above = select_above,
    .depthwise = depthwise,
};
