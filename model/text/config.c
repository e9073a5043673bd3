#include <math.h>
#include <string.h>

#include "core/text.h"
#include "model/text/decoder.h"

/* Reads keys "<architecture>.<suffix>" and remembers the first failure, so that a list of reads needs one check. */
typedef struct key_reader {
    gemlet_container *container;
    gemlet_error *error;
    gemlet_status status;
    const char *architecture;
    char key[GEMLET_KEY_BYTES];
} key_reader;

static const char *full_key(key_reader *r, const char *suffix) {
    size_t length = strlen(r->architecture);
    memcpy(r->key, r->architecture, length);
    r->key[length] = '.';
    memcpy(r->key + length + 1, suffix, strlen(suffix) + 1);
    return r->key;
}

static uint32_t read_u32(key_reader *r, const char *suffix, uint64_t index, uint32_t low, uint32_t high) {
    uint32_t value = low;
    if (r->status != GEMLET_OK) {
        return value;
    }
    r->status = gemlet_container_u32(r->container, full_key(r, suffix), index, &value, r->error);
    if (r->status == GEMLET_OK && (value < low || value > high)) {
        r->status = gemlet_fail(r->error, GEMLET_ERROR_FORMAT, r->container->path);
        gemlet_error_text(r->error, ": key \"");
        gemlet_error_text(r->error, r->key);
        gemlet_error_text(r->error, "\" must be ");
        gemlet_error_number(r->error, low);
        gemlet_error_text(r->error, " to ");
        gemlet_error_number(r->error, high);
        gemlet_error_text(r->error, " but is ");
        gemlet_error_number(r->error, value);
    }
    return r->status == GEMLET_OK ? value : low;
}

static void fail(key_reader *r, const char *text, uint32_t number) {
    r->status = gemlet_fail(r->error, GEMLET_ERROR_FORMAT, r->container->path);
    gemlet_error_text(r->error, ": ");
    gemlet_error_text(r->error, text);
    gemlet_error_number(r->error, number);
}

static float read_f32(key_reader *r, const char *suffix, uint64_t index) {
    float value = 0.0f;
    if (r->status == GEMLET_OK) {
        r->status = gemlet_container_f32(r->container, full_key(r, suffix), index, &value, r->error);
        if (r->status == GEMLET_OK && !isfinite(value)) {
            r->status = gemlet_fail(r->error, GEMLET_ERROR_FORMAT, r->container->path);
            gemlet_error_text(r->error, ": not a finite number in key \"");
            gemlet_error_text(r->error, r->key);
            gemlet_error_text(r->error, "\"");
        }
    }
    return value;
}

static float read_positive(key_reader *r, const char *suffix) {
    float value = read_f32(r, suffix, 0);
    if (r->status == GEMLET_OK && !(value > 0.0f)) {
        fail(r, "a RoPE base or scaling must be above 0: key ", 0);
        gemlet_error_text(r->error, r->key);
    }
    return value;
}

static void read_shapes(key_reader *r, gemlet_text_config *c) {
    c->layers = read_u32(r, "block_count", 0, 1, GEMLET_MAX_LAYERS);
    c->trained_context = read_u32(r, "context_length", 0, 1, 1u << 20);
    c->width = read_u32(r, "embedding_length", 0, 32, 1u << 14);
    c->heads = read_u32(r, "attention.head_count", 0, 1, 256);
    c->kv_heads = read_u32(r, "attention.head_count_kv", 0, 1, c->heads);
    c->head_width = read_u32(r, "attention.key_length", 0, 2, 1024);
    c->window = read_u32(r, "attention.sliding_window", 0, 1, 1u << 20);
    c->epsilon = read_f32(r, "attention.layer_norm_rms_epsilon", 0);
    c->attention_scale = read_f32(r, "attention.scale", 0);
    c->soft_cap = read_f32(r, "final_logit_softcapping", 0);
    c->global_base = read_positive(r, "rope.freq_base");
    c->local_base = read_positive(r, "rope.freq_base_swa");
    c->rope_factor = read_positive(r, "rope.scaling.factor");
    c->first_shared = c->layers;
}

/* The layer whose cache layer `i` reads: itself, or the last one of its kind that has its own. */
static uint32_t cache_of(const gemlet_text_config *c, uint32_t i) {
    if (i < c->first_shared) {
        return i;
    }
    for (uint32_t j = c->first_shared; j > 0; j--) {
        if (c->local[j - 1] == c->local[i]) {
            return j - 1;
        }
    }
    return GEMLET_MAX_LAYERS;
}

static void read_layers(key_reader *r, gemlet_text_config *c) {
    for (uint32_t i = 0; i < c->layers; i++) {
        c->feed_forward[i] = read_u32(r, "feed_forward_length", i, 32, 1u << 17);
        c->widest_feed_forward = c->feed_forward[i] > c->widest_feed_forward ? c->feed_forward[i] : c->widest_feed_forward;
        c->sparsity[i] = c->per_layer_width > 0 ? read_f32(r, "activation_sparsity_scale", i) : 0.0f;
        if (r->status == GEMLET_OK) {
            r->status =
                gemlet_container_bool(r->container, full_key(r, "attention.sliding_window_pattern"), i, &c->local[i], r->error);
        }
    }
    for (uint32_t i = 0; i < c->layers && r->status == GEMLET_OK; i++) {
        c->cache[i] = cache_of(c, i);
        if (c->cache[i] >= c->first_shared) {
            fail(r, "no earlier layer has keys and values for layer ", i);
        } else if (c->sparsity[i] < 0.0f) {
            fail(r, "the activation sparsity must not be negative in layer ", i);
        }
    }
}

static void read_gemma3n(key_reader *r, gemlet_text_config *c) {
    uint32_t active = read_u32(r, "altup.active_idx", 0, 0, GEMLET_MAX_STREAMS - 1);
    c->streams = read_u32(r, "altup.num_inputs", 0, 1, GEMLET_MAX_STREAMS);
    c->per_layer_width = read_u32(r, "embedding_length_per_layer_input", 0, 32, 4096);
    c->first_shared = c->layers - read_u32(r, "attention.shared_kv_layers", 0, 0, c->layers - 1);
    if (r->status == GEMLET_OK && active != 0) {
        r->status = gemlet_fail(r->error, GEMLET_ERROR_UNSUPPORTED, r->container->path);
        gemlet_error_text(r->error, ": the active AltUp stream must be 0 but is ");
        gemlet_error_number(r->error, active);
    }
}

/* The ids of an encoder's own embedding table; none where the model has no such encoder. */
static void read_hard_ids(key_reader *r, const char *encoder, uint32_t *offset, uint32_t *count) {
    const char *text = r->architecture;
    r->architecture = encoder;
    if (gemlet_container_find(r->container, full_key(r, "vocabulary_offset"), NULL)) {
        *offset = read_u32(r, "vocabulary_offset", 0, 0, UINT32_MAX);
        *count = read_u32(r, "vocabulary_size", 0, 0, 1u << 20);
    }
    r->architecture = text;
}

gemlet_status gemlet_text_read_config(gemlet_container *container, gemlet_text_config *config, gemlet_error *error) {
    char architecture[32];
    gemlet_status status = gemlet_container_string(container, "general.architecture", architecture, sizeof architecture, error);
    if (status != GEMLET_OK) {
        return status;
    }
    bool gemma3n = gemlet_text_equal(architecture, "gemma3n");
    if (!gemma3n && !gemlet_text_equal(architecture, "gemma3")) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, container->path);
        gemlet_error_text(error, ": architecture must be gemma3n or gemma3 but is ");
        gemlet_error_text(error, architecture);
        return GEMLET_ERROR_UNSUPPORTED;
    }
    key_reader reader = {container, error, GEMLET_OK, architecture, {0}};
    *config = (gemlet_text_config){.streams = 1};
    read_shapes(&reader, config);
    if (gemma3n) {
        read_gemma3n(&reader, config);
    }
    read_layers(&reader, config);
    config->embedding_scale = sqrtf((float)config->width);
    read_hard_ids(&reader, "gemlet.vision", &config->vision_offset, &config->vision_count);
    read_hard_ids(&reader, "gemlet.audio", &config->audio_offset, &config->audio_count);
    if (reader.status == GEMLET_OK &&
        (config->width % GEMLET_BLOCK != 0 || config->heads % config->kv_heads != 0 || config->head_width % 2 != 0)) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, container->path);
        gemlet_error_text(error, ": width must be a multiple of 32, heads of key heads, head width of 2");
        return GEMLET_ERROR_UNSUPPORTED;
    }
    return reader.status;
}
