#include "model/vision/attention.h"

static gemlet_attention_weights carve_weights(gemlet_carver *carver, float *values, int8_t *quantized, size_t rows, size_t padded) {
    gemlet_attention_weights w = {
        .values = values,
        .quantized = quantized,
        .packed = gemlet_carve(carver, gemlet_conv_bytes(rows, 1, padded), 1),
        .scale = gemlet_carve(carver, rows, sizeof(float)),
    };
    w.conv = (gemlet_conv){.data = w.packed, .scale = w.scale, .outputs = rows, .channels = padded, .taps = 1};
    return w;
}

gemlet_attention_keys gemlet_carve_attention_keys(gemlet_carver *carver, size_t keys, size_t key_width, size_t value_width) {
    gemlet_attention_keys k = {.keys = keys, .key_width = key_width};
    size_t channels = gemlet_padded_channels(key_width), padded_keys = gemlet_padded_channels(keys);
    float *values = gemlet_carve(carver, keys * gemlet_larger(key_width, value_width), sizeof(float));
    int8_t *quantized = gemlet_carve(carver, gemlet_larger(keys * channels, value_width * padded_keys), 1);
    k.key = carve_weights(carver, values, quantized, keys, channels);
    k.columns = carve_weights(carver, values, quantized, value_width, padded_keys);
    return k;
}

gemlet_attention_keys gemlet_carve_more_attention_keys(gemlet_carver *carver, const gemlet_attention_keys *first) {
    gemlet_attention_keys k = *first;
    k.key = carve_weights(carver, first->key.values, first->key.quantized, k.key.conv.outputs, k.key.conv.channels);
    k.columns = carve_weights(carver, first->key.values, first->key.quantized, k.columns.conv.outputs, k.columns.conv.channels);
    return k;
}

gemlet_attention_scratch gemlet_carve_attention_scratch(gemlet_carver *carver, const gemlet_attention_keys *k, size_t rows) {
    size_t digits = gemlet_larger(k->columns.conv.channels, k->key.conv.channels);
    return (gemlet_attention_scratch){
        .scores = gemlet_carve(carver, rows * gemlet_larger(k->keys, k->columns.conv.outputs), sizeof(float)),
        .high = gemlet_carve(carver, rows, digits),
        .low = gemlet_carve(carver, rows, digits),
        .scale = gemlet_carve(carver, rows, sizeof(float)),
        .low_scale = gemlet_carve(carver, rows, sizeof(float)),
        .pointers = gemlet_carve(carver, rows, sizeof(int8_t *)),
    };
}

static void pack_weights(const gemlet_kernels *kernels, const gemlet_attention_weights *w, size_t length) {
    kernels->conv->quantize(w->values, length, w->conv.outputs, length, w->quantized, w->scale);
    gemlet_conv_pack(w->quantized, w->conv.outputs, 1, w->conv.channels, w->packed);
}

void gemlet_pack_attention_keys(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const float *value, float scale) {
    size_t value_width = k->columns.conv.outputs;
    pack_weights(kernels, &k->key, k->key_width);
    kernels->real->scale(k->key.scale, scale, k->keys);
    for (size_t i = 0; i < k->keys; i++) {
        for (size_t c = 0; c < value_width; c++) {
            k->columns.values[c * k->keys + i] = value[i * value_width + c];
        }
    }
    pack_weights(kernels, &k->columns, k->keys);
}

/* y = x times the rows of `w`, for `count` quantised rows x. */
static void multiply(const gemlet_kernels *kernels, const gemlet_attention_weights *w, const gemlet_attention_scratch *s,
                     const int8_t *x, const float *scale, size_t count, float *y, size_t y_stride) {
    for (size_t i = 0; i < count; i++) {
        s->pointers[i] = x + i * w->conv.channels;
    }
    size_t panels = (w->conv.outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
    kernels->conv->multiply(&w->conv, 0, panels, s->pointers, count, scale, y, y_stride);
}

void gemlet_attend(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s,
                   const float *query, size_t count, float *y, size_t y_stride) {
    size_t padded = k->columns.conv.channels;
    kernels->conv->quantize(query, k->key_width, count, k->key_width, s->high, s->scale);
    multiply(kernels, &k->key, s, s->high, s->scale, count, s->scores, k->keys);
    for (size_t i = 0; i < count; i++) {
        kernels->real->softmax_digits(s->scores + i * k->keys, k->keys, s->high + i * padded, s->low + i * padded,
                                      &s->low_scale[i]);
        s->scale[i] = (float)GEMLET_DIGIT * s->low_scale[i];
    }
    multiply(kernels, &k->columns, s, s->high, s->scale, count, y, y_stride);
    multiply(kernels, &k->columns, s, s->low, s->low_scale, count, s->scores, k->columns.conv.outputs);
    for (size_t i = 0; i < count; i++) {
        kernels->real->add_scaled(y + i * y_stride, 1.0f, s->scores + i * k->columns.conv.outputs, k->columns.conv.outputs);
    }
}
