/* What the readers of picture formats share: where bytes come from, and where rows of pixels go.
 *
 * A reader learns the stored sides from the header, calls picture_begin, then gives every row from top to bottom.  The rows are
 * turned upright on their way, and averaged in squares where the picture would take too much memory otherwise. */
#ifndef GEMLET_EXAMPLES_GEMLET_PICTURE_H
#define GEMLET_EXAMPLES_GEMLET_PICTURE_H

#include <stdio.h>

#include "examples/gemlet/image.h"

enum { PICTURE_RGB = 3, PICTURE_RGBA = 4 };

typedef struct picture_input {
    FILE *in;             /* what follows `bytes`; NULL: nothing */
    const uint8_t *bytes; /* of the beginning */
    size_t count;
    size_t at; /* how many of them were read */
} picture_input;

/* Answers how many bytes it read, fewer than `count` only at the end. */
size_t picture_read(picture_input *input, void *out, size_t count);

typedef struct picture {
    image_file *file;
    const char *name;
    size_t memory; /* bytes at most */
    gemlet_error *error;
    unsigned orientation;   /* EXIF's, 1 to 8; 0 means 1.  A reader sets it before it begins */
    uint32_t width, height; /* as stored */
    uint32_t square;        /* pixels of the side of the squares that become one */
    uint32_t row;           /* that comes next */
    uint8_t *pixels;        /* as file->image tells; they become the file's when all is well */
    uint32_t *sums;         /* of a row of squares, [squares][RGB]; NULL where a square is a pixel */
} picture;

/* Answer `status` with a message that begins with the picture's name. */
gemlet_status picture_fail(const picture *p, gemlet_status status, const char *what);
gemlet_status picture_fail_memory(const picture *p, uint64_t bytes);

/* Refuses sides that no picture has here. */
gemlet_status picture_check_sides(const picture *p, uint64_t width, uint64_t height);

/* Bytes that may still be taken by one who takes `taken` already. */
size_t picture_room(const picture *p, uint64_t taken);

/* Takes memory for the pixels; `taken` is what the reader has taken or will take itself. */
gemlet_status picture_begin(picture *p, uint64_t width, uint64_t height, uint64_t taken);

void picture_add_row(picture *p, const uint8_t *rgb);

/* A row of RGBA over white; it is changed. */
void picture_add_row_over_white(picture *p, uint8_t *rgba);

/* One function for each format; GEMLET_ERROR_UNSUPPORTED where the build lacks its library. */
gemlet_status picture_read_jpeg(picture *p, picture_input *input);
gemlet_status picture_read_png(picture *p, picture_input *input);
gemlet_status picture_read_webp(picture *p, picture_input *input);
gemlet_status picture_read_portable(picture *p, picture_input *input);

/* The orientation, 1 to 8, that EXIF data tell; 1 where they don't. */
unsigned picture_exif_orientation(const uint8_t *bytes, size_t count);

#endif
