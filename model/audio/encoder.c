/* Samples in, soft tokens out: the whole way through the encoder. */
#include <string.h>

#include "model/audio/conformer.h"

/* ---- Memory ---- */

static size_t longest_input(const gemlet_conformer_weights *w) {
    return gemlet_larger(gemlet_larger(w->inner, w->width), gemlet_larger(w->subsampled, w->embed.channels));
}

void gemlet_conformer_carve_work(const gemlet_conformer *c, gemlet_carver *carver, gemlet_conformer_work *work) {
    const gemlet_conformer_weights *w = &c->model->weights;
    size_t before = gemlet_larger(c->model->config.window - 1, GEMLET_CONFORMER_TAPS - 1);
    size_t row = w->width * sizeof(float);
    *work = (gemlet_conformer_work){
        .x = gemlet_carve(carver, c->chunk, row),
        .y = gemlet_carve(carver, c->chunk, gemlet_larger(w->width, w->embed.channels) * sizeof(float)),
        .wide = gemlet_carve(carver, c->chunk, gemlet_larger(w->inner, 2 * w->width) * sizeof(float)),
        .keys = gemlet_carve(carver, before + c->chunk, row),
        .values = gemlet_carve(carver, before + c->chunk, row),
        .quantized = gemlet_carve(carver, gemlet_row_scaled_activation_bytes(c->chunk, longest_input(w)), 1),
        .scale = gemlet_carve(carver, c->chunk, sizeof(float)),
        .pointers = gemlet_carve(carver, c->chunk, sizeof(int8_t *)),
    };
}

static void carve_state(gemlet_conformer *c, gemlet_carver *carver) {
    const gemlet_conformer_weights *w = &c->model->weights;
    const gemlet_conformer_config *config = &c->model->config;
    size_t row = w->width * sizeof(float);
    gemlet_mel_carve(&c->mel, carver);
    gemlet_conformer_carve_stages(c, carver);
    c->subsampled = gemlet_carve(carver, c->chunk, w->subsampled * sizeof(float));
    c->keys = gemlet_carve(carver, (size_t)config->block_count * (config->window - 1), row);
    c->values = gemlet_carve(carver, (size_t)config->block_count * (config->window - 1), row);
    c->convolved = gemlet_carve(carver, (size_t)config->block_count * (GEMLET_CONFORMER_TAPS - 1), row);
}

static void set_up(gemlet_conformer *c, gemlet_carver *carver) {
    const gemlet_conformer_model *m = c->model;
    c->mel =
        (gemlet_mel){.traits = &m->traits->mel, .window = m->weights.window, .filters = m->weights.filters, .bins = m->config.bins};
    carve_state(c, carver);
}

void gemlet_conformer_plan(gemlet_conformer *c) {
    gemlet_conformer_work work;
    gemlet_carver state = {NULL, 0}, scratch = {NULL, 0};
    c->chunk = c->chunk != 0 && c->chunk < GEMLET_CONFORMER_CHUNK ? c->chunk : GEMLET_CONFORMER_CHUNK;
    size_t most = gemlet_conformer_soft_tokens(c->model, c->longest);
    c->most_soft_tokens = c->model->traits->padded ? gemlet_larger(most, c->model->config.soft_tokens) : most;
    set_up(c, &state);
    gemlet_conformer_carve_work(c, &scratch, &work);
    c->state_bytes = state.used;
    c->work_bytes = scratch.used;
}

void gemlet_conformer_open(gemlet_conformer *c) {
    set_up(c, &(gemlet_carver){c->state, 0});
    gemlet_mel_open(&c->mel);
    gemlet_conformer_begin(c);
}

/* ---- A clip ---- */

static size_t frames_of(const gemlet_conformer_model *model, size_t samples) {
    size_t rows = gemlet_mel_frames(&model->traits->mel, samples);
    return (rows + GEMLET_SUBSAMPLING - 1) / GEMLET_SUBSAMPLING;
}

size_t gemlet_conformer_soft_tokens(const gemlet_conformer_model *model, size_t samples) {
    return (frames_of(model, samples) + model->config.reduction - 1) / model->config.reduction;
}

size_t gemlet_conformer_shortest(const gemlet_conformer_model *model) {
    const gemlet_mel_traits *mel = &model->traits->mel;
    size_t padded = mel->frame + 1 - mel->lead; /* a multiple of the padding is reached by the first sample behind the one before */
    return (padded - 1) / mel->padding * mel->padding + 1;
}

void gemlet_conformer_begin(gemlet_conformer *c) {
    const gemlet_conformer_config *config = &c->model->config;
    gemlet_mel_begin(&c->mel);
    gemlet_conformer_begin_stages(c);
    c->rows = c->pending = c->frames = c->soft_count = 0;
    memset(c->convolved, 0,
           (size_t)config->block_count * (GEMLET_CONFORMER_TAPS - 1) * c->model->weights.width * sizeof *c->convolved);
    memset(c->keys, 0, (size_t)config->block_count * (config->window - 1) * c->model->weights.width * sizeof *c->keys);
    memset(c->values, 0, (size_t)config->block_count * (config->window - 1) * c->model->weights.width * sizeof *c->values);
}

/* Frames `first`, + reduction, ... of w->x to the text's width. */
static void embed(gemlet_conformer *c, size_t frames, gemlet_conformer_work *w) {
    const gemlet_conformer_weights *weights = &c->model->weights;
    const gemlet_conformer_traits *traits = c->model->traits;
    size_t reduction = c->model->config.reduction, width = weights->width, count = 0;
    for (size_t f = (reduction - c->frames % reduction) % reduction; f < frames; f += reduction, count++) {
        memmove(w->x + count * width, w->x + f * width, width * sizeof *w->x);
    }
    const float *hidden = w->x;
    size_t length = weights->embed.channels;
    if (traits->projected && count > 0) {
        gemlet_conformer_product(c, &weights->projection, w->x, count, w, w->y);
        for (size_t f = 0; f < count; f++) {
            c->kernels.real->add_scaled(w->y + f * length, 1.0f, weights->projection_bias, length);
        }
        hidden = w->y;
    }
    float *soft = c->soft_tokens + c->soft_count * c->text_width;
    gemlet_conformer_norm(c, hidden, weights->soft_norm, count, length, w->y);
    if (count > 0) {
        gemlet_conformer_product(c, &weights->embed, w->y, count, w, soft);
    }
    if (traits->soft_normed) {
        gemlet_conformer_norm(c, soft, NULL, count, c->text_width, soft);
    }
    c->soft_count += count;
}

/* All pending frames through the blocks. */
static void run(gemlet_conformer *c) {
    gemlet_conformer_work w;
    gemlet_conformer_carve_work(c, &(gemlet_carver){c->work, 0}, &w);
    const gemlet_conformer_weights *weights = &c->model->weights;
    gemlet_conformer_product(c, &weights->input, c->subsampled, c->pending, &w, w.x);
    if (c->watch != NULL) {
        c->watch(c->watch_context, "subsampled", w.x, c->frames, c->pending, weights->width);
    }
    for (size_t block = 0; block < c->model->config.block_count; block++) {
        gemlet_conformer_block_run(c, block, c->pending, &w);
    }
    embed(c, c->pending, &w);
    c->frames += c->pending;
    c->pending = 0;
}

static void run_if(gemlet_conformer *c, size_t enough) {
    if (c->pending >= enough) {
        run(c);
    }
}

void gemlet_conformer_feed_row(gemlet_conformer *c, const float *row) {
    if (c->watch != NULL) {
        c->watch(c->watch_context, "mel", row, c->rows, 1, c->model->config.bins);
    }
    c->rows++;
    gemlet_conformer_subsample(c, row);
    run_if(c, c->chunk);
}

static void feed(gemlet_conformer *c, const float *samples, size_t count) {
    while (count > 0) {
        bool complete = false;
        size_t taken = gemlet_mel_feed(&c->mel, samples, count, &complete);
        samples += taken;
        count -= taken;
        if (complete) {
            gemlet_conformer_feed_row(c, c->mel.row);
        }
    }
}

void gemlet_conformer_feed(gemlet_conformer *c, const float *samples, size_t count, bool more) {
    feed(c, samples, count);
    run_if(c, more ? c->chunk : GEMLET_CONFORMER_LEAST);
}

void gemlet_conformer_end(gemlet_conformer *c) {
    const float zero = 0.0f;
    for (size_t padding = gemlet_mel_padding(&c->mel); padding > 0; padding--) {
        feed(c, &zero, 1);
    }
    while (gemlet_conformer_flush(c)) {
        run_if(c, c->chunk);
    }
    run_if(c, 1);
    size_t wanted = c->model->traits->padded ? c->most_soft_tokens : c->soft_count;
    for (; c->soft_count < wanted; c->soft_count++) {
        memcpy(c->soft_tokens + c->soft_count * c->text_width, c->padding, c->text_width * sizeof *c->soft_tokens);
    }
}
