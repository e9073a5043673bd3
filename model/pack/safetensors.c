/* safetensors: eight bytes with the length of a JSON object, the object, the data.
 * https://github.com/huggingface/safetensors#format */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/model.h"

static gemlet_status refuse(const pack_file *file, const char *name, const char *problem, gemlet_error *error) {
    return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: tensor \"%s\" %s", file->path, name, problem);
}

/* A whole number in 0 .. 2^53, which is what JSON keeps exactly. */
static bool whole(const cJSON *json, uint64_t *out) {
    double value = cJSON_IsNumber(json) ? json->valuedouble : -1.0;
    if (!(value >= 0.0 && value <= 9007199254740992.0) || value != (double)(uint64_t)value) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

typedef struct type_name {
    const char *name;
    uint32_t type, bytes;
} type_name;

/* Of numbers, then of codes. */
static const type_name types[] = {{"F32", GEMLET_TYPE_F32, 4},
                                  {"F16", GEMLET_TYPE_F16, 2},
                                  {"BF16", GEMLET_TYPE_BF16, 2},
                                  {"I8", GEMLET_TYPE_I8, 1},
                                  {"U8", PACK_TYPE_U8, 1}};
enum { TYPES = sizeof types / sizeof *types, NUMBER_TYPES = 3 };

/* Bytes of an element, or 0 where the type is none that the tensor may have. */
static uint32_t read_type(const cJSON *json, bool codes, pack_tensor *t) {
    for (size_t i = 0; i < (codes ? TYPES : NUMBER_TYPES) && cJSON_IsString(json); i++) {
        if (strcmp(json->valuestring, types[i].name) == 0) {
            t->type = types[i].type;
            return types[i].bytes;
        }
    }
    return 0;
}

static bool read_shape(const cJSON *json, uint32_t bytes, pack_tensor *t) {
    int count = cJSON_IsArray(json) ? cJSON_GetArraySize(json) : -1;
    if (count < 0 || count > GEMLET_DIMENSIONS) {
        return false;
    }
    t->dimension_count = count > 0 ? (uint32_t)count : 1; /* one number has no dimension */
    t->shape[0] = 1;
    t->bytes = bytes;
    for (int i = 0; i < count; i++) {
        if (!whole(cJSON_GetArrayItem(json, i), &t->shape[i]) || t->shape[i] == 0 || t->shape[i] > UINT64_MAX / t->bytes) {
            return false;
        }
        t->bytes *= t->shape[i];
    }
    return true;
}

/* What the arithmetic does not depend on: RoPE's frequencies follow from its base, some encoders are not run. */
static bool is_left_out(const pack_family *family, const char *name) {
    static const char frequencies[] = "rotary_emb.inv_freq";
    size_t length = strlen(name), ending = sizeof frequencies - 1;
    if (length >= ending && strcmp(name + length - ending, frequencies) == 0) {
        return true;
    }
    for (const char *const *beginning = family->left_out; *beginning != NULL; beginning++) {
        if (strncmp(name, *beginning, strlen(*beginning)) == 0) {
            return true;
        }
    }
    return false;
}

/* As pack_gguf_name, of a checkpoint whose modules may have codes: their numbers are called NAME.weight, NAME.scale, ... */
static bool name_quantized(const pack_model *model, const char *name, pack_tensor *t, bool *norm) {
    char module[256], plain[256 + 8];
    const char *suffix = "";
    if (!pack_quantized_name(name, module, sizeof module, &suffix)) {
        return pack_gguf_name(model->family, name, t->name, norm);
    }
    snprintf(plain, sizeof plain, "%s.weight", module);
    if (!pack_gguf_name(model->family, plain, t->name, norm)) {
        return false;
    }
    size_t stem = strlen(t->name) - strlen(".weight");
    t->bits = strcmp(suffix, ".weight") == 0 ? pack_quantized_bits(&model->quantization, module) : 0;
    return snprintf(t->name + stem, sizeof t->name - stem, "%s", suffix) < (int)(sizeof t->name - stem);
}

static gemlet_status add_entry(pack_model *model, const pack_file *file, const cJSON *entry, uint64_t data, gemlet_error *error) {
    pack_tensor t = {.file = file};
    bool norm;
    uint64_t first, end;
    bool quantized = model->quantization.present;
    if (strcmp(entry->string, "__metadata__") == 0 || (quantized && pack_is_cache_step(entry->string))) {
        return GEMLET_OK;
    }
    if (!(quantized ? name_quantized(model, entry->string, &t, &norm)
                    : pack_gguf_name(model->family, entry->string, t.name, &norm))) {
        return is_left_out(model->family, entry->string) ? GEMLET_OK : pack_refuse_tensor(model, file, entry->string, error);
    }
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    uint32_t element = read_type(cJSON_GetObjectItemCaseSensitive(entry, "dtype"), t.bits != 0, &t);
    if (element == 0) {
        return refuse(file, entry->string,
                      t.bits != 0 ? "must have dtype U8, I8, F32, F16 or BF16" : "must have dtype F32, F16 or BF16", error);
    }
    t.bits = t.type == PACK_TYPE_U8 || t.type == GEMLET_TYPE_I8 ? t.bits : 0;
    if (!read_shape(cJSON_GetObjectItemCaseSensitive(entry, "shape"), element, &t)) {
        return refuse(file, entry->string, "must have a shape of at most 4 positive numbers", error);
    }
    if (!whole(cJSON_GetArrayItem(offsets, 0), &first) || !whole(cJSON_GetArrayItem(offsets, 1), &end) || end < first ||
        end - first != t.bytes) {
        return refuse(file, entry->string, "must have two data_offsets, as far apart as its shape says", error);
    }
    t.offset = data + first;
    t.shift = norm && model->family->norms_less_one ? 1.0f : 0.0f;
    return pack_add_tensor(model, &t, error);
}

static gemlet_status read_header(const pack_file *file, uint64_t *data, cJSON **header, gemlet_error *error) {
    unsigned char prefix[8];
    uint64_t length = 0;
    gemlet_status status = pack_read(file, 0, prefix, sizeof prefix, error);
    if (status != GEMLET_OK) {
        return status;
    }
    for (int i = 8; i-- > 0;) {
        length = length << 8 | prefix[i];
    }
    if (length < 2 || length > 100000000 || length > file->size - 8) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: is no safetensors file (a header of %llu bytes): download it again",
                         file->path, (unsigned long long)length);
    }
    char *text = malloc((size_t)length);
    status = text != NULL ? pack_read(file, 8, text, (size_t)length, error)
                          : pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the header of %s", file->path);
    if (status == GEMLET_OK) {
        *header = cJSON_ParseWithLength(text, (size_t)length);
        if (!cJSON_IsObject(*header)) {
            status = pack_fail(error, GEMLET_ERROR_FORMAT, "%s: is no safetensors file (its header is not JSON): download it again",
                               file->path);
        }
    }
    free(text);
    *data = 8 + length;
    return status;
}

gemlet_status pack_load_safetensors(pack_model *model, const char *path, gemlet_error *error) {
    const pack_file *file;
    cJSON *header = NULL;
    uint64_t data = 0;
    gemlet_status status = pack_open(model, path, &file, error);
    status = status != GEMLET_OK ? status : read_header(file, &data, &header, error);
    const cJSON *entry = header != NULL ? header->child : NULL;
    for (; entry != NULL && status == GEMLET_OK; entry = entry->next) {
        status = add_entry(model, file, entry, data, error);
    }
    cJSON_Delete(header);
    return status;
}
