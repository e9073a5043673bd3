/* Sounds for the model: files that libsndfile reads (as far as the build has it), or raw samples; all of them to 16,000 samples a
 * second of one channel. */
#ifndef GEMLET_EXAMPLES_GEMLET_SOUND_H
#define GEMLET_EXAMPLES_GEMLET_SOUND_H

#include "examples/gemlet/options.h"
#include <gemlet/sound.h>

/* A sound, which sound_free frees. */
typedef struct sound_file {
    float *samples; /* GEMLET_SAMPLE_RATE a second */
    size_t count;
} sound_file;

/* Reads `path` ("-": standard input), raw where the options say so: channels are averaged, other rates resampled (with
 * libsamplerate). What is longer than SOUND_SECONDS is refused, or with --cut-sound cut, before it takes memory.  A message names
 * the file; `*file` is empty then. */
enum { SOUND_SECONDS = 30 };
gemlet_status sound_read(sound_file *file, const char *path, const options *o, gemlet_error *error);
void sound_free(sound_file *file);

/* The sound as the library takes it. */
gemlet_sound sound_of(const sound_file *file);

#endif
