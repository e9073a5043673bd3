#include "examples/camera/frames.h"

#include <stdbool.h>
#include <stdlib.h>

static size_t bytes_of_pixel(gemlet_pixel_format format) {
    switch (format) {
    case GEMLET_PIXELS_RGB:
    case GEMLET_PIXELS_BGR: return 3;
    case GEMLET_PIXELS_RGBA: return 4;
    case GEMLET_PIXELS_YUYV: return 2;
    case GEMLET_PIXELS_GREY:
    case GEMLET_PIXELS_NV12: return 1;
    }
    return 0;
}

static size_t line_bytes(gemlet_pixel_format format, uint32_t width, size_t bytes_per_line) {
    return bytes_per_line != 0 ? bytes_per_line : width * bytes_of_pixel(format);
}

size_t frame_bytes(gemlet_pixel_format format, uint32_t width, uint32_t height, size_t bytes_per_line) {
    bool pairs = format == GEMLET_PIXELS_YUYV || format == GEMLET_PIXELS_NV12;
    size_t line = line_bytes(format, width, bytes_per_line);
    if (width == 0 || height == 0 || line < width * bytes_of_pixel(format) || (pairs && width % 2 != 0)) {
        return 0;
    }
    if (format == GEMLET_PIXELS_NV12) {
        return height % 2 == 0 ? line * height / 2 * 3 : 0;
    }
    return line * height;
}

gemlet_image frame_image(gemlet_pixel_format format, uint32_t width, uint32_t height, size_t bytes_per_line,
                         const uint8_t *pixels) {
    size_t line = line_bytes(format, width, bytes_per_line);
    return (gemlet_image){.format = format,
                          .width = width,
                          .height = height,
                          .pixels = pixels,
                          .stride = line,
                          .chroma = format == GEMLET_PIXELS_NV12 ? pixels + line * height : NULL,
                          .chroma_stride = line};
}

/* ---- A stream ---- */

typedef struct stream {
    FILE *in;
    gemlet_image image;
    size_t bytes; /* of a frame */
    uint64_t number;
    uint8_t pixels[];
} stream;

static frame_status next_of_stream(void *state, frame *f, gemlet_error *error) {
    stream *s = state;
    size_t got = fread(s->pixels, 1, s->bytes, s->in);
    if (got == 0 && !ferror(s->in)) {
        return FRAME_END;
    }
    if (got < s->bytes) {
        gemlet_fail(error, GEMLET_ERROR_IO, "the stream ends inside of a frame: ");
        gemlet_error_number(error, got);
        gemlet_error_text(error, " of ");
        gemlet_error_number(error, s->bytes);
        gemlet_error_text(error, " bytes");
        return ferror(s->in) ? FRAME_GONE : FRAME_LOST;
    }
    *f = (frame){.image = s->image};
    snprintf(f->name, sizeof f->name, "%llu", (unsigned long long)s->number++);
    return FRAME_READY;
}

gemlet_status frames_from_stream(frame_source *source, FILE *in, gemlet_pixel_format format, uint32_t width, uint32_t height,
                                 gemlet_error *error) {
    *source = (frame_source){NULL, NULL, NULL};
    size_t bytes = frame_bytes(format, width, height, 0);
    if (bytes == 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "raw frames: YUYV needs an even width, NV12 an even width and height");
    }
    stream *s = malloc(sizeof *s + bytes);
    if (s == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a frame");
    }
    *s = (stream){.in = in, .bytes = bytes};
    s->image = frame_image(format, width, height, 0, s->pixels);
    *source = (frame_source){s, next_of_stream, free};
    /* cppcheck-suppress memleak ; the source closes it */
    return GEMLET_OK;
}
