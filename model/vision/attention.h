/* Attention of an image encoder in int8: every query looks at all keys of a picture.
 *
 * Both products are int8 convolutions whose "pixels" are queries.  The outputs of the first are the keys, each with a scale; its
 * weights are K.  The channels of the second are the keys, in blocks; its weights are the transpose of V, with a scale for each
 * column of a block.
 *
 * Softmax gives its weights in 8 bits, relative to the largest of their block: relative to that of all keys, those that get less
 * than 1 / 508 of it would vanish, and they may be most of the sum.  What rounding leaves of a block's weights goes to the mean of
 * its values.  So at most sqrt(GEMLET_KEY_BLOCK) / 508 of a block's largest weight is noise, about what 8 bits for keys and values
 * give.  Of the scores only a few rows exist at a time. */
#ifndef GEMLET_MODEL_VISION_ATTENTION_H
#define GEMLET_MODEL_VISION_ATTENTION_H

#include "core/carver.h"
#include "core/kernels.h"

enum { GEMLET_KEY_BLOCK = 256 }; /* keys at most */

/* K, and V transposed. */
typedef struct gemlet_attention_keys {
    size_t keys, key_width, value_width;
    size_t blocks, block; /* keys of a block but the last, a multiple of GEMLET_CHANNEL_PADDING */
    float *values;        /* [keys][key width], the caller's until they are packed; then scratch, as `quantized` */
    int8_t *quantized;
    int8_t *key, *columns;       /* packed: [keys][key width], and [blocks][value width][block] */
    float *scale, *column_scale; /* [keys], of scores to base 2; [blocks][value width] */
    float *column_mean;          /* [blocks][value width], of the values as they are quantised */
} gemlet_attention_keys;

/* Scratch of one thread for the rows of scores under way. */
typedef struct gemlet_attention_scratch {
    float *scores;               /* [rows][keys] */
    int8_t *weights;             /* [rows][padded keys]; first, quantised queries */
    gemlet_softmax_block *parts; /* [rows][blocks] */
    float *share;                /* [rows][blocks], of a block in its row, for a unit of its weights */
    float *scale;                /* [rows] */
    float *mix;                  /* [rows][value width], of a block */
    const int8_t **pointers;     /* [rows] */
} gemlet_attention_scratch;

gemlet_attention_keys gemlet_carve_attention_keys(gemlet_carver *carver, size_t keys, size_t key_width, size_t value_width);

/* Another of the same shape, which is packed at another time. */
gemlet_attention_keys gemlet_carve_more_attention_keys(gemlet_carver *carver, const gemlet_attention_keys *first);

/* For `rows` queries at a time. */
gemlet_attention_scratch gemlet_carve_attention_scratch(gemlet_carver *carver, const gemlet_attention_keys *k, size_t rows);

/* Packs k->values, and `value` [keys][value width]; scores will be multiplied by `scale`. */
void gemlet_pack_attention_keys(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const float *value, float scale);

/* y = softmax(scale * query . K) . V of `count` queries [key width]: y [count][value width], y_stride numbers apart. */
void gemlet_attend(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s,
                   const float *query, size_t count, float *y, size_t y_stride);

#endif
