/* The definition of the products with one scale a row, in portable C.  Written to be read, not to be fast. */
#include <math.h>
#include <string.h>

#include "core/quant/magnitude.h"
#include "core/quant/row_scaled.h"

/* A vector's scale; the other levels keep a correction beside it. */
static float *scale_of(const void *x, size_t length, size_t vector) {
    return (float *)((uintptr_t)x + gemlet_row_scaled_activation_bytes(vector, length));
}

static int8_t *codes_of(const void *x, size_t length, size_t vector) {
    return (int8_t *)scale_of(x, length, vector) + GEMLET_ACTIVATION_HEADER;
}

static float clipped(float x) {
    return fminf(fmaxf(rintf(x), -128.0f), 127.0f);
}

static void quantize(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, float scale, void *out) {
    for (size_t v = 0; v < count; v++) {
        const float *from = x + v * stride;
        int8_t *codes = codes_of(out, length, v);
        float largest = scale > 0.0f ? 0.0f : gemlet_largest_magnitude(from, length);
        float inverse = 127.0f / largest;
        bool usable = isfinite(inverse) && inverse > 0.0f;
        *scale_of(out, length, v) = usable ? largest / 127.0f : 0.0f;
        for (size_t i = first; i < end; i++) {
            float code = scale > 0.0f ? from[i - first] / scale : usable ? from[i - first] * inverse : 0.0f;
            codes[i] = isnan(code) ? 0 : (int8_t)clipped(code);
        }
        if (end == length) {
            memset(codes + length, 0, gemlet_padded_columns(length) - length);
        }
    }
}

/* Weights without offsets need none. */
static void correct(gemlet_weight_type type, size_t count, size_t length, void *x) {
    (void)type;
    (void)count;
    (void)length;
    (void)x;
}

static float row_product(const gemlet_matrix *w, size_t row, const void *x, size_t vector) {
    const int8_t *codes = codes_of(x, w->columns, vector);
    int32_t sum = 0;
    for (size_t i = 0; i < w->columns; i++) {
        sum += gemlet_row_scaled_weight(w, row, i) * codes[i];
    }
    float scaled = (float)sum * gemlet_row_scaled_factor(w, row);
    if (w->output_scale > 0.0f) {
        return clipped(scaled) * w->output_scale;
    }
    return w->input_scale > 0.0f ? scaled : scaled * *scale_of(x, w->columns, vector);
}

static void multiply(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride) {
    size_t end_row = end_panel * GEMLET_PANEL_ROWS < w->rows ? end_panel * GEMLET_PANEL_ROWS : w->rows;
    for (size_t v = 0; v < count; v++) {
        for (size_t row = first_panel * GEMLET_PANEL_ROWS; row < end_row; row++) {
            y[v * y_stride + row] = row_product(w, row, x, v);
        }
    }
}

const gemlet_row_scaled_kernels gemlet_row_scaled_kernels_scalar = {.quantize = quantize, .correct = correct, .multiply = multiply};
