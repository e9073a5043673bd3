/* The constants of a sound encoder, which the packer computes: no source holds the front end's, and what attention adds by distance
 * would cost a matrix per block. */
#ifndef GEMLET_MODEL_PACK_SOUND_H
#define GEMLET_MODEL_PACK_SOUND_H

#include "model/pack/model.h"

/* How the family's encoder is; the family has one. */
const gemlet_conformer_traits *pack_sound_traits(const pack_model *model);

/* Frames that attention sees; 0: the configuration is none that can be. */
uint32_t pack_sound_window(const pack_model *model);

/* per_dim_scale of `count` numbers to what a head's queries are multiplied by, in place. */
void pack_query_scale(const pack_model *model, float *scale, size_t count);

/* [window][width], the farthest first: sin(d f_i), then cos(d f_i) of distance d with f_i = 10000^(-i / (width / 2 - 1)); divided
 * by the key scale, which the query scale holds. */
void pack_sinusoids(const pack_model *model, size_t window, size_t width, double *out);

/* The front end's periodic Hann window [2][frame], as mel.h has it (`bins` is not used), and its filters [bins][points / 2 + 1]:
 * triangles with peaks equally spaced in HTK's mel, 2595 log10(1 + f / 700), straight in Hz, of height 1. */
void pack_mel_window(const gemlet_mel_traits *mel, size_t bins, float *out);
void pack_mel_filters(const gemlet_mel_traits *mel, size_t bins, float *out);

#endif
