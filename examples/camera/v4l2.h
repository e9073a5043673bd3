/* Frames from a Video for Linux camera: capture into memory-mapped buffers, through either of the interfaces for one plane and for
 * several. */
#ifndef GEMLET_EXAMPLES_CAMERA_V4L2_H
#define GEMLET_EXAMPLES_CAMERA_V4L2_H

#include <stdbool.h>

#include "examples/camera/frames.h"

/* The system calls that a camera takes, so that a test can play one.  Each answers as its namesake: negative (NULL) for a failure,
 * errno then says which. */
typedef struct v4l2_calls {
    void *context;
    int (*open)(void *context, const char *path);
    int (*control)(void *context, int device, unsigned long request, void *argument); /* ioctl */
    void *(*map)(void *context, int device, size_t bytes, int64_t offset);
    void (*unmap)(void *context, void *address, size_t bytes);
    int (*poll)(void *context, int device, int milliseconds); /* 1: a frame waits; 0: none came; ENODEV: the device is in error */
    void (*close)(void *context, int device);
    void (*sleep)(void *context, int milliseconds);
} v4l2_calls;

/* Linux's own. */
extern const v4l2_calls v4l2_system;

typedef struct v4l2_settings {
    const char *path;
    uint32_t width, height; /* wished for: the driver answers with the nearest that it has */
    bool wait;              /* wait for a camera that is not there, or no longer, instead of giving up */
    size_t memory;          /* bytes that a compressed frame may take while it is decoded */
    /* How YUV becomes RGB, where given: else as the driver says. */
    bool matrix_given, range_given;
    gemlet_color_matrix matrix;
    gemlet_color_range range;
} v4l2_settings;

/* Each frame is one that was captured after it was asked for: what the driver has kept from before is skipped.  Damaged and short
 * frames, and seconds without any, are FRAME_LOST; after several in a row the camera is opened anew.  Where it is unplugged, the
 * source is FRAME_GONE or, with `wait`, FRAME_NONE until it is back.  `calls` and the path must outlive the source.
 * GEMLET_ERROR_IO and GEMLET_ERROR_UNSUPPORTED where the camera can't be opened (with `wait`: only where it is no camera). */
gemlet_status frames_from_v4l2(frame_source *source, const v4l2_calls *calls, const v4l2_settings *settings, gemlet_error *error);

#endif
