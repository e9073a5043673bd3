/* Frames from a camera that is played: what it is asked for, lost, damaged and stale frames, unplugging and coming back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/videodev2.h>

#include "examples/camera/v4l2.h"
#include "examples/gemlet/image.h"

enum {
    WIDTH = 8,
    HEIGHT = 4,
    LINE = 20,
    FRAME = LINE * HEIGHT * 3 / 2, /* bytes of the largest format */
    PLANES = 3,
    BUFFERS = 4,
    BUFFER_STEP = 4096, /* between the offsets of buffers, and of their planes */
    PLANE_STEP = 1024,
    PATH_BYTES = 16
};

/* A driver with four buffers.  Each poll captures one frame into the first that is queued, as `script` says, a letter for each:
 *   f  a frame       e  one marked as damaged       s  a short one       t  none in time
 *   u  unplugged: every call fails with ENODEV until the camera was opened for the third time since
 *   i  DQBUF fails with EIO       p  poll is interrupted */
typedef struct player {
    const char *script;
    const char *formats; /* codes of four letters, one after another */
    char path[PATH_BYTES];
    uint8_t memory[BUFFERS][PLANES][FRAME];
    uint8_t *jpeg; /* what every buffer holds instead, if there is one */
    size_t jpeg_bytes;
    bool queued[BUFFERS], filled[BUFFERS];
    struct v4l2_buffer done[BUFFERS];
    uint32_t sequence;
    uint32_t chosen; /* format */
    uint32_t planes; /* of the multi-planar interface; 0: the camera has the other one */
    uint32_t offset; /* of the data in each of them */
    uint32_t colorspace, encoding, quantization;
    int opened, mapped, streaming, sleeps, refusals;
    bool unplugged, io_error, counts;
} player;

static int refuse(int reason) {
    errno = reason;
    return -1;
}

static int play_open(void *context, const char *path) {
    player *p = context;
    snprintf(p->path, sizeof p->path, "%s", path);
    if (p->unplugged && ++p->refusals < 3) {
        return refuse(ENOENT);
    }
    p->unplugged = false;
    p->opened++;
    return 7;
}

static void play_close(void *context, int device) {
    player *p = context;
    assert_int_equal(device, 7);
    p->opened--;
    p->streaming = 0;
    memset(p->queued, 0, sizeof p->queued);
    memset(p->filled, 0, sizeof p->filled);
}

static size_t buffer_bytes(const player *p) {
    return p->jpeg != NULL ? p->jpeg_bytes : FRAME;
}

static uint32_t buffer_type(const player *p) {
    return p->planes > 0 ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
}

static void capture(player *p, char kind) {
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (p->queued[i] && !p->filled[i]) {
            p->filled[i] = true;
            p->done[i] = (struct v4l2_buffer){.index = i,
                                              .type = buffer_type(p),
                                              .sequence = p->counts ? p->sequence : 0,
                                              .bytesused = (uint32_t)buffer_bytes(p) / (kind == 's' ? 3 : 1),
                                              .flags = kind == 'e' ? V4L2_BUF_FLAG_ERROR : 0};
            memset(p->memory[i], (int)p->sequence, sizeof p->memory[i]);
            break;
        }
    }
    p->sequence++; /* also where no buffer was free: that one is lost */
}

static int oldest(const player *p) {
    int found = -1;
    for (int i = 0; i < BUFFERS; i++) {
        if (p->filled[i] && (found < 0 || p->memory[i][0][0] < p->memory[found][0][0])) {
            found = i;
        }
    }
    return found;
}

static int take_buffer(player *p, struct v4l2_buffer *buffer) {
    int i = oldest(p);
    if (p->io_error) {
        p->io_error = false;
        return refuse(EIO);
    }
    if (i < 0) {
        return refuse(EAGAIN);
    }
    struct v4l2_plane *planes = buffer->m.planes;
    *buffer = p->done[i];
    for (uint32_t k = 0; k < p->planes; k++) {
        planes[k] = (struct v4l2_plane){.bytesused = p->done[i].bytesused, .length = FRAME, .data_offset = p->offset};
    }
    p->filled[i] = p->queued[i] = false;
    return 0;
}

static int give_format(player *p, struct v4l2_pix_format *format) {
    assert_int_equal(format->width, 640);
    assert_int_equal(format->height, 480);
    p->chosen = format->pixelformat;
    format->width = WIDTH;
    format->height = HEIGHT;
    format->bytesperline = LINE; /* longer than a row of any format but RGB */
    format->colorspace = p->colorspace;
    format->ycbcr_enc = p->encoding;
    format->quantization = p->quantization;
    return 0;
}

static int give_planes(player *p, struct v4l2_pix_format_mplane *format) {
    assert_int_equal(format->width, 640);
    assert_int_equal(format->num_planes, p->planes);
    p->chosen = format->pixelformat;
    format->width = WIDTH;
    format->height = HEIGHT;
    format->colorspace = p->colorspace;
    format->ycbcr_enc = (uint8_t)p->encoding;
    format->quantization = (uint8_t)p->quantization;
    for (uint32_t i = 0; i < p->planes; i++) {
        format->plane_fmt[i].bytesperline = i == 0 || p->planes == 2 ? LINE : LINE / 2;
    }
    return 0;
}

static int describe_buffer(const player *p, struct v4l2_buffer *buffer) {
    if (p->planes == 0) {
        buffer->length = (uint32_t)buffer_bytes(p);
        buffer->m.offset = buffer->index * BUFFER_STEP;
        return 0;
    }
    assert_true(buffer->length >= p->planes);
    for (uint32_t i = 0; i < p->planes; i++) {
        buffer->m.planes[i].length = FRAME;
        buffer->m.planes[i].m.mem_offset = buffer->index * BUFFER_STEP + i * PLANE_STEP;
    }
    return 0;
}

static int play_control(void *context, int device, unsigned long request, void *argument) {
    player *p = context;
    assert_int_equal(device, 7);
    if (p->unplugged) {
        return refuse(ENODEV);
    }
    struct v4l2_buffer *buffer = argument;
    struct v4l2_fmtdesc *offer = argument;
    switch (request) {
    case VIDIOC_QUERYCAP:
        *(struct v4l2_capability *)argument = (struct v4l2_capability){
            .capabilities = V4L2_CAP_DEVICE_CAPS,
            .device_caps = V4L2_CAP_STREAMING | (p->planes > 0 ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE)};
        return 0;
    case VIDIOC_ENUM_FMT:
        if (offer->index * 4 >= strlen(p->formats)) {
            return refuse(EINVAL);
        }
        memcpy(&offer->pixelformat, p->formats + offer->index * 4, 4);
        return 0;
    case VIDIOC_S_FMT:
        return p->planes > 0 ? give_planes(p, &((struct v4l2_format *)argument)->fmt.pix_mp)
                             : give_format(p, &((struct v4l2_format *)argument)->fmt.pix);
    case VIDIOC_REQBUFS: return 0;
    case VIDIOC_QUERYBUF: return describe_buffer(p, buffer);
    case VIDIOC_QBUF:
        assert_int_equal(buffer->type, buffer_type(p));
        assert_false(p->queued[buffer->index]);
        p->queued[buffer->index] = true;
        return 0;
    case VIDIOC_DQBUF: assert_int_equal(buffer->type, buffer_type(p)); return take_buffer(p, buffer);
    case VIDIOC_STREAMON: p->streaming++; return 0;
    case VIDIOC_STREAMOFF: p->streaming--; return 0;
    default: return refuse(ENOTTY);
    }
}

static void *play_map(void *context, int device, size_t bytes, int64_t offset) {
    player *p = context;
    assert_int_equal(device, 7);
    assert_int_equal(bytes, buffer_bytes(p));
    p->mapped++;
    return p->jpeg != NULL ? p->jpeg : p->memory[offset / BUFFER_STEP][offset % BUFFER_STEP / PLANE_STEP];
}

static void play_unmap(void *context, void *address, size_t bytes) {
    player *p = context;
    assert_non_null(address);
    assert_int_equal(bytes, buffer_bytes(p));
    p->mapped--;
}

static int play_poll(void *context, int device, int milliseconds) {
    player *p = context;
    assert_int_equal(device, 7);
    assert_true(milliseconds > 0);
    char kind = *p->script;
    p->script += kind != '\0';
    switch (kind) {
    case 't': return 0;
    case '\0':
    case 'u':
        p->unplugged = true;
        p->refusals = 0;
        return refuse(ENODEV);
    case 'p': return refuse(EINTR);
    case 'i': p->io_error = true; return 1;
    default: capture(p, kind); return 1;
    }
}

static void play_sleep(void *context, int milliseconds) {
    player *p = context;
    assert_true(milliseconds > 0);
    p->sleeps++;
}

/* While the caller computes, the camera goes on. */
static void captured_meanwhile(player *p, int frames) {
    for (int i = 0; i < frames; i++) {
        capture(p, 'f');
    }
}

typedef struct fixture {
    player player;
    v4l2_calls calls;
    v4l2_settings settings;
    frame_source source;
    frame frame;
    gemlet_error error;
} fixture;

static void begin(fixture *f, const char *script, bool wait) {
    *f = (fixture){.player = {.script = script, .formats = "YUYV", .counts = true},
                   .settings = {.path = "/dev/played", .width = 640, .height = 480, .wait = wait, .memory = 1 << 24}};
    f->calls = (v4l2_calls){&f->player, play_open, play_control, play_map, play_unmap, play_poll, play_close, play_sleep};
}

static void start(fixture *f) {
    assert_int_equal(frames_from_v4l2(&f->source, &f->calls, &f->settings, &f->error), GEMLET_OK);
    assert_string_equal(f->player.path, "/dev/played");
}

static frame_status next(fixture *f) {
    return f->source.next(f->source.state, &f->frame, &f->error);
}

/* Nothing stays open, mapped or streaming. */
static void end(fixture *f) {
    f->source.close(f->source.state);
    assert_int_equal(f->player.opened, 0);
    assert_int_equal(f->player.mapped, 0);
}

static void expect_frame(fixture *f, unsigned content, unsigned skipped) {
    char name[16];
    snprintf(name, sizeof name, "%u", content);
    assert_int_equal(next(f), FRAME_READY);
    assert_string_equal(f->frame.name, name);
    assert_int_equal(f->frame.image.pixels[0], content);
    assert_int_equal(f->frame.skipped, skipped);
}

static void expect_lost(fixture *f, const char *message) {
    assert_int_equal(next(f), FRAME_LOST);
    assert_non_null(strstr(f->error.message, message));
}

static void frames_come_with_their_format(void **state) {
    (void)state;
    static const struct {
        const char *offered, *chosen;
        gemlet_pixel_format format;
    } cases[] = {{"JUNKYUYV", "YUYV", GEMLET_PIXELS_YUYV},
                 {"YUYVNV12", "NV12", GEMLET_PIXELS_NV12},
                 {"YUYVYU12", "YU12", GEMLET_PIXELS_I420},
                 {"YV12YUYV", "YV12", GEMLET_PIXELS_I420},
                 {"GREYBGR3", "GREY", GEMLET_PIXELS_GREY}}; /* 8 pixels of BGR don't fit into a line of 20 bytes */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        begin(&f, "fs", false);
        f.player.formats = cases[i].offered;
        start(&f);
        assert_memory_equal(&f.player.chosen, cases[i].chosen, 4);
        expect_frame(&f, 0, 0);
        const gemlet_image *image = &f.frame.image;
        assert_int_equal(image->format, cases[i].format);
        assert_int_equal(image->width, WIDTH);
        assert_int_equal(image->height, HEIGHT);
        assert_int_equal(image->stride, LINE);
        if (cases[i].format == GEMLET_PIXELS_I420) {
            ptrdiff_t first = LINE * HEIGHT, second = first + LINE / 2 * (HEIGHT / 2);
            bool swapped = cases[i].chosen[1] == 'V';
            assert_int_equal(image->chroma_stride, LINE / 2);
            assert_int_equal(image->chroma - image->pixels, swapped ? second : first);
            assert_int_equal(image->chroma_v - image->pixels, swapped ? first : second);
        }
        expect_lost(&f, "short frame");
        end(&f);
    }
}

/* Whose planes have memory of their own, or share one. */
static void planes_come_with_their_memory(void **state) {
    (void)state;
    static const struct {
        const char *code;
        uint32_t planes, offset;
        gemlet_pixel_format format;
    } cases[] = {{"NV12", 1, 0, GEMLET_PIXELS_NV12},
                 {"NM12", 2, 0, GEMLET_PIXELS_NV12},
                 {"YM12", 3, 0, GEMLET_PIXELS_I420},
                 {"YM21", 3, 4, GEMLET_PIXELS_I420},
                 {"YUYV", 1, 8, GEMLET_PIXELS_YUYV}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        begin(&f, "fffs", false);
        f.player.formats = cases[i].code;
        f.player.planes = cases[i].planes;
        f.player.offset = cases[i].offset;
        start(&f);
        for (unsigned k = 0; k < 3; k++) {
            expect_frame(&f, k, 0);
            const gemlet_image *image = &f.frame.image;
            uint8_t(*memory)[FRAME] = f.player.memory[0]; /* given back before each frame */
            bool swapped = cases[i].code[2] == '2' && cases[i].code[3] == '1';
            assert_int_equal(image->format, cases[i].format);
            assert_ptr_equal(image->pixels, memory[0] + cases[i].offset);
            if (cases[i].planes > 1) {
                assert_ptr_equal(image->chroma, memory[swapped ? 2 : 1] + cases[i].offset);
                assert_int_equal(image->chroma_stride, cases[i].planes == 2 ? LINE : LINE / 2);
            }
            if (cases[i].planes > 2) {
                assert_ptr_equal(image->chroma_v, memory[swapped ? 1 : 2] + cases[i].offset);
            }
        }
        if (cases[i].planes > 1) { /* a third of the memory is enough for a plane of chroma, but not for all */
            expect_lost(&f, "short frame");
        }
        end(&f);
    }
}

static void colours_are_the_drivers_or_the_callers(void **state) {
    (void)state;
    static const struct {
        uint32_t colorspace, encoding, quantization;
        gemlet_color_matrix matrix;
        gemlet_color_range range;
    } cases[] = {
        {V4L2_COLORSPACE_DEFAULT, 0, 0, GEMLET_COLOR_BT601, GEMLET_RANGE_LIMITED},
        {V4L2_COLORSPACE_SRGB, 0, 0, GEMLET_COLOR_BT601, GEMLET_RANGE_LIMITED},
        {V4L2_COLORSPACE_REC709, 0, 0, GEMLET_COLOR_BT709, GEMLET_RANGE_LIMITED},
        {V4L2_COLORSPACE_JPEG, 0, 0, GEMLET_COLOR_BT601, GEMLET_RANGE_FULL},
        {V4L2_COLORSPACE_REC709, V4L2_YCBCR_ENC_601, V4L2_QUANTIZATION_FULL_RANGE, GEMLET_COLOR_BT601, GEMLET_RANGE_FULL},
        {V4L2_COLORSPACE_JPEG, V4L2_YCBCR_ENC_709, V4L2_QUANTIZATION_LIM_RANGE, GEMLET_COLOR_BT709, GEMLET_RANGE_LIMITED},
    };
    for (size_t i = 0; i < 4 * sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        bool told = i % 4 >= 2;
        begin(&f, "f", false);
        f.player.formats = told ? "YU12" : "NV12";
        f.player.planes = i % 2;
        f.player.colorspace = cases[i / 4].colorspace;
        f.player.encoding = cases[i / 4].encoding;
        f.player.quantization = cases[i / 4].quantization;
        f.settings.matrix_given = f.settings.range_given = told;
        f.settings.matrix = GEMLET_COLOR_BT709;
        f.settings.range = GEMLET_RANGE_FULL;
        start(&f);
        expect_frame(&f, 0, 0);
        assert_int_equal(f.frame.image.matrix, told ? GEMLET_COLOR_BT709 : cases[i / 4].matrix);
        assert_int_equal(f.frame.image.range, told ? GEMLET_RANGE_FULL : cases[i / 4].range);
        end(&f);
    }
}

static void what_is_no_camera_is_refused(void **state) {
    (void)state;
    fixture f;
    begin(&f, "", true); /* waiting does not help */
    f.player.formats = "JUNK";
    assert_int_equal(frames_from_v4l2(&f.source, &f.calls, &f.settings, &f.error), GEMLET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(f.error.message, "/dev/played"));
    assert_int_equal(f.player.opened, 0);
    begin(&f, "", false);
    f.player.unplugged = true;
    assert_int_equal(frames_from_v4l2(&f.source, &f.calls, &f.settings, &f.error), GEMLET_ERROR_IO);
    assert_non_null(strstr(f.error.message, "can't be opened"));
}

static void stale_frames_are_skipped(void **state) {
    (void)state;
    fixture f;
    begin(&f, "ffff", false);
    start(&f);
    expect_frame(&f, 0, 0);
    expect_frame(&f, 1, 0);
    captured_meanwhile(&f.player, 2); /* 2, 3 wait in buffers */
    expect_frame(&f, 4, 2);
    captured_meanwhile(&f.player, 9); /* 5, 6, 7 wait, 8 to 13 found no buffer */
    expect_frame(&f, 14, 9);
    end(&f);
}

static void a_driver_need_not_count(void **state) {
    (void)state;
    fixture f;
    begin(&f, "ff", false);
    f.player.counts = false;
    start(&f);
    assert_int_equal(next(&f), FRAME_READY);
    captured_meanwhile(&f.player, 2);
    assert_int_equal(next(&f), FRAME_READY);
    assert_int_equal(f.frame.image.pixels[0], 3);
    assert_int_equal(f.frame.skipped, 2);
    end(&f);
}

static void lost_frames_are_told_and_passed(void **state) {
    (void)state;
    fixture f;
    begin(&f, "feftsfipf", false);
    start(&f);
    expect_frame(&f, 0, 0);
    expect_lost(&f, "damaged frame");
    expect_frame(&f, 2, 0);
    expect_lost(&f, "gives no frame");
    expect_lost(&f, "short frame");
    expect_frame(&f, 4, 0);
    expect_lost(&f, "gives no buffer");
    assert_int_equal(next(&f), FRAME_NONE); /* interrupted */
    expect_frame(&f, 5, 0);
    assert_int_equal(f.player.opened, 1);
    end(&f);
}

static void an_unplugged_camera_ends_the_frames(void **state) {
    (void)state;
    fixture f;
    begin(&f, "fu", false);
    start(&f);
    expect_frame(&f, 0, 0);
    assert_int_equal(next(&f), FRAME_GONE);
    assert_non_null(strstr(f.error.message, "/dev/played: is unplugged"));
    assert_int_equal(f.player.opened, 0);
    end(&f);
}

static void a_camera_that_comes_back_goes_on(void **state) {
    (void)state;
    fixture f;
    begin(&f, "fuff", true);
    start(&f);
    expect_frame(&f, 0, 0);
    expect_lost(&f, "is unplugged");
    expect_lost(&f, "can't be opened"); /* told once */
    assert_int_equal(next(&f), FRAME_NONE);
    assert_int_equal(f.player.sleeps, 2);
    assert_int_equal(next(&f), FRAME_NONE); /* opened */
    assert_int_equal(f.player.streaming, 1);
    expect_frame(&f, 1, 0);
    expect_frame(&f, 2, 0);
    end(&f);
}

static void a_camera_that_is_not_there_yet_is_waited_for(void **state) {
    (void)state;
    fixture f;
    begin(&f, "f", true);
    f.player.unplugged = true;
    start(&f);
    expect_lost(&f, "can't be opened");
    assert_int_equal(next(&f), FRAME_NONE);
    expect_frame(&f, 0, 0);
    end(&f);
}

static void one_that_only_fails_is_opened_anew(void **state) {
    (void)state;
    fixture f;
    begin(&f, "tttttf", true);
    start(&f);
    for (int i = 0; i < 4; i++) {
        expect_lost(&f, "gives no frame");
        assert_int_equal(f.player.opened, 1);
    }
    expect_lost(&f, "too many in a row");
    assert_int_equal(f.player.opened, 0);
    assert_int_equal(next(&f), FRAME_NONE);
    expect_frame(&f, 0, 0);
    end(&f);
    begin(&f, "ttttt", false);
    start(&f);
    for (int i = 0; i < 4; i++) {
        expect_lost(&f, "gives no frame");
    }
    assert_int_equal(next(&f), FRAME_GONE);
    end(&f);
}

#ifdef GEMLET_HAVE_JPEG
/* Takes the Huffman tables out of a JPEG file, as cameras do; answers how many bytes are left. */
static size_t without_tables(uint8_t *bytes, size_t count) {
    for (size_t at = 2; at + 4 <= count && bytes[at + 1] != 0xDA;) {
        size_t length = 2 + (size_t)bytes[at + 2] * 256 + bytes[at + 3];
        assert_true(at + length <= count);
        if (bytes[at + 1] == 0xC4) {
            memmove(bytes + at, bytes + at + length, count - at - length);
            count -= length;
        } else {
            at += length;
        }
    }
    return count;
}

static void compressed_frames_are_pictures(void **state) {
    (void)state;
    static const char path[] = "examples/demo/one.jpg";
    static uint8_t bytes[1 << 16];
    image_file whole;
    fixture f;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    begin(&f, "fsf", false);
    assert_int_equal(image_read(&whole, path, 1 << 24, &f.error), GEMLET_OK);
    f.player.formats = "MJPG";
    f.player.jpeg = bytes;
    f.player.jpeg_bytes = without_tables(bytes, count);
    assert_true(f.player.jpeg_bytes < count);
    start(&f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(&f), FRAME_READY);
        assert_int_equal(f.frame.image.format, GEMLET_PIXELS_RGB);
        assert_int_equal(f.frame.image.width, whole.image.width);
        assert_int_equal(f.frame.image.height, whole.image.height);
        assert_memory_equal(f.frame.image.pixels, whole.image.pixels, whole.image.stride * whole.image.height);
        if (i == 0) {
            expect_lost(&f, "/dev/played: the JPEG file is cut");
        }
    }
    end(&f);
    image_free(&whole);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_with_their_format),      cmocka_unit_test(what_is_no_camera_is_refused),
        cmocka_unit_test(planes_come_with_their_memory),      cmocka_unit_test(colours_are_the_drivers_or_the_callers),
        cmocka_unit_test(stale_frames_are_skipped),           cmocka_unit_test(a_driver_need_not_count),
        cmocka_unit_test(lost_frames_are_told_and_passed),    cmocka_unit_test(an_unplugged_camera_ends_the_frames),
        cmocka_unit_test(a_camera_that_comes_back_goes_on),   cmocka_unit_test(a_camera_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test(one_that_only_fails_is_opened_anew),
#ifdef GEMLET_HAVE_JPEG
        cmocka_unit_test(compressed_frames_are_pictures),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
