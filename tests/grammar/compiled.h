/* A grammar in just as much memory as it asks for, which was full of something else and lies between guards. */
#ifndef GEMLET_TESTS_GRAMMAR_COMPILED_H
#define GEMLET_TESTS_GRAMMAR_COMPILED_H

#include <gemlet/grammar.h>

typedef struct compiled {
    const gemlet_grammar *grammar; /* NULL where it was refused */
    unsigned char *memory;         /* the caller's to guarded_free */
    gemlet_error error;
} compiled;

/* `fill` is what the memory is full of; fails the test where a guard is written. */
gemlet_status compile_bytes(compiled *c, gemlet_grammar_kind kind, const char *text, size_t length, int fill);

/* Of a text that ends with a NUL; NULL is none. */
gemlet_status compile_text(compiled *c, gemlet_grammar_kind kind, const char *text);

/* Fails the test where that is refused. */
void compile_good(compiled *c, gemlet_grammar_kind kind, const char *text);

/* Whether an answer at `*state` may go on with these bytes; goes on as far as it may. */
bool advance_bytes(const gemlet_grammar *grammar, gemlet_grammar_state *state, const void *text, size_t bytes);

/* Whether these bytes are a whole answer. */
bool matches_bytes(const gemlet_grammar *grammar, const void *text, size_t bytes);
bool matches(const gemlet_grammar *grammar, const char *text);

/* Fails the test where one of `good` is not allowed, or one of `bad` is; each list ends with NULL. */
void allows_only(gemlet_grammar_kind kind, const char *text, const char *const *good, const char *const *bad);

#endif
