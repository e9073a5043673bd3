#include "tests/golden/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sanitized.h"
#include <gemlet/posix.h>

void running_must(const running *r, gemlet_status status) {
    if (status != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
}

void running_open(running *r, const char *path, size_t threads, const gemlet_options *options) {
    memset(r, 0, sizeof *r);
    r->options = *options;
    r->options.level_limit = SANITIZED && options->level_limit == 0 ? 1 : options->level_limit;
    r->posix = gemlet_posix_open(threads, &r->port);
    assert_non_null(r->posix);
    running_must(r, gemlet_plan(&r->port, path, &r->options, &r->plan, &r->error));
    r->memory = aligned_alloc(GEMLET_ALIGNMENT, r->plan.arena);
    assert_non_null(r->memory);
    memset(r->memory, 0xA5, r->plan.arena); /* nothing may rely on cleared memory */
    running_must(r, gemlet_arena_init(&r->arena, r->memory, r->plan.arena, &r->error));
    running_must(r, gemlet_model_open(&r->port, path, &r->options, &r->arena, &r->model, &r->error));
    running_must(r, gemlet_session_open(r->model, &r->options, &r->arena, &r->session, &r->error));
}

void running_close(running *r) {
    gemlet_model_close(r->model);
    gemlet_posix_close(r->posix);
    free(r->memory);
}

void assert_model_refused(const char *path, const char *words) {
    running r = {.options = {.context = 64}};
    r.posix = gemlet_posix_open(1, &r.port);
    assert_non_null(r.posix);
    running_must(&r, gemlet_plan(&r.port, path, &r.options, &r.plan, &r.error));
    r.memory = aligned_alloc(GEMLET_ALIGNMENT, r.plan.arena);
    assert_non_null(r.memory);
    running_must(&r, gemlet_arena_init(&r.arena, r.memory, r.plan.arena, &r.error));
    gemlet_status status = gemlet_model_open(&r.port, path, &r.options, &r.arena, &r.model, &r.error);
    if (status == GEMLET_OK || strstr(r.error.message, words) == NULL) {
        fail_msg("expected a message with \"%s\", found status %d and \"%s\"", words, (int)status, r.error.message);
    }
    running_close(&r);
}

void *file_read(const char *path, size_t *bytes) {
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

void *golden_read(const char *name, size_t *count) {
    char path[128];
    size_t bytes = 0;
    snprintf(path, sizeof path, "tests/data/golden/%s", name);
    void *numbers = file_read(path, &bytes);
    if (numbers == NULL) {
        fail_msg("%s is missing", path);
    }
    *count = bytes / sizeof(float);
    return numbers;
}

static void keep_row(void *context, size_t index, const float *logits, size_t count) {
    memcpy((float *)context + index * count, logits, count * sizeof *logits);
}

float *running_logits(running *r, const uint32_t *tokens, size_t count) {
    float *logits = malloc(count * gemlet_model_facts(r->model).vocabulary * sizeof *logits);
    running_must(r, gemlet_feed_with_logits(r->session, tokens, count, keep_row, logits, &r->error));
    return logits;
}

static size_t largest(const float *row, size_t width) {
    size_t best = 0;
    for (size_t i = 1; i < width; i++) {
        best = row[i] > row[best] ? i : best;
    }
    return best;
}

agreement agreement_of(const float *a, const float *b, size_t rows, size_t width) {
    agreement found = {0.0, 1.0, 0.0};
    for (size_t r = 0; r < rows; r++, a += width, b += width) {
        double ab = 0.0, aa = 0.0, bb = 0.0;
        for (size_t i = 0; i < width; i++) {
            ab += (double)a[i] * (double)b[i];
            aa += (double)a[i] * (double)a[i];
            bb += (double)b[i] * (double)b[i];
        }
        double cosine = aa == 0.0 && bb == 0.0 ? 1.0 : ab / sqrt(aa * bb); /* zeros agree */
        found.mean += cosine / (double)rows;
        found.worst = cosine >= found.worst ? found.worst : cosine; /* NaN is the worst */
        found.same_largest += largest(a, width) == largest(b, width) ? 1.0 / (double)rows : 0.0;
    }
    return found;
}

void assert_agreement(const char *what, agreement found, double mean, double worst, double same_largest) {
    print_message("           %-24s mean cosine %.5f, worst %.5f, same largest %.3f\n", what, found.mean, found.worst,
                  found.same_largest);
    assert_true(found.mean >= mean);
    assert_true(found.worst >= worst);
    assert_true(found.same_largest >= same_largest);
}
