/* gemma4v and SigLIP as image encoders. */
#include "model/container/key_reader.h"
#include "model/vision/vit/vit.h"

const gemlet_vit_traits gemlet_gemma4v_traits = {
    .patch = GEMLET_VIT_PATCH, .filter = GEMLET_RESAMPLE_CUBIC, .rotary = true, .gated = true};
const gemlet_vit_traits gemlet_siglip_traits = {
    .patch = 14, .filter = GEMLET_RESAMPLE_TRIANGLE, .square = true, .layer_norms = true, .biases = true};

/* A square of patches, of which pool x pool become one of the soft tokens. */
static void read_square(gemlet_key_reader *r, gemlet_vit_config *c) {
    c->image_size = gemlet_key_u32(r, "image_size", 0, c->traits->patch, GEMLET_LARGEST_IMAGE);
    uint32_t side = c->image_size / c->traits->patch, across = 1;
    while (across * across < c->soft_tokens) {
        across++;
    }
    c->pool = across != 0 ? side / across : 0;
    if (r->status == GEMLET_OK && (across * across != c->soft_tokens || across * c->pool * c->traits->patch != c->image_size ||
                                   side * side > GEMLET_VIT_MOST_PATCHES)) {
        gemlet_key_fail(r, GEMLET_ERROR_UNSUPPORTED,
                        "image_size and soft_token_count must be a square of patches in squares but are ");
        gemlet_error_number(r->error, c->image_size);
        gemlet_error_text(r->error, " and ");
        gemlet_error_number(r->error, c->soft_tokens);
    }
}

static gemlet_status read_config(const gemlet_vit_traits *traits, gemlet_vit_config *c, gemlet_container *container, bool *there,
                                 gemlet_error *error) {
    gemlet_key_reader r = {.container = container, .error = error, .prefix = "gemlet.vision"};
    *c = (gemlet_vit_config){.traits = traits, .pool = GEMLET_VIT_POOL};
    *there = gemlet_key_there(&r, "block_count");
    if (!*there) {
        return GEMLET_OK;
    }
    c->layers = gemlet_key_u32(&r, "block_count", 0, 1, 64);
    c->width = gemlet_key_u32(&r, "embedding_length", 0, 32, 1u << 13);
    c->heads = gemlet_key_u32(&r, "attention.head_count", 0, 1, 64);
    c->head_width = gemlet_key_u32(&r, "attention.key_length", 0, 8, 256);
    c->inner = gemlet_key_u32(&r, "feed_forward_length", 0, 32, 1u << 15);
    c->soft_tokens = gemlet_key_u32(&r, "soft_token_count", 0, 1, GEMLET_VIT_MOST_TOKENS);
    c->epsilon = gemlet_key_f32(&r, "rms_epsilon", 0);
    if (traits->rotary) {
        c->rope_base = gemlet_key_positive(&r, "rope.freq_base", 0);
    }
    if (traits->square) {
        read_square(&r, c);
    }
    if (r.status == GEMLET_OK && (c->head_width % (traits->rotary ? GEMLET_PANEL_ROWS : 4) != 0 || c->width % GEMLET_BLOCK != 0)) {
        gemlet_key_fail(&r, GEMLET_ERROR_UNSUPPORTED,
                        traits->rotary ? "the image encoder's heads must be multiples of 16 numbers, its width one of 32, but are "
                                       : "the image encoder's heads must be multiples of 4 numbers, its width one of 32, but are ");
        gemlet_error_number(error, c->head_width);
        gemlet_error_text(error, " and ");
        gemlet_error_number(error, c->width);
    }
    return r.status;
}

static gemlet_status read_gemma4v(void *model, gemlet_container *container, bool *there, gemlet_error *error) {
    return read_config(&gemlet_gemma4v_traits, &((gemlet_vit_model *)model)->config, container, there, error);
}

static gemlet_status read_siglip(void *model, gemlet_container *container, bool *there, gemlet_error *error) {
    return read_config(&gemlet_siglip_traits, &((gemlet_vit_model *)model)->config, container, there, error);
}

static gemlet_status load(void *model, gemlet_container *container, size_t text_width, gemlet_arena *arena, uint64_t *mapped,
                          gemlet_error *error) {
    gemlet_vit_model *m = model;
    void *layers = NULL;
    gemlet_status status = gemlet_arena_keep(arena, "model", m->config.layers * sizeof(gemlet_vit_layer), &layers, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_loader l = {.container = container, .arena = arena, .mapped = mapped, .error = error, .status = GEMLET_OK};
    m->weights = (gemlet_vit_weights){.layers = layers};
    gemlet_vit_load(&l, &m->config, text_width, &m->weights);
    return l.status;
}

static gemlet_status fail_option(const char *text, uint32_t limit, uint32_t found, gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, text);
    gemlet_error_number(error, limit);
    gemlet_error_text(error, " but is ");
    gemlet_error_number(error, found);
    return GEMLET_ERROR_ARGUMENT;
}

/* Squares have one size: there is a place for each of their patches. */
static gemlet_status plan_square(gemlet_image_run *run, const gemlet_vit_config *c, gemlet_error *error) {
    if (run->image_tokens != 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT,
                           "option image_tokens is for images that keep their shape; this encoder makes squares of one size");
    }
    if (run->image_size != 0 && run->image_size != c->image_size) {
        return fail_option("option image_size must be ", c->image_size, run->image_size, error);
    }
    run->image_size = c->image_size;
    run->most_soft_tokens = c->soft_tokens;
    return GEMLET_OK;
}

static gemlet_status plan_budget(gemlet_image_run *run, const gemlet_vit_config *c, gemlet_error *error) {
    run->image_tokens = run->image_tokens != 0 ? run->image_tokens : c->soft_tokens;
    uint32_t most = c->positions / c->pool; /* a strip has a place for each of its columns */
    most = most < GEMLET_VIT_MOST_TOKENS ? most : GEMLET_VIT_MOST_TOKENS;
    if (run->image_tokens > most) {
        return fail_option("option image_tokens must be at most ", most, run->image_tokens, error);
    }
    if (run->image_size != 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT,
                           "option image_size is for encoders of squares; this one's frames keep their shape: option image_tokens");
    }
    run->most_soft_tokens = run->image_tokens;
    while ((run->image_size / GEMLET_VIT_CELL + 1) * (run->image_size / GEMLET_VIT_CELL + 1) <= run->image_tokens) {
        run->image_size += GEMLET_VIT_CELL; /* of the largest square */
    }
    return GEMLET_OK;
}

static gemlet_status plan(gemlet_image_run *run, const void *model, gemlet_container *container, gemlet_error *error) {
    gemlet_vit *v = (gemlet_vit *)run;
    const gemlet_vit_model *m = model;
    gemlet_vit_work work;
    (void)container;
    v->config = &m->config;
    v->weights = &m->weights;
    gemlet_status status = (m->config.traits->square ? plan_square : plan_budget)(run, &m->config, error);
    if (status == GEMLET_OK) {
        run->bytes = gemlet_vit_carve(v, (size_t)run->most_soft_tokens * m->config.pool * m->config.pool, NULL, &work);
    }
    return status;
}

static gemlet_vit_grid grid_of(const gemlet_vit *v, uint32_t width, uint32_t height) {
    const gemlet_vit_config *c = v->config;
    uint32_t side = c->image_size / c->traits->patch;
    if (width == 0 || height == 0) {
        return (gemlet_vit_grid){0, 0};
    }
    return c->traits->square ? (gemlet_vit_grid){side, side} : gemlet_vit_grid_of(width, height, v->run.image_tokens);
}

static uint32_t soft_tokens(const gemlet_image_run *run, uint32_t width, uint32_t height) {
    const gemlet_vit *v = (const gemlet_vit *)run;
    gemlet_vit_grid grid = grid_of(v, width, height);
    return grid.columns / v->config->pool * (grid.rows / v->config->pool);
}

static gemlet_status prepare(const gemlet_image_run *run, const gemlet_image *image, gemlet_error *error) {
    const gemlet_vit *v = (const gemlet_vit *)run;
    const gemlet_vit_traits *traits = v->config->traits;
    gemlet_vit_work work;
    gemlet_status status = gemlet_check_image(image, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_vit_grid grid = grid_of(v, image->width, image->height);
    if (grid.columns == 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the image's sides differ so much that no soft token would be left");
    }
    gemlet_vit_carve(v, (size_t)grid.columns * grid.rows, run->memory, &work);
    *work.grid = grid;
    const gemlet_resample_target target = {traits->filter, (size_t)grid.columns * traits->patch, (size_t)grid.rows * traits->patch};
    return gemlet_resample(image, &target, work.resampling, gemlet_vit_resampling_bytes(v), work.pixels, error);
}

static bool encode(const gemlet_image_run *run, float *soft) {
    return gemlet_vit_run((const gemlet_vit *)run, soft);
}

const gemlet_image_encoder gemlet_gemma4v_encoder = {
    .read_config = read_gemma4v, .load = load, .plan = plan, .soft_tokens = soft_tokens, .prepare = prepare, .encode = encode};
const gemlet_image_encoder gemlet_siglip_encoder = {
    .read_config = read_siglip, .load = load, .plan = plan, .soft_tokens = soft_tokens, .prepare = prepare, .encode = encode};
