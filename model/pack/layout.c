#include "model/pack/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quant/packing.h"
#include "model/pack/convert.h"

enum { MAX_PADDING_ROWS = 4096 };

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

gemlet_status pack_need(pack_model *model, const char *name, pack_tensor **tensor, gemlet_error *error) {
    *tensor = pack_find(model, name);
    if (*tensor == NULL) {
        pack_fail(error, GEMLET_ERROR_FORMAT, "the source lacks tensor \"%s\": give the files of one complete model", name);
        return GEMLET_ERROR_FORMAT;
    }
    float probe[256];
    unsigned char block[256] = {0};
    uint32_t elements, bytes;
    gemlet_type_block((*tensor)->type, &elements, &bytes);
    if (elements == 0 || !pack_dequantize((*tensor)->type, block, elements, probe)) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: tensor \"%s\" has type %s (ggml number %u), which can't be converted: give a file in F32, F16, BF16, "
                         "Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K",
                         (*tensor)->file->path, name, gemlet_type_name((*tensor)->type), (*tensor)->type);
    }
    (*tensor)->used = true;
    return GEMLET_OK;
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
    gemlet_tensor_kind first = type == GEMLET_Q4_0 ? GEMLET_KIND_Q4_0_PANELS : GEMLET_KIND_Q8_0_PANELS;
    pack_item item = {.action = PACK_MATRIX, .rows = rows, .columns = columns, .taps = 1, .source = source};
    memcpy(item.name, source->name, sizeof item.name);
    item.kind = (gemlet_tensor_kind)((unsigned)first + (unsigned)packing);
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

/* ---- Text ---- */

/* One tensor of a layer, in a table: matrices by rows and columns, numbers with rows == 1. */
typedef struct layer_part {
    const char *name;
    bool matrix;
    uint32_t rows, columns;
    gemlet_packing packing;
} layer_part;

static gemlet_status add_parts(const builder *b, uint32_t layer, const layer_part *parts, size_t count) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        const layer_part *p = &parts[i];
        char name[GEMLET_NAME_BYTES];
        snprintf(name, sizeof name, "blk.%u.%s", layer, p->name);
        status = p->matrix ? add_matrix(b, name, p->rows, p->columns, p->packing)
                           : pack_add_reals(b->model, b->layout, name, p->rows, p->columns, b->error);
    }
    return status;
}

/* Layers from here on use the keys and values of earlier ones; what published files carry for them is dropped. */
static uint32_t first_shared_layer(const pack_text *t) {
    return t->block_count - t->shared_kv_layers;
}

static gemlet_status add_attention(const builder *b, uint32_t layer) {
    const pack_text *t = &b->model->text;
    uint32_t width = t->embedding_length, keys = t->head_count_kv * t->key_length, values = t->head_count_kv * t->value_length;
    const layer_part own[] = {
        {"attn_k.weight", true, keys, width, GEMLET_PACKED_PANELS},
        {"attn_v.weight", true, values, width, GEMLET_PACKED_PANELS},
        {"attn_k_norm.weight", false, 1, t->key_length, GEMLET_PACKED_PANELS},
    };
    const layer_part all[] = {
        {"attn_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
        {"attn_q.weight", true, t->head_count * t->key_length, width, GEMLET_PACKED_PANELS},
        {"attn_q_norm.weight", false, 1, t->key_length, GEMLET_PACKED_PANELS},
        {"attn_output.weight", true, width, t->head_count * t->value_length, GEMLET_PACKED_PANELS},
        {"post_attention_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
    };
    gemlet_status status = layer < first_shared_layer(t) ? add_parts(b, layer, own, sizeof own / sizeof own[0]) : GEMLET_OK;
    return status != GEMLET_OK ? status : add_parts(b, layer, all, sizeof all / sizeof all[0]);
}

/* Where most of the gate is zero, single rows of up and columns of down are wanted. */
static gemlet_status add_feed_forward(const builder *b, uint32_t layer) {
    const pack_text *t = &b->model->text;
    uint32_t width = t->embedding_length, inner = t->feed_forward_length[layer];
    bool sparse = t->sparsity_scale[layer] > 0.0f;
    const layer_part parts[] = {
        {"ffn_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
        {"ffn_gate.weight", true, inner, width, GEMLET_PACKED_PANELS},
        {"ffn_up.weight", true, inner, width, sparse ? GEMLET_PACKED_ROWS : GEMLET_PACKED_PANELS},
        {"ffn_down.weight", true, width, inner, sparse ? GEMLET_PACKED_COLUMNS : GEMLET_PACKED_PANELS},
        {"post_ffw_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
    };
    return add_parts(b, layer, parts, sizeof parts / sizeof parts[0]);
}

static gemlet_status add_streams(const builder *b, uint32_t layer) {
    const pack_text *t = &b->model->text;
    uint32_t width = t->embedding_length, streams = t->altup_inputs;
    char name[GEMLET_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%u.laurel_l.weight", layer);
    const pack_tensor *left = pack_find(b->model, name);
    uint32_t rank = left != NULL && left->shape[0] <= UINT32_MAX ? (uint32_t)left->shape[0] : 0;
    const layer_part parts[] = {
        {"altup_router_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
        {"altup_router.weight", false, streams, width, GEMLET_PACKED_PANELS},
        {"altup_predict_coef.weight", false, streams * streams, streams, GEMLET_PACKED_PANELS},
        {"altup_correct_coef.weight", false, streams, streams, GEMLET_PACKED_PANELS},
        {"altup_correct_scale.weight", false, 1, width, GEMLET_PACKED_PANELS},
        {"laurel_l.weight", true, rank, width, GEMLET_PACKED_PANELS},
        {"laurel_r.weight", true, width, rank, GEMLET_PACKED_PANELS},
        {"laurel_post_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
        {"inp_gate.weight", true, t->per_layer_length, width, GEMLET_PACKED_PANELS},
        {"proj.weight", true, width, t->per_layer_length, GEMLET_PACKED_PANELS},
        {"post_norm.weight", false, 1, width, GEMLET_PACKED_PANELS},
    };
    return add_parts(b, layer, parts, sizeof parts / sizeof parts[0]);
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
    if (b->model->image.present) {
        *rows = count < b->model->image.vocabulary_offset ? (uint32_t)count : b->model->image.vocabulary_offset;
        return GEMLET_OK;
    }
    unsigned char *row = malloc(row_bytes);
    gemlet_status status = row != NULL ? GEMLET_OK : pack_fail(b->error, GEMLET_ERROR_MEMORY, "out of memory for a row");
    for (; status == GEMLET_OK && count > 1 && most > 0; count--, most--) {
        status = pack_read(table->file, table->offset + (count - 1) * row_bytes, row, row_bytes, b->error);
        if (status != GEMLET_OK || !all_zero(table, row, row_bytes)) {
            break;
        }
    }
    free(row);
    *rows = (uint32_t)count;
    return status;
}

static gemlet_status add_per_layer(const builder *b) {
    const pack_text *t = &b->model->text;
    uint32_t width = t->embedding_length, all = t->block_count * t->per_layer_length, rows = 0;
    pack_tensor *table;
    gemlet_status status = pack_need(b->model, "per_layer_token_embd.weight", &table, b->error);
    if (status == GEMLET_OK && (table->dimension_count != 2 || table->shape[0] == 0 || table->shape[0] > UINT32_MAX)) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be a matrix", table->file->path, table->name);
    }
    status = status != GEMLET_OK ? status : count_rows(b, table, &rows);
    status = status != GEMLET_OK ? status : add_rows(b, table->name, rows, all, GEMLET_PACKED_ROWS);
    status = status != GEMLET_OK ? status : add_matrix(b, "per_layer_model_proj.weight", all, width, GEMLET_PACKED_PANELS);
    status = status != GEMLET_OK
                 ? status
                 : pack_add_reals(b->model, b->layout, "per_layer_proj_norm.weight", 1, t->per_layer_length, b->error);
    uint32_t others = t->altup_inputs - 1;
    for (uint32_t i = 0; i < 2 * others && status == GEMLET_OK; i++) {
        char name[GEMLET_NAME_BYTES];
        snprintf(name, sizeof name, "%s.%u.weight", i < others ? "altup_proj" : "altup_unembd_proj", i % others);
        status = add_matrix(b, name, width, width, GEMLET_PACKED_PANELS);
    }
    return status;
}

static gemlet_status check_text(const builder *b) {
    const pack_text *t = &b->model->text;
    bool whole = t->embedding_length > 0 && t->embedding_length <= 65536 && t->head_count > 0 && t->head_count <= 1024 &&
                 t->head_count_kv > 0 && t->head_count % t->head_count_kv == 0 && t->key_length > 0 && t->key_length <= 4096 &&
                 t->key_length % 2 == 0 && t->value_length == t->key_length;
    if (!whole) {
        return pack_fail(b->error, GEMLET_ERROR_UNSUPPORTED,
                         "the model's sizes are not ones of Gemma: width %u, %u heads of %u, %u for keys of %u",
                         t->embedding_length, t->head_count, t->value_length, t->head_count_kv, t->key_length);
    }
    if (b->model->gemma3n && (t->altup_inputs < 2 || t->altup_inputs > 16 || t->altup_active >= t->altup_inputs ||
                              t->per_layer_length == 0 || t->per_layer_length > 65536 || t->shared_kv_layers >= t->block_count)) {
        return pack_fail(b->error, GEMLET_ERROR_UNSUPPORTED,
                         "the model's sizes are not ones of Gemma 3n: %u streams, stream %u active, %u numbers a layer, %u of %u "
                         "layers share keys",
                         t->altup_inputs, t->altup_active, t->per_layer_length, t->shared_kv_layers, t->block_count);
    }
    for (uint32_t i = 0; i < t->block_count; i++) {
        if (t->feed_forward_length[i] == 0 || t->feed_forward_length[i] > 1u << 20) {
            return pack_fail(b->error, GEMLET_ERROR_UNSUPPORTED, "layer %u has a feed-forward width of %u, 1 to 1048576 expected",
                             i, t->feed_forward_length[i]);
        }
    }
    return GEMLET_OK;
}

static gemlet_status add_text(const builder *b) {
    const pack_text *t = &b->model->text;
    pack_tensor *words;
    gemlet_status status = pack_need(b->model, "token_embd.weight", &words, b->error);
    if (status == GEMLET_OK && (words->dimension_count != 2 || words->shape[0] > UINT32_MAX)) {
        return pack_fail(b->error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" must be a matrix", words->file->path, words->name);
    }
    status = status != GEMLET_OK
                 ? status
                 : add_matrix(b, "token_embd.weight", (uint32_t)words->shape[0], t->embedding_length, GEMLET_PACKED_PANELS);
    status = status != GEMLET_OK || !b->model->gemma3n ? status : add_per_layer(b);
    status =
        status != GEMLET_OK ? status : pack_add_reals(b->model, b->layout, "output_norm.weight", 1, t->embedding_length, b->error);
    for (uint32_t i = 0; i < t->block_count && status == GEMLET_OK; i++) {
        status = add_attention(b, i);
        status = status != GEMLET_OK ? status : add_feed_forward(b, i);
        status = status != GEMLET_OK || !b->model->gemma3n ? status : add_streams(b, i);
    }
    return status;
}

gemlet_status pack_lay_out(pack_model *model, pack_types types, const void *tables, size_t table_bytes, pack_layout *layout,
                           gemlet_error *error) {
    builder b = {model, layout, types, error};
    gemlet_status status = check_text(&b);
    if (status == GEMLET_OK && tables != NULL) {
        pack_item item = {
            .name = "tokenizer.tables", .action = PACK_BLOB, .kind = GEMLET_KIND_BLOB, .blob = tables, .bytes = table_bytes};
        status = pack_add_item(layout, &item, error);
    }
    status = status != GEMLET_OK ? status : add_text(&b);
    status = status != GEMLET_OK || !model->image.present ? status : pack_lay_out_encoders(model, layout, error);
    return status;
}
