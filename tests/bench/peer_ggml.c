/* ggml's kernels for the same products, run like bench_kernels so that they are counted in the same way:
 *     peer_ggml list        : a line "case<TAB>multiply-adds" for each
 *     peer_ggml CASE RUNS
 * Built by tests/bench/peers.sh from ggml's sources, once per level: PEER_LEVEL 1 uses the dot product of two rows that ggml has
 * for every ARMv8-A, 2 and 3 the kernels for repacked weights that it picks where dotprod or i8mm is there. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 512, COLUMNS = 2048, MANY = 64, BLOCK = 32, Q4_BYTES = 18, Q8_BYTES = 34 };

typedef void dot_function(int n, float *s, size_t bs, const void *x, size_t bx, const void *y, size_t by, int nrc);
typedef void product_function(int n, float *s, size_t bs, const void *x, const void *y, int nr, int nc);

extern dot_function ggml_vec_dot_q4_0_q8_0, ggml_vec_dot_q8_0_q8_0;
extern product_function ggml_gemv_q4_0_4x4_q8_0, ggml_gemv_q4_0_4x8_q8_0, ggml_gemv_q8_0_4x4_q8_0, ggml_gemv_q8_0_4x8_q8_0;
extern product_function ggml_gemm_q4_0_4x4_q8_0, ggml_gemm_q4_0_4x8_q8_0, ggml_gemm_q8_0_4x4_q8_0, ggml_gemm_q8_0_4x8_q8_0;

typedef struct peer_case {
    const char *name;
    size_t weight_block_bytes;
    int vectors;
    dot_function *dot;
    product_function *product;
} peer_case;

static const peer_case cases[] = {
#if PEER_LEVEL == 1
    {"q4_0 x 1", Q4_BYTES, 1, ggml_vec_dot_q4_0_q8_0, NULL},
    {"q8_0 x 1", Q8_BYTES, 1, ggml_vec_dot_q8_0_q8_0, NULL},
    {"q4_0 x 64", Q4_BYTES, MANY, ggml_vec_dot_q4_0_q8_0, NULL},
    {"q8_0 x 64", Q8_BYTES, MANY, ggml_vec_dot_q8_0_q8_0, NULL},
#elif PEER_LEVEL == 2
    {"q4_0 x 1", Q4_BYTES, 1, NULL, ggml_gemv_q4_0_4x4_q8_0},
    {"q8_0 x 1", Q8_BYTES, 1, NULL, ggml_gemv_q8_0_4x4_q8_0},
    {"q4_0 x 64", Q4_BYTES, MANY, NULL, ggml_gemm_q4_0_4x4_q8_0},
    {"q8_0 x 64", Q8_BYTES, MANY, NULL, ggml_gemm_q8_0_4x4_q8_0},
#else
    {"q4_0 x 1", Q4_BYTES, 1, NULL, ggml_gemv_q4_0_4x8_q8_0},
    {"q8_0 x 1", Q8_BYTES, 1, NULL, ggml_gemv_q8_0_4x8_q8_0},
    {"q4_0 x 64", Q4_BYTES, MANY, NULL, ggml_gemm_q4_0_4x8_q8_0},
    {"q8_0 x 64", Q8_BYTES, MANY, NULL, ggml_gemm_q8_0_4x8_q8_0},
#endif
};

static void *filled(size_t bytes) {
    unsigned char *memory = malloc(bytes);
    if (memory == NULL) {
        exit(1);
    }
    for (size_t i = 0; i < bytes; i++) {
        memory[i] = (unsigned char)(i * 37 & 0x3F);
    }
    return memory;
}

static void run(const peer_case *c, const char *w, const char *x, float *y) {
    if (c->product != NULL) {
        c->product(COLUMNS, y, ROWS, w, x, c->vectors, ROWS);
        return;
    }
    size_t row_bytes = COLUMNS / BLOCK * c->weight_block_bytes;
    for (int v = 0; v < c->vectors; v++) {
        for (int row = 0; row < ROWS; row++) {
            c->dot(COLUMNS, y + v * ROWS + row, 0, w + (size_t)row * row_bytes, 0, x + (size_t)v * (COLUMNS / BLOCK * Q8_BYTES), 0,
                   1);
        }
    }
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const peer_case *c = &cases[i];
        if (argc == 2 && strcmp(argv[1], "list") == 0) {
            printf("%s\t%d\n", c->name, ROWS * COLUMNS * c->vectors);
        } else if (argc == 3 && strcmp(argv[1], c->name) == 0) {
            void *w = filled((size_t)ROWS * COLUMNS / BLOCK * c->weight_block_bytes);
            void *x = filled((size_t)c->vectors * COLUMNS / BLOCK * Q8_BYTES);
            void *y = filled((size_t)c->vectors * ROWS * sizeof(float));
            for (long runs = strtol(argv[2], NULL, 10); runs > 0; runs--) {
                run(c, w, x, y);
            }
        }
    }
    return 0;
}
