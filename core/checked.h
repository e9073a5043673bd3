/* Products and sums of sizes that do not wrap: one that has no room in 64 bits is UINT64_MAX, which neither files nor memory have,
 * and stays that when more is added.  tests/proof/wp has what they promise, as contracts. */
#ifndef GEMLET_CORE_CHECKED_H
#define GEMLET_CORE_CHECKED_H

#include <stdint.h>

/* Products of two bytes whose sum an int32 has room for, whatever the bytes are. */
enum { GEMLET_LONGEST_SUM = INT32_MAX / (128 * 128) };

static inline uint64_t gemlet_times(uint64_t a, uint64_t b) {
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static inline uint64_t gemlet_plus(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
