/* Matrices that were trained with few bits, in sources that have numbers: the grid is found again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/convert.h"
#include "model/pack/layout.h"
#include "model/pack/sound.h"

enum { MOST_COLUMNS = 1 << 16 };

static uint32_t more_bits(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* How many bits hold all rows of a matrix of numbers without loss: 2, 4, or 8, which may lose something. */
static gemlet_status find_level_bits(const pack_tensor *t, uint32_t *bits, gemlet_error *error) {
    size_t columns = (size_t)t->shape[1];
    uint32_t elements, bytes;
    gemlet_type_block(t->type, &elements, &bytes);
    size_t row_bytes = columns / elements * bytes;
    unsigned char *row = malloc(row_bytes);
    float *reals = malloc(columns * sizeof *reals);
    int8_t *codes = malloc(columns);
    bool there = row != NULL && reals != NULL && codes != NULL;
    gemlet_status status = there ? GEMLET_OK : pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for \"%s\"", t->name);
    *bits = 2;
    for (uint64_t i = 0; i < t->shape[0] && *bits < 8 && status == GEMLET_OK; i++) {
        status = pack_read_tensor(t, i * row_bytes, row, row_bytes, error);
        if (status == GEMLET_OK) {
            pack_dequantize(t->type, row, columns, reals);
            *bits = more_bits(*bits, pack_level_bits(reals, columns, codes));
        }
    }
    free(row);
    free(reals);
    free(codes);
    return status;
}

gemlet_status pack_add_levels(pack_model *model, pack_layout *layout, const pack_tensor *t, bool *added, gemlet_error *error) {
    static const char end[] = ".weight";
    size_t length = strlen(t->name);
    uint32_t bits = 8;
    bool exact, fits = pack_sound_traits(model) == &gemlet_gemma4a && strncmp(t->name, "a.blk.", 6) == 0 && length >= sizeof end &&
                       strcmp(t->name + length - (sizeof end - 1), end) == 0 && t->shape[1] % GEMLET_BLOCK == 0 &&
                       t->shape[1] <= MOST_COLUMNS && t->shape[0] <= UINT32_MAX;
    gemlet_status status = fits ? find_level_bits(t, &bits, error) : GEMLET_OK;
    *added = bits < 8;
    if (status != GEMLET_OK || !*added) {
        return status;
    }
    pack_item item = {.rows = (uint32_t)t->shape[0], .columns = (uint32_t)t->shape[1], .source = t, .bits = bits};
    char stem[GEMLET_NAME_BYTES];
    memcpy(item.name, t->name, sizeof item.name);
    snprintf(stem, sizeof stem, "%.*s", (int)(length - (sizeof end - 1)), t->name);
    status = pack_find_step(model, stem, &item.input_scale, &exact, error);
    return status != GEMLET_OK ? status : pack_add_row_scaled(model, layout, &item, 1, GEMLET_PACKED_PANELS, NULL, error);
}
