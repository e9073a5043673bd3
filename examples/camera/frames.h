/* Where frames come from: a V4L2 camera, a folder of pictures, or raw frames in a stream. */
#ifndef GEMLET_EXAMPLES_CAMERA_FRAMES_H
#define GEMLET_EXAMPLES_CAMERA_FRAMES_H

#include <stdio.h>

#include <gemlet/image.h>

typedef enum frame_status {
    FRAME_READY, /* there is one */
    FRAME_LOST,  /* this one is no good, the message says why; ask for the next */
    FRAME_NONE,  /* nothing yet: ask again */
    FRAME_END,   /* there are no more */
    FRAME_GONE   /* the source has failed for good; the message says how */
} frame_status;

typedef struct frame {
    gemlet_image image; /* valid until the next frame is asked for */
    char name[256];     /* of the file, or the frame's number */
    uint64_t skipped;   /* frames that came and went since the one before */
} frame;

/* `next` fills `*f` where it answers FRAME_READY.  `close` may be called at any time, once. */
typedef struct frame_source {
    void *state;
    frame_status (*next)(void *state, frame *f, gemlet_error *error);
    void (*close)(void *state);
} frame_source;

/* Every JPEG, PPM and PGM file of the folder, in the order of their names. */
gemlet_status frames_from_folder(frame_source *source, const char *path, gemlet_error *error);

/* Frames one after another without anything between; `in` stays open.  A stream that ends inside of a frame loses that one. */
gemlet_status frames_from_stream(frame_source *source, FILE *in, gemlet_pixel_format format, uint32_t width, uint32_t height,
                                 gemlet_error *error);

/* Bytes of a frame without gaps; 0 where the format can't have these sides.  `bytes_per_line` 0 means the least. */
size_t frame_bytes(gemlet_pixel_format format, uint32_t width, uint32_t height, size_t bytes_per_line);

/* The image that lies at `pixels` so. */
gemlet_image frame_image(gemlet_pixel_format format, uint32_t width, uint32_t height, size_t bytes_per_line, const uint8_t *pixels);

#endif
