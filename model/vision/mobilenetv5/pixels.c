/* What blocks do to a few pixels. */
#include <string.h>

#include "model/vision/mobilenetv5/mobilenetv5.h"

gemlet_pixel_scratch *gemlet_carve_pixels(const gemlet_mobilenetv5 *v, gemlet_carver *carver, size_t taps, size_t quantized,
                                          size_t input, size_t expanded, size_t output) {
    gemlet_pixel_scratch *all = gemlet_carve(carver, v->run.threads, sizeof *all);
    for (size_t i = 0; i < v->run.threads; i++) {
        gemlet_pixel_scratch one = {
            .quantized = gemlet_carve(carver, v->chunk, gemlet_padded_channels(quantized)),
            .scale = gemlet_carve(carver, v->chunk, sizeof(float)),
            .center = gemlet_carve(carver, v->chunk, sizeof(float)),
            .pointers = gemlet_carve(carver, v->chunk * taps, sizeof(int8_t *)),
            .input = gemlet_carve(carver, v->chunk * input, sizeof(float)),
            .expanded = gemlet_carve(carver, v->chunk * expanded, sizeof(float)),
            .output = gemlet_carve(carver, v->chunk * output, sizeof(float)),
        };
        if (all != NULL) {
            all[i] = one;
        }
    }
    return all;
}

size_t gemlet_mobilenetv5_input_length(const gemlet_conv *conv) {
    return conv->taps == 1 ? conv->channels : conv->taps * gemlet_padded_channels(conv->channels);
}

/* Of pixels that are quantised; `scale` NULL: 1. */
static void multiply(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, size_t pixels, const gemlet_pixel_scratch *scratch,
                     const float *scale, float *y) {
    size_t bytes = gemlet_padded_channels(gemlet_mobilenetv5_input_length(conv));
    for (size_t tap = 0; tap < conv->taps; tap++) {
        for (size_t p = 0; p < pixels; p++) {
            scratch->pointers[tap * pixels + p] = scratch->quantized + p * bytes + tap * gemlet_padded_channels(conv->channels);
        }
    }
    size_t panels = (conv->outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
    v->run.kernels.conv->multiply(conv, 0, panels, scratch->pointers, pixels, scale, y, conv->outputs);
}

void gemlet_mobilenetv5_convolve(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const float *x, size_t pixels,
                                 const gemlet_pixel_scratch *scratch, float *y) {
    size_t length = gemlet_mobilenetv5_input_length(conv);
    v->run.kernels.conv->quantize(x, length, pixels, length, scratch->quantized, scratch->scale);
    multiply(v, conv, pixels, scratch, scratch->scale, y);
}

void gemlet_mobilenetv5_convolve_centered(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const float *sums, const float *x,
                                          size_t pixels, const gemlet_pixel_scratch *scratch, float *y) {
    v->run.kernels.conv->quantize_centered(x, conv->channels, pixels, conv->channels, scratch->quantized, scratch->scale,
                                           scratch->center);
    multiply(v, conv, pixels, scratch, scratch->scale, y);
    for (size_t p = 0; p < pixels; p++) {
        v->run.kernels.real->add_scaled(y + p * conv->outputs, scratch->center[p], sums, conv->outputs);
    }
}

/* The product with a pixel of ones. */
void gemlet_mobilenetv5_sum(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const gemlet_pixel_scratch *scratch,
                            float *sums) {
    memset(scratch->quantized, 1, gemlet_padded_channels(conv->channels));
    multiply(v, conv, 1, scratch, NULL, sums);
}

void gemlet_mobilenetv5_norm(const gemlet_mobilenetv5 *v, const float *x, const float *weight, size_t pixels, size_t channels,
                             float *y) {
    for (size_t p = 0; p < pixels; p++) {
        v->run.kernels.real->rms_norm(x + p * channels, weight, GEMLET_MOBILENETV5_EPSILON, channels, y + p * channels);
    }
}

void gemlet_mobilenetv5_norm_gelu(const gemlet_mobilenetv5 *v, const float *weight, size_t pixels, size_t channels, float *x) {
    for (size_t p = 0; p < pixels; p++) {
        v->run.kernels.real->rms_norm_gelu(x + p * channels, weight, GEMLET_MOBILENETV5_EPSILON, channels, x + p * channels);
    }
}

void gemlet_mobilenetv5_add(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, float *source, size_t pixels,
                            uint16_t *target) {
    const gemlet_real_kernels *real = v->run.kernels.real;
    size_t channels = block->outputs;
    for (size_t p = 0; p < pixels; p++, source += channels, target += channels) {
        if (block->skip) {
            real->add_bfloat16(target, block->layer_scale, source, channels);
            continue;
        }
        if (block->layer_scale != NULL) {
            real->multiply(source, block->layer_scale, channels);
        }
        real->to_bfloat16(source, channels, target);
    }
}

/* A part of a row that does not begin left of the picture is a row of a narrower picture. */
void gemlet_mobilenetv5_depthwise(const gemlet_mobilenetv5 *v, const gemlet_depthwise *conv, const gemlet_row_ring *from,
                                  size_t row, size_t column, size_t count, float *y) {
    const float *rows[GEMLET_DEPTHWISE_KERNEL_MAX];
    size_t above = gemlet_same_padding(from->height, conv->kernel, conv->stride);
    size_t left = gemlet_same_padding(from->width, conv->kernel, conv->stride);
    size_t skipped = column * conv->stride > left ? column * conv->stride - left : 0;
    for (size_t i = 0; i < conv->kernel; i++) {
        size_t r = row * conv->stride + i; /* counted from the padding */
        bool inside = r >= above && r - above < from->height;
        rows[i] = inside ? gemlet_ring_row(from, r - above) + skipped * conv->channels : NULL;
    }
    size_t padding = left > column * conv->stride ? left - column * conv->stride : 0;
    v->run.kernels.real->depthwise(conv, rows, from->width - skipped, padding, count, y);
}
