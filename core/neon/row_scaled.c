/* Products with one scale a row on NEON; see row_scaled.h for what is computed and how weights lie.  Compiled once per level. */
#include "core/neon/row_scaled_parts.h"

#if GEMLET_COMPILED_LEVEL == 1
#include "core/neon/row_scaled_neon.h"
#elif GEMLET_COMPILED_LEVEL == 2
#include "core/neon/row_scaled_dotprod.h"
#else
#include "core/neon/row_scaled_i8mm.h"
#endif

/* ---- Quantise ---- */

/* How codes are made of floats: by division, or by multiplication with the inverse of a scale that was made of the vector. */
typedef struct coder {
    float divisor; /* 0: multiply */
    float factor;
} coder;

GEMLET_INLINE int32x4_t four_codes(float32x4_t x, coder c) {
    return vcvtnq_s32_f32(c.divisor > 0.0f ? vdivq_f32(x, vdupq_n_f32(c.divisor)) : vmulq_n_f32(x, c.factor));
}

GEMLET_INLINE int8x16_t sixteen_codes(const float *x, coder c) {
    int16x8_t low = vcombine_s16(vqmovn_s32(four_codes(vld1q_f32(x), c)), vqmovn_s32(four_codes(vld1q_f32(x + 4), c)));
    int16x8_t high = vcombine_s16(vqmovn_s32(four_codes(vld1q_f32(x + 8), c)), vqmovn_s32(four_codes(vld1q_f32(x + 12), c)));
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}

/* Of the last columns there may be fewer, or none. */
GEMLET_INLINE int8x16_t some_codes(const float *x, size_t count, coder c) {
    if (count >= CHUNK) {
        return sixteen_codes(x, c);
    }
    float padded[CHUNK] = {0.0f};
    memcpy(padded, x, count * sizeof *x);
    return sixteen_codes(padded, c);
}

/* A vector's own scale and coder. */
GEMLET_INLINE coder coder_of(const float *x, size_t length, float *scale) {
    float32x4_t largest = vdupq_n_f32(0.0f), zero = unknown_zero();
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        largest = larger_magnitudes(largest, vld1q_f32(x + i), zero);
    }
    if (i < length) {
        largest = larger_magnitudes(largest, load_part(x + i, length - i), zero);
    }
    float maximum = vmaxvq_f32(largest);
    float inverse = 127.0f / maximum;
    bool usable = inverse > 0.0f && inverse <= 3.402823466e38f; /* neither of an infinity nor of (almost) zero */
    *scale = usable ? maximum / 127.0f : 0.0f;
    return (coder){0.0f, usable ? inverse : 0.0f};
}

/* What columns of a vector are quantised: chunks behind the last one are padding. */
typedef struct column_range {
    size_t first, end, padded_end;
} column_range;

GEMLET_INLINE column_range columns_of(size_t first, size_t end, size_t length) {
    return (column_range){first, end, end == length ? gemlet_padded_columns(length) : end};
}

GEMLET_INLINE size_t columns_left(column_range range, size_t column) {
    return column < range.end ? range.end - column : 0;
}

static void quantize_one(const float *x, column_range range, size_t length, float scale, unsigned char *out) {
    one_header *header = (one_header *)(void *)out;
    int8_t *codes = (int8_t *)(header + 1);
    coder c = {scale, 0.0f};
    if (!(scale > 0.0f)) {
        c = coder_of(x, length, &header->scale);
    }
    for (size_t i = range.first; i < range.padded_end; i += CHUNK) {
        size_t left = columns_left(range, i);
        vst1q_s8(codes + i, some_codes(left > 0 ? x + (i - range.first) : x, left, c));
    }
}

static void quantize_quad(const float *x, size_t stride, column_range range, size_t length, float scale, unsigned char *out) {
    coder c[QUAD];
    for (size_t v = 0; v < QUAD; v++) {
        c[v] = (coder){scale, 0.0f};
        if (!(scale > 0.0f)) {
            c[v] = coder_of(x + v * stride, length, (float *)(void *)(out + QUAD_SCALES) + v);
        }
    }
    for (size_t i = range.first; i < range.padded_end; i += CHUNK) {
        int8x16_t codes[QUAD];
        size_t left = columns_left(range, i);
#pragma GCC unroll 4
        for (size_t v = 0; v < QUAD; v++) {
            codes[v] = some_codes(left > 0 ? x + v * stride + (i - range.first) : x, left, c[v]);
        }
        store_quad(codes, out + QUAD_HEADER + i * QUAD);
    }
}

static void quantize(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, float scale, void *out) {
    unsigned char *to = out;
    column_range range = columns_of(first, end, length);
    size_t v = 0;
    for (; v + QUAD <= count; v += QUAD) {
        quantize_quad(x + v * stride, stride, range, length, scale, to);
        to += gemlet_row_scaled_activation_bytes(QUAD, length);
    }
    for (; v < count; v++) {
        quantize_one(x + v * stride, range, length, scale, to);
        to += gemlet_row_scaled_activation_bytes(1, length);
    }
}

/* ---- Corrections: offset times the sum of the codes that meet weights with an offset ---- */

GEMLET_INLINE bool has_offset(gemlet_weight_type type, size_t chunk) {
    return type == GEMLET_W4 ? chunk % 2 == 0 : chunk % 4 != 3;
}

static int32_t offset_of(gemlet_weight_type type) {
    return type == GEMLET_W8 ? 0 : type == GEMLET_W4 ? 8 : 2;
}

static int32_t sum_one(gemlet_weight_type type, size_t columns, const int8_t *codes) {
    int32_t sum = 0;
    for (size_t i = 0; i < columns / CHUNK; i++) {
        sum += has_offset(type, i) ? vaddlvq_s8(vld1q_s8(codes + CHUNK * i)) : 0;
    }
    return sum;
}

static int32x4_t sum_quad(gemlet_weight_type type, size_t columns, const unsigned char *codes) {
    quad_sums sums = {0};
    for (size_t i = 0; i < columns / CHUNK; i++) {
        sums = has_offset(type, i) ? add_chunk(sums, codes + i * QUAD_CHUNK_BYTES) : sums;
    }
    return finish_sums(sums);
}

static void correct(gemlet_weight_type type, size_t count, size_t length, void *x) {
    unsigned char *vector = x;
    size_t columns = gemlet_padded_columns(length), v = 0;
    int32_t offset = -offset_of(type);
    for (; v + QUAD <= count; v += QUAD) {
        int32x4_t sums = offset != 0 ? sum_quad(type, columns, vector + QUAD_HEADER) : vdupq_n_s32(0);
        vst1q_s32((int32_t *)(void *)vector, vmulq_n_s32(sums, offset));
        vector += gemlet_row_scaled_activation_bytes(QUAD, length);
    }
    for (; v < count; v++) {
        one_header *header = (one_header *)(void *)vector;
        header->correction = offset != 0 ? offset * sum_one(type, columns, (const int8_t *)(header + 1)) : 0;
        vector += gemlet_row_scaled_activation_bytes(1, length);
    }
}

/* ---- Products ---- */

/* Each shape is a function of its own, so that its loop can be found in the object and its registers are its own. */
#define PANEL_FUNCTION(name, type, quads)                                                                                          \
    static __attribute__((noinline)) void name(const row_panel *p, size_t panels, const unsigned char *x) {                        \
        (void)panels;                                                                                                              \
        panel_times_quads(type, quads, p, x);                                                                                      \
    }

/* A product with a single vector takes all panels at once. */
#define PANEL_FUNCTION_ONE(name, type)                                                                                             \
    static __attribute__((noinline)) void name(const row_panel *p, size_t panels, const unsigned char *x) {                        \
        row_panel next = *p;                                                                                                       \
        for (; panels != 0; panels--) {                                                                                            \
            panel_times_one(type, &next, x);                                                                                       \
            next_panel(&next);                                                                                                     \
        }                                                                                                                          \
    }

PANEL_FUNCTION(w2_times_many, GEMLET_W2, 2)
PANEL_FUNCTION(w2_times_4, GEMLET_W2, 1)
PANEL_FUNCTION_ONE(w2_times_1, GEMLET_W2)
PANEL_FUNCTION(w4_times_many, GEMLET_W4, 2)
PANEL_FUNCTION(w4_times_4, GEMLET_W4, 1)
PANEL_FUNCTION_ONE(w4_times_1, GEMLET_W4)
PANEL_FUNCTION(w8_times_many, GEMLET_W8, 2)
PANEL_FUNCTION(w8_times_4, GEMLET_W8, 1)
PANEL_FUNCTION_ONE(w8_times_1, GEMLET_W8)

typedef void panel_function(const row_panel *p, size_t panels, const unsigned char *x);

static panel_function *panel_function_for(gemlet_weight_type type, size_t tile) {
    static panel_function *const functions[3][3] = {
        {w2_times_1, w2_times_4, w2_times_many}, {w4_times_1, w4_times_4, w4_times_many}, {w8_times_1, w8_times_4, w8_times_many}};
    return functions[type - GEMLET_W2][tile == LARGE_TILE ? 2 : tile == QUAD ? 1 : 0];
}

static void multiply_panels(const gemlet_matrix *w, row_panel p, size_t panels, const unsigned char *x, size_t count) {
    for (size_t v = 0; v < count;) {
        size_t tile = count - v >= LARGE_TILE ? LARGE_TILE : count - v >= QUAD ? QUAD : 1;
        panel_function_for(w->type, tile)(&p, panels, x);
        x += gemlet_row_scaled_activation_bytes(tile, w->columns);
        p.y += tile * p.y_stride;
        v += tile;
    }
}

/* Panels outermost: the weights pass once, the activations of a prefill chunk stay in cache. */
static void multiply(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride) {
    size_t panel_bytes = gemlet_row_scaled_group_bytes(w->type, GEMLET_PACKED_PANELS, w->columns);
    size_t row = first_panel * GEMLET_PANEL_ROWS, panels = end_panel - first_panel, together = count == 1 ? panels : 1;
    row_panel p = {(const unsigned char *)w->data + first_panel * panel_bytes,
                   panel_bytes,
                   gemlet_padded_columns(w->columns),
                   w->rows - row,
                   w->output_scale,
                   w->input_scale > 0.0f,
                   y + row,
                   y_stride};
    for (; panels != 0; panels -= together) {
        multiply_panels(w, p, together, x, count);
        next_panel(&p);
    }
}

const gemlet_row_scaled_kernels GEMLET_LEVEL_NAME(gemlet_row_scaled_kernels) = {
    .quantize = quantize, .correct = correct, .multiply = multiply};
