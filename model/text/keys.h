/* The keys that a decoder is described by: one table for those who read a file and those who write one. */
#ifndef GEMLET_MODEL_TEXT_KEYS_H
#define GEMLET_MODEL_TEXT_KEYS_H

#include "model/container/key_reader.h"
#include "model/text/config.h"

typedef enum gemlet_text_key_type {
    GEMLET_TEXT_KEY_U32,
    GEMLET_TEXT_KEY_F32,
    GEMLET_TEXT_KEY_POSITIVE, /* F32 above 0 */
    GEMLET_TEXT_KEY_LOCAL     /* bool: the layer is a local one */
} gemlet_text_key_type;

/* Key ARCHITECTURE.suffix. */
typedef struct gemlet_text_key {
    const char *suffix;
    gemlet_text_key_type type;
    gemlet_text_part part; /* what has such a key */
    bool per_layer;        /* an array, one element a layer */
    bool only_written;     /* for other readers: says what another key says */
    size_t place;          /* in gemlet_text_config, or in gemlet_layer_config */
    uint32_t low, high;    /* of U32 */
} gemlet_text_key;

/* In the order in which they are written; the number of layers is the first. */
extern const gemlet_text_key gemlet_text_keys[];
extern const size_t gemlet_text_key_count;

/* Where in a configuration the value of a key is, in bytes; `layer` matters for per-layer ones. */
size_t gemlet_text_key_offset(const gemlet_text_key *key, uint32_t layer);

/* How many elements a key has in a model of `config->layers` layers. */
uint32_t gemlet_text_key_elements(const gemlet_text_key *key, const gemlet_text_config *config);

/* Element `index` of a key of the file, checked against its range; a failure stays in the reader. */
void gemlet_text_read_key(gemlet_key_reader *reader, const gemlet_text_key *key, uint32_t index, gemlet_text_config *config);

/* Reads a packed model's keys; `architecture` is what they begin with.  GEMLET_ERROR_IO, GEMLET_ERROR_FORMAT,
 * GEMLET_ERROR_UNSUPPORTED. */
gemlet_status gemlet_text_read_config(gemlet_container *container, const char *architecture, const gemlet_text_traits *traits,
                                      gemlet_text_config *config, gemlet_error *error);

#endif
