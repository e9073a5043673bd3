/* Made-up numbers for models of real size. */
#ifndef GEMLET_TESTS_BENCH_MADE_UP_H
#define GEMLET_TESTS_BENCH_MADE_UP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/carver.h"
#include <gemlet/arena.h>

static void *get(size_t bytes) {
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, gemlet_aligned(bytes));
    if (memory == NULL) {
        perror("memory");
        exit(1);
    }
    return memory;
}

static uint32_t seed = 1;

static uint32_t next(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 16;
}

static float *reals(size_t count, float center, float spread) {
    float *x = get(count * sizeof *x);
    for (size_t i = 0; i < count; i++) {
        x[i] = center + spread * ((float)next() / 32768.0f - 1.0f);
    }
    return x;
}

#endif
