/* Frames of a stream: raw ones without anything between, or JPEG pictures. */
#ifndef GEMLET_EXAMPLES_CAMERA_STREAM_H
#define GEMLET_EXAMPLES_CAMERA_STREAM_H

#include "examples/camera/frames.h"

typedef struct stream_settings {
    int descriptor;      /* stays open */
    bool jpeg;           /* pictures; else raw frames of `layout` */
    frame_layout layout; /* of raw frames */
    size_t memory;       /* bytes that a picture may take */
    bool every;          /* every frame in turn, however late */
} stream_settings;

/* A thread reads the stream all the time, so that nobody waits for us and nothing waits in pipes: what comes while a frame is out
 * is dropped, and each frame but the first began to arrive after it was asked for.  With `every`, and from a regular file, which
 * can't be late, frames come one after another instead.  One that is cut off, because the stream ends or another picture begins, is
 * FRAME_LOST. */
gemlet_status frames_from_stream(frame_source *source, const stream_settings *settings, gemlet_error *error);

#endif
