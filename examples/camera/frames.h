/* Where frames come from: a V4L2 camera, a folder of pictures, or frames in a stream. */
#ifndef GEMLET_EXAMPLES_CAMERA_FRAMES_H
#define GEMLET_EXAMPLES_CAMERA_FRAMES_H

#include <stdbool.h>

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
    bool live; /* each frame is of the time when it was asked for; else they come one after another */
} frame_source;

/* Every picture of the folder, in the order of their names; each takes `memory` bytes at most while it is decoded. */
gemlet_status frames_from_folder(frame_source *source, const char *path, size_t memory, gemlet_error *error);

/* How an uncompressed frame lies in memory: line after line, planes of chroma behind the lines of Y. */
typedef struct frame_layout {
    gemlet_pixel_format format;
    uint32_t width, height;
    size_t stride; /* bytes from a line to the next; 0: the least.  I420's lines of chroma are half as long */
    bool swapped;  /* V before U (YV12) */
    gemlet_color_matrix matrix;
    gemlet_color_range range;
} frame_layout;

/* Bytes from a line to the next. */
size_t frame_stride(const frame_layout *layout);

/* Bytes of a frame; 0 where the format can't have these sides or this stride. */
size_t frame_bytes(const frame_layout *layout);

/* The image that lies at `pixels` so. */
gemlet_image frame_image(const frame_layout *layout, const uint8_t *pixels);

#endif
