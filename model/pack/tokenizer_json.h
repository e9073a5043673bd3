/* Reads tokenizer.json of the Hugging Face package `tokenizers`: byte-pair encoding with ranked merges.  Host code: it allocates.
 * What it must be is what Gemma's are: spaces become U+2581 and nothing else changes, text is not split before merging, characters
 * without a token become bytes; other settings are refused by name. */
#ifndef GEMLET_MODEL_PACK_TOKENIZER_JSON_H
#define GEMLET_MODEL_PACK_TOKENIZER_JSON_H

#include "model/pack/vocabulary.h"

/* `vocabulary` gets pieces and merges, and `*texts` the memory that the pieces' texts are in, which must outlive it and which the
 * caller frees; the vocabulary is freed with gemlet_vocabulary_free; both also after an error.  `path` is for messages.
 * GEMLET_ERROR_FORMAT, GEMLET_ERROR_UNSUPPORTED, GEMLET_ERROR_MEMORY. */
gemlet_status gemlet_tokenizer_json_read(const char *json, size_t bytes, const char *path, gemlet_vocabulary *vocabulary,
                                         void **texts, gemlet_error *error);

#endif
