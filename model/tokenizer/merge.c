#include "model/tokenizer/merge.h"

#include "model/tokenizer/tables.h"

#define NO_MERGE UINT32_MAX
#define NOT_IN_HEAP UINT16_MAX

static uint32_t find_merge(const gemlet_tokenizer *t, uint32_t left, uint32_t right) {
    if ((left | right) >= ENCODER_FROZEN_TOKEN) {
        return NO_MERGE;
    }
    uint64_t hash = gemlet_tables_hash(left, right);
    uint32_t fingerprint = (uint32_t)(hash >> 56);
    for (uint32_t probe = 0; probe < GEMLET_TABLES_MAX_PROBES; probe++) {
        uint32_t slot = t->slots[((uint32_t)hash + probe) & t->slot_mask];
        if (slot == 0) {
            return NO_MERGE;
        }
        uint32_t merge = (slot & 0xFFFFFF) - 1;
        if (slot >> 24 == fingerprint && merge < t->merge_count && t->merges[merge].left == left &&
            t->merges[merge].right == right) {
            return merge;
        }
    }
    return NO_MERGE;
}

/* The heap holds the left symbols of all pairs that may merge, the best pair on top. */
static bool is_better(const gemlet_encoder *e, uint16_t a, uint16_t b) {
    return e->ranks[a] != e->ranks[b] ? e->ranks[a] < e->ranks[b] : a < b;
}

static void heap_put(gemlet_encoder *e, size_t place, uint16_t symbol) {
    e->heap[place] = symbol;
    e->places[symbol] = (uint16_t)place;
}

static void heap_up(gemlet_encoder *e, size_t place) {
    uint16_t symbol = e->heap[place];
    while (place > 0 && is_better(e, symbol, e->heap[(place - 1) / 2])) {
        heap_put(e, place, e->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(e, place, symbol);
}

static void heap_down(gemlet_encoder *e, size_t place) {
    uint16_t symbol = e->heap[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= e->heap_count) {
            break;
        }
        if (child + 1 < e->heap_count && is_better(e, e->heap[child + 1], e->heap[child])) {
            child++;
        }
        if (!is_better(e, e->heap[child], symbol)) {
            break;
        }
        heap_put(e, place, e->heap[child]);
        place = child;
    }
    heap_put(e, place, symbol);
}

static void heap_remove(gemlet_encoder *e, size_t symbol) {
    size_t place = e->places[symbol];
    e->places[symbol] = NOT_IN_HEAP;
    uint16_t last = e->heap[--e->heap_count];
    if (last != symbol) {
        heap_put(e, place, last);
        heap_up(e, place);
        heap_down(e, e->places[last]);
    }
}

/* Looks up what the symbol at `i` and its right neighbour make, and puts the pair where it belongs in the heap. */
static void update_pair(gemlet_encoder *e, size_t i, size_t count) {
    size_t right = e->next[i];
    uint32_t merge = right < count ? find_merge(e->tokenizer, e->ids[i], e->ids[right]) : NO_MERGE;
    if (merge == NO_MERGE) {
        if (e->places[i] != NOT_IN_HEAP) {
            heap_remove(e, i);
        }
        return;
    }
    e->merges[i] = merge;
    e->ranks[i] = e->tokenizer->merges[merge].rank;
    if (e->places[i] == NOT_IN_HEAP) {
        heap_put(e, e->heap_count++, (uint16_t)i);
    }
    heap_up(e, e->places[i]);
    heap_down(e, e->places[i]);
}

gemlet_status gemlet_encoder_merge(gemlet_encoder *e, size_t first, size_t count, gemlet_error *error) {
    e->heap_count = 0;
    for (size_t i = 0; i < count; i++) {
        e->ids[i] = e->symbols[first + i];
        e->next[i] = (uint16_t)(i + 1);
        e->previous[i] = (uint16_t)(i - 1);
        e->places[i] = NOT_IN_HEAP;
    }
    for (size_t i = 0; i < count; i++) {
        update_pair(e, i, count);
    }
    while (e->heap_count > 0) {
        size_t left = e->heap[0];
        size_t right = e->next[left];
        uint32_t result = e->tokenizer->merges[e->merges[left]].result;
        if (result >= e->tokenizer->token_count) {
            return gemlet_fail(error, GEMLET_ERROR_FORMAT, "tokenizer tables: a merge makes no token");
        }
        if (e->places[right] != NOT_IN_HEAP) {
            heap_remove(e, right);
        }
        e->ids[left] = result;
        e->next[left] = e->next[right];
        if (e->next[left] < count) {
            e->previous[e->next[left]] = (uint16_t)left;
        }
        update_pair(e, left, count);
        if (left > 0) {
            update_pair(e, e->previous[left], count);
        }
    }
    return GEMLET_OK;
}
