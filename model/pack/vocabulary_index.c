#include "model/pack/vocabulary_index.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text, size_t bytes) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    }
    return hash ^ hash >> 29;
}

/* The slot that holds the text, or the empty one where it would go. */
static uint32_t *find_slot(const vocabulary_index *index, const char *text, size_t bytes) {
    for (size_t i = hash_text(text, bytes) & index->mask;; i = (i + 1) & index->mask) {
        uint32_t *slot = &index->slots[i];
        if (*slot == 0) {
            return slot;
        }
        const gemlet_piece *piece = &index->vocabulary->pieces[*slot - 1];
        if (piece->bytes == bytes && memcmp(piece->text, text, bytes) == 0) {
            return slot;
        }
    }
}

bool vocabulary_index_init(vocabulary_index *index, const gemlet_vocabulary *vocabulary) {
    size_t size = 16;
    while (size < 2 * vocabulary->count) {
        size *= 2;
    }
    index->vocabulary = vocabulary;
    index->mask = size - 1;
    index->slots = calloc(size, sizeof *index->slots);
    return index->slots != NULL;
}

void vocabulary_index_free(vocabulary_index *index) {
    free(index->slots);
    index->slots = NULL;
}

void vocabulary_index_add(vocabulary_index *index, uint32_t row) {
    const gemlet_piece *piece = &index->vocabulary->pieces[row];
    uint32_t *slot = find_slot(index, piece->text, piece->bytes);
    if (*slot == 0) {
        *slot = row + 1;
    }
}

uint32_t vocabulary_index_find(const vocabulary_index *index, const char *text, size_t bytes) {
    return *find_slot(index, text, bytes) - 1;
}
