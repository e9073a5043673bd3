/* Into the streams and out of them: token embeddings, per-layer inputs, the other AltUp streams, logits.
 * transformers, Gemma3nTextModel and Gemma4TextModel. */
#include <math.h>
#include <string.h>

#include "model/text/decoder.h"
#include "model/text/tensors.h"

/* Ids of an encoder's range may have embeddings of their own, which are not scaled. */
static void embed_token(const gemlet_text_decoder *d, uint32_t token, float *out) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_weights *w = d->weights;
    if (token - c->vision_offset < c->vision_count) {
        memcpy(out, w->vision_embedding + (size_t)(token - c->vision_offset) * c->width, c->width * sizeof *out);
    } else if (token - c->audio_offset < c->audio_count) {
        memcpy(out, w->audio_embedding + (size_t)(token - c->audio_offset) * c->width, c->width * sizeof *out);
    } else {
        gemlet_matrix_row(&w->embedding, token, out);
        d->kernels.real->scale(out, c->embedding_scale, c->width);
    }
}

void gemlet_text_embed(const gemlet_text_decoder *d, const gemlet_text_chunk *chunk) {
    size_t width = d->config->width;
    size_t stride = d->config->streams * width;
    for (size_t t = 0; t < chunk->count; t++) {
        if (chunk->tokens != NULL) {
            embed_token(d, chunk->tokens[t], d->scratch.streams + t * stride);
        } else {
            memcpy(d->scratch.streams + t * stride, chunk->embeddings + t * width, width * sizeof(float));
        }
        /* Products want the vectors side by side. */
        memcpy(d->scratch.normed + t * width, d->scratch.streams + t * stride, width * sizeof(float));
    }
}

/* Gives x the root mean square of `like`. */
static void match_magnitude(const gemlet_text_decoder *d, const float *like, float *x) {
    size_t width = d->config->width;
    float target = sqrtf(d->kernels.real->mean_square(like, width));
    float own = sqrtf(fmaxf(d->kernels.real->mean_square(x, width), 1e-5f));
    d->kernels.real->scale(x, target / own, width);
}

void gemlet_text_expand_streams(const gemlet_text_decoder *d, size_t count) {
    size_t width = d->config->width;
    size_t stride = d->config->streams * width;
    gemlet_text_quantize(d, &d->weights->stream_in[1], d->scratch.normed, count);
    for (size_t s = 1; s < d->config->streams; s++) {
        gemlet_text_product(d, &d->weights->stream_in[s], count, d->scratch.branch);
        for (size_t t = 0; t < count; t++) {
            float *stream = d->scratch.streams + t * stride + s * width;
            memcpy(stream, d->scratch.branch + t * width, width * sizeof *stream);
            match_magnitude(d, d->scratch.streams + t * stride, stream);
        }
    }
}

/* What the per-layer table has for `token`, times the root of its width, to scratch.table_values. */
static gemlet_status read_table_row(const gemlet_text_decoder *d, uint32_t token, gemlet_error *error) {
    const gemlet_matrix *table = &d->weights->per_layer_table;
    uint32_t row = token < d->config->per_layer_vocabulary ? token : 0;
    size_t rows = gemlet_text_table_rows(d->config, table->type), bytes = gemlet_text_table_bytes(d->config, table);
    uint64_t offset = d->weights->per_layer_offset + (uint64_t)row * bytes;
    if (d->port->read_at(d->port->context, d->container->file, offset, d->scratch.table_row, bytes) != (int64_t)bytes) {
        return gemlet_container_fail_read(d->container, GEMLET_TABLE_TENSOR, error);
    }
    gemlet_matrix read = *table;
    read.data = d->scratch.table_row;
    for (size_t i = 0; i < rows; i++) {
        gemlet_matrix_row(&read, i, d->scratch.table_values + i * table->columns);
    }
    d->kernels.real->scale(d->scratch.table_values, sqrtf((float)d->config->per_layer_width), rows * table->columns);
    return GEMLET_OK;
}

/* The inputs of `layers` layers from `first` on, [tokens][layers][per_layer_width], of all tokens of a chunk but the first
 * `skipped`. */
typedef struct per_layer_part {
    float *inputs;
    size_t first, layers, skipped;
} per_layer_part;

/* inputs = projection x normed. */
static void project_per_layer(const gemlet_text_decoder *d, const per_layer_part *part, size_t count) {
    size_t width = d->config->width;
    size_t per_layer = d->config->per_layer_width;
    gemlet_matrix rows = gemlet_matrix_panels(&d->weights->per_layer_projection, part->first * per_layer, part->layers * per_layer);
    if (count > part->skipped && part->layers > 0) {
        gemlet_text_quantize(d, &rows, d->scratch.normed + part->skipped * width, count - part->skipped);
        gemlet_text_product(d, &rows, count - part->skipped, part->inputs);
    }
}

/* inputs = (rms_norm(inputs / sqrt(width)) + table row) / sqrt(2), by layer: those of a token. */
static void finish_per_layer(const gemlet_text_decoder *d, const per_layer_part *part, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    size_t numbers = part->layers * c->per_layer_width;
    float *inputs = part->inputs + (token - part->skipped) * numbers;
    real->scale(inputs, 1.0f / sqrtf((float)c->width), numbers);
    for (size_t i = 0; i < numbers; i += c->per_layer_width) {
        real->rms_norm(inputs + i, d->weights->per_layer_norm, c->epsilon, c->per_layer_width, inputs + i);
    }
    real->add_scaled(inputs, 1.0f, d->scratch.table_values + part->first * c->per_layer_width, numbers);
    real->scale(inputs, sqrtf(0.5f), numbers);
}

/* Tokens whose logits nobody wants stop where the last keys are written. */
gemlet_status gemlet_text_per_layer_inputs(const gemlet_text_decoder *d, const gemlet_text_chunk *chunk, gemlet_error *error) {
    size_t common = gemlet_text_common_layers(d->config);
    size_t skipped = d->no_skipping ? 0 : chunk->count - chunk->wanted;
    const per_layer_part parts[2] = {{d->scratch.per_layer, 0, common, 0},
                                     {d->scratch.last_per_layer, common, d->config->layers - common, skipped}};
    for (size_t i = 0; i < 2; i++) {
        project_per_layer(d, &parts[i], chunk->count);
    }
    for (size_t t = 0; t < chunk->count; t++) {
        gemlet_status status = read_table_row(d, chunk->tokens != NULL ? chunk->tokens[t] : 0, error);
        if (status != GEMLET_OK) {
            return status;
        }
        for (size_t i = 0; i < 2; i++) {
            if (t >= parts[i].skipped) {
                finish_per_layer(d, &parts[i], t);
            }
        }
    }
    return GEMLET_OK;
}

/* The mean of the streams, each projected back, normed: to scratch.normed of token 0. */
static void join_streams(const gemlet_text_decoder *d, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    const float *streams = d->scratch.streams + token * c->streams * c->width;
    float *sum = d->scratch.residual;
    if (c->streams == 1) {
        real->rms_norm(streams, d->weights->output_norm, c->epsilon, c->width, d->scratch.normed);
        return;
    }
    memcpy(sum, streams, c->width * sizeof *sum);
    for (size_t s = 1; s < c->streams; s++) {
        gemlet_text_quantize(d, &d->weights->stream_out[s], streams + s * c->width, 1);
        gemlet_text_product(d, &d->weights->stream_out[s], 1, d->scratch.branch);
        match_magnitude(d, streams, d->scratch.branch);
        real->add_scaled(sum, 1.0f, d->scratch.branch, c->width);
    }
    real->scale(sum, 1.0f / (float)c->streams, c->width);
    real->rms_norm(sum, d->weights->output_norm, c->epsilon, c->width, d->scratch.normed);
}

void gemlet_text_logits(const gemlet_text_decoder *d, size_t token) {
    join_streams(d, token);
    const gemlet_matrix *head = d->config->own_head ? &d->weights->head : &d->weights->embedding;
    gemlet_text_quantize(d, head, d->scratch.normed, 1);
    gemlet_text_product(d, head, 1, d->logits);
    if (d->config->soft_cap > 0.0f) {
        d->kernels.real->soft_cap(d->logits, d->config->soft_cap, d->config->vocabulary);
    }
}
