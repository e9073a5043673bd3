/* Attention with a cache of keys and values: rings of `slots` positions, of which local layers see the last `window`. */
#include <string.h>

#include "model/text/decoder.h"

void gemlet_text_rotate_tables(const gemlet_text_decoder *d) {
    size_t pairs = d->config->head_width / 2;
    const double *turns[2] = {d->weights->global_turns, d->weights->local_turns};
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t t = 0; t < d->rotated; t++) {
            gemlet_rope_table(turns[kind], pairs, d->position + t, d->scratch.cosine[kind] + t * pairs,
                              d->scratch.sine[kind] + t * pairs);
        }
    }
}

static void norm_and_rotate(const gemlet_text_decoder *d, uint32_t layer, const float *norm, size_t token, float *head) {
    size_t width = d->config->head_width;
    size_t kind = d->config->local[layer] ? 1 : 0;
    d->kernels.real->rms_norm(head, norm, d->config->epsilon, width, head);
    d->kernels.real->rope(head, d->scratch.cosine[kind] + token * (width / 2), d->scratch.sine[kind] + token * (width / 2), width);
}

/* Elements from one cached row to the next. */
static size_t row_stride(const gemlet_text_decoder *d) {
    return d->int8_cache ? gemlet_padded_channels(d->config->head_width) : d->config->head_width;
}

static void store_row(const gemlet_text_decoder *d, const float *x, void *rows, float *scale, size_t row) {
    if (d->int8_cache) {
        d->kernels.conv->quantize(x, d->config->head_width, 1, d->config->head_width, (int8_t *)rows + row * row_stride(d),
                                  scale + row);
    } else {
        d->kernels.real->to_half(x, d->config->head_width, (uint16_t *)rows + row * row_stride(d));
    }
}

/* Keys: norm, RoPE.  Values: RMSNorm without weight in Gemma 3n, as they are in Gemma 3. */
void gemlet_text_store(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_text_cache *cache = &d->caches[layer];
    for (size_t h = 0; h < c->kv_heads; h++) {
        float *key = d->scratch.key + (token * c->kv_heads + h) * c->head_width;
        float *value = d->scratch.value + (token * c->kv_heads + h) * c->head_width;
        norm_and_rotate(d, layer, d->weights->layers[layer].key_norm, token, key);
        if (c->per_layer_width > 0) {
            d->kernels.real->rms_norm(value, NULL, c->epsilon, c->head_width, value);
        }
        size_t row = h * cache->slots + (d->position + token) % cache->slots;
        store_row(d, key, cache->keys, cache->key_scale, row);
        store_row(d, value, cache->values, cache->value_scale, row);
    }
}

/* `count` positions from `slot` on of one head's keys or values. */
static gemlet_rows cached_rows(const gemlet_text_decoder *d, const void *rows, const float *scale, size_t first_row, size_t count) {
    size_t stride = row_stride(d);
    const char *data = (const char *)rows + first_row * stride * (d->int8_cache ? 1 : 2);
    return (gemlet_rows){data,   d->int8_cache ? scale + first_row : NULL,      count, d->config->head_width,
                         stride, d->int8_cache ? GEMLET_ROW_S8 : GEMLET_ROW_F16};
}

typedef struct attend_job {
    const gemlet_text_decoder *decoder;
    uint32_t layer;
    size_t skipped; /* tokens of the chunk before scratch.query's first: where its row of the RoPE tables is */
    size_t count;
    size_t tasks;
} attend_job;

/* The queries that share key head `h`, of one token. */
static void attend_head(const attend_job *job, size_t token, size_t h, float *scores) {
    const gemlet_text_decoder *d = job->decoder;
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    const gemlet_text_cache *cache = &d->caches[c->cache[job->layer]];
    size_t group = c->heads / c->kv_heads;
    size_t end = d->position + job->skipped + token + 1;
    size_t seen = c->local[job->layer] && end > c->window ? c->window : end;
    size_t slot = (end - seen) % cache->slots;
    size_t pieces[2] = {seen < cache->slots - slot ? seen : cache->slots - slot, 0};
    pieces[1] = seen - pieces[0];
    float *query = d->scratch.query + (token * c->heads + h * group) * c->head_width;
    float *out = d->scratch.attention + (token * c->heads + h * group) * c->head_width;
    for (size_t q = 0; q < group; q++) {
        norm_and_rotate(d, job->layer, d->weights->layers[job->layer].query_norm, job->skipped + token, query + q * c->head_width);
        if (c->attention_scale < 1.0f || c->attention_scale > 1.0f) {
            real->scale(query + q * c->head_width, c->attention_scale, c->head_width);
        }
    }
    size_t done = 0;
    for (size_t p = 0; p < 2; done += pieces[p++]) {
        gemlet_rows keys = cached_rows(d, cache->keys, cache->key_scale, h * cache->slots + (p == 0 ? slot : 0), pieces[p]);
        real->dot(&keys, query, c->head_width, group, scores + done, seen);
    }
    for (size_t q = 0; q < group; q++) {
        real->softmax(scores + q * seen, seen);
    }
    memset(out, 0, group * c->head_width * sizeof *out);
    done = 0;
    for (size_t p = 0; p < 2; done += pieces[p++]) {
        gemlet_rows values = cached_rows(d, cache->values, cache->value_scale, h * cache->slots + (p == 0 ? slot : 0), pieces[p]);
        real->mix(&values, scores + done, seen, group, out, c->head_width);
    }
}

static void attend_task(void *argument, size_t task) {
    const attend_job *job = argument;
    const gemlet_text_decoder *d = job->decoder;
    size_t kv_heads = d->config->kv_heads;
    float *scores = d->scratch.scores + task * (d->config->heads / kv_heads) * d->score_row;
    size_t item = 0;
    size_t end = 0;
    for (gemlet_text_share(job->count * kv_heads, task, job->tasks, &item, &end); item < end; item++) {
        attend_head(job, item / kv_heads, item % kv_heads, scores);
    }
}

void gemlet_text_attend(const gemlet_text_decoder *d, uint32_t layer, size_t count) {
    size_t items = count * d->config->kv_heads;
    attend_job job = {d, layer, d->rotated - count, count, gemlet_text_tasks(d, items)};
    gemlet_text_parallel(d, attend_task, &job, job.tasks);
}
