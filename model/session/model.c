#include "model/session/session.h"

#include <string.h>

#include "model/text/keys.h"

static gemlet_level pick_level(const gemlet_port *port, const gemlet_options *options) {
    gemlet_level level = gemlet_level_for(port->cpu_features(port->context));
    uint32_t limit = options != NULL ? options->level_limit : 0;
    return limit != 0 && level > (gemlet_level)(limit - 1) ? (gemlet_level)(limit - 1) : level;
}

/* Ids that are fed without a look at each must have an embedding. */
static gemlet_status check_id(const gemlet_model *model, uint32_t id, const char *whose, gemlet_error *error) {
    if (id < model->config.vocabulary) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_FORMAT, model->container.path);
    gemlet_error_text(error, ": token ids must be below ");
    gemlet_error_number(error, model->config.vocabulary);
    gemlet_error_text(error, ", the rows of tensor \"token_embd.weight\", but ");
    gemlet_error_text(error, whose);
    gemlet_error_text(error, " has ");
    gemlet_error_number(error, id);
    return GEMLET_ERROR_FORMAT;
}

static gemlet_status load_tokenizer(gemlet_model *model, gemlet_arena *arena, gemlet_error *error) {
    gemlet_tensor tables;
    const void *data = NULL;
    gemlet_status status = gemlet_container_tensor(&model->container, "tokenizer.tables", &tables, error);
    if (status == GEMLET_OK) {
        status = gemlet_container_load(&model->container, &tables, arena, "weights", &data, &model->mapped, error);
    }
    if (status != GEMLET_OK || arena->base == NULL) {
        return status; /* a plan needs no tokenizer, and a header-only file has none */
    }
    status = gemlet_tokenizer_open(&model->tokenizer, data, (size_t)tables.bytes, error);
    return status != GEMLET_OK ? status : check_id(model, gemlet_tokenizer_count(&model->tokenizer) - 1, "the tokenizer", error);
}

static gemlet_status read_ids(gemlet_model *model, const char *begin_key, uint32_t *begin, const char *end_key, uint32_t *end,
                              gemlet_error *error) {
    const struct {
        const char *key;
        uint32_t *id;
    } ids[] = {{begin_key, begin}, {end_key, end}};
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < sizeof ids / sizeof *ids && status == GEMLET_OK; i++) {
        status = gemlet_container_u32(&model->container, ids[i].key, 0, ids[i].id, error);
        if (status == GEMLET_OK) {
            status = check_id(model, *ids[i].id, ids[i].key, error);
        }
    }
    return status;
}

static gemlet_status read_image_ids(gemlet_model *model, gemlet_error *error) {
    return read_ids(model, "gemlet.vision.begin_token_id", &model->image_begin, "gemlet.vision.end_token_id", &model->image_end,
                    error);
}

static gemlet_status load_images(gemlet_model *model, const gemlet_options *options, gemlet_arena *arena, gemlet_error *error) {
    const gemlet_image_encoder *encoder = model->family->images;
    bool there = false;
    if (encoder == NULL || (options != NULL && options->no_images)) {
        return GEMLET_OK;
    }
    gemlet_status status = encoder->read_config(&model->image_model, &model->container, &there, error);
    if (status != GEMLET_OK || !there) {
        return status;
    }
    model->images = encoder;
    status = read_image_ids(model, error);
    return status != GEMLET_OK
               ? status
               : encoder->load(&model->image_model, &model->container, model->config.width, arena, &model->mapped, error);
}

static gemlet_status read_sound_ids(gemlet_model *model, gemlet_error *error) {
    return read_ids(model, "gemlet.audio.begin_token_id", &model->sound_begin, "gemlet.audio.end_token_id", &model->sound_end,
                    error);
}

/* The padding of a clip is the last special id's embedding, which the text model has loaded. */
static gemlet_status load_sounds(gemlet_model *model, const gemlet_options *options, gemlet_arena *arena, gemlet_error *error) {
    gemlet_conformer_model *sound = &model->sound_model;
    sound->traits = model->family->sounds;
    if (sound->traits == NULL || (options != NULL && options->no_sounds)) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_conformer_read_config(&model->container, sound, error);
    if (status != GEMLET_OK || sound->config.block_count == 0) {
        return status;
    }
    model->hears = true;
    if (sound->traits->padded && model->config.audio_count == 0) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, model->container.path);
        gemlet_error_text(error, ": a sound is filled up with the last audio id's embedding, but there is no audio id");
        return GEMLET_ERROR_FORMAT;
    }
    status = read_sound_ids(model, error);
    return status != GEMLET_OK ? status
                               : gemlet_conformer_load(sound, &model->container, model->config.width, arena, &model->mapped, error);
}

static gemlet_status load_text(gemlet_model *model, gemlet_arena *arena, gemlet_error *error) {
    void *layers = NULL;
    gemlet_status status = gemlet_family_of(&model->container, &model->family, error);
    if (status == GEMLET_OK) {
        status =
            gemlet_text_read_config(&model->container, model->family->architecture, &model->family->text, &model->config, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_arena_keep(arena, "model", model->config.layers * sizeof(gemlet_text_layer), &layers, error);
    }
    return status != GEMLET_OK
               ? status
               : gemlet_text_load(&model->container, &model->config, layers, arena, &model->weights, &model->mapped, error);
}

gemlet_status gemlet_model_fill(gemlet_model *model, const gemlet_port *port, const char *path, const gemlet_options *options,
                                gemlet_arena *arena, gemlet_error *error) {
    memset(model, 0, sizeof *model);
    model->port = port;
    model->kernels = gemlet_kernels_for(pick_level(port, options));
    gemlet_status status = gemlet_container_open(&model->container, port, path, error);
    if (status != GEMLET_OK) {
        return status;
    }
    status = gemlet_container_require_packed(&model->container, error);
    if (status == GEMLET_OK) {
        status = load_text(model, arena, error);
    }
    if (status == GEMLET_OK) {
        status = load_tokenizer(model, arena, error);
    }
    if (status == GEMLET_OK) {
        status = load_images(model, options, arena, error);
    }
    if (status == GEMLET_OK) {
        status = load_sounds(model, options, arena, error);
    }
    gemlet_status read = gemlet_container_check_read(&model->container, error); /* what seems to be missing may only not be read */
    status = read != GEMLET_OK ? read : status;
    if (status != GEMLET_OK) {
        gemlet_container_close(&model->container);
    }
    return status;
}

gemlet_status gemlet_model_open(const gemlet_port *port, const char *path, const gemlet_options *options, gemlet_arena *arena,
                                gemlet_model **model, gemlet_error *error) {
    if (port == NULL || path == NULL || arena == NULL || model == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "gemlet_model_open: port, path, arena and model must not be NULL");
    }
    void *memory = NULL;
    *model = NULL;
    if (arena->base == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "gemlet_model_open: the arena has no memory; gemlet_plan counts");
    }
    gemlet_arena before = *arena;
    gemlet_status status = gemlet_arena_keep(arena, "model", sizeof **model, &memory, error);
    if (status == GEMLET_OK) {
        status = gemlet_model_fill(memory, port, path, options, arena, error);
    }
    if (status == GEMLET_OK) {
        *model = memory;
    } else {
        *arena = before;
    }
    return status;
}

void gemlet_model_close(gemlet_model *model) {
    if (model != NULL) {
        gemlet_container_close(&model->container);
    }
}

/* ---- Facts ---- */

gemlet_facts gemlet_model_facts(const gemlet_model *model) {
    const gemlet_text_config *c = &model->config;
    return (gemlet_facts){c->vocabulary, c->layers, c->width, c->trained_context, gemlet_level_name(model->kernels.level)};
}

const gemlet_tokenizer *gemlet_model_tokenizer(const gemlet_model *model) {
    return &model->tokenizer;
}

const gemlet_chat_format *gemlet_model_chat(const gemlet_model *model) {
    const gemlet_family *family = model->family;
    bool calls = family->calling_chat != NULL &&
                 gemlet_tokenizer_special(&model->tokenizer, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE) != GEMLET_NO_TOKEN;
    return calls ? family->calling_chat : family->chat;
}
