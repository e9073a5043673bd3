/* Values that may be anything, for Frama-C's Eva. */
#ifndef GEMLET_TESTS_PROOF_EVA_ANY_H
#define GEMLET_TESTS_PROOF_EVA_ANY_H

#include <__fc_builtin.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void any_bytes(void *out, size_t length) {
    if (length > 0) {
        Frama_C_make_unknown(out, length);
    }
}

static inline size_t any_size(size_t least, size_t most) {
    return Frama_C_size_t_interval(least, most);
}

static inline uint64_t any_number(void) {
    return Frama_C_unsigned_long_interval(0, UINT64_MAX);
}

static inline bool any_bool(void) {
    return Frama_C_interval(0, 1) == 1;
}

#endif
