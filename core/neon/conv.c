/* int8 convolutions: tiles of one or two panels (8 outputs each) by four pixels, all of whose sums stay in registers.
 *
 * Each level's section says how it adds channels to a tile's sums and how the sums become outputs in order:
 *
 *     neon     two products fit 16 bits (conv.h), so that SMULL, SMLAL and SADALP make 16 multiply-adds; LD4R brings 16 channels
 *              of a pixel as four vectors, each of which repeats four channels
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

/* Sums of a pixel: vector i holds outputs 2 i and 2 i + 1, each in two parts. */
typedef int32x4_t tile_sums[TILE_PANELS][TILE_PIXELS][4];

#if defined(__aarch64__) && !defined(__clang__)

/* GCC 12 copies and spills the members of register tuples in this loop.  Here a tuple stays one operand, %S to %V name its
 * registers. */
GEMLET_INLINE int32x4x4_t load_repeated(const int8_t **x) {
    int32x4x4_t repeated;
    __asm__ volatile("ld4r {%S0.4s - %V0.4s}, [%1], #16" : "=w"(repeated), "+r"(*x) : "m"(*(const int8_t(*)[STEP]) * x));
    return repeated;
}

/* Two blocks of 8 channels of a pixel.  Dependent instructions are four or more apart, where Cortex-A53 wants six; so the second
 * block's products begin between the first one's ends.  LOAD is nothing, or LOAD_NEXT: the pixel's registers take the next one. */
#define ADD_BLOCKS(sum, first, second, pixel, LOAD, next)                                                                          \
    do {                                                                                                                           \
        int16x8_t products[4];                                                                                                     \
        __asm__ volatile("smull %4.8h, %S10.8b, %S8.8b\n\t"                                                                        \
                         "smull2 %5.8h, %S10.16b, %S8.16b\n\t"                                                                     \
                         "smull %6.8h, %U10.8b, %S8.8b\n\t"                                                                        \
                         "smull2 %7.8h, %U10.16b, %S8.16b\n\t"                                                                     \
                         "smlal %4.8h, %T10.8b, %T8.8b\n\t"                                                                        \
                         "smlal2 %5.8h, %T10.16b, %T8.16b\n\t"                                                                     \
                         "smlal %6.8h, %V10.8b, %T8.8b\n\t"                                                                        \
                         "smlal2 %7.8h, %V10.16b, %T8.16b\n\t"                                                                     \
                         "sadalp %0.4s, %4.8h\n\t"                                                                                 \
                         "smull %4.8h, %S11.8b, %U8.8b\n\t"                                                                        \
                         "sadalp %1.4s, %5.8h\n\t"                                                                                 \
                         "smull2 %5.8h, %S11.16b, %U8.16b\n\t"                                                                     \
                         "sadalp %2.4s, %6.8h\n\t"                                                                                 \
                         "smull %6.8h, %U11.8b, %U8.8b\n\t"                                                                        \
                         "sadalp %3.4s, %7.8h\n\t"                                                                                 \
                         "smull2 %7.8h, %U11.16b, %U8.16b\n\t"                                                                     \
                         "smlal %4.8h, %T11.8b, %V8.8b\n\t"                                                                        \
                         "smlal2 %5.8h, %T11.16b, %V8.16b\n\t"                                                                     \
                         "smlal %6.8h, %V11.8b, %V8.8b\n\t"                                                                        \
                         "smlal2 %7.8h, %V11.16b, %V8.16b\n\t" LOAD "sadalp %0.4s, %4.8h\n\t"                                      \
                         "sadalp %1.4s, %5.8h\n\t"                                                                                 \
                         "sadalp %2.4s, %6.8h\n\t"                                                                                 \
                         "sadalp %3.4s, %7.8h"                                                                                     \
                         : "+w"((sum)[0]), "+w"((sum)[1]), "+w"((sum)[2]), "+w"((sum)[3]), "=&w"(products[0]), "=&w"(products[1]), \
                           "=&w"(products[2]), "=&w"(products[3]), "+&w"(pixel), "+r"(next)                                        \
                         : "w"(first), "w"(second), "m"(*(const int8_t(*)[STEP])next));                                            \
    } while (0)
#define LOAD_NEXT "ld4r {%S8.4s - %V8.4s}, [%9], #16\n\t"

/* 16 channels: their weights first, then pixel after pixel. */
GEMLET_INLINE void add_step(const int8_t **w, const int8_t **x, int32x4_t sum[TILE_PIXELS][4]) {
    int8x16x4_t first = load_block(w);
    int8x16x4_t second = load_block(w);
    int32x4x4_t pixel = load_repeated(&x[0]);
    ADD_BLOCKS(sum[0], first, second, pixel, LOAD_NEXT, x[1]);
    ADD_BLOCKS(sum[1], first, second, pixel, LOAD_NEXT, x[2]);
    ADD_BLOCKS(sum[2], first, second, pixel, LOAD_NEXT, x[3]);
    ADD_BLOCKS(sum[3], first, second, pixel, "", x[3]);
}

#else

/* The same in intrinsics: what the assembler above must equal. */
GEMLET_INLINE int32x4x4_t load_repeated(const int8_t **x) {
    int32x4x4_t repeated;
    UNROLL
    for (int i = 0; i < 4; i++) {
        repeated.val[i] = vld1q_dup_s32((const int32_t *)(const void *)(*x + 4 * i));
    }
    advance(x, STEP);
    return repeated;
}

GEMLET_INLINE int32x4_t add_low(int32x4_t sum, int8x16_t w0, int8x16_t x0, int8x16_t w1, int8x16_t x1) {
    int16x8_t products = vmull_s8(vget_low_s8(w0), vget_low_s8(x0));
    return vpadalq_s16(sum, vmlal_s8(products, vget_low_s8(w1), vget_low_s8(x1)));
}

GEMLET_INLINE int32x4_t add_high(int32x4_t sum, int8x16_t w0, int8x16_t x0, int8x16_t w1, int8x16_t x1) {
    return vpadalq_s16(sum, vmlal_high_s8(vmull_high_s8(w0, x0), w1, x1));
}

enum { MEMBER_S, MEMBER_T, MEMBER_U, MEMBER_V };

#define ADD_BLOCK(sum, w, x, X0, X1)                                                                                               \
    do {                                                                                                                           \
        int8x16_t x0 = vreinterpretq_s8_s32((x).val[MEMBER_##X0]);                                                                 \
        int8x16_t x1 = vreinterpretq_s8_s32((x).val[MEMBER_##X1]);                                                                 \
        (sum)[0] = add_low((sum)[0], (w).val[0], x0, (w).val[1], x1);                                                              \
        (sum)[1] = add_high((sum)[1], (w).val[0], x0, (w).val[1], x1);                                                             \
        (sum)[2] = add_low((sum)[2], (w).val[2], x0, (w).val[3], x1);                                                              \
        (sum)[3] = add_high((sum)[3], (w).val[2], x0, (w).val[3], x1);                                                             \
    } while (0)

/* 16 channels: their weights first, then pixel after pixel. */
GEMLET_INLINE void add_step(const int8_t **w, const int8_t **x, int32x4_t sum[TILE_PIXELS][4]) {
    int8x16x4_t first = load_block(w);
    int8x16x4_t second = load_block(w);
    UNROLL
    for (int p = 0; p < TILE_PIXELS; p++) {
        int32x4x4_t pixel = load_repeated(&x[p]);
        ADD_BLOCK(sum[p], first, pixel, S, T);
        ADD_BLOCK(sum[p], second, pixel, U, V);
    }
}

#endif

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
    const float *pixel_scale; /* or NULL */
    uint8_t *y;
    size_t stride; /* in elements of 4 bytes */
} destination;

/* All sums of a tile: `panels` panels from `panel`, and the pixels whose indices are given. */
GEMLET_INLINE void sum_tile(const gemlet_conv *conv, size_t panel, int panels, const int8_t *const *x, size_t pixels,
                            const size_t index[TILE_PIXELS], tile_sums sum) {
    size_t channels = gemlet_padded_channels(conv->channels);
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

GEMLET_INLINE void store_tile(const gemlet_conv *conv, size_t panel, int panels, tile_sums sum, const size_t index[TILE_PIXELS],
                              const destination *to) {
    UNROLL
    for (int i = 0; i < panels; i++) {
        size_t o = (panel + (size_t)i) * PANEL, outputs = conv->outputs - o;
        float32x4x2_t scales = {{vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}};
        if (to->scaled) {
            scales = load_scales(conv->scale + o, outputs);
        }
        UNROLL
        for (int p = 0; p < TILE_PIXELS; p++) {
            int32x4x2_t values = outputs_of(sum, i, p);
            if (to->scaled) {
                float pixel_scale = to->pixel_scale == NULL ? 1.0f : to->pixel_scale[index[p]];
                values.val[0] = scaled(values.val[0], scales.val[0], pixel_scale);
                values.val[1] = scaled(values.val[1], scales.val[1], pixel_scale);
            }
            store_outputs(to->y + (index[p] * to->stride + o) * sizeof(int32_t), values, outputs);
        }
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

/* A panel's weights stay in the nearest cache while all pixels pass. */
static void multiply_range(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                           const destination *to) {
    size_t panel = first_panel;
    for (; panel + TILE_PANELS <= end_panel; panel += TILE_PANELS) {
        multiply_panels(conv, panel, TILE_PANELS, x, pixels, to);
    }
    for (; panel < end_panel; panel++) {
        multiply_panels(conv, panel, 1, x, pixels, to);
    }
}

static void multiply(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                     const float *pixel_scale, float *y, size_t y_stride) {
    multiply_range(conv, first_panel, end_panel, x, pixels, &(destination){true, pixel_scale, (uint8_t *)y, y_stride});
}

static void multiply_s32(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                         int32_t *y, size_t y_stride) {
    multiply_range(conv, first_panel, end_panel, x, pixels, &(destination){false, NULL, (uint8_t *)y, y_stride});
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

const gemlet_conv_kernels GEMLET_LEVEL_NAME(gemlet_conv_kernels) = {quantize, quantize_centered, multiply, multiply_s32};
