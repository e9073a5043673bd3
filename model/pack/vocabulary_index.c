#include "model/pack/vocabulary_index.h"

#include <stdlib.h>
#include <string.h>

/* A text's first bytes as a number that orders as they do: most comparisons end here. */
static uint64_t beginning_of(const char *text, size_t bytes) {
    uint64_t beginning = 0;
    for (size_t i = 0; i < sizeof beginning; i++) {
        beginning = beginning << 8 | (i < bytes ? (unsigned char)text[i] : 0);
    }
    return beginning;
}

static int compare_texts(const vocabulary_index_entry *entry, uint64_t beginning, const char *text, size_t bytes) {
    if (entry->beginning != beginning) {
        return entry->beginning < beginning ? -1 : 1;
    }
    int order = memcmp(entry->piece->text, text, entry->piece->bytes < bytes ? entry->piece->bytes : bytes);
    return order != 0 ? order : (entry->piece->bytes > bytes) - (entry->piece->bytes < bytes);
}

/* Of equal texts the earlier row is the first. */
static int compare_entries(const void *a, const void *b) {
    const vocabulary_index_entry *one = a, *other = b;
    int order = compare_texts(one, other->beginning, other->piece->text, other->piece->bytes);
    return order != 0 ? order : (one->piece > other->piece) - (one->piece < other->piece);
}

bool vocabulary_index_init(vocabulary_index *index, const gemlet_vocabulary *vocabulary) {
    *index = (vocabulary_index){.vocabulary = vocabulary};
    index->entries = malloc((vocabulary->count + 1) * sizeof *index->entries);
    return index->entries != NULL;
}

void vocabulary_index_free(vocabulary_index *index) {
    free(index->entries);
    *index = (vocabulary_index){0};
}

void vocabulary_index_add(vocabulary_index *index, uint32_t row) {
    const gemlet_piece *piece = &index->vocabulary->pieces[row];
    index->entries[index->count++] = (vocabulary_index_entry){beginning_of(piece->text, piece->bytes), piece};
}

void vocabulary_index_sort(vocabulary_index *index) {
    qsort(index->entries, index->count, sizeof *index->entries, compare_entries);
}

uint32_t vocabulary_index_find(const vocabulary_index *index, const char *text, size_t bytes) {
    uint64_t beginning = beginning_of(text, bytes);
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_texts(&index->entries[middle], beginning, text, bytes) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < index->count && compare_texts(&index->entries[low], beginning, text, bytes) == 0;
    return found ? (uint32_t)(index->entries[low].piece - index->vocabulary->pieces) : UINT32_MAX;
}
