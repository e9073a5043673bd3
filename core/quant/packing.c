#include "core/quant/packing.h"

#include <string.h>

#include "core/checked.h"
#include "core/half.h"
#include "core/quant/row_scaled.h"

enum { HALF_BLOCK = GEMLET_BLOCK / 2, SCALE_BYTES = 2, MICRO_ROWS = 4, MICRO_COLUMNS = 4 };

/* Both nibbles of GGUF carry an offset of 8; ours does in the low one only.  The same change undoes itself. */
static unsigned char recode_nibbles(unsigned char byte) {
    return byte ^ 0x80u;
}

static size_t round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

static size_t weight_bytes(gemlet_weight_type type) {
    return type == GEMLET_Q4_0 ? HALF_BLOCK : GEMLET_BLOCK;
}

size_t gemlet_block_bytes(gemlet_weight_type type) {
    return SCALE_BYTES + weight_bytes(type);
}

size_t gemlet_row_scale_bytes(size_t columns) {
    return round_up(columns / GEMLET_BLOCK * SCALE_BYTES, 16);
}

size_t gemlet_packing_group_rows(gemlet_packing packing, size_t rows) {
    switch (packing) {
    case GEMLET_PACKED_PANELS: return GEMLET_PANEL_ROWS;
    case GEMLET_PACKED_ROWS: return 1;
    case GEMLET_PACKED_COLUMNS: break;
    }
    return rows;
}

size_t gemlet_packing_group_bytes(gemlet_weight_type type, gemlet_packing packing, size_t rows, size_t columns) {
    if (gemlet_is_row_scaled(type)) {
        return gemlet_row_scaled_group_bytes(type, packing, columns);
    }
    size_t blocks = columns / GEMLET_BLOCK;
    switch (packing) {
    case GEMLET_PACKED_PANELS: return blocks * GEMLET_PANEL_ROWS * gemlet_block_bytes(type);
    case GEMLET_PACKED_ROWS: return gemlet_row_scale_bytes(columns) + blocks * weight_bytes(type);
    case GEMLET_PACKED_COLUMNS: break;
    }
    return blocks * round_up(rows, GEMLET_COLUMN_ROWS) * gemlet_block_bytes(type);
}

size_t gemlet_packed_bytes(gemlet_weight_type type, gemlet_packing packing, size_t rows, size_t columns) {
    bool summed = gemlet_is_row_scaled(type) && packing == GEMLET_PACKED_PANELS; /* a whole row, as integers */
    if (rows == 0 || columns == 0 || columns % GEMLET_BLOCK != 0 || (summed && columns > GEMLET_LONGEST_SUM)) {
        return 0;
    }
    /* No layout takes more than 4 bytes a weight after rows are padded by less than 32 and columns by less than 64. */
    if (rows > SIZE_MAX / 8 || columns > SIZE_MAX / 8 ||
        columns + GEMLET_COLUMN_PADDING > SIZE_MAX / 8 / (rows + GEMLET_COLUMN_ROWS)) {
        return 0;
    }
    size_t group_rows = gemlet_packing_group_rows(packing, rows);
    size_t tail = summed ? GEMLET_ROW_SCALED_TAIL : 0;
    return tail + (rows + group_rows - 1) / group_rows * gemlet_packing_group_bytes(type, packing, rows, columns);
}

/* Where the bytes of one source block of a row go, for every packing: `scale`, and either the nibble pairs or the bytes of the
 * block.  Packing and unpacking are the same walk with the copy turned round. */
typedef struct block_place {
    size_t scale;  /* offset of the float16 scale */
    size_t weight; /* offset of the block's first weight byte of this row */
} block_place;

static block_place place_block(gemlet_weight_type type, gemlet_packing packing, size_t row, size_t block, size_t count,
                               size_t columns) {
    block_place place = {0, 0};
    size_t bytes = weight_bytes(type);
    switch (packing) {
    case GEMLET_PACKED_PANELS: {
        size_t record = block * GEMLET_PANEL_ROWS * gemlet_block_bytes(type);
        place.scale = record + row * SCALE_BYTES;
        place.weight = record + (size_t)GEMLET_PANEL_ROWS * SCALE_BYTES + row / MICRO_ROWS * MICRO_ROWS * bytes +
                       row % MICRO_ROWS * MICRO_COLUMNS;
        break;
    }
    case GEMLET_PACKED_ROWS:
        place.scale = block * SCALE_BYTES;
        place.weight = gemlet_row_scale_bytes(columns) + block * bytes;
        break;
    case GEMLET_PACKED_COLUMNS: {
        size_t padded = round_up(count, GEMLET_COLUMN_ROWS);
        size_t record = block * padded * gemlet_block_bytes(type);
        place.scale = record + row * SCALE_BYTES;
        place.weight = record + padded * SCALE_BYTES;
        break;
    }
    }
    return place;
}

/* Offset, from place.weight, of byte `i` of a block that is not split by nibbles across rows. */
static size_t byte_offset(gemlet_packing packing, size_t i) {
    return packing == GEMLET_PACKED_PANELS ? i / MICRO_COLUMNS * MICRO_ROWS * MICRO_COLUMNS + i % MICRO_COLUMNS : i;
}

static void pack_block_columns(gemlet_weight_type type, const unsigned char *weights, size_t row, size_t padded,
                               unsigned char *out) {
    for (size_t column = 0; column < GEMLET_BLOCK; column++) {
        if (type == GEMLET_Q8_0) {
            out[column * padded + row] = weights[column];
            continue;
        }
        unsigned nibble = column < HALF_BLOCK ? weights[column] & 15u : (unsigned)weights[column - HALF_BLOCK] >> 4;
        unsigned char *byte = out + (column * padded + row / GEMLET_COLUMN_ROWS * GEMLET_COLUMN_ROWS) / 2 + row % HALF_BLOCK;
        if (row % GEMLET_COLUMN_ROWS < HALF_BLOCK) {
            *byte = (unsigned char)((*byte & 0xF0u) | nibble);
        } else {
            *byte = (unsigned char)((*byte & 0x0Fu) | (nibble ^ 8u) << 4);
        }
    }
}

static void unpack_block_columns(gemlet_weight_type type, const unsigned char *packed, size_t row, size_t padded,
                                 unsigned char *weights) {
    if (type == GEMLET_Q4_0) {
        memset(weights, 0, HALF_BLOCK);
    }
    for (size_t column = 0; column < GEMLET_BLOCK; column++) {
        if (type == GEMLET_Q8_0) {
            weights[column] = packed[column * padded + row];
            continue;
        }
        unsigned byte = packed[(column * padded + row / GEMLET_COLUMN_ROWS * GEMLET_COLUMN_ROWS) / 2 + row % HALF_BLOCK];
        unsigned nibble = row % GEMLET_COLUMN_ROWS < HALF_BLOCK ? byte & 15u : byte >> 4 ^ 8u;
        weights[column % HALF_BLOCK] |= (unsigned char)(column < HALF_BLOCK ? nibble : nibble << 4);
    }
}

/* The packed image of a weight of zero with scale zero, so that padding rows contribute nothing and read as zero. */
static void clear_group(gemlet_weight_type type, gemlet_packing packing, size_t count, size_t columns, unsigned char *packed) {
    size_t bytes = gemlet_packing_group_bytes(type, packing, count, columns);
    memset(packed, 0, bytes);
    if (type == GEMLET_Q8_0) {
        return;
    }
    size_t blocks = columns / GEMLET_BLOCK;
    size_t header = 0;
    size_t record_scales = 0;
    size_t record_weights = 0;
    switch (packing) {
    case GEMLET_PACKED_PANELS:
        record_scales = (size_t)GEMLET_PANEL_ROWS * SCALE_BYTES;
        record_weights = (size_t)GEMLET_PANEL_ROWS * HALF_BLOCK;
        break;
    case GEMLET_PACKED_ROWS:
        header = gemlet_row_scale_bytes(columns);
        record_weights = HALF_BLOCK;
        break;
    case GEMLET_PACKED_COLUMNS:
        record_scales = round_up(count, GEMLET_COLUMN_ROWS) * SCALE_BYTES;
        record_weights = round_up(count, GEMLET_COLUMN_ROWS) * HALF_BLOCK;
        break;
    }
    for (size_t block = 0; block < blocks; block++) {
        memset(packed + header + block * (record_scales + record_weights) + record_scales, 0x08, record_weights);
    }
}

gemlet_matrix gemlet_matrix_panels(const gemlet_matrix *w, size_t first_row, size_t rows) {
    size_t panel = gemlet_packing_group_bytes(w->type, GEMLET_PACKED_PANELS, w->rows, w->columns);
    gemlet_matrix part = *w;
    part.data = (const unsigned char *)w->data + first_row / GEMLET_PANEL_ROWS * panel;
    part.rows = rows;
    return part;
}

void gemlet_pack_group(gemlet_weight_type type, gemlet_packing packing, const void *source, size_t count, size_t columns,
                       void *packed) {
    const unsigned char *from = source;
    unsigned char *to = packed;
    size_t bytes = weight_bytes(type);
    clear_group(type, packing, count, columns, to);
    for (size_t row = 0; row < count; row++) {
        for (size_t block = 0; block < columns / GEMLET_BLOCK; block++) {
            block_place place = place_block(type, packing, row, block, count, columns);
            memcpy(to + place.scale, from, SCALE_BYTES);
            const unsigned char *weights = from + SCALE_BYTES;
            if (packing == GEMLET_PACKED_COLUMNS) {
                pack_block_columns(type, weights, row, round_up(count, GEMLET_COLUMN_ROWS), to + place.weight);
            } else {
                for (size_t i = 0; i < bytes; i++) {
                    to[place.weight + byte_offset(packing, i)] = type == GEMLET_Q4_0 ? recode_nibbles(weights[i]) : weights[i];
                }
            }
            from += SCALE_BYTES + bytes;
        }
    }
}

/* Block `block` of row `row` of a group back into a source block. */
static void unpack_block(gemlet_weight_type type, gemlet_packing packing, const unsigned char *packed, size_t row, size_t block,
                         size_t count, size_t columns, unsigned char *source) {
    block_place place = place_block(type, packing, row, block, count, columns);
    unsigned char *weights = source + SCALE_BYTES;
    memcpy(source, packed + place.scale, SCALE_BYTES);
    if (packing == GEMLET_PACKED_COLUMNS) {
        unpack_block_columns(type, packed + place.weight, row, round_up(count, GEMLET_COLUMN_ROWS), weights);
        return;
    }
    for (size_t i = 0; i < weight_bytes(type); i++) {
        unsigned char byte = packed[place.weight + byte_offset(packing, i)];
        weights[i] = type == GEMLET_Q4_0 ? recode_nibbles(byte) : byte;
    }
}

void gemlet_unpack_group(gemlet_weight_type type, gemlet_packing packing, const void *packed, size_t count, size_t columns,
                         void *source) {
    unsigned char *to = source;
    for (size_t row = 0; row < count; row++) {
        for (size_t block = 0; block < columns / GEMLET_BLOCK; block++) {
            unpack_block(type, packing, packed, row, block, count, columns, to);
            to += gemlet_block_bytes(type);
        }
    }
}

float gemlet_block_weights(gemlet_weight_type type, const void *source, int8_t weights[GEMLET_BLOCK]) {
    const unsigned char *block = source;
    uint16_t scale = 0;
    memcpy(&scale, block, sizeof scale);
    const unsigned char *bytes = block + SCALE_BYTES;
    if (type == GEMLET_Q8_0) {
        memcpy(weights, bytes, GEMLET_BLOCK);
    } else {
        for (size_t i = 0; i < HALF_BLOCK; i++) {
            weights[i] = (int8_t)((bytes[i] & 15) - 8);
            weights[HALF_BLOCK + i] = (int8_t)((bytes[i] >> 4) - 8);
        }
    }
    return gemlet_half_to_float(scale);
}

float gemlet_matrix_block(const gemlet_matrix *w, size_t row, size_t block, int8_t weights[GEMLET_BLOCK]) {
    size_t group_rows = gemlet_packing_group_rows(w->packing, w->rows);
    const unsigned char *group =
        (const unsigned char *)w->data + row / group_rows * gemlet_packing_group_bytes(w->type, w->packing, w->rows, w->columns);
    unsigned char source[SCALE_BYTES + GEMLET_BLOCK];
    unpack_block(w->type, w->packing, group, row % group_rows, block, w->rows, w->columns, source);
    return gemlet_block_weights(w->type, source, weights);
}

/* The integers times the row's factor. */
static void row_scaled_row(const gemlet_matrix *w, size_t row, float *out) {
    float factor = gemlet_row_scaled_factor(w, row);
    for (size_t i = 0; i < w->columns; i++) {
        out[i] = (float)gemlet_row_scaled_weight(w, row, i) * factor;
    }
}

void gemlet_matrix_row(const gemlet_matrix *w, size_t row, float *out) {
    if (gemlet_is_row_scaled(w->type)) {
        row_scaled_row(w, row, out);
        return;
    }
    for (size_t block = 0; block < w->columns / GEMLET_BLOCK; block++) {
        int8_t weights[GEMLET_BLOCK];
        float scale = gemlet_matrix_block(w, row, block, weights);
        for (size_t i = 0; i < GEMLET_BLOCK; i++) {
            out[block * GEMLET_BLOCK + i] = (float)weights[i] * scale;
        }
    }
}
