/* A sound encoder of real size with made-up weights (its blocks share one block's, so that 60 MB do), for tests/bench/sound.sh:
 *
 *     encode_sound usm|gemma4a SECONDS [PIECE]
 *
 * encodes a made-up sound, in pieces of PIECE samples (320), and prints the level, the bytes of its state and its work memory, the
 * multiply-adds of all linears, and of those that were left when the last sample had been fed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/audio/conformer.h"
#include <gemlet/posix.h>

static const gemlet_conv_kernels *plain;
static double multiply_adds;

static void count_and_multiply(const gemlet_conv *conv, size_t first, size_t end, const int8_t *const *x, size_t pixels,
                               const float *scale, float *y, size_t stride) {
    size_t outputs = end * GEMLET_CONV_PANEL < conv->outputs ? end * GEMLET_CONV_PANEL : conv->outputs;
    multiply_adds += (double)(outputs - first * GEMLET_CONV_PANEL) * (double)conv->channels * (double)pixels;
    plain->multiply(conv, first, end, x, pixels, scale, y, stride);
}

static void *get(size_t bytes) {
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, gemlet_aligned(bytes));
    if (memory == NULL) {
        perror("memory");
        exit(1);
    }
    return memory;
}

static uint32_t seed = 1;

static uint32_t next(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 16;
}

static float *reals(size_t count, float center, float spread) {
    float *x = get(count * sizeof *x);
    for (size_t i = 0; i < count; i++) {
        x[i] = center + spread * ((float)next() / 32768.0f - 1.0f);
    }
    return x;
}

static gemlet_conformer_linear linear(size_t outputs, size_t channels, bool bounded) {
    static const float bounds[] = {-8.0f, 8.0f, -20.0f, 20.0f};
    size_t bytes = gemlet_conv_bytes(outputs, 1, channels);
    int8_t *data = get(bytes);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (int8_t)(next() % 255 - 127);
    }
    gemlet_conformer_linear made = {.conv = {data, reals(outputs, 1.0f / 4000.0f, 0.0f), outputs, channels, 1}};
    for (size_t i = 0; i < GEMLET_BOUNDS && bounded; i++) {
        made.bounds[i] = &bounds[i];
    }
    return made;
}

static gemlet_conformer_feed_forward feed_forward(size_t width, size_t inner, bool bounded) {
    return (gemlet_conformer_feed_forward){.norm = reals(width, 1.0f, 0.1f),
                                           .post_norm = reals(width, 0.2f, 0.1f),
                                           .up = linear(inner, width, bounded),
                                           .down = linear(width, inner, bounded)};
}

static gemlet_conformer_block block(const gemlet_conformer_model *m) {
    size_t width = m->weights.width, inner = m->weights.inner;
    bool bounded = m->traits->bounded;
    return (gemlet_conformer_block){.start = feed_forward(width, inner, bounded),
                                    .end = feed_forward(width, inner, bounded),
                                    .attention_norm = reals(width, 1.0f, 0.1f),
                                    .attention_post_norm = reals(width, 0.2f, 0.1f),
                                    .query = linear(width, width, bounded),
                                    .key = linear(width, width, bounded),
                                    .value = linear(width, width, bounded),
                                    .output = linear(width, width, bounded),
                                    .query_scale = reals(width / m->config.heads, 0.07f, 0.01f),
                                    .positions = reals(m->config.window * width, 0.0f, 1.0f),
                                    .conv_norm = reals(width, 1.0f, 0.1f),
                                    .conv_mid_norm = reals(width, 1.0f, 0.1f),
                                    .conv_start = linear(2 * width, width, bounded),
                                    .conv_end = linear(width, width, bounded),
                                    .conv_taps = reals(GEMLET_CONFORMER_TAPS * width, 0.0f, 0.5f),
                                    .norm = reals(width, 1.0f, 0.1f)};
}

/* Filters of about as many bins as the real ones. */
static float *filters(const gemlet_conformer_model *m) {
    size_t spectrum = m->traits->mel.points / 2 + 1;
    float *x = reals(m->config.bins * spectrum, 0.0f, 0.0f);
    for (size_t j = 0; j < m->config.bins; j++) {
        for (size_t k = 0; k < spectrum * 2 / m->config.bins; k++) {
            x[j * spectrum + j * (spectrum - 8) / m->config.bins + k] = 0.5f;
        }
    }
    return x;
}

static void make_model(gemlet_conformer_model *m, bool usm, size_t text_width) {
    size_t width = usm ? 1536 : 1024, hidden = usm ? width : 1536;
    m->traits = usm ? &gemlet_usm : &gemlet_gemma4a;
    m->config = (gemlet_conformer_config){.block_count = 12,
                                          .heads = 8,
                                          .window = usm ? 13 : 12,
                                          .bins = 128,
                                          .reduction = usm ? 4 : 1,
                                          .soft_tokens = usm ? 188 : 0,
                                          .logit_cap = 50.0f,
                                          .residual_weight = 0.5f,
                                          .group_norm_epsilon = 1e-3f,
                                          .epsilon = 1e-6f};
    gemlet_conformer_weights *w = &m->weights;
    *w = (gemlet_conformer_weights){.width = width, .inner = 4 * width, .subsampled = 1024};
    w->window = reals(2 * m->traits->mel.frame, 0.0f, 0.5f);
    w->filters = filters(m);
    for (size_t i = 0; i < GEMLET_CONVOLUTIONS; i++) {
        w->conv[i].inputs = i == 0 ? 1 : 128;
        w->conv[i].outputs = i == 0 ? 128 : 32;
        w->conv[i].weights = reals(9 * w->conv[i].inputs * w->conv[i].outputs, 0.0f, 0.3f);
        w->conv[i].norm = reals(w->conv[i].outputs, 1.0f, 0.1f);
    }
    w->input = linear(width, w->subsampled, false);
    w->blocks = get(m->config.block_count * sizeof *w->blocks);
    w->blocks[0] = block(m);
    for (size_t i = 1; i < m->config.block_count; i++) {
        w->blocks[i] = w->blocks[0];
    }
    w->projection = linear(hidden, width, false);
    w->projection_bias = reals(hidden, 0.0f, 0.1f);
    w->soft_norm = usm ? reals(hidden, 1.0f, 0.1f) : NULL;
    w->embed = linear(text_width, hidden, false);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("encode_sound usm|gemma4a SECONDS [PIECE]\n", stderr);
        return 2;
    }
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    bool usm = strcmp(argv[1], "usm") == 0;
    size_t text_width = usm ? 2048 : 1536, samples = (size_t)(strtod(argv[2], NULL) * GEMLET_SOUND_RATE);
    size_t piece = argc > 3 ? strtoul(argv[3], NULL, 10) : 320;
    gemlet_conformer_model model;
    make_model(&model, usm, text_width);
    gemlet_kernels kernels = gemlet_kernels_for(gemlet_level_for(port.cpu_features(port.context)));
    gemlet_conv_kernels counting = *kernels.conv;
    plain = kernels.conv;
    counting.multiply = count_and_multiply;
    kernels.conv = &counting;
    gemlet_conformer c = {.model = &model,
                          .kernels = kernels,
                          .port = &port,
                          .threads = 1,
                          .text_width = text_width,
                          .longest = GEMLET_SOUND_LONGEST * GEMLET_SOUND_RATE};
    gemlet_conformer_plan(&c);
    c.state = get(c.state_bytes);
    c.work = get(c.work_bytes);
    c.soft_tokens = get(c.most_soft_tokens * text_width * sizeof(float));
    c.padding = reals(text_width, 0.0f, 1.0f);
    gemlet_conformer_open(&c);
    float *sound = reals(samples + 1, 0.0f, 0.5f);
    for (size_t done = 0; done < samples; done += piece) {
        gemlet_conformer_feed(&c, sound + done, samples - done < piece ? samples - done : piece, false);
    }
    double before = multiply_adds;
    gemlet_conformer_end(&c);
    printf("level %s\nstate %zu\nwork %zu\nsoft tokens %zu\nframes %zu\nmultiply-adds %.0f\nleft %.0f\n",
           gemlet_level_name(c.kernels.level), c.state_bytes, c.work_bytes, c.soft_count, c.frames, multiply_adds,
           multiply_adds - before);
    gemlet_posix_close(posix);
    return 0;
}
