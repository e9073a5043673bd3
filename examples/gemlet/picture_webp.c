/* WebP through libwebp, which wants the whole file; alpha is laid over white. */
#include "examples/gemlet/picture.h"

#ifdef GEMLET_HAVE_WEBP

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>

enum { LOSSLESS = 2, FIRST_BYTES = 1 << 16, CHUNK = 8, RIFF_HEADER = 12 };

typedef struct webp_file {
    uint8_t *bytes;
    size_t count;
} webp_file;

/* The file, which must leave half of the memory for its picture. */
static gemlet_status read_file(const picture *p, picture_input *input, webp_file *f) {
    size_t capacity = 0;
    do {
        capacity = capacity > 0 ? 2 * capacity : FIRST_BYTES;
        uint8_t *grown = capacity <= p->memory / 2 ? realloc(f->bytes, capacity) : NULL;
        if (grown == NULL) {
            return picture_fail_memory(p, 2 * (uint64_t)capacity);
        }
        f->bytes = grown;
        f->count += picture_read(input, f->bytes + f->count, capacity - f->count);
    } while (f->count == capacity);
    return GEMLET_OK;
}

static uint32_t little(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Of the RIFF chunk "EXIF". */
static unsigned read_orientation(const webp_file *f) {
    for (size_t at = RIFF_HEADER; at <= f->count && f->count - at >= CHUNK;) {
        size_t bytes = little(f->bytes + at + 4), left = f->count - at - CHUNK;
        if (bytes > left) {
            return 1;
        }
        if (memcmp(f->bytes + at, "EXIF", 4) == 0) {
            return picture_exif_orientation(f->bytes + at + CHUNK, bytes);
        }
        at += CHUNK + bytes + bytes % 2;
    }
    return 1;
}

static const char *problem_of(VP8StatusCode status) {
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: return "out of memory for the image";
    case VP8_STATUS_NOT_ENOUGH_DATA: return "the WebP file is cut";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "the WebP file has a feature that libwebp does not know";
    default: return "a damaged WebP file";
    }
}

static gemlet_status fail(const picture *p, VP8StatusCode status) {
    return picture_fail(p, status == VP8_STATUS_OUT_OF_MEMORY ? GEMLET_ERROR_MEMORY : GEMLET_ERROR_FORMAT, problem_of(status));
}

/* What libwebp holds beside its output: all pixels where there is no loss, and an alpha channel, which may be a picture without
 * loss itself.  The prefix codes of such a picture can't be counted before they are read. */
static uint64_t bytes_beside(const webp_file *f, const WebPBitstreamFeatures *features) {
    uint64_t pixels = (uint64_t)(unsigned)features->width * (unsigned)features->height;
    unsigned held = features->format == LOSSLESS ? PICTURE_RGBA : features->has_alpha ? PICTURE_RGBA + 1 : 0;
    return f->count + held * pixels;
}

static gemlet_status decode(picture *p, const webp_file *f, WebPDecoderConfig *config) {
    unsigned width = (unsigned)config->input.width, height = (unsigned)config->input.height;
    gemlet_status status = picture_check_sides(p, width, height);
    if (status != GEMLET_OK) {
        return status;
    }
    if (config->input.has_animation) {
        return picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "an animated WebP file: expected a still picture");
    }
    uint64_t beside = bytes_beside(f, &config->input), decoded;
    unsigned scale = 1; /* libwebp brings the sides to 1 / scale while it decodes */
    for (;; scale++) {
        decoded = (uint64_t)((width + scale - 1) / scale) * ((height + scale - 1) / scale);
        if ((PICTURE_RGB + PICTURE_RGBA) * decoded <= picture_room(p, beside) || (width <= scale && height <= scale)) {
            break;
        }
    }
    p->orientation = read_orientation(f);
    status = picture_begin(p, (width + scale - 1) / scale, (height + scale - 1) / scale, beside + PICTURE_RGBA * decoded);
    if (status != GEMLET_OK) {
        return status;
    }
    config->options.use_scaling = scale > 1;
    config->options.scaled_width = (int)p->width;
    config->options.scaled_height = (int)p->height;
    config->output.colorspace = MODE_RGBA;
    VP8StatusCode decoding = WebPDecode(f->bytes, f->count, config);
    if (decoding != VP8_STATUS_OK) {
        return fail(p, decoding);
    }
    for (uint32_t y = 0; y < p->height; y++) {
        picture_add_row_over_white(p, config->output.u.RGBA.rgba + (ptrdiff_t)y * config->output.u.RGBA.stride);
    }
    return GEMLET_OK;
}

gemlet_status picture_read_webp(picture *p, picture_input *input) {
    webp_file f = {NULL, 0};
    WebPDecoderConfig config;
    gemlet_status status = read_file(p, input, &f);
    if (status == GEMLET_OK && !WebPInitDecoderConfig(&config)) {
        status = picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "libwebp is of another version than its header");
    } else if (status == GEMLET_OK) {
        VP8StatusCode known = WebPGetFeatures(f.bytes, f.count, &config.input);
        status = known == VP8_STATUS_OK ? decode(p, &f, &config) : fail(p, known);
        WebPFreeDecBuffer(&config.output);
    }
    free(f.bytes);
    return status;
}

#else

gemlet_status picture_read_webp(picture *p, picture_input *input) {
    (void)input;
    return picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "this build reads no WebP files: convert it to PPM");
}

#endif
