#include <stdint.h>
#include <string.h>

#include "core/quant/packing.h"
#include "tests/bench/bench.h"

typedef struct matrix_bench {
    const gemlet_matrix_kernels *kernels;
    gemlet_matrix w;
    float *x;
    void *activations;
    float *y;
    size_t count;
    uint32_t *list;
    size_t list_length;
} matrix_bench;

enum { ROWS = 512, COLUMNS = 2048, LISTED_OF = 20 };

/* arguments: type, packing, vectors. */
static void *setup(const bench_case *self, const gemlet_kernels *kernels) {
    matrix_bench *b = bench_alloc(sizeof *b);
    gemlet_weight_type type = (gemlet_weight_type)self->arguments[0];
    gemlet_packing packing = (gemlet_packing)self->arguments[1];
    size_t bytes = gemlet_packed_bytes(type, packing, ROWS, COLUMNS);
    *b = (matrix_bench){.kernels = kernels->matrix,
                        .w = {.data = bench_alloc(bytes), .rows = ROWS, .columns = COLUMNS, .type = type, .packing = packing},
                        .count = self->arguments[2]};
    b->x = bench_alloc(b->count * COLUMNS * sizeof(float));
    bench_fill_floats(b->x, b->count * COLUMNS);
    b->activations = bench_alloc(gemlet_activation_bytes(b->count, COLUMNS));
    b->kernels->quantize(b->x, COLUMNS, b->count, 0, COLUMNS, COLUMNS, b->activations);
    b->y = bench_alloc(b->count * ROWS * sizeof(float));
    b->list = bench_alloc(COLUMNS * sizeof *b->list);
    size_t end = packing == GEMLET_PACKED_ROWS ? ROWS : COLUMNS;
    uint32_t random = 1;
    for (uint32_t i = 0; i < end; i++) {
        random = random * 1664525u + 1013904223u;
        if (random >> 16 < 65536u / LISTED_OF) {
            b->list[b->list_length++] = i;
        }
    }
    return b;
}

static void run_dense(void *data) {
    matrix_bench *b = data;
    b->kernels->multiply(&b->w, 0, ROWS / GEMLET_PANEL_ROWS, b->activations, b->count, b->y, ROWS);
}

static void run_rows(void *data) {
    matrix_bench *b = data;
    b->kernels->multiply_rows(&b->w, b->list, b->list_length, b->activations, b->y);
}

static void run_columns(void *data) {
    matrix_bench *b = data;
    b->kernels->multiply_columns(&b->w, b->list, b->list_length, b->activations, 0, ROWS, b->y);
}

static void run_quantize(void *data) {
    matrix_bench *b = data;
    b->kernels->quantize(b->x, COLUMNS, b->count, 0, COLUMNS, COLUMNS, b->activations);
}

#define DENSE_WORK(count) ((double)ROWS * COLUMNS * (count))

const bench_case bench_matrix_cases[] = {
    {"q4_0 x 1", "multiply-add", DENSE_WORK(1), setup, run_dense, {GEMLET_Q4_0, GEMLET_PACKED_PANELS, 1}},
    {"q4_0 x 4", "multiply-add", DENSE_WORK(4), setup, run_dense, {GEMLET_Q4_0, GEMLET_PACKED_PANELS, 4}},
    {"q4_0 x 64", "multiply-add", DENSE_WORK(64), setup, run_dense, {GEMLET_Q4_0, GEMLET_PACKED_PANELS, 64}},
    {"q8_0 x 1", "multiply-add", DENSE_WORK(1), setup, run_dense, {GEMLET_Q8_0, GEMLET_PACKED_PANELS, 1}},
    {"q8_0 x 64", "multiply-add", DENSE_WORK(64), setup, run_dense, {GEMLET_Q8_0, GEMLET_PACKED_PANELS, 64}},
    {"q4_0 sparse rows, 5 % of a dense", "multiply-add", DENSE_WORK(1), setup, run_rows, {GEMLET_Q4_0, GEMLET_PACKED_ROWS, 1}},
    {"q4_0 sparse columns, 5 % of a dense",
     "multiply-add",
     DENSE_WORK(1),
     setup,
     run_columns,
     {GEMLET_Q4_0, GEMLET_PACKED_COLUMNS, 1}},
    {"q8_0 sparse rows, 5 % of a dense", "multiply-add", DENSE_WORK(1), setup, run_rows, {GEMLET_Q8_0, GEMLET_PACKED_ROWS, 1}},
    {"q8_0 sparse columns, 5 % of a dense",
     "multiply-add",
     DENSE_WORK(1),
     setup,
     run_columns,
     {GEMLET_Q8_0, GEMLET_PACKED_COLUMNS, 1}},
    {"quantize activations", "element", 64.0 * COLUMNS, setup, run_quantize, {GEMLET_Q4_0, GEMLET_PACKED_PANELS, 64}},
    {NULL, NULL, 0.0, NULL, NULL, {0}},
};
