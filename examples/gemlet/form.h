/* The form of an answer, which --schema, --json and --pattern ask for, and of the calls that --tools allows (gemlet/grammar.h). */
#ifndef GEMLET_EXAMPLES_GEMLET_FORM_H
#define GEMLET_EXAMPLES_GEMLET_FORM_H

#include "examples/gemlet/engine.h"
#include <gemlet/grammar.h>
#include <gemlet/sampler.h>

/* What a form of any kind needs of a vocabulary: made once. */
typedef struct form_words {
    gemlet_token_order order;
    void *memory; /* ours; NULL: it is not open */
} form_words;

gemlet_status form_words_open(form_words *w, const gemlet_tokenizer *tokenizer, gemlet_error *error);
void form_words_close(form_words *w);

/* All zeros: an answer may say what it likes. */
typedef struct form {
    const gemlet_grammar *grammar; /* NULL: an answer may say what it likes */
    const gemlet_grammar *calls;   /* NULL: it may call nothing, or what it likes */
    bool must_call;
    const form_words *words;
    gemlet_constraint constraint;
    void *scratch; /* the constraint's, in `memory` */
    void *memory;  /* the caller's */
    size_t bytes, used;
} form;

/* What a form takes of memory: scratch, and what each grammar adds to `*sum`. */
size_t form_scratch_bytes(const gemlet_tokenizer *tokenizer);
gemlet_status form_count(gemlet_grammar_kind kind, const char *text, size_t bytes, size_t *sum, gemlet_error *error);

/* Begins a form in the caller's memory, aligned to GEMLET_ALIGNMENT; `words` must outlive it.  GEMLET_ERROR_UNSUPPORTED, here and
 * below, where the memory does not do. */
gemlet_status form_open(form *f, const form_words *words, void *memory, size_t bytes, gemlet_error *error);

/* Holds the answer to a grammar. */
gemlet_status form_hold(form *f, gemlet_grammar_kind kind, const char *text, size_t bytes, gemlet_error *error);

/* Lets the answer call functions of `tools`, a list as gemlet_chat_options has it; with `must_call` it has to. */
gemlet_status form_hold_calls(form *f, const char *tools, size_t bytes, bool must_call, gemlet_error *error);

/* Has the sampler ask, if there is a form. */
void form_ask(form *f, gemlet_sampler_settings *settings);

/* Begins an answer. */
gemlet_status form_begin(form *f, const gemlet_chat_format *format, bool may_think, gemlet_error *error);

/* Goes on with a token that was sampled. */
gemlet_status form_accept(form *f, uint32_t token, gemlet_error *error);

/* Whether the answer so far has the form. */
bool form_is_complete(const form *f);

#endif
