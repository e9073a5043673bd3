#include "examples/gemlet/serve/viewfinder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "examples/camera/frames.h"
#include "examples/camera/stream.h"
#include "examples/camera/v4l2.h"
#include "examples/gemlet/image.h"

enum { DEFAULT_WIDTH = 640, DEFAULT_HEIGHT = 480, SIDE = 512, RGB = 3, HEAD_BYTES = 54 };
enum { LONGEST_WAIT = 10 /* seconds */, LOOKS = 50 /* until a program is killed */, LOOK_NANOSECONDS = 20000000 };

struct viewfinder {
    const options *options;
    pthread_mutex_t lock; /* of all below */
    frame_source source;
    bool open;
    bool answered; /* whether the last call got a frame of this source: then what waits is younger than that call */
    pid_t program; /* rpicam-vid, or 0 */
    int descriptor;
    void *scratch;
    uint8_t *square; /* [SIDE][SIDE][RGB] */
};

extern char **environ;

static uint32_t wished_width(const options *o) {
    return o->size.width != 0 ? o->size.width : DEFAULT_WIDTH;
}

static uint32_t wished_height(const options *o) {
    return o->size.height != 0 ? o->size.height : DEFAULT_HEIGHT;
}

/* ---- A Raspberry Pi's camera ---- */

/* Starts rpicam-vid, which writes Motion JPEG into a pipe; nothing of what it says is kept. */
static int start_program(viewfinder *v, int write_end) {
    char width[16], height[16];
    snprintf(width, sizeof width, "%u", (unsigned)wished_width(v->options));
    snprintf(height, sizeof height, "%u", (unsigned)wished_height(v->options));
    char *const arguments[] = {"rpicam-vid",  "-t", "0",       "-n",    "--width", width, "--height", height,
                               "--framerate", "5",  "--codec", "mjpeg", "-o",      "-",   NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&v->program, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    v->program = failed == 0 ? v->program : 0;
    return failed;
}

static gemlet_status open_program(viewfinder *v, gemlet_error *error) {
    int ends[2];
    if (pipe(ends) != 0) {
        return gemlet_fail(error, GEMLET_ERROR_IO, strerror(errno));
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int failed = start_program(v, ends[1]);
    close(ends[1]);
    v->descriptor = ends[0];
    if (failed != 0) {
        gemlet_fail(error, GEMLET_ERROR_IO, "rpicam-vid: ");
        gemlet_error_text(error, strerror(failed));
        return GEMLET_ERROR_IO;
    }
    const stream_settings settings = {
        .descriptor = v->descriptor, .jpeg = true, .memory = (size_t)v->options->image_memory * IMAGE_MEBIBYTE};
    return frames_from_stream(&v->source, &settings, error);
}

/* ---- Opening and closing ---- */

static gemlet_status open_device(viewfinder *v, gemlet_error *error) {
#ifdef GEMLET_HAVE_V4L2
    const v4l2_settings settings = {.path = v->options->camera,
                                    .width = wished_width(v->options),
                                    .height = wished_height(v->options),
                                    .memory = (size_t)v->options->image_memory * IMAGE_MEBIBYTE};
    return frames_from_v4l2(&v->source, &v4l2_system, &settings, error);
#else
    (void)v;
    return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "option --camera: this system has no V4L2 cameras");
#endif
}

static void pause_to_look(void) {
    const struct timespec pause = {0, LOOK_NANOSECONDS};
    nanosleep(&pause, NULL);
}

/* With SIGTERM, and where it does not listen with SIGKILL. */
static void end_program(pid_t program) {
    kill(program, SIGTERM);
    for (int looks = 0; waitpid(program, NULL, WNOHANG) == 0; looks++) {
        if (looks == LOOKS) {
            kill(program, SIGKILL);
        }
        pause_to_look();
    }
}

static void close_source(viewfinder *v) {
    if (v->program > 0) {
        end_program(v->program);
        v->program = 0;
    }
    if (v->open) {
        v->source.close(v->source.state);
        v->open = false;
    }
    if (v->descriptor >= 0) {
        close(v->descriptor);
        v->descriptor = -1;
    }
}

static gemlet_status open_source(viewfinder *v, gemlet_error *error) {
    if (v->open) {
        return GEMLET_OK;
    }
    gemlet_status status = strcmp(v->options->camera, "rpicam") == 0 ? open_program(v, error) : open_device(v, error);
    v->open = status == GEMLET_OK;
    v->answered = false;
    if (!v->open) {
        close_source(v);
    }
    return status;
}

viewfinder *viewfinder_open(const options *o, gemlet_error *error) {
    viewfinder *v = calloc(1, sizeof *v);
    if (v == NULL) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the camera");
        return NULL;
    }
    v->options = o;
    v->descriptor = -1;
    pthread_mutex_init(&v->lock, NULL);
    v->scratch = malloc(gemlet_resize_bytes(SIDE));
    v->square = malloc((size_t)SIDE * SIDE * RGB);
    bool taken = v->scratch != NULL && v->square != NULL;
    if (!taken) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the camera");
    }
    if (!taken || open_source(v, error) != GEMLET_OK) {
        viewfinder_close(v);
        return NULL;
    }
    return v;
}

void viewfinder_close(viewfinder *v) {
    if (v != NULL) {
        close_source(v);
        pthread_mutex_destroy(&v->lock);
        free(v->scratch);
        free(v->square);
        free(v);
    }
}

/* ---- A picture ---- */

static void put(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

/* A BITMAPINFOHEADER file of 24 bits a pixel: rows from the bottom up, blue first.  Rows of SIDE pixels need no filling up. */
static void add_bitmap(const viewfinder *v, text_buffer *out) {
    uint8_t head[HEAD_BYTES] = {'B', 'M'}, row[SIDE * RGB];
    put(head + 2, HEAD_BYTES + SIDE * SIDE * RGB);
    put(head + 10, HEAD_BYTES);
    put(head + 14, 40);
    put(head + 18, SIDE);
    put(head + 22, SIDE);
    put(head + 26, 1u | 24u << 16); /* planes, bits */
    text_buffer_add(out, (const char *)head, sizeof head);
    for (size_t y = SIDE; y-- > 0;) {
        const uint8_t *from = v->square + y * SIDE * RGB;
        for (size_t i = 0; i < SIDE * RGB; i++) {
            row[i] = from[i / RGB * RGB + (RGB - 1 - i % RGB)];
        }
        text_buffer_add(out, (const char *)row, sizeof row);
    }
}

static time_t seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* The next frame, for some seconds, behind the first where that may be old. */
static gemlet_status next_frame(viewfinder *v, bool old, viewfinder_call call, frame *f, gemlet_error *error) {
    const time_t end = seconds_now() + LONGEST_WAIT;
    gemlet_error lost = {GEMLET_OK, ""};
    while (seconds_now() <= end) {
        if (!call.wanted(call.context)) {
            return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled");
        }
        frame_status status = v->source.next(v->source.state, f, &lost);
        if (status == FRAME_READY && !old) {
            return GEMLET_OK;
        }
        old = old && status != FRAME_READY;
        if (status == FRAME_END || status == FRAME_GONE) {
            break;
        }
    }
    gemlet_fail(error, GEMLET_ERROR_IO, "the camera gives no frame");
    if (lost.message[0] != '\0') {
        gemlet_error_text(error, ": ");
        gemlet_error_text(error, lost.message);
    }
    return GEMLET_ERROR_IO;
}

/* Takes the lock, as long as somebody waits for the picture: the thread that has it may wait for its frame for long. */
static gemlet_status take_lock(viewfinder *v, viewfinder_call call, gemlet_error *error) {
    while (pthread_mutex_trylock(&v->lock) != 0) {
        if (!call.wanted(call.context)) {
            return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled");
        }
        pause_to_look();
    }
    return GEMLET_OK;
}

/* A frame of now from the source, which is opened where it isn't open. */
static gemlet_status take_frame(viewfinder *v, viewfinder_call call, frame *f, gemlet_error *error) {
    const bool old = v->open && !v->answered; /* what a stream has kept since it was opened, or since a call that got nothing */
    gemlet_status status =
        call.wanted(call.context) ? open_source(v, error) : gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled");
    if (status != GEMLET_OK) {
        return status;
    }
    status = next_frame(v, old, call, f, error);
    v->answered = status == GEMLET_OK;
    if (status == GEMLET_ERROR_IO) {
        close_source(v);
    }
    return status;
}

gemlet_status viewfinder_take(viewfinder *v, viewfinder_call call, text_buffer *out, uint32_t *width, uint32_t *height,
                              gemlet_error *error) {
    frame f = {.skipped = 0};
    if (take_lock(v, call, error) != GEMLET_OK) {
        return error->status;
    }
    gemlet_status status = take_frame(v, call, &f, error);
    if (status == GEMLET_OK) {
        *width = f.image.width;
        *height = f.image.height;
        status = gemlet_resize(&f.image, SIDE, v->scratch, v->square, error);
    }
    if (status == GEMLET_OK) {
        add_bitmap(v, out);
    }
    pthread_mutex_unlock(&v->lock);
    return status;
}
