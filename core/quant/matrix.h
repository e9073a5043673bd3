/* Quantised text matrices and their products.
 *
 * A matrix W has `rows` outputs and `columns` inputs; y = W x.  Weights are Q4_0 (a signed nibble w in -8 .. 7) or Q8_0 (a signed
 * byte), in blocks of BLOCK consecutive columns of a row that share one float16 scale.  Activations are quantised on the fly to
 * bytes in -127 .. 127, in the same blocks, with a float32 scale each.
 *
 * The definition of every product, for each output row, with blocks b ascending:
 *     sum_b   = sum over the block of w * x                        (exact, int32)
 *     y       = fma((float)sum_b * weight_scale_b, activation_scale_b, y), starting at y = 0
 * Every level and packing and any split into tasks gives exactly these bits.
 */
#ifndef GEMLET_CORE_QUANT_MATRIX_H
#define GEMLET_CORE_QUANT_MATRIX_H

#include <stddef.h>
#include <stdint.h>

enum {
    GEMLET_BLOCK = 32,      /* columns that share a scale */
    GEMLET_PANEL_ROWS = 16, /* rows that a panel interleaves */
    GEMLET_TILE = 16,       /* activation vectors that are multiplied together */
    /* Rows (multiply) and rows of a column-packed matrix are padded to this in memory. */
    GEMLET_COLUMN_ROWS = 32
};

/* The blocks' formats, then those with one scale a row (row_scaled.h). */
typedef enum gemlet_weight_type { GEMLET_Q4_0, GEMLET_Q8_0, GEMLET_W2, GEMLET_W4, GEMLET_W8 } gemlet_weight_type;

/* How a matrix lies in memory; gemlet_pack_* in packing.h writes them and says where each byte goes. */
typedef enum gemlet_packing {
    GEMLET_PACKED_PANELS, /* 16 rows interleaved: dense products */
    GEMLET_PACKED_ROWS,   /* each row by itself: products of a few rows (up projection of a sparse FFN), row look-up (embeddings) */
    GEMLET_PACKED_COLUMNS /* each column by itself within a block of 32: products with mostly zero inputs (down projection) */
} gemlet_packing;

typedef struct gemlet_matrix {
    const void *data; /* not owned; any alignment */
    size_t rows;
    size_t columns; /* a multiple of GEMLET_BLOCK */
    gemlet_weight_type type;
    gemlet_packing packing;
    /* Only with one scale a row: the steps of static activations.  0: what comes in is quantised by its own maximum, what goes out
     * is not rounded. */
    float input_scale, output_scale;
} gemlet_matrix;

/* The functions of one level.  `x` is always what that level's `quantize` wrote: its layout is private to the level. */
typedef struct gemlet_matrix_kernels {
    /* Quantises columns [first, end) (multiples of GEMLET_BLOCK) of `count` vectors of `length` floats (one, too) into `out`, which
     * holds gemlet_activation_bytes(count, length) bytes for all columns.  `x` is where column `first` of the first vector is;
     * vectors are `stride` floats apart.  Per block: scale = max|x| / 127, q = round to nearest even of x * (127 /
     * max|x|); a block without a finite non-zero maximum becomes zeros with scale 0. */
    void (*quantize)(const float *x, size_t stride, size_t count, size_t first, size_t end, size_t length, void *out);
    /* Of a block of a quantised vector.  From a multiple of GEMLET_TILE on, vectors lie where those before end, and may be
     * quantised by themselves. */
    size_t block_bytes;

    /* Dense product with `count` vectors, for the panels [first_panel, end_panel): y[v * y_stride + row].  Rows at and beyond
     * w->rows are not written. */
    void (*multiply)(const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x, size_t count, float *y,
                     size_t y_stride);

    /* Products of `list_length` listed rows with one vector (`quantize`d with count 1): y[i] = (W x)[list[i]].
     * Packing GEMLET_PACKED_ROWS. */
    void (*multiply_rows)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, float *y);

    /* y = W x for one vector x that is zero outside the ascending `list` of columns, for the rows [first_row, end_row), both
     * multiples of GEMLET_COLUMN_ROWS except a last end_row == w->rows.  Packing GEMLET_PACKED_COLUMNS.  Blocks of which no column
     * is listed are as if they were not there: their scales, whatever they are, are not looked at. */
    void (*multiply_columns)(const gemlet_matrix *w, const uint32_t *list, size_t list_length, const void *x, size_t first_row,
                             size_t end_row, float *y);
} gemlet_matrix_kernels;

/* Bytes that `count` quantised vectors of `length` elements need: the same at every level. */
size_t gemlet_activation_bytes(size_t count, size_t length);

extern const gemlet_matrix_kernels gemlet_matrix_kernels_scalar;
extern const gemlet_matrix_kernels gemlet_matrix_kernels_neon;
extern const gemlet_matrix_kernels gemlet_matrix_kernels_dotprod;
extern const gemlet_matrix_kernels gemlet_matrix_kernels_i8mm;

#endif
