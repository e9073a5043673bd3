#include "examples/gemlet/choices.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gemlet_status split(choices *c, const char *text, gemlet_error *error) {
    const char *end = text;
    for (; end != NULL && c->count < CHOICES_MOST; text = end != NULL ? end + 1 : text) {
        end = strchr(text, '|');
        c->texts[c->count] = text;
        c->bytes[c->count] = end != NULL ? (size_t)(end - text) : strlen(text);
        if (c->bytes[c->count++] == 0) {
            return gemlet_fail(error, GEMLET_ERROR_ARGUMENT,
                               "option --choices: expected texts with | between them, found an empty one");
        }
    }
    if (c->count < 2 || end != NULL) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "option --choices: expected 2 to ");
        gemlet_error_number(error, CHOICES_MOST);
        gemlet_error_text(error, " texts with | between them, found ");
        gemlet_error_text(error, end != NULL ? "more" : "one");
        return GEMLET_ERROR_ARGUMENT;
    }
    return GEMLET_OK;
}

static gemlet_status encode(choices *c, const gemlet_tokenizer *tokenizer, gemlet_error *error) {
    for (size_t i = 0; i < c->count; i++) {
        size_t before = c->tokens.count;
        gemlet_status status = tokens_append_text(&c->tokens, tokenizer, c->texts[i], c->bytes[i], error);
        if (status != GEMLET_OK) {
            return status;
        }
        c->list[i].count = c->tokens.count - before;
    }
    const uint32_t *next = c->tokens.ids; /* which no longer moves */
    for (size_t i = 0; i < c->count; next += c->list[i++].count) {
        c->list[i].tokens = next;
    }
    return GEMLET_OK;
}

gemlet_status choices_open(choices *c, const char *text, const engine *e, gemlet_error *error) {
    *c = (choices){.count = 0};
    if (text == NULL) {
        return GEMLET_OK;
    }
    gemlet_status status = split(c, text, error);
    if (status == GEMLET_OK) {
        status = encode(c, e->tokenizer, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    c->scratch = malloc(gemlet_choose_bytes(e->session, c->count));
    return c->scratch != NULL ? GEMLET_OK : gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for choices");
}

void choices_close(choices *c) {
    tokens_free(&c->tokens);
    free(c->scratch);
}

/* Of those that are not printed yet. */
static size_t likeliest(const choices *c, const bool printed[CHOICES_MOST]) {
    size_t best = c->count;
    for (size_t i = 0; i < c->count; i++) {
        if (!printed[i] && (best == c->count || c->logprobs[i] > c->logprobs[best])) {
            best = i;
        }
    }
    return best;
}

gemlet_status choices_print(choices *c, gemlet_session *session, bool one_line, gemlet_error *error) {
    bool printed[CHOICES_MOST] = {false};
    gemlet_status status =
        gemlet_choose(session, c->list, c->count, c->logprobs, c->scratch, gemlet_choose_bytes(session, c->count), error);
    for (size_t n = 0; status == GEMLET_OK && n < (one_line ? 1 : c->count); n++) {
        size_t best = likeliest(c, printed);
        printed[best] = true;
        printf("%s%.*s\t%.6f", n > 0 ? "\n" : "", (int)c->bytes[best], c->texts[best], exp(c->logprobs[best]));
    }
    return status;
}
