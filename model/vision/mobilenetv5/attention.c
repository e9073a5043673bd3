/* Mobile attention: every pixel looks at the whole picture, or at every second row and column of it.  Multi-query: all heads share
 * the keys and values, which are made first; then queries run in place, a few pixels at a time.
 *
 * Both products are int8 convolutions whose "pixels" are queries, one for each head.  The outputs of the first are the keys, each
 * with a scale; its weights are K.  The channels of the second are the keys; its weights are the transpose of V, with a scale for
 * each column of V.  Softmax gives its weights in two digits of 7 bits: with one, all keys that get less than 1 / 254 of what the
 * largest gets would vanish, and they may be most of the sum. */
#include <math.h>

#include "model/vision/mobilenetv5/mobilenetv5.h"

enum { ATTENTION_ROWS = 64 /* rows of scores that are worked on together, at most, unless a pixel has more heads */ };

/* A small matrix that is computed first and then multiplied with as a convolution's weights. */
typedef struct attention_weights {
    float *values; /* [rows][length] */
    int8_t *quantized, *packed;
    float *scale; /* [rows] */
    gemlet_conv conv;
} attention_weights;

/* Scratch of one thread for the rows of scores under way. */
typedef struct attention_scratch {
    float *scores;            /* [rows][keys] */
    int8_t *high, *low;       /* [rows][padded keys], the digits of weights; first, quantised queries are in `high` */
    float *scale, *low_scale; /* [rows] */
    const int8_t **pointers;  /* [rows] */
} attention_scratch;

typedef struct attention_run {
    const gemlet_mobilenetv5 *v;
    const gemlet_mobilenetv5_block *block;
    size_t side, key_side; /* of the picture, and of what the keys are made from */
    size_t heads, keys;
    size_t together; /* pixels whose rows of scores are worked on together */
    uint16_t *picture;
    float *value;                   /* [keys][channels] */
    gemlet_row_ring normed;         /* rows that are down-sampled */
    size_t first, end;              /* rows of keys under way */
    attention_weights key, columns; /* K, and V transposed */
    attention_scratch *attention;
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
        project_down(r, &r->scratch[task], &b->key_down, b->key_norm, &b->key, row, column, count, r->key.values);
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
        gemlet_mobilenetv5_convolve(r->v, &b->key, s->input, count, s, r->key.values + p * b->key.outputs);
        gemlet_mobilenetv5_convolve(r->v, &b->value, s->input, count, s, r->value + p * b->value.outputs);
        p += count;
    }
}

/* ---- K and V as weights ---- */

static attention_weights carve_weights(gemlet_carver *carver, size_t rows, size_t length) {
    size_t padded = gemlet_padded_channels(length);
    attention_weights w = {
        .values = gemlet_carve(carver, rows * length, sizeof(float)),
        .quantized = gemlet_carve(carver, rows, padded),
        .packed = gemlet_carve(carver, gemlet_conv_bytes(rows, 1, padded), 1),
        .scale = gemlet_carve(carver, rows, sizeof(float)),
    };
    w.conv = (gemlet_conv){.data = w.packed, .scale = w.scale, .outputs = rows, .channels = padded, .taps = 1};
    return w;
}

static void pack_weights(const gemlet_mobilenetv5 *v, const attention_weights *w, size_t length) {
    v->run.kernels.conv->quantize(w->values, length, w->conv.outputs, length, w->quantized, w->scale);
    gemlet_conv_pack(w->quantized, w->conv.outputs, 1, w->conv.channels, w->packed);
}

static void make_weights(const attention_run *r) {
    size_t key_width = r->block->key.outputs;
    size_t value_width = r->block->value.outputs;
    for (size_t k = 0; k < r->keys; k++) {
        for (size_t c = 0; c < value_width; c++) {
            r->columns.values[c * r->keys + k] = r->value[k * value_width + c];
        }
    }
    pack_weights(r->v, &r->columns, r->keys);
    pack_weights(r->v, &r->key, key_width);
    r->v->run.kernels.real->scale(r->key.scale, 1.0f / sqrtf((float)key_width), r->keys);
}

/* ---- Queries ---- */

/* y = x times the rows of `w`, for `count` quantised rows x. */
static void multiply(const attention_run *r, const attention_weights *w, const attention_scratch *s, const int8_t *x,
                     const float *scale, size_t count, float *y) {
    for (size_t i = 0; i < count; i++) {
        s->pointers[i] = x + i * w->conv.channels;
    }
    size_t panels = (w->conv.outputs + GEMLET_CONV_PANEL - 1) / GEMLET_CONV_PANEL;
    r->v->run.kernels.conv->multiply(&w->conv, 0, panels, s->pointers, count, scale, y, w->conv.outputs);
}

/* y = softmax(q . k / sqrt(channels)) . v of `count` rows: of all heads of some pixels. */
static void attend(const attention_run *r, const attention_scratch *s, const float *query, size_t count, float *y) {
    const gemlet_real_kernels *real = r->v->run.kernels.real;
    size_t key_width = r->block->key.outputs;
    size_t padded = r->columns.conv.channels;
    r->v->run.kernels.conv->quantize(query, key_width, count, key_width, s->high, s->scale);
    multiply(r, &r->key, s, s->high, s->scale, count, s->scores);
    for (size_t i = 0; i < count; i++) {
        real->softmax_digits(s->scores + i * r->keys, r->keys, s->high + i * padded, s->low + i * padded, &s->low_scale[i]);
        s->scale[i] = (float)GEMLET_DIGIT * s->low_scale[i];
    }
    multiply(r, &r->columns, s, s->high, s->scale, count, y);
    multiply(r, &r->columns, s, s->low, s->low_scale, count, s->scores);
    real->add_scaled(y, 1.0f, s->scores, count * r->columns.conv.outputs);
}

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
            attend(r, &r->attention[task], s->expanded + i * b->query.outputs, pixels * r->heads,
                   s->output + i * b->output.channels);
        }
        gemlet_mobilenetv5_convolve(r->v, &b->output, s->output, count, s, s->input);
        gemlet_mobilenetv5_add(r->v, b, s->input, count, r->picture + p * b->inputs);
        p += count;
    }
}

/* ---- The block ---- */

static attention_scratch *carve_attention(const attention_run *r, gemlet_carver *carver) {
    size_t rows = r->together * r->heads;
    size_t digits = gemlet_larger(r->columns.conv.channels, r->key.conv.channels);
    attention_scratch *all = gemlet_carve(carver, r->v->run.threads, sizeof *all);
    for (size_t i = 0; i < r->v->run.threads; i++) {
        attention_scratch one = {
            .scores = gemlet_carve(carver, rows * gemlet_larger(r->keys, r->columns.conv.outputs), sizeof(float)),
            .high = gemlet_carve(carver, rows, digits),
            .low = gemlet_carve(carver, rows, digits),
            .scale = gemlet_carve(carver, rows, sizeof(float)),
            .low_scale = gemlet_carve(carver, rows, sizeof(float)),
            .pointers = gemlet_carve(carver, rows, sizeof(int8_t *)),
        };
        if (all != NULL) {
            all[i] = one;
        }
    }
    return all;
}

static void carve_run(attention_run *r, gemlet_carver *carver) {
    const gemlet_mobilenetv5_block *b = r->block;
    r->value = gemlet_carve(carver, r->keys * b->value.outputs, sizeof(float));
    r->key = carve_weights(carver, r->keys, b->key.outputs);
    r->columns = carve_weights(carver, b->value.outputs, r->keys);
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
    make_weights(&r);
    gemlet_parallel(v->run.port, query_task, &r, v->run.threads);
    return carver.used;
}
