#include "model/pack/convert.h"

#include <math.h>
#include <string.h>

#include "core/half.h"
#include "model/container/container.h"

enum { SUPER_BLOCK = 256 };

static uint16_t read_u16(const unsigned char *b) {
    return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t read_u32(const unsigned char *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static float read_half(const unsigned char *b) {
    return gemlet_half_to_float(read_u16(b));
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- Dequantise one block ---- */

static void q4_0(const unsigned char *b, float *out) {
    float d = read_half(b);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)((b[2 + j] & 15) - 8);
        out[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
    }
}

static void q4_1(const unsigned char *b, float *out) {
    float d = read_half(b), m = read_half(b + 2);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)(b[4 + j] & 15) + m;
        out[j + 16] = d * (float)(b[4 + j] >> 4) + m;
    }
}

/* The fifth bits of a block's 32 numbers are one word. */
static void fives(const unsigned char *high, const unsigned char *low, int *out) {
    uint32_t bits = read_u32(high);
    for (int j = 0; j < 16; j++) {
        out[j] = (low[j] & 15) | (int)(bits >> j & 1) << 4;
        out[j + 16] = low[j] >> 4 | (int)(bits >> (j + 16) & 1) << 4;
    }
}

static void q5_0(const unsigned char *b, float *out) {
    float d = read_half(b);
    int q[32];
    fives(b + 2, b + 6, q);
    for (int j = 0; j < 32; j++) {
        out[j] = d * (float)(q[j] - 16);
    }
}

static void q5_1(const unsigned char *b, float *out) {
    float d = read_half(b), m = read_half(b + 2);
    int q[32];
    fives(b + 4, b + 8, q);
    for (int j = 0; j < 32; j++) {
        out[j] = d * (float)q[j] + m;
    }
}

static void q8_0(const unsigned char *b, float *out) {
    float d = read_half(b);
    for (int j = 0; j < 32; j++) {
        out[j] = (float)(int8_t)b[2 + j] * d;
    }
}

/* In each half of 128 numbers, group g of 32 takes bits 2 g of 32 bytes: what Q2_K and Q3_K have in common. */
static int two_bits(const unsigned char *b, int i) {
    return b[32 * (i / 128) + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/* Sixteen sub-blocks of 16, each with a 4-bit scale and a 4-bit minimum. */
static void q2_k(const unsigned char *b, float *out) {
    float d = read_half(b + 80), dmin = read_half(b + 82);
    for (int i = 0; i < SUPER_BLOCK; i++) {
        float step = d * (float)(b[i / 16] & 15), base = dmin * (float)(b[i / 16] >> 4);
        out[i] = step * (float)two_bits(b + 16, i) - base;
    }
}

/* Sixteen 6-bit scales in 12 bytes: low nibbles, then the upper bits of scales i, i + 4, i + 8 and i + 12 in byte i.  A number is 4
 * less where its bit of the mask is 0. */
static void q3_k(const unsigned char *b, float *out) {
    const unsigned char *scales = b + 96;
    float d = read_half(b + 108);
    for (int i = 0; i < SUPER_BLOCK; i++) {
        int s = i / 16;
        int scale = (scales[s % 8] >> (s / 8 * 4) & 15) | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
        float step = d * (float)(scale - 32);
        out[i] = step * (float)(two_bits(b + 32, i) - ((b[i % 32] >> (i / 32) & 1) != 0 ? 0 : 4));
    }
}

/* Q4_K and Q5_K: eight 6-bit scales and minima in 12 bytes. */
static void six_bit_scales(const unsigned char *b, int *scale, int *minimum) {
    for (int i = 0; i < 4; i++) {
        scale[i] = b[i] & 63;
        minimum[i] = b[i + 4] & 63;
        scale[i + 4] = (b[i + 8] & 15) | (b[i] >> 6) << 4;
        minimum[i + 4] = b[i + 8] >> 4 | (b[i + 4] >> 6) << 4;
    }
}

/* Sub-block i takes the low (even i) or high nibbles of 32 bytes; Q5_K adds bit i of each of 32 more. */
static void q45_k(const unsigned char *b, bool five, float *out) {
    float d = read_half(b), dmin = read_half(b + 2);
    const unsigned char *high = b + 16, *low = five ? b + 48 : b + 16;
    int scale[8], minimum[8];
    six_bit_scales(b + 4, scale, minimum);
    for (int i = 0; i < 8; i++) {
        float step = d * (float)scale[i], base = dmin * (float)minimum[i];
        for (int j = 0; j < 32; j++) {
            int q = low[32 * (i / 2) + j] >> (i % 2 * 4) & 15;
            q |= five ? (high[j] >> i & 1) << 4 : 0;
            out[32 * i + j] = step * (float)q - base;
        }
    }
}

static void q4_k(const unsigned char *b, float *out) {
    q45_k(b, false, out);
}

static void q5_k(const unsigned char *b, float *out) {
    q45_k(b, true, out);
}

/* Sixteen sub-blocks of 16; in each half of 128 numbers, group g of 32 takes nibble g / 2 of 64 bytes and bits 2 g of 32. */
static void q6_k(const unsigned char *b, float *out) {
    float d = read_half(b + 208);
    for (int i = 0; i < SUPER_BLOCK; i++) {
        int half = i / 128, group = i % 128 / 32, j = i % 32;
        int low = b[64 * half + 32 * (group % 2) + j] >> (group / 2 * 4) & 15;
        int high = b[128 + 32 * half + j] >> (2 * group) & 3;
        float step = d * (float)(int8_t)b[192 + i / 16];
        out[i] = step * (float)((low | high << 4) - 32);
    }
}

/* The IQ4 formats' numbers, which are denser around 0. */
static const int8_t uneven_steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void uneven_block(float step, const unsigned char *b, float *out) {
    for (int j = 0; j < 16; j++) {
        out[j] = step * (float)uneven_steps[b[j] & 15];
        out[j + 16] = step * (float)uneven_steps[b[j] >> 4];
    }
}

static void iq4_nl(const unsigned char *b, float *out) {
    uneven_block(read_half(b), b + 2, out);
}

/* Eight sub-blocks of 32 with 6-bit scales: two upper bits each in one word, then nibbles. */
static void iq4_xs(const unsigned char *b, float *out) {
    float d = read_half(b);
    for (int i = 0; i < 8; i++) {
        int scale = (b[4 + i / 2] >> (i % 2 * 4) & 15) | (read_u16(b + 2) >> (2 * i) & 3) << 4;
        uneven_block(d * (float)(scale - 32), b + 8 + 16 * i, out + 32 * i);
    }
}

static void f32(const unsigned char *b, float *out) {
    *out = float_of_bits(read_u32(b));
}

static void f16(const unsigned char *b, float *out) {
    *out = read_half(b);
}

static void bf16(const unsigned char *b, float *out) {
    *out = float_of_bits((uint32_t)read_u16(b) << 16);
}

typedef void (*dequantize_block)(const unsigned char *block, float *out);

static dequantize_block find_dequantize(uint32_t type) {
    switch (type) {
    case GEMLET_TYPE_F32: return f32;
    case GEMLET_TYPE_F16: return f16;
    case GEMLET_TYPE_BF16: return bf16;
    case GEMLET_TYPE_Q4_0: return q4_0;
    case GEMLET_TYPE_Q4_1: return q4_1;
    case GEMLET_TYPE_Q5_0: return q5_0;
    case GEMLET_TYPE_Q5_1: return q5_1;
    case GEMLET_TYPE_Q8_0: return q8_0;
    case GEMLET_TYPE_Q2_K: return q2_k;
    case GEMLET_TYPE_Q3_K: return q3_k;
    case GEMLET_TYPE_Q4_K: return q4_k;
    case GEMLET_TYPE_Q5_K: return q5_k;
    case GEMLET_TYPE_Q6_K: return q6_k;
    case GEMLET_TYPE_IQ4_NL: return iq4_nl;
    case GEMLET_TYPE_IQ4_XS: return iq4_xs;
    default: return NULL;
    }
}

bool pack_dequantize(uint32_t type, const void *blocks, size_t count, float *out) {
    uint32_t elements, bytes;
    dequantize_block one = find_dequantize(type);
    if (one == NULL || !gemlet_type_block(type, &elements, &bytes)) {
        return false;
    }
    for (size_t i = 0; i < count / elements; i++) {
        one((const unsigned char *)blocks + i * bytes, out + i * elements);
    }
    return true;
}

/* ---- Quantise ---- */

static void write_half(unsigned char *b, float value) {
    uint16_t half = gemlet_float_to_half(value);
    b[0] = (unsigned char)(half & 255);
    b[1] = (unsigned char)(half >> 8);
}

/* 0 where it would not be finite: such a block's float16 scale is 0 as well. */
static float reciprocal(float d) {
    float inverse = d == 0.0f ? 0.0f : 1.0f / d;
    return isfinite(inverse) ? inverse : 0.0f;
}

/* The number with the largest magnitude, with its sign, becomes -8. */
static void quantize_q4_0(const float *in, unsigned char *b) {
    float largest = 0.0f;
    unsigned char q[32];
    for (int j = 0; j < 32; j++) {
        largest = fabsf(in[j]) > fabsf(largest) ? in[j] : largest;
    }
    float d = largest / -8.0f;
    float inverse = reciprocal(d);
    for (int j = 0; j < 32; j++) {
        float x = in[j] * inverse + 8.5f;
        q[j] = x > 15.0f ? 15 : (unsigned char)x;
    }
    write_half(b, d);
    for (int j = 0; j < 16; j++) {
        b[2 + j] = (unsigned char)(q[j] | q[j + 16] << 4);
    }
}

static void quantize_q8_0(const float *in, unsigned char *b) {
    float largest = 0.0f;
    for (int j = 0; j < 32; j++) {
        largest = fmaxf(largest, fabsf(in[j]));
    }
    float d = largest / 127.0f;
    float inverse = reciprocal(d);
    write_half(b, d);
    for (int j = 0; j < 32; j++) {
        b[2 + j] = (unsigned char)(int8_t)roundf(in[j] * inverse);
    }
}

void pack_quantize(gemlet_weight_type type, const float *in, size_t count, void *blocks) {
    unsigned char *b = blocks;
    for (size_t i = 0; i < count / GEMLET_BLOCK; i++, in += GEMLET_BLOCK) {
        if (type == GEMLET_Q4_0) {
            quantize_q4_0(in, b);
            b += 18;
        } else {
            quantize_q8_0(in, b);
            b += 34;
        }
    }
}

bool pack_widen(uint32_t type, const void *blocks, size_t count, void *out) {
    const unsigned char *b = blocks;
    unsigned char *to = out;
    size_t bytes = type == GEMLET_TYPE_Q4_0 ? 18 : 22;
    if (type != GEMLET_TYPE_Q4_0 && type != GEMLET_TYPE_Q5_0) {
        return false;
    }
    for (size_t i = 0; i < count / GEMLET_BLOCK; i++, b += bytes, to += 34) {
        int q[GEMLET_BLOCK];
        static const unsigned char none[4];
        bool five = type == GEMLET_TYPE_Q5_0;
        fives(five ? b + 2 : none, five ? b + 6 : b + 2, q);
        memcpy(to, b, 2);
        for (int j = 0; j < GEMLET_BLOCK; j++) {
            to[2 + j] = (unsigned char)(int8_t)(q[j] - (five ? 16 : 8));
        }
    }
    return true;
}

/* Rounds to the grid of `scale`; true where nothing is lost. */
static bool on_grid(const float *in, size_t count, float scale, int8_t *out) {
    bool exact = true;
    for (size_t i = 0; i < count; i++) {
        float q = fminf(fmaxf(rintf(in[i] / scale), -127.0f), 127.0f);
        out[i] = (int8_t)q;
        exact = exact && q * scale == in[i];
    }
    return exact;
}

/* Grids of a few levels, as models have that were trained with 2 or 4 bits.  Numbers that were rounded to bfloat16 after the
 * multiplication are off by a 256th at most, and so is the largest.  Answers the scale, or 0 where there is no such grid. */
static float on_levels(const float *in, size_t count, float largest, int8_t *out) {
    for (int levels = 1; levels <= 8; levels++) {
        double step = (double)largest / levels, product = 0.0, square = 0.0;
        size_t i = 0;
        for (; i < count; i++) {
            double level = rint((double)in[i] / step);
            if (!(fabs((double)in[i] / step - level) <=
                  fabs(level) / 127.0)) { /* nor NaN, where numbers are not yet known to be some */
                break;
            }
            out[i] = (int8_t)level;
            product += (double)in[i] * level;
            square += level * level;
        }
        if (i == count) {
            return on_grid(in, count, (float)step, out) ? (float)step : (float)(product / square);
        }
    }
    return 0.0f;
}

uint32_t pack_level_bits(const float *in, size_t count, int8_t *scratch) {
    float largest = 0.0f;
    int least = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(in[i]));
    }
    if (largest > 0.0f && !(on_levels(in, count, largest, scratch) > 0.0f)) {
        return 8;
    }
    for (size_t i = 0; i < count && largest > 0.0f; i++) {
        least = scratch[i] < least ? scratch[i] : least;
        most = scratch[i] > most ? scratch[i] : most;
    }
    return least >= -2 && most <= 1 ? 2 : most <= 7 ? 4 : 8;
}

float pack_quantize_channel(const float *in, size_t count, int8_t *out) {
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(in[i]));
    }
    float scale = largest / 127.0f;
    if (scale == 0.0f) {
        memset(out, 0, count);
        return 0.0f;
    }
    float step = on_levels(in, count, largest, out);
    if (step > 0.0f) {
        return step;
    }
    /* largest = round(127 s) / 127 need not round back to s, but then a neighbour does. */
    float tries[3] = {scale, nextafterf(scale, INFINITY), nextafterf(scale, 0.0f)};
    for (int i = 0; i < 3; i++) {
        if (tries[i] != 0.0f && on_grid(in, count, tries[i], out)) {
            return tries[i];
        }
    }
    on_grid(in, count, scale, out);
    return scale;
}
