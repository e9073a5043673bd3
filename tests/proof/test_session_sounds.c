/* What a session is fed for sounds, whole and in pieces, against the same fed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proof/sessions.h"
#include <gemlet/sound.h>

enum { SAMPLES = 5000 };

static const gemlet_options one_second = {.context = 64, .chunk = 8, .no_images = true, .sound_seconds = 1};
static int16_t samples[32000];
static float reals[16001];

static void a_sound_is_spliced(void **state) {
    (void)state;
    rig r, hand;
    rig_start(&r, &whole_model, &one_second);
    rig_start(&hand, &whole_model, &one_second);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, SAMPLES}, same = {GEMLET_SAMPLES_F32, reals, SAMPLES};
    const float *soft = NULL;
    size_t count = 0, heard = 0, width = hand.model->config.width;
    const gemlet_splice *around = &gemlet_model_chat(r.model)->sound;
    must(&hand, gemlet_encode_sound(hand.session, &sound, &soft, &count, &hand.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(hand.session, SAMPLES));
    assert_true(count > 1);
    const float *found = NULL;
    must(&r, gemlet_encode_sound(r.session, &same, &found, &heard, &r.error)); /* the other format */
    assert_int_equal(heard, count);
    assert_memory_equal(found, soft, count * width * sizeof(float));
    must(&r, gemlet_sound_begin(r.session, &r.error));
    for (size_t done = 0; done < SAMPLES; done += 999) { /* in pieces */
        size_t now = gemlet_smaller(999, SAMPLES - done);
        must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples + done, now}, &r.error));
    }
    must(&r, gemlet_sound_end(r.session, &found, &heard, &r.error));
    assert_int_equal(heard, count);
    assert_memory_equal(found, soft, count * width * sizeof(float));
    for (int streamed = 0; streamed < 2; streamed++) {
        gemlet_session_reset(r.session);
        gemlet_session_reset(hand.session);
        if (streamed == 0) {
            must(&r, gemlet_feed_sound(r.session, &sound, &r.error));
        } else {
            must(&r, gemlet_sound_begin(r.session, &r.error));
            must(&r, gemlet_sound_feed(r.session, &sound, &r.error));
            must(&r, gemlet_feed_sound_end(r.session, &r.error));
        }
        splice(&hand, around, around->before, r.model->sound_begin, soft, count, r.model->sound_end);
        assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
        assert_memory_equal(r.session->decoder.logits, hand.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
    }
    rig_close(&r);
    rig_close(&hand);
}

static void a_sound_fits_or_not(void **state) {
    (void)state;
    rig r;
    const float *soft = NULL;
    size_t count = 0;
    rig_start(&r, &whole_model, &one_second);
    gemlet_sound_facts facts = gemlet_session_sound_facts(r.session);
    assert_int_equal(facts.longest, 16000);
    assert_int_equal(facts.width, r.model->config.width);
    assert_int_equal(facts.soft_tokens, gemlet_sound_soft_tokens(r.session, 16000));
    assert_int_equal(gemlet_sound_soft_tokens(r.session, 16001), 0);
    assert_int_equal(gemlet_sound_soft_tokens(r.session, facts.shortest - 1), 0);
    assert_true(gemlet_sound_soft_tokens(r.session, facts.shortest) > 0);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, 16001};
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "a sound must have at most 16000 samples (options sound_seconds, cut_sounds) but has 16001");
    char expected[96];
    snprintf(expected, sizeof expected, "a sound must have at least %zu samples but has %zu", facts.shortest, facts.shortest - 1);
    sound.count = facts.shortest - 1;
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    says(&r, gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    assert_false(r.session->listens);
    sound.count = facts.shortest;
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(r.session, facts.shortest));
    says(&r, gemlet_encode_sound(r.session, NULL, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    sound.samples = NULL;
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    sound = (gemlet_sound){(gemlet_sample_format)2, samples, 500};
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the format of samples must be at most 1 but is 2");
    static const char not_begun[] = "no sound has begun: call gemlet_sound_begin first";
    says(&r, gemlet_sound_feed(r.session, &sound, &r.error), GEMLET_ERROR_STATE, not_begun);
    says(&r, gemlet_sound_end(r.session, &soft, &count, &r.error), GEMLET_ERROR_STATE, not_begun);
    says(&r, gemlet_feed_sound_end(r.session, &r.error), GEMLET_ERROR_STATE, not_begun);
    rig_close(&r);
}

static void pieces_of_a_sound_are_counted(void **state) {
    (void)state;
    gemlet_options options = one_second;
    rig r;
    const float *soft = NULL;
    size_t count = 0;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_sound_begin(r.session, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, NULL, 0}, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 15990}, &r.error));
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 11}, &r.error), GEMLET_ERROR_ARGUMENT,
         "a sound must have at most 16000 samples (options sound_seconds, cut_sounds) but has 16001");
    reals[7] = (float)1e300; /* infinity */
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals, 10}, &r.error), GEMLET_ERROR_ARGUMENT,
         "sample 15997 of the sound is no finite number");
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals + 7, 1}, &r.error), GEMLET_ERROR_ARGUMENT,
         "sample 15990 of the sound is no finite number");
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, NULL, 1}, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    reals[7] = 0.25f;
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals, 10}, &r.error));
    must(&r, gemlet_sound_end(r.session, &soft, &count, &r.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(r.session, 16000));
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 1}, &r.error), GEMLET_ERROR_STATE,
         "no sound has begun: call gemlet_sound_begin first"); /* it has ended */
    reals[7] = (float)samples[7] / 32768.0f;
    rig_close(&r);
    options.cut_sounds = true;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_encode_sound(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 16000}, &soft, &count, &r.error));
    float *wanted = malloc(count * r.model->config.width * sizeof *wanted);
    memcpy(wanted, soft, count * r.model->config.width * sizeof *wanted);
    size_t heard = 0;
    must(&r, gemlet_encode_sound(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 16001}, &soft, &heard, &r.error));
    assert_int_equal(heard, count);
    assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof *wanted);
    must(&r, gemlet_sound_begin(r.session, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 15000}, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples + 15000, 1001}, &r.error));
    must(&r, gemlet_sound_end(r.session, &soft, &heard, &r.error));
    assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof *wanted);
    free(wanted);
    rig_close(&r);
}

static void a_sound_needs_room_and_ears(void **state) {
    (void)state;
    gemlet_options options = one_second;
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, 16000};
    rig r;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_feed_sound(r.session, &sound, &r.error));
    size_t length = gemlet_session_length(r.session);
    rig_close(&r);
    for (uint32_t missing = 0; missing < 2; missing++) {
        char expected[96];
        options.context = (uint32_t)length - missing;
        rig_start(&r, &whole_model, &options);
        gemlet_status status = gemlet_feed_sound(r.session, &sound, &r.error);
        if (missing == 0) {
            must(&r, status);
        } else {
            snprintf(expected, sizeof expected, "the context is full: %zu tokens to feed, but room for %zu of %zu", length,
                     length - 1, length - 1);
            says(&r, status, GEMLET_ERROR_CONTEXT, expected);
            assert_int_equal(gemlet_session_length(r.session), 0);
        }
        rig_close(&r);
    }
    steps s = {.cancel_at = 1};
    options.context = 64;
    options.sound_seconds = 2;
    sound.count = 32000;
    rig_start(&r, &whole_model, &options);
    const float *soft = NULL;
    size_t count = 0;
    gemlet_session_on_progress(r.session, count_step, &s);
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    assert_int_equal(s.total[0], 32000);
    assert_int_equal(s.done[0], 32 * 4 * 160);
    assert_false(r.session->listens);
    s = (steps){.count = 0};
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(s.count, 1); /* the end is told by what is returned */
    sound.count = 32 * 4 * 160;
    s = (steps){.count = 0};
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(s.count, 0);
    rig_close(&r);
    options.no_sounds = true;
    rig_start(&r, &whole_model, &options);
    says(&r, gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "this session takes no sounds: the model has no sound encoder, or it was opened without");
    assert_int_equal(gemlet_sound_soft_tokens(r.session, 16000), 0);
    gemlet_sound_facts none = gemlet_session_sound_facts(r.session);
    assert_true(none.longest == 0 && none.shortest == 0 && none.soft_tokens == 0 && none.width == 0);
    rig_close(&r);
}

static int set_up(void **state) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        samples[i] = (int16_t)(i * i * 31 % 20011 - 10000);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        reals[i] = (float)samples[i] / 32768.0f;
    }
    return make_sessions(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_is_spliced),
        cmocka_unit_test(a_sound_fits_or_not),
        cmocka_unit_test(pieces_of_a_sound_are_counted),
        cmocka_unit_test(a_sound_needs_room_and_ears),
    };
    return cmocka_run_group_tests(tests, set_up, end_sessions);
}
