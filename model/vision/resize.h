/* Antialiased resampling of frames to any number of pixels; what gemlet_resize of image.h is made of. */
#ifndef GEMLET_MODEL_VISION_RESIZE_H
#define GEMLET_MODEL_VISION_RESIZE_H

#include <gemlet/image.h>

typedef enum gemlet_resample_filter {
    GEMLET_RESAMPLE_TRIANGLE, /* "bilinear" */
    GEMLET_RESAMPLE_CUBIC     /* "bicubic", a = -0.5 */
} gemlet_resample_filter;

/* A size that frames are brought to, and how. */
typedef struct gemlet_resample_target {
    gemlet_resample_filter filter;
    size_t width, height;
} gemlet_resample_target;

/* Bytes from a pixel to the next, of the plane of Y where chroma has its own. */
size_t gemlet_pixel_bytes(gemlet_pixel_format format);

/* What gemlet_resample refuses of a frame, or GEMLET_OK. */
gemlet_status gemlet_check_image(const gemlet_image *image, gemlet_error *error);

/* Brings a frame to [height][width][3] bytes, RGB, columns first, rounded to bytes in between: the bytes of Pillow's and
 * torchvision's antialiased filter of that name, or at most 1 off.  `scratch` has `bytes` bytes and the alignment of an int32_t;
 * GEMLET_ERROR_ARGUMENT for a frame that needs more, or that can't be. */
gemlet_status gemlet_resample(const gemlet_image *image, const gemlet_resample_target *target, void *scratch, size_t bytes,
                              uint8_t *pixels, gemlet_error *error);

#endif
