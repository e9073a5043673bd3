#include "examples/gemlet/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "examples/gemlet/picture.h"
#include "examples/gemlet/program.h"

enum { MAGIC_BYTES = 12 };

/* What a file begins with. */
static const struct format {
    size_t at, bytes;
    const char *magic;
    gemlet_status (*read)(picture *p, picture_input *input); /* NULL: known, but not read */
    const char *name;
} formats[] = {
    {0, 3, "\xFF\xD8\xFF", picture_read_jpeg, "JPEG"},
    {0, 8, "\x89PNG\r\n\x1A\n", picture_read_png, "PNG"},
    {8, 4, "WEBP", picture_read_webp, "WebP"},
    {0, 2, "P2", picture_read_portable, "PGM"},
    {0, 2, "P3", picture_read_portable, "PPM"},
    {0, 2, "P5", picture_read_portable, "PGM"},
    {0, 2, "P6", picture_read_portable, "PPM"},
    {4, 4, "ftyp", NULL, "HEIC or AVIF"},
    {0, 4, "GIF8", NULL, "GIF"},
    {0, 2, "BM", NULL, "BMP"},
    {0, 4, "II*\0", NULL, "TIFF"},
    {0, 4, "MM\0*", NULL, "TIFF"},
};

enum { FORMATS = sizeof formats / sizeof formats[0] };

#ifdef GEMLET_HAVE_JPEG
#define JPEG_FORMAT "JPEG, "
#define JPEG_NAMES ".jpg", ".jpeg",
#else
#define JPEG_FORMAT
#define JPEG_NAMES
#endif
#ifdef GEMLET_HAVE_PNG
#define PNG_FORMAT "PNG, "
#define PNG_NAMES ".png",
#else
#define PNG_FORMAT
#define PNG_NAMES
#endif
#ifdef GEMLET_HAVE_WEBP
#define WEBP_FORMAT "WebP, "
#define WEBP_NAMES ".webp",
#else
#define WEBP_FORMAT
#define WEBP_NAMES
#endif

const char *image_formats(void) {
    return JPEG_FORMAT PNG_FORMAT WEBP_FORMAT "PPM and PGM";
}

bool image_has_name(const char *name) {
    static const char *const endings[] = {JPEG_NAMES PNG_NAMES WEBP_NAMES ".ppm", ".pgm", ".pnm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && dot != NULL; i++) {
        if (strcasecmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

void image_free(image_file *file) {
    free(file->pixels);
    *file = (image_file){.pixels = NULL};
}

static const struct format *recognise(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < FORMATS; i++) {
        const struct format *f = &formats[i];
        if (f->at + f->bytes <= count && memcmp(bytes + f->at, f->magic, f->bytes) == 0) {
            return f;
        }
    }
    return NULL;
}

static gemlet_status read_picture(picture *p, picture_input *input) {
    const struct format *format = recognise(input->bytes, input->count < MAGIC_BYTES ? input->count : MAGIC_BYTES);
    if (format != NULL && format->read != NULL) {
        gemlet_status status = format->read(p, input);
        if (input->in != NULL && ferror(input->in)) {
            return picture_fail(p, GEMLET_ERROR_IO, strerror(errno));
        }
        return status;
    }
    picture_fail(p, format != NULL ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT, "expected a picture as ");
    gemlet_error_text(p->error, image_formats());
    gemlet_error_text(p->error, ", found ");
    gemlet_error_text(p->error, format != NULL ? format->name : input->count == 0 ? "nothing" : "something else");
    return format != NULL ? GEMLET_ERROR_UNSUPPORTED : GEMLET_ERROR_FORMAT;
}

static gemlet_status read_all(image_file *file, picture_input *input, const char *name, size_t memory, gemlet_error *error) {
    picture p = {.file = file, .name = name, .memory = memory, .error = error};
    *file = (image_file){.pixels = NULL};
    gemlet_status status = read_picture(&p, input);
    free(p.sums);
    if (status == GEMLET_OK) {
        file->pixels = p.pixels;
    } else {
        free(p.pixels);
        *file = (image_file){.pixels = NULL};
    }
    return status;
}

gemlet_status image_read(image_file *file, const char *path, size_t memory, gemlet_error *error) {
    bool standard = strcmp(path, "-") == 0;
    uint8_t magic[MAGIC_BYTES];
    picture_input input = {standard ? stdin : fopen(path, "rb"), magic, 0, 0};
    const picture unread = {.name = program_input(path), .error = error};
    *file = (image_file){.pixels = NULL};
    if (input.in == NULL) {
        return picture_fail(&unread, GEMLET_ERROR_IO, strerror(errno));
    }
    /* A pipe can't go back, so what was looked at is handed on. */
    input.count = fread(magic, 1, sizeof magic, input.in);
    gemlet_status status = ferror(input.in) ? picture_fail(&unread, GEMLET_ERROR_IO, strerror(errno))
                                            : read_all(file, &input, unread.name, memory, error);
    if (!standard) {
        fclose(input.in);
    }
    return status;
}

gemlet_status image_read_bytes(image_file *file, const uint8_t *bytes, size_t count, const char *name, size_t memory,
                               gemlet_error *error) {
    picture_input input = {NULL, bytes, count, 0};
    return read_all(file, &input, name, memory, error);
}
