#include "tests/container/gguf_builder.h"

#include <stdlib.h>
#include <string.h>

void put_bytes(gguf_builder *b, const void *bytes, size_t length) {
    if (length > BUILDER_BYTES - b->length) {
        abort();
    }
    memcpy(b->data + b->length, bytes, length);
    b->length += length;
}

static void store(unsigned char *at, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(number >> (8 * i) & 255);
    }
}

void put_u32(gguf_builder *b, uint32_t number) {
    unsigned char bytes[4];
    store(bytes, number, 4);
    put_bytes(b, bytes, 4);
}

void put_u64(gguf_builder *b, uint64_t number) {
    unsigned char bytes[8];
    store(bytes, number, 8);
    put_bytes(b, bytes, 8);
}

void put_string(gguf_builder *b, const char *text) {
    put_u64(b, strlen(text));
    put_bytes(b, text, strlen(text));
}

void put_key_u32(gguf_builder *b, const char *key, uint32_t number) {
    put_string(b, key);
    put_u32(b, 4);
    put_u32(b, number);
}

void put_key_string(gguf_builder *b, const char *key, const char *text) {
    put_string(b, key);
    put_u32(b, 8);
    put_string(b, text);
}

void put_key_u32s(gguf_builder *b, const char *key, const uint32_t *numbers, size_t count) {
    put_string(b, key);
    put_u32(b, 9);
    put_u32(b, 4);
    put_u64(b, count);
    for (size_t i = 0; i < count; i++) {
        put_u32(b, numbers[i]);
    }
}

void set_u32(gguf_builder *b, size_t at, uint32_t number) {
    store(b->data + at, number, 4);
}

void set_u64(gguf_builder *b, size_t at, uint64_t number) {
    store(b->data + at, number, 8);
}

size_t find_bytes(const gguf_builder *b, const void *what, size_t length) {
    for (size_t i = 0; i + length <= b->length; i++) {
        if (memcmp(b->data + i, what, length) == 0) {
            return i;
        }
    }
    abort();
}

size_t find_text(const gguf_builder *b, const char *text) {
    return find_bytes(b, text, strlen(text));
}

/* CRC-32 as zlib defines it, bit by bit. */
static uint32_t crc_of(const unsigned char *bytes, size_t length) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

typedef struct spec {
    const char *name;
    uint32_t kind, rows, columns, taps;
    uint32_t type;
    uint32_t dimension_count;
    uint64_t dimensions[3];
    uint32_t bytes;
} spec;

static const spec specs[] = {
    {"real", 0, 2, 3, 1, 0, 2, {3, 2, 1}, 24},      {"matrix", 1, 16, 32, 1, 24, 1, {288, 1, 1}, 288},
    {"conv", 7, 8, 16, 1, 24, 1, {128, 1, 1}, 128}, {"conv.scale", 0, 1, 8, 1, 0, 1, {8, 1, 1}, 32},
    {"depth", 8, 4, 1, 9, 0, 3, {4, 1, 9}, 144},    {"blob", 9, 0, 0, 0, 24, 1, {100, 1, 1}, 100},
};

enum { SPECS = sizeof specs / sizeof specs[0] };

static unsigned char data_byte(size_t tensor, size_t i) {
    return (unsigned char)(37 * tensor + 11 * i + 5);
}

static uint32_t table_number(size_t table, size_t tensor) {
    const spec *s = &specs[tensor];
    unsigned char bytes[512];
    for (size_t i = 0; i < s->bytes; i++) {
        bytes[i] = data_byte(tensor, i);
    }
    uint32_t numbers[5] = {s->kind, s->rows, s->columns, s->taps, crc_of(bytes, s->bytes)};
    return numbers[table];
}

static void put_tables(gguf_builder *b) {
    static const char *const keys[5] = {"gemlet.tensor.kind", "gemlet.tensor.rows", "gemlet.tensor.columns", "gemlet.tensor.taps",
                                        "gemlet.crc32"};
    for (size_t table = 0; table < 5; table++) {
        uint32_t numbers[SPECS];
        for (size_t i = 0; i < SPECS; i++) {
            numbers[i] = table_number(table, i);
        }
        put_key_u32s(b, keys[table], numbers, SPECS);
    }
}

static void pad(gguf_builder *b) {
    while (b->length % 64 != 0) {
        put_bytes(b, "", 1);
    }
}

/* Longer than what the reader holds of the file at a time. */
static void put_long_key(gguf_builder *b) {
    char text[2500];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put_key_string(b, "general.description", text);
}

void build_packed(gguf_builder *b, packed_places *places) {
    uint64_t offset = 0;
    b->length = 0;
    put_bytes(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, SPECS);
    put_u64(b, 15);
    places->keys = b->length;
    put_long_key(b);
    put_key_string(b, "general.architecture", "gemma3n");
    put_key_u32(b, "general.alignment", 64);
    put_key_u32(b, "gemlet.version", 1);
    put_key_u32(b, "gemlet.header.crc32", 0);
    size_t crc32 = b->length - 4;
    put_tables(b);
    put_key_u32s(b, "numbers", (const uint32_t[]){7, 8, 9}, 3);
    put_string(b, "pi");
    put_u32(b, 6);
    put_u32(b, 0x40490FDB);
    put_string(b, "truth");
    put_u32(b, 7);
    put_bytes(b, "\1", 1);
    put_string(b, "words");
    put_u32(b, 9);
    put_u32(b, 8);
    put_u64(b, 2);
    put_string(b, "one");
    put_string(b, "");
    put_string(b, "negative");
    put_u32(b, 11);
    put_u64(b, UINT64_MAX);
    for (size_t i = 0; i < SPECS; i++) {
        places->name[i] = b->length;
        put_string(b, specs[i].name);
        places->dimensions[i] = b->length;
        put_u32(b, specs[i].dimension_count);
        for (uint32_t d = 0; d < specs[i].dimension_count; d++) {
            put_u64(b, specs[i].dimensions[d]);
        }
        places->type[i] = b->length;
        put_u32(b, specs[i].type);
        put_u64(b, offset);
        offset += (specs[i].bytes + 63) / 64 * 64;
    }
    pad(b);
    set_u32(b, crc32, crc_of(b->data, b->length));
    for (size_t i = 0; i < SPECS; i++) {
        pad(b);
        places->data[i] = b->length;
        for (size_t j = 0; j < specs[i].bytes; j++) {
            unsigned char byte = data_byte(i, j);
            put_bytes(b, &byte, 1);
        }
    }
    pad(b);
}
