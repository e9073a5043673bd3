/* The residual blocks: edge residual (dense 3x3, 1x1) and universal inverted residual (depthwise, 1x1, depthwise, 1x1).
 *
 * What a spatial convolution reads is copied into a ring of rows before the picture is overwritten.  What a middle depthwise
 * convolution reads, the widest rows of the encoder, is a ring too: of as many rows as the outputs of one band need. */
#include <string.h>

#include "model/vision/mobilenetv5/mobilenetv5.h"

/* A band of a middle depthwise convolution is this many times lower: its rows are that much wider. */
enum { WIDE_BAND = 8 };

typedef struct residual_run {
    const gemlet_mobilenetv5 *v;
    const gemlet_mobilenetv5_block *block;
    bool from_stem;
    size_t from_side, side; /* of input and output */
    size_t stride;          /* from the input to what is expanded */
    size_t band;
    const uint16_t *picture;
    uint16_t *target;              /* the picture itself, or another one */
    gemlet_row_ring input;         /* where a spatial convolution reads it */
    gemlet_row_ring widened;       /* without a middle depthwise convolution: none */
    size_t input_end, widened_end; /* rows done so far */
    size_t first, end;             /* rows of the phase under way */
    float *project_sums;           /* of gemlet_mobilenetv5_sum */
    gemlet_pixel_scratch *scratch;
} residual_run;

/* ---- Pixels [column, column + count) of a row ---- */

/* The 3 x 3 pixels around each, channels padded, zeros outside. */
static void gather_windows(const residual_run *r, size_t row, size_t column, size_t count, float *windows) {
    size_t channels = r->block->inputs;
    size_t padded = gemlet_padded_channels(channels);
    size_t before = gemlet_same_padding(r->from_side, 3, r->stride);
    memset(windows, 0, count * 9 * padded * sizeof *windows);
    for (size_t i = 0; i < 3; i++) {
        size_t y = row * r->stride + i;
        if (y < before || y - before >= r->from_side) {
            continue;
        }
        const float *from = gemlet_ring_row(&r->input, y - before);
        for (size_t p = 0; p < count; p++) {
            for (size_t j = 0; j < 3; j++) {
                size_t x = (column + p) * r->stride + j;
                if (x >= before && x - before < r->from_side) {
                    memcpy(windows + ((p * 3 + i) * 3 + j) * padded, from + (x - before) * channels, channels * sizeof *from);
                }
            }
        }
    }
}

static void expand(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count, float *y) {
    const gemlet_mobilenetv5_block *b = r->block;
    if (b->kind == GEMLET_EDGE_RESIDUAL) {
        gather_windows(r, row, column, count, s->input);
    } else if (b->start.kernel != 0) {
        gemlet_mobilenetv5_depthwise(r->v, &b->start, &r->input, row, column, count, s->input);
        gemlet_mobilenetv5_norm(r->v, s->input, b->start_norm, count, b->inputs, s->input);
    } else {
        const uint16_t *x = r->picture + (row * r->from_side + column) * b->inputs;
        r->v->run.kernels.real->from_bfloat16(x, count * b->inputs, s->input);
    }
    gemlet_mobilenetv5_convolve(r->v, &b->expand, s->input, count, s, y);
    gemlet_mobilenetv5_norm_gelu(r->v, b->expand_norm, count, b->expand.outputs, y);
}

static void project(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count) {
    const gemlet_mobilenetv5_block *b = r->block;
    gemlet_mobilenetv5_convolve_centered(r->v, &b->project, r->project_sums, s->expanded, count, s, s->output);
    gemlet_mobilenetv5_norm(r->v, s->output, b->project_norm, count, b->outputs, s->output);
    gemlet_mobilenetv5_add(r->v, b, s->output, count, r->target + (row * r->side + column) * b->outputs);
}

static void take_from_stem(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count) {
    gemlet_mobilenetv5_stem_row(r->v, row, column, count, s->output, gemlet_ring_row(&r->input, row) + column * r->block->inputs);
}

static void widen(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count) {
    expand(r, s, row, column, count, gemlet_ring_row(&r->widened, row) + column * r->block->expand.outputs);
}

static void narrow(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count) {
    const gemlet_mobilenetv5_block *b = r->block;
    gemlet_mobilenetv5_depthwise(r->v, &b->middle, &r->widened, row, column, count, s->expanded);
    gemlet_mobilenetv5_norm_gelu(r->v, b->middle_norm, count, b->expand.outputs, s->expanded);
    project(r, s, row, column, count);
}

static void expand_and_project(const residual_run *r, const gemlet_pixel_scratch *s, size_t row, size_t column, size_t count) {
    expand(r, s, row, column, count, s->expanded);
    project(r, s, row, column, count);
}

/* ---- Phases: every pixel of rows [first, end), shared between the threads ---- */

typedef void (*pixel_step)(const residual_run *run, const gemlet_pixel_scratch *scratch, size_t row, size_t column, size_t count);

typedef struct phase_job {
    const residual_run *run;
    pixel_step step;
    size_t width; /* pixels of a row; where no step looks beyond its pixels, all pixels are one row */
} phase_job;

static void phase_task(void *argument, size_t task) {
    const phase_job *job = argument;
    const residual_run *r = job->run;
    size_t p = 0;
    size_t end = 0;
    gemlet_share((r->end - r->first) * job->width, task, r->v->run.threads, &p, &end);
    while (p < end) {
        size_t column = p % job->width; /* NOLINT(clang-analyzer-core.DivideZero): of at least one pixel */
        size_t count = job->width - column < end - p ? job->width - column : end - p;
        count = count < r->v->chunk ? count : r->v->chunk;
        job->step(r, &r->scratch[task], r->first + p / job->width, column, count);
        p += count;
    }
}

static void run_phase(residual_run *r, pixel_step step, size_t first, size_t end, size_t width) {
    phase_job job = {r, step, width};
    r->first = first;
    r->end = end;
    if (first < end) {
        gemlet_parallel(r->v->run.port, phase_task, &job, r->v->run.threads);
    }
}

/* ---- The block ---- */

/* The rows of the input that output rows below `end` need. */
static size_t rows_needed(size_t end, size_t kernel, size_t stride, size_t height) {
    size_t needed = (end - 1) * stride + kernel - gemlet_same_padding(height, kernel, stride);
    return needed < height ? needed : height;
}

static size_t first_kernel(const gemlet_mobilenetv5_block *b) {
    return b->kind == GEMLET_EDGE_RESIDUAL ? 3 : b->start.kernel;
}

static void fill_input(residual_run *r, size_t end) {
    size_t row = r->from_side * r->block->inputs;
    if (r->from_stem) {
        run_phase(r, take_from_stem, r->input_end, end, r->from_side);
        r->input_end = end;
    }
    for (; r->input_end < end; r->input_end++) {
        r->v->run.kernels.real->from_bfloat16(r->picture + r->input_end * row, row, gemlet_ring_row(&r->input, r->input_end));
    }
}

/* What is expanded, below row `end`, has its input. */
static void prepare(residual_run *r, size_t end) {
    if (r->input.ring != 0) {
        fill_input(r, rows_needed(end, first_kernel(r->block), r->stride, r->from_side));
    }
}

static void run_bands(residual_run *r) {
    const gemlet_depthwise *middle = &r->block->middle;
    for (size_t first = 0; first < r->side; first += r->band) {
        size_t end = first + r->band < r->side ? first + r->band : r->side;
        if (middle->kernel == 0) {
            prepare(r, end);
            run_phase(r, expand_and_project, first, end, r->side);
            continue;
        }
        size_t widened_end = rows_needed(end, middle->kernel, middle->stride, r->from_side);
        prepare(r, widened_end);
        run_phase(r, widen, r->widened_end, widened_end, r->from_side);
        r->widened_end = widened_end;
        run_phase(r, narrow, first, end, r->side);
    }
}

static void carve_rings(residual_run *r, gemlet_carver *carver) {
    const gemlet_mobilenetv5_block *b = r->block;
    size_t kernel = first_kernel(b);
    size_t rows = r->band; /* that are expanded together */
    if (b->middle.kernel != 0) {
        rows = (r->band - 1) * b->middle.stride + b->middle.kernel;
        rows = rows < r->from_side ? rows : r->from_side;
        r->widened = (gemlet_row_ring){NULL, r->from_side, b->expand.outputs, r->from_side, rows};
        r->widened.data = gemlet_carve(carver, rows * r->from_side * b->expand.outputs, sizeof(float));
    }
    if (kernel != 0) {
        rows = (rows - 1) * r->stride + kernel;
        r->input = (gemlet_row_ring){NULL, r->from_side, b->inputs, r->from_side, rows < r->from_side ? rows : r->from_side};
        r->input.data = gemlet_carve(carver, r->input.ring * r->from_side * b->inputs, sizeof(float));
    }
}

size_t gemlet_mobilenetv5_residual(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, bool from_stem, size_t side,
                                   const uint16_t *picture, uint16_t *target, unsigned char *memory) {
    const gemlet_mobilenetv5_block *b = block;
    bool has_middle = b->middle.kernel != 0;
    size_t band = has_middle ? (v->band + WIDE_BAND - 1) / WIDE_BAND : v->band;
    residual_run r = {.v = v, .block = b, .from_stem = from_stem, .from_side = side, .picture = picture, .target = target};
    gemlet_carver carver = {memory, 0};
    r.side = gemlet_strided(side, b->stride);
    r.stride = has_middle ? 1 : b->stride;
    r.band = band < r.side ? band : r.side;
    if (from_stem) {
        gemlet_carve(&carver, (size_t)v->run.image_size * v->run.image_size, 3);
    }
    carve_rings(&r, &carver);
    r.project_sums = gemlet_carve(&carver, b->outputs, sizeof(float));
    size_t window = gemlet_mobilenetv5_input_length(&b->expand);
    size_t output = from_stem ? gemlet_larger(b->outputs, GEMLET_STEM_INPUTS) : b->outputs;
    r.scratch = gemlet_carve_pixels(v, &carver, b->expand.taps, gemlet_larger(window, b->expand.outputs), window, b->expand.outputs,
                                    output);
    if (memory == NULL) {
        return carver.used;
    }
    gemlet_mobilenetv5_sum(v, &b->project, &r.scratch[0], r.project_sums);
    if (first_kernel(b) == 0 && !has_middle) {
        run_phase(&r, expand_and_project, 0, 1, r.side * r.side); /* no pixel looks at another */
    } else {
        run_bands(&r);
    }
    return carver.used;
}
