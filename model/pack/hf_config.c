/* Hyper-parameters from config.json and preprocessor_config.json. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/model.h"

/* A part of the configuration, the errors it met, and how it is called. */
typedef struct part {
    const cJSON *json;
    const char *path;
    gemlet_error *error;
    gemlet_status status; /* of the first number that was wrong */
} part;

static const cJSON *member(const cJSON *json, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(json, name);
}

static double read_number(part *p, const cJSON *json, const char *name, double least, double most) {
    double value = cJSON_IsNumber(json) ? json->valuedouble : NAN;
    if (value >= least && value <= most) {
        return value;
    }
    if (p->status == GEMLET_OK) {
        p->status =
            pack_fail(p->error, GEMLET_ERROR_FORMAT,
                      "%s: \"%s\" must be a number from %g to %g: take the original file of the model", p->path, name, least, most);
    }
    return least;
}

static uint32_t whole(part *p, const char *name) {
    double value = read_number(p, member(p->json, name), name, 0.0, 4294967295.0);
    return (uint32_t)value;
}

static uint32_t whole_or(part *p, const char *name, uint32_t otherwise) {
    const cJSON *json = member(p->json, name);
    return json == NULL || cJSON_IsNull(json) ? otherwise : whole(p, name);
}

static float real_or(part *p, const char *name, float otherwise) {
    const cJSON *json = member(p->json, name);
    return json == NULL || cJSON_IsNull(json) ? otherwise : (float)read_number(p, json, name, -1e30, 1e30);
}

/* Element `index` of a list, or the number that stands for all. */
static double element(part *p, const char *name, uint32_t index, double otherwise, double most) {
    const cJSON *json = member(p->json, name);
    if (json == NULL || cJSON_IsNull(json)) {
        return otherwise;
    }
    return read_number(p, cJSON_IsArray(json) ? cJSON_GetArrayItem(json, (int)index) : json, name, 0.0, most);
}

/* The number that a standard normal variable stays below with probability p: where erfc says so. */
static double normal_quantile(double p) {
    double low = -40.0, high = 40.0;
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle / 1.4142135623730951) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static void read_rope(part *p, pack_text *t) {
    const cJSON *both = member(p->json, "rope_parameters"), *scaling = member(p->json, "rope_scaling");
    const cJSON *full = member(both, "full_attention"), *sliding = member(both, "sliding_attention");
    part global = *p, local = *p;
    if (full != NULL) {
        global.json = full;
        local.json = sliding;
        t->rope_base = real_or(&global, "rope_theta", 1e6f);
        t->rope_base_local = real_or(&local, "rope_theta", 1e4f);
        scaling = full;
    } else {
        t->rope_base = real_or(p, "rope_theta", 1e6f);
        t->rope_base_local = real_or(p, "rope_local_base_freq", 1e4f);
    }
    const cJSON *kind = member(scaling, "rope_type") != NULL ? member(scaling, "rope_type") : member(scaling, "type");
    t->rope_factor = 1.0f;
    if (cJSON_IsString(kind) && strcmp(kind->valuestring, "linear") == 0) {
        global.json = scaling;
        t->rope_factor = real_or(&global, "factor", 1.0f);
    } else if (cJSON_IsString(kind) && strcmp(kind->valuestring, "default") != 0 && p->status == GEMLET_OK) {
        p->status =
            pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED,
                      "%s: RoPE scaling \"%s\" is not supported, \"linear\" or \"default\" expected", p->path, kind->valuestring);
    }
    p->status = p->status != GEMLET_OK ? p->status : global.status != GEMLET_OK ? global.status : local.status;
}

static void read_layer_types(part *p, pack_text *t, uint32_t period) {
    const cJSON *types = member(p->json, "layer_types");
    uint32_t every = whole_or(p, "sliding_window_pattern", period);
    for (uint32_t i = 0; i < t->block_count; i++) {
        const cJSON *type = cJSON_GetArrayItem(types, (int)i);
        t->sliding[i] =
            cJSON_IsString(type) ? strcmp(type->valuestring, "sliding_attention") == 0 : every != 0 && (i + 1) % every != 0;
    }
}

static void read_gemma3n(part *p, pack_text *t) {
    t->altup_active = whole_or(p, "altup_active_idx", 0);
    t->altup_inputs = whole_or(p, "altup_num_inputs", 4);
    t->per_layer_length = whole_or(p, "hidden_size_per_layer_input", 256);
    t->shared_kv_layers = whole_or(p, "num_kv_shared_layers", 15);
    t->attention_scale = 1.0f;
    for (uint32_t i = 0; i < t->block_count; i++) {
        double sparsity = element(p, "activation_sparsity_pattern", i, 0.0, 0.999999);
        t->sparsity_scale[i] = sparsity > 0.0 ? (float)normal_quantile(sparsity) : 0.0f;
    }
}

static gemlet_status read_text(part *p, bool gemma3n, pack_text *t) {
    t->block_count = whole(p, "num_hidden_layers");
    if (p->status == GEMLET_OK && (t->block_count == 0 || t->block_count > PACK_MAX_LAYERS)) {
        return pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED, "%s: 1 to %d layers expected, found %u", p->path, PACK_MAX_LAYERS,
                         t->block_count);
    }
    t->context_length = whole_or(p, "max_position_embeddings", gemma3n ? 32768 : 131072);
    t->embedding_length = whole(p, "hidden_size");
    for (uint32_t i = 0; i < t->block_count; i++) {
        t->feed_forward_length[i] = (uint32_t)element(p, "intermediate_size", i, 0.0, 1e9);
    }
    t->head_count = whole_or(p, "num_attention_heads", 8);
    t->head_count_kv = whole_or(p, "num_key_value_heads", gemma3n ? 2 : 4);
    t->key_length = t->value_length = whole_or(p, "head_dim", 256);
    t->rms_epsilon = real_or(p, "rms_norm_eps", 1e-6f);
    t->attention_scale = 1.0f / sqrtf(real_or(p, "query_pre_attn_scalar", 256.0f));
    t->final_softcap = real_or(p, "final_logit_softcapping", gemma3n ? 30.0f : 0.0f);
    t->sliding_window = whole_or(p, "sliding_window", gemma3n ? 512 : 4096);
    read_rope(p, t);
    read_layer_types(p, t, gemma3n ? 5 : 6);
    if (gemma3n) {
        read_gemma3n(p, t);
    }
    t->bos = whole_or(p, "bos_token_id", 2);
    t->padding = whole_or(p, "pad_token_id", 0);
    const cJSON *eos = member(p->json, "eos_token_id");
    t->eos = cJSON_IsArray(eos) ? (uint32_t)element(p, "eos_token_id", 0, 1.0, 4294967295.0) : whole_or(p, "eos_token_id", 1);
    return p->status;
}

static void read_audio(part *p, pack_audio *a) {
    a->block_count = whole_or(p, "conf_num_hidden_layers", 12);
    a->head_count = whole_or(p, "conf_num_attention_heads", 8);
    a->chunk_size = whole_or(p, "conf_attention_chunk_size", 12);
    a->context_left = whole_or(p, "conf_attention_context_left", 13);
    a->context_right = whole_or(p, "conf_attention_context_right", 0);
    a->mel_bins = whole_or(p, "input_feat_size", 128);
    a->reduction_factor = whole_or(p, "conf_reduction_factor", 4);
    a->logit_cap = real_or(p, "conf_attention_logit_cap", 50.0f);
    a->residual_weight = real_or(p, "conf_residual_weight", 0.5f);
    a->gradient_clipping = real_or(p, "gradient_clipping", 1e10f);
    a->group_norm_epsilon = real_or(p, "sscp_conv_group_norm_eps", 1e-3f);
}

static void read_embedder(part *p, pack_embedder *e) {
    e->present = true;
    e->width = whole(p, "hidden_size");
    e->vocabulary_offset = whole(p, "vocab_offset");
    e->vocabulary_size = whole_or(p, "vocab_size", 128);
    e->rms_epsilon = real_or(p, "rms_norm_eps", 1e-6f);
}

/* The encoders of Gemma 3n; `p` is the whole configuration. */
static gemlet_status read_encoders(part *p, pack_model *model) {
    part vision = *p, audio = *p;
    vision.json = member(p->json, "vision_config");
    audio.json = member(p->json, "audio_config");
    if (vision.json == NULL) {
        return GEMLET_OK;
    }
    read_embedder(&vision, &model->image);
    model->image.begin_id = whole(p, "boi_token_id");
    model->image.end_id = whole_or(p, "eoi_token_id", model->image.vocabulary_offset);
    model->image.soft_id = whole(p, "image_token_id");
    model->image.soft_tokens = whole_or(p, "vision_soft_tokens_per_image", 256);
    if (audio.json != NULL && !cJSON_IsNull(audio.json)) {
        read_embedder(&audio, &model->sound);
        read_audio(&audio, &model->audio);
        model->sound.begin_id = whole(p, "boa_token_id");
        model->sound.end_id = whole_or(p, "eoa_token_id", model->sound.vocabulary_offset);
        model->sound.soft_id = whole(p, "audio_token_id");
        model->sound.soft_tokens = whole_or(p, "audio_soft_tokens_per_image", 188);
    }
    return vision.status != GEMLET_OK ? vision.status : audio.status != GEMLET_OK ? audio.status : p->status;
}

static gemlet_status read_json(const char *folder, const char *name, char *path, size_t capacity, cJSON **json,
                               gemlet_error *error) {
    char *text = NULL;
    size_t length = 0;
    snprintf(path, capacity, "%s/%s", folder, name);
    gemlet_status status = pack_read_whole(path, 64 << 20, &text, &length, error);
    if (status != GEMLET_OK) {
        return status;
    }
    *json = cJSON_ParseWithLength(text, length);
    free(text);
    if (!cJSON_IsObject(*json)) {
        cJSON_Delete(*json);
        *json = NULL;
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: is not a JSON object: download it again", path);
    }
    return GEMLET_OK;
}

static gemlet_status read_image_size(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096];
    cJSON *json = NULL;
    model->image_size = 768;
    if (read_json(folder, "preprocessor_config.json", path, sizeof path, &json, NULL) != GEMLET_OK) {
        return GEMLET_OK; /* newer folders keep it elsewhere; 768 is what every published model has */
    }
    part p = {member(json, "size"), path, error, GEMLET_OK};
    model->image_size = whole_or(&p, "height", 768);
    cJSON_Delete(json);
    return p.status;
}

gemlet_status pack_load_config(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096];
    cJSON *json = NULL;
    gemlet_status status = read_json(folder, "config.json", path, sizeof path, &json, error);
    if (status != GEMLET_OK) {
        return status;
    }
    const cJSON *type = member(json, "model_type"), *nested = member(json, "text_config");
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    model->gemma3n = strcmp(name, "gemma3n") == 0 || strcmp(name, "gemma3n_text") == 0;
    if (!model->gemma3n && strcmp(name, "gemma3") != 0 && strcmp(name, "gemma3_text") != 0) {
        status = pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "%s: model type \"%s\" is not supported: give a gemma3n or gemma3 model", path, name);
    }
    part whole_file = {json, path, error, status};
    part text = {nested != NULL ? nested : json, path, error, status};
    status = status != GEMLET_OK ? status : read_text(&text, model->gemma3n, &model->text);
    status = status != GEMLET_OK || !model->gemma3n ? status : read_encoders(&whole_file, model);
    status = status != GEMLET_OK || !model->image.present ? status : read_image_size(model, folder, error);
    cJSON_Delete(json);
    return status;
}
