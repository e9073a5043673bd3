/* Picture files of every format, written here and read back: values, alpha, orientation, memory, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "examples/gemlet/picture.h"
#include "tests/support/sanitized.h"

#ifdef GEMLET_HAVE_JPEG
#include <jpeglib.h>
#endif
#ifdef GEMLET_HAVE_PNG
#include <png.h>
#endif
#ifdef GEMLET_HAVE_WEBP
#include <webp/encode.h>
#endif

enum { WIDTH = 7, HEIGHT = 5, MEMORY = 1 << 26 };

/* A file in memory that is being written. */
typedef struct bytes {
    uint8_t *data;
    size_t count, capacity;
} bytes;

static void append(bytes *b, const void *data, size_t count) {
    if (count >= b->capacity - b->count) {
        b->capacity = 2 * (b->count + count) + 1;
        b->data = realloc(b->data, b->capacity);
    }
    memcpy(b->data + b->count, data, count);
    b->count += count;
}

static void append_text(bytes *b, const char *text) {
    append(b, text, strlen(text));
}

static void drop(bytes *b) {
    free(b->data);
    *b = (bytes){.data = NULL};
}

static void read_in(image_file *file, const bytes *b, size_t memory) {
    gemlet_error error = {GEMLET_OK, ""};
    if (image_read_bytes(file, b->data, b->count, "picture", memory, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
}

static void expect_refusal(const bytes *b, size_t memory, gemlet_status status, const char *message) {
    image_file file;
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(image_read_bytes(&file, b->data, b->count, "picture", memory, &error), status);
    if (strstr(error.message, message) == NULL || strncmp(error.message, "picture: ", 9) != 0) {
        fail_msg("expected \"%s\", found \"%s\"", message, error.message);
    }
    assert_null(file.pixels);
}

static void expect_sides(const image_file *file, uint32_t width, uint32_t height) {
    assert_int_equal(file->image.format, GEMLET_PIXELS_RGB);
    assert_int_equal(file->image.width, width);
    assert_int_equal(file->image.height, height);
    assert_int_equal(file->image.stride, 3 * (size_t)width);
    assert_ptr_equal(file->image.pixels, file->pixels);
}

static const uint8_t *pixel(const image_file *file, size_t x, size_t y) {
    return file->pixels + y * file->image.stride + 3 * x;
}

/* Sample `c` of a pixel, so that all differ. */
static unsigned sample(size_t x, size_t y, size_t c) {
    return (unsigned)(x * 31 + y * 53 + c * 97) % 256;
}

static void expect_samples(const image_file *file, bool grey) {
    expect_sides(file, WIDTH, HEIGHT);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++) {
        size_t x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        assert_int_equal(pixel(file, x, y)[i % 3], sample(x, y, grey ? 0 : i % 3));
    }
}

/* Reads it while the program's memory grows by less than `most` KiB: what a test before it took hides that much. */
static void read_in_little(image_file *file, const bytes *b, size_t memory, long most) {
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    read_in(file, b, memory);
    getrusage(RUSAGE_SELF, &after);
    if (!SANITIZED) {
        assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, most);
    }
}

/* ---- PPM and PGM ---- */

static void portable(bytes *b, int kind, unsigned most) {
    char head[64];
    snprintf(head, sizeof head, "P%d # a comment\n%d\t%d\n#another\n%u\n", kind, WIDTH, HEIGHT, most);
    append_text(b, head);
    bool grey = kind == 2 || kind == 5;
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++) {
        if (grey && i % 3 != 0) {
            continue;
        }
        unsigned value = sample(i / 3 % WIDTH, i / 3 / WIDTH, i % 3) * (most / 255);
        const uint8_t two[] = {(uint8_t)(value >> 8), (uint8_t)value};
        char text[16];
        snprintf(text, sizeof text, "%u%s", value, i % 5 == 0 ? " # so\n" : "\n");
        if (kind < 4) {
            append_text(b, text);
        } else {
            append(b, most > 255 ? two : two + 1, most > 255 ? 2 : 1);
        }
    }
}

static void portable_files_are_plain_or_binary_of_one_or_two_bytes(void **state) {
    (void)state;
    static const int kinds[] = {2, 3, 5, 6};
    static const unsigned most[] = {255, 65535, 255 * 4};
    for (size_t i = 0; i < 12; i++) {
        bytes b = {.data = NULL};
        image_file file;
        portable(&b, kinds[i % 4], most[i / 4]);
        read_in(&file, &b, MEMORY);
        expect_samples(&file, i % 2 == 0);
        image_free(&file);
        b.count -= kinds[i % 4] < 4 ? 40 : 1;
        expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the image is cut");
        drop(&b);
    }
}

static void portable_headers_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        gemlet_status status;
    } cases[] = {{"P5 1 1 0\nx", "largest value", GEMLET_ERROR_FORMAT},
                 {"P5 1 1 65536\nxx", "largest value", GEMLET_ERROR_FORMAT},
                 {"P5 1 -1 255\nx", "largest value", GEMLET_ERROR_FORMAT},
                 {"P2 1 1 9 10", "above its largest value", GEMLET_ERROR_FORMAT},
                 {"P5 1 1 9\nx", "above its largest value", GEMLET_ERROR_FORMAT},
                 {"P2 1 1 9 x", "no number", GEMLET_ERROR_FORMAT},
                 {"P6 20481 1 255\n", "1 pixel to 20480 but are 20481 x 1", GEMLET_ERROR_UNSUPPORTED},
                 {"P6 0 1 255\n", "but are 0 x 1", GEMLET_ERROR_UNSUPPORTED},
                 {"P4 1 1\nx", "found something else", GEMLET_ERROR_FORMAT},
                 {"GIF89a", "found GIF", GEMLET_ERROR_UNSUPPORTED},
                 {"....ftypheic", "found HEIC", GEMLET_ERROR_UNSUPPORTED},
                 {"", "found nothing", GEMLET_ERROR_FORMAT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bytes b = {.data = NULL};
        append_text(&b, cases[i].text);
        expect_refusal(&b, MEMORY, cases[i].status, cases[i].message);
        drop(&b);
    }
}

/* A picture of squares of one colour each, which averaging must give back. */
static void what_takes_too_much_becomes_smaller(void **state) {
    (void)state;
    enum { SIDE = 1000, SQUARE = 2 }; /* 3,000,000 bytes in 1 MiB */
    bytes b = {.data = NULL};
    image_file file;
    append_text(&b, "P6 1000 1000 255\n");
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
        size_t x = i % SIDE / SQUARE, y = i / SIDE / SQUARE;
        const uint8_t rgb[] = {(uint8_t)sample(x, y, 0), (uint8_t)sample(x, y, 1), (uint8_t)sample(x, y, 2)};
        append(&b, rgb, 3);
    }
    read_in(&file, &b, IMAGE_MEBIBYTE);
    expect_sides(&file, SIDE / SQUARE, SIDE / SQUARE);
    for (size_t i = 0; i < (size_t)SIDE / SQUARE * (SIDE / SQUARE) * 3; i++) {
        size_t x = i / 3 % (SIDE / SQUARE), y = i / 3 / (SIDE / SQUARE);
        assert_int_equal(file.pixels[i], sample(x, y, i % 3));
    }
    image_free(&file);
    read_in(&file, &b, 3000000);
    expect_sides(&file, SIDE, SIDE);
    image_free(&file);
    drop(&b);
    append_text(&b, "P2 5 3 9  0 9 3 3 9  9 0 3 3 9  0 0 9 9 0"); /* squares of 2, cut at the edges */
    read_in(&file, &b, 20);
    expect_sides(&file, 3, 2);
    static const uint8_t wanted[] = {128, 85, 255, 0, 255, 0};
    for (size_t i = 0; i < sizeof wanted; i++) {
        assert_int_equal(file.pixels[3 * i], wanted[i]);
    }
    image_free(&file);
    expect_refusal(&b, 2, GEMLET_ERROR_MEMORY, "--image-memory");
    drop(&b);
}

/* ---- EXIF ---- */

static void put(uint8_t *at, uint32_t value, unsigned count, bool little) {
    for (unsigned i = 0; i < count; i++) {
        at[i] = (uint8_t)(value >> 8 * (little ? i : count - 1 - i));
    }
}

enum { EXIF_BYTES = 26 };

/* A TIFF header with one directory of one entry. */
static void make_exif(uint8_t out[EXIF_BYTES], unsigned orientation, unsigned type, unsigned width, bool little) {
    memset(out, 0, EXIF_BYTES);
    out[0] = out[1] = little ? 'I' : 'M';
    put(out + 2, 42, 2, little);
    put(out + 4, 8, 4, little);
    put(out + 8, 1, 2, little);
    put(out + 10, 0x112, 2, little);
    put(out + 12, type, 2, little);
    put(out + 14, 1, 4, little);
    put(out + 18, orientation, width, little);
}

static void orientation_is_read_of_any_integer_type(void **state) {
    (void)state;
    static const struct { unsigned type, width; } types[] = {{1, 1}, {3, 2}, {4, 4}, {6, 1}, {8, 2}, {9, 4}};
    uint8_t exif[6 + EXIF_BYTES] = "Exif\0";
    for (unsigned i = 0; i < 6 * 2 * 8; i++) {
        make_exif(exif + 6, i % 8 + 1, types[i / 16].type, types[i / 16].width, i / 8 % 2 == 0);
        assert_int_equal(picture_exif_orientation(exif, sizeof exif), i % 8 + 1);
        assert_int_equal(picture_exif_orientation(exif + 6, EXIF_BYTES), i % 8 + 1);
        for (size_t count = 0; count < 22; count++) { /* cut: no access behind the end */
            uint8_t *cut = malloc(count + 1);
            memcpy(cut, exif + 6, count);
            assert_int_equal(picture_exif_orientation(cut, count), 1);
            free(cut);
        }
    }
    make_exif(exif, 6, 5, 4, true); /* a fraction */
    assert_int_equal(picture_exif_orientation(exif, EXIF_BYTES), 1);
    make_exif(exif, 9, 3, 2, true);
    assert_int_equal(picture_exif_orientation(exif, EXIF_BYTES), 1);
}

/* EXIF 2.3: where row 0 and column 0 of the stored picture are seen.  Answers the stored place of an upright one. */
static void stored_place(unsigned o, size_t width, size_t height, size_t x, size_t y, size_t *column, size_t *row) {
    *column = o >= 5 ? y : x;
    *row = o >= 5 ? x : y;
    *column = o == 2 || o == 3 || o == 7 || o == 8 ? width - 1 - *column : *column;
    *row = o == 3 || o == 4 || o == 6 || o == 7 ? height - 1 - *row : *row;
}

/* What a stored row of `picture_add_row` becomes. */
static void pictures_are_turned_upright(void **state) {
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        unsigned o = i % 8 + 1;
        uint32_t square = i < 8 ? 1 : 2; /* also where pixels are averaged on the way */
        uint32_t width = WIDTH * square, height = HEIGHT * square;
        gemlet_error error;
        image_file file = {.pixels = NULL};
        picture p = {.file = &file, .name = "picture", .memory = WIDTH * HEIGHT * 3, .error = &error, .orientation = o};
        assert_int_equal(picture_begin(&p, width, height, 0), GEMLET_OK);
        assert_int_equal(p.square, square);
        for (size_t y = 0; y < height; y++) {
            uint8_t row[2 * WIDTH * 3];
            for (size_t k = 0; k < (size_t)width * 3; k++) {
                row[k] = (uint8_t)sample(k / 3 / square, y / square, k % 3);
            }
            picture_add_row(&p, row);
        }
        file.pixels = p.pixels;
        expect_sides(&file, o >= 5 ? HEIGHT : WIDTH, o >= 5 ? WIDTH : HEIGHT);
        for (size_t k = 0; k < (size_t)WIDTH * HEIGHT * 3; k++) {
            size_t x = k / 3 % file.image.width, y = k / 3 / file.image.width, column, row;
            stored_place(o, WIDTH, HEIGHT, x, y, &column, &row);
            assert_int_equal(pixel(&file, x, y)[k % 3], sample(column, row, k % 3));
        }
        free(p.sums);
        free(p.pixels);
    }
}

#if defined(GEMLET_HAVE_PNG) || defined(GEMLET_HAVE_JPEG)
/* The place of the first of these bytes. */
static size_t find(const bytes *b, const void *wanted, size_t count) {
    size_t at = 0;
    while (memcmp(b->data + at, wanted, count) != 0) {
        at++;
    }
    return at;
}
#endif

#if defined(GEMLET_HAVE_PNG) || defined(GEMLET_HAVE_WEBP)
static unsigned over_white(unsigned value, unsigned alpha) {
    return (value * alpha + 255 * (255 - alpha) + 127) / 255;
}
#endif

/* ---- PNG ---- */

#ifdef GEMLET_HAVE_PNG

static void png_write(png_structp png, png_bytep data, size_t count) {
    append(png_get_io_ptr(png), data, count);
}

static void png_flush_nothing(png_structp png) {
    (void)png;
}

/* A picture with samples of `depth` bits, which are those of sample() as far as they can be. */
static void make_png(bytes *b, int type, int depth, bool interlaced, unsigned orientation, const png_text *text) {
    static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, b, png_write, png_flush_nothing);
    png_set_IHDR(png, info, WIDTH, HEIGHT, depth, type, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_color palette[256];
        png_byte alpha[1] = {0};
        for (unsigned i = 0; i < 256; i++) {
            palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
        }
        png_set_PLTE(png, info, palette, 1 << depth);
        png_set_tRNS(png, info, alpha, 1, NULL); /* the first colour is not there */
    }
    if (text != NULL) {
        png_set_text(png, info, text, 1);
    }
    uint8_t exif[EXIF_BYTES];
    make_exif(exif, orientation, 3, 2, true);
    if (orientation > 1) {
        png_set_eXIf_1(png, info, EXIF_BYTES, exif);
    }
    png_write_info(png, info);
    uint8_t rows[HEIGHT][WIDTH * 8] = {{0}};
    png_bytep pointers[HEIGHT];
    for (size_t y = 0; y < HEIGHT; y++) {
        pointers[y] = rows[y];
        for (size_t i = 0; i < (size_t)WIDTH * (size_t)channels[type]; i++) {
            unsigned value = sample(i / (size_t)channels[type], y, i % (size_t)channels[type]);
            size_t bit = i * (size_t)depth;
            if (depth == 16) {
                rows[y][2 * i] = rows[y][2 * i + 1] = (uint8_t)value;
            } else {
                rows[y][bit / 8] |= (uint8_t)(value >> (8 - depth) << (8 - (size_t)depth - bit % 8));
            }
        }
    }
    png_write_image(png, pointers);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

static unsigned wanted_of_png(int type, int depth, size_t x, size_t y, size_t c) {
    bool grey = type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA;
    unsigned bits = depth == 16 ? 8 : (unsigned)depth;
    unsigned stored = sample(x, y, grey || type == PNG_COLOR_TYPE_PALETTE ? 0 : c) >> (8 - bits);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        const unsigned colour[] = {stored, 255 - stored, stored / 2};
        return stored == 0 ? 255 : colour[c];
    }
    unsigned value = stored * 255 / ((1u << bits) - 1);
    return (type & PNG_COLOR_MASK_ALPHA) != 0 ? over_white(value, sample(x, y, grey ? 1 : 3)) : value;
}

static void png_files_of_every_kind_are_read(void **state) {
    (void)state;
    static const struct {
        int type, depth;
    } kinds[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                 {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
        int type = kinds[i / 2].type, depth = kinds[i / 2].depth;
        bytes b = {.data = NULL};
        image_file file;
        make_png(&b, type, depth, i % 2 == 1, 1, NULL);
        read_in(&file, &b, MEMORY);
        expect_sides(&file, WIDTH, HEIGHT);
        for (size_t k = 0; k < (size_t)WIDTH * HEIGHT * 3; k++) {
            size_t x = k / 3 % WIDTH, y = k / 3 / WIDTH;
            assert_int_equal(pixel(&file, x, y)[k % 3], wanted_of_png(type, depth, x, y, k % 3));
        }
        image_free(&file);
        drop(&b);
    }
}

static void png_texts_are_not_kept(void **state) {
    (void)state;
    enum { TEXT = 1000000, COPIES = 200, AROUND = 12 }; /* length, type and CRC-32 */
    char *letters = calloc(TEXT + 1, 1);
    char key[] = "k";
    memset(letters, 'a', TEXT);
    const png_text text = {.compression = PNG_TEXT_COMPRESSION_zTXt, .key = key, .text = letters, .text_length = TEXT};
    bytes one = {.data = NULL}, many = {.data = NULL};
    image_file file;
    make_png(&one, PNG_COLOR_TYPE_RGB, 8, false, 6, &text);
    size_t at = find(&one, "zTXt", 4) - 4;
    size_t count = AROUND + ((size_t)one.data[at + 2] << 8 | one.data[at + 3]);
    append(&many, one.data, at);
    for (int i = 0; i < COPIES; i++) {
        append(&many, one.data + at, count);
    }
    append(&many, one.data + at + count, one.count - at - count);
    read_in_little(&file, &many, IMAGE_MEBIBYTE, 16 * 1024); /* KiB; the texts would be 190 MiB */
    expect_sides(&file, HEIGHT, WIDTH);
    image_free(&file);
    free(letters);
    drop(&one);
    drop(&many);
}

static void png_files_are_turned_and_refused(void **state) {
    (void)state;
    bytes b = {.data = NULL};
    image_file file;
    make_png(&b, PNG_COLOR_TYPE_RGB, 8, false, 6, NULL);
    read_in(&file, &b, MEMORY);
    expect_sides(&file, HEIGHT, WIDTH);
    assert_int_equal(pixel(&file, HEIGHT - 1, 0)[1], sample(0, 0, 1)); /* the first row is seen at the right */
    image_free(&file);
    b.count -= 40;
    expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "it is cut");
    b.count += 40;
    b.data[b.count - 30] ^= 1; /* of the pixels */
    expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "can't be decoded");
    drop(&b);
    make_png(&b, PNG_COLOR_TYPE_RGB, 8, true, 1, NULL);
    expect_refusal(&b, WIDTH * HEIGHT * 4, GEMLET_ERROR_MEMORY, "--image-memory"); /* interlaced, it is held whole */
    drop(&b);
}

#endif

/* ---- WebP ---- */

#ifdef GEMLET_HAVE_WEBP

static void webp_files_are_read(void **state) {
    (void)state;
    uint8_t rgba[WIDTH * HEIGHT * 4], *out;
    for (size_t i = 0; i < sizeof rgba; i++) {
        rgba[i] = i % 4 == 3 ? (uint8_t)(128 + i % 128) : (uint8_t)sample(i / 4 % WIDTH, i / 4 / WIDTH, i % 4);
    }
    bytes b = {.data = NULL};
    image_file file;
    size_t count = WebPEncodeLosslessRGBA(rgba, WIDTH, HEIGHT, WIDTH * 4, &out);
    append(&b, out, count);
    WebPFree(out);
    read_in(&file, &b, MEMORY);
    expect_sides(&file, WIDTH, HEIGHT);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++) {
        assert_int_equal(file.pixels[i], over_white(rgba[i / 3 * 4 + i % 3], rgba[i / 3 * 4 + 3]));
    }
    image_free(&file);
    b.count -= 20;
    expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the WebP file is cut");
    drop(&b);
}

/* Alpha may be a picture without loss beside the one with: five bytes a pixel while that is decoded. */
static void webp_files_with_alpha_count_it(void **state) {
    (void)state;
    enum { SIDE = 200, PIXELS = SIDE * SIDE };
    uint8_t *rgba = malloc((size_t)PIXELS * 4), *out;
    memset(rgba, 100, (size_t)PIXELS * 4);
    bytes b = {.data = NULL};
    image_file file;
    size_t count = WebPEncodeRGBA(rgba, SIDE, SIDE, SIDE * 4, 90, &out);
    append(&b, out, count);
    WebPFree(out);
    expect_refusal(&b, (size_t)5 * PIXELS, GEMLET_ERROR_MEMORY, "--image-memory");
    read_in(&file, &b, (size_t)7 * PIXELS);
    assert_true(file.image.width < SIDE); /* what is left of it is for fewer pixels */
    image_free(&file);
    drop(&b);
    free(rgba);
}

static void webp_files_fit_their_memory(void **state) {
    (void)state;
    enum { SIDE = 800 };
    uint8_t *rgb = malloc((size_t)SIDE * SIDE * 3), *out;
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++) {
        rgb[i] = i % 3 == 0 ? 200 : i / 3 % SIDE < SIDE / 2 ? 20 : 220;
    }
    for (int lossless = 0; lossless < 2; lossless++) {
        bytes b = {.data = NULL};
        image_file file;
        size_t count =
            lossless ? WebPEncodeLosslessRGB(rgb, SIDE, SIDE, SIDE * 3, &out) : WebPEncodeRGB(rgb, SIDE, SIDE, SIDE * 3, 90, &out);
        append(&b, out, count);
        WebPFree(out);
        read_in(&file, &b, lossless ? 3 * IMAGE_MEBIBYTE + IMAGE_MEBIBYTE / 2 : IMAGE_MEBIBYTE);
        assert_true(file.image.width < SIDE && file.image.width >= SIDE / 4);
        assert_in_range(pixel(&file, 10, 10)[0], 196, 204);
        assert_in_range(pixel(&file, 10, 10)[1], 16, 24);
        assert_in_range(pixel(&file, file.image.width - 10, 10)[2], 216, 224);
        image_free(&file);
        if (lossless) { /* it is held whole in any case */
            expect_refusal(&b, IMAGE_MEBIBYTE, GEMLET_ERROR_MEMORY, "--image-memory");
        }
        drop(&b);
    }
    free(rgb);
}

#endif

/* ---- JPEG ---- */

#ifdef GEMLET_HAVE_JPEG

enum { LARGE = 3000 };

/* How a picture is coded. */
typedef enum coding { SEQUENTIAL, PROGRESSIVE, SCAN_OF_EACH, ARITHMETIC } coding;

static void choose_coding(struct jpeg_compress_struct *jpeg, coding how) {
    static const jpeg_scan_info scans[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    if (how == PROGRESSIVE) {
        jpeg_simple_progression(jpeg);
    } else if (how == SCAN_OF_EACH) {
        jpeg->scan_info = scans;
        jpeg->num_scans = 3;
    }
    jpeg->arith_code = how == ARITHMETIC ? TRUE : FALSE;
}

/* A picture whose left is dark and whose right is light, with a restart marker every `restart` blocks. */
static void make_jpeg(bytes *b, uint32_t side, coding how, unsigned restart, unsigned orientation) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long count = 0;
    uint8_t *row = malloc((size_t)side * 3);
    memset(row, 30, (size_t)side * 3);
    memset(row + side / 2 * 3, 220, (size_t)(side - side / 2) * 3);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &count);
    jpeg.image_width = jpeg.image_height = side;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    choose_coding(&jpeg, how);
    jpeg.restart_interval = restart;
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t exif[6 + EXIF_BYTES] = "Exif\0";
    make_exif(exif + 6, orientation, 4, 4, false);
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif);
    while (jpeg.next_scanline < jpeg.image_height) {
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    append(b, out, count);
    free(out);
    free(row);
}

static void jpeg_files_are_scaled_to_their_memory(void **state) {
    (void)state;
    bytes b = {.data = NULL};
    image_file file;
    make_jpeg(&b, LARGE, SEQUENTIAL, 0, 1);
    read_in_little(&file, &b, 2 * IMAGE_MEBIBYTE, 3 * 1024); /* KiB; whole it would be 26 MiB */
    expect_sides(&file, LARGE / 8 * 2, LARGE / 8 * 2);
    assert_in_range(pixel(&file, 100, 700)[1], 28, 32);
    assert_in_range(pixel(&file, 700, 100)[1], 218, 222);
    image_free(&file);
    read_in(&file, &b, IMAGE_MEBIBYTE / 8); /* less than an eighth of the sides */
    assert_true(file.image.width < LARGE / 8);
    assert_in_range(pixel(&file, 1, 1)[1], 28, 32);
    image_free(&file);
    drop(&b);
    make_jpeg(&b, LARGE, PROGRESSIVE, 0, 1);
    expect_refusal(&b, 2 * IMAGE_MEBIBYTE, GEMLET_ERROR_MEMORY, "decoding it takes 2");
    read_in(&file, &b, 30 * IMAGE_MEBIBYTE); /* room for what is held of it, and for some pixels */
    assert_true(file.image.width < LARGE && file.image.width > LARGE / 8);
    image_free(&file);
    drop(&b);
}

static void jpeg_files_are_turned(void **state) {
    (void)state;
    bytes b = {.data = NULL};
    image_file file;
    make_jpeg(&b, 64, SEQUENTIAL, 0, 6); /* its left is seen above */
    read_in(&file, &b, MEMORY);
    assert_in_range(pixel(&file, 60, 2)[0], 28, 32);
    assert_in_range(pixel(&file, 2, 60)[0], 218, 222);
    image_free(&file);
    drop(&b);
}

static void jpeg_files_that_only_warn_are_shown(void **state) {
    (void)state;
    bytes b = {.data = NULL}, filled = {.data = NULL};
    image_file whole, file;
    make_jpeg(&b, 128, SEQUENTIAL, 2, 1);
    read_in(&whole, &b, MEMORY);
    size_t at = find(&b, "\xFF\xD0", 2); /* the first restart marker */
    append(&filled, b.data, at);
    append(&filled, "\x55", 1); /* as some cameras fill up before a marker */
    append(&filled, b.data + at, b.count - at);
    read_in(&file, &filled, MEMORY);
    assert_memory_equal(file.pixels, whole.pixels, (size_t)128 * 128 * 3);
    assert_int_equal(file.damage[0], '\0');
    image_free(&file);
    drop(&filled);
    b.count -= 2; /* the end of the picture, but no pixel */
    read_in(&file, &b, MEMORY);
    assert_memory_equal(file.pixels, whole.pixels, (size_t)128 * 128 * 3);
    image_free(&file);
    append(&filled, b.data, at - 4); /* some blocks are missing in the middle */
    append(&filled, b.data + at, b.count - at);
    read_in(&file, &filled, MEMORY);
    assert_true(file.damage[0] != '\0');
    image_free(&file);
    drop(&filled);
    image_free(&whole);
    drop(&b);
}

static void jpeg_files_that_can_t_be_decoded_are_refused(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        bytes b = {.data = NULL};
        make_jpeg(&b, 256, progressive != 0 ? PROGRESSIVE : SEQUENTIAL, 0, 1);
        size_t count = b.count;
        b.count = count - 20;
        expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the JPEG file is cut");
        b.count = 100;
        expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the JPEG file is cut");
        b.count = 3;
        expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the JPEG file is cut");
        drop(&b);
    }
    bytes b = {.data = NULL};
    append_text(&b, "\xFF\xD8\xFF\xDB\x01\x02 this is no table of quantisation, nor is there any other segment of a picture");
    for (int i = 0; i < 300; i++) {
        append_text(&b, "no ");
    }
    expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "JPEG file");
    drop(&b);
}

/* Nothing before the last scan's entropy-coded bytes can be the end of a whole picture. */
static void jpeg_files_that_are_cut_anywhere_are_refused(void **state) {
    (void)state;
    for (coding how = SEQUENTIAL; how <= ARITHMETIC; how++) {
#ifndef C_ARITH_CODING_SUPPORTED
        if (how == ARITHMETIC) {
            continue;
        }
#endif
        bytes b = {.data = NULL};
        make_jpeg(&b, 48, how, 0, 1);
        size_t end = b.count - 2;
        while (how != ARITHMETIC && (b.data[end] != 0xFF || b.data[end + 1] != 0xDA)) {
            end--;
        }
        for (b.count = 3; b.count < end + 2; b.count++) {
            expect_refusal(&b, MEMORY, GEMLET_ERROR_FORMAT, "the JPEG file is cut");
        }
        drop(&b);
    }
}

static void jpeg_segments_are_not_kept(void **state) {
    (void)state;
    enum { SEGMENTS = 1000, BYTES = 0xFFFF };
    static const uint8_t exif[2 + BYTES] = {0xFF, 0xE1, 0xFF, 0xFF, 'x'};
    bytes b = {.data = NULL}, many = {.data = NULL};
    image_file file;
    make_jpeg(&b, 64, SEQUENTIAL, 0, 6);
    append(&many, b.data, 2);
    for (int i = 0; i < SEGMENTS; i++) {
        append(&many, exif, sizeof exif);
    }
    append(&many, b.data + 2, b.count - 2);
    read_in_little(&file, &many, IMAGE_MEBIBYTE, 16 * 1024); /* KiB; the segments are 62 MiB */
    assert_in_range(pixel(&file, 60, 2)[0], 28, 32);         /* turned by the one that says how */
    image_free(&file);
    drop(&many);
    drop(&b);
}

/* A progressive picture whose last scan comes again and again. */
static void jpeg_files_of_endless_scans_are_refused(void **state) {
    (void)state;
    bytes b = {.data = NULL}, endless = {.data = NULL};
    make_jpeg(&b, 64, PROGRESSIVE, 0, 1);
    size_t last = b.count - 2;
    while (b.data[last] != 0xFF || b.data[last + 1] != 0xDA) {
        last--;
    }
    append(&endless, b.data, b.count - 2);
    for (int i = 0; i < 200; i++) {
        append(&endless, b.data + last, b.count - 2 - last);
    }
    append(&endless, "\xFF\xD9", 2);
    expect_refusal(&endless, MEMORY, GEMLET_ERROR_FORMAT, "more than 100 scans");
    drop(&b);
    drop(&endless);
}

#endif

/* ---- Files ---- */

static void pictures_come_from_pipes(void **state) {
    (void)state;
    bytes pictures[4] = {{.data = NULL}};
    size_t count = 0;
    portable(&pictures[count++], 6, 255);
#ifdef GEMLET_HAVE_JPEG
    make_jpeg(&pictures[count++], 64, SEQUENTIAL, 0, 1);
#endif
#ifdef GEMLET_HAVE_PNG
    make_png(&pictures[count++], 2, 8, false, 1, NULL);
#endif
    for (size_t i = 0; i < count; i++) {
        int ends[2];
        char path[32];
        image_file file, whole;
        gemlet_error error = {GEMLET_OK, ""};
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], pictures[i].data, pictures[i].count), (ssize_t)pictures[i].count);
        close(ends[1]);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        assert_int_equal(image_read(&file, path, MEMORY, &error), GEMLET_OK);
        read_in(&whole, &pictures[i], MEMORY);
        assert_memory_equal(file.pixels, whole.pixels, whole.image.stride * whole.image.height);
        image_free(&file);
        image_free(&whole);
        close(ends[0]);
        drop(&pictures[i]);
    }
}

static void what_is_no_file_is_told(void **state) {
    (void)state;
    image_file file;
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(image_read(&file, "no/such/picture.png", MEMORY, &error), GEMLET_ERROR_IO);
    assert_string_equal(error.message, "no/such/picture.png: No such file or directory");
    assert_int_equal(image_read(&file, "/", MEMORY, &error), GEMLET_ERROR_IO);
    assert_string_equal(error.message, "/: Is a directory");
    assert_true(image_has_name("a.b.PPM"));
    assert_false(image_has_name("a.ppm.txt") || image_has_name("ppm") || image_has_name(".txt"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef GEMLET_HAVE_JPEG
        cmocka_unit_test(jpeg_files_are_scaled_to_their_memory), /* first: it looks at how much memory there ever was */
        cmocka_unit_test(jpeg_files_are_turned),
        cmocka_unit_test(jpeg_files_that_only_warn_are_shown),
        cmocka_unit_test(jpeg_files_that_can_t_be_decoded_are_refused),
        cmocka_unit_test(jpeg_files_that_are_cut_anywhere_are_refused),
        cmocka_unit_test(jpeg_segments_are_not_kept),
        cmocka_unit_test(jpeg_files_of_endless_scans_are_refused),
#endif
#ifdef GEMLET_HAVE_PNG
        cmocka_unit_test(png_files_of_every_kind_are_read),
        cmocka_unit_test(png_texts_are_not_kept),
        cmocka_unit_test(png_files_are_turned_and_refused),
#endif
#ifdef GEMLET_HAVE_WEBP
        cmocka_unit_test(webp_files_are_read),
        cmocka_unit_test(webp_files_with_alpha_count_it),
        cmocka_unit_test(webp_files_fit_their_memory),
#endif
        cmocka_unit_test(portable_files_are_plain_or_binary_of_one_or_two_bytes),
        cmocka_unit_test(portable_headers_are_checked),
        cmocka_unit_test(what_takes_too_much_becomes_smaller),
        cmocka_unit_test(orientation_is_read_of_any_integer_type),
        cmocka_unit_test(pictures_are_turned_upright),
        cmocka_unit_test(pictures_come_from_pipes),
        cmocka_unit_test(what_is_no_file_is_told),
    };
    return cmocka_run_group_tests_name("camera/picture", tests, NULL, NULL);
}
