/* gemlet camera: the same question about every frame, a line for each.
 *
 * What stands before the frame in the prompt (<bos>, the turn's beginning, the system prompt, text before <image>) is the same for
 * each, so its keys and values stay in the session, which goes back to there before the next frame. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "examples/camera/frames.h"
#include "examples/camera/stream.h"
#include "examples/camera/v4l2.h"
#include "examples/gemlet/answer.h"
#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/turn.h"

enum { DEFAULT_WIDTH = 640, DEFAULT_HEIGHT = 480 };

typedef struct camera {
    answerer answerer;
    frame_source source;
    token_list prompt;
    size_t head; /* tokens of the prompt before the frame */
    bool head_fed;
    uint64_t answers;
    uint64_t lost;
    uint64_t skipped;
} camera;

static gemlet_color_matrix matrix_of(const options *o) {
    return o->color_matrix != 0 ? (gemlet_color_matrix)(o->color_matrix - 1) : GEMLET_COLOR_BT601;
}

static gemlet_color_range range_of(const options *o) {
    return o->color_range != 0 ? (gemlet_color_range)(o->color_range - 1) : GEMLET_RANGE_LIMITED;
}

static gemlet_status open_stream(camera *c, const options *o) {
    bool jpeg = o->raw_format == OPTIONS_RAW_JPEG;
    stream_settings settings = {
        .descriptor = STDIN_FILENO, .jpeg = jpeg, .memory = (size_t)o->image_memory * IMAGE_MEBIBYTE, .every = o->every_frame};
    if (!jpeg) {
        settings.layout = (frame_layout){.format = (gemlet_pixel_format)(o->raw_format - 1),
                                         .width = o->size.width,
                                         .height = o->size.height,
                                         .stride = o->stride,
                                         .matrix = matrix_of(o),
                                         .range = range_of(o)};
    }
    return frames_from_stream(&c->source, &settings, &c->answerer.error);
}

static gemlet_status open_source(camera *c, const options *o) {
    gemlet_error *error = &c->answerer.error;
    size_t memory = (size_t)o->image_memory * IMAGE_MEBIBYTE;
    if (o->folder != NULL) {
        return frames_from_folder(&c->source, o->folder, memory, error);
    }
    if (o->raw_format != 0) {
        return open_stream(c, o);
    }
#ifdef GEMLET_HAVE_V4L2
    v4l2_settings settings = {.path = o->device != NULL ? o->device : "/dev/video0",
                              .width = o->size.width != 0 ? o->size.width : DEFAULT_WIDTH,
                              .height = o->size.height != 0 ? o->size.height : DEFAULT_HEIGHT,
                              .wait = o->wait,
                              .memory = memory,
                              .matrix_given = o->color_matrix != 0,
                              .range_given = o->color_range != 0,
                              .matrix = matrix_of(o),
                              .range = range_of(o)};
    return frames_from_v4l2(&c->source, &v4l2_system, &settings, error);
#else
    return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "this system has no V4L2 cameras: use --folder or --raw-frames");
#endif
}

static gemlet_status make_prompt(camera *c, const options *o) {
    const turn_before before = {.first = true, .system = o->system, .think = o->think};
    gemlet_status status =
        turn_append(&c->prompt, c->answerer.engine.model, &before, o->prompt, (turn_slots){1, 0}, &c->answerer.error);
    while (status == GEMLET_OK && c->prompt.ids[c->head] != TURN_IMAGE) {
        c->head++;
    }
    return status;
}

/* The session holds the head of the prompt and nothing else: as far as possible what it held before. */
static gemlet_status begin_answer(camera *c) {
    answerer *a = &c->answerer;
    if (c->head_fed && answerer_rewind(a, c->head) == GEMLET_OK) {
        gemlet_sampler_remember(&a->sampler, c->prompt.ids, c->head);
        return GEMLET_OK;
    }
    gemlet_status status = answerer_rewind(a, 0);
    if (status == GEMLET_OK) {
        status = answer_feed(a, c->prompt.ids, c->head);
    }
    c->head_fed = status == GEMLET_OK;
    return status;
}

static gemlet_status feed_frame(camera *c, const gemlet_image *image) {
    const token_list *p = &c->prompt;
    gemlet_status status = begin_answer(c);
    if (status == GEMLET_OK) {
        status = answer_feed_image(&c->answerer, image);
    }
    return status == GEMLET_OK ? answer_feed(&c->answerer, p->ids + c->head + 1, p->count - c->head - 1) : status;
}

/* Prints the frame's name, what was skipped before it, the answer, and how long that took.  False for a failure. */
static bool answer_frame(camera *c, const frame *f) {
    answerer *a = &c->answerer;
    uint64_t started = engine_time(&a->engine);
    gemlet_status status = feed_frame(c, &f->image);
    if (status != GEMLET_OK) {
        return status == GEMLET_ERROR_CANCELLED;
    }
    printf("%s\t%llu\t", f->name, (unsigned long long)f->skipped);
    answer_end end = answer_print(a);
    printf("\t%.3f s\n", (double)(engine_time(&a->engine) - started) * 1e-9);
    if (end != ANSWER_FAILED && (fflush(stdout) != 0 || ferror(stdout))) {
        gemlet_fail(&a->error, GEMLET_ERROR_IO, "standard output can't be written");
        end = ANSWER_FAILED;
    }
    c->answers++;
    c->skipped += f->skipped;
    return end != ANSWER_FAILED;
}

static int watch(camera *c, const options *o) {
    frame f;
    while (!interrupt_seen() && (o->frames == 0 || c->answers < o->frames)) {
        switch (c->source.next(c->source.state, &f, &c->answerer.error)) {
        case FRAME_READY:
            if (!answer_frame(c, &f)) {
                return program_fail(&c->answerer.error);
            }
            break;
        case FRAME_LOST:
            (void)program_fail(&c->answerer.error);
            c->lost++;
            break;
        case FRAME_NONE: break;
        case FRAME_END: return 0;
        case FRAME_GONE: return program_fail(&c->answerer.error);
        }
    }
    return 0;
}

static int run(camera *c, const options *o) {
    if (answerer_open(&c->answerer, o, interrupt_seen) != GEMLET_OK || make_prompt(c, o) != GEMLET_OK ||
        answer_check_room(&c->answerer, &c->prompt) != GEMLET_OK || open_source(c, o) != GEMLET_OK) {
        return program_fail(&c->answerer.error);
    }
    c->answerer.one_line = true;
    int code = watch(c, o);
    c->source.close(c->source.state);
    if (o->stats) {
        engine_print_stats(&c->answerer.engine, o, &c->answerer.work);
        fprintf(stderr, "frames     %14llu answered, %llu lost, %llu skipped; %zu tokens before the frame are kept\n",
                (unsigned long long)c->answers, (unsigned long long)c->lost, (unsigned long long)c->skipped, c->head);
    }
    return code;
}

int command_camera(int argc, char **argv) {
    options o;
    camera c = {.head = 0};
    int code;
    if (!options_parse(&o, OPTIONS_CAMERA, argc, argv, &code)) {
        return code;
    }
    interrupt_catch_all();
    code = run(&c, &o);
    tokens_free(&c.prompt);
    answerer_close(&c.answerer);
    return code;
}
