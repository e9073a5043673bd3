/* The text decoder on a tiny model of each family that has golden values: against the reference implementation, and against itself
 * where ways to the same result must agree to the bit.  With an argument only what depends on the CPU: the reference, and the
 * levels against each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/half.h"
#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include <gemlet/posix.h>

enum { TOKENS = 64, WIDTH = 128, MAX_STREAMS = 4, WINDOW = 16, MAX_RECORDED = 10 };

/* Cosines that a comparison must reach. */
typedef struct least {
    double mean, worst;
} least;

/* A model, and what the reference recorded of it in tests/data/golden/NAME. */
static const struct subject {
    const char *name, *text, *projector, *folder;
    size_t vocabulary, streams;
    least logits, behind_image, layer, keys, head_input; /* cosines */
    uint32_t recorded[MAX_RECORDED], layers;             /* behind which layers */
} subjects[] = {
    {"gemma3n",
     TINY_TEXT,
     TINY_PROJECTOR,
     NULL,
     528,
     4,
     {0.9998, 0.9996},
     {0.999, 0.999},
     {0.9998, 0.9996},
     {0.9998, 0.999},
     {0.9998, 0.9994},
     {0, 4, 9, 10, 19, 20, 24},
     7},
    {"gemma4",
     GEMMA4_TEXT,
     NULL,
     NULL,
     672,
     1,
     {0.9998, 0.9994},
     {0.999, 0.999},
     {0.9998, 0.9996},
     {0.9998, 0.999},
     {0.9998, 0.9994},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
     10},
    /* One code that falls on the other side of a tie spreads to the noise floor of int8 activations, the reference's own, too. */
    {"gemma4-mobile",
     NULL,
     NULL,
     GEMMA4_MOBILE,
     672,
     1,
     {0.9975, 0.992},
     {0.9975, 0.992},
     {0.9975, 0.992},
     {0.9975, 0.992},
     {0.9975, 0.992},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
     10},
};
static const struct subject *subject;

static char folder[FOLDER_BYTES];
static char packed[FOLDER_BYTES + 32];
static uint32_t *ids;   /* [TOKENS] */
static float *expected; /* [TOKENS][subject->vocabulary] */
static float *plain;    /* the same, computed with one thread in one chunk */

static const gemlet_options whole = {.context = 512, .chunk = TOKENS};

/* The residual streams behind the recorded layers, of the run that gave `plain`. */
static struct layer_tap {
    size_t seen[MAX_RECORDED];
    float streams[MAX_RECORDED][TOKENS * MAX_STREAMS * WIDTH];
} tap;

static void keep_layer(void *context, uint32_t layer, size_t position, size_t count, const float *streams) {
    (void)context;
    size_t numbers = subject->streams * WIDTH;
    for (size_t i = 0; i < subject->layers; i++) {
        if (layer == subject->recorded[i]) {
            memcpy(tap.streams[i] + position * numbers, streams, count * numbers * sizeof *streams);
            tap.seen[i] += count;
        }
    }
}

/* A file of the subject's golden values. */
static void *recorded(const char *name, size_t *count) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", subject->name, name);
    return golden_read(path, count);
}

static int set_up(void **state) {
    (void)state;
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "golden");
    snprintf(packed, sizeof packed, "%s/tiny.gguf", folder);
    pack_options options = {.text = subject->text, .projector = subject->projector, .folder = subject->folder, .output = packed};
    if (pack_run(&options, &error) != GEMLET_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    size_t count;
    ids = recorded("text_ids.u32", &count);
    assert_int_equal(count, TOKENS);
    expected = recorded("text_logits.f32", &count);
    assert_int_equal(count, TOKENS * subject->vocabulary);
    running r;
    running_open(&r, packed, 1, &whole);
    memset(&tap, 0, sizeof tap);
    r.session->decoder.tap = keep_layer;
    plain = running_logits(&r, ids, TOKENS);
    running_close(&r);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(ids);
    free(expected);
    free(plain);
    folder_remove(folder);
    return 0;
}

/* `logits` are those of the last `count` positions. */
static void assert_plain(const float *logits, size_t count) {
    assert_memory_equal(logits, plain + (TOKENS - count) * subject->vocabulary, count * subject->vocabulary * sizeof *logits);
}

static const float *next_logits(running *r) {
    const float *logits;
    size_t count;
    assert_int_equal(gemlet_logits(r->session, &logits, &count, &r->error), GEMLET_OK);
    assert_int_equal(count, subject->vocabulary);
    return logits;
}

static void feed_well(running *r, const uint32_t *tokens, size_t count) {
    if (gemlet_feed(r->session, tokens, count, &r->error) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
}

/* ---- Against the reference ---- */

static void logits_are_the_reference_s(void **state) {
    (void)state;
    assert_agreement("logits", agreement_of(plain, expected, TOKENS, subject->vocabulary), subject->logits.mean,
                     subject->logits.worst, 0.98);
}

static void streams_of_every_recorded_layer_are_the_reference_s(void **state) {
    (void)state;
    for (size_t i = 0; i < subject->layers; i++) {
        char name[32];
        size_t count;
        snprintf(name, sizeof name, "text_layer%u.f32", subject->recorded[i]);
        float *streams = recorded(name, &count);
        assert_int_equal(count, TOKENS * subject->streams * WIDTH);
        assert_int_equal(tap.seen[i], TOKENS);
        assert_agreement(name, agreement_of(tap.streams[i], streams, TOKENS * subject->streams, WIDTH), subject->layer.mean,
                         subject->layer.worst, 0.0);
        free(streams);
    }
}

/* With the reference's own soft tokens: this checks the per-layer inputs of soft tokens, and in Gemma 3n <end_of_image>'s
 * embedding, which is not in the text's table. */
static void an_image_between_texts_gives_the_reference_s_logits(void **state) {
    (void)state;
    size_t count, soft, tail;
    uint32_t *sequence = recorded("image_ids.u32", &count);
    float *embeddings = recorded("image_soft_tokens.f32", &soft);
    float *reference = recorded("image_logits_tail.f32", &tail);
    size_t first = 0;
    soft /= WIDTH;
    tail /= subject->vocabulary;
    while (sequence[first] != sequence[first + 1]) {
        first++;
    }
    size_t rest = count - first - soft; /* the tail begins with the last soft token */
    assert_int_equal(rest + 1, tail);
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 100});
    if (r.model->config.vision_count > 0) {
        assert_int_equal(sequence[first + soft], r.model->config.vision_offset);
    }
    assert_int_equal(gemlet_feed(r.session, sequence, first, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_embeddings(r.session, embeddings, soft, &r.error), GEMLET_OK);
    const float *last;
    assert_int_equal(gemlet_logits(r.session, &last, &(size_t){0}, &r.error), GEMLET_OK);
    assert_agreement("last soft token", agreement_of(last, reference, 1, subject->vocabulary), subject->behind_image.worst,
                     subject->behind_image.worst, 0.0);
    float *logits = running_logits(&r, sequence + first + soft, rest);
    assert_agreement("behind <end_of_image>", agreement_of(logits, reference + subject->vocabulary, 1, subject->vocabulary),
                     subject->behind_image.worst, subject->behind_image.worst, 0.0);
    assert_agreement("behind an image", agreement_of(logits, reference + subject->vocabulary, rest, subject->vocabulary),
                     subject->behind_image.mean, subject->behind_image.worst, 0.9);
    free(logits);
    free(sequence);
    free(embeddings);
    free(reference);
    running_close(&r);
}

/* What the layers without keys of their own read: turned keys and normed values, of the last layer of each kind that has some. */
static void keys_and_values_are_the_reference_s(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &whole);
    feed_well(&r, ids, TOKENS);
    for (gemlet_layer_kind kind = GEMLET_GLOBAL_LAYER; kind < GEMLET_LAYER_KINDS; kind++) {
        const gemlet_text_decoder *d = &r.session->decoder;
        const gemlet_attention_config *attention = &d->config->kinds[kind];
        uint32_t layer = d->config->first_shared - 1;
        while (d->config->layer[layer].kind != kind) {
            layer--;
        }
        const gemlet_text_cache *cache = &d->caches[layer];
        assert_true(cache->slots >= TOKENS && attention->kv_heads == 1);
        for (size_t values = 0; values < 2; values++) {
            char name[32];
            size_t count, numbers = TOKENS * attention->head_width;
            float *found = malloc(numbers * sizeof *found);
            snprintf(name, sizeof name, "text_%c_%s.f32", values != 0 ? 'v' : 'k', kind == GEMLET_LOCAL_LAYER ? "local" : "global");
            float *reference = recorded(name, &count);
            assert_int_equal(count, numbers);
            for (size_t i = 0; i < numbers; i++) {
                found[i] = gemlet_half_to_float(((const uint16_t *)(values != 0 ? cache->values : cache->keys))[i]);
            }
            assert_agreement(name, agreement_of(found, reference, TOKENS, attention->head_width), subject->keys.mean,
                             subject->keys.worst, 0.0);
            free(found);
            free(reference);
        }
    }
    running_close(&r);
}

/* Which of the last states is normed when a row of logits comes. */
typedef struct final_states {
    const gemlet_text_decoder *decoder;
    float states[TOKENS * WIDTH];
} final_states;

static void keep_final_state(void *context, size_t index, const float *logits, size_t count) {
    final_states *kept = context;
    (void)logits;
    (void)count;
    memcpy(kept->states + index * WIDTH, kept->decoder->scratch.normed, WIDTH * sizeof(float));
}

static void the_head_s_inputs_are_the_reference_s(void **state) {
    (void)state;
    running r;
    size_t count;
    running_open(&r, packed, 1, &whole);
    final_states *kept = malloc(sizeof *kept);
    kept->decoder = &r.session->decoder;
    assert_int_equal(gemlet_feed_with_logits(r.session, ids, TOKENS, keep_final_state, kept, &r.error), GEMLET_OK);
    float *reference = recorded("text_final.f32", &count);
    assert_int_equal(count, TOKENS * WIDTH);
    assert_agreement("text_final", agreement_of(kept->states, reference, TOKENS, WIDTH), subject->head_input.mean,
                     subject->head_input.worst, 0.0);
    free(kept);
    free(reference);
    running_close(&r);
}

/* Wherever the reference's choice is clear of what int8 activations cost. */
static void greedy_ids_are_the_reference_s(void **state) {
    (void)state;
    running r;
    size_t count, steps, clear = 0;
    uint32_t *sequence = recorded("greedy_ids.u32", &count);
    float *margin = recorded("greedy_margin.f32", &steps);
    running_open(&r, packed, 1, &whole);
    feed_well(&r, sequence, count - steps);
    for (size_t i = 0; i < steps; i++) {
        const float *logits = next_logits(&r);
        uint32_t token = sequence[count - steps + i], best = 0;
        for (uint32_t j = 1; j < subject->vocabulary; j++) {
            best = logits[j] > logits[best] ? j : best;
        }
        if (margin[i] > 0.1f) {
            assert_int_equal(best, token);
            clear++;
        }
        feed_well(&r, &token, 1);
    }
    assert_true(clear >= steps / 2);
    free(sequence);
    free(margin);
    running_close(&r);
}

static void an_int8_cache_costs_little(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .cache = GEMLET_CACHE_S8});
    float *logits = running_logits(&r, ids, TOKENS);
    agreement with = agreement_of(logits, expected, TOKENS, subject->vocabulary);
    assert_agreement("logits, int8 cache", with, agreement_of(plain, expected, TOKENS, subject->vocabulary).mean - 0.0005,
                     subject->logits.worst < 0.999 ? subject->logits.worst : 0.999, 0.98);
    free(logits);
    running_close(&r);
}

/* ---- The same bytes on every way ---- */

static void a_token_at_a_time_gives_the_same(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &whole);
    for (size_t i = 0; i < TOKENS; i++) {
        feed_well(&r, ids + i, 1);
        assert_memory_equal(next_logits(&r), plain + i * subject->vocabulary, subject->vocabulary * sizeof(float));
    }
    running_close(&r);
}

/* Chunks below, at and beyond the window, and one that leaves a rest. */
static void every_chunk_size_gives_the_same(void **state) {
    (void)state;
    static const uint32_t chunks[] = {3, WINDOW, WINDOW + 1, 256};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        running r;
        running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = chunks[i]});
        float *logits = running_logits(&r, ids, TOKENS);
        assert_plain(logits, TOKENS);
        free(logits);
        gemlet_session_reset(r.session);
        feed_well(&r, ids, TOKENS);
        assert_plain(next_logits(&r), 1);
        running_close(&r);
    }
}

static void every_number_of_threads_gives_the_same(void **state) {
    (void)state;
    static const size_t threads[] = {2, 4};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        running r;
        running_open(&r, packed, threads[i], &(gemlet_options){.context = 512, .chunk = 40});
        float *logits = running_logits(&r, ids, TOKENS - 4);
        assert_memory_equal(logits, plain, (TOKENS - 4) * subject->vocabulary * sizeof *logits);
        free(logits);
        for (size_t t = TOKENS - 4; t < TOKENS; t++) {
            feed_well(&r, ids + t, 1);
        }
        assert_plain(next_logits(&r), 1);
        running_close(&r);
    }
}

static void skipping_changes_nothing(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = TOKENS, .no_skipping = true});
    float *logits = running_logits(&r, ids, TOKENS);
    assert_plain(logits, TOKENS);
    free(logits);
    gemlet_session_reset(r.session);
    feed_well(&r, ids, TOKENS - 1);
    feed_well(&r, ids + TOKENS - 1, 1);
    assert_plain(next_logits(&r), 1);
    running_close(&r);
}

/* From the scalar definition up; a few positions, as that is slow. */
static void every_level_gives_the_same(void **state) {
    (void)state;
    enum { SOME = TOKENS / 4 };
    for (uint32_t limit = 1; limit <= 4; limit++) {
        running r;
        running_open(&r, packed, 1, &(gemlet_options){.context = 512, .level_limit = limit});
        float *logits = running_logits(&r, ids, SOME);
        assert_memory_equal(logits, plain, SOME * subject->vocabulary * sizeof *logits);
        free(logits);
        running_close(&r);
    }
}

/* ---- State ---- */

static void a_restored_session_goes_on_with_the_same_bits(void **state) {
    (void)state;
    for (gemlet_cache_type cache = GEMLET_CACHE_F16; cache <= GEMLET_CACHE_S8; cache++) {
        gemlet_options options = {.context = 512, .chunk = 20, .cache = cache};
        running one, two;
        running_open(&one, packed, 1, &options);
        running_open(&two, packed, 2, &options);
        feed_well(&one, ids, 50);
        size_t bytes = gemlet_session_state_bytes(one.session);
        unsigned char *saved = malloc(bytes + 1);
        assert_int_equal(gemlet_session_save(one.session, saved + 1, bytes, &one.error), GEMLET_OK);
        assert_int_equal(gemlet_session_save(one.session, saved + 1, bytes - 1, &one.error), GEMLET_ERROR_ARGUMENT);
        feed_well(&two, ids + 9, 7); /* what is there is replaced */
        assert_int_equal(gemlet_session_restore(two.session, saved + 1, bytes, &two.error), GEMLET_OK);
        assert_int_equal(gemlet_session_length(two.session), 50);
        assert_memory_equal(next_logits(&two), next_logits(&one), subject->vocabulary * sizeof(float));
        for (size_t i = 50; i < TOKENS; i++) {
            feed_well(&one, ids + i, 1);
            feed_well(&two, ids + i, 1);
            assert_memory_equal(next_logits(&two), next_logits(&one), subject->vocabulary * sizeof(float));
        }
        free(saved);
        running_close(&one);
        running_close(&two);
    }
}

static void a_damaged_state_is_refused_and_changes_nothing(void **state) {
    (void)state;
    running r, other;
    running_open(&r, packed, 1, &whole);
    feed_well(&r, ids, 30);
    size_t bytes = gemlet_session_state_bytes(r.session);
    unsigned char *saved = malloc(bytes);
    assert_int_equal(gemlet_session_save(r.session, saved, bytes, &r.error), GEMLET_OK);
    gemlet_session_reset(r.session);
    feed_well(&r, ids, TOKENS - 1);
    for (size_t i = 0; i < 96; i++) { /* the header byte by byte, then everywhere */
        size_t at = i < 64 ? i : (i - 64) * (bytes - 1) / 31;
        saved[at] ^= 0x40;
        assert_int_equal(gemlet_session_restore(r.session, saved, bytes, &r.error), GEMLET_ERROR_FORMAT);
        saved[at] ^= 0x40;
    }
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(gemlet_session_restore(r.session, saved, bytes * i / 64, &r.error), GEMLET_ERROR_FORMAT);
    }
    assert_int_equal(gemlet_session_restore(r.session, NULL, bytes, &r.error), GEMLET_ERROR_FORMAT);
    running_open(&other, packed, 1, &(gemlet_options){.context = 256, .chunk = TOKENS});
    assert_int_equal(gemlet_session_restore(other.session, saved, bytes, &r.error), GEMLET_ERROR_FORMAT);
    running_close(&other);
    feed_well(&r, ids + TOKENS - 1, 1);
    assert_plain(next_logits(&r), 1);
    free(saved);
    running_close(&r);
}

static void a_rewound_session_goes_on_with_the_same_bits(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 20});
    static const uint32_t other[12] = {9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31};
    feed_well(&r, ids, 40);
    feed_well(&r, other, 12);
    assert_int_equal(gemlet_session_rewind(r.session, 40, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_session_length(r.session), 40);
    assert_int_equal(gemlet_logits(r.session, &(const float *){NULL}, &(size_t){0}, &r.error), GEMLET_ERROR_STATE);
    feed_well(&r, ids + 40, TOKENS - 40);
    assert_plain(next_logits(&r), 1);
    assert_int_equal(gemlet_session_rewind(r.session, TOKENS + 1, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_session_rewind(r.session, 40, &r.error), GEMLET_ERROR_STATE); /* needs 25, rings hold 28 and later */
    assert_int_equal(gemlet_session_length(r.session), TOKENS);
    assert_int_equal(gemlet_session_rewind(r.session, 43, &r.error), GEMLET_OK);
    feed_well(&r, ids + 43, TOKENS - 43);
    assert_plain(next_logits(&r), 1);
    assert_int_equal(gemlet_session_rewind(r.session, 0, &r.error), GEMLET_OK);
    feed_well(&r, ids, TOKENS);
    assert_plain(next_logits(&r), 1);
    running_close(&r);
}

/* ---- Answers that are given ---- */

enum { CHOICES = 6, LONGEST_CHOICE = 6 };

static double log_softmax(const float *logits, uint32_t token) {
    double sum = 0;
    for (size_t i = 0; i < subject->vocabulary; i++) {
        sum += exp((double)logits[i] - (double)logits[token]);
    }
    return -log(sum);
}

/* What a choice's logarithm is by definition: its tokens fed one by one to a session that holds nothing else. */
static double plain_choice(const gemlet_choice *choice) {
    running r;
    double sum = 0;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 20});
    feed_well(&r, ids, 40);
    for (size_t i = 0; i < choice->count; i++) {
        sum += log_softmax(next_logits(&r), choice->tokens[i]);
        feed_well(&r, choice->tokens + i, 1);
    }
    running_close(&r);
    return sum;
}

typedef struct counted {
    size_t done, total;
} counted;

static bool count_progress(void *context, size_t done, size_t total) {
    *(counted *)context = (counted){done, total};
    return true;
}

static bool cancel_third(void *context, size_t done, size_t total) {
    (void)total;
    *(size_t *)context = done;
    return done < 3;
}

/* Prefixes of each other, the same twice, one with nothing in common, in no order. */
static const uint32_t choice_tokens[CHOICES][LONGEST_CHOICE] = {{31, 7, 9, 11, 13},     {5, 8, 2, 30}, {31, 7},
                                                                {31, 7, 9, 40, 41, 42}, {5, 8, 2, 30}, {200}};
static const size_t choice_counts[CHOICES] = {5, 4, 2, 6, 4, 1};

/* The session is as behind its first 40 tokens, and goes on so. */
static void assert_nothing_chosen(running *r) {
    assert_int_equal(gemlet_session_length(r->session), 40);
    assert_memory_equal(next_logits(r), plain + 39 * subject->vocabulary, subject->vocabulary * sizeof(float));
    feed_well(r, ids + 40, TOKENS - 40);
    assert_plain(next_logits(r), 1);
}

static void choices_in_order(gemlet_choice choices[CHOICES]) {
    for (size_t i = 0; i < CHOICES; i++) {
        choices[i] = (gemlet_choice){choice_tokens[i], choice_counts[i]};
    }
}

static void choices_have_the_probability_of_their_tokens(void **state) {
    (void)state;
    running r;
    gemlet_choice choices[CHOICES];
    double logprobs[CHOICES];
    counted progress = {0, 0};
    choices_in_order(choices);
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 20});
    feed_well(&r, ids, 40);
    size_t bytes = gemlet_choose_bytes(r.session, CHOICES);
    void *scratch = malloc(bytes);
    gemlet_session_on_progress(r.session, count_progress, &progress);
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_OK);
    /* 5 8 2, 31, 7 9 11, 40 41: what is before the last token of each, and shared, once. */
    assert_int_equal(progress.done, 9);
    assert_int_equal(progress.total, 9);
    for (size_t i = 0; i < CHOICES; i++) {
        assert_true(fabs(logprobs[i] - plain_choice(&choices[i])) < 1e-9);
    }
    assert_nothing_chosen(&r);
    free(scratch);
    running_close(&r);
}

static void what_stops_choosing_changes_nothing(void **state) {
    (void)state;
    running r;
    gemlet_choice choices[CHOICES];
    double logprobs[CHOICES];
    size_t done = 0;
    uint32_t longer[64];
    choices_in_order(choices);
    running_open(&r, packed, 1, &(gemlet_options){.context = 90, .chunk = 20});
    size_t bytes = gemlet_choose_bytes(r.session, CHOICES);
    void *scratch = malloc(bytes);
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_STATE);
    feed_well(&r, ids, 40);
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes - 1, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_choose(r.session, choices, 0, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT);
    gemlet_session_on_progress(r.session, cancel_third, &done);
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_CANCELLED);
    assert_int_equal(done, 3);
    gemlet_session_on_progress(r.session, NULL, NULL);
    for (size_t i = 0; i < 64; i++) {
        longer[i] = (uint32_t)i + 5;
    }
    choices[1] = (gemlet_choice){longer, 64};
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_CONTEXT);
    choices[1].count = 22;
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_OK);
    choices[1].count = 23;
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT);
    longer[1] = (uint32_t)subject->vocabulary;
    choices[1].count = 2;
    assert_int_equal(gemlet_choose(r.session, choices, CHOICES, logprobs, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_nothing_chosen(&r);
    free(scratch);
    running_close(&r);
}

static void a_prompt_pays_only_for_what_is_new(void **state) {
    (void)state;
    running r;
    size_t kept = 99;
    uint32_t prompt[TOKENS];
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 20});
    memcpy(prompt, ids, sizeof prompt);
    prompt[50] ^= 1;
    assert_int_equal(gemlet_feed_prompt(r.session, prompt, TOKENS, &kept, &r.error), GEMLET_OK);
    assert_int_equal(kept, 0);
    assert_int_equal(gemlet_feed_prompt(r.session, ids, TOKENS, &kept, &r.error), GEMLET_OK);
    assert_int_equal(kept, 50);
    assert_plain(next_logits(&r), 1);
    assert_int_equal(gemlet_feed_prompt(r.session, ids, TOKENS, &kept, &r.error), GEMLET_OK);
    assert_int_equal(kept, TOKENS - 1);
    assert_plain(next_logits(&r), 1);
    assert_int_equal(gemlet_feed_prompt(r.session, ids, 5, &kept, &r.error), GEMLET_OK); /* the rings lost what 5 saw */
    assert_int_equal(kept, 0);
    assert_memory_equal(next_logits(&r), plain + 4 * subject->vocabulary, subject->vocabulary * sizeof(float));
    prompt[3] = UINT32_MAX;
    assert_int_equal(gemlet_feed_prompt(r.session, prompt, TOKENS, &kept, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_session_length(r.session), 5);
    assert_memory_equal(next_logits(&r), plain + 4 * subject->vocabulary, subject->vocabulary * sizeof(float));
    running_close(&r);
}

/* ---- Limits and errors ---- */

static void wrong_calls_are_refused_and_change_nothing(void **state) {
    (void)state;
    running r;
    const float *logits;
    size_t count;
    char message[64];
    uint32_t wrong[2] = {5, (uint32_t)subject->vocabulary};
    snprintf(message, sizeof message, "token ids must be below %zu but number 1 is %zu", subject->vocabulary, subject->vocabulary);
    running_open(&r, packed, 1, &(gemlet_options){.context = TOKENS, .chunk = 20});
    assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE);
    assert_int_equal(gemlet_feed(r.session, ids, 0, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE);
    feed_well(&r, ids, TOKENS - 1);
    assert_int_equal(gemlet_feed(r.session, ids, 0, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed(r.session, wrong, 2, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_string_equal(r.error.message, message);
    assert_int_equal(gemlet_feed(r.session, NULL, 1, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_feed_embeddings(r.session, NULL, 1, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_feed_text(r.session, NULL, 1, false, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_feed(r.session, ids, 2, &r.error), GEMLET_ERROR_CONTEXT);
    assert_string_equal(r.error.message, "the context is full: 2 tokens to feed, but room for 1 of 64");
    assert_int_equal(gemlet_feed_text(r.session, "no room for all of this", 23, false, &r.error), GEMLET_ERROR_CONTEXT);
    feed_well(&r, ids + TOKENS - 1, 1);
    assert_plain(next_logits(&r), 1);
    assert_int_equal(gemlet_feed(r.session, ids, 1, &r.error), GEMLET_ERROR_CONTEXT);
    assert_plain(next_logits(&r), 1);
    running_close(&r);
}

typedef struct progress_record {
    size_t calls, done, total, cancel_at;
} progress_record;

static bool note_progress(void *context, size_t done, size_t total) {
    progress_record *record = context;
    record->calls++;
    assert_true(done > record->done || record->calls == 1);
    record->done = done;
    record->total = total;
    return done < record->cancel_at;
}

static void the_caller_can_cancel(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 20});
    progress_record record = {.cancel_at = 1000};
    gemlet_session_on_progress(r.session, note_progress, &record);
    feed_well(&r, ids, TOKENS);
    assert_int_equal(record.calls, 4);
    assert_int_equal(record.done, TOKENS);
    assert_int_equal(record.total, TOKENS);
    gemlet_session_reset(r.session);
    record = (progress_record){.cancel_at = 40};
    assert_int_equal(gemlet_feed(r.session, ids, TOKENS, &r.error), GEMLET_ERROR_CANCELLED);
    assert_int_equal(gemlet_session_length(r.session), 40);
    assert_int_equal(gemlet_logits(r.session, &(const float *){NULL}, &(size_t){0}, &r.error), GEMLET_ERROR_STATE);
    gemlet_session_on_progress(r.session, NULL, NULL);
    feed_well(&r, ids + 40, TOKENS - 40);
    assert_plain(next_logits(&r), 1);
    running_close(&r);
}

static void feeding_text_reports_its_own_progress(void **state) {
    (void)state;
    static const char text[] = "the quick brown fox jumps over the lazy dog and there is no image here at all";
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 512, .chunk = 8});
    progress_record record = {.cancel_at = 1000};
    gemlet_session_on_progress(r.session, note_progress, &record);
    assert_int_equal(gemlet_feed_text(r.session, text, sizeof text - 1, false, &r.error), GEMLET_OK);
    size_t length = gemlet_session_length(r.session);
    assert_int_equal(record.total, length);
    assert_int_equal(record.done, length);
    assert_int_equal(record.calls, (length + 7) / 8);
    assert_true(record.calls > 2);
    float *logits = malloc(subject->vocabulary * sizeof *logits);
    memcpy(logits, next_logits(&r), subject->vocabulary * sizeof *logits);
    uint32_t *fed = malloc(length * sizeof *fed);
    gemlet_session_on_progress(r.session, NULL, NULL);
    memcpy(fed, r.session->history, length * sizeof *fed);
    gemlet_session_reset(r.session);
    feed_well(&r, fed, length);
    assert_memory_equal(next_logits(&r), logits, subject->vocabulary * sizeof *logits);
    gemlet_session_reset(r.session);
    record = (progress_record){.cancel_at = 16};
    gemlet_session_on_progress(r.session, note_progress, &record);
    assert_int_equal(gemlet_feed_text(r.session, text, sizeof text - 1, false, &r.error), GEMLET_ERROR_CANCELLED);
    assert_int_equal(gemlet_session_length(r.session), 16);
    free(fed);
    free(logits);
    running_close(&r);
}

/* ---- Memory ---- */

static void the_plan_is_what_is_used(void **state) {
    (void)state;
    static const gemlet_options some[] = {{0},
                                          {.context = 2048, .chunk = 256},
                                          {.context = 1, .chunk = 1},
                                          {.context = 100, .cache = GEMLET_CACHE_S8},
                                          {.context = 32, .chunk = 64}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        running r;
        running_open(&r, packed, i + 1, &some[i]);
        assert_int_equal(r.arena.peak, r.plan.arena);
        assert_int_equal(r.plan.persistent + r.plan.cache + r.plan.scratch, r.plan.arena);
        size_t room = gemlet_session_capacity(r.session);
        feed_well(&r, ids, room < 8 ? room : 8);
        assert_int_equal(r.arena.peak, r.plan.arena);
        running_close(&r);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(int argc, char **argv) {
    (void)argv;
    const struct CMUnitTest of_the_cpu[] = {
        TEST(logits_are_the_reference_s),
        TEST(an_image_between_texts_gives_the_reference_s_logits),
        TEST(streams_of_every_recorded_layer_are_the_reference_s),
        TEST(an_int8_cache_costs_little),
        TEST(every_level_gives_the_same),
    };
    const struct CMUnitTest of_gemma4[] = {
        TEST(keys_and_values_are_the_reference_s),
        TEST(the_head_s_inputs_are_the_reference_s),
        TEST(greedy_ids_are_the_reference_s),
    };
    const struct CMUnitTest others[] = {
        TEST(a_token_at_a_time_gives_the_same),
        TEST(every_chunk_size_gives_the_same),
        TEST(every_number_of_threads_gives_the_same),
        TEST(skipping_changes_nothing),
        TEST(a_restored_session_goes_on_with_the_same_bits),
        TEST(a_damaged_state_is_refused_and_changes_nothing),
        TEST(a_rewound_session_goes_on_with_the_same_bits),
        TEST(choices_have_the_probability_of_their_tokens),
        TEST(what_stops_choosing_changes_nothing),
        TEST(a_prompt_pays_only_for_what_is_new),
        TEST(wrong_calls_are_refused_and_change_nothing),
        TEST(the_caller_can_cancel),
        TEST(feeding_text_reports_its_own_progress),
        TEST(the_plan_is_what_is_used),
    };
    int failed = 0;
    for (subject = subjects; subject < subjects + sizeof subjects / sizeof *subjects; subject++) {
        print_message("%s\n", subject->name);
        failed += cmocka_run_group_tests(of_the_cpu, set_up, tear_down);
        failed += subject->streams > 1 ? 0 : cmocka_run_group_tests(of_gemma4, set_up, tear_down);
        failed += argc > 1 ? 0 : cmocka_run_group_tests(others, set_up, tear_down);
    }
    return failed;
}
