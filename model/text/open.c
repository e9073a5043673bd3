#include "model/text/decoder.h"

/* Takes arrays from one end of the arena and remembers the first failure. */
typedef struct taker {
    gemlet_arena *arena;
    gemlet_error *error;
    gemlet_status status;
    bool kept;
} taker;

static void *take(taker *t, const char *name, size_t count, size_t bytes) {
    void *out = NULL;
    if (t->status == GEMLET_OK && count > 0) {
        if (bytes > SIZE_MAX / count) {
            t->status = gemlet_fail(t->error, GEMLET_ERROR_MEMORY, "a size overflows: ");
            gemlet_error_text(t->error, name);
        } else {
            t->status = (t->kept ? gemlet_arena_keep : gemlet_arena_scratch)(t->arena, name, count * bytes, &out, t->error);
        }
    }
    return out;
}

static size_t largest(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Rings hold what the first token of a chunk still sees after its last one was written. */
static uint32_t ring_slots(const gemlet_text_decoder *d, uint32_t layer) {
    uint32_t ring = d->config->window + d->chunk;
    return d->config->local[layer] && ring < d->context ? ring : d->context;
}

static void take_caches(gemlet_text_decoder *d, taker *t) {
    const gemlet_text_config *c = d->config;
    size_t row_bytes = d->int8_cache ? gemlet_padded_channels(c->head_width) : c->head_width * sizeof(uint16_t);
    d->caches = take(t, "session", c->first_shared, sizeof *d->caches);
    for (uint32_t i = 0; i < c->first_shared; i++) {
        gemlet_text_cache cache = {.slots = ring_slots(d, i)};
        size_t rows = (size_t)c->kv_heads * cache.slots;
        cache.keys = take(t, "KV cache", rows, row_bytes);
        cache.values = take(t, "KV cache", rows, row_bytes);
        cache.key_scale = take(t, "KV cache", d->int8_cache ? rows : 0, sizeof(float));
        cache.value_scale = take(t, "KV cache", d->int8_cache ? rows : 0, sizeof(float));
        if (d->caches != NULL) {
            d->caches[i] = cache;
        }
    }
}

static void take_scratch(gemlet_text_decoder *d, taker *t) {
    const gemlet_text_config *c = d->config;
    gemlet_text_scratch *s = &d->scratch;
    size_t n = d->chunk;
    size_t queries = (size_t)c->heads * c->head_width;
    size_t keys = (size_t)c->kv_heads * c->head_width;
    size_t narrow = largest(c->laurel_rank, c->per_layer_width);
    size_t inner = c->widest_feed_forward;
    size_t table = (size_t)c->layers * c->per_layer_width;
    size_t widest = largest(largest(c->width, queries), largest(inner, narrow));
    bool sparse = false;
    for (uint32_t i = 0; i < c->layers; i++) {
        sparse = sparse || c->sparsity[i] > 0.0f;
    }
    s->streams = take(t, "streams", n * c->streams * c->width, sizeof(float));
    s->predictions = c->streams > 1 ? take(t, "streams", n * c->streams * c->width, sizeof(float)) : s->streams;
    s->per_layer = take(t, "per-layer inputs", n * table, sizeof(float));
    s->table_values = take(t, "per-layer inputs", table, sizeof(float));
    s->table_row = table > 0 ? take(t, "per-layer inputs",
                                    gemlet_packing_group_bytes(d->weights->per_layer_table.type, GEMLET_PACKED_ROWS, 1, table), 1)
                             : NULL;
    s->normed = take(t, "blocks", n * c->width, sizeof(float));
    s->branch = take(t, "blocks", n * c->width, sizeof(float));
    s->laurel = take(t, "blocks", c->laurel_rank > 0 ? n * c->width : 0, sizeof(float));
    s->residual = take(t, "blocks", n * c->width, sizeof(float));
    s->narrow = take(t, "blocks", n * narrow, sizeof(float));
    s->query = take(t, "attention", n * queries, sizeof(float));
    s->attention = take(t, "attention", n * queries, sizeof(float));
    s->key = take(t, "attention", n * keys, sizeof(float));
    s->value = take(t, "attention", n * keys, sizeof(float));
    for (size_t kind = 0; kind < 2; kind++) {
        s->cosine[kind] = take(t, "attention", n * (c->head_width / 2), sizeof(float));
        s->sine[kind] = take(t, "attention", n * (c->head_width / 2), sizeof(float));
    }
    d->score_row = largest(d->context, (size_t)c->window + d->chunk);
    s->scores = take(t, "attention", d->threads * (c->heads / c->kv_heads) * d->score_row, sizeof(float));
    s->gate = take(t, "feed-forward", n * inner, sizeof(float));
    s->up = take(t, "feed-forward", n * inner, sizeof(float));
    s->list = take(t, "feed-forward", sparse ? n * inner : 0, sizeof(uint32_t));
    s->list_length = take(t, "feed-forward", n, sizeof(size_t));
    s->single = take(t, "activations", sparse ? n : 0, gemlet_activation_bytes(1, largest(c->width, inner)));
    s->activations = take(t, "activations", 1, gemlet_activation_bytes(n, widest));
}

gemlet_status gemlet_text_open(gemlet_text_decoder *decoder, gemlet_arena *arena, gemlet_error *error) {
    taker kept = {arena, error, GEMLET_OK, true};
    take_caches(decoder, &kept);
    decoder->logits = take(&kept, "logits", decoder->config->vocabulary, sizeof(float));
    if (kept.status != GEMLET_OK) {
        return kept.status;
    }
    taker scratch = {arena, error, GEMLET_OK, false};
    take_scratch(decoder, &scratch);
    return scratch.status;
}
