/* What a decoder is: the traits of its family, and the numbers of one model. */
#ifndef GEMLET_MODEL_TEXT_CONFIG_H
#define GEMLET_MODEL_TEXT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GEMLET_MAX_LAYERS = 128, GEMLET_MAX_STREAMS = 8 };

/* Where the per-layer inputs of a token enter the residual. */
typedef enum gemlet_per_layer_entry {
    GEMLET_NO_PER_LAYER_INPUTS,
    GEMLET_PER_LAYER_INPUTS_TO_OTHER_STREAMS, /* behind the feed-forward, gated by stream 0, to all but stream 0 */
    GEMLET_PER_LAYER_INPUTS_TO_STREAM         /* behind the feed-forward, gated by the only stream, to it */
} gemlet_per_layer_entry;

/* What a family's decoders are made of.  No trait follows from another one.  What all of Gemma's families share is none: RMSNorms
 * before and behind attention and feed-forward, norms of queries and keys, gates with GELU (tanh), and a head (whether it is the
 * embedding, and its soft cap, are the model's to say). */
typedef struct gemlet_text_traits {
    bool altup;              /* several residual streams, of which a layer computes one; else one stream */
    bool laurel;             /* a low-rank branch beside attention */
    bool value_norm;         /* RMSNorm, without weight, of each head's values */
    bool shared_keys;        /* the last layers read the keys and values of earlier ones */
    bool sparse_gates;       /* the gates of some layers are cut off but for the largest */
    bool special_embeddings; /* ids of an encoder have rows in a table of its own, which are not scaled */
    bool local_heads;        /* heads of local layers have a width of their own */
    bool partial_rotation;   /* RoPE turns only the first pairs of global layers' heads */
    bool layer_scalar;       /* a layer ends with a multiplication of its stream by a number */
    gemlet_per_layer_entry per_layer_inputs;
} gemlet_text_traits;

/* Which positions a layer sees: all before it, or the last `window`. */
typedef enum gemlet_layer_kind { GEMLET_GLOBAL_LAYER, GEMLET_LOCAL_LAYER, GEMLET_LAYER_KINDS } gemlet_layer_kind;

/* What all layers of a kind have in common. */
typedef struct gemlet_attention_config {
    uint32_t head_width;
    uint32_t kv_heads;
    uint32_t window;        /* positions that are seen, the token's own included; 0: all */
    uint32_t rotated_pairs; /* of the head_width / 2 pairs, the first ones: those that RoPE turns */
    float rope_base;
    float rope_factor; /* positions are divided by it */
} gemlet_attention_config;

typedef struct gemlet_layer_config {
    gemlet_layer_kind kind;
    uint32_t feed_forward; /* width */
    uint32_t cache;        /* the layer whose keys and values it reads; itself where it has some */
    float sparsity;        /* standard deviations above the mean at which gates are cut off; 0: dense */
} gemlet_layer_config;

/* Shapes and constants of a model. */
typedef struct gemlet_text_config {
    const gemlet_text_traits *traits;
    uint32_t layers;
    uint32_t shared_layers; /* how many of the last ones read the keys and values of an earlier layer */
    uint32_t first_shared;  /* the first of them; == layers where there is none */
    uint32_t width;         /* of a residual stream */
    uint32_t streams;
    uint32_t active_stream; /* that layers compute: 0 */
    bool own_head;          /* the head is a matrix of its own, output.weight; else the embedding */
    uint32_t heads;
    uint32_t vocabulary;
    uint32_t per_layer_width;
    uint32_t per_layer_vocabulary; /* rows of the per-layer table; ids beyond use row 0 */
    uint32_t trained_context;
    uint32_t widest_feed_forward;
    uint32_t laurel_rank;
    float epsilon; /* of every RMSNorm */
    float attention_scale;
    float soft_cap; /* of the logits; 0: none */
    float embedding_scale;
    uint32_t vision_offset, vision_count; /* ids with special embeddings; count 0: none */
    uint32_t audio_offset, audio_count;
    gemlet_attention_config kinds[GEMLET_LAYER_KINDS];
    gemlet_layer_config layer[GEMLET_MAX_LAYERS];
} gemlet_text_config;

/* A part that not every layer of every family has. */
typedef enum gemlet_text_part {
    GEMLET_TEXT_ALWAYS,
    GEMLET_TEXT_OWN_HEAD,
    GEMLET_TEXT_OWN_KEYS, /* layers before first_shared */
    GEMLET_TEXT_SHARED_KEYS,
    GEMLET_TEXT_ALTUP,
    GEMLET_TEXT_LAUREL,
    GEMLET_TEXT_SPARSE_GATES,
    GEMLET_TEXT_PER_LAYER_INPUTS,
    GEMLET_TEXT_LOCAL_HEADS,
    GEMLET_TEXT_PARTIAL_ROTATION,
    GEMLET_TEXT_LAYER_SCALAR
} gemlet_text_part;

/* Whether layer `layer` has the part; of parts that are not a layer's, `layer` does not matter. */
bool gemlet_text_has(const gemlet_text_config *config, gemlet_text_part part, uint32_t layer);

/* Fills what follows from the rest: first_shared, cache, the widest feed-forward, and of the kinds what no key says.  NULL where
 * all fits; else a sentence about what does not, which ends with `*number` where that is not UINT32_MAX. */
const char *gemlet_text_complete(gemlet_text_config *config, uint32_t *number);

static inline const gemlet_attention_config *gemlet_attention_of(const gemlet_text_config *config, uint32_t layer) {
    return &config->kinds[config->layer[layer].kind];
}

/* How many layers compute all tokens: those before the last one that has keys and values.  What is beyond those is only for tokens
 * whose logits are wanted. */
static inline uint32_t gemlet_text_common_layers(const gemlet_text_config *config) {
    return config->first_shared - 1;
}

/* The most that any kind of layer has: numbers of all queries, or of all keys, of a token. */
size_t gemlet_most_queries(const gemlet_text_config *config);
size_t gemlet_most_keys(const gemlet_text_config *config);

#endif
