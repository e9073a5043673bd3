#include "model/text/keys.h"

#include "model/text/tensors.h"

#define PLACE(member) offsetof(gemlet_text_config, member)
#define LAYER_PLACE(member) offsetof(gemlet_layer_config, member)

const gemlet_text_key gemlet_text_keys[] = {
    {"block_count", GEMLET_TEXT_KEY_U32, .place = PLACE(layers), .low = 1, .high = GEMLET_MAX_LAYERS},
    {"context_length", GEMLET_TEXT_KEY_U32, .place = PLACE(trained_context), .low = 1, .high = 1u << 20},
    {"embedding_length", GEMLET_TEXT_KEY_U32, .place = PLACE(width), .low = 32, .high = 1u << 14},
    {"feed_forward_length", GEMLET_TEXT_KEY_U32, .per_layer = true, .place = LAYER_PLACE(feed_forward), .low = 32,
     .high = 1u << 17},
    {"attention.head_count", GEMLET_TEXT_KEY_U32, .place = PLACE(heads), .low = 1, .high = 256},
    {"attention.head_count_kv", GEMLET_TEXT_KEY_U32, .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].kv_heads), .low = 1, .high = 256},
    {"attention.key_length", GEMLET_TEXT_KEY_U32, .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].head_width), .low = 2, .high = 1024},
    {"attention.value_length", GEMLET_TEXT_KEY_U32, .only_written = true, .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].head_width)},
    {"attention.key_length_swa", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_LOCAL_HEADS, .place = PLACE(kinds[GEMLET_LOCAL_LAYER].head_width),
     .low = 2, .high = 1024},
    {"attention.value_length_swa", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_LOCAL_HEADS, .only_written = true,
     .place = PLACE(kinds[GEMLET_LOCAL_LAYER].head_width)},
    {"attention.layer_norm_rms_epsilon", GEMLET_TEXT_KEY_F32, .place = PLACE(epsilon)},
    {"attention.scale", GEMLET_TEXT_KEY_F32, .place = PLACE(attention_scale)},
    {"attention.sliding_window", GEMLET_TEXT_KEY_U32, .place = PLACE(kinds[GEMLET_LOCAL_LAYER].window), .low = 1, .high = 1u << 20},
    {"attention.sliding_window_pattern", GEMLET_TEXT_KEY_LOCAL, .per_layer = true, .place = LAYER_PLACE(kind)},
    {"rope.freq_base", GEMLET_TEXT_KEY_POSITIVE, .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].rope_base)},
    {"rope.freq_base_swa", GEMLET_TEXT_KEY_POSITIVE, .place = PLACE(kinds[GEMLET_LOCAL_LAYER].rope_base)},
    {"rope.scaling.factor", GEMLET_TEXT_KEY_POSITIVE, .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].rope_factor)},
    {"rope.rotated_pairs", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_PARTIAL_ROTATION,
     .place = PLACE(kinds[GEMLET_GLOBAL_LAYER].rotated_pairs), .low = 1, .high = 512},
    {"final_logit_softcapping", GEMLET_TEXT_KEY_F32, .place = PLACE(soft_cap)},
    {"altup.active_idx", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_ALTUP, .place = PLACE(active_stream), .high = GEMLET_MAX_STREAMS - 1},
    {"altup.num_inputs", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_ALTUP, .place = PLACE(streams), .low = 1, .high = GEMLET_MAX_STREAMS},
    {"embedding_length_per_layer_input", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_PER_LAYER_INPUTS, .place = PLACE(per_layer_width),
     .low = 32, .high = 4096},
    {"attention.shared_kv_layers", GEMLET_TEXT_KEY_U32, GEMLET_TEXT_SHARED_KEYS, .place = PLACE(shared_layers),
     .high = GEMLET_MAX_LAYERS - 1},
    {"activation_sparsity_scale", GEMLET_TEXT_KEY_F32, GEMLET_TEXT_SPARSE_GATES, .per_layer = true, .place = LAYER_PLACE(sparsity)},
};
const size_t gemlet_text_key_count = sizeof gemlet_text_keys / sizeof *gemlet_text_keys;

size_t gemlet_text_key_offset(const gemlet_text_key *key, uint32_t layer) {
    return key->per_layer ? PLACE(layer) + layer * sizeof(gemlet_layer_config) + key->place : key->place;
}

uint32_t gemlet_text_key_elements(const gemlet_text_key *key, const gemlet_text_config *config) {
    return key->per_layer ? config->layers : 1;
}

/* What other keys have to say about the range of one. */
static uint32_t highest(const gemlet_text_key *key, const gemlet_text_config *config) {
    if (key->place == PLACE(shared_layers) && key->part == GEMLET_TEXT_SHARED_KEYS) {
        return config->layers - 1;
    }
    return key->place == PLACE(kinds[GEMLET_GLOBAL_LAYER].kv_heads) && !key->per_layer ? config->heads : key->high;
}

void gemlet_text_read_key(gemlet_key_reader *reader, const gemlet_text_key *key, uint32_t index, gemlet_text_config *config) {
    void *place = (unsigned char *)config + gemlet_text_key_offset(key, index);
    switch (key->type) {
    case GEMLET_TEXT_KEY_U32:
        *(uint32_t *)place = gemlet_key_u32(reader, key->suffix, index, key->low, highest(key, config));
        break;
    case GEMLET_TEXT_KEY_F32: *(float *)place = gemlet_key_f32(reader, key->suffix, index); break;
    case GEMLET_TEXT_KEY_POSITIVE: *(float *)place = gemlet_key_positive(reader, key->suffix, index); break;
    case GEMLET_TEXT_KEY_LOCAL:
        *(gemlet_layer_kind *)place = gemlet_key_bool(reader, key->suffix, index) ? GEMLET_LOCAL_LAYER : GEMLET_GLOBAL_LAYER;
        break;
    }
}

/* The ids of an encoder's own embedding table; none where the model has no such encoder. */
static void read_special_ids(gemlet_key_reader *r, const char *encoder, uint32_t *offset, uint32_t *count) {
    r->prefix = encoder;
    if (gemlet_key_there(r, "vocabulary_offset")) {
        *offset = gemlet_key_u32(r, "vocabulary_offset", 0, 0, UINT32_MAX);
        *count = gemlet_key_u32(r, "vocabulary_size", 0, 0, 1u << 20);
    }
}

static void complete(gemlet_key_reader *r, gemlet_text_config *config) {
    uint32_t number;
    const char *fault = gemlet_text_complete(config, &number);
    if (fault != NULL) {
        gemlet_key_fail(r, GEMLET_ERROR_UNSUPPORTED, fault);
        if (number != UINT32_MAX) {
            gemlet_error_number(r->error, number);
        }
    }
}

gemlet_status gemlet_text_read_config(gemlet_container *container, const char *architecture, const gemlet_text_traits *traits,
                                      gemlet_text_config *config, gemlet_error *error) {
    gemlet_key_reader reader = {.container = container, .error = error, .prefix = architecture};
    *config = (gemlet_text_config){.traits = traits, .streams = 1};
    for (size_t i = 0; i < gemlet_text_key_count; i++) {
        const gemlet_text_key *key = &gemlet_text_keys[i];
        uint32_t elements = gemlet_text_has(config, key->part, 0) && !key->only_written ? gemlet_text_key_elements(key, config) : 0;
        for (uint32_t element = 0; element < elements && reader.status == GEMLET_OK; element++) {
            gemlet_text_read_key(&reader, key, element, config);
        }
    }
    if (traits->special_embeddings) {
        read_special_ids(&reader, "gemlet.vision", &config->vision_offset, &config->vision_count);
        read_special_ids(&reader, "gemlet.audio", &config->audio_offset, &config->audio_count);
    }
    config->own_head = gemlet_container_has_tensor(container, GEMLET_HEAD_TENSOR);
    if (reader.status == GEMLET_OK) {
        complete(&reader, config);
    }
    return reader.status;
}
