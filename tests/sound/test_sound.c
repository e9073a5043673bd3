/* The sound encoder: against the reference implementation, and against itself where threads, chunks and cuts must not matter.
 * `sound-sound PACKED FOLDER` compares another packed model with another folder of reference data instead. */
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
static char packed[512];
static const char *data = "tests/data/sound/tiny";
static const gemlet_options options = {.context = 512};

/* NULL where there is no such file. */
static void *read_data(const char *clip, const char *name, size_t *bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", data, clip, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *numbers = malloc(*bytes);
    assert_int_equal(fread(numbers, 1, *bytes, file), *bytes);
    fclose(file);
    return numbers;
}

static void *need_data(const char *clip, const char *name, size_t *bytes) {
    void *numbers = read_data(clip, name, bytes);
    if (numbers == NULL) {
        fail_msg("%s/%s.%s is missing", data, clip, name);
    }
    return numbers;
}

static int set_up(void **state) {
    (void)state;
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "sound");
    if (packed[0] != '\0') {
        return 0;
    }
    snprintf(packed, sizeof packed, "%s/tiny.gguf", folder);
    pack_options pack = {.text = TINY_TEXT, .projector = TINY_PROJECTOR, .output = packed};
    if (pack_run(&pack, &error) != GEMLET_OK) {
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

static void assert_near(const char *what, const float *found, const float *wanted, size_t count, double most) {
    double largest = 0.0, difference = 0.0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)wanted[i]));
        difference = fmax(difference, fabs((double)found[i] - (double)wanted[i]));
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
        log_difference = fmax(log_difference, fabs((double)found[i] - (double)wanted[i]));
        difference = fmax(difference, fabs(exp((double)found[i]) - exp((double)wanted[i])));
    }
    print_message("%s: off by %.2e, in logarithms %.2e\n", what, difference, log_difference);
    assert_true(difference < 5e-5 && log_difference < 2e-2);
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
            check_mel(what, s->values, wanted, rows * s->width);
        } else if (strncmp(s->name, "conv", 4) == 0) {
            assert_near(what, s->values, wanted, rows * s->width, 2e-4);
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

/* Rows that are no sound, and an invalid end, which nothing before it sees. */
static void masked_rows_are_the_reference_s(void **state) {
    (void)state;
    running r;
    stages all = {0};
    size_t bytes = 0;
    float *rows = read_data("masked", "mel.f32", &bytes);
    if (rows == NULL) {
        return;
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
    check_stages(&all, "masked", false);
    check_soft("masked", c->soft_tokens, c->soft_count, c->text_width);
    free_stages(&all);
    running_close(&r);
    free(rows);
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
    assert_agreement(clip, agreement_of(found + (behind - same) * vocabulary, wanted + (rows - same) * vocabulary, same, vocabulary),
                     0.9995, 0.998, 0.0);
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

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_clip_is_the_reference_s),           cmocka_unit_test(long_clip_is_the_reference_s),
        cmocka_unit_test(masked_rows_are_the_reference_s),         cmocka_unit_test(short_clip_s_logits_are_the_reference_s),
        cmocka_unit_test(long_clip_s_logits_are_the_reference_s),
    };
    if (count == 3) {
        snprintf(packed, sizeof packed, "%s", arguments[1]);
        data = arguments[2];
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
