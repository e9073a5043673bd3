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

enum { WIDTH = 8, HEIGHT = 4, LINE = 20, FRAME = LINE * HEIGHT, BUFFERS = 4, PATH_BYTES = 16 };

/* A driver with four buffers.  Each poll captures one frame into the first that is queued, as `script` says, a letter for each:
 *   f  a frame       e  one marked as damaged       s  a short one       t  none in time
 *   u  unplugged: every call fails with ENODEV until the camera was opened for the third time since
 *   i  DQBUF fails with EIO       p  poll is interrupted */
typedef struct player {
    const char *script;
    const char *formats; /* codes of four letters, one after another */
    char path[PATH_BYTES];
    uint8_t memory[BUFFERS][FRAME];
    uint8_t *jpeg; /* what every buffer holds instead, if there is one */
    size_t jpeg_bytes;
    bool queued[BUFFERS], filled[BUFFERS];
    struct v4l2_buffer done[BUFFERS];
    uint32_t sequence;
    uint32_t chosen; /* format */
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

static void capture(player *p, char kind) {
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (p->queued[i] && !p->filled[i]) {
            p->filled[i] = true;
            p->done[i] = (struct v4l2_buffer){.index = i,
                                              .sequence = p->counts ? p->sequence : 0,
                                              .bytesused = (uint32_t)buffer_bytes(p) - (kind == 's'),
                                              .flags = kind == 'e' ? V4L2_BUF_FLAG_ERROR : 0};
            memset(p->memory[i], (int)p->sequence, FRAME);
            break;
        }
    }
    p->sequence++; /* also where no buffer was free: that one is lost */
}

static int oldest(const player *p) {
    int found = -1;
    for (int i = 0; i < BUFFERS; i++) {
        if (p->filled[i] && (found < 0 || p->memory[i][0] < p->memory[found][0])) {
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
    *buffer = p->done[i];
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
        *(struct v4l2_capability *)argument = (struct v4l2_capability){.capabilities = V4L2_CAP_DEVICE_CAPS,
                                                                       .device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING};
        return 0;
    case VIDIOC_ENUM_FMT:
        if (offer->index * 4 >= strlen(p->formats)) {
            return refuse(EINVAL);
        }
        memcpy(&offer->pixelformat, p->formats + offer->index * 4, 4);
        return 0;
    case VIDIOC_S_FMT: return give_format(p, &((struct v4l2_format *)argument)->fmt.pix);
    case VIDIOC_REQBUFS: return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = (uint32_t)buffer_bytes(p);
        buffer->m.offset = buffer->index * 4096;
        return 0;
    case VIDIOC_QBUF:
        assert_false(p->queued[buffer->index]);
        p->queued[buffer->index] = true;
        return 0;
    case VIDIOC_DQBUF: return take_buffer(p, buffer);
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
    return p->jpeg != NULL ? p->jpeg : p->memory[offset / 4096];
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
                   .settings = {.path = "/dev/played", .width = 640, .height = 480, .wait = wait}};
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
                 {"GREYBGR3", "GREY", GEMLET_PIXELS_GREY}}; /* 8 pixels of BGR don't fit into a line of 20 bytes */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        begin(&f, "f", false);
        f.player.formats = cases[i].offered;
        if (cases[i].format == GEMLET_PIXELS_NV12) {
            f.player.script = "s"; /* a frame of this takes 120 bytes */
        }
        start(&f);
        assert_memory_equal(&f.player.chosen, cases[i].chosen, 4);
        if (cases[i].format == GEMLET_PIXELS_NV12) {
            expect_lost(&f, "short frame");
        } else {
            expect_frame(&f, 0, 0);
            const gemlet_image *image = &f.frame.image;
            assert_int_equal(image->format, cases[i].format);
            assert_int_equal(image->width, WIDTH);
            assert_int_equal(image->height, HEIGHT);
            assert_int_equal(image->stride, LINE);
        }
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
    assert_int_equal(image_read(&whole, path, &f.error), GEMLET_OK);
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
            expect_lost(&f, "/dev/played: a damaged or cut JPEG file");
        }
    }
    end(&f);
    image_free(&whole);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_with_their_format),      cmocka_unit_test(what_is_no_camera_is_refused),
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
