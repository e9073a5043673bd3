/* What a product does at run time and should not have to fear: full contexts, empty and endless prompts, wrong ids, images
 * anywhere, cancelling at every moment.  Each refusal leaves the session as it was, and what was cancelled can be gone on with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/robust/rig.h"
#include "tests/support/sanitized.h"

enum { TOKENS = 48, IMAGES = SANITIZED ? 1 : 50 };

static uint32_t ids[TOKENS];
static const gemlet_options text_only = {.context = 64, .chunk = 8, .no_images = true};

/* The call was refused with `expected` and changed nothing. */
static void assert_refused(rig *r, gemlet_status status, gemlet_status expected, const saved_state *before) {
    rig_check_status(r, status);
    assert_int_equal(status, expected);
    assert_state(r, before);
}

/* ---- Limits ---- */

static void a_full_context_says_so_and_stays_as_it_is(void **state) {
    (void)state;
    static float soft[2 * RIG_VOCABULARY_MOST];
    rig r;
    rig_start(&r, &mini, &(gemlet_options){.context = TOKENS, .chunk = 8, .image_size = 64});
    gemlet_image frame = rig_frame(&r);
    must(&r, gemlet_feed(r.session, ids, TOKENS - 1, &r.error));
    saved_state full = rig_save(&r);
    assert_refused(&r, gemlet_feed(r.session, ids, 2, &r.error), GEMLET_ERROR_CONTEXT, &full);
    assert_refused(&r, gemlet_feed_text(r.session, "no room for this", 16, false, &r.error), GEMLET_ERROR_CONTEXT, &full);
    assert_refused(&r, gemlet_feed_embeddings(r.session, soft, 2, &r.error), GEMLET_ERROR_CONTEXT, &full);
    assert_refused(&r, gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_CONTEXT, &full);
    uint32_t longer[TOKENS + 1] = {1};
    assert_refused(&r, gemlet_feed_prompt(r.session, longer, TOKENS + 1, NULL, &r.error), GEMLET_ERROR_CONTEXT, &full);
    must(&r, gemlet_feed(r.session, ids, 1, &r.error));
    free(full.bytes);
    full = rig_save(&r);
    assert_refused(&r, gemlet_feed(r.session, ids, 1, &r.error), GEMLET_ERROR_CONTEXT, &full);
    free(full.bytes);
    rig_close(&r);
}

static void nothing_to_feed_changes_nothing(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &text_only);
    for (int i = 0; i < 2; i++) {
        saved_state before = rig_save(&r);
        assert_refused(&r, gemlet_feed(r.session, NULL, 0, &r.error), GEMLET_OK, &before);
        assert_refused(&r, gemlet_feed_embeddings(r.session, NULL, 0, &r.error), GEMLET_OK, &before);
        if (i > 0) { /* a session that is empty begins with <bos> */
            assert_refused(&r, gemlet_feed_text(r.session, NULL, 0, true, &r.error), GEMLET_OK, &before);
        }
        free(before.bytes);
        must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    }
    gemlet_session_reset(r.session);
    must(&r, gemlet_feed_text(r.session, "", 0, true, &r.error));
    assert_int_equal(gemlet_session_length(r.session), 1);
    must(&r, gemlet_feed_prompt(r.session, NULL, 0, NULL, &r.error)); /* an empty prompt is an empty session */
    assert_int_equal(gemlet_session_length(r.session), 0);
    rig_close(&r);
}

static void ids_that_are_none_are_refused(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &text_only);
    must(&r, gemlet_feed(r.session, ids, 5, &r.error));
    saved_state before = rig_save(&r);
    uint32_t vocabulary = gemlet_model_facts(r.model).vocabulary;
    const uint32_t wrong[] = {vocabulary, vocabulary + 1, INT32_MAX, 0x80000000u, GEMLET_SOFT_TOKEN - 1, GEMLET_SOFT_TOKEN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (size_t at = 0; at < 20; at++) {
            uint32_t some[20] = {0};
            some[at] = wrong[i];
            assert_refused(&r, gemlet_feed(r.session, some, 20, &r.error), GEMLET_ERROR_ARGUMENT, &before);
            assert_refused(&r, gemlet_feed_prompt(r.session, some, 20, NULL, &r.error), GEMLET_ERROR_ARGUMENT, &before);
        }
    }
    free(before.bytes);
    rig_close(&r);
}

/* ---- Images ---- */

static void images_come_anywhere_and_often(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &(gemlet_options){.context = SANITIZED ? 300 : 600, .chunk = 32, .image_size = 64});
    gemlet_image frame = rig_frame(&r);
    saved_state first = {NULL, 0};
    size_t one = 0;
    for (size_t i = 0; i < IMAGES; i++) { /* before any text */
        gemlet_session_reset(r.session);
        must(&r, gemlet_feed_image(r.session, &frame, &r.error));
        one = gemlet_session_length(r.session);
        saved_state now = rig_save(&r);
        if (i == 0) {
            first = now;
        } else {
            assert_same_state(&now, &first);
            free(now.bytes);
        }
    }
    if (!SANITIZED) {
        must(&r, gemlet_feed_image(r.session, &frame, &r.error)); /* and another behind it */
        assert_int_equal(gemlet_session_length(r.session), 2 * one - 1);
    }
    saved_state full = rig_save(&r);
    assert_refused(&r, gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_CONTEXT, &full);
    assert_refused(&r, gemlet_session_slide(r.session, 1, 250, &r.error), GEMLET_ERROR_UNSUPPORTED, &full);
    assert_refused(&r, gemlet_session_slide(r.session, 1, 5, &r.error), GEMLET_ERROR_UNSUPPORTED, &full);
    print_message("           %d images, %zu positions each\n", IMAGES, one - 1);
    free(full.bytes);
    free(first.bytes);
    rig_close(&r);
}

/* ---- Sliding ---- */

static void slide_is_as_if_fed_anew(size_t length, size_t keep, size_t recent, rig *r, rig *fresh) {
    uint32_t expected[TOKENS];
    memcpy(expected, ids, keep * sizeof *ids);
    memcpy(expected + keep, ids + length - recent, recent * sizeof *ids);
    gemlet_session_reset(r->session);
    gemlet_session_reset(fresh->session);
    must(r, gemlet_feed(r->session, ids, length, &r->error));
    must(r, gemlet_session_slide(r->session, keep, recent, &r->error));
    must(fresh, gemlet_feed(fresh->session, expected, keep + recent, &fresh->error));
    assert_int_equal(gemlet_session_length(r->session), keep + recent);
    assert_memory_equal(r->session->history, expected, (keep + recent) * sizeof *expected);
    for (size_t i = 0; i < 2; i++) { /* the logits, and what the next token makes of keys and values */
        const float *a = NULL;
        const float *b = NULL;
        size_t count = 0;
        must(r, gemlet_logits(r->session, &a, &count, &r->error));
        must(fresh, gemlet_logits(fresh->session, &b, &count, &fresh->error));
        assert_memory_equal(a, b, count * sizeof *a);
        must(r, gemlet_feed(r->session, ids, 1, &r->error));
        must(fresh, gemlet_feed(fresh->session, ids, 1, &fresh->error));
    }
}

static void a_slid_session_is_one_that_was_fed_what_is_left(void **state) {
    (void)state;
    static const size_t keeps[] = {0, 1, 5, 17, 30};
    static const size_t recents[] = {1, 7, 8, 15};
    size_t tried = 0;
    rig r;
    rig fresh;
    for (gemlet_cache_type cache = GEMLET_CACHE_F16; cache <= GEMLET_CACHE_S8; cache++) {
        rig_start(&r, &mini, &(gemlet_options){.context = TOKENS, .chunk = 8, .no_images = true, .cache = cache});
        rig_start(&fresh, &mini, &r.options);
        for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k += SANITIZED ? 2 : 1) {
            for (size_t n = 0; n < sizeof recents / sizeof *recents; n += SANITIZED ? 3 : 1) {
                slide_is_as_if_fed_anew(TOKENS, keeps[k], recents[n], &r, &fresh);
                tried++;
            }
        }
        rig_close(&r);
        rig_close(&fresh);
    }
    print_message("           %zu slides\n", tried);
}

static void slides_that_cannot_be_are_refused(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &text_only);
    saved_state before = rig_save(&r);
    assert_refused(&r, gemlet_session_slide(r.session, 0, 1, &r.error), GEMLET_ERROR_ARGUMENT, &before);
    free(before.bytes);
    must(&r, gemlet_feed(r.session, ids, 40, &r.error));
    before = rig_save(&r);
    const size_t wrong[][2] = {{0, 0}, {40, 0}, {40, 1}, {41, 1}, {0, 41}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(&r, gemlet_session_slide(r.session, wrong[i][0], wrong[i][1], &r.error), GEMLET_ERROR_ARGUMENT, &before);
    }
    assert_refused(&r, gemlet_session_slide(r.session, 10, 30, &r.error), GEMLET_OK, &before); /* nothing to forget */
    free(before.bytes);
    rig_close(&r);
}

/* ---- Cancelling ---- */

typedef struct canceller {
    size_t calls, cancel_at; /* the call that cancels, from 1; 0: none */
    size_t done, total;
} canceller;

static bool go_on(void *context, size_t done, size_t total) {
    canceller *c = context;
    c->calls++;
    /* Tokens are counted anew behind the blocks of an encoder. */
    assert_true(done <= total && (c->calls == 1 || total != c->total ? done > 0 : done > c->done));
    c->done = done;
    c->total = total;
    return c->calls != c->cancel_at;
}

static gemlet_status feed_tokens(rig *r) {
    return gemlet_feed(r->session, ids, 20, &r->error);
}

static gemlet_status feed_text(rig *r) {
    static const char text[] = "words and words, one after the other";
    return gemlet_feed_text(r->session, text, sizeof text - 1, false, &r->error);
}

static gemlet_status feed_prompt(rig *r) {
    return gemlet_feed_prompt(r->session, ids, 30, NULL, &r->error);
}

static gemlet_status slide(rig *r) {
    return gemlet_session_slide(r->session, 2, 9, &r->error);
}

static gemlet_status feed_image(rig *r) {
    gemlet_image frame = rig_frame(r);
    return gemlet_feed_image(r->session, &frame, &r->error);
}

/* Cancels at every `stride`-th call of the progress, and does the same anew from the state before. */
static size_t cancel_everywhere(rig *r, gemlet_status (*step)(rig *), size_t stride) {
    size_t cancelled = 0;
    canceller c = {.cancel_at = 0};
    gemlet_session_on_progress(r->session, go_on, &c);
    saved_state before = rig_save(r);
    must(r, step(r));
    assert_int_equal(c.done, c.total);
    saved_state after = rig_save(r);
    size_t calls = c.calls;
    for (size_t at = 1; at <= calls; at += at + stride < calls ? stride : 1) {
        const float *logits = NULL;
        size_t count = 0;
        rig_restore(r, &before);
        size_t length = gemlet_session_length(r->session);
        c = (canceller){.cancel_at = at};
        gemlet_status status = step(r);
        assert_int_equal(status, at < calls ? GEMLET_ERROR_CANCELLED : GEMLET_OK); /* at the end there is nothing to cancel */
        rig_check_status(r, status);
        assert_int_equal(c.calls, at);
        if (at < calls) {
            bool fed = gemlet_session_length(r->session) != length || step == slide || step == feed_prompt;
            assert_int_equal(gemlet_logits(r->session, &logits, &count, &r->error), fed ? GEMLET_ERROR_STATE : GEMLET_OK);
            rig_restore(r, &before);
            c = (canceller){.cancel_at = 0};
            must(r, step(r));
            cancelled++;
        }
        assert_state(r, &after);
    }
    rig_restore(r, &before);
    free(before.bytes);
    free(after.bytes);
    return cancelled;
}

static void every_token_may_be_the_last(void **state) {
    (void)state;
    size_t cancelled = 0;
    gemlet_status (*const steps[])(rig *) = {feed_tokens, feed_text, feed_prompt, slide};
    rig r;
    rig_start(&r, &mini, &(gemlet_options){.context = 64, .chunk = 1, .no_images = true});
    must(&r, gemlet_feed(r.session, ids + 20, 14, &r.error));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        cancelled += cancel_everywhere(&r, steps[i], SANITIZED ? 5 : 1);
    }
    rig_close(&r);
    if (!SANITIZED) {
        rig_start(&r, &mini, &(gemlet_options){.context = 400, .chunk = 8, .image_size = 64});
        must(&r, gemlet_feed(r.session, ids, 3, &r.error));
        cancelled += cancel_everywhere(&r, feed_image, 3);
        rig_close(&r);
    }
    print_message("           cancelled %zu times\n", cancelled);
}

/* Tokens that were fed before a cancel stay, and the rest can follow. */
static void what_was_cancelled_goes_on(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &(gemlet_options){.context = 64, .chunk = 1, .no_images = true});
    must(&r, gemlet_feed(r.session, ids, 20, &r.error));
    saved_state whole = rig_save(&r);
    for (size_t at = 1; at < 20; at++) {
        canceller c = {.cancel_at = at};
        gemlet_session_reset(r.session);
        gemlet_session_on_progress(r.session, go_on, &c);
        assert_int_equal(gemlet_feed(r.session, ids, 20, &r.error), GEMLET_ERROR_CANCELLED);
        assert_int_equal(gemlet_session_length(r.session), at);
        gemlet_session_on_progress(r.session, NULL, NULL);
        must(&r, gemlet_feed(r.session, ids + at, 20 - at, &r.error));
        assert_state(&r, &whole);
    }
    free(whole.bytes);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_context_says_so_and_stays_as_it_is),
        cmocka_unit_test(nothing_to_feed_changes_nothing),
        cmocka_unit_test(ids_that_are_none_are_refused),
        cmocka_unit_test(images_come_anywhere_and_often),
        cmocka_unit_test(a_slid_session_is_one_that_was_fed_what_is_left),
        cmocka_unit_test(slides_that_cannot_be_are_refused),
        cmocka_unit_test(every_token_may_be_the_last),
        cmocka_unit_test(what_was_cancelled_goes_on),
    };
    for (uint32_t i = 0; i < TOKENS; i++) {
        ids[i] = (i * 97 + 5) % 500;
    }
    return cmocka_run_group_tests(tests, pack_models, free_models);
}
