#include "tests/robust/mini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/bytes.h"
#include "tests/container/tiny_model.h"

enum { LAYERS = 6, SHARED = 2, TINY_LAYERS = 25, GGUF_ALIGNMENT = 32 };

/* Local and global: sparse, dense, shared. */
static const uint32_t kept[LAYERS] = {0, 4, 10, 14, 20, 24};

/* The place of a layer among those that are kept; LAYERS: it is none. */
static uint32_t place_of(uint32_t layer) {
    uint32_t place = 0;
    while (place < LAYERS && kept[place] != layer) {
        place++;
    }
    return place;
}

/* ---- Keys: copied, and changed where they are ---- */

static void copy_keys(open_gguf *tiny, pack_bytes *keys) {
    static const char *const counts[] = {"gemma3n.block_count", "gemma3n.attention.shared_kv_layers"};
    static const char *const arrays[] = {"gemma3n.feed_forward_length", "gemma3n.activation_sparsity_scale",
                                         "gemma3n.attention.sliding_window_pattern"};
    static const unsigned char numbers[2][4] = {{LAYERS}, {SHARED}};
    gemlet_container *c = &tiny->container;
    size_t length = (size_t)(c->descriptions - c->keys);
    unsigned char *raw = malloc(length);
    gemlet_value value;
    assert_non_null(raw);
    assert_int_equal(tiny->port.read_at(tiny->port.context, c->file, c->keys, raw, length), length);
    pack_put(keys, raw, length);
    free(raw);
    for (size_t i = 0; i < 2; i++) {
        assert_true(gemlet_container_find(c, counts[i], &value));
        memcpy(keys->data + (value.offset - c->keys), numbers[i], sizeof numbers[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(gemlet_container_find(c, arrays[i], &value));
        unsigned char *elements = keys->data + (value.offset - c->keys);
        size_t bytes = value.type == GEMLET_VALUE_BOOL ? 1 : 4;
        for (size_t place = 0; place < LAYERS; place++) { /* forward: kept[place] >= place */
            memmove(elements + place * bytes, elements + kept[place] * bytes, bytes);
        }
    }
}

/* ---- Tensors ---- */

typedef struct mini {
    open_gguf tiny;
    pack_bytes descriptions, data;
    uint64_t count;
} mini;

/* Of `rows` rows with a piece for each layer those of the layers that are kept. */
static void put_pieces(mini *m, const unsigned char *bytes, size_t rows, size_t piece) {
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < LAYERS; i++) {
            pack_put(&m->data, bytes + (row * TINY_LAYERS + kept[i]) * piece, piece);
        }
    }
}

static void put_tensor(mini *m, const gemlet_tensor *t, const char *name) {
    uint64_t dimensions[GEMLET_DIMENSIONS];
    unsigned char *bytes = gguf_bytes(&m->tiny, t);
    memcpy(dimensions, t->dimensions, sizeof dimensions);
    uint64_t offset = m->data.length;
    if (strcmp(name, "per_layer_token_embd.weight") == 0) {
        dimensions[0] = dimensions[0] / TINY_LAYERS * LAYERS;
        put_pieces(m, bytes, t->rows, (size_t)(t->bytes / t->rows / TINY_LAYERS));
    } else if (strcmp(name, "per_layer_model_proj.weight") == 0) {
        dimensions[1] = dimensions[1] / TINY_LAYERS * LAYERS;
        put_pieces(m, bytes, 1, (size_t)(t->bytes / TINY_LAYERS));
    } else {
        pack_put(&m->data, bytes, (size_t)t->bytes);
    }
    free(bytes);
    while (m->data.length % GGUF_ALIGNMENT != 0) {
        pack_put(&m->data, "", 1);
    }
    pack_put_string(&m->descriptions, name);
    pack_put_u32(&m->descriptions, t->dimension_count);
    for (uint32_t i = 0; i < t->dimension_count; i++) {
        pack_put_u64(&m->descriptions, dimensions[i]);
    }
    pack_put_u32(&m->descriptions, t->type);
    pack_put_u64(&m->descriptions, offset);
    m->count++;
}

static void put_tensors(mini *m) {
    gemlet_container *c = &m->tiny.container;
    gemlet_tensor t;
    char name[GEMLET_NAME_BYTES + 16];
    uint64_t cursor = 0;
    for (uint32_t i = 0; gemlet_container_next_tensor(c, &cursor, i, &t); i++) {
        char *rest = NULL;
        uint32_t place = strncmp(t.name, "blk.", 4) == 0 ? place_of((uint32_t)strtoul(t.name + 4, &rest, 10)) : 0;
        if (rest == NULL) {
            put_tensor(m, &t, t.name);
        } else if (place < LAYERS) {
            snprintf(name, sizeof name, "blk.%u%s", place, rest);
            put_tensor(m, &t, name);
        }
    }
}

void write_mini(const char *path) {
    mini m = {.count = 0};
    pack_bytes file = {0};
    gguf_open(&m.tiny, TINY_TEXT);
    put_tensors(&m);
    pack_put(&file, "GGUF", 4);
    pack_put_u32(&file, 3);
    pack_put_u64(&file, m.count);
    pack_put_u64(&file, m.tiny.container.key_count);
    pack_bytes keys = {0};
    copy_keys(&m.tiny, &keys);
    pack_put(&file, keys.data, keys.length);
    pack_put(&file, m.descriptions.data, m.descriptions.length);
    while (file.length % GGUF_ALIGNMENT != 0) {
        pack_put(&file, "", 1);
    }
    pack_put(&file, m.data.data, m.data.length);
    assert_false(file.failed || keys.failed || m.descriptions.failed || m.data.failed);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file.data, 1, file.length, out), file.length);
    assert_int_equal(fclose(out), 0);
    pack_bytes_free(&file);
    pack_bytes_free(&keys);
    pack_bytes_free(&m.descriptions);
    pack_bytes_free(&m.data);
    gguf_close(&m.tiny);
}
