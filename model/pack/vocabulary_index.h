/* From the texts of a vocabulary's pieces to their rows, for building the tokenizer's tables.  Sorted, not hashed: texts are a
 * stranger's, who could choose them to hash alike. */
#ifndef GEMLET_MODEL_PACK_VOCABULARY_INDEX_H
#define GEMLET_MODEL_PACK_VOCABULARY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/pack/vocabulary.h"

typedef struct vocabulary_index_entry {
    uint64_t beginning; /* of the text */
    const gemlet_piece *piece;
} vocabulary_index_entry;

typedef struct vocabulary_index {
    const gemlet_vocabulary *vocabulary;
    vocabulary_index_entry *entries;
    size_t count;
} vocabulary_index;

/* An empty index with room for every row, whose vocabulary must not move; false where the host has no memory. */
bool vocabulary_index_init(vocabulary_index *index, const gemlet_vocabulary *vocabulary);
void vocabulary_index_free(vocabulary_index *index);

/* Adds a row, each at most once.  Nothing is found before all that were added have been sorted. */
void vocabulary_index_add(vocabulary_index *index, uint32_t row);
void vocabulary_index_sort(vocabulary_index *index);

/* The first row with this text, or UINT32_MAX. */
uint32_t vocabulary_index_find(const vocabulary_index *index, const char *text, size_t bytes);

#endif
