/* Matrices with one scale a row: packing loses nothing, and every level equals the scalar definition bit for bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/quant/row_scaled.h"
#include "tests/kernels/kernel_test.h"

static const gemlet_weight_type types[] = {GEMLET_W2, GEMLET_W4, GEMLET_W8};

/* EXTREME: every integer at an end of its range; ONE_SIDE: all of them at the same, so that sums are as large as can be. */
typedef enum fill { FILL_NORMAL, FILL_EXTREME, FILL_ONE_SIDE, FILLS } fill;

typedef struct row_case {
    gemlet_matrix w;
    size_t count, x_stride, y_stride;
    float *x;
    unsigned char *source;
    float *factors;
    size_t columns_together; /* quantised at a time; 0: all */
} row_case;

static size_t source_bytes(gemlet_weight_type type, size_t columns) {
    return (columns * gemlet_row_scaled_bits(type) + 7) / 8;
}

/* The integer of a source as the checkpoint defines it. */
static int source_weight(const row_case *c, size_t row, size_t column) {
    unsigned bits = gemlet_row_scaled_bits(c->w.type), numbers = 8 / bits;
    unsigned byte = c->source[row * source_bytes(c->w.type, c->w.columns) + column / numbers];
    return bits == 8 ? (int8_t)byte : (int)(byte >> column % numbers * bits & ((1u << bits) - 1)) - (1 << (bits - 1));
}

static unsigned char any_byte(test_random *r, gemlet_weight_type type, fill how, unsigned char same) {
    unsigned char byte = how == FILL_NORMAL ? (unsigned char)random_next(r) : random_next(r) % 2 ? 0xFF : 0x00;
    byte = how == FILL_ONE_SIDE ? same : byte;
    if (type == GEMLET_W8) { /* from 0x00 and 0xFF to both ends; -128 is not allowed */
        byte = how == FILL_NORMAL ? byte : byte == 0 ? 0x81 : 0x7F;
        byte = byte == 0x80 ? 0x81 : byte;
    }
    return byte;
}

static row_case make_case(test_random *r, gemlet_weight_type type, gemlet_packing packing, fill how) {
    size_t numbers = 8 / gemlet_row_scaled_bits(type);
    row_case c = {.w = {.rows = random_range(r, 1, 70), .columns = numbers * random_range(r, 1, 300 / numbers), .type = type}};
    size_t row_bytes = source_bytes(type, c.w.columns), group = packing == GEMLET_PACKED_PANELS ? GEMLET_PANEL_ROWS : 1;
    size_t group_bytes = gemlet_row_scaled_group_bytes(type, packing, c.w.columns), groups = (c.w.rows + group - 1) / group;
    unsigned char same = random_next(r) % 2 ? 0xFF : 0x00,
                  *packed = guarded_alloc(groups * group_bytes + (packing == GEMLET_PACKED_PANELS ? GEMLET_ROW_SCALED_TAIL : 0), 0);
    c.source = malloc(c.w.rows * row_bytes);
    c.factors = malloc(c.w.rows * sizeof *c.factors);
    for (size_t i = 0; i < c.w.rows * row_bytes; i++) {
        c.source[i] = any_byte(r, type, how, same);
    }
    for (size_t row = 0; row < c.w.rows; row++) {
        c.factors[row] = random_float(r, -0.01f, 0.05f);
    }
    for (size_t row = 0; row < c.w.rows; row += group) {
        gemlet_row_scaled_pack(type, packing, c.source + row * row_bytes, c.factors + row,
                               c.w.rows - row < group ? c.w.rows - row : group, c.w.columns, packed + row / group * group_bytes);
    }
    guarded_check(packed);
    c.w.data = packed;
    c.w.packing = packing;
    return c;
}

static void free_case(row_case *c) {
    guarded_free((void *)(uintptr_t)c->w.data);
    free(c->source);
    free(c->factors);
    if (c->x != NULL) {
        guarded_free(c->x);
    }
}

static void test_packing_is_lossless(void **state) {
    (void)state;
    test_random r = {31};
    for (size_t trial = 0; trial < 60; trial++) {
        row_case c = make_case(&r, types[trial % 3], trial % 2 ? GEMLET_PACKED_PANELS : GEMLET_PACKED_ROWS, FILL_NORMAL);
        for (size_t row = 0; row < c.w.rows; row++) {
            assert_true(gemlet_row_scaled_factor(&c.w, row) == c.factors[row]);
            for (size_t column = 0; column < c.w.columns; column++) {
                assert_int_equal(gemlet_row_scaled_weight(&c.w, row, column), source_weight(&c, row, column));
            }
        }
        free_case(&c);
    }
}

/* Normal numbers, some of them odd; or beyond both ends of the static range. */
static float *make_activations(test_random *r, const row_case *c, fill how) {
    static const float odd[] = {0.0f, NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 1e-40f, 0.5f, -0.5f, 1.5f, 2.5f};
    float *x = guarded_alloc(c->count * c->x_stride * sizeof *x, 0);
    for (size_t i = 0; i < c->count * c->x_stride; i++) {
        x[i] = how == FILL_NORMAL ? random_normal(r) : -1000.0f;
        if (how == FILL_EXTREME) {
            x[i] = random_next(r) % 2 ? 1000.0f : -1000.0f;
        } else if (how == FILL_NORMAL && c->w.input_scale > 0.0f && random_next(r) % 20 == 0) {
            x[i] = odd[random_next(r) % (sizeof odd / sizeof *odd)] * (random_next(r) % 2 ? c->w.input_scale : 1.0f);
        }
    }
    for (size_t v = 0; how == FILL_NORMAL && c->w.input_scale == 0.0f && v < c->count; v++) { /* vectors without a usable maximum */
        float *vector = x + v * c->x_stride;
        if (random_next(r) % 6 == 0) {
            memset(vector, 0, c->w.columns * sizeof *vector);
            vector[random_range(r, 0, c->w.columns - 1)] = odd[random_next(r) % 7];
        } else if (random_next(r) % 6 == 0) { /* one whose maximum must not be forgotten */
            vector[random_range(r, 0, c->w.columns - 1)] = signalling_nan();
        }
    }
    return x;
}

/* Several ranges of columns of the vectors up to `count`. */
static void quantize(const gemlet_row_scaled_kernels *kernels, const row_case *c, const float *x, size_t count, void *out) {
    size_t step = c->columns_together != 0 ? c->columns_together : c->w.columns;
    for (size_t first = 0; first < c->w.columns; first += step) {
        size_t end = first + step < c->w.columns ? first + step : c->w.columns;
        kernels->quantize(x + first, c->x_stride, count, first, end, c->w.columns, c->w.input_scale, out);
    }
}

/* The first tile by itself, then the others; products in two calls that split the panels. */
static float *product(const gemlet_row_scaled_kernels *kernels, const row_case *c, size_t split) {
    size_t panels = (c->w.rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS, y_floats = (c->count - 1) * c->y_stride + c->w.rows;
    size_t first = c->count > GEMLET_TILE ? GEMLET_TILE : 0;
    unsigned char *activations = guarded_alloc(gemlet_row_scaled_activation_bytes(c->count, c->w.columns), 0);
    float *y = guarded_alloc(y_floats * sizeof *y, 0);
    for (size_t i = 0; i < y_floats; i++) {
        y[i] = -77.0f;
    }
    quantize(kernels, c, c->x, first, activations);
    quantize(kernels, c, c->x + first * c->x_stride, c->count - first,
             activations + gemlet_row_scaled_activation_bytes(first, c->w.columns));
    kernels->correct(c->w.type, c->count, c->w.columns, activations);
    kernels->multiply(&c->w, 0, split, activations, c->count, y, c->y_stride);
    kernels->multiply(&c->w, split, panels, activations, c->count, y, c->y_stride);
    guarded_free(activations);
    return y;
}

/* What row_scaled.h says, of one product with static scales, from the source. */
static float expected(const row_case *c, size_t vector, size_t row) {
    int32_t sum = 0;
    for (size_t i = 0; i < c->w.columns; i++) {
        float code = rintf(c->x[vector * c->x_stride + i] / c->w.input_scale);
        code = isnan(code) ? 0.0f : fminf(fmaxf(code, -128.0f), 127.0f);
        sum += (int32_t)code * source_weight(c, row, i);
    }
    float scaled = (float)sum * c->factors[row];
    return c->w.output_scale > 0.0f ? fminf(fmaxf(rintf(scaled), -128.0f), 127.0f) * c->w.output_scale : scaled;
}

static void check_levels(row_case *c, size_t split) {
    float *want = product(gemlet_kernels_for(GEMLET_LEVEL_SCALAR).row_scaled, c, split);
    for (size_t i = 0; c->w.input_scale > 0.0f && i < 20 && i < c->w.rows; i++) {
        float here = expected(c, (i * 7) % c->count, i);
        assert_memory_equal(&want[(i * 7) % c->count * c->y_stride + i], &here, sizeof here);
    }
    for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
        float *got = product(gemlet_kernels_for(level).row_scaled, c, split);
        for (size_t i = 0; i < (c->count - 1) * c->y_stride + c->w.rows; i++) {
            assert_true(isfinite(want[i]));
            assert_memory_equal(&got[i], &want[i], sizeof *got);
        }
        guarded_free(got);
    }
    guarded_free(want);
}

static void test_multiply(void **state) {
    (void)state;
    test_random r = {32};
    for (size_t trial = 0; trial < 270; trial++) {
        fill how = (fill)(trial / 3 % FILLS);
        row_case c = make_case(&r, types[trial % 3], GEMLET_PACKED_PANELS, how);
        bool is_static = trial / 9 % 3 != 0;
        c.w.input_scale = is_static ? random_float(&r, 0.005f, 0.05f) : 0.0f;
        c.w.output_scale = is_static && trial % 5 != 0 ? random_float(&r, 0.005f, 0.5f) : 0.0f;
        c.columns_together = is_static && trial % 2 ? 16 * random_range(&r, 1, 10) : 0;
        c.count = random_range(&r, 1, 40);
        c.x_stride = c.w.columns + random_range(&r, 0, 1) * 3;
        c.y_stride = c.w.rows + random_range(&r, 0, 5);
        c.x = make_activations(&r, &c, how);
        check_levels(&c, random_range(&r, 0, (c.w.rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS));
        free_case(&c);
    }
}

/* A row whose factor is no number gives the lower end of its outputs. */
static void test_factors_that_are_no_numbers(void **state) {
    (void)state;
    test_random r = {33};
    for (size_t trial = 0; trial < 12; trial++) {
        row_case c = make_case(&r, types[trial % 3], GEMLET_PACKED_PANELS, FILL_NORMAL);
        size_t row = random_range(&r, 0, (c.w.rows < GEMLET_PANEL_ROWS ? c.w.rows : GEMLET_PANEL_ROWS) - 1);
        ((float *)(uintptr_t)c.w.data)[row] = c.factors[row] = trial % 2 ? NAN : signalling_nan();
        c.w.input_scale = 0.02f;
        c.w.output_scale = 0.25f;
        c.count = random_range(&r, 1, 20);
        c.x_stride = c.w.columns;
        c.y_stride = c.w.rows;
        c.x = make_activations(&r, &c, FILL_NORMAL);
        check_levels(&c, 0);
        free_case(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing_is_lossless),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_factors_that_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
