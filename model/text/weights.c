#include "model/container/loader.h"
#include "model/text/decoder.h"

/* `rows` 0: any number of rows.  With `offset` the matrix is read a row at a time and never resident: it gets its place in the
 * file. */
static gemlet_matrix load_matrix(gemlet_loader *l, const char *suffix, gemlet_packing packing, size_t rows, size_t columns,
                                 uint64_t *offset) {
    gemlet_matrix matrix = {0};
    gemlet_tensor tensor;
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return matrix;
    }
    bool whole = gemlet_tensor_matrix(&tensor, &matrix) && matrix.packing == packing && (rows == 0 || matrix.rows == rows) &&
                 matrix.columns == columns && tensor.bytes == gemlet_packed_bytes(matrix.type, packing, matrix.rows, columns);
    if (!whole) {
        gemlet_loader_fail_shape(l, &tensor, rows, columns);
        return (gemlet_matrix){0};
    }
    if (offset != NULL) {
        *offset = tensor.offset;
    } else {
        matrix.data = gemlet_loader_data(l, &tensor);
    }
    return matrix;
}

static gemlet_matrix load_panels(gemlet_loader *l, const char *suffix, size_t rows, size_t columns) {
    return load_matrix(l, suffix, GEMLET_PACKED_PANELS, rows, columns, NULL);
}

static void load_attention(gemlet_loader *l, const gemlet_text_config *c, uint32_t i, gemlet_text_layer *layer) {
    size_t queries = (size_t)c->heads * c->head_width;
    size_t keys = (size_t)c->kv_heads * c->head_width;
    layer->attention_norm = gemlet_loader_reals(l, "attn_norm.weight", 1, c->width);
    layer->query = load_panels(l, "attn_q.weight", queries, c->width);
    layer->query_norm = gemlet_loader_reals(l, "attn_q_norm.weight", 1, c->head_width);
    if (i < c->first_shared) {
        layer->key = load_panels(l, "attn_k.weight", keys, c->width);
        layer->value = load_panels(l, "attn_v.weight", keys, c->width);
        layer->key_norm = gemlet_loader_reals(l, "attn_k_norm.weight", 1, c->head_width);
    }
    layer->output = load_panels(l, "attn_output.weight", c->width, queries);
    layer->post_attention_norm = gemlet_loader_reals(l, "post_attention_norm.weight", 1, c->width);
}

static void load_feed_forward(gemlet_loader *l, const gemlet_text_config *c, uint32_t i, gemlet_text_layer *layer) {
    size_t width = c->width;
    size_t inner = c->feed_forward[i];
    bool sparse = c->sparsity[i] > 0.0f;
    layer->feed_forward_norm = gemlet_loader_reals(l, "ffn_norm.weight", 1, width);
    layer->gate = load_panels(l, "ffn_gate.weight", inner, width);
    layer->up = load_matrix(l, "ffn_up.weight", sparse ? GEMLET_PACKED_ROWS : GEMLET_PACKED_PANELS, inner, width, NULL);
    layer->down = load_matrix(l, "ffn_down.weight", sparse ? GEMLET_PACKED_COLUMNS : GEMLET_PACKED_PANELS, width, inner, NULL);
    layer->post_feed_forward_norm = gemlet_loader_reals(l, "post_ffw_norm.weight", 1, width);
}

/* What only Gemma 3n has: AltUp, LAuReL and per-layer inputs. */
static void load_streams(gemlet_loader *l, const gemlet_text_config *c, gemlet_text_layer *layer) {
    size_t s = c->streams;
    layer->router = gemlet_loader_reals(l, "altup_router.weight", s, c->width);
    layer->router_norm = gemlet_loader_reals(l, "altup_router_norm.weight", 1, c->width);
    layer->predict = gemlet_loader_reals(l, "altup_predict_coef.weight", s * s, s);
    layer->correct = gemlet_loader_reals(l, "altup_correct_coef.weight", s, s);
    layer->correct_scale = gemlet_loader_reals(l, "altup_correct_scale.weight", 1, c->width);
    layer->laurel_left = load_panels(l, "laurel_l.weight", 0, c->width);
    layer->laurel_right = load_panels(l, "laurel_r.weight", c->width, layer->laurel_left.rows);
    layer->laurel_norm = gemlet_loader_reals(l, "laurel_post_norm.weight", 1, c->width);
    layer->per_layer_gate = load_panels(l, "inp_gate.weight", c->per_layer_width, c->width);
    layer->per_layer_projection = load_panels(l, "proj.weight", c->width, c->per_layer_width);
    layer->per_layer_norm = gemlet_loader_reals(l, "post_norm.weight", 1, c->width);
}

static void load_rope(gemlet_loader *l, const gemlet_text_config *c, gemlet_text_weights *w) {
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

static void load_gemma3n(gemlet_loader *l, gemlet_text_config *config, gemlet_text_weights *w) {
    size_t all = (size_t)config->layers * config->per_layer_width;
    w->per_layer_table = load_matrix(l, "per_layer_token_embd.weight", GEMLET_PACKED_ROWS, 0, all, &w->per_layer_offset);
    config->per_layer_vocabulary = (uint32_t)w->per_layer_table.rows;
    w->per_layer_projection = load_panels(l, "per_layer_model_proj.weight", all, config->width);
    w->per_layer_norm = gemlet_loader_reals(l, "per_layer_proj_norm.weight", 1, config->per_layer_width);
    for (uint32_t i = 1; i < config->streams; i++) {
        gemlet_loader_enter(l, "altup_proj.");
        gemlet_loader_enter_number(l, i - 1);
        w->stream_in[i] = load_panels(l, "weight", config->width, config->width);
        gemlet_loader_enter(l, "altup_unembd_proj.");
        gemlet_loader_enter_number(l, i - 1);
        w->stream_out[i] = load_panels(l, "weight", config->width, config->width);
    }
    gemlet_loader_enter(l, "");
    if (config->vision_count > 0) {
        w->vision_embedding = gemlet_loader_reals(l, "v.hard_token_embd", config->vision_count, config->width);
    }
    if (config->audio_count > 0) {
        w->audio_embedding = gemlet_loader_reals(l, "a.hard_token_embd", config->audio_count, config->width);
    }
}

gemlet_status gemlet_text_load(gemlet_container *container, gemlet_text_config *config, gemlet_text_layer *layers,
                               gemlet_arena *arena, gemlet_text_weights *weights, uint64_t *mapped, gemlet_error *error) {
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    *weights = (gemlet_text_weights){.layers = layers};
    load_rope(&l, config, weights);
    weights->embedding = load_panels(&l, "token_embd.weight", 0, config->width);
    config->vocabulary = (uint32_t)weights->embedding.rows;
    weights->output_norm = gemlet_loader_reals(&l, "output_norm.weight", 1, config->width);
    if (config->per_layer_width > 0) {
        load_gemma3n(&l, config, weights);
    }
    for (uint32_t i = 0; i < config->layers && l.status == GEMLET_OK; i++) {
        gemlet_text_layer layer = {0};
        gemlet_loader_enter(&l, "blk.");
        gemlet_loader_enter_number(&l, i);
        load_attention(&l, config, i, &layer);
        load_feed_forward(&l, config, i, &layer);
        if (config->per_layer_width > 0) {
            load_streams(&l, config, &layer);
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
