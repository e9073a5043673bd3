/* Builds the tokenizer's tables (model/tokenizer/tables.h) from a vocabulary.  Host code: it allocates.
 *
 * How gemlet-pack makes the vocabulary:
 * - from GGUF: `gemlet_vocabulary_init(count)`, then for each row one gemlet_vocabulary_set with the text of
 *   tokenizer.ggml.tokens, tokenizer.ggml.scores and tokenizer.ggml.token_type (the types have the same numbers here).  Refuse the
 *   file unless tokenizer.ggml.model is "llama" and tokenizer.ggml.add_space_prefix is false.
 * - from a folder: gemlet_sentencepiece_read (model/pack/sentencepiece_model.h) on tokenizer.model, then for each entry of
 *   tokenizer_config.json's "added_tokens_decoder" gemlet_vocabulary_add, then gemlet_vocabulary_grow to the model's vocab_size.
 * Then gemlet_tokenizer_build.  Both ways give the same bytes for the same model, although llama.cpp's converter changes rows; so:
 * - ids without a piece (it writes unused "[PAD17]") become unused rows without text;
 * - user-defined pieces may hold spaces for U+2581;
 * - a normal piece with a line feed is user-defined (SentencePiece trains on lines, so that it can be nothing else);
 * - special are all control and unknown pieces, and of the others those with a name that gemlet knows (<start_of_turn>, <mask>,
 * ...) or "<unused...>"; a source may call these control, user-defined or normal;
 * - scores count for normal and unused pieces only. */
#ifndef GEMLET_MODEL_PACK_TOKENIZER_BUILD_H
#define GEMLET_MODEL_PACK_TOKENIZER_BUILD_H

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

typedef struct gemlet_vocabulary {
    size_t count;
    gemlet_piece *pieces; /* owned */
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

/* `*tables` gets `*bytes` bytes, aligned to 64, which the caller gives back with free().  GEMLET_ERROR_UNSUPPORTED where a byte
 * piece is missing or a special token is too long. */
gemlet_status gemlet_tokenizer_build(const gemlet_vocabulary *vocabulary, void **tables, size_t *bytes, gemlet_error *error);

#endif
