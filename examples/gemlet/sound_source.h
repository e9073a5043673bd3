/* A sound that is read piece by piece, as it comes: a file that libsndfile reads (as far as the build has it), or raw samples of a
 * file or a pipe; all of them to 16,000 samples a second of one channel. */
#ifndef GEMLET_EXAMPLES_GEMLET_SOUND_SOURCE_H
#define GEMLET_EXAMPLES_GEMLET_SOUND_SOURCE_H

#include <stddef.h>

#include "examples/gemlet/options.h"
#include "examples/gemlet/sound_raw.h"

enum { SOUND_SECONDS = 30, SOUND_BLOCK = 4096 /* samples that are read together at most */ };

/* Where a file in memory is read. */
typedef struct sound_bytes {
    const uint8_t *bytes;
    size_t count, at;
} sound_bytes;

typedef struct sound_source {
    const char *name; /* for messages */
    const options *options;
    gemlet_error *error;
    uint32_t rate, channels;
    bool is_raw, ended;
    sound_raw raw;
    sound_bytes memory;
    void *file;                    /* SNDFILE; NULL: raw */
    void *resampler;               /* SRC_STATE; NULL: the rate is right */
    size_t most;                   /* frames to take: more are refused, or cut */
    size_t taken;                  /* frames so far */
    size_t most_given, given;      /* samples: a resampler may round up the last */
    size_t reads;                  /* that brought something */
    float *frames;                 /* [SOUND_BLOCK][channels], as they are read */
    float *mono;                   /* [SOUND_BLOCK] */
    float *resampled;              /* [SOUND_BLOCK] */
    size_t pending, pending_count; /* of `mono`: what the resampler has not taken */
} sound_source;

/* Opens `path` ("-": standard input), raw where the options say so.  A message names the file.  Must be closed in any case; `o` and
 * `error` must stay as long. */
gemlet_status sound_open(sound_source *s, const char *path, const options *o, gemlet_error *error);

/* The same for a file in memory, which is not raw; `name` is what messages call it. */
gemlet_status sound_open_bytes(sound_source *s, const uint8_t *bytes, size_t count, const char *name, const options *o,
                               gemlet_error *error);
void sound_close(sound_source *s);

/* From here on what is longer than SOUND_SECONDS is refused, or with --cut-sound cut. */
void sound_limit(sound_source *s);

/* The next samples, at least one, valid until the next call; none at the end.  Of a pipe: what there is, as soon as there is
 * something.  Channels are averaged, other rates resampled (with libsamplerate).  GEMLET_ERROR_FORMAT for a sample that is no
 * finite number, and for a file that can't be read to its end. */
gemlet_status sound_next(sound_source *s, const float **samples, size_t *count);

/* Takes from a pipe what is there already, without waiting, so that who writes does not wait either; for sound_next later. */
void sound_drain(sound_source *s);

#endif
