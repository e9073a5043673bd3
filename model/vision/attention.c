#include "model/vision/attention.h"

static size_t keys_of_block(const gemlet_attention_keys *k, size_t b) {
    return gemlet_smaller(k->keys - b * k->block, k->block);
}

static gemlet_conv key_conv(const gemlet_attention_keys *k) {
    return (gemlet_conv){k->key, k->scale, k->keys, gemlet_padded_channels(k->key_width), 1};
}

static gemlet_conv block_conv(const gemlet_attention_keys *k, size_t b) {
    size_t channels = gemlet_padded_channels(keys_of_block(k, b));
    return (gemlet_conv){k->columns + b * gemlet_conv_bytes(k->value_width, 1, k->block), k->column_scale + b * k->value_width,
                         k->value_width, channels, 1};
}

static void carve_packed(gemlet_carver *carver, gemlet_attention_keys *k) {
    k->key = gemlet_carve(carver, gemlet_conv_bytes(k->keys, 1, gemlet_padded_channels(k->key_width)), 1);
    k->columns = gemlet_carve(carver, k->blocks * gemlet_conv_bytes(k->value_width, 1, k->block), 1);
    k->scale = gemlet_carve(carver, k->keys, sizeof(float));
    k->column_scale = gemlet_carve(carver, k->blocks * k->value_width, sizeof(float));
    k->column_mean = gemlet_carve(carver, k->blocks * k->value_width, sizeof(float));
}

gemlet_attention_keys gemlet_carve_attention_keys(gemlet_carver *carver, size_t keys, size_t key_width, size_t value_width) {
    size_t blocks = (keys + GEMLET_KEY_BLOCK - 1) / GEMLET_KEY_BLOCK;
    gemlet_attention_keys k = {.keys = keys, .key_width = key_width, .value_width = value_width};
    k.block = gemlet_padded_channels((keys + blocks - 1) / blocks);
    k.blocks = (keys + k.block - 1) / k.block;
    k.values = gemlet_carve(carver, keys * gemlet_larger(key_width, value_width), sizeof(float));
    k.quantized = gemlet_carve(carver, gemlet_larger(keys * gemlet_padded_channels(key_width), value_width * k.block), 1);
    carve_packed(carver, &k);
    return k;
}

gemlet_attention_keys gemlet_carve_more_attention_keys(gemlet_carver *carver, const gemlet_attention_keys *first) {
    gemlet_attention_keys k = *first;
    carve_packed(carver, &k);
    return k;
}

gemlet_attention_scratch gemlet_carve_attention_scratch(gemlet_carver *carver, const gemlet_attention_keys *k, size_t rows) {
    size_t bytes = gemlet_larger(gemlet_padded_channels(k->keys), gemlet_padded_channels(k->key_width));
    return (gemlet_attention_scratch){
        .scores = gemlet_carve(carver, rows * k->keys, sizeof(float)),
        .weights = gemlet_carve(carver, rows, bytes),
        .parts = gemlet_carve(carver, rows * k->blocks, sizeof(gemlet_softmax_block)),
        .share = gemlet_carve(carver, rows * k->blocks, sizeof(float)),
        .scale = gemlet_carve(carver, rows, sizeof(float)),
        .mix = gemlet_carve(carver, rows * k->value_width, sizeof(float)),
        .pointers = gemlet_carve(carver, rows, sizeof(int8_t *)),
    };
}

/* Columns of values of a block, quantised and packed, and their means. */
static void pack_block(const gemlet_kernels *kernels, const gemlet_attention_keys *k, size_t b) {
    gemlet_conv conv = block_conv(k, b);
    float *scale = k->column_scale + b * k->value_width;
    size_t keys = keys_of_block(k, b);
    kernels->conv->quantize(k->values + b * k->block, k->keys, k->value_width, keys, k->quantized, scale);
    gemlet_conv_pack(k->quantized, k->value_width, 1, conv.channels,
                     k->columns + b * gemlet_conv_bytes(k->value_width, 1, k->block));
    for (size_t c = 0; c < k->value_width; c++) {
        int32_t sum = 0;
        for (size_t i = 0; i < keys; i++) {
            sum += k->quantized[c * conv.channels + i];
        }
        k->column_mean[b * k->value_width + c] = (float)sum * scale[c] / (float)keys;
    }
}

void gemlet_pack_attention_keys(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const float *value, float scale) {
    gemlet_conv conv = key_conv(k);
    kernels->conv->quantize(k->values, k->key_width, k->keys, k->key_width, k->quantized, k->scale);
    gemlet_conv_pack(k->quantized, k->keys, 1, conv.channels, k->key);
    kernels->real->scale(k->scale, scale * GEMLET_LOG2_E, k->keys);
    for (size_t i = 0; i < k->keys; i++) {
        for (size_t c = 0; c < k->value_width; c++) {
            k->values[c * k->keys + i] = value[i * k->value_width + c];
        }
    }
    for (size_t b = 0; b < k->blocks; b++) {
        pack_block(kernels, k, b);
    }
}

/* y = x times the rows of `conv`, for `count` quantised rows x that are `stride` bytes apart. */
static void multiply(const gemlet_kernels *kernels, const gemlet_conv *conv, const gemlet_attention_scratch *s, const int8_t *x,
                     size_t stride, size_t count, float *y, size_t y_stride) {
    for (size_t i = 0; i < count; i++) {
        s->pointers[i] = x + i * stride;
    }
    kernels->conv->multiply(conv, 0, (conv->outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL, s->pointers, count, s->scale, y,
                            y_stride);
}

/* The weights of a row, by blocks, and what one unit of a block's is worth: exp(largest of the block - largest of the row) / sum.
 */
static void weigh(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const float *scores, int8_t *weights,
                  gemlet_softmax_block *parts, float *share) {
    float sum = 0.0f;
    for (size_t b = 0; b < k->blocks; b++) {
        parts[b] = kernels->real->softmax_block(scores + b * k->block, keys_of_block(k, b), weights + b * k->block);
        share[b] = parts[b].largest * (1.0f / GEMLET_LOG2_E);
    }
    kernels->real->softmax(share, k->blocks);
    for (size_t b = 0; b < k->blocks; b++) {
        sum += share[b] * (float)parts[b].sum;
    }
    kernels->real->scale(share, sum == 0.0f ? 0.0f : 1.0f / sum, k->blocks);
}

/* Adds to y (the first block: makes of it) what the weights of block `b`, less their center, give the rows. */
static void mix_block(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s, size_t b,
                      size_t count, float *y, size_t y_stride) {
    gemlet_conv conv = block_conv(k, b);
    float *mix = b == 0 ? y : s->mix;
    for (size_t i = 0; i < count; i++) {
        s->scale[i] = (float)GEMLET_WEIGHT_UNITS * s->share[i * k->blocks + b];
    }
    multiply(kernels, &conv, s, s->weights + b * k->block, gemlet_padded_channels(k->keys), count, mix,
             b == 0 ? y_stride : k->value_width);
    for (size_t i = 0; i < count && b > 0; i++) {
        kernels->real->add_scaled(y + i * y_stride, 1.0f, mix + i * k->value_width, k->value_width);
    }
}

/* What the weights lack, their center and what rounding left, is their block's mean's: s->share becomes what that gets. */
static void add_means(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s,
                      size_t count, float *y, size_t y_stride) {
    const gemlet_rows means = {
        .data = k->column_mean, .count = k->blocks, .length = k->value_width, .stride = k->value_width, .type = GEMLET_ROW_F32};
    for (size_t b = 0; b < k->blocks; b++) {
        float center = (float)(GEMLET_WEIGHT_UNITS * GEMLET_WEIGHT_CENTER) * (float)keys_of_block(k, b);
        for (size_t i = 0; i < count; i++) {
            s->share[i * k->blocks + b] *= center + (float)s->parts[i * k->blocks + b].rest;
        }
    }
    kernels->real->mix(&means, s->share, k->blocks, count, y, y_stride);
}

void gemlet_attend(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s,
                   const float *query, size_t count, float *y, size_t y_stride) {
    gemlet_conv conv = key_conv(k);
    size_t padded = gemlet_padded_channels(k->keys);
    kernels->conv->quantize(query, k->key_width, count, k->key_width, s->weights, s->scale);
    multiply(kernels, &conv, s, s->weights, conv.channels, count, s->scores, k->keys);
    for (size_t i = 0; i < count; i++) {
        weigh(kernels, k, s->scores + i * k->keys, s->weights + i * padded, s->parts + i * k->blocks, s->share + i * k->blocks);
    }
    for (size_t b = 0; b < k->blocks; b++) {
        mix_block(kernels, k, s, b, count, y, y_stride);
    }
    add_means(kernels, k, s, count, y, y_stride);
}
