#include "core/carver.h"
#include "core/checked.h"
#include "model/text/decoder.h"
#include "model/text/ring.h"
#include "model/text/tensors.h"

/* Takes what stays and remembers the first failure. */
typedef struct taker {
    gemlet_arena *arena;
    gemlet_error *error;
    gemlet_status status;
} taker;

static void *take(taker *t, const char *name, size_t count, size_t bytes) {
    void *out = NULL;
    if (t->status == GEMLET_OK && count > 0) {
        uint64_t all = gemlet_times(count, bytes);
        if (all >= SIZE_MAX) {
            t->status = gemlet_fail(t->error, GEMLET_ERROR_MEMORY, "a size overflows: ");
            gemlet_error_text(t->error, name);
        } else {
            t->status = gemlet_arena_keep(t->arena, name, (size_t)all, &out, t->error);
        }
    }
    return out;
}

static void take_caches(gemlet_text_decoder *d, taker *t) {
    const gemlet_text_config *c = d->config;
    d->caches = take(t, "session", c->first_shared, sizeof *d->caches);
    for (uint32_t i = 0; i < c->first_shared; i++) {
        const gemlet_attention_config *kind = gemlet_attention_of(c, i);
        gemlet_text_cache cache = {.slots = gemlet_ring_slots(kind->window, d->chunk, d->context)};
        size_t row_bytes = gemlet_text_cache_row_bytes(d, kind);
        size_t rows = (size_t)kind->kv_heads * cache.slots;
        cache.keys = take(t, "KV cache", rows, row_bytes);
        cache.values = take(t, "KV cache", rows, row_bytes);
        cache.key_scale = take(t, "KV cache", d->int8_cache ? rows : 0, sizeof(float));
        cache.value_scale = take(t, "KV cache", d->int8_cache ? rows : 0, sizeof(float));
        if (d->caches != NULL) {
            d->caches[i] = cache;
        }
    }
}

/* Of quantised vectors for the model's matrices, which are all of blocks or all have one scale a row. */
static size_t activation_bytes(const gemlet_text_decoder *d, size_t count, size_t length) {
    return gemlet_is_row_scaled(d->weights->embedding.type) ? gemlet_row_scaled_activation_bytes(count, length)
                                                            : gemlet_activation_bytes(count, length);
}

static void carve_scratch(gemlet_text_decoder *d, gemlet_carver *memory) {
    const gemlet_text_config *c = d->config;
    gemlet_text_scratch *s = &d->scratch;
    size_t n = d->chunk;
    size_t queries = gemlet_most_queries(c);
    size_t keys = gemlet_most_keys(c);
    size_t narrow = gemlet_larger(c->laurel_rank, c->per_layer_width);
    size_t wanted = gemlet_smaller(n, GEMLET_MOST_WANTED);
    size_t table = (size_t)c->layers * c->per_layer_width;
    size_t common = (size_t)gemlet_text_common_layers(c) * c->per_layer_width;
    size_t widest = gemlet_larger(c->width, gemlet_larger(queries, narrow));
    size_t sparse = 0, hidden = 0; /* the widest sparse feed-forward; bytes of the hidden vectors of the dense ones */
    for (uint32_t i = 0; i < c->layers; i++) {
        size_t inner = c->layer[i].feed_forward;
        if (c->layer[i].sparsity > 0.0f) {
            sparse = c->widest_feed_forward;
        } else {
            hidden = gemlet_larger(hidden, activation_bytes(d, i < gemlet_text_common_layers(c) ? n : wanted, inner));
        }
    }
    s->streams = gemlet_carve(memory, n * c->streams * c->width, sizeof(float));
    s->predictions = c->traits->altup ? gemlet_carve(memory, n * c->streams * c->width, sizeof(float)) : s->streams;
    s->per_layer = gemlet_carve(memory, n * common, sizeof(float));
    s->last_per_layer = gemlet_carve(memory, wanted * (table - common), sizeof(float));
    s->table_values = gemlet_carve(memory, table, sizeof(float));
    s->table_row = table > 0 ? gemlet_carve(memory, gemlet_text_table_bytes(c, &d->weights->per_layer_table), 1) : NULL;
    s->normed = gemlet_carve(memory, n * c->width, sizeof(float));
    s->branch = gemlet_carve(memory, n * c->width, sizeof(float));
    s->laurel = gemlet_carve(memory, c->traits->laurel ? n * c->width : 0, sizeof(float));
    s->residual = c->traits->altup ? gemlet_carve(memory, n * c->width, sizeof(float)) : s->streams;
    s->narrow = gemlet_carve(memory, n * narrow, sizeof(float));
    s->query = gemlet_carve(memory, n * queries, sizeof(float));
    s->key = gemlet_carve(memory, n * keys, sizeof(float));
    s->value = gemlet_carve(memory, n * keys, sizeof(float));
    size_t group = 0;
    d->score_row = d->context;
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS; kind++) {
        const gemlet_attention_config *a = &c->kinds[kind];
        s->cosine[kind] = gemlet_carve(memory, n * (a->head_width / 2), sizeof(float));
        s->sine[kind] = gemlet_carve(memory, n * (a->head_width / 2), sizeof(float));
        group = gemlet_larger(group, c->heads / a->kv_heads);
        d->score_row = gemlet_larger(d->score_row, (size_t)a->window + d->chunk);
    }
    s->scores = gemlet_carve(memory, d->threads * group * d->score_row, sizeof(float));
    s->pieces = gemlet_carve(memory, hidden != 0 ? d->threads * 2 * n : 0, GEMLET_FEED_FORWARD_PIECE * sizeof(float));
    s->gate = gemlet_carve(memory, n * sparse, sizeof(float));
    s->up = gemlet_carve(memory, n * sparse, sizeof(float));
    s->list = gemlet_carve(memory, n * sparse, sizeof(uint32_t));
    s->list_length = gemlet_carve(memory, sparse != 0 ? n : 0, sizeof(size_t));
    s->single = gemlet_carve(memory, sparse != 0 ? n : 0, gemlet_activation_bytes(1, gemlet_larger(c->width, sparse)));
    s->hidden = gemlet_carve(memory, hidden, 1);
    s->activations = gemlet_carve(memory, 1, activation_bytes(d, n, widest));
}

gemlet_status gemlet_text_open(gemlet_text_decoder *decoder, gemlet_arena *arena, gemlet_error *error) {
    taker kept = {arena, error, GEMLET_OK};
    take_caches(decoder, &kept);
    decoder->logits = take(&kept, "logits", decoder->config->vocabulary, sizeof(float));
    if (kept.status != GEMLET_OK) {
        return kept.status;
    }
    /* In one piece: an arena remembers few pieces of scratch, and a session keeps its own. */
    gemlet_carver counted = {NULL, 0};
    carve_scratch(decoder, &counted);
    void *memory = NULL;
    gemlet_status status = gemlet_arena_scratch(arena, "text", counted.used, &memory, error);
    gemlet_carver carver = {memory, 0};
    carve_scratch(decoder, &carver);
    return status;
}

bool gemlet_text_reaches(const gemlet_text_decoder *decoder, size_t written, size_t length) {
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS; kind++) {
        uint32_t window = decoder->config->kinds[kind].window;
        if (!gemlet_ring_reaches(gemlet_ring_slots(window, decoder->chunk, decoder->context), window, written, length)) {
            return false;
        }
    }
    return true;
}
