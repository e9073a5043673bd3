/* Packing of text matrices: from rows in GGUF's block formats to the layouts of matrix.h, and back.
 *
 * GGUF's block_q4_0 is a float16 scale and 16 bytes; byte j holds column j in its low nibble and column j + 16 in its high one,
 * both plus 8.  block_q8_0 is a float16 scale and 32 signed bytes.  Packing moves these numbers and loses nothing; unpacking gives
 * the source's bytes back.
 *
 * In every packed layout a byte of Q4_0 holds its low nibble plus 8 (0 .. 15) and its high nibble in two's complement: then one AND
 * and one arithmetic shift unpack it, and the sum of 8 * x over the low nibbles' columns is subtracted once per block.
 *
 * PANELS  for each panel of 16 rows, for each block: 16 float16 scales, then for each 4 of the rows
 *         Q4_0: 4 chunks i of 16 bytes; byte 4 r + j of a chunk holds row r, columns 4 i + j (low) and 16 + 4 i + j (high)
 *         Q8_0: 8 chunks i of 16 bytes; byte 4 r + j of a chunk holds row r, column 4 i + j
 * ROWS    for each row: its float16 scales, zeros up to a multiple of 16 bytes, then for each block
 *         Q4_0: 16 bytes, byte j holds columns j (low) and 16 + j (high);  Q8_0: 32 bytes
 * COLUMNS rows are padded to a multiple of 32; for each block: a float16 scale for each row, then for each column
 *         Q4_0: for each 32 rows 16 bytes, byte j holds rows j (low) and 16 + j (high);  Q8_0: a byte for each row
 *
 * Rows that pad a panel or a column have scale 0 and weight 0.
 */
#ifndef GEMLET_CORE_QUANT_PACKING_H
#define GEMLET_CORE_QUANT_PACKING_H

#include "core/quant/matrix.h"

/* Bytes of one source block: 18 or 34. */
size_t gemlet_block_bytes(gemlet_weight_type type);

/* How many source rows are packed together, and how many bytes they become: a matrix is a sequence of such groups.  The last group
 * may have fewer rows and still takes all its bytes.  For GEMLET_PACKED_COLUMNS the group is the whole matrix. */
size_t gemlet_packing_group_rows(gemlet_packing packing, size_t rows);
size_t gemlet_packing_group_bytes(gemlet_weight_type type, gemlet_packing packing, size_t rows, size_t columns);

/* Bytes of the packed matrix; 0 where columns is no multiple of GEMLET_BLOCK, or the size or a row's sum overflows.  Behind panels
 * with one scale a row are GEMLET_ROW_SCALED_TAIL more. */
size_t gemlet_packed_bytes(gemlet_weight_type type, gemlet_packing packing, size_t rows, size_t columns);

/* Formats of blocks: packs / unpacks `count` (at most gemlet_packing_group_rows) source rows of `columns` / 32 blocks each, one
 * after the other in `source`, as one group.  For COLUMNS `count` is the number of rows of the matrix. */
void gemlet_pack_group(gemlet_weight_type type, gemlet_packing packing, const void *source, size_t count, size_t columns,
                       void *packed);
void gemlet_unpack_group(gemlet_weight_type type, gemlet_packing packing, const void *packed, size_t count, size_t columns,
                         void *source);

/* Rows [first_row, first_row + rows) of a matrix in panels, of which `first_row` begins one; it lies where the whole one does. */
gemlet_matrix gemlet_matrix_panels(const gemlet_matrix *w, size_t first_row, size_t rows);

/* Bytes that the scales of one row take in GEMLET_PACKED_ROWS. */
size_t gemlet_row_scale_bytes(size_t columns);

/* The 32 integers of one source block, or of block `block` of a row of a packed matrix; answers their scale. */
float gemlet_block_weights(gemlet_weight_type type, const void *source, int8_t weights[GEMLET_BLOCK]);
float gemlet_matrix_block(const gemlet_matrix *w, size_t row, size_t block, int8_t weights[GEMLET_BLOCK]);

/* Dequantises row `row` of a matrix in any packing to `columns` floats: weight * scale.  For embedding look-up: of a matrix without
 * static activations, as the factors of one scale a row are its scales. */
void gemlet_matrix_row(const gemlet_matrix *w, size_t row, float *out);

#endif
