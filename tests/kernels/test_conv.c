/* The int8 convolution kernels of every level against the scalar definition, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "tests/kernels/kernel_test.h"

/* One convolution with its quantised picture, all between guard bytes. */
typedef struct fixture {
    gemlet_conv conv;
    int8_t *packed;
    float *scale;
    int8_t *picture; /* pixels that the pointers choose from */
    const int8_t **x;
    float *pixel_scale;
    size_t pixels;
} fixture;

enum { PICTURE_PIXELS = 12, ALIGNED_OFFSETS = 4 };

static size_t aligned_offset(test_random *r) {
    return 16 * random_range(r, 0, ALIGNED_OFFSETS - 1);
}

static int8_t random_activation(test_random *r) {
    return (int8_t)((int)random_range(r, 0, 254) - 127);
}

static void pack_weights(fixture *f, test_random *r, const int8_t *weights) {
    size_t bytes = gemlet_conv_bytes(f->conv.outputs, f->conv.taps, f->conv.channels);
    f->packed = guarded_alloc(bytes, aligned_offset(r));
    gemlet_conv_pack(weights, f->conv.outputs, f->conv.taps, f->conv.channels, f->packed);
    f->conv.data = f->packed;
    f->scale = guarded_alloc(f->conv.outputs * sizeof(float), 4 * random_range(r, 0, 3));
    for (size_t o = 0; o < f->conv.outputs; o++) {
        f->scale[o] = random_float(r, 0.001f, 0.1f);
    }
    f->conv.scale = f->scale;
}

static void choose_pixels(fixture *f, test_random *r) {
    size_t padded = gemlet_padded_channels(f->conv.channels);
    size_t pointers = f->conv.taps * f->pixels;
    f->x = guarded_alloc(pointers * sizeof *f->x, 0);
    for (size_t i = 0; i < pointers; i++) {
        f->x[i] = f->picture + padded * random_range(r, 0, PICTURE_PIXELS - 1);
    }
    f->pixel_scale = guarded_alloc(f->pixels * sizeof(float), 4 * random_range(r, 0, 3));
    for (size_t p = 0; p < f->pixels; p++) {
        f->pixel_scale[p] = random_float(r, 0.0f, 2.0f);
    }
}

/* `extreme`: every weight is 127, -127 or -128 and every activation 127 or -127; with `same_sign` all products agree in sign. */
static void make(fixture *f, test_random *r, size_t outputs, size_t taps, size_t channels, size_t pixels, bool extreme,
                 bool same_sign) {
    memset(f, 0, sizeof *f);
    f->conv = (gemlet_conv){NULL, NULL, outputs, channels, taps};
    f->pixels = pixels;
    size_t count = outputs * taps * channels;
    int8_t *weights = guarded_alloc(count, random_range(r, 0, 63));
    random_bytes(r, weights, count);
    for (size_t i = 0; extreme && i < count; i++) {
        static const int8_t extremes[] = {127, -127, -128, -128};
        weights[i] = extremes[same_sign ? 3 : random_range(r, 0, 3)];
    }
    pack_weights(f, r, weights);
    guarded_free(weights);
    size_t padded = gemlet_padded_channels(channels);
    f->picture = guarded_alloc(PICTURE_PIXELS * padded, aligned_offset(r));
    memset(f->picture, 0, PICTURE_PIXELS * padded);
    for (size_t p = 0; p < PICTURE_PIXELS; p++) {
        for (size_t c = 0; c < channels; c++) {
            static const int8_t extremes[] = {127, -127};
            int8_t *activation = &f->picture[p * padded + c];
            if (extreme) {
                *activation = extremes[same_sign ? 0 : random_range(r, 0, 1)];
            } else {
                *activation = random_activation(r);
            }
        }
    }
    choose_pixels(f, r);
}

static void release(fixture *f) {
    guarded_free(f->packed);
    guarded_free(f->scale);
    guarded_free(f->picture);
    guarded_free(f->x);
    guarded_free(f->pixel_scale);
}

/* Outputs of one call, poisoned first: what a call must not write stays poison and is compared too. */
static void *call(const fixture *f, const gemlet_conv_kernels *kernels, size_t first, size_t end, int form, size_t stride) {
    size_t values = (f->pixels - 1) * stride + f->conv.outputs;
    void *y = guarded_alloc(values * 4, 0);
    if (form == 0) {
        kernels->multiply_s32(&f->conv, first, end, f->x, f->pixels, y, stride);
    } else {
        kernels->multiply(&f->conv, first, end, f->x, f->pixels, form == 1 ? NULL : f->pixel_scale, y, stride);
    }
    return y;
}

static void compare_levels(const fixture *f, size_t first, size_t end, size_t stride) {
    size_t bytes = ((f->pixels - 1) * stride + f->conv.outputs) * 4;
    for (int form = 0; form < 3; form++) {
        void *expected = call(f, &gemlet_conv_kernels_scalar, first, end, form, stride);
        for (int level = GEMLET_LEVEL_NEON; level <= (int)test_highest_level(); level++) {
            void *y = call(f, gemlet_kernels_for((gemlet_level)level).conv, first, end, form, stride);
            assert_memory_equal(y, expected, bytes);
            guarded_free(y);
        }
        guarded_free(expected);
    }
}

/* The scalar multiply against a sum over the unpacked weights, so that packing and its reader cannot be wrong together. */
static void test_scalar_is_the_formula(void **state) {
    (void)state;
    test_random r = {11};
    enum { OUTPUTS = 11, TAPS = 3, CHANNELS = 21, PIXELS = 2 };
    static int8_t weights[OUTPUTS][TAPS][CHANNELS];
    fixture f;
    make(&f, &r, OUTPUTS, TAPS, CHANNELS, PIXELS, false, false);
    random_bytes(&r, weights, sizeof weights);
    gemlet_conv_pack(&weights[0][0][0], OUTPUTS, TAPS, CHANNELS, f.packed);
    int32_t sums[PIXELS][OUTPUTS];
    float y[PIXELS][OUTPUTS];
    gemlet_conv_kernels_scalar.multiply_s32(&f.conv, 0, 2, f.x, PIXELS, &sums[0][0], OUTPUTS);
    gemlet_conv_kernels_scalar.multiply(&f.conv, 0, 2, f.x, PIXELS, f.pixel_scale, &y[0][0], OUTPUTS);
    for (size_t p = 0; p < PIXELS; p++) {
        for (size_t o = 0; o < OUTPUTS; o++) {
            int32_t sum = 0;
            for (size_t t = 0; t < TAPS; t++) {
                for (size_t c = 0; c < CHANNELS; c++) {
                    sum += weights[o][t][c] * f.x[t * PIXELS + p][c];
                }
            }
            assert_int_equal(sums[p][o], sum);
            float scaled = (float)sum * f.scale[o] * f.pixel_scale[p];
            assert_memory_equal(&y[p][o], &scaled, sizeof scaled);
        }
    }
    release(&f);
}

/* The bytes that conv.h's layout names, one by one. */
static void test_packed_layout(void **state) {
    (void)state;
    enum { OUTPUTS = 9, TAPS = 2, CHANNELS = 17, PADDED = 32 };
    static int8_t weights[OUTPUTS][TAPS][CHANNELS];
    for (int o = 0; o < OUTPUTS; o++) {
        for (int t = 0; t < TAPS; t++) {
            for (int c = 0; c < CHANNELS; c++) {
                weights[o][t][c] = (int8_t)(1 + o * 13 + t * 5 + c);
            }
        }
    }
    size_t bytes = gemlet_conv_bytes(OUTPUTS, TAPS, CHANNELS);
    assert_int_equal(bytes, 2 * 8 * TAPS * PADDED);
    int8_t *packed = guarded_alloc(bytes, 0);
    gemlet_conv_pack(&weights[0][0][0], OUTPUTS, TAPS, CHANNELS, packed);
    const int8_t *at = packed;
    for (int panel = 0; panel < 2; panel++) {
        for (int t = 0; t < TAPS; t++) {
            for (int block = 0; block < PADDED / 8; block++) {
                for (int byte = 0; byte < 64; byte++) {
                    int o = panel * 8 + byte / 32 * 4 + byte % 16 / 4;
                    int c = block * 8 + byte / 16 % 2 * 4 + byte % 4;
                    int expected = o < OUTPUTS && c < CHANNELS ? weights[o][t][c] : 0;
                    assert_int_equal(*at++, expected);
                }
            }
        }
    }
    guarded_free(packed);
}

static void test_sizes(void **state) {
    (void)state;
    assert_int_equal(gemlet_padded_channels(1), 16);
    assert_int_equal(gemlet_padded_channels(16), 16);
    assert_int_equal(gemlet_padded_channels(17), 32);
    assert_int_equal(gemlet_conv_bytes(1, 1, 1), 128);
    assert_int_equal(gemlet_conv_bytes(512, 9, 128), 512 * 9 * 128);
    assert_int_equal(gemlet_conv_bytes(0, 1, 1), 0);
    assert_int_equal(gemlet_conv_bytes(1, 0, 1), 0);
    assert_int_equal(gemlet_conv_bytes(1, 1, 0), 0);
    assert_int_equal(gemlet_conv_bytes(1, 1, 131071), 8 * 131072); /* whose sums an int32 has room for */
    assert_int_equal(gemlet_conv_bytes(1, 1, 131072), 0);
    assert_int_equal(gemlet_conv_bytes(1, 9, 14563), 8 * 9 * 14576);
    assert_int_equal(gemlet_conv_bytes(1, 9, 14564), 0);
    assert_int_equal(gemlet_conv_bytes(1, 1, SIZE_MAX), 0);
    assert_int_equal(gemlet_conv_bytes(1, 1, SIZE_MAX / 8), 0);
    assert_int_equal(gemlet_conv_bytes(SIZE_MAX, 1, 16), 0);
    assert_int_equal(gemlet_conv_bytes(64, SIZE_MAX / 64, 64), 0);
}

static void test_random_shapes(void **state) {
    (void)state;
    test_random r = {1};
    for (int i = 0; i < 60; i++) {
        size_t taps = random_range(&r, 0, 2) == 0 ? 9 : 1;
        size_t outputs = random_range(&r, 1, 40), channels = random_range(&r, 1, 100),
               pixels = random_range(&r, 1, taps == 1 ? 40 : 9);
        fixture f;
        make(&f, &r, outputs, taps, channels, pixels, false, false);
        size_t panels = (outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
        size_t first = random_range(&r, 0, panels - 1);
        compare_levels(&f, 0, panels, outputs + random_range(&r, 0, 5));
        compare_levels(&f, first, random_range(&r, first, panels), outputs);
        release(&f);
    }
}

/* Sums of products at their largest, over lengths at which an int16 would wrap at once and an int32 does not. */
static void test_extremes(void **state) {
    (void)state;
    test_random r = {2};
    static const size_t lengths[] = {16, 48, 1000, 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int same_sign = 0; same_sign < 2; same_sign++) {
            fixture f;
            make(&f, &r, 19, 1, lengths[i], 5, true, same_sign != 0);
            compare_levels(&f, 0, 3, 19);
            release(&f);
        }
    }
    fixture f;
    make(&f, &r, 9, 9, 455, 3, true, true);
    compare_levels(&f, 0, 2, 9);
    release(&f);
}

/* Any split of the panels gives the bits of one call. */
static void test_split(void **state) {
    (void)state;
    test_random r = {3};
    fixture f;
    make(&f, &r, 61, 1, 70, 13, false, false);
    for (int level = GEMLET_LEVEL_SCALAR; level <= (int)test_highest_level(); level++) {
        const gemlet_conv_kernels *kernels =
            level == 0 ? &gemlet_conv_kernels_scalar : gemlet_kernels_for((gemlet_level)level).conv;
        void *whole = call(&f, kernels, 0, 8, 2, 61);
        for (size_t part = 1; part < 8; part++) {
            float *y = guarded_alloc(13 * 61 * sizeof *y, 0);
            for (size_t first = 0; first < 8; first += part) {
                kernels->multiply(&f.conv, first, first + part < 8 ? first + part : 8, f.x, f.pixels, f.pixel_scale, y, 61);
            }
            assert_memory_equal(y, whole, 13 * 61 * sizeof *y);
            guarded_free(y);
        }
        guarded_free(whole);
    }
    release(&f);
}

static void compare_quantize(const float *x, size_t stride, size_t pixels, size_t channels) {
    size_t padded = gemlet_padded_channels(channels);
    int8_t *expected = guarded_alloc(pixels * padded, 0);
    float *expected_scale = guarded_alloc(pixels * sizeof(float), 4);
    gemlet_conv_kernels_scalar.quantize(x, stride, pixels, channels, expected, expected_scale);
    for (int level = GEMLET_LEVEL_NEON; level <= (int)test_highest_level(); level++) {
        int8_t *q = guarded_alloc(pixels * padded, 16);
        float *scale = guarded_alloc(pixels * sizeof(float), 8);
        gemlet_kernels_for((gemlet_level)level).conv->quantize(x, stride, pixels, channels, q, scale);
        assert_memory_equal(q, expected, pixels * padded);
        assert_memory_equal(scale, expected_scale, pixels * sizeof(float));
        guarded_free(q);
        guarded_free(scale);
    }
    guarded_free(expected);
    guarded_free(expected_scale);
}

static void compare_quantize_centered(const float *x, size_t stride, size_t pixels, size_t channels) {
    size_t padded = gemlet_padded_channels(channels);
    int8_t *expected = guarded_alloc(pixels * padded, 0);
    float *expected_scale = guarded_alloc(2 * pixels * sizeof(float), 4);
    gemlet_conv_kernels_scalar.quantize_centered(x, stride, pixels, channels, expected, expected_scale, expected_scale + pixels);
    for (int level = GEMLET_LEVEL_NEON; level <= (int)test_highest_level(); level++) {
        int8_t *q = guarded_alloc(pixels * padded, 16);
        float *scale = guarded_alloc(2 * pixels * sizeof(float), 8);
        gemlet_kernels_for((gemlet_level)level).conv->quantize_centered(x, stride, pixels, channels, q, scale, scale + pixels);
        assert_memory_equal(q, expected, pixels * padded);
        assert_memory_equal(scale, expected_scale, 2 * pixels * sizeof(float));
        guarded_free(q);
        guarded_free(scale);
    }
    guarded_free(expected);
    guarded_free(expected_scale);
}

static void test_quantize_random(void **state) {
    (void)state;
    test_random r = {4};
    for (int i = 0; i < 200; i++) {
        size_t channels = random_range(&r, 1, 100), pixels = random_range(&r, 1, 5), stride = channels + random_range(&r, 0, 3);
        size_t count = (pixels - 1) * stride + channels;
        float *x = guarded_alloc(count * sizeof *x, 4 * random_range(&r, 0, 3));
        int mode = (int)random_range(&r, 0, 2);
        float size = powf(10.0f, random_float(&r, -37.0f, 37.0f));
        for (size_t k = 0; k < count; k++) {
            if (mode == 0) {
                x[k] = random_normal(&r) * size;
            } else if (mode == 1) { /* halves: ties to even */
                x[k] = ((float)random_range(&r, 0, 508) - 254.0f) * 0.5f;
            } else { /* any bits at all: NaN, infinities, subnormals */
                random_bytes(&r, &x[k], sizeof x[k]);
            }
        }
        if (mode == 1) {
            x[0] = 127.0f;
        }
        compare_quantize(x, stride, pixels, channels);
        compare_quantize_centered(x, stride, pixels, channels);
        for (size_t k = 0; k < count; k++) { /* a small range far from zero */
            x[k] = 1000.0f * size + x[k];
        }
        compare_quantize_centered(x, stride, pixels, channels);
        guarded_free(x);
    }
}

static void test_quantize_values(void **state) {
    (void)state;
    enum { CHANNELS = 18, PADDED = 32 };
    float x[CHANNELS] = {127.0f, -127.0f, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 0.49f, -126.5f, 125.5f};
    static const int8_t expected[PADDED] = {127, -127, 0, 2, 0, -2, 2, 0, -126, 126};
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    int8_t q[PADDED];
    float scale;
    gemlet_conv_kernels_scalar.quantize(x, CHANNELS, 1, CHANNELS, q, &scale);
    assert_memory_equal(q, expected, PADDED);
    assert_true(scale == 1.0f);
    compare_quantize(x, CHANNELS, 1, CHANNELS);
    static const int8_t zeros[PADDED] = {0};
    for (size_t i = 0; i < 4 + 2; i++) {
        float y[CHANNELS] = {0};
        if (i < 4) {
            memcpy(y, x, sizeof y);
            y[i * 5] = bad[i];
        } else if (i == 4) {
            y[3] = FLT_MIN / 8.0f; /* 127 / it is infinite */
        }
        gemlet_conv_kernels_scalar.quantize(y, CHANNELS, 1, CHANNELS, q, &scale);
        assert_memory_equal(q, zeros, PADDED);
        assert_true(scale == 0.0f);
        compare_quantize(y, CHANNELS, 1, CHANNELS);
    }
}

static void test_quantize_centered_values(void **state) {
    (void)state;
    enum { CHANNELS = 18, PADDED = 32 };
    float x[CHANNELS];
    for (size_t c = 0; c < CHANNELS; c++) {
        x[c] = 10.0f + (float)c * 14.0f; /* 10 to 248: center 129, magnitude 119 */
    }
    int8_t q[PADDED];
    float scale, center;
    gemlet_conv_kernels_scalar.quantize_centered(x, CHANNELS, 1, CHANNELS, q, &scale, &center);
    assert_true(center == 129.0f && scale == 119.0f / 127.0f && q[0] == -127 && q[CHANNELS - 1] == 127 && q[CHANNELS] == 0);
    for (size_t c = 0; c < CHANNELS; c++) {
        assert_true(fabsf((float)q[c] * scale + center - x[c]) <= 0.5001f * scale);
    }
    /* Equal elements leave the center alone; a NaN, infinities or a range beyond the numbers leave nothing. */
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f};
    static const int8_t zeros[PADDED] = {0};
    for (size_t i = 0; i < 6; i++) {
        for (size_t c = 0; c < CHANNELS; c++) {
            x[c] = i == 5 ? 7.5f : -3e38f;
        }
        if (i < 5) {
            x[3 * i] = odd[i];
        }
        gemlet_conv_kernels_scalar.quantize_centered(x, CHANNELS, 1, CHANNELS, q, &scale, &center);
        assert_memory_equal(q, zeros, PADDED);
        assert_true(scale == 0.0f && center == (i == 5 ? 7.5f : 0.0f));
        compare_quantize_centered(x, CHANNELS, 1, CHANNELS);
    }
    compare_quantize_centered((const float[]){16777216.0f, 16777218.0f, 16777216.0f}, 3, 1, 3); /* the center can't be in between */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar_is_the_formula),
        cmocka_unit_test(test_packed_layout),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_quantize_random),
        cmocka_unit_test(test_quantize_values),
        cmocka_unit_test(test_quantize_centered_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
