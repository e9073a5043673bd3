/* Where pictures and work memory lie in the memory of a run. */
#include "model/vision/mobilenetv5/mobilenetv5.h"

size_t gemlet_picture_bytes(size_t side, size_t channels) {
    return gemlet_aligned(side * side * channels * sizeof(uint16_t));
}

/* The stem reads the square, which begins the first block's work memory; before that, resizing has used what lies before it. */
void gemlet_mobilenetv5_enter(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, bool new_picture,
                              gemlet_mobilenetv5_place *place) {
    size_t before = gemlet_picture_bytes(place->side, place->channels);
    size_t after = gemlet_picture_bytes(gemlet_strided(place->side, block->stride), block->outputs);
    if (new_picture) {
        place->kept = before;
        before = 0;
    }
    if (place->channels == 0) {
        before = gemlet_aligned(gemlet_resize_bytes(v->run.image_size));
    }
    place->work = place->kept + gemlet_larger(before, after);
}

void gemlet_mobilenetv5_leave(const gemlet_mobilenetv5_block *block, gemlet_mobilenetv5_place *place) {
    place->side = gemlet_strided(place->side, block->stride);
    place->channels = block->outputs;
}

uint8_t *gemlet_mobilenetv5_square(const gemlet_mobilenetv5 *vision) {
    gemlet_mobilenetv5_place place = {.side = gemlet_strided(vision->run.image_size, GEMLET_STEM_STRIDE)};
    gemlet_mobilenetv5_enter(vision, vision->weights->blocks, false, &place);
    return vision->run.memory + place.work;
}
