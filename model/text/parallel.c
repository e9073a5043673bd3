#include "model/text/decoder.h"

void gemlet_text_parallel(const gemlet_text_decoder *d, gemlet_task task, void *argument, size_t count) {
    if (count == 1) {
        task(argument, 0);
    } else if (count > 1) {
        d->port->run_tasks(d->port->context, task, argument, count);
    }
}

void gemlet_text_share(size_t count, size_t task, size_t tasks, size_t *first, size_t *end) {
    *first = count * task / tasks;
    *end = count * (task + 1) / tasks;
}

typedef struct product_job {
    const gemlet_text_decoder *decoder;
    const gemlet_matrix *w;
    size_t count;
    float *y;
    size_t panels;
    size_t tasks;
} product_job;

static void product_task(void *argument, size_t task) {
    const product_job *job = argument;
    size_t first = 0;
    size_t end = 0;
    gemlet_text_share(job->panels, task, job->tasks, &first, &end);
    job->decoder->kernels.matrix->multiply(job->w, first, end, job->decoder->scratch.activations, job->count, job->y, job->w->rows);
}

void gemlet_text_product(const gemlet_text_decoder *d, const gemlet_matrix *w, size_t count, float *y) {
    size_t panels = (w->rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS;
    product_job job = {.decoder = d, .w = w, .count = count, .panels = panels, .tasks = panels < d->threads ? panels : d->threads};
    job.y = y;
    gemlet_text_parallel(d, product_task, &job, job.tasks);
}

void gemlet_text_quantize(const gemlet_text_decoder *d, const float *x, size_t count, size_t length) {
    d->kernels.matrix->quantize(x, length, count, length, d->scratch.activations);
}
