#include <string.h>

#include "tests/bench/bench.h"

/* A square picture and what one call multiplies: all its pixels by all outputs. */
enum { SIDE = 8, PIXELS = SIDE * SIDE };

typedef struct conv_bench {
    const gemlet_conv_kernels *kernels;
    gemlet_conv conv;
    float *floats;
    int8_t *picture;
    const int8_t **x;
    float *pixel_scale;
    float *y;
} conv_bench;

/* The pixel that a tap of a 1x1 or 3x3 convolution reads, or the zeros that follow the picture. */
static const int8_t *pixel_of(const conv_bench *b, size_t tap, size_t p) {
    size_t radius = b->conv.taps == 9 ? 1 : 0, width = 2 * radius + 1;
    size_t row = p / SIDE + tap / width - radius, column = p % SIDE + tap % width - radius;
    size_t at = row < SIDE && column < SIDE ? row * SIDE + column : PIXELS;
    return b->picture + at * gemlet_padded_channels(b->conv.channels);
}

/* arguments: outputs, channels, taps */
static void *setup(const bench_case *self, const gemlet_kernels *kernels) {
    conv_bench *b = bench_alloc(sizeof *b);
    size_t outputs = self->arguments[0], channels = self->arguments[1], taps = self->arguments[2];
    size_t padded = gemlet_padded_channels(channels);
    int8_t *packed = bench_alloc(gemlet_conv_bytes(outputs, taps, channels));
    float *scale = bench_alloc(outputs * sizeof *scale);
    bench_fill_floats(scale, outputs);
    gemlet_conv_pack(bench_alloc(outputs * taps * channels), outputs, taps, channels, packed);
    b->kernels = kernels->conv;
    b->conv = (gemlet_conv){packed, scale, outputs, channels, taps};
    b->floats = bench_alloc(PIXELS * channels * sizeof *b->floats);
    bench_fill_floats(b->floats, PIXELS * channels);
    b->picture = bench_alloc((PIXELS + 1) * padded);
    memset(b->picture + PIXELS * padded, 0, padded);
    b->pixel_scale = bench_alloc(PIXELS * sizeof *b->pixel_scale);
    b->kernels->quantize(b->floats, channels, PIXELS, channels, b->picture, b->pixel_scale);
    b->y = bench_alloc(PIXELS * outputs * sizeof *b->y);
    b->x = bench_alloc(taps * PIXELS * sizeof *b->x);
    for (size_t tap = 0; tap < taps; tap++) {
        for (size_t p = 0; p < PIXELS; p++) {
            b->x[tap * PIXELS + p] = pixel_of(b, tap, p);
        }
    }
    return b;
}

static void run_multiply(void *data) {
    conv_bench *b = data;
    size_t panels = (b->conv.outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
    b->kernels->multiply(&b->conv, 0, panels, b->x, PIXELS, b->pixel_scale, b->y, b->conv.outputs);
}

static void run_quantize(void *data) {
    conv_bench *b = data;
    b->kernels->quantize(b->floats, b->conv.channels, PIXELS, b->conv.channels, b->picture, b->pixel_scale);
}

static void run_quantize_centered(void *data) {
    conv_bench *b = data;
    float center[PIXELS];
    b->kernels->quantize_centered(b->floats, b->conv.channels, PIXELS, b->conv.channels, b->picture, b->pixel_scale, center);
}

#define WORK(outputs, channels, taps) ((double)(outputs) * (channels) * (taps)*PIXELS)

const bench_case bench_conv_cases[] = {
    {"conv 1x1, 2048 to 512", "multiply-add", WORK(512, 2048, 1), setup, run_multiply, {512, 2048, 1}},
    {"conv 1x1, 128 to 512", "multiply-add", WORK(512, 128, 1), setup, run_multiply, {512, 128, 1}},
    {"conv 3x3, 128 to 512", "multiply-add", WORK(512, 128, 9), setup, run_multiply, {512, 128, 9}},
    {"quantize pixels", "element", WORK(1, 2048, 1), setup, run_quantize, {8, 2048, 1}},
    {"quantize pixels, centered", "element", WORK(1, 2048, 1), setup, run_quantize_centered, {8, 2048, 1}},
    {"attention, 64 to 576 keys", "multiply-add", WORK(576, 64, 1), setup, run_multiply, {576, 64, 1}},
    {"attention, 576 keys to 64", "multiply-add", WORK(64, 576, 1), setup, run_multiply, {64, 576, 1}},
    {NULL, NULL, 0.0, NULL, NULL, {0}},
};
