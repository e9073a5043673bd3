/* Numbers by their keys: the first failure is remembered, so that a list of reads needs one check. */
#ifndef GEMLET_MODEL_CONTAINER_KEY_READER_H
#define GEMLET_MODEL_CONTAINER_KEY_READER_H

#include "model/container/container.h"

typedef struct gemlet_key_reader {
    gemlet_container *container;
    gemlet_error *error;
    gemlet_status status;
    const char *prefix; /* keys are "PREFIX.SUFFIX" */
    char key[GEMLET_KEY_BYTES];
} gemlet_key_reader;

/* The key with the suffix, until the next call. */
const char *gemlet_key_named(gemlet_key_reader *reader, const char *suffix);

bool gemlet_key_there(gemlet_key_reader *reader, const char *suffix);

/* Element `index` of an array, or the number that stands for all; the lowest allowed, 0 or false after a failure. */
uint32_t gemlet_key_u32(gemlet_key_reader *reader, const char *suffix, uint64_t index, uint32_t low, uint32_t high);
float gemlet_key_f32(gemlet_key_reader *reader, const char *suffix, uint64_t index); /* finite */
float gemlet_key_positive(gemlet_key_reader *reader, const char *suffix, uint64_t index);
bool gemlet_key_bool(gemlet_key_reader *reader, const char *suffix, uint64_t index);

/* Fails: FILE: `text`. */
void gemlet_key_fail(gemlet_key_reader *reader, gemlet_status status, const char *text);

#endif
