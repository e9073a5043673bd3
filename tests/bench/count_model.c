/* Runs a model so that its instructions can be counted:
 *
 *     count_model MODEL prefill|decode|PICTURE.rgb COUNT [THREADS] [all]
 *
 * COUNT tokens at once, or one after the other, or a picture (tests/bench/picture.h) encoded COUNT times; 0: opens the model only.
 * With more than one thread, what they would do is done by one, task by task, between marks that tests/bench/count_instructions.c
 * looks for: a task's length is then what one thread would have to do.  "all": nothing is skipped (gemlet_options). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/picture.h"
#include <gemlet/image.h>
#include <gemlet/posix.h>

enum { MOST = 2048, CAMERA_TOKENS = 70 /* of an image that keeps its shape: what gemlet camera takes */ };

/* Different values, or the compiler makes one function of the three. */
static volatile int mark;
void mark_task_begin(void);
void mark_task_end(void);
void mark_region_end(void);
void mark_task_begin(void) {
    mark = 1;
}
void mark_task_end(void) {
    mark = 2;
}
void mark_region_end(void) {
    mark = 3;
}
static void (*volatile const task_begin)(void) = mark_task_begin;
static void (*volatile const task_end)(void) = mark_task_end;
static void (*volatile const region_end)(void) = mark_region_end;

static size_t threads = 1;

static size_t as_many_threads(void *context) {
    (void)context;
    return threads;
}

static void one_after_the_other(void *context, gemlet_task task, void *argument, size_t count) {
    (void)context;
    for (size_t i = 0; i < count; i++) {
        task_begin();
        task(argument, i);
        task_end();
    }
    region_end();
}

static gemlet_status feed(gemlet_session *session, size_t count, size_t step, gemlet_error *error) {
    uint32_t tokens[MOST];
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (uint32_t)(8 + i * 7 % 500);
    }
    for (size_t i = 0; i < count && status == GEMLET_OK; i += step) {
        status = gemlet_feed(session, tokens + i, step, error);
    }
    return status;
}

static gemlet_status encode(gemlet_session *session, const picture *p, size_t count, gemlet_error *error) {
    gemlet_image image = {.format = GEMLET_PIXELS_RGB, .width = p->width, .height = p->height, .pixels = p->pixels};
    gemlet_status status = GEMLET_OK;
    image.stride = (size_t)p->width * 3;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        status = gemlet_encode_image(session, &image, &(const float *){NULL}, &(size_t){0}, error);
    }
    return status;
}

int main(int argc, char **argv) {
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_memory_plan plan;
    gemlet_arena arena;
    gemlet_model *model = NULL;
    gemlet_session *session = NULL;
    static picture p;
    size_t count = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc < 4 || count > MOST) {
        fputs("count_model MODEL prefill|decode|PICTURE.rgb COUNT [THREADS] [all]\n", stderr);
        return 2;
    }
    bool decode = strcmp(argv[2], "decode") == 0;
    bool text = decode || strcmp(argv[2], "prefill") == 0;
    if (!text) {
        picture_read(&p, argv[2]);
    }
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    if (argc > 4) {
        threads = strtoul(argv[4], NULL, 10);
        port.thread_count = as_many_threads;
        port.run_tasks = one_after_the_other;
    }
    gemlet_options options = {.context = MOST, .chunk = 128, .no_images = text, .no_skipping = argc > 5};
    gemlet_status status = gemlet_plan(&port, argv[1], &options, &plan, &error);
    if (status == GEMLET_OK && plan.image_tokens > CAMERA_TOKENS) {
        options.image_tokens = CAMERA_TOKENS;
        status = gemlet_plan(&port, argv[1], &options, &plan, &error);
    }
    void *memory = status == GEMLET_OK ? aligned_alloc(GEMLET_ALIGNMENT, plan.arena) : NULL;
    status = status != GEMLET_OK ? status : gemlet_arena_init(&arena, memory, plan.arena, &error);
    status = status != GEMLET_OK ? status : gemlet_model_open(&port, argv[1], &options, &arena, &model, &error);
    status = status != GEMLET_OK ? status : gemlet_session_open(model, &options, &arena, &session, &error);
    if (status == GEMLET_OK) {
        status = text ? feed(session, count, decode ? 1 : count, &error) : encode(session, &p, count, &error);
    }
    if (status != GEMLET_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    gemlet_model_close(model);
    gemlet_posix_close(posix);
    free(memory);
    return status == GEMLET_OK ? 0 : 1;
}
