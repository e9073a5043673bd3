#include <string.h>

#include "core/quant/packing.h"
#include "model/vision/vit/vit.h"

static gemlet_matrix load_matrix(gemlet_loader *l, const char *suffix, size_t rows, size_t columns) {
    gemlet_tensor tensor;
    gemlet_matrix m = {0};
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return m;
    }
    if (!gemlet_tensor_matrix(&tensor, &m) || m.type != GEMLET_W8 || m.packing != GEMLET_PACKED_PANELS || m.rows != rows ||
        m.columns != columns) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"w8 panels", rows, columns, 0});
        return m;
    }
    gemlet_loader_row_scaled(l, &tensor, &m);
    return m;
}

/* NAME.weight, its bias of `biased` numbers and its bounds; what the model has no such matrix for is zeros. */
static gemlet_vit_linear load_linear(gemlet_loader *l, const gemlet_vit_config *c, const char *name, size_t rows, size_t columns,
                                     size_t biased) {
    gemlet_vit_linear linear = {.bias = NULL};
    size_t before = gemlet_loader_enter_below(l, name);
    linear.w = load_matrix(l, ".weight", rows, columns);
    linear.bias = c->traits->biases ? gemlet_loader_reals(l, ".bias", 1, biased) : NULL;
    linear.input = gemlet_loader_bounds(l, ".input");
    linear.output = gemlet_loader_bounds(l, ".output");
    l->prefix = before;
    return linear;
}

/* NAME.weight and, where norms are LayerNorms, NAME.bias. */
static gemlet_vit_norm load_norm(gemlet_loader *l, const gemlet_vit_config *c, const char *name) {
    gemlet_vit_norm norm = {NULL, NULL};
    size_t before = gemlet_loader_enter_below(l, name);
    norm.weight = gemlet_loader_reals(l, ".weight", 1, c->width);
    norm.bias = c->traits->layer_norms ? gemlet_loader_reals(l, ".bias", 1, c->width) : NULL;
    l->prefix = before;
    return norm;
}

static bool same_bounds(const gemlet_bounds *a, const gemlet_bounds *b) {
    bool there = a->least != NULL && b->least != NULL;
    return there ? *a->least == *b->least && *a->most == *b->most : a->least == b->least;
}

/* What was quantised for one of them is taken by the other. */
static bool share_inputs(const gemlet_vit_linear *a, const gemlet_vit_linear *b) {
    return a->w.input_scale == b->w.input_scale && same_bounds(&a->input, &b->input);
}

static void check_same_inputs(gemlet_loader *l, const gemlet_vit_layer *layer) {
    bool gate = layer->gate.w.columns == 0 || share_inputs(&layer->up, &layer->gate);
    if (!share_inputs(&layer->query, &layer->key) || !share_inputs(&layer->query, &layer->value) || !gate) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT,
                           "belongs to a layer whose q, k and v, or gate and up, don't share their inputs' step and bounds");
    }
}

static gemlet_vit_layer load_layer(gemlet_loader *l, const gemlet_vit_config *c, uint32_t index) {
    gemlet_vit_layer layer = {.post_norm = NULL};
    size_t width = c->width, heads = (size_t)c->heads * gemlet_vit_head_rows(c->head_width), inner = gemlet_vit_padded(c->inner);
    size_t queries = (size_t)c->heads * c->head_width;
    gemlet_loader_enter(l, "v.blk.");
    gemlet_loader_enter_number(l, index);
    layer.norm = load_norm(l, c, "ln1");
    layer.query = load_linear(l, c, "attn_q", heads, width, queries);
    layer.key = load_linear(l, c, "attn_k", heads, width, queries);
    layer.value = load_linear(l, c, "attn_v", heads, width, queries);
    layer.output = load_linear(l, c, "attn_out", width, gemlet_vit_padded((uint32_t)heads), width);
    layer.feed_forward_norm = load_norm(l, c, "ln2");
    layer.up = load_linear(l, c, "ffn_up", inner, width, c->inner);
    layer.down = load_linear(l, c, "ffn_down", width, inner, width);
    if (c->traits->rotary) {
        layer.query_norm = gemlet_loader_reals(l, "attn_q_norm.weight", 1, c->head_width);
        layer.key_norm = gemlet_loader_reals(l, "attn_k_norm.weight", 1, c->head_width);
    }
    if (!c->traits->layer_norms) {
        layer.post_norm = gemlet_loader_reals(l, "attn_post_norm.weight", 1, width);
        layer.post_feed_forward_norm = gemlet_loader_reals(l, "ffn_post_norm.weight", 1, width);
    }
    if (c->traits->gated) {
        layer.gate = load_linear(l, c, "ffn_gate", inner, width, c->inner);
    }
    check_same_inputs(l, &layer);
    return layer;
}

/* Of a square a row for each patch; else as many as the tensor has, of two tables that follow each other. */
static const float *load_positions(gemlet_loader *l, gemlet_vit_config *c) {
    gemlet_tensor tensor;
    size_t tables = c->traits->rotary ? 2 : 1, side = c->image_size / c->traits->patch;
    gemlet_loader_enter(l, "v.position_embd.");
    if (!gemlet_loader_find(l, "weight", &tensor)) {
        return NULL;
    }
    if (tensor.kind != GEMLET_KIND_PLAIN || tensor.type != GEMLET_TYPE_F32 || tensor.columns != c->width ||
        tensor.rows % tables != 0 || (c->traits->square && tensor.rows != side * side)) {
        gemlet_loader_fail_shape(
            l, &tensor, (gemlet_shape){tables == 2 ? "two F32 tables" : "F32", c->traits->square ? side * side : 0, c->width, 0});
        return NULL;
    }
    c->positions = (uint32_t)(tensor.rows / tables);
    return gemlet_loader_data(l, &tensor);
}

void gemlet_vit_load(gemlet_loader *loader, gemlet_vit_config *config, size_t text_width, gemlet_vit_weights *weights) {
    gemlet_loader_enter(loader, "v.patch_embd.");
    weights->patch = gemlet_loader_reals(loader, "weight", config->width, gemlet_vit_patch_numbers(config));
    weights->patch_bias = config->traits->biases ? gemlet_loader_reals(loader, "bias", 1, config->width) : NULL;
    weights->positions = load_positions(loader, config);
    for (uint32_t i = 0; i < config->layers && loader->status == GEMLET_OK; i++) {
        gemlet_vit_layer layer = load_layer(loader, config, i);
        if (weights->layers != NULL) {
            weights->layers[i] = layer;
        }
    }
    if (config->traits->layer_norms) {
        gemlet_loader_enter(loader, "v.");
        weights->last = load_norm(loader, config, "post_ln");
        gemlet_loader_enter(loader, "mm.");
        weights->soft_norm = gemlet_loader_reals(loader, "soft_emb_norm.weight", 1, config->width);
    }
    gemlet_loader_enter(loader, "mm.");
    weights->projection = load_matrix(loader, "input_projection.weight", text_width, config->width);
}
