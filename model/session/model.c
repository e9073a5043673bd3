#include "model/session/session.h"

#include <math.h>
#include <string.h>

#include "core/text.h"

enum { DEFAULT_CONTEXT = 4096, DEFAULT_CHUNK = 64, LARGEST_CHUNK = 256 };

static gemlet_status fail_option(gemlet_error *error, const char *text, uint64_t high, uint64_t found) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, text);
    gemlet_error_number(error, high);
    gemlet_error_text(error, " but is ");
    gemlet_error_number(error, found);
    return GEMLET_ERROR_ARGUMENT;
}

gemlet_status gemlet_check_options(const gemlet_options *options, const gemlet_text_config *config, gemlet_options *out,
                                   gemlet_error *error) {
    *out = options != NULL ? *options : (gemlet_options){0};
    if (out->context == 0) {
        out->context = config->trained_context < DEFAULT_CONTEXT ? config->trained_context : DEFAULT_CONTEXT;
    }
    out->chunk = out->chunk != 0 ? out->chunk : DEFAULT_CHUNK;
    if (out->context > config->trained_context) {
        return fail_option(error, "option context must be at most what the model was trained for, ", config->trained_context,
                           out->context);
    }
    if (out->chunk > LARGEST_CHUNK) {
        return fail_option(error, "option chunk must be at most ", LARGEST_CHUNK, out->chunk);
    }
    if ((unsigned)out->cache > (unsigned)GEMLET_CACHE_S8) {
        return fail_option(error, "option cache must be at most ", GEMLET_CACHE_S8, (unsigned)out->cache);
    }
    out->chunk = out->chunk < out->context ? out->chunk : out->context;
    return GEMLET_OK;
}

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

static gemlet_status load_vision(gemlet_model *model, const gemlet_options *options, gemlet_arena *arena, gemlet_error *error) {
    const gemlet_vision_config *c = &model->vision_config;
    void *blocks = NULL;
    gemlet_status status = GEMLET_OK;
    if (options == NULL || !options->no_images) {
        status = gemlet_vision_read_config(&model->container, &model->vision_config, error);
    }
    if (status != GEMLET_OK || c->block_count == 0) {
        return status;
    }
    status = check_id(model, c->end_token, "key \"gemlet.vision.end_token_id\"", error);
    if (status == GEMLET_OK) {
        status = gemlet_arena_keep(arena, "model", c->block_count * sizeof(gemlet_vision_block), &blocks, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_vision_load(&model->container, c, model->config.width, blocks, arena, &model->vision_weights,
                                    &model->mapped, error);
    }
    return status;
}

/* Fills a model whose memory the caller has.  On an error the file is closed. */
static gemlet_status fill_model(gemlet_model *model, const gemlet_port *port, const char *path, const gemlet_options *options,
                                gemlet_arena *arena, gemlet_error *error) {
    memset(model, 0, sizeof *model);
    model->port = port;
    model->kernels = gemlet_kernels_for(pick_level(port, options));
    gemlet_status status = gemlet_container_open(&model->container, port, path, error);
    if (status != GEMLET_OK) {
        return status;
    }
    void *layers = NULL;
    status = gemlet_container_require_packed(&model->container, error);
    if (status == GEMLET_OK) {
        status = gemlet_text_read_config(&model->container, &model->config, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_arena_keep(arena, "model", model->config.layers * sizeof(gemlet_text_layer), &layers, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_text_load(&model->container, &model->config, layers, arena, &model->weights, &model->mapped, error);
    }
    if (status == GEMLET_OK) {
        status = load_tokenizer(model, arena, error);
    }
    if (status == GEMLET_OK) {
        status = load_vision(model, options, arena, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_container_check_read(&model->container, error); /* of what a model need not have */
    }
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
        status = fill_model(memory, port, path, options, arena, error);
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

/* ---- Plan ---- */

static uint64_t matrix_bytes(const gemlet_matrix *w) {
    return w->columns == 0 ? 0 : gemlet_packed_bytes(w->type, w->packing, w->rows, w->columns);
}

/* Where gates are cut off at `sparsity` deviations: the share of a normal distribution above that. */
static double open_share(float sparsity) {
    return sparsity > 0.0f ? 0.5 * erfc((double)sparsity / sqrt(2.0)) : 1.0;
}

/* Single rows of up; of down single columns and the scales of every block with an open column. */
static uint64_t feed_forward_bytes(const gemlet_text_config *c, uint32_t layer, gemlet_weight_type type) {
    double weights = (double)c->width * (double)c->feed_forward[layer];
    double share = open_share(c->sparsity[layer]);
    double value_bytes = type == GEMLET_Q4_0 ? 0.5 : 1.0;
    double scale_bytes = 2.0 / GEMLET_BLOCK;
    double touched = 1.0 - pow(1.0 - share, GEMLET_BLOCK);
    return (uint64_t)(weights * ((value_bytes + scale_bytes) + share * (value_bytes + scale_bytes) + share * value_bytes +
                                 touched * scale_bytes));
}

/* From shapes alone, so that it needs no layer in memory; the types are those of the embedding unless the file mixes them. */
static uint64_t token_bytes(const gemlet_model *model) {
    const gemlet_text_config *c = &model->config;
    const gemlet_text_weights *w = &model->weights;
    gemlet_weight_type type = w->embedding.type;
    size_t queries = (size_t)c->heads * c->head_width;
    size_t keys = (size_t)c->kv_heads * c->head_width;
    uint64_t bytes = matrix_bytes(&w->embedding) + matrix_bytes(&w->per_layer_projection);
    for (uint32_t s = 1; s < c->streams; s++) {
        bytes += matrix_bytes(&w->stream_in[s]) + matrix_bytes(&w->stream_out[s]);
    }
    if (w->per_layer_table.columns > 0) {
        bytes += gemlet_packing_group_bytes(w->per_layer_table.type, GEMLET_PACKED_ROWS, 1, w->per_layer_table.columns);
    }
    for (uint32_t i = 0; i < c->layers; i++) {
        size_t rows =
            2 * queries + (i < c->first_shared ? 2 * keys : 0) + 2 * (size_t)c->laurel_rank + 2 * (size_t)c->per_layer_width;
        bytes += gemlet_packed_bytes(type, GEMLET_PACKED_PANELS, rows, c->width) + feed_forward_bytes(c, i, type);
        bytes += sizeof(float) * ((uint64_t)c->width * (c->streams > 1 ? 8 + c->streams : 4));
    }
    return bytes;
}

static size_t user_bytes(const gemlet_arena *arena, const char *name) {
    for (size_t i = 0; i < arena->user_count; i++) {
        if (gemlet_text_equal(arena->users[i].name, name)) {
            return arena->users[i].peak;
        }
    }
    return 0;
}

gemlet_status gemlet_plan(const gemlet_port *port, const char *path, const gemlet_options *options, gemlet_memory_plan *plan,
                          gemlet_error *error) {
    if (port == NULL || path == NULL || plan == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "gemlet_plan: port, path and plan must not be NULL");
    }
    gemlet_arena arena;
    gemlet_model model;
    void *unused = NULL;
    gemlet_arena_init_counting(&arena);
    gemlet_status status = gemlet_arena_keep(&arena, "model", sizeof model, &unused, error);
    if (status == GEMLET_OK) {
        status = fill_model(&model, port, path, options, &arena, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_session *session = NULL;
    status = gemlet_session_open(&model, options, &arena, &session, error);
    if (status == GEMLET_OK) {
        size_t cache = user_bytes(&arena, "KV cache");
        size_t persistent = arena.kept_peak - cache;
        *plan = (gemlet_memory_plan){arena.peak, persistent, cache, arena.scratch_peak, model.mapped, token_bytes(&model)};
    }
    gemlet_container_close(&model.container);
    return status;
}

/* ---- Facts ---- */

gemlet_facts gemlet_model_facts(const gemlet_model *model) {
    const gemlet_text_config *c = &model->config;
    return (gemlet_facts){c->vocabulary, c->layers, c->width, c->trained_context, gemlet_level_name(model->kernels.level)};
}

const gemlet_tokenizer *gemlet_model_tokenizer(const gemlet_model *model) {
    return &model->tokenizer;
}
