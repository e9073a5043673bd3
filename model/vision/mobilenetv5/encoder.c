#include "model/vision/mobilenetv5/mobilenetv5.h"
#include <gemlet/image.h>

/* ---- Where things lie ---- */

static size_t aligned(size_t bytes) {
    return (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t gemlet_picture_bytes(size_t side, size_t channels) {
    return aligned(side * side * channels * sizeof(uint16_t));
}

/* The stem reads the square, which begins the first block's work memory; before that, resizing has used what lies before it. */
void gemlet_vision_enter(const gemlet_vision *v, const gemlet_vision_block *block, bool new_picture, gemlet_vision_place *place) {
    size_t before = gemlet_picture_bytes(place->side, place->channels);
    size_t after = gemlet_picture_bytes(gemlet_strided(place->side, block->stride), block->outputs);
    if (new_picture) {
        place->kept = before;
        before = 0;
    }
    if (place->channels == 0) {
        before = aligned(gemlet_resize_bytes(v->image_size));
    }
    place->work = place->kept + larger(before, after);
}

void gemlet_vision_leave(const gemlet_vision_block *block, gemlet_vision_place *place) {
    place->side = gemlet_strided(place->side, block->stride);
    place->channels = block->outputs;
}

uint8_t *gemlet_vision_square(const gemlet_vision *vision) {
    gemlet_vision_place place = {.side = gemlet_strided(vision->image_size, GEMLET_STEM_STRIDE)};
    gemlet_vision_enter(vision, vision->weights->blocks, false, &place);
    return vision->memory + place.work;
}

/* ---- The forward pass ---- */

/* As float32, a few pixels at a time, in the work memory. */
static void watch(const gemlet_vision *v, uint32_t stage, const uint16_t *picture, const gemlet_vision_place *place) {
    char name[] = "stage0";
    name[sizeof name - 2] = (char)('0' + stage);
    size_t pixels = v->watch != NULL ? place->side * place->side : 0;
    for (size_t p = 0; p < pixels; p += v->chunk) {
        void *values = v->memory + place->work;
        size_t count = pixels - p < v->chunk ? pixels - p : v->chunk;
        v->kernels.real->from_bfloat16(picture + p * place->channels, count * place->channels, values);
        v->watch(v->watch_context, name, values, p, count, place->channels);
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
    gemlet_vision_place place = {.side = gemlet_strided(vision->image_size, GEMLET_STEM_STRIDE)};
    gemlet_vision_levels levels = {0};
    void *memory = vision->memory;
    uint16_t *picture = memory;
    for (uint32_t stage = 0; stage < c->stages; stage++) {
        for (uint32_t i = 0; i < c->blocks[stage]; i++, block++) {
            bool new_picture = i == 0 && stage + 1 == c->stages;
            if (new_picture) {
                levels = (gemlet_vision_levels){.near = picture, .near_side = place.side, .near_channels = place.channels};
            }
            gemlet_vision_enter(vision, block, new_picture, &place);
            unsigned char *work = vision->memory + place.work;
            uint16_t *target = picture + (new_picture ? place.kept / sizeof *picture : 0);
            if (block->kind == GEMLET_MOBILE_ATTENTION) {
                gemlet_vision_attention(vision, block, place.side, target, work);
            } else {
                gemlet_vision_residual(vision, block, place.channels == 0, place.side, picture, target, work);
            }
            picture = target;
            gemlet_vision_leave(block, &place);
            if (!go_on(vision, block + 1)) {
                return false;
            }
        }
        watch(vision, stage, picture, &place);
    }
    levels.far = picture;
    levels.far_side = place.side;
    levels.far_channels = place.channels;
    gemlet_vision_fuse(vision, &vision->weights->fusion, &levels, soft_tokens, vision->memory + place.work);
    return true;
}
