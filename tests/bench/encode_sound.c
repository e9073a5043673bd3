/* A sound encoder of real size with made-up weights (its blocks share one block's, so that 60 MB do), for tests/bench/sound.sh:
 *
 *     encode_sound usm|gemma4a SECONDS [PIECE]
 *
 * encodes a made-up sound, in pieces of PIECE samples (320), and prints the level, the bytes of its state and its work memory, the
 * multiply-adds of all linears, and of those that were left when the last sample had been fed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "model/audio/conformer.h"
#include "tests/bench/made_up.h"
#include <gemlet/posix.h>

static const gemlet_conv_kernels *plain;
static double multiply_adds;

static void count_and_multiply(const gemlet_conv *conv, size_t first, size_t end, const int8_t *const *x, size_t pixels,
                               const float *scale, float *y, size_t stride) {
    size_t outputs = end * GEMLET_CONV_PANEL < conv->outputs ? end * GEMLET_CONV_PANEL : conv->outputs;
    multiply_adds += (double)(outputs - first * GEMLET_CONV_PANEL) * (double)conv->channels * (double)pixels;
    plain->multiply(conv, first, end, x, pixels, scale, y, stride);
}

static const gemlet_row_scaled_kernels *plain_row_scaled;

static void count_and_multiply_matrix(const gemlet_matrix *w, size_t first, size_t end, const void *x, size_t count, float *y,
                                      size_t stride) {
    size_t outputs = end * GEMLET_PANEL_ROWS < w->rows ? end * GEMLET_PANEL_ROWS : w->rows;
    multiply_adds += (double)(outputs - first * GEMLET_PANEL_ROWS) * (double)w->columns * (double)count;
    plain_row_scaled->multiply(w, first, end, x, count, y, stride);
}

static gemlet_conformer_linear convolution(size_t outputs, size_t channels) {
    size_t bytes = gemlet_conv_bytes(outputs, 1, channels);
    int8_t *data = get(bytes);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (int8_t)(next() % 255 - 127);
    }
    return (gemlet_conformer_linear){
        .outputs = outputs, .channels = channels, .conv = {data, reals(outputs, 1.0f / 4000.0f, 0.0f), outputs, channels, 1}};
}

/* Weights of few bits, with bounds that are the ends of the range of the steps. */
static gemlet_conformer_linear matrix(gemlet_weight_type type, size_t outputs, size_t channels) {
    static const float bounds[] = {-128.0f / 16.0f, 127.0f / 16.0f, -20.0f, 20.0f};
    size_t row = channels * gemlet_row_scaled_bits(type) / 8,
           panel = gemlet_row_scaled_group_bytes(type, GEMLET_PACKED_PANELS, channels);
    gemlet_matrix m = {
        .rows = outputs, .columns = channels, .type = type, .packing = GEMLET_PACKED_PANELS, .input_scale = 1.0f / 16.0f};
    unsigned char *data = get(gemlet_packed_bytes(type, m.packing, outputs, channels)), *codes = get(GEMLET_PANEL_ROWS * row);
    float *factors = reals(GEMLET_PANEL_ROWS, 1.0f / 400.0f, 0.0f);
    for (size_t first = 0; first < outputs; first += GEMLET_PANEL_ROWS) {
        for (size_t i = 0; i < GEMLET_PANEL_ROWS * row; i++) {
            codes[i] = (unsigned char)next();
        }
        gemlet_row_scaled_pack(type, m.packing, codes, factors, GEMLET_PANEL_ROWS, channels,
                               data + first / GEMLET_PANEL_ROWS * panel);
    }
    m.data = data;
    return (gemlet_conformer_linear){.outputs = outputs,
                                     .channels = channels,
                                     .matrix = m,
                                     .input = {&bounds[0], &bounds[1]},
                                     .output = {&bounds[2], &bounds[3]}};
}

static gemlet_conformer_linear linear(size_t outputs, size_t channels, bool few_bits) {
    return few_bits ? matrix(GEMLET_W2, outputs, channels) : convolution(outputs, channels);
}

static gemlet_conformer_feed_forward feed_forward(size_t width, size_t inner, bool few_bits) {
    return (gemlet_conformer_feed_forward){.norm = reals(width, 1.0f, 0.1f),
                                           .post_norm = reals(width, 0.2f, 0.1f),
                                           .up = linear(inner, width, few_bits),
                                           .down = linear(width, inner, few_bits)};
}

static gemlet_conformer_block block(const gemlet_conformer_model *m) {
    size_t width = m->weights.width, inner = m->weights.inner;
    bool few_bits = m->traits->bounded;
    return (gemlet_conformer_block){.start = feed_forward(width, inner, few_bits),
                                    .end = feed_forward(width, inner, few_bits),
                                    .attention_norm = reals(width, 1.0f, 0.1f),
                                    .attention_post_norm = reals(width, 0.2f, 0.1f),
                                    .query = linear(width, width, few_bits),
                                    .key = linear(width, width, few_bits),
                                    .value = linear(width, width, few_bits),
                                    .output = linear(width, width, few_bits),
                                    .query_scale = reals(width / m->config.heads, 0.07f, 0.01f),
                                    .positions = reals(m->config.window * width, 0.0f, 1.0f),
                                    .conv_norm = reals(width, 1.0f, 0.1f),
                                    .conv_mid_norm = reals(width, 1.0f, 0.1f),
                                    .conv_start = few_bits ? matrix(GEMLET_W4, 2 * width, width) : convolution(2 * width, width),
                                    .conv_end = linear(width, width, few_bits),
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
    size_t text_width = usm ? 2048 : 1536, samples = (size_t)(strtod(argv[2], NULL) * (double)GEMLET_SOUND_RATE);
    size_t piece = argc > 3 ? strtoul(argv[3], NULL, 10) : 320;
    gemlet_conformer_model model;
    make_model(&model, usm, text_width);
    gemlet_kernels kernels = gemlet_kernels_for(gemlet_level_for(port.cpu_features(port.context)));
    gemlet_conv_kernels counting = *kernels.conv;
    plain = kernels.conv;
    counting.multiply = count_and_multiply;
    kernels.conv = &counting;
    gemlet_row_scaled_kernels counting_row_scaled = *kernels.row_scaled;
    plain_row_scaled = kernels.row_scaled;
    counting_row_scaled.multiply = count_and_multiply_matrix;
    kernels.row_scaled = &counting_row_scaled;
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
