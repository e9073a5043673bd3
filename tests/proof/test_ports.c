/* Every call of the port that fails, and every arena that is too small, while a model is opened and fed: the answer is that of the
 * port or of the arena, whatever was being read, and nothing stays open or half done. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/container/loader.h"
#include "tests/kernels/kernel_test.h"
#include "tests/robust/rig.h"
#include <gemlet/sound.h>

enum { CONTEXT = 24, CHUNK = 8, MOST_CALLS = 160, STEPS = 48 };

static packed_file whole; /* Gemma 4 with its encoders of pictures and sounds */
enum { FILES = 3 };
static const packed_file *const files[FILES] = {&small, &mini, &whole};
static const gemlet_options options = {.context = CONTEXT, .chunk = CHUNK};

/* Calls 1 .. MOST_CALLS / 2, and as many spread over the rest. */
static uint64_t next_call(uint64_t call, uint64_t calls) {
    uint64_t first = MOST_CALLS / 2;
    return call < first || calls < MOST_CALLS ? call + 1 : call + 1 + (calls - first) / first;
}

static void says_io(const rig *r, gemlet_status status, uint64_t call) {
    if (status != GEMLET_ERROR_IO) {
        fail_msg("call %llu of the port fails: expected GEMLET_ERROR_IO, found %d: %s", (unsigned long long)call, (int)status,
                 r->error.message);
    }
    assert_int_equal(r->error.status, status);
    assert_int_equal(r->fault.open_files, 0);
}

static void disarm(rig *r) {
    r->fault.fail_call = r->fault.short_call = 0;
    r->fault.fail_every_later = false;
    r->fault.calls = 0;
}

/* Once, and from a call on, and a byte too few. */
static void a_failing_port_is_named(void **state) {
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        rig r;
        rig_start(&r, files[i], &options);
        gemlet_model_close(r.model);
        r.model = NULL;
        r.session = NULL;
        r.fault.refuse_map = false;
        gemlet_memory_plan plan;
        disarm(&r);
        assert_int_equal(gemlet_plan(&r.port, "model", &options, &plan, &r.error), GEMLET_OK);
        uint64_t calls = r.fault.calls;
        for (int way = 0; way < 3; way++) {
            for (uint64_t call = 1; call <= calls; call = next_call(call, calls)) {
                disarm(&r);
                *(way == 2 ? &r.fault.short_call : &r.fault.fail_call) = call;
                r.fault.fail_every_later = way == 1;
                gemlet_status status = gemlet_plan(&r.port, "model", &options, &plan, &r.error);
                if (r.fault.injected > 0) { /* not a mapping that can't be */
                    says_io(&r, status, call);
                }
                r.fault.injected = 0;
            }
        }
        disarm(&r);
        assert_int_equal(gemlet_plan(&r.port, "model", &options, &plan, &r.error), GEMLET_OK);
        rig_close(&r);
    }
}

static void an_arena_too_small_says_so(void **state) {
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        rig r;
        rig_init(&r, files[i]->bytes, files[i]->size, &options);
        size_t bytes = rig_plan(&r), kept = 0;
        rig whole_arena;
        rig_start(&whole_arena, files[i], &options);
        for (size_t u = 0; u < whole_arena.arena.user_count;
             u++) { /* one byte less than each user's end, as if they were in order */
            kept += whole_arena.arena.users[u].peak;
            size_t sizes[] = {kept - GEMLET_ALIGNMENT, kept < bytes ? kept : bytes - GEMLET_ALIGNMENT, bytes / STEPS * u};
            for (size_t k = 0; k < 3; k++) {
                if (sizes[k] < bytes) {
                    assert_int_equal(rig_open(&r, sizes[k], 0xA5), GEMLET_ERROR_MEMORY);
                    assert_int_equal(r.error.status, GEMLET_ERROR_MEMORY);
                    assert_non_null(strstr(r.error.message, "arena too small"));
                    rig_init(&r, files[i]->bytes, files[i]->size, &options);
                }
            }
        }
        rig_close(&whole_arena);
    }
}

/* Rows of the per-layer table are read while tokens are fed; logits that were there are of no use then. */
static void a_port_that_fails_while_feeding_is_named(void **state) {
    (void)state;
    static const uint32_t tokens[] = {5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    enum { COUNT = sizeof tokens / sizeof *tokens };
    for (size_t i = 1; i < FILES; i++) {
        rig r;
        const float *logits;
        size_t count;
        rig_start(&r, files[i], &options);
        assert_int_equal(gemlet_feed(r.session, tokens, 1, &r.error), GEMLET_OK);
        disarm(&r);
        assert_int_equal(gemlet_feed(r.session, tokens, COUNT, &r.error), GEMLET_OK);
        uint64_t calls = r.fault.calls;
        assert_true(calls > 0);
        for (uint64_t call = 1; call <= calls; call = next_call(call, calls)) {
            gemlet_session_reset(r.session);
            assert_int_equal(gemlet_feed(r.session, tokens, 1, &r.error), GEMLET_OK);
            assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_OK);
            disarm(&r);
            r.fault.fail_call = call;
            gemlet_status status = call % 2 == 0 ? gemlet_feed(r.session, tokens, COUNT, &r.error)
                                                 : gemlet_feed_text(r.session, "one and two and three and", 20, false, &r.error);
            if (r.fault.injected > 0) {
                assert_int_equal(status, GEMLET_ERROR_IO);
                assert_true((gemlet_session_length(r.session) - 1) % CHUNK == 0); /* whole chunks alone */
                assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE);
            }
            r.fault.injected = 0;
        }
        rig_close(&r);
    }
}

/* Choices that can't be weighed leave the logits that were there. */
static void a_port_that_fails_while_choosing_is_named(void **state) {
    (void)state;
    static const uint32_t tokens[] = {5, 6, 7, 8, 9, 10};
    static const gemlet_choice choices[] = {{tokens, 6}, {tokens + 1, 5}};
    static _Alignas(8) unsigned char scratch[1 << 16];
    static float before[RIG_VOCABULARY_MOST];
    for (size_t i = 1; i < FILES; i++) {
        rig r;
        double logprobs[2];
        const float *logits;
        size_t count;
        rig_start(&r, files[i], &options);
        assert_int_equal(gemlet_feed(r.session, tokens, 3, &r.error), GEMLET_OK);
        assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_OK);
        assert_true(count <= RIG_VOCABULARY_MOST);
        memcpy(before, logits, count * sizeof *before);
        disarm(&r);
        assert_int_equal(gemlet_choose(r.session, choices, 2, logprobs, scratch, sizeof scratch, &r.error), GEMLET_OK);
        uint64_t calls = r.fault.calls;
        assert_true(calls > 0);
        for (uint64_t call = 1; call <= calls; call = next_call(call, calls)) {
            disarm(&r);
            r.fault.fail_call = call;
            gemlet_status status = gemlet_choose(r.session, choices, 2, logprobs, scratch, sizeof scratch, &r.error);
            assert_int_equal(status, r.fault.injected > 0 ? GEMLET_ERROR_IO : GEMLET_OK);
            r.fault.injected = 0;
            assert_int_equal(gemlet_session_length(r.session), 3);
            assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_OK);
            assert_memory_equal(before, logits, count * sizeof *before);
        }
        rig_close(&r);
    }
}

static void says(const rig *r, gemlet_status status, gemlet_status expected, const char *part) {
    assert_int_equal(status, expected);
    assert_int_equal(r->error.status, expected);
    assert_non_null(strstr(r->error.message, part));
}

/* What may be absent is, and what must not be is refused before anything is done. */
static void absent_arguments(void **state) {
    (void)state;
    rig r;
    gemlet_memory_plan plan;
    rig_start(&r, &whole, &options);
    for (size_t i = 0; i < FILES; i++) {
        rig other;
        rig_init(&other, files[i]->bytes, files[i]->size, &options);
        assert_int_equal(gemlet_plan(&other.port, "model", NULL, &plan, &other.error), GEMLET_OK);
    }
    assert_int_equal(gemlet_feed_text(r.session, NULL, 0, false, &r.error), GEMLET_OK);
    size_t length = gemlet_session_length(r.session);
    says(&r, gemlet_feed_text(r.session, NULL, 1, false, &r.error), GEMLET_ERROR_ARGUMENT, "text must not be NULL");
    says(&r, gemlet_feed_clip(r.session, NULL, 1, &r.error), GEMLET_ERROR_ARGUMENT, "but are 0");
    gemlet_clip_frame frames[2] = {{.image = rig_frame(&r)}, {.image = rig_frame(&r)}};
    says(&r, gemlet_feed_clip(r.session, frames, 0, &r.error), GEMLET_ERROR_ARGUMENT, "but are 0");
    says(&r, gemlet_feed_clip(r.session, frames, GEMLET_CLIP_MOST_FRAMES + 1, &r.error), GEMLET_ERROR_ARGUMENT,
         "1 to 32 but are 33");
    for (size_t i = 0; i < 2; i++) {
        frames[1].seconds = i == 0 ? -1.0 : 360000.0;
        says(&r, gemlet_feed_clip(r.session, frames, 2, &r.error), GEMLET_ERROR_ARGUMENT, "number 1 are ");
    }
    assert_int_equal(gemlet_session_length(r.session), length);
    rig_close(&r);
}

static void choices_that_are_none(void **state) {
    (void)state;
    static const uint32_t tokens[] = {5, 6, UINT32_MAX};
    rig r;
    double logs[2];
    size_t scratch[256];
    rig_start(&r, &small, &options);
    assert_true(gemlet_choose_bytes(r.session, 2) < sizeof scratch);
    assert_int_equal(gemlet_feed(r.session, tokens, 2, &r.error), GEMLET_OK);
    gemlet_choice choices[2] = {{tokens, 2}, {tokens, 1}};
    const float *logits = NULL;
    size_t count = 0;
    float before[RIG_VOCABULARY_MOST];
    assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_OK);
    memcpy(before, logits, count * sizeof *logits);
    const char *none = "at least one choice", *room = "aligned like a size_t";
    says(&r, gemlet_choose(r.session, choices, 0, logs, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT, none);
    says(&r, gemlet_choose(r.session, NULL, 2, logs, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT, none);
    says(&r, gemlet_choose(r.session, choices, 2, NULL, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT, none);
    says(&r, gemlet_choose(r.session, choices, 2, logs, NULL, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT, room);
    says(&r, gemlet_choose(r.session, choices, 2, logs, (char *)scratch + 1, sizeof scratch - 1, &r.error), GEMLET_ERROR_ARGUMENT,
         room);
    says(&r, gemlet_choose(r.session, choices, 2, logs, scratch, gemlet_choose_bytes(r.session, 2) - 1, &r.error),
         GEMLET_ERROR_ARGUMENT, room);
    choices[1] = (gemlet_choice){tokens, 0};
    says(&r, gemlet_choose(r.session, choices, 2, logs, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT,
         "at least one token");
    choices[1] = (gemlet_choice){NULL, 1};
    says(&r, gemlet_choose(r.session, choices, 2, logs, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT,
         "at least one token");
    choices[1] = (gemlet_choice){tokens, 3};
    says(&r, gemlet_choose(r.session, choices, 2, logs, scratch, sizeof scratch, &r.error), GEMLET_ERROR_ARGUMENT, "4294967295");
    choices[1] = (gemlet_choice){tokens, 2}; /* twice the same, and a beginning of it */
    assert_int_equal(gemlet_choose(r.session, choices, 2, logs, scratch, gemlet_choose_bytes(r.session, 2), &r.error), GEMLET_OK);
    assert_true(logs[0] == logs[1] && logs[0] < 0.0);
    choices[1].count = 1;
    assert_int_equal(gemlet_choose(r.session, choices, 2, logs, scratch, sizeof scratch, &r.error), GEMLET_OK);
    assert_true(logs[0] < logs[1] && logs[1] < 0.0);
    assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_OK);
    assert_memory_equal(logits, before, count * sizeof *logits);
    assert_int_equal(gemlet_session_length(r.session), 2);
    rig_close(&r);
}

/* ln of the probability of `tokens` behind what the session holds, a token at a time. */
static double log_of(rig *r, const uint32_t *tokens, size_t count) {
    double sum = 0.0;
    size_t length = gemlet_session_length(r->session);
    for (size_t i = 0; i < count; i++) {
        const float *logits = NULL;
        size_t vocabulary = 0;
        double total = 0.0;
        assert_int_equal(gemlet_logits(r->session, &logits, &vocabulary, &r->error), GEMLET_OK);
        for (size_t k = 0; k < vocabulary; k++) {
            total += exp((double)logits[k]);
        }
        sum += (double)logits[tokens[i]] - log(total);
        assert_int_equal(gemlet_feed(r->session, &tokens[i], 1, &r->error), GEMLET_OK);
    }
    assert_int_equal(gemlet_session_rewind(r->session, length - 1, &r->error), GEMLET_OK);
    assert_int_equal(gemlet_feed(r->session, &(uint32_t){6}, 1, &r->error), GEMLET_OK);
    return sum;
}

/* Choices that share a beginning, are the beginning of another, or have nothing in common, in any order. */
static void choices_are_what_they_are_one_by_one(void **state) {
    (void)state;
    static const uint32_t tokens[] = {5, 6, 7, 8, 9, 10, 5, 6, 11, 12};
    static const uint32_t prompt[] = {5, 6};
    const gemlet_choice orders[2][5] = {{{tokens, 3}, {tokens, 5}, {tokens + 6, 4}, {tokens + 2, 1}, {tokens, 1}},
                                        {{tokens + 2, 1}, {tokens + 6, 4}, {tokens, 1}, {tokens, 5}, {tokens, 3}}};
    for (size_t i = 0; i < 2; i++) {
        rig r, hand;
        double logs[5];
        size_t scratch[256];
        rig_start(&r, &small, &options);
        rig_start(&hand, &small, &options);
        assert_int_equal(gemlet_feed(r.session, prompt, 2, &r.error), GEMLET_OK);
        assert_int_equal(gemlet_feed(hand.session, prompt, 2, &hand.error), GEMLET_OK);
        assert_int_equal(gemlet_choose(r.session, orders[i], 5, logs, scratch, sizeof scratch, &r.error), GEMLET_OK);
        for (size_t k = 0; k < 5; k++) {
            assert_true(fabs(logs[k] - log_of(&hand, orders[i][k].tokens, orders[i][k].count)) < 1e-3);
        }
        rig_close(&hand);
        rig_close(&r);
    }
}

/* The caller's samples and names are not read beyond their end. */
static void nothing_behind_the_end_is_read(void **state) {
    (void)state;
    rig r;
    float samples[65];
    rig_start(&r, &whole, &options);
    for (size_t i = 0; i < 65; i++) {
        samples[i] = i < 64 ? 0.25f : NAN;
    }
    assert_int_equal(gemlet_sound_begin(r.session, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, samples, 64}, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, samples, 65}, &r.error),
                     GEMLET_ERROR_ARGUMENT);
    static const char name[] = "token_embd.weight";
    char *guarded = guarded_alloc(sizeof name, 0);
    memcpy(guarded, name, sizeof name);
    gemlet_loader loader = {.container = &r.model->container, .error = &r.error};
    gemlet_loader_enter(&loader, "");
    assert_true(gemlet_loader_has(&loader, guarded));
    guarded_free(guarded);
    rig_close(&r);
}

static int set_up(void **state) {
    whole = packed_whole();
    return pack_models(state);
}

static int tear_down(void **state) {
    free(whole.bytes);
    return free_models(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_port_is_named),
        cmocka_unit_test(an_arena_too_small_says_so),
        cmocka_unit_test(a_port_that_fails_while_feeding_is_named),
        cmocka_unit_test(a_port_that_fails_while_choosing_is_named),
        cmocka_unit_test(absent_arguments),
        cmocka_unit_test(choices_that_are_none),
        cmocka_unit_test(choices_are_what_they_are_one_by_one),
        cmocka_unit_test(nothing_behind_the_end_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
