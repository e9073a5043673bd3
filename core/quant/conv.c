#include "core/quant/conv.h"

#include <math.h>
#include <string.h>

#include "core/checked.h"

enum {
    /* The 64-byte block of the packed layout: 8 outputs x 8 channels as 2 x 2 groups of 4 outputs x 4 channels. */
    GROUP = 4,
    GROUP_BYTES = GROUP * GROUP,
    BLOCK_CHANNELS = 2 * GROUP,
    BLOCK_BYTES = GEMLET_CONV_PANEL * BLOCK_CHANNELS,
    MAGNITUDE = 127
};

size_t gemlet_padded_channels(size_t channels) {
    return (channels + GEMLET_CHANNEL_PADDING - 1) / GEMLET_CHANNEL_PADDING * GEMLET_CHANNEL_PADDING;
}

static size_t panels_of(size_t outputs) {
    return outputs / GEMLET_CONV_PANEL + (outputs % GEMLET_CONV_PANEL != 0);
}

size_t gemlet_conv_bytes(size_t outputs, size_t taps, size_t channels) {
    if (channels > GEMLET_LONGEST_SUM || gemlet_times(channels, taps) > GEMLET_LONGEST_SUM) {
        return 0;
    }
    uint64_t panel_bytes = gemlet_times(gemlet_times(gemlet_padded_channels(channels), GEMLET_CONV_PANEL), taps);
    uint64_t bytes = gemlet_times(panel_bytes, panels_of(outputs));
    return bytes < SIZE_MAX ? (size_t)bytes : 0;
}

/* Where the weight of output `o` (of all), tap and channel lies in the packed data. */
static size_t packed_index(size_t o, size_t tap, size_t channel, size_t taps, size_t padded) {
    size_t row = o % GEMLET_CONV_PANEL;
    size_t column = channel % BLOCK_CHANNELS;
    size_t blocks = (o / GEMLET_CONV_PANEL * taps + tap) * (padded / BLOCK_CHANNELS) + channel / BLOCK_CHANNELS;
    size_t group = row / GROUP * 2 + column / GROUP;
    return blocks * BLOCK_BYTES + group * GROUP_BYTES + row % GROUP * GROUP + column % GROUP;
}

void gemlet_conv_pack(const int8_t *weights, size_t outputs, size_t taps, size_t channels, int8_t *packed) {
    size_t padded = gemlet_padded_channels(channels);
    memset(packed, 0, gemlet_conv_bytes(outputs, taps, channels));
    for (size_t o = 0; o < outputs; o++) {
        for (size_t tap = 0; tap < taps; tap++) {
            const int8_t *row = weights + (o * taps + tap) * channels;
            int8_t *first = packed + packed_index(o, tap, 0, taps, padded);
            size_t c = 0;
            for (; c + GROUP <= channels; c += GROUP) { /* 4 channels of an output lie together */
                memcpy(first + c / BLOCK_CHANNELS * BLOCK_BYTES + c / GROUP % 2 * GROUP_BYTES, row + c, GROUP);
            }
            for (; c < channels; c++) {
                packed[packed_index(o, tap, c, taps, padded)] = row[c];
            }
        }
    }
}

/* The bits of |x| as an integer order floats by magnitude, infinity above all numbers and NaN above infinity. */
static float magnitude_of(const float *x, size_t channels) {
    uint32_t largest = 0;
    for (size_t c = 0; c < channels; c++) {
        uint32_t bits;
        memcpy(&bits, &x[c], sizeof bits);
        bits &= UINT32_C(0x7fffffff);
        largest = bits > largest ? bits : largest;
    }
    float magnitude;
    memcpy(&magnitude, &largest, sizeof magnitude);
    return magnitude;
}

static void quantize(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale) {
    size_t padded = gemlet_padded_channels(channels);
    for (size_t p = 0; p < pixels; p++, x += stride, q += padded) {
        float magnitude = magnitude_of(x, channels);
        float inverse = (float)MAGNITUDE / magnitude;
        memset(q, 0, padded);
        scale[p] = 0.0f;
        if (isfinite(magnitude) && isfinite(inverse)) {
            scale[p] = magnitude / (float)MAGNITUDE;
            for (size_t c = 0; c < channels; c++) {
                q[c] = (int8_t)rintf(x[c] * inverse);
            }
        }
    }
}

/* NaN if any element is. */
static void range_of(const float *x, size_t channels, float *least, float *largest) {
    *least = *largest = x[0];
    for (size_t c = 0; c < channels; c++) {
        *least = isnan(x[c]) || x[c] < *least ? x[c] : *least;
        *largest = isnan(x[c]) || x[c] > *largest ? x[c] : *largest;
    }
}

static void quantize_centered(const float *x, size_t stride, size_t pixels, size_t channels, int8_t *q, float *scale,
                              float *center) {
    size_t padded = gemlet_padded_channels(channels);
    for (size_t p = 0; p < pixels; p++, x += stride, q += padded) {
        float least, largest;
        range_of(x, channels, &least, &largest);
        float middle = least + (largest - least) * 0.5f;
        float above = largest - middle;
        float below = middle - least;
        float magnitude = above > below ? above : below;
        float inverse = (float)MAGNITUDE / magnitude;
        memset(q, 0, padded);
        scale[p] = 0.0f;
        center[p] = isfinite(middle) ? middle : 0.0f;
        if (isfinite(middle) && isfinite(inverse)) {
            scale[p] = magnitude / (float)MAGNITUDE;
            for (size_t c = 0; c < channels; c++) {
                q[c] = (int8_t)rintf((x[c] - middle) * inverse);
            }
        }
    }
}

static int32_t sum_of(const gemlet_conv *conv, size_t o, const int8_t *const *x, size_t pixels, size_t p) {
    size_t padded = gemlet_padded_channels(conv->channels);
    int32_t sum = 0;
    for (size_t tap = 0; tap < conv->taps; tap++) {
        const int8_t *pixel = x[tap * pixels + p];
        for (size_t c = 0; c < conv->channels; c++) {
            sum += conv->data[packed_index(o, tap, c, conv->taps, padded)] * pixel[c];
        }
    }
    return sum;
}

static size_t end_output(const gemlet_conv *conv, size_t end_panel) {
    size_t end = end_panel * GEMLET_CONV_PANEL;
    return end < conv->outputs ? end : conv->outputs;
}

static void multiply(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                     const float *pixel_scale, float *y, size_t y_stride) {
    for (size_t o = first_panel * GEMLET_CONV_PANEL; o < end_output(conv, end_panel); o++) {
        for (size_t p = 0; p < pixels; p++) {
            float scaled = (float)sum_of(conv, o, x, pixels, p) * conv->scale[o];
            y[p * y_stride + o] = pixel_scale == NULL ? scaled : scaled * pixel_scale[p];
        }
    }
}

static void multiply_s32(const gemlet_conv *conv, size_t first_panel, size_t end_panel, const int8_t *const *x, size_t pixels,
                         int32_t *y, size_t y_stride) {
    for (size_t o = first_panel * GEMLET_CONV_PANEL; o < end_output(conv, end_panel); o++) {
        for (size_t p = 0; p < pixels; p++) {
            y[p * y_stride + o] = sum_of(conv, o, x, pixels, p);
        }
    }
}

const gemlet_conv_kernels gemlet_conv_kernels_scalar = {
    .quantize = quantize, .quantize_centered = quantize_centered, .multiply = multiply, .multiply_s32 = multiply_s32};
