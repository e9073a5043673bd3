/* The Gemma decoders: weights and state, and one forward pass over them (decoder.c).
 *
 * Reference: transformers, modeling_gemma4.py, modeling_gemma3n.py and modeling_gemma3.py.  Which stages a model has is said by the
 * traits of its family (config.h), never by weights that are there or not.
 */
#ifndef GEMLET_MODEL_TEXT_DECODER_H
#define GEMLET_MODEL_TEXT_DECODER_H

#include "core/kernels.h"
#include "core/parallel.h"
#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "model/container/container.h"
#include "model/text/config.h"

/* One layer.  Norms are [width] or [head_width]; what the model lacks is not looked at. */
typedef struct gemlet_text_layer {
    gemlet_matrix query, key, value, output, gate, up, down;
    gemlet_matrix laurel_left, laurel_right;
    gemlet_matrix per_layer_gate, per_layer_projection;
    const float *attention_norm, *query_norm, *key_norm, *post_attention_norm;
    const float *feed_forward_norm, *post_feed_forward_norm;
    const float *laurel_norm, *per_layer_norm;
    const float *scalar; /* [1] */
    const float *router, *router_norm, *predict, *correct,
        *correct_scale; /* AltUp: [streams][width], [width], [streams^2][streams], ... */
} gemlet_text_layer;

typedef struct gemlet_text_weights {
    gemlet_text_layer *layers;
    gemlet_matrix embedding;            /* [vocabulary][width]: look-up and, unless the model has one of its own, head */
    gemlet_matrix head;                 /* [vocabulary][width], config->own_head */
    gemlet_matrix per_layer_table;      /* data NULL: read a row at a time */
    uint64_t per_layer_offset;          /* of the table in the file */
    gemlet_matrix per_layer_projection; /* [layers * per_layer_width][width] */
    const float *per_layer_norm;
    gemlet_matrix stream_in[GEMLET_MAX_STREAMS], stream_out[GEMLET_MAX_STREAMS]; /* AltUp: [1 .. streams - 1] are used */
    const float *output_norm;
    const float *vision_embedding, *audio_embedding; /* [count][width] */
    double *turns[GEMLET_LAYER_KINDS];               /* RoPE frequencies, [head_width / 2] */
    uint64_t token_bytes;                            /* of weights and table rows that are read to decode a token */
    uint32_t fingerprint;                            /* CRC-32 of the tensors' CRC-32s */
} gemlet_text_weights;

/* Keys and values of one layer: rings of `slots` positions, [kv_heads][slots][head_width]. */
typedef struct gemlet_text_cache {
    void *keys, *values;
    float *key_scale, *value_scale; /* [kv_heads][slots], int8 only */
    uint32_t slots;
} gemlet_text_cache;

enum {
    GEMLET_FEED_FORWARD_PIECE =
        128, /* rows of gate and up that a task of a dense feed-forward computes before they are quantised */
    GEMLET_MOST_WANTED = GEMLET_TILE /* tokens of a chunk that all layers compute: what is beyond the last keys is sized for it */
};

/* Scratch of a chunk of up to `chunk` tokens; every array is [chunk][...]. */
typedef struct gemlet_text_scratch {
    float *streams;        /* [streams][width] */
    float *predictions;    /* [streams][width]; without AltUp the same memory as streams */
    float *per_layer;      /* [layers before the last own one][per_layer_width] */
    float *last_per_layer; /* [layers from there on][per_layer_width], of the wanted tokens */
    float *normed;         /* [width] */
    float *branch;         /* [width]: what a block adds */
    float *laurel;         /* [width] */
    float *residual;       /* [width]; without AltUp the same memory as streams */
    float *query;          /* [heads][head_width], of the kind of layer under way, side by side for all tokens; then what the
                              heads make of them */
    float *key, *value;    /* [kv_heads][head_width] */
    float *narrow;         /* [max(laurel rank, per-layer width)] */
    float *pieces;         /* [threads][2][FEED_FORWARD_PIECE], of gate and up in a dense feed-forward */
    float *gate, *up;      /* [widest sparse feed-forward] */
    uint32_t *list;        /* [widest sparse feed-forward]: where a sparse gate is open */
    size_t *list_length;
    void *activations;                                            /* quantised vectors, the inputs of products */
    void *hidden;                                                 /* quantised vectors, in the middle of a dense feed-forward */
    void *single;                                                 /* quantised vectors, each by itself */
    float *cosine[GEMLET_LAYER_KINDS], *sine[GEMLET_LAYER_KINDS]; /* [head_width / 2] */
    float *scores;            /* [threads][most heads / kv_heads][longest cache], not by token */
    unsigned char *table_row; /* one packed row of the per-layer table, not by token */
    float *table_values;      /* [layers * per_layer_width], not by token */
} gemlet_text_scratch;

/* Called behind each layer with its streams, [count][streams][width], of the tokens from `position` on. */
typedef void (*gemlet_text_tap)(void *context, uint32_t layer, size_t position, size_t count, const float *streams);

typedef struct gemlet_text_decoder {
    const gemlet_text_config *config;
    const gemlet_text_weights *weights;
    gemlet_kernels kernels;
    const gemlet_port *port;
    const gemlet_container *container;
    size_t threads;
    uint32_t context, chunk;
    bool int8_cache, no_skipping;
    gemlet_text_cache *caches; /* [first_shared] */
    gemlet_text_scratch scratch;
    float *logits;       /* [vocabulary] */
    size_t score_row;    /* floats of a row of scores */
    size_t position;     /* of the chunk's first token */
    size_t rotated;      /* tokens of the chunk: what the RoPE tables are for */
    bool together;       /* whether those of the chunk see each other */
    gemlet_text_tap tap; /* NULL but in tests */
    void *tap_context;
} gemlet_text_decoder;

/* What a chunk is made of: `tokens`, or where that is NULL `embeddings` [count][width]. */
typedef struct gemlet_text_chunk {
    const uint32_t *tokens;
    const float *embeddings;
    size_t count;
    size_t position; /* of the first */
    size_t wanted;   /* how many of the last need logits: at most GEMLET_MOST_WANTED */
    bool together;   /* whether each sees all of them, and not those before it alone: the embeddings of an image of Gemma 3 */
} gemlet_text_chunk;

/* Fills `layers` [config->layers] (NULL with a counting arena) and `weights`, and what `config` takes from tensors' shapes. */
gemlet_status gemlet_text_load(gemlet_container *container, gemlet_text_config *config, gemlet_text_layer *layers,
                               gemlet_arena *arena, gemlet_text_weights *weights, uint64_t *mapped, gemlet_error *error);

/* Takes caches, scratch and logits from the arena; everything else of `decoder` is set by the caller before. */
gemlet_status gemlet_text_open(gemlet_text_decoder *decoder, gemlet_arena *arena, gemlet_error *error);

/* Computes a chunk and writes its keys and values.  Calls `row` (may be NULL) with the logits of each wanted position; the last
 * ones stay in decoder->logits.  GEMLET_ERROR_IO where the per-layer table can't be read: nothing is changed then. */
typedef void (*gemlet_text_row)(void *context, size_t index, const float *logits);
gemlet_status gemlet_text_forward(gemlet_text_decoder *decoder, const gemlet_text_chunk *chunk, gemlet_text_row row, void *context,
                                  gemlet_error *error);

/* Whether the rings, which have held `written` positions, still hold what the position behind the first `length` sees. */
bool gemlet_text_reaches(const gemlet_text_decoder *decoder, size_t written, size_t length);

/* Bytes of a cached row of layers of a kind, and elements from one row to the next. */
size_t gemlet_text_cache_stride(const gemlet_text_decoder *d, const gemlet_attention_config *kind);
size_t gemlet_text_cache_row_bytes(const gemlet_text_decoder *d, const gemlet_attention_config *kind);

/* ---- Between the files of this folder ---- */

/* Into how many tasks `items` are split: no more than threads. */
size_t gemlet_text_tasks(const gemlet_text_decoder *d, size_t items);

/* Calls step(d, layer, 0 .. count - 1): what can be done for each of `count` tokens by itself, tokens split over the threads. */
typedef void (*gemlet_text_step)(const gemlet_text_decoder *d, uint32_t layer, size_t token);
void gemlet_text_each(const gemlet_text_decoder *d, uint32_t layer, size_t count, gemlet_text_step step);

/* y[v][row] = (w x_v)[row] for `count` quantised vectors x, rows split over the threads; `product`: for those of
 * scratch.activations. */
typedef struct gemlet_text_output {
    const gemlet_matrix *w;
    float *y; /* [count][w->rows] */
} gemlet_text_output;
void gemlet_text_product(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t count, float *y);
void gemlet_text_products(const gemlet_text_decoder *d, const void *x, const gemlet_text_output *outputs, size_t number,
                          size_t count);

/* Quantises `count` vectors as `w` wants its inputs into scratch.activations, vectors split over the threads.  Matrices of which
 * the loader knows that they share their input (tensors.h) take what was made for one of them. */
void gemlet_text_quantize(const gemlet_text_decoder *d, const gemlet_matrix *w, const float *x, size_t count);

/* The same of columns [first, end) into `out`, in this thread, and what is to be done when all columns are there. */
void gemlet_text_quantize_columns(const gemlet_text_decoder *d, const gemlet_matrix *w, const float *x, size_t stride, size_t count,
                                  size_t first, size_t end, void *out);
void gemlet_text_finish_columns(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t count, void *x);

/* Products of some panels in this thread. */
void gemlet_text_multiply(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x,
                          size_t count, float *y, size_t y_stride);

/* embeddings.c: rows of the tables into stream 0; the other streams; the per-layer inputs of the layers that will want them. */
void gemlet_text_embed(const gemlet_text_decoder *d, const gemlet_text_chunk *chunk);
void gemlet_text_expand_streams(const gemlet_text_decoder *d, size_t count);
gemlet_status gemlet_text_per_layer_inputs(const gemlet_text_decoder *d, const gemlet_text_chunk *chunk, gemlet_error *error);
void gemlet_text_logits(const gemlet_text_decoder *d, size_t token);

/* altup.c: of layer `index` */
void gemlet_text_predict(const gemlet_text_decoder *d, uint32_t index, size_t token);
void gemlet_text_correct(const gemlet_text_decoder *d, uint32_t index, size_t token);

/* attention.c: the RoPE tables of the chunk; keys and values of a token into the cache; scratch.query from itself, for the last
 * `count` tokens of the chunk. */
void gemlet_text_rotate_tables(const gemlet_text_decoder *d);
void gemlet_text_store(const gemlet_text_decoder *d, uint32_t layer, size_t token);
void gemlet_text_attend(const gemlet_text_decoder *d, uint32_t layer, size_t count);

/* feed_forward.c: scratch.branch from scratch.normed. */
void gemlet_text_feed_forward(const gemlet_text_decoder *d, uint32_t layer, size_t count);

#endif
