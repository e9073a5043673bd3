/* Where the pictures of a stream of JPEG files, one after another, begin and end (Motion JPEG; what stands between them, such as
 * the headers of multipart HTTP, is passed over). */
#ifndef GEMLET_EXAMPLES_CAMERA_MOTION_JPEG_H
#define GEMLET_EXAMPLES_CAMERA_MOTION_JPEG_H

#include <stddef.h>
#include <stdint.h>

typedef enum motion_jpeg_place {
    MOTION_JPEG_OUTSIDE, /* between pictures */
    MOTION_JPEG_OUTSIDE_FF,
    MOTION_JPEG_MARKER, /* between segments: an FF comes next */
    MOTION_JPEG_MARKER_FF,
    MOTION_JPEG_LENGTH,
    MOTION_JPEG_LENGTH_LOW,
    MOTION_JPEG_SEGMENT,
    MOTION_JPEG_SCAN,
    MOTION_JPEG_SCAN_FF
} motion_jpeg_place;

/* All zero before the first byte. */
typedef struct motion_jpeg {
    motion_jpeg_place place;
    size_t left; /* bytes of the segment, or the high one of its length */
    uint8_t code;
} motion_jpeg;

/* What the byte that was taken is. */
typedef enum motion_jpeg_event {
    MOTION_JPEG_NOTHING, /* between pictures */
    MOTION_JPEG_BEGIN,   /* the second byte of a picture, which begins FF D8 */
    MOTION_JPEG_INSIDE,
    MOTION_JPEG_END, /* a picture's last byte */
    MOTION_JPEG_CUT  /* as BEGIN, but the picture before has not ended */
} motion_jpeg_event;

motion_jpeg_event motion_jpeg_take(motion_jpeg *m, uint8_t byte);

#endif
