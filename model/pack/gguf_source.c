/* A model from a text GGUF of llama.cpp and its mmproj GGUF. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/container/cursor.h"
#include "model/container/key_reader.h"
#include "model/pack/model.h"
#include "model/pack/numbers.h"
#include "model/pack/switches.h"
#include "model/pack/vocabulary_index.h"
#include <gemlet/posix.h>
#include <gemlet/tokenizer.h>

/* A source GGUF that is open, with what its reader needs. */
typedef struct gguf_source {
    gemlet_posix *posix;
    gemlet_port port;
    gemlet_container container;
    bool open;
} gguf_source;

static void close_source(gguf_source *s) {
    if (s->open) {
        gemlet_container_close(&s->container);
    }
    if (s->posix != NULL) {
        gemlet_posix_close(s->posix);
    }
    memset(s, 0, sizeof *s);
}

static gemlet_status open_source(gguf_source *s, const char *path, gemlet_error *error) {
    memset(s, 0, sizeof *s);
    s->posix = gemlet_posix_open(1, &s->port);
    if (s->posix == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %s", path);
    }
    gemlet_status status = gemlet_container_open(&s->container, &s->port, path, error);
    s->open = status == GEMLET_OK;
    if (s->open && s->container.packed) {
        status = pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: is packed already: run gemlet-pack on the original model", path);
    }
    if (status != GEMLET_OK) {
        close_source(s);
    }
    return status;
}

/* ---- Tensors ---- */

/* The stacked AltUp projections [streams][rows][columns] become a tensor for each stream. */
static gemlet_status add_slices(pack_model *model, const pack_tensor *whole, gemlet_error *error) {
    size_t stem = strlen(whole->name) - strlen(".weight");
    gemlet_status status = GEMLET_OK;
    for (uint64_t i = 0; i < whole->shape[0] && status == GEMLET_OK; i++) {
        pack_tensor slice = *whole;
        snprintf(slice.name, sizeof slice.name, "%.*s.%u.weight", (int)stem, whole->name, (unsigned)i);
        slice.dimension_count = 2;
        slice.shape[0] = whole->shape[1];
        slice.shape[1] = whole->shape[2];
        slice.bytes = whole->bytes / whole->shape[0];
        slice.offset = whole->offset + i * slice.bytes;
        status = pack_add_tensor(model, &slice, error);
    }
    return status;
}

static gemlet_status add_tensors(pack_model *model, gemlet_container *c, const pack_file *file, gemlet_error *error) {
    gemlet_tensor t;
    uint64_t cursor = 0;
    gemlet_status status = GEMLET_OK;
    for (uint32_t i = 0; i < c->tensor_count && status == GEMLET_OK; i++) {
        pack_tensor out = {.file = file};
        if (!gemlet_container_next_tensor(c, &cursor, i, &t)) {
            return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be read", file->path);
        }
        memcpy(out.name, t.name, sizeof out.name);
        out.type = t.type;
        out.dimension_count = t.dimension_count;
        for (uint32_t d = 0; d < t.dimension_count; d++) {
            out.shape[d] = t.dimensions[t.dimension_count - 1 - d];
        }
        out.offset = t.offset;
        out.bytes = t.bytes;
        bool stacked = strcmp(t.name, "altup_proj.weight") == 0 || strcmp(t.name, "altup_unembd_proj.weight") == 0;
        if (stacked && t.dimension_count == 3 && t.bytes != 0 && out.shape[0] <= 16) {
            status = add_slices(model, &out, error);
        } else {
            status = pack_add_tensor(model, &out, error);
        }
    }
    return status;
}

/* ---- Text hyper-parameters ---- */

static uint32_t token_id(gemlet_container *c, const char *key, uint32_t otherwise) {
    uint32_t out;
    return gemlet_container_u32(c, key, 0, &out, NULL) == GEMLET_OK ? out : otherwise;
}

/* llama.cpp's converter writes minus infinity for layers whose gates are not cut off. */
static void read_sparsity(gemlet_key_reader *r, const gemlet_text_key *key, uint32_t layer, gemlet_text_config *t) {
    float scale = 0.0f;
    if (r->status == GEMLET_OK) {
        r->status = gemlet_container_f32(r->container, gemlet_key_named(r, key->suffix), layer, &scale, r->error);
    }
    t->layer[layer].sparsity = isfinite(scale) && scale > 0.0f ? scale : 0.0f;
}

static bool has_default(const pack_family *family, const char *suffix) {
    const pack_default *d = family->defaults;
    while (d->suffix != NULL && strcmp(d->suffix, suffix) != 0) {
        d++;
    }
    return d->suffix != NULL;
}

/* One number for all layers may be said for each of them. */
static void check_alike(gemlet_key_reader *r, const gemlet_text_key *key) {
    gemlet_value value;
    uint32_t first = 0, other = 0;
    const char *name = gemlet_key_named(r, key->suffix);
    if (r->status != GEMLET_OK || key->type != GEMLET_TEXT_KEY_U32 || !gemlet_container_find(r->container, name, &value) ||
        !value.array) {
        return;
    }
    if (value.count > GEMLET_MAX_LAYERS) { /* each element is found anew: a long list would take minutes */
        r->status = pack_fail(r->error, GEMLET_ERROR_UNSUPPORTED, "%s: \"%s\" has %llu numbers, at most %d expected, one a layer",
                              r->container->path, name, (unsigned long long)value.count, GEMLET_MAX_LAYERS);
    }
    for (uint64_t i = 0; i < value.count && r->status == GEMLET_OK; i++) {
        r->status = gemlet_container_u32(r->container, name, i, i == 0 ? &first : &other, r->error);
        if (r->status == GEMLET_OK && i > 0 && other != first) {
            r->status =
                pack_fail(r->error, GEMLET_ERROR_UNSUPPORTED, "%s: \"%s\" must be the same for all layers, but is %u and %u",
                          r->container->path, name, first, other);
        }
    }
}

/* Whether a key that makes the model one of the family is there and not 0. */
static bool has_needed(gemlet_key_reader *r, const pack_family *family) {
    uint32_t value = 0;
    return family->needed == NULL ||
           (gemlet_container_u32(r->container, gemlet_key_named(r, family->needed), 0, &value, NULL) == GEMLET_OK && value != 0);
}

/* What the source does not say and no default says is missed by the reader. */
static void read_key(gemlet_key_reader *r, const pack_family *family, const gemlet_text_key *key, gemlet_text_config *t) {
    bool there = gemlet_key_there(r, key->suffix);
    if (!there &&
        (has_default(family, key->suffix) || (family->attention_scale != NULL && strcmp(key->suffix, "attention.scale") == 0))) {
        return;
    }
    if (!key->per_layer) {
        check_alike(r, key);
    }
    for (uint32_t i = 0; i < gemlet_text_key_elements(key, t) && r->status == GEMLET_OK; i++) {
        if (key->part == GEMLET_TEXT_SPARSE_GATES) {
            read_sparsity(r, key, i, t);
        } else if (!there && key->type == GEMLET_TEXT_KEY_LOCAL) {
            pack_set_key(t, key, i, (i + 1) % family->global_period != 0 ? 1.0 : 0.0);
        } else {
            gemlet_text_read_key(r, key, i, t);
        }
    }
}

/* A key that says what another one does: values are as wide as keys. */
static void check_repeated(gemlet_key_reader *r, const gemlet_text_key *key, const gemlet_text_config *t) {
    uint32_t wanted = *(const uint32_t *)(const void *)((const unsigned char *)t + gemlet_text_key_offset(key, 0));
    uint32_t found = gemlet_key_u32(r, key->suffix, 0, 0, UINT32_MAX);
    if (r->status == GEMLET_OK && found != wanted) {
        r->status =
            pack_fail(r->error, GEMLET_ERROR_UNSUPPORTED, "%s: values must be as wide as keys, %u, but are %u wide (\"%s\")",
                      r->container->path, wanted, found, key->suffix);
    }
}

/* llama.cpp divides the frequency of each pair of a global layer's heads by a number of the tensor rope_freqs: 1 for the pairs that
 * turn, 1e30 for the others. */
static gemlet_status read_rotated_pairs(pack_model *model, const char *path, gemlet_error *error) {
    gemlet_attention_config *globals = &model->text.kinds[GEMLET_GLOBAL_LAYER];
    pack_tensor *divisors = pack_find(model, "rope_freqs.weight");
    uint32_t pairs = globals->head_width / 2, turned = 0;
    float numbers[512] = {0};
    if (divisors == NULL || divisors->type != GEMLET_TYPE_F32 || pack_elements(divisors) != pairs || pairs > 512) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: must hold the F32 tensor \"rope_freqs.weight\" of %u numbers", path,
                         pairs);
    }
    gemlet_status status = pack_read(divisors->file, divisors->offset, numbers, pairs * sizeof numbers[0], error);
    while (turned < pairs && numbers[turned] >= 1.0f && numbers[turned] <= 1.0f) {
        turned++;
    }
    for (uint32_t i = turned; i < pairs && status == GEMLET_OK; i++) {
        if (!(numbers[i] >= 1e29f)) {
            status =
                pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                          "%s: \"rope_freqs.weight\" must be 1 for the first pairs and 1e30 for the others, but number %u is %g",
                          path, i, (double)numbers[i]);
        }
    }
    globals->rotated_pairs = turned;
    divisors->used = true;
    return status;
}

static gemlet_status read_text(pack_model *model, gemlet_container *c, gemlet_error *error) {
    gemlet_text_config *t = &model->text;
    gemlet_key_reader r = {.container = c, .error = error, .prefix = model->family->architecture};
    pack_begin_config(model->family, t);
    if (!has_needed(&r, model->family)) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: %s", c->path, model->family->without);
    }
    for (size_t i = 0; i < gemlet_text_key_count && r.status == GEMLET_OK; i++) {
        const gemlet_text_key *key = &gemlet_text_keys[i];
        if (gemlet_text_has(t, key->part, 0)) {
            if (key->only_written) {
                check_repeated(&r, key, t);
            } else {
                read_key(&r, model->family, key, t);
            }
        }
    }
    if (r.status == GEMLET_OK && model->family->attention_scale != NULL && !gemlet_key_there(&r, "attention.scale")) {
        t->attention_scale = model->family->attention_scale(t);
    }
    model->bos = token_id(c, "tokenizer.ggml.bos_token_id", 2);
    model->eos = token_id(c, "tokenizer.ggml.eos_token_id", 1);
    model->padding = token_id(c, "tokenizer.ggml.padding_token_id", 0);
    return r.status;
}

/* ---- Vocabulary ---- */

/* gemlet's tokenizer is SentencePiece without a prefix, or Gemma 4's ranked merges; another one would split text wrongly without a
 * word. */
static gemlet_status check_tokenizer(gemlet_container *c, bool *ranked, gemlet_error *error) {
    char kind[32];
    bool prefix = true;
    gemlet_status status = gemlet_container_string(c, "tokenizer.ggml.model", kind, sizeof kind, error);
    *ranked = status == GEMLET_OK && strcmp(kind, "gemma4") == 0;
    if (status == GEMLET_OK && !*ranked && strcmp(kind, "llama") != 0) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: tokenizer \"%s\" is not supported, \"llama\" (SentencePiece) or \"gemma4\" (ranked merges) expected: "
                         "convert the model again with its tokenizer.model or tokenizer.json",
                         c->path, kind);
    }
    if (status == GEMLET_OK && gemlet_container_find(c, "tokenizer.ggml.add_space_prefix", NULL)) {
        status = gemlet_container_bool(c, "tokenizer.ggml.add_space_prefix", 0, &prefix, error);
    }
    if (status == GEMLET_OK && prefix) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: \"tokenizer.ggml.add_space_prefix\" must be false, as Gemma has it: convert the model again",
                         c->path);
    }
    return status;
}

/* The arrays of a vocabulary; `scores` where it is not ranked, else `merges`. */
typedef struct token_arrays {
    bool ranked;
    gemlet_value pieces, types, scores, merges;
} token_arrays;

/* A walk through a list has failed. */
static gemlet_status fail_walk(gemlet_container *c, const char *key, gemlet_error *error) {
    gemlet_status status = gemlet_container_check_read(c, error);
    return status != GEMLET_OK ? status : pack_fail(error, GEMLET_ERROR_FORMAT, "%s: \"%s\" is cut off", c->path, key);
}

/* Copies the texts to one block of memory, from which the vocabulary takes them. */
static gemlet_status fill_vocabulary(pack_model *model, gemlet_container *c, const token_arrays *arrays, gemlet_error *error) {
    const gemlet_value *pieces = &arrays->pieces;
    uint64_t total = 1;
    gemlet_cursor at = gemlet_cursor_at(c, pieces->offset);
    for (uint64_t i = 0; i < pieces->count; i++) {
        uint64_t length = gemlet_cursor_u64(&at);
        gemlet_cursor_skip(&at, length);
        total += at.failed ? 0 : length;
    }
    if (at.failed) {
        return fail_walk(c, "tokenizer.ggml.tokens", error);
    }
    char *text = malloc((size_t)total);
    model->texts[0] = text;
    gemlet_status status = text != NULL ? gemlet_vocabulary_init(&model->vocabulary, (size_t)pieces->count, error)
                                        : pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the vocabulary of %s", c->path);
    at = gemlet_cursor_at(c, pieces->offset);
    gemlet_cursor score_at = gemlet_cursor_at(c, arrays->scores.offset), type_at = gemlet_cursor_at(c, arrays->types.offset);
    /* Three walks through one window would read each element anew: first the texts, then the rest. */
    for (uint64_t i = 0; i < pieces->count && status == GEMLET_OK; i++) {
        size_t length = (size_t)gemlet_cursor_u64(&at);
        gemlet_cursor_bytes(&at, text, length);
        model->vocabulary.pieces[i].text = text;
        model->vocabulary.pieces[i].bytes = length;
        text += length;
    }
    for (uint64_t i = 0; i < pieces->count && status == GEMLET_OK && !arrays->ranked; i++) {
        uint32_t bits = gemlet_cursor_u32(&score_at);
        memcpy(&model->vocabulary.pieces[i].score, &bits, sizeof bits);
    }
    for (uint64_t i = 0; i < pieces->count && status == GEMLET_OK; i++) {
        gemlet_piece piece = model->vocabulary.pieces[i];
        uint32_t type = gemlet_cursor_u32(&type_at);
        status = gemlet_vocabulary_set(&model->vocabulary, (size_t)i, piece.text, piece.bytes, piece.score,
                                       type > 6 ? 7 : (int)type, error);
    }
    return status;
}

/* Each merge is "left right"; pieces hold no space. */
static gemlet_status add_merge(pack_model *model, gemlet_cursor *at, const vocabulary_index *texts, gemlet_container *c,
                               gemlet_error *error) {
    char text[2 * GEMLET_TOKEN_BYTES + 2];
    uint64_t length = gemlet_cursor_u64(at);
    char *space = NULL;
    if (length < sizeof text) {
        gemlet_cursor_bytes(at, text, (size_t)length);
        text[length] = '\0';
        space = memchr(text, ' ', (size_t)length);
    }
    if (at->failed) {
        return fail_walk(c, "tokenizer.ggml.merges", error);
    }
    if (space == NULL) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: merge %zu of \"tokenizer.ggml.merges\" must be two pieces with a space between", c->path,
                         model->vocabulary.merge_count);
    }
    size_t left = (size_t)(space - text);
    return gemlet_vocabulary_add_merge(&model->vocabulary, texts, text, left, space + 1, (size_t)length - left - 1, error);
}

static gemlet_status fill_merges(pack_model *model, gemlet_container *c, const gemlet_value *merges, gemlet_error *error) {
    vocabulary_index texts;
    gemlet_status status = GEMLET_OK;
    gemlet_cursor at = gemlet_cursor_at(c, merges->offset);
    if (!vocabulary_index_init(&texts, &model->vocabulary)) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the vocabulary of %s", c->path);
    }
    for (uint32_t row = 0; row < model->vocabulary.count; row++) {
        vocabulary_index_add(&texts, row);
    }
    vocabulary_index_sort(&texts);
    model->vocabulary.ranked = true;
    for (uint64_t i = 0; i < merges->count && status == GEMLET_OK; i++) {
        status = add_merge(model, &at, &texts, c, error);
    }
    vocabulary_index_free(&texts);
    return status;
}

static gemlet_status read_tokens(pack_model *model, gemlet_container *c, gemlet_error *error) {
    token_arrays arrays = {0};
    gemlet_value *pieces = &arrays.pieces;
    gemlet_status status = check_tokenizer(c, &arrays.ranked, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (!gemlet_container_find(c, "tokenizer.ggml.tokens", pieces) || !pieces->array || pieces->type != GEMLET_VALUE_STRING ||
        pieces->count == 0 || pieces->count > UINT32_MAX / 2) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: holds no vocabulary (key \"tokenizer.ggml.tokens\"): take a complete model file", c->path);
    }
    bool scored = arrays.ranked || (gemlet_container_find(c, "tokenizer.ggml.scores", &arrays.scores) &&
                                    arrays.scores.type == GEMLET_VALUE_FLOAT32 && arrays.scores.count == pieces->count);
    bool typed = gemlet_container_find(c, "tokenizer.ggml.token_type", &arrays.types) &&
                 gemlet_value_bytes((uint32_t)arrays.types.type) == 4 && arrays.types.count == pieces->count;
    if (!scored || !typed) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: \"tokenizer.ggml.scores\" and \"tokenizer.ggml.token_type\" must hold %llu numbers each", c->path,
                         (unsigned long long)pieces->count);
    }
    if (arrays.ranked && !(gemlet_container_find(c, "tokenizer.ggml.merges", &arrays.merges) && arrays.merges.array &&
                           arrays.merges.type == GEMLET_VALUE_STRING)) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: \"tokenizer.ggml.merges\" must hold the vocabulary's merges", c->path);
    }
    status = fill_vocabulary(model, c, &arrays, error);
    status = status == GEMLET_OK && arrays.ranked ? fill_merges(model, c, &arrays.merges, error) : status;
    return status != GEMLET_OK ? status
                               : gemlet_container_check_read(c, error); /* scores and types read as 0 where reading fails */
}

static uint32_t find_token(const pack_model *model, const char *text, uint32_t otherwise) {
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        const gemlet_piece *piece = &model->vocabulary.pieces[i];
        if (piece->bytes == strlen(text) && memcmp(piece->text, text, piece->bytes) == 0) {
            return (uint32_t)i;
        }
    }
    return otherwise;
}

/* ---- Projector ---- */

static gemlet_status check_projector(const pack_model *model, gemlet_container *c, const char *text, gemlet_error *error) {
    char architecture[32], type[32];
    uint32_t width;
    gemlet_status status = gemlet_container_string(c, "general.architecture", architecture, sizeof architecture, error);
    if (status == GEMLET_OK && strcmp(architecture, "clip") != 0) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: is no mmproj file (architecture \"%s\", \"clip\" expected): give the mmproj GGUF of the same model",
                         c->path, architecture);
    }
    const char *wanted = model->family->projector;
    if (status == GEMLET_OK && wanted == NULL) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: images of a %s model are not supported: leave --mmproj out", c->path,
                         model->family->architecture);
    }
    const char *key = "clip.vision.projector_type";
    key = gemlet_container_find(c, key, NULL) ? key : "clip.projector_type";
    status = status != GEMLET_OK ? status : gemlet_container_string(c, key, type, sizeof type, error);
    if (status == GEMLET_OK && strcmp(type, wanted) != 0) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: is the projector of another model (type \"%s\", \"%s\" expected): give the mmproj GGUF of %s",
                         c->path, type, wanted, text);
    }
    status = status != GEMLET_OK ? status : gemlet_container_u32(c, "clip.vision.projection_dim", 0, &width, error);
    if (status == GEMLET_OK && width != model->text.width) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: makes vectors of %u numbers, but %s takes %u: give the mmproj GGUF of the same model", c->path, width,
                         text, model->text.width);
    }
    return status;
}

/* What the file does not say is the same in every Gemma 3n that is published. */
static const pack_audio published_audio = {0, 0, 12, 13, 0, 128, 4, 50.0f, 0.5f, 1e10f, 1e-3f};

/* Of Gemma 4's sounds: as config.json's defaults. */
static void read_gemma4a(pack_model *model, gemlet_key_reader *r) {
    model->sound = (pack_embedder){.present = true, .rms_epsilon = 1e-6f};
    model->audio = (pack_audio){.mel_bins = 128, .reduction_factor = 1, .group_norm_epsilon = 1e-6f};
    for (const pack_number *n = pack_gemma4a_numbers; n->suffix != NULL; n++) {
        unsigned char *place = (unsigned char *)&model->audio + n->place;
        if (n->json != NULL && n->real) {
            *(float *)(void *)place = (float)n->otherwise;
        } else if (n->json != NULL) {
            *(uint32_t *)(void *)place = (uint32_t)n->otherwise;
        }
    }
    model->audio.block_count = gemlet_key_u32(r, "audio.block_count", 0, 0, UINT32_MAX);
    model->audio.head_count = gemlet_key_u32(r, "audio.attention.head_count", 0, 0, UINT32_MAX);
}

/* An image encoder that is a transformer, and what goes with it.  What the file does not say is the same in all. */
static gemlet_status read_vit_projector(pack_model *model, gemlet_container *c, gemlet_error *error) {
    gemlet_key_reader r = {.container = c, .error = error, .prefix = "clip"};
    const gemlet_vit_traits *traits = model->family->vit;
    bool sound = false;
    model->image = (pack_embedder){.present = true, .soft_tokens = 280};
    model->image.rms_epsilon = gemlet_key_f32(&r, "vision.attention.layer_norm_epsilon", 0);
    model->image.width = gemlet_key_u32(&r, "vision.embedding_length", 0, 1, UINT32_MAX);
    model->vit.block_count = gemlet_key_u32(&r, "vision.block_count", 0, 1, UINT32_MAX);
    model->vit.head_count = gemlet_key_u32(&r, "vision.attention.head_count", 0, 1, UINT32_MAX);
    model->vit.inner = gemlet_key_u32(&r, "vision.feed_forward_length", 0, 1, UINT32_MAX);
    model->vit.rope_base = 100.0f;
    if (traits->square) {
        uint32_t pool = 4;
        model->vit.image_size = gemlet_key_u32(&r, "vision.image_size", 0, traits->patch, GEMLET_LARGEST_IMAGE);
        if (gemlet_key_there(&r, "vision.projector.scale_factor")) {
            pool = gemlet_key_u32(&r, "vision.projector.scale_factor", 0, 1, 64);
        }
        uint32_t across = r.status == GEMLET_OK ? model->vit.image_size / traits->patch / pool : 0;
        model->image.soft_tokens = across * across;
    }
    if (r.status == GEMLET_OK && gemlet_container_bool(c, "clip.has_audio_encoder", 0, &sound, NULL) == GEMLET_OK && sound &&
        model->family->sound_numbers == pack_gemma4a_numbers) {
        read_gemma4a(model, &r);
    }
    return r.status;
}

static gemlet_status read_projector(pack_model *model, gemlet_container *c, gemlet_error *error) {
    gemlet_key_reader r = {.container = c, .error = error, .prefix = "clip"};
    bool value;
    if (model->family->vit != NULL) {
        return read_vit_projector(model, c, error);
    }
    model->image = (pack_embedder){.present = true, .soft_tokens = 256, .rms_epsilon = 1e-6f};
    model->image.width = gemlet_key_u32(&r, "vision.embedding_length", 0, 0, UINT32_MAX);
    model->image_size = gemlet_key_u32(&r, "vision.image_size", 0, 0, UINT32_MAX);
    if (r.status == GEMLET_OK && gemlet_container_bool(c, "clip.has_audio_encoder", 0, &value, NULL) == GEMLET_OK && value) {
        model->sound = (pack_embedder){.present = true, .soft_tokens = 188, .rms_epsilon = 1e-6f};
        model->sound.width = gemlet_key_u32(&r, "audio.embedding_length", 0, 0, UINT32_MAX);
        model->audio = published_audio;
        model->audio.block_count = gemlet_key_u32(&r, "audio.block_count", 0, 0, UINT32_MAX);
        model->audio.head_count = gemlet_key_u32(&r, "audio.attention.head_count", 0, 0, UINT32_MAX);
        model->audio.mel_bins = gemlet_key_u32(&r, "audio.num_mel_bins", 0, 0, UINT32_MAX);
    }
    return r.status;
}

/* Older files have the names of a feed-forward's matrices exchanged: shapes say which is which. */
static void name_feed_forward(pack_model *model) {
    static const char *const names[] = {".ffn_up.", ".ffn_down."};
    bool exchanged = false;
    for (size_t i = 0; i < model->tensor_count; i++) {
        const pack_tensor *t = &model->tensors[i];
        exchanged =
            exchanged || (strcmp(t->name, "v.blk.0.ffn_up.weight") == 0 && t->dimension_count == 2 &&
                          t->shape[0] == model->image.width && t->shape[1] == model->vit.inner && t->shape[0] != t->shape[1]);
    }
    for (size_t i = 0; i < model->tensor_count && exchanged; i++) {
        pack_tensor *t = &model->tensors[i];
        char before[GEMLET_NAME_BYTES];
        memcpy(before, t->name, sizeof before);
        for (size_t which = 0; which < 2 && strncmp(before, "v.blk.", 6) == 0; which++) {
            const char *found = strstr(before, names[which]);
            if (found != NULL) {
                snprintf(t->name, sizeof t->name, "%.*s%s%s", (int)(found - before), before, names[1 - which],
                         found + strlen(names[which]));
            }
        }
    }
}

/* Of Gemma 4's sounds: ids, and the width that only a tensor's shape says. */
static gemlet_status place_gemma4a(pack_model *model, const char *path, gemlet_error *error) {
    const pack_tensor *last = pack_find(model, "a.pre_encode.out.weight");
    if (last == NULL || last->dimension_count != 2 || last->shape[0] > UINT32_MAX) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: must hold the matrix \"a.pre_encode.out.weight\"", path);
    }
    model->sound.width = (uint32_t)last->shape[0];
    model->sound.begin_id = find_token(model, "<|audio>", 256000);
    model->sound.end_id = find_token(model, "<audio|>", 258883);
    model->sound.soft_id = find_token(model, "<|audio|>", 258881);
    return GEMLET_OK;
}

/* Small models have fewer places than the longest strip of the budget takes. */
static void limit_budget(pack_model *model) {
    const pack_tensor *places = pack_find(model, "v.position_embd.weight");
    uint64_t most = places != NULL && places->dimension_count == 3 ? places->shape[1] / GEMLET_VIT_POOL : 0;
    if (most > 0 && most < model->image.soft_tokens) {
        model->image.soft_tokens = (uint32_t)most;
    }
}

/* Ids, and numbers that only tensors' shapes say. */
static gemlet_status place_vit(pack_model *model, const char *path, gemlet_error *error) {
    bool gemma4 = model->family->vit->rotary;
    const pack_tensor *queries = pack_find(model, "v.blk.0.attn_q.weight");
    if (queries == NULL || queries->dimension_count != 2 || queries->shape[0] % model->vit.head_count != 0 ||
        queries->shape[0] > UINT32_MAX) {
        return pack_fail(error, GEMLET_ERROR_FORMAT,
                         "%s: must hold \"v.blk.0.attn_q.weight\" with as many rows for each of %u heads", path,
                         model->vit.head_count);
    }
    model->vit.head_width = (uint32_t)queries->shape[0] / model->vit.head_count;
    if (gemma4) {
        limit_budget(model);
    }
    model->image.begin_id = find_token(model, gemma4 ? "<|image>" : "<start_of_image>", 255999);
    model->image.end_id = find_token(model, gemma4 ? "<image|>" : "<end_of_image>", gemma4 ? 258882 : 256000);
    model->image.soft_id = find_token(model, gemma4 ? "<|image|>" : "<image_soft_token>", gemma4 ? 258880 : 262144);
    return model->sound.present ? place_gemma4a(model, path, error) : GEMLET_OK;
}

/* The embedders' tables end the vocabulary: text, image, sound. */
static gemlet_status place_embedders(pack_model *model, const char *path, gemlet_error *error) {
    if (model->family->vit != NULL) {
        return place_vit(model, path, error);
    }
    pack_tensor *words = pack_find(model, "token_embd.weight"), *images = pack_find(model, "mm.embedding.weight");
    pack_tensor *sounds = pack_find(model, "mm.a.embedding.weight");
    if (words == NULL || images == NULL || sounds == NULL || images->shape[0] + sounds->shape[0] >= words->shape[0] ||
        words->shape[0] > UINT32_MAX) {
        return pack_fail(
            error, GEMLET_ERROR_FORMAT,
            "%s: must hold the tables \"mm.embedding.weight\" and \"mm.a.embedding.weight\" of the vocabulary's last ids", path);
    }
    model->image.vocabulary_size = (uint32_t)images->shape[0];
    model->image.vocabulary_offset = (uint32_t)(words->shape[0] - images->shape[0] - sounds->shape[0]);
    uint32_t image = model->image.vocabulary_offset, sound = image + model->image.vocabulary_size;
    model->image.begin_id = find_token(model, "<start_of_image>", 255999);
    model->image.end_id = find_token(model, "<end_of_image>", image);
    model->image.soft_id = find_token(model, "<image_soft_token>", image + 1);
    if (model->sound.present) {
        model->sound.vocabulary_size = (uint32_t)sounds->shape[0];
        model->sound.vocabulary_offset = sound;
        model->sound.begin_id = find_token(model, "<start_of_audio>", 256000);
        model->sound.end_id = find_token(model, "<end_of_audio>", sound);
        model->sound.soft_id = find_token(model, "<audio_soft_token>", sound + 1);
    }
    return GEMLET_OK;
}

/* ---- A model in several files ---- */

/* How many files the source is split into (1: it is whole), and which one this is, from 0. */
static gemlet_status read_split(gemlet_container *c, uint32_t *count, uint32_t *number, gemlet_error *error) {
    *count = 1;
    *number = 0;
    if (!gemlet_container_find(c, "split.count", NULL)) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_container_u32(c, "split.count", 0, count, error);
    return status != GEMLET_OK ? status : gemlet_container_u32(c, "split.no", 0, number, error);
}

/* The path of part `number` of `count` of "NAME-00001-of-00003.gguf"; false where that is not how the first is called. */
static bool part_path(const char *first, uint32_t number, uint32_t count, char *out, size_t capacity) {
    char ending[64];
    int length = snprintf(ending, sizeof ending, "-00001-of-%05u.gguf", (unsigned)count);
    size_t whole = strlen(first);
    if (whole < (size_t)length || strcmp(first + whole - length, ending) != 0) {
        return false;
    }
    int stem = (int)(whole - (size_t)length);
    return snprintf(out, capacity, "%.*s-%05u-of-%05u.gguf", stem, first, (unsigned)number + 1, (unsigned)count) < (int)capacity;
}

static gemlet_status add_part(pack_model *model, const char *path, uint32_t number, uint32_t count, gemlet_error *error) {
    gguf_source s;
    const pack_file *file;
    uint32_t found_count, found_number;
    gemlet_error why = {GEMLET_OK, ""};
    gemlet_status status = open_source(&s, path, &why);
    if (status != GEMLET_OK) {
        return pack_fail(error, status, "part %u of %u of a split model: %s", number + 1, count, why.message);
    }
    status = read_split(&s.container, &found_count, &found_number, error);
    if (status == GEMLET_OK && (found_count != count || found_number != number)) {
        status = pack_fail(error, GEMLET_ERROR_FORMAT, "%s: must be part %u of %u of a split model, but is part %u of %u", path,
                           number + 1, count, found_number + 1, found_count);
    }
    status = status != GEMLET_OK ? status : pack_open(model, path, &file, error);
    status = status != GEMLET_OK ? status : add_tensors(model, &s.container, file, error);
    close_source(&s);
    return status;
}

/* Other parts than the first hold no description of the model. */
static gemlet_status check_first(gemlet_container *c, const char *path, uint32_t *count, gemlet_error *error) {
    uint32_t number;
    gemlet_status status = read_split(c, count, &number, error);
    if (status == GEMLET_OK && (number != 0 || *count > PACK_MAX_FILES)) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                         "%s: is part %u of a model that is split into %u files: give the first one, of at most %d", path,
                         number + 1, *count, PACK_MAX_FILES);
    }
    return status;
}

/* The tensors of the other parts of the model whose first of `count` is at `path`. */
static gemlet_status add_parts(pack_model *model, const char *path, uint32_t count, gemlet_error *error) {
    char other[4096];
    gemlet_status status = GEMLET_OK;
    for (uint32_t i = 1; i < count && status == GEMLET_OK; i++) {
        if (!part_path(path, i, count, other, sizeof other)) {
            return pack_fail(
                error, GEMLET_ERROR_UNSUPPORTED,
                "%s: is split into %u files, so it must be called NAME-00001-of-%05u.gguf, for the others to be found beside it",
                path, count, count);
        }
        status = add_part(model, other, i, count, error);
    }
    return status;
}

/* ---- Public ---- */

static gemlet_status load_text(pack_model *model, const char *path, gemlet_error *error) {
    gguf_source s;
    char architecture[64];
    const pack_file *file;
    uint32_t parts = 1;
    gemlet_status status = open_source(&s, path, error);
    if (status != GEMLET_OK) {
        return status;
    }
    status = check_first(&s.container, path, &parts, error);
    status = status != GEMLET_OK
                 ? status
                 : gemlet_container_string(&s.container, "general.architecture", architecture, sizeof architecture, error);
    if (status == GEMLET_OK) {
        model->family = pack_family_of_architecture(architecture);
        if (model->family == NULL) {
            status = pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: architecture \"%s\" is not supported: give a %s model%s", path,
                               architecture, pack_family_names(),
                               strcmp(architecture, "clip") == 0 ? " (this one goes behind --mmproj)" : "");
        }
    }
    if (status == GEMLET_OK &&
        gemlet_container_string(&s.container, "general.name", model->name, sizeof model->name, NULL) != GEMLET_OK) {
        model->name[0] = '\0';
    }
    status = status != GEMLET_OK ? status : read_text(model, &s.container, error);
    status = status != GEMLET_OK ? status : pack_check_text_keys(model, &s.container, error);
    status = status != GEMLET_OK ? status : read_tokens(model, &s.container, error);
    status = status != GEMLET_OK ? status : pack_open(model, path, &file, error);
    status = status != GEMLET_OK ? status : add_tensors(model, &s.container, file, error);
    status = status != GEMLET_OK ? status : add_parts(model, path, parts, error);
    close_source(&s);
    return status;
}

static gemlet_status load_projector(pack_model *model, const char *path, const char *text, gemlet_error *error) {
    gguf_source s;
    const pack_file *file;
    gemlet_status status = open_source(&s, path, error);
    if (status != GEMLET_OK) {
        return status;
    }
    status = check_projector(model, &s.container, text, error);
    status = status != GEMLET_OK ? status : read_projector(model, &s.container, error);
    status = status != GEMLET_OK ? status : pack_check_projector_keys(model, &s.container, error);
    status = status != GEMLET_OK ? status : pack_open(model, path, &file, error);
    status = status != GEMLET_OK ? status : add_tensors(model, &s.container, file, error);
    close_source(&s);
    return status;
}

gemlet_status pack_load_gguf(pack_model *model, const char *text, const char *projector, gemlet_error *error) {
    model->from_gguf = true;
    gemlet_status status = load_text(model, text, error);
    if (status == GEMLET_OK && projector != NULL) {
        status = load_projector(model, projector, text, error);
        name_feed_forward(model);
    }
    status = status != GEMLET_OK ? status : pack_sort_tensors(model, error);
    if (status == GEMLET_OK && model->text.traits->partial_rotation) {
        status = read_rotated_pairs(model, text, error);
    }
    if (status == GEMLET_OK && projector != NULL) {
        status = place_embedders(model, projector, error);
    }
    return status;
}
