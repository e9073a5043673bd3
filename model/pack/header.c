#include "model/pack/header.h"
#include "core/crc32.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key names start with the architecture, as llama.cpp has them. */
static const char *with_architecture(const pack_model *model, const char *suffix, char *key) {
    snprintf(key, GEMLET_KEY_BYTES, "%s.%s", model->gemma3n ? "gemma3n" : "gemma3", suffix);
    return key;
}

static void put_text(const pack_model *model, pack_bytes *b) {
    const pack_text *t = &model->text;
    char key[GEMLET_KEY_BYTES];
    pack_key_u32(b, with_architecture(model, "block_count", key), t->block_count);
    pack_key_u32(b, with_architecture(model, "context_length", key), t->context_length);
    pack_key_u32(b, with_architecture(model, "embedding_length", key), t->embedding_length);
    pack_key_u32s(b, with_architecture(model, "feed_forward_length", key), t->feed_forward_length, t->block_count);
    pack_key_u32(b, with_architecture(model, "attention.head_count", key), t->head_count);
    pack_key_u32(b, with_architecture(model, "attention.head_count_kv", key), t->head_count_kv);
    pack_key_u32(b, with_architecture(model, "attention.key_length", key), t->key_length);
    pack_key_u32(b, with_architecture(model, "attention.value_length", key), t->value_length);
    pack_key_f32(b, with_architecture(model, "attention.layer_norm_rms_epsilon", key), t->rms_epsilon);
    pack_key_f32(b, with_architecture(model, "attention.scale", key), t->attention_scale);
    pack_key_u32(b, with_architecture(model, "attention.sliding_window", key), t->sliding_window);
    pack_key_bools(b, with_architecture(model, "attention.sliding_window_pattern", key), t->sliding, t->block_count);
    pack_key_f32(b, with_architecture(model, "rope.freq_base", key), t->rope_base);
    pack_key_f32(b, with_architecture(model, "rope.freq_base_swa", key), t->rope_base_local);
    pack_key_f32(b, with_architecture(model, "rope.scaling.factor", key), t->rope_factor);
    pack_key_f32(b, with_architecture(model, "final_logit_softcapping", key), t->final_softcap);
    if (model->gemma3n) {
        pack_key_u32(b, with_architecture(model, "altup.active_idx", key), t->altup_active);
        pack_key_u32(b, with_architecture(model, "altup.num_inputs", key), t->altup_inputs);
        pack_key_u32(b, with_architecture(model, "embedding_length_per_layer_input", key), t->per_layer_length);
        pack_key_u32(b, with_architecture(model, "attention.shared_kv_layers", key), t->shared_kv_layers);
        pack_key_f32s(b, with_architecture(model, "activation_sparsity_scale", key), t->sparsity_scale, t->block_count);
    }
    pack_key_u32(b, "tokenizer.ggml.bos_token_id", t->bos);
    pack_key_u32(b, "tokenizer.ggml.eos_token_id", t->eos);
    pack_key_u32(b, "tokenizer.ggml.padding_token_id", t->padding);
}

static void put_embedder(pack_bytes *b, const char *prefix, const pack_embedder *e) {
    char key[GEMLET_KEY_BYTES];
    const struct {
        const char *suffix;
        uint32_t number;
    } numbers[] = {
        {"embedding_length", e->width},
        {"vocabulary_offset", e->vocabulary_offset},
        {"vocabulary_size", e->vocabulary_size},
        {"begin_token_id", e->begin_id},
        {"end_token_id", e->end_id},
        {"soft_token_id", e->soft_id},
        {"soft_token_count", e->soft_tokens},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", prefix, numbers[i].suffix);
        pack_key_u32(b, key, numbers[i].number);
    }
    snprintf(key, sizeof key, "%s.rms_epsilon", prefix);
    pack_key_f32(b, key, e->rms_epsilon);
}

static void put_encoders(const pack_model *model, pack_bytes *b) {
    const pack_audio *a = &model->audio;
    if (model->image.present) {
        put_embedder(b, "gemlet.vision", &model->image);
        pack_key_u32(b, "gemlet.vision.image_size", model->image_size);
    }
    if (model->sound.present && model->no_sound) {
        pack_key_u32(b, "gemlet.audio.vocabulary_offset", model->sound.vocabulary_offset);
        pack_key_u32(b, "gemlet.audio.vocabulary_size", model->sound.vocabulary_size);
    } else if (model->sound.present) {
        put_embedder(b, "gemlet.audio", &model->sound);
        pack_key_u32(b, "gemlet.audio.block_count", a->block_count);
        pack_key_u32(b, "gemlet.audio.attention.head_count", a->head_count);
        pack_key_u32(b, "gemlet.audio.attention.chunk_size", a->chunk_size);
        pack_key_u32(b, "gemlet.audio.attention.context_left", a->context_left);
        pack_key_u32(b, "gemlet.audio.attention.context_right", a->context_right);
        pack_key_f32(b, "gemlet.audio.attention.logit_cap", a->logit_cap);
        pack_key_u32(b, "gemlet.audio.mel_bins", a->mel_bins);
        pack_key_u32(b, "gemlet.audio.reduction_factor", a->reduction_factor);
        pack_key_f32(b, "gemlet.audio.residual_weight", a->residual_weight);
        pack_key_f32(b, "gemlet.audio.gradient_clipping", a->gradient_clipping);
        pack_key_f32(b, "gemlet.audio.group_norm_epsilon", a->group_norm_epsilon);
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
    pack_key_string(&keys, "general.architecture", model->gemma3n ? "gemma3n" : "gemma3");
    pack_key_string(&keys, "general.name", model->name);
    pack_key_u32(&keys, "general.alignment", GEMLET_ALIGNMENT);
    pack_key_u32(&keys, "gemlet.version", GEMLET_CONTAINER_VERSION);
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
