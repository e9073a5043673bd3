/* Resampling against Pillow's, and the pixel formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/kernel_test.h"
#include <gemlet/image.h>

enum { CASES = 7, SIZE = 64 };

static uint8_t *resize_to(const gemlet_image *image, size_t size, gemlet_status wanted) {
    gemlet_error error = {GEMLET_OK, ""};
    void *scratch = guarded_alloc(gemlet_resize_bytes(size), 0);
    uint8_t *square = guarded_alloc(size * size * 3, 0);
    gemlet_status status = gemlet_resize(image, size, scratch, square, &error);
    if (status != wanted) {
        fail_msg("status %d, %s", (int)status, error.message);
    }
    guarded_free(scratch);
    return square;
}

static void pillow_gives_the_same_bytes(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        char path[64];
        uint32_t head[3];
        snprintf(path, sizeof path, "tests/data/vision/resize%d.bin", i);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fread(head, sizeof head[0], 3, file), 3);
        size_t bytes = (size_t)head[0] * head[1] * 3;
        size_t wanted_bytes = (size_t)head[2] * head[2] * 3;
        uint8_t *pixels = guarded_alloc(bytes, 0);
        uint8_t *wanted = malloc(wanted_bytes);
        assert_int_equal(fread(pixels, 1, bytes, file), bytes);
        assert_int_equal(fread(wanted, 1, wanted_bytes, file), wanted_bytes);
        fclose(file);
        gemlet_image image = {
            .format = GEMLET_PIXELS_RGB, .width = head[0], .height = head[1], .pixels = pixels, .stride = (size_t)head[0] * 3};
        uint8_t *square = resize_to(&image, head[2], GEMLET_OK);
        if (head[0] >= head[1]) { /* Pillow takes the rows of a high picture first */
            assert_memory_equal(square, wanted, wanted_bytes);
        }
        for (size_t k = 0; k < wanted_bytes; k++) {
            assert_in_range(square[k] + 1, wanted[k], wanted[k] + 2);
        }
        guarded_free(square);
        guarded_free(pixels);
        free(wanted);
    }
}

/* ---- Crops ---- */

/* Sides, and how many crops transformers' Gemma3ImageProcessor cuts of them, with how many pixels in the first along the longer
 * side. */
static void crops_are_cut_as_the_processor_does(void **state) {
    (void)state;
    static const struct {
        uint32_t width, height, count, first;
    } cases[] = {
        {600, 400, 2, 300},   {400, 600, 2, 300},    {640, 480, 2, 320},   {1280, 720, 2, 640}, {1920, 1080, 2, 960},
        {1200, 1000, 2, 600}, {1199, 1000, 0, 0},    {1000, 1200, 2, 600}, {1000, 1199, 0, 0},  {500, 500, 0, 0},
        {511, 300, 2, 256},   {510, 300, 0, 0},      {800, 255, 0, 0},     {800, 256, 3, 267},  {768, 256, 3, 256},
        {767, 256, 2, 384},   {3000, 300, 4, 750},   {300, 3001, 4, 751},  {1000, 400, 3, 334}, {999, 400, 2, 500},
        {1400, 400, 4, 350},  {20480, 256, 4, 5120}, {20480, 1, 0, 0},     {1, 1, 0, 0},
    };
    static const uint8_t pixel;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_image crops[GEMLET_MOST_CROPS], image = {.format = GEMLET_PIXELS_GREY, .pixels = &pixel, .stride = 20480};
        image.width = cases[i].width;
        image.height = cases[i].height;
        bool wide = image.width > image.height;
        uint32_t length = 0;
        assert_int_equal(gemlet_crop_image(&image, crops), cases[i].count);
        for (uint32_t k = 0; k < cases[i].count; k++) {
            uint32_t along = wide ? crops[k].width : crops[k].height;
            assert_ptr_equal(crops[k].pixels, &pixel + (wide ? length : length * image.stride));
            assert_int_equal(wide ? crops[k].height : crops[k].width, wide ? image.height : image.width);
            assert_true(along == cases[i].first || (k + 1 == cases[i].count && along < cases[i].first));
            length += along;
        }
        assert_int_equal(length, cases[i].count == 0 ? 0 : wide ? image.width : image.height);
    }
    gemlet_image crops[GEMLET_MOST_CROPS];
    assert_int_equal(gemlet_crop_image(NULL, crops), 0);
    assert_int_equal(gemlet_crop_image(&(gemlet_image){.width = 800, .height = 400, .stride = 800}, crops), 0);
}

/* A crop of a frame of any format is the frame's part: its squares are those of a copy that holds nothing else. */
static void crops_of_every_format_are_parts_of_the_frame(void **state) {
    (void)state;
    enum { LONGER = 1000, SHORTER = 262, BYTES = 4 * LONGER * SHORTER };
    static uint8_t luma[BYTES], chroma[2][BYTES / 4], part[BYTES], chroma_part[2][BYTES / 4];
    static const size_t bytes[] = {3, 3, 4, 1, 2, 1, 1};
    for (size_t i = 0; i < sizeof luma; i++) {
        luma[i] = (uint8_t)(i * 2654435761u >> 13);
        chroma[i / 2 % 2][i / 4] = (uint8_t)(i * 40503u >> 9);
    }
    for (int kind = 0; kind <= 2 * (int)GEMLET_PIXELS_I420 + 1; kind++) {
        gemlet_pixel_format format = (gemlet_pixel_format)(kind / 2);
        bool wide = kind % 2 == 0, pairs = format == GEMLET_PIXELS_NV12, planes = format == GEMLET_PIXELS_I420;
        uint32_t width = wide ? LONGER : SHORTER, height = wide ? SHORTER : LONGER, done = 0;
        gemlet_image crops[GEMLET_MOST_CROPS], frame = {.format = format,
                                                        .width = width,
                                                        .height = height,
                                                        .pixels = luma,
                                                        .stride = width * bytes[format],
                                                        .chroma = chroma[0],
                                                        .chroma_stride = planes ? width / 2 : width,
                                                        .chroma_v = chroma[1]};
        size_t count = gemlet_crop_image(&frame, crops);
        assert_int_equal(count, 3);
        for (size_t i = 0; i < count; i++) {
            gemlet_image copy = frame;
            uint32_t x = wide ? done : 0, y = wide ? 0 : done;
            copy.width = crops[i].width;
            copy.height = crops[i].height;
            copy.stride = copy.width * bytes[format];
            copy.chroma_stride = planes ? copy.width / 2 : copy.width;
            copy.pixels = part;
            copy.chroma = chroma_part[0];
            copy.chroma_v = chroma_part[1];
            for (uint32_t row = 0; row < copy.height; row++) {
                memcpy(part + row * copy.stride, luma + (y + row) * frame.stride + x * bytes[format], copy.stride);
                for (size_t plane = 0; plane < 2 && (pairs || planes); plane++) {
                    memcpy(chroma_part[plane] + row / 2 * copy.chroma_stride,
                           chroma[plane] + (y + row) / 2 * frame.chroma_stride + (planes ? x / 2 : x), copy.chroma_stride);
                }
            }
            uint8_t *found = resize_to(&crops[i], SIZE, GEMLET_OK), *wanted = resize_to(&copy, SIZE, GEMLET_OK);
            assert_memory_equal(found, wanted, SIZE * SIZE * 3);
            guarded_free(found);
            guarded_free(wanted);
            done += wide ? copy.width : copy.height;
        }
        assert_int_equal(done, LONGER);
    }
}

/* ---- Formats ---- */

static gemlet_image image_of(gemlet_pixel_format format, uint32_t width, uint32_t height, const uint8_t *pixels, size_t stride,
                             const uint8_t *chroma, size_t chroma_stride) {
    return (gemlet_image){.format = format,
                          .width = width,
                          .height = height,
                          .pixels = pixels,
                          .stride = stride,
                          .chroma = chroma,
                          .chroma_stride = chroma_stride};
}

/* A grey picture in every format, with rows that are longer than their pixels. */
static void all_formats_show_the_same_grey(void **state) {
    (void)state;
    enum { WIDTH = 50, HEIGHT = 30, STRIDE = 4 * WIDTH + 7 };
    static uint8_t pixels[HEIGHT * STRIDE];
    static uint8_t chroma[HEIGHT / 2 * STRIDE];
    static const size_t bytes[] = {3, 3, 4, 1, 2, 1, 1};
    memset(chroma, 128, sizeof chroma);
    uint8_t *wanted = NULL;
    for (int format = 0; format <= (int)GEMLET_PIXELS_I420; format++) {
        bool luma = format >= (int)GEMLET_PIXELS_YUYV;
        memset(pixels, 128, sizeof pixels);
        for (size_t y = 0; y < HEIGHT; y++) {
            for (size_t x = 0; x < WIDTH; x++) {
                uint8_t grey = (x / 10 + y / 10) % 2 != 0 ? 255 : 0;
                memset(pixels + y * STRIDE + x * bytes[format], luma ? (grey != 0 ? 235 : 16) : grey, luma ? 1 : bytes[format]);
            }
        }
        gemlet_image image = image_of((gemlet_pixel_format)format, WIDTH, HEIGHT, pixels, STRIDE, chroma, STRIDE);
        image.chroma_v = chroma;
        uint8_t *square = resize_to(&image, SIZE, GEMLET_OK);
        if (wanted == NULL) {
            wanted = square;
            continue;
        }
        assert_memory_equal(square, wanted, SIZE * SIZE * 3);
        guarded_free(square);
    }
    guarded_free(wanted);
}

static void one_colour(gemlet_image image, int red, int green, int blue) {
    uint8_t *square = resize_to(&image, SIZE, GEMLET_OK);
    const int wanted[3] = {red, green, blue};
    for (size_t i = 0; i < (size_t)SIZE * SIZE * 3; i++) {
        assert_in_range(square[i] + 2, wanted[i % 3], wanted[i % 3] + 4);
    }
    guarded_free(square);
}

/* Pure red of BT.601: Y 81, U 90, V 240. */
static void channels_are_in_their_places(void **state) {
    (void)state;
    static const uint8_t rgb[12] = {200, 100, 50, 200, 100, 50, 200, 100, 50, 200, 100, 50};
    static const uint8_t bgr[12] = {50, 100, 200, 50, 100, 200, 50, 100, 200, 50, 100, 200};
    static const uint8_t rgba[16] = {200, 100, 50, 0, 200, 100, 50, 9, 200, 100, 50, 255, 200, 100, 50, 77};
    static const uint8_t yuyv[8] = {81, 90, 81, 240, 81, 90, 81, 240};
    static const uint8_t luma[4] = {81, 81, 81, 81};
    static const uint8_t chroma[2] = {90, 240};
    one_colour(image_of(GEMLET_PIXELS_RGB, 2, 2, rgb, 6, NULL, 0), 200, 100, 50);
    one_colour(image_of(GEMLET_PIXELS_BGR, 2, 2, bgr, 6, NULL, 0), 200, 100, 50);
    one_colour(image_of(GEMLET_PIXELS_RGBA, 2, 2, rgba, 8, NULL, 0), 200, 100, 50);
    one_colour(image_of(GEMLET_PIXELS_YUYV, 2, 2, yuyv, 4, NULL, 0), 254, 0, 0);
    one_colour(image_of(GEMLET_PIXELS_NV12, 2, 2, luma, 2, chroma, 2), 254, 0, 0);
}

/* By the definitions, in real numbers: what the fixed point gives may be 2 off. */
static void expect_luma(gemlet_image image, int y, int u, int v) {
    static const double share[2][2] = {{0.299, 0.114}, {0.2126, 0.0722}}; /* of red and blue in Y */
    bool full = image.range == GEMLET_RANGE_FULL;
    double kr = share[image.matrix][0], kb = share[image.matrix][1], kg = 1 - kr - kb;
    double luma = full ? y : (y - 16) * 255.0 / 219;
    double scale = full ? 1 : 255.0 / 224;
    double rv = 2 * (1 - kr) * (v - 128) * scale, bu = 2 * (1 - kb) * (u - 128) * scale;
    const double rgb[3] = {luma + rv, luma - kb / kg * bu - kr / kg * rv, luma + bu};
    int wanted[3];
    for (size_t i = 0; i < 3; i++) {
        wanted[i] = rgb[i] < 0 ? 0 : rgb[i] > 255 ? 255 : (int)(rgb[i] + 0.5);
    }
    one_colour(image, wanted[0], wanted[1], wanted[2]);
}

static void each_matrix_and_range_is_that_of_its_standard(void **state) {
    (void)state;
    static const uint8_t colours[][3] = {{81, 90, 240},   {145, 54, 34},  {41, 240, 110},
                                         {128, 128, 128}, {60, 100, 170}, {200, 140, 90}};
    for (size_t i = 0; i < sizeof colours / sizeof colours[0] * 4; i++) {
        const uint8_t *c = colours[i / 4];
        const uint8_t y[4] = {c[0], c[0], c[0], c[0]}, uv[2] = {c[1], c[2]},
                      yuyv[8] = {c[0], c[1], c[0], c[2], c[0], c[1], c[0], c[2]};
        gemlet_image images[] = {image_of(GEMLET_PIXELS_I420, 2, 2, y, 2, uv, 1), image_of(GEMLET_PIXELS_NV12, 2, 2, y, 2, uv, 2),
                                 image_of(GEMLET_PIXELS_YUYV, 2, 2, yuyv, 4, NULL, 0)};
        images[0].chroma_v = uv + 1;
        for (size_t k = 0; k < 3; k++) {
            images[k].matrix = (gemlet_color_matrix)(i % 2);
            images[k].range = (gemlet_color_range)(i / 2 % 2);
            expect_luma(images[k], c[0], c[1], c[2]);
        }
    }
}

static void the_longest_images_fit_the_scratch(void **state) {
    (void)state;
    uint8_t *pixels = calloc(GEMLET_LARGEST_IMAGE, 3);
    gemlet_image wide = image_of(GEMLET_PIXELS_RGB, GEMLET_LARGEST_IMAGE, 1, pixels, (size_t)3 * GEMLET_LARGEST_IMAGE, NULL, 0);
    gemlet_image high = image_of(GEMLET_PIXELS_RGB, 1, GEMLET_LARGEST_IMAGE, pixels, 3, NULL, 0);
    guarded_free(resize_to(&wide, SIZE, GEMLET_OK));
    guarded_free(resize_to(&high, SIZE, GEMLET_OK));
    free(pixels);
}

static void what_can_t_be_is_refused(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    const gemlet_image wrong[] = {
        image_of(GEMLET_PIXELS_RGB, 2, 2, NULL, 6, NULL, 0),
        image_of(GEMLET_PIXELS_RGB, 0, 2, pixels, 6, NULL, 0),
        image_of(GEMLET_PIXELS_RGB, 2, 0, pixels, 6, NULL, 0),
        image_of(GEMLET_PIXELS_RGB, 2, 2, pixels, 5, NULL, 0),
        image_of(GEMLET_PIXELS_RGB, GEMLET_LARGEST_IMAGE + 1, 2, pixels, SIZE_MAX, NULL, 0),
        image_of(GEMLET_PIXELS_RGB, 2, UINT32_MAX, pixels, 6, NULL, 0),
        image_of((gemlet_pixel_format)9, 2, 2, pixels, 6, NULL, 0),
        image_of(GEMLET_PIXELS_YUYV, 3, 2, pixels, 6, NULL, 0),
        image_of(GEMLET_PIXELS_NV12, 2, 3, pixels, 6, pixels, 2),
        image_of(GEMLET_PIXELS_NV12, 2, 2, pixels, 6, NULL, 2),
        image_of(GEMLET_PIXELS_NV12, 2, 2, pixels, 6, pixels, 1),
        image_of(GEMLET_PIXELS_I420, 2, 3, pixels, 6, pixels, 1),
        image_of(GEMLET_PIXELS_I420, 3, 2, pixels, 6, pixels, 1),
        image_of(GEMLET_PIXELS_I420, 2, 2, pixels, 6, pixels, 0),
        image_of(GEMLET_PIXELS_I420, 2, 2, pixels, 6, pixels, 1), /* no V */
        {.format = GEMLET_PIXELS_I420,
         .width = 2,
         .height = 2,
         .pixels = pixels,
         .stride = 2,
         .chroma_v = pixels,
         .chroma_stride = 1},
        {.format = GEMLET_PIXELS_YUYV, .width = 2, .height = 2, .pixels = pixels, .stride = 4, .matrix = (gemlet_color_matrix)2},
        {.format = GEMLET_PIXELS_YUYV, .width = 2, .height = 2, .pixels = pixels, .stride = 4, .range = (gemlet_color_range)2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        guarded_free(resize_to(&wrong[i], SIZE, GEMLET_ERROR_ARGUMENT));
    }
    guarded_free(resize_to(NULL, SIZE, GEMLET_ERROR_ARGUMENT));
    const gemlet_image right = image_of(GEMLET_PIXELS_RGB, 2, 2, pixels, 6, NULL, 0);
    assert_int_equal(gemlet_resize_bytes(0), 0);
    guarded_free(resize_to(&right, 0, GEMLET_ERROR_ARGUMENT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillow_gives_the_same_bytes),
        cmocka_unit_test(all_formats_show_the_same_grey),
        cmocka_unit_test(channels_are_in_their_places),
        cmocka_unit_test(the_longest_images_fit_the_scratch),
        cmocka_unit_test(what_can_t_be_is_refused),
        cmocka_unit_test(each_matrix_and_range_is_that_of_its_standard),
        cmocka_unit_test(crops_are_cut_as_the_processor_does),
        cmocka_unit_test(crops_of_every_format_are_parts_of_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
