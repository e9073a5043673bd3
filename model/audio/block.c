/* A conformer block, read top to bottom at the end of the file. */
#include <string.h>

#include "model/audio/conformer.h"

void gemlet_conformer_norm(const gemlet_conformer *c, const float *x, const float *weight, size_t frames, size_t length, float *y) {
    for (size_t f = 0; f < frames; f++) {
        c->kernels.real->rms_norm(x + f * length, weight, c->model->config.epsilon, length, y + f * length);
    }
}

/* One block at work. */
typedef struct block_job {
    const gemlet_conformer *conformer;
    const gemlet_conformer_block *block;
    const gemlet_conformer_work *work;
    size_t frames;
    size_t tasks;
    const float *weight;                                      /* of a norm */
    void (*frame)(const struct block_job *job, size_t frame); /* what is done to each */
} block_job;

static void frames_task(void *argument, size_t task) {
    const block_job *job = argument;
    size_t first, end;
    gemlet_share(job->frames, task, job->tasks, &first, &end);
    for (size_t f = first; f < end; f++) {
        job->frame(job, f);
    }
}

/* Calls `frame` for each frame, on all threads. */
static void for_frames(block_job *job, void (*frame)(const block_job *job, size_t frame), const float *weight) {
    const gemlet_conformer *c = job->conformer;
    job->frame = frame;
    job->weight = weight;
    job->tasks = job->frames < c->threads ? job->frames : c->threads;
    gemlet_parallel(c->port, frames_task, job, job->tasks);
}

static size_t width_of(const block_job *job) {
    return job->conformer->model->weights.width;
}

/* y = norm(x) */
static void norm_frame(const block_job *job, size_t frame) {
    size_t width = width_of(job);
    gemlet_conformer_norm(job->conformer, job->work->x + frame * width, job->weight, 1, width, job->work->y + frame * width);
}

static void norm_in_place(const block_job *job, size_t frame) {
    size_t width = width_of(job);
    float *x = job->work->x + frame * width;
    gemlet_conformer_norm(job->conformer, x, job->weight, 1, width, x);
}

/* x += norm(y), or for feed-forwards a part of that. */
static void add_normed(const block_job *job, size_t frame, float part) {
    size_t width = width_of(job);
    float *y = job->work->y + frame * width;
    gemlet_conformer_norm(job->conformer, y, job->weight, 1, width, y);
    job->conformer->kernels.real->add_scaled(job->work->x + frame * width, part, y, width);
}

static void add_whole(const block_job *job, size_t frame) {
    add_normed(job, frame, 1.0f);
}

static void add_part(const block_job *job, size_t frame) {
    add_normed(job, frame, job->conformer->model->config.residual_weight);
}

static void add_plain(const block_job *job, size_t frame) {
    size_t width = width_of(job);
    job->conformer->kernels.real->add_scaled(job->work->x + frame * width, 1.0f, job->work->y + frame * width, width);
}

static void watch(const gemlet_conformer *c, size_t block, const char *part, const float *values, size_t frames) {
    if (c->watch == NULL) {
        return;
    }
    char name[32] = "block";
    size_t length = 5;
    if (block >= 10) {
        name[length++] = (char)('0' + block / 10);
    }
    name[length++] = (char)('0' + block % 10);
    memcpy(name + length, part, strlen(part) + 1);
    c->watch(c->watch_context, name, values, c->frames, frames, c->model->weights.width);
}

/* ---- Feed-forward: x += part * norm(W2 silu(W1 norm(x))) ---- */

static void silu_wide(const block_job *job, size_t frame) {
    size_t inner = job->conformer->model->weights.inner;
    float *wide = job->work->wide + frame * inner;
    job->conformer->kernels.real->sigmoid_multiply(wide, wide, inner, wide);
}

static void feed_forward(block_job *job, const gemlet_conformer_feed_forward *f) {
    const gemlet_conformer_work *w = job->work;
    for_frames(job, norm_frame, f->norm);
    gemlet_conformer_product(job->conformer, &f->up, w->y, job->frames, w, w->wide);
    for_frames(job, silu_wide, NULL);
    gemlet_conformer_product(job->conformer, &f->down, w->wide, job->frames, w, w->y);
    for_frames(job, add_part, f->post_norm);
}

/* ---- Attention over the last `window` frames ---- */

/* Frame `frame` of the queries in w->wide, into w->y: score(s) = q . (k_s + position of the distance), capped; softmax; values. */
static void attend_frame(const block_job *job, size_t frame) {
    const gemlet_conformer *c = job->conformer;
    const gemlet_conformer_config *config = &c->model->config;
    const gemlet_real_kernels *real = c->kernels.real;
    size_t width = width_of(job), head = width / config->heads, window = config->window;
    size_t seen = c->frames + frame + 1 < window ? c->frames + frame + 1 : window;
    size_t first = frame + window - seen;
    float *y = job->work->y + frame * width;
    memset(y, 0, width * sizeof *y);
    for (size_t h = 0; h < config->heads; h++) {
        float *query = job->work->wide + frame * width + h * head;
        float scores[GEMLET_CONFORMER_MOST_WINDOW], far[GEMLET_CONFORMER_MOST_WINDOW];
        gemlet_rows rows = {.count = seen, .length = head, .stride = width, .type = GEMLET_ROW_F32};
        real->multiply(query, job->block->query_scale, head);
        rows.data = job->work->keys + first * width + h * head;
        real->dot(&rows, query, 0, 1, scores, 0);
        rows.data = job->block->positions + (window - seen) * width + h * head;
        real->dot(&rows, query, 0, 1, far, 0);
        real->add_scaled(scores, 1.0f, far, seen);
        if (config->logit_cap > 0.0f) {
            real->soft_cap(scores, config->logit_cap, seen);
        }
        real->softmax(scores, seen);
        rows.data = job->work->values + first * width + h * head;
        real->mix(&rows, scores, 0, 1, y + h * head, 0);
    }
}

/* `rows` rows of `state` in front of `frames` new ones; afterwards the last ones into the state. */
static void put_before(float *target, const float *state, size_t rows, size_t width) {
    memcpy(target, state, rows * width * sizeof *state);
}

static void keep_last(float *state, const float *from, size_t rows, size_t frames, size_t width) {
    memcpy(state, from + frames * width, rows * width * sizeof *state);
}

static void attention(block_job *job, size_t index) {
    const gemlet_conformer *c = job->conformer;
    const gemlet_conformer_block *b = job->block;
    const gemlet_conformer_work *w = job->work;
    size_t width = width_of(job), before = c->model->config.window - 1;
    float *keys = c->keys + index * before * width, *values = c->values + index * before * width;
    for_frames(job, norm_frame, b->attention_norm);
    put_before(w->keys, keys, before, width);
    put_before(w->values, values, before, width);
    gemlet_conformer_product(c, &b->query, w->y, job->frames, w, w->wide);
    gemlet_conformer_product(c, &b->key, w->y, job->frames, w, w->keys + before * width);
    gemlet_conformer_product(c, &b->value, w->y, job->frames, w, w->values + before * width);
    for_frames(job, attend_frame, NULL);
    keep_last(keys, w->keys, before, job->frames, width);
    keep_last(values, w->values, before, job->frames, width);
    gemlet_conformer_product(c, &b->output, w->y, job->frames, w, w->wide);
    memcpy(w->y, w->wide, job->frames * width * sizeof *w->y);
    for_frames(job, add_whole, b->attention_post_norm);
}

/* ---- Convolution over time ---- */

/* What is convolved lies where keys did. */
static void gate_frame(const block_job *job, size_t frame) {
    size_t width = width_of(job);
    const float *wide = job->work->wide + frame * 2 * width;
    float *gated = job->work->keys + (GEMLET_CONFORMER_TAPS - 1 + frame) * width;
    job->conformer->kernels.real->sigmoid_multiply(wide + width, wide, width, gated);
}

/* y = silu(norm(convolution)) */
static void convolve_frame(const block_job *job, size_t frame) {
    const gemlet_real_kernels *real = job->conformer->kernels.real;
    size_t width = width_of(job);
    float *y = job->work->y + frame * width;
    memset(y, 0, width * sizeof *y);
    for (size_t tap = 0; tap < GEMLET_CONFORMER_TAPS; tap++) {
        real->multiply_add(y, job->block->conv_taps + tap * width, job->work->keys + (frame + tap) * width, width);
    }
    gemlet_conformer_norm(job->conformer, y, job->weight, 1, width, y);
    real->sigmoid_multiply(y, y, width, y);
}

static void convolution(block_job *job, size_t index) {
    const gemlet_conformer *c = job->conformer;
    const gemlet_conformer_block *b = job->block;
    const gemlet_conformer_work *w = job->work;
    size_t width = width_of(job), before = GEMLET_CONFORMER_TAPS - 1;
    float *state = c->convolved + index * before * width;
    for_frames(job, norm_frame, b->conv_norm);
    gemlet_conformer_product(c, &b->conv_start, w->y, job->frames, w, w->wide);
    put_before(w->keys, state, before, width);
    for_frames(job, gate_frame, NULL);
    for_frames(job, convolve_frame, b->conv_mid_norm);
    keep_last(state, w->keys, before, job->frames, width);
    gemlet_conformer_product(c, &b->conv_end, w->y, job->frames, w, w->wide);
    memcpy(w->y, w->wide, job->frames * width * sizeof *w->y);
    for_frames(job, add_plain, NULL);
}

void gemlet_conformer_block_run(const gemlet_conformer *c, size_t index, size_t frames, gemlet_conformer_work *w) {
    const gemlet_conformer_block *b = &c->model->weights.blocks[index];
    block_job job = {.conformer = c, .block = b, .work = w, .frames = frames};
    feed_forward(&job, &b->start);
    watch(c, index, ".ffw_start", w->x, frames);
    attention(&job, index);
    watch(c, index, ".attention", w->x, frames);
    convolution(&job, index);
    watch(c, index, ".lconv", w->x, frames);
    feed_forward(&job, &b->end);
    watch(c, index, ".ffw_end", w->x, frames);
    for_frames(&job, norm_in_place, b->norm);
    watch(c, index, "", w->x, frames);
}
