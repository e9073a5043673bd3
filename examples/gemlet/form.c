#include "examples/gemlet/form.h"

#include <stdio.h>
#include <stdlib.h>

#include <gemlet/arena.h>

static gemlet_status take(void **memory, size_t bytes, gemlet_error *error) {
    size_t rounded = (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
    *memory = aligned_alloc(GEMLET_ALIGNMENT, rounded > 0 ? rounded : GEMLET_ALIGNMENT);
    return *memory != NULL ? GEMLET_OK : gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the form of the answer");
}

gemlet_status form_words_open(form_words *w, const gemlet_tokenizer *tokenizer, gemlet_error *error) {
    size_t bytes = gemlet_token_order_bytes(tokenizer);
    gemlet_status status = take(&w->memory, bytes, error);
    return status == GEMLET_OK ? gemlet_token_order_open(&w->order, tokenizer, w->memory, bytes, error) : status;
}

void form_words_close(form_words *w) {
    free(w->memory);
    w->memory = NULL;
}

static gemlet_status compile(gemlet_grammar_kind kind, const char *text, size_t bytes, size_t most, void **memory,
                             const gemlet_grammar **grammar, gemlet_error *error) {
    size_t needed = 0;
    gemlet_status status = gemlet_grammar_bytes(kind, text, bytes, &needed, error);
    if (status == GEMLET_OK && needed > most) {
        char problem[GEMLET_MESSAGE_BYTES];
        snprintf(problem, sizeof problem, "the form of the answer may take %zu bytes of memory, and this one may need %zu", most,
                 needed);
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, problem);
    }
    status = status == GEMLET_OK ? take(memory, needed, error) : status;
    return status == GEMLET_OK ? gemlet_grammar_compile(kind, text, bytes, *memory, needed, grammar, error) : status;
}

/* Scratch of the constraint, once. */
static gemlet_status take_scratch(form *f, const form_words *words, gemlet_error *error) {
    f->words = words;
    return f->scratch != NULL ? GEMLET_OK : take(&f->scratch, gemlet_constraint_bytes(words->order.tokenizer), error);
}

gemlet_status form_open(form *f, gemlet_grammar_kind kind, const char *text, size_t bytes, size_t most, const form_words *words,
                        gemlet_error *error) {
    gemlet_status status = take_scratch(f, words, error);
    return status == GEMLET_OK ? compile(kind, text, bytes, most, &f->memory, &f->grammar, error) : status;
}

gemlet_status form_hold_calls(form *f, const char *tools, size_t bytes, size_t most, bool must_call, const form_words *words,
                              gemlet_error *error) {
    gemlet_status status = take_scratch(f, words, error);
    f->must_call = must_call;
    return status == GEMLET_OK ? compile(GEMLET_GRAMMAR_CALLS, tools, bytes, most, &f->calls_memory, &f->calls, error) : status;
}

void form_close(form *f) {
    free(f->memory);
    free(f->calls_memory);
    free(f->scratch);
    *f = (form){.memory = NULL};
}

static bool holds(const form *f) {
    return f->grammar != NULL || f->calls != NULL;
}

void form_ask(form *f, gemlet_sampler_settings *settings) {
    if (holds(f)) {
        settings->allowed = gemlet_constraint_allows;
        settings->listed = gemlet_constraint_list;
        settings->allowed_context = &f->constraint;
    }
}

gemlet_status form_begin(form *f, const gemlet_chat_format *format, bool may_think, gemlet_error *error) {
    if (!holds(f)) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_constraint_begin(&f->constraint, f->grammar, &f->words->order, format, may_think, f->scratch,
                                                   gemlet_constraint_bytes(f->words->order.tokenizer), error);
    return status == GEMLET_OK && f->calls != NULL ? gemlet_constraint_hold_calls(&f->constraint, f->calls, f->must_call, error)
                                                   : status;
}

gemlet_status form_accept(form *f, uint32_t token, gemlet_error *error) {
    return holds(f) ? gemlet_constraint_accept(&f->constraint, token, error) : GEMLET_OK;
}

bool form_is_complete(const form *f) {
    return !holds(f) || gemlet_constraint_is_complete(&f->constraint);
}
