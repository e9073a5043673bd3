/* Text matrices: packing loses nothing, and every level equals the scalar definition bit for bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/half.h"
#include "core/quant/packing.h"
#include "tests/kernels/kernel_test.h"

static const gemlet_weight_type types[] = {GEMLET_Q4_0, GEMLET_Q8_0};
static const gemlet_packing packings[] = {GEMLET_PACKED_PANELS, GEMLET_PACKED_ROWS, GEMLET_PACKED_COLUMNS};

/* What weights and activations look like: SATURATED has every integer at its extreme with the same sign pattern or one scale zero.
 */
typedef enum fill { FILL_NORMAL, FILL_SATURATED, FILL_ZERO_SCALES } fill;

static unsigned char *make_rows(test_random *r, gemlet_weight_type type, size_t rows, size_t columns, fill how) {
    size_t block_bytes = gemlet_block_bytes(type);
    size_t blocks = rows * (columns / GEMLET_BLOCK);
    unsigned char *source = malloc(blocks * block_bytes);
    assert_non_null(source);
    unsigned char extremes[] = {0x00, 0xFF, 0x80, 0x7F};
    for (size_t b = 0; b < blocks; b++) {
        unsigned char *block = source + b * block_bytes;
        random_bytes(r, block + 2, block_bytes - 2);
        if (how == FILL_SATURATED) {
            memset(block + 2, extremes[random_next(r) % 4], block_bytes - 2);
        }
        bool zero = how == FILL_ZERO_SCALES && random_next(r) % 3 == 0;
        uint16_t scale = zero ? 0 : gemlet_float_to_half(random_float(r, -0.1f, 0.1f));
        memcpy(block, &scale, sizeof scale);
    }
    return source;
}

/* Packs `source` group by group, as gemlet-pack does. */
static gemlet_matrix pack(gemlet_weight_type type, gemlet_packing packing, const unsigned char *source, size_t rows,
                          size_t columns) {
    size_t bytes = gemlet_packed_bytes(type, packing, rows, columns);
    assert_true(bytes > 0);
    unsigned char *packed = guarded_alloc(bytes, 0);
    size_t group_rows = gemlet_packing_group_rows(packing, rows);
    size_t group_bytes = gemlet_packing_group_bytes(type, packing, rows, columns);
    size_t row_bytes = columns / GEMLET_BLOCK * gemlet_block_bytes(type);
    for (size_t row = 0; row < rows; row += group_rows) {
        size_t count = rows - row < group_rows ? rows - row : group_rows;
        gemlet_pack_group(type, packing, source + row * row_bytes, count, columns, packed + row / group_rows * group_bytes);
    }
    guarded_check(packed);
    return (gemlet_matrix){.data = packed, .rows = rows, .columns = columns, .type = type, .packing = packing};
}

static void free_matrix(gemlet_matrix *w) {
    guarded_free((void *)(uintptr_t)w->data);
}

static void test_packing_is_lossless(void **state) {
    (void)state;
    test_random r = {11};
    for (size_t trial = 0; trial < 120; trial++) {
        gemlet_weight_type type = types[trial % 2];
        gemlet_packing packing = packings[trial % 3];
        size_t rows = random_range(&r, 1, 70);
        size_t columns = GEMLET_BLOCK * random_range(&r, 1, 9);
        size_t row_bytes = columns / GEMLET_BLOCK * gemlet_block_bytes(type);
        unsigned char *source = make_rows(&r, type, rows, columns, FILL_NORMAL);
        gemlet_matrix w = pack(type, packing, source, rows, columns);
        size_t group_rows = gemlet_packing_group_rows(packing, rows);
        unsigned char *back = guarded_alloc(rows * row_bytes, 0);
        for (size_t row = 0; row < rows; row += group_rows) {
            size_t count = rows - row < group_rows ? rows - row : group_rows;
            gemlet_unpack_group(type, packing,
                                (const unsigned char *)w.data +
                                    row / group_rows * gemlet_packing_group_bytes(type, packing, rows, columns),
                                count, columns, back + row * row_bytes);
        }
        assert_memory_equal(back, source, rows * row_bytes);
        guarded_free(back);
        free_matrix(&w);
        free(source);
    }
}

/* What GGUF defines: (nibble - 8) * scale with columns j and j + 16 in byte j. */
static void test_row_is_dequantised(void **state) {
    (void)state;
    test_random r = {12};
    for (size_t p = 0; p < 3; p++) {
        unsigned char *source = make_rows(&r, GEMLET_Q4_0, 19, 96, FILL_NORMAL);
        gemlet_matrix w = pack(GEMLET_Q4_0, packings[p], source, 19, 96);
        for (size_t row = 0; row < 19; row++) {
            float out[96];
            gemlet_matrix_row(&w, row, out);
            for (size_t i = 0; i < 96; i++) {
                const unsigned char *block = source + (row * 3 + i / 32) * 18;
                uint16_t scale = (uint16_t)(block[0] | block[1] << 8);
                int nibble = i % 32 < 16 ? block[2 + i % 16] & 15 : block[2 + i % 16] >> 4;
                assert_true(out[i] == (float)(nibble - 8) * gemlet_half_to_float(scale));
            }
        }
        free_matrix(&w);
        free(source);
    }
}

static void test_packed_bytes_refuses(void **state) {
    (void)state;
    assert_int_equal(gemlet_packed_bytes(GEMLET_Q4_0, GEMLET_PACKED_PANELS, 16, 33), 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_Q4_0, GEMLET_PACKED_PANELS, 0, 32), 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_Q8_0, GEMLET_PACKED_COLUMNS, SIZE_MAX / 4, 64), 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_Q8_0, GEMLET_PACKED_ROWS, 64, SIZE_MAX / 32 * 32), 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_Q4_0, GEMLET_PACKED_PANELS, 17, 64), 2 * 2 * 288);
    /* Sums of whole rows, of which an int32 has no room for more: of blocks there are none. */
    assert_true(gemlet_packed_bytes(GEMLET_W8, GEMLET_PACKED_PANELS, 1, 131040) > 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_W8, GEMLET_PACKED_PANELS, 1, 131072), 0);
    assert_int_equal(gemlet_packed_bytes(GEMLET_W2, GEMLET_PACKED_PANELS, 1, 131072), 0);
    assert_true(gemlet_packed_bytes(GEMLET_W2, GEMLET_PACKED_ROWS, 1, 131072) > 0);
    assert_true(gemlet_packed_bytes(GEMLET_Q8_0, GEMLET_PACKED_PANELS, 1, 131072) > 0);
}

/* Activations: normal ones, and blocks that are all zero, have one huge value, a NaN or an infinity, or are denormal. */
static float *make_activations(test_random *r, size_t count, size_t stride, fill how) {
    float *x = guarded_alloc(count * stride * sizeof *x, 0);
    for (size_t i = 0; i < count * stride; i++) {
        x[i] = how == FILL_SATURATED ? (random_next(r) % 2 ? 3.0f : -3.0f) : random_normal(r);
    }
    for (size_t i = 0; how == FILL_ZERO_SCALES && i + 32 <= count * stride; i += 32) {
        float odd[] = {0.0f, 1e30f, NAN, INFINITY, 1e-40f, -INFINITY, 1e-39f, signalling_nan()};
        size_t kind = random_next(r) % 12;
        if (kind < 8) {
            for (size_t j = 0; j < 32 && (kind == 0 || kind == 4 || kind == 6); j++) {
                x[i + j] = 0.0f;
            }
            x[i + random_range(r, 0, 31)] = odd[kind];
        }
    }
    return x;
}

static void assert_same_floats(const float *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(want[i]));
        assert_memory_equal(&got[i], &want[i], sizeof got[i]);
    }
}

typedef struct dense_case {
    gemlet_matrix w;
    size_t count, x_stride, y_stride;
    float *x;
} dense_case;

/* The first tile by itself and the others after it, these in two parts of columns; or all at once. */
static void quantize_activations(const gemlet_matrix_kernels *kernels, const dense_case *c, bool in_parts, unsigned char *out) {
    size_t columns = c->w.columns;
    size_t first = in_parts && c->count > GEMLET_TILE ? GEMLET_TILE : 0;
    size_t middle = in_parts ? columns / 2 / GEMLET_BLOCK * GEMLET_BLOCK : 0;
    const float *rest = c->x + first * c->x_stride;
    unsigned char *behind = out + first * (columns / GEMLET_BLOCK) * kernels->block_bytes;
    kernels->quantize(c->x, c->x_stride, first, 0, columns, columns, out);
    kernels->quantize(rest + middle, c->x_stride, c->count - first, middle, columns, columns, behind);
    kernels->quantize(rest, c->x_stride, c->count - first, 0, middle, columns, behind);
}

/* The product by one level, in two calls that split the panels; the scalar level quantises all at once. */
static float *dense_product(const gemlet_matrix_kernels *kernels, const dense_case *c, size_t split) {
    size_t panels = (c->w.rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS;
    size_t y_floats = (c->count - 1) * c->y_stride + c->w.rows;
    void *activations = guarded_alloc(gemlet_activation_bytes(c->count, c->w.columns), 0);
    float *y = guarded_alloc(y_floats * sizeof *y, 0);
    for (size_t i = 0; i < y_floats; i++) {
        y[i] = -77.0f;
    }
    quantize_activations(kernels, c, split % 2 == 1 && kernels != &gemlet_matrix_kernels_scalar, activations);
    kernels->multiply(&c->w, 0, split, activations, c->count, y, c->y_stride);
    kernels->multiply(&c->w, split, panels, activations, c->count, y, c->y_stride);
    guarded_free(activations);
    return y;
}

static void test_multiply(void **state) {
    (void)state;
    test_random r = {13};
    for (size_t trial = 0; trial < 150; trial++) {
        gemlet_weight_type type = types[trial % 2];
        fill how = (fill)(trial / 2 % 3);
        size_t rows = random_range(&r, 1, 70);
        size_t columns = GEMLET_BLOCK * random_range(&r, 1, 7);
        unsigned char *source = make_rows(&r, type, rows, columns, how);
        dense_case c = {pack(type, GEMLET_PACKED_PANELS, source, rows, columns), random_range(&r, 1, 40), 0, 0, NULL};
        c.x_stride = columns + random_range(&r, 0, 1) * 32;
        c.y_stride = rows + random_range(&r, 0, 5);
        c.x = make_activations(&r, c.count, c.x_stride, how);
        size_t split = random_range(&r, 0, (rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS);
        float *want = dense_product(gemlet_kernels_for(GEMLET_LEVEL_SCALAR).matrix, &c, split);
        for (gemlet_level level = GEMLET_LEVEL_NEON; level <= test_highest_level(); level++) {
            float *got = dense_product(gemlet_kernels_for(level).matrix, &c, split);
            assert_same_floats(got, want, (c.count - 1) * c.y_stride + rows);
            guarded_free(got);
        }
        guarded_free(want);
        guarded_free(c.x);
        free_matrix(&c.w);
        free(source);
    }
}

/* The quantised vector is private to a level, but a product with the identity shows it. */
static void test_quantize_by_identity(void **state) {
    (void)state;
    test_random r = {14};
    unsigned char *source = calloc(32, 34);
    assert_non_null(source);
    for (size_t row = 0; row < 32; row++) {
        uint16_t one = 0x3C00;
        memcpy(source + row * 34, &one, sizeof one);
        source[row * 34 + 2 + row] = 1;
    }
    dense_case c = {pack(GEMLET_Q8_0, GEMLET_PACKED_PANELS, source, 32, 32), 23, 32, 32, make_activations(&r, 23, 32, FILL_NORMAL)};
    for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
        float *y = dense_product(gemlet_kernels_for(level).matrix, &c, 1);
        for (size_t v = 0; v < 23; v++) {
            float largest = 0.0f;
            for (size_t i = 0; i < 32; i++) {
                largest = fmaxf(largest, fabsf(c.x[v * 32 + i]));
            }
            for (size_t i = 0; i < 32; i++) {
                assert_true(fabsf(y[v * 32 + i] - c.x[v * 32 + i]) <= largest / 127.0f * 0.5001f);
            }
        }
        guarded_free(y);
    }
    guarded_free(c.x);
    free_matrix(&c.w);
    free(source);
}

/* An ascending list of some of 0 .. end - 1; sometimes empty, sometimes all. */
static size_t make_list(test_random *r, size_t end, uint32_t *list) {
    uint64_t of16 = random_range(r, 0, 16);
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        if (random_next(r) % 16 < of16) {
            list[count++] = (uint32_t)i;
        }
    }
    return count;
}

static void test_multiply_rows(void **state) {
    (void)state;
    test_random r = {15};
    for (size_t trial = 0; trial < 120; trial++) {
        gemlet_weight_type type = types[trial % 2];
        fill how = (fill)(trial / 2 % 3);
        size_t rows = random_range(&r, 1, 60);
        size_t columns = GEMLET_BLOCK * random_range(&r, 1, 11);
        unsigned char *source = make_rows(&r, type, rows, columns, how);
        dense_case c = {pack(type, GEMLET_PACKED_PANELS, source, rows, columns), 1, columns, rows,
                        make_activations(&r, 1, columns, how)};
        gemlet_matrix by_rows = pack(type, GEMLET_PACKED_ROWS, source, rows, columns);
        float *want = dense_product(gemlet_kernels_for(GEMLET_LEVEL_SCALAR).matrix, &c, 0);
        uint32_t list[64];
        size_t count = make_list(&r, rows, list);
        for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
            const gemlet_matrix_kernels *kernels = gemlet_kernels_for(level).matrix;
            void *activations = guarded_alloc(gemlet_activation_bytes(1, columns), 0);
            float *y = guarded_alloc(count * sizeof *y, 0);
            kernels->quantize(c.x, columns, 1, 0, columns, columns, activations);
            kernels->multiply_rows(&by_rows, list, count, activations, y);
            for (size_t i = 0; i < count; i++) {
                assert_memory_equal(&y[i], &want[list[i]], sizeof *y);
            }
            guarded_free(y);
            guarded_free(activations);
        }
        guarded_free(want);
        guarded_free(c.x);
        free_matrix(&by_rows);
        free_matrix(&c.w);
        free(source);
    }
}

static void check_columns(const dense_case *c, const gemlet_matrix *w, const uint32_t *list, size_t count, size_t split) {
    float *want = dense_product(gemlet_kernels_for(GEMLET_LEVEL_SCALAR).matrix, c, 0);
    for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
        const gemlet_matrix_kernels *kernels = gemlet_kernels_for(level).matrix;
        void *activations = guarded_alloc(gemlet_activation_bytes(1, w->columns), 0);
        float *y = guarded_alloc(w->rows * sizeof *y, 0);
        kernels->quantize(c->x, w->columns, 1, 0, w->columns, w->columns, activations);
        kernels->multiply_columns(w, list, count, activations, 0, split, y);
        kernels->multiply_columns(w, list, count, activations, split, w->rows, y);
        assert_same_floats(y, want, w->rows);
        guarded_free(y);
        guarded_free(activations);
    }
    guarded_free(want);
}

/* The same zeros through the dense kernel and the sparse one. */
static void test_multiply_columns(void **state) {
    (void)state;
    test_random r = {16};
    for (size_t trial = 0; trial < 120; trial++) {
        gemlet_weight_type type = types[trial % 2];
        fill how = (fill)(trial / 2 % 2);
        size_t rows = random_range(&r, 1, 200);
        size_t columns = GEMLET_BLOCK * random_range(&r, 1, 11);
        unsigned char *source = make_rows(&r, type, rows, columns, how);
        dense_case c = {pack(type, GEMLET_PACKED_PANELS, source, rows, columns), 1, columns, rows,
                        make_activations(&r, 1, columns, how)};
        gemlet_matrix by_columns = pack(type, GEMLET_PACKED_COLUMNS, source, rows, columns);
        uint32_t list[GEMLET_BLOCK * 11];
        size_t count = make_list(&r, columns, list);
        for (size_t i = 0, next = 0; i < columns; i++) {
            bool listed = next < count && list[next] == i;
            next += listed;
            c.x[i] = listed ? c.x[i] : 0.0f;
        }
        size_t split = random_range(&r, 0, (rows - 1) / GEMLET_COLUMN_ROWS) * GEMLET_COLUMN_ROWS;
        check_columns(&c, &by_columns, list, count, split);
        guarded_free(c.x);
        free_matrix(&by_columns);
        free_matrix(&c.w);
        free(source);
    }
}

/* Where nothing is listed, a scale may be anything; and what underflows to -0 stays that, as nothing is added to it. */
static void test_blocks_without_listed_columns_are_absent(void **state) {
    (void)state;
    enum { ROWS = 40, COLUMNS = 3 * GEMLET_BLOCK };
    static const uint16_t scales[] = {0x7E00, 0x7C00, 0xFC00, 0x3C00};
    static const uint32_t list[] = {GEMLET_BLOCK, GEMLET_BLOCK + 1};
    static unsigned char source[ROWS][3][34];
    float x[COLUMNS] = {0.0f};
    x[list[0]] = -4e-37f;
    x[list[1]] = 126.0f / 127.0f * 4e-37f;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        for (size_t row = 0; row < ROWS; row++) {
            for (size_t b = 0; b < 3; b++) {
                uint16_t scale = b == 1 ? 1 : scales[i];
                memcpy(source[row][b], &scale, sizeof scale);
                source[row][b][2] = source[row][b][3] = 1;
            }
        }
        gemlet_matrix w = pack(GEMLET_Q8_0, GEMLET_PACKED_COLUMNS, source[0][0], ROWS, COLUMNS);
        for (gemlet_level level = GEMLET_LEVEL_SCALAR; level <= test_highest_level(); level++) {
            const gemlet_matrix_kernels *kernels = gemlet_kernels_for(level).matrix;
            void *activations = guarded_alloc(gemlet_activation_bytes(1, COLUMNS), 0);
            float *y = guarded_alloc(ROWS * sizeof *y, 0);
            kernels->quantize(x, COLUMNS, 1, 0, COLUMNS, COLUMNS, activations);
            kernels->multiply_columns(&w, list, 2, activations, 0, ROWS, y);
            for (size_t row = 0; row < ROWS; row++) {
                static const float minus_zero = -0.0f;
                assert_memory_equal(&y[row], &minus_zero, sizeof minus_zero);
            }
            guarded_free(y);
            guarded_free(activations);
        }
        free_matrix(&w);
    }
}

static void test_half(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x10000u; half++) {
        float value = gemlet_half_to_float((uint16_t)half);
        if (value == value) {
            assert_int_equal(gemlet_float_to_half(value), half);
        } else {
            assert_int_equal(gemlet_float_to_half(value) & 0x7C00u, 0x7C00u);
        }
    }
    assert_int_equal(gemlet_float_to_half(65519.0f), 0x7BFF);
    assert_int_equal(gemlet_float_to_half(65520.0f), 0x7C00);
    assert_int_equal(gemlet_float_to_half(1.0f + 0x1p-11f), 0x3C00);
    assert_int_equal(gemlet_float_to_half(1.0f + 0x1.8p-10f), 0x3C02);
    assert_int_equal(gemlet_float_to_half(0x1p-25f), 0x0000);
    assert_int_equal(gemlet_float_to_half(0x1.8p-25f), 0x0001);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_packing_is_lossless),
        cmocka_unit_test(test_row_is_dequantised),
        cmocka_unit_test(test_packed_bytes_refuses),
        cmocka_unit_test(test_quantize_by_identity),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_multiply_rows),
        cmocka_unit_test(test_multiply_columns),
        cmocka_unit_test(test_blocks_without_listed_columns_are_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
