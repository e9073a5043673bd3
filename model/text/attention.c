/* Attention with a cache of keys and values: rings of `slots` positions, of which local layers see the last `window`.  Tokens that
 * are together see each other as well, those behind them too: of the window only the lower end counts. */
#include <string.h>

#include "model/text/decoder.h"
#include "model/text/ring.h"

void gemlet_text_rotate_tables(const gemlet_text_decoder *d) {
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS; kind++) {
        size_t pairs = d->config->kinds[kind].head_width / 2;
        size_t rotated = d->config->kinds[kind].rotated_pairs;
        for (size_t t = 0; t < d->rotated; t++) {
            float *cosine = d->scratch.cosine[kind] + t * pairs;
            float *sine = d->scratch.sine[kind] + t * pairs;
            gemlet_rope_table(d->weights->turns[kind], rotated, d->position + t, cosine, sine);
            for (size_t i = rotated; i < pairs; i++) {
                cosine[i] = 1.0f;
                sine[i] = 0.0f;
            }
        }
    }
}

static void norm_and_rotate(const gemlet_text_decoder *d, uint32_t layer, const float *norm, size_t token, float *head) {
    gemlet_layer_kind kind = d->config->layer[layer].kind;
    size_t width = d->config->kinds[kind].head_width;
    d->kernels.real->rms_norm(head, norm, d->config->epsilon, width, head);
    d->kernels.real->rope(head, d->scratch.cosine[kind] + token * (width / 2), d->scratch.sine[kind] + token * (width / 2), width);
}

size_t gemlet_text_cache_stride(const gemlet_text_decoder *d, const gemlet_attention_config *kind) {
    return d->int8_cache ? gemlet_padded_channels(kind->head_width) : kind->head_width;
}

size_t gemlet_text_cache_row_bytes(const gemlet_text_decoder *d, const gemlet_attention_config *kind) {
    return gemlet_text_cache_stride(d, kind) * (d->int8_cache ? sizeof(int8_t) : sizeof(uint16_t));
}

static void store_row(const gemlet_text_decoder *d, const gemlet_attention_config *kind, const float *x, void *rows, float *scale,
                      size_t row) {
    void *to = (char *)rows + row * gemlet_text_cache_row_bytes(d, kind);
    if (d->int8_cache) {
        d->kernels.conv->quantize(x, kind->head_width, 1, kind->head_width, to, scale + row);
    } else {
        d->kernels.real->to_half(x, kind->head_width, to);
    }
}

/* Keys: norm, RoPE.  Values: RMSNorm without weight, or as they are. */
void gemlet_text_store(const gemlet_text_decoder *d, uint32_t layer, size_t token) {
    const gemlet_text_config *c = d->config;
    const gemlet_attention_config *kind = gemlet_attention_of(c, layer);
    const gemlet_text_cache *cache = &d->caches[layer];
    for (size_t h = 0; h < kind->kv_heads; h++) {
        float *key = d->scratch.key + (token * kind->kv_heads + h) * kind->head_width;
        float *value = d->scratch.value + (token * kind->kv_heads + h) * kind->head_width;
        norm_and_rotate(d, layer, d->weights->layers[layer].key_norm, token, key);
        if (c->traits->value_norm) {
            d->kernels.real->rms_norm(value, NULL, c->epsilon, kind->head_width, value);
        }
        size_t row = h * cache->slots + gemlet_ring_slot(cache->slots, d->position + token);
        store_row(d, kind, key, cache->keys, cache->key_scale, row);
        store_row(d, kind, value, cache->values, cache->value_scale, row);
    }
}

/* `count` positions from `slot` on of one head's keys or values. */
static gemlet_rows cached_rows(const gemlet_text_decoder *d, const gemlet_attention_config *kind, const void *rows,
                               const float *scale, size_t first_row, size_t count) {
    return (gemlet_rows){(const char *)rows + first_row * gemlet_text_cache_row_bytes(d, kind),
                         d->int8_cache ? scale + first_row : NULL,
                         count,
                         kind->head_width,
                         gemlet_text_cache_stride(d, kind),
                         d->int8_cache ? GEMLET_ROW_S8 : GEMLET_ROW_F16};
}

typedef struct attend_job {
    const gemlet_text_decoder *decoder;
    uint32_t layer;
    size_t skipped; /* tokens of the chunk before scratch.query's first: where its row of the RoPE tables is */
    size_t count;
    size_t group; /* queries that one task computes together: those of a key head, or a part of them */
    size_t tasks;
} attend_job;

/* job->group queries from `first` on, which share a key head, of one token; the heads' outputs take their place. */
static void attend_heads(const attend_job *job, size_t token, size_t first, float *scores) {
    const gemlet_text_decoder *d = job->decoder;
    const gemlet_text_config *c = d->config;
    const gemlet_real_kernels *real = d->kernels.real;
    const gemlet_attention_config *kind = gemlet_attention_of(c, job->layer);
    const gemlet_text_cache *cache = &d->caches[c->layer[job->layer].cache];
    size_t width = kind->head_width;
    size_t group = job->group;
    size_t h = first / (c->heads / kind->kv_heads);
    size_t own = d->position + job->skipped + token + 1; /* where positions end that it sees in any case */
    size_t end = d->together ? d->position + d->rotated : own;
    size_t seen = gemlet_ring_seen(kind->window, own) + end - own;
    gemlet_ring_span span = gemlet_ring_last(cache->slots, end, seen);
    const size_t starts[2] = {h * cache->slots + span.first, h * cache->slots}, pieces[2] = {span.count, span.wrapped};
    float *query = d->scratch.query + (token * c->heads + first) * width;
    for (size_t q = 0; q < group; q++) {
        norm_and_rotate(d, job->layer, d->weights->layers[job->layer].query_norm, job->skipped + token, query + q * width);
        if (c->attention_scale < 1.0f || c->attention_scale > 1.0f) {
            real->scale(query + q * width, c->attention_scale, width);
        }
    }
    size_t done = 0;
    for (size_t p = 0; p < 2; done += pieces[p++]) {
        gemlet_rows keys = cached_rows(d, kind, cache->keys, cache->key_scale, starts[p], pieces[p]);
        real->dot(&keys, query, width, group, scores + done, seen);
    }
    for (size_t q = 0; q < group; q++) {
        real->softmax(scores + q * seen, seen);
    }
    memset(query, 0, group * width * sizeof *query);
    done = 0;
    for (size_t p = 0; p < 2; done += pieces[p++]) {
        gemlet_rows values = cached_rows(d, kind, cache->values, cache->value_scale, starts[p], pieces[p]);
        real->mix(&values, scores + done, seen, group, query, width);
    }
}

static void attend_task(void *argument, size_t task) {
    const attend_job *job = argument;
    const gemlet_text_decoder *d = job->decoder;
    size_t groups = d->config->heads / job->group;
    float *scores = d->scratch.scores + task * job->group * d->score_row;
    size_t item = 0;
    size_t end = 0;
    for (gemlet_share(job->count * groups, task, job->tasks, &item, &end); item < end; item++) {
        attend_heads(job, item / groups, item % groups * job->group, scores);
    }
}

void gemlet_text_attend(const gemlet_text_decoder *d, uint32_t layer, size_t count) {
    /* Queries together read a row of keys once; but all threads are to have some. */
    size_t group = d->config->heads / gemlet_attention_of(d->config, layer)->kv_heads;
    while (count * d->config->heads / group < d->threads && group % 2 == 0) {
        group /= 2;
    }
    attend_job job = {d, layer, d->rotated - count, count, group, gemlet_text_tasks(d, count * d->config->heads / group)};
    gemlet_parallel(d->port, attend_task, &job, job.tasks);
}
