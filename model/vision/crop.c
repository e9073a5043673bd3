/* Pan and scan: a long image's crops, as transformers' Gemma3ImageProcessor cuts them. */
#include <gemlet/image.h>

#include "model/vision/resize.h"

/* The rectangle of a frame; where chroma has fewer pixels, x and y are even. */
static gemlet_image view(const gemlet_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
    gemlet_image part = *image;
    const size_t chroma_row = y / 2 * image->chroma_stride;
    part.width = width;
    part.height = height;
    part.pixels += y * image->stride + x * gemlet_pixel_bytes(image->format);
    if (image->format == GEMLET_PIXELS_NV12) {
        part.chroma += chroma_row + x;
    } else if (image->format == GEMLET_PIXELS_I420) {
        part.chroma += chroma_row + x / 2;
        part.chroma_v += chroma_row + x / 2;
    }
    return part;
}

/* How many crops lie side by side along the longer side; 0 where there are none. */
static uint32_t count_crops(uint32_t longer, uint32_t shorter) {
    if (5 * longer < 6 * shorter) {
        return 0;
    }
    uint32_t rounded = (2 * longer + shorter) / (2 * shorter), fitting = longer / GEMLET_SMALLEST_CROP;
    uint32_t count = rounded < fitting ? rounded : fitting;
    count = count < 2 ? 2 : count < GEMLET_MOST_CROPS ? count : GEMLET_MOST_CROPS;
    uint32_t length = (longer + count - 1) / count;
    return length < GEMLET_SMALLEST_CROP || shorter < GEMLET_SMALLEST_CROP ? 0 : count;
}

size_t gemlet_crop_image(const gemlet_image *image, gemlet_image crops[GEMLET_MOST_CROPS]) {
    if (gemlet_check_image(image, NULL) != GEMLET_OK) {
        return 0;
    }
    bool wide = image->width >= image->height;
    uint32_t longer = wide ? image->width : image->height, shorter = wide ? image->height : image->width;
    uint32_t count = count_crops(longer, shorter);
    uint32_t step = count > 0 ? (longer + count - 1) / count : 0;
    step += image->format >= GEMLET_PIXELS_YUYV ? step % 2 : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = i * step, length = i + 1 < count ? step : longer - first;
        crops[i] = wide ? view(image, first, 0, length, image->height) : view(image, 0, first, image->width, length);
    }
    return count;
}
