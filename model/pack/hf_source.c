/* A model from a folder of Hugging Face: config.json, safetensors in one or more files, tokenizer.model or tokenizer.json. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/model.h"
#include "model/pack/sentencepiece_model.h"
#include "model/pack/tokenizer_json.h"
#include "model/text/tensors.h"

/* ---- Weights ---- */

/* Loads each file that the index names, once.  A name with a folder in it is refused: it could lead anywhere. */
static gemlet_status load_indexed(pack_model *model, const char *folder, const cJSON *map, gemlet_error *error) {
    char path[4096];
    gemlet_status status = GEMLET_OK;
    const cJSON *entry = cJSON_IsObject(map) ? map->child : NULL;
    for (; entry != NULL && status == GEMLET_OK; entry = entry->next) {
        if (!cJSON_IsString(entry) || strchr(entry->valuestring, '/') != NULL) {
            return pack_fail(error, GEMLET_ERROR_FORMAT, "%s/model.safetensors.index.json: \"%s\" must name a file of the folder",
                             folder, entry->string);
        }
        bool known = false;
        snprintf(path, sizeof path, "%s/%s", folder, entry->valuestring);
        for (size_t i = 0; i < model->file_count; i++) {
            known = known || strcmp(model->files[i].path, path) == 0;
        }
        status = known ? GEMLET_OK : pack_load_safetensors(model, path, error);
    }
    return status;
}

static gemlet_status load_weights(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096], *text = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    if (!pack_is_there(path)) {
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        return pack_load_safetensors(model, path, error);
    }
    gemlet_status status = pack_read_whole(path, 64 << 20, &text, &length, error);
    if (status != GEMLET_OK) {
        return status;
    }
    cJSON *json = cJSON_ParseWithLength(text, length);
    free(text);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    status = cJSON_IsObject(map) ? load_indexed(model, folder, map, error)
                                 : pack_fail(error, GEMLET_ERROR_FORMAT, "%s: holds no \"weight_map\": download it again", path);
    cJSON_Delete(json);
    return status;
}

/* ---- Vocabulary ---- */

static bool is_on(const cJSON *token, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(token, name);
    return value != NULL && !cJSON_IsNull(value) && !cJSON_IsFalse(value);
}

/* Tokens that the tokenizer's configuration adds.  Their texts move to `texts`, which has room for the whole file. */
static gemlet_status add_tokens(pack_model *model, const cJSON *added, const char *path, char *texts, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (const cJSON *entry = cJSON_IsObject(added) ? added->child : NULL; entry != NULL && status == GEMLET_OK;
         entry = entry->next) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(entry, "content");
        char *end;
        unsigned long row = strtoul(entry->string, &end, 10);
        if (!cJSON_IsString(content) || *end != '\0' || end == entry->string || row > 1u << 24) {
            return pack_fail(error, GEMLET_ERROR_FORMAT,
                             "%s: \"added_tokens_decoder\" must give a content for each id, but not so for \"%s\"", path,
                             entry->string);
        }
        if (is_on(entry, "single_word") || is_on(entry, "lstrip") || is_on(entry, "rstrip")) {
            return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                             "%s: \"%.64s\" of \"added_tokens_decoder\" must be a token without single_word, lstrip and rstrip, as "
                             "Gemma's are",
                             path, content->valuestring);
        }
        size_t length = strlen(content->valuestring);
        memcpy(texts, content->valuestring, length);
        bool special = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "special"));
        status = gemlet_vocabulary_add(&model->vocabulary, row, texts, length, special, error);
        texts += length;
    }
    return status;
}

static gemlet_status load_added(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096], *text = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    gemlet_status status = pack_read_whole(path, 64 << 20, &text, &length, error);
    if (status != GEMLET_OK) {
        return status;
    }
    cJSON *json = cJSON_ParseWithLength(text, length);
    free(text);
    model->texts[1] = malloc(length + 1);
    if (json == NULL || model->texts[1] == NULL) {
        cJSON_Delete(json);
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: is not JSON: download it again", path);
    }
    status = add_tokens(model, cJSON_GetObjectItemCaseSensitive(json, "added_tokens_decoder"), path, model->texts[1], error);
    cJSON_Delete(json);
    return status;
}

/* Where there is tokenizer.model, tokenizer.json was made from it; Gemma 4 and what fast tokenizers save have the latter alone. */
static gemlet_status load_pieces(pack_model *model, const char *folder, gemlet_error *error) {
    char path[4096], *bytes = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/tokenizer.model", folder);
    if (pack_is_there(path)) {
        gemlet_status status = pack_read_whole(path, 64 << 20, &bytes, &length, error);
        model->texts[0] = bytes;
        status = status != GEMLET_OK ? status : gemlet_sentencepiece_read(bytes, length, &model->vocabulary, error);
        return status != GEMLET_OK ? status : load_added(model, folder, error);
    }
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    if (!pack_is_there(path)) {
        return pack_fail(
            error, GEMLET_ERROR_IO,
            "%s: holds neither tokenizer.model nor tokenizer.json: copy one from the folder of the published model that "
            "this one was made from",
            folder);
    }
    gemlet_status status = pack_read_whole(path, 256 << 20, &bytes, &length, error);
    status =
        status != GEMLET_OK ? status : gemlet_tokenizer_json_read(bytes, length, path, &model->vocabulary, &model->texts[0], error);
    free(bytes);
    return status;
}

static gemlet_status load_vocabulary(pack_model *model, const char *folder, gemlet_error *error) {
    gemlet_status status = load_pieces(model, folder, error);
    const pack_tensor *words = pack_find(model, "token_embd.weight");
    if (status == GEMLET_OK && words != NULL && words->shape[0] <= 1u << 24) {
        status = gemlet_vocabulary_grow(&model->vocabulary, (size_t)words->shape[0], error);
    }
    return status;
}

/* The folder's own name, which is what llama.cpp's converter takes too where the files have none. */
static void name_model(pack_model *model, const char *folder) {
    size_t end = strlen(folder);
    while (end > 0 && folder[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && folder[start - 1] != '/') {
        start--;
    }
    snprintf(model->name, sizeof model->name, "%.*s", (int)(end - start), folder + start);
}

gemlet_status pack_load_hf(pack_model *model, const char *folder, gemlet_error *error) {
    name_model(model, folder);
    gemlet_status status = pack_load_config(model, folder, error);
    status = status != GEMLET_OK ? status : load_weights(model, folder, error);
    status = status != GEMLET_OK ? status : pack_sort_tensors(model, error);
    if (status == GEMLET_OK && model->head_apart && pack_find(model, GEMLET_HEAD_TENSOR) == NULL) {
        status = pack_fail(error, GEMLET_ERROR_FORMAT,
                           "%s: lacks the tensor \"lm_head.weight\", which is not the embedding: config.json has "
                           "\"tie_word_embeddings\": false",
                           folder);
    }
    status = status != GEMLET_OK ? status : load_vocabulary(model, folder, error);
    return status;
}
