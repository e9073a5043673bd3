#include "model/pack/header.h"
#include "core/crc32.h"
#include "model/pack/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One key of the text model, of all its elements where it is per layer. */
static void put_text_key(const pack_model *model, const gemlet_text_key *key, pack_bytes *b) {
    char name[GEMLET_KEY_BYTES];
    uint32_t whole[GEMLET_MAX_LAYERS] = {0};
    float real[GEMLET_MAX_LAYERS] = {0};
    bool local[GEMLET_MAX_LAYERS] = {false};
    uint32_t count = gemlet_text_key_elements(key, &model->text);
    snprintf(name, sizeof name, "%s.%s", model->family->architecture, key->suffix);
    for (uint32_t i = 0; i < count; i++) {
        const void *place = (const unsigned char *)&model->text + gemlet_text_key_offset(key, i);
        switch (key->type) {
        case GEMLET_TEXT_KEY_U32: whole[i] = *(const uint32_t *)place; break;
        case GEMLET_TEXT_KEY_F32:
        case GEMLET_TEXT_KEY_POSITIVE: real[i] = *(const float *)place; break;
        case GEMLET_TEXT_KEY_LOCAL: local[i] = *(const gemlet_layer_kind *)place == GEMLET_LOCAL_LAYER; break;
        }
    }
    if (key->type == GEMLET_TEXT_KEY_LOCAL) {
        pack_key_bools(b, name, local, count);
    } else if (key->type == GEMLET_TEXT_KEY_U32) {
        if (key->per_layer) {
            pack_key_u32s(b, name, whole, count);
        } else {
            pack_key_u32(b, name, whole[0]);
        }
    } else {
        if (key->per_layer) {
            pack_key_f32s(b, name, real, count);
        } else {
            pack_key_f32(b, name, real[0]);
        }
    }
}

static void put_text(const pack_model *model, pack_bytes *b) {
    for (size_t i = 0; i < gemlet_text_key_count; i++) {
        if (gemlet_text_has(&model->text, gemlet_text_keys[i].part, 0)) {
            put_text_key(model, &gemlet_text_keys[i], b);
        }
    }
    pack_key_u32(b, "tokenizer.ggml.bos_token_id", model->bos);
    pack_key_u32(b, "tokenizer.ggml.eos_token_id", model->eos);
    pack_key_u32(b, "tokenizer.ggml.padding_token_id", model->padding);
}

/* The numbers of `from`, which the table is about. */
static void put_table(pack_bytes *b, const char *prefix, const pack_number *numbers, const void *from) {
    char key[GEMLET_KEY_BYTES];
    for (const pack_number *n = numbers; n->suffix != NULL; n++) {
        const void *place = (const unsigned char *)from + n->place;
        snprintf(key, sizeof key, "%s.%s", prefix, n->suffix);
        if (n->real) {
            pack_key_f32(b, key, *(const float *)place);
        } else {
            pack_key_u32(b, key, *(const uint32_t *)place);
        }
    }
}

static void put_encoders(const pack_model *model, pack_bytes *b) {
    if (model->image.present) {
        put_table(b, "gemlet.vision", pack_embedder_numbers, &model->image);
        if (model->family->vit != NULL) {
            put_table(b, "gemlet.vision", model->family->vit_numbers, &model->vit);
        } else {
            pack_key_u32(b, "gemlet.vision.image_size", model->image_size);
        }
    }
    if (model->sound.present && model->no_sound) {
        pack_key_u32(b, "gemlet.audio.vocabulary_offset", model->sound.vocabulary_offset);
        pack_key_u32(b, "gemlet.audio.vocabulary_size", model->sound.vocabulary_size);
    } else if (model->sound.present) {
        put_table(b, "gemlet.audio", pack_embedder_numbers, &model->sound);
        put_table(b, "gemlet.audio", model->family->sound_numbers, &model->audio);
    }
}

/* One of the arrays that are parallel to the list of tensors. */
static uint32_t table_number(const pack_item *item, int table) {
    switch (table) {
    case 0: return (uint32_t)item->kind;
    case 1: return item->rows;
    case 2: return item->columns;
    case 3: return item->taps;
    default: return item->crc32;
    }
}

static gemlet_status put_tables(const pack_layout *layout, pack_bytes *b, gemlet_error *error) {
    static const char *const keys[5] = {"gemlet.tensor.kind", "gemlet.tensor.rows", "gemlet.tensor.columns", "gemlet.tensor.taps",
                                        "gemlet.crc32"};
    uint32_t *numbers = malloc(layout->count * sizeof *numbers + 1);
    if (numbers == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the header");
    }
    for (int table = 0; table < 5; table++) {
        for (size_t i = 0; i < layout->count; i++) {
            numbers[i] = table_number(&layout->items[i], table);
        }
        pack_key_u32s(b, keys[table], numbers, layout->count);
    }
    free(numbers);
    return GEMLET_OK;
}

/* GGUF has the fastest dimension first. */
static void put_description(const pack_item *item, pack_bytes *b) {
    pack_put_string(b, item->name);
    if (item->action == PACK_REAL_CONV) {
        pack_put_u32(b, 3);
        pack_put_u64(b, item->rows);
        pack_put_u64(b, item->columns);
        pack_put_u64(b, item->taps);
    } else if (item->kind == GEMLET_KIND_PLAIN) {
        pack_put_u32(b, item->rows == 1 ? 1 : 2);
        pack_put_u64(b, item->columns);
        if (item->rows != 1) {
            pack_put_u64(b, item->rows);
        }
    } else {
        pack_put_u32(b, 1);
        pack_put_u64(b, item->bytes);
    }
    bool real = item->kind == GEMLET_KIND_PLAIN || item->kind == GEMLET_KIND_REAL_CONV;
    pack_put_u32(b, real ? GEMLET_TYPE_F32 : GEMLET_TYPE_I8);
    pack_put_u64(b, item->offset);
}

static void place_items(pack_layout *layout) {
    uint64_t offset = 0;
    for (size_t i = 0; i < layout->count; i++) {
        layout->items[i].offset = offset;
        offset += (layout->items[i].bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
    }
}

static void set_u32(unsigned char *at, uint32_t number) {
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(number >> (8 * i) & 255);
    }
}

gemlet_status pack_write_header(const pack_model *model, pack_layout *layout, pack_bytes *header, gemlet_error *error) {
    pack_bytes keys = {0};
    place_items(layout);
    pack_key_string(&keys, "general.architecture", model->family->architecture);
    pack_key_string(&keys, "general.name", model->name);
    pack_key_u32(&keys, "general.alignment", GEMLET_ALIGNMENT);
    pack_key_u32(&keys, "gemlet.version", GEMLET_CONTAINER_VERSION);
    if (model->slice[0] != '\0') {
        pack_key_string(&keys, "gemlet.slice", model->slice);
    }
    put_text(model, &keys);
    put_encoders(model, &keys);
    gemlet_status status = put_tables(layout, &keys, error);
    pack_key_u32(&keys, GEMLET_HEADER_CRC32_KEY, 0);
    header->length = 0;
    pack_put(header, "GGUF", 4);
    pack_put_u32(header, 3);
    pack_put_u64(header, layout->count);
    pack_put_u64(header, keys.key_count);
    pack_put(header, keys.data, keys.length);
    size_t crc32 = header->length - 4;
    for (size_t i = 0; i < layout->count; i++) {
        put_description(&layout->items[i], header);
    }
    while (header->length % GEMLET_ALIGNMENT != 0 && !header->failed) {
        pack_put(header, "", 1);
    }
    if (status == GEMLET_OK && (keys.failed || header->failed)) {
        status = pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the header");
    }
    if (status == GEMLET_OK) {
        set_u32(header->data + crc32, gemlet_crc32(0, header->data, header->length));
    }
    pack_bytes_free(&keys);
    return status;
}
