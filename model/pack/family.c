#include "model/pack/family.h"

#include <math.h>
#include <string.h>

#include "model/pack/numbers.h"

#define REQUIRED NAN

static const pack_json_number gemma3_numbers[] = {
    {"num_hidden_layers", "block_count", REQUIRED, PACK_AS_IS},
    {"max_position_embeddings", "context_length", 131072, PACK_AS_IS},
    {"hidden_size", "embedding_length", REQUIRED, PACK_AS_IS},
    {"intermediate_size", "feed_forward_length", REQUIRED, PACK_AS_IS},
    {"num_attention_heads", "attention.head_count", 8, PACK_AS_IS},
    {"num_key_value_heads", "attention.head_count_kv", 4, PACK_AS_IS},
    {"head_dim", "attention.key_length", 256, PACK_AS_IS},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6, PACK_AS_IS},
    {"query_pre_attn_scalar", "attention.scale", 256, PACK_INVERSE_ROOT},
    {"sliding_window", "attention.sliding_window", 4096, PACK_AS_IS},
    {"final_logit_softcapping", "final_logit_softcapping", 0, PACK_AS_IS},
    {NULL, NULL, 0, PACK_AS_IS},
};

static const pack_default gemma3_defaults[] = {
    {"rope.freq_base_swa", 1e4},
    {"rope.scaling.factor", 1},
    {"final_logit_softcapping", 0},
    {NULL, 0},
};

static const pack_json_number gemma3n_numbers[] = {
    {"num_hidden_layers", "block_count", REQUIRED, PACK_AS_IS},
    {"max_position_embeddings", "context_length", 32768, PACK_AS_IS},
    {"hidden_size", "embedding_length", REQUIRED, PACK_AS_IS},
    {"intermediate_size", "feed_forward_length", REQUIRED, PACK_AS_IS},
    {"num_attention_heads", "attention.head_count", 8, PACK_AS_IS},
    {"num_key_value_heads", "attention.head_count_kv", 2, PACK_AS_IS},
    {"head_dim", "attention.key_length", 256, PACK_AS_IS},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6, PACK_AS_IS},
    {"sliding_window", "attention.sliding_window", 512, PACK_AS_IS},
    {"final_logit_softcapping", "final_logit_softcapping", 30, PACK_AS_IS},
    {"altup_active_idx", "altup.active_idx", 0, PACK_AS_IS},
    {"altup_num_inputs", "altup.num_inputs", 4, PACK_AS_IS},
    {"hidden_size_per_layer_input", "embedding_length_per_layer_input", 256, PACK_AS_IS},
    {"num_kv_shared_layers", "attention.shared_kv_layers", 15, PACK_AS_IS},
    {"activation_sparsity_pattern", "activation_sparsity_scale", 0, PACK_NORMAL_QUANTILE},
    {NULL, NULL, 0, PACK_AS_IS},
};

static const pack_default gemma3n_defaults[] = {
    {"rope.freq_base_swa", 1e4}, {"rope.scaling.factor", 1}, {"final_logit_softcapping", 0}, {"attention.scale", 1}, {NULL, 0},
};

static const pack_json_number gemma4_numbers[] = {
    {"num_hidden_layers", "block_count", REQUIRED, PACK_AS_IS},
    {"max_position_embeddings", "context_length", 131072, PACK_AS_IS},
    {"hidden_size", "embedding_length", REQUIRED, PACK_AS_IS},
    {"intermediate_size", "feed_forward_length", REQUIRED, PACK_AS_IS},
    {"num_attention_heads", "attention.head_count", 8, PACK_AS_IS},
    {"num_key_value_heads", "attention.head_count_kv", 4, PACK_AS_IS},
    {"global_head_dim", "attention.key_length", 512, PACK_AS_IS},
    {"head_dim", "attention.key_length_swa", 256, PACK_AS_IS},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6, PACK_AS_IS},
    {"sliding_window", "attention.sliding_window", 512, PACK_AS_IS},
    {"final_logit_softcapping", "final_logit_softcapping", 0, PACK_AS_IS},
    {"hidden_size_per_layer_input", "embedding_length_per_layer_input", 256, PACK_AS_IS},
    {"num_kv_shared_layers", "attention.shared_kv_layers", 0, PACK_AS_IS},
    {NULL, NULL, 0, PACK_AS_IS},
};

/* A GGUF says in the tensor rope_freqs which pairs turn. */
static const pack_default gemma4_defaults[] = {
    {"rope.freq_base_swa", 1e4},    {"rope.scaling.factor", 1}, {"rope.rotated_pairs", 0},
    {"final_logit_softcapping", 0}, {"attention.scale", 1},     {NULL, 0},
};

/* The 27B model alone scales its queries by the width of the stream instead of the head's. */
static float gemma3_scale(const gemlet_text_config *config) {
    uint32_t head = config->kinds[GEMLET_GLOBAL_LAYER].head_width;
    return 1.0f / sqrtf((float)(config->layers == 62 && config->heads != 0 ? config->width / config->heads : head));
}

/* What SigLIP has beside the encoder: a head that Gemma 3 does not use. */
static const char *const gemma3_left_out[] = {"vision_tower.vision_model.head.", "model.vision_tower.vision_model.head.",
                                              "model.vision_tower.head.", NULL};
static const char *const gemma3n_left_out[] = {NULL};
static const char *const gemma4_left_out[] = {NULL};

static const pack_family families[] = {
    {.architecture = "gemma4",
     .model_types = {"gemma4", "gemma4_text"},
     .global_period = 6,
     .numbers = gemma4_numbers,
     .defaults = gemma4_defaults,
     .projector = "gemma4v",
     .vit = &gemlet_gemma4v_traits,
     .vit_numbers = pack_gemma4v_numbers,
     .sound_numbers = pack_gemma4a_numbers,
     .needed = "embedding_length_per_layer_input",
     .without = "has no per-layer inputs: of Gemma 4, E2B and E4B are supported, not the larger models",
     .left_out = gemma4_left_out},
    {.architecture = "gemma3n",
     .model_types = {"gemma3n", "gemma3n_text"},
     .global_period = 5,
     .numbers = gemma3n_numbers,
     .defaults = gemma3n_defaults,
     .projector = "gemma3nv",
     .sound_numbers = pack_usm_numbers,
     .left_out = gemma3n_left_out},
    {.architecture = "gemma3",
     .model_types = {"gemma3", "gemma3_text"},
     .norms_less_one = true,
     .global_period = 6,
     .attention_scale = gemma3_scale,
     .numbers = gemma3_numbers,
     .defaults = gemma3_defaults,
     .projector = "gemma3",
     .vit = &gemlet_siglip_traits,
     .vit_numbers = pack_siglip_numbers,
     .left_out = gemma3_left_out},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const pack_family *pack_family_of_architecture(const char *architecture) {
    for (size_t i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i].architecture, architecture) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

const pack_family *pack_family_of_model_type(const char *model_type) {
    for (size_t i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i].model_types[0], model_type) == 0 || strcmp(families[i].model_types[1], model_type) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

const char *pack_family_names(void) {
    return "gemma4, gemma3n or gemma3";
}

const gemlet_text_key *pack_text_key(const char *suffix) {
    size_t i = 0;
    while (i + 1 < gemlet_text_key_count && strcmp(gemlet_text_keys[i].suffix, suffix) != 0) {
        i++;
    }
    return &gemlet_text_keys[i];
}

void pack_set_key(gemlet_text_config *config, const gemlet_text_key *key, uint32_t index, double value) {
    void *place = (unsigned char *)config + gemlet_text_key_offset(key, index);
    switch (key->type) {
    case GEMLET_TEXT_KEY_U32: *(uint32_t *)place = value >= 0.0 && value <= 4294967295.0 ? (uint32_t)value : UINT32_MAX; break;
    case GEMLET_TEXT_KEY_F32:
    case GEMLET_TEXT_KEY_POSITIVE: *(float *)place = (float)value; break;
    case GEMLET_TEXT_KEY_LOCAL: *(gemlet_layer_kind *)place = value != 0.0 ? GEMLET_LOCAL_LAYER : GEMLET_GLOBAL_LAYER; break;
    }
}

void pack_begin_config(const pack_family *family, gemlet_text_config *config) {
    *config = (gemlet_text_config){.traits = &gemlet_family_named(family->architecture)->text, .streams = 1};
    for (const pack_default *d = family->defaults; d->suffix != NULL; d++) {
        pack_set_key(config, pack_text_key(d->suffix), 0, d->value);
    }
}
