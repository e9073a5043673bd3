/* What every kernel test shares: reproducible random numbers, buffers with guard bytes, and the list of levels that this CPU runs.
 * A kernel test runs each compiled level against the scalar definition on random shapes and extremes. */
#ifndef GEMLET_TESTS_KERNELS_KERNEL_TEST_H
#define GEMLET_TESTS_KERNELS_KERNEL_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels.h"

/* xorshift64*; the same seed gives the same test everywhere. */
typedef struct test_random {
    uint64_t state;
} test_random;

uint64_t random_next(test_random *r);
size_t random_range(test_random *r, size_t low, size_t high); /* both ends included */
float random_float(test_random *r, float low, float high);
float random_normal(test_random *r);
float signalling_nan(void);
void random_bytes(test_random *r, void *out, size_t bytes);

/* A heap buffer of exactly `bytes` bytes at `offset` past a 64-byte boundary, between guard bytes; the contents are poisoned.
 * guarded_free checks the guards and fails the test where one was written.  Under the address sanitizer they can't be read either.
 */
void *guarded_alloc(size_t bytes, size_t offset);
void guarded_check(const void *buffer);
void guarded_free(void *buffer);

/* The highest level that the build and this CPU have, from the posix port. */
gemlet_level test_highest_level(void);

#endif
