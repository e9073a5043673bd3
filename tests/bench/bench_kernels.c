/* bench_kernels list              : a line "case<TAB>work<TAB>unit" for each case
 * bench_kernels LEVEL CASE RUNS   : sets the case up at a level and runs it; prints nothing: what is counted is counted from
 * outside */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

enum { FAMILIES = 4 };

static const bench_case *const families[FAMILIES] = {bench_matrix_cases, bench_row_scaled_cases, bench_conv_cases,
                                                     bench_real_cases};

void *bench_alloc(size_t bytes) {
    size_t rounded = (bytes + 63) / 64 * 64;
    uint8_t *memory = aligned_alloc(64, rounded);
    if (memory == NULL) {
        fputs("bench_kernels: out of memory\n", stderr);
        exit(1);
    }
    uint32_t random = 12345;
    for (size_t i = 0; i < rounded; i++) {
        random = random * 1664525u + 1013904223u;
        memory[i] = (uint8_t)(random >> 24 & 0x3F);
    }
    return memory;
}

void bench_fill_floats(float *x, size_t count) {
    uint32_t random = 54321;
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)random * 0x1p-30f;
    }
}

static int list_cases(void) {
    for (size_t f = 0; f < FAMILIES; f++) {
        for (const bench_case *c = families[f]; c->name != NULL; c++) {
            printf("%s\t%.0f\t%s\n", c->name, c->work, c->unit);
        }
    }
    return 0;
}

static const bench_case *find_case(const char *name) {
    for (size_t f = 0; f < FAMILIES; f++) {
        for (const bench_case *c = families[f]; c->name != NULL; c++) {
            if (strcmp(c->name, name) == 0) {
                return c;
            }
        }
    }
    return NULL;
}

static int find_level(const char *name) {
    for (int level = GEMLET_LEVEL_SCALAR; level <= GEMLET_LEVEL_I8MM; level++) {
        if (strcmp(gemlet_level_name((gemlet_level)level), name) == 0) {
            return level;
        }
    }
    return -1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        return list_cases();
    }
    const bench_case *c = argc == 4 ? find_case(argv[2]) : NULL;
    int level = argc == 4 ? find_level(argv[1]) : -1;
    if (c == NULL || level < 0) {
        fputs("usage: bench_kernels list | bench_kernels scalar|neon|dotprod|i8mm CASE RUNS\n", stderr);
        return 2;
    }
    gemlet_kernels kernels = gemlet_kernels_for((gemlet_level)level);
    void *data = c->setup(c, &kernels);
    for (long run = strtol(argv[3], NULL, 10); run > 0; run--) {
        c->run(data);
    }
    return 0;
}
