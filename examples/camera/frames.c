#include "examples/camera/frames.h"

static size_t bytes_of_pixel(gemlet_pixel_format format) {
    switch (format) {
    case GEMLET_PIXELS_RGB:
    case GEMLET_PIXELS_BGR: return 3;
    case GEMLET_PIXELS_RGBA: return 4;
    case GEMLET_PIXELS_YUYV: return 2;
    case GEMLET_PIXELS_GREY:
    case GEMLET_PIXELS_NV12:
    case GEMLET_PIXELS_I420: return 1;
    }
    return 0;
}

static bool has_chroma_planes(gemlet_pixel_format format) {
    return format == GEMLET_PIXELS_NV12 || format == GEMLET_PIXELS_I420;
}

size_t frame_stride(const frame_layout *l) {
    return l->stride != 0 ? l->stride : l->width * bytes_of_pixel(l->format);
}

size_t frame_bytes(const frame_layout *l) {
    size_t line = frame_stride(l);
    bool planes = has_chroma_planes(l->format);
    bool pairs = planes || l->format == GEMLET_PIXELS_YUYV;
    if (l->width == 0 || l->height == 0 || line < l->width * bytes_of_pixel(l->format) || (pairs && l->width % 2 != 0) ||
        (planes && l->height % 2 != 0) || (l->format == GEMLET_PIXELS_I420 && line % 2 != 0)) {
        return 0;
    }
    return planes ? line * l->height / 2 * 3 : line * l->height;
}

gemlet_image frame_image(const frame_layout *l, const uint8_t *pixels) {
    size_t line = frame_stride(l);
    bool planar = l->format == GEMLET_PIXELS_I420;
    gemlet_image image = {.format = l->format,
                          .width = l->width,
                          .height = l->height,
                          .pixels = pixels,
                          .stride = line,
                          .chroma = has_chroma_planes(l->format) ? pixels + line * l->height : NULL,
                          .chroma_stride = planar ? line / 2 : line,
                          .matrix = l->matrix,
                          .range = l->range};
    if (planar) {
        const uint8_t *second = image.chroma + line / 2 * (l->height / 2);
        image.chroma_v = l->swapped ? image.chroma : second;
        image.chroma = l->swapped ? second : image.chroma;
    }
    return image;
}
