/* Kernel benches.  A case is set up once and run a number of times; tests/bench/kernels.sh runs the program under the counting
 * plugin with two numbers of runs and divides the difference of the instructions by the work, so that setting up cancels out. */
#ifndef GEMLET_TESTS_BENCH_BENCH_H
#define GEMLET_TESTS_BENCH_BENCH_H

#include <stddef.h>

#include "core/kernels.h"

typedef struct bench_case {
    const char *name; /* "q4_0 x 1", unique */
    const char *unit; /* what `work` counts: "multiply-add" or "element" */
    double work;      /* units that one run does */
    /* Everything that a run needs, allocated with bench_alloc and never freed: the program ends after one case. */
    void *(*setup)(const struct bench_case *self, const gemlet_kernels *kernels);
    void (*run)(void *data);
    size_t arguments[4]; /* for setup: shapes, types */
} bench_case;

/* The table of each family, ended by a case without a name. */
extern const bench_case bench_row_scaled_cases[];
extern const bench_case bench_matrix_cases[];
extern const bench_case bench_conv_cases[];
extern const bench_case bench_real_cases[];

/* 64-byte aligned memory filled with small pseudo-random bytes that are valid as int8 and as small float16 / float32 numbers. */
void *bench_alloc(size_t bytes);
void bench_fill_floats(float *x, size_t count);

#endif
