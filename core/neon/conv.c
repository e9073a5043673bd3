/* int8 convolutions: tiles of one or two panels (8 outputs each) by four pixels, all of whose sums stay in registers.
 *
 * Each level's section says how it adds channels to a tile's sums and how the sums become outputs in order:
 *
 *     neon     bytes_neon.h: SMULL, SMLAL and SADALP make 16 multiply-adds
 *
 *     dotprod  SDOT by element: 16 multiply-adds; pixels are read as they lie
 *
 *     i8mm     SMMLA: 32 multiply-adds, of 2 outputs x 2 pixels; LD4 brings the outputs in pairs, pixels are paired in registers
 *
 * Two panels halve the loads of pixels.  At neon the four pixels of one panel take all 32 registers.
 */
#include "core/quant/conv.h"

#include <float.h>
#include <stdbool.h>
#include <string.h>

#include "core/neon/bytes_neon.h"
#include "core/neon/ordered.h"

enum {
    PANEL = GEMLET_CONV_PANEL,
    STEP = GEMLET_CHANNEL_PADDING,
    BLOCK_CHANNELS = 8,
    BLOCK_BYTES = PANEL * BLOCK_CHANNELS,
    TILE_PIXELS = 4
};

#define UNROLL _Pragma("GCC unroll 8")

/* Moves a pointer on and hides that from the optimiser, which would otherwise compute each address anew from a common base: so a
 * load and its increment become one post-indexed instruction. */
GEMLET_INLINE void advance(const int8_t **pointer, int bytes) {
    *pointer += bytes;
    __asm__("" : "+r"(*pointer));
}

#if GEMLET_COMPILED_LEVEL == 1
GEMLET_INLINE int8x16x4_t load_block(const int8_t **w) {
    int8x16x4_t block = vld1q_s8_x4(*w);
    advance(w, BLOCK_BYTES);
    return block;
}
#endif

#if GEMLET_COMPILED_LEVEL >= 2
/* Loads 32 channels of a pixel, or 16.  GCC has no intrinsic for a post-indexed pair, and a tuple would have to be copied. */
GEMLET_INLINE void load_channels(int channels, const int8_t **x, int8x16_t pixel[2]) {
#if defined(__aarch64__)
    if (channels == 2 * STEP) {
        __asm__ volatile("ldp %q0, %q1, [%2], #32"
                         : "=w"(pixel[0]), "=w"(pixel[1]), "+r"(*x)
                         : "m"(*(const int8_t(*)[2 * STEP]) * x));
        return;
    }
#endif
    UNROLL
    for (int i = 0; i < channels / STEP; i++) {
        pixel[i] = vld1q_s8(*x);
        advance(x, STEP);
    }
}
#endif

#if GEMLET_COMPILED_LEVEL == 1

enum { TILE_PANELS = 1 };

/* Sums of a pixel as bytes_neon.h makes them. */
typedef int32x4_t tile_sums[TILE_PANELS][TILE_PIXELS][4];

/* 16 channels: their weights first, then pixel after pixel. */
GEMLET_INLINE void add_step(const int8_t **w, const int8_t **x, int32x4_t sum[TILE_PIXELS][4]) {
    int8x16x4_t first = load_block(w);
    int8x16x4_t second = load_block(w);
    int32x4x4_t pixel = load_repeated(&x[0]);
    ADD_AND_LOAD(sum[0], first, second, HALVES_OF_COLUMNS, pixel, x[1]);
    ADD_AND_LOAD(sum[1], first, second, HALVES_OF_COLUMNS, pixel, x[2]);
    ADD_AND_LOAD(sum[2], first, second, HALVES_OF_COLUMNS, pixel, x[3]);
    ADD_LAST(sum[3], first, second, HALVES_OF_COLUMNS, pixel, x[3]);
}

GEMLET_INLINE void add_channels(int channels, int panels, const int8_t **w, const int8_t **x, tile_sums sum) {
    UNROLL
    for (int c = 0; c < channels; c += STEP) {
        UNROLL
        for (int panel = 0; panel < panels; panel++) {
            add_step(&w[panel], x, sum[panel]);
        }
    }
}

GEMLET_INLINE int32x4x2_t outputs_of(tile_sums sum, int panel, int p) {
    const int32x4_t *s = sum[panel][p];
    return (int32x4x2_t){{vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3])}};
}

#elif GEMLET_COMPILED_LEVEL == 2

enum { TILE_PANELS = 2 };

/* Sums of a pixel and panel: outputs 0-3 and 4-7. */
typedef int32x4_t tile_sums[TILE_PANELS][TILE_PIXELS][2];

/* A block of 8 channels: lanes `lane` and lane + 1 of each pixel's vector, which become a part of an instruction's text. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define ADD_BLOCK(sum, w0, w1, w2, w3, pixel, half, lane)                                                                          \
    for (int p = 0; p < TILE_PIXELS; p++) {                                                                                        \
        ORDERED_DOT_LANE((sum)[p][0], w0, (pixel)[p][half], lane);                                                                 \
        ORDERED_DOT_LANE((sum)[p][1], w2, (pixel)[p][half], lane);                                                                 \
    }                                                                                                                              \
    for (int p = 0; p < TILE_PIXELS; p++) {                                                                                        \
        ORDERED_DOT_LANE((sum)[p][0], w1, (pixel)[p][half], lane + 1);                                                             \
        ORDERED_DOT_LANE((sum)[p][1], w3, (pixel)[p][half], lane + 1);                                                             \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

/* Blocks take turns in two sets of registers, all that sums and pixels leave: a core that executes in order would wait for the
 * loads. */
GEMLET_INLINE void add_channels(int channels, int panels, const int8_t **w, const int8_t **x, tile_sums sum) {
    ORDERED_LOCAL int8x16_t a0 ORDERED_REGISTER("v24"), a1 ORDERED_REGISTER("v25"), a2 ORDERED_REGISTER("v26");
    ORDERED_LOCAL int8x16_t a3 ORDERED_REGISTER("v27"), b0 ORDERED_REGISTER("v28"), b1 ORDERED_REGISTER("v29");
    ORDERED_LOCAL int8x16_t b2 ORDERED_REGISTER("v30"), b3 ORDERED_REGISTER("v31");
    int8x16_t pixel[TILE_PIXELS][2];
    const int groups = channels / STEP * panels;
    ORDERED_LOAD_NEXT_64(a0, a1, a2, a3, w[0], "v24", "v25", "v26", "v27");
    ORDERED_LOAD_NEXT_64(b0, b1, b2, b3, w[0], "v28", "v29", "v30", "v31");
    UNROLL
    for (int p = 0; p < TILE_PIXELS; p++) {
        load_channels(channels, &x[p], pixel[p]);
    }
    UNROLL
    for (int group = 0; group < groups; group++) {
        const int half = group / panels, panel = group % panels, next = (group + 1) % panels;
        ADD_BLOCK(sum[panel], a0, a1, a2, a3, pixel, half, 0)
        if (group + 1 < groups) {
            ORDERED_LOAD_NEXT_64(a0, a1, a2, a3, w[next], "v24", "v25", "v26", "v27");
        }
        ADD_BLOCK(sum[panel], b0, b1, b2, b3, pixel, half, 2)
        if (group + 1 < groups) {
            ORDERED_LOAD_NEXT_64(b0, b1, b2, b3, w[next], "v28", "v29", "v30", "v31");
        }
    }
}

GEMLET_INLINE int32x4x2_t outputs_of(tile_sums sum, int panel, int p) {
    return (int32x4x2_t){{sum[panel][p][0], sum[panel][p][1]}};
}

#else

enum { TILE_PANELS = 2 };

/* Sums of a pair of pixels and a panel: vector i holds outputs i and i + 4 of the first pixel, then of the second. */
typedef int32x4_t tile_sums[TILE_PANELS][TILE_PIXELS / 2][4];

GEMLET_INLINE int8x16_t low_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

GEMLET_INLINE int8x16_t high_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

/* 8 channels of both pixels in each vector of `pair`. */
GEMLET_INLINE void load_pair(int channels, const int8_t **a, const int8_t **b, int8x16_t *pair) {
    int8x16_t first[2], second[2];
    load_channels(channels, a, first);
    load_channels(channels, b, second);
    UNROLL
    for (int i = 0; i < channels / STEP; i++) {
        pair[2 * i] = low_halves(first[i], second[i]);
        pair[2 * i + 1] = high_halves(first[i], second[i]);
    }
}

/* A block of 8 channels. */
#define ADD_BLOCK(sum, w0, w1, w2, w3, pairs, block)                                                                               \
    for (int p = 0; p < TILE_PIXELS / 2; p++) {                                                                                    \
        ORDERED_MATRIX_MULTIPLY((sum)[p][0], (pairs)[p][block], w0);                                                               \
        ORDERED_MATRIX_MULTIPLY((sum)[p][1], (pairs)[p][block], w1);                                                               \
        ORDERED_MATRIX_MULTIPLY((sum)[p][2], (pairs)[p][block], w2);                                                               \
        ORDERED_MATRIX_MULTIPLY((sum)[p][3], (pairs)[p][block], w3);                                                               \
    }

/* Blocks take turns in two sets of registers, as at dotprod. */
GEMLET_INLINE void add_channels(int channels, int panels, const int8_t **w, const int8_t **x, tile_sums sum) {
    ORDERED_LOCAL int8x16_t a0 ORDERED_REGISTER("v24"), a1 ORDERED_REGISTER("v25"), a2 ORDERED_REGISTER("v26");
    ORDERED_LOCAL int8x16_t a3 ORDERED_REGISTER("v27"), b0 ORDERED_REGISTER("v28"), b1 ORDERED_REGISTER("v29");
    ORDERED_LOCAL int8x16_t b2 ORDERED_REGISTER("v30"), b3 ORDERED_REGISTER("v31");
    int8x16_t pairs[TILE_PIXELS / 2][2 * STEP / BLOCK_CHANNELS];
    const int turns = channels / BLOCK_CHANNELS * panels;
    UNROLL
    for (int p = 0; p < TILE_PIXELS / 2; p++) {
        load_pair(channels, &x[2 * p], &x[2 * p + 1], pairs[p]);
        __asm__ volatile("" ::: "memory"); /* keeps GCC from loading weights before there are registers for them */
    }
    ORDERED_LOAD_NEXT_ROWS(a0, a1, a2, a3, w[0], "v24", "v25", "v26", "v27");
    UNROLL
    for (int turn = 0; turn < turns; turn += 2) {
        ORDERED_LOAD_NEXT_ROWS(b0, b1, b2, b3, w[panels - 1], "v28", "v29", "v30", "v31");
        ADD_BLOCK(sum[0], a0, a1, a2, a3, pairs, turn / panels)
        if (turn + 2 < turns) {
            ORDERED_LOAD_NEXT_ROWS(a0, a1, a2, a3, w[0], "v24", "v25", "v26", "v27");
        }
        ADD_BLOCK(sum[panels - 1], b0, b1, b2, b3, pairs, (turn + 1) / panels)
    }
}

/* Outputs 0 4 1 5 and 2 6 3 7 of the pixel, then in order. */
GEMLET_INLINE int32x4x2_t outputs_of(tile_sums sum, int panel, int p) {
    int8x16_t s[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        s[i] = vreinterpretq_s8_s32(sum[panel][p / 2][i]);
    }
    int8x16_t a = p % 2 == 0 ? low_halves(s[0], s[1]) : high_halves(s[0], s[1]);
    int8x16_t b = p % 2 == 0 ? low_halves(s[2], s[3]) : high_halves(s[2], s[3]);
    return vuzpq_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b));
}

#endif

/* Where the products go: float32 if `scaled`, else int32. */
typedef struct destination {
    bool scaled;
    const float *pixel_scale; /* pixel p's is number p * scale_step */
    size_t scale_step;
    uint8_t *y;
    size_t stride; /* in elements of 4 bytes */
} destination;

/* All sums of a tile: `panels` panels from `panel`, and the pixels whose indices are given. */
GEMLET_INLINE void sum_tile(const gemlet_conv *conv, size_t panel, int panels, const int8_t *const *x, size_t pixels,
                            const size_t index[TILE_PIXELS], tile_sums sum) {
    size_t channels = conv->channels;
    size_t panel_bytes = PANEL * conv->taps * channels;
    const int8_t *w[TILE_PANELS];
    UNROLL
    for (int i = 0; i < panels; i++) {
        w[i] = conv->data + (panel + (size_t)i) * panel_bytes;
    }
    for (size_t tap = 0; tap < conv->taps; tap++, x += pixels) {
        const int8_t *pixel[TILE_PIXELS];
        UNROLL
        for (int p = 0; p < TILE_PIXELS; p++) {
            pixel[p] = x[index[p]];
        }
        for (size_t c = channels / (2 * STEP); c != 0; c--) {
            add_channels(2 * STEP, panels, w, pixel, sum);
        }
        if (channels % (2 * STEP) != 0) {
            add_channels(STEP, panels, w, pixel, sum);
        }
    }
}

/* The scales of a panel, of which `outputs` exist. */
GEMLET_INLINE float32x4x2_t load_scales(const float *scale, size_t outputs) {
    float padded[PANEL] = {0};
    if (outputs < PANEL) {
        memcpy(padded, scale, outputs * sizeof *scale);
        scale = padded;
    }
    return (float32x4x2_t){{vld1q_f32(scale), vld1q_f32(scale + PANEL / 2)}};
}

GEMLET_INLINE int32x4_t scaled(int32x4_t sums, float32x4_t scale, float pixel_scale) {
    return vreinterpretq_s32_f32(vmulq_n_f32(vmulq_f32(vcvtq_f32_s32(sums), scale), pixel_scale));
}

GEMLET_INLINE void store_outputs(uint8_t *y, int32x4x2_t values, size_t outputs) {
    if (outputs >= PANEL) {
        vst1q_u8(y, vreinterpretq_u8_s32(values.val[0]));
        vst1q_u8(y + sizeof values.val[0], vreinterpretq_u8_s32(values.val[1]));
    } else {
        int32_t all[PANEL];
        vst1q_s32(all, values.val[0]);
        vst1q_s32(all + PANEL / 2, values.val[1]);
        memcpy(y, all, outputs * sizeof *all);
    }
}

/* Of the tile's outputs, the first of which go to y[p], `outputs` exist. */
GEMLET_INLINE void store_panels(bool is_scaled, int panels, size_t outputs, tile_sums sum, const float *scale,
                                const float pixel_scale[TILE_PIXELS], uint8_t *const y[TILE_PIXELS]) {
    UNROLL
    for (int i = 0; i < panels; i++) {
        size_t first = (size_t)i * PANEL;
        float32x4x2_t scales = {{vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}};
        if (is_scaled) {
            scales = load_scales(scale + first, outputs - first);
        }
        UNROLL
        for (int p = 0; p < TILE_PIXELS; p++) {
            int32x4x2_t values = outputs_of(sum, i, p);
            if (is_scaled) {
                values.val[0] = scaled(values.val[0], scales.val[0], pixel_scale[p]);
                values.val[1] = scaled(values.val[1], scales.val[1], pixel_scale[p]);
            }
            store_outputs(y[p] + first * sizeof(int32_t), values, outputs - first);
        }
    }
}

GEMLET_INLINE void store_tile(const gemlet_conv *conv, size_t panel, int panels, tile_sums sum, const size_t index[TILE_PIXELS],
                              const destination *to) {
    const size_t o = panel * PANEL, outputs = conv->outputs - o, whole = (size_t)panels * PANEL;
    float pixel_scale[TILE_PIXELS];
    uint8_t *y[TILE_PIXELS];
    UNROLL
    for (int p = 0; p < TILE_PIXELS; p++) {
        pixel_scale[p] = to->pixel_scale[index[p] * to->scale_step];
        y[p] = to->y + (index[p] * to->stride + o) * sizeof(int32_t);
    }
    if (!to->scaled) {
        store_panels(false, panels, outputs, sum, NULL, pixel_scale, y);
    } else if (outputs >= whole) {
        store_panels(true, panels, whole, sum, conv->scale + o, pixel_scale, y);
    } else {
        store_panels(true, panels, outputs, sum, conv->scale + o, pixel_scale, y);
    }
}

GEMLET_INLINE void multiply_panels(const gemlet_conv *conv, size_t panel, int panels, const int8_t *const *x, size_t pixels,
                                   const destination *to) {
    for (size_t first = 0; first < pixels; first += TILE_PIXELS) {
        /* The last pixel stands in for those that a last tile lacks. */
        size_t index[TILE_PIXELS];
        UNROLL
        for (size_t p = 0; p < TILE_PIXELS; p++) {
            index[p] = first + p < pixels ? first + p : pixels - 1;
        }
        tile_sums sum = {{{vdupq_n_s32(0)}}};
        sum_tile(conv, panel, panels, x, pixels, index, sum);
        store_tile(conv, panel, panels, sum, index, to);
    }
}

/* A panel's weights stay in the nearest cache while all pixels pass.  What is computed with is copied first: as far as a compiler
 * knows, it could be among what is written.  Not inlined: both kinds of products share it. */
static __attribute__((noinline)) void multiply_range(const gemlet_conv *given, size_t first_panel, size_t end_panel,
                                                     const int8_t *const *x, size_t pixels, destination to) {
    gemlet_conv conv = *given;
    conv.channels = gemlet_padded_channels(conv.channels);
    size_t panel = first_panel;
    for (; panel + TILE_PANELS <= end_panel; panel += TILE_PANELS) {
        multiply_panels(&conv, panel, TILE_PANELS, x, pixels, &to);
    }
    for (; panel < end_panel; panel++) {
        multiply_panels(&conv, panel, 1, x, pixels, &to);
    }
}

static const float unscaled = 1.0f;

static void multiply(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                     const float *pixel_scale, float *y, size_t y_stride) {
    destination to = {true, pixel_scale, 1, (uint8_t *)y, y_stride};
    if (pixel_scale == NULL) {
        to.pixel_scale = &unscaled;
        to.scale_step = 0;
    }
    multiply_range(conv, first_panel, end_panel, x, pixels, to);
}

static void multiply_s32(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                         int32_t *y, size_t y_stride) {
    multiply_range(conv, first_panel, end_panel, x, pixels, (destination){false, &unscaled, 0, (uint8_t *)y, y_stride});
}

/* The last channels of a pixel, filled up to 16. */
GEMLET_INLINE void pad_floats(const float *x, size_t count, float filling, float padded[STEP]) {
    UNROLL
    for (size_t i = 0; i < STEP; i++) {
        padded[i] = filling;
    }
    memcpy(padded, x, count * sizeof *x);
}

GEMLET_INLINE void raise_to(uint32x4_t largest[4], const float *x) {
    UNROLL
    for (int i = 0; i < 4; i++) {
        largest[i] = vmaxq_u32(largest[i], vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + 4 * i))));
    }
}

/* max|x| by the bits of |x|, which order infinity above all numbers and NaN above infinity. */
static float magnitude_of(const float *x, size_t channels) {
    uint32x4_t largest[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
    size_t c = 0;
    for (; c + STEP <= channels; c += STEP) {
        raise_to(largest, x + c);
    }
    if (c < channels) {
        float padded[STEP];
        pad_floats(x + c, channels - c, 0.0f, padded);
        raise_to(largest, padded);
    }
    uint32_t bits = vmaxvq_u32(vmaxq_u32(vmaxq_u32(largest[0], largest[1]), vmaxq_u32(largest[2], largest[3])));
    float magnitude;
    memcpy(&magnitude, &bits, sizeof magnitude);
    return magnitude;
}

GEMLET_INLINE void quantize_step(bool centered, const float *x, float center, float inverse, int8_t *q) {
    int16x8_t n[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        float32x4_t value = vld1q_f32(x + 4 * i);
        value = centered ? vsubq_f32(value, vdupq_n_f32(center)) : value;
        n[i] = vreinterpretq_s16_s32(vcvtnq_s32_f32(vmulq_n_f32(value, inverse)));
    }
    int16x8_t low = vuzp1q_s16(n[0], n[1]), high = vuzp1q_s16(n[2], n[3]);
    vst1q_s8(q, vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high)));
}

GEMLET_INLINE void quantize_pixel(bool centered, const float *x, size_t channels, float center, float inverse, int8_t *q) {
    size_t c = 0;
    for (; c + STEP <= channels; c += STEP) {
        quantize_step(centered, x + c, center, inverse, q + c);
    }
    if (c < channels) {
        float padded[STEP];
        pad_floats(x + c, channels - c, center, padded);
        quantize_step(centered, padded, center, inverse, q + c);
    }
}

static void quantize(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale) {
    size_t padded = gemlet_padded_channels(channels);
    for (size_t p = 0; p < pixels; p++, x += stride, q += padded) {
        float magnitude = magnitude_of(x, channels);
        float inverse = 127.0f / magnitude;
        if (magnitude <= FLT_MAX && inverse <= FLT_MAX) {
            scale[p] = magnitude / 127.0f;
            quantize_pixel(false, x, channels, 0.0f, inverse, q);
        } else {
            scale[p] = 0.0f;
            memset(q, 0, padded);
        }
    }
}

/* Minimum and maximum of NaN and anything are NaN. */
GEMLET_INLINE void widen_range(const float *x, float32x4_t least[2], float32x4_t largest[2]) {
    UNROLL
    for (int i = 0; i < 4; i++) {
        float32x4_t value = vld1q_f32(x + 4 * i);
        least[i % 2] = vminq_f32(least[i % 2], value);
        largest[i % 2] = vmaxq_f32(largest[i % 2], value);
    }
}

static void range_of(const float *x, size_t channels, float *least, float *largest) {
    float32x4_t first = vdupq_n_f32(x[0]);
    float32x4_t low[2] = {first, first}, high[2] = {first, first};
    size_t c = 0;
    for (; c + STEP <= channels; c += STEP) {
        widen_range(x + c, low, high);
    }
    if (c < channels) {
        float padded[STEP];
        pad_floats(x + c, channels - c, x[0], padded);
        widen_range(padded, low, high);
    }
    *least = vminvq_f32(vminq_f32(low[0], low[1]));
    *largest = vmaxvq_f32(vmaxq_f32(high[0], high[1]));
}

static void quantize_centered(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale,
                              float *center) {
    size_t padded = gemlet_padded_channels(channels);
    for (size_t p = 0; p < pixels; p++, x += stride, q += padded) {
        float least, largest;
        range_of(x, channels, &least, &largest);
        float middle = least + (largest - least) * 0.5f;
        float above = largest - middle, below = middle - least;
        float magnitude = above > below ? above : below;
        float inverse = 127.0f / magnitude;
        bool finite = middle >= -FLT_MAX && middle <= FLT_MAX;
        center[p] = finite ? middle : 0.0f;
        if (finite && inverse <= FLT_MAX) {
            scale[p] = magnitude / 127.0f;
            quantize_pixel(true, x, channels, middle, inverse, q);
        } else {
            scale[p] = 0.0f;
            memset(q, 0, padded);
        }
    }
}

const gemlet_conv_kernels GEMLET_LEVEL_NAME(gemlet_conv_kernels) = {
    .quantize = quantize, .quantize_centered = quantize_centered, .multiply = multiply, .multiply_s32 = multiply_s32};
