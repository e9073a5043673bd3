/* Image encoders that are transformers over patches of a frame: gemma4v of Gemma 4, and SigLIP with the projector of Gemma 3;
 * weights, and one forward pass over them (encoder.c).  They differ in what gemlet_vit_traits says.
 *
 * Reference: transformers, modeling_gemma4.py (Gemma4VisionModel), image_processing_gemma4.py, modeling_siglip.py
 * (SiglipVisionModel) and modeling_gemma3.py (Gemma3MultiModalProjector).
 *
 * Matrices are int8 with a scale for each row, their inputs int8 with the step that the model was trained with, which is what it
 * clamps inputs to, or with a scale for each patch.  Attention's two products are int8; norms are float32, the residual bfloat16.
 * Patches are worked on a few at a time; nothing is as large as patches x patches.  The number of threads changes no result.
 */
#ifndef GEMLET_MODEL_VISION_VIT_VIT_H
#define GEMLET_MODEL_VISION_VIT_VIT_H

#include "core/parallel.h"
#include "model/container/loader.h"
#include "model/vision/attention.h"
#include "model/vision/encoder.h"
#include "model/vision/resize.h"

enum {
    GEMLET_VIT_PATCH = 16, /* pixels of a side, of gemma4v */
    GEMLET_VIT_POOL = 3,   /* patches of a side of what becomes a soft token, of gemma4v */
    GEMLET_VIT_CELL = GEMLET_VIT_PATCH * GEMLET_VIT_POOL,
    GEMLET_VIT_MOST_TOKENS = 1120,
    GEMLET_VIT_MOST_PATCHES = 16384, /* of a square */
    GEMLET_VIT_CHUNK = 32            /* patches that pass through a layer together, in one thread */
};

/* How encoders differ. */
typedef struct gemlet_vit_traits {
    uint32_t patch; /* pixels of a side */
    gemlet_resample_filter filter;
    bool square;      /* frames become squares of one size; else they keep their shape, as large as a budget allows */
    bool rotary;      /* queries and keys are normed and turned by the patch's column and row, values are normed, and two tables say
                         where a patch is; else one with a row for each, and scores are divided by the root of a head's width */
    bool layer_norms; /* before each half of a layer, and one behind the last; else RMSNorm before and behind each half */
    bool gated;       /* the feed-forward */
    bool biases;      /* of the patches' matrix and of those of layers */
} gemlet_vit_traits;

extern const gemlet_vit_traits gemlet_gemma4v_traits, gemlet_siglip_traits;

/* A matrix, what is added to its outputs, and the bounds that its inputs and outputs are clamped to.  Bounds of inputs that are
 * -128 and 127 steps are not here: quantising clamps to them. */
typedef struct gemlet_vit_linear {
    gemlet_matrix w;
    const float *bias; /* NULL: none */
    gemlet_bounds input, output;
} gemlet_vit_linear;

/* RMSNorm, or with a bias LayerNorm. */
typedef struct gemlet_vit_norm {
    const float *weight, *bias;
} gemlet_vit_norm;

/* What a model lacks is zeros. */
typedef struct gemlet_vit_layer {
    gemlet_vit_linear query, key, value, output, gate, up, down;
    gemlet_vit_norm norm, feed_forward_norm;
    const float *query_norm, *key_norm, *post_norm, *post_feed_forward_norm;
} gemlet_vit_layer;

typedef struct gemlet_vit_config {
    const gemlet_vit_traits *traits;
    uint32_t layers; /* 0: the model has no such encoder */
    uint32_t width, heads, head_width, inner;
    uint32_t soft_tokens; /* of a square, or the budget that the model was made for */
    uint32_t image_size;  /* of a square */
    uint32_t pool;        /* patches of a side of what becomes a soft token */
    uint32_t positions;   /* rows of a table */
    float epsilon, rope_base;
} gemlet_vit_config;

typedef struct gemlet_vit_weights {
    gemlet_vit_layer *layers;
    const float *patch;      /* [width][colour][row][column] */
    const float *patch_bias; /* or NULL */
    const float *positions;  /* [positions][width], or [2][positions][width]: of columns, of rows */
    gemlet_vit_norm last;    /* behind the last layer; weight NULL: none */
    const float *soft_norm;  /* of soft tokens; NULL: without weight */
    gemlet_matrix projection;
} gemlet_vit_weights;

typedef struct gemlet_vit_model {
    gemlet_vit_config config;
    gemlet_vit_weights weights;
} gemlet_vit_model;

/* The session's part.  run.image_tokens: the budget. */
typedef struct gemlet_vit {
    gemlet_image_run run;
    const gemlet_vit_config *config;
    const gemlet_vit_weights *weights;
    /* For tests, may be NULL: called behind the embedding ("embed") and each layer ("layer0", ...) with the residual, bfloat16. */
    void (*watch)(void *context, const char *name, const uint16_t *values, size_t patches, size_t width);
    void *watch_context;
} gemlet_vit;

extern const gemlet_image_encoder gemlet_gemma4v_encoder, gemlet_siglip_encoder;

/* ---- Between the files of this folder ---- */

/* Numbers of a patch. */
static inline size_t gemlet_vit_patch_numbers(const gemlet_vit_config *c) {
    return (size_t)3 * c->traits->patch * c->traits->patch;
}

/* Rows of a head in the matrices of queries, keys and values, zeros at the end: whole panels. */
static inline uint32_t gemlet_vit_head_rows(uint32_t head_width) {
    return (head_width + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS * GEMLET_PANEL_ROWS;
}

/* Rows and columns as they are packed, zeros at the end: whole blocks. */
static inline uint32_t gemlet_vit_padded(uint32_t numbers) {
    return (numbers + GEMLET_BLOCK - 1) / GEMLET_BLOCK * GEMLET_BLOCK;
}

/* A frame in patches: multiples of config.pool. */
typedef struct gemlet_vit_grid {
    uint32_t columns, rows;
} gemlet_vit_grid;

/* grid.c: what gemma4v brings a frame of width x height pixels to with a budget of soft tokens; {0, 0} where it can't be. */
gemlet_vit_grid gemlet_vit_grid_of(uint32_t width, uint32_t height, uint32_t budget);

/* Scratch of one thread. */
typedef struct gemlet_vit_scratch {
    float *input;     /* [chunk][patch numbers, or width] */
    float *output;    /* [chunk][width] */
    float *attended;  /* [chunk][heads][head rows] */
    float *gate, *up; /* [chunk][padded inner] */
    void *hidden;     /* quantised vectors of them */
    float *query;     /* [chunk][head rows] */
    gemlet_attention_scratch attention;
} gemlet_vit_scratch;

/* The memory of a run, in this order; carved for as many patches as there can be. */
typedef struct gemlet_vit_work {
    gemlet_vit_grid *grid;
    uint16_t *residual;          /* bfloat16 [patches][width] */
    float *cosine, *sine;        /* [columns or rows][head width / 4] */
    gemlet_attention_keys *keys; /* [heads] */
    gemlet_vit_scratch *scratch; /* [threads] */
    /* Until patches are embedded: */
    uint8_t *pixels;  /* [rows * patch][columns * patch][3] */
    void *resampling; /* where the frame is brought to its size */
    /* From then on, in the same place: */
    void *activations; /* quantised vectors: inputs of queries, keys, values */
    float *value;      /* [patches][head rows], of the head under way; behind it what `keys` points to */
} gemlet_vit_work;

/* work.c: answers the bytes. */
size_t gemlet_vit_carve(const gemlet_vit *v, size_t patches, unsigned char *memory, gemlet_vit_work *work);
size_t gemlet_vit_resampling_bytes(const gemlet_vit *v);

/* weights.c */
void gemlet_vit_load(gemlet_loader *loader, gemlet_vit_config *config, size_t text_width, gemlet_vit_weights *weights);

/* encoder.c: the forward pass over the pixels in run.memory. */
bool gemlet_vit_run(const gemlet_vit *v, float *soft_tokens);

/* layer.c: layer `index` over all patches. */
typedef struct gemlet_vit_pass {
    const gemlet_vit *v;
    const gemlet_vit_layer *layer;
    gemlet_vit_work work;
    float *soft_tokens;
    size_t patches, tasks, head;
} gemlet_vit_pass;
void gemlet_vit_layer_forward(gemlet_vit_pass *pass);

/* y = `norm` of one vector. */
void gemlet_vit_normed(const gemlet_vit *v, const gemlet_vit_norm *norm, const float *x, float *y);

/* y [count][rows] = what `linear` makes of `count` quantised vectors, rows [first_row, first_row + rows) of it, of whose outputs
 * `biased` have a bias. */
void gemlet_vit_product(const gemlet_vit *v, const gemlet_vit_linear *linear, size_t first_row, size_t rows, const float *bias,
                        size_t biased, const void *x, size_t count, float *y);

/* Quantised vectors from `first` on, which is a multiple of the chunk. */
static inline unsigned char *gemlet_vit_vectors(void *x, size_t length, size_t first) {
    return (unsigned char *)x + gemlet_row_scaled_activation_bytes(first, length);
}

#endif
