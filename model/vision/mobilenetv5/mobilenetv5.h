/* MobileNetV5, Gemma 3n's image encoder: weights, and one forward pass over them (encoder.c).
 *
 * Reference: timm, mobilenetv5.py and _efficientnet_blocks.py; transformers, modeling_gemma3n.py (the embedder).
 *
 * A picture of activations is NHWC bfloat16 (see core/real.h): half of float32's bytes, and its range, which trained models need.
 * Dense convolutions and attention are int8 with one scale per output pixel, depthwise convolutions float32.
 * One picture is held, and every block rewrites it in place from top to bottom, a band of rows at a time; what a block widens
 * exists for a few pixels of one thread only, or, where a depthwise convolution reads it, as a ring of rows.  Neither the height of
 * a band nor the number of threads changes a result: every pixel is computed by itself.
 */
#ifndef GEMLET_MODEL_VISION_MOBILENETV5_MOBILENETV5_H
#define GEMLET_MODEL_VISION_MOBILENETV5_MOBILENETV5_H

#include "core/carver.h"
#include "core/parallel.h"
#include "model/container/loader.h"
#include "model/vision/encoder.h"

enum {
    GEMLET_MOBILENETV5_MOST_STAGES = 8,
    GEMLET_MOBILENETV5_LARGEST_SQUARE = 2048, /* pixels of a side */
    GEMLET_MOBILENETV5_MOST_BLOCKS = 128,
    GEMLET_MOBILENETV5_CHUNK = 32, /* pixels that pass through a block together, in one thread */
    GEMLET_MOBILENETV5_BAND = 4    /* rows of a band, where no other is asked for */
};

typedef enum gemlet_mobilenetv5_kind {
    GEMLET_EDGE_RESIDUAL,     /* dense 3x3, 1x1 */
    GEMLET_INVERTED_RESIDUAL, /* depthwise or nothing, 1x1, depthwise or nothing, 1x1 */
    GEMLET_MOBILE_ATTENTION   /* multi-query attention over the whole picture */
} gemlet_mobilenetv5_kind;

/* One block.  What it lacks is NULL: a depthwise convolution without weights is not there. */
typedef struct gemlet_mobilenetv5_block {
    gemlet_mobilenetv5_kind kind;
    size_t stride;
    size_t inputs, outputs; /* channels */
    bool skip;              /* the input is added to the output */
    const float *layer_scale;
    bool scaled; /* whether it has a layer scale: `layer_scale` is NULL while shapes alone are read */
    /* The residual blocks: */
    gemlet_depthwise start, middle; /* `kernel` 0: none */
    gemlet_conv expand, project;
    const float *start_norm, *expand_norm, *middle_norm, *project_norm;
    /* Attention: */
    const float *norm, *key_norm, *value_norm;
    gemlet_depthwise key_down, value_down; /* `kernel` 0: none */
    gemlet_conv query, key, value, output;
} gemlet_mobilenetv5_block;

typedef struct gemlet_mobilenetv5_stem {
    const float *weights; /* [9 * 3][outputs] */
    const float *bias, *norm;
    size_t outputs;
} gemlet_mobilenetv5_stem;

/* The multi-scale fusion adapter and the embedder. */
typedef struct gemlet_mobilenetv5_fusion {
    gemlet_conv expand, project, embed;
    const float *expand_norm, *project_norm, *norm, *soft_norm;
} gemlet_mobilenetv5_fusion;

typedef struct gemlet_mobilenetv5_config {
    uint32_t image_size;  /* what the model was made for */
    uint32_t soft_tokens; /* of an image */
    uint32_t side;        /* its square root */
    uint32_t stages;
    uint32_t blocks[GEMLET_MOBILENETV5_MOST_STAGES];
    uint32_t block_count;
    float epsilon; /* of the embedder's norms; the encoder's are GEMLET_MOBILENETV5_EPSILON */
} gemlet_mobilenetv5_config;

typedef struct gemlet_mobilenetv5_weights {
    gemlet_mobilenetv5_stem stem;
    gemlet_mobilenetv5_block *blocks; /* [block_count], stage after stage */
    gemlet_mobilenetv5_fusion fusion;
} gemlet_mobilenetv5_weights;

/* The model's part. */
typedef struct gemlet_mobilenetv5_model {
    gemlet_mobilenetv5_config config;
    gemlet_mobilenetv5_weights weights;
} gemlet_mobilenetv5_model;

/* The session's part. */
typedef struct gemlet_mobilenetv5 {
    gemlet_image_run run; /* image_size: a multiple of 64 */
    const gemlet_mobilenetv5_config *config;
    const gemlet_mobilenetv5_weights *weights;
    uint32_t band;  /* rows of a band; 0: as many as usual */
    uint32_t chunk; /* pixels of a chunk; 0: as many as usual */
    /* For tests, may be NULL: called with "stage0", ..., "msfa" and what has just been computed, a few pixels at a time. */
    void (*watch)(void *context, const char *name, const float *values, size_t first_pixel, size_t pixels, size_t channels);
    void *watch_context;
} gemlet_mobilenetv5;

/* What the session knows of all this. */
extern const gemlet_image_encoder gemlet_mobilenetv5_encoder;

/* ---- Between the files of this folder ---- */

/* config.c: names that follow start with "v.blk.<stage>.<block>.". */
void gemlet_mobilenetv5_enter_block(gemlet_loader *loader, uint32_t stage, uint32_t block);

/* The keys, and how many blocks there are.  config->block_count is 0 where the model has no such encoder. */
gemlet_status gemlet_mobilenetv5_read_config(gemlet_container *container, gemlet_mobilenetv5_config *config, gemlet_error *error);

/* weights.c: calls `visit` for each block, in order, and fills `weights` but for its blocks.  The loader may have no arena: shapes
 * alone are wanted then. */
typedef void (*gemlet_mobilenetv5_visitor)(void *context, uint32_t stage, uint32_t index, const gemlet_mobilenetv5_block *block);
void gemlet_mobilenetv5_walk(gemlet_loader *loader, const gemlet_mobilenetv5_config *config, size_t text_width,
                             gemlet_mobilenetv5_weights *weights, gemlet_mobilenetv5_visitor visit, void *context);

/* plan.c: fills run.bytes, run.most_soft_tokens and what was 0.  Errors as gemlet_image_encoder's plan. */
gemlet_status gemlet_mobilenetv5_plan(gemlet_mobilenetv5 *v, gemlet_container *container, gemlet_error *error);

/* encoder.c: the forward pass. */
bool gemlet_mobilenetv5_run(const gemlet_mobilenetv5 *v, float *soft_tokens);

/* Of every RMSNorm of the encoder: timm's default, no file says it. */
#define GEMLET_MOBILENETV5_EPSILON 1e-6f

/* Where the encoder is: the picture that a block finds, and what memory is free.  Pictures lie at the beginning of the memory. */
typedef struct gemlet_mobilenetv5_place {
    size_t side, channels; /* channels 0: the first block, whose input comes from the stem */
    size_t kept;           /* bytes of the last stage but one, once the last one has begun */
    size_t work;           /* bytes before a block's work memory */
} gemlet_mobilenetv5_place;

/* places.c: where the square of [image_size][image_size][3] bytes, RGB, has to be before a run: in run.memory. */
uint8_t *gemlet_mobilenetv5_square(const gemlet_mobilenetv5 *v);

/* Sets `kept` and `work` for a block, and moves behind it.  `new_picture`: its output goes behind its input, which is kept. */
void gemlet_mobilenetv5_enter(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, bool new_picture,
                              gemlet_mobilenetv5_place *place);
void gemlet_mobilenetv5_leave(const gemlet_mobilenetv5_block *block, gemlet_mobilenetv5_place *place);

size_t gemlet_picture_bytes(size_t side, size_t channels);

/* The side of a picture after a convolution with padding "same". */
static inline size_t gemlet_strided(size_t side, size_t stride) {
    return (side + stride - 1) / stride;
}

/* The last few rows of a picture: row r starts at data + r % ring * width * channels. */
typedef struct gemlet_row_ring {
    float *data;
    size_t width, channels;
    size_t height; /* of the picture: rows beyond are outside */
    size_t ring;
} gemlet_row_ring;

static inline float *gemlet_ring_row(const gemlet_row_ring *r, size_t row) {
    return r->data + row % r->ring * r->width * r->channels; /* NOLINT(clang-analyzer-core.DivideZero): of at least one row */
}

/* Scratch of one thread for `chunk` pixels. */
typedef struct gemlet_pixel_scratch {
    int8_t *quantized;        /* [chunk][widest input of a convolution] */
    float *scale, *center;    /* [chunk] */
    const int8_t **pointers;  /* [taps][chunk] */
    float *input;             /* [chunk][channels of a window, a depthwise convolution, a concatenation] */
    float *expanded, *output; /* [chunk][...] */
} gemlet_pixel_scratch;

/* Carves [threads] of them.  Sizes are in floats a pixel; `quantized` is the longest input of a convolution. */
gemlet_pixel_scratch *gemlet_carve_pixels(const gemlet_mobilenetv5 *v, gemlet_carver *carver, size_t taps, size_t quantized,
                                          size_t input, size_t expanded, size_t output);

/* Floats of one input of a convolution: of a pixel, or of a window of pixels that are each padded. */
size_t gemlet_mobilenetv5_input_length(const gemlet_conv *conv);

/* Quantises `pixels` inputs of conv->taps * conv->channels floats (a window has one scale, so that its taps can be summed) and
 * multiplies: y [pixels][conv->outputs]. */
void gemlet_mobilenetv5_convolve(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const float *x, size_t pixels,
                                 const gemlet_pixel_scratch *scratch, float *y);

/* As gemlet_mobilenetv5_convolve for a 1x1 convolution of what GELU has left.  `sums` of gemlet_mobilenetv5_sum: what each output's
 * weights add up to. */
void gemlet_mobilenetv5_convolve_centered(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const float *sums, const float *x,
                                          size_t pixels, const gemlet_pixel_scratch *scratch, float *y);
void gemlet_mobilenetv5_sum(const gemlet_mobilenetv5 *v, const gemlet_conv *conv, const gemlet_pixel_scratch *scratch, float *sums);

/* y = norm(x) of `pixels` pixels, in place or not. */
void gemlet_mobilenetv5_norm(const gemlet_mobilenetv5 *v, const float *x, const float *weight, size_t pixels, size_t channels,
                             float *y);
void gemlet_mobilenetv5_norm_gelu(const gemlet_mobilenetv5 *v, const float *weight, size_t pixels, size_t channels, float *x);

/* target = source * layer scale (where there is one), + what target held where the block has a skip.  `source` is overwritten. */
void gemlet_mobilenetv5_add(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, float *source, size_t pixels,
                            uint16_t *target);

/* Pixels [column, column + count) of output row `row` of a depthwise convolution with padding "same". */
void gemlet_mobilenetv5_depthwise(const gemlet_mobilenetv5 *v, const gemlet_depthwise *conv, const gemlet_row_ring *from,
                                  size_t row, size_t column, size_t count, float *y);

/* residual.c, attention.c, stem.c, fusion.c.  Each answers the bytes of its work memory; with `memory` NULL that is all. */
size_t gemlet_mobilenetv5_residual(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, bool from_stem, size_t side,
                                   const uint16_t *picture, uint16_t *target,
                                   unsigned char *memory); /* `target`: the picture, or another */
size_t gemlet_mobilenetv5_attention(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, size_t side,
                                    uint16_t *picture, unsigned char *memory);
/* `near`: the last stage but one, of side `near_side`; `far`: the last stage. */
typedef struct gemlet_mobilenetv5_levels {
    const uint16_t *near, *far;
    size_t near_side, far_side;
    size_t near_channels, far_channels;
} gemlet_mobilenetv5_levels;

size_t gemlet_mobilenetv5_fuse(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_fusion *fusion,
                               const gemlet_mobilenetv5_levels *levels, float *soft_tokens, unsigned char *memory);

/* Row `row` of the stem's output into y [image_size / 2][outputs]; columns [column, column + count) of it. */
void gemlet_mobilenetv5_stem_row(const gemlet_mobilenetv5 *v, size_t row, size_t column, size_t count, float *patches, float *y);
enum { GEMLET_STEM_INPUTS = 27, GEMLET_STEM_STRIDE = 2 };

#endif
