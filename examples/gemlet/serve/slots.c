#include "examples/gemlet/serve/slots.h"

#include <stdlib.h>

enum { MEBIBYTE = 1 << 20 };

/* ---- Memory ---- */

static size_t round_up(size_t bytes) {
    return (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
}

/* What a session takes: it is opened in an arena that only counts. */
static gemlet_status count_session(slots *s, const gemlet_options *chosen, gemlet_error *error) {
    gemlet_arena counting;
    gemlet_session *none = NULL;
    gemlet_arena_init_counting(&counting);
    gemlet_status status = gemlet_session_open(s->engine.model, chosen, &counting, &none, error);
    s->session_bytes = round_up(counting.peak);
    return status;
}

static gemlet_status open_sessions(slots *s, const gemlet_options *chosen, gemlet_error *error) {
    gemlet_status status = count_session(s, chosen, error);
    if (status != GEMLET_OK || s->count == 1) {
        return status;
    }
    s->memory = s->session_bytes <= SIZE_MAX / s->count ? aligned_alloc(GEMLET_ALIGNMENT, (s->count - 1) * s->session_bytes) : NULL;
    if (s->memory == NULL) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "option --slots: the system refuses ");
        gemlet_error_number(error, s->session_bytes);
        gemlet_error_text(error, " bytes for each but the first");
        return GEMLET_ERROR_MEMORY;
    }
    for (size_t i = 1; i < s->count && status == GEMLET_OK; i++) {
        slot *one = &s->slots[i];
        status = gemlet_arena_init(&one->arena, (char *)s->memory + (i - 1) * s->session_bytes, s->session_bytes, error);
        if (status == GEMLET_OK) {
            status = gemlet_session_open(s->engine.model, chosen, &one->arena, &one->session, error);
        }
    }
    return status;
}

/* A request may sample among the whole vocabulary. */
static gemlet_sampler_settings widest_sampling(const options *o) {
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.top_k = 0;
    settings.repetition_window = o->repeat_window;
    return settings;
}

static gemlet_status take_program_memory(slots *s, const options *o, gemlet_error *error) {
    const gemlet_sampler_settings settings = widest_sampling(o);
    size_t context = gemlet_session_capacity(s->slots[0].session);
    s->sampler_bytes = gemlet_sampler_bytes(&settings, s->engine.facts.vocabulary);
    size_t keys = round_up(context * sizeof(uint64_t)), positions = round_up(context * sizeof(uint32_t));
    size_t each = round_up(s->sampler_bytes) + keys + positions;
    s->program_bytes = s->count * each;
    char *memory = aligned_alloc(GEMLET_ALIGNMENT, s->program_bytes);
    if (memory == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "option --slots: the system refuses memory for the samplers");
    }
    s->program_memory = memory;
    for (size_t i = 0; i < s->count; i++, memory += each) {
        s->slots[i].keys = (uint64_t *)(void *)memory;
        s->slots[i].positions = (uint32_t *)(void *)(memory + keys);
        s->slots[i].sampler_scratch = memory + keys + positions;
    }
    return GEMLET_OK;
}

static gemlet_status take_form_memory(slots *s, const options *o, gemlet_error *error) {
    s->form_bytes = form_scratch_bytes(s->engine.tokenizer) + (size_t)o->form_memory * MEBIBYTE;
    s->form_memory = aligned_alloc(GEMLET_ALIGNMENT, s->count * s->form_bytes);
    if (s->form_memory == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "option --form-memory: the system refuses so much for each slot");
    }
    for (size_t i = 0; i < s->count; i++) {
        s->slots[i].form_memory = (char *)s->form_memory + i * s->form_bytes;
    }
    return GEMLET_OK;
}

gemlet_status slots_open(slots *s, const options *o, gemlet_error *error) {
    gemlet_options chosen = options_for_library(o, 0);
    *s = (slots){.count = o->slots};
    pthread_mutex_init(&s->lock, NULL);
    gemlet_status status = engine_open(&s->engine, o, 0, error);
    if (status != GEMLET_OK) {
        return status;
    }
    s->slots = calloc(s->count, sizeof *s->slots);
    if (s->slots == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "option --slots: out of memory");
    }
    s->slots[0].session = s->engine.session;
    status = open_sessions(s, &chosen, error);
    status = status == GEMLET_OK ? take_program_memory(s, o, error) : status;
    return status == GEMLET_OK ? take_form_memory(s, o, error) : status;
}

void slots_close(slots *s) {
    engine_close(&s->engine);
    free(s->memory);
    free(s->program_memory);
    free(s->form_memory);
    free(s->slots);
    pthread_mutex_destroy(&s->lock);
}

/* ---- Whose turn it is ---- */

static size_t common_beginning(const slot *s, const uint64_t *keys, size_t count) {
    size_t same = 0;
    while (same < count && same < s->count && s->keys[same] == keys[same]) {
        same++;
    }
    return same;
}

slot *slots_take(slots *s, const uint64_t *keys, size_t count) {
    slot *best = NULL;
    size_t longest = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        slot *one = &s->slots[i];
        size_t same = one->busy ? 0 : common_beginning(one, keys, count);
        bool better = best == NULL || same > longest || (same == longest && one->last_used < best->last_used);
        if (!one->busy && better) {
            best = one;
            longest = same;
        }
    }
    if (best != NULL) {
        best->busy = true;
    }
    pthread_mutex_unlock(&s->lock);
    return best;
}

void slots_give_back(slots *s, slot *taken) {
    pthread_mutex_lock(&s->lock);
    taken->last_used = ++s->clock;
    taken->busy = false;
    pthread_mutex_unlock(&s->lock);
}

size_t slots_busy(slots *s) {
    size_t busy = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        busy += s->slots[i].busy;
    }
    pthread_mutex_unlock(&s->lock);
    return busy;
}

/* ---- What a slot holds ---- */

static void forget(slot *s) {
    gemlet_session_reset(s->session);
    s->count = 0;
}

static size_t positions_of(const slot *s, size_t count) {
    size_t positions = 0;
    for (size_t i = 0; i < count; i++) {
        positions += s->positions[i];
    }
    return positions;
}

/* To the first `count` of what it holds. */
static gemlet_status go_back(slot *s, size_t count, gemlet_error *error) {
    gemlet_status status = gemlet_session_rewind(s->session, positions_of(s, count), error);
    s->count = status == GEMLET_OK ? count : s->count;
    return status;
}

size_t slot_keep(slot *s, const uint64_t *keys, size_t count) {
    size_t same = common_beginning(s, keys, count);
    same = same == count && same > 0 ? same - 1 : same;
    if (go_back(s, same, NULL) != GEMLET_OK) {
        forget(s);
        return 0;
    }
    return same;
}

gemlet_status slot_feed(slot *s, const uint32_t *tokens, size_t count, gemlet_error *error) {
    size_t before = gemlet_session_length(s->session);
    gemlet_status status = gemlet_feed(s->session, tokens, count, error);
    size_t fed = gemlet_session_length(s->session) - before;
    for (size_t i = 0; i < fed; i++) {
        s->keys[s->count] = tokens[i];
        s->positions[s->count++] = 1;
    }
    return status;
}

static gemlet_status feed_soft_tokens(slot *s, uint64_t key, const float *soft_tokens, size_t count, gemlet_error *error) {
    size_t before = gemlet_session_length(s->session);
    gemlet_status status = gemlet_feed_embeddings(s->session, soft_tokens, count, error);
    if (status == GEMLET_OK) {
        s->keys[s->count] = key;
        s->positions[s->count++] = (uint32_t)count;
    } else if (gemlet_session_length(s->session) != before && gemlet_session_rewind(s->session, before, NULL) != GEMLET_OK) {
        forget(s);
    }
    return status;
}

gemlet_status slot_feed_image(slot *s, uint64_t key, const gemlet_image *image, gemlet_error *error) {
    const float *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_encode_image(s->session, image, &soft_tokens, &count, error);
    return status == GEMLET_OK ? feed_soft_tokens(s, key, soft_tokens, count, error) : status;
}

gemlet_status slot_feed_sound(slot *s, uint64_t key, const gemlet_sound *sound, gemlet_error *error) {
    const float *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_encode_sound(s->session, sound, &soft_tokens, &count, error);
    return status == GEMLET_OK ? feed_soft_tokens(s, key, soft_tokens, count, error) : status;
}

size_t slot_length(const slot *s) {
    return gemlet_session_length(s->session);
}
