/* The text model's tensors: those of the table that the library reads them by. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quant/packing.h"
#include "model/pack/convert.h"
#include "model/pack/layout.h"
#include "model/text/tensors.h"

enum { MAX_PADDING_ROWS = 4096 };

/* What the functions below share. */
typedef struct builder {
    pack_model *model;
    pack_layout *layout;
    pack_types types;
    gemlet_error *error;
} builder;

static gemlet_weight_type weight_type(const builder *b, uint32_t source) {
    switch (source) {
    case GEMLET_TYPE_Q4_0: return GEMLET_Q4_0;
    case GEMLET_TYPE_Q8_0: return GEMLET_Q8_0;
    case GEMLET_TYPE_F32:
    case GEMLET_TYPE_F16:
    case GEMLET_TYPE_BF16: return b->types.reals;
    default: return b->types.blocks;
    }
}

/* Adds a matrix; `rows` may be fewer than the source has. */
static gemlet_status add_rows(const builder *b, const char *name, uint32_t rows, uint32_t columns, gemlet_packing packing) {
    pack_tensor *source;
    gemlet_status status = pack_need(b->model, name, &source, b->error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (source->dimension_count != 2 || source->shape[0] < rows || source->shape[1] != columns) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" must have %u rows of %u, but has %llu of %llu: the file is not of this model",
                         source->file->path, name, rows, columns, (unsigned long long)source->shape[0],
                         (unsigned long long)(source->dimension_count < 2 ? 1 : source->shape[1]));
    }
    gemlet_weight_type type = weight_type(b, source->type);
    pack_item item = {.action = PACK_MATRIX, .rows = rows, .columns = columns, .taps = 1, .source = source};
    memcpy(item.name, source->name, sizeof item.name);
    item.kind = gemlet_kind_of_matrix(type, packing);
    item.bytes = gemlet_packed_bytes(type, packing, rows, columns);
    if (item.bytes == 0) {
        return pack_fail(b->error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" has rows of %u, a multiple of %d is needed",
                         source->file->path, name, columns, GEMLET_BLOCK);
    }
    return pack_add_item(b->layout, &item, b->error);
}

static gemlet_status add_matrix(const builder *b, const char *name, uint32_t rows, uint32_t columns, gemlet_packing packing) {
    pack_tensor *source = pack_find(b->model, name);
    if (source != NULL && source->shape[0] != rows) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT,
                         "%s: tensor \"%s\" must have %u rows, but has %llu: the file is not of this model", source->file->path,
                         name, rows, (unsigned long long)source->shape[0]);
    }
    return add_rows(b, name, rows, columns, packing);
}

static bool all_zero(const pack_tensor *table, const unsigned char *row, size_t row_bytes) {
    uint32_t elements, bytes;
    float numbers[256];
    gemlet_type_block(table->type, &elements, &bytes);
    for (size_t i = 0; i < row_bytes; i += bytes) {
        pack_dequantize(table->type, row + i, elements, numbers);
        for (uint32_t j = 0; j < elements; j++) {
            if (numbers[j] != 0.0f) {
                return false;
            }
        }
    }
    return true;
}

/* llama.cpp's converter pads the per-layer table with rows of zeros up to the vocabulary's size, while the model gives ids beyond
 * the table row 0.  The table ends where the image embedder's ids begin; a text file alone does not say where, so there the rows of
 * zeros at the end are no rows. */
static gemlet_status count_rows(const builder *b, const pack_tensor *table, uint32_t *rows) {
    size_t row_bytes = (size_t)(table->bytes / table->shape[0]);
    uint64_t count = table->shape[0], most = MAX_PADDING_ROWS;
    *rows = (uint32_t)count;
    if (!b->model->from_gguf) {
        return GEMLET_OK;
    }
    if (b->model->image.present && b->model->image.vocabulary_offset != 0) {
        *rows = count < b->model->image.vocabulary_offset ? (uint32_t)count : b->model->image.vocabulary_offset;
        return GEMLET_OK;
    }
    unsigned char *row = malloc(row_bytes);
    gemlet_status status = row != NULL ? GEMLET_OK : pack_fail(b->error, GEMLET_ERROR_MEMORY, "out of memory for a row");
    for (; status == GEMLET_OK && count > 1 && most > 0; count--, most--) {
        status = pack_read_tensor(table, (count - 1) * row_bytes, row, row_bytes, b->error);
        if (status != GEMLET_OK || !all_zero(table, row, row_bytes)) {
            break;
        }
    }
    free(row);
    *rows = (uint32_t)count;
    return status;
}

/* How many rows a tensor is to have: what the configuration says, or as many as the source has. */
static gemlet_status rows_wanted(const builder *b, const gemlet_text_need *need, uint32_t *rows) {
    pack_tensor *source;
    gemlet_status status = pack_need_weights(b->model, need->name, &source, b->error);
    if (status != GEMLET_OK || need->rows != 0) {
        *rows = (uint32_t)need->rows;
        return status;
    }
    if (source->dimension_count != 2 || source->shape[0] == 0 || source->shape[0] > UINT32_MAX) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be a matrix", source->file->path, source->name);
    }
    *rows = (uint32_t)source->shape[0];
    return need->tensor->form == GEMLET_FORM_STREAMED ? count_rows(b, source, rows) : GEMLET_OK;
}

static const pack_item *item_named(const pack_layout *layout, const char *name) {
    for (size_t i = layout->count; i-- > 0;) {
        if (strcmp(layout->items[i].name, name) == 0) {
            return &layout->items[i];
        }
    }
    return NULL;
}

/* Matrices that share an input are multiplied with what was quantised once. */
static gemlet_status check_same_input(const builder *b, const gemlet_text_need *need) {
    char name[GEMLET_NAME_BYTES];
    const pack_item *item = &b->layout->items[b->layout->count - 1], *other = NULL;
    if (need->tensor->same_input != 0 && !need->of_layer) { /* the first stream's */
        snprintf(name, sizeof name, "%s.1.weight", need->tensor->name);
        other = item_named(b->layout, name);
    }
    for (size_t i = 0; i < gemlet_text_layer_tensor_count && need->tensor->same_input != 0 && need->of_layer; i++) {
        const gemlet_text_tensor *t = &gemlet_text_layer_tensors[i];
        if (t->place == need->tensor->same_input && t->form != GEMLET_FORM_REALS) {
            snprintf(name, sizeof name, "blk.%u.%s", need->layer, t->name);
            other = item_named(b->layout, name);
        }
    }
    float difference = other != NULL ? item->input_scale - other->input_scale : 0.0f;
    if (other == NULL || (item->kind == other->kind && difference == 0.0f)) {
        return GEMLET_OK;
    }
    return pack_fail(
        b->error, GEMLET_ERROR_UNSUPPORTED,
        "tensors \"%s\" (%s, inputs in steps of %.9g) and \"%s\" (%s, %.9g) must have as many bits and the same step, as "
        "they take the same input",
        other->name, gemlet_kind_name(other->kind), (double)other->input_scale, item->name, gemlet_kind_name(item->kind),
        (double)item->input_scale);
}

/* A matrix of a quantised checkpoint.  The embedding has no steps, as the head with which it is one. */
static gemlet_status add_quantized(const builder *b, const gemlet_text_need *need, uint32_t rows) {
    pack_tensor *source;
    gemlet_status status = pack_need_weights(b->model, need->name, &source, b->error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (source->dimension_count != 2 || source->shape[0] != rows || (source->bits == 0 && source->shape[1] != need->columns)) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must have %u rows of %zu: the file is not of this model",
                         source->file->path, need->name, rows, need->columns);
    }
    bool streamed = need->tensor->form == GEMLET_FORM_STREAMED;
    bool embedding =
        !need->of_layer && !streamed && need->tensor->rows == GEMLET_SIZE_VOCABULARY && need->tensor->part != GEMLET_TEXT_OWN_HEAD;
    const char *activations = streamed || embedding ? NULL : need->name;
    pack_item item = {.rows = rows, .columns = (uint32_t)need->columns, .source = source};
    memcpy(item.name, source->name, sizeof item.name);
    status =
        pack_add_row_scaled(b->model, b->layout, &item, streamed ? b->model->text.layers : 1, need->packing, activations, b->error);
    if (status != GEMLET_OK) {
        return status;
    }
    const char *fault = gemlet_text_check_steps(need->tensor, b->layout->items[b->layout->count - 1].input_scale);
    return fault == NULL
               ? check_same_input(b, need)
               : pack_fail(b->error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" %s", source->file->path, need->name, fault);
}

static gemlet_status add_tensor(const builder *b, const gemlet_text_need *need) {
    uint32_t columns = (uint32_t)need->columns, rows = 0;
    if (need->tensor->form == GEMLET_FORM_REALS) {
        return pack_add_reals(b->model, b->layout, need->name, (uint32_t)need->rows, columns, b->error);
    }
    gemlet_status status = rows_wanted(b, need, &rows);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_text_learn(&b->model->text, need, rows);
    if (b->model->quantization.present) {
        return add_quantized(b, need, rows);
    }
    bool all = need->tensor->form != GEMLET_FORM_STREAMED;
    return (all ? add_matrix : add_rows)(b, need->name, rows, columns, need->packing);
}

/* A key's range is the same for a packed file: what could not be opened is not packed. */
static gemlet_status check_range(const pack_model *model, const gemlet_text_key *key, uint32_t element, gemlet_error *error) {
    const char *architecture = model->family->architecture;
    const void *place = (const unsigned char *)&model->text + gemlet_text_key_offset(key, element);
    bool positive = key->type == GEMLET_TEXT_KEY_POSITIVE;
    if (key->type == GEMLET_TEXT_KEY_U32) {
        uint32_t number = *(const uint32_t *)place;
        return number >= key->low && number <= key->high
                   ? GEMLET_OK
                   : pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                               "the model's \"%s\" must be %u to %u but is %u: that is no %s model", key->suffix, key->low,
                               key->high, number, architecture);
    }
    float real = positive || key->type == GEMLET_TEXT_KEY_F32 ? *(const float *)place : 1.0f;
    return isfinite(real) && (!positive || real > 0.0f)
               ? GEMLET_OK
               : pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "the model's \"%s\" must be a finite number%s but is %g: that is no %s model", key->suffix,
                           positive ? " above 0" : "", (double)real, architecture);
}

gemlet_status pack_check_text(pack_model *model, gemlet_error *error) {
    gemlet_text_config *t = &model->text;
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < gemlet_text_key_count; i++) {
        const gemlet_text_key *key = &gemlet_text_keys[i];
        uint32_t elements = gemlet_text_has(t, key->part, 0) && !key->only_written ? gemlet_text_key_elements(key, t) : 0;
        for (uint32_t element = 0; element < elements && status == GEMLET_OK; element++) {
            status = check_range(model, key, element, error);
        }
    }
    uint32_t number = UINT32_MAX;
    const char *fault = status == GEMLET_OK ? gemlet_text_complete(t, &number) : NULL;
    if (fault != NULL) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, fault);
        if (number != UINT32_MAX) {
            gemlet_error_number(error, number);
        }
        return GEMLET_ERROR_UNSUPPORTED;
    }
    return status;
}

/* Whether two tensors are the same numbers in the same bytes. */
static gemlet_status same_bytes(const builder *b, const pack_tensor *one, const pack_tensor *other, bool *same) {
    enum { PIECE = 1 << 16 };
    unsigned char *pieces = malloc((size_t)2 * PIECE);
    if (pieces == NULL) {
        return pack_fail(b->error, GEMLET_ERROR_MEMORY, "out of memory for a piece of a tensor");
    }
    gemlet_status status = GEMLET_OK;
    *same = one->type == other->type && one->bytes == other->bytes;
    for (uint64_t at = 0; status == GEMLET_OK && *same && at < one->bytes; at += PIECE) {
        size_t length = one->bytes - at < PIECE ? (size_t)(one->bytes - at) : PIECE;
        status = pack_read(one->file, one->offset + at, pieces, length, b->error);
        status = status != GEMLET_OK ? status : pack_read(other->file, other->offset + at, pieces + PIECE, length, b->error);
        *same = status == GEMLET_OK && memcmp(pieces, pieces + PIECE, length) == 0;
    }
    free(pieces);
    return status;
}

/* A head that is a copy of the embedding is none of its own, unless it has steps: they go into the factors of its rows, which are
 * the scales of an embedding's. */
static gemlet_status find_head(const builder *b) {
    const pack_tensor *head = pack_find(b->model, GEMLET_HEAD_TENSOR), *words = pack_find(b->model, "token_embd.weight");
    const pack_tensor *scale = pack_find(b->model, "output.scale"), *words_scale = pack_find(b->model, "token_embd.scale");
    bool same = head == NULL;
    gemlet_status status = head != NULL && words != NULL ? same_bytes(b, head, words, &same) : GEMLET_OK;
    if (status == GEMLET_OK && head != NULL && same && scale != NULL && words_scale != NULL) {
        status = same_bytes(b, scale, words_scale, &same);
    }
    pack_item steps = {.source = head};
    if (status == GEMLET_OK && head != NULL && head->bits != 0) {
        status = pack_find_steps(b->model, GEMLET_HEAD_TENSOR, &steps, b->error);
    }
    b->model->text.own_head = !same || steps.input_scale > 0.0f;
    return status;
}

gemlet_status pack_lay_out_text(pack_model *model, pack_types types, pack_layout *layout, gemlet_error *error) {
    const builder b = {model, layout, types, error};
    gemlet_text_need need = {0};
    gemlet_status status = find_head(&b);
    status = status != GEMLET_OK ? status : pack_check_text(model, error);
    while (status == GEMLET_OK && gemlet_text_next(&model->text, &need)) {
        status = add_tensor(&b, &need);
    }
    return status;
}
