#include <string.h>

#include "core/quant/row_scaled.h"

enum { GROUP_ROWS = 4, GROUP_BYTES = 64, PART_COLUMNS = 16 };

size_t gemlet_row_scaled_group_bytes(gemlet_weight_type type, gemlet_packing packing, size_t columns) {
    size_t bits = gemlet_row_scaled_bits(type);
    return packing == GEMLET_PACKED_PANELS
               ? GEMLET_ROW_SCALED_PANEL_HEADER + GEMLET_PANEL_ROWS * gemlet_padded_columns(columns) / 8 * bits
               : sizeof(float) + (columns * bits + 7) / 8;
}

/* Where a number is: its byte, from the panel's or the row's first number on, and its lowest bit there. */
typedef struct number_place {
    size_t byte;
    unsigned bit;
    bool highest; /* bits of its byte */
} number_place;

static number_place place_in_panel(gemlet_weight_type type, size_t row, size_t column) {
    size_t step = gemlet_row_scaled_step(type), within = column % step;
    unsigned bits = gemlet_row_scaled_bits(type), bit = (unsigned)(within / PART_COLUMNS) * bits;
    size_t byte = (column / step * (GEMLET_PANEL_ROWS / GROUP_ROWS) + row / GROUP_ROWS) * GROUP_BYTES +
                  within % PART_COLUMNS / 4 * 16 + row % GROUP_ROWS * 4 + within % 4;
    return (number_place){byte, bit, bit + bits == 8};
}

static number_place place_in_row(gemlet_weight_type type, size_t column) {
    unsigned bits = gemlet_row_scaled_bits(type), of_byte = 8 / bits;
    return (number_place){column / of_byte, (unsigned)(column % of_byte) * bits, bits == 8};
}

static unsigned read_bits(const unsigned char *bytes, number_place place, unsigned bits) {
    return (unsigned)bytes[place.byte] >> place.bit & ((1u << bits) - 1);
}

void gemlet_row_scaled_pack(gemlet_weight_type type, gemlet_packing packing, const void *source, const float *factors, size_t count,
                            size_t columns, void *packed) {
    unsigned char *to = packed;
    const unsigned char *from = source;
    unsigned bits = gemlet_row_scaled_bits(type), sign = 1u << (bits - 1);
    size_t source_bytes = (columns * bits + 7) / 8;
    if (packing == GEMLET_PACKED_ROWS) {
        memcpy(to, factors, sizeof *factors);
        memcpy(to + sizeof *factors, from, source_bytes);
        return;
    }
    memset(to, 0, gemlet_row_scaled_group_bytes(type, packing, columns));
    memcpy(to, factors, count * sizeof *factors);
    to += GEMLET_ROW_SCALED_PANEL_HEADER;
    for (size_t row = 0; row < GEMLET_PANEL_ROWS; row++) {
        for (size_t column = 0; column < gemlet_padded_columns(columns); column++) {
            number_place place = place_in_panel(type, row, column);
            bool there = row < count && column < columns;
            unsigned zero = bits == 8 ? 0 : sign;
            unsigned number = there ? read_bits(from + row * source_bytes, place_in_row(type, column), bits) : zero;
            number ^= place.highest && bits != 8 ? sign : 0;
            to[place.byte] |= (unsigned char)(number << place.bit);
        }
    }
}

static const unsigned char *group_of(const gemlet_matrix *w, size_t row) {
    size_t group = w->packing == GEMLET_PACKED_PANELS ? row / GEMLET_PANEL_ROWS : row;
    return (const unsigned char *)w->data + group * gemlet_row_scaled_group_bytes(w->type, w->packing, w->columns);
}

int gemlet_row_scaled_weight(const gemlet_matrix *w, size_t row, size_t column) {
    bool panels = w->packing == GEMLET_PACKED_PANELS;
    unsigned bits = gemlet_row_scaled_bits(w->type), sign = 1u << (bits - 1);
    number_place place = panels ? place_in_panel(w->type, row % GEMLET_PANEL_ROWS, column) : place_in_row(w->type, column);
    bool offset = bits != 8 && !(panels && place.highest);
    unsigned number = read_bits(group_of(w, row) + (panels ? (size_t)GEMLET_ROW_SCALED_PANEL_HEADER : sizeof(float)), place, bits);
    return (int)(offset ? number : number ^ sign) - (int)sign;
}

float gemlet_row_scaled_factor(const gemlet_matrix *w, size_t row) {
    size_t place = w->packing == GEMLET_PACKED_PANELS ? row % GEMLET_PANEL_ROWS : 0;
    float factor;
    memcpy(&factor, group_of(w, row) + place * sizeof factor, sizeof factor);
    return factor;
}
