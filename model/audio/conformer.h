/* The conformer, sound to soft tokens: Gemma 3n's USM encoder and Gemma 4's gemma4a are one, with a table of differences (traits).
 *
 * Reference: transformers, modeling_gemma3n.py and modeling_gemma4.py (the audio towers and the embedders).
 *
 *     samples -> mel rows, 100 a second (mel.h)
 *             -> two convolutions 3 x 3, stride 2, each with a norm and ReLU (subsample.c): 25 frames a second
 *             -> blocks: half a feed-forward, attention over a few frames back, a convolution over 5 frames, half a feed-forward
 * (block.c)
 *             -> every `reduction`-th frame, normed and projected to the text's width (encoder.c)
 *
 * Nothing looks ahead but the two convolutions, so a clip is encoded while it is recorded.  What is kept between two calls is the
 * state: a few samples, three rows before each convolution, and of each block the keys and values of the frames that attention
 * still sees and four rows of its convolution.  Every frame is computed by itself, whichever are computed together with it: the
 * soft tokens are to the bit the same however the samples are cut, and for any number of threads.
 *
 * Linears are int8: weights with one scale per output channel; activations with one scale per frame, or, where a linear has bounds,
 * with these as the ends of a fixed range (the clamps are exact then).  Or they are matrices of 2, 4 or 8 bits with one scale a row
 * (core/quant/row_scaled.h), as those of Gemma 4 were trained: activations have fixed steps then. */
#ifndef GEMLET_MODEL_AUDIO_CONFORMER_H
#define GEMLET_MODEL_AUDIO_CONFORMER_H

#include "core/kernels.h"
#include "core/parallel.h"
#include "model/audio/mel.h"
#include "model/container/loader.h"

enum {
    GEMLET_CONFORMER_CHUNK = 32, /* frames that pass through the blocks together, at most */
    GEMLET_CONFORMER_LEAST = 8, /* frames that are enough to begin with while more sound may come: weights are read once for them */
    GEMLET_CONFORMER_TAPS = 5,  /* of the convolution over time */
    GEMLET_CONFORMER_MOST_BLOCKS = 64,
    GEMLET_CONFORMER_MOST_WINDOW = 64,
    GEMLET_CONVOLUTIONS = 2,
    GEMLET_SUBSAMPLING = 4,   /* mel rows of a frame */
    GEMLET_SOUND_LONGEST = 30 /* seconds that the models were trained for */
};

/* How the models differ. */
typedef struct gemlet_conformer_traits {
    gemlet_mel_traits mel;
    size_t rows_before;   /* zero rows before the first one of each convolution */
    bool cumulative_norm; /* over all channels and all time so far; else over the channels of one place */
    size_t context_less;  /* frames that the key attention.context_left counts beyond those that attention sees */
    bool bounded;         /* linears clamp what they take and give */
    bool projected;       /* a linear with bias ends the tower */
    bool soft_normed;     /* the embedder: norm with weight, projection, norm; else norm, projection */
    bool padded;          /* each clip takes all soft tokens of the longest: the last special id's embedding fills them up */
    double key_scale;     /* of keys, but not of positions: who packs folds it into the query scale */
    /* Names of tensors: */
    const char *input, *attention_norm, *attention_post_norm, *block_norm;
} gemlet_conformer_traits;

extern const gemlet_conformer_traits gemlet_usm, gemlet_gemma4a;

typedef struct gemlet_conformer_config {
    uint32_t block_count; /* 0: the file holds no sound encoder */
    uint32_t heads;
    uint32_t window; /* frames that attention sees, its own included */
    uint32_t bins;
    uint32_t reduction;
    uint32_t soft_tokens; /* of the longest clip */
    float logit_cap;      /* 0: none */
    float residual_weight;
    float group_norm_epsilon, epsilon;
} gemlet_conformer_config;

typedef struct gemlet_conformer_linear {
    size_t outputs, channels;
    gemlet_conv conv;
    gemlet_matrix matrix; /* columns 0: the convolution it is */
    gemlet_bounds input, output;
} gemlet_conformer_linear;

typedef struct gemlet_conformer_feed_forward {
    const float *norm, *post_norm;
    gemlet_conformer_linear up, down;
} gemlet_conformer_feed_forward;

typedef struct gemlet_conformer_block {
    gemlet_conformer_feed_forward start, end;
    const float *attention_norm, *attention_post_norm;
    gemlet_conformer_linear query, key, value, output;
    const float *query_scale; /* [width / heads] */
    const float *positions;   /* [window][width], the farthest first: what is added to the key of a frame so far back */
    const float *conv_norm, *conv_mid_norm;
    gemlet_conformer_linear conv_start, conv_end;
    const float *conv_taps; /* [taps][width], the frame's own last */
    const float *norm;
} gemlet_conformer_block;

typedef struct gemlet_conformer_weights {
    const float *window, *filters; /* of the front end (mel.h) */
    struct {
        const float *weights; /* [time][bin][inputs][outputs] */
        const float *norm;    /* [outputs] */
        size_t inputs, outputs;
    } conv[GEMLET_CONVOLUTIONS];
    gemlet_conformer_linear input;
    gemlet_conformer_block *blocks;     /* [block_count] */
    gemlet_conformer_linear projection; /* where the traits say so */
    const float *projection_bias;
    const float *soft_norm;
    gemlet_conformer_linear embed;
    size_t width, inner, subsampled; /* of a frame, of the feed-forwards, of the input linear */
} gemlet_conformer_weights;

/* The model's part. */
typedef struct gemlet_conformer_model {
    const gemlet_conformer_traits *traits;
    gemlet_conformer_config config;
    gemlet_conformer_weights weights;
} gemlet_conformer_model;

/* A convolution on its way through a clip. */
typedef struct gemlet_conformer_stage {
    size_t bins;         /* of an input row; an output row has half of them */
    float *rows;         /* [3][bins + 2][inputs]: row r at r % 3 */
    float *out;          /* [bins / 2][outputs] */
    size_t taken, given; /* rows */
    double sum, square;  /* of the cumulative norm */
} gemlet_conformer_stage;

/* The session's part. */
typedef struct gemlet_conformer {
    /* Set before plan: */
    const gemlet_conformer_model *model;
    gemlet_kernels kernels;
    const gemlet_port *port;
    size_t threads;
    size_t text_width;
    size_t longest; /* samples of a clip, at most */
    size_t chunk;   /* 0: GEMLET_CONFORMER_CHUNK */
    /* Set by plan: */
    size_t state_bytes, work_bytes;
    size_t most_soft_tokens; /* that a clip gives */
    /* Set before open; `work` only matters during a call: */
    unsigned char *state, *work;
    float *soft_tokens;   /* [most_soft_tokens][text_width] */
    const float *padding; /* [text_width], where the traits say so: the soft token that fills a clip up */
    /* Of the clip: */
    gemlet_mel mel;
    gemlet_conformer_stage stages[GEMLET_CONVOLUTIONS];
    size_t rows;    /* mel rows */
    size_t pending; /* frames that are subsampled but not through the blocks */
    size_t frames;  /* that are */
    size_t soft_count;
    /* In the state: */
    float *subsampled;    /* [chunk][subsampled] */
    float *keys, *values; /* [blocks][window - 1][width]: of the frames before */
    float *convolved;     /* [blocks][taps - 1][width]: likewise, before the convolution */
    /* For tests, may be NULL: called with "mel", "conv0", "conv1", "subsampled", "block0.ffw_start", ".attention", ".lconv",
     * ".ffw_end", "block0" ... and what has just been computed: rows from `first` on. */
    void (*watch)(void *context, const char *name, const float *values, size_t first, size_t rows, size_t width);
    void *watch_context;
} gemlet_conformer;

/* config.c */
gemlet_status gemlet_conformer_read_config(gemlet_container *container, gemlet_conformer_model *model, gemlet_error *error);

/* weights.c: what can't be mapped, and the list of blocks, is kept in `arena`. */
gemlet_status gemlet_conformer_load(gemlet_conformer_model *model, gemlet_container *container, size_t text_width,
                                    gemlet_arena *arena, uint64_t *mapped, gemlet_error *error);

/* encoder.c.  plan fills what it is to fill, from the model's shapes; open, what never changes between clips.  begin begins a clip;
 * feed takes samples in about -1 .. 1, of which the caller sees to it that they are finite and not beyond `longest`; `more` says
 * whether more are at hand, so that it may wait for a whole chunk; end computes what is left, so that soft_tokens[0 .. soft_count)
 * are all. */
void gemlet_conformer_plan(gemlet_conformer *c);
void gemlet_conformer_open(gemlet_conformer *c);
void gemlet_conformer_begin(gemlet_conformer *c);
void gemlet_conformer_feed(gemlet_conformer *c, const float *samples, size_t count, bool more);
void gemlet_conformer_end(gemlet_conformer *c);

/* The same from mel rows on. */
void gemlet_conformer_feed_row(gemlet_conformer *c, const float *row);

/* Soft tokens of a clip of so many samples; 0: it is too short for one. */
size_t gemlet_conformer_soft_tokens(const gemlet_conformer_model *model, size_t samples);

/* Samples that a clip must have for a soft token. */
size_t gemlet_conformer_shortest(const gemlet_conformer_model *model);

/* ---- Between the files of this folder ---- */

/* subsample.c: a row into the first convolution; frames that become complete are appended to c->subsampled, which has room for one.
 * flush gives another zero row, as many as it takes: false where the last frame is out. */
void gemlet_conformer_carve_stages(gemlet_conformer *c, gemlet_carver *carver);
void gemlet_conformer_begin_stages(gemlet_conformer *c);
void gemlet_conformer_subsample(gemlet_conformer *c, const float *row);
bool gemlet_conformer_flush(gemlet_conformer *c);

/* The work memory of `chunk` frames. */
typedef struct gemlet_conformer_work {
    float *x;                /* [chunk][width], the stream */
    float *y;                /* [chunk][width] */
    float *wide;             /* [chunk][inner, or 2 width] */
    float *keys, *values;    /* [window - 1 + chunk][width]; keys also [taps - 1 + chunk][width] before the convolution */
    int8_t *quantized;       /* [chunk][the longest input of a linear], or as a matrix takes it */
    float *scale;            /* [chunk] */
    const int8_t **pointers; /* [chunk] */
} gemlet_conformer_work;

void gemlet_conformer_carve_work(const gemlet_conformer *c, gemlet_carver *carver, gemlet_conformer_work *w);

/* block.c: `frames` frames of w->x through block number `index`. */
void gemlet_conformer_block_run(const gemlet_conformer *c, size_t index, size_t frames, gemlet_conformer_work *w);

/* product.c: y [frames][outputs] = clamp(W clamp(x)), x [frames][channels].  The only place that knows how linears are computed. */
void gemlet_conformer_product(const gemlet_conformer *c, const gemlet_conformer_linear *linear, const float *x, size_t frames,
                              const gemlet_conformer_work *w, float *y);

/* y = norm(x), rows of `length`, in place or not; `weight` may be NULL. */
void gemlet_conformer_norm(const gemlet_conformer *c, const float *x, const float *weight, size_t frames, size_t length, float *y);

#endif
