/* From pairs of pieces to their merges, for vocabularies that rank these.  Sorted, as vocabulary_index is. */
#ifndef GEMLET_MODEL_PACK_MERGE_RANKS_H
#define GEMLET_MODEL_PACK_MERGE_RANKS_H

#include "model/pack/vocabulary.h"

typedef struct merge_ranks_entry {
    uint64_t pair;
    uint32_t rank;
} merge_ranks_entry;

typedef struct merge_ranks {
    merge_ranks_entry *entries;
    size_t count;
} merge_ranks;

/* Of all merges of the vocabulary; of several of one pair the last counts.  False where the host has no memory. */
bool merge_ranks_init(merge_ranks *ranks, const gemlet_vocabulary *vocabulary);
void merge_ranks_free(merge_ranks *ranks);

/* The rank of the merge of two rows, or UINT32_MAX. */
uint32_t merge_ranks_find(const merge_ranks *ranks, uint32_t left, uint32_t right);

#endif
