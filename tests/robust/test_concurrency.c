/* Several threads, each with a session of its own on one model and one port, at the same time: the bits are those of one alone.  A
 * session is stopped from another thread.  For the build under ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/container/tiny_model.h"
#include "tests/robust/rig.h"
#include "tests/support/sanitized.h"
#include <gemlet/posix.h>

enum { SESSIONS = 2, TOKENS = 24 };

static char folder[FOLDER_BYTES];
static char path[FOLDER_BYTES + 32];
static const gemlet_options with_images = {.context = 320, .chunk = 32, .image_size = 64, .level_limit = SANITIZED ? 1 : 0};
static const gemlet_options text_only = {.context = 320, .chunk = 8, .no_images = true, .level_limit = SANITIZED ? 1 : 0};

/* What a thread works with; its session is opened by itself. */
typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    gemlet_model *model;
    const gemlet_options *options;
    int rounds;
    gemlet_arena arena;
    rig use; /* its session, as in a rig */
    gemlet_status status;
    saved_state state;
} worker;

/* The encoder runs, but its soft tokens are not fed: they are many. */
static gemlet_status converse(rig *r) {
    gemlet_image frame = rig_frame(r);
    const float *soft_tokens = NULL;
    size_t count = 0;
    bool images = gemlet_session_image_facts(r->session).size != 0;
    gemlet_status status = images ? gemlet_encode_image(r->session, &frame, &soft_tokens, &count, &r->error) : GEMLET_OK;
    if (status == GEMLET_OK && images) {
        status = gemlet_feed_embeddings(r->session, soft_tokens, 8, &r->error);
    }
    return status == GEMLET_OK ? rig_chat(r) : status;
}

static void *work(void *argument) {
    worker *w = argument;
    pthread_barrier_wait(w->start);
    w->status = gemlet_session_open(w->model, w->options, &w->arena, &w->use.session, &w->use.error);
    for (int round = 0; round < w->rounds && w->status == GEMLET_OK; round++) {
        gemlet_session_reset(w->use.session);
        w->status = converse(&w->use);
    }
    return NULL;
}

typedef struct shared_model {
    gemlet_posix *posix;
    gemlet_port port;
    gemlet_memory_plan plan;
    void *memory;
    gemlet_arena arena;
    gemlet_model *model;
} shared_model;

/* An arena for each session; a planned one is more than enough, as it counts the model too. */
static void open_model(shared_model *m, size_t threads, const gemlet_options *options) {
    gemlet_error error = {GEMLET_OK, ""};
    m->posix = gemlet_posix_open(threads, &m->port);
    assert_non_null(m->posix);
    if (gemlet_plan(&m->port, path, options, &m->plan, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
    m->memory = aligned_alloc(GEMLET_ALIGNMENT, (SESSIONS + 1) * m->plan.arena);
    assert_non_null(m->memory);
    gemlet_arena_init(&m->arena, m->memory, m->plan.arena, &error);
    if (gemlet_model_open(&m->port, path, options, &m->arena, &m->model, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
}

static void close_model(shared_model *m) {
    gemlet_model_close(m->model);
    gemlet_posix_close(m->posix);
    free(m->memory);
}

static void sessions_at_once(size_t threads, const gemlet_options *options, int rounds) {
    static worker workers[SESSIONS];
    pthread_barrier_t start;
    shared_model m;
    open_model(&m, threads, options);
    pthread_barrier_init(&start, NULL, SESSIONS);
    for (size_t i = 0; i < SESSIONS; i++) {
        worker *w = &workers[i];
        *w = (worker){.start = &start, .model = m.model, .options = options, .rounds = rounds};
        gemlet_arena_init(&w->arena, (char *)m.memory + (i + 1) * m.plan.arena, m.plan.arena, &w->use.error);
        assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        worker *w = &workers[i];
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        if (w->status != GEMLET_OK) {
            fail_msg("%s", w->use.error.message);
        }
        w->state = rig_save(&w->use);
    }
    /* Again, alone. */
    gemlet_session_reset(workers[0].use.session);
    assert_int_equal(converse(&workers[0].use), GEMLET_OK);
    saved_state alone = rig_save(&workers[0].use);
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_same_state(&workers[i].state, &alone);
        free(workers[i].state.bytes);
    }
    free(alone.bytes);
    pthread_barrier_destroy(&start);
    close_model(&m);
    print_message("           %d sessions at once, %d conversations each, %zu threads in the port\n", SESSIONS, rounds, threads);
}

static void sessions_share_a_model(void **state) {
    (void)state;
    sessions_at_once(1, &text_only, 3);
    sessions_at_once(3, &with_images, 1);
}

/* ---- Cancelling ---- */

typedef struct stopper {
    atomic_bool stop;
    atomic_size_t done;
} stopper;

static bool go_on(void *context, size_t done, size_t total) {
    stopper *s = context;
    (void)total;
    atomic_store(&s->done, done);
    return !atomic_load(&s->stop);
}

/* Stops the session's thread after its third chunk. */
static void *stop(void *argument) {
    stopper *s = argument;
    while (atomic_load(&s->done) < TOKENS) {
        sched_yield();
    }
    atomic_store(&s->stop, true);
    return NULL;
}

static void another_thread_cancels(void **state) {
    (void)state;
    shared_model m;
    gemlet_session *session = NULL;
    gemlet_error error = {GEMLET_OK, ""};
    stopper s = {.done = 0};
    pthread_t thread;
    uint32_t tokens[300] = {0};
    open_model(&m, 2, &text_only);
    assert_int_equal(gemlet_session_open(m.model, &text_only, &m.arena, &session, &error), GEMLET_OK);
    gemlet_session_on_progress(session, go_on, &s);
    atomic_store(&s.stop, false);
    assert_int_equal(pthread_create(&thread, NULL, stop, &s), 0);
    gemlet_status status = GEMLET_OK;
    while (status == GEMLET_OK) { /* however late the other thread is */
        gemlet_session_reset(session);
        status = gemlet_feed(session, tokens, sizeof tokens / sizeof *tokens, &error);
    }
    assert_int_equal(status, GEMLET_ERROR_CANCELLED);
    assert_int_equal(gemlet_session_length(session), atomic_load(&s.done));
    assert_int_equal(pthread_join(thread, NULL), 0);
    gemlet_session_on_progress(session, NULL, NULL);
    assert_int_equal(gemlet_feed(session, tokens, 1, &error), GEMLET_OK);
    close_model(&m);
}

static int set_up(void **state) {
    pack_models(state);
    folder_make(folder, "concurrency");
    snprintf(path, sizeof path, "%s/mini.gguf", folder);
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(mini.bytes, 1, mini.size, file) == mini.size;
    written = file != NULL && fclose(file) == 0 && written;
    return written ? 0 : -1;
}

static int tear_down(void **state) {
    folder_remove(folder);
    return free_models(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_share_a_model),
        cmocka_unit_test(another_thread_cancels),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
