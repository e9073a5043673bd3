#include "examples/gemlet/picture.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_SQUARE = 2048, WHITE = 255 }; /* the sums of larger squares would not fit */

size_t picture_read(picture_input *input, void *out, size_t count) {
    uint8_t *to = out;
    size_t left = input->count - input->at;
    size_t taken = count < left ? count : left;
    if (taken > 0) {
        memcpy(to, input->bytes + input->at, taken);
        input->at += taken;
    }
    return input->in != NULL ? taken + fread(to + taken, 1, count - taken, input->in) : taken;
}

/* ---- Failures ---- */

gemlet_status picture_fail(const picture *p, gemlet_status status, const char *what) {
    gemlet_fail(p->error, status, p->name);
    gemlet_error_text(p->error, ": ");
    gemlet_error_text(p->error, what);
    return status;
}

gemlet_status picture_fail_memory(const picture *p, uint64_t bytes) {
    picture_fail(p, GEMLET_ERROR_MEMORY, "decoding it takes ");
    gemlet_error_number(p->error, bytes / IMAGE_MEBIBYTE + 1);
    gemlet_error_text(p->error, " MiB, of which a picture may have ");
    gemlet_error_number(p->error, p->memory / IMAGE_MEBIBYTE);
    gemlet_error_text(p->error, " (--image-memory)");
    return GEMLET_ERROR_MEMORY;
}

gemlet_status picture_check_sides(const picture *p, uint64_t width, uint64_t height) {
    if (width > 0 && height > 0 && width <= GEMLET_LARGEST_IMAGE && height <= GEMLET_LARGEST_IMAGE) {
        return GEMLET_OK;
    }
    picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "an image's sides must be 1 pixel to ");
    gemlet_error_number(p->error, GEMLET_LARGEST_IMAGE);
    gemlet_error_text(p->error, " but are ");
    gemlet_error_number(p->error, width);
    gemlet_error_text(p->error, " x ");
    gemlet_error_number(p->error, height);
    return GEMLET_ERROR_UNSUPPORTED;
}

/* ---- Memory ---- */

size_t picture_room(const picture *p, uint64_t taken) {
    return taken < p->memory ? p->memory - (size_t)taken : 0;
}

static uint32_t squares_in(uint32_t pixels, uint32_t square) {
    return (pixels + square - 1) / square;
}

static size_t bytes_in_squares(const picture *p, uint32_t square) {
    return (size_t)squares_in(p->width, square) * squares_in(p->height, square) * PICTURE_RGB;
}

static bool take_pixels(picture *p, size_t bytes) {
    p->pixels = malloc(bytes);
    return p->pixels != NULL;
}

static bool take_sums(picture *p, size_t squares) {
    p->sums = calloc(squares, PICTURE_RGB * sizeof *p->sums);
    return p->sums != NULL;
}

static gemlet_status make_pixels(picture *p, size_t bytes) {
    uint32_t columns = squares_in(p->width, p->square);
    uint32_t rows = squares_in(p->height, p->square);
    bool turned = p->orientation >= 5;
    if ((p->square > 1 && !take_sums(p, columns)) || !take_pixels(p, bytes)) {
        return picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    p->file->image = (gemlet_image){.format = GEMLET_PIXELS_RGB,
                                    .width = turned ? rows : columns,
                                    .height = turned ? columns : rows,
                                    .pixels = p->pixels,
                                    .stride = (size_t)(turned ? rows : columns) * PICTURE_RGB};
    return GEMLET_OK;
}

gemlet_status picture_begin(picture *p, uint64_t width, uint64_t height, uint64_t taken) {
    gemlet_status status = picture_check_sides(p, width, height);
    if (status != GEMLET_OK) {
        return status;
    }
    p->width = (uint32_t)width;
    p->height = (uint32_t)height;
    p->square = 1;
    while (p->square < LARGEST_SQUARE && bytes_in_squares(p, p->square) > picture_room(p, taken)) {
        p->square++;
    }
    size_t bytes = bytes_in_squares(p, p->square);
    if (bytes == 0 || bytes > picture_room(p, taken)) {
        return picture_fail_memory(p, taken + bytes);
    }
    return make_pixels(p, bytes);
}

/* ---- Rows ---- */

/* Where the first pixel of a stored row lies in the upright picture, and how far the next is: EXIF 2.3, tag Orientation.  The
 * stored row is the upright one's row where it is not turned, else its column; it runs back, or the rows run up, in half of the
 * cases. */
static uint8_t *place(const picture *p, uint32_t row, ptrdiff_t *step) {
    const gemlet_image *image = &p->file->image;
    unsigned o = p->orientation;
    bool turned = o >= 5;
    bool back = o == 2 || o == 3 || o == 6 || o == 7; /* in x of the upright picture */
    bool up = o == 3 || o == 4 || o == 7 || o == 8;   /* in y */
    size_t x = turned ? (back ? image->width - 1 - row : row) : (back ? image->width - 1 : 0);
    size_t y = turned ? (up ? image->height - 1 : 0) : (up ? image->height - 1 - row : row);
    ptrdiff_t along = turned ? (ptrdiff_t)image->stride : PICTURE_RGB;
    *step = (turned ? up : back) ? -along : along;
    return p->pixels + y * image->stride + x * PICTURE_RGB;
}

static void store_row(const picture *p, uint32_t row, const uint8_t *rgb, uint32_t count) {
    ptrdiff_t step;
    uint8_t *to = place(p, row, &step);
    for (uint32_t x = 0; x < count; x++) {
        memcpy(to + (ptrdiff_t)x * step, rgb + (size_t)x * PICTURE_RGB, PICTURE_RGB);
    }
}

/* The row of squares that ends with row `last`. */
static void store_squares(picture *p, uint32_t last) {
    uint32_t rows = last % p->square + 1;
    uint32_t *sum = p->sums;
    ptrdiff_t step;
    uint8_t *to = place(p, last / p->square, &step);
    for (uint32_t x = 0; x < p->width; x += p->square, sum += PICTURE_RGB) {
        uint32_t columns = p->width - x < p->square ? p->width - x : p->square;
        uint8_t *pixel = to + (ptrdiff_t)(x / p->square) * step;
        for (uint32_t c = 0; c < PICTURE_RGB; c++) {
            pixel[c] = (uint8_t)((sum[c] + rows * columns / 2) / (rows * columns));
            sum[c] = 0;
        }
    }
}

void picture_add_row(picture *p, const uint8_t *rgb) {
    uint32_t row = p->row++;
    if (p->square == 1) {
        store_row(p, row, rgb, p->width);
        return;
    }
    for (uint32_t x = 0; x < p->width; x++, rgb += PICTURE_RGB) {
        uint32_t *sum = p->sums + (size_t)(x / p->square) * PICTURE_RGB;
        for (uint32_t c = 0; c < PICTURE_RGB; c++) {
            sum[c] += rgb[c];
        }
    }
    if (row % p->square == p->square - 1 || row == p->height - 1) {
        store_squares(p, row);
    }
}

void picture_add_row_over_white(picture *p, uint8_t *rgba) {
    for (uint32_t x = 0; x < p->width; x++) {
        const uint8_t *from = rgba + (size_t)x * PICTURE_RGBA;
        uint32_t alpha = from[PICTURE_RGB];
        uint8_t *to = rgba + (size_t)x * PICTURE_RGB; /* not behind `from` */
        for (uint32_t c = 0; c < PICTURE_RGB; c++) {
            to[c] = (uint8_t)((from[c] * alpha + WHITE * (WHITE - alpha) + WHITE / 2) / WHITE);
        }
    }
    picture_add_row(p, rgba);
}
