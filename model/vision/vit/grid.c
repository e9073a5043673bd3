/* The size that a frame is brought to.  transformers, image_processing_gemma4.py, get_aspect_ratio_preserving_size. */
#include <math.h>

#include "model/vision/vit/vit.h"

gemlet_vit_grid gemlet_vit_grid_of(uint32_t width, uint32_t height, uint32_t budget) {
    const double cell = GEMLET_VIT_CELL;
    double pixels = (double)budget * cell * cell;
    double factor = sqrt(pixels / ((double)width * (double)height));
    double high = floor(factor * (double)height / cell), wide = floor(factor * (double)width / cell);
    if (high < 1.0 && wide < 1.0) {
        return (gemlet_vit_grid){0, 0};
    }
    if (high < 1.0) { /* a strip one cell high */
        high = 1.0;
        wide = fmin(floor((double)width / (double)height), (double)budget);
    } else if (wide < 1.0) {
        wide = 1.0;
        high = fmin(floor((double)height / (double)width), (double)budget);
    }
    return (gemlet_vit_grid){(uint32_t)wide * GEMLET_VIT_POOL, (uint32_t)high * GEMLET_VIT_POOL};
}
