/* The definition of the matrix kernels, in portable C.  Written to be read, not to be fast. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/quant/magnitude.h"
#include "core/quant/matrix.h"
#include "core/quant/packing.h"

/* The widest record that a level writes for one block of one vector. */
enum { ACTIVATION_BLOCK_BYTES = 48 };

typedef struct activation_block {
    float scale;
    int8_t values[GEMLET_BLOCK];
} activation_block;

size_t gemlet_activation_bytes(size_t count, size_t length) {
    return count * (length / GEMLET_BLOCK) * ACTIVATION_BLOCK_BYTES;
}

static activation_block quantize_block(const float *x) {
    activation_block block = {0.0f, {0}};
    float largest = gemlet_largest_magnitude(x, GEMLET_BLOCK);
    float inverse = 127.0f / largest;
    /* Infinite where the maximum is zero or so small that its reciprocal overflows; zero where the maximum is infinite. */
    if (!isfinite(inverse) || inverse <= 0.0f) {
        return block;
    }
    block.scale = largest / 127.0f;
    for (size_t i = 0; i < GEMLET_BLOCK; i++) {
        float scaled = x[i] * inverse;
        block.values[i] = isnan(scaled) ? 0 : (int8_t)rintf(scaled);
    }
    return block;
}

static void quantize(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, void *out) {
    for (size_t v = 0; v < count; v++) {
        activation_block *blocks = (activation_block *)out + (v * length + first) / GEMLET_BLOCK;
        for (size_t column = 0; column < end - first; column += GEMLET_BLOCK) {
            *blocks++ = quantize_block(x + v * stride + column);
        }
    }
}

static int32_t block_sum(const int8_t *weights, const int8_t *values) {
    int32_t sum = 0;
    for (size_t i = 0; i < GEMLET_BLOCK; i++) {
        sum += weights[i] * values[i];
    }
    return sum;
}

static float add_block(const gemlet_matrix *w, size_t row, size_t b, const activation_block *x, float y) {
    int8_t weights[GEMLET_BLOCK];
    float scale = gemlet_matrix_block(w, row, b, weights);
    return fmaf((float)block_sum(weights, x[b].values) * scale, x[b].scale, y);
}

static float row_product(const gemlet_matrix *w, size_t row, const activation_block *x) {
    float y = 0.0f;
    for (size_t b = 0; b < w->columns / GEMLET_BLOCK; b++) {
        y = add_block(w, row, b, x, y);
    }
    return y;
}

static void multiply(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride) {
    const activation_block *blocks = x;
    size_t end_row = end_panel * GEMLET_PANEL_ROWS < w->rows ? end_panel * GEMLET_PANEL_ROWS : w->rows;
    for (size_t v = 0; v < count; v++) {
        for (size_t row = first_panel * GEMLET_PANEL_ROWS; row < end_row; row++) {
            y[v * y_stride + row] = row_product(w, row, blocks + v * (w->columns / GEMLET_BLOCK));
        }
    }
}

static void multiply_rows(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, float *y) {
    for (size_t i = 0; i < list_length; i++) {
        y[i] = row_product(w, list[i], x);
    }
}

static void multiply_columns(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, size_t first_row,
                             size_t end_row, float *y) {
    for (size_t row = first_row; row < end_row; row++) {
        y[row] = 0.0f;
        for (size_t i = 0; i < list_length; i++) {
            size_t b = list[i] / GEMLET_BLOCK;
            bool seen = i > 0 && list[i - 1] / GEMLET_BLOCK == b;
            y[row] = seen ? y[row] : add_block(w, row, b, x, y[row]);
        }
    }
}

const gemlet_matrix_kernels gemlet_matrix_kernels_scalar = {
    .quantize = quantize,
    .block_bytes = sizeof(activation_block),
    .multiply = multiply,
    .multiply_rows = multiply_rows,
    .multiply_columns = multiply_columns,
};
