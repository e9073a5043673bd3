/* The frame of a WAV file, looked at before libsndfile is: a list that claims to be longer than the file keeps its version 1.2.0
 * busy for minutes. */
#ifndef GEMLET_EXAMPLES_GEMLET_SOUND_RIFF_H
#define GEMLET_EXAMPLES_GEMLET_SOUND_RIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the bytes of a file are had; answers how many of `count` there are at `offset`. */
typedef struct sound_riff_file {
    size_t (*read_at)(void *context, uint64_t offset, void *out, size_t count);
    void *context;
    uint64_t size;
} sound_riff_file;

/* What is wrong with a RIFF, RIFX or RF64 file, for a message behind the four letters and a NUL that `name` gets: the first chunk
 * that ends beyond the file, unless it is the samples, which a recorder may not have counted, or the one behind 10,000 others. NULL
 * for nothing, and for other files. */
const char *sound_riff_problem(const sound_riff_file *file, char name[5]);

#endif
