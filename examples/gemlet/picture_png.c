/* PNG through libpng: any depth and colour type becomes RGBA of bytes, which is laid over white. */
#include "examples/gemlet/picture.h"

#ifdef GEMLET_HAVE_PNG

#include <setjmp.h>
#include <stdlib.h>

#include <png.h>

enum { MESSAGE_BYTES = 120, LARGEST_SIDE = 0x7FFFFFFF, LARGEST_CHUNK = 1 << 20 };

typedef struct png_reader {
    picture *picture;
    picture_input *input;
    png_structp png;
    png_infop info;
    jmp_buf stop;
    uint8_t *rows; /* one, or all of an interlaced picture */
    char message[MESSAGE_BYTES];
} png_reader;

static void stop_reading(png_structp png, png_const_charp message) {
    png_reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    longjmp(r->stop, 1);
}

/* What libpng only warns of (a wrong profile, a text with a wrong checksum) is not in the pixels. */
static void take_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep out, size_t count) {
    png_reader *r = png_get_io_ptr(png);
    if (picture_read(r->input, out, count) != count) {
        png_error(png, "it is cut");
    }
}

static void ask_for_rgba(png_reader *r) {
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_add_alpha(r->png, 0xFF, PNG_FILLER_AFTER);
}

static unsigned read_orientation(png_reader *r) {
#ifdef PNG_eXIf_SUPPORTED
    png_bytep exif;
    png_uint_32 bytes;
    if (png_get_eXIf_1(r->png, r->info, &bytes, &exif) != 0) {
        return picture_exif_orientation(exif, bytes);
    }
#else
    (void)r;
#endif
    return 1;
}

/* Of what is not in the pixels libpng would keep a thousand texts, each as long as a chunk may be. */
static void skip_what_is_not_shown(png_reader *r) {
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* all but those that make pixels */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
}

/* Leaves by r->stop where libpng can't go on. */
static gemlet_status decode(png_reader *r) {
    picture *p = r->picture;
    png_set_read_fn(r->png, r, read_bytes);
    skip_what_is_not_shown(r);
    png_set_user_limits(r->png, LARGEST_SIDE, LARGEST_SIDE); /* ours come below, with our message */
    png_set_chunk_malloc_max(r->png, LARGEST_CHUNK);
    png_read_info(r->png, r->info);
    uint64_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
    gemlet_status status = picture_check_sides(p, width, height);
    if (status != GEMLET_OK) {
        return status;
    }
    ask_for_rgba(r);
    int passes = png_set_interlace_handling(r->png);
    uint64_t held = passes > 1 ? height : 1;
    size_t row = (size_t)width * PICTURE_RGBA;
    p->orientation = read_orientation(r);
    status = picture_begin(p, width, height, held * row);
    png_read_update_info(r->png, r->info);
    if (status != GEMLET_OK) {
        return status;
    }
    r->rows = malloc((size_t)held * row);
    if (r->rows == NULL || png_get_rowbytes(r->png, r->info) != row) {
        return picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    for (int pass = 0; pass < passes - 1; pass++) {
        for (uint32_t y = 0; y < p->height; y++) {
            png_read_row(r->png, r->rows + y * row, NULL);
        }
    }
    for (uint32_t y = 0; y < p->height; y++) {
        uint8_t *at = r->rows + (held > 1 ? y * row : 0);
        png_read_row(r->png, at, NULL);
        picture_add_row_over_white(p, at);
    }
    return GEMLET_OK;
}

gemlet_status picture_read_png(picture *p, picture_input *input) {
    png_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    r->picture = p;
    r->input = input;
    gemlet_status status;
    if (setjmp(r->stop) != 0) {
        status = picture_fail(p, GEMLET_ERROR_FORMAT, "the PNG file can't be decoded: ");
        gemlet_error_text(p->error, r->message);
    } else {
        r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, stop_reading, take_warning);
        r->info = r->png != NULL ? png_create_info_struct(r->png) : NULL;
        status = r->info != NULL ? decode(r) : picture_fail(p, GEMLET_ERROR_MEMORY, "out of memory for the image");
    }
    png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r->rows);
    free(r);
    return status;
}

#else

gemlet_status picture_read_png(picture *p, picture_input *input) {
    (void)input;
    return picture_fail(p, GEMLET_ERROR_UNSUPPORTED, "this build reads no PNG files: convert it to PPM");
}

#endif
