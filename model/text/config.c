#include "model/text/config.h"

#include <math.h>

#include "core/carver.h"

bool gemlet_text_has(const gemlet_text_config *config, gemlet_text_part part, uint32_t layer) {
    const gemlet_text_traits *traits = config->traits;
    switch (part) {
    case GEMLET_TEXT_ALWAYS: return true;
    case GEMLET_TEXT_OWN_HEAD: return config->own_head;
    case GEMLET_TEXT_OWN_KEYS: return layer < config->first_shared;
    case GEMLET_TEXT_SHARED_KEYS: return traits->shared_keys;
    case GEMLET_TEXT_ALTUP: return traits->altup;
    case GEMLET_TEXT_LAUREL: return traits->laurel;
    case GEMLET_TEXT_SPARSE_GATES: return traits->sparse_gates;
    case GEMLET_TEXT_PER_LAYER_INPUTS: return traits->per_layer_inputs != GEMLET_NO_PER_LAYER_INPUTS;
    case GEMLET_TEXT_LOCAL_HEADS: return traits->local_heads;
    case GEMLET_TEXT_PARTIAL_ROTATION: return traits->partial_rotation;
    case GEMLET_TEXT_LAYER_SCALAR: return traits->layer_scalar;
    }
    return false;
}

/* The layer whose cache layer `i` reads: itself, or the last one of its kind that has its own. */
static uint32_t cache_of(const gemlet_text_config *c, uint32_t i) {
    if (i < c->first_shared) {
        return i;
    }
    for (uint32_t j = c->first_shared; j > 0; j--) {
        if (c->layer[j - 1].kind == c->layer[i].kind) {
            return j - 1;
        }
    }
    return GEMLET_MAX_LAYERS;
}

/* Local layers have the key heads of global ones and positions as they are: no family's keys say otherwise. */
static void complete_kinds(gemlet_text_config *c) {
    gemlet_attention_config *global = &c->kinds[GEMLET_GLOBAL_LAYER];
    gemlet_attention_config *local = &c->kinds[GEMLET_LOCAL_LAYER];
    local->head_width = c->traits->local_heads ? local->head_width : global->head_width;
    local->kv_heads = global->kv_heads;
    local->rope_factor = 1.0f;
    local->rotated_pairs = local->head_width / 2;
    global->rotated_pairs = c->traits->partial_rotation ? global->rotated_pairs : global->head_width / 2;
}

static const char *complete_layers(gemlet_text_config *c, uint32_t *layer) {
    for (uint32_t i = 0; i < c->layers; i++) {
        gemlet_layer_config *l = &c->layer[i];
        l->cache = cache_of(c, i);
        *layer = i;
        if (l->cache >= c->first_shared) {
            return "no earlier layer has keys and values for layer ";
        }
        if (l->sparsity < 0.0f) {
            return "the activation sparsity must not be negative in layer ";
        }
        c->widest_feed_forward = l->feed_forward > c->widest_feed_forward ? l->feed_forward : c->widest_feed_forward;
    }
    return NULL;
}

/* What is wrong with a kind of layers, and the number that is. */
static const char *check_kind(const gemlet_text_config *c, const gemlet_attention_config *a, uint32_t *number) {
    *number = c->width;
    if (c->width % 32 != 0) {
        return "the width must be a multiple of 32 but is ";
    }
    *number = a->kv_heads;
    if (a->kv_heads == 0 || c->heads % a->kv_heads != 0) {
        return "the heads must be a multiple of the key heads, but these are ";
    }
    *number = a->head_width;
    if (a->head_width % 2 != 0) {
        return "the head width must be a multiple of 2 but is ";
    }
    *number = a->rotated_pairs;
    return a->rotated_pairs > a->head_width / 2 ? "RoPE must not turn more than the pairs of a head, but turns " : NULL;
}

const char *gemlet_text_complete(gemlet_text_config *config, uint32_t *number) {
    *number = UINT32_MAX;
    if (config->shared_layers >= config->layers) {
        return "a layer must have keys and values of its own";
    }
    config->first_shared = config->layers - config->shared_layers;
    config->embedding_scale = sqrtf((float)config->width);
    complete_kinds(config);
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS; kind++) {
        const gemlet_attention_config *a = &config->kinds[kind];
        const char *fault = check_kind(config, a, number);
        if (fault != NULL) {
            return fault;
        }
    }
    const char *fault = complete_layers(config, number);
    if (fault == NULL && config->active_stream != 0) {
        *number = config->active_stream;
        return "the active AltUp stream must be 0 but is ";
    }
    *number = fault != NULL ? *number : UINT32_MAX;
    return fault;
}

size_t gemlet_most_queries(const gemlet_text_config *config) {
    return config->heads *
           gemlet_larger(config->kinds[GEMLET_GLOBAL_LAYER].head_width, config->kinds[GEMLET_LOCAL_LAYER].head_width);
}

size_t gemlet_most_keys(const gemlet_text_config *config) {
    const gemlet_attention_config *global = &config->kinds[GEMLET_GLOBAL_LAYER];
    const gemlet_attention_config *local = &config->kinds[GEMLET_LOCAL_LAYER];
    return gemlet_larger((size_t)global->kv_heads * global->head_width, (size_t)local->kv_heads * local->head_width);
}
