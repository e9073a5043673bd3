/* A layer's keys and values as a ring: position p lies in slot p % slots, until position p + slots takes its place.
 * tests/proof/wp has what these promise, as contracts. */
#ifndef GEMLET_MODEL_TEXT_RING_H
#define GEMLET_MODEL_TEXT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots of layers that see the last `window` positions (0: all): a ring holds what the first token of a chunk still sees after the
 * chunk's last one was written. */
static inline uint32_t gemlet_ring_slots(uint32_t window, uint32_t chunk, uint32_t context) {
    return window != 0 && window < context && chunk < context - window ? window + chunk : context;
}

static inline size_t gemlet_ring_slot(uint32_t slots, size_t position) {
    return position % slots;
}

/* How many of `end` positions are seen from the last of them. */
static inline size_t gemlet_ring_seen(uint32_t window, size_t end) {
    return window != 0 && end > window ? window : end;
}

/* Positions that follow each other: `count` slots from `first` on, then `wrapped` from the ring's beginning. */
typedef struct gemlet_ring_span {
    size_t first, count, wrapped;
} gemlet_ring_span;

/* Where the last `seen` of `end` positions are; at most `slots` and `end` of them. */
static inline gemlet_ring_span gemlet_ring_last(uint32_t slots, size_t end, size_t seen) {
    size_t first = gemlet_ring_slot(slots, end - seen);
    size_t count = seen < slots - first ? seen : slots - first;
    return (gemlet_ring_span){first, count, seen - count};
}

/* Whether a ring in which `written` positions have been written still has what the position behind the first `length` sees. */
static inline bool gemlet_ring_reaches(uint32_t slots, uint32_t window, size_t written, size_t length) {
    size_t oldest = written > slots ? written - slots : 0;
    size_t needed = window != 0 && length >= window ? length - window + 1 : 0;
    return needed >= oldest;
}

#endif
