/* Frames from a stream: what is dropped while a frame is out, what is cut off, and where pictures of Motion JPEG end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "examples/camera/motion_jpeg.h"
#include "examples/camera/stream.h"
#include "tests/support/temporary.h"

enum { WIDTH = 4, HEIGHT = 2, FRAME = WIDTH * HEIGHT * 3, MEMORY = 1 << 24, PATIENCE = 100 };

typedef struct fixture {
    int in; /* where the test writes */
    int out;
    frame_source source;
    frame frame;
    gemlet_error error;
} fixture;

static const frame_layout rgb = {.format = GEMLET_PIXELS_RGB, .width = WIDTH, .height = HEIGHT};

static void start(fixture *f, bool jpeg, bool every) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *f = (fixture){.in = ends[1], .out = ends[0]};
    stream_settings settings = {.descriptor = f->out, .jpeg = jpeg, .layout = rgb, .memory = MEMORY, .every = every};
    assert_int_equal(frames_from_stream(&f->source, &settings, &f->error), GEMLET_OK);
}

static void send(const fixture *f, const void *bytes, size_t count) {
    assert_int_equal(write(f->in, bytes, count), (ssize_t)count);
}

/* A frame, or the first bytes of one, all of `content`. */
static void send_raw(const fixture *f, int content, size_t count) {
    uint8_t bytes[FRAME];
    memset(bytes, content, sizeof bytes);
    send(f, bytes, count);
}

/* The reader has taken all that was sent.  A pipe that is empty was read; what was read is soon sorted. */
static void let_it_read(void) {
    struct timespec pause = {0, 200000000};
    nanosleep(&pause, NULL);
}

static frame_status next(fixture *f) {
    frame_status status = FRAME_NONE;
    for (int i = 0; i < PATIENCE && status == FRAME_NONE; i++) {
        status = f->source.next(f->source.state, &f->frame, &f->error);
    }
    return status;
}

static void expect_frame(fixture *f, const char *name, unsigned content, unsigned skipped) {
    assert_int_equal(next(f), FRAME_READY);
    assert_string_equal(f->frame.name, name);
    assert_int_equal(f->frame.image.pixels[0], content);
    assert_int_equal(f->frame.image.pixels[FRAME - 1], content);
    assert_int_equal(f->frame.skipped, skipped);
}

static void expect_lost(fixture *f, const char *message) {
    assert_int_equal(next(f), FRAME_LOST);
    if (strstr(f->error.message, message) == NULL) {
        fail_msg("expected \"%s\", found \"%s\"", message, f->error.message);
    }
}

static void hang_up(fixture *f) {
    close(f->in);
    f->in = -1;
}

static void end(fixture *f) {
    f->source.close(f->source.state);
    close(f->out);
    if (f->in >= 0) {
        close(f->in);
    }
}

static void what_comes_while_a_frame_is_out_is_dropped(void **state) {
    (void)state;
    fixture f;
    start(&f, false, false);
    send_raw(&f, 10, FRAME);
    expect_frame(&f, "0", 10, 0);
    send_raw(&f, 11, FRAME);
    send_raw(&f, 12, FRAME);
    send_raw(&f, 13, FRAME / 2); /* began before it was asked for */
    let_it_read();
    assert_int_equal(f.source.next(f.source.state, &f.frame, &f.error), FRAME_NONE);
    send_raw(&f, 13, FRAME / 2);
    assert_int_equal(f.source.next(f.source.state, &f.frame, &f.error), FRAME_NONE);
    send_raw(&f, 14, FRAME);
    send_raw(&f, 15, FRAME / 3);
    expect_frame(&f, "4", 14, 3);
    send_raw(&f, 15, FRAME - FRAME / 3); /* while 14 is out */
    let_it_read();
    hang_up(&f);
    assert_int_equal(next(&f), FRAME_END); /* rather than a late one */
    end(&f);
}

/* The newest of those that came before the first question is as good as any. */
static void the_first_frame_may_have_waited(void **state) {
    (void)state;
    fixture f;
    start(&f, false, false);
    send_raw(&f, 1, FRAME);
    send_raw(&f, 2, FRAME);
    let_it_read();
    hang_up(&f);
    expect_frame(&f, "1", 2, 1);
    assert_int_equal(next(&f), FRAME_END);
    assert_int_equal(next(&f), FRAME_END);
    end(&f);
}

static void every_frame_comes_where_that_is_wanted(void **state) {
    (void)state;
    fixture f;
    start(&f, false, true);
    for (int i = 0; i < 9; i++) {
        send_raw(&f, i, FRAME);
    }
    send_raw(&f, 9, 5);
    hang_up(&f);
    for (unsigned i = 0; i < 9; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        expect_frame(&f, name, i, 0);
    }
    expect_lost(&f, "ends inside of a frame: 5 of 24 bytes");
    assert_int_equal(next(&f), FRAME_END);
    end(&f);
}

static void a_file_can_t_be_late(void **state) {
    (void)state;
    fixture f;
    char path[TEMPORARY_BYTES];
    uint8_t bytes[3 * FRAME];
    for (size_t i = 0; i < 3; i++) {
        memset(bytes + i * FRAME, (int)i, FRAME);
    }
    f = (fixture){.in = -1, .out = temporary_file(path)};
    assert_int_equal(write(f.out, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(lseek(f.out, 0, SEEK_SET), 0);
    stream_settings settings = {.descriptor = f.out, .layout = rgb, .memory = MEMORY};
    assert_int_equal(frames_from_stream(&f.source, &settings, &f.error), GEMLET_OK);
    expect_frame(&f, "0", 0, 0);
    let_it_read();
    expect_frame(&f, "1", 1, 0);
    expect_frame(&f, "2", 2, 0);
    assert_int_equal(next(&f), FRAME_END);
    end(&f);
    unlink(path);
}

static void closing_waits_for_nobody(void **state) {
    (void)state;
    fixture f;
    for (int i = 0; i < 4; i++) {
        start(&f, false, i % 2 == 0);
        for (int k = 0; k < 2 * i; k++) {
            send_raw(&f, k, FRAME);
        }
        let_it_read();
        end(&f);
    }
}

static void what_can_t_be_read_is_told(void **state) {
    (void)state;
    fixture f = {.in = -1, .out = open("/dev/null", O_WRONLY)};
    stream_settings settings = {.descriptor = f.out, .layout = rgb, .memory = MEMORY};
    assert_int_equal(frames_from_stream(&f.source, &settings, &f.error), GEMLET_OK);
    assert_int_equal(next(&f), FRAME_GONE);
    assert_non_null(strstr(f.error.message, "can't be read: Bad file descriptor"));
    end(&f);
}

static void layouts_say_their_bytes(void **state) {
    (void)state;
    static const struct {
        frame_layout layout;
        size_t bytes;
    } cases[] = {
        {{.format = GEMLET_PIXELS_I420, .width = 8, .height = 4}, 48},
        {{.format = GEMLET_PIXELS_I420, .width = 8, .height = 4, .stride = 32}, 192},
        {{.format = GEMLET_PIXELS_I420, .width = 8, .height = 4, .stride = 9}, 0},
        {{.format = GEMLET_PIXELS_I420, .width = 8, .height = 3}, 0},
        {{.format = GEMLET_PIXELS_I420, .width = 7, .height = 4}, 0},
        {{.format = GEMLET_PIXELS_NV12, .width = 8, .height = 4, .stride = 10}, 60},
        {{.format = GEMLET_PIXELS_YUYV, .width = 8, .height = 3}, 48},
        {{.format = GEMLET_PIXELS_RGB, .width = 8, .height = 3, .stride = 23}, 0},
        {{.format = GEMLET_PIXELS_RGB, .width = 8, .height = 3, .stride = 25}, 75},
        {{.format = GEMLET_PIXELS_GREY, .width = 0, .height = 3}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(frame_bytes(&cases[i].layout), cases[i].bytes);
    }
    fixture f = {.in = -1};
    stream_settings settings = {.layout = cases[2].layout, .memory = MEMORY};
    assert_int_equal(frames_from_stream(&f.source, &settings, &f.error), GEMLET_ERROR_ARGUMENT);
}

/* ---- Motion JPEG ---- */

/* The events of the bytes, a letter for each: . between pictures, B begin, - inside, E end, C cut. */
static void expect_events(const uint8_t *bytes, size_t count, const char *events) {
    motion_jpeg m = {.place = MOTION_JPEG_OUTSIDE};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(".B-EC"[motion_jpeg_take(&m, bytes[i])], events[i]);
    }
    assert_int_equal(strlen(events), count);
}

static void pictures_end_where_they_do(void **state) {
    (void)state;
    static const uint8_t plain[] = {'x', 0xFF, 0xD8, 0xFF, 0xD9, 0xFF, 0xFF, 0xD8, 0xFF, 0xD9};
    expect_events(plain, sizeof plain, "..B-E..B-E");
    /* A thumbnail inside of a segment neither begins nor ends anything. */
    static const uint8_t thumbnail[] = {0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9, 0xFF, 0xD9};
    expect_events(thumbnail, sizeof thumbnail, ".B---------E");
    /* A scan with stuffed zeros, restarts, fillers and another segment and scan. */
    static const uint8_t scan[] = {0xFF, 0xD8, 0xFF, 0xDA, 0, 3, 9, 1,    0xFF, 0, 0xFF, 0xD0, 2,    0xFF,
                                   0xFF, 0xD7, 0xFF, 0xC4, 0, 3, 7, 0xFF, 0xDA, 0, 2,    5,    0xFF, 0xD9};
    expect_events(scan, sizeof scan, ".B-------------------------E");
    static const uint8_t cut[] = {0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0xD8, 0xFF, 0xD9};
    expect_events(cut, sizeof cut, ".B-------C-E");
}

#ifdef GEMLET_HAVE_JPEG
static uint8_t *read_file(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *bytes = malloc(1 << 16);
    *count = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

static void a_picture_that_is_cut_off_is_told_and_passed(void **state) {
    (void)state;
    size_t count;
    uint8_t *picture = read_file("examples/demo/one.jpg", &count);
    fixture f;
    start(&f, true, true);
    send(&f, "--boundary\r\nContent-Type: image/jpeg\r\n\r\n", 40);
    send(&f, picture, count);
    send(&f, picture, count / 2);
    send(&f, picture, count);
    assert_int_equal(next(&f), FRAME_READY);
    assert_string_equal(f.frame.name, "0");
    assert_int_equal(f.frame.image.width, 256);
    expect_lost(&f, "frame 1: a picture of the stream is cut off");
    assert_int_equal(next(&f), FRAME_READY);
    assert_string_equal(f.frame.name, "2");
    send(&f, picture, count / 3);
    hang_up(&f);
    expect_lost(&f, "the stream ends inside of a frame");
    assert_int_equal(next(&f), FRAME_END);
    end(&f);
    free(picture);
}
#endif

static void a_stream_without_pictures_is_told(void **state) {
    (void)state;
    fixture f;
    start(&f, true, false);
    send(&f, "RIFF....AVI ", 12);
    hang_up(&f);
    expect_lost(&f, "no JPEG picture");
    assert_int_equal(next(&f), FRAME_END);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_while_a_frame_is_out_is_dropped),
        cmocka_unit_test(the_first_frame_may_have_waited),
        cmocka_unit_test(every_frame_comes_where_that_is_wanted),
        cmocka_unit_test(a_file_can_t_be_late),
        cmocka_unit_test(closing_waits_for_nobody),
        cmocka_unit_test(what_can_t_be_read_is_told),
        cmocka_unit_test(layouts_say_their_bytes),
        cmocka_unit_test(pictures_end_where_they_do),
        cmocka_unit_test(a_stream_without_pictures_is_told),
#ifdef GEMLET_HAVE_JPEG
        cmocka_unit_test(a_picture_that_is_cut_off_is_told_and_passed),
#endif
    };
    return cmocka_run_group_tests_name("camera/stream", tests, NULL, NULL);
}
