/* The tensors that a packed decoder consists of: one table for those who read a file and those who write one.  docs/models tells
 * what each is for. */
#ifndef GEMLET_MODEL_TEXT_TENSORS_H
#define GEMLET_MODEL_TEXT_TENSORS_H

#include "core/quant/matrix.h"
#include "model/container/container.h"
#include "model/text/config.h"

/* How many rows or columns: a number of the configuration. */
typedef enum gemlet_text_size {
    GEMLET_SIZE_ONE,
    GEMLET_SIZE_WIDTH,
    GEMLET_SIZE_HEAD,    /* of the layer's kind */
    GEMLET_SIZE_QUERIES, /* heads x head */
    GEMLET_SIZE_KEYS,    /* key heads x head */
    GEMLET_SIZE_FEED_FORWARD,
    GEMLET_SIZE_STREAMS,
    GEMLET_SIZE_STREAMS_SQUARED,
    GEMLET_SIZE_PER_LAYER,
    GEMLET_SIZE_ALL_PER_LAYER, /* layers x per layer */
    /* What no key tells is taken from the first tensor that has it (gemlet_text_learn): */
    GEMLET_SIZE_VOCABULARY,
    GEMLET_SIZE_PER_LAYER_VOCABULARY,
    GEMLET_SIZE_RANK
} gemlet_text_size;

/* How a tensor is packed. */
typedef enum gemlet_text_form {
    GEMLET_FORM_REALS,          /* F32 */
    GEMLET_FORM_MATRIX,         /* a quantised matrix in panels */
    GEMLET_FORM_SPARSE_ROWS,    /* in rows where the layer's gates are sparse, else in panels */
    GEMLET_FORM_SPARSE_COLUMNS, /* in columns there, else in panels */
    GEMLET_FORM_STREAMED        /* in rows, read one at a time and never resident */
} gemlet_text_form;

/* What a matrix with one scale a row has to say of its activations. */
typedef enum gemlet_text_steps {
    GEMLET_STEPS_ANY,
    GEMLET_STEPS_NEEDED, /* one of its inputs at least: they are quantised a few at a time, never as a whole vector */
    GEMLET_STEPS_NONE    /* its rows are looked up, too, which factors with steps in them are not the scales of */
} gemlet_text_steps;

typedef struct gemlet_text_tensor {
    const char *name; /* a layer's: behind "blk.N." */
    gemlet_text_form form;
    gemlet_text_size rows, columns;
    size_t place; /* of a gemlet_matrix or a const float * in gemlet_text_weights, or in gemlet_text_layer */
    gemlet_text_part part;
    bool of_streams;   /* NAME.I.weight for each stream but the active one, in matrices that follow each other */
    size_t same_input; /* place, beside its own, of a matrix whose quantised input this one takes; 0: none */
    gemlet_text_steps steps;
} gemlet_text_tensor;

/* The table of per-layer inputs, a row of which is read for each token. */
#define GEMLET_TABLE_TENSOR "per_layer_token_embd.weight"

/* The head where it is a matrix of its own; a file says so by having it. */
#define GEMLET_HEAD_TENSOR "output.weight"

extern const gemlet_text_tensor gemlet_text_model_tensors[];
extern const size_t gemlet_text_model_tensor_count;
extern const gemlet_text_tensor gemlet_text_layer_tensors[];
extern const size_t gemlet_text_layer_tensor_count;

/* A tensor that a model must have, in the order of the packed file.  Begin with all zeros. */
typedef struct gemlet_text_need {
    char name[GEMLET_NAME_BYTES];
    const gemlet_text_tensor *tensor;
    size_t rows, columns; /* 0: any number */
    gemlet_packing packing;
    uint32_t layer;  /* of a layer's tensor; layers in use are counted from 0 */
    uint32_t stream; /* of what is there for each stream */
    bool of_layer;
    size_t next; /* row of the table */
} gemlet_text_need;

/* A table of rows in which each layer's numbers have a scale of their own has as many rows for a token as layers. */
size_t gemlet_text_table_rows(const gemlet_text_config *config, gemlet_weight_type type);

/* Bytes of them. */
size_t gemlet_text_table_bytes(const gemlet_text_config *config, const gemlet_matrix *table);

/* Moves to the next tensor; false behind the last one. */
bool gemlet_text_next(const gemlet_text_config *config, gemlet_text_need *need);

/* Bytes of a matrix that are read to decode a token, at an empty context. */
uint64_t gemlet_text_bytes_of_token(const gemlet_text_config *config, const gemlet_text_need *need, const gemlet_matrix *w);

/* What is wrong with the step of its inputs (0: none) that a matrix with one scale a row has; NULL: nothing. */
const char *gemlet_text_check_steps(const gemlet_text_tensor *tensor, float input_scale);

/* Of a tensor with `rows` rows: what the configuration did not know. */
void gemlet_text_learn(gemlet_text_config *config, const gemlet_text_need *need, uint32_t rows);

#endif
