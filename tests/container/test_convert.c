/* Block formats against the vectors of make_blocks.py, and the grids of convolutions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/container/container.h"
#include "model/pack/convert.h"

static void read_exactly(FILE *file, void *out, size_t bytes) {
    assert_int_equal(fread(out, 1, bytes, file), bytes);
}

static void check_record(uint32_t direction, uint32_t type, uint32_t count, const unsigned char *blocks, uint32_t bytes,
                         const float *numbers) {
    float *out = malloc(sizeof *out * count);
    unsigned char *packed = malloc(bytes);
    if (direction == 0) {
        assert_true(pack_dequantize(type, blocks, count, out));
        assert_memory_equal(out, numbers, sizeof *out * count);
    } else {
        pack_quantize(type == GEMLET_TYPE_Q4_0 ? GEMLET_Q4_0 : GEMLET_Q8_0, numbers, count, packed);
        assert_memory_equal(packed, blocks, bytes);
    }
    free(out);
    free(packed);
}

static void blocks_equal_the_reference(void **state) {
    FILE *file = fopen("tests/data/container/blocks.bin", "rb");
    uint32_t head[4], types[2][32] = {{0}};
    (void)state;
    assert_non_null(file);
    while (fread(head, sizeof head, 1, file) == 1) {
        unsigned char *blocks = malloc(head[3]);
        float *numbers = malloc(sizeof *numbers * head[2]);
        read_exactly(file, blocks, head[3]);
        read_exactly(file, numbers, sizeof *numbers * head[2]);
        check_record(head[0], head[1], head[2], blocks, head[3], numbers);
        types[head[0]][head[1]]++;
        free(blocks);
        free(numbers);
    }
    fclose(file);
    /* Nothing was left out of the file. */
    const uint32_t from[] = {GEMLET_TYPE_F32,  GEMLET_TYPE_F16,  GEMLET_TYPE_BF16, GEMLET_TYPE_Q4_0,   GEMLET_TYPE_Q4_1,
                             GEMLET_TYPE_Q5_0, GEMLET_TYPE_Q5_1, GEMLET_TYPE_Q8_0, GEMLET_TYPE_Q4_K,   GEMLET_TYPE_Q5_K,
                             GEMLET_TYPE_Q6_K, GEMLET_TYPE_Q2_K, GEMLET_TYPE_Q3_K, GEMLET_TYPE_IQ4_NL, GEMLET_TYPE_IQ4_XS};
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        assert_int_equal(types[0][from[i]], 1);
    }
    assert_int_equal(types[1][GEMLET_TYPE_Q4_0], 1);
    assert_int_equal(types[1][GEMLET_TYPE_Q8_0], 1);
}

static void unknown_types_are_refused(void **state) {
    float out[32];
    (void)state;
    assert_false(pack_dequantize(GEMLET_TYPE_I8, "", 32, out));
    assert_false(pack_dequantize(9, "", 32, out));
}

static void types_have_their_names(void **state) {
    (void)state;
    assert_string_equal(gemlet_type_name(GEMLET_TYPE_IQ4_XS), "IQ4_XS");
    assert_string_equal(gemlet_type_name(9), "Q8_1");
    assert_string_equal(gemlet_type_name(39), "MXFP4");
    assert_string_equal(gemlet_type_name(4), "unknown");
    assert_string_equal(gemlet_type_name(UINT32_MAX), "unknown");
}

/* Q8_0 holds every number of Q4_0 and Q5_0 exactly: the scale stays and the integers fit. */
static void small_blocks_fit_q8_0(void **state) {
    unsigned char five[22 * 8], eight[34 * 8];
    float before[256], after[256];
    uint32_t bits = 1;
    (void)state;
    for (size_t i = 0; i < sizeof five; i++) {
        bits = bits * 1664525 + 1013904223;
        five[i] = i % 22 == 1 ? 0x28 : (unsigned char)(bits >> 24);
    }
    assert_true(pack_dequantize(GEMLET_TYPE_Q5_0, five, 256, before));
    assert_true(pack_widen(GEMLET_TYPE_Q5_0, five, 256, eight));
    assert_true(pack_dequantize(GEMLET_TYPE_Q8_0, eight, 256, after));
    assert_memory_equal(before, after, sizeof before);
    assert_false(pack_widen(GEMLET_TYPE_Q6_K, five, 256, eight));
}

/* Weights that lie on a grid of 255 steps come back bit for bit, whatever the step. */
static void grids_are_kept(void **state) {
    uint32_t bits = 7;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        float step, in[24];
        int8_t q[24], found[24];
        bits = bits * 1664525 + 1013904223;
        uint32_t pattern = (bits >> 9) | (uint32_t)(100 + round % 60) << 23;
        memcpy(&step, &pattern, sizeof step);
        for (int i = 0; i < 24; i++) {
            bits = bits * 1664525 + 1013904223;
            q[i] = (int8_t)((int)(bits >> 24) - 128 < -127 ? -127 : (int)(bits >> 24) - 128);
        }
        q[round % 24] = round % 2 != 0 ? 127 : -127;
        for (int i = 0; i < 24; i++) {
            in[i] = (float)q[i] * step;
        }
        float scale = pack_quantize_channel(in, 24, found);
        assert_memory_equal(found, q, sizeof q);
        for (int i = 0; i < 24; i++) {
            assert_true((float)found[i] * scale == in[i]);
        }
    }
}

/* Rows of 2 and 4 bits, in float32 and rounded to bfloat16, are told from others. */
static void levels_are_found(void **state) {
    static const int ends[][2] = {{-2, 1}, {-1, 1}, {-2, 0}, {0, 1}, {-8, 7}, {-2, 2}, {-3, 1}, {0, 7}, {-8, 8}, {0, 8}};
    static const uint32_t expected[] = {2, 2, 2, 2, 4, 4, 4, 4, 8, 8};
    uint32_t bits = 7;
    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        size_t kind = round % (sizeof expected / sizeof *expected);
        float in[32], step = ldexpf(1.0f + (float)(round % 997) / 997.0f, (int)(round % 40) - 20);
        int8_t scratch[32];
        for (int i = 0; i < 32; i++) {
            bits = bits * 1664525 + 1013904223;
            int level = i < 2 ? ends[kind][i] : ends[kind][0] + (int)((bits >> 16) % (uint32_t)(ends[kind][1] - ends[kind][0] + 1));
            in[i] = step * (float)level;
            if (round % 2 != 0) {
                uint32_t pattern;
                memcpy(&pattern, &in[i], sizeof pattern);
                pattern = (pattern + 0x7fff + (pattern >> 16 & 1)) & 0xffff0000u;
                memcpy(&in[i], &pattern, sizeof pattern);
            }
        }
        assert_int_equal(pack_level_bits(in, 32, scratch), expected[kind]);
        in[5] = 0.37f * step;
        assert_int_equal(pack_level_bits(in, 32, scratch), 8);
    }
    const float zeros[3] = {0.0f, -0.0f, 0.0f}, no_number[3] = {1.0f, NAN, 0.0f}, endless[3] = {1.0f, INFINITY, 0.0f};
    int8_t scratch[3];
    assert_int_equal(pack_level_bits(zeros, 3, scratch), 2);
    assert_int_equal(pack_level_bits(no_number, 3, scratch), 8);
    assert_int_equal(pack_level_bits(endless, 3, scratch), 8);
}

static void other_weights_are_rounded(void **state) {
    const float in[5] = {0.0f, 1.0f, -2.54f, 1.27f, 0.011f};
    const int8_t expected[5] = {0, 50, -127, 64, 1};
    int8_t found[5];
    (void)state;
    assert_true(fabsf(pack_quantize_channel(in, 5, found) - 0.02f) < 1e-8f);
    assert_memory_equal(found, expected, 5);
    const float zeros[3] = {0.0f, -0.0f, 0.0f};
    assert_true(pack_quantize_channel(zeros, 3, found) == 0.0f);
    assert_true(found[0] == 0 && found[1] == 0 && found[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_equal_the_reference),
        cmocka_unit_test(unknown_types_are_refused),
        cmocka_unit_test(types_have_their_names),
        cmocka_unit_test(small_blocks_fit_q8_0),
        cmocka_unit_test(grids_are_kept),
        cmocka_unit_test(levels_are_found),
        cmocka_unit_test(other_weights_are_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
