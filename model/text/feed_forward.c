/* The gated feed-forward block.  In Gemma 3n's first layers all but about 5 % of the gate is exactly zero: then only the open rows
 * of up and columns of down are read.  transformers, Gemma3nTextMLP. */
#include <string.h>

#include "model/text/decoder.h"

typedef struct feed_forward_job {
    const gemlet_text_decoder *decoder;
    const gemlet_text_layer *layer;
    size_t inner;
    float sparsity;
    size_t pieces; /* into which one token's work is split */
    size_t count;
    size_t tasks;
} feed_forward_job;

static unsigned char *single_vector(const gemlet_text_decoder *d, size_t token) {
    size_t width = d->config->width;
    size_t inner = d->config->widest_feed_forward;
    return (unsigned char *)d->scratch.single + token * gemlet_activation_bytes(1, width > inner ? width : inner);
}

/* The open gates of one token: their indices to list, their values to up. */
static void select_gates(const feed_forward_job *job, size_t token) {
    const gemlet_text_decoder *d = job->decoder;
    size_t widest = d->config->widest_feed_forward;
    float *gate = d->scratch.gate + token * job->inner;
    float *values = d->scratch.up + token * job->inner;
    uint32_t *list = d->scratch.list + token * widest;
    size_t open = d->kernels.real->select_above(gate, job->inner, job->sparsity, list, values);
    if (d->no_skipping) { /* the same zeros, multiplied all the same */
        memset(gate, 0, job->inner * sizeof *gate);
        for (size_t i = 0; i < open; i++) {
            gate[list[i]] = values[i];
        }
        memcpy(values, gate, job->inner * sizeof *gate);
        for (size_t i = 0; i < job->inner; i++) {
            list[i] = (uint32_t)i;
        }
        open = job->inner;
    }
    d->scratch.list_length[token] = open;
    size_t width = d->config->width;
    d->kernels.matrix->quantize(d->scratch.normed + token * width, width, 1, 0, width, width, single_vector(d, token));
}

/* A piece of up's open rows of one token, to gate. */
static void open_rows(const feed_forward_job *job, size_t token, size_t piece) {
    const gemlet_text_decoder *d = job->decoder;
    const uint32_t *list = d->scratch.list + token * d->config->widest_feed_forward;
    size_t first = 0;
    size_t end = 0;
    gemlet_share(d->scratch.list_length[token], piece, job->pieces, &first, &end);
    d->kernels.matrix->multiply_rows(&job->layer->up, list + first, end - first, single_vector(d, token),
                                     d->scratch.gate + token * job->inner + first);
}

/* gelu(gate) * up, spread to where it belongs and quantised. */
static void activate(const feed_forward_job *job, size_t token) {
    const gemlet_text_decoder *d = job->decoder;
    float *hidden = d->scratch.gate + token * job->inner;
    float *values = d->scratch.up + token * job->inner;
    const uint32_t *list = d->scratch.list + token * d->config->widest_feed_forward;
    size_t open = d->scratch.list_length[token];
    d->kernels.real->gelu_multiply(values, hidden, open, values);
    memset(hidden, 0, job->inner * sizeof *hidden);
    for (size_t i = 0; i < open; i++) {
        hidden[list[i]] = values[i];
    }
    d->kernels.matrix->quantize(hidden, job->inner, 1, 0, job->inner, job->inner, single_vector(d, token));
}

/* A piece of down's rows of one token. */
static void down_rows(const feed_forward_job *job, size_t token, size_t piece) {
    const gemlet_text_decoder *d = job->decoder;
    size_t width = d->config->width;
    size_t first = 0;
    size_t end = 0;
    gemlet_share((width + GEMLET_COLUMN_ROWS - 1) / GEMLET_COLUMN_ROWS, piece, job->pieces, &first, &end);
    first *= GEMLET_COLUMN_ROWS;
    end = end * GEMLET_COLUMN_ROWS < width ? end * GEMLET_COLUMN_ROWS : width;
    d->kernels.matrix->multiply_columns(&job->layer->down, d->scratch.list + token * d->config->widest_feed_forward,
                                        d->scratch.list_length[token], single_vector(d, token), first, end,
                                        d->scratch.branch + token * width);
}

static void rows_task(void *argument, size_t task) {
    const feed_forward_job *job = argument;
    size_t item = 0;
    size_t end = 0;
    for (gemlet_share(job->count * job->pieces, task, job->tasks, &item, &end); item < end; item++) {
        size_t token = item / job->pieces;
        if (job->pieces == 1) {
            select_gates(job, token);
        }
        open_rows(job, token, item % job->pieces);
        if (job->pieces == 1) {
            activate(job, token);
            down_rows(job, token, 0);
        }
    }
}

static void down_task(void *argument, size_t task) {
    down_rows(argument, 0, task);
}

/* Several tokens: each task does some of them.  One token: its rows are split. */
static void sparse(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t inner, float sparsity, size_t count) {
    size_t pieces = count == 1 ? d->threads : 1;
    feed_forward_job job = {d, layer, inner, sparsity, pieces, count, gemlet_text_tasks(d, count * pieces)};
    if (pieces == 1) {
        gemlet_parallel(d->port, rows_task, &job, job.tasks);
        return;
    }
    select_gates(&job, 0);
    gemlet_parallel(d->port, rows_task, &job, job.tasks);
    activate(&job, 0);
    gemlet_parallel(d->port, down_task, &job, pieces);
}

/* gelu(gate) * up of some rows, for all tokens: piece by piece, so that what is not quantised yet stays small. */
static void gated_rows_task(void *argument, size_t task) {
    const feed_forward_job *job = argument;
    const gemlet_text_decoder *d = job->decoder;
    float *gate = d->scratch.pieces + task * 2 * d->chunk * GEMLET_FEED_FORWARD_PIECE;
    float *up = gate + d->chunk * GEMLET_FEED_FORWARD_PIECE;
    size_t first = 0;
    size_t end = 0;
    gemlet_share(job->inner / GEMLET_BLOCK, task, job->tasks, &first, &end);
    end *= GEMLET_BLOCK;
    for (size_t row = first * GEMLET_BLOCK; row < end; row += GEMLET_FEED_FORWARD_PIECE) {
        size_t rows = end - row < GEMLET_FEED_FORWARD_PIECE ? end - row : GEMLET_FEED_FORWARD_PIECE;
        gemlet_matrix gate_rows = gemlet_matrix_panels(&job->layer->gate, row, rows);
        gemlet_matrix up_rows = gemlet_matrix_panels(&job->layer->up, row, rows);
        gemlet_text_multiply(d, &gate_rows, 0, rows / GEMLET_PANEL_ROWS, d->scratch.activations, job->count, gate, rows);
        gemlet_text_multiply(d, &up_rows, 0, rows / GEMLET_PANEL_ROWS, d->scratch.activations, job->count, up, rows);
        d->kernels.real->gelu_multiply(gate, up, job->count * rows, gate);
        gemlet_text_quantize_columns(d, &job->layer->down, gate, rows, job->count, row, row + rows, d->scratch.hidden);
    }
}

static void dense(const gemlet_text_decoder *d, const gemlet_text_layer *layer, size_t inner, size_t count) {
    feed_forward_job job = {.decoder = d, .layer = layer, .inner = inner, .count = count};
    job.tasks = gemlet_text_tasks(d, inner / GEMLET_BLOCK);
    gemlet_parallel(d->port, gated_rows_task, &job, job.tasks);
    gemlet_text_finish_columns(d, &layer->down, count, d->scratch.hidden);
    gemlet_text_products(d, d->scratch.hidden, &(gemlet_text_output){&layer->down, d->scratch.branch}, 1, count);
}

void gemlet_text_feed_forward(const gemlet_text_decoder *d, uint32_t layer, size_t count) {
    const gemlet_text_layer *w = &d->weights->layers[layer];
    size_t inner = d->config->layer[layer].feed_forward;
    gemlet_text_quantize(d, &w->gate, d->scratch.normed, count);
    if (d->config->layer[layer].sparsity > 0.0f) {
        gemlet_text_product(d, &w->gate, count, d->scratch.gate);
        sparse(d, w, inner, d->config->layer[layer].sparsity, count);
    } else {
        dense(d, w, inner, count);
    }
}
