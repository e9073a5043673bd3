/* A line that shows how far a long write is, on a terminal only. */
#ifndef GEMLET_MODEL_PACK_PROGRESS_H
#define GEMLET_MODEL_PACK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct pack_progress {
    FILE *out; /* NULL: silent */
    uint64_t total;
    uint64_t done;
    double start;
    double shown;
} pack_progress;

/* Shows nothing where `out` is NULL or no terminal. */
void pack_progress_start(pack_progress *progress, FILE *out, uint64_t total);
void pack_progress_add(pack_progress *progress, uint64_t bytes);

/* Clears the line, so that something else can be printed. */
void pack_progress_clear(pack_progress *progress);

#endif
