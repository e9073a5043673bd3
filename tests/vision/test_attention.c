/* Attention of the image encoders against itself in double precision.  Queries, keys and values are on the grids that quantising
 * gives them, so that what is left are the digits of softmax's weights.  Every level gives the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/vision/attention.h"
#include "tests/kernels/kernel_test.h"

enum { KEY_WIDTH = 24, VALUE_WIDTH = 20, ROWS = 3 };

typedef struct picture {
    size_t keys;
    float scale;
    float *key, *value, *query; /* [keys][KEY_WIDTH], [keys][VALUE_WIDTH], [ROWS][KEY_WIDTH] */
} picture;

static void *get(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(memory);
    return memory;
}

/* Whole numbers to 127, one of which is 127: quantising changes none. */
static void fill_row(test_random *r, float *row, size_t length, size_t stride, float mean) {
    for (size_t i = 0; i < length; i++) {
        float x = rintf(mean + 40.0f * random_normal(r));
        row[i * stride] = x > 127.0f ? 127.0f : x < -127.0f ? -127.0f : x;
    }
    row[random_range(r, 0, length - 1) * stride] = 127.0f;
}

/* `deviation` is that of the scores. */
static picture make_picture(test_random *r, size_t keys, float deviation, float mean) {
    picture p = {keys, 0.0f, get(keys * KEY_WIDTH * sizeof(float)), get(keys * VALUE_WIDTH * sizeof(float)),
                 get(ROWS * KEY_WIDTH * sizeof(float))};
    for (size_t i = 0; i < keys; i++) {
        fill_row(r, p.key + i * KEY_WIDTH, KEY_WIDTH, 1, 0.0f);
    }
    for (size_t c = 0; c < VALUE_WIDTH; c++) {
        fill_row(r, p.value + c, keys, VALUE_WIDTH, mean);
    }
    for (size_t i = 0; i < ROWS; i++) {
        fill_row(r, p.query + i * KEY_WIDTH, KEY_WIDTH, 1, 0.0f);
    }
    p.scale = deviation / (40.0f * 40.0f * sqrtf((float)KEY_WIDTH));
    return p;
}

/* The first key gets e^6.35 times the weight of each other: alone they would vanish, together they are more. */
static void make_peak(picture *p) {
    for (size_t i = 0; i < p->keys; i++) {
        p->key[i * KEY_WIDTH] = i == 0 ? 127.0f : 0.0f;
        p->key[i * KEY_WIDTH + 1] = 127.0f;
    }
    memset(p->query, 0, ROWS * KEY_WIDTH * sizeof(float));
    for (size_t i = 0; i < ROWS; i++) {
        p->query[i * KEY_WIDTH] = 127.0f;
    }
    p->scale = 6.35f / (127.0f * 127.0f);
}

static void free_picture(picture *p) {
    free(p->key);
    free(p->value);
    free(p->query);
}

static void attend(const picture *p, gemlet_level level, float *y) {
    gemlet_kernels kernels = gemlet_kernels_for(level);
    gemlet_carver carver = {NULL, 0};
    gemlet_attention_keys keys = gemlet_carve_attention_keys(&carver, p->keys, KEY_WIDTH, VALUE_WIDTH);
    (void)gemlet_carve_attention_scratch(&carver, &keys, ROWS);
    unsigned char *memory = get(carver.used);
    carver = (gemlet_carver){memory, 0};
    keys = gemlet_carve_attention_keys(&carver, p->keys, KEY_WIDTH, VALUE_WIDTH);
    gemlet_attention_scratch scratch = gemlet_carve_attention_scratch(&carver, &keys, ROWS);
    memcpy(keys.values, p->key, p->keys * KEY_WIDTH * sizeof(float));
    gemlet_pack_attention_keys(&kernels, &keys, p->value, p->scale);
    gemlet_attend(&kernels, &keys, &scratch, p->query, ROWS, y, VALUE_WIDTH);
    free(memory);
}

static void attend_exactly(const picture *p, size_t row, double *y) {
    double *weight = get(p->keys * sizeof *weight), sum = 0.0, largest = -1e300;
    for (size_t i = 0; i < p->keys; i++) {
        double score = 0.0;
        for (size_t c = 0; c < KEY_WIDTH; c++) {
            score += (double)p->query[row * KEY_WIDTH + c] * (double)p->key[i * KEY_WIDTH + c];
        }
        weight[i] = score * (double)p->scale;
        largest = weight[i] > largest ? weight[i] : largest;
    }
    for (size_t i = 0; i < p->keys; i++) {
        weight[i] = exp(weight[i] - largest);
        sum += weight[i];
    }
    for (size_t c = 0; c < VALUE_WIDTH; c++) {
        y[c] = 0.0;
        for (size_t i = 0; i < p->keys; i++) {
            y[c] += weight[i] / sum * (double)p->value[i * VALUE_WIDTH + c];
        }
    }
    free(weight);
}

/* The largest relative error of a row. */
static double error_of(const picture *p) {
    float found[ROWS * VALUE_WIDTH], again[ROWS * VALUE_WIDTH];
    double worst = 0.0;
    attend(p, GEMLET_LEVEL_SCALAR, found);
    for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
        attend(p, level, again);
        assert_memory_equal(again, found, sizeof found);
    }
    for (size_t row = 0; row < ROWS; row++) {
        double exact[VALUE_WIDTH], difference = 0.0, all = 0.0;
        attend_exactly(p, row, exact);
        for (size_t c = 0; c < VALUE_WIDTH; c++) {
            double d = (double)found[row * VALUE_WIDTH + c] - exact[c];
            difference += d * d;
            all += exact[c] * exact[c];
        }
        worst = fmax(worst, sqrt(difference / all));
    }
    return worst;
}

static void few_keys_are_mixed_exactly(void **state) {
    (void)state;
    test_random r = {1};
    for (size_t keys = 1; keys < 70; keys++) {
        picture p = make_picture(&r, keys, 1.0f, 0.0f);
        assert_true(error_of(&p) <= 0.02);
        free_picture(&p);
    }
}

static void many_keys_are_mixed_within_the_bound(void **state) {
    (void)state;
    static const float deviations[] = {0.0f, 0.3f, 1.0f, 2.0f, 3.0f, 5.0f, 8.0f};
    test_random r = {2};
    for (size_t d = 0; d < sizeof deviations / sizeof *deviations; d++) {
        for (size_t keys = 250; keys <= 4096; keys *= 4) {
            for (int i = 0; i < 2; i++) {
                float mean = i == 0 ? 0.0f : 30.0f;
                picture p = make_picture(&r, keys, deviations[d], mean);
                double error = error_of(&p);
                print_message("%zu keys, scores' deviation %.1f, values' mean %.0f: %.4f\n", keys, (double)deviations[d],
                              (double)mean, error);
                assert_true(error <= 1.0 / 32.0);
                free_picture(&p);
            }
        }
    }
}

/* Most of the sum is what no key alone has: with weights relative to the peak the error would be above 0.04. */
static void an_even_tail_does_not_vanish(void **state) {
    (void)state;
    test_random r = {3};
    for (size_t keys = 700; keys <= 4096; keys += 1132) {
        picture p = make_picture(&r, keys, 1.0f, 0.0f);
        make_peak(&p);
        double error = error_of(&p);
        print_message("%zu keys, a peak: %.5f\n", keys, error);
        assert_true(error <= 0.01);
        free_picture(&p);
    }
}

/* Each row has weights of its own. */
static void rows_do_not_depend_on_their_neighbours(void **state) {
    (void)state;
    test_random r = {4};
    picture p = make_picture(&r, 1500, 1.0f, 10.0f);
    make_peak(&p);
    fill_row(&r, p.query + KEY_WIDTH, KEY_WIDTH, 1, 0.0f); /* the middle row has no peak */
    float all[ROWS * VALUE_WIDTH], one[ROWS * VALUE_WIDTH];
    attend(&p, GEMLET_LEVEL_SCALAR, all);
    for (size_t row = 0; row < ROWS; row++) {
        picture alone = p;
        float query[ROWS * KEY_WIDTH];
        for (size_t i = 0; i < ROWS; i++) {
            memcpy(query + i * KEY_WIDTH, p.query + row * KEY_WIDTH, KEY_WIDTH * sizeof *query);
        }
        alone.query = query;
        attend(&alone, GEMLET_LEVEL_SCALAR, one);
        assert_memory_equal(one + row * VALUE_WIDTH, all + row * VALUE_WIDTH, VALUE_WIDTH * sizeof *one);
    }
    free_picture(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_keys_are_mixed_exactly),
        cmocka_unit_test(many_keys_are_mixed_within_the_bound),
        cmocka_unit_test(an_even_tail_does_not_vanish),
        cmocka_unit_test(rows_do_not_depend_on_their_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
