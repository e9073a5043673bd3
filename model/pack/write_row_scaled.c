/* Matrices with one scale a row: codes as they are, or numbers rounded by their row's maximum. */
#include <stdlib.h>
#include <string.h>

#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "model/pack/convert.h"
#include "model/pack/writer_parts.h"

/* A group of rows that are packed together. */
typedef struct row_group {
    unsigned char *codes;
    float *factors;
    float *source; /* all numbers of one that is transposed; else NULL */
} row_group;

static gemlet_status read_codes(pack_writer *w, gemlet_weight_type type, uint64_t first, size_t rows, row_group *g) {
    const pack_item *item = w->item;
    size_t row_bytes = item->columns * (size_t)gemlet_row_scaled_bits(type) / 8;
    gemlet_status status = pack_read_tensor(item->source, first * row_bytes, g->codes, rows * row_bytes, w->error);
    status = status != GEMLET_OK ? status : pack_read_reals(w, item->scale, first, rows, g->factors);
    for (size_t i = 0; i < rows && status == GEMLET_OK; i++) {
        const unsigned long long row = first + i;
        if (g->factors[i] < 0.0f) {
            return pack_fail(w->error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" has a negative scale of row %llu: %g",
                             item->scale->file->path, item->scale->name, row, (double)g->factors[i]);
        }
        if (item->output_scale > 0.0f) {
            g->factors[i] = (float)((double)g->factors[i] * (double)item->input_scale / (double)item->output_scale);
        }
    }
    for (size_t i = 0; i < rows * row_bytes && status == GEMLET_OK && type == GEMLET_W8; i++) {
        if (g->codes[i] == 0x80) {
            const unsigned long long row = first + i / row_bytes;
            return pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED,
                             "%s: tensor \"%s\" has the weight -128 in row %llu: -127 to 127 are expected, or two products would "
                             "not fit 16 bits",
                             item->source->file->path, item->source->name, row);
        }
    }
    return status;
}

/* Where a row or column of the packed matrix comes from; false: it is padding. */
static bool source_of(pack_groups groups, uint64_t *index) {
    if (groups.padded == 0) {
        return true;
    }
    uint64_t inside = *index % groups.padded;
    *index = *index / groups.padded * groups.real + inside;
    return inside < groups.real;
}

static uint64_t unpadded(pack_groups groups, uint64_t count) {
    return groups.padded == 0 ? count : count / groups.padded * groups.real;
}

/* All numbers of a source that is [columns][rows]. */
static gemlet_status read_transposed(pack_writer *w, row_group *g) {
    size_t count = (size_t)pack_elements(w->item->source);
    gemlet_status status = GEMLET_OK;
    g->source = malloc(count * sizeof *g->source);
    if (g->source == NULL) {
        return pack_writer_memory(w);
    }
    for (size_t first = 0; first < count && status == GEMLET_OK; first += PACK_PIECE_ELEMENTS) {
        size_t piece = count - first < PACK_PIECE_ELEMENTS ? count - first : PACK_PIECE_ELEMENTS;
        status = pack_read_reals(w, w->item->source, first, piece, g->source + first);
    }
    return status;
}

/* Row `row` of the packed matrix as numbers: w->reals. */
static gemlet_status read_row(pack_writer *w, const row_group *g, uint64_t row) {
    const pack_item *item = w->item;
    size_t columns = (size_t)unpadded(item->column_groups, item->columns);
    if (!source_of(item->row_groups, &row)) {
        memset(w->reals, 0, item->columns * sizeof *w->reals);
        return GEMLET_OK;
    }
    gemlet_status status = GEMLET_OK;
    if (item->transposed) {
        size_t rows = (size_t)unpadded(item->row_groups, item->rows);
        for (size_t i = 0; i < columns; i++) {
            w->reals[i] = g->source[i * rows + row];
        }
    } else {
        status = pack_read_reals(w, item->source, row * columns, columns, w->reals);
    }
    for (uint64_t i = item->columns; i-- > 0 && status == GEMLET_OK && item->column_groups.padded != 0;) {
        uint64_t from = i;
        bool there = source_of(item->column_groups, &from);
        w->reals[i] = there ? w->reals[from] : 0.0f;
    }
    return status;
}

static gemlet_status round_rows(pack_writer *w, uint64_t first, size_t rows, row_group *g) {
    size_t columns = w->item->columns;
    gemlet_status status = pack_check_row(w, w->item->name, columns, PACK_PIECE_ELEMENTS);
    w->item->converted = true;
    for (size_t row = 0; row < rows && status == GEMLET_OK; row++) {
        int8_t *codes = (int8_t *)g->codes + row * columns;
        float step = 0.0f;
        status = read_row(w, g, first + row);
        if (status == GEMLET_OK) {
            step = pack_quantize_channel(w->reals, columns, codes);
            g->factors[row] = w->item->input_scale > 0.0f ? (float)((double)step * (double)w->item->input_scale) : step;
        }
        for (size_t i = 0; i < columns && status == GEMLET_OK; i++) {
            float back = (float)codes[i] * step;
            pack_add_error(w, &w->reals[i], &back, 1);
        }
    }
    return status;
}

/* Integers of few bits to as many bits, as sources of codes have them. */
static void squeeze(gemlet_weight_type type, unsigned char *codes, size_t count) {
    unsigned bits = gemlet_row_scaled_bits(type), each = 8 / bits, offset = 1u << (bits - 1);
    for (size_t i = 0; i < count / each; i++) {
        unsigned byte = 0;
        for (unsigned j = 0; j < each; j++) {
            byte |= (((unsigned)(int8_t)codes[i * each + j] + offset) & ((1u << bits) - 1)) << (bits * j);
        }
        codes[i] = (unsigned char)byte;
    }
}

static gemlet_status write_groups(pack_writer *w, const gemlet_matrix *m, row_group *g, unsigned char *packed) {
    size_t group = gemlet_packing_group_rows(m->packing, m->rows);
    size_t bytes = gemlet_packing_group_bytes(m->type, m->packing, m->rows, m->columns);
    gemlet_status status = GEMLET_OK;
    for (size_t first = 0; first < m->rows && status == GEMLET_OK; first += group) {
        size_t rows = m->rows - first < group ? m->rows - first : group;
        status = w->item->scale != NULL ? read_codes(w, m->type, first, rows, g) : round_rows(w, first, rows, g);
        if (status == GEMLET_OK && w->item->scale == NULL && m->type != GEMLET_W8) {
            squeeze(m->type, g->codes, rows * m->columns);
        }
        if (status == GEMLET_OK) {
            gemlet_row_scaled_pack(m->type, m->packing, g->codes, g->factors, rows, m->columns, packed);
            status = pack_emit(w, packed, bytes);
        }
    }
    return status;
}

gemlet_status pack_write_row_scaled(pack_writer *w) {
    gemlet_tensor shape = {.kind = w->item->kind, .rows = w->item->rows, .columns = w->item->columns, .taps = 1};
    gemlet_matrix m;
    gemlet_tensor_matrix(&shape, &m);
    row_group g = {calloc(GEMLET_PANEL_ROWS, m.columns), calloc(GEMLET_PANEL_ROWS, sizeof(float)), NULL};
    unsigned char *packed = malloc(gemlet_packing_group_bytes(m.type, m.packing, m.rows, m.columns));
    bool there = g.codes != NULL && g.factors != NULL && packed != NULL;
    gemlet_status status = there ? GEMLET_OK : pack_writer_memory(w);
    status = status != GEMLET_OK || !w->item->transposed ? status : read_transposed(w, &g);
    status = status != GEMLET_OK ? status : write_groups(w, &m, &g, packed);
    if (status == GEMLET_OK && m.packing == GEMLET_PACKED_PANELS) {
        unsigned char tail[GEMLET_ROW_SCALED_TAIL] = {0};
        memcpy(tail, &w->item->input_scale, sizeof(float));
        memcpy(tail + sizeof(float), &w->item->output_scale, sizeof(float));
        status = pack_emit(w, tail, sizeof tail);
    }
    free(g.codes);
    free(g.factors);
    free(g.source);
    free(packed);
    return status;
}
