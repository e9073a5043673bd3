/* A growing list of token ids, and what becomes one: text, a file. */
#ifndef GEMLET_EXAMPLES_GEMLET_TOKENS_H
#define GEMLET_EXAMPLES_GEMLET_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/tokenizer.h>

typedef struct token_list {
    uint32_t *ids;
    size_t count;
    size_t capacity;
    size_t most; /* that it may have; 0: any number */
} token_list;

void tokens_free(token_list *list);

/* A gemlet_token_sink: `list` is the token_list.  GEMLET_ERROR_CONTEXT for more than it may have. */
gemlet_status tokens_append(void *list, const uint32_t *ids, size_t count);

/* Special tokens in the text are text like other text. */
gemlet_status tokens_append_text(token_list *list, const gemlet_tokenizer *tokenizer, const char *text, size_t bytes,
                                 gemlet_error *error);

/* The special token `which`; nothing where the vocabulary has none. */
gemlet_status tokens_append_special(token_list *list, const gemlet_tokenizer *tokenizer, gemlet_special which);

/* Reads ids in text, separated by white space. */
gemlet_status tokens_read(token_list *list, const char *path, gemlet_error *error);

/* A whole file ("-": standard input) of UTF-8, NUL-terminated, for the caller to free; a byte order mark at its beginning is left
 * out.  NULL and a message where it can't be read or is no text: of UTF-16, or with a zero byte, at which text would end. */
char *read_text(const char *path, size_t *bytes, gemlet_error *error);

/* Takes a byte order mark at the beginning of a NUL-terminated text away; answers how many bytes are left. */
size_t text_skip_mark(char *text, size_t bytes);

/* What is wrong with bytes that should be text, or NULL. */
const char *text_problem(const char *text, size_t bytes);

#endif
