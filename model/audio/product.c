/* The linears: int8 weights times int8 activations. */
#include <math.h>
#include <string.h>

#include "model/audio/conformer.h"

static float bound_of(const gemlet_conformer_linear *linear, size_t which, float otherwise) {
    return linear->bounds[which] != NULL ? *linear->bounds[which] : otherwise;
}

/* The end of the range that the bounds give what the linear takes; infinite where there are none. */
static float range_of(const gemlet_conformer_linear *linear) {
    float least = bound_of(linear, GEMLET_BOUND_INPUT_LEAST, -INFINITY), most = bound_of(linear, GEMLET_BOUND_INPUT_MOST, INFINITY);
    return fmaxf(fabsf(least), fabsf(most));
}

/* One scale for all: range / 127.  Whole and zero-padded, as the quantize of gemlet_conv_kernels leaves it; NaN becomes 0. */
static void quantize_bounded(const gemlet_conformer_linear *linear, float range, const float *x, size_t frames, int8_t *q,
                             float *scale) {
    size_t channels = linear->conv.channels, padded = gemlet_padded_channels(channels);
    float least = bound_of(linear, GEMLET_BOUND_INPUT_LEAST, -INFINITY), most = bound_of(linear, GEMLET_BOUND_INPUT_MOST, INFINITY);
    float inverse = 127.0f / range;
    for (size_t f = 0; f < frames; f++, x += channels, q += padded) {
        for (size_t i = 0; i < channels; i++) {
            float value = x[i] > least ? x[i] : least;
            value = value < most ? value : most;
            q[i] = (int8_t)rintf(value * inverse);
        }
        memset(q + channels, 0, padded - channels);
        scale[f] = range / 127.0f;
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
    float range = range_of(job->linear);
    if (isfinite(range) && isfinite(127.0f / range)) {
        quantize_bounded(job->linear, range, x, end - first, q, job->work->scale + first);
    } else {
        job->conformer->kernels.conv->quantize(x, conv->channels, end - first, conv->channels, q, job->work->scale + first);
    }
    for (size_t f = first; f < end; f++) {
        job->work->pointers[f] = job->work->quantized + f * padded;
    }
}

static void multiply_task(void *argument, size_t task) {
    const product_job *job = argument;
    const gemlet_conv *conv = &job->linear->conv;
    size_t first, end;
    gemlet_share(job->panels, task, job->tasks, &first, &end);
    job->conformer->kernels.conv->multiply(conv, first, end, job->work->pointers, job->frames, job->work->scale, job->y,
                                           conv->outputs);
    float least = bound_of(job->linear, GEMLET_BOUND_OUTPUT_LEAST, -INFINITY);
    float most = bound_of(job->linear, GEMLET_BOUND_OUTPUT_MOST, INFINITY);
    if (least == -INFINITY && most == INFINITY) {
        return;
    }
    size_t end_output = end * GEMLET_CONV_PANEL < conv->outputs ? end * GEMLET_CONV_PANEL : conv->outputs;
    for (size_t f = 0; f < job->frames; f++) {
        for (size_t o = first * GEMLET_CONV_PANEL; o < end_output; o++) {
            float *y = &job->y[f * conv->outputs + o];
            *y = *y > least ? *y : least;
            *y = *y < most ? *y : most;
        }
    }
}

void gemlet_conformer_product(const gemlet_conformer *c, const gemlet_conformer_linear *linear, const float *x, size_t frames,
                              const gemlet_conformer_work *w, float *y) {
    size_t panels = (linear->conv.outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
    product_job job = {.conformer = c, .linear = linear, .work = w, .x = x, .y = y, .frames = frames, .panels = panels};
    job.tasks = frames < c->threads ? frames : c->threads;
    gemlet_parallel(c->port, quantize_task, &job, job.tasks);
    job.tasks = panels < c->threads ? panels : c->threads;
    gemlet_parallel(c->port, multiply_task, &job, job.tasks);
}
