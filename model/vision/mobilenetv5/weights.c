#include <string.h>

#include "model/container/loader.h"
#include "model/vision/mobilenetv5/mobilenetv5.h"

static const float *load_reals(gemlet_loader *l, const char *suffix, size_t count) {
    return gemlet_loader_reals(l, suffix, 1, count);
}

/* An int8 convolution NAME.weight with its scales NAME.weight.scale; `outputs` 0: any number. */
static gemlet_conv load_conv(gemlet_loader *l, const char *suffix, size_t outputs, size_t channels, size_t taps) {
    gemlet_conv conv = {0};
    gemlet_tensor tensor;
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return conv;
    }
    bool fits = tensor.kind == GEMLET_KIND_CONV && (outputs == 0 || tensor.rows == outputs) && tensor.rows > 0 &&
                (channels == 0 || tensor.columns == channels) && tensor.taps == taps &&
                tensor.bytes == gemlet_conv_bytes(tensor.rows, taps, tensor.columns);
    if (!fits) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"int8 convolution", outputs, channels, taps});
        return conv;
    }
    conv = (gemlet_conv){.outputs = tensor.rows, .channels = tensor.columns, .taps = taps};
    conv.data = gemlet_loader_data(l, &tensor);
    size_t prefix = l->prefix;
    l->prefix = strlen(l->name);
    conv.scale = load_reals(l, ".scale", conv.outputs);
    l->prefix = prefix;
    return conv;
}

static gemlet_depthwise load_depthwise(gemlet_loader *l, const char *suffix, size_t channels, size_t stride) {
    gemlet_depthwise conv = {0};
    gemlet_tensor tensor;
    if (!gemlet_loader_find(l, suffix, &tensor)) {
        return conv;
    }
    size_t kernel = tensor.taps == 9 ? 3 : tensor.taps == 25 ? 5 : 0;
    if (tensor.kind != GEMLET_KIND_REAL_CONV || tensor.rows != channels || tensor.columns != 1 || kernel == 0) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"real convolution with 9 or 25 taps", channels, 1, 0});
        return conv;
    }
    return (gemlet_depthwise){.weights = gemlet_loader_data(l, &tensor), .channels = channels, .kernel = kernel, .stride = stride};
}

static void load_edge_residual(gemlet_loader *l, gemlet_mobilenetv5_block *b) {
    b->expand = load_conv(l, "conv_exp.weight", 0, b->inputs, 9);
    b->expand_norm = load_reals(l, "bn1.weight", b->expand.outputs);
    b->project = load_conv(l, "conv_pwl.weight", 0, b->expand.outputs, 1);
    b->project_norm = load_reals(l, "bn2.weight", b->project.outputs);
    b->outputs = b->project.outputs;
}

/* The stride is that of the middle depthwise convolution, or of the first where there is no other.  Without either all pixels are
 * one phase that rewrites them in place, in any order: each must be as long behind it as before. */
static void load_inverted_residual(gemlet_loader *l, gemlet_mobilenetv5_block *b) {
    bool middle = gemlet_loader_has(l, "dw_mid.conv.weight"), start = gemlet_loader_has(l, "dw_start.conv.weight");
    if (start) {
        b->start = load_depthwise(l, "dw_start.conv.weight", b->inputs, middle ? 1 : b->stride);
        b->start_norm = load_reals(l, "dw_start.bn.weight", b->inputs);
    } else if (!middle && b->stride > 1) {
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, "is missing: the first block of a stage needs a depthwise convolution");
    }
    b->expand = load_conv(l, "pw_exp.conv.weight", 0, b->inputs, 1);
    b->expand_norm = load_reals(l, "pw_exp.bn.weight", b->expand.outputs);
    if (middle) {
        b->middle = load_depthwise(l, "dw_mid.conv.weight", b->expand.outputs, b->stride);
        b->middle_norm = load_reals(l, "dw_mid.bn.weight", b->expand.outputs);
    }
    b->project = load_conv(l, "pw_proj.conv.weight", start || middle ? 0 : b->inputs, b->expand.outputs, 1);
    b->project_norm = load_reals(l, "pw_proj.bn.weight", b->project.outputs);
    b->outputs = b->project.outputs;
    if (gemlet_loader_has(l, "dw_end.conv.weight")) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "is of a kind of block that no published encoder has");
    }
}

static void load_attention(gemlet_loader *l, gemlet_mobilenetv5_block *b) {
    b->norm = load_reals(l, "norm.weight", b->inputs);
    if (gemlet_loader_has(l, "attn.key.down_conv.weight")) {
        b->key_down = load_depthwise(l, "attn.key.down_conv.weight", b->inputs, 2);
        b->key_norm = load_reals(l, "attn.key.norm.weight", b->inputs);
        b->value_down = load_depthwise(l, "attn.value.down_conv.weight", b->inputs, 2);
        b->value_norm = load_reals(l, "attn.value.norm.weight", b->inputs);
        if (l->status == GEMLET_OK && b->key_down.kernel != b->value_down.kernel) {
            gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "must have as many taps as that of the keys");
        }
    }
    b->key = load_conv(l, "attn.key.proj.weight", 0, b->inputs, 1);
    b->value = load_conv(l, "attn.value.proj.weight", 0, b->inputs, 1);
    b->query = load_conv(l, "attn.query.proj.weight", 0, b->inputs, 1);
    size_t heads = b->key.outputs > 0 ? b->query.outputs / b->key.outputs : 0;
    if (l->status == GEMLET_OK && (heads == 0 || heads * b->key.outputs != b->query.outputs)) {
        (void)gemlet_loader_has(l, "attn.query.proj.weight"); /* the one to name */
        gemlet_loader_fail(l, GEMLET_ERROR_FORMAT, "must have a multiple of the keys' channels");
    }
    b->output = load_conv(l, "attn.output.proj.weight", 0, heads * b->value.outputs, 1);
    b->outputs = b->output.outputs;
    if (l->status == GEMLET_OK && b->outputs != b->inputs) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "must have as many outputs as the block has inputs");
    }
}

/* Block `block` of a stage, for `inputs` channels: as published, the first of each stage halves the picture. */
static void load_block(gemlet_loader *l, uint32_t stage, uint32_t block, size_t inputs, gemlet_mobilenetv5_block *b) {
    *b = (gemlet_mobilenetv5_block){.inputs = inputs, .stride = block == 0 ? 2 : 1};
    gemlet_mobilenetv5_enter_block(l, stage, block);
    if (gemlet_loader_has(l, "conv_exp.weight")) {
        b->kind = GEMLET_EDGE_RESIDUAL;
        load_edge_residual(l, b);
    } else if (block > 0 && gemlet_loader_has(l, "attn.query.proj.weight")) {
        b->kind = GEMLET_MOBILE_ATTENTION;
        load_attention(l, b);
    } else if (stage == 0 && block == 0) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "is missing: the first block must be an edge residual");
    } else {
        b->kind = GEMLET_INVERTED_RESIDUAL;
        load_inverted_residual(l, b);
    }
    b->scaled = gemlet_loader_has(l, "layer_scale.gamma");
    if (b->scaled) {
        b->layer_scale = load_reals(l, "layer_scale.gamma", b->outputs);
    }
    b->skip = b->stride == 1 && b->inputs == b->outputs;
    /* A block rewrites the picture in place: an output row must not reach what has not been read. */
    if (l->status == GEMLET_OK && b->outputs > (b->stride == 2 ? 4 : 1) * b->inputs && !(stage == 0 && block == 0)) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "belongs to a block that widens the picture too much");
    }
}

static void load_stem(gemlet_loader *l, gemlet_mobilenetv5_stem *stem) {
    gemlet_tensor tensor;
    gemlet_loader_enter(l, "");
    if (!gemlet_loader_find(l, "v.conv_stem.conv.weight", &tensor)) {
        return;
    }
    if (tensor.kind != GEMLET_KIND_REAL_CONV || tensor.columns != 3 || tensor.taps != 9) {
        gemlet_loader_fail_shape(l, &tensor, (gemlet_shape){"real convolution", 0, 3, 9});
        return;
    }
    stem->outputs = tensor.rows;
    stem->weights = gemlet_loader_data(l, &tensor);
    stem->norm = load_reals(l, "v.conv_stem.bn.weight", stem->outputs);
    if (gemlet_loader_has(l, "v.conv_stem.conv.bias")) {
        stem->bias = load_reals(l, "v.conv_stem.conv.bias", stem->outputs);
    }
}

static void load_fusion(gemlet_loader *l, size_t channels, size_t text_width, gemlet_mobilenetv5_fusion *f) {
    gemlet_loader_enter(l, "");
    f->expand = load_conv(l, "v.msfa.ffn.pw_exp.conv.weight", 0, channels, 1);
    f->expand_norm = load_reals(l, "v.msfa.ffn.pw_exp.bn.weight", f->expand.outputs);
    f->project = load_conv(l, "v.msfa.ffn.pw_proj.conv.weight", 0, f->expand.outputs, 1);
    f->project_norm = load_reals(l, "v.msfa.ffn.pw_proj.bn.weight", f->project.outputs);
    f->norm = load_reals(l, "v.msfa.norm.weight", f->project.outputs);
    f->soft_norm = load_reals(l, "mm.soft_emb_norm.weight", f->project.outputs);
    f->embed = load_conv(l, "mm.input_projection.weight", text_width, f->project.outputs, 1);
}

void gemlet_mobilenetv5_walk(gemlet_loader *l, const gemlet_mobilenetv5_config *c, size_t text_width, gemlet_mobilenetv5_weights *w,
                             gemlet_mobilenetv5_visitor visit, void *context) {
    load_stem(l, &w->stem);
    gemlet_mobilenetv5_block b;
    size_t channels = w->stem.outputs;
    size_t fused = 0; /* channels of the last two stages */
    uint32_t index = 0;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        for (uint32_t block = 0; block < c->blocks[stage] && l->status == GEMLET_OK; block++, index++) {
            load_block(l, stage, block, channels, &b);
            channels = b.outputs;
            if (l->status == GEMLET_OK) {
                visit(context, stage, index, &b);
            }
        }
        fused += stage + 2 >= c->stages ? channels : 0;
    }
    load_fusion(l, fused, text_width, &w->fusion);
}
