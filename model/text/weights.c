#include <string.h>

#include "model/text/decoder.h"

/* Looks tensors up by name, checks their shapes and remembers the first failure. */
typedef struct loader {
    gemlet_container *container;
    const gemlet_text_config *config;
    gemlet_arena *arena;
    uint64_t *mapped;
    gemlet_error *error;
    gemlet_status status;
    uint32_t fingerprint;
    char name[GEMLET_NAME_BYTES];
} loader;

/* "blk.<layer>.<suffix>", or "<prefix>.<number>.weight". */
static const char *numbered(loader *l, const char *prefix, uint32_t number, const char *suffix) {
    char digits[10];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    size_t length = strlen(prefix);
    memcpy(l->name, prefix, length);
    memcpy(l->name + length, digits + first, sizeof digits - first);
    length += sizeof digits - first;
    memcpy(l->name + length, suffix, strlen(suffix) + 1);
    return l->name;
}

static const char *of_layer(loader *l, uint32_t layer, const char *suffix) {
    return numbered(l, "blk.", layer, suffix);
}

static void fail_shape(loader *l, const gemlet_tensor *tensor, size_t rows, size_t columns) {
    l->status = gemlet_fail(l->error, GEMLET_ERROR_FORMAT, l->container->path);
    gemlet_error_text(l->error, ": tensor \"");
    gemlet_error_text(l->error, tensor->name);
    gemlet_error_text(l->error, "\" must be ");
    gemlet_error_number(l->error, rows);
    gemlet_error_text(l->error, " x ");
    gemlet_error_number(l->error, columns);
    gemlet_error_text(l->error, " but is ");
    gemlet_error_text(l->error, gemlet_kind_name((uint32_t)tensor->kind));
    gemlet_error_text(l->error, " of ");
    gemlet_error_number(l->error, tensor->rows);
    gemlet_error_text(l->error, " x ");
    gemlet_error_number(l->error, tensor->columns);
}

static const void *load_data(loader *l, const gemlet_tensor *tensor) {
    const void *data = NULL;
    l->fingerprint = gemlet_crc32(l->fingerprint, &tensor->crc32, sizeof tensor->crc32);
    l->status = gemlet_container_load(l->container, tensor, l->arena, "weights", &data, l->mapped, l->error);
    return data;
}

/* `rows` 0: any number of rows. */
static gemlet_matrix load_matrix(loader *l, const char *name, gemlet_packing packing, size_t rows, size_t columns,
                                 uint64_t *offset) {
    gemlet_matrix matrix = {0};
    gemlet_tensor tensor;
    if (l->status != GEMLET_OK || (l->status = gemlet_container_tensor(l->container, name, &tensor, l->error)) != GEMLET_OK) {
        return matrix;
    }
    bool whole = gemlet_tensor_matrix(&tensor, &matrix) && matrix.packing == packing && (rows == 0 || matrix.rows == rows) &&
                 matrix.columns == columns && tensor.bytes == gemlet_packed_bytes(matrix.type, packing, matrix.rows, columns);
    if (!whole) {
        fail_shape(l, &tensor, rows, columns);
        return (gemlet_matrix){0};
    }
    if (offset != NULL) {
        *offset = tensor.offset; /* read a row at a time, never resident */
        l->fingerprint = gemlet_crc32(l->fingerprint, &tensor.crc32, sizeof tensor.crc32);
    } else {
        matrix.data = load_data(l, &tensor);
    }
    return matrix;
}

static gemlet_matrix load_panels(loader *l, const char *name, size_t rows, size_t columns) {
    return load_matrix(l, name, GEMLET_PACKED_PANELS, rows, columns, NULL);
}

static const float *load_reals(loader *l, const char *name, size_t rows, size_t columns) {
    gemlet_tensor tensor;
    if (l->status != GEMLET_OK || (l->status = gemlet_container_tensor(l->container, name, &tensor, l->error)) != GEMLET_OK) {
        return NULL;
    }
    if (tensor.kind != GEMLET_KIND_PLAIN || tensor.type != GEMLET_TYPE_F32 || tensor.rows != rows || tensor.columns != columns) {
        fail_shape(l, &tensor, rows, columns);
        return NULL;
    }
    return load_data(l, &tensor);
}

static void load_attention(loader *l, uint32_t i, gemlet_text_layer *layer) {
    const gemlet_text_config *c = l->config;
    size_t queries = (size_t)c->heads * c->head_width;
    size_t keys = (size_t)c->kv_heads * c->head_width;
    layer->attention_norm = load_reals(l, of_layer(l, i, ".attn_norm.weight"), 1, c->width);
    layer->query = load_panels(l, of_layer(l, i, ".attn_q.weight"), queries, c->width);
    layer->query_norm = load_reals(l, of_layer(l, i, ".attn_q_norm.weight"), 1, c->head_width);
    if (i < c->first_shared) {
        layer->key = load_panels(l, of_layer(l, i, ".attn_k.weight"), keys, c->width);
        layer->value = load_panels(l, of_layer(l, i, ".attn_v.weight"), keys, c->width);
        layer->key_norm = load_reals(l, of_layer(l, i, ".attn_k_norm.weight"), 1, c->head_width);
    }
    layer->output = load_panels(l, of_layer(l, i, ".attn_output.weight"), c->width, queries);
    layer->post_attention_norm = load_reals(l, of_layer(l, i, ".post_attention_norm.weight"), 1, c->width);
}

static void load_feed_forward(loader *l, uint32_t i, gemlet_text_layer *layer) {
    size_t width = l->config->width;
    size_t inner = l->config->feed_forward[i];
    bool sparse = l->config->sparsity[i] > 0.0f;
    layer->feed_forward_norm = load_reals(l, of_layer(l, i, ".ffn_norm.weight"), 1, width);
    layer->gate = load_panels(l, of_layer(l, i, ".ffn_gate.weight"), inner, width);
    layer->up =
        load_matrix(l, of_layer(l, i, ".ffn_up.weight"), sparse ? GEMLET_PACKED_ROWS : GEMLET_PACKED_PANELS, inner, width, NULL);
    layer->down = load_matrix(l, of_layer(l, i, ".ffn_down.weight"), sparse ? GEMLET_PACKED_COLUMNS : GEMLET_PACKED_PANELS, width,
                              inner, NULL);
    layer->post_feed_forward_norm = load_reals(l, of_layer(l, i, ".post_ffw_norm.weight"), 1, width);
}

/* What only Gemma 3n has: AltUp, LAuReL and per-layer inputs. */
static void load_streams(loader *l, uint32_t i, gemlet_text_layer *layer) {
    const gemlet_text_config *c = l->config;
    size_t s = c->streams;
    layer->router = load_reals(l, of_layer(l, i, ".altup_router.weight"), s, c->width);
    layer->router_norm = load_reals(l, of_layer(l, i, ".altup_router_norm.weight"), 1, c->width);
    layer->predict = load_reals(l, of_layer(l, i, ".altup_predict_coef.weight"), s * s, s);
    layer->correct = load_reals(l, of_layer(l, i, ".altup_correct_coef.weight"), s, s);
    layer->correct_scale = load_reals(l, of_layer(l, i, ".altup_correct_scale.weight"), 1, c->width);
    layer->laurel_left = load_panels(l, of_layer(l, i, ".laurel_l.weight"), 0, c->width);
    layer->laurel_right = load_panels(l, of_layer(l, i, ".laurel_r.weight"), c->width, layer->laurel_left.rows);
    layer->laurel_norm = load_reals(l, of_layer(l, i, ".laurel_post_norm.weight"), 1, c->width);
    layer->per_layer_gate = load_panels(l, of_layer(l, i, ".inp_gate.weight"), c->per_layer_width, c->width);
    layer->per_layer_projection = load_panels(l, of_layer(l, i, ".proj.weight"), c->width, c->per_layer_width);
    layer->per_layer_norm = load_reals(l, of_layer(l, i, ".post_norm.weight"), 1, c->width);
}

static void load_rope(loader *l, gemlet_text_weights *w) {
    const gemlet_text_config *c = l->config;
    void *turns[2] = {NULL, NULL};
    for (size_t i = 0; i < 2 && l->status == GEMLET_OK; i++) {
        l->status = gemlet_arena_keep(l->arena, "rotary frequencies", c->head_width / 2 * sizeof(double), &turns[i], l->error);
    }
    if (l->status == GEMLET_OK && turns[0] != NULL) {
        gemlet_rope_frequencies((double)c->global_base, 1.0 / (double)c->rope_factor, c->head_width, turns[0]);
        gemlet_rope_frequencies((double)c->local_base, 1.0, c->head_width, turns[1]);
    }
    w->global_turns = turns[0];
    w->local_turns = turns[1];
}

static void load_gemma3n(loader *l, gemlet_text_config *config, gemlet_text_weights *w) {
    size_t all = (size_t)config->layers * config->per_layer_width;
    w->per_layer_table = load_matrix(l, "per_layer_token_embd.weight", GEMLET_PACKED_ROWS, 0, all, &w->per_layer_offset);
    config->per_layer_vocabulary = (uint32_t)w->per_layer_table.rows;
    w->per_layer_projection = load_panels(l, "per_layer_model_proj.weight", all, config->width);
    w->per_layer_norm = load_reals(l, "per_layer_proj_norm.weight", 1, config->per_layer_width);
    for (uint32_t i = 1; i < config->streams; i++) {
        w->stream_in[i] = load_panels(l, numbered(l, "altup_proj.", i - 1, ".weight"), config->width, config->width);
        w->stream_out[i] = load_panels(l, numbered(l, "altup_unembd_proj.", i - 1, ".weight"), config->width, config->width);
    }
    if (config->vision_count > 0) {
        w->vision_embedding = load_reals(l, "v.hard_token_embd", config->vision_count, config->width);
    }
    if (config->audio_count > 0) {
        w->audio_embedding = load_reals(l, "a.hard_token_embd", config->audio_count, config->width);
    }
}

gemlet_status gemlet_text_load(gemlet_container *container, gemlet_text_config *config, gemlet_text_layer *layers,
                               gemlet_arena *arena, gemlet_text_weights *weights, uint64_t *mapped, gemlet_error *error) {
    loader l = {.container = container, .config = config, .arena = arena, .error = error, .status = GEMLET_OK};
    l.mapped = mapped;
    *weights = (gemlet_text_weights){.layers = layers};
    load_rope(&l, weights);
    weights->embedding = load_panels(&l, "token_embd.weight", 0, config->width);
    config->vocabulary = (uint32_t)weights->embedding.rows;
    weights->output_norm = load_reals(&l, "output_norm.weight", 1, config->width);
    if (config->per_layer_width > 0) {
        load_gemma3n(&l, config, weights);
    }
    for (uint32_t i = 0; i < config->layers && l.status == GEMLET_OK; i++) {
        gemlet_text_layer layer = {0};
        load_attention(&l, i, &layer);
        load_feed_forward(&l, i, &layer);
        if (config->per_layer_width > 0) {
            load_streams(&l, i, &layer);
            uint32_t rank = (uint32_t)layer.laurel_left.rows;
            config->laurel_rank = rank > config->laurel_rank ? rank : config->laurel_rank;
        }
        if (layers != NULL) {
            layers[i] = layer;
        }
    }
    weights->fingerprint = l.fingerprint;
    return l.status;
}
