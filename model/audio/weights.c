#include <string.h>

#include "model/audio/conformer.h"

static const float *load_reals(gemlet_loader *l, const char *suffix, size_t count) {
    return gemlet_loader_reals(l, suffix, 1, count);
}

static bool is_product(const gemlet_tensor *t, const gemlet_matrix *m) {
    return m->columns != 0 ? m->type >= GEMLET_W2 && m->packing == GEMLET_PACKED_PANELS
                           : t->kind == GEMLET_KIND_CONV && t->taps == 1 && t->bytes == gemlet_conv_bytes(t->rows, 1, t->columns);
}

/* Weights as a convolution of one tap or as a matrix.  `outputs` 0: any number, likewise `channels`. */
static gemlet_conformer_linear load_product(gemlet_loader *l, const char *suffix, size_t outputs, size_t channels) {
    gemlet_conformer_linear linear = {0};
    gemlet_tensor tensor;
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return linear;
    }
    if (!gemlet_tensor_matrix(&tensor, &linear.matrix)) {
        linear.matrix.columns = 0;
    }
    bool fits = (outputs == 0 || tensor.rows == outputs) && tensor.rows > 0 && tensor.columns > 0 &&
                (channels == 0 || tensor.columns == channels) && is_product(&tensor, &linear.matrix);
    if (!fits) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"int8 convolution or w2, w4 or w8 panels", outputs, channels, 0});
        return (gemlet_conformer_linear){0};
    }
    linear.outputs = tensor.rows;
    linear.channels = tensor.columns;
    if (linear.matrix.columns != 0) {
        gemlet_loader_row_scaled(l, &tensor, &linear.matrix);
        return linear;
    }
    linear.conv = (gemlet_conv){.outputs = tensor.rows, .channels = tensor.columns, .taps = 1};
    linear.conv.data = gemlet_loader_data(l, &tensor);
    size_t prefix = l->prefix;
    l->prefix = strlen(l->name);
    linear.conv.scale = load_reals(l, ".scale", linear.outputs);
    l->prefix = prefix;
    return linear;
}

/* NAME.weight with its scales and, where there are any, its bounds NAME.input_min, ...  Where they cut into the range of a matrix'
 * steps, a few columns are clamped and quantised at a time: then whole vectors are never there to find a step of. */
static gemlet_conformer_linear load_linear(gemlet_loader *l, const char *name, size_t outputs, size_t channels, bool bounded) {
    gemlet_conformer_linear linear;
    size_t before = gemlet_loader_enter_below(l, name);
    linear = load_product(l, ".weight", outputs, channels);
    if (bounded) {
        linear.output = gemlet_loader_bounds(l, ".output");
        linear.input = gemlet_loader_bounds(l, ".input");
    }
    if (gemlet_loader_has_data(l) && linear.matrix.columns != 0 && linear.input.least != NULL &&
        !(linear.matrix.input_scale > 0.0f)) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, "bounds a matrix that has no step of its inputs");
    }
    l->prefix = before;
    return linear;
}

static const float *load_real_conv(gemlet_loader *l, const char *suffix, size_t outputs, size_t inputs, size_t taps,
                                   size_t *found_outputs) {
    gemlet_tensor tensor;
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return NULL;
    }
    if (tensor.kind != GEMLET_KIND_REAL_CONV || (outputs != 0 && tensor.rows != outputs) || tensor.rows == 0 ||
        tensor.columns != inputs || tensor.taps != taps) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"real convolution", outputs, inputs, taps});
        return NULL;
    }
    if (found_outputs != NULL) {
        *found_outputs = tensor.rows;
    }
    return gemlet_loader_data(l, &tensor);
}

static gemlet_conformer_feed_forward load_feed_forward(gemlet_loader *l, bool last, bool bounded, gemlet_conformer_weights *w) {
    gemlet_conformer_feed_forward f = {0};
    f.norm = load_reals(l, last ? "ffn_norm_1.weight" : "ffn_norm.weight", w->width);
    f.up = load_linear(l, last ? "ffn_up_1" : "ffn_up", w->inner, w->width, bounded);
    w->inner = f.up.outputs;
    f.down = load_linear(l, last ? "ffn_down_1" : "ffn_down", w->width, w->inner, bounded);
    f.post_norm = load_reals(l, last ? "ffn_post_norm_1.weight" : "ffn_post_norm.weight", w->width);
    return f;
}

static gemlet_conformer_block load_block(gemlet_loader *l, const gemlet_conformer_model *m, uint32_t index,
                                         gemlet_conformer_weights *w) {
    const gemlet_conformer_traits *traits = m->traits;
    gemlet_conformer_block b = {0};
    size_t width = w->width;
    bool bounded = traits->bounded;
    gemlet_loader_enter(l, "a.blk.");
    gemlet_loader_enter_number(l, index);
    b.start = load_feed_forward(l, false, bounded, w);
    b.attention_norm = load_reals(l, traits->attention_norm, width);
    b.query = load_linear(l, "attn_q", width, width, bounded);
    b.key = load_linear(l, "attn_k", width, width, bounded);
    b.value = load_linear(l, "attn_v", width, width, bounded);
    b.query_scale = load_reals(l, "query_scale", width / m->config.heads);
    b.positions = gemlet_loader_reals(l, "positions", m->config.window, width);
    b.output = load_linear(l, "attn_out", width, width, bounded);
    b.attention_post_norm = load_reals(l, traits->attention_post_norm, width);
    b.conv_norm = load_reals(l, "conv_norm.weight", width);
    b.conv_start = load_linear(l, "conv_pw1", 2 * width, width, bounded);
    b.conv_taps = load_real_conv(l, "conv_dw.weight", width, 1, GEMLET_CONFORMER_TAPS, NULL);
    b.conv_mid_norm = load_reals(l, "norm_conv.weight", width);
    b.conv_end = load_linear(l, "conv_pw2", width, width, bounded);
    b.end = load_feed_forward(l, true, bounded, w);
    b.norm = load_reals(l, traits->block_norm, width);
    return b;
}

static void load_convolutions(gemlet_loader *l, gemlet_conformer_weights *w, size_t bins) {
    size_t inputs = 1;
    for (uint32_t i = 0; i < GEMLET_CONVOLUTIONS; i++) {
        gemlet_loader_enter(l, "a.conv1d.");
        gemlet_loader_enter_number(l, i);
        w->conv[i].inputs = inputs;
        w->conv[i].weights = load_real_conv(l, "weight", 0, inputs, 9, &w->conv[i].outputs);
        w->conv[i].norm = load_reals(l, "norm.weight", w->conv[i].outputs);
        inputs = w->conv[i].outputs;
    }
    w->subsampled = bins / GEMLET_SUBSAMPLING * inputs;
}

/* The ends of the tower and the embedder. */
static void load_embedder(gemlet_loader *l, const gemlet_conformer_traits *traits, size_t text_width, gemlet_conformer_weights *w) {
    size_t hidden = w->width;
    gemlet_loader_enter(l, "");
    if (traits->projected) {
        w->projection = load_linear(l, "a.pre_encode.out", 0, w->width, false);
        hidden = w->projection.outputs;
        w->projection_bias = load_reals(l, "a.pre_encode.out.bias", hidden);
    }
    if (traits->soft_normed) {
        w->soft_norm = load_reals(l, "mm.a.soft_emb_norm.weight", hidden);
    }
    w->embed = load_linear(l, "mm.a.input_projection", text_width, hidden, false);
}

static void load_all(gemlet_loader *l, gemlet_conformer_model *m, size_t text_width) {
    gemlet_conformer_weights *w = &m->weights;
    const gemlet_mel_traits *mel = &m->traits->mel;
    gemlet_loader_enter(l, "");
    w->window = gemlet_loader_reals(l, "a.mel.window", 2, mel->frame);
    w->filters = gemlet_loader_reals(l, "a.mel.filters", m->config.bins, mel->points / 2 + 1);
    load_convolutions(l, w, m->config.bins);
    gemlet_loader_enter(l, "");
    w->input = load_product(l, m->traits->input, 0, w->subsampled);
    w->width = w->input.outputs;
    if (l->status == GEMLET_OK && w->width % m->config.heads != 0) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, "must have as many outputs as a multiple of the attention's heads");
    }
    for (uint32_t i = 0; i < m->config.block_count && l->status == GEMLET_OK; i++) {
        gemlet_conformer_block block = load_block(l, m, i, w);
        if (w->blocks != NULL) {
            w->blocks[i] = block;
        }
    }
    load_embedder(l, m->traits, text_width, w);
}

gemlet_status gemlet_conformer_load(gemlet_conformer_model *model, gemlet_container *container, size_t text_width,
                                    gemlet_arena *arena, uint64_t *mapped, gemlet_error *error) {
    void *blocks = NULL;
    gemlet_status status =
        gemlet_arena_keep(arena, "model", model->config.block_count * sizeof(gemlet_conformer_block), &blocks, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    model->weights = (gemlet_conformer_weights){.blocks = blocks};
    load_all(&l, model, text_width);
    return l.status;
}
