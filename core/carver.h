/* Arrays cut off a piece of memory, each at a multiple of GEMLET_ALIGNMENT.  Without memory a carver only counts, so that the code
 * that takes the arrays also answers how many bytes it needs: then the arrays are NULL.  Where no size_t counts them, that is
 * SIZE_MAX. */
#ifndef GEMLET_CORE_CARVER_H
#define GEMLET_CORE_CARVER_H

#include <stddef.h>

#include <gemlet/status.h>

typedef struct gemlet_carver {
    unsigned char *memory;
    size_t used;
} gemlet_carver;

void *gemlet_carve(gemlet_carver *carver, size_t count, size_t bytes);

/* Whether a caller's memory is aligned to GEMLET_ALIGNMENT (else GEMLET_ERROR_ALIGNMENT) and has the `needed` bytes (else
 * GEMLET_ERROR_MEMORY, which says how many); `what` it is for. */
gemlet_status gemlet_check_memory(const char *what, const void *memory, size_t bytes, size_t needed, gemlet_error *error);

/* `bytes` rounded up to a multiple of GEMLET_ALIGNMENT; SIZE_MAX where there is none. */
size_t gemlet_aligned(size_t bytes);

static inline size_t gemlet_larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static inline size_t gemlet_smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

#endif
