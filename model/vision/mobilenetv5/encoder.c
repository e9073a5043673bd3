/* The forward pass. */
#include "model/vision/mobilenetv5/mobilenetv5.h"

/* As float32, a few pixels at a time, in the work memory. */
static void watch(const gemlet_mobilenetv5 *v, uint32_t stage, const uint16_t *picture, const gemlet_mobilenetv5_place *place) {
    char name[] = "stage0";
    name[sizeof name - 2] = (char)('0' + stage);
    size_t pixels = v->watch != NULL ? place->side * place->side : 0;
    for (size_t p = 0; p < pixels; p += v->chunk) {
        void *values = v->run.memory + place->work;
        size_t count = pixels - p < v->chunk ? pixels - p : v->chunk;
        v->run.kernels.real->from_bfloat16(picture + p * place->channels, count * place->channels, values);
        v->watch(v->watch_context, name, values, p, count, place->channels);
    }
}

static bool go_on(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *next) {
    size_t done = (size_t)(next - v->weights->blocks);
    return v->run.go_on == NULL || v->run.go_on(v->run.go_on_context, done, v->config->block_count + 1);
}

/* Stem, stages, fusion.  The stem has no picture of its own: the first block calls for its rows.  Every block rewrites the picture
 * in place, but for the last stage: its first block leaves the picture to the fusion and begins another behind it. */
bool gemlet_mobilenetv5_run(const gemlet_mobilenetv5 *vision, float *soft_tokens) {
    const gemlet_mobilenetv5_config *c = vision->config;
    const gemlet_mobilenetv5_block *block = vision->weights->blocks;
    gemlet_mobilenetv5_place place = {.side = gemlet_strided(vision->run.image_size, GEMLET_STEM_STRIDE)};
    gemlet_mobilenetv5_levels levels = {0};
    void *memory = vision->run.memory;
    uint16_t *picture = memory;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        for (uint32_t i = 0; i < c->blocks[stage]; i++, block++) {
            bool new_picture = i == 0 && stage + 1 == c->stages;
            if (new_picture) {
                levels = (gemlet_mobilenetv5_levels){.near = picture, .near_side = place.side, .near_channels = place.channels};
            }
            gemlet_mobilenetv5_enter(vision, block, new_picture, &place);
            unsigned char *work = vision->run.memory + place.work;
            uint16_t *target = picture + (new_picture ? place.kept / sizeof *picture : 0);
            if (block->kind == GEMLET_MOBILE_ATTENTION) {
                gemlet_mobilenetv5_attention(vision, block, place.side, target, work);
            } else {
                gemlet_mobilenetv5_residual(vision, block, place.channels == 0, place.side, picture, target, work);
            }
            picture = target;
            gemlet_mobilenetv5_leave(block, &place);
            if (!go_on(vision, block + 1)) {
                return false;
            }
        }
        watch(vision, stage, picture, &place);
    }
    levels.far = picture;
    levels.far_side = place.side;
    levels.far_channels = place.channels;
    gemlet_mobilenetv5_fuse(vision, &vision->weights->fusion, &levels, soft_tokens, vision->run.memory + place.work);
    return true;
}
