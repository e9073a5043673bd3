#include "model/pack/merge_ranks.h"

#include <stdlib.h>

#include "model/tokenizer/tables.h"

/* The slot that holds the pair, or the empty one where it would go. */
static uint32_t *find_slot(const merge_ranks *ranks, uint32_t left, uint32_t right) {
    for (size_t i = gemlet_tables_hash(left, right) & ranks->mask;; i = (i + 1) & ranks->mask) {
        uint32_t *slot = &ranks->slots[i];
        if (*slot == 0) {
            return slot;
        }
        const gemlet_ranked_merge *merge = &ranks->vocabulary->merges[*slot - 1];
        if (merge->left == left && merge->right == right) {
            return slot;
        }
    }
}

bool merge_ranks_init(merge_ranks *ranks, const gemlet_vocabulary *vocabulary) {
    size_t size = 16;
    while (size < 2 * vocabulary->merge_count) {
        size *= 2;
    }
    ranks->vocabulary = vocabulary;
    ranks->mask = size - 1;
    ranks->slots = calloc(size, sizeof *ranks->slots);
    for (uint32_t i = 0; i < vocabulary->merge_count && ranks->slots != NULL; i++) {
        *find_slot(ranks, vocabulary->merges[i].left, vocabulary->merges[i].right) = i + 1;
    }
    return ranks->slots != NULL;
}

void merge_ranks_free(merge_ranks *ranks) {
    free(ranks->slots);
    ranks->slots = NULL;
}

uint32_t merge_ranks_find(const merge_ranks *ranks, uint32_t left, uint32_t right) {
    return *find_slot(ranks, left, right) - 1;
}
