/* Mobile attention: every pixel looks at the whole picture, or at every second row and column of it.  Multi-query: all heads share
 * the keys and values, which are made first; then queries run in place, a few pixels at a time (model/vision/attention.h). */
#include <math.h>

#include "model/vision/attention.h"
#include "model/vision/mobilenetv5/mobilenetv5.h"

enum { ATTENTION_ROWS = 64 /* rows of scores that are worked on together, at most, unless a pixel has more heads */ };

typedef struct attention_run {
    const gemlet_mobilenetv5 *v;
    const gemlet_mobilenetv5_block *block;
    size_t side, key_side; /* of the picture, and of what the keys are made from */
    size_t heads, keys;
    size_t together; /* pixels whose rows of scores are worked on together */
    uint16_t *picture;
    float *value;           /* [keys][channels] */
    gemlet_row_ring normed; /* rows that are down-sampled */
    size_t first, end;      /* rows of keys under way */
    gemlet_attention_keys attended;
    gemlet_attention_scratch *attention;
    gemlet_pixel_scratch *scratch;
} attention_run;

/* ---- Keys and values ---- */

static void project_down(const attention_run *r, const gemlet_pixel_scratch *s, const gemlet_depthwise *down, const float *norm,
                         const gemlet_conv *conv, size_t row, size_t column, size_t count, float *y) {
    gemlet_mobilenetv5_depthwise(r->v, down, &r->normed, row, column, count, s->input);
    gemlet_mobilenetv5_norm(r->v, s->input, norm, count, r->block->inputs, s->input);
    gemlet_mobilenetv5_convolve(r->v, conv, s->input, count, s, y + (row * r->key_side + column) * conv->outputs);
}

static void down_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_mobilenetv5_block *b = r->block;
    size_t p = 0;
    size_t end = 0;
    gemlet_share((r->end - r->first) * r->key_side, task, r->v->run.threads, &p, &end);
    while (p < end) {
        size_t row = r->first + p / r->key_side;
        size_t column = p % r->key_side;
        size_t count = r->key_side - column < end - p ? r->key_side - column : end - p;
        count = count < r->v->chunk ? count : r->v->chunk;
        project_down(r, &r->scratch[task], &b->key_down, b->key_norm, &b->key, row, column, count, r->attended.values);
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
            float *row = gemlet_ring_row(&r->normed, done);
            r->v->run.kernels.real->from_bfloat16(r->picture + done * r->side * channels, r->side * channels, row);
            gemlet_mobilenetv5_norm(r->v, row, r->block->norm, r->side, channels, row);
        }
        gemlet_parallel(r->v->run.port, down_task, r, r->v->run.threads);
    }
}

static void take_normed(const attention_run *r, size_t pixel, size_t count, float *x) {
    size_t channels = r->block->inputs;
    r->v->run.kernels.real->from_bfloat16(r->picture + pixel * channels, count * channels, x);
    gemlet_mobilenetv5_norm(r->v, x, r->block->norm, count, channels, x);
}

static void key_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_mobilenetv5_block *b = r->block;
    const gemlet_pixel_scratch *s = &r->scratch[task];
    size_t p = 0;
    size_t end = 0;
    for (gemlet_share(r->keys, task, r->v->run.threads, &p, &end); p < end;) {
        size_t count = end - p < r->v->chunk ? end - p : r->v->chunk;
        take_normed(r, p, count, s->input);
        gemlet_mobilenetv5_convolve(r->v, &b->key, s->input, count, s, r->attended.values + p * b->key.outputs);
        gemlet_mobilenetv5_convolve(r->v, &b->value, s->input, count, s, r->value + p * b->value.outputs);
        p += count;
    }
}

/* ---- Queries ---- */

static void query_task(void *argument, size_t task) {
    const attention_run *r = argument;
    const gemlet_mobilenetv5_block *b = r->block;
    const gemlet_pixel_scratch *s = &r->scratch[task];
    size_t p = 0;
    size_t end = 0;
    for (gemlet_share(r->side * r->side, task, r->v->run.threads, &p, &end); p < end;) {
        size_t count = end - p < r->v->chunk ? end - p : r->v->chunk;
        take_normed(r, p, count, s->input);
        gemlet_mobilenetv5_convolve(r->v, &b->query, s->input, count, s, s->expanded);
        for (size_t i = 0; i < count; i += r->together) {
            size_t pixels = count - i < r->together ? count - i : r->together;
            gemlet_attend(&r->v->run.kernels, &r->attended, &r->attention[task], s->expanded + i * b->query.outputs,
                          pixels * r->heads, s->output + i * b->output.channels, b->value.outputs);
        }
        gemlet_mobilenetv5_convolve(r->v, &b->output, s->output, count, s, s->input);
        gemlet_mobilenetv5_add(r->v, b, s->input, count, r->picture + p * b->inputs);
        p += count;
    }
}

/* ---- The block ---- */

static gemlet_attention_scratch *carve_attention(const attention_run *r, gemlet_carver *carver) {
    gemlet_attention_scratch *all = gemlet_carve(carver, r->v->run.threads, sizeof *all);
    for (size_t i = 0; i < r->v->run.threads; i++) {
        gemlet_attention_scratch one = gemlet_carve_attention_scratch(carver, &r->attended, r->together * r->heads);
        if (all != NULL) {
            all[i] = one;
        }
    }
    return all;
}

static void carve_run(attention_run *r, gemlet_carver *carver) {
    const gemlet_mobilenetv5_block *b = r->block;
    r->value = gemlet_carve(carver, r->keys * b->value.outputs, sizeof(float));
    r->attended = gemlet_carve_attention_keys(carver, r->keys, b->key.outputs, b->value.outputs);
    if (b->key_down.kernel != 0) {
        size_t rows = (r->v->band - 1) * b->key_down.stride + b->key_down.kernel;
        r->normed = (gemlet_row_ring){NULL, r->side, b->inputs, r->side, rows < r->side ? rows : r->side};
        r->normed.data = gemlet_carve(carver, r->normed.ring * r->side * b->inputs, sizeof(float));
    }
    r->attention = carve_attention(r, carver);
    r->scratch = gemlet_carve_pixels(r->v, carver, 1, gemlet_larger(b->output.channels, b->inputs), b->inputs, b->query.outputs,
                                     b->output.channels);
}

size_t gemlet_mobilenetv5_attention(const gemlet_mobilenetv5 *v, const gemlet_mobilenetv5_block *block, size_t side,
                                    uint16_t *picture, unsigned char *memory) {
    const gemlet_mobilenetv5_block *b = block;
    attention_run r = {.v = v, .block = b, .side = side, .picture = picture};
    gemlet_carver carver = {memory, 0};
    bool down = b->key_down.kernel != 0;
    r.key_side = down ? gemlet_strided(side, b->key_down.stride) : side;
    r.keys = r.key_side * r.key_side;
    r.heads = b->query.outputs / b->key.outputs;
    r.together = gemlet_larger(ATTENTION_ROWS / r.heads, 1);
    r.together = r.together < v->chunk ? r.together : v->chunk;
    carve_run(&r, &carver);
    if (memory == NULL) {
        return carver.used;
    }
    if (down) {
        make_keys_down(&r);
    } else {
        gemlet_parallel(v->run.port, key_task, &r, v->run.threads);
    }
    gemlet_pack_attention_keys(&v->run.kernels, &r.attended, r.value, 1.0f / sqrtf((float)b->key.outputs));
    gemlet_parallel(v->run.port, query_task, &r, v->run.threads);
    return carver.used;
}
