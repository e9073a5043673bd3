/* From and to the block formats of GGUF.  The layouts and formulas are those of ggml; numbers equal what the Python package gguf
 * computes, bit for bit. */
#ifndef GEMLET_MODEL_PACK_CONVERT_H
#define GEMLET_MODEL_PACK_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/quant/matrix.h"

/* `count` numbers, a multiple of the type's block, from `blocks`.  False for a type without a conversion. */
bool pack_dequantize(uint32_t type, const void *blocks, size_t count, float *out);

/* `count` numbers, a multiple of GEMLET_BLOCK, to source blocks of packing.h. */
void pack_quantize(gemlet_weight_type type, const float *in, size_t count, void *blocks);

/* `count` numbers of blocks that Q8_0 can hold exactly (Q4_0 and Q5_0: the same scale, the same integers) to blocks of Q8_0.  False
 * for another type. */
bool pack_widen(uint32_t type, const void *blocks, size_t count, void *out);

/* One row of a convolution to integers in -127 .. 127 and its scale, max|x| / 127.  Numbers that lie on such a grid already are
 * kept exactly; so are those on a grid of up to 8 levels to either side. */
float pack_quantize_channel(const float *in, size_t count, int8_t *out);

/* How many bits the integers need that pack_quantize_channel makes of a row without loss: 2 (-2 .. 1) or 4 (-8 .. 7) where the
 * row's numbers lie on a grid of so few levels; else 8.  `scratch` is [count]. */
uint32_t pack_level_bits(const float *in, size_t count, int8_t *scratch);

#endif
