#include "model/pack/merge_ranks.h"

#include <stdlib.h>

static uint64_t pair_of(uint32_t left, uint32_t right) {
    return (uint64_t)left << 32 | right;
}

/* Of the merges of one pair the last is the first. */
static int compare_entries(const void *a, const void *b) {
    const merge_ranks_entry *one = a, *other = b;
    if (one->pair != other->pair) {
        return one->pair < other->pair ? -1 : 1;
    }
    return (one->rank < other->rank) - (one->rank > other->rank);
}

bool merge_ranks_init(merge_ranks *ranks, const gemlet_vocabulary *vocabulary) {
    ranks->count = vocabulary->merge_count;
    ranks->entries = malloc((ranks->count + 1) * sizeof *ranks->entries);
    if (ranks->entries == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        ranks->entries[i] = (merge_ranks_entry){pair_of(vocabulary->merges[i].left, vocabulary->merges[i].right), i};
    }
    qsort(ranks->entries, ranks->count, sizeof *ranks->entries, compare_entries);
    return true;
}

void merge_ranks_free(merge_ranks *ranks) {
    free(ranks->entries);
    ranks->entries = NULL;
}

uint32_t merge_ranks_find(const merge_ranks *ranks, uint32_t left, uint32_t right) {
    uint64_t pair = pair_of(left, right);
    size_t low = 0, high = ranks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranks->entries[middle].pair < pair) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ranks->count && ranks->entries[low].pair == pair ? ranks->entries[low].rank : UINT32_MAX;
}
