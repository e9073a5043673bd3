/* The stem: a dense 3x3 convolution of the image itself in float32, of stride 2. */
#include <string.h>

#include "model/vision/mobilenetv5/mobilenetv5.h"

/* The 3 x 3 x 3 numbers that an output sees, 0 .. 1; 0 outside. */
static void gather(const gemlet_mobilenetv5 *v, size_t row, size_t column, float *patch) {
    size_t side = v->run.image_size;
    size_t before = gemlet_same_padding(side, 3, GEMLET_STEM_STRIDE);
    const uint8_t *square = gemlet_mobilenetv5_square(v);
    memset(patch, 0, GEMLET_STEM_INPUTS * sizeof *patch);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++, patch += 3) {
            size_t y = row * GEMLET_STEM_STRIDE + i;
            size_t x = column * GEMLET_STEM_STRIDE + j;
            if (y < before || x < before || y - before >= side || x - before >= side) {
                continue;
            }
            const uint8_t *pixel = square + ((y - before) * side + (x - before)) * 3;
            for (size_t c = 0; c < 3; c++) {
                patch[c] = (float)pixel[c] * (1.0f / 255.0f);
            }
        }
    }
}

void gemlet_mobilenetv5_stem_row(const gemlet_mobilenetv5 *v, size_t row, size_t column, size_t count, float *patches, float *y) {
    const gemlet_mobilenetv5_stem *stem = &v->weights->stem;
    for (size_t p = 0; p < count; p++) {
        gather(v, row, column + p, patches + p * GEMLET_STEM_INPUTS);
        if (stem->bias != NULL) {
            memcpy(y + p * stem->outputs, stem->bias, stem->outputs * sizeof *y);
        } else {
            memset(y + p * stem->outputs, 0, stem->outputs * sizeof *y);
        }
    }
    gemlet_rows taps = {stem->weights, NULL, GEMLET_STEM_INPUTS, stem->outputs, stem->outputs, GEMLET_ROW_F32};
    v->run.kernels.real->mix(&taps, patches, GEMLET_STEM_INPUTS, count, y, stem->outputs);
    gemlet_mobilenetv5_norm_gelu(v, stem->norm, count, stem->outputs, y);
}
