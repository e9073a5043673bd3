/* The linears: weights of 2, 4 or 8 bits times int8 activations. */
#include <math.h>
#include <string.h>

#include "model/audio/conformer.h"

enum { CLAMPED = 16 /* columns that are clamped together */ };

static bool is_matrix(const gemlet_conformer_linear *linear) {
    return linear->matrix.columns != 0;
}

/* Outputs that are computed together. */
static size_t panel_of(const gemlet_conformer_linear *linear) {
    return is_matrix(linear) ? GEMLET_PANEL_ROWS : GEMLET_CONV_PANEL;
}

/* With the bounds as the ends of the range: one scale for all, 0 where it is too small for one.  Whole and zero-padded, as the
 * quantize of gemlet_conv_kernels leaves it. */
static void quantize_bounded(const gemlet_conformer_linear *linear, const float *x, size_t frames, int8_t *q, float *scale) {
    size_t channels = linear->conv.channels, padded = gemlet_padded_channels(channels);
    float range = fmaxf(fabsf(*linear->input.least), fabsf(*linear->input.most)), inverse = 127.0f / range;
    bool usable = isfinite(inverse);
    for (size_t f = 0; f < frames; f++, x += channels, q += padded) {
        for (size_t i = 0; i < channels; i++) {
            float value;
            gemlet_clamp(&linear->input, &x[i], 1, &value);
            q[i] = (int8_t)rintf(usable ? value * inverse : 0.0f);
        }
        memset(q + channels, 0, padded - channels);
        scale[f] = usable ? range / 127.0f : 0.0f;
    }
}

typedef struct product_job {
    const gemlet_conformer *conformer;
    const gemlet_conformer_linear *linear;
    const gemlet_conformer_work *work;
    const float *x;
    float *y;
    size_t frames, panels, tasks;
} product_job;

static void quantize_task(void *argument, size_t task) {
    const product_job *job = argument;
    const gemlet_conv *conv = &job->linear->conv;
    size_t first, end, padded = gemlet_padded_channels(conv->channels);
    gemlet_share(job->frames, task, job->tasks, &first, &end);
    const float *x = job->x + first * conv->channels;
    int8_t *q = job->work->quantized + first * padded;
    if (job->linear->input.least != NULL) {
        quantize_bounded(job->linear, x, end - first, q, job->work->scale + first);
    } else {
        job->conformer->kernels.conv->quantize(x, conv->channels, end - first, conv->channels, q, job->work->scale + first);
    }
    for (size_t f = first; f < end; f++) {
        job->work->pointers[f] = job->work->quantized + f * padded;
    }
}

/* Whether the bounds of inputs change what a matrix takes: where they are the ends of the range of its steps, rounding clamps. */
static bool clamps_inputs(const gemlet_conformer_linear *linear) {
    float step = linear->matrix.input_scale;
    return linear->input.least != NULL &&
           !(rintf(*linear->input.least / step) <= -128.0f && rintf(*linear->input.most / step) >= 127.0f);
}

/* Some frames, a tile at most, for a matrix; what has to be clamped before, a few columns at a time. */
static void quantize_tile(const product_job *job, const float *x, size_t frames, void *out) {
    const gemlet_row_scaled_kernels *kernels = job->conformer->kernels.row_scaled;
    const gemlet_matrix *m = &job->linear->matrix;
    float clamped[GEMLET_TILE * CLAMPED];
    if (!clamps_inputs(job->linear)) {
        kernels->quantize(x, m->columns, frames, 0, m->columns, m->columns, m->input_scale, out);
    }
    for (size_t column = 0; column < m->columns && clamps_inputs(job->linear); column += CLAMPED) {
        size_t end = column + CLAMPED < m->columns ? column + CLAMPED : m->columns;
        for (size_t f = 0; f < frames; f++) {
            gemlet_clamp(&job->linear->input, x + f * m->columns + column, end - column, clamped + f * CLAMPED);
        }
        kernels->quantize(clamped, CLAMPED, frames, column, end, m->columns, m->input_scale, out);
    }
    kernels->correct(m->type, frames, m->columns, out);
}

static void quantize_tiles_task(void *argument, size_t task) {
    const product_job *job = argument;
    size_t first, end, columns = job->linear->matrix.columns;
    gemlet_share((job->frames + GEMLET_TILE - 1) / GEMLET_TILE, task, job->tasks, &first, &end);
    for (size_t f = first * GEMLET_TILE; f < job->frames && f < end * GEMLET_TILE; f += GEMLET_TILE) {
        size_t frames = job->frames - f < GEMLET_TILE ? job->frames - f : GEMLET_TILE;
        quantize_tile(job, job->x + f * columns, frames, job->work->quantized + gemlet_row_scaled_activation_bytes(f, columns));
    }
}

static void multiply_task(void *argument, size_t task) {
    const product_job *job = argument;
    const gemlet_conformer_linear *linear = job->linear;
    const gemlet_kernels *kernels = &job->conformer->kernels;
    size_t first, end;
    gemlet_share(job->panels, task, job->tasks, &first, &end);
    if (is_matrix(linear)) {
        kernels->row_scaled->multiply(&linear->matrix, first, end, job->work->quantized, job->frames, job->y, linear->outputs);
    } else {
        kernels->conv->multiply(&linear->conv, first, end, job->work->pointers, job->frames, job->work->scale, job->y,
                                linear->outputs);
    }
    if (linear->output.least == NULL) {
        return;
    }
    first *= panel_of(linear);
    end = end * panel_of(linear) < linear->outputs ? end * panel_of(linear) : linear->outputs;
    for (size_t f = 0; f < job->frames; f++) {
        float *y = &job->y[f * linear->outputs + first];
        gemlet_clamp(&linear->output, y, end - first, y);
    }
}

void gemlet_conformer_product(const gemlet_conformer *c, const gemlet_conformer_linear *linear, const float *x, size_t frames,
                              const gemlet_conformer_work *w, float *y) {
    size_t panels = (linear->outputs + panel_of(linear) - 1) / panel_of(linear);
    size_t parts = is_matrix(linear) ? (frames + GEMLET_TILE - 1) / GEMLET_TILE : frames;
    product_job job = {.conformer = c, .linear = linear, .work = w, .x = x, .y = y, .frames = frames, .panels = panels};
    job.tasks = parts < c->threads ? parts : c->threads;
    gemlet_parallel(c->port, is_matrix(linear) ? quantize_tiles_task : quantize_task, &job, job.tasks);
    job.tasks = panels < c->threads ? panels : c->threads;
    gemlet_parallel(c->port, multiply_task, &job, job.tasks);
}
