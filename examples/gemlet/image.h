/* Image files: JPEG (with its EXIF orientation) and PPM / PGM. */
#ifndef GEMLET_EXAMPLES_GEMLET_IMAGE_H
#define GEMLET_EXAMPLES_GEMLET_IMAGE_H

#include <gemlet/image.h>

/* A decoded file; `image.pixels` is `pixels`, which image_free frees. */
typedef struct image_file {
    gemlet_image image;
    uint8_t *pixels;
} image_file;

/* Reads `path`.  A file that is damaged, cut or of another kind is refused with a message that names it; `*file` is empty then. */
gemlet_status image_read(image_file *file, const char *path, gemlet_error *error);

/* The same for a JPEG picture in memory; `name` is what messages call it. */
gemlet_status image_read_jpeg(image_file *file, const uint8_t *bytes, size_t count, const char *name, gemlet_error *error);

void image_free(image_file *file);

#endif
