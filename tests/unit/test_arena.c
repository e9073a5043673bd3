/* The arena: where allocations land, what is refused, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/kernel_test.h"
#include <gemlet/arena.h>

enum { BUFFER_BYTES = 4096 };

static _Alignas(GEMLET_ALIGNMENT) unsigned char buffer[BUFFER_BYTES];

static gemlet_arena make_arena(size_t size) {
    gemlet_arena arena;
    assert_int_equal(gemlet_arena_init(&arena, buffer, size, NULL), GEMLET_OK);
    return arena;
}

static void *keep(gemlet_arena *arena, const char *name, size_t bytes) {
    void *out = NULL;
    assert_int_equal(gemlet_arena_keep(arena, name, bytes, &out, NULL), GEMLET_OK);
    return out;
}

static void *scratch(gemlet_arena *arena, const char *name, size_t bytes) {
    void *out = NULL;
    assert_int_equal(gemlet_arena_scratch(arena, name, bytes, &out, NULL), GEMLET_OK);
    return out;
}

static void grows_from_both_ends(void **state) {
    (void)state;
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    assert_ptr_equal(keep(&arena, "weights", 100), buffer);
    assert_ptr_equal(keep(&arena, "cache", 64), buffer + 128);
    assert_ptr_equal(keep(&arena, "weights", 1), buffer + 192);
    assert_ptr_equal(scratch(&arena, "row", 65), buffer + BUFFER_BYTES - 128);
    assert_ptr_equal(scratch(&arena, "tile", 64), buffer + BUFFER_BYTES - 192);
    assert_int_equal(arena.kept, 256);
    assert_int_equal(arena.scratch, 192);
    assert_int_equal(arena.user_count, 4);
    assert_int_equal(arena.users[0].bytes, 192);
}

static void scratch_and_kept_of_one_name_are_two_users(void **state) {
    (void)state;
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    char copy[] = "encoder"; /* the same text at another address is the same user */
    keep(&arena, "encoder", 64);
    scratch(&arena, "encoder", 128);
    keep(&arena, copy, 64);
    assert_int_equal(arena.user_count, 2);
    assert_int_equal(arena.users[0].bytes, 128);
    assert_false(arena.users[0].scratch);
    assert_int_equal(arena.users[1].bytes, 128);
    assert_true(arena.users[1].scratch);
}

static void release_gives_back_in_order(void **state) {
    (void)state;
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    scratch(&arena, "outer", 64);
    gemlet_arena_mark mark = gemlet_arena_get_mark(&arena);
    void *first = scratch(&arena, "inner", 256);
    scratch(&arena, "inner", 128);
    gemlet_arena_mark later = gemlet_arena_get_mark(&arena);
    gemlet_arena_release(&arena, mark);
    assert_int_equal(arena.scratch, 64);
    assert_int_equal(arena.users[1].bytes, 0);
    assert_int_equal(arena.users[1].peak, 384);
    assert_int_equal(arena.users[0].bytes, 64);
    gemlet_arena_release(&arena, later); /* a mark that is already gone gives nothing back */
    assert_int_equal(arena.scratch, 64);
    assert_ptr_equal(scratch(&arena, "inner", 256), first);
    assert_int_equal(arena.scratch_peak, 448);
}

/* The peak of both is what a buffer must have: less than the sum of the two peaks where they fall at different times. */
static void peak_is_of_both_ends_together(void **state) {
    (void)state;
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    gemlet_arena_mark mark = gemlet_arena_get_mark(&arena);
    scratch(&arena, "loading", 1024);
    gemlet_arena_release(&arena, mark);
    keep(&arena, "cache", 512);
    scratch(&arena, "step", 128);
    assert_int_equal(arena.kept_peak, 512);
    assert_int_equal(arena.scratch_peak, 1024);
    assert_int_equal(arena.peak, 1024);
    keep(&arena, "cache", 512);
    assert_int_equal(arena.peak, 1152);
}

static void refuses_bad_buffers(void **state) {
    (void)state;
    gemlet_arena arena;
    gemlet_error error;
    assert_int_equal(gemlet_arena_init(&arena, NULL, 64, &error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_arena_init(NULL, buffer, 64, &error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_arena_init(&arena, NULL, 64, NULL), GEMLET_ERROR_ARGUMENT);
    for (size_t past = 1; past < GEMLET_ALIGNMENT; past++) {
        assert_int_equal(gemlet_arena_init(&arena, buffer + past, 1024, &error), GEMLET_ERROR_ALIGNMENT);
        assert_int_equal(error.status, GEMLET_ERROR_ALIGNMENT);
    }
    assert_string_equal(error.message, "arena: the buffer must start at a multiple of 64 bytes and starts 63 past one");
}

static void too_small_changes_nothing(void **state) {
    (void)state;
    gemlet_arena arena = make_arena(256 + 63); /* bytes after the last whole line are not used */
    gemlet_error error;
    void *out = buffer;
    assert_int_equal(arena.size, 256);
    keep(&arena, "a", 64);
    scratch(&arena, "b", 64);
    const gemlet_arena before = arena;
    const size_t sizes[] = {129, 192, SIZE_MAX / 2, SIZE_MAX - 63, SIZE_MAX - 62, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        out = buffer;
        assert_int_equal(gemlet_arena_keep(&arena, "cache", sizes[i], &out, &error), GEMLET_ERROR_MEMORY);
        assert_null(out);
        out = buffer;
        assert_int_equal(gemlet_arena_scratch(&arena, "cache", sizes[i], &out, NULL), GEMLET_ERROR_MEMORY);
        assert_null(out);
        assert_memory_equal(&arena, &before, sizeof arena);
    }
    assert_int_equal(gemlet_arena_keep(&arena, "cache", 129, &out, &error), GEMLET_ERROR_MEMORY);
    assert_string_equal(error.message, "arena too small: cache needs 129 bytes, 128 of 256 are free");
    assert_ptr_equal(keep(&arena, "cache", 128), buffer + 64); /* the last byte can be had */
    assert_int_equal(gemlet_arena_keep(&arena, "cache", 1, &out, NULL), GEMLET_ERROR_MEMORY);
}

static void an_empty_buffer_holds_nothing(void **state) {
    (void)state;
    void *out = buffer;
    gemlet_arena arena = make_arena(63);
    assert_int_equal(gemlet_arena_keep(&arena, "cache", 1, &out, NULL), GEMLET_ERROR_MEMORY);
    assert_int_equal(gemlet_arena_keep(&arena, "cache", 0, &out, NULL), GEMLET_OK);
    assert_int_equal(arena.peak, 0);
}

static void full_tables_are_a_status(void **state) {
    (void)state;
    static char names[GEMLET_ARENA_USERS + 1][4];
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    gemlet_error error;
    void *out = buffer;
    for (size_t i = 0; i <= GEMLET_ARENA_USERS; i++) {
        names[i][0] = (char)('a' + i / 26);
        names[i][1] = (char)('a' + i % 26);
    }
    for (size_t i = 0; i < GEMLET_ARENA_USERS; i++) {
        keep(&arena, names[i], 0);
    }
    const gemlet_arena before = arena;
    assert_int_equal(gemlet_arena_keep(&arena, names[GEMLET_ARENA_USERS], 0, &out, &error), GEMLET_ERROR_STATE);
    assert_null(out);
    assert_string_equal(error.message, "arena: no place for bw, expected at most 48 users");
    assert_int_equal(gemlet_arena_scratch(&arena, names[0], 64, &out, &error), GEMLET_ERROR_STATE);
    assert_memory_equal(&arena, &before, sizeof arena);
    keep(&arena, names[0], 64); /* a known user still gets its bytes */

    arena = make_arena(BUFFER_BYTES);
    for (size_t i = 0; i < GEMLET_ARENA_USERS; i++) {
        scratch(&arena, "deep", 64);
    }
    assert_int_equal(gemlet_arena_scratch(&arena, "deep", 64, &out, &error), GEMLET_ERROR_STATE);
    assert_null(out);
    assert_string_equal(error.message, "arena: no place for deep, expected at most 48 scratch allocations held");
    assert_int_equal(arena.scratch, GEMLET_ARENA_USERS * 64);
}

/* A run of random allocations, with everything that it got written to the end. */
static void run(gemlet_arena *arena, uint64_t seed) {
    static const char *const names[] = {"one", "two", "three", "four"};
    test_random random = {seed};
    gemlet_arena_mark marks[4];
    size_t depth = 0;
    for (size_t step = 0; step < 30; step++) {
        size_t bytes = random_range(&random, 0, 100);
        const char *name = names[random_range(&random, 0, 3)];
        size_t choice = random_range(&random, 0, 3);
        void *out = NULL;
        if (choice == 0) {
            out = keep(arena, name, bytes);
        } else if (choice == 1) {
            out = scratch(arena, name, bytes);
        } else if (choice == 2 && depth < 4) {
            marks[depth++] = gemlet_arena_get_mark(arena);
        } else if (depth > 0) {
            gemlet_arena_release(arena, marks[--depth]);
        }
        assert_true(arena->base == NULL ? out == NULL : choice > 1 || out != NULL);
        if (out != NULL) {
            memset(out, 1, bytes);
        }
    }
}

/* Plan and use: a counting arena's peak is exactly what the same run needs; one line less fails. */
static void plan_is_the_peak(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        gemlet_arena plan;
        gemlet_arena_init_counting(&plan);
        run(&plan, seed);
        assert_true(plan.peak <= BUFFER_BYTES);
        assert_true(plan.peak >= GEMLET_ALIGNMENT);
        void *exact = guarded_alloc(plan.peak, 0);
        gemlet_arena arena;
        assert_int_equal(gemlet_arena_init(&arena, exact, plan.peak, NULL), GEMLET_OK);
        run(&arena, seed);
        assert_int_equal(arena.peak, plan.peak);
        assert_int_equal(arena.kept_peak, plan.kept_peak);
        assert_int_equal(arena.scratch_peak, plan.scratch_peak);
        assert_int_equal(arena.user_count, plan.user_count);
        assert_memory_equal(arena.users, plan.users, sizeof arena.users);
        guarded_free(exact);
    }
}

static void counting_overflow_is_a_status(void **state) {
    (void)state;
    gemlet_arena plan;
    void *out = buffer;
    gemlet_arena_init_counting(&plan);
    assert_int_equal(gemlet_arena_keep(&plan, "half", SIZE_MAX / 2, &out, NULL), GEMLET_OK);
    assert_null(out);
    assert_int_equal(gemlet_arena_scratch(&plan, "half", SIZE_MAX / 2 + 1, &out, NULL), GEMLET_ERROR_MEMORY);
    assert_int_equal(plan.peak, SIZE_MAX / 2 + 1);
}

typedef struct report_lines {
    size_t count;
    char text[16][GEMLET_MESSAGE_BYTES];
} report_lines;

static void take_line(void *context, const char *text) {
    report_lines *lines = context;
    assert_true(lines->count < 16);
    memcpy(lines->text[lines->count++], text, strlen(text) + 1);
}

static void report_names_everyone(void **state) {
    (void)state;
    static report_lines lines;
    memset(&lines, 0, sizeof lines);
    gemlet_arena arena = make_arena(BUFFER_BYTES);
    keep(&arena, "KV cache", 1000);
    gemlet_arena_mark mark = gemlet_arena_get_mark(&arena);
    scratch(&arena, "vision band", 2000);
    gemlet_arena_release(&arena, mark);
    gemlet_arena_report(&arena, take_line, &lines);
    static const char *const expected[] = {
        "arena                                         bytes held         at most",
        "  kept     KV cache                                 1024            1024",
        "  scratch  vision band                                 0            2048",
        "all kept                                            1024            1024",
        "all scratch                                            0            2048",
        "both                                                1024            3072",
        "buffer                                              4096",
    };
    assert_int_equal(lines.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < lines.count; i++) {
        assert_string_equal(lines.text[i], expected[i]);
    }
    lines.count = 0;
    scratch(&arena, "vision band", 500);
    gemlet_arena_report(&arena, take_line, &lines);
    assert_string_equal(lines.text[2], "  scratch  vision band                               512            2048");
    assert_string_equal(lines.text[5], "both                                                1536            3072");
}

static void report_of_a_long_name_is_cut(void **state) {
    (void)state;
    static char name[2 * GEMLET_MESSAGE_BYTES];
    static report_lines lines;
    memset(&lines, 0, sizeof lines);
    memset(name, 'n', sizeof name - 1);
    gemlet_arena arena;
    gemlet_arena_init_counting(&arena);
    keep(&arena, name, SIZE_MAX / 4);
    gemlet_arena_report(&arena, take_line, &lines);
    assert_int_equal(lines.count, 5); /* no buffer, no line for it */
    assert_int_equal(strlen(lines.text[1]), GEMLET_MESSAGE_BYTES - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_from_both_ends),
        cmocka_unit_test(scratch_and_kept_of_one_name_are_two_users),
        cmocka_unit_test(release_gives_back_in_order),
        cmocka_unit_test(peak_is_of_both_ends_together),
        cmocka_unit_test(refuses_bad_buffers),
        cmocka_unit_test(too_small_changes_nothing),
        cmocka_unit_test(an_empty_buffer_holds_nothing),
        cmocka_unit_test(full_tables_are_a_status),
        cmocka_unit_test(plan_is_the_peak),
        cmocka_unit_test(counting_overflow_is_a_status),
        cmocka_unit_test(report_names_everyone),
        cmocka_unit_test(report_of_a_long_name_is_cut),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
