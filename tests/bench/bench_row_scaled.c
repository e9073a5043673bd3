#include <string.h>

#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "tests/bench/bench.h"

typedef struct row_scaled_bench {
    const gemlet_row_scaled_kernels *kernels;
    gemlet_matrix w;
    float *x;
    void *activations;
    float *y;
    size_t count;
} row_scaled_bench;

enum { ROWS = 512, COLUMNS = 2048 };

static void run_quantize(void *data) {
    row_scaled_bench *b = data;
    b->kernels->quantize(b->x, COLUMNS, b->count, 0, COLUMNS, COLUMNS, b->w.input_scale, b->activations);
    b->kernels->correct(b->w.type, b->count, COLUMNS, b->activations);
}

/* arguments: type, vectors, 1 for static activations. */
static void *setup(const bench_case *self, const gemlet_kernels *kernels) {
    row_scaled_bench *b = bench_alloc(sizeof *b);
    gemlet_weight_type type = (gemlet_weight_type)self->arguments[0];
    float step = self->arguments[2] != 0 ? 0.02f : 0.0f;
    *b = (row_scaled_bench){.kernels = kernels->row_scaled,
                            .w = {.data = bench_alloc(gemlet_packed_bytes(type, GEMLET_PACKED_PANELS, ROWS, COLUMNS)),
                                  .rows = ROWS,
                                  .columns = COLUMNS,
                                  .type = type,
                                  .packing = GEMLET_PACKED_PANELS,
                                  .input_scale = step,
                                  .output_scale = step},
                            .count = self->arguments[1]};
    b->x = bench_alloc(b->count * COLUMNS * sizeof(float));
    bench_fill_floats(b->x, b->count * COLUMNS);
    b->activations = bench_alloc(gemlet_row_scaled_activation_bytes(b->count, COLUMNS));
    run_quantize(b);
    b->y = bench_alloc(b->count * ROWS * sizeof(float));
    return b;
}

static void run(void *data) {
    row_scaled_bench *b = data;
    b->kernels->multiply(&b->w, 0, ROWS / GEMLET_PANEL_ROWS, b->activations, b->count, b->y, ROWS);
}

#define WORK(count) ((double)ROWS * COLUMNS * (count))

const bench_case bench_row_scaled_cases[] = {
    {"w2 x 1", "multiply-add", WORK(1), setup, run, {GEMLET_W2, 1, 1}},
    {"w2 x 64", "multiply-add", WORK(64), setup, run, {GEMLET_W2, 64, 1}},
    {"w4 x 1", "multiply-add", WORK(1), setup, run, {GEMLET_W4, 1, 1}},
    {"w4 x 4", "multiply-add", WORK(4), setup, run, {GEMLET_W4, 4, 1}},
    {"w4 x 64", "multiply-add", WORK(64), setup, run, {GEMLET_W4, 64, 1}},
    {"w8 x 1", "multiply-add", WORK(1), setup, run, {GEMLET_W8, 1, 1}},
    {"w8 x 64", "multiply-add", WORK(64), setup, run, {GEMLET_W8, 64, 1}},
    {"quantize by a static step", "element", 64.0 * COLUMNS, setup, run_quantize, {GEMLET_W4, 64, 1}},
    {"quantize a vector by its maximum", "element", 64.0 * COLUMNS, setup, run_quantize, {GEMLET_W2, 64, 0}},
    {NULL, NULL, 0.0, NULL, NULL, {0}},
};
