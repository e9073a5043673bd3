/* A hash table from the texts of a vocabulary's pieces to their rows, for building the tokenizer's tables. */
#ifndef GEMLET_MODEL_PACK_VOCABULARY_INDEX_H
#define GEMLET_MODEL_PACK_VOCABULARY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/pack/vocabulary.h"

typedef struct vocabulary_index {
    const gemlet_vocabulary *vocabulary;
    uint32_t *slots; /* row + 1, or 0 */
    size_t mask;
} vocabulary_index;

/* An empty index with room for every row; false where the host has no memory. */
bool vocabulary_index_init(vocabulary_index *index, const gemlet_vocabulary *vocabulary);
void vocabulary_index_free(vocabulary_index *index);

/* Adds a row; where its text is there already, the earlier row stays. */
void vocabulary_index_add(vocabulary_index *index, uint32_t row);

/* The row with this text, or UINT32_MAX. */
uint32_t vocabulary_index_find(const vocabulary_index *index, const char *text, size_t bytes);

#endif
