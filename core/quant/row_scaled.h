/* Matrices with one scale a row: weights of 2, 4 or 8 bits, activations int8 with one scale a vector, integers over the whole row.
 *
 * A model that was trained for this says for each matrix how far its inputs and its outputs are apart (input_scale and
 * output_scale of gemlet_matrix).  With w the weights' integers and s the row's scale, a product is
 *
 *     x   = clip(round_half_even(input / input_scale), -128, 127)
 *     sum = sum over the columns of w * x                                             (exact, int32)
 *     y   = clip(round_half_even((float)sum * factor), -128, 127) * output_scale      factor = s * input_scale / output_scale
 *
 * Where outputs have no steps:
 *
 *     y   = (float)sum * factor                                                       factor = s * input_scale
 *
 * And where inputs have none either, the vector's scale being its own maximum / 127:
 *
 *     y   = (float)sum * factor * scale of the vector                                 factor = s
 *
 * Each operation is rounded once, and every level gives exactly these bits.  transformers, integrations/gemma_quant.py.
 *
 * PANELS  16 rows: 16 float32 factors, then for each 16 * 8 / bits columns, for each 4 of the rows, 64 bytes: byte 16 i + 4 r + j
 *         has row r, columns 4 i + j, and in its higher bits the columns 16, 32 and 48 further on.  Numbers are stored plus 2 or
 *         8, but those of the highest bits, and of 8 bits, in two's complement: one shift unpacks them.  Rows and columns beyond
 *         the matrix are 0; columns are padded to a multiple of 64.
 * ROWS    each row by itself: a float32 scale, then columns * bits / 8 bytes as in the source, to be looked up, not multiplied.
 *
 * The source (Google's mobile checkpoint): byte j of a row has the columns 8 / bits * j and following, the lowest bits first, plus
 * 2 or 8; 8 bits in two's complement.
 */
#ifndef GEMLET_CORE_QUANT_ROW_SCALED_H
#define GEMLET_CORE_QUANT_ROW_SCALED_H

#include <stdbool.h>

#include "core/quant/matrix.h"

enum {
    GEMLET_COLUMN_PADDING = 64,   /* columns of a panel and bytes of a quantised vector are a multiple of this */
    GEMLET_ACTIVATION_HEADER = 8, /* bytes of a vector beside its codes */
    GEMLET_ROW_SCALED_PANEL_HEADER = 64,
    /* What a packed tensor has behind its last panel: input_scale, output_scale, zeros.  Kernels may read them ahead. */
    GEMLET_ROW_SCALED_TAIL = 256
};

typedef struct gemlet_row_scaled_kernels {
    /* Quantises columns [first, end) of `count` vectors of `length` floats into `out`, which holds
     * gemlet_row_scaled_activation_bytes(count, length) bytes.  `x` is where column `first` of the first vector is; vectors are
     * `stride` floats apart.  first is a multiple of 16, end too or it is `length`.  With `scale` > 0 as above; NaN becomes 0. With
     * 0, of whole vectors: scale = max|x| / 127, codes as `quantize` of gemlet_matrix_kernels makes them of a block. */
    void (*quantize)(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, float scale, void *out);

    /* Must be called between the last `quantize` and products with matrices of `type`: what their offsets add too much. */
    void (*correct)(gemlet_weight_type type, size_t count, size_t length, void *x);

    /* Products with `count` vectors for the panels [first_panel, end_panel): y[v * y_stride + row].  Rows at and beyond w->rows are
     * not written.  Weights of 8 bits must not be -128. */
    void (*multiply)(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride);
} gemlet_row_scaled_kernels;

static inline bool gemlet_is_row_scaled(gemlet_weight_type type) {
    return type >= GEMLET_W2;
}

/* 2, 4 or 8. */
static inline unsigned gemlet_row_scaled_bits(gemlet_weight_type type) {
    return 2u << (unsigned)(type - GEMLET_W2);
}

/* Columns that a byte's numbers are apart, times numbers of a byte: what a panel is made of. */
static inline size_t gemlet_row_scaled_step(gemlet_weight_type type) {
    return 16 * (8 / gemlet_row_scaled_bits(type));
}

/* `columns` rounded up to a multiple of GEMLET_COLUMN_PADDING. */
static inline size_t gemlet_padded_columns(size_t columns) {
    return (columns + GEMLET_COLUMN_PADDING - 1) / GEMLET_COLUMN_PADDING * GEMLET_COLUMN_PADDING;
}

/* Bytes that `count` quantised vectors of `length` elements need, from any multiple of GEMLET_TILE vectors on the same as by
 * themselves. */
static inline size_t gemlet_row_scaled_activation_bytes(size_t count, size_t length) {
    return count * (gemlet_padded_columns(length) + GEMLET_ACTIVATION_HEADER);
}

/* Bytes of a panel, or of a row of GEMLET_PACKED_ROWS. */
size_t gemlet_row_scaled_group_bytes(gemlet_weight_type type, gemlet_packing packing, size_t columns);

/* Packs `count` <= 16 rows of the source, one after the other, with their factors as a panel; or one as a row. */
void gemlet_row_scaled_pack(gemlet_weight_type type, gemlet_packing packing, const void *source, const float *factors, size_t count,
                            size_t columns, void *packed);

/* The integer of a row and column of a matrix, and its row's factor. */
int gemlet_row_scaled_weight(const gemlet_matrix *w, size_t row, size_t column);
float gemlet_row_scaled_factor(const gemlet_matrix *w, size_t row);

extern const gemlet_row_scaled_kernels gemlet_row_scaled_kernels_scalar;
extern const gemlet_row_scaled_kernels gemlet_row_scaled_kernels_neon;
extern const gemlet_row_scaled_kernels gemlet_row_scaled_kernels_dotprod;
extern const gemlet_row_scaled_kernels gemlet_row_scaled_kernels_i8mm;

#endif
