/* MobileNetV5 as an image encoder. */
#include "model/vision/mobilenetv5/mobilenetv5.h"

static gemlet_status read_config(void *model, gemlet_container *container, bool *there, gemlet_error *error) {
    gemlet_mobilenetv5_model *m = model;
    gemlet_status status = gemlet_mobilenetv5_read_config(container, &m->config, error);
    *there = m->config.block_count > 0;
    return status;
}

static void keep_block(void *context, uint32_t stage, uint32_t index, const gemlet_mobilenetv5_block *block) {
    gemlet_mobilenetv5_block *blocks = context;
    (void)stage;
    if (blocks != NULL) {
        blocks[index] = *block;
    }
}

static gemlet_status load(void *model, gemlet_container *container, size_t text_width, gemlet_arena *arena, uint64_t *mapped,
                          gemlet_error *error) {
    gemlet_mobilenetv5_model *m = model;
    void *blocks = NULL;
    gemlet_status status =
        gemlet_arena_keep(arena, "model", m->config.block_count * sizeof(gemlet_mobilenetv5_block), &blocks, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    m->weights = (gemlet_mobilenetv5_weights){.blocks = blocks};
    gemlet_mobilenetv5_walk(&l, &m->config, text_width, &m->weights, keep_block, blocks);
    return l.status;
}

static gemlet_status plan(gemlet_image_run *run, const void *model, gemlet_container *container, gemlet_error *error) {
    gemlet_mobilenetv5 *v = (gemlet_mobilenetv5 *)run;
    const gemlet_mobilenetv5_model *m = model;
    v->config = &m->config;
    v->weights = &m->weights;
    return gemlet_mobilenetv5_plan(v, container, error);
}

static uint32_t soft_tokens(const gemlet_image_run *run, uint32_t width, uint32_t height) {
    (void)width;
    (void)height;
    return run->most_soft_tokens; /* every frame becomes the same square */
}

/* The pictures of the encoder are not there yet: resampling uses their memory. */
static gemlet_status prepare(const gemlet_image_run *run, const gemlet_image *image, gemlet_error *error) {
    return gemlet_resize(image, run->image_size, run->memory, gemlet_mobilenetv5_square((const gemlet_mobilenetv5 *)run), error);
}

static bool encode(const gemlet_image_run *run, float *soft) {
    return gemlet_mobilenetv5_run((const gemlet_mobilenetv5 *)run, soft);
}

const gemlet_image_encoder gemlet_mobilenetv5_encoder = {
    .read_config = read_config, .load = load, .plan = plan, .soft_tokens = soft_tokens, .prepare = prepare, .encode = encode};
