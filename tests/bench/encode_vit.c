/* A transformer that encodes images, of real size with made-up weights (its layers share one layer's, so that 30 MB do), for
 * tests/bench/vit.sh:
 *
 *     encode_vit gemma4v|siglip LAYERS SOFT-TOKENS [TIMES [WIDTH HEIGHT]]
 *
 * encodes a made-up picture (of these sides, or one that nothing scales and that gives so many soft tokens) so many times, and
 * prints the bytes of a run's memory and the multiply-adds of a layer: those of its matrices and of attention's two products,
 * without what padding adds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quant/packing.h"
#include "core/quant/row_scaled.h"
#include "model/vision/vit/vit.h"
#include "tests/bench/made_up.h"
#include <gemlet/posix.h>

/* int8 weights in packed panels are any bytes but -128; behind each panel's are its rows' factors. */
static gemlet_matrix matrix(size_t rows, size_t columns, float step) {
    gemlet_matrix m = {.type = GEMLET_W8, .packing = GEMLET_PACKED_PANELS, .rows = rows, .columns = columns, .input_scale = step};
    size_t panel = gemlet_packing_group_bytes(m.type, m.packing, rows, columns);
    int8_t *codes = get(GEMLET_PANEL_ROWS * columns);
    float factors[GEMLET_PANEL_ROWS];
    unsigned char *data = get(gemlet_packed_bytes(m.type, m.packing, rows, columns));
    for (size_t i = 0; i < GEMLET_PANEL_ROWS; i++) {
        factors[i] = (step > 0.0f ? step : 1.0f) / 2000.0f;
    }
    for (size_t first = 0; first < rows; first += GEMLET_PANEL_ROWS) {
        for (size_t i = 0; i < GEMLET_PANEL_ROWS * columns; i++) {
            codes[i] = (int8_t)(next() % 255 - 127);
        }
        gemlet_row_scaled_pack(m.type, m.packing, codes, factors, GEMLET_PANEL_ROWS, columns,
                               data + first / GEMLET_PANEL_ROWS * panel);
    }
    free(codes);
    m.data = data;
    return m;
}

static gemlet_vit_linear linear(const gemlet_vit_config *c, size_t rows, size_t columns, size_t biased) {
    static const float bounds[] = {-20.0f, 20.0f};
    gemlet_vit_linear l = {.w = matrix(rows, columns, c->traits->rotary ? 0.05f : 0.0f)};
    l.bias = c->traits->biases ? reals(biased, 0.0f, 0.1f) : NULL;
    if (c->traits->rotary) {
        l.output = (gemlet_bounds){&bounds[0], &bounds[1]};
    }
    return l;
}

static gemlet_vit_norm norm(const gemlet_vit_config *c) {
    return (gemlet_vit_norm){reals(c->width, 1.0f, 0.1f), c->traits->layer_norms ? reals(c->width, 0.0f, 0.1f) : NULL};
}

static gemlet_vit_layer make_layer(const gemlet_vit_config *c) {
    size_t heads = (size_t)c->heads * gemlet_vit_head_rows(c->head_width), queries = (size_t)c->heads * c->head_width;
    size_t inner = gemlet_vit_padded(c->inner);
    bool rms = !c->traits->layer_norms;
    return (gemlet_vit_layer){.query = linear(c, heads, c->width, queries),
                              .key = linear(c, heads, c->width, queries),
                              .value = linear(c, heads, c->width, queries),
                              .output = linear(c, c->width, gemlet_vit_padded((uint32_t)heads), c->width),
                              .gate = c->traits->gated ? linear(c, inner, c->width, c->inner) : (gemlet_vit_linear){.bias = NULL},
                              .up = linear(c, inner, c->width, c->inner),
                              .down = linear(c, c->width, inner, c->width),
                              .norm = norm(c),
                              .feed_forward_norm = norm(c),
                              .query_norm = reals(c->head_width, 0.2f, 0.05f),
                              .key_norm = reals(c->head_width, 0.2f, 0.05f),
                              .post_norm = rms ? reals(c->width, 0.2f, 0.1f) : NULL,
                              .post_feed_forward_norm = rms ? reals(c->width, 0.2f, 0.1f) : NULL};
}

static void make_model(gemlet_vit_model *m, bool siglip, uint32_t layers, size_t text_width) {
    static const gemlet_vit_config gemma4v = {.traits = &gemlet_gemma4v_traits,
                                              .width = 768,
                                              .heads = 12,
                                              .head_width = 64,
                                              .inner = 3072,
                                              .soft_tokens = 280,
                                              .pool = 3,
                                              .positions = 3360,
                                              .epsilon = 1e-6f,
                                              .rope_base = 100.0f};
    static const gemlet_vit_config gemma3 = {.traits = &gemlet_siglip_traits,
                                             .width = 1152,
                                             .heads = 16,
                                             .head_width = 72,
                                             .inner = 4304,
                                             .soft_tokens = 256,
                                             .image_size = 896,
                                             .pool = 4,
                                             .positions = 4096,
                                             .epsilon = 1e-6f};
    m->config = siglip ? gemma3 : gemma4v;
    m->config.layers = layers;
    const gemlet_vit_config *c = &m->config;
    gemlet_vit_layer layer = make_layer(c);
    m->weights = (gemlet_vit_weights){.layers = get(layers * sizeof layer),
                                      .patch = reals(c->width * gemlet_vit_patch_numbers(c), 0.0f, 0.05f),
                                      .patch_bias = siglip ? reals(c->width, 0.0f, 0.1f) : NULL,
                                      .positions = reals((siglip ? 1 : 2) * (size_t)c->positions * c->width, 0.0f, 0.3f),
                                      .projection = matrix(text_width, c->width, 0.0f)};
    if (siglip) {
        m->weights.last = norm(c);
        m->weights.soft_norm = reals(c->width, 1.0f, 0.1f);
    }
    for (uint32_t i = 0; i < layers; i++) {
        m->weights.layers[i] = layer;
    }
}

int main(int argc, char **argv) {
    if (argc < 4 || (strcmp(argv[1], "siglip") != 0 && strcmp(argv[1], "gemma4v") != 0)) {
        fputs("encode_vit gemma4v|siglip LAYERS SOFT-TOKENS [TIMES [WIDTH HEIGHT]]\n", stderr);
        return 2;
    }
    bool siglip = argv[1][0] == 's';
    size_t text_width = siglip ? 2560 : 1536;
    uint32_t tokens = (uint32_t)atoi(argv[3]);
    gemlet_vit_model model;
    gemlet_error error = {GEMLET_OK, ""};
    make_model(&model, siglip, (uint32_t)atoi(argv[2]), text_width);
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    gemlet_level level = gemlet_level_for(port.cpu_features(port.context));
    gemlet_vit v = {.run = {.kernels = gemlet_kernels_for(level),
                            .port = &port,
                            .threads = port.thread_count(port.context),
                            .text_width = text_width,
                            .image_tokens = siglip ? 0 : tokens}};
    const gemlet_image_encoder *encoder = siglip ? &gemlet_siglip_encoder : &gemlet_gemma4v_encoder;
    /* 10 x 7 cells of 48 pixels are 70 soft tokens, 20 x 14 are 280. */
    uint32_t across = siglip ? 896 : tokens == 70 ? 480 : 960, down = siglip ? 896 : tokens == 70 ? 336 : 672;
    across = argc > 6 ? (uint32_t)atoi(argv[5]) : across;
    down = argc > 6 ? (uint32_t)atoi(argv[6]) : down;
    uint8_t *pixels = get((size_t)3 * across * down);
    for (size_t i = 0; i < (size_t)3 * across * down; i++) {
        pixels[i] = (uint8_t)next();
    }
    gemlet_image image = {
        .format = GEMLET_PIXELS_RGB, .width = across, .height = down, .pixels = pixels, .stride = (size_t)3 * across};
    if (encoder->plan(&v.run, &model, NULL, &error) != GEMLET_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    v.run.memory = get(v.run.bytes);
    float *soft = get(v.run.most_soft_tokens * text_width * sizeof *soft);
    for (int times = argc > 4 ? atoi(argv[4]) : 1; times > 0; times--) {
        if (encoder->prepare(&v.run, &image, &error) != GEMLET_OK || !encoder->encode(&v.run, soft)) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
    }
    const gemlet_vit_config *c = &model.config;
    double patches = (double)encoder->soft_tokens(&v.run, across, down) * c->pool * c->pool, width = c->width;
    double queries = (double)c->heads * c->head_width, matrices = 4.0 * width * queries + (siglip ? 2.0 : 3.0) * width * c->inner;
    printf("level %d\nbytes %zu\nsoft-tokens %u\nlayer %.0f\nsum %.3f\n", (int)level, v.run.bytes,
           (unsigned)encoder->soft_tokens(&v.run, across, down), patches * matrices + 2.0 * patches * patches * queries,
           (double)soft[0]);
    gemlet_posix_close(posix);
    return 0;
}
