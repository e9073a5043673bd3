/* How likely a session says choices to be, against what the model says of each token. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proof/sessions.h"
#include <gemlet/sampler.h>

enum { CHOICES = 7 };

/* The log-softmax of one token. */
static double logprob_of(rig *r, uint32_t token) {
    const float *logits = NULL;
    size_t count = 0;
    double sum = 0.0;
    must(r, gemlet_logits(r->session, &logits, &count, &r->error));
    for (size_t i = 0; i < count; i++) {
        sum += exp((double)logits[i]);
    }
    return (double)logits[token] - log(sum);
}

static void count_up(rig *r, const gemlet_choice *choice, double *logprob) {
    size_t before = gemlet_session_length(r->session);
    *logprob = 0.0;
    for (size_t i = 0; i < choice->count; i++) {
        *logprob += logprob_of(r, choice->tokens[i]);
        must(r, gemlet_feed(r->session, &choice->tokens[i], 1, &r->error));
    }
    must(r, gemlet_session_rewind(r->session, before - 1, &r->error));
    must(r, gemlet_feed(r->session, &ids[before - 1], 1, &r->error));
}

typedef struct told_steps {
    size_t calls, last, total;
} told_steps;

static bool tell_steps(void *context, size_t done, size_t total) {
    told_steps *told = context;
    told->calls++;
    told->last = done;
    told->total = total;
    return true;
}

/* As if each were said alone, in any order; what they share is computed once. */
static void choices_are_as_likely_as_said(void **state) {
    (void)state;
    static const uint32_t tokens[] = {9, 8, 7, 6, 5}, other[] = {9, 8, 3}, third[] = {4, 9};
    const gemlet_choice choices[CHOICES] = {{tokens, 5}, {other, 3}, {tokens, 2}, {third, 2}, {tokens, 1}, {other, 3}, {third, 1}};
    static _Alignas(8) unsigned char scratch[4096];
    double wanted[CHOICES], found[CHOICES];
    rig r;
    told_steps told = {0, 0, 0};
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_feed(r.session, ids, 6, &r.error));
    for (size_t i = 0; i < CHOICES; i++) {
        count_up(&r, &choices[i], &wanted[i]);
    }
    size_t bytes = gemlet_choose_bytes(r.session, CHOICES);
    assert_true(bytes <= sizeof scratch);
    const float *logits = NULL;
    size_t count = 0;
    static float before[RIG_VOCABULARY_MOST];
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    memcpy(before, logits, count * sizeof *before);
    gemlet_session_on_progress(r.session, tell_steps, &told);
    must(&r, gemlet_choose(r.session, choices, CHOICES, found, scratch, bytes, &r.error));
    assert_int_equal(gemlet_session_length(r.session), 6);
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    assert_memory_equal(before, logits, count * sizeof *before);
    for (size_t i = 0; i < CHOICES; i++) {
        assert_true(fabs(found[i] - wanted[i]) < 1e-5);
    }
    /* 9 8 7 6 and 4: all that stands before a last token. */
    assert_int_equal(told.total, 5);
    assert_true(told.last <= 5);
    told = (told_steps){0, 0, 0};
    must(&r, gemlet_choose(r.session, choices, 1, found, scratch, bytes, &r.error));
    assert_true(fabs(found[0] - wanted[0]) < 1e-5);
    assert_int_equal(told.total, 4);
    rig_close(&r);
}

static void choose_says(rig *r, const gemlet_choice *choice, gemlet_status expected, const char *message) {
    static _Alignas(8) unsigned char scratch[4096 + 64];
    double found = 0.0;
    const size_t bytes = gemlet_choose_bytes(r->session, 1);
    memset(scratch, 0xA5, sizeof scratch);
    if (expected == GEMLET_OK) {
        must(r, gemlet_choose(r->session, choice, 1, &found, scratch, bytes, &r->error));
        assert_true(found < 0.0);
    } else {
        saved_state before = rig_save(r);
        says(r, gemlet_choose(r->session, choice, 1, &found, scratch, bytes, &r->error), expected, message);
        assert_state(r, &before);
        free(before.bytes);
    }
    for (size_t i = bytes; i < bytes + 64; i++) {
        assert_int_equal(scratch[i], 0xA5);
    }
}

static void choices_that_cannot_be_are_named(void **state) {
    (void)state;
    static _Alignas(8) unsigned char scratch[4096];
    rig r;
    double found[2];
    char message[GEMLET_MESSAGE_BYTES];
    rig_start(&r, &small, &text_only);
    const uint32_t vocabulary = r.model->config.vocabulary;
    const size_t bytes = gemlet_choose_bytes(r.session, 2);
    assert_int_equal(bytes, 2 * sizeof(size_t) + vocabulary * sizeof(float));
    uint32_t tokens[CONTEXT] = {1, 2, 3};
    const gemlet_choice one = {tokens, 3}, none = {tokens, 0}, nothing = {NULL, 1}, two[2] = {one, {tokens, 1}};
    says(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes, &r.error), GEMLET_ERROR_STATE,
         "there are no logits: feed at least one token first");
    must(&r, gemlet_feed(r.session, ids, 30, &r.error));
    static const char least[] = "there must be at least one choice, and room for its logarithm";
    says(&r, gemlet_choose(r.session, two, 0, found, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    says(&r, gemlet_choose(r.session, NULL, 2, found, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    says(&r, gemlet_choose(r.session, two, 2, NULL, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    snprintf(message, sizeof message, "the scratch for choices must be aligned like a size_t and have %zu bytes", bytes);
    says(&r, gemlet_choose(r.session, two, 2, found, NULL, bytes, &r.error), GEMLET_ERROR_ARGUMENT, message);
    says(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes - 1, &r.error), GEMLET_ERROR_ARGUMENT, message);
    says(&r, gemlet_choose(r.session, two, 2, found, scratch + 1, bytes, &r.error), GEMLET_ERROR_ARGUMENT, message);
    must(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes, &r.error));
    choose_says(&r, &none, GEMLET_ERROR_ARGUMENT, "choices must have at least one token each");
    choose_says(&r, &nothing, GEMLET_ERROR_ARGUMENT, "choices must have at least one token each");
    for (size_t place = 0; place < 3; place++) {
        const uint32_t kept = tokens[place];
        tokens[place] = vocabulary;
        snprintf(message, sizeof message, "a choice has the token id %u, outside of the vocabulary's %u", vocabulary, vocabulary);
        choose_says(&r, &one, GEMLET_ERROR_ARGUMENT, message);
        tokens[place] = vocabulary - 1;
        choose_says(&r, &one, GEMLET_OK, NULL);
        tokens[place] = kept;
    }
    /* The last token of a choice needs no room. */
    must(&r, gemlet_feed(r.session, ids, CONTEXT - 34, &r.error));
    choose_says(&r, &(gemlet_choice){ids, 5}, GEMLET_OK, NULL);
    gemlet_status status = gemlet_choose(r.session, &(gemlet_choice){ids, 6}, 1, found, scratch, bytes, &r.error);
    assert_int_equal(status, GEMLET_ERROR_CONTEXT);
    rig_close(&r);
}

/* A choice may be as long as the rings can go back over; nothing is to go back to where nothing was fed but its first. */
static void choices_are_as_long_as_rings_go_back(void **state) {
    (void)state;
    static _Alignas(8) unsigned char scratch[4096];
    static const gemlet_options short_chunks = {.context = CONTEXT, .chunk = 1, .no_images = true};
    rig r;
    double found;
    size_t longest = 0;
    rig_start(&r, &small, &short_chunks);
    const size_t bytes = gemlet_choose_bytes(r.session, 1), window = r.model->config.kinds[GEMLET_LOCAL_LAYER].window,
                 slots = window + 1;
    assert_in_range(slots, 2, CONTEXT - 1);
    for (size_t length = 1; length < CONTEXT; length++) {
        gemlet_session_reset(r.session);
        must(&r, gemlet_feed(r.session, ids, length, &r.error));
        for (size_t count = 1; length + count - 1 <= CONTEXT && count < CONTEXT; count++) {
            size_t behind = length + count - 1, oldest = behind > slots ? behind - slots : 0,
                   needed = length >= window ? length - window + 1 : 0;
            gemlet_status status = gemlet_choose(r.session, &(gemlet_choice){ids, count}, 1, &found, scratch, bytes, &r.error);
            if (needed >= oldest) {
                must(&r, status);
                longest = count > longest ? count : longest;
            } else {
                char message[GEMLET_MESSAGE_BYTES];
                snprintf(message, sizeof message, "a choice of %zu tokens is longer than the sliding windows can go back behind",
                         count);
                says(&r, status, GEMLET_ERROR_ARGUMENT, message);
            }
            gemlet_session_reset(r.session);
            must(&r, gemlet_feed(r.session, ids, length, &r.error));
        }
    }
    assert_true(longest > 1);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_as_likely_as_said),
        cmocka_unit_test(choices_that_cannot_be_are_named),
        cmocka_unit_test(choices_are_as_long_as_rings_go_back),
    };
    return cmocka_run_group_tests(tests, make_sessions, end_sessions);
}
