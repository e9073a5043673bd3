/* Mobile attention: every pixel looks at the whole picture, or at every second row and column of it.  Multi-query: all heads share
 * the keys and values, which are made first; then queries run in place, a few pixels at a time. */
#include <math.h>
#include <string.h>

#include "model/vision/vision.h"

typedef struct attention_run {
    const gemlet_vision *v;
    const gemlet_vision_block *block;
    size_t side, key_side; /* of the picture, and of what the keys are made from */
    size_t heads, keys;
    float *picture;
    float *key, *value;     /* [keys][channels] */
    gemlet_row_ring normed; /* rows that are down-sampled */
    size_t first, end;      /* rows of keys under way */
    float *scores;          /* [threads][heads][keys] */
    gemlet_pixel_scratch *scratch;
} attention_run;

/* ---- Keys and values ---- */

static void project_down(const attention_run *r, const gemlet_pixel_scratch *s, const gemlet_depthwise *down, const float *norm,
                         const gemlet_conv *conv, size_t row, size_t column, size_t count, float *y) {
    gemlet_vision_depthwise(r->v, down, &r->normed, row, column, count, s->input);
    gemlet_vision_norm(r->v, s->input, norm, count, r->block->inputs, s->input);
    gemlet_vision_convolve(r->v, conv, s->input, count, s, y + (row * r->key_side + column) * conv->outputs);
}

static void down_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_vision_block *b = r->block;
    size_t p = 0;
    size_t end = 0;
    gemlet_vision_share(r->v, (r->end - r->first) * r->key_side, task, &p, &end);
    while (p < end) {
        size_t row = r->first + p / r->key_side;
        size_t column = p % r->key_side;
        size_t count = r->key_side - column < end - p ? r->key_side - column : end - p;
        count = count < r->v->chunk ? count : r->v->chunk;
        project_down(r, &r->scratch[task], &b->key_down, b->key_norm, &b->key, row, column, count, r->key);
        project_down(r, &r->scratch[task], &b->value_down, b->value_norm, &b->value, row, column, count, r->value);
        p += count;
    }
}

static void make_keys_down(attention_run *r) {
    const gemlet_depthwise *down = &r->block->key_down;
    size_t channels = r->block->inputs;
    size_t done = 0;
    for (r->first = 0; r->first < r->key_side; r->first = r->end) {
        r->end = r->first + r->v->band < r->key_side ? r->first + r->v->band : r->key_side;
        size_t needed = (r->end - 1) * down->stride + down->kernel - gemlet_same_padding(r->side, down->kernel, down->stride);
        for (; done < needed && done < r->side; done++) {
            gemlet_vision_norm(r->v, r->picture + done * r->side * channels, r->block->norm, r->side, channels,
                               gemlet_ring_row(&r->normed, done));
        }
        gemlet_vision_parallel(r->v, down_task, r);
    }
}

static void key_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_vision_block *b = r->block;
    const gemlet_pixel_scratch *s = &r->scratch[task];
    size_t p = 0;
    size_t end = 0;
    for (gemlet_vision_share(r->v, r->keys, task, &p, &end); p < end;) {
        size_t count = end - p < r->v->chunk ? end - p : r->v->chunk;
        gemlet_vision_norm(r->v, r->picture + p * b->inputs, b->norm, count, b->inputs, s->input);
        gemlet_vision_convolve(r->v, &b->key, s->input, count, s, r->key + p * b->key.outputs);
        gemlet_vision_convolve(r->v, &b->value, s->input, count, s, r->value + p * b->value.outputs);
        p += count;
    }
}

/* ---- Queries ---- */

/* scores = softmax(q . k / sqrt(channels)), y = scores . v, for all heads of one pixel. */
static void attend(const attention_run *r, const float *query, float *scores, float *y) {
    const gemlet_real_kernels *real = r->v->kernels.real;
    size_t key_width = r->block->key.outputs;
    size_t value_width = r->block->value.outputs;
    gemlet_rows keys = {r->key, NULL, r->keys, key_width, key_width, GEMLET_ROW_F32};
    gemlet_rows values = {r->value, NULL, r->keys, value_width, value_width, GEMLET_ROW_F32};
    real->dot(&keys, query, key_width, r->heads, scores, r->keys);
    real->scale(scores, 1.0f / sqrtf((float)key_width), r->heads * r->keys);
    for (size_t h = 0; h < r->heads; h++) {
        real->softmax(scores + h * r->keys, r->keys);
    }
    memset(y, 0, r->heads * value_width * sizeof *y);
    real->mix(&values, scores, r->keys, r->heads, y, value_width);
}

static void query_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_vision_block *b = r->block;
    const gemlet_pixel_scratch *s = &r->scratch[task];
    float *scores = r->scores + task * r->heads * r->keys;
    size_t p = 0;
    size_t end = 0;
    for (gemlet_vision_share(r->v, r->side * r->side, task, &p, &end); p < end;) {
        size_t count = end - p < r->v->chunk ? end - p : r->v->chunk;
        float *x = r->picture + p * b->inputs;
        gemlet_vision_norm(r->v, x, b->norm, count, b->inputs, s->input);
        gemlet_vision_convolve(r->v, &b->query, s->input, count, s, s->expanded);
        for (size_t i = 0; i < count; i++) {
            attend(r, s->expanded + i * b->query.outputs, scores, s->output + i * b->output.channels);
        }
        gemlet_vision_convolve(r->v, &b->output, s->output, count, s, s->input);
        gemlet_vision_add(r->v, b, s->input, count, x);
        p += count;
    }
}

size_t gemlet_vision_attention(const gemlet_vision *v, const gemlet_vision_block *block, size_t side, float *picture,
                               unsigned char *memory) {
    const gemlet_vision_block *b = block;
    attention_run r = {.v = v, .block = b, .side = side, .picture = picture};
    gemlet_carver carver = {memory, 0};
    bool down = b->key_down.kernel != 0;
    r.key_side = down ? gemlet_strided(side, b->key_down.stride) : side;
    r.keys = r.key_side * r.key_side;
    r.heads = b->query.outputs / b->key.outputs;
    r.key = gemlet_carve(&carver, r.keys * b->key.outputs, sizeof(float));
    r.value = gemlet_carve(&carver, r.keys * b->value.outputs, sizeof(float));
    if (down) {
        size_t rows = (v->band - 1) * b->key_down.stride + b->key_down.kernel;
        r.normed = (gemlet_row_ring){NULL, side, b->inputs, side, rows < side ? rows : side};
        r.normed.data = gemlet_carve(&carver, r.normed.ring * side * b->inputs, sizeof(float));
    }
    r.scores = gemlet_carve(&carver, v->threads * r.heads * r.keys, sizeof(float));
    size_t widest = b->output.channels > b->inputs ? b->output.channels : b->inputs;
    r.scratch = gemlet_carve_pixels(v, &carver, 1, widest, b->inputs, b->query.outputs, b->output.channels);
    if (memory == NULL) {
        return carver.used;
    }
    if (down) {
        make_keys_down(&r);
    } else {
        gemlet_vision_parallel(v, key_task, &r);
    }
    gemlet_vision_parallel(v, query_task, &r);
    return carver.used;
}
