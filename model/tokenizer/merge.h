/* Byte-pair merging of one window of symbols: the inner half of the encoder (model/tokenizer/encode.c). */
#ifndef GEMLET_MODEL_TOKENIZER_MERGE_H
#define GEMLET_MODEL_TOKENIZER_MERGE_H

#include <gemlet/tokenizer.h>

/* A symbol of the window is the id of a symbol of the tables, or one that never merges: a user-defined or special token, or a
 * character that occurs in no piece. */
#define ENCODER_FROZEN_TOKEN 0x40000000u
#define ENCODER_RAW_CHARACTER 0x80000000u

/* A symbol after merging, and how many symbols of the window it covers. */
typedef struct gemlet_encoder_token {
    uint32_t symbol;
    uint32_t span;
} gemlet_encoder_token;

/* Merges encoder->symbols[first .. first + count), count <= capacity, until no two neighbours make a piece.  The result is the list
 * ids[0], ids[next[0]], ... that ends at `count`; the symbol at i covers next[i] - i symbols. */
gemlet_status gemlet_encoder_merge(gemlet_encoder *encoder, size_t first, size_t count, gemlet_error *error);

#endif
