/* Encodes one image, so that instructions can be counted and stages compared:
 *     encode_image MODEL SIDE [LEVEL PIXELS FOLDER THREADS BAND]
 * PIXELS is a file of [SIDE][SIDE][3] bytes, RGB; without one the image is made up, and one thread does the work.  FOLDER gets a
 * file of float32 for each stage and one for the soft tokens.  Prints the multiply-adds and the bytes of scratch. */
#define _POSIX_C_SOURCE 200809L /* pwrite */

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/session/session.h"
#include <gemlet/image.h>
#include <gemlet/posix.h>

/* Multiply-adds of an output pixel of each convolution, 1 x 1 or dense. */
static double dense(const gemlet_conv *conv) {
    return (double)conv->taps * (double)conv->channels * (double)conv->outputs;
}

static double depthwise(const gemlet_depthwise *conv) {
    return (double)conv->kernel * (double)conv->kernel * (double)conv->channels;
}

static double attention(const gemlet_mobilenetv5_block *b, double pixels) {
    double down = b->key_down.kernel != 0 ? (double)b->key_down.stride * (double)b->key_down.stride : 1.0;
    double keys = pixels / down;
    double heads = (double)b->query.outputs / (double)b->key.outputs;
    double products = heads * keys * (double)(b->key.outputs + b->value.outputs);
    return pixels * (dense(&b->query) + dense(&b->output) + products) +
           keys * (dense(&b->key) + dense(&b->value) + depthwise(&b->key_down) + depthwise(&b->value_down));
}

/* `before` and `after` are the pixels of the block's input and output. */
static double residual(const gemlet_mobilenetv5_block *b, double before, double after) {
    double expanded = b->middle.kernel != 0 ? before : after;
    return expanded * (depthwise(&b->start) + dense(&b->expand)) + after * (depthwise(&b->middle) + dense(&b->project));
}

static double multiply_adds(const gemlet_mobilenetv5 *v) {
    const gemlet_mobilenetv5_fusion *f = &v->weights->fusion;
    double side = (double)v->run.image_size / GEMLET_STEM_STRIDE;
    double sum = side * side * GEMLET_STEM_INPUTS * (double)v->weights->stem.outputs;
    double near = 0.0; /* pixels of the last stage but one */
    const gemlet_mobilenetv5_block *b = v->weights->blocks;
    for (uint32_t stage = 0; stage < v->config->stages; stage++) {
        near = side * side;
        for (uint32_t i = 0; i < v->config->blocks[stage]; i++, b++) {
            double after = side / (double)b->stride;
            sum += b->kind == GEMLET_MOBILE_ATTENTION ? attention(b, side * side) : residual(b, side * side, after * after);
            side = after;
        }
    }
    /* Bilinear sampling computes four pixels for each soft token. */
    double tokens = (double)v->config->soft_tokens;
    bool pooled = (size_t)sqrt(near) % v->config->side == 0;
    return sum + (pooled ? near : 4.0 * tokens) * (dense(&f->expand) + dense(&f->project)) + tokens * dense(&f->embed);
}

/* `count` numbers from number `first` on.  Threads may write different parts. */
static void write_part(const char *folder, const char *name, const float *values, size_t first, size_t count) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.f32", folder, name);
    int file = open(path, O_WRONLY | O_CREAT, 0666);
    ssize_t bytes = (ssize_t)(count * sizeof *values);
    if (file < 0 || pwrite(file, values, (size_t)bytes, (off_t)(first * sizeof *values)) != bytes || close(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void write_stage(void *context, const char *name, const float *values, size_t first, size_t pixels, size_t channels) {
    write_part(context, name, values, first * channels, pixels * channels);
}

static unsigned char *read_pixels(const char *path, size_t bytes) {
    unsigned char *pixels = malloc(bytes);
    for (size_t i = 0; i < bytes && pixels != NULL; i++) {
        pixels[i] = (unsigned char)(i * i / 977 % 251);
    }
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (pixels == NULL || (path != NULL && (file == NULL || fread(pixels, 1, bytes, file) != bytes))) {
        perror(path != NULL ? path : "pixels");
        exit(1);
    }
    if (file != NULL) {
        fclose(file);
    }
    return pixels;
}

static gemlet_status encode(gemlet_session *session, const char *path, char *folder, gemlet_error *error) {
    uint32_t side = session->image.run.image_size;
    unsigned char *pixels = read_pixels(path, (size_t)side * side * 3);
    gemlet_image image = {.format = GEMLET_PIXELS_RGB, .width = side, .height = side, .pixels = pixels, .stride = (size_t)side * 3};
    const float *soft_tokens = NULL;
    size_t count = 0;
    if (folder != NULL) {
        session->image.mobilenetv5.watch = write_stage;
        session->image.mobilenetv5.watch_context = folder;
    }
    gemlet_status status = gemlet_encode_image(session, &image, &soft_tokens, &count, error);
    if (status == GEMLET_OK && folder != NULL) {
        write_part(folder, "soft_tokens", soft_tokens, 0, count * session->model->config.width);
    }
    free(pixels);
    return status;
}

static uint32_t level_limit(const char *name) {
    uint32_t limit = 0;
    for (uint32_t level = 0; level <= (uint32_t)GEMLET_LEVEL_I8MM && name != NULL; level++) {
        limit = strcmp(name, gemlet_level_name((gemlet_level)level)) == 0 ? level + 1 : limit;
    }
    return limit;
}

/* Another height of bands takes memory of its own, which lasts until the program ends. */
static gemlet_status set_band(gemlet_session *session, uint32_t band, gemlet_error *error) {
    gemlet_mobilenetv5 *v = &session->image.mobilenetv5;
    v->band = band;
    gemlet_status status = gemlet_mobilenetv5_plan(v, &session->model->container, error);
    v->run.memory = status == GEMLET_OK ? aligned_alloc(GEMLET_ALIGNMENT, v->run.bytes) : NULL;
    return status == GEMLET_OK && v->run.memory == NULL ? gemlet_fail(error, GEMLET_ERROR_MEMORY, "no memory for the bands")
                                                        : status;
}

static uint32_t number(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
    bool comparing = argc == 8;
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_memory_plan plan;
    gemlet_arena arena;
    gemlet_model *model = NULL;
    gemlet_session *session = NULL;
    if (argc != 3 && !comparing) {
        fputs("encode_image MODEL SIDE [LEVEL PIXELS FOLDER THREADS BAND]\n", stderr);
        return 2;
    }
    gemlet_posix *posix = gemlet_posix_open(comparing ? number(argv[6]) : 1, &port);
    gemlet_options options = {
        .context = 512, .image_size = number(argv[2]), .level_limit = level_limit(comparing ? argv[3] : NULL)};
    gemlet_status status = gemlet_plan(&port, argv[1], &options, &plan, &error);
    void *memory = status == GEMLET_OK ? aligned_alloc(GEMLET_ALIGNMENT, plan.arena) : NULL;
    status = status != GEMLET_OK ? status : gemlet_arena_init(&arena, memory, plan.arena, &error);
    status = status != GEMLET_OK ? status : gemlet_model_open(&port, argv[1], &options, &arena, &model, &error);
    status = status != GEMLET_OK ? status : gemlet_session_open(model, &options, &arena, &session, &error);
    status = status != GEMLET_OK || !comparing ? status : set_band(session, number(argv[7]), &error);
    status = status != GEMLET_OK ? status : encode(session, comparing ? argv[4] : NULL, comparing ? argv[5] : NULL, &error);
    if (status == GEMLET_OK) {
        printf("level %s\nmultiply-adds %.0f\nscratch %zu\n", gemlet_level_name(session->image.run.kernels.level),
               multiply_adds(&session->image.mobilenetv5), session->image.run.bytes);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    gemlet_model_close(model);
    gemlet_posix_close(posix);
    free(memory);
    return status == GEMLET_OK ? 0 : 1;
}
