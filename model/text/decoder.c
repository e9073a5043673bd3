/* The forward pass of the Gemma decoders, top to bottom.
 *
 * | stage                  | trait or number   | Gemma 4                | Gemma 3n                    | Gemma 3           |
 * |------------------------|-------------------|------------------------|-----------------------------|-------------------|
 * | residual               | altup             | 1                      | 4 AltUp streams             | 1                 |
 * | beside attention       | laurel            | -                      | LAuReL                      | -                 |
 * | heads                  | local_heads       | wider in global layers | the same                    | the same          |
 * | RoPE                   | partial_rotation  | a quarter of the pairs | all pairs                   | all pairs         |
 * | values                 | value_norm        | RMSNorm without weight | RMSNorm without weight      | as they are       |
 * | attention scale        | attention_scale   | 1                      | 1                           | head width ^ -1/2 |
 * | keys and values        | shared_keys       | shared by the last     | shared by the last          | of each layer     |
 * | feed-forward           | sparsity          | dense                  | sparse in the first layers  | dense             |
 * | after the feed-forward | per_layer_inputs  | to the stream          | to all streams but one      | -                 |
 * | end of a layer         | layer_scalar      | times a number         | -                           | -                 |
 * | logits                 | soft_cap          | soft-capped            | soft-capped                 | as they are       |
 */
#include "model/text/decoder.h"

#include <math.h>
#include <string.h>

/* Moves what belongs to the last `wanted` of `count` tokens to the front. */
static void keep_last(const gemlet_text_decoder *d, size_t count, size_t wanted) {
    size_t width = d->config->width;
    size_t streams = d->config->streams * width;
    size_t skipped = count - wanted;
    memmove(d->scratch.predictions, d->scratch.predictions + skipped * streams, wanted * streams * sizeof(float));
    memmove(d->scratch.normed, d->scratch.normed + skipped * width, wanted * width * sizeof(float));
}

/* normed = rms_norm(stream 0 of the predictions). */
static void norm_input(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    d->kernels.real->rms_norm(d->scratch.predictions + token * c->streams * c->width, d->weights->layers[layer].attention_norm,
                              c->epsilon, c->width, d->scratch.normed + token * c->width);
}

/* laurel = normed + rms_norm(right(left(normed))), laurel being right's product. */
static void finish_laurel(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    float *out = d->scratch.laurel + token * c->width;
    d->kernels.real->rms_norm(out, d->weights->layers[layer].laurel_norm, c->epsilon, c->width, out);
    d->kernels.real->add_scaled(out, 1.0f, d->scratch.normed + token * c->width, c->width);
}

/* residual = stream 0 + rms_norm(attention block), with LAuReL (that + laurel) / sqrt(2); normed = rms_norm(residual). */
static void add_attention(const gemlet_text_decoder *d, uint32_t index, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const gemlet_real_kernels *real = d->kernels.real;
    float *residual = d->scratch.residual + token * c->width;
    float *branch = d->scratch.branch + token * c->width;
    real->rms_norm(branch, layer->post_attention_norm, c->epsilon, c->width, branch);
    if (c->traits->altup) { /* else the stream is the residual */
        memcpy(residual, d->scratch.predictions + token * c->streams * c->width, c->width * sizeof *residual);
    }
    real->add_scaled(residual, 1.0f, branch, c->width);
    if (c->traits->laurel) {
        real->add_scaled(residual, 1.0f, d->scratch.laurel + token * c->width, c->width);
        real->scale(residual, sqrtf(0.5f), c->width);
    }
    real->rms_norm(residual, layer->feed_forward_norm, c->epsilon, c->width, d->scratch.normed + token * c->width);
}

/* residual + rms_norm(feed-forward block): to the stream, or to branch and by AltUp into all streams. */
static void add_feed_forward(const gemlet_text_decoder *d, uint32_t index, size_t token) {
    const gemlet_text_config *c = d->config;
    float *branch = d->scratch.branch + token * c->width;
    float *residual = d->scratch.residual + token * c->width;
    d->kernels.real->rms_norm(branch, d->weights->layers[index].post_feed_forward_norm, c->epsilon, c->width, branch);
    if (c->traits->altup) {
        d->kernels.real->add_scaled(branch, 1.0f, residual, c->width);
        gemlet_text_correct(d, index, token);
    } else {
        d->kernels.real->add_scaled(residual, 1.0f, branch, c->width);
    }
}

/* Streams 1 .. += rms_norm(projection(gelu(gate(stream 0 * scale)) * per-layer input)), in three steps between two products;
 * without AltUp the only stream, unscaled, is where it comes from and goes to. */
static void scale_first_stream(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    float *first = d->scratch.normed + token * c->width;
    memcpy(first, d->scratch.streams + token * c->streams * c->width, c->width * sizeof *first);
    d->kernels.real->multiply(first, d->weights->layers[layer].correct_scale, c->width);
}

static void gate_per_layer_input(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    float *gate = d->scratch.narrow + token * c->per_layer_width;
    uint32_t common = gemlet_text_common_layers(c);
    const float *input = layer < common
                             ? d->scratch.per_layer + (token * common + layer) * c->per_layer_width
                             : d->scratch.last_per_layer + (token * (c->layers - common) + layer - common) * c->per_layer_width;
    d->kernels.real->gelu_multiply(gate, input, c->per_layer_width, gate);
}

static void add_per_layer_input(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    float *branch = d->scratch.branch + token * c->width;
    bool to_others = c->traits->per_layer_inputs == GEMLET_PER_LAYER_INPUTS_TO_OTHER_STREAMS;
    d->kernels.real->rms_norm(branch, d->weights->layers[layer].per_layer_norm, c->epsilon, c->width, branch);
    for (size_t s = to_others ? 1 : 0; s < c->streams; s++) {
        d->kernels.real->add_scaled(d->scratch.streams + (token * c->streams + s) * c->width, 1.0f, branch, c->width);
    }
}

static void per_layer_input(const gemlet_text_decoder *d, uint32_t index, size_t count) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const float *gated = d->scratch.streams;
    if (c->traits->per_layer_inputs == GEMLET_PER_LAYER_INPUTS_TO_OTHER_STREAMS) {
        gemlet_text_each(d, index, count, scale_first_stream);
        gated = d->scratch.normed;
    }
    gemlet_text_quantize(d, &layer->per_layer_gate, gated, count);
    gemlet_text_product(d, &layer->per_layer_gate, count, d->scratch.narrow);
    gemlet_text_each(d, index, count, gate_per_layer_input);
    gemlet_text_quantize(d, &layer->per_layer_projection, d->scratch.narrow, count);
    gemlet_text_product(d, &layer->per_layer_projection, count, d->scratch.branch);
    gemlet_text_each(d, index, count, add_per_layer_input);
}

static void scale_stream(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    size_t numbers = (size_t)c->streams * c->width;
    d->kernels.real->scale(d->scratch.streams + token * numbers, d->weights->layers[layer].scalar[0], numbers);
}

/* Keys and values of `count` tokens into the cache.  Answers for how many the rest of the layer is to be computed: `wanted` in the
 * last layer that has keys, all before. */
static size_t keys_and_values(const gemlet_text_decoder *d, uint32_t index, size_t count, size_t wanted) {
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const gemlet_text_output outputs[] = {{&layer->key, d->scratch.key}, {&layer->value, d->scratch.value}};
    if (index >= d->config->first_shared) {
        return count;
    }
    gemlet_text_products(d, d->scratch.activations, outputs, 2, count);
    gemlet_text_each(d, index, count, gemlet_text_store);
    if (index != gemlet_text_common_layers(d->config) || wanted >= count) {
        return count;
    }
    keep_last(d, count, wanted);
    gemlet_text_quantize(d, &layer->query, d->scratch.normed, wanted);
    return wanted;
}

/* query and laurel from the quantised normed. */
static void query_and_laurel(const gemlet_text_decoder *d, uint32_t index, size_t count) {
    const gemlet_text_layer *layer = &d->weights->layers[index];
    const gemlet_text_output outputs[] = {{&layer->query, d->scratch.query}, {&layer->laurel_left, d->scratch.narrow}};
    bool has_laurel = d->config->traits->laurel;
    gemlet_text_products(d, d->scratch.activations, outputs, has_laurel ? 2 : 1, count);
    if (has_laurel) {
        gemlet_text_quantize(d, &layer->laurel_right, d->scratch.narrow, count);
        gemlet_text_product(d, &layer->laurel_right, count, d->scratch.laurel);
        gemlet_text_each(d, index, count, finish_laurel);
    }
}

/* One layer over `count` tokens, of which the last `wanted` are wanted beyond the last keys; answers how many are left. */
static size_t layer_forward(const gemlet_text_decoder *d, uint32_t index, size_t count, size_t wanted) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_layer *layer = &d->weights->layers[index];
    if (c->traits->altup) {
        gemlet_text_each(d, index, count, gemlet_text_predict);
    }
    gemlet_text_each(d, index, count, norm_input);
    gemlet_text_quantize(d, &layer->query, d->scratch.normed, count);
    count = keys_and_values(d, index, count, wanted);
    if (count == 0) {
        return 0;
    }
    query_and_laurel(d, index, count);
    gemlet_text_attend(d, index, count);
    gemlet_text_quantize(d, &layer->output, d->scratch.query, count);
    gemlet_text_product(d, &layer->output, count, d->scratch.branch);
    gemlet_text_each(d, index, count, add_attention);
    gemlet_text_feed_forward(d, index, count);
    gemlet_text_each(d, index, count, add_feed_forward);
    if (c->traits->per_layer_inputs != GEMLET_NO_PER_LAYER_INPUTS) {
        per_layer_input(d, index, count);
    }
    if (c->traits->layer_scalar) {
        gemlet_text_each(d, index, count, scale_stream);
    }
    return count;
}

gemlet_status gemlet_text_forward(gemlet_text_decoder *d, const gemlet_text_chunk *chunk, gemlet_text_row row, void *context,
                                  gemlet_error *error) {
    const gemlet_text_config *c = d->config;
    size_t wanted = d->no_skipping && !chunk->together ? chunk->count : chunk->wanted;
    gemlet_text_embed(d, chunk);
    if (c->traits->per_layer_inputs != GEMLET_NO_PER_LAYER_INPUTS) {
        gemlet_status status = gemlet_text_per_layer_inputs(d, chunk, error);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    if (c->traits->altup) {
        gemlet_text_expand_streams(d, chunk->count);
    }
    d->position = chunk->position;
    d->rotated = chunk->count;
    d->together = chunk->together;
    gemlet_text_rotate_tables(d);
    size_t count = chunk->count;
    for (uint32_t i = 0; i < c->layers && count > 0; i++) {
        count = layer_forward(d, i, count, wanted);
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
