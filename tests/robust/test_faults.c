/* Every call of the port fails in turn: a status with a message each time, nothing lost but what the interface says, and the next
 * clean call gives the same bits as in a session that never failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/robust/rig.h"
#include "tests/support/sanitized.h"
#include <gemlet/sampler.h>

enum { CONTEXT = 400, CHUNK = 8, TOKENS = 20, SOFT = 3, MOST_FAULTS = SANITIZED ? 200 : 1500 };

static const gemlet_options with_images = {.context = CONTEXT, .chunk = CHUNK, .image_size = 64};
static const gemlet_options text_only = {.context = CONTEXT, .chunk = CHUNK, .no_images = true};

/* ---- The faults ---- */

typedef enum fault_kind { FAIL_ONCE, FAIL_FROM_HERE, SHORT_READ, FAULT_KINDS } fault_kind;

static void arm(rig *r, fault_kind kind, uint64_t call) {
    r->fault.calls = r->fault.injected = r->fault.refused_maps = 0;
    r->fault.fail_call = kind == SHORT_READ ? 0 : call;
    r->fault.fail_every_later = kind == FAIL_FROM_HERE;
    r->fault.short_call = kind == SHORT_READ ? call : 0;
}

static void disarm(rig *r) {
    arm(r, FAIL_ONCE, 0);
}

/* How far apart the calls are that fail, so that of many there are MOST_FAULTS at most; the first and last ones all do. */
static uint64_t next_call(uint64_t call, uint64_t calls) {
    uint64_t edge = MOST_FAULTS / 4;
    uint64_t step = calls > MOST_FAULTS ? (calls - 2 * edge) / (MOST_FAULTS - 2 * edge) + 1 : 1;
    return call < edge || call + edge > calls ? call + 1 : call + step;
}

/* ---- Plan and open ---- */

static gemlet_status plan(rig *r) {
    gemlet_memory_plan found;
    gemlet_memory_plan before;
    memset(&before, 0xEE, sizeof before);
    found = before;
    gemlet_status status = gemlet_plan(&r->port, "model", &r->options, &found, &r->error);
    assert_true(status == GEMLET_OK || memcmp(&found, &before, offsetof(gemlet_memory_plan, work)) == 0);
    return status;
}

/* Leaves nothing open, whatever comes of it. */
static gemlet_status open_and_close(rig *r) {
    gemlet_arena_init(&r->arena, r->block + RIG_RED_ZONE, r->arena_bytes, &r->error);
    gemlet_arena before = r->arena;
    gemlet_status status = gemlet_model_open(&r->port, "model", &r->options, &r->arena, &r->model, &r->error);
    if (status == GEMLET_OK) {
        gemlet_arena opened = r->arena;
        status = gemlet_session_open(r->model, &r->options, &r->arena, &r->session, &r->error);
        if (status != GEMLET_OK) {
            assert_memory_equal(&r->arena, &opened, sizeof opened);
        }
        gemlet_model_close(r->model);
    } else {
        assert_null(r->model);
        assert_memory_equal(&r->arena, &before, sizeof before);
    }
    r->model = NULL;
    r->session = NULL;
    return status;
}

/* A call of map may fail: the weights are then read into the arena, for which there is no room, and a plan says how many bytes it
 * takes. Every other fault must be answered. */
static void fail_every_call(rig *r, const char *what, gemlet_status (*step)(rig *)) {
    uint64_t injected = 0;
    uint64_t maps = 0;
    disarm(r);
    assert_int_equal(step(r), GEMLET_OK);
    uint64_t calls = r->fault.calls;
    for (fault_kind kind = FAIL_ONCE; kind < FAULT_KINDS; kind++) {
        for (uint64_t call = 1; call <= calls; call = next_call(call, calls)) {
            arm(r, kind, call);
            gemlet_status status = step(r);
            rig_check_status(r, status);
            assert_int_equal(r->fault.open_files, 0);
            assert_true(r->fault.injected == 0 || status != GEMLET_OK);
            assert_true(r->fault.refused_maps == 0 || status != GEMLET_OK || step == plan);
            injected += r->fault.injected != 0 ? 1 : 0;
            maps += r->fault.injected == 0 && r->fault.refused_maps != 0 ? 1 : 0;
        }
        disarm(r);
        assert_int_equal(step(r), GEMLET_OK);
    }
    print_message("           %-24s %6llu calls of the port, %6llu faults, %llu refused mappings\n", what,
                  (unsigned long long)calls, (unsigned long long)injected, (unsigned long long)maps);
    assert_true(injected > calls || injected > MOST_FAULTS);
}

static void opening(const packed_file *file, const gemlet_options *options, bool planned) {
    char what[64];
    rig r;
    rig_start(&r, file, options);
    assert_int_equal(rig_converse(&r), GEMLET_OK);
    saved_state wanted = rig_save(&r);
    gemlet_model_close(r.model);
    r.model = NULL;
    if (planned) {
        snprintf(what, sizeof what, "plan, %s", file->name);
        fail_every_call(&r, what, plan);
    }
    snprintf(what, sizeof what, "open, %s", file->name);
    fail_every_call(&r, what, open_and_close);
    assert_int_equal(rig_open_again(&r), GEMLET_OK);
    assert_int_equal(rig_converse(&r), GEMLET_OK);
    assert_state(&r, &wanted);
    free(wanted.bytes);
    rig_close(&r);
}

static void every_call_of_plan_and_open_fails(void **state) {
    (void)state;
    opening(&small, &(gemlet_options){.context = 64, .chunk = CHUNK}, true);
    opening(&mini, &with_images, false);
}

/* ---- Feeding ---- */

static const uint32_t tokens[TOKENS] = {3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 4, 6, 9, 14, 22, 35, 56, 90, 145, 234};

static gemlet_status feed_tokens(rig *r) {
    return gemlet_feed(r->session, tokens, TOKENS, &r->error);
}

static gemlet_status feed_text(rig *r) {
    static const char text[] = "a text of some words, more than two chunks of tokens, and <image> is none";
    return gemlet_feed_text(r->session, text, sizeof text - 1, false, &r->error);
}

static gemlet_status feed_embeddings(rig *r) {
    static float soft[SOFT * RIG_VOCABULARY_MOST];
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++) {
        soft[i] = (float)(i % 17) - 8.0f;
    }
    return gemlet_feed_embeddings(r->session, soft, SOFT, &r->error);
}

static gemlet_status feed_prompt(rig *r) {
    uint32_t prompt[TOKENS + 2] = {0};
    size_t length = gemlet_session_length(r->session);
    length = length < TOKENS ? length : TOKENS;
    memcpy(prompt, r->session->history, length * sizeof *prompt);
    return gemlet_feed_prompt(r->session, prompt, TOKENS + 2, NULL, &r->error);
}

static gemlet_status feed_image(rig *r) {
    gemlet_image frame = rig_frame(r);
    return gemlet_feed_image(r->session, &frame, &r->error);
}

static gemlet_status sample(rig *r) {
    static _Alignas(8) unsigned char scratch[1 << 16];
    gemlet_sampler sampler;
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    uint32_t vocabulary = gemlet_model_facts(r->model).vocabulary;
    uint32_t token = 0;
    gemlet_status status = gemlet_sampler_open(&sampler, &settings, vocabulary, scratch, sizeof scratch, &r->error);
    for (size_t i = 0; i < 3 && status == GEMLET_OK; i++) {
        status = gemlet_sampler_next(&sampler, r->session, &token, &r->error);
        status = status == GEMLET_OK ? gemlet_feed(r->session, &token, 1, &r->error) : status;
    }
    return status;
}

static gemlet_status slide(rig *r) {
    return gemlet_session_slide(r->session, 2, gemlet_session_length(r->session) / 2, &r->error);
}

static gemlet_status save_and_restore(rig *r) {
    saved_state saved = rig_save(r);
    gemlet_status status = gemlet_session_restore(r->session, saved.bytes, saved.size, &r->error);
    free(saved.bytes);
    return status;
}

typedef struct feeding {
    const char *name;
    gemlet_status (*run)(rig *);
    bool images;
    uint64_t calls_at_least;
} feeding;

static const feeding feedings[] = {
    {"feed tokens", feed_tokens, false, TOKENS},
    {"feed text", feed_text, false, TOKENS},
    {"feed embeddings", feed_embeddings, false, SOFT},
    {"feed prompt", feed_prompt, false, 2},
    {"sample and feed", sample, false, 3},
    {"slide", slide, false, 2},
    {"save and restore", save_and_restore, false, 0},
    {"feed image", feed_image, true, 256},
};

/* The step with a fault at one call; then without, from the state before it: that must end in the state `after`. */
static void one_fault(rig *r, const feeding *step, fault_kind kind, uint64_t call, const saved_state *before,
                      const saved_state *after) {
    const float *logits = NULL;
    size_t count = 0;
    rig_restore(r, before);
    size_t length = gemlet_session_length(r->session);
    arm(r, kind, call);
    gemlet_status status = step->run(r);
    disarm(r);
    rig_check_status(r, status);
    assert_int_equal(status, GEMLET_ERROR_IO);
    assert_null(strstr(r->error.message, "stopped by the receiver")); /* but what could not be read */
    assert_true(gemlet_session_length(r->session) >= length || step->run == slide || step->run == feed_prompt);
    assert_int_equal(gemlet_logits(r->session, &logits, &count, &r->error), GEMLET_ERROR_STATE);
    /* As it is now, it can be saved and fed. */
    assert_int_equal(save_and_restore(r), GEMLET_OK);
    assert_int_equal(gemlet_feed(r->session, tokens, 1, &r->error), GEMLET_OK);
    rig_restore(r, before);
    assert_int_equal(step->run(r), GEMLET_OK);
    assert_state(r, after);
}

static uint64_t fail_feeding(rig *r, const feeding *step, uint64_t stride) {
    uint64_t injected = 0;
    saved_state before = rig_save(r);
    disarm(r);
    if (step->run(r) != GEMLET_OK) {
        fail_msg("%s: %s", step->name, r->error.message);
    }
    uint64_t calls = r->fault.calls;
    assert_true(calls >= step->calls_at_least);
    saved_state after = rig_save(r);
    for (fault_kind kind = FAIL_ONCE; kind < FAULT_KINDS; kind += SANITIZED ? SHORT_READ : 1) {
        for (uint64_t call = 1; call <= calls; call = call < calls && call + stride > calls ? calls : call + stride) {
            one_fault(r, step, kind, call, &before, &after);
            injected++;
        }
    }
    print_message("           %-24s %6llu calls of the port, %6llu faults\n", step->name, (unsigned long long)calls,
                  (unsigned long long)injected);
    rig_restore(r, &before);
    free(before.bytes);
    free(after.bytes);
    return injected;
}

static void every_call_of_feeding_fails(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &text_only);
    assert_int_equal(gemlet_feed_text(r.session, "it begins with a text of so many words", 38, false, &r.error), GEMLET_OK);
    for (size_t i = 0; i < sizeof feedings / sizeof *feedings; i++) {
        if (!feedings[i].images) {
            fail_feeding(&r, &feedings[i], SANITIZED ? 30 : 1);
        }
    }
    rig_close(&r);
}

/* An image takes long: some of its calls, and none where the build is sanitized. */
static void calls_of_feeding_an_image_fail(void **state) {
    (void)state;
    rig r;
    if (SANITIZED) {
        skip();
    }
    rig_start(&r, &mini, &with_images);
    assert_int_equal(gemlet_feed_text(r.session, "see", 3, false, &r.error), GEMLET_OK);
    fail_feeding(&r, &feedings[sizeof feedings / sizeof *feedings - 1], 50);
    rig_close(&r);
}

/* ---- Files that are not the size they seem, clocks, threads ---- */

static void changed_sizes_are_noticed_or_do_no_harm(void **state) {
    (void)state;
    uint64_t refused = 0;
    uint64_t grown = 0;
    rig r;
    rig_start(&r, &small, &(gemlet_options){.context = 64, .chunk = CHUNK});
    assert_int_equal(rig_converse(&r), GEMLET_OK);
    saved_state wanted = rig_save(&r);
    gemlet_model_close(r.model);
    r.model = NULL;
    for (size_t size = 0; size < small.size; size += SANITIZED ? 599 : 61) {
        for (int lies = 0; lies < 2; lies++) {
            r.fault.truncated = true;
            r.fault.truncated_size = size;
            r.fault.size_lies = lies != 0;
            gemlet_status status = open_and_close(&r);
            rig_check_status(&r, status);
            assert_int_not_equal(status, GEMLET_OK);
            refused++;
        }
    }
    r.fault.truncated = false;
    for (uint64_t more = 1; more <= UINT64_C(1) << 40; more *= 8, grown++) {
        r.fault.added_size = more; /* what is not there can't be mapped, and for reading it there is no room */
        gemlet_status status = open_and_close(&r);
        rig_check_status(&r, status);
        assert_true(status == GEMLET_OK || status == GEMLET_ERROR_MEMORY);
    }
    r.fault.added_size = 0;
    assert_int_equal(rig_open_again(&r), GEMLET_OK);
    assert_int_equal(rig_converse(&r), GEMLET_OK);
    assert_state(&r, &wanted);
    print_message("           %llu smaller sizes, all refused; %llu larger ones\n", (unsigned long long)refused,
                  (unsigned long long)grown);
    free(wanted.bytes);
    rig_close(&r);
}

/* The file of a session that runs shrinks: the table of per-layer inputs is read a row at a time. */
static void a_file_that_shrinks_under_a_session_is_noticed(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &text_only);
    assert_int_equal(feed_tokens(&r), GEMLET_OK);
    saved_state before = rig_save(&r);
    assert_int_equal(feed_tokens(&r), GEMLET_OK);
    saved_state after = rig_save(&r);
    rig_restore(&r, &before);
    r.fault.truncated = true;
    r.fault.truncated_size = r.model->weights.per_layer_offset + 1;
    r.fault.size_lies = true;
    assert_int_equal(feed_tokens(&r), GEMLET_ERROR_IO);
    assert_non_null(strstr(r.error.message, "model: tensor \"per_layer_token_embd.weight\" can't be read"));
    assert_int_equal(gemlet_session_length(r.session), TOKENS);
    r.fault.truncated = false;
    assert_int_equal(feed_tokens(&r), GEMLET_OK);
    assert_state(&r, &after);
    free(before.bytes);
    free(after.bytes);
    rig_close(&r);
}

/* A clock that runs back, and threads that were refused: the port then runs the tasks it was made for by itself, in any order. */
static void clocks_and_threads_change_no_bit(void **state) {
    (void)state;
    uint64_t tried = 0;
    rig r;
    rig_start(&r, &mini, &text_only);
    assert_int_equal(rig_converse(&r), GEMLET_OK);
    saved_state wanted = rig_save(&r);
    rig_close(&r);
    for (uint64_t threads = 1; threads <= 5; threads += SANITIZED ? 4 : 2) {
        for (fault_order order = FAULT_ORDER_FORWARD; order <= FAULT_ORDER_ODD_FIRST; order++, tried++) {
            rig_init(&r, mini.bytes, mini.size, &text_only);
            r.fault.claimed_threads = threads;
            r.fault.order = order;
            r.fault.time_runs_back = true;
            assert_int_equal(rig_open(&r, rig_plan(&r), 0), GEMLET_OK);
            assert_int_equal(rig_converse(&r), GEMLET_OK);
            assert_true(threads == 1 || r.fault.task_runs > 100);
            assert_state(&r, &wanted);
            rig_close(&r);
        }
    }
    print_message("           %llu combinations\n", (unsigned long long)tried);
    free(wanted.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_plan_and_open_fails),
        cmocka_unit_test(every_call_of_feeding_fails),
        cmocka_unit_test(calls_of_feeding_an_image_fail),
        cmocka_unit_test(changed_sizes_are_noticed_or_do_no_harm),
        cmocka_unit_test(a_file_that_shrinks_under_a_session_is_noticed),
        cmocka_unit_test(clocks_and_threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, pack_models, free_models);
}
