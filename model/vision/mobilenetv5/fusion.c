/* The multi-scale fusion adapter and the embedder: a soft token is a weighted sum of a few pixels of the adapter's network, which
 * sees the last two stages one on top of the other; norms and a projection then bring it into the text model's space. */
#include <math.h>
#include <string.h>

#include "model/vision/mobilenetv5/mobilenetv5.h"

typedef struct fusion_run {
    const gemlet_mobilenetv5 *v;
    const gemlet_mobilenetv5_fusion *fusion;
    const gemlet_mobilenetv5_levels *levels;
    size_t window; /* pixels of a soft token on a side */
    float *pooled; /* [threads][chunk][channels] */
    float *project_sums;
    float *soft_tokens;
    gemlet_pixel_scratch *scratch;
} fusion_run;

/* Which two rows (or columns) of the picture bilinear sampling mixes, and the share of the second: half-pixel centres. */
static void bilinear_place(size_t from, size_t to, size_t i, size_t *first, size_t *second, float *share) {
    float place = ((float)i + 0.5f) * ((float)from / (float)to) - 0.5f;
    place = place > 0.0f ? place : 0.0f;
    *first = (size_t)place;
    *second = *first + 1 < from ? *first + 1 : *first;
    *share = place - (float)*first;
}

/* Pixel `i` of the window of soft token `token`: where it is, and its weight. */
static float window_pixel(const fusion_run *r, size_t token, size_t i, size_t *row, size_t *column) {
    size_t side = r->v->config->side;
    size_t from = r->levels->near_side;
    size_t token_row = token / side;
    size_t token_column = token % side;
    if (from % side == 0) { /* average pooling */
        *row = token_row * r->window + i / r->window;
        *column = token_column * r->window + i % r->window;
        return 1.0f / (float)(r->window * r->window);
    }
    size_t rows[2];
    size_t columns[2];
    float down = 0.0f;
    float right = 0.0f;
    bilinear_place(from, side, token_row, &rows[0], &rows[1], &down);
    bilinear_place(from, side, token_column, &columns[0], &columns[1], &right);
    *row = rows[i / 2];
    *column = columns[i % 2];
    return (i / 2 == 0 ? 1.0f - down : down) * (i % 2 == 0 ? 1.0f - right : right);
}

/* The near stage's pixel, and behind it the far stage's one that lies over it (nearest). */
static void concatenate(const fusion_run *r, size_t row, size_t column, float *x) {
    const gemlet_real_kernels *real = r->v->run.kernels.real;
    const gemlet_mobilenetv5_levels *l = r->levels;
    const uint16_t *near = l->near + (row * l->near_side + column) * l->near_channels;
    size_t far_row = row * l->far_side / l->near_side;
    size_t far_column = column * l->far_side / l->near_side;
    real->from_bfloat16(near, l->near_channels, x);
    real->from_bfloat16(l->far + (far_row * l->far_side + far_column) * l->far_channels, l->far_channels, x + l->near_channels);
}

/* The window pixels [first, first + count) of the tokens from `token` on, through the adapter's network, into their sums. */
static void add_pixels(const fusion_run *r, const gemlet_pixel_scratch *s, size_t token, size_t first, size_t count,
                       float *pooled) {
    const gemlet_mobilenetv5_fusion *f = r->fusion;
    size_t per_token = r->window * r->window;
    size_t width = f->project.outputs;
    float weight[GEMLET_MOBILENETV5_CHUNK];
    for (size_t i = 0; i < count; i++) {
        size_t row = 0;
        size_t column = 0;
        weight[i] = window_pixel(r, token + (first + i) / per_token, (first + i) % per_token, &row, &column);
        concatenate(r, row, column, s->input + i * f->expand.channels);
    }
    gemlet_mobilenetv5_convolve(r->v, &f->expand, s->input, count, s, s->expanded);
    gemlet_mobilenetv5_norm_gelu(r->v, f->expand_norm, count, f->expand.outputs, s->expanded);
    gemlet_mobilenetv5_convolve_centered(r->v, &f->project, r->project_sums, s->expanded, count, s, s->output);
    gemlet_mobilenetv5_norm(r->v, s->output, f->project_norm, count, width, s->output);
    for (size_t i = 0; i < count; i++) {
        r->v->run.kernels.real->add_scaled(pooled + (first + i) / per_token * width, weight[i], s->output + i * width, width);
    }
}

/* Times the root of the width, norm, projection, norm: Gemma3nMultimodalEmbedder for soft tokens. */
static void embed(const fusion_run *r, const gemlet_pixel_scratch *s, size_t count, float *x, float *y) {
    const gemlet_real_kernels *real = r->v->run.kernels.real;
    const gemlet_mobilenetv5_fusion *f = r->fusion;
    float epsilon = r->v->config->epsilon;
    size_t width = f->project.outputs;
    size_t text_width = f->embed.outputs;
    real->scale(x, sqrtf((float)width), count * width);
    for (size_t i = 0; i < count; i++) {
        real->rms_norm(x + i * width, f->soft_norm, epsilon, width, x + i * width);
    }
    gemlet_mobilenetv5_convolve(r->v, &f->embed, x, count, s, y);
    for (size_t i = 0; i < count; i++) {
        real->rms_norm(y + i * text_width, NULL, epsilon, text_width, y + i * text_width);
    }
}

static void make_tokens(const fusion_run *r, const gemlet_pixel_scratch *s, size_t token, size_t count, float *pooled) {
    size_t pixels = count * r->window * r->window;
    size_t width = r->fusion->project.outputs;
    memset(pooled, 0, count * width * sizeof *pooled);
    for (size_t first = 0; first < pixels; first += r->v->chunk) {
        add_pixels(r, s, token, first, pixels - first < r->v->chunk ? pixels - first : r->v->chunk, pooled);
    }
    gemlet_mobilenetv5_norm(r->v, pooled, r->fusion->norm, count, width, pooled);
    if (r->v->watch != NULL) {
        r->v->watch(r->v->watch_context, "msfa", pooled, token, count, width);
    }
    embed(r, s, count, pooled, r->soft_tokens + token * r->fusion->embed.outputs);
}

static void token_task(void *argument, size_t task) {
    const fusion_run *r = argument;
    float *pooled = r->pooled + task * r->v->chunk * r->fusion->project.outputs;
    size_t token = 0;
    size_t end = 0;
    for (gemlet_share(r->v->config->soft_tokens, task, r->v->run.threads, &token, &end); token < end;) {
        size_t count = end - token < r->v->chunk ? end - token : r->v->chunk;
        make_tokens(r, &r->scratch[task], token, count, pooled);
        token += count;
    }
}

size_t gemlet_mobilenetv5_fuse(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_fusion *fusion,
                               const gemlet_mobilenetv5_levels *levels, float *soft_tokens, unsigned char *memory) {
    fusion_run r = {.v = v, .fusion = fusion, .levels = levels, .soft_tokens = soft_tokens};
    gemlet_carver carver = {memory, 0};
    size_t side = v->config->side;
    size_t channels = fusion->expand.channels;
    size_t width = fusion->project.outputs;
    r.window = levels->near_side % side == 0 ? levels->near_side / side : 2;
    r.pooled = gemlet_carve(&carver, v->run.threads * v->chunk * width, sizeof(float));
    r.project_sums = gemlet_carve(&carver, width, sizeof(float));
    size_t widest = channels > fusion->expand.outputs ? channels : fusion->expand.outputs;
    r.scratch = gemlet_carve_pixels(v, &carver, 1, widest > width ? widest : width, channels, fusion->expand.outputs, width);
    if (memory != NULL) {
        gemlet_mobilenetv5_sum(v, &fusion->project, &r.scratch[0], r.project_sums);
        gemlet_parallel(v->run.port, token_task, &r, v->run.threads);
    }
    return carver.used;
}
