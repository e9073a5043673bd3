#include "examples/gemlet/form.h"

#include <stdio.h>
#include <stdlib.h>

#include <gemlet/arena.h>

gemlet_status form_words_open(form_words *w, const gemlet_tokenizer *tokenizer, gemlet_error *error) {
    size_t bytes = gemlet_token_order_bytes(tokenizer);
    w->memory = aligned_alloc(GEMLET_ALIGNMENT, bytes);
    if (w->memory == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the form of the answer");
    }
    return gemlet_token_order_open(&w->order, tokenizer, w->memory, bytes, error);
}

void form_words_close(form_words *w) {
    free(w->memory);
    w->memory = NULL;
}

gemlet_status form_count(gemlet_grammar_kind kind, const char *text, size_t bytes, size_t *sum, gemlet_error *error) {
    size_t needed = 0;
    gemlet_status status = gemlet_grammar_bytes(kind, text, bytes, &needed, error);
    *sum += needed;
    return status;
}

size_t form_scratch_bytes(const gemlet_tokenizer *tokenizer) {
    return gemlet_constraint_bytes(tokenizer);
}

/* A piece of the form's memory; what the library asks for is a multiple of GEMLET_ALIGNMENT. */
static gemlet_status take(form *f, size_t bytes, void **piece, gemlet_error *error) {
    if (f->bytes - f->used < bytes) {
        char problem[GEMLET_MESSAGE_BYTES];
        snprintf(problem, sizeof problem, "the form of an answer: expected one of at most %zu bytes of memory, found %zu",
                 f->bytes - f->used, bytes);
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, problem);
    }
    *piece = (char *)f->memory + f->used;
    f->used += bytes;
    return GEMLET_OK;
}

gemlet_status form_open(form *f, const form_words *words, void *memory, size_t bytes, gemlet_error *error) {
    *f = (form){.words = words, .memory = memory, .bytes = bytes};
    return take(f, form_scratch_bytes(words->order.tokenizer), &f->scratch, error);
}

static gemlet_status compile(form *f, gemlet_grammar_kind kind, const char *text, size_t bytes, const gemlet_grammar **grammar,
                             gemlet_error *error) {
    size_t needed = 0;
    void *memory = NULL;
    gemlet_status status = gemlet_grammar_bytes(kind, text, bytes, &needed, error);
    status = status == GEMLET_OK ? take(f, needed, &memory, error) : status;
    return status == GEMLET_OK ? gemlet_grammar_compile(kind, text, bytes, memory, needed, grammar, error) : status;
}

gemlet_status form_hold(form *f, gemlet_grammar_kind kind, const char *text, size_t bytes, gemlet_error *error) {
    return compile(f, kind, text, bytes, &f->grammar, error);
}

gemlet_status form_hold_calls(form *f, const char *tools, size_t bytes, bool must_call, gemlet_error *error) {
    f->must_call = must_call;
    return compile(f, GEMLET_GRAMMAR_CALLS, tools, bytes, &f->calls, error);
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
