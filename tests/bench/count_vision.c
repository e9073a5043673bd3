/* Encodes one image so that its instructions can be counted: count_vision MODEL [PIXELS OF A SIDE].  Prints the multiply-adds of
 * the convolutions and of attention, and the bytes of the encoder's scratch. */
#include <stdio.h>
#include <stdlib.h>

#include "model/image.h"
#include "model/model.h"
#include "port/posix/posix.h"

/* Multiply-adds of an output pixel of each convolution, 1 x 1 or dense. */
static double dense(const gemlet_conv *conv) {
    return (double)conv->taps * (double)conv->channels * (double)conv->outputs;
}

static double depthwise(const gemlet_depthwise *conv) {
    return (double)conv->kernel * (double)conv->kernel * (double)conv->channels;
}

static double attention(const gemlet_vision_block *b, double pixels) {
    double down = b->key_down.kernel != 0 ? (double)b->key_down.stride * (double)b->key_down.stride : 1.0;
    double keys = pixels / down;
    double heads = (double)b->query.outputs / (double)b->key.outputs;
    double products = heads * keys * (double)(b->key.outputs + b->value.outputs);
    return pixels * (dense(&b->query) + dense(&b->output) + products) +
           keys * (dense(&b->key) + dense(&b->value) + depthwise(&b->key_down) + depthwise(&b->value_down));
}

/* `before` and `after` are the pixels of the block's input and output. */
static double residual(const gemlet_vision_block *b, double before, double after) {
    double expanded = b->middle.kernel != 0 ? before : after;
    return expanded * (depthwise(&b->start) + dense(&b->expand)) + after * (depthwise(&b->middle) + dense(&b->project));
}

static double multiply_adds(const gemlet_vision *v) {
    const gemlet_vision_fusion *f = &v->weights->fusion;
    double side = (double)v->image_size / GEMLET_STEM_STRIDE;
    double sum = side * side * GEMLET_STEM_INPUTS * (double)v->weights->stem.outputs;
    double near = 0.0; /* pixels of the last stage but one */
    const gemlet_vision_block *b = v->weights->blocks;
    for (uint32_t stage = 0; stage < v->config->stages; stage++) {
        near = side * side;
        for (uint32_t i = 0; i < v->config->blocks[stage]; i++, b++) {
            double after = side / (double)b->stride;
            sum += b->kind == GEMLET_MOBILE_ATTENTION ? attention(b, side * side) : residual(b, side * side, after * after);
            side = after;
        }
    }
    return sum + near * (dense(&f->expand) + dense(&f->project)) + (double)v->config->soft_tokens * dense(&f->embed);
}

static gemlet_status encode(gemlet_session *session, gemlet_error *error) {
    size_t side = session->vision.image_size;
    unsigned char *pixels = malloc(side * side * 3);
    if (pixels == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "no memory for the picture");
    }
    for (size_t i = 0; i < side * side * 3; i++) {
        pixels[i] = (unsigned char)(i * i / 977 % 251);
    }
    gemlet_image image = {.format = GEMLET_PIXELS_RGB, .width = side, .height = side, .pixels = pixels, .stride = side * 3};
    const float *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_encode_image(session, &image, &soft_tokens, &count, error);
    free(pixels);
    return status;
}

int main(int argc, char **argv) {
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_memory_plan plan;
    gemlet_arena arena;
    gemlet_model *model = NULL;
    gemlet_session *session = NULL;
    if (argc < 2) {
        fputs("count_vision MODEL [PIXELS OF A SIDE]\n", stderr);
        return 2;
    }
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    gemlet_options options = {.context = 512, .image_size = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0};
    gemlet_status status = gemlet_plan(&port, argv[1], &options, &plan, &error);
    void *memory = status == GEMLET_OK ? aligned_alloc(GEMLET_ALIGNMENT, plan.arena) : NULL;
    status = status != GEMLET_OK ? status : gemlet_arena_init(&arena, memory, plan.arena, &error);
    status = status != GEMLET_OK ? status : gemlet_model_open(&port, argv[1], &options, &arena, &model, &error);
    status = status != GEMLET_OK ? status : gemlet_session_open(model, &options, &arena, &session, &error);
    status = status != GEMLET_OK ? status : encode(session, &error);
    if (status == GEMLET_OK) {
        printf("level %s\nside %u\nmultiply-adds %.0f\nscratch %zu\n", gemlet_level_name(session->vision.kernels.level),
               session->vision.image_size, multiply_adds(&session->vision), session->vision.bytes);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    gemlet_model_close(model);
    gemlet_posix_close(posix);
    free(memory);
    return status == GEMLET_OK ? 0 : 1;
}
