/* Where a long recording is cut: at pauses.
 *
 * The level of a frame of 20 ms is the mean of its samples' squares.  The quiet level is the one that a tenth of the frames do not
 * exceed; a frame is quiet whose level is at most four times that (6 dB above) and at most a quarter of the mean of all levels, or
 * below -90 dB of full scale.  A pause is at least 10 quiet frames in a row (0.2 s). */
#ifndef GEMLET_EXAMPLES_GEMLET_PAUSE_H
#define GEMLET_EXAMPLES_GEMLET_PAUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "examples/gemlet/sound_source.h"

enum {
    PAUSE_FRAME = 320,   /* samples: 20 ms of 16,000 a second */
    PAUSE_SHORTEST = 10, /* frames */
    PAUSE_MOST_FRAMES = SOUND_SECONDS * 50
};

/* The sample at which `samples` are to be cut, between `least` and `count`: the middle of the longest pause there (of several, of
 * the last); without one, of the quietest 10 frames.  `least` is at least a pause below `count`, which is at most PAUSE_MOST_FRAMES
 * frames (what is beyond is not looked at). */
size_t pause_cut(const float *samples, size_t count, size_t least);

/* Whether no frame reaches -70 dB of full scale: there is nothing to hear. */
bool pause_is_silence(const float *samples, size_t count);

#endif
