/* A layer: attention over all patches, then the feed-forward.  Keys and values of all heads come first; then a few patches at a
 * time take the rest of the way. */
#include <math.h>
#include <string.h>

#include "core/quant/packing.h"
#include "model/vision/vit/vit.h"

static void clamp(const gemlet_bounds *bounds, float *y, size_t count) {
    if (bounds->least != NULL) {
        gemlet_clamp(bounds, y, count, y);
    }
}

void gemlet_vit_normed(const gemlet_vit *v, const gemlet_vit_norm *norm, const float *x, float *y) {
    const gemlet_vit_config *c = v->config;
    if (norm->bias != NULL) {
        v->run.kernels.real->layer_norm(x, norm->weight, norm->bias, c->epsilon, c->width, y);
    } else {
        v->run.kernels.real->rms_norm(x, norm->weight, c->epsilon, c->width, y);
    }
}

void gemlet_vit_product(const gemlet_vit *v, const gemlet_vit_linear *linear, size_t first_row, size_t rows, const float *bias,
                        size_t biased, const void *x, size_t count, float *y) {
    gemlet_matrix part = gemlet_matrix_panels(&linear->w, first_row, rows);
    v->run.kernels.row_scaled->multiply(&part, 0, (rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS, x, count, y, rows);
    for (size_t i = 0; i < count && bias != NULL; i++) {
        v->run.kernels.real->add_scaled(y + i * rows, 1.0f, bias, biased);
    }
    clamp(&linear->output, y, count * rows);
}

/* All rows of `linear`, `biased` of which have a bias. */
static void multiply(const gemlet_vit_pass *p, const gemlet_vit_linear *linear, size_t biased, const void *x, size_t count,
                     float *y) {
    gemlet_vit_product(p->v, linear, 0, linear->w.rows, linear->bias, biased, x, count, y);
}

/* The rows of head `head`. */
static void multiply_head(const gemlet_vit_pass *p, const gemlet_vit_linear *linear, size_t head, const void *x, size_t count,
                          float *y) {
    size_t width = p->v->config->head_width, rows = gemlet_vit_head_rows(p->v->config->head_width);
    const float *bias = linear->bias != NULL ? linear->bias + head * width : NULL;
    gemlet_vit_product(p->v, linear, head * rows, rows, bias, width, x, count, y);
}

/* Patches [*first, *end) of a task: whole chunks. */
static void share_patches(const gemlet_vit_pass *p, size_t task, size_t *first, size_t *end) {
    gemlet_share((p->patches + GEMLET_VIT_CHUNK - 1) / GEMLET_VIT_CHUNK, task, p->tasks, first, end);
    *first *= GEMLET_VIT_CHUNK;
    *end = gemlet_smaller(*end * GEMLET_VIT_CHUNK, p->patches);
}

/* `count` vectors as inputs of `linear`. */
static void quantize(const gemlet_vit_pass *p, const gemlet_vit_linear *linear, float *x, size_t count, void *out) {
    const gemlet_row_scaled_kernels *kernels = p->v->run.kernels.row_scaled;
    size_t length = linear->w.columns;
    clamp(&linear->input, x, count * length);
    kernels->quantize(x, length, count, 0, length, length, linear->w.input_scale, out);
    kernels->correct(linear->w.type, count, length, out);
}

/* The norm of patches of the residual, as the inputs of `linear`. */
static void quantize_normed(const gemlet_vit_pass *p, const gemlet_vit_scratch *s, const gemlet_vit_norm *norm,
                            const gemlet_vit_linear *linear, size_t first, size_t count, void *out) {
    size_t width = p->v->config->width;
    for (size_t i = 0; i < count; i++) {
        float *x = s->input + i * width;
        p->v->run.kernels.real->from_bfloat16(p->work.residual + (first + i) * width, width, x);
        gemlet_vit_normed(p->v, norm, x, x);
    }
    quantize(p, linear, s->input, count, out);
}

/* residual += y, or RMSNorm(y). */
static void add(const gemlet_vit_pass *p, const float *post_norm, size_t first, size_t count, float *y) {
    const gemlet_real_kernels *real = p->v->run.kernels.real;
    size_t width = p->v->config->width;
    for (size_t i = 0; i < count && post_norm != NULL; i++) {
        real->rms_norm(y + i * width, post_norm, p->v->config->epsilon, width, y + i * width);
    }
    real->add_bfloat16(p->work.residual + first * width, NULL, y, count * width);
}

/* RMSNorm of a head, then RoPE: its first half by the patch's column, the second by its row. */
static void norm_and_turn(const gemlet_vit_pass *p, const float *norm, size_t patch, float *head) {
    const gemlet_vit_config *c = p->v->config;
    const gemlet_real_kernels *real = p->v->run.kernels.real;
    size_t half = c->head_width / 2, pairs = half / 2;
    size_t place[2] = {patch % p->work.grid->columns, patch / p->work.grid->columns};
    real->rms_norm(head, norm, c->epsilon, c->head_width, head);
    for (size_t i = 0; i < 2; i++) {
        real->rope(head + i * half, p->work.cosine + place[i] * pairs, p->work.sine + place[i] * pairs, half);
    }
}

static void normed_task(void *argument, size_t task) {
    const gemlet_vit_pass *p = argument;
    size_t first, end;
    for (share_patches(p, task, &first, &end); first < end; first += GEMLET_VIT_CHUNK) {
        quantize_normed(p, &p->work.scratch[task], &p->layer->norm, &p->layer->query, first,
                        gemlet_smaller(end - first, GEMLET_VIT_CHUNK),
                        gemlet_vit_vectors(p->work.activations, p->v->config->width, first));
    }
}

static void keys_task(void *argument, size_t task) {
    const gemlet_vit_pass *p = argument;
    const gemlet_vit_config *c = p->v->config;
    size_t first, end, rows = gemlet_vit_head_rows(c->head_width);
    for (share_patches(p, task, &first, &end); first < end; first += GEMLET_VIT_CHUNK) {
        size_t count = gemlet_smaller(end - first, GEMLET_VIT_CHUNK);
        const void *x = gemlet_vit_vectors(p->work.activations, c->width, first);
        float *keys = p->work.keys[p->head].values + first * rows, *values = p->work.value + first * rows;
        multiply_head(p, &p->layer->key, p->head, x, count, keys);
        multiply_head(p, &p->layer->value, p->head, x, count, values);
        for (size_t i = 0; i < count && c->traits->rotary; i++) {
            norm_and_turn(p, p->layer->key_norm, first + i, keys + i * rows);
            p->v->run.kernels.real->rms_norm(values + i * rows, NULL, c->epsilon, c->head_width, values + i * rows);
        }
    }
}

/* What `count` patches look at, all heads: s->attended. */
static void attend(const gemlet_vit_pass *p, const gemlet_vit_scratch *s, size_t first, size_t count) {
    const gemlet_vit_config *c = p->v->config;
    size_t rows = gemlet_vit_head_rows(c->head_width), all = c->heads * rows, stride = p->layer->output.w.columns;
    const void *x = gemlet_vit_vectors(p->work.activations, c->width, first);
    for (size_t i = 0; i < count; i++) {
        memset(s->attended + i * stride + all, 0, (stride - all) * sizeof *s->attended);
    }
    for (size_t head = 0; head < c->heads; head++) {
        multiply_head(p, &p->layer->query, head, x, count, s->query);
        for (size_t i = 0; i < count && c->traits->rotary; i++) {
            norm_and_turn(p, p->layer->query_norm, first + i, s->query + i * rows);
        }
        gemlet_attend(&p->v->run.kernels, &p->work.keys[head], &s->attention, s->query, count, s->attended + head * rows, stride);
    }
}

/* down(gelu(gate x) * up x), or down(gelu(up x)), x = norm(residual): s->output. */
static void feed_forward(const gemlet_vit_pass *p, const gemlet_vit_scratch *s, size_t first, size_t count) {
    const gemlet_vit_layer *l = p->layer;
    const gemlet_real_kernels *real = p->v->run.kernels.real;
    size_t inner = p->v->config->inner, numbers = count * l->up.w.rows;
    quantize_normed(p, s, &l->feed_forward_norm, &l->up, first, count, s->hidden);
    multiply(p, &l->up, inner, s->hidden, count, s->up);
    if (p->v->config->traits->gated) {
        multiply(p, &l->gate, inner, s->hidden, count, s->gate);
        real->gelu_multiply(s->gate, s->up, numbers, s->up);
    } else {
        real->gelu(s->up, numbers, s->up);
    }
    quantize(p, &l->down, s->up, count, s->hidden);
    multiply(p, &l->down, p->v->config->width, s->hidden, count, s->output);
}

static void patches_task(void *argument, size_t task) {
    const gemlet_vit_pass *p = argument;
    const gemlet_vit_layer *l = p->layer;
    const gemlet_vit_scratch *s = &p->work.scratch[task];
    size_t first, end;
    for (share_patches(p, task, &first, &end); first < end; first += GEMLET_VIT_CHUNK) {
        size_t count = gemlet_smaller(end - first, GEMLET_VIT_CHUNK);
        attend(p, s, first, count);
        quantize(p, &l->output, s->attended, count, s->hidden);
        multiply(p, &l->output, p->v->config->width, s->hidden, count, s->output);
        add(p, l->post_norm, first, count, s->output);
        feed_forward(p, s, first, count);
        add(p, l->post_feed_forward_norm, first, count, s->output);
    }
}

void gemlet_vit_layer_forward(gemlet_vit_pass *p) {
    const gemlet_vit *v = p->v;
    float scale = v->config->traits->rotary ? 1.0f : 1.0f / sqrtf((float)v->config->head_width);
    gemlet_parallel(v->run.port, normed_task, p, p->tasks);
    for (p->head = 0; p->head < v->config->heads; p->head++) {
        gemlet_parallel(v->run.port, keys_task, p, p->tasks);
        gemlet_pack_attention_keys(&v->run.kernels, &p->work.keys[p->head], p->work.value, scale);
    }
    gemlet_parallel(v->run.port, patches_task, p, p->tasks);
}
