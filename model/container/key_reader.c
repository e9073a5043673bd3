#include "model/container/key_reader.h"

#include <math.h>
#include <string.h>

#include "core/text.h"

const char *gemlet_key_named(gemlet_key_reader *reader, const char *suffix) {
    size_t length = strlen(reader->prefix);
    memcpy(reader->key, reader->prefix, length);
    reader->key[length] = '.';
    memcpy(reader->key + length + 1, suffix, strlen(suffix) + 1);
    return reader->key;
}

bool gemlet_key_there(gemlet_key_reader *reader, const char *suffix) {
    return gemlet_container_find(reader->container, gemlet_key_named(reader, suffix), NULL);
}

void gemlet_key_fail(gemlet_key_reader *reader, gemlet_status status, const char *text) {
    reader->status = gemlet_fail(reader->error, status, reader->container->path);
    gemlet_error_text(reader->error, ": ");
    gemlet_error_text(reader->error, text);
}

/* Behind a failure: what the key holds. */
static void say_real(gemlet_key_reader *reader, float value) {
    char number[GEMLET_REAL_CHARACTERS];
    gemlet_error_text(reader->error, " but is ");
    gemlet_error_bytes(reader->error, number, gemlet_text_real(number, (double)value));
}

/* FILE: key "KEY" `text`. */
static void fail_key(gemlet_key_reader *reader, const char *text) {
    gemlet_key_fail(reader, GEMLET_ERROR_FORMAT, "key \"");
    gemlet_error_text(reader->error, reader->key);
    gemlet_error_text(reader->error, "\" ");
    gemlet_error_text(reader->error, text);
}

uint32_t gemlet_key_u32(gemlet_key_reader *reader, const char *suffix, uint64_t index, uint32_t low, uint32_t high) {
    uint32_t value = low;
    if (reader->status != GEMLET_OK) {
        return low;
    }
    reader->status = gemlet_container_u32(reader->container, gemlet_key_named(reader, suffix), index, &value, reader->error);
    if (reader->status == GEMLET_OK && (value < low || value > high)) {
        fail_key(reader, "must be ");
        gemlet_error_number(reader->error, low);
        gemlet_error_text(reader->error, " to ");
        gemlet_error_number(reader->error, high);
        gemlet_error_text(reader->error, " but is ");
        gemlet_error_number(reader->error, value);
    }
    return reader->status == GEMLET_OK ? value : low;
}

float gemlet_key_f32(gemlet_key_reader *reader, const char *suffix, uint64_t index) {
    float value = 0.0f;
    if (reader->status == GEMLET_OK) {
        reader->status = gemlet_container_f32(reader->container, gemlet_key_named(reader, suffix), index, &value, reader->error);
        if (reader->status == GEMLET_OK && !isfinite(value)) {
            fail_key(reader, "must be a finite number");
            say_real(reader, value);
        }
    }
    return reader->status == GEMLET_OK ? value : 0.0f;
}

float gemlet_key_positive(gemlet_key_reader *reader, const char *suffix, uint64_t index) {
    float value = gemlet_key_f32(reader, suffix, index);
    if (reader->status == GEMLET_OK && !(value > 0.0f)) {
        fail_key(reader, "must be above 0");
        say_real(reader, value);
    }
    return value;
}

bool gemlet_key_bool(gemlet_key_reader *reader, const char *suffix, uint64_t index) {
    bool value = false;
    if (reader->status == GEMLET_OK) {
        reader->status = gemlet_container_bool(reader->container, gemlet_key_named(reader, suffix), index, &value, reader->error);
    }
    return value;
}
