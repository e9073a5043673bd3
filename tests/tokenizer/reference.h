/* What the tokenizer's tests share: vocabularies from files, the encoder with its ids in an array, and the reference lines that
 * make_reference.py writes. */
#ifndef GEMLET_TESTS_TOKENIZER_REFERENCE_H
#define GEMLET_TESTS_TOKENIZER_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/tokenizer.h>

/* A whole file on the heap, or NULL with a message on stderr. */
unsigned char *read_file(const char *path, size_t *bytes);

/* Tables on the heap and an open tokenizer on them. */
typedef struct test_tokenizer {
    gemlet_tokenizer tokenizer;
    void *tables;
    size_t bytes;
} test_tokenizer;

/* From tokenizer.model; `added` (or NULL) is a file of lines "id text" with special tokens, `rows` the least number of rows. */
bool test_tokenizer_load(test_tokenizer *out, const char *model, const char *added, size_t rows);
/* From what a GGUF file holds: for each row int32 type, float32 score, uint32 bytes, text. */
bool test_tokenizer_load_rows(test_tokenizer *out, const char *path);
void test_tokenizer_free(test_tokenizer *t);

typedef struct id_list {
    uint32_t *ids;
    size_t count;
    size_t capacity;
} id_list;

/* The sink of an id_list. */
gemlet_status id_list_append(void *context, const uint32_t *ids, size_t count);

/* Encodes a whole text after clearing the list; `feed` is the size of the pieces that it is fed in, 0 for one piece. */
gemlet_status encode_text(const gemlet_tokenizer *tokenizer, gemlet_text_mode mode, void *scratch, size_t scratch_bytes,
                          const void *text, size_t bytes, size_t feed, id_list *out, gemlet_error *error);

uint32_t hash_ids(const uint32_t *ids, size_t count);

typedef struct reference_line {
    const unsigned char *text;
    size_t bytes;
    uint32_t count[2]; /* by gemlet_text_mode */
    uint32_t hash[2];
} reference_line;

/* Walks a reference file: `*at` starts at 0; false at its end. */
bool reference_next(const unsigned char *file, size_t bytes, size_t *at, reference_line *line);

#endif
