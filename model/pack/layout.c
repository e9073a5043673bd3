#include "model/pack/layout.h"

#include <stdlib.h>
#include <string.h>

#include "model/pack/convert.h"

void pack_layout_free(pack_layout *layout) {
    free(layout->items);
    memset(layout, 0, sizeof *layout);
}

gemlet_status pack_add_item(pack_layout *layout, const pack_item *item, gemlet_error *error) {
    if (layout->count == layout->capacity) {
        size_t capacity = layout->capacity == 0 ? 1024 : 2 * layout->capacity;
        pack_item *grown = realloc(layout->items, capacity * sizeof *grown);
        if (grown == NULL) {
            return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %zu tensors", capacity);
        }
        layout->items = grown;
        layout->capacity = capacity;
    }
    layout->items[layout->count++] = *item;
    return GEMLET_OK;
}

/* Whether there is a way from the tensor's type to numbers. */
static gemlet_status check_convertible(const pack_tensor *tensor, gemlet_error *error) {
    float probe[256];
    unsigned char block[256] = {0};
    uint32_t elements, bytes;
    gemlet_type_block(tensor->type, &elements, &bytes);
    if (elements == 0 || !pack_dequantize(tensor->type, block, elements, probe)) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: tensor \"%s\" has type %s (ggml number %u), which can't be converted: give a file in F32, F16, BF16, "
                         "Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL or IQ4_XS",
                         tensor->file->path, tensor->name, pack_type_name(tensor->type), tensor->type);
    }
    return GEMLET_OK;
}

gemlet_status pack_need_weights(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error) {
    *tensor = pack_find(model, name);
    if (*tensor == NULL) {
        pack_fail(error, GEMLET_ERROR_FORMAT, "the source lacks tensor \"%s\": give the files of one complete model", name);
        return GEMLET_ERROR_FORMAT;
    }
    (*tensor)->used = true;
    return (*tensor)->bits != 0 ? GEMLET_OK : check_convertible(*tensor, error);
}

gemlet_status pack_need(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error) {
    gemlet_status status = pack_need_weights(model, name, tensor, error);
    if (status == GEMLET_OK && (*tensor)->bits != 0) {
        status = pack_fail(error, GEMLET_ERROR_FORMAT,
                           "%s: tensor \"%s\" must hold numbers (F32, F16 or BF16), but holds codes of %u bits: the file is not of "
                           "this model",
                           (*tensor)->file->path, name, (*tensor)->bits);
    }
    return status;
}

gemlet_status pack_add_reals(pack_model *model, pack_layout *layout, const char *name, uint32_t rows, uint32_t columns,
                             gemlet_error *error) {
    pack_tensor *source;
    gemlet_status status = pack_need(model, name, &source, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (pack_elements(source) != (uint64_t)rows * columns) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" must hold %u x %u numbers, but holds %llu: the file is not of this model",
                         source->file->path, name, rows, columns, (unsigned long long)pack_elements(source));
    }
    pack_item item = {
        .action = PACK_REALS, .kind = GEMLET_KIND_PLAIN, .rows = rows, .columns = columns, .taps = 1, .source = source};
    memcpy(item.name, source->name, sizeof item.name);
    item.bytes = 4 * (uint64_t)rows * columns;
    return pack_add_item(layout, &item, error);
}
