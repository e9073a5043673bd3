#include "model/pack/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *pack_type_name(uint32_t type) {
    return type == PACK_TYPE_U8 ? "U8" : gemlet_type_name(type);
}

void pack_model_init(pack_model *model) {
    memset(model, 0, sizeof *model);
}

void pack_model_free(pack_model *model) {
    for (size_t i = 0; i < model->file_count; i++) {
        close(model->files[i].descriptor);
        free(model->files[i].path);
    }
    gemlet_vocabulary_free(&model->vocabulary);
    pack_free_quantization(&model->quantization);
    while (model->cuts != NULL) {
        pack_cut *next = model->cuts->next;
        free(model->cuts);
        model->cuts = next;
    }
    free(model->texts[0]);
    free(model->texts[1]);
    free(model->tensors);
    pack_model_init(model);
}

pack_cut *pack_add_cut(pack_model *model) {
    pack_cut *cut = calloc(1, sizeof *cut);
    if (cut != NULL) {
        cut->next = model->cuts;
        model->cuts = cut;
    }
    return cut;
}

/* The source's place of element `at` of the runs, and how many follow there. */
static uint64_t place_in(const pack_spans *spans, uint64_t at, uint64_t *following) {
    size_t i = 0;
    while (i + 1 < spans->count && at >= spans->span[i].count) {
        at -= spans->span[i++].count;
    }
    *following = spans->span[i].count - at;
    return spans->span[i].first + at;
}

gemlet_status pack_read_tensor(const pack_tensor *tensor, uint64_t offset, void *out, size_t length, gemlet_error *error) {
    const pack_cut *cut = tensor->cut;
    if (cut == NULL) {
        return pack_read(tensor->file, tensor->offset + offset, out, length, error);
    }
    uint64_t row_bytes = tensor->bytes / tensor->shape[0];
    unsigned char *to = out;
    gemlet_status status = GEMLET_OK;
    while (length > 0 && status == GEMLET_OK) {
        uint64_t rows, bytes;
        uint64_t row = place_in(&cut->rows, offset / row_bytes, &rows), byte = place_in(&cut->columns, offset % row_bytes, &bytes);
        if (row_bytes == cut->source_row_bytes) { /* whole rows follow each other */
            bytes += (rows - 1) * row_bytes;
        }
        size_t piece = bytes < length ? (size_t)bytes : length;
        status = pack_read(tensor->file, tensor->offset + row * cut->source_row_bytes + byte, to, piece, error);
        to += piece;
        offset += piece;
        length -= piece;
    }
    return status;
}

gemlet_status pack_add_tensor(pack_model *model, const pack_tensor *tensor, gemlet_error *error) {
    if (tensor->offset > tensor->file->size || tensor->bytes > tensor->file->size - tensor->offset) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" ends beyond the file: download it again",
                         tensor->file->path, tensor->name);
    }
    if (model->tensor_count == model->tensor_capacity) {
        size_t capacity = model->tensor_capacity == 0 ? 1024 : 2 * model->tensor_capacity;
        pack_tensor *grown = realloc(model->tensors, capacity * sizeof *grown);
        if (grown == NULL) {
            return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %zu tensors", capacity);
        }
        model->tensors = grown;
        model->tensor_capacity = capacity;
    }
    model->tensors[model->tensor_count++] = *tensor;
    return GEMLET_OK;
}

gemlet_status pack_refuse_tensor(const pack_model *model, const pack_file *file, const char *name, gemlet_error *error) {
    return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                     "%s: tensor \"%s\" has no place in a %s model: without it this would be another model", file->path, name,
                     model->family->architecture);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Orders names as people do: runs of digits by their value (names are short: no run overflows a comparison of lengths). */
static int compare_names(const char *a, const char *b) {
    while (*a != '\0' && *b != '\0') {
        if (is_digit(*a) && is_digit(*b)) {
            size_t digits_a = strspn(a, "0123456789"), digits_b = strspn(b, "0123456789");
            if (digits_a != digits_b) {
                return digits_a < digits_b ? -1 : 1;
            }
        }
        if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        }
        a++;
        b++;
    }
    return (*a != '\0') - (*b != '\0');
}

static int compare_tensors(const void *a, const void *b) {
    return compare_names(((const pack_tensor *)a)->name, ((const pack_tensor *)b)->name);
}

gemlet_status pack_sort_tensors(pack_model *model, gemlet_error *error) {
    if (model->tensor_count != 0) {
        qsort(model->tensors, model->tensor_count, sizeof *model->tensors, compare_tensors);
    }
    for (size_t i = 1; i < model->tensor_count; i++) {
        if (strcmp(model->tensors[i - 1].name, model->tensors[i].name) == 0) {
            return pack_fail(error, GEMLET_ERROR_FORMAT, "tensor \"%s\" is there twice: in %s and in %s", model->tensors[i].name,
                             model->tensors[i - 1].file->path, model->tensors[i].file->path);
        }
    }
    return GEMLET_OK;
}

pack_tensor *pack_find(pack_model *model, const char *name) {
    size_t low = 0, high = model->tensor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(model->tensors[middle].name, name);
        if (order == 0) {
            return &model->tensors[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

uint64_t pack_elements(const pack_tensor *tensor) {
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor->dimension_count; i++) {
        elements *= tensor->shape[i];
    }
    return elements;
}
