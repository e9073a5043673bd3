#include "tests/tokenizer/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/sentencepiece_model.h"
#include "model/pack/tokenizer_build.h"
#include "model/pack/tokenizer_json.h"

unsigned char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    unsigned char *data = NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
    } else {
        *bytes = (size_t)ftell(file);
        rewind(file);
        data = malloc(*bytes + 1);
        if (data == NULL || fread(data, 1, *bytes, file) != *bytes) {
            perror(path);
            free(data);
            data = NULL;
        } else {
            data[*bytes] = '\0';
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return data;
}

static gemlet_status add_tokens(gemlet_vocabulary *vocabulary, char *lines, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (char *line = strtok(lines, "\n"); line != NULL && status == GEMLET_OK; line = strtok(NULL, "\n")) {
        char *text;
        size_t row = strtoul(line, &text, 10);
        text++;
        status = gemlet_vocabulary_add(vocabulary, row, text, strlen(text), 1, error);
    }
    return status;
}

static gemlet_status build(test_tokenizer *out, const gemlet_vocabulary *vocabulary, gemlet_error *error) {
    gemlet_status status = gemlet_tokenizer_build(vocabulary, &out->tables, &out->bytes, error);
    return status == GEMLET_OK ? gemlet_tokenizer_open(&out->tokenizer, out->tables, out->bytes, error) : status;
}

static bool succeeded(gemlet_status status, const gemlet_error *error) {
    if (status != GEMLET_OK) {
        fprintf(stderr, "%s\n", error->message);
    }
    return status == GEMLET_OK;
}

bool test_tokenizer_load(test_tokenizer *out, const char *model, const char *added, size_t rows) {
    gemlet_error error = {0};
    gemlet_vocabulary vocabulary = {0};
    size_t bytes;
    size_t added_bytes;
    *out = (test_tokenizer){0};
    unsigned char *data = read_file(model, &bytes);
    char *lines = added != NULL ? (char *)read_file(added, &added_bytes) : NULL;
    void *texts = NULL;
    bool json = strlen(model) > 5 && strcmp(model + strlen(model) - 5, ".json") == 0;
    gemlet_status status = GEMLET_ERROR_IO;
    if (data != NULL && json) {
        status = gemlet_tokenizer_json_read((const char *)data, bytes, model, &vocabulary, &texts, &error);
    } else if (data != NULL) {
        status = gemlet_sentencepiece_read(data, bytes, &vocabulary, &error);
    }
    if (status == GEMLET_OK && lines != NULL) {
        status = add_tokens(&vocabulary, lines, &error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_vocabulary_grow(&vocabulary, rows, &error);
    }
    if (status == GEMLET_OK) {
        status = build(out, &vocabulary, &error);
    }
    gemlet_vocabulary_free(&vocabulary);
    free(texts);
    free(lines);
    free(data);
    return succeeded(status, &error);
}

static gemlet_status read_rows(const unsigned char *data, size_t bytes, gemlet_vocabulary *vocabulary, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (size_t at = 0, row = 0; at + 12 <= bytes && status == GEMLET_OK; row++) {
        int32_t type;
        float score;
        uint32_t length;
        memcpy(&type, data + at, 4);
        memcpy(&score, data + at + 4, 4);
        memcpy(&length, data + at + 8, 4);
        status = gemlet_vocabulary_grow(vocabulary, row + 1, error);
        if (status == GEMLET_OK) {
            status = gemlet_vocabulary_set(vocabulary, row, (const char *)data + at + 12, length, score, type, error);
        }
        at += 12 + length;
    }
    return status;
}

bool test_tokenizer_load_rows(test_tokenizer *out, const char *path) {
    gemlet_error error = {0};
    gemlet_vocabulary vocabulary = {0};
    size_t bytes;
    *out = (test_tokenizer){0};
    unsigned char *data = read_file(path, &bytes);
    gemlet_status status = data == NULL ? GEMLET_ERROR_IO : read_rows(data, bytes, &vocabulary, &error);
    if (status == GEMLET_OK) {
        status = build(out, &vocabulary, &error);
    }
    gemlet_vocabulary_free(&vocabulary);
    free(data);
    return succeeded(status, &error);
}

void test_tokenizer_free(test_tokenizer *t) {
    free(t->tables);
    t->tables = NULL;
}

gemlet_status id_list_append(void *context, const uint32_t *ids, size_t count) {
    id_list *list = context;
    if (list->count + count > list->capacity) {
        size_t capacity = 2 * (list->count + count);
        uint32_t *grown = realloc(list->ids, capacity * sizeof *grown);
        if (grown == NULL) {
            return GEMLET_ERROR_MEMORY;
        }
        list->ids = grown;
        list->capacity = capacity;
    }
    memcpy(list->ids + list->count, ids, count * sizeof *ids);
    list->count += count;
    return GEMLET_OK;
}

gemlet_status encode_text(const gemlet_tokenizer *tokenizer, gemlet_text_mode mode, void *scratch, size_t scratch_bytes,
                          const void *text, size_t bytes, size_t feed, id_list *out, gemlet_error *error) {
    gemlet_encoder encoder;
    out->count = 0;
    gemlet_status status = gemlet_encoder_begin(&encoder, tokenizer, mode, scratch, scratch_bytes, id_list_append, out, error);
    feed = feed == 0 ? bytes : feed;
    for (size_t at = 0; at < bytes && status == GEMLET_OK; at += feed) {
        status = gemlet_encoder_feed(&encoder, (const char *)text + at, bytes - at < feed ? bytes - at : feed, error);
    }
    return status == GEMLET_OK ? gemlet_encoder_finish(&encoder, error) : status;
}

uint32_t hash_ids(const uint32_t *ids, size_t count) {
    uint32_t hash = 0x811C9DC5u;
    for (size_t i = 0; i < count; i++) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            hash = (hash ^ (ids[i] >> shift & 255)) * 0x01000193u;
        }
    }
    return hash;
}

static uint32_t read_number(const unsigned char *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

bool reference_next(const unsigned char *file, size_t bytes, size_t *at, reference_line *line) {
    *at = *at == 0 ? 8 : *at;
    if (*at + 4 > bytes || memcmp(file, "GLTR", 4) != 0) {
        return false;
    }
    line->bytes = read_number(file + *at);
    line->text = file + *at + 4;
    if (line->bytes + 20 > bytes - *at) {
        return false;
    }
    for (size_t mode = 0; mode < 2; mode++) {
        line->count[mode] = read_number(line->text + line->bytes + 8 * mode);
        line->hash[mode] = read_number(line->text + line->bytes + 8 * mode + 4);
    }
    *at += line->bytes + 20;
    return true;
}
