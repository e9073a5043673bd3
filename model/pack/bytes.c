#include "model/pack/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "model/container/container.h"

void pack_bytes_free(pack_bytes *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

void pack_put(pack_bytes *b, const void *bytes, size_t length) {
    if (b->capacity - b->length < length) {
        size_t capacity = 2 * b->capacity + length + 4096;
        unsigned char *grown = realloc(b->data, capacity);
        if (grown == NULL) {
            b->failed = true;
            return;
        }
        b->data = grown;
        b->capacity = capacity;
    }
    if (length > 0) {
        memcpy(b->data + b->length, bytes, length);
    }
    b->length += length;
}

void pack_put_u32(pack_bytes *b, uint32_t number) {
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i) & 255);
    }
    pack_put(b, bytes, sizeof bytes);
}

void pack_put_u64(pack_bytes *b, uint64_t number) {
    pack_put_u32(b, (uint32_t)(number & UINT32_MAX));
    pack_put_u32(b, (uint32_t)(number >> 32));
}

void pack_put_string(pack_bytes *b, const char *text) {
    pack_put_u64(b, strlen(text));
    pack_put(b, text, strlen(text));
}

static void put_key(pack_bytes *b, const char *key, gemlet_value_type type) {
    pack_put_string(b, key);
    pack_put_u32(b, (uint32_t)type);
    b->key_count++;
}

static void put_f32(pack_bytes *b, float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    pack_put_u32(b, bits);
}

void pack_key_u32(pack_bytes *b, const char *key, uint32_t number) {
    put_key(b, key, GEMLET_VALUE_UINT32);
    pack_put_u32(b, number);
}

void pack_key_f32(pack_bytes *b, const char *key, float number) {
    put_key(b, key, GEMLET_VALUE_FLOAT32);
    put_f32(b, number);
}

void pack_key_string(pack_bytes *b, const char *key, const char *text) {
    put_key(b, key, GEMLET_VALUE_STRING);
    pack_put_string(b, text);
}

static void put_array(pack_bytes *b, const char *key, gemlet_value_type type, size_t count) {
    put_key(b, key, GEMLET_VALUE_ARRAY);
    pack_put_u32(b, (uint32_t)type);
    pack_put_u64(b, count);
}

void pack_key_u32s(pack_bytes *b, const char *key, const uint32_t *numbers, size_t count) {
    put_array(b, key, GEMLET_VALUE_UINT32, count);
    for (size_t i = 0; i < count; i++) {
        pack_put_u32(b, numbers[i]);
    }
}

void pack_key_f32s(pack_bytes *b, const char *key, const float *numbers, size_t count) {
    put_array(b, key, GEMLET_VALUE_FLOAT32, count);
    for (size_t i = 0; i < count; i++) {
        put_f32(b, numbers[i]);
    }
}

void pack_key_bools(pack_bytes *b, const char *key, const bool *values, size_t count) {
    put_array(b, key, GEMLET_VALUE_BOOL, count);
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = values[i] ? 1 : 0;
        pack_put(b, &byte, 1);
    }
}
