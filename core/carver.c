#include "core/carver.h"

#include <gemlet/arena.h>

size_t gemlet_aligned(size_t bytes) {
    return (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
}

void *gemlet_carve(gemlet_carver *carver, size_t count, size_t bytes) {
    void *out = carver->memory != NULL ? carver->memory + carver->used : NULL;
    carver->used = gemlet_aligned(carver->used + count * bytes);
    return out;
}
