/* Grammars: answers that a program can use.
 *
 * A JSON schema, "any JSON" or a pattern is compiled once into a table in the caller's memory; a constraint then says of each token
 * whether the answer may go on with it, as the sampler's filter, and an answer that ends is right.  There is no dead end: what is
 * allowed has an end.  docs/grammar.md has what schemas and patterns may say, and how values are written.
 *
 * Nothing is allocated and nothing recurses; the stack does not grow with the schema.
 */
#ifndef GEMLET_GRAMMAR_H
#define GEMLET_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/chat.h>
#include <gemlet/status.h>
#include <gemlet/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gemlet_grammar_kind {
    GEMLET_GRAMMAR_SCHEMA,  /* the text is a JSON schema, draft 2020-12 */
    GEMLET_GRAMMAR_JSON,    /* an object of any kind; there is no text */
    GEMLET_GRAMMAR_PATTERN, /* the text is a regular expression that the whole answer is to be */
    GEMLET_GRAMMAR_CALLS    /* the text is a list of functions, as `tools` of gemlet_chat_options: a call of one of them, with
                               arguments of its parameters' schema, in the notation of gemlet/chat.h and in the order of their names;
                               no others than those that are declared, where some are */
} gemlet_grammar_kind;

enum {
    GEMLET_GRAMMAR_DEPTH = 24,           /* values within each other, the innermost included */
    GEMLET_GRAMMAR_READINGS = 8,         /* of an ambiguous beginning, how many are followed */
    GEMLET_GRAMMAR_MOST_BYTES = 1 << 16, /* of a schema's or pattern's text */
    GEMLET_GRAMMAR_QUOTE = 0xFF /* the byte that stands for the mark around a call's strings, which is a token of its own */
};

/* A compiled grammar, at the beginning of the memory that it was compiled into.  Read-only: threads may share it. */
typedef struct gemlet_grammar gemlet_grammar;

/* Bytes that the table of this text takes at most; nothing is compiled.  GEMLET_ERROR_FORMAT for a schema that is no JSON,
 * GEMLET_ERROR_UNSUPPORTED for a text of more than GEMLET_GRAMMAR_MOST_BYTES; 0 bytes then. */
gemlet_status gemlet_grammar_bytes(gemlet_grammar_kind kind, const char *text, size_t text_bytes, size_t *bytes,
                                   gemlet_error *error);

/* Compiles into `memory`, aligned to GEMLET_ALIGNMENT, which is the grammar's as long as it is used; the text is not.
 * GEMLET_ERROR_UNSUPPORTED, naming the keyword and its JSON pointer, for what can't be held; GEMLET_ERROR_FORMAT for what is no
 * schema or no pattern, or has no value; GEMLET_ERROR_MEMORY where `bytes` is less than gemlet_grammar_bytes says. */
gemlet_status gemlet_grammar_compile(gemlet_grammar_kind kind, const char *text, size_t text_bytes, void *memory, size_t bytes,
                                     const gemlet_grammar **grammar, gemlet_error *error);

/* ---- Bytes of an answer ---- */

/* Where in a grammar a text is.  It may be copied; the members belong to machine.c. */
typedef struct gemlet_grammar_state {
    uint64_t words[345];
} gemlet_grammar_state;

/* At the beginning. */
void gemlet_grammar_begin(const gemlet_grammar *grammar, gemlet_grammar_state *state);

/* Whether the text may go on with this byte; `*after`, which may be `state`, gets where it is then, and nothing of use if not. */
bool gemlet_grammar_advance(const gemlet_grammar *grammar, const gemlet_grammar_state *state, unsigned char byte,
                            gemlet_grammar_state *after);

/* Whether the text may end here. */
bool gemlet_grammar_is_complete(const gemlet_grammar *grammar, const gemlet_grammar_state *state);

/* ---- Tokens of an answer ---- */

/* A vocabulary in the order of its texts, so that all tokens with a common beginning are judged at once.  The members belong to
 * vocabulary.c. */
typedef struct gemlet_token_order {
    const gemlet_tokenizer *tokenizer;
    uint32_t token_count;       /* of the vocabulary */
    uint32_t count;             /* of tokens that are text */
    uint32_t *tokens;           /* [count] */
    unsigned char *shared;      /* [count], bytes that each has in common with the one before it */
    unsigned char *first_bytes; /* [token_count]; 0 also for tokens that are no text */
    uint64_t *is_text;          /* [token_count] bits */
    uint32_t *begins;           /* [257]: where in `tokens` those begin that have this first byte */
} gemlet_token_order;

size_t gemlet_token_order_bytes(const gemlet_tokenizer *tokenizer);

/* Sorts the vocabulary, once for all grammars: about as much work as decoding a token.  `memory`, aligned to GEMLET_ALIGNMENT, has
 * gemlet_token_order_bytes(tokenizer) bytes and is the order's.  GEMLET_ERROR_UNSUPPORTED for a vocabulary that lacks a single byte
 * as a token, as answers could not always go on; GEMLET_ERROR_MEMORY, GEMLET_ERROR_FORMAT. */
gemlet_status gemlet_token_order_open(gemlet_token_order *order, const gemlet_tokenizer *tokenizer, void *memory, size_t bytes,
                                      gemlet_error *error);

/* An answer under way.  The members belong to constraint.c. */
typedef struct gemlet_constraint {
    const gemlet_grammar *grammar, *calls;
    const gemlet_token_order *order;
    const gemlet_chat_format *format;
    gemlet_grammar_state state; /* in the grammar, or in a call */
    gemlet_grammar_state *path; /* [GEMLET_TOKEN_BYTES], while tokens are judged */
    uint64_t *allowed;          /* [token_count] bits, where is_listed */
    uint64_t first_bytes[4];    /* bits, where is_prepared */
    uint32_t beginning;         /* tokens that have one of these first bytes */
    uint32_t walked, refused;   /* tokens at this place, and those in vain */
    bool is_prepared, is_listed;
    bool may_think, is_thinking, is_begun;
    bool must_call, is_calling, has_called;
} gemlet_constraint;

size_t gemlet_constraint_bytes(const gemlet_tokenizer *tokenizer);

/* Begins an answer that is held to `grammar`; NULL: to none.  With `may_think` the model may think first, in a channel as its
 * family does (gemlet/chat.h); what it thinks is free.  `memory`, aligned to GEMLET_ALIGNMENT, has
 * gemlet_constraint_bytes(tokenizer) bytes; all that is given must outlive the constraint. */
gemlet_status gemlet_constraint_begin(gemlet_constraint *constraint, const gemlet_grammar *grammar, const gemlet_token_order *order,
                                      const gemlet_chat_format *format, bool may_think, void *memory, size_t bytes,
                                      gemlet_error *error);

/* Lets the model call functions instead of an answer that `grammar` holds, or anywhere in one that is free: `calls`
 * (GEMLET_GRAMMAR_CALLS), which must outlive the constraint, holds what stands between the marks of each call.  With `must_call` it
 * is to call before all else, thoughts excepted.  GEMLET_ERROR_UNSUPPORTED for a family that calls none. */
gemlet_status gemlet_constraint_hold_calls(gemlet_constraint *constraint, const gemlet_grammar *calls, bool must_call,
                                           gemlet_error *error);

/* The sampler's filter (`allowed` of gemlet_sampler_settings, the constraint its context).  Tokens that end an answer are allowed
 * where it is complete. */
bool gemlet_constraint_allows(void *constraint, uint32_t token);

/* The sampler's lister (`listed` of gemlet_sampler_settings): what gemlet_constraint_allows would say, where few tokens begin with
 * a byte that may come; else NULL. */
const uint64_t *gemlet_constraint_list(void *constraint);

/* Goes on with a token that was sampled.  GEMLET_ERROR_STATE for one that is not allowed; the constraint is unchanged then. */
gemlet_status gemlet_constraint_accept(gemlet_constraint *constraint, uint32_t token, gemlet_error *error);

/* Whether the answer may end here. */
bool gemlet_constraint_is_complete(const gemlet_constraint *constraint);

#ifdef __cplusplus
}
#endif
#endif
