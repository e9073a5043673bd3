/* The bytes that a run takes: the walk over the blocks, with what each needs beside the pictures. */
#include "model/vision/mobilenetv5/mobilenetv5.h"

typedef struct measuring {
    const gemlet_mobilenetv5 *vision;
    gemlet_mobilenetv5_place place;
    size_t bytes;
    gemlet_mobilenetv5_levels levels;
} measuring;

static void measure(measuring *m, size_t work) {
    m->bytes = m->place.work + work > m->bytes ? m->place.work + work : m->bytes;
}

static void measure_block(void *context, uint32_t stage, uint32_t index, const gemlet_mobilenetv5_block *block) {
    measuring *m = context;
    const gemlet_mobilenetv5 *v = m->vision;
    size_t side = m->place.side;
    bool new_picture = stage + 1 == v->config->stages && m->levels.near_side == 0;
    if (new_picture) {
        m->levels.near_side = side;
        m->levels.near_channels = m->place.channels;
    }
    gemlet_mobilenetv5_enter(v, block, new_picture, &m->place);
    measure(m, block->kind == GEMLET_MOBILE_ATTENTION ? gemlet_mobilenetv5_attention(v, block, side, NULL, NULL)
                                                      : gemlet_mobilenetv5_residual(v, block, index == 0, side, NULL, NULL, NULL));
    gemlet_mobilenetv5_leave(block, &m->place);
    m->levels.far_side = m->place.side;
    m->levels.far_channels = block->outputs;
}

static gemlet_status fail_size(const gemlet_mobilenetv5 *vision, gemlet_error *error) {
    uint32_t multiple = 2u << vision->config->stages;
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "option image_size must be a multiple of ");
    gemlet_error_number(error, multiple > 64 ? multiple : 64);
    gemlet_error_text(error, ", at most ");
    gemlet_error_number(error, GEMLET_MOBILENETV5_LARGEST_SQUARE);
    gemlet_error_text(error, ", but is ");
    gemlet_error_number(error, vision->run.image_size);
    return GEMLET_ERROR_ARGUMENT;
}

static void measure_fusion(measuring *m, const gemlet_mobilenetv5_fusion *fusion) {
    measure(m, gemlet_mobilenetv5_fuse(m->vision, fusion, &m->levels, NULL, NULL));
}

static void measure_loaded(measuring *m, const gemlet_mobilenetv5_weights *weights) {
    const gemlet_mobilenetv5_config *c = m->vision->config;
    uint32_t index = 0;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        for (uint32_t block = 0; block < c->blocks[stage]; block++, index++) {
            measure_block(m, stage, index, &weights->blocks[index]);
        }
    }
    measure_fusion(m, &weights->fusion);
}

/* The model was only counted: its shapes are read from the file again. */
static gemlet_status measure_file(measuring *m, gemlet_mobilenetv5 *vision, gemlet_container *container, gemlet_error *error) {
    const gemlet_mobilenetv5_weights *counted = vision->weights;
    gemlet_mobilenetv5_weights shapes = {0};
    gemlet_loader l = {.container = container, .error = error, .status = GEMLET_OK};
    vision->weights = &shapes;
    gemlet_mobilenetv5_walk(&l, vision->config, vision->run.text_width, &shapes, measure_block, m);
    if (l.status == GEMLET_OK) {
        measure_fusion(m, &shapes.fusion);
    }
    vision->weights = counted;
    return l.status;
}

gemlet_status gemlet_mobilenetv5_plan(gemlet_mobilenetv5 *vision, gemlet_container *container, gemlet_error *error) {
    if (vision->run.image_tokens != 0) {
        return gemlet_fail(
            error, GEMLET_ERROR_ARGUMENT,
            "option image_tokens is for images that keep their shape; this encoder makes squares: option image_size");
    }
    vision->run.most_soft_tokens = vision->config->soft_tokens;
    vision->run.image_size = vision->run.image_size != 0 ? vision->run.image_size : vision->config->image_size;
    vision->band = vision->band != 0 ? vision->band : GEMLET_MOBILENETV5_BAND;
    vision->chunk = vision->chunk != 0 && vision->chunk < GEMLET_MOBILENETV5_CHUNK ? vision->chunk : GEMLET_MOBILENETV5_CHUNK;
    if (vision->run.image_size == 0 || vision->run.image_size > GEMLET_MOBILENETV5_LARGEST_SQUARE ||
        vision->run.image_size % 64 != 0 || vision->run.image_size % (2u << vision->config->stages) != 0) {
        return fail_size(vision, error);
    }
    measuring m = {.vision = vision};
    m.place.side = gemlet_strided(vision->run.image_size, GEMLET_STEM_STRIDE);
    gemlet_status status = GEMLET_OK;
    if (vision->weights->blocks != NULL) {
        measure_loaded(&m, vision->weights);
    } else {
        status = measure_file(&m, vision, container, error);
    }
    vision->run.bytes = m.bytes;
    return status;
}
