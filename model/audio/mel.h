/* Log-mel front ends: 16 kHz samples in, one row of log-mel numbers per 10 ms out, as soon as its samples are there.
 *
 *     y[i]   = window[i] * (s[i] - emphasis * s[i - 1]),  i = 1 .. frame - 1     (y[0] = 0: the window begins with 0)
 *     m[k]   = |DFT of y, zeros behind it up to `points`|
 *     mel[j] = sum over k of filters[j][k] * m[k]
 *     out[j] = ln(max(mel[j], floor)), or ln(mel[j] + floor)
 *
 * s being frame f, samples hop * f .. hop * f + frame - 1 of the clip with `lead` zeros before it.  The frame exists where one
 * sample more does.  A clip is padded with zeros to a multiple of `padding` samples.  Reference: transformers,
 * feature_extraction_gemma3n.py and feature_extraction_gemma4.py (whose padded frames are masked, as if they were not there). */
#ifndef GEMLET_MODEL_AUDIO_MEL_H
#define GEMLET_MODEL_AUDIO_MEL_H

#include <stdbool.h>

#include "core/carver.h"
#include "model/audio/fourier.h"

enum { GEMLET_SOUND_RATE = 16000, GEMLET_MEL_HOP = 160 };

typedef struct gemlet_mel_traits {
    size_t frame;  /* samples */
    size_t points; /* of the transform */
    size_t lead;
    size_t padding;
    double emphasis;
    double floor;
    bool floor_added;
    double low, high; /* Hz, the ends of the first and the last triangle: for who makes the filters */
} gemlet_mel_traits;

/* The bins that a filter sees. */
typedef struct gemlet_mel_range {
    size_t first, end;
} gemlet_mel_range;

typedef struct gemlet_mel {
    const gemlet_mel_traits *traits;
    const float *window;  /* [2][frame]: its numbers, and what float32 leaves of them, for bins beside far louder ones */
    const float *filters; /* [bins][points / 2 + 1] */
    size_t bins;          /* numbers of a row */
    /* In the memory of the run: */
    gemlet_mel_range *ranges; /* [bins] */
    gemlet_complex *roots;    /* [points / 2] */
    gemlet_complex *signal;   /* [points / 2] */
    double *magnitudes;       /* [points / 2 + 1] */
    float *samples;           /* [frame + 1], from the first of the next frame on */
    float *row;               /* [bins] */
    /* Of the clip: */
    size_t waiting; /* samples */
    size_t fed;     /* samples in all, without the lead */
} gemlet_mel;

/* Takes its arrays; then, once they are there, fills what never changes. */
void gemlet_mel_carve(gemlet_mel *mel, gemlet_carver *carver);
void gemlet_mel_open(gemlet_mel *mel);

/* Begins a clip. */
void gemlet_mel_begin(gemlet_mel *mel);

/* Takes samples until a frame is complete, or all: answers how many; `*complete` says whether mel->row is a new row. */
size_t gemlet_mel_feed(gemlet_mel *mel, const float *samples, size_t count, bool *complete);

/* The zeros that end a clip. */
size_t gemlet_mel_padding(const gemlet_mel *mel);

/* The rows of a clip of `samples`. */
size_t gemlet_mel_frames(const gemlet_mel_traits *traits, size_t samples);

/* ln(x) of a normal positive number, off by less than 1e-14 + 2e-16 |ln(x)|: without libm, so that boards agree. */
double gemlet_logarithm(double x);

#endif
