/* A hash table from pairs of pieces to their merges, for vocabularies that rank these. */
#ifndef GEMLET_MODEL_PACK_MERGE_RANKS_H
#define GEMLET_MODEL_PACK_MERGE_RANKS_H

#include "model/pack/vocabulary.h"

typedef struct merge_ranks {
    const gemlet_vocabulary *vocabulary;
    uint32_t *slots; /* rank + 1, or 0 */
    size_t mask;
} merge_ranks;

/* Of all merges of the vocabulary; of several of one pair the last counts.  False where the host has no memory. */
bool merge_ranks_init(merge_ranks *ranks, const gemlet_vocabulary *vocabulary);
void merge_ranks_free(merge_ranks *ranks);

/* The rank of the merge of two rows, or UINT32_MAX. */
uint32_t merge_ranks_find(const merge_ranks *ranks, uint32_t left, uint32_t right);

#endif
