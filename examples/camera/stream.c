#include "examples/camera/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "examples/camera/motion_jpeg.h"
#include "examples/gemlet/image.h"

enum {
    PIECE = 1 << 16,      /* bytes that are read at a time */
    LOOK_AGAIN = 100,     /* milliseconds: whether to stop */
    FIRST_BYTES = 1 << 16 /* of a JPEG picture */
};

typedef struct slot {
    uint8_t *bytes;
    size_t count, capacity;
    uint64_t number;
    const char *problem; /* why this is no frame, or NULL */
} slot;

typedef struct stream {
    stream_settings settings;
    size_t frame_bytes; /* of a raw one */
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* The reader's own. */
    motion_jpeg place;
    slot coming;
    bool inside; /* whether some of its bytes are there */
    /* Guarded by lock. */
    slot waiting;
    bool is_waiting;
    bool stopping, ended;
    int reason;       /* errno of a stream that can't be read */
    size_t left_over; /* bytes of the frame that the end cut off */
    uint64_t begun;   /* frames that began so far */
    uint64_t read;    /* bytes so far */
    /* The caller's own. */
    slot out;
    bool was_answered; /* whether the frame that is out was good: then what came since is old */
    bool told_left_over;
    uint64_t first_wanted; /* the number of the first frame that is young enough */
    uint64_t next_number;  /* of the frame behind the one that was out last */
    image_file picture;
} stream;

/* ---- The reader ---- */

static void exchange(slot *a, slot *b) {
    slot kept = *a;
    *a = *b;
    *b = kept;
}

static void begin_frame(stream *s) {
    pthread_mutex_lock(&s->lock);
    s->coming.number = s->begun++;
    pthread_mutex_unlock(&s->lock);
    s->coming.count = 0;
    s->coming.problem = NULL;
    s->inside = true;
}

/* The frame that came takes the place of the one that waits, whose number is missing then; or waits until there is room. */
static void end_frame(stream *s, const char *problem) {
    s->inside = false;
    s->coming.problem = s->coming.problem != NULL ? s->coming.problem : problem;
    pthread_mutex_lock(&s->lock);
    while (s->settings.every && s->is_waiting && !s->stopping) {
        pthread_cond_wait(&s->changed, &s->lock);
    }
    exchange(&s->waiting, &s->coming);
    s->is_waiting = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static bool grow(slot *c, size_t capacity) {
    uint8_t *grown = realloc(c->bytes, capacity);
    if (grown == NULL) {
        return false;
    }
    c->bytes = grown;
    c->capacity = capacity;
    return true;
}

static void add_bytes(stream *s, const uint8_t *bytes, size_t count) {
    slot *c = &s->coming;
    if (c->problem != NULL) {
        return;
    }
    if (count > c->capacity - c->count) {
        size_t capacity = 2 * c->capacity + FIRST_BYTES;
        if (capacity > s->settings.memory / 2 || !grow(c, capacity)) {
            c->problem = "a picture of the stream takes more than half of --image-memory";
            return;
        }
    }
    memcpy(c->bytes + c->count, bytes, count);
    c->count += count;
}

static void take_raw(stream *s, const uint8_t *bytes, size_t count) {
    while (count > 0) {
        if (!s->inside) {
            begin_frame(s);
        }
        size_t missing = s->frame_bytes - s->coming.count;
        size_t taken = count < missing ? count : missing;
        add_bytes(s, bytes, taken);
        bytes += taken;
        count -= taken;
        if (taken == missing) {
            end_frame(s, NULL);
        }
    }
}

static void take_pictures(stream *s, const uint8_t *bytes, size_t count) {
    static const uint8_t start[] = {0xFF, 0xD8};
    for (size_t i = 0; i < count; i++) {
        motion_jpeg_event event = motion_jpeg_take(&s->place, bytes[i]);
        if (event == MOTION_JPEG_CUT) {
            end_frame(s, "a picture of the stream is cut off: another begins inside of it");
        }
        if (event == MOTION_JPEG_BEGIN || event == MOTION_JPEG_CUT) {
            begin_frame(s);
            add_bytes(s, start, sizeof start);
        } else if (event != MOTION_JPEG_NOTHING) {
            add_bytes(s, bytes + i, 1);
        }
        if (event == MOTION_JPEG_END) {
            end_frame(s, NULL);
        }
    }
}

/* Waits for bytes; false where the caller wants no more. */
static bool wait_for_bytes(stream *s) {
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool stopping = s->stopping;
        pthread_mutex_unlock(&s->lock);
        struct pollfd what = {.fd = s->settings.descriptor, .events = POLLIN};
        if (stopping || poll(&what, 1, LOOK_AGAIN) != 0) {
            return !stopping;
        }
    }
}

static void *read_stream(void *argument) {
    stream *s = argument;
    uint8_t piece[PIECE];
    ssize_t got = 1;
    int reason = 0;
    while (got != 0 && reason == 0 && wait_for_bytes(s)) {
        got = read(s->settings.descriptor, piece, sizeof piece);
        reason = got < 0 && errno != EINTR && errno != EAGAIN ? errno : 0;
        if (got > 0) {
            pthread_mutex_lock(&s->lock);
            s->read += (uint64_t)got;
            pthread_mutex_unlock(&s->lock);
            (s->settings.jpeg ? take_pictures : take_raw)(s, piece, (size_t)got);
        }
    }
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->reason = reason;
    s->left_over = s->inside ? s->coming.count : 0;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- The caller ---- */

/* Waits for a frame that is young enough, or the end, but not for long.  Called with the lock held. */
static bool wait_for_frame(stream *s) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_AGAIN * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    for (int waited = 0;;) {
        s->is_waiting = s->is_waiting && s->waiting.number >= s->first_wanted;
        if (s->is_waiting || s->ended || waited != 0) {
            return s->is_waiting;
        }
        waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
}

static frame_status fail(gemlet_error *error, const char *what, const char *detail) {
    gemlet_fail(error, GEMLET_ERROR_IO, what);
    gemlet_error_text(error, detail);
    return FRAME_LOST;
}

/* Behind the last frame: how the stream ended. */
static frame_status end_stream(stream *s, gemlet_error *error) {
    if (s->reason != 0) {
        fail(error, "the stream of frames can't be read: ", strerror(s->reason));
        return FRAME_GONE;
    }
    if (s->told_left_over || (s->left_over == 0 && (s->begun > 0 || s->read == 0))) {
        return FRAME_END;
    }
    s->told_left_over = true;
    if (s->left_over == 0) {
        return fail(error, "the stream has no JPEG picture", "");
    }
    fail(error, "the stream ends inside of a frame: ", "");
    gemlet_error_number(error, s->left_over);
    gemlet_error_text(error, s->settings.jpeg ? " bytes of a picture" : " of ");
    if (!s->settings.jpeg) {
        gemlet_error_number(error, s->frame_bytes);
        gemlet_error_text(error, " bytes");
    }
    return FRAME_LOST;
}

static frame_status deliver(stream *s, frame *f, gemlet_error *error) {
    char name[32];
    uint64_t skipped = s->out.number - s->next_number;
    snprintf(name, sizeof name, "frame %llu", (unsigned long long)s->out.number);
    s->next_number = s->out.number + 1;
    if (s->out.problem != NULL) {
        fail(error, name, ": ");
        gemlet_error_text(error, s->out.problem);
        return FRAME_LOST;
    }
    *f = (frame){.skipped = skipped};
    snprintf(f->name, sizeof f->name, "%llu", (unsigned long long)s->out.number);
    if (!s->settings.jpeg) {
        f->image = frame_image(&s->settings.layout, s->out.bytes);
        return FRAME_READY;
    }
    image_free(&s->picture);
    if (image_read_bytes(&s->picture, s->out.bytes, s->out.count, name, s->settings.memory, error) != GEMLET_OK) {
        return FRAME_LOST;
    }
    if (s->picture.damage[0] != '\0') {
        fail(error, name, ": damaged: ");
        gemlet_error_text(error, s->picture.damage);
        return FRAME_LOST;
    }
    f->image = s->picture.image;
    return FRAME_READY;
}

static frame_status next_of_stream(void *state, frame *f, gemlet_error *error) {
    stream *s = state;
    pthread_mutex_lock(&s->lock);
    if (s->was_answered && !s->settings.every) {
        s->first_wanted = s->begun; /* the one that is coming began before now, too */
    }
    s->was_answered = false;
    bool there = wait_for_frame(s);
    bool ended = s->ended;
    if (there) {
        exchange(&s->waiting, &s->out);
        s->is_waiting = false;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (!there) {
        return ended ? end_stream(s, error) : FRAME_NONE;
    }
    frame_status status = deliver(s, f, error);
    s->was_answered = status == FRAME_READY;
    return status;
}

/* ---- Opening ---- */

static void free_stream(stream *s) {
    image_free(&s->picture);
    free(s->coming.bytes);
    free(s->waiting.bytes);
    free(s->out.bytes);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void close_stream(void *state) {
    stream *s = state;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->reader, NULL);
    free_stream(s);
}

/* Signals are for the thread that can end what it does. */
static bool start_reader(stream *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = pthread_create(&s->reader, NULL, read_stream, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return refused == 0;
}

gemlet_status frames_from_stream(frame_source *source, const stream_settings *settings, gemlet_error *error) {
    *source = (frame_source){.state = NULL};
    size_t bytes = settings->jpeg ? 0 : frame_bytes(&settings->layout);
    if (bytes == 0 && !settings->jpeg) {
        return gemlet_fail(
            error, GEMLET_ERROR_ARGUMENT,
            "raw frames: YUYV needs an even width, NV12 and I420 an even width and height (I420 also an even stride), and "
            "a stride holds a line");
    }
    stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a frame");
    }
    struct stat what;
    s->settings = *settings;
    s->settings.every = settings->every || (fstat(settings->descriptor, &what) == 0 && S_ISREG(what.st_mode));
    s->frame_bytes = bytes;
    /* Memory for whole raw frames; pictures take theirs as they come. */
    bool good = bytes == 0 || (grow(&s->coming, bytes) && grow(&s->waiting, bytes) && grow(&s->out, bytes));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (!good || !start_reader(s)) {
        free_stream(s);
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for frames");
    }
    *source = (frame_source){s, next_of_stream, close_stream, !s->settings.every};
    /* cppcheck-suppress memleak ; the source closes it */
    return GEMLET_OK;
}
