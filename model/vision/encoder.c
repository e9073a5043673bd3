#include "model/vision/vision.h"

static void watch(const gemlet_vision *v, uint32_t stage, const float *picture, size_t side, size_t channels) {
    char name[] = "stage0";
    name[sizeof name - 2] = (char)('0' + stage);
    if (v->watch != NULL) {
        v->watch(v->watch_context, name, picture, 0, side * side, channels);
    }
}

static bool go_on(const gemlet_vision *v, const gemlet_vision_block *next) {
    size_t done = (size_t)(next - v->weights->blocks);
    return v->go_on == NULL || v->go_on(v->go_on_context, done, v->config->block_count + 1);
}

/* Stem, stages, fusion.  The stem has no picture of its own: the first block calls for its rows.  Every block rewrites the picture
 * in place, but for the last stage: its first block leaves the picture to the fusion and begins another behind it. */
bool gemlet_vision_run(const gemlet_vision *vision, float *soft_tokens) {
    const gemlet_vision_config *c = vision->config;
    const gemlet_vision_block *block = vision->weights->blocks;
    unsigned char *work = vision->memory + vision->picture_bytes;
    void *memory = vision->memory;
    gemlet_vision_levels levels = {0};
    float *picture = memory;
    size_t side = gemlet_strided(vision->image_size, GEMLET_STEM_STRIDE);
    size_t channels = 0;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        float *target = picture;
        if (stage + 1 == c->stages) {
            levels = (gemlet_vision_levels){.near = picture, .near_side = side, .near_channels = channels};
            target = picture + (side * side * channels + 15) / 16 * 16;
        }
        for (uint32_t i = 0; i < c->blocks[stage]; i++, block++) {
            if (block->kind == GEMLET_MOBILE_ATTENTION) {
                gemlet_vision_attention(vision, block, side, target, work);
            } else {
                gemlet_vision_residual(vision, block, stage == 0 && i == 0, side, picture, target, work);
            }
            picture = target;
            side = gemlet_strided(side, block->stride);
            channels = block->outputs;
            if (!go_on(vision, block + 1)) {
                return false;
            }
        }
        watch(vision, stage, picture, side, channels);
    }
    levels.far = picture;
    levels.far_side = side;
    levels.far_channels = channels;
    gemlet_vision_fuse(vision, &vision->weights->fusion, &levels, soft_tokens, work);
    return true;
}
