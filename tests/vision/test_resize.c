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

/* ---- Formats ---- */

/* A grey picture in every format, with rows that are longer than their pixels. */
static void all_formats_show_the_same_grey(void **state) {
    (void)state;
    enum { WIDTH = 50, HEIGHT = 30, STRIDE = 4 * WIDTH + 7 };
    static uint8_t pixels[HEIGHT * STRIDE];
    static uint8_t chroma[HEIGHT / 2 * STRIDE];
    static const size_t bytes[] = {3, 3, 4, 1, 2, 1};
    memset(chroma, 128, sizeof chroma);
    uint8_t *wanted = NULL;
    for (int format = 0; format <= (int)GEMLET_PIXELS_NV12; format++) {
        bool luma = format >= (int)GEMLET_PIXELS_YUYV;
        memset(pixels, 128, sizeof pixels);
        for (size_t y = 0; y < HEIGHT; y++) {
            for (size_t x = 0; x < WIDTH; x++) {
                uint8_t grey = (x / 10 + y / 10) % 2 != 0 ? 255 : 0;
                memset(pixels + y * STRIDE + x * bytes[format], luma ? (grey != 0 ? 235 : 16) : grey, luma ? 1 : bytes[format]);
            }
        }
        gemlet_image image = {(gemlet_pixel_format)format, WIDTH, HEIGHT, pixels, STRIDE, chroma, STRIDE};
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
    one_colour((gemlet_image){GEMLET_PIXELS_RGB, 2, 2, rgb, 6, NULL, 0}, 200, 100, 50);
    one_colour((gemlet_image){GEMLET_PIXELS_BGR, 2, 2, bgr, 6, NULL, 0}, 200, 100, 50);
    one_colour((gemlet_image){GEMLET_PIXELS_RGBA, 2, 2, rgba, 8, NULL, 0}, 200, 100, 50);
    one_colour((gemlet_image){GEMLET_PIXELS_YUYV, 2, 2, yuyv, 4, NULL, 0}, 254, 0, 0);
    one_colour((gemlet_image){GEMLET_PIXELS_NV12, 2, 2, luma, 2, chroma, 2}, 254, 0, 0);
}

static void the_longest_images_fit_the_scratch(void **state) {
    (void)state;
    uint8_t *pixels = calloc(GEMLET_LARGEST_IMAGE, 3);
    gemlet_image wide = {GEMLET_PIXELS_RGB, GEMLET_LARGEST_IMAGE, 1, pixels, (size_t)3 * GEMLET_LARGEST_IMAGE, NULL, 0};
    gemlet_image high = {GEMLET_PIXELS_RGB, 1, GEMLET_LARGEST_IMAGE, pixels, 3, NULL, 0};
    guarded_free(resize_to(&wide, SIZE, GEMLET_OK));
    guarded_free(resize_to(&high, SIZE, GEMLET_OK));
    free(pixels);
}

static void what_can_t_be_is_refused(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    const gemlet_image wrong[] = {
        {GEMLET_PIXELS_RGB, 2, 2, NULL, 6, NULL, 0},
        {GEMLET_PIXELS_RGB, 0, 2, pixels, 6, NULL, 0},
        {GEMLET_PIXELS_RGB, 2, 0, pixels, 6, NULL, 0},
        {GEMLET_PIXELS_RGB, 2, 2, pixels, 5, NULL, 0},
        {GEMLET_PIXELS_RGB, GEMLET_LARGEST_IMAGE + 1, 2, pixels, SIZE_MAX, NULL, 0},
        {GEMLET_PIXELS_RGB, 2, UINT32_MAX, pixels, 6, NULL, 0},
        {(gemlet_pixel_format)9, 2, 2, pixels, 6, NULL, 0},
        {GEMLET_PIXELS_YUYV, 3, 2, pixels, 6, NULL, 0},
        {GEMLET_PIXELS_NV12, 2, 3, pixels, 6, pixels, 2},
        {GEMLET_PIXELS_NV12, 2, 2, pixels, 6, NULL, 2},
        {GEMLET_PIXELS_NV12, 2, 2, pixels, 6, pixels, 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        guarded_free(resize_to(&wrong[i], SIZE, GEMLET_ERROR_ARGUMENT));
    }
    guarded_free(resize_to(NULL, SIZE, GEMLET_ERROR_ARGUMENT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillow_gives_the_same_bytes),  cmocka_unit_test(all_formats_show_the_same_grey),
        cmocka_unit_test(channels_are_in_their_places), cmocka_unit_test(the_longest_images_fit_the_scratch),
        cmocka_unit_test(what_can_t_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
