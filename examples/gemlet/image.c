#include "examples/gemlet/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef GEMLET_HAVE_JPEG
#include <setjmp.h>

#include <jpeglib.h>
#endif

enum { CHANNELS = 3, LARGEST_BYTE = 255 };

static gemlet_status fail_file(gemlet_error *error, gemlet_status status, const char *path, const char *what) {
    gemlet_fail(error, status, path);
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, what);
    return status;
}

void image_free(image_file *file) {
    free(file->pixels);
    *file = (image_file){.pixels = NULL};
}

/* Memory for a picture whose sides the file tells. */
static gemlet_status make_pixels(image_file *file, const char *path, gemlet_pixel_format format, uint64_t width, uint64_t height,
                                 gemlet_error *error) {
    if (width == 0 || height == 0 || width > GEMLET_LARGEST_IMAGE || height > GEMLET_LARGEST_IMAGE) {
        fail_file(error, GEMLET_ERROR_UNSUPPORTED, path, "an image's sides must be 1 pixel to ");
        gemlet_error_number(error, GEMLET_LARGEST_IMAGE);
        gemlet_error_text(error, " but are ");
        gemlet_error_number(error, width);
        gemlet_error_text(error, " x ");
        gemlet_error_number(error, height);
        return GEMLET_ERROR_UNSUPPORTED;
    }
    size_t stride = (size_t)width * (format == GEMLET_PIXELS_GREY ? 1 : CHANNELS);
    file->pixels = malloc(stride * (size_t)height);
    if (file->pixels == NULL) {
        return fail_file(error, GEMLET_ERROR_MEMORY, path, "out of memory for the image");
    }
    file->image = (gemlet_image){
        .format = format, .width = (uint32_t)width, .height = (uint32_t)height, .pixels = file->pixels, .stride = stride};
    return GEMLET_OK;
}

/* ---- PPM and PGM ---- */

static bool is_space(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A number of the header, behind white space and comments; -1 where there is none or it is too long. */
static long read_number(FILE *in) {
    int c = getc(in);
    while (is_space(c) || c == '#') {
        while (c == '#' && (c = getc(in)) != '\n' && c != EOF) {
            c = '#'; /* a comment goes on to the end of its line */
        }
        c = c == '\n' || is_space(c) ? getc(in) : c;
    }
    long number = c >= '0' && c <= '9' ? 0 : -1;
    for (; c >= '0' && c <= '9' && number < 1000000; c = getc(in)) {
        number = number * 10 + (c - '0');
    }
    return is_space(c) ? number : -1; /* the one white space that ends it is taken */
}

static gemlet_status read_portable(image_file *file, FILE *in, const char *path, bool grey, gemlet_error *error) {
    long width = read_number(in);
    long height = read_number(in);
    long most = read_number(in);
    if (width < 0 || height < 0 || most != LARGEST_BYTE) {
        return fail_file(error, GEMLET_ERROR_FORMAT, path, "not a PPM or PGM file of bytes (P6 or P5 with 255)");
    }
    gemlet_status status =
        make_pixels(file, path, grey ? GEMLET_PIXELS_GREY : GEMLET_PIXELS_RGB, (uint64_t)width, (uint64_t)height, error);
    if (status == GEMLET_OK && fread(file->pixels, file->image.stride, file->image.height, in) != file->image.height) {
        status = fail_file(error, GEMLET_ERROR_FORMAT, path, "the image is cut");
    }
    return status;
}

/* ---- JPEG ---- */

#ifdef GEMLET_HAVE_JPEG

typedef struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf stop;
    unsigned orientation;
    char message[JMSG_LENGTH_MAX];
} jpeg_reader;

static void stop_reading(j_common_ptr jpeg) {
    jpeg_reader *r = jpeg->client_data;
    r->errors.format_message(jpeg, r->message);
    longjmp(r->stop, 1);
}

/* A warning means that pixels were made up: cut and damaged files end here too. */
static void take_message(j_common_ptr jpeg, int level) {
    if (level < 0) {
        stop_reading(jpeg);
    }
}

static unsigned number_at(const unsigned char *at, unsigned bytes, bool little) {
    unsigned number = 0;
    for (unsigned i = 0; i < bytes; i++) {
        number |= (unsigned)at[i] << 8 * (little ? i : bytes - 1 - i);
    }
    return number;
}

/* The EXIF orientation, 1 to 8, of an APP1 segment: tag 0x112 of the first directory of its TIFF header.  1 where there is none. */
static unsigned orientation_of(const unsigned char *data, size_t length) {
    enum { HEADER = 6, ENTRY = 12, TAG = 0x112 };
    if (length < HEADER + 8 || memcmp(data, "Exif\0", HEADER) != 0) {
        return 1;
    }
    const unsigned char *tiff = data + HEADER;
    size_t bytes = length - HEADER;
    bool little = tiff[0] == 'I';
    size_t directory = number_at(tiff + 4, 4, little);
    if (directory > bytes || bytes - directory < 2) {
        return 1;
    }
    unsigned count = number_at(tiff + directory, 2, little);
    for (size_t at = directory + 2; count > 0 && bytes >= ENTRY && at <= bytes - ENTRY; count--, at += ENTRY) {
        if (number_at(tiff + at, 2, little) == TAG) {
            unsigned orientation = number_at(tiff + at + 8, 2, little);
            return orientation >= 1 && orientation <= 8 ? orientation : 1;
        }
    }
    return 1;
}

static unsigned read_orientation(const struct jpeg_decompress_struct *jpeg) {
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m != NULL; m = m->next) {
        unsigned orientation = m->marker == JPEG_APP0 + 1 ? orientation_of(m->data, m->data_length) : 1;
        if (orientation != 1) {
            return orientation;
        }
    }
    return 1;
}

/* Fills `file`; leaves by r->stop where libjpeg finds fault. */
static gemlet_status decode(jpeg_reader *r, image_file *file, const char *path, gemlet_error *error) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    enum { SEGMENT = 0xFFFF };
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, SEGMENT);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK) {
        return fail_file(error, GEMLET_ERROR_UNSUPPORTED, path, "a JPEG file for printing (CMYK): convert it to RGB");
    }
    r->orientation = read_orientation(jpeg);
    jpeg->out_color_space = JCS_RGB;
    gemlet_status status = make_pixels(file, path, GEMLET_PIXELS_RGB, jpeg->image_width, jpeg->image_height, error);
    if (status != GEMLET_OK) {
        return status;
    }
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = file->pixels + jpeg->output_scanline * file->image.stride;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return GEMLET_OK;
}

/* Where pixel (x, y) of the upright picture lies in the stored one.  EXIF 2.3, tag Orientation. */
static size_t stored_place(unsigned orientation, size_t width, size_t height, size_t x, size_t y) {
    bool turned = orientation >= 5;
    size_t column = turned ? y : x;
    size_t row = turned ? x : y;
    bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    column = from_right ? width - 1 - column : column;
    row = from_below ? height - 1 - row : row;
    return row * width + column;
}

static gemlet_status turn_upright(image_file *file, const char *path, unsigned orientation, gemlet_error *error) {
    image_file stored = *file;
    bool turned = orientation >= 5;
    if (orientation == 1) {
        return GEMLET_OK;
    }
    size_t width = stored.image.width;
    size_t height = stored.image.height;
    gemlet_status status = make_pixels(file, path, GEMLET_PIXELS_RGB, turned ? height : width, turned ? width : height, error);
    uint8_t *to = file->pixels;
    for (size_t y = 0; status == GEMLET_OK && y < file->image.height; y++) {
        for (size_t x = 0; x < file->image.width; x++, to += CHANNELS) {
            memcpy(to, stored.pixels + stored_place(orientation, width, height, x, y) * CHANNELS, CHANNELS);
        }
    }
    image_free(&stored);
    return status;
}

/* From `in`, or from `count` bytes where that is NULL. */
static gemlet_status read_jpeg(image_file *file, FILE *in, const uint8_t *bytes, size_t count, const char *path,
                               gemlet_error *error) {
    jpeg_reader r;
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = stop_reading;
    r.errors.emit_message = take_message;
    r.jpeg.client_data = &r;
    gemlet_status status;
    if (setjmp(r.stop) != 0) {
        status = fail_file(error, GEMLET_ERROR_FORMAT, path, "a damaged or cut JPEG file: ");
        gemlet_error_text(error, r.message);
    } else {
        jpeg_create_decompress(&r.jpeg);
        if (in != NULL) {
            jpeg_stdio_src(&r.jpeg, in);
        } else {
            jpeg_mem_src(&r.jpeg, bytes, (unsigned long)count);
        }
        status = decode(&r, file, path, error);
    }
    jpeg_destroy_decompress(&r.jpeg);
    return status == GEMLET_OK ? turn_upright(file, path, r.orientation, error) : status;
}

#else

static gemlet_status read_jpeg(image_file *file, FILE *in, const uint8_t *bytes, size_t count, const char *path,
                               gemlet_error *error) {
    (void)file;
    (void)in;
    (void)bytes;
    (void)count;
    return fail_file(error, GEMLET_ERROR_UNSUPPORTED, path, "this build reads no JPEG files: convert it to PPM");
}

#endif

gemlet_status image_read(image_file *file, const char *path, gemlet_error *error) {
    *file = (image_file){.pixels = NULL};
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        return fail_file(error, GEMLET_ERROR_IO, path, strerror(errno));
    }
    int first = getc(in);
    int second = getc(in);
    gemlet_status status;
    if (first == 'P' && (second == '5' || second == '6')) {
        status = read_portable(file, in, path, second == '5', error);
    } else if (first == 0xFF && second == 0xD8 && fseek(in, 0, SEEK_SET) == 0) {
        status = read_jpeg(file, in, NULL, 0, path, error);
    } else {
        status = fail_file(error, GEMLET_ERROR_FORMAT, path, "neither a JPEG nor a PPM file");
    }
    fclose(in);
    if (status != GEMLET_OK) {
        image_free(file);
    }
    return status;
}

gemlet_status image_read_jpeg(image_file *file, const uint8_t *bytes, size_t count, const char *name, gemlet_error *error) {
    *file = (image_file){.pixels = NULL};
    gemlet_status status =
        count > 0 ? read_jpeg(file, NULL, bytes, count, name, error) : fail_file(error, GEMLET_ERROR_FORMAT, name, "no bytes");
    if (status != GEMLET_OK) {
        image_free(file);
    }
    return status;
}
