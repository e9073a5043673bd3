#include "core/carver.h"

#include <stdint.h>

#include "core/checked.h"
#include <gemlet/arena.h>

size_t gemlet_aligned(size_t bytes) {
    const size_t most = GEMLET_ALIGNMENT - 1;
    return bytes > SIZE_MAX - most ? SIZE_MAX : (bytes + most) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
}

void *gemlet_carve(gemlet_carver *carver, size_t count, size_t bytes) {
    void *out = carver->memory != NULL ? carver->memory + carver->used : NULL;
    uint64_t used = gemlet_plus(carver->used, gemlet_times(count, bytes));
    carver->used = gemlet_aligned(used < SIZE_MAX ? (size_t)used : SIZE_MAX);
    return out;
}

gemlet_status gemlet_check_memory(const char *what, const void *memory, size_t bytes, size_t needed, gemlet_error *error) {
    if (memory == NULL || (uintptr_t)memory % GEMLET_ALIGNMENT != 0) {
        gemlet_fail(error, GEMLET_ERROR_ALIGNMENT, what);
        gemlet_error_text(error, ": expected memory at a multiple of 64");
        return GEMLET_ERROR_ALIGNMENT;
    }
    if (bytes < needed) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, what);
        gemlet_error_text(error, ": expected ");
        gemlet_error_number(error, needed);
        gemlet_error_text(error, " bytes of memory, found ");
        gemlet_error_number(error, bytes);
        return GEMLET_ERROR_MEMORY;
    }
    return GEMLET_OK;
}
