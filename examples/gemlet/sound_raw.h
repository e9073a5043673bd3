/* Raw samples of one channel from a descriptor: as they come, or gathered while there is no time for them. */
#ifndef GEMLET_EXAMPLES_GEMLET_SOUND_RAW_H
#define GEMLET_EXAMPLES_GEMLET_SOUND_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sound_raw {
    int descriptor;
    bool is_ours; /* to be closed */
    bool is_float;
    bool ended;
    int failure;           /* an errno, or 0 */
    uint8_t *bytes;        /* ours */
    size_t begin, end;     /* of what was read and not taken */
    size_t capacity, most; /* bytes that are held now, and at most */
} sound_raw;

/* Standard input for "-".  `seconds` of `rate` samples each are held at most.  An errno, or 0. */
int sound_raw_open(sound_raw *r, const char *path, bool is_float, uint32_t rate, uint32_t seconds);
void sound_raw_close(sound_raw *r);

/* Waits for a sample, and takes those that are there then, `count` at most; 0 at the end, and after a failure. */
size_t sound_raw_read(sound_raw *r, float *samples, size_t count);

/* Reads without waiting what is there, as far as there is room for it. */
void sound_raw_drain(sound_raw *r);

#endif
