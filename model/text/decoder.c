/* The forward pass of the Gemma decoders, top to bottom.
 *
 * | stage                  | Gemma 3n                               | Gemma 3           |
 * |------------------------|----------------------------------------|-------------------|
 * | residual               | 4 AltUp streams, predicted, corrected  | 1                 |
 * | beside attention       | LAuReL                                 | -                 |
 * | values                 | RMSNorm without weight                 | as they are       |
 * | attention scale        | 1                                      | head width ^ -1/2 |
 * | keys and values        | shared by the last layers              | of each layer     |
 * | feed-forward           | 95 % sparse gates in the first layers  | dense             |
 * | after the feed-forward | per-layer input                        | -                 |
 * | logits                 | soft-capped                            | as they are       |
 */
#include "model/text/decoder.h"

#include <math.h>
#include <string.h>

/* The last layer that writes keys and values.  Beyond its keys and values, tokens whose logits nobody wants need not be computed.
 */
static uint32_t last_own_layer(const gemlet_text_config *c) {
    return c->first_shared - 1;
}

/* Moves what belongs to the last `wanted` of `count` tokens to the front. */
static void keep_last(const gemlet_text_decoder *d, size_t count, size_t wanted) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_scratch *s = &d->scratch;
    const struct {
        float *values;
        size_t length;
    } arrays[] = {{s->predictions, (size_t)c->streams * c->width},
                  {s->normed, c->width},
                  {s->per_layer, (size_t)c->layers * c->per_layer_width}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if (arrays[i].length > 0) { /* a model without per-layer inputs has no memory for them */
            memmove(arrays[i].values, arrays[i].values + (count - wanted) * arrays[i].length,
                    wanted * arrays[i].length * sizeof(float));
        }
    }
}

/* normed = rms_norm(stream 0 of the predictions), quantised. */
static void norm_input(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t count) {
    const gemlet_text_config *c = d->config;
    for (size_t t = 0; t < count; t++) {
        d->kernels.real->rms_norm(d->scratch.predictions + t * c->streams * c->width, layer->attention_norm, c->epsilon, c->width,
                                  d->scratch.normed + t * c->width);
    }
    gemlet_text_quantize(d, d->scratch.normed, count, c->width);
}

/* laurel = normed + rms_norm(right(left(normed))), from the quantised normed; then they are no longer quantised. */
static void laurel(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t count) {
    const gemlet_text_config *c = d->config;
    gemlet_text_product(d, &layer->laurel_left, count, d->scratch.narrow);
    gemlet_text_quantize(d, d->scratch.narrow, count, layer->laurel_left.rows);
    gemlet_text_product(d, &layer->laurel_right, count, d->scratch.laurel);
    for (size_t t = 0; t < count; t++) {
        float *out = d->scratch.laurel + t * c->width;
        d->kernels.real->rms_norm(out, layer->laurel_norm, c->epsilon, c->width, out);
        d->kernels.real->add_scaled(out, 1.0f, d->scratch.normed + t * c->width, c->width);
    }
}

/* residual = stream 0 + rms_norm(attention block), with LAuReL (that + laurel) / sqrt(2); normed = rms_norm(residual). */
static void add_attention(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t count) {
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    for (size_t t = 0; t < count; t++) {
        float *residual = d->scratch.residual + t * c->width;
        real->rms_norm(d->scratch.branch + t * c->width, layer->post_attention_norm, c->epsilon, c->width, residual);
        real->add_scaled(residual, 1.0f, d->scratch.predictions + t * c->streams * c->width, c->width);
        if (layer->laurel_norm != NULL) {
            real->add_scaled(residual, 1.0f, d->scratch.laurel + t * c->width, c->width);
            real->scale(residual, sqrtf(0.5f), c->width);
        }
        real->rms_norm(residual, layer->feed_forward_norm, c->epsilon, c->width, d->scratch.normed + t * c->width);
    }
}

/* branch = residual + rms_norm(feed-forward block). */
static void add_feed_forward(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t count) {
    const gemlet_text_config *c = d->config;
    for (size_t t = 0; t < count; t++) {
        float *branch = d->scratch.branch + t * c->width;
        d->kernels.real->rms_norm(branch, layer->post_feed_forward_norm, c->epsilon, c->width, branch);
        d->kernels.real->add_scaled(branch, 1.0f, d->scratch.residual + t * c->width, c->width);
    }
}

/* Streams 1 .. += rms_norm(projection(gelu(gate(stream 0 * scale)) * per-layer input)). */
static void add_per_layer_input(const gemlet_text_decoder *d, const gemlet_text_layer *layer, uint32_t index, size_t count) {
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    for (size_t t = 0; t < count; t++) {
        float *first = d->scratch.normed + t * c->width;
        memcpy(first, d->scratch.streams + t * c->streams * c->width, c->width * sizeof *first);
        real->multiply(first, layer->correct_scale, c->width);
    }
    gemlet_text_quantize(d, d->scratch.normed, count, c->width);
    gemlet_text_product(d, &layer->per_layer_gate, count, d->scratch.narrow);
    for (size_t t = 0; t < count; t++) {
        float *gate = d->scratch.narrow + t * c->per_layer_width;
        real->gelu_multiply(gate, d->scratch.per_layer + (t * c->layers + index) * c->per_layer_width, c->per_layer_width, gate);
    }
    gemlet_text_quantize(d, d->scratch.narrow, count, c->per_layer_width);
    gemlet_text_product(d, &layer->per_layer_projection, count, d->scratch.branch);
    for (size_t t = 0; t < count; t++) {
        float *branch = d->scratch.branch + t * c->width;
        real->rms_norm(branch, layer->per_layer_norm, c->epsilon, c->width, branch);
        for (size_t s = 1; s < c->streams; s++) {
            real->add_scaled(d->scratch.streams + (t * c->streams + s) * c->width, 1.0f, branch, c->width);
        }
    }
}

/* One layer over `count` tokens, of which the last `wanted` are wanted beyond the last keys; answers how many are left. */
static size_t layer_forward(const gemlet_text_decoder *d, uint32_t index, size_t position, size_t count, size_t wanted) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    size_t skipped = 0; /* tokens of the chunk before the first of `count` */
    if (c->streams > 1) {
        gemlet_text_predict(d, layer, count);
    }
    norm_input(d, layer, count);
    if (index < c->first_shared) {
        gemlet_text_product(d, &layer->key, count, d->scratch.key);
        gemlet_text_product(d, &layer->value, count, d->scratch.value);
        gemlet_text_store(d, index, position, count);
    }
    if (index == last_own_layer(c) && wanted < count) {
        keep_last(d, count, wanted);
        count = wanted;
        if (count == 0) {
            return 0;
        }
        gemlet_text_quantize(d, d->scratch.normed, count, c->width);
    }
    skipped = d->rotated - count;
    gemlet_text_product(d, &layer->query, count, d->scratch.query);
    if (layer->laurel_norm != NULL) {
        laurel(d, layer, count);
    }
    gemlet_text_attend(d, index, position + skipped, count, skipped);
    gemlet_text_quantize(d, d->scratch.attention, count, (size_t)c->heads * c->head_width);
    gemlet_text_product(d, &layer->output, count, d->scratch.branch);
    add_attention(d, layer, count);
    gemlet_text_feed_forward(d, index, count);
    add_feed_forward(d, layer, count);
    if (c->streams > 1) {
        gemlet_text_correct(d, layer, count);
        add_per_layer_input(d, layer, index, count);
    } else {
        memcpy(d->scratch.streams, d->scratch.branch, count * c->width * sizeof(float));
    }
    return count;
}

gemlet_status gemlet_text_forward(gemlet_text_decoder *d, const gemlet_text_chunk *chunk, gemlet_text_row row, void *context,
                                  gemlet_error *error) {
    const gemlet_text_config *c = d->config;
    size_t wanted = d->no_skipping ? chunk->count : chunk->wanted;
    gemlet_text_embed(d, chunk);
    if (c->per_layer_width > 0) {
        gemlet_status status = gemlet_text_per_layer_inputs(d, chunk, error);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    if (c->streams > 1) {
        gemlet_text_expand_streams(d, chunk->count);
    }
    gemlet_text_rotate_tables(d, chunk->position, chunk->count);
    d->rotated = chunk->count;
    size_t count = chunk->count;
    for (uint32_t i = 0; i < c->layers && count > 0; i++) {
        count = layer_forward(d, i, chunk->position, count, wanted);
        if (d->tap != NULL && count > 0) {
            d->tap(d->tap_context, i, chunk->position + chunk->count - count, count, d->scratch.streams);
        }
    }
    for (size_t i = 0; i < chunk->wanted; i++) {
        gemlet_text_logits(d, count - chunk->wanted + i);
        if (row != NULL) {
            row(context, i, d->logits);
        }
    }
    return GEMLET_OK;
}
