/* gemlet camera: the same question about every frame, or about the last frames as a clip, a line for each answer. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "examples/camera/clip.h"
#include "examples/camera/frames.h"
#include "examples/camera/stream.h"
#include "examples/camera/v4l2.h"
#include "examples/gemlet/answer.h"
#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/question.h"

enum {
    DEFAULT_WIDTH = 640,
    DEFAULT_HEIGHT = 480,
    LOOK_AGAIN = 10000000 /* nanoseconds: whether to stop */
};

typedef struct camera {
    answerer answerer;
    frame_source source;
    question question;
    clip clip;         /* of --clip */
    double last_taken; /* when its last frame was: seconds of a live one, else its number */
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

static gemlet_status feed_seen(camera *c, const gemlet_image *image) {
    if (c->clip.length == 0) {
        return answer_feed_image(&c->answerer, image);
    }
    gemlet_clip_frame frames[GEMLET_CLIP_MOST_FRAMES];
    clip_list(&c->clip, c->source.live ? 1.0 : (double)c->answerer.options->clip_interval, frames);
    return answer_feed_clip(&c->answerer, frames, c->clip.count);
}

static gemlet_status feed_frame(camera *c, const gemlet_image *image) {
    gemlet_status status = question_begin(&c->question, &c->answerer);
    if (status == GEMLET_OK) {
        status = feed_seen(c, image);
    }
    return status == GEMLET_OK ? question_end(&c->question, &c->answerer) : status;
}

/* Prints the frame's name, what was skipped before it, the answer, and how long that took.  False for a failure. */
static bool answer_frame(camera *c, const frame *f) {
    answerer *a = &c->answerer;
    uint64_t started = engine_time(&a->engine);
    gemlet_status status = feed_frame(c, &f->image);
    if (status != GEMLET_OK) {
        return status == GEMLET_ERROR_CANCELLED;
    }
    gemlet_error shown; /* a line for each frame, whatever a file of a folder is called */
    printf("%s\t%llu\t", program_shown(f->name, strlen(f->name), &shown), (unsigned long long)f->skipped);
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

/* ---- Clips ---- */

static double now(const camera *c) {
    return (double)engine_time(&c->answerer.engine) * 1e-9;
}

/* Before a live frame is asked for: until the clip's interval has passed since the last one. */
static void wait_for_interval(const camera *c, const options *o) {
    const struct timespec moment = {.tv_nsec = LOOK_AGAIN};
    while (c->source.live && c->clip.count > 0 && !interrupt_seen() && now(c) < c->last_taken + (double)o->clip_interval) {
        nanosleep(&moment, NULL);
    }
}

/* Takes the frame into the clip; false for a failure.  What is not live has its frames one interval apart. */
static bool take_frame(camera *c, const frame *f) {
    double taken = c->source.live ? now(c) : c->last_taken + 1.0;
    if (!clip_add(&c->clip, &f->image, taken)) {
        gemlet_fail(&c->answerer.error, GEMLET_ERROR_MEMORY, "out of memory for the frames of a clip");
        return false;
    }
    c->last_taken = taken;
    return true;
}

/* A frame that is there: into the clip, where there is one, and answered where that is whole. */
static bool see_frame(camera *c, const frame *f) {
    if (c->clip.length > 0 && !take_frame(c, f)) {
        return false;
    }
    if (c->clip.count == c->clip.length) {
        return answer_frame(c, f);
    }
    c->skipped += f->skipped;
    return true;
}

static int watch(camera *c, const options *o) {
    frame f;
    while (!interrupt_seen() && (o->frames == 0 || c->answers < o->frames)) {
        wait_for_interval(c, o);
        switch (c->source.next(c->source.state, &f, &c->answerer.error)) {
        case FRAME_READY:
            if (!see_frame(c, &f)) {
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
    if (answerer_open(&c->answerer, o, interrupt_seen) != GEMLET_OK ||
        question_make(&c->question, &c->answerer, o->prompt, (turn_slots){.images = 1, .clip = o->clip_length > 0}) != GEMLET_OK ||
        answer_check_room(&c->answerer, &c->question.prompt) != GEMLET_OK || open_source(c, o) != GEMLET_OK) {
        return program_fail(&c->answerer.error);
    }
    c->answerer.one_line = true;
    c->clip.length = o->clip_length;
    int code = watch(c, o);
    code = code == 0 && c->lost > 0 && !c->source.live
               ? 1
               : code; /* a camera may lose frames; what lies in a file could not be shown */
    c->source.close(c->source.state);
    if (o->stats) {
        engine_print_stats(&c->answerer.engine, o, &c->answerer.work);
        fprintf(stderr, "frames     %14llu answered, %llu lost, %llu skipped; %zu tokens before the frame are kept\n",
                (unsigned long long)c->answers, (unsigned long long)c->lost, (unsigned long long)c->skipped, c->question.head);
    }
    return code;
}

int command_camera(int argc, char **argv) {
    options o;
    camera c = {.answers = 0};
    int code;
    if (!options_parse(&o, OPTIONS_CAMERA, argc, argv, &code)) {
        return code;
    }
    interrupt_catch_all();
    code = run(&c, &o);
    clip_free(&c.clip);
    question_free(&c.question);
    answerer_close(&c.answerer);
    return code;
}
