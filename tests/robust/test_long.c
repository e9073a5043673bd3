/* One process that works for long: rounds of an image, a prompt and an answer.  Every round gives what a fresh process gives in its
 * first, and the memory stays what it was.
 *
 *     robust-long [ROUNDS [TOKENS]]     200 images and 10,000 tokens where not said otherwise
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/crc32.h"
#include "tests/robust/rig.h"
#include <gemlet/sampler.h>

/* The kernel may count pages 64 behind in what it tells; a leak of each round would still show. */
enum { WARM = 3, ALLOWED_GROWTH = 256 << 10 };

static size_t rounds = 200;
static size_t answer_tokens = 50;
static const gemlet_options options = {.context = 400, .chunk = 32, .image_size = 64};

/* All that came of a round: the tokens, and the state of the session. */
typedef struct outcome {
    uint32_t tokens, state;
} outcome;

static outcome run_round(rig *r) {
    static _Alignas(8) unsigned char scratch[1 << 16];
    static const char prompt[] = "what is to be seen?";
    gemlet_image frame = rig_frame(r);
    gemlet_sampler sampler;
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    outcome found = {0, 0};
    settings.seed = 11;
    gemlet_session_reset(r->session);
    gemlet_status status = gemlet_feed_image(r->session, &frame, &r->error);
    if (status == GEMLET_OK) {
        status = gemlet_feed_text(r->session, prompt, sizeof prompt - 1, false, &r->error);
    }
    if (status == GEMLET_OK) {
        uint32_t vocabulary = gemlet_model_facts(r->model).vocabulary;
        status = gemlet_sampler_open(&sampler, &settings, vocabulary, scratch, sizeof scratch, &r->error);
    }
    for (size_t i = 0; i < answer_tokens && status == GEMLET_OK; i++) {
        uint32_t token = 0;
        status = gemlet_sampler_next(&sampler, r->session, &token, &r->error);
        if (status == GEMLET_OK && gemlet_session_length(r->session) == gemlet_session_capacity(r->session)) {
            gemlet_session_reset(r->session); /* an answer longer than the context */
        }
        status = status == GEMLET_OK ? gemlet_feed(r->session, &token, 1, &r->error) : status;
        found.tokens = gemlet_crc32(found.tokens, &token, sizeof token);
    }
    must(r, status);
    saved_state state = rig_save(r);
    found.state = gemlet_crc32(0, state.bytes, state.size);
    free(state.bytes);
    return found;
}

/* What a process does that has done nothing before. */
static outcome run_fresh(void) {
    int ends[2];
    outcome found = {0, 0};
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig r;
        rig_start(&r, &mini, &options);
        found = run_round(&r);
        _exit(write(ends[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &found, sizeof found), sizeof found);
    close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return found;
}

/* Bytes of memory that this process has, with those of the emulator that it runs under; 0 where the system does not tell. */
static long resident(void) {
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        char *read = fgets(line, sizeof line, file);
        fclose(file);
        line[0] = read != NULL ? line[0] : '\0';
    }
    const char *second = strchr(line, ' ');
    return second != NULL ? strtol(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static void the_last_round_is_as_the_first(void **state) {
    (void)state;
    rig r;
    outcome expected = run_fresh();
    rig_start(&r, &mini, &options);
    size_t peak = r.arena.peak;
    size_t held = r.arena.kept + r.arena.scratch;
    long warm = 0;
    for (size_t round = 1; round <= rounds; round++) {
        outcome found = run_round(&r);
        assert_int_equal(found.tokens, expected.tokens);
        assert_int_equal(found.state, expected.state);
        assert_int_equal(r.arena.peak, peak);
        assert_int_equal(r.arena.kept + r.arena.scratch, held);
        if (round == WARM) {
            warm = resident();
        }
    }
    long grown = resident() - warm;
    print_message(
        "           %zu images, %zu tokens: arena %zu bytes throughout, %ld bytes resident, %ld more than after round %d\n", rounds,
        rounds * answer_tokens, peak, warm + grown, grown, WARM);
    assert_true(grown <= ALLOWED_GROWTH);
    rig_close(&r);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_round_is_as_the_first)};
    rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : rounds;
    answer_tokens = argc > 2 ? strtoul(argv[2], NULL, 10) : answer_tokens;
    return cmocka_run_group_tests(tests, pack_models, free_models);
}
