#include <stdint.h>
#include <string.h>

#include "tests/bench/bench.h"

typedef struct real_bench {
    const gemlet_real_kernels *kernels;
    size_t length;
    float *x;
    float *second;
    float *y;
    uint32_t *list;
    gemlet_rows rows;
    size_t vectors;
    gemlet_depthwise conv;
    const float *lines[GEMLET_DEPTHWISE_KERNEL_MAX];
    size_t width;
} real_bench;

static float *floats(size_t count) {
    float *x = bench_alloc(count * sizeof *x);
    bench_fill_floats(x, count);
    return x;
}

enum { LENGTH = 2048 };

static void *setup_vector(const bench_case *self, const gemlet_kernels *kernels) {
    (void)self;
    real_bench *b = bench_alloc(sizeof *b);
    *b = (real_bench){
        .kernels = kernels->real, .length = LENGTH, .x = floats(LENGTH), .second = floats(LENGTH), .y = floats(LENGTH)};
    b->list = bench_alloc(LENGTH * sizeof *b->list);
    return b;
}

static void run_rms_norm(void *data) {
    real_bench *b = data;
    b->kernels->rms_norm(b->x, b->second, 1e-6f, b->length, b->y);
}

static void run_rms_norm_gelu(void *data) {
    real_bench *b = data;
    b->kernels->rms_norm_gelu(b->x, b->second, 1e-6f, b->length, b->y);
}

static void run_gelu(void *data) {
    real_bench *b = data;
    b->kernels->gelu(b->x, b->length, b->y);
}

static void run_gelu_multiply(void *data) {
    real_bench *b = data;
    b->kernels->gelu_multiply(b->x, b->second, b->length, b->y);
}

static void run_softmax(void *data) {
    real_bench *b = data;
    b->kernels->softmax(b->y, b->length);
}

static void run_soft_cap(void *data) {
    real_bench *b = data;
    b->kernels->soft_cap(b->y, 30.0f, b->length);
}

static void run_add_scaled(void *data) {
    real_bench *b = data;
    b->kernels->add_scaled(b->y, 1.0f, b->x, b->length);
}

static void run_rope(void *data) {
    real_bench *b = data;
    b->kernels->rope(b->y, b->x, b->second, b->length);
}

static void run_to_half(void *data) {
    real_bench *b = data;
    b->kernels->to_half(b->x, b->length, (uint16_t *)(void *)b->list);
}

static void run_add_bfloat16(void *data) {
    real_bench *b = data;
    b->kernels->add_bfloat16((uint16_t *)(void *)b->list, b->second, b->x, b->length);
}

static void run_softmax_block(void *data) {
    real_bench *b = data;
    (void)b->kernels->softmax_block(b->x, b->length, (int8_t *)(void *)b->y);
}

static void run_select_above(void *data) {
    real_bench *b = data;
    b->kernels->select_above(b->x, b->length, 1.6448536f, b->list, b->y);
}

enum { CACHE_ROWS = 256, CACHE_LENGTH = 256 };

/* arguments: row type, vectors. */
static void *setup_rows(const bench_case *self, const gemlet_kernels *kernels) {
    real_bench *b = bench_alloc(sizeof *b);
    *b = (real_bench){.kernels = kernels->real, .vectors = self->arguments[1]};
    void *data = bench_alloc((size_t)CACHE_ROWS * CACHE_LENGTH * sizeof(float));
    b->rows = (gemlet_rows){data, floats(CACHE_ROWS), CACHE_ROWS, CACHE_LENGTH, CACHE_LENGTH, (gemlet_row_type)self->arguments[0]};
    b->x = floats(b->vectors * CACHE_ROWS);
    b->y = floats(b->vectors * CACHE_ROWS);
    return b;
}

static void run_dot(void *data) {
    real_bench *b = data;
    b->kernels->dot(&b->rows, b->x, CACHE_LENGTH, b->vectors, b->y, CACHE_ROWS);
}

static void run_mix(void *data) {
    real_bench *b = data;
    memset(b->y, 0, b->vectors * CACHE_LENGTH * sizeof(float));
    b->kernels->mix(&b->rows, b->x, CACHE_ROWS, b->vectors, b->y, CACHE_LENGTH);
}

enum { PIXELS = 48, CHANNELS = 256 };

/* arguments: kernel, stride; PIXELS output pixels. */
static void *setup_depthwise(const bench_case *self, const gemlet_kernels *kernels) {
    real_bench *b = bench_alloc(sizeof *b);
    *b = (real_bench){.kernels = kernels->real, .width = PIXELS * self->arguments[1]};
    b->conv = (gemlet_depthwise){floats(self->arguments[0] * self->arguments[0] * CHANNELS), CHANNELS, self->arguments[0],
                                 self->arguments[1]};
    for (size_t r = 0; r < self->arguments[0]; r++) {
        b->lines[r] = floats(b->width * CHANNELS);
    }
    b->y = floats((size_t)PIXELS * CHANNELS);
    return b;
}

static void run_depthwise(void *data) {
    real_bench *b = data;
    size_t padding = gemlet_same_padding(b->width, b->conv.kernel, b->conv.stride);
    b->kernels->depthwise(&b->conv, b->lines, b->width, padding, PIXELS, b->y);
}

/* Multiply-adds with columns outside the picture are not work. */
#define ROWS_WORK(vectors) ((double)CACHE_ROWS * CACHE_LENGTH * (vectors))
#define DEPTHWISE_WORK(kernel, outside) ((double)(kernel) * ((kernel)*PIXELS - (outside)) * CHANNELS)

const bench_case bench_real_cases[] = {
    {"rms_norm", "element", LENGTH, setup_vector, run_rms_norm, {0}},
    {"gelu", "element", LENGTH, setup_vector, run_gelu, {0}},
    {"rms_norm_gelu", "element", LENGTH, setup_vector, run_rms_norm_gelu, {0}},
    {"gelu_multiply", "element", LENGTH, setup_vector, run_gelu_multiply, {0}},
    {"softmax", "element", LENGTH, setup_vector, run_softmax, {0}},
    {"soft_cap", "element", LENGTH, setup_vector, run_soft_cap, {0}},
    {"add_scaled", "element", LENGTH, setup_vector, run_add_scaled, {0}},
    {"rope", "element", LENGTH, setup_vector, run_rope, {0}},
    {"to_half", "element", LENGTH, setup_vector, run_to_half, {0}},
    {"add_bfloat16", "element", LENGTH, setup_vector, run_add_bfloat16, {0}},
    {"softmax_block", "element", LENGTH, setup_vector, run_softmax_block, {0}},
    {"select_above", "element", LENGTH, setup_vector, run_select_above, {0}},
    {"dot f32 x 1", "multiply-add", ROWS_WORK(1), setup_rows, run_dot, {GEMLET_ROW_F32, 1}},
    {"dot f16 x 1", "multiply-add", ROWS_WORK(1), setup_rows, run_dot, {GEMLET_ROW_F16, 1}},
    {"dot f16 x 4", "multiply-add", ROWS_WORK(4), setup_rows, run_dot, {GEMLET_ROW_F16, 4}},
    {"dot s8 x 4", "multiply-add", ROWS_WORK(4), setup_rows, run_dot, {GEMLET_ROW_S8, 4}},
    {"mix f32 x 4", "multiply-add", ROWS_WORK(4), setup_rows, run_mix, {GEMLET_ROW_F32, 4}},
    {"mix f16 x 1", "multiply-add", ROWS_WORK(1), setup_rows, run_mix, {GEMLET_ROW_F16, 1}},
    {"mix f16 x 4", "multiply-add", ROWS_WORK(4), setup_rows, run_mix, {GEMLET_ROW_F16, 4}},
    {"mix s8 x 4", "multiply-add", ROWS_WORK(4), setup_rows, run_mix, {GEMLET_ROW_S8, 4}},
    {"depthwise 3x3", "multiply-add", DEPTHWISE_WORK(3, 2), setup_depthwise, run_depthwise, {3, 1}},
    {"depthwise 5x5", "multiply-add", DEPTHWISE_WORK(5, 6), setup_depthwise, run_depthwise, {5, 1}},
    {"depthwise 3x3 stride 2", "multiply-add", DEPTHWISE_WORK(3, 1), setup_depthwise, run_depthwise, {3, 2}},
    {"depthwise 5x5 stride 2", "multiply-add", DEPTHWISE_WORK(5, 3), setup_depthwise, run_depthwise, {5, 2}},
    {0},
};
