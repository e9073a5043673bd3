#include "examples/camera/v4l2.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/image.h"

enum {
    BUFFERS = 4,
    FRAME_TIMEOUT = 2000, /* milliseconds; cameras in the dark make some 5 frames a second */
    RETRY_PAUSE = 1000,   /* milliseconds between attempts to open */
    LOST_AT_MOST = 5      /* in a row: then the camera is opened anew */
};

typedef struct mapping {
    void *address;
    size_t bytes;
} mapping;

/* What is asked for, best first: what needs no decoding, and of it what takes the bus the least. */
static const struct known_format {
    uint32_t code;
    bool compressed;
    gemlet_pixel_format pixels;
} known_formats[] = {
    {V4L2_PIX_FMT_NV12, false, GEMLET_PIXELS_NV12}, {V4L2_PIX_FMT_YUYV, false, GEMLET_PIXELS_YUYV},
    {V4L2_PIX_FMT_RGB24, false, GEMLET_PIXELS_RGB}, {V4L2_PIX_FMT_BGR24, false, GEMLET_PIXELS_BGR},
#ifdef GEMLET_HAVE_JPEG
    {V4L2_PIX_FMT_MJPEG, true, GEMLET_PIXELS_RGB},  {V4L2_PIX_FMT_JPEG, true, GEMLET_PIXELS_RGB},
#endif
    {V4L2_PIX_FMT_GREY, false, GEMLET_PIXELS_GREY},
};

enum { KNOWN_FORMATS = sizeof known_formats / sizeof known_formats[0] };

typedef struct v4l2 {
    const v4l2_calls *calls;
    v4l2_settings settings;
    int device; /* negative: closed */
    struct v4l2_pix_format format;
    const struct known_format *known; /* what is known of it */
    mapping mappings[BUFFERS];
    uint32_t mapped;
    struct v4l2_buffer out; /* the buffer that the caller reads */
    bool is_out;
    image_file picture; /* of a compressed frame */
    uint32_t sequence;  /* of the latest frame */
    bool begun;         /* whether there was one since opening */
    int lost_in_a_row;
    bool told; /* whether the caller knows that the camera can't be opened */
} v4l2;

/* ---- Calls and their failures ---- */

static int control(v4l2 *v, unsigned long request, void *argument) {
    int result;
    do {
        result = v->calls->control(v->calls->context, v->device, request, argument);
    } while (result < 0 && errno == EINTR);
    return result;
}

/* "PATH: WHAT" and errno's text. */
static gemlet_status fail(const v4l2 *v, gemlet_status status, const char *what, gemlet_error *error) {
    int reason = errno;
    gemlet_fail(error, status, v->settings.path);
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, what);
    if (reason != 0) {
        gemlet_error_text(error, ": ");
        gemlet_error_text(error, strerror(reason));
    }
    return status;
}

static gemlet_status refuse(const v4l2 *v, const char *what, gemlet_error *error) {
    errno = 0;
    return fail(v, GEMLET_ERROR_UNSUPPORTED, what, error);
}

static bool is_unplugged(int reason) {
    return reason == ENODEV || reason == ENXIO || reason == ENOENT;
}

/* ---- Opening ---- */

static gemlet_status check_capabilities(v4l2 *v, gemlet_error *error) {
    struct v4l2_capability found = {.driver = ""};
    if (control(v, VIDIOC_QUERYCAP, &found) < 0) {
        return is_unplugged(errno) ? fail(v, GEMLET_ERROR_IO, "is unplugged", error) : refuse(v, "is no video device", error);
    }
    uint32_t can = (found.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? found.device_caps : found.capabilities;
    if ((can & V4L2_CAP_VIDEO_CAPTURE) == 0) {
        return refuse(v, "does not capture video in one plane", error);
    }
    return (can & V4L2_CAP_STREAMING) != 0 ? GEMLET_OK : refuse(v, "does not stream into memory", error);
}

static bool offers(v4l2 *v, uint32_t code) {
    struct v4l2_fmtdesc offer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    for (; control(v, VIDIOC_ENUM_FMT, &offer) >= 0; offer.index++) {
        if (offer.pixelformat == code) {
            return true;
        }
    }
    return false;
}

static const struct known_format *known(uint32_t code) {
    for (size_t i = 0; i < KNOWN_FORMATS; i++) {
        if (known_formats[i].code == code) {
            return &known_formats[i];
        }
    }
    return NULL;
}

/* Of an uncompressed frame; 0 where the driver's sides can't be. */
static size_t bytes_needed(const v4l2 *v) {
    return frame_bytes(v->known->pixels, v->format.width, v->format.height, v->format.bytesperline);
}

static gemlet_status choose_format(v4l2 *v, gemlet_error *error) {
    for (size_t i = 0; i < KNOWN_FORMATS; i++) {
        if (!offers(v, known_formats[i].code)) {
            continue;
        }
        struct v4l2_format wish = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
        wish.fmt.pix = (struct v4l2_pix_format){.width = v->settings.width,
                                                .height = v->settings.height,
                                                .pixelformat = known_formats[i].code,
                                                .field = V4L2_FIELD_NONE};
        if (control(v, VIDIOC_S_FMT, &wish) < 0) {
            return fail(v, GEMLET_ERROR_IO, "refuses the format", error);
        }
        v->format = wish.fmt.pix;
        v->known = known(v->format.pixelformat); /* may be another than was asked for */
        if (v->known != NULL && (v->known->compressed || bytes_needed(v) > 0)) {
            return GEMLET_OK;
        }
    }
    return refuse(v, "offers none of NV12, YUYV, RGB, BGR, MJPEG and grey", error);
}

static gemlet_status map_buffers(v4l2 *v, gemlet_error *error) {
    struct v4l2_requestbuffers wish = {.count = BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (control(v, VIDIOC_REQBUFS, &wish) < 0) {
        return fail(v, GEMLET_ERROR_IO, "gives no buffers", error);
    }
    for (uint32_t i = 0; i < wish.count && i < BUFFERS; i++) {
        struct v4l2_buffer buffer = {.index = i, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
        if (control(v, VIDIOC_QUERYBUF, &buffer) < 0) {
            return fail(v, GEMLET_ERROR_IO, "does not describe its buffers", error);
        }
        void *address = v->calls->map(v->calls->context, v->device, buffer.length, buffer.m.offset);
        if (address == NULL) {
            return fail(v, GEMLET_ERROR_IO, "a buffer can't be mapped", error);
        }
        v->mappings[v->mapped++] = (mapping){address, buffer.length};
        if (control(v, VIDIOC_QBUF, &buffer) < 0) {
            return fail(v, GEMLET_ERROR_IO, "takes no buffer", error);
        }
    }
    return v->mapped > 1 ? GEMLET_OK : refuse(v, "gives fewer than two buffers", error);
}

static void close_device(v4l2 *v) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    image_free(&v->picture);
    v->is_out = false;
    v->begun = false;
    v->lost_in_a_row = 0;
    if (v->device < 0) {
        return;
    }
    (void)control(v, VIDIOC_STREAMOFF, &type);
    for (; v->mapped > 0; v->mapped--) {
        v->calls->unmap(v->calls->context, v->mappings[v->mapped - 1].address, v->mappings[v->mapped - 1].bytes);
    }
    v->calls->close(v->calls->context, v->device);
    v->device = -1;
}

static gemlet_status open_device(v4l2 *v, gemlet_error *error) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    v->device = v->calls->open(v->calls->context, v->settings.path);
    if (v->device < 0) {
        return fail(v, GEMLET_ERROR_IO, "can't be opened", error);
    }
    gemlet_status status = check_capabilities(v, error);
    if (status == GEMLET_OK) {
        status = choose_format(v, error);
    }
    if (status == GEMLET_OK) {
        status = map_buffers(v, error);
    }
    if (status == GEMLET_OK && control(v, VIDIOC_STREAMON, &type) < 0) {
        status = fail(v, GEMLET_ERROR_IO, "does not begin to stream", error);
    }
    if (status != GEMLET_OK) {
        close_device(v);
    }
    return status;
}

/* ---- Frames ---- */

/* A frame could not be had: the message is made.  The camera is closed where it is gone, or gives nothing but trouble; the next
 * frame that is asked for opens it again, if we are to wait. */
static frame_status lose(v4l2 *v, bool gone, gemlet_error *error) {
    if (!gone && ++v->lost_in_a_row < LOST_AT_MOST) {
        return FRAME_LOST;
    }
    if (!gone) {
        gemlet_error_text(error, "; too many in a row");
    }
    close_device(v);
    return v->settings.wait ? FRAME_LOST : FRAME_GONE;
}

static frame_status lose_call(v4l2 *v, const char *what, gemlet_error *error) {
    bool gone = is_unplugged(errno);
    fail(v, GEMLET_ERROR_IO, gone ? "is unplugged" : what, error);
    return lose(v, gone, error);
}

/* 1 for a buffer, 0 where the driver has none, negative for a failure. */
static int take(v4l2 *v, struct v4l2_buffer *buffer) {
    *buffer = (struct v4l2_buffer){.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (control(v, VIDIOC_DQBUF, buffer) < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    if (buffer->index >= v->mapped) {
        errno = EPROTO;
        return -1;
    }
    return 1;
}

static bool give_back(v4l2 *v, struct v4l2_buffer *buffer) {
    return control(v, VIDIOC_QBUF, buffer) >= 0;
}

/* Gives back what is out and what was captured before now; answers how many of the latter, negative for a failure. */
static int skip_stale(v4l2 *v) {
    if (v->is_out) {
        v->is_out = false;
        if (!give_back(v, &v->out)) {
            return -1;
        }
    }
    /* Not more than there are buffers: a driver that is faster than this loop would keep it here. */
    for (int skipped = 0; skipped < (int)v->mapped; skipped++) {
        struct v4l2_buffer stale;
        int taken = take(v, &stale);
        if (taken <= 0) {
            return taken < 0 ? -1 : skipped;
        }
        if (!give_back(v, &stale)) {
            return -1;
        }
    }
    return (int)v->mapped;
}

/* NULL where the bytes are a frame. */
static const char *damage(const v4l2 *v, const struct v4l2_buffer *buffer) {
    if ((buffer->flags & V4L2_BUF_FLAG_ERROR) != 0) {
        return "a damaged frame";
    }
    size_t there = buffer->bytesused < v->mappings[buffer->index].bytes ? buffer->bytesused : v->mappings[buffer->index].bytes;
    return !v->known->compressed && there < bytes_needed(v) ? "a short frame" : NULL;
}

/* The image of the buffer that is out. */
static gemlet_status read_frame(v4l2 *v, frame *f, gemlet_error *error) {
    const mapping *m = &v->mappings[v->out.index];
    if (!v->known->compressed) {
        f->image = frame_image(v->known->pixels, v->format.width, v->format.height, v->format.bytesperline, m->address);
        return GEMLET_OK;
    }
    size_t bytes = v->out.bytesused < m->bytes ? v->out.bytesused : m->bytes;
    image_free(&v->picture);
    gemlet_status status = image_read_jpeg(&v->picture, m->address, bytes, v->settings.path, error);
    f->image = v->picture.image;
    return status;
}

static frame_status deliver(v4l2 *v, frame *f, int stale, gemlet_error *error) {
    /* Not every driver counts; what we saw is the least that was skipped. */
    uint32_t missing = v->begun ? v->out.sequence - v->sequence - 1 : 0;
    bool counted = missing < UINT32_MAX / 2;
    f->skipped = counted && missing > (uint32_t)stale ? missing : (uint32_t)stale;
    snprintf(f->name, sizeof f->name, "%lu", (unsigned long)v->out.sequence);
    v->sequence = v->out.sequence;
    v->begun = true;
    const char *what = damage(v, &v->out);
    if (what != NULL) {
        errno = 0;
        fail(v, GEMLET_ERROR_IO, what, error);
        return lose(v, false, error);
    }
    if (read_frame(v, f, error) != GEMLET_OK) {
        return lose(v, false, error);
    }
    v->lost_in_a_row = 0;
    return FRAME_READY;
}

static frame_status come_back(v4l2 *v, gemlet_error *error) {
    bool told = v->told;
    v->told = open_device(v, error) != GEMLET_OK;
    if (!v->told) {
        return FRAME_NONE;
    }
    v->calls->sleep(v->calls->context, RETRY_PAUSE);
    return told ? FRAME_NONE : FRAME_LOST;
}

static frame_status next_of_v4l2(void *state, frame *f, gemlet_error *error) {
    v4l2 *v = state;
    if (v->device < 0) {
        return come_back(v, error);
    }
    int stale = skip_stale(v);
    if (stale < 0) {
        return lose_call(v, "a buffer is not exchanged", error);
    }
    int ready = v->calls->poll(v->calls->context, v->device, FRAME_TIMEOUT);
    if (ready < 0) {
        return errno == EINTR ? FRAME_NONE : lose_call(v, "can't be waited for", error);
    }
    if (ready == 0) {
        errno = ETIMEDOUT;
        return lose_call(v, "gives no frame", error);
    }
    int taken = take(v, &v->out);
    if (taken <= 0) {
        return taken == 0 ? FRAME_NONE : lose_call(v, "gives no buffer", error);
    }
    v->is_out = true;
    *f = (frame){.skipped = 0};
    return deliver(v, f, stale, error);
}

static void close_v4l2(void *state) {
    close_device(state);
    free(state);
}

gemlet_status frames_from_v4l2(frame_source *source, const v4l2_calls *calls, const v4l2_settings *settings, gemlet_error *error) {
    *source = (frame_source){NULL, NULL, NULL};
    v4l2 *v = malloc(sizeof *v);
    if (v == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a camera");
    }
    *v = (v4l2){.calls = calls, .settings = *settings, .device = -1};
    gemlet_status status = open_device(v, error);
    if (status != GEMLET_OK && !(settings->wait && status == GEMLET_ERROR_IO)) {
        free(v);
        return status;
    }
    *source = (frame_source){v, next_of_v4l2, close_v4l2};
    return GEMLET_OK;
}
