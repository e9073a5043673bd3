/* Image files: JPEG, PNG, WebP (as far as the build has their libraries), PPM and PGM; upright, as their EXIF orientation says. */
#ifndef GEMLET_EXAMPLES_GEMLET_IMAGE_H
#define GEMLET_EXAMPLES_GEMLET_IMAGE_H

#include <stdbool.h>

#include <gemlet/image.h>

enum {
    IMAGE_MEBIBYTE = 1 << 20,
    IMAGE_MEMORY = 128, /* MiB for a picture, where nobody says otherwise */
    IMAGE_DAMAGE_BYTES = 128
};

/* A decoded file, RGB; `image.pixels` is `pixels`, which image_free frees. */
typedef struct image_file {
    gemlet_image image;
    uint8_t *pixels;
    char damage[IMAGE_DAMAGE_BYTES]; /* what the decoder said of a picture that it had to guess parts of; else empty */
} image_file;

/* Reads `path` ("-": standard input) in at most `memory` bytes, whatever its header says: a picture that would take more comes out
 * smaller where its format lets it, else it is refused.  A file that is cut, of another kind or can't be decoded is refused with a
 * message that names it; `*file` is empty then. */
gemlet_status image_read(image_file *file, const char *path, size_t memory, gemlet_error *error);

/* The same for a picture in memory; `name` is what messages call it. */
gemlet_status image_read_bytes(image_file *file, const uint8_t *bytes, size_t count, const char *name, size_t memory,
                               gemlet_error *error);

void image_free(image_file *file);

/* The formats that this build reads, for people: "JPEG, PPM and PGM". */
const char *image_formats(void);

/* Whether a file of this name is likely one of them. */
bool image_has_name(const char *name);

#endif
