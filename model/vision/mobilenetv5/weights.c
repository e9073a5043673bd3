#include <string.h>

#include "model/container/loader.h"
#include "model/vision/mobilenetv5/mobilenetv5.h"

/* Names that follow start with "v.blk.<stage>.<block>.". */
static void enter_block(gemlet_loader *l, uint32_t stage, uint32_t block) {
    gemlet_loader_enter(l, "v.blk.");
    gemlet_loader_enter_number(l, stage);
    gemlet_loader_enter_number(l, block);
}

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
        gemlet_loader_fail_shape(l, &tensor, outputs, channels);
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
        gemlet_loader_fail_shape(l, &tensor, channels, 1);
        return conv;
    }
    return (gemlet_depthwise){.weights = gemlet_loader_data(l, &tensor), .channels = channels, .kernel = kernel, .stride = stride};
}

static void load_edge_residual(gemlet_loader *l, gemlet_vision_block *b) {
    b->expand = load_conv(l, "conv_exp.weight", 0, b->inputs, 9);
    b->expand_norm = load_reals(l, "bn1.weight", b->expand.outputs);
    b->project = load_conv(l, "conv_pwl.weight", 0, b->expand.outputs, 1);
    b->project_norm = load_reals(l, "bn2.weight", b->project.outputs);
    b->outputs = b->project.outputs;
}

/* The stride is that of the middle depthwise convolution, or of the first where there is no other. */
static void load_inverted_residual(gemlet_loader *l, gemlet_vision_block *b) {
    bool middle = gemlet_loader_has(l, "dw_mid.conv.weight");
    if (gemlet_loader_has(l, "dw_start.conv.weight")) {
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
    b->project = load_conv(l, "pw_proj.conv.weight", 0, b->expand.outputs, 1);
    b->project_norm = load_reals(l, "pw_proj.bn.weight", b->project.outputs);
    b->outputs = b->project.outputs;
    if (gemlet_loader_has(l, "dw_end.conv.weight")) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "is of a kind of block that no published encoder has");
    }
}

static void load_attention(gemlet_loader *l, gemlet_vision_block *b) {
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
static gemlet_vision_block load_block(gemlet_loader *l, uint32_t stage, uint32_t block, size_t inputs) {
    gemlet_vision_block b = {.inputs = inputs, .stride = block == 0 ? 2 : 1};
    enter_block(l, stage, block);
    if (gemlet_loader_has(l, "conv_exp.weight")) {
        b.kind = GEMLET_EDGE_RESIDUAL;
        load_edge_residual(l, &b);
    } else if (block > 0 && gemlet_loader_has(l, "attn.query.proj.weight")) {
        b.kind = GEMLET_MOBILE_ATTENTION;
        load_attention(l, &b);
    } else if (stage == 0 && block == 0) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "is missing: the first block must be an edge residual");
    } else {
        b.kind = GEMLET_INVERTED_RESIDUAL;
        load_inverted_residual(l, &b);
    }
    b.scaled = gemlet_loader_has(l, "layer_scale.gamma");
    if (b.scaled) {
        b.layer_scale = load_reals(l, "layer_scale.gamma", b.outputs);
    }
    b.skip = b.stride == 1 && b.inputs == b.outputs;
    /* A block rewrites the picture in place: an output row must not reach what has not been read. */
    if (l->status == GEMLET_OK && b.outputs > (b.stride == 2 ? 4 : 1) * b.inputs && !(stage == 0 && block == 0)) {
        gemlet_loader_fail(l, GEMLET_ERROR_UNSUPPORTED, "belongs to a block that widens the picture too much");
    }
    return b;
}

static void load_stem(gemlet_loader *l, gemlet_vision_stem *stem) {
    gemlet_tensor tensor;
    gemlet_loader_enter(l, "");
    if (!gemlet_loader_find(l, "v.conv_stem.conv.weight", &tensor)) {
        return;
    }
    if (tensor.kind != GEMLET_KIND_REAL_CONV || tensor.columns != 3 || tensor.taps != 9) {
        gemlet_loader_fail_shape(l, &tensor, tensor.rows, 3);
        return;
    }
    stem->outputs = tensor.rows;
    stem->weights = gemlet_loader_data(l, &tensor);
    stem->norm = load_reals(l, "v.conv_stem.bn.weight", stem->outputs);
    if (gemlet_loader_has(l, "v.conv_stem.conv.bias")) {
        stem->bias = load_reals(l, "v.conv_stem.conv.bias", stem->outputs);
    }
}

static void load_fusion(gemlet_loader *l, size_t channels, size_t text_width, gemlet_vision_fusion *f) {
    gemlet_loader_enter(l, "");
    f->expand = load_conv(l, "v.msfa.ffn.pw_exp.conv.weight", 0, channels, 1);
    f->expand_norm = load_reals(l, "v.msfa.ffn.pw_exp.bn.weight", f->expand.outputs);
    f->project = load_conv(l, "v.msfa.ffn.pw_proj.conv.weight", 0, f->expand.outputs, 1);
    f->project_norm = load_reals(l, "v.msfa.ffn.pw_proj.bn.weight", f->project.outputs);
    f->norm = load_reals(l, "v.msfa.norm.weight", f->project.outputs);
    f->soft_norm = load_reals(l, "mm.soft_emb_norm.weight", f->project.outputs);
    f->embed = load_conv(l, "mm.input_projection.weight", text_width, f->project.outputs, 1);
}

/* ---- Configuration ---- */

static void count_blocks(gemlet_loader *l, gemlet_vision_config *c) {
    for (uint32_t stage = 0; stage < GEMLET_MAX_STAGES; stage++) {
        uint32_t block = 0;
        for (;; block++) {
            enter_block(l, stage, block);
            bool there = c->block_count < GEMLET_MAX_VISION_BLOCKS &&
                         (gemlet_loader_has(l, "conv_exp.weight") || gemlet_loader_has(l, "pw_exp.conv.weight") ||
                          gemlet_loader_has(l, "attn.query.proj.weight"));
            if (!there) {
                break;
            }
            c->block_count++;
        }
        if (block == 0) {
            break;
        }
        c->blocks[stage] = block;
        c->stages = stage + 1;
    }
}

gemlet_status gemlet_vision_read_config(gemlet_container *container, gemlet_vision_config *config, gemlet_error *error) {
    *config = (gemlet_vision_config){0};
    if (!gemlet_container_find(container, "gemlet.vision.image_size", NULL)) {
        return GEMLET_OK;
    }
    gemlet_loader l = {.container = container, .error = error, .status = GEMLET_OK};
    count_blocks(&l, config);
    const struct {
        const char *key;
        uint32_t *out;
    } numbers[] = {
        {"gemlet.vision.image_size", &config->image_size},
        {"gemlet.vision.soft_token_count", &config->soft_tokens},
        {"gemlet.vision.end_token_id", &config->end_token},
    };
    gemlet_status status = gemlet_container_f32(container, "gemlet.vision.rms_epsilon", 0, &config->epsilon, error);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == GEMLET_OK; i++) {
        status = gemlet_container_u32(container, numbers[i].key, 0, numbers[i].out, error);
    }
    while (status == GEMLET_OK && config->side < 64 && config->side * config->side < config->soft_tokens) {
        config->side++;
    }
    if (status == GEMLET_OK && (config->side == 0 || config->side * config->side != config->soft_tokens || config->stages < 2)) {
        status = gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, container->path);
        gemlet_error_text(error,
                          ": an image must have a square number of soft tokens, at most 4096, and two stages, but there are ");
        gemlet_error_number(error, config->soft_tokens);
        gemlet_error_text(error, " and ");
        gemlet_error_number(error, config->stages);
    }
    return status;
}

/* ---- Loading and planning walk over the same blocks ---- */

typedef void (*block_visitor)(void *context, uint32_t stage, uint32_t index, const gemlet_vision_block *block);

static void walk(gemlet_loader *l, const gemlet_vision_config *c, size_t text_width, gemlet_vision_weights *w, block_visitor visit,
                 void *context) {
    load_stem(l, &w->stem);
    size_t channels = w->stem.outputs;
    size_t fused = 0; /* channels of the last two stages */
    uint32_t index = 0;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        for (uint32_t block = 0; block < c->blocks[stage] && l->status == GEMLET_OK; block++, index++) {
            gemlet_vision_block b = load_block(l, stage, block, channels);
            channels = b.outputs;
            if (l->status == GEMLET_OK) {
                visit(context, stage, index, &b);
            }
        }
        fused += stage + 2 >= c->stages ? channels : 0;
    }
    load_fusion(l, fused, text_width, &w->fusion);
}

static void keep_block(void *context, uint32_t stage, uint32_t index, const gemlet_vision_block *block) {
    gemlet_vision_block *blocks = context;
    (void)stage;
    if (blocks != NULL) {
        blocks[index] = *block;
    }
}

gemlet_status gemlet_vision_load(gemlet_container *container, const gemlet_vision_config *config, size_t text_width,
                                 gemlet_vision_block *blocks, gemlet_arena *arena, gemlet_vision_weights *weights, uint64_t *mapped,
                                 gemlet_error *error) {
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    *weights = (gemlet_vision_weights){.blocks = blocks};
    walk(&l, config, text_width, weights, keep_block, blocks);
    return l.status;
}

typedef struct measuring {
    const gemlet_vision *vision;
    gemlet_vision_place place;
    size_t bytes;
    gemlet_vision_levels levels;
} measuring;

static void measure(measuring *m, size_t work) {
    m->bytes = m->place.work + work > m->bytes ? m->place.work + work : m->bytes;
}

static void measure_block(void *context, uint32_t stage, uint32_t index, const gemlet_vision_block *block) {
    measuring *m = context;
    const gemlet_vision *v = m->vision;
    size_t side = m->place.side;
    bool new_picture = stage + 1 == v->config->stages && m->levels.near_side == 0;
    if (new_picture) {
        m->levels.near_side = side;
        m->levels.near_channels = m->place.channels;
    }
    gemlet_vision_enter(v, block, new_picture, &m->place);
    measure(m, block->kind == GEMLET_MOBILE_ATTENTION ? gemlet_vision_attention(v, block, side, NULL, NULL)
                                                      : gemlet_vision_residual(v, block, index == 0, side, NULL, NULL, NULL));
    gemlet_vision_leave(block, &m->place);
    m->levels.far_side = m->place.side;
    m->levels.far_channels = block->outputs;
}

static gemlet_status fail_size(const gemlet_vision *vision, gemlet_error *error) {
    uint32_t multiple = 2u << vision->config->stages;
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "option image_size must be a multiple of ");
    gemlet_error_number(error, multiple > 64 ? multiple : 64);
    gemlet_error_text(error, ", at most ");
    gemlet_error_number(error, GEMLET_LARGEST_SQUARE);
    gemlet_error_text(error, ", but is ");
    gemlet_error_number(error, vision->image_size);
    return GEMLET_ERROR_ARGUMENT;
}

gemlet_status gemlet_vision_plan(gemlet_vision *vision, gemlet_container *container, size_t text_width, gemlet_error *error) {
    gemlet_vision_weights shapes = {0};
    vision->band = vision->band != 0 ? vision->band : GEMLET_VISION_BAND;
    vision->chunk = vision->chunk != 0 && vision->chunk < GEMLET_VISION_CHUNK ? vision->chunk : GEMLET_VISION_CHUNK;
    if (vision->image_size == 0 || vision->image_size > GEMLET_LARGEST_SQUARE || vision->image_size % 64 != 0 ||
        vision->image_size % (2u << vision->config->stages) != 0) {
        return fail_size(vision, error);
    }
    gemlet_vision measured = *vision;
    measured.weights = &shapes;
    gemlet_loader l = {.container = container, .error = error, .status = GEMLET_OK};
    measuring m = {.vision = &measured};
    m.place.side = gemlet_strided(vision->image_size, GEMLET_STEM_STRIDE);
    walk(&l, vision->config, text_width, &shapes, measure_block, &m);
    if (l.status != GEMLET_OK) {
        return l.status;
    }
    measure(&m, gemlet_vision_fuse(&measured, &shapes.fusion, &m.levels, NULL, NULL));
    vision->bytes = m.bytes;
    return GEMLET_OK;
}
