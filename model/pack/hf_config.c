/* Hyper-parameters from config.json and preprocessor_config.json. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/model.h"
#include "model/pack/numbers.h"
#include "model/pack/switches.h"

/* A part of the configuration, the errors it met, and how it is called. */
typedef struct part {
    const cJSON *json;
    const char *path;
    gemlet_error *error;
    gemlet_status *status; /* of the first number of the file that was wrong */
} part;

static const cJSON *member(const cJSON *json, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(json, name);
}

static double read_number(part *p, const cJSON *json, const char *name, double least, double most) {
    double value = json != NULL && cJSON_IsNumber(json) ? json->valuedouble : NAN;
    if (value >= least && value <= most) {
        return value;
    }
    if (*p->status == GEMLET_OK) {
        *p->status =
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

/* Element `index` of a list, or the number that stands for all; `otherwise` NAN: it must be there. */
static double element(part *p, const char *name, uint32_t index, double otherwise, double most) {
    const cJSON *json = member(p->json, name);
    if ((json == NULL || cJSON_IsNull(json)) && !isnan(otherwise)) {
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

/* RoPE of the global kind; `parameters` is what config.json says of it. */
static void read_rope_kind(part *p, const cJSON *parameters, gemlet_text_config *t) {
    static const char *const scaled[2] = {"linear", "proportional"};
    const char *other = scaled[t->traits->partial_rotation ? 1 : 0];
    const cJSON *kind = member(parameters, "rope_type") != NULL ? member(parameters, "rope_type") : member(parameters, "type");
    gemlet_attention_config *globals = &t->kinds[GEMLET_GLOBAL_LAYER];
    part of_kind = *p;
    of_kind.json = parameters;
    globals->rope_factor = 1.0f;
    globals->rotated_pairs = parameters == NULL ? globals->head_width / 8 : globals->head_width / 2;
    if (cJSON_IsString(kind) && strcmp(kind->valuestring, other) == 0) {
        globals->rope_factor = real_or(&of_kind, "factor", 1.0f);
        double share = t->traits->partial_rotation ? (double)real_or(&of_kind, "partial_rotary_factor", 1.0f) : 1.0;
        globals->rotated_pairs = share > 0.0 && share <= 1.0 ? (uint32_t)(share * globals->head_width / 2.0) : UINT32_MAX;
    } else if (cJSON_IsString(kind) && strcmp(kind->valuestring, "default") != 0 && *p->status == GEMLET_OK) {
        *p->status = pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED,
                               "%s: RoPE scaling \"%s\" is not supported, \"%s\" or \"default\" expected", p->path,
                               kind->valuestring, other);
    }
}

/* rope_scaling is an older name for what rope_parameters say of the global kind, as rope_theta and rope_local_base_freq are. */
static void read_rope(part *p, gemlet_text_config *t) {
    const cJSON *both = member(p->json, "rope_parameters"), *scaling = member(p->json, "rope_scaling");
    const cJSON *full = member(both, "full_attention");
    part global = *p, local = *p;
    global.json = full;
    local.json = member(both, "sliding_attention");
    t->kinds[GEMLET_GLOBAL_LAYER].rope_base = real_or(&global, "rope_theta", real_or(p, "rope_theta", 1e6f));
    t->kinds[GEMLET_LOCAL_LAYER].rope_base = real_or(&local, "rope_theta", real_or(p, "rope_local_base_freq", 1e4f));
    if (*p->status == GEMLET_OK && full != NULL && cJSON_IsObject(scaling)) {
        *p->status = pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED,
                               "%s: \"rope_scaling\" and \"rope_parameters\" both speak of global layers: keep one", p->path);
    }
    if (*p->status == GEMLET_OK) {
        read_rope_kind(p, full != NULL ? full : scaling, t);
    }
}

static void read_layer_types(part *p, gemlet_text_config *t, uint32_t period) {
    const cJSON *types = member(p->json, "layer_types");
    uint32_t every = whole_or(p, "sliding_window_pattern", period);
    if (cJSON_IsArray(types) && cJSON_GetArraySize(types) != (int)t->layers && *p->status == GEMLET_OK) {
        *p->status = pack_fail(p->error, GEMLET_ERROR_FORMAT, "%s: \"layer_types\" must be %u, one a layer, but are %d", p->path,
                               t->layers, cJSON_GetArraySize(types));
    }
    for (uint32_t i = 0; i < t->layers; i++) {
        const cJSON *type = cJSON_GetArrayItem(types, (int)i);
        bool local =
            cJSON_IsString(type) ? strcmp(type->valuestring, "sliding_attention") == 0 : every != 0 && (i + 1) % every != 0;
        t->layer[i].kind = local ? GEMLET_LOCAL_LAYER : GEMLET_GLOBAL_LAYER;
    }
}

static double transformed(double value, pack_transform transform) {
    switch (transform) {
    case PACK_INVERSE_ROOT: return 1.0f / sqrtf((float)value);
    case PACK_NORMAL_QUANTILE: return value > 0.0 ? normal_quantile(value) : 0.0;
    case PACK_AS_IS: break;
    }
    return value;
}

/* Where nothing is said of sparse gates, those of the first ten layers are cut off, in models of more. */
static double otherwise(const pack_json_number *n, uint32_t layer, const gemlet_text_config *t) {
    bool sparse = n->transform == PACK_NORMAL_QUANTILE && t->layers > 10 && layer < 10;
    return sparse ? 0.95 : n->otherwise;
}

static void read_numbers(part *p, const pack_family *family, gemlet_text_config *t) {
    for (const pack_json_number *n = family->numbers; n->name != NULL && *p->status == GEMLET_OK; n++) {
        const gemlet_text_key *key = pack_text_key(n->suffix);
        uint32_t elements = gemlet_text_key_elements(key, t);
        double most = n->transform == PACK_NORMAL_QUANTILE ? 0.999999 : key->type == GEMLET_TEXT_KEY_U32 ? 4294967295.0 : 1e30;
        for (uint32_t i = 0; i < elements && *p->status == GEMLET_OK; i++) {
            pack_set_key(t, key, i, transformed(element(p, n->name, i, otherwise(n, i, t), most), n->transform));
        }
        bool needed = family->needed != NULL && strcmp(family->needed, n->suffix) == 0;
        if (needed && *p->status == GEMLET_OK && *(const uint32_t *)(const void *)((const unsigned char *)t + key->place) == 0) {
            *p->status = pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED, "%s: %s", p->path, family->without);
        }
        if (t->layers > GEMLET_MAX_LAYERS) {
            *p->status = pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED, "%s: 1 to %d layers expected, found %u", p->path,
                                   GEMLET_MAX_LAYERS, t->layers);
        }
    }
}

/* Newer files say what differs between layers by layer: {"5": {"head_dim": 512}, ...}.  Only the heads of global layers may. */
static void read_layer_overrides(part *p, gemlet_text_config *t) {
    const cJSON *overrides = member(p->json, "per_layer_config");
    gemlet_attention_config *globals = &t->kinds[GEMLET_GLOBAL_LAYER];
    uint32_t seen = 0, wanted = 0;
    if (overrides != NULL && !cJSON_IsNull(overrides) && !cJSON_IsObject(overrides) && *p->status == GEMLET_OK) {
        *p->status =
            pack_fail(p->error, GEMLET_ERROR_FORMAT,
                      "%s: \"per_layer_config\" must be an object, {\"LAYER\": {...}, ...}, but is a list or a value", p->path);
    }
    for (const cJSON *entry = overrides != NULL ? overrides->child : NULL; entry != NULL && *p->status == GEMLET_OK;
         entry = entry->next) {
        char *end;
        unsigned long layer = strtoul(entry->string, &end, 10);
        part one = *p;
        one.json = entry;
        uint32_t width = whole(&one, "head_dim");
        uint32_t key_heads = whole_or(&one, "num_key_value_heads", globals->kv_heads);
        bool fits = *end == '\0' && layer < t->layers && t->layer[layer].kind == GEMLET_GLOBAL_LAYER &&
                    (seen == 0 || width == globals->head_width) && key_heads == globals->kv_heads;
        if (!fits && *p->status == GEMLET_OK) {
            *p->status =
                pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED,
                          "%s: \"per_layer_config\" may only give all global layers one \"head_dim\", but not so for \"%s\"",
                          p->path, entry->string);
        }
        globals->head_width = width;
        seen++;
    }
    for (uint32_t i = 0; i < t->layers; i++) {
        wanted += t->layer[i].kind == GEMLET_GLOBAL_LAYER ? 1 : 0;
    }
    if (*p->status == GEMLET_OK && seen != 0 && seen != wanted) {
        *p->status = pack_fail(p->error, GEMLET_ERROR_UNSUPPORTED,
                               "%s: \"per_layer_config\" must speak of all %u global layers, not of %u", p->path, wanted, seen);
    }
}

/* The feed-forward of layers that read the keys of others is twice as wide in some models. */
static void widen_shared_layers(part *p, gemlet_text_config *t) {
    for (uint32_t i = 0; i < t->layers && cJSON_IsTrue(member(p->json, "use_double_wide_mlp")); i++) {
        uint32_t width = t->layer[i].feed_forward;
        t->layer[i].feed_forward = i + t->shared_layers >= t->layers && width <= UINT32_MAX / 2 ? 2 * width : width;
    }
}

static gemlet_status read_text(part *p, pack_model *model) {
    pack_begin_config(model->family, &model->text);
    read_numbers(p, model->family, &model->text);
    if (*p->status != GEMLET_OK) {
        return *p->status;
    }
    read_layer_types(p, &model->text, model->family->global_period);
    if (model->text.traits->local_heads) {
        read_layer_overrides(p, &model->text);
    }
    widen_shared_layers(p, &model->text);
    read_rope(p, &model->text);
    model->bos = whole_or(p, "bos_token_id", 2);
    model->padding = whole_or(p, "pad_token_id", 0);
    const cJSON *eos = member(p->json, "eos_token_id");
    model->eos = cJSON_IsArray(eos) ? (uint32_t)element(p, "eos_token_id", 0, 1.0, 4294967295.0) : whole_or(p, "eos_token_id", 1);
    return *p->status;
}

/* Fills the structure that the table of numbers is about. */
static void read_table(part *p, const pack_number *numbers, void *out) {
    for (const pack_number *n = numbers; n->suffix != NULL; n++) {
        unsigned char *place = (unsigned char *)out + n->place;
        if (n->json != NULL && n->real) {
            *(float *)(void *)place = real_or(p, n->json, (float)n->otherwise);
        } else if (n->json != NULL) {
            *(uint32_t *)(void *)place = isnan(n->otherwise) ? whole(p, n->json) : whole_or(p, n->json, (uint32_t)n->otherwise);
        }
    }
}

/* What config.json calls the ids around soft tokens, and how many of these there are. */
typedef struct splice_names {
    const char *begin, *end, *soft, *count;
    uint32_t otherwise; /* soft tokens */
} splice_names;

/* An encoder's embedder; `whole_file` holds the ids. */
static void read_embedder(part *p, part *whole_file, const splice_names *names, pack_embedder *e) {
    e->present = true;
    read_table(p, pack_embedder_numbers, e);
    e->begin_id = whole(whole_file, names->begin);
    e->end_id = whole_or(whole_file, names->end, e->vocabulary_offset);
    e->soft_id = whole(whole_file, names->soft);
    e->soft_tokens = whole_or(whole_file, names->count, names->otherwise);
}

/* The encoders; `p` is the whole configuration. */
static gemlet_status read_encoders(part *p, pack_model *model) {
    static const splice_names image = {"boi_token_id", "eoi_token_id", "image_token_id", "vision_soft_tokens_per_image", 256};
    static const splice_names sound = {"boa_token_id", "eoa_token_id", "audio_token_id", "audio_soft_tokens_per_image", 188};
    part vision = *p, audio = *p;
    vision.json = member(p->json, "vision_config");
    audio.json = member(p->json, "audio_config");
    if (vision.json == NULL || cJSON_IsNull(vision.json)) {
        return GEMLET_OK;
    }
    read_embedder(&vision, p, &image, &model->image);
    if (audio.json != NULL && !cJSON_IsNull(audio.json)) {
        read_embedder(&audio, p, &sound, &model->sound);
        read_table(&audio, model->family->sound_numbers, &model->audio);
    }
    return *p->status;
}

/* A token's id, which transformers calls NAME_id or NAME_index. */
static uint32_t token_of(part *p, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "%s_id", name);
    if (member(p->json, full) == NULL) {
        snprintf(full, sizeof full, "%s_index", name);
    }
    return whole(p, full);
}

/* An image encoder that is a transformer. */
static gemlet_status read_vit(part *p, pack_model *model) {
    bool square = model->family->vit->square;
    part vision = *p, rope = *p;
    vision.json = member(p->json, "vision_config");
    if (vision.json == NULL || cJSON_IsNull(vision.json)) {
        return GEMLET_OK;
    }
    rope.json = member(vision.json, "rope_parameters");
    model->image = (pack_embedder){.present = true};
    model->image.rms_epsilon = real_or(&vision, square ? "layer_norm_eps" : "rms_norm_eps", 1e-6f);
    model->image.width = whole_or(&vision, "hidden_size", square ? 1152 : 768);
    model->image.soft_tokens = square
                                   ? whole_or(p, "mm_tokens_per_image", 256)
                                   : whole_or(p, "vision_soft_tokens_per_image", whole_or(&vision, "default_output_length", 280));
    model->image.begin_id = token_of(p, "boi_token");
    model->image.end_id = token_of(p, "eoi_token");
    model->image.soft_id = token_of(p, "image_token");
    read_table(&vision, model->family->vit_numbers, &model->vit);
    model->vit.rope_base = real_or(&rope, "rope_theta", 100.0f);
    if (square && model->vit.head_count != 0) {
        model->vit.head_width = model->image.width / model->vit.head_count;
    }
    return *p->status;
}

/* The sound encoder of Gemma 4, which has ids but no embeddings of its own.  What its configuration does not say is the same in
 * all. */
static gemlet_status read_gemma4_sound(part *p, pack_model *model) {
    part audio = *p;
    audio.json = member(p->json, "audio_config");
    if (audio.json == NULL || cJSON_IsNull(audio.json)) {
        return GEMLET_OK;
    }
    model->sound = (pack_embedder){.present = true, .rms_epsilon = real_or(&audio, "rms_norm_eps", 1e-6f)};
    model->sound.width = whole_or(&audio, "output_proj_dims", 1536);
    model->sound.begin_id = whole(p, "boa_token_id");
    model->sound.end_id = token_of(p, "eoa_token");
    model->sound.soft_id = whole(p, "audio_token_id");
    model->audio = (pack_audio){.mel_bins = 128, .reduction_factor = 1, .group_norm_epsilon = 1e-6f};
    read_table(&audio, model->family->sound_numbers, &model->audio);
    return *p->status;
}

static gemlet_status read_json(const char *path, cJSON **json, gemlet_error *error) {
    char *text = NULL;
    size_t length = 0;
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
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    if (!pack_is_there(path)) {
        return GEMLET_OK; /* newer folders keep it elsewhere; 768 is what every published model has */
    }
    gemlet_status status = read_json(path, &json, error);
    status = status != GEMLET_OK ? status : pack_check_preprocessor(model, json, path, error);
    part p = {member(json, "size"), path, error, &status};
    model->image_size = whole_or(&p, "height", 768);
    if (whole_or(&p, "width", model->image_size) != model->image_size && status == GEMLET_OK) {
        status = pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: \"size\" must be a square", path);
    }
    cJSON_Delete(json);
    return status;
}

/* The encoders, as far as the family's are packed. */
static gemlet_status read_family_encoders(part *p, pack_model *model, const char *folder, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    if (model->family->vit == NULL) {
        status = read_encoders(p, model);
        return status != GEMLET_OK || !model->image.present ? status : read_image_size(model, folder, error);
    }
    if (model->family->sound_numbers == pack_gemma4a_numbers) {
        status = read_gemma4_sound(p, model);
    }
    return status != GEMLET_OK ? status : read_vit(p, model);
}

/* transformers asks the outermost configuration; where it is silent, the head is the embedding. */
static bool is_head_apart(const cJSON *json) {
    return cJSON_IsFalse(member(json, "tie_word_embeddings"));
}

gemlet_status pack_load_config(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096];
    cJSON *json = NULL;
    snprintf(path, sizeof path, "%s/config.json", folder);
    gemlet_status status = read_json(path, &json, error);
    if (status != GEMLET_OK) {
        return status;
    }
    const cJSON *type = member(json, "model_type"), *nested = member(json, "text_config");
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    model->family = pack_family_of_model_type(name);
    if (model->family == NULL) {
        status = pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: model type \"%s\" is not supported: give a %s model", path, name,
                           pack_family_names());
    }
    model->head_apart = is_head_apart(json);
    part whole_file = {json, path, error, &status};
    part text = {nested != NULL ? nested : json, path, error, &status};
    status = status != GEMLET_OK ? status : pack_check_config(model, json, path, error);
    status = status != GEMLET_OK ? status : pack_read_quantization(&model->quantization, json, path, error);
    status = status != GEMLET_OK ? status : read_text(&text, model);
    status = status != GEMLET_OK ? status : read_family_encoders(&whole_file, model, folder, error);
    cJSON_Delete(json);
    return status;
}
