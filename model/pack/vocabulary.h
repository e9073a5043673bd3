/* A vocabulary on its way from a source to the tokenizer's tables.  Host code: it allocates. */
#ifndef GEMLET_MODEL_PACK_VOCABULARY_H
#define GEMLET_MODEL_PACK_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/status.h>

typedef enum gemlet_piece_type {
    GEMLET_PIECE_NONE = 0, /* a row without a piece */
    GEMLET_PIECE_NORMAL = 1,
    GEMLET_PIECE_UNKNOWN = 2,
    GEMLET_PIECE_CONTROL = 3,
    GEMLET_PIECE_USER_DEFINED = 4,
    GEMLET_PIECE_UNUSED = 5,
    GEMLET_PIECE_BYTE = 6 /* the text is "<0x00>" to "<0xFF>" */
} gemlet_piece_type;

typedef struct gemlet_piece {
    const char *text; /* not owned; must outlive the build; U+2581 for a space */
    size_t bytes;
    float score;
    gemlet_piece_type type;
} gemlet_piece;

/* Two neighbouring pieces that become a third: rows. */
typedef struct gemlet_ranked_merge {
    uint32_t left, right, result;
} gemlet_ranked_merge;

typedef struct gemlet_vocabulary {
    size_t count;
    gemlet_piece *pieces; /* owned */
    bool ranked;          /* the order of `merges` says what is merged first, the best one being 0; else the pieces' scores do */
    gemlet_ranked_merge *merges; /* owned */
    size_t merge_count, merge_capacity;
} gemlet_vocabulary;

/* `count` rows without a piece.  GEMLET_ERROR_MEMORY where the host has none. */
gemlet_status gemlet_vocabulary_init(gemlet_vocabulary *vocabulary, size_t count, gemlet_error *error);
void gemlet_vocabulary_free(gemlet_vocabulary *vocabulary);

/* Sets one row.  GEMLET_ERROR_FORMAT, naming the row, for a type outside 1 to 6, a score that is no number, a text that is too
 * long, empty or no valid UTF-8. */
gemlet_status gemlet_vocabulary_set(gemlet_vocabulary *vocabulary, size_t row, const char *text, size_t bytes, float score,
                                    int type, gemlet_error *error);

/* Rows without a piece up to `count`, where there are fewer. */
gemlet_status gemlet_vocabulary_grow(gemlet_vocabulary *vocabulary, size_t count, gemlet_error *error);

/* A token that the tokenizer's configuration adds: a new row (growing as needed) or another type for the row that has this text.
 * GEMLET_ERROR_FORMAT where the row holds another text. */
gemlet_status gemlet_vocabulary_add(gemlet_vocabulary *vocabulary, size_t row, const char *text, size_t bytes, int special,
                                    gemlet_error *error);

/* Messages of those who make tables of one: that the host has no memory, or what is wrong with a row.  Both answer the status. */
static inline gemlet_status gemlet_vocabulary_no_memory(gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_MEMORY, "tokenizer: the host has no memory left");
    return GEMLET_ERROR_MEMORY;
}
gemlet_status gemlet_vocabulary_fail_row(gemlet_error *error, gemlet_status status, size_t row, const char *what);

struct vocabulary_index;

/* Adds the merge that is behind those added before, of the pieces with these texts; `texts` is an index of all pieces.
 * GEMLET_ERROR_FORMAT, naming the merge by its number, where one of the two or what they make is no piece;
 * GEMLET_ERROR_UNSUPPORTED where one of them is a byte. */
gemlet_status gemlet_vocabulary_add_merge(gemlet_vocabulary *vocabulary, const struct vocabulary_index *texts, const char *left,
                                          size_t left_bytes, const char *right, size_t right_bytes, gemlet_error *error);

#endif
