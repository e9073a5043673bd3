/* libFuzzer: frames of every format, of any sides, strides and planes, brought to any size by both filters.  The pixels are as many
 * as the frame's description needs and no more; a description that needs more than there could be must be refused, or is not tried.
 */
#include <stdlib.h>
#include <string.h>

#include "model/vision/resize.h"

enum { HEADER = 16, MOST_PLANE = 1 << 17, MOST_SIDE = 96, SCRATCH = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t number(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8;
}

/* Bytes of a plane of `rows` rows, whose last one needs no more than its pixels; 0: more than is tried. */
static size_t plane_bytes(size_t rows, size_t row, size_t stride) {
    return rows == 0 || stride > MOST_PLANE || row > MOST_PLANE || (rows - 1) * stride + row > MOST_PLANE
               ? 0
               : (rows - 1) * stride + row;
}

static uint8_t *plane(size_t bytes, const uint8_t *data, size_t size) {
    uint8_t *pixels = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        pixels[i] = size > 0 ? data[i % size] : (uint8_t)i;
    }
    return pixels;
}

static void bring(const gemlet_image *image, const uint8_t *data) {
    static _Alignas(64) unsigned char scratch[SCRATCH];
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_resample_target target = {(gemlet_resample_filter)(data[0] & 1), 1 + data[1] % MOST_SIDE, 1 + data[2] % MOST_SIDE};
    size_t side = target.width, bytes = gemlet_resize_bytes(side);
    uint8_t *square = malloc(3 * side * side), *pixels = malloc(3 * target.width * target.height);
    void *exact = malloc(bytes);
    gemlet_status status = gemlet_resize(image, side, exact, square, &error);
    if (status != GEMLET_OK && error.message[0] == '\0') {
        abort();
    }
    if (status != gemlet_check_image(image, &error)) {
        abort();
    }
    (void)gemlet_resample(image, &target, scratch, data[3] % 4 == 0 ? (size_t)data[3] * 64 : sizeof scratch, pixels, &error);
    free(exact);
    free(pixels);
    free(square);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t pixel_bytes[] = {3, 3, 4, 1, 2, 1, 1};
    if (size < HEADER) {
        return 0;
    }
    unsigned format = data[0] % 8; /* 7 is none */
    gemlet_image image = {.format = (gemlet_pixel_format)format,
                          .width = data[1] == 255 ? number(data + 2) * 70000u : number(data + 2) % 513,
                          .height = data[1] >= 254 ? number(data + 4) * 70000u : number(data + 4) % 257,
                          .matrix = (gemlet_color_matrix)(data[6] % 3),
                          .range = (gemlet_color_range)(data[6] / 3 % 3)};
    bool planar = format == GEMLET_PIXELS_NV12 || format == GEMLET_PIXELS_I420;
    size_t row = image.width * (format < 7 ? pixel_bytes[format] : 1);
    size_t chroma_row = format == GEMLET_PIXELS_NV12 ? image.width : image.width / 2;
    image.stride = data[7] & 1 ? number(data + 8) : row + data[8] % 64;
    image.chroma_stride = data[7] & 2 ? number(data + 10) : chroma_row + data[10] % 64;
    size_t luma = plane_bytes(image.height, row, image.stride),
           chroma = planar ? plane_bytes(image.height / 2, chroma_row, image.chroma_stride) : 1;
    gemlet_error error = {GEMLET_OK, ""};
    uint8_t *planes[3] = {plane(luma > 0 ? luma : 1, data + HEADER, size - HEADER), plane(chroma > 0 ? chroma : 1, data, size),
                          plane(chroma > 0 ? chroma : 1, data, size)};
    image.pixels = data[7] & 4 ? NULL : planes[0];
    image.chroma = data[7] & 8 ? NULL : planes[1];
    image.chroma_v = data[7] & 16 ? NULL : planes[2];
    if ((luma > 0 && chroma > 0) || gemlet_check_image(&image, &error) != GEMLET_OK) {
        bring(&image, data + 12);
    }
    for (size_t i = 0; i < 3; i++) {
        free(planes[i]);
    }
    return 0;
}
