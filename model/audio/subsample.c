/* The two convolutions in front of the blocks, 3 x 3 with stride 2, one row of time at a time. */
#include <math.h>
#include <string.h>

#include "model/audio/conformer.h"

enum { KERNEL = 3, STRIDE = 2 };

static size_t inputs_of(const gemlet_conformer *c, size_t i) {
    return c->model->weights.conv[i].inputs;
}

static size_t outputs_of(const gemlet_conformer *c, size_t i) {
    return c->model->weights.conv[i].outputs;
}

void gemlet_conformer_carve_stages(gemlet_conformer *c, gemlet_carver *carver) {
    size_t bins = c->model->config.bins;
    for (size_t i = 0; i < GEMLET_CONVOLUTIONS; i++, bins /= STRIDE) {
        gemlet_conformer_stage *stage = &c->stages[i];
        stage->bins = bins;
        stage->rows = gemlet_carve(carver, KERNEL * (bins + 2) * inputs_of(c, i), sizeof *stage->rows);
        stage->out = gemlet_carve(carver, bins / STRIDE * outputs_of(c, i), sizeof *stage->out);
    }
}

void gemlet_conformer_begin_stages(gemlet_conformer *c) {
    for (size_t i = 0; i < GEMLET_CONVOLUTIONS; i++) {
        gemlet_conformer_stage *stage = &c->stages[i];
        memset(stage->rows, 0, KERNEL * (stage->bins + 2) * inputs_of(c, i) * sizeof *stage->rows);
        stage->taken = stage->given = 0;
        stage->sum = stage->square = 0.0;
    }
}

/* Row `given` of the output, from the three rows that it sees. */
static void convolve(const gemlet_conformer *c, size_t i) {
    const gemlet_conformer_stage *stage = &c->stages[i];
    size_t inputs = inputs_of(c, i), outputs = outputs_of(c, i), out_bins = stage->bins / STRIDE;
    size_t padded = (stage->bins + 2) * inputs;
    memset(stage->out, 0, out_bins * outputs * sizeof *stage->out);
    for (size_t k = 0; k < KERNEL; k++) {
        size_t row = stage->given * STRIDE + k + KERNEL - c->model->traits->rows_before; /* + KERNEL: not below 0 */
        gemlet_rows weights = {.data = c->model->weights.conv[i].weights + k * KERNEL * inputs * outputs,
                               .count = KERNEL * inputs,
                               .length = outputs,
                               .stride = outputs,
                               .type = GEMLET_ROW_F32};
        c->kernels.real->mix(&weights, stage->rows + row % KERNEL * padded, STRIDE * inputs, out_bins, stage->out, outputs);
    }
}

/* Over everything up to now: the mean of all that there was, and the mean square of each row about the mean up to itself. */
static void norm_cumulative(const gemlet_conformer *c, gemlet_conformer_stage *stage, size_t count) {
    double numbers = (double)(stage->given + 1) * (double)count;
    for (size_t i = 0; i < count; i++) {
        stage->sum += (double)stage->out[i];
    }
    double mean = stage->sum / numbers;
    for (size_t i = 0; i < count; i++) {
        double distance = (double)stage->out[i] - mean;
        stage->square += distance * distance;
    }
    double inverse = 1.0 / sqrt(stage->square / numbers + (double)c->model->config.group_norm_epsilon);
    for (size_t i = 0; i < count; i++) {
        stage->out[i] = (float)(((double)stage->out[i] - mean) * inverse);
    }
}

static void norm_channels(const gemlet_conformer *c, float *x, size_t channels) {
    double mean = 0.0, square = 0.0;
    for (size_t i = 0; i < channels; i++) {
        mean += (double)x[i];
    }
    mean /= (double)channels;
    for (size_t i = 0; i < channels; i++) {
        square += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    double inverse = 1.0 / sqrt(square / (double)channels + (double)c->model->config.epsilon);
    for (size_t i = 0; i < channels; i++) {
        x[i] = (float)(((double)x[i] - mean) * inverse);
    }
}

static void norm(gemlet_conformer *c, size_t i) {
    gemlet_conformer_stage *stage = &c->stages[i];
    const float *weight = c->model->weights.conv[i].norm;
    size_t channels = outputs_of(c, i), bins = stage->bins / STRIDE;
    if (c->model->traits->cumulative_norm) {
        norm_cumulative(c, stage, bins * channels);
    }
    for (size_t b = 0; b < bins; b++) {
        float *x = stage->out + b * channels;
        if (!c->model->traits->cumulative_norm) {
            norm_channels(c, x, channels);
        }
        for (size_t j = 0; j < channels; j++) {
            float weighted = x[j] * weight[j];
            x[j] = weighted > 0.0f ? weighted : 0.0f;
        }
    }
}

/* Another row of zeros or numbers; true where an output row is complete with it, in stage->out. */
static bool take(gemlet_conformer *c, size_t i, const float *row) {
    gemlet_conformer_stage *stage = &c->stages[i];
    size_t inputs = inputs_of(c, i);
    float *target = stage->rows + (stage->taken % KERNEL * (stage->bins + 2) + 1) * inputs;
    if (row != NULL) {
        memcpy(target, row, stage->bins * inputs * sizeof *row);
    } else {
        memset(target, 0, stage->bins * inputs * sizeof *row);
    }
    stage->taken++;
    if (stage->taken + c->model->traits->rows_before < stage->given * STRIDE + KERNEL) {
        return false;
    }
    convolve(c, i);
    norm(c, i);
    if (c->watch != NULL) {
        char name[] = "conv0";
        name[4] = (char)('0' + i);
        c->watch(c->watch_context, name, stage->out, stage->given, 1, stage->bins / STRIDE * outputs_of(c, i));
    }
    stage->given++;
    return true;
}

static void keep_frame(gemlet_conformer *c) {
    size_t length = c->model->weights.subsampled;
    memcpy(c->subsampled + c->pending++ * length, c->stages[1].out, length * sizeof *c->subsampled);
}

void gemlet_conformer_subsample(gemlet_conformer *c, const float *row) {
    if (take(c, 0, row) && take(c, 1, c->stages[0].out)) {
        keep_frame(c);
    }
}

bool gemlet_conformer_flush(gemlet_conformer *c) {
    size_t first = (c->rows + 1) / STRIDE, second = (first + 1) / STRIDE;
    if (c->stages[1].given == second) {
        return false;
    }
    const float *row = NULL;
    if (c->stages[0].given < first) {
        while (!take(c, 0, NULL)) {
        }
        row = c->stages[0].out;
    }
    if (take(c, 1, row)) {
        keep_frame(c);
    }
    return true;
}
