/* Reads SentencePiece's model file (tokenizer.model), a serialised protobuf message: github.com/google/sentencepiece,
 * src/sentencepiece_model.proto, message ModelProto.  Host code: it allocates. */
#ifndef GEMLET_MODEL_PACK_SENTENCEPIECE_MODEL_H
#define GEMLET_MODEL_PACK_SENTENCEPIECE_MODEL_H

#include "model/pack/tokenizer_build.h"

/* `vocabulary` gets the pieces; their texts point into `data`, which must outlive it.  The caller frees it with
 * gemlet_vocabulary_free, also after an error.  GEMLET_ERROR_FORMAT where the bytes are no such message; GEMLET_ERROR_UNSUPPORTED
 * where the model is not BPE or normalises text otherwise than the tokenizer does (a character map, a dummy prefix, removal of
 * spaces). */
gemlet_status gemlet_sentencepiece_read(const void *data, size_t bytes, gemlet_vocabulary *vocabulary, gemlet_error *error);

#endif
