#include "model/container/cursor.h"

#include <string.h>

#include "core/text.h"

bool gemlet_container_next_key(gemlet_container *container, uint64_t *cursor, char key[GEMLET_KEY_BYTES], gemlet_value *value) {
    gemlet_cursor at = gemlet_cursor_at(container, *cursor == 0 ? container->keys : *cursor);
    const char *problem;
    if (at.position >= container->descriptions) {
        return false;
    }
    gemlet_cursor_string(&at, key, GEMLET_KEY_BYTES);
    gemlet_cursor_value(&at, value, &problem);
    *cursor = at.position;
    return !at.failed;
}

bool gemlet_container_find(gemlet_container *container, const char *key, gemlet_value *value) {
    char found[GEMLET_KEY_BYTES];
    gemlet_value here;
    uint64_t cursor = 0;
    while (gemlet_container_next_key(container, &cursor, found, &here)) {
        if (gemlet_text_equal(found, key)) {
            if (value != NULL) {
                *value = here;
            }
            return true;
        }
    }
    return false;
}

static gemlet_status key_failed(const gemlet_container *container, const char *key, const char *problem, gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_FORMAT, container->path);
    gemlet_error_text(error, ": key \"");
    gemlet_error_text(error, key);
    gemlet_error_text(error, "\" ");
    gemlet_error_text(error, problem);
    return GEMLET_ERROR_FORMAT;
}

/* A key that was not found or not read has this problem, unless the port has failed. */
static gemlet_status key_unread(const gemlet_container *container, const char *key, const char *problem, gemlet_error *error) {
    gemlet_status status = gemlet_container_check_read(container, error);
    return status != GEMLET_OK ? status : key_failed(container, key, problem, error);
}

/* Finds element `index` of `key` and reads its bytes as a little-endian number. */
static gemlet_status element(gemlet_container *container, const char *key, uint64_t index, gemlet_value_type *type, uint64_t *bits,
                             gemlet_error *error) {
    gemlet_value value;
    unsigned char b[8];
    if (!gemlet_container_find(container, key, &value)) {
        return key_unread(container, key, "is missing", error);
    }
    uint32_t bytes = gemlet_value_bytes(value.type);
    if (bytes == 0) {
        return key_failed(container, key, "must hold numbers, but holds a string", error);
    }
    if (value.array && index >= value.count) {
        key_failed(container, key, "must hold at least ", error);
        gemlet_error_number(error, index + 1);
        gemlet_error_text(error, " numbers, but holds ");
        gemlet_error_number(error, value.count);
        return GEMLET_ERROR_FORMAT;
    }
    gemlet_cursor at = gemlet_cursor_at(container, value.offset + (value.array ? index * bytes : 0));
    gemlet_cursor_bytes(&at, b, bytes);
    *type = value.type;
    *bits = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        *bits |= (uint64_t)b[i] << (8 * i);
    }
    return at.failed ? key_unread(container, key, "ends beyond the file", error) : GEMLET_OK;
}

gemlet_status gemlet_container_u32(gemlet_container *container, const char *key, uint64_t index, uint32_t *out,
                                   gemlet_error *error) {
    gemlet_value_type type;
    uint64_t bits;
    gemlet_status status = element(container, key, index, &type, &bits, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (type == GEMLET_VALUE_FLOAT32 || type == GEMLET_VALUE_FLOAT64 || type == GEMLET_VALUE_BOOL) {
        return key_failed(container, key, "must hold whole numbers", error);
    }
    bool is_signed =
        type == GEMLET_VALUE_INT8 || type == GEMLET_VALUE_INT16 || type == GEMLET_VALUE_INT32 || type == GEMLET_VALUE_INT64;
    if (is_signed && bits >> (8 * gemlet_value_bytes(type) - 1) != 0) {
        return key_failed(container, key, "must not be negative", error);
    }
    if (bits > UINT32_MAX) {
        return key_failed(container, key, "is too large", error);
    }
    *out = (uint32_t)bits;
    return GEMLET_OK;
}

gemlet_status gemlet_container_f32(gemlet_container *container, const char *key, uint64_t index, float *out, gemlet_error *error) {
    gemlet_value_type type;
    uint64_t bits;
    gemlet_status status = element(container, key, index, &type, &bits, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (type == GEMLET_VALUE_FLOAT32) {
        uint32_t word = (uint32_t)bits;
        memcpy(out, &word, sizeof *out);
    } else if (type == GEMLET_VALUE_FLOAT64) {
        double number;
        memcpy(&number, &bits, sizeof number);
        *out = (float)number;
    } else {
        return key_failed(container, key, "must hold floating-point numbers", error);
    }
    return GEMLET_OK;
}

gemlet_status gemlet_container_bool(gemlet_container *container, const char *key, uint64_t index, bool *out, gemlet_error *error) {
    gemlet_value_type type;
    uint64_t bits;
    gemlet_status status = element(container, key, index, &type, &bits, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (type != GEMLET_VALUE_BOOL || bits > 1) {
        return key_failed(container, key, "must hold true or false", error);
    }
    *out = bits == 1;
    return GEMLET_OK;
}

gemlet_status gemlet_container_string(gemlet_container *container, const char *key, char *out, size_t capacity,
                                      gemlet_error *error) {
    gemlet_value value;
    if (!gemlet_container_find(container, key, &value)) {
        return key_unread(container, key, "is missing", error);
    }
    if (value.type != GEMLET_VALUE_STRING || value.array) {
        return key_failed(container, key, "must hold a string", error);
    }
    if (value.count >= capacity) {
        key_failed(container, key, "must be shorter than ", error);
        gemlet_error_number(error, capacity);
        gemlet_error_text(error, " bytes, but has ");
        gemlet_error_number(error, value.count);
        return GEMLET_ERROR_FORMAT;
    }
    gemlet_cursor at = gemlet_cursor_at(container, value.offset);
    gemlet_cursor_bytes(&at, out, (size_t)value.count);
    out[value.count] = '\0';
    if (at.failed) {
        return key_unread(container, key, "ends beyond the file", error);
    }
    return strlen(out) != (size_t)value.count ? key_failed(container, key, "holds a NUL", error) : GEMLET_OK;
}
