/* A square picture of 8-bit RGB without any header, as the programs that count an encoder's instructions read it. */
#ifndef GEMLET_TESTS_BENCH_PICTURE_H
#define GEMLET_TESTS_BENCH_PICTURE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PICTURE_MOST = 768 };

typedef struct picture {
    uint32_t size; /* width and height; 0 where the file is no such picture */
    unsigned char pixels[PICTURE_MOST * PICTURE_MOST * 3];
} picture;

static inline void picture_read(picture *p, const char *path) {
    FILE *file = fopen(path, "rb");
    size_t bytes = file != NULL ? fread(p->pixels, 1, sizeof p->pixels, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    for (p->size = PICTURE_MOST; p->size > 0 && (size_t)p->size * p->size * 3 != bytes; p->size--) {
    }
}

/* Writes floats to `path`. */
static inline void floats_write(const char *path, const float *numbers, size_t count) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(numbers, sizeof *numbers, count, file) != count || fclose(file) != 0) {
        fprintf(stderr, "%s can't be written\n", path);
    }
}

#endif
