/* Where a recording is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "examples/gemlet/pause.h"

enum { SECOND = 16000, COUNT = 30 * SECOND };

static float samples[COUNT];

/* Noise between -height and height. */
static void fill(size_t first, size_t end, float height) {
    static uint32_t random = 7;
    for (size_t i = first; i < end; i++) {
        random = random * 1664525u + 1013904223u;
        samples[i] = height * ((float)(random >> 8) / 8388608.0f - 1.0f);
    }
}

static void speak(void) {
    fill(0, COUNT, 0.3f);
}

/* A pause of `milliseconds` that begins at `at`. */
static void pause_at(size_t at, size_t milliseconds) {
    fill(at, at + milliseconds * 16, 0.002f);
}

static void expect_cut(size_t count, size_t least, size_t from, size_t to) {
    size_t cut = pause_cut(samples, count, least);
    assert_in_range(cut, from, to);
    assert_in_range(cut, least, count);
}

static void in_the_middle_of_the_longest_pause(void **state) {
    (void)state;
    speak();
    pause_at(12 * SECOND, 800);
    pause_at(17 * SECOND, 1500);
    pause_at(24 * SECOND, 900);
    expect_cut(COUNT, 10 * SECOND, 17 * SECOND + 11680, 17 * SECOND + 12320);
}

static void of_several_the_last(void **state) {
    (void)state;
    speak();
    pause_at(12 * SECOND, 1600);
    pause_at(21 * SECOND, 1600);
    expect_cut(COUNT, 10 * SECOND, 21 * SECOND + 12480, 21 * SECOND + 13120);
}

static void not_before_the_least(void **state) {
    (void)state;
    speak();
    pause_at(5 * SECOND, 3000);
    pause_at(14 * SECOND, 400);
    expect_cut(COUNT, 10 * SECOND, 14 * SECOND + 2880, 14 * SECOND + 3520);
    expect_cut(COUNT, 0, 5 * SECOND + 23680, 5 * SECOND + 24320);
    expect_cut(COUNT, 6 * SECOND, 6 * SECOND + 15680, 6 * SECOND + 16320); /* of what is left of the pause */
    expect_cut(13 * SECOND, 0, 5 * SECOND + 23680, 5 * SECOND + 24320);    /* nor behind the end */
}

/* Noise in the room is as quiet as it gets there. */
static void against_the_noise_of_the_room(void **state) {
    (void)state;
    speak();
    fill(0, 4 * SECOND, 0.05f);
    fill(20 * SECOND, 21 * SECOND, 0.06f);
    expect_cut(COUNT, 10 * SECOND, 20 * SECOND + 7680, 20 * SECOND + 8320);
}

static void without_a_pause_where_it_is_quietest(void **state) {
    (void)state;
    speak();
    pause_at(22 * SECOND, 100); /* too short to be one, and among loud ones */
    fill(13 * SECOND, 13 * SECOND + 3200, 0.01f);
    fill(13 * SECOND + 1600, 13 * SECOND + 1920, 0.2f); /* not in a row */
    expect_cut(COUNT, 10 * SECOND, 13 * SECOND + 1280, 13 * SECOND + 1920);
}

static void of_one_loudness_somewhere(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        samples[i] = 0.25f;
    }
    expect_cut(COUNT, 10 * SECOND, 10 * SECOND, COUNT);
    fill(0, COUNT, 0.0f);
    expect_cut(COUNT, 10 * SECOND, 10 * SECOND, COUNT);
    expect_cut(3 * SECOND, SECOND, SECOND, 3 * SECOND);
    assert_int_equal(pause_cut(samples, 3000, 0), 3000);
    assert_int_equal(pause_cut(samples, 0, 0), 0);
}

static void silence(void **state) {
    (void)state;
    fill(0, COUNT, 0.0f);
    assert_true(pause_is_silence(samples, COUNT));
    assert_true(pause_is_silence(samples, 0));
    fill(0, COUNT, 0.0001f); /* -85 dB: a converter that has nothing to convert */
    assert_true(pause_is_silence(samples, COUNT));
    fill(COUNT - 700, COUNT - 350, 0.01f); /* a whisper at the end */
    assert_false(pause_is_silence(samples, COUNT));
    assert_true(pause_is_silence(samples, COUNT - 1000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_middle_of_the_longest_pause),
        cmocka_unit_test(of_several_the_last),
        cmocka_unit_test(not_before_the_least),
        cmocka_unit_test(against_the_noise_of_the_room),
        cmocka_unit_test(without_a_pause_where_it_is_quietest),
        cmocka_unit_test(of_one_loudness_somewhere),
        cmocka_unit_test(silence),
    };
    return cmocka_run_group_tests_name("pauses", tests, NULL, NULL);
}
