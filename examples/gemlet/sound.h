/* Whole sounds for the model. */
#ifndef GEMLET_EXAMPLES_GEMLET_SOUND_H
#define GEMLET_EXAMPLES_GEMLET_SOUND_H

#include "examples/gemlet/sound_source.h"
#include <gemlet/sound.h>

/* A sound, which sound_free frees. */
typedef struct sound_file {
    float *samples; /* GEMLET_SAMPLE_RATE a second */
    size_t count;
} sound_file;

/* Reads `path` to its end, as sound_open and sound_next say.  What is longer than SOUND_SECONDS is refused, or with --cut-sound
 * cut, before it takes memory.  A message names the file; `*file` is empty then. */
gemlet_status sound_read(sound_file *file, const char *path, const options *o, gemlet_error *error);

/* The same for a file in memory, which is not raw; `name` is what messages call it.  GEMLET_ERROR_UNSUPPORTED where the build lacks
 * libsndfile. */
gemlet_status sound_read_bytes(sound_file *file, const uint8_t *bytes, size_t count, const char *name, const options *o,
                               gemlet_error *error);
void sound_free(sound_file *file);

/* The sound as the library takes it. */
gemlet_sound sound_of(const sound_file *file);

#endif
