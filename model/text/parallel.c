#include "model/text/decoder.h"

size_t gemlet_text_tasks(const gemlet_text_decoder *d, size_t items) {
    return items < d->threads ? items : d->threads;
}

typedef struct step_job {
    const gemlet_text_decoder *decoder;
    gemlet_text_step step;
    uint32_t layer;
    size_t count;
    size_t tasks;
} step_job;

static void step_task(void *argument, size_t task) {
    const step_job *job = argument;
    size_t token = 0;
    size_t end = 0;
    for (gemlet_share(job->count, task, job->tasks, &token, &end); token < end; token++) {
        job->step(job->decoder, job->layer, token);
    }
}

void gemlet_text_each(const gemlet_text_decoder *d, uint32_t layer, size_t count, gemlet_text_step step) {
    step_job job = {d, step, layer, count, gemlet_text_tasks(d, count)};
    gemlet_parallel(d->port, step_task, &job, job.tasks);
}

static size_t panels_of(const gemlet_text_output *output) {
    return (output->w->rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS;
}

void gemlet_text_multiply(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t first_panel, size_t end_panel, const void *x,
                          size_t count, float *y, size_t y_stride) {
    if (gemlet_is_row_scaled(w->type)) {
        d->kernels.row_scaled->multiply(w, first_panel, end_panel, x, count, y, y_stride);
    } else {
        d->kernels.matrix->multiply(w, first_panel, end_panel, x, count, y, y_stride);
    }
}

void gemlet_text_quantize_columns(const gemlet_text_decoder *d, const gemlet_matrix *w, const float *x, size_t stride, size_t count,
                                  size_t first, size_t end, void *out) {
    if (gemlet_is_row_scaled(w->type)) {
        d->kernels.row_scaled->quantize(x, stride, count, first, end, w->columns, w->input_scale, out);
    } else {
        d->kernels.matrix->quantize(x, stride, count, first, end, w->columns, out);
    }
}

void gemlet_text_finish_columns(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t count, void *x) {
    if (gemlet_is_row_scaled(w->type)) {
        d->kernels.row_scaled->correct(w->type, count, w->columns, x);
    }
}

typedef struct product_job {
    const gemlet_text_decoder *decoder;
    const void *x;
    const gemlet_text_output *outputs;
    size_t number;
    size_t count;
    size_t panels; /* of all matrices */
    size_t tasks;
} product_job;

/* The panels of all matrices are one sequence, of which each task gets as many. */
static void product_task(void *argument, size_t task) {
    const product_job *job = argument;
    const gemlet_text_decoder *d = job->decoder;
    size_t first = 0;
    size_t end = 0;
    gemlet_share(job->panels, task, job->tasks, &first, &end);
    for (size_t i = 0; i < job->number; i++) {
        const gemlet_text_output *out = &job->outputs[i];
        size_t panels = panels_of(out);
        if (first < panels && end > 0) {
            gemlet_text_multiply(d, out->w, first, end < panels ? end : panels, job->x, job->count, out->y, out->w->rows);
        }
        first = first > panels ? first - panels : 0;
        end = end > panels ? end - panels : 0;
    }
}

void gemlet_text_products(const gemlet_text_decoder *d, const void *x, const gemlet_text_output *outputs, size_t number,
                          size_t count) {
    product_job job = {.decoder = d, .x = x, .outputs = outputs, .number = number, .count = count};
    for (size_t i = 0; i < number; i++) {
        job.panels += panels_of(&outputs[i]);
    }
    job.tasks = gemlet_text_tasks(d, job.panels);
    gemlet_parallel(d->port, product_task, &job, job.tasks);
}

void gemlet_text_product(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t count, float *y) {
    gemlet_text_products(d, d->scratch.activations, &(gemlet_text_output){w, y}, 1, count);
}

typedef struct quantize_job {
    const gemlet_text_decoder *decoder;
    const gemlet_matrix *w;
    const float *x;
    size_t count;
    size_t tasks;
} quantize_job;

static void quantize_task(void *argument, size_t task) {
    const quantize_job *job = argument;
    const gemlet_text_decoder *d = job->decoder;
    size_t length = job->w->columns;
    size_t first = 0;
    size_t end = 0;
    gemlet_share((job->count + GEMLET_TILE - 1) / GEMLET_TILE, task, job->tasks, &first, &end);
    first *= GEMLET_TILE;
    end = end * GEMLET_TILE < job->count ? end * GEMLET_TILE : job->count;
    size_t bytes = gemlet_is_row_scaled(job->w->type) ? gemlet_row_scaled_activation_bytes(first, length)
                                                      : first * (length / GEMLET_BLOCK) * d->kernels.matrix->block_bytes;
    unsigned char *out = (unsigned char *)d->scratch.activations + bytes;
    gemlet_text_quantize_columns(d, job->w, job->x + first * length, length, end - first, 0, length, out);
    gemlet_text_finish_columns(d, job->w, end - first, out);
}

void gemlet_text_quantize(const gemlet_text_decoder *d, const gemlet_matrix *w, const float *x, size_t count) {
    quantize_job job = {d, w, x, count, gemlet_text_tasks(d, (count + GEMLET_TILE - 1) / GEMLET_TILE)};
    gemlet_parallel(d->port, quantize_task, &job, job.tasks);
}
