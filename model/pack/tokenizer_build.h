/* Builds the tokenizer's tables (model/tokenizer/tables.h) from a vocabulary.  Host code: it allocates.
 *
 * How gemlet-pack makes the vocabulary:
 * - from GGUF: `gemlet_vocabulary_init(count)`, then for each row one gemlet_vocabulary_set with the text of
 *   tokenizer.ggml.tokens, tokenizer.ggml.scores and tokenizer.ggml.token_type (the types have the same numbers here); where
 *   tokenizer.ggml.model is "gemma4" the scores mean nothing, and tokenizer.ggml.merges are added instead.
 * - from a folder: gemlet_sentencepiece_read (model/pack/sentencepiece_model.h) on tokenizer.model, then for each entry of
 *   tokenizer_config.json's "added_tokens_decoder" gemlet_vocabulary_add, then gemlet_vocabulary_grow to the model's vocab_size;
 *   or, where there is no tokenizer.model, gemlet_tokenizer_json_read (model/pack/tokenizer_json.h).
 * Then gemlet_tokenizer_build.  Both ways give the same bytes for the same model, although llama.cpp's converter changes rows; so:
 * - ids without a piece (it writes unused "[PAD17]") become unused rows without text;
 * - user-defined pieces may hold spaces for U+2581;
 * - special are all control and unknown pieces, and of the others those with a name that gemlet knows (<start_of_turn>, <mask>,
 *   ...), "<unused...>", or the shape of Gemma 4's marks, "<|...>" and "<...|>"; a source may call these control, user-defined or
 *   normal.
 * Where scores say what is merged first (SentencePiece), a normal piece with a line feed is user-defined (it trains on lines, so
 * that it can be nothing else), special tokens are matched in the text whatever their type, and scores count for normal and unused
 * pieces only.  Where merges are ranked, the source's types say what is matched: control, unknown and user-defined pieces. */
#ifndef GEMLET_MODEL_PACK_TOKENIZER_BUILD_H
#define GEMLET_MODEL_PACK_TOKENIZER_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "model/pack/vocabulary.h"

/* `*tables` gets `*bytes` bytes, aligned to 64, which the caller gives back with free().  GEMLET_ERROR_UNSUPPORTED where a byte
 * piece is missing or a special token is too long. */
gemlet_status gemlet_tokenizer_build(const gemlet_vocabulary *vocabulary, void **tables, size_t *bytes, gemlet_error *error);

#endif
