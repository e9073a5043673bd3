/* The forward pass: patches and their places, layers, means of patches, the projection to the text model's width. */
#include <math.h>
#include <string.h>

#include "core/text.h"
#include "model/vision/vit/vit.h"

/* The numbers of a patch: 2 (byte / 255) - 1. */
static void read_patch(const gemlet_vit_pass *p, size_t patch, float *x) {
    size_t side = p->v->config->traits->patch, columns = p->work.grid->columns, row_bytes = columns * side * 3;
    const uint8_t *from = p->work.pixels + patch / columns * side * row_bytes + patch % columns * side * 3;
    for (size_t y = 0; y < side; y++, from += row_bytes) {
        for (size_t i = 0; i < side * 3; i++) {
            x[(i % 3 * side + y) * side + i / 3] = 2.0f * ((float)from[i] * (1.0f / 255.0f)) - 1.0f;
        }
    }
}

/* y += where the patch is. */
static void add_place(const gemlet_vit_pass *p, size_t patch, float *y) {
    const gemlet_vit_config *c = p->v->config;
    const gemlet_real_kernels *real = p->v->run.kernels.real;
    const float *positions = p->v->weights->positions;
    size_t columns = p->work.grid->columns;
    if (!c->traits->rotary) {
        real->add_scaled(y, 1.0f, positions + patch * c->width, c->width);
        return;
    }
    real->add_scaled(y, 1.0f, positions + patch % columns * c->width, c->width);
    real->add_scaled(y, 1.0f, positions + (c->positions + patch / columns) * c->width, c->width);
}

/* residual = matrix x patch + bias + where it is. */
static void embed_task(void *argument, size_t task) {
    const gemlet_vit_pass *p = argument;
    const gemlet_vit *v = p->v;
    const gemlet_real_kernels *real = v->run.kernels.real;
    size_t first, end, width = v->config->width, numbers = gemlet_vit_patch_numbers(v->config);
    const gemlet_rows patch = {
        .data = v->weights->patch, .count = width, .length = numbers, .stride = numbers, .type = GEMLET_ROW_F32};
    gemlet_share(p->patches, task, p->tasks, &first, &end);
    for (; first < end; first += GEMLET_VIT_CHUNK) {
        size_t count = gemlet_smaller(end - first, GEMLET_VIT_CHUNK);
        float *x = p->work.scratch[task].input, *y = p->work.scratch[task].output;
        for (size_t i = 0; i < count; i++) {
            read_patch(p, first + i, x + i * numbers);
        }
        real->dot(&patch, x, numbers, count, y, width);
        for (size_t i = 0; i < count; i++) {
            if (v->weights->patch_bias != NULL) {
                real->add_scaled(y + i * width, 1.0f, v->weights->patch_bias, width);
            }
            add_place(p, first + i, y + i * width);
        }
        real->to_bfloat16(y, count * width, p->work.residual + first * width);
    }
}

static void make_turns(const gemlet_vit_pass *p) {
    double turns[256];
    size_t half = p->v->config->head_width / 2;
    size_t sides = gemlet_larger(p->work.grid->columns, p->work.grid->rows);
    gemlet_rope_frequencies((double)p->v->config->rope_base, 1.0, half, turns);
    for (size_t i = 0; i < sides; i++) {
        gemlet_rope_table(turns, half / 2, i, p->work.cosine + i * (half / 2), p->work.sine + i * (half / 2));
    }
}

/* The mean of the patches of a soft token, behind the last norm: s->input. */
static void pool(const gemlet_vit_pass *p, const gemlet_vit_scratch *s, size_t token) {
    const gemlet_vit *v = p->v;
    const gemlet_real_kernels *real = v->run.kernels.real;
    size_t width = v->config->width, side = v->config->pool, columns = p->work.grid->columns, across = columns / side;
    size_t corner = token / across * side * columns + token % across * side;
    memset(s->input, 0, width * sizeof *s->input);
    for (size_t i = 0; i < side * side; i++) {
        real->from_bfloat16(p->work.residual + (corner + i / side * columns + i % side) * width, width, s->output);
        if (v->weights->last.weight != NULL) {
            gemlet_vit_normed(v, &v->weights->last, s->output, s->output);
        }
        real->add_scaled(s->input, 1.0f / (float)(side * side), s->output, width);
    }
}

/* RMSNorm and projection of the means; those of gemma4v are multiplied by the root of the width before. */
static void pool_task(void *argument, size_t task) {
    const gemlet_vit_pass *p = argument;
    const gemlet_vit *v = p->v;
    const gemlet_row_scaled_kernels *kernels = v->run.kernels.row_scaled;
    const gemlet_vit_linear projection = {.w = v->weights->projection};
    const gemlet_vit_scratch *s = &p->work.scratch[task];
    size_t first, end, width = v->config->width, text = v->run.text_width;
    gemlet_share(p->patches / ((size_t)v->config->pool * v->config->pool), task, p->tasks, &first, &end);
    for (; first < end; first++) {
        pool(p, s, first);
        if (v->config->traits->rotary) {
            v->run.kernels.real->scale(s->input, sqrtf((float)width), width);
        }
        v->run.kernels.real->rms_norm(s->input, v->weights->soft_norm, v->config->epsilon, width, s->input);
        kernels->quantize(s->input, width, 1, 0, width, width, projection.w.input_scale, s->hidden);
        kernels->correct(projection.w.type, 1, width, s->hidden);
        gemlet_vit_product(v, &projection, 0, text, NULL, 0, s->hidden, 1, p->soft_tokens + first * text);
    }
}

static void watch(const gemlet_vit_pass *p, uint32_t layer) {
    char name[16] = "embed";
    if (layer != UINT32_MAX) {
        memcpy(name, "layer", 5);
        name[5 + gemlet_text_number(name + 5, layer)] = '\0';
    }
    if (p->v->watch != NULL) {
        p->v->watch(p->v->watch_context, name, p->work.residual, p->patches, p->v->config->width);
    }
}

bool gemlet_vit_run(const gemlet_vit *v, float *soft_tokens) {
    const gemlet_vit_config *c = v->config;
    gemlet_vit_pass pass = {.v = v, .soft_tokens = soft_tokens};
    const gemlet_vit_grid *grid = (const gemlet_vit_grid *)(const void *)v->run.memory;
    pass.patches = (size_t)grid->columns * grid->rows;
    gemlet_vit_carve(v, pass.patches, v->run.memory, &pass.work);
    pass.tasks = gemlet_smaller(v->run.threads, (pass.patches + GEMLET_VIT_CHUNK - 1) / GEMLET_VIT_CHUNK);
    if (c->traits->rotary) {
        make_turns(&pass);
    }
    gemlet_parallel(v->run.port, embed_task, &pass, pass.tasks);
    watch(&pass, UINT32_MAX);
    for (uint32_t i = 0; i < c->layers; i++) {
        pass.layer = &v->weights->layers[i];
        gemlet_vit_layer_forward(&pass);
        watch(&pass, i);
        if (v->run.go_on != NULL && !v->run.go_on(v->run.go_on_context, i + 1, c->layers + 1)) {
            return false;
        }
    }
    gemlet_parallel(v->run.port, pool_task, &pass, pass.tasks);
    return true;
}
