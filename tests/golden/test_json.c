/* A caller's token filter forces a model to answer in JSON of a given form, whatever it would rather say. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include <gemlet/sampler.h>
#include <gemlet/tokenizer.h>

/* The form of the answer: characters that stand for themselves, S for some characters of a string, D for some digits, B for true or
 * false. */
static const char *const form = "{\"what\": \"S\", \"count\": D, \"seen\": B}";
enum { MOST_CHARACTERS = 20, MOST_DIGITS = 4, MOST_BYTES = 96 };

/* How far an answer has come: everything that decides which byte may follow. */
typedef struct place {
    const char *at;   /* in the form */
    size_t bytes;     /* of S, D or B that are there */
    const char *word; /* what is left of true or false */
} place;

static bool follows_in_string(place *p, unsigned char byte) {
    if (byte == '"' && p->bytes > 0) {
        p->at += 2;
        return true;
    }
    return byte >= ' ' && byte < 127 && byte != '"' && byte != '\\' && p->bytes++ < MOST_CHARACTERS;
}

/* Digits do not say where they end: the byte behind them does, and a 0 has none behind it. */
static bool follows_in_number(place *p, unsigned char byte) {
    if (isdigit(byte) && (byte != '0' || p->bytes > 0)) {
        return p->bytes++ < MOST_DIGITS;
    }
    if (p->bytes == 0 || byte != (unsigned char)p->at[1]) {
        return false;
    }
    p->at += 2;
    return true;
}

static bool follows_in_word(place *p, unsigned char byte) {
    p->word = p->word != NULL ? p->word : byte == 't' ? "true" : "false";
    if (byte != (unsigned char)*p->word) {
        return false;
    }
    p->at += *++p->word == '\0';
    return true;
}

/* Takes one byte of the answer; false where it may not follow. */
static bool take(place *p, unsigned char byte) {
    const char *before = p->at;
    bool fits = *p->at == 'S'   ? follows_in_string(p, byte)
                : *p->at == 'D' ? follows_in_number(p, byte)
                : *p->at == 'B' ? follows_in_word(p, byte)
                                : *p->at != '\0' && byte == (unsigned char)*p->at++;
    p->bytes = p->at != before ? 0 : p->bytes;
    return fits;
}

typedef struct json_filter {
    const gemlet_tokenizer *tokenizer;
    place so_far;
} json_filter;

static bool fits(const json_filter *f, uint32_t token, place *p) {
    const char *text;
    size_t bytes;
    *p = f->so_far;
    if (gemlet_tokenizer_is_special(f->tokenizer, token) ||
        gemlet_tokenizer_text(f->tokenizer, token, &text, &bytes) != GEMLET_OK) {
        return false;
    }
    bool all = bytes > 0;
    for (size_t i = 0; i < bytes && all; i++) {
        all = take(p, (unsigned char)text[i]);
    }
    return all;
}

static bool allow(void *context, uint32_t token) {
    json_filter *f = context;
    place p;
    return fits(f, token, &p);
}

static void write_answer(running *r, uint64_t seed, float temperature, char answer[MOST_BYTES]) {
    json_filter filter = {.tokenizer = gemlet_model_tokenizer(r->model), .so_far = {.at = form}};
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.temperature = temperature;
    settings.seed = seed;
    settings.allowed = allow;
    settings.allowed_context = &filter;
    uint32_t vocabulary = gemlet_model_facts(r->model).vocabulary;
    size_t bytes = gemlet_sampler_bytes(&settings, vocabulary);
    void *scratch = malloc(bytes);
    gemlet_sampler sampler;
    assert_int_equal(gemlet_sampler_open(&sampler, &settings, vocabulary, scratch, bytes, &r->error), GEMLET_OK);
    gemlet_session_reset(r->session);
    assert_int_equal(gemlet_feed_text(r->session, "describe the picture", 20, false, &r->error), GEMLET_OK);
    size_t length = 0;
    while (*filter.so_far.at != '\0') {
        const char *text;
        size_t count;
        uint32_t token;
        assert_int_equal(gemlet_sampler_next(&sampler, r->session, &token, &r->error), GEMLET_OK);
        assert_true(fits(&filter, token, &filter.so_far));
        assert_int_equal(gemlet_tokenizer_text(filter.tokenizer, token, &text, &count), GEMLET_OK);
        assert_true(length + count < MOST_BYTES);
        memcpy(answer + length, text, count);
        length += count;
        assert_int_equal(gemlet_feed(r->session, &token, 1, &r->error), GEMLET_OK);
    }
    answer[length] = '\0';
    free(scratch);
}

static void a_filter_forces_json(void **state) {
    const char *packed = *state;
    running r;
    running_open(&r, packed, 1, &(gemlet_options){.context = 128, .no_images = true});
    char answer[MOST_BYTES], first[MOST_BYTES] = "";
    size_t different = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        write_answer(&r, seed, seed == 0 ? 0.0f : 1.0f, answer);
        print_message("           %s\n", answer);
        cJSON *json = cJSON_Parse(answer);
        assert_non_null(json);
        assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "what")));
        assert_true(cJSON_IsNumber(cJSON_GetObjectItem(json, "count")));
        assert_true(cJSON_IsBool(cJSON_GetObjectItem(json, "seen")));
        cJSON_Delete(json);
        different += strcmp(answer, first) != 0;
        memcpy(first, answer, sizeof first);
    }
    assert_int_equal(different, 4);
    running_close(&r);
}

static char folder[FOLDER_BYTES];
static char path[FOLDER_BYTES + 32];

static int set_up(void **state) {
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(folder, "json");
    snprintf(path, sizeof path, "%s/tiny.gguf", folder);
    pack_options options = {.text = TINY_TEXT, .output = path};
    *state = path;
    return pack_run(&options, &error) == GEMLET_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_filter_forces_json)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
