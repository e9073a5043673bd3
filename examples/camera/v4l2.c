#include "examples/camera/v4l2.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/image.h"

enum {
    BUFFERS = 4,
    FRAME_TIMEOUT = 2000, /* milliseconds; cameras in the dark make some 5 frames a second */
    RETRY_PAUSE = 1000,   /* milliseconds between attempts to open */
    LOST_AT_MOST = 5      /* in a row: then the camera is opened anew */
};

enum { MOST_PLANES = 3 };

/* A buffer's memory: one piece, or one for each plane. */
typedef struct mapping {
    void *address[MOST_PLANES];
    size_t bytes[MOST_PLANES];
} mapping;

/* What the driver says of a plane of a frame. */
typedef struct plane {
    size_t stride;
    size_t bytes; /* of an uncompressed frame at least */
} plane;

/* A buffer that the driver filled. */
typedef struct filled {
    struct v4l2_buffer buffer;
    struct v4l2_plane planes[VIDEO_MAX_PLANES]; /* of the multi-planar interface */
} filled;

/* What is asked for, best first: what needs no decoding, and of it what takes the bus the least.  Formats whose planes lie in
 * pieces of memory of their own come through the multi-planar interface only. */
static const struct known_format {
    uint32_t code;
    bool compressed;
    gemlet_pixel_format pixels;
    uint32_t planes; /* pieces of memory */
    bool swapped;    /* V before U */
} known_formats[] = {
    {V4L2_PIX_FMT_NV12, false, GEMLET_PIXELS_NV12, 1, false},    {V4L2_PIX_FMT_YUV420, false, GEMLET_PIXELS_I420, 1, false},
    {V4L2_PIX_FMT_YVU420, false, GEMLET_PIXELS_I420, 1, true},   {V4L2_PIX_FMT_NV12M, false, GEMLET_PIXELS_NV12, 2, false},
    {V4L2_PIX_FMT_YUV420M, false, GEMLET_PIXELS_I420, 3, false}, {V4L2_PIX_FMT_YVU420M, false, GEMLET_PIXELS_I420, 3, true},
    {V4L2_PIX_FMT_YUYV, false, GEMLET_PIXELS_YUYV, 1, false},    {V4L2_PIX_FMT_RGB24, false, GEMLET_PIXELS_RGB, 1, false},
    {V4L2_PIX_FMT_BGR24, false, GEMLET_PIXELS_BGR, 1, false},
#ifdef GEMLET_HAVE_JPEG
    {V4L2_PIX_FMT_MJPEG, true, GEMLET_PIXELS_RGB, 1, false},     {V4L2_PIX_FMT_JPEG, true, GEMLET_PIXELS_RGB, 1, false},
#endif
    {V4L2_PIX_FMT_GREY, false, GEMLET_PIXELS_GREY, 1, false},
};

enum { KNOWN_FORMATS = sizeof known_formats / sizeof known_formats[0] };

typedef struct v4l2 {
    const v4l2_calls *calls;
    v4l2_settings settings;
    int device;        /* negative: closed */
    bool multi_planar; /* which of the two interfaces the driver has */
    frame_layout layout;
    plane planes[MOST_PLANES];
    const struct known_format *known; /* what is known of the format */
    mapping mappings[BUFFERS];
    uint32_t mapped;
    filled out; /* the buffer that the caller reads */
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
    if ((can & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)) == 0) {
        return refuse(v, "does not capture video", error);
    }
    v->multi_planar = (can & V4L2_CAP_VIDEO_CAPTURE) == 0;
    return (can & V4L2_CAP_STREAMING) != 0 ? GEMLET_OK : refuse(v, "does not stream into memory", error);
}

static uint32_t buffer_type(const v4l2 *v) {
    return v->multi_planar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
}

static bool offers(v4l2 *v, uint32_t code) {
    struct v4l2_fmtdesc offer = {.type = buffer_type(v)};
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

/* ---- The format ---- */

/* What the caller says of the colours, else what the driver says, else what its defaults mean. */
static void choose_colors(v4l2 *v, uint32_t colorspace, uint32_t encoding, uint32_t quantization) {
    uint32_t matrix = encoding != V4L2_YCBCR_ENC_DEFAULT ? encoding : V4L2_MAP_YCBCR_ENC_DEFAULT(colorspace);
    uint32_t range =
        quantization != V4L2_QUANTIZATION_DEFAULT ? quantization : V4L2_MAP_QUANTIZATION_DEFAULT(false, colorspace, matrix);
    bool high = matrix == V4L2_YCBCR_ENC_709 || matrix == V4L2_YCBCR_ENC_XV709;
    v->layout.matrix = v->settings.matrix_given ? v->settings.matrix : high ? GEMLET_COLOR_BT709 : GEMLET_COLOR_BT601;
    v->layout.range = v->settings.range_given                 ? v->settings.range
                      : range == V4L2_QUANTIZATION_FULL_RANGE ? GEMLET_RANGE_FULL
                                                              : GEMLET_RANGE_LIMITED;
}

/* Keeps what the driver answered; its format may be another than was asked for. */
static void keep_format(v4l2 *v, const struct v4l2_format *answer) {
    const struct v4l2_pix_format *one = &answer->fmt.pix;
    const struct v4l2_pix_format_mplane *many = &answer->fmt.pix_mp;
    v->known = known(v->multi_planar ? many->pixelformat : one->pixelformat);
    v->layout = (frame_layout){.width = v->multi_planar ? many->width : one->width,
                               .height = v->multi_planar ? many->height : one->height,
                               .stride = v->multi_planar ? many->plane_fmt[0].bytesperline : one->bytesperline};
    if (v->known != NULL) {
        v->layout.format = v->known->pixels;
        v->layout.swapped = v->known->swapped;
    }
    if (v->multi_planar) {
        choose_colors(v, many->colorspace, many->ycbcr_enc, many->quantization);
    } else {
        choose_colors(v, one->colorspace, one->ycbcr_enc, one->quantization);
    }
    for (uint32_t i = 0; i < MOST_PLANES; i++) {
        v->planes[i].stride = v->multi_planar ? many->plane_fmt[i].bytesperline : 0;
    }
}

/* Fills in how many bytes the planes of an uncompressed frame have; false where the driver's sides can't be. */
static bool measure_planes(v4l2 *v) {
    size_t whole = frame_bytes(&v->layout);
    if (v->known->compressed || whole == 0 || v->known->planes == 1) {
        v->planes[0].bytes = whole;
        return v->known->compressed || whole > 0;
    }
    size_t line = frame_stride(&v->layout), chroma_line = v->known->planes == 2 ? line : line / 2;
    size_t row = v->known->planes == 2 ? v->layout.width : v->layout.width / 2;
    v->planes[0].bytes = line * v->layout.height;
    for (uint32_t i = 1; i < v->known->planes; i++) {
        v->planes[i].stride = v->planes[i].stride != 0 ? v->planes[i].stride : chroma_line;
        v->planes[i].bytes = v->planes[i].stride * (v->layout.height / 2);
        if (v->planes[i].stride < row) {
            return false;
        }
    }
    return v->planes[1].stride == v->planes[v->known->planes - 1].stride;
}

static struct v4l2_format wished(const v4l2 *v, uint32_t code) {
    struct v4l2_format wish = {.type = buffer_type(v)};
    if (v->multi_planar) {
        wish.fmt.pix_mp = (struct v4l2_pix_format_mplane){.width = v->settings.width,
                                                          .height = v->settings.height,
                                                          .pixelformat = code,
                                                          .field = V4L2_FIELD_NONE,
                                                          .num_planes = (uint8_t)known(code)->planes};
    } else {
        wish.fmt.pix = (struct v4l2_pix_format){
            .width = v->settings.width, .height = v->settings.height, .pixelformat = code, .field = V4L2_FIELD_NONE};
    }
    return wish;
}

static gemlet_status choose_format(v4l2 *v, gemlet_error *error) {
    for (size_t i = 0; i < KNOWN_FORMATS; i++) {
        if (!offers(v, known_formats[i].code)) {
            continue;
        }
        struct v4l2_format format = wished(v, known_formats[i].code);
        if (control(v, VIDIOC_S_FMT, &format) < 0) {
            return fail(v, GEMLET_ERROR_IO, "refuses the format", error);
        }
        keep_format(v, &format);
        if (v->known != NULL && measure_planes(v)) {
            return GEMLET_OK;
        }
    }
    return refuse(v, "offers none of NV12, YU12, YV12, YUYV, RGB, BGR, MJPEG and grey", error);
}

/* ---- Buffers ---- */

/* An empty description of buffer `index`, to be filled by the driver. */
static void describe(const v4l2 *v, uint32_t index, filled *f) {
    *f = (filled){.buffer = {.index = index, .type = buffer_type(v), .memory = V4L2_MEMORY_MMAP}};
    if (v->multi_planar) {
        f->buffer.m.planes = f->planes;
        f->buffer.length = VIDEO_MAX_PLANES;
    }
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static gemlet_status map_buffer(v4l2 *v, filled *f, gemlet_error *error) {
    mapping *m = &v->mappings[v->mapped++]; /* also half of one is unmapped */
    *m = (mapping){.address = {NULL}};
    for (uint32_t i = 0; i < v->known->planes; i++) {
        const struct v4l2_plane *p = &f->planes[i];
        size_t bytes = v->multi_planar ? p->length : f->buffer.length;
        uint32_t offset = v->multi_planar ? p->m.mem_offset : f->buffer.m.offset;
        m->address[i] = v->calls->map(v->calls->context, v->device, bytes, offset);
        m->bytes[i] = bytes;
        if (m->address[i] == NULL) {
            return fail(v, GEMLET_ERROR_IO, "a buffer can't be mapped", error);
        }
    }
    return GEMLET_OK;
}

static gemlet_status map_buffers(v4l2 *v, gemlet_error *error) {
    struct v4l2_requestbuffers wish = {.count = BUFFERS, .type = buffer_type(v), .memory = V4L2_MEMORY_MMAP};
    if (control(v, VIDIOC_REQBUFS, &wish) < 0) {
        return fail(v, GEMLET_ERROR_IO, "gives no buffers", error);
    }
    for (uint32_t i = 0; i < wish.count && i < BUFFERS; i++) {
        filled f;
        describe(v, i, &f);
        if (control(v, VIDIOC_QUERYBUF, &f.buffer) < 0) {
            return fail(v, GEMLET_ERROR_IO, "does not describe its buffers", error);
        }
        gemlet_status status = map_buffer(v, &f, error);
        if (status != GEMLET_OK) {
            return status;
        }
        if (control(v, VIDIOC_QBUF, &f.buffer) < 0) {
            return fail(v, GEMLET_ERROR_IO, "takes no buffer", error);
        }
    }
    return v->mapped > 1 ? GEMLET_OK : refuse(v, "gives fewer than two buffers", error);
}

static void unmap_buffer(const v4l2 *v, const mapping *m) {
    for (uint32_t i = 0; i < MOST_PLANES; i++) {
        if (m->address[i] != NULL) {
            v->calls->unmap(v->calls->context, m->address[i], m->bytes[i]);
        }
    }
}

static void close_device(v4l2 *v) {
    int type = (int)buffer_type(v);
    image_free(&v->picture);
    v->is_out = false;
    v->begun = false;
    v->lost_in_a_row = 0;
    if (v->device < 0) {
        return;
    }
    (void)control(v, VIDIOC_STREAMOFF, &type);
    for (; v->mapped > 0; v->mapped--) {
        unmap_buffer(v, &v->mappings[v->mapped - 1]);
    }
    v->calls->close(v->calls->context, v->device);
    v->device = -1;
}

static gemlet_status open_device(v4l2 *v, gemlet_error *error) {
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
    int type = (int)buffer_type(v);
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
static int take(v4l2 *v, filled *f) {
    describe(v, 0, f);
    if (control(v, VIDIOC_DQBUF, &f->buffer) < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    if (f->buffer.index >= v->mapped) {
        errno = EPROTO;
        return -1;
    }
    return 1;
}

static bool give_back(v4l2 *v, filled *f) {
    f->buffer.m.planes = v->multi_planar ? f->planes : NULL; /* the description may have moved */
    return control(v, VIDIOC_QBUF, &f->buffer) >= 0;
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
        filled stale;
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

/* Where plane `i` of the buffer that is out lies, and how many bytes of it the driver filled. */
static const uint8_t *plane_of(const v4l2 *v, uint32_t i, size_t *bytes) {
    const mapping *m = &v->mappings[v->out.buffer.index];
    const struct v4l2_plane *p = &v->out.planes[i];
    size_t offset = v->multi_planar ? smaller(p->data_offset, m->bytes[i]) : 0;
    size_t used = smaller(v->multi_planar ? p->bytesused : v->out.buffer.bytesused, m->bytes[i]);
    *bytes = used > offset ? used - offset : 0;
    return (const uint8_t *)m->address[i] + offset;
}

/* NULL where the bytes are a frame. */
static const char *damage(const v4l2 *v) {
    if ((v->out.buffer.flags & V4L2_BUF_FLAG_ERROR) != 0) {
        return "a damaged frame";
    }
    bool whole = true;
    for (uint32_t i = 0; i < v->known->planes && !v->known->compressed; i++) {
        size_t bytes;
        plane_of(v, i, &bytes);
        whole = whole && bytes >= v->planes[i].bytes;
    }
    return whole ? NULL : "a short frame";
}

static gemlet_image image_of_planes(const v4l2 *v) {
    size_t bytes;
    gemlet_image image = frame_image(&v->layout, plane_of(v, 0, &bytes));
    if (v->known->planes > 1) {
        uint32_t first = v->layout.swapped ? 2 : 1;
        image.chroma = plane_of(v, first, &bytes);
        image.chroma_stride = v->planes[1].stride;
        image.chroma_v = v->known->planes > 2 ? plane_of(v, 3 - first, &bytes) : NULL;
    }
    return image;
}

/* The image of the buffer that is out. */
static gemlet_status read_frame(v4l2 *v, frame *f, gemlet_error *error) {
    if (!v->known->compressed) {
        f->image = image_of_planes(v);
        return GEMLET_OK;
    }
    size_t bytes;
    const uint8_t *jpeg = plane_of(v, 0, &bytes);
    image_free(&v->picture);
    gemlet_status status = image_read_bytes(&v->picture, jpeg, bytes, v->settings.path, v->settings.memory, error);
    f->image = v->picture.image;
    if (status == GEMLET_OK && v->picture.damage[0] != '\0') { /* the next one will be better */
        errno = 0;
        status = fail(v, GEMLET_ERROR_FORMAT, "a damaged frame: ", error);
        gemlet_error_text(error, v->picture.damage);
    }
    return status;
}

static frame_status deliver(v4l2 *v, frame *f, int stale, gemlet_error *error) {
    /* Not every driver counts; what we saw is the least that was skipped. */
    uint32_t missing = v->begun ? v->out.buffer.sequence - v->sequence - 1 : 0;
    bool counted = missing < UINT32_MAX / 2;
    f->skipped = counted && missing > (uint32_t)stale ? missing : (uint32_t)stale;
    snprintf(f->name, sizeof f->name, "%lu", (unsigned long)v->out.buffer.sequence);
    v->sequence = v->out.buffer.sequence;
    v->begun = true;
    const char *what = damage(v);
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
    *source = (frame_source){.state = NULL};
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
    *source = (frame_source){v, next_of_v4l2, close_v4l2, true};
    return GEMLET_OK;
}
