/* The sound encoder: against the reference implementation, and against itself where threads, chunks and cuts must not matter.
 * With one argument only what depends on the CPU; `sound-sound PACKED FOLDER` compares another packed model with another folder of
 * reference data instead. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include "tests/kernels/kernel_test.h"
#include <gemlet/posix.h>
#include <gemlet/sound.h>

static char folder[FOLDER_BYTES];
static char packed[FOLDER_BYTES + 32];
static const char *data, *inputs; /* folders: of the model, and of clips that others have, too */
static const gemlet_options options = {.context = 512};

/* Cosines that logits behind a sound must reach: of a model whose every code is rounded to trained steps, those of the noise floor
 * at which the reference implementation agrees with itself (tests/golden/test_text.c). */
static struct { double mean, worst; } logits_agree = {0.9995, 0.998};

/* NULL where there is no such file. */
static void *read_data(const char *clip, const char *name, size_t *bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", data, clip, name);
    void *found = file_read(path, bytes);
    snprintf(path, sizeof path, "%s/%s.%s", inputs, clip, name);
    return found != NULL ? found : file_read(path, bytes);
}

static void *need_data(const char *clip, const char *name, size_t *bytes) {
    void *numbers = read_data(clip, name, bytes);
    if (numbers == NULL) {
        fail_msg("%s/%s.%s is missing", data, clip, name);
        abort(); /* which is not reached, and says so to the analyzer */
    }
    return numbers;
}

static gemlet_status pack_gemma3n(gemlet_error *error) {
    pack_options pack = {.text = TINY_TEXT, .projector = TINY_PROJECTOR, .output = packed};
    return pack_run(&pack, error);
}

static gemlet_status pack_gemma4(gemlet_error *error) {
    char hf[FOLDER_BYTES], encoder[256];
    folder_make(hf, "sound-hf");
    snprintf(encoder, sizeof encoder, "%s/audio.safetensors", data);
    write_tiny_gemma4_with(encoder, hf);
    pack_options pack = {.folder = hf, .output = packed};
    gemlet_status status = pack_run(&pack, error);
    folder_remove(hf);
    return status;
}

static gemlet_status pack_mobile(gemlet_error *error) {
    pack_options pack = {.folder = "tests/data/gemma4-mobile/hf", .output = packed};
    return pack_run(&pack, error);
}

/* The model that is packed; NULL: one that was packed before. */
static gemlet_status (*pack_model_of_tests)(gemlet_error *error);

static int set_up(void **state) {
    (void)state;
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "sound");
    if (pack_model_of_tests == NULL) {
        return 0;
    }
    snprintf(packed, sizeof packed, "%s/packed.gguf", folder);
    if (pack_model_of_tests(&error) != GEMLET_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

/* ---- Against the reference ---- */

enum { MOST_STAGES = 64 };

typedef struct stage {
    char name[32];
    float *values;
    size_t rows, width;
} stage;

typedef struct stages {
    stage stage[MOST_STAGES];
    size_t count;
} stages;

static void keep_rows(void *context, const char *name, const float *values, size_t first, size_t rows, size_t width) {
    stages *all = context;
    size_t i = 0;
    while (i < all->count && strcmp(all->stage[i].name, name) != 0) {
        i++;
    }
    stage *s = &all->stage[i];
    if (i == all->count) {
        assert_true(i < MOST_STAGES);
        snprintf(s->name, sizeof s->name, "%s", name);
        s->width = width;
        all->count++;
    }
    assert_int_equal(s->rows, first);
    s->rows += rows;
    s->values = realloc(s->values, s->rows * width * sizeof(float));
    memcpy(s->values + first * width, values, rows * width * sizeof(float));
}

static void free_stages(stages *all) {
    for (size_t i = 0; i < all->count; i++) {
        free(all->stage[i].values);
    }
    *all = (stages){0};
}

/* Not fmax, which gcc 12 fails at where it vectorises these loops for aarch64. */
static double larger(double a, double b) {
    return b > a ? b : a;
}

static void assert_near(const char *what, const float *found, const float *wanted, size_t count, double most) {
    double largest = 0.0, difference = 0.0;
    for (size_t i = 0; i < count; i++) {
        largest = larger(largest, fabs((double)wanted[i]));
        difference = larger(difference, fabs((double)found[i] - (double)wanted[i]));
    }
    print_message("%s: off by %.2e of %.3g\n", what, difference, largest);
    if (!(difference <= most * largest)) {
        fail_msg("%s: off by %g, at most %g expected", what, difference, most * largest);
    }
}

/* transformers computes the transform in float32, and so is off by up to 2e-5 of the loudest bin itself. */
static void check_mel(const char *what, const float *found, const float *wanted, size_t count) {
    double log_difference = 0.0, difference = 0.0;
    for (size_t i = 0; i < count; i++) {
        log_difference = larger(log_difference, fabs((double)found[i] - (double)wanted[i]));
        difference = larger(difference, fabs(exp((double)found[i]) - exp((double)wanted[i])));
    }
    print_message("%s: off by %.2e, in logarithms %.2e\n", what, difference, log_difference);
    assert_true(difference < 5e-5 && log_difference < 2e-2);
}

/* Against double precision, which what is left of a clip's silence needs as well. */
static void check_exact_mel(const char *clip, const float *found, size_t count) {
    size_t bytes = 0;
    double difference = 0.0;
    float *wanted = need_data(clip, "exact.f32", &bytes);
    assert_int_equal(bytes, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        difference = larger(difference, fabs((double)found[i] - (double)wanted[i]));
    }
    print_message("%s mel: off by %.2e from double precision\n", clip, difference);
    assert_true(difference < 1e-5);
    free(wanted);
}

static void check_stages(const stages *all, const char *clip, bool from_samples) {
    size_t checked = 0;
    for (size_t i = 0; i < all->count; i++) {
        const stage *s = &all->stage[i];
        char name[48], what[96];
        size_t bytes = 0;
        snprintf(name, sizeof name, "%s.f32", s->name);
        snprintf(what, sizeof what, "%s %s", clip, s->name);
        float *wanted = read_data(clip, name, &bytes);
        if (wanted == NULL) {
            continue;
        }
        size_t rows = bytes / sizeof(float) / s->width;
        assert_true(rows > 0 && rows <= s->rows && bytes == rows * s->width * sizeof(float)); /* the reference lacks invalid rows */
        assert_true(!from_samples || rows == s->rows);
        if (strcmp(s->name, "mel") == 0) {
            if (from_samples) {
                check_exact_mel(clip, s->values, rows * s->width);
            }
            check_mel(what, s->values, wanted, rows * s->width);
        } else if (strncmp(s->name, "conv", 4) == 0) {
            assert_near(what, s->values, wanted, rows * s->width, from_samples ? 1e-3 : 1e-5); /* the reference's mel is off */
        } else {
            assert_agreement(what, agreement_of(s->values, wanted, rows, s->width), 0.9995, 0.998, 0.0);
        }
        checked++;
        free(wanted);
    }
    assert_true(checked >= 2);
}

static void check_soft(const char *clip, const float *soft, size_t count, size_t width) {
    char what[64];
    size_t bytes = 0;
    float *wanted = need_data(clip, "soft.f32", &bytes);
    size_t rows = bytes / sizeof(float) / width;
    snprintf(what, sizeof what, "%s soft tokens", clip);
    assert_true(rows <= count && rows > 0);
    assert_agreement(what, agreement_of(soft, wanted, rows, width), 0.9995, 0.998, 0.0);
    free(wanted);
}

static void clip_is_the_reference_s(const char *clip) {
    running r;
    stages all = {0};
    size_t bytes = 0, count = 0;
    int16_t *samples = need_data(clip, "pcm.s16", &bytes);
    const float *soft = NULL;
    running_open(&r, packed, 1, &options);
    r.session->sound.watch = keep_rows;
    r.session->sound.watch_context = &all;
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, bytes / 2};
    if (gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error) != GEMLET_OK) {
        fail_msg("%s", r.error.message);
    }
    assert_int_equal(count, gemlet_sound_soft_tokens(r.session, sound.count));
    check_stages(&all, clip, true);
    check_soft(clip, soft, count, r.model->config.width);
    free_stages(&all);
    running_close(&r);
    free(samples);
}

static void short_clip_is_the_reference_s(void **state) {
    (void)state;
    clip_is_the_reference_s("short");
}

static void long_clip_is_the_reference_s(void **state) {
    (void)state;
    clip_is_the_reference_s("long");
}

/* From the reference's own mel rows on, so that its errors there do not count. */
static void rows_are_the_reference_s(const char *clip) {
    running r;
    stages all = {0};
    size_t bytes = 0;
    float *rows = read_data(clip, "mel.f32", &bytes);
    if (rows == NULL) {
        skip();
    }
    running_open(&r, packed, 1, &options);
    gemlet_conformer *c = &r.session->sound;
    size_t bins = c->model->config.bins;
    c->watch = keep_rows;
    c->watch_context = &all;
    gemlet_conformer_begin(c);
    for (size_t i = 0; i < bytes / sizeof(float) / bins; i++) {
        gemlet_conformer_feed_row(c, rows + i * bins);
    }
    gemlet_conformer_end(c);
    check_stages(&all, clip, false);
    check_soft(clip, c->soft_tokens, c->soft_count, c->text_width);
    free_stages(&all);
    running_close(&r);
    free(rows);
}

static void short_rows_are_the_reference_s(void **state) {
    (void)state;
    rows_are_the_reference_s("short");
}

/* Rows that are no sound, and an invalid end, which nothing before it sees. */
static void masked_rows_are_the_reference_s(void **state) {
    (void)state;
    rows_are_the_reference_s("masked");
}

/* The tokens before the sound, the sound with its frame as the reference has it, the tokens behind it. */
static void logits_are_the_reference_s(const char *clip) {
    running r;
    size_t bytes = 0, id_bytes = 0, count = 0, logit_bytes = 0;
    int16_t *samples = need_data(clip, "pcm.s16", &bytes);
    uint32_t *ids = need_data(clip, "ids.u32", &id_bytes);
    float *wanted = need_data(clip, "logits.f32", &logit_bytes);
    const float *soft = NULL;
    running_open(&r, packed, 1, &options);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, bytes / 2};
    assert_int_equal(gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_OK);
    size_t tokens = id_bytes / sizeof *ids, before = 0;
    while (ids[before] != r.model->sound_begin) {
        before++;
    }
    before++;
    size_t behind = tokens - before - count, vocabulary = r.model->config.vocabulary, rows = logit_bytes / 4 / vocabulary;
    assert_int_equal(gemlet_feed(r.session, ids, before, &r.error), GEMLET_OK);
    assert_int_equal(gemlet_feed_embeddings(r.session, soft, count, &r.error), GEMLET_OK);
    assert_int_equal(ids[before + count], r.model->sound_end);
    float *found = running_logits(&r, ids + before + count, behind);
    size_t same = behind < rows ? behind : rows;
    assert_agreement(clip,
                     agreement_of(found + (behind - same) * vocabulary, wanted + (rows - same) * vocabulary, same, vocabulary),
                     logits_agree.mean, logits_agree.worst, 0.0);
    free(found);
    running_close(&r);
    free(wanted);
    free(ids);
    free(samples);
}

static void short_clip_s_logits_are_the_reference_s(void **state) {
    (void)state;
    logits_are_the_reference_s("short");
}

static void long_clip_s_logits_are_the_reference_s(void **state) {
    (void)state;
    logits_are_the_reference_s("long");
}

/* ---- Against itself ---- */

typedef struct clip {
    int16_t *samples;
    size_t count;
} clip;

static clip read_clip(const char *name) {
    size_t bytes = 0;
    int16_t *samples = need_data(name, "pcm.s16", &bytes);
    return (clip){samples, bytes / 2};
}

/* The soft tokens of a whole sound, for the caller to free. */
static float *encode_whole(running *r, const gemlet_sound *sound, size_t *count) {
    const float *soft = NULL;
    if (gemlet_encode_sound(r->session, sound, &soft, count, &r->error) != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
    size_t bytes = *count * r->model->config.width * sizeof(float);
    float *copy = malloc(bytes);
    memcpy(copy, soft, bytes);
    return copy;
}

/* Pieces of 1 .. most samples, int16 and float mixed; 1: one by one. */
static void feed_pieces(running *r, test_random *random, const clip *c, size_t most) {
    float *floats = malloc(most * sizeof *floats);
    running_must(r, gemlet_sound_begin(r->session, &r->error));
    for (size_t done = 0; done < c->count;) {
        size_t now = random_range(random, most > 1 ? 0 : 1, most);
        now = now < c->count - done ? now : c->count - done;
        gemlet_sound piece = {GEMLET_SAMPLES_S16, c->samples + done, now};
        if (now % 2 != 0) {
            for (size_t i = 0; i < now; i++) {
                floats[i] = (float)c->samples[done + i] / 32768.0f;
            }
            piece = (gemlet_sound){GEMLET_SAMPLES_F32, floats, now};
        }
        running_must(r, gemlet_sound_feed(r->session, &piece, &r->error));
        done += now;
    }
    free(floats);
}

static void cuts_do_not_matter(void **state) {
    (void)state;
    static const size_t most[] = {1, 7, 160, 1000, 5000, 20000, 70000};
    running r;
    test_random random = {41};
    clip c = read_clip("long");
    size_t whole_count = 0, count = 0;
    running_open(&r, packed, 1, &options);
    gemlet_sound whole = {GEMLET_SAMPLES_S16, c.samples, c.count};
    float *wanted = encode_whole(&r, &whole, &whole_count);
    size_t all = c.count;
    for (size_t trial = 0; trial < 3 * sizeof most / sizeof *most; trial++) {
        const float *soft = NULL;
        if (trial == sizeof most / sizeof *most) { /* another length: another place to end at */
            c.count = whole.count = all - 333;
            free(wanted);
            wanted = encode_whole(&r, &whole, &whole_count);
        }
        feed_pieces(&r, &random, &c, most[trial % (sizeof most / sizeof *most)]);
        running_must(&r, gemlet_sound_end(r.session, &soft, &count, &r.error));
        assert_int_equal(count, whole_count);
        assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof(float));
    }
    free(wanted);
    running_close(&r);
    free(c.samples);
}

/* Every length from the shortest on, around where frames begin: streamed as whole, and as many soft tokens as are promised. */
static void every_length_ends_right(void **state) {
    (void)state;
    running r;
    test_random random = {42};
    clip c = read_clip("short");
    running_open(&r, packed, 1, &options);
    size_t all = c.count, shortest = gemlet_session_sound_facts(r.session).shortest;
    for (size_t length = shortest; length < all; length += length < shortest + 4 ? 1 : 157) {
        const float *soft = NULL;
        size_t whole_count = 0, count = 0;
        c.count = length;
        float *wanted = encode_whole(&r, &(gemlet_sound){GEMLET_SAMPLES_S16, c.samples, length}, &whole_count);
        feed_pieces(&r, &random, &c, 2000);
        running_must(&r, gemlet_sound_end(r.session, &soft, &count, &r.error));
        assert_int_equal(count, whole_count);
        assert_int_equal(count, gemlet_sound_soft_tokens(r.session, length));
        assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof(float));
        free(wanted);
    }
    running_close(&r);
    free(c.samples);
}

static void threads_and_levels_do_not_matter(void **state) {
    (void)state;
    clip c = read_clip("long");
    gemlet_sound whole = {GEMLET_SAMPLES_S16, c.samples, c.count};
    float *first = NULL;
    size_t first_count = 0;
    for (size_t trial = 0; trial < 7; trial++) {
        running r;
        size_t count = 0;
        gemlet_options changed = options;
        changed.level_limit = trial < 4 ? (uint32_t)trial + 1 : 0;
        running_open(&r, packed, trial < 4 ? 1 : trial, &changed);
        float *soft = encode_whole(&r, &whole, &count);
        if (first == NULL) {
            first = soft;
            first_count = count;
        } else {
            assert_int_equal(count, first_count);
            assert_memory_equal(soft, first, count * r.model->config.width * sizeof(float));
            free(soft);
        }
        running_close(&r);
    }
    free(first);
    free(c.samples);
}

/* While a sound is heard the session feeds text and another sound's end comes to the same. */
static void other_work_between_does_not_matter(void **state) {
    (void)state;
    running r;
    clip c = read_clip("long");
    size_t count = 0, heard = 0;
    const float *soft = NULL;
    const uint32_t text[40] = {9, 10, 11, 12, 13, 14};
    running_open(&r, packed, 1, &options);
    gemlet_sound whole = {GEMLET_SAMPLES_S16, c.samples, c.count};
    float *wanted = encode_whole(&r, &whole, &count);
    running_must(&r, gemlet_sound_begin(r.session, &r.error));
    for (size_t done = 0; done < c.count; done += 9000) {
        size_t now = c.count - done < 9000 ? c.count - done : 9000;
        running_must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, c.samples + done, now}, &r.error));
        running_must(&r, gemlet_feed(r.session, text, 40, &r.error));
    }
    running_must(&r, gemlet_sound_end(r.session, &soft, &heard, &r.error));
    assert_int_equal(heard, count);
    assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof(float));
    free(wanted);
    running_close(&r);
    free(c.samples);
}

/* gemlet_feed_sound is the splice of the model's family: the same logits as by hand, also streamed, and one token less where line
 * ends join. */
static void feeding_frames_the_sound(void **state) {
    (void)state;
    running r;
    clip c = read_clip("short");
    size_t count = 0, logit_count = 0;
    const float *soft = NULL, *logits = NULL;
    running_open(&r, packed, 1, &options);
    const gemlet_splice *around = &r.model->family->chat->sound;
    gemlet_sound whole = {GEMLET_SAMPLES_S16, c.samples, c.count};
    running_must(&r, gemlet_encode_sound(r.session, &whole, &soft, &count, &r.error));
    running_must(&r, gemlet_feed_text(r.session, "a", 1, false, &r.error));
    running_must(&r, gemlet_feed_text(r.session, around->before, strlen(around->before), false, &r.error));
    running_must(&r, gemlet_feed(r.session, &r.model->sound_begin, 1, &r.error));
    running_must(&r, gemlet_feed_embeddings(r.session, soft, count, &r.error));
    running_must(&r, gemlet_feed(r.session, &r.model->sound_end, 1, &r.error));
    running_must(&r, gemlet_feed_text(r.session, around->after, strlen(around->after), false, &r.error));
    running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
    size_t length = gemlet_session_length(r.session);
    float *wanted = malloc(logit_count * sizeof *wanted);
    memcpy(wanted, logits, logit_count * sizeof *wanted);
    for (int streamed = 0; streamed < 2; streamed++) {
        test_random random = {43};
        gemlet_session_reset(r.session);
        running_must(&r, gemlet_feed_text(r.session, "a", 1, false, &r.error));
        if (streamed == 0) {
            running_must(&r, gemlet_feed_sound(r.session, &whole, &r.error));
        } else {
            feed_pieces(&r, &random, &c, 3000);
            running_must(&r, gemlet_feed_sound_end(r.session, &r.error));
        }
        running_must(&r, gemlet_logits(r.session, &logits, &logit_count, &r.error));
        assert_int_equal(gemlet_session_length(r.session), length);
        assert_memory_equal(logits, wanted, logit_count * sizeof *wanted);
    }
    free(wanted);
    running_close(&r);
    free(c.samples);
}

/* ---- Refusals ---- */

static void assert_message(const running *r, const char *part) {
    if (strstr(r->error.message, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", r->error.message, part);
    }
}

static void wrong_sounds_are_refused(void **state) {
    (void)state;
    running r;
    const float *soft = NULL;
    size_t count = 0;
    gemlet_options one = options;
    one.sound_seconds = 1;
    running_open(&r, packed, 1, &one);
    gemlet_sound_facts facts = gemlet_session_sound_facts(r.session);
    assert_int_equal(facts.longest, GEMLET_SAMPLE_RATE);
    int16_t *zeros = calloc(facts.longest + 1, sizeof *zeros);
    float *floats = calloc(facts.longest + 1, sizeof *floats);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, zeros, facts.longest + 1};
    assert_int_equal(gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_message(&r, "at most 16000 samples (options sound_seconds, cut_sounds) but has 16001");
    sound.count = facts.shortest - 1;
    assert_int_equal(gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_message(&r, "at least");
    for (sound.count = 0; sound.count < 2; sound.count++) {
        assert_int_equal(gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_ARGUMENT);
        assert_message(&r, "at least");
    }
    sound = (gemlet_sound){GEMLET_SAMPLES_F32, floats, facts.longest};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        floats[1234 + i] = bad[i];
        assert_int_equal(gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT);
        assert_message(&r, "no finite number");
        floats[1234 + i] = 0.0f;
    }
    assert_int_equal(gemlet_sound_feed(r.session, &sound, &r.error), GEMLET_ERROR_STATE);
    assert_int_equal(gemlet_sound_end(r.session, &soft, &count, &r.error), GEMLET_ERROR_STATE);
    assert_int_equal(gemlet_feed_sound_end(r.session, &r.error), GEMLET_ERROR_STATE);
    assert_int_equal(gemlet_encode_sound(r.session, NULL, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT);
    sound = (gemlet_sound){GEMLET_SAMPLES_F32, NULL, 5};
    assert_int_equal(gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_session_length(r.session), 0);
    /* A refused piece takes nothing: the sound goes on. */
    running_must(&r, gemlet_sound_begin(r.session, &r.error));
    running_must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, zeros, facts.longest - 5}, &r.error));
    assert_int_equal(gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, zeros, 6}, &r.error), GEMLET_ERROR_ARGUMENT);
    running_must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, zeros, 5}, &r.error));
    running_must(&r, gemlet_sound_end(r.session, &soft, &count, &r.error));
    running_close(&r);
    free(floats);
    free(zeros);
}

/* What is beyond the longest is left out where the option says so; silence and what is clipped or too loud are sounds. */
static void odd_sounds_are_heard(void **state) {
    (void)state;
    running r;
    gemlet_options one = options;
    one.sound_seconds = 1;
    one.cut_sounds = true;
    size_t count = 0, cut_count = 0;
    running_open(&r, packed, 1, &one);
    int16_t *samples = calloc(20000, sizeof *samples);
    float *floats = calloc(20000, sizeof *floats);
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < 20000; i++) {
            samples[i] = (int16_t)(kind == 0 ? 0 : kind == 1 ? 32767 : i / 40 % 2 ? -32768 : 32767);
            floats[i] = kind == 3 ? 1e30f * (float)samples[i] : (float)samples[i] / 32768.0f;
        }
        float *cut = encode_whole(&r, &(gemlet_sound){GEMLET_SAMPLES_F32, floats, 20000}, &cut_count);
        float *whole = encode_whole(&r, &(gemlet_sound){GEMLET_SAMPLES_F32, floats, 16000}, &count);
        assert_int_equal(count, cut_count);
        assert_memory_equal(cut, whole, count * r.model->config.width * sizeof(float));
        for (size_t i = 0; i < count * r.model->config.width; i++) {
            assert_true(isfinite(whole[i]));
        }
        free(cut);
        free(whole);
    }
    free(floats);
    free(samples);
    running_close(&r);
}

/* Without sounds: no memory, and a refusal; a sound that does not fit computes nothing. */
static void sounds_can_be_left_out(void **state) {
    (void)state;
    running with, without;
    gemlet_options none = options, small = options;
    none.no_sounds = true;
    small.context = 100;
    int16_t *zeros = calloc(16000, sizeof *zeros);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, zeros, 16000};
    running_open(&with, packed, 1, &small);
    running_open(&without, packed, 1, &none);
    assert_int_equal(gemlet_feed_sound(without.session, &sound, &without.error), GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(gemlet_session_sound_facts(without.session).longest, 0);
    assert_true(without.plan.mapped < with.plan.mapped);
    if (gemlet_sound_soft_tokens(with.session, 16000) > 100) {
        assert_int_equal(gemlet_feed_sound(with.session, &sound, &with.error), GEMLET_ERROR_CONTEXT);
        running_must(&with, gemlet_sound_begin(with.session, &with.error));
        running_must(&with, gemlet_sound_feed(with.session, &sound, &with.error));
        assert_int_equal(gemlet_feed_sound_end(with.session, &with.error), GEMLET_ERROR_CONTEXT);
        running_must(&with, gemlet_sound_feed(with.session, &sound, &with.error)); /* it goes on */
    }
    assert_int_equal(gemlet_session_length(with.session), 0);
    gemlet_options long_clips = options;
    long_clips.sound_seconds = 31;
    assert_int_equal(gemlet_plan(&with.port, packed, &long_clips, &with.plan, &with.error), GEMLET_ERROR_ARGUMENT);
    assert_message(&with, "sound_seconds");
    running_close(&without);
    running_close(&with);
    free(zeros);
}

static bool stop(void *context, size_t done, size_t total) {
    size_t *calls = context;
    assert_true(done < total);
    return ++*calls < 2;
}

static void a_sound_can_be_cancelled(void **state) {
    (void)state;
    running r;
    clip c = read_clip("long");
    const float *soft = NULL;
    size_t count = 0, calls = 0;
    running_open(&r, packed, 1, &options);
    gemlet_session_on_progress(r.session, stop, &calls);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, c.samples, c.count};
    assert_int_equal(gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_CANCELLED);
    assert_int_equal(calls, 2);
    assert_int_equal(gemlet_sound_end(r.session, &soft, &count, &r.error), GEMLET_ERROR_STATE);
    running_close(&r);
    free(c.samples);
}

/* ---- Weights of few bits ---- */

static void weights_take_few_bits(void **state) {
    (void)state;
    running r;
    running_open(&r, packed, 1, &options);
    enum { OF_TWO_BITS = 9 };
    const gemlet_conformer_model *m = r.session->sound.model;
    for (uint32_t i = 0; i < m->config.block_count; i++) {
        const gemlet_conformer_block *b = &m->weights.blocks[i];
        const gemlet_conformer_linear *const of_two_bits[OF_TWO_BITS] = {
            &b->start.up, &b->start.down, &b->query, &b->key, &b->value, &b->output, &b->conv_end, &b->end.up, &b->end.down};
        for (size_t k = 0; k < OF_TWO_BITS; k++) {
            assert_int_equal(of_two_bits[k]->matrix.columns, of_two_bits[k]->channels);
            assert_int_equal(of_two_bits[k]->matrix.type, GEMLET_W2);
            assert_true(of_two_bits[k]->matrix.input_scale > 0.0f);
        }
        assert_int_equal(b->conv_start.matrix.type, GEMLET_W4);
        assert_int_equal(b->conv_start.matrix.columns, b->conv_start.channels);
    }
    running_close(&r);
}

/* Bounds within the range of the steps clamp before rounding: the same as numbers that are clamped already. */
static void bounds_within_the_range_clamp(void **state) {
    (void)state;
    enum { FRAMES = 21 };
    static const float least = -0.7f, most = 0.4f;
    running r;
    test_random random = {44};
    running_open(&r, packed, 1, &options);
    const gemlet_conformer *c = &r.session->sound;
    gemlet_conformer_linear linear = c->model->weights.blocks[0].start.down, free_of_bounds = linear;
    size_t taken = FRAMES * linear.channels, outputs = FRAMES * linear.outputs;
    float *x = malloc(taken * sizeof *x), *found = malloc(2 * outputs * sizeof *found), *wanted = found + outputs;
    gemlet_conformer_work work;
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, c->work_bytes + GEMLET_ALIGNMENT - c->work_bytes % GEMLET_ALIGNMENT);
    gemlet_conformer_carve_work(c, &(gemlet_carver){memory, 0}, &work);
    for (size_t i = 0; i < taken; i++) {
        x[i] = random_float(&random, -2.0f, 2.0f);
    }
    linear.input = (gemlet_bounds){&least, &most};
    gemlet_conformer_product(c, &linear, x, FRAMES, &work, found);
    for (size_t i = 0; i < taken; i++) {
        x[i] = x[i] < least ? least : x[i] > most ? most : x[i];
    }
    free_of_bounds.input = (gemlet_bounds){NULL, NULL};
    gemlet_conformer_product(c, &free_of_bounds, x, FRAMES, &work, wanted);
    assert_memory_equal(found, wanted, outputs * sizeof *found);
    free(memory);
    free(found);
    free(x);
    running_close(&r);
}

/* Bounds are kept where they are too close together for a scale, and what is no number becomes the lower one. */
static void bounds_of_convolutions_clamp(void **state) {
    enum { CHANNELS = 16 };
    static const struct {
        float least, most, x, wanted;
    } cases[] = {{0.0f, 0.0f, 100.0f, 0.0f},   {0.0f, 1e-40f, 100.0f, 0.0f}, {-1.0f, 1.0f, 100.0f, 1.0f},
                 {-10.0f, 1.0f, 100.0f, 1.0f}, {-1.0f, 0.5f, NAN, -1.0f},    {-3e38f, 3e38f, 1.0f, 0.0f}};
    (void)state;
    running r;
    running_open(&r, packed, 1, &options);
    int8_t weights[CHANNELS] = {127}, quantized[GEMLET_CHANNEL_PADDING];
    _Alignas(GEMLET_ALIGNMENT) int8_t packed_weights[GEMLET_CONV_PANEL * CHANNELS];
    gemlet_conv_pack(weights, 1, 1, CHANNELS, packed_weights);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x[CHANNELS] = {cases[i].x}, y = -77.0f, weight_scale = 1.0f / 127.0f, scale;
        const int8_t *pointer;
        gemlet_conformer_work work = {.quantized = quantized, .scale = &scale, .pointers = &pointer};
        gemlet_conformer_linear linear = {.outputs = 1, .channels = CHANNELS, .input = {&cases[i].least, &cases[i].most}};
        linear.conv = (gemlet_conv){packed_weights, &weight_scale, 1, CHANNELS, 1};
        gemlet_conformer_product(&r.session->sound, &linear, x, 1, &work, &y);
        if (!(fabsf(y - cases[i].wanted) <= 0.5f / 127.0f * 10.0f * fabsf(cases[i].wanted))) { /* half a step of 10 / 127 */
            fail_msg("case %zu: expected %g, found %g", i, (double)cases[i].wanted, (double)y);
        }
    }
    running_close(&r);
}

/* The packer says what each matrix has lost. */
static void weights_of_few_bits_lose_nothing(void **state) {
    (void)state;
    char hf[FOLDER_BYTES], line[256];
    gemlet_error error = {GEMLET_OK, ""};
    FILE *report = tmpfile();
    size_t matrices = 0;
    assert_non_null(report);
    folder_make(hf, "levels-hf");
    snprintf(line, sizeof line, "%s/audio.safetensors", data);
    write_tiny_gemma4_with(line, hf);
    pack_options pack = {.folder = hf, .output = packed, .report = report};
    assert_int_equal(pack_run(&pack, &error), GEMLET_OK);
    rewind(report);
    while (fgets(line, sizeof line, report) != NULL) {
        bool few_bits = strstr(line, " to w2 panels") != NULL || strstr(line, " to w4 panels") != NULL;
        if (few_bits && strncmp(line, "a.blk.", 6) == 0) {
            assert_non_null(strstr(line, "relative error 0.000000\n"));
            matrices++;
        }
    }
    assert_int_equal(matrices, 20);
    fclose(report);
    folder_remove(hf);
}

/* What depends on the CPU, and what does not. */
static const struct CMUnitTest of_the_cpu[] = {
    cmocka_unit_test(short_clip_is_the_reference_s),           cmocka_unit_test(long_clip_is_the_reference_s),
    cmocka_unit_test(short_rows_are_the_reference_s),          cmocka_unit_test(masked_rows_are_the_reference_s),
    cmocka_unit_test(short_clip_s_logits_are_the_reference_s), cmocka_unit_test(long_clip_s_logits_are_the_reference_s),
    cmocka_unit_test(threads_and_levels_do_not_matter),
};
static const struct CMUnitTest of_few_bits[] = {
    cmocka_unit_test(weights_take_few_bits), cmocka_unit_test(bounds_within_the_range_clamp),
    cmocka_unit_test(bounds_of_convolutions_clamp), cmocka_unit_test(weights_of_few_bits_lose_nothing)};
static const struct CMUnitTest of_the_code[] = {
    cmocka_unit_test(cuts_do_not_matter),
    cmocka_unit_test(every_length_ends_right),
    cmocka_unit_test(other_work_between_does_not_matter),
    cmocka_unit_test(feeding_frames_the_sound),
    cmocka_unit_test(wrong_sounds_are_refused),
    cmocka_unit_test(odd_sounds_are_heard),
    cmocka_unit_test(sounds_can_be_left_out),
    cmocka_unit_test(a_sound_can_be_cancelled),
};

static int run_groups(const char *name, bool all) {
    int failed = cmocka_run_group_tests_name(name, of_the_cpu, set_up, tear_down);
    return all ? failed + cmocka_run_group_tests_name(name, of_the_code, set_up, tear_down) : failed;
}

int main(int count, char **arguments) {
    if (count == 3) {
        snprintf(packed, sizeof packed, "%s", arguments[1]);
        data = inputs = arguments[2];
        return run_groups("another model", true);
    }
    bool all = count < 2;
    data = inputs = "tests/data/sound/gemma3n";
    pack_model_of_tests = pack_gemma3n;
    int failed = run_groups("Gemma 3n", all);
    data = inputs = "tests/data/sound/gemma4";
    pack_model_of_tests = pack_gemma4;
    failed += run_groups("Gemma 4", all);
    data = "tests/data/sound/gemma4-levels";
    failed += run_groups("Gemma 4, weights of few bits", false);
    failed += cmocka_run_group_tests_name("weights of few bits", of_few_bits, set_up, tear_down);
    data = inputs = "tests/data/sound/gemma4-mobile";
    pack_model_of_tests = pack_mobile;
    logits_agree.mean = 0.9975;
    logits_agree.worst = 0.992;
    return failed + run_groups("Gemma 4, mobile checkpoint", all);
}
