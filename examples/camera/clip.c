#include "examples/camera/clip.h"

#include <stdlib.h>
#include <string.h>

#include "examples/camera/frames.h"

static void copy_plane(const uint8_t *from, size_t stride, uint8_t *to, size_t row, size_t rows) {
    for (size_t i = 0; i < rows; i++) {
        memcpy(to + i * row, from + i * stride, row);
    }
}

/* A frame's bytes without those between its lines. */
static bool copy_frame(clip_frame *f, const gemlet_image *image) {
    const frame_layout layout = {
        .format = image->format, .width = image->width, .height = image->height, .matrix = image->matrix, .range = image->range};
    size_t bytes = frame_bytes(&layout), row = frame_stride(&layout);
    if (bytes > f->capacity) {
        uint8_t *grown = realloc(f->bytes, bytes);
        if (grown == NULL) {
            return false;
        }
        f->bytes = grown;
        f->capacity = bytes;
    }
    f->image = frame_image(&layout, f->bytes);
    copy_plane(image->pixels, image->stride, f->bytes, row, image->height);
    if (f->image.chroma != NULL) {
        uint8_t *chroma = f->bytes + row * image->height;
        size_t chroma_row = f->image.chroma_stride, rows = image->height / 2;
        copy_plane(image->chroma, image->chroma_stride, chroma, chroma_row, rows);
        if (image->format == GEMLET_PIXELS_I420) {
            copy_plane(image->chroma_v, image->chroma_stride, chroma + chroma_row * rows, chroma_row, rows);
        }
    }
    return true;
}

bool clip_add(clip *c, const gemlet_image *image, double time) {
    if (c->count == c->length) {
        clip_frame oldest = c->frames[0];
        memmove(c->frames, c->frames + 1, (c->length - 1) * sizeof *c->frames);
        c->frames[--c->count] = oldest;
    }
    clip_frame *f = &c->frames[c->count];
    f->time = time;
    bool good = copy_frame(f, image);
    c->count += good ? 1 : 0;
    return good;
}

void clip_list(const clip *c, double unit, gemlet_clip_frame frames[GEMLET_CLIP_MOST_FRAMES]) {
    for (uint32_t i = 0; i < c->count; i++) {
        frames[i] = (gemlet_clip_frame){c->frames[i].image, (c->frames[i].time - c->frames[0].time) * unit};
    }
}

void clip_free(clip *c) {
    for (size_t i = 0; i < GEMLET_CLIP_MOST_FRAMES; i++) {
        free(c->frames[i].bytes);
    }
    *c = (clip){.count = 0};
}
