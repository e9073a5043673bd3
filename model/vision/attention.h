/* Attention of an image encoder in int8: every query looks at all keys of a picture.
 *
 * Both products are int8 convolutions whose "pixels" are queries.  The outputs of the first are the keys, each with a scale; its
 * weights are K.  The channels of the second are the keys; its weights are the transpose of V, with a scale for each column of V.
 * Softmax gives its weights in two digits of 7 bits: with one, all keys that get less than 1 / 254 of what the largest gets would
 * vanish, and they may be most of the sum.  Of the scores only a few rows exist at a time. */
#ifndef GEMLET_MODEL_VISION_ATTENTION_H
#define GEMLET_MODEL_VISION_ATTENTION_H

#include "core/carver.h"
#include "core/kernels.h"

/* A small matrix that is computed first and then multiplied with as a convolution's weights. */
typedef struct gemlet_attention_weights {
    float *values;     /* [rows][length]; only matter until they are packed, and share their memory with the other's */
    int8_t *quantized; /* likewise */
    int8_t *packed;
    float *scale; /* [rows] */
    gemlet_conv conv;
} gemlet_attention_weights;

/* K, and V transposed. */
typedef struct gemlet_attention_keys {
    size_t keys, key_width;
    gemlet_attention_weights key;     /* [keys][key width] */
    gemlet_attention_weights columns; /* [value width][keys] */
} gemlet_attention_keys;

/* Scratch of one thread for the rows of scores under way. */
typedef struct gemlet_attention_scratch {
    float *scores;            /* [rows][keys] */
    int8_t *high, *low;       /* [rows][padded keys], the digits of weights; first, quantised queries are in `high` */
    float *scale, *low_scale; /* [rows] */
    const int8_t **pointers;  /* [rows] */
} gemlet_attention_scratch;

gemlet_attention_keys gemlet_carve_attention_keys(gemlet_carver *carver, size_t keys, size_t key_width, size_t value_width);

/* Another of the same shape, which is packed at another time. */
gemlet_attention_keys gemlet_carve_more_attention_keys(gemlet_carver *carver, const gemlet_attention_keys *first);

/* For `rows` queries at a time. */
gemlet_attention_scratch gemlet_carve_attention_scratch(gemlet_carver *carver, const gemlet_attention_keys *k, size_t rows);

/* Makes weights of k->key.values and of `value` [keys][value width]; scores will be multiplied by `scale`. */
void gemlet_pack_attention_keys(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const float *value, float scale);

/* y = softmax(scale * query . K) . V of `count` queries [key width]: y [count][value width], y_stride numbers apart. */
void gemlet_attend(const gemlet_kernels *kernels, const gemlet_attention_keys *k, const gemlet_attention_scratch *s,
                   const float *query, size_t count, float *y, size_t y_stride);

#endif
