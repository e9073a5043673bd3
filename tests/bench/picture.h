/* A picture of 8-bit RGB as the programs that count an encoder's instructions read it: PPM, or a square one without any header. */
#ifndef GEMLET_TESTS_BENCH_PICTURE_H
#define GEMLET_TESTS_BENCH_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PICTURE_MOST = 768 };

typedef struct picture {
    uint32_t width, height; /* 0 where the file is no such picture */
    unsigned char pixels[PICTURE_MOST * PICTURE_MOST * 3];
} picture;

static inline void picture_read(picture *p, const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned width = 0, height = 0;
    bool header = file != NULL && fscanf(file, "P6 %u %u 255", &width, &height) == 2 && fgetc(file) == '\n';
    if (file != NULL && !header) {
        rewind(file);
    }
    size_t bytes = file != NULL ? fread(p->pixels, 1, sizeof p->pixels, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    uint32_t side = PICTURE_MOST;
    while (side > 0 && (size_t)side * side * 3 != bytes) {
        side--;
    }
    bool whole = header && width <= PICTURE_MOST && height <= PICTURE_MOST && (size_t)width * height * 3 == bytes;
    p->width = whole ? width : header ? 0 : side;
    p->height = whole ? height : header ? 0 : side;
}

/* Writes floats to `path`. */
static inline void floats_write(const char *path, const float *numbers, size_t count) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(numbers, sizeof *numbers, count, file) != count || fclose(file) != 0) {
        fprintf(stderr, "%s can't be written\n", path);
    }
}

#endif
