/* The front ends of sounds and pictures against their definitions, written down once more without a thought for speed: the log-mel
 * rows by a plain transform, resampling and colours by what the standards say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "model/audio/mel.h"
#include "model/vision/resize.h"
#include "tests/kernels/kernel_test.h"

/* ---- Sounds ---- */

enum { BINS = 5, MOST_POINTS = 512, MOST_ROWS = 16, MOST_SAMPLES = 2000 };

static const double two_pi = 6.283185307179586;

typedef struct front_end {
    gemlet_mel mel;
    float window[2 * MOST_POINTS], filters[BINS * (MOST_POINTS / 2 + 1)];
} front_end;

/* Each array by itself, full of large numbers; what is asked for is what they take. */
static void front_end_fill(gemlet_mel *mel) {
    const size_t points = mel->traits->points, frame = mel->traits->frame;
    const size_t bytes[] = {BINS * sizeof *mel->ranges,         points / 2 * sizeof *mel->roots,
                            points / 2 * sizeof *mel->signal,   (points / 2 + 1) * sizeof *mel->magnitudes,
                            (frame + 1) * sizeof *mel->samples, BINS * sizeof *mel->row};
    void *arrays[sizeof bytes / sizeof *bytes];
    size_t all = 0;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        arrays[i] = guarded_alloc(bytes[i], 0);
        memset(arrays[i], 0x4A, bytes[i]);
        all += gemlet_aligned(bytes[i]);
    }
    gemlet_carver counting = {NULL, 0};
    gemlet_mel_carve(mel, &counting);
    assert_int_equal(counting.used, all);
    mel->ranges = arrays[0];
    mel->roots = arrays[1];
    mel->signal = arrays[2];
    mel->magnitudes = arrays[3];
    mel->samples = arrays[4];
    mel->row = arrays[5];
}

static void front_end_close(const front_end *f) {
    guarded_free(f->mel.ranges);
    guarded_free(f->mel.roots);
    guarded_free(f->mel.signal);
    guarded_free(f->mel.magnitudes);
    guarded_free(f->mel.samples);
    guarded_free(f->mel.row);
}

static void front_end_open(front_end *f, const gemlet_mel_traits *traits) {
    size_t spectrum = traits->points / 2 + 1;
    memset(f, 0, sizeof *f);
    f->mel = (gemlet_mel){.traits = traits, .window = f->window, .filters = f->filters, .bins = BINS};
    for (size_t i = 0; i < traits->frame; i++) {
        double value = 0.5 - 0.5 * cos(two_pi * (double)i / (double)traits->frame);
        f->window[i] = (float)value;
        f->window[traits->frame + i] = (float)(value - (double)f->window[i]);
    }
    for (size_t j = 0; j < BINS; j++) { /* triangles; the first begins with the first number, the last ends with the last */
        for (size_t k = 0; k < spectrum; k++) {
            double centre = (double)(j * (spectrum - 1)) / (BINS - 1);
            double height = 1.0 - fabs((double)k - centre) / 40.0;
            f->filters[j * spectrum + k] = height > 0.0 ? (float)height : 0.0f;
        }
    }
    front_end_fill(&f->mel);
    gemlet_mel_open(&f->mel);
}

/* Row `row` of the clip, padded by zeros on both sides. */
static void plain_row(const front_end *f, const float *samples, size_t count, size_t row, double *out) {
    const gemlet_mel_traits *t = f->mel.traits;
    static double y[MOST_POINTS], magnitudes[MOST_POINTS / 2 + 1];
    memset(y, 0, sizeof y);
    for (size_t i = 1; i < t->frame; i++) {
        double s[2];
        for (size_t k = 0; k < 2; k++) {
            size_t at = GEMLET_MEL_HOP * row + i - k;
            s[k] = at >= t->lead && at - t->lead < count ? (double)samples[at - t->lead] : 0.0;
        }
        y[i] = (s[0] - t->emphasis * s[1]) * ((double)f->window[i] + (double)f->window[t->frame + i]);
    }
    for (size_t k = 0; k <= t->points / 2; k++) {
        double re = 0.0, im = 0.0;
        for (size_t i = 0; i < t->frame; i++) {
            double angle = two_pi * (double)(i * k % t->points) / (double)t->points;
            re += y[i] * cos(angle);
            im -= y[i] * sin(angle);
        }
        magnitudes[k] = sqrt(re * re + im * im);
    }
    for (size_t j = 0; j < BINS; j++) {
        double sum = 0.0;
        for (size_t k = 0; k <= t->points / 2; k++) {
            sum += (double)f->filters[j * (t->points / 2 + 1) + k] * magnitudes[k];
        }
        out[j] = log(t->floor_added ? sum + t->floor : sum > t->floor ? sum : t->floor);
    }
}

/* Feeds the clip in pieces and checks each row; answers how many there were. */
static size_t rows_of(front_end *f, const float *samples, size_t count, size_t piece) {
    size_t rows = 0;
    gemlet_mel_begin(&f->mel);
    for (size_t done = 0; done < count;) {
        bool complete = false;
        size_t now = gemlet_smaller(piece, count - done), taken = gemlet_mel_feed(&f->mel, samples + done, now, &complete);
        assert_true(taken > 0 && taken <= now);
        done += taken;
        assert_int_equal(f->mel.fed, done);
        if (complete) {
            double wanted[BINS];
            plain_row(f, samples, count, rows++, wanted);
            for (size_t j = 0; j < BINS; j++) {
                assert_true(fabs((double)f->mel.row[j] - wanted[j]) < 1e-7 * fabs(wanted[j]) + 1e-12); /* a float's half digit */
            }
        }
    }
    return rows;
}

static const gemlet_mel_traits traits[] = {
    {.frame = 320, .points = 512, .lead = 0, .padding = 128, .emphasis = 0.97, .floor = 1e-5, .floor_added = false},
    {.frame = 321, .points = 512, .lead = 160, .padding = 1, .emphasis = 0.0, .floor = 1e-3, .floor_added = true},
};

static void rows_are_those_of_a_plain_transform(void **state) {
    (void)state;
    static float samples[MOST_SAMPLES];
    for (size_t i = 0; i < 2 * 12; i++) { /* of twelve loudnesses: a float has most digits where the logarithm is small */
        const size_t softer = i / 2;
        double loudness = pow(0.6, (double)softer);
        for (size_t at = 0; at < MOST_SAMPLES; at++) {
            samples[at] =
                (float)(loudness * (0.3 * sin(0.05 * (double)at) + 0.001 * (double)(at * at % 613))) * (at < 900 ? 1.0f : 0.0f);
        }
        front_end f;
        front_end_open(&f, &traits[i % 2]);
        size_t all = rows_of(&f, samples, MOST_SAMPLES, MOST_SAMPLES);
        assert_int_equal(rows_of(&f, samples, MOST_SAMPLES, 77), all); /* and anew in the same memory */
        assert_true(all > 8);
        for (size_t j = 0; j < BINS; j++) { /* of each filter what is not zero */
            const float *filter = f.filters + j * (traits[i % 2].points / 2 + 1);
            size_t first = f.mel.ranges[j].first, end = f.mel.ranges[j].end;
            assert_true(filter[first] > 0.0f && filter[end - 1] > 0.0f && (first == 0 || filter[first - 1] == 0.0f));
            assert_true(end == traits[i % 2].points / 2 + 1 || filter[end] == 0.0f);
        }
        front_end_close(&f);
    }
}

/* A clip gives as many rows as are counted before it is fed, with the zeros that end it. */
static void rows_are_counted(void **state) {
    (void)state;
    static const float zeros[MOST_SAMPLES];
    for (size_t i = 0; i < 2; i++) {
        front_end f;
        front_end_open(&f, &traits[i]);
        for (size_t count = 0; count < 1200; count += count < 330 || count % 40 < 3 ? 1 : 5) {
            size_t rows = 0;
            bool complete = false;
            gemlet_mel_begin(&f.mel);
            assert_int_equal(f.mel.waiting, traits[i].lead);
            for (size_t done = 0; done < count; rows += complete) {
                done += gemlet_mel_feed(&f.mel, zeros, count - done, &complete);
            }
            size_t padding = gemlet_mel_padding(&f.mel), multiple = traits[i].padding;
            assert_int_equal(padding, (count + multiple - 1) / multiple * multiple - count);
            for (size_t done = 0; done < padding; rows += complete) {
                done += gemlet_mel_feed(&f.mel, zeros, padding - done, &complete);
            }
            assert_int_equal(gemlet_mel_frames(&traits[i], count), rows);
        }
        front_end_close(&f);
    }
}

static void logarithms_are_exact(void **state) {
    (void)state;
    for (int exponent = -300; exponent <= 300; exponent++) {
        for (int i = 0; i < 50; i++) {
            double x = ldexp(1.0 + i / 50.0, exponent), wanted = log(x);
            assert_true(fabs(gemlet_logarithm(x) - wanted) < 1e-14 + 2e-16 * fabs(wanted));
        }
    }
    double root = 0.70710678118654752;
    assert_true(fabs(gemlet_logarithm(root) - log(root)) < 1e-15 && gemlet_logarithm(1.0) == 0.0);
}

/* ---- Pictures ---- */

static double plain_filter(gemlet_resample_filter filter, double x) {
    x = fabs(x);
    if (filter == GEMLET_RESAMPLE_TRIANGLE) {
        return x < 1.0 ? 1.0 - x : 0.0;
    }
    return x < 1.0 ? 1.5 * x * x * x - 2.5 * x * x + 1.0 : x < 2.0 ? -0.5 * x * x * x + 2.5 * x * x - 4.0 * x + 2.0 : 0.0;
}

/* One row or column of `from` samples, `step` bytes apart, brought to `to`; rounded as bytes are. */
static void plain_resample(gemlet_resample_filter filter, const uint8_t *in, size_t from, size_t step, size_t to, double *out) {
    double scale = (double)from / (double)to, wide = scale > 1.0 ? scale : 1.0;
    for (size_t i = 0; i < to; i++) {
        double centre = ((double)i + 0.5) * scale, sum = 0.0, all = 0.0;
        for (size_t k = 0; k < from; k++) {
            double weight = plain_filter(filter, ((double)k + 0.5 - centre) / wide);
            sum += weight * in[k * step];
            all += weight;
        }
        out[i] = sum / all;
    }
}

static gemlet_error error;

static void says(gemlet_status status, const char *message) {
    assert_int_equal(status, GEMLET_ERROR_ARGUMENT);
    assert_int_equal(error.status, GEMLET_ERROR_ARGUMENT);
    assert_string_equal(error.message, message);
}

/* Rows that are all alike, and columns: each direction alone, where there is one rounding. */
static void samples_are_weighed(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{7, 7}, {16, 5}, {17, 8}, {5, 16}, {1, 4}, {9, 1}, {31, 30}, {40, 3}};
    static uint8_t line[40], picture[40 * 40 * 3], out[40 * 40 * 3];
    static _Alignas(64) unsigned char scratch[1 << 16];
    for (size_t i = 0; i < sizeof line; i++) {
        line[i] = (uint8_t)(i % 5 == 0 ? 255 : i % 3 == 0 ? 0 : i * 53 + 20);
    }
    for (int variant = 0; variant < 4; variant++) {
        gemlet_resample_filter filter = variant % 2 == 0 ? GEMLET_RESAMPLE_TRIANGLE : GEMLET_RESAMPLE_CUBIC;
        bool down = variant / 2 == 1;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t from = sizes[i][0], to = sizes[i][1];
            double wanted[40];
            gemlet_image image = {.format = GEMLET_PIXELS_GREY,
                                  .width = (uint32_t)(down ? 3 : from),
                                  .height = (uint32_t)(down ? from : 3),
                                  .pixels = picture,
                                  .stride = 40};
            for (size_t k = 0; k < 40 * 40; k++) {
                picture[k] = line[down ? k / 40 : k % 40];
            }
            gemlet_resample_target target = {filter, down ? 3 : to, down ? to : 3};
            assert_int_equal(gemlet_resample(&image, &target, scratch, sizeof scratch, out, &error), GEMLET_OK);
            plain_resample(filter, line, from, 1, to, wanted);
            for (size_t k = 0; k < 3 * to; k++) {
                double clamped = fmin(255.0, fmax(0.0, wanted[down ? k / 3 : k % to]));
                for (size_t c = 0; c < 3; c++) {
                    assert_true(fabs(out[3 * k + c] - clamped) < 0.51);
                }
            }
        }
    }
}

/* The scratch is counted to the byte: one byte less is refused, and nothing is written behind it. */
static void scratch_is_counted(void **state) {
    (void)state;
    static const uint8_t grey[64];
    static const struct {
        size_t width, height, to_width, to_height;
        gemlet_resample_filter filter;
        size_t row, column; /* the longest windows */
    } cases[] = {
        {8, 8, 8, 8, GEMLET_RESAMPLE_TRIANGLE, 3, 3}, {8, 4, 4, 8, GEMLET_RESAMPLE_TRIANGLE, 5, 3},
        {8, 4, 3, 3, GEMLET_RESAMPLE_TRIANGLE, 7, 5}, {8, 8, 8, 8, GEMLET_RESAMPLE_CUBIC, 5, 5},
        {8, 4, 4, 8, GEMLET_RESAMPLE_CUBIC, 9, 5},    {8, 4, 3, 3, GEMLET_RESAMPLE_CUBIC, 13, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static uint8_t out[64 * 3];
        char expected[128];
        gemlet_image image = {.format = GEMLET_PIXELS_GREY,
                              .width = (uint32_t)cases[i].width,
                              .height = (uint32_t)cases[i].height,
                              .pixels = grey,
                              .stride = 8};
        gemlet_resample_target target = {cases[i].filter, cases[i].to_width, cases[i].to_height};
        size_t bytes = cases[i].to_width * 2 * sizeof(uint32_t) + 4 * cases[i].to_width * cases[i].row + 4 * cases[i].column +
                       3 * cases[i].width + 3 * cases[i].column * cases[i].to_width;
        unsigned char *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
        unsigned char *scratch = memory + sizeof(int32_t); /* aligned as promised, and no better */
        memset(scratch, 0xA5, bytes + 1);
        assert_int_equal(gemlet_resample(&image, &target, scratch, bytes, out, &error), GEMLET_OK);
        assert_int_equal(scratch[bytes], 0xA5);
        snprintf(expected, sizeof expected, "the bytes that bringing the image to its size takes must be at most %zu but is %zu",
                 bytes - 1, bytes);
        says(gemlet_resample(&image, &target, scratch, bytes - 1, out, &error), expected);
        free(memory);
    }
    size_t side = 5, windows = 2 * (20480 + side - 1) / side / 2 * 2 + 1; /* of the largest picture */
    assert_int_equal(gemlet_resize_bytes(side),
                     side * 2 * sizeof(uint32_t) + 4 * side * windows + 4 * windows + 3 * 20480 + 3 * windows * side);
}

/* Y, U and V of every format, against the standards' own numbers. */
static void colours_are_the_standards(void **state) {
    (void)state;
    static const double kr[] = {0.299, 0.2126}, kb[] = {0.114, 0.0722};
    static const uint8_t levels[] = {0, 15, 16, 17, 60, 127, 128, 129, 200, 235, 240, 255};
    static _Alignas(64) unsigned char scratch[1 << 16];
    enum { N = sizeof levels };
    for (int matrix = 0; matrix < 2; matrix++) {
        for (int range = 0; range < 2; range++) {
            for (size_t i = 0; i < N * N * N; i++) {
                const size_t second = i / N % N, third = i / N / N;
                double y = levels[i % N], u = levels[second] - 128.0, v = levels[third] - 128.0, wanted[3],
                       kg = 1 - kr[matrix] - kb[matrix];
                if (range == 0) {
                    y = (y - 16.0) * 255.0 / 219.0;
                    u = u * 255.0 / 224.0;
                    v = v * 255.0 / 224.0;
                }
                wanted[0] = y + 2.0 * (1.0 - kr[matrix]) * v;
                wanted[2] = y + 2.0 * (1.0 - kb[matrix]) * u;
                wanted[1] = (y - kr[matrix] * wanted[0] - kb[matrix] * wanted[2]) / kg;
                const uint8_t luma[] = {levels[i % N], levels[i % N], levels[i % N], levels[i % N]};
                const uint8_t pair[] = {levels[i / N % N], levels[i / N / N]};
                const uint8_t packed[] = {luma[0], pair[0], luma[0], pair[1], luma[0], pair[0], luma[0], pair[1]};
                for (int format = GEMLET_PIXELS_YUYV; format <= GEMLET_PIXELS_I420; format++) {
                    uint8_t out[12];
                    gemlet_image image = {.format = (gemlet_pixel_format)format,
                                          .width = 2,
                                          .height = 2,
                                          .stride = format == GEMLET_PIXELS_YUYV ? 4 : 2,
                                          .pixels = format == GEMLET_PIXELS_YUYV ? packed : luma,
                                          .chroma = pair,
                                          .chroma_stride = format == GEMLET_PIXELS_NV12 ? 2 : 1,
                                          .chroma_v = pair + 1,
                                          .matrix = (gemlet_color_matrix)matrix,
                                          .range = (gemlet_color_range)range};
                    gemlet_resample_target target = {GEMLET_RESAMPLE_TRIANGLE, 2, 2};
                    assert_int_equal(gemlet_resample(&image, &target, scratch, sizeof scratch, out, &error), GEMLET_OK);
                    for (size_t c = 0; c < 12; c++) { /* eight bits of a fraction: off by one at most */
                        double clamped = fmin(255.0, fmax(0.0, wanted[c % 3]));
                        assert_true(fabs(out[c] - clamped) < 1.01);
                    }
                }
            }
        }
    }
}

/* The eight bits, to the bit: each number of the table decides some colour. */
static void colours_are_rounded_as_written(void **state) {
    (void)state;
    static const double kr[] = {0.299, 0.2126}, kb[] = {0.114, 0.0722};
    static _Alignas(64) unsigned char scratch[1 << 16];
    for (int matrix = 0; matrix < 2; matrix++) {
        for (int range = 0; range < 2; range++) {
            double luma = range == 0 ? 255.0 / 219.0 : 1.0, chroma = range == 0 ? 255.0 / 224.0 : 1.0,
                   kg = 1 - kr[matrix] - kb[matrix];
            const int numbers[] = {(int)lround(256 * luma), (int)lround(256 * chroma * 2 * (1 - kr[matrix])),
                                   (int)lround(256 * chroma * 2 * (1 - kb[matrix]) * kb[matrix] / kg),
                                   (int)lround(256 * chroma * 2 * (1 - kr[matrix]) * kr[matrix] / kg),
                                   (int)lround(256 * chroma * 2 * (1 - kb[matrix]))};
            for (int i = 0; i < 256 * 4; i++) {
                int y = i % 256, u = i / 256 % 2 == 0 ? 255 - y : 128, v = i / 512 == 0 ? y : 128;
                const uint8_t pixels[] = {(uint8_t)y, (uint8_t)u, (uint8_t)y, (uint8_t)v};
                int grey = numbers[0] * (y - (range == 0 ? 16 : 0)) + 128;
                const int wanted[] = {(grey + numbers[1] * (v - 128)) / 256,
                                      (grey - numbers[2] * (u - 128) - numbers[3] * (v - 128)) / 256,
                                      (grey + numbers[4] * (u - 128)) / 256};
                uint8_t out[6];
                gemlet_image image = {.format = GEMLET_PIXELS_YUYV,
                                      .width = 2,
                                      .height = 1,
                                      .stride = 4,
                                      .pixels = pixels,
                                      .matrix = (gemlet_color_matrix)matrix,
                                      .range = (gemlet_color_range)range};
                gemlet_resample_target target = {GEMLET_RESAMPLE_TRIANGLE, 2, 1};
                assert_int_equal(gemlet_resample(&image, &target, scratch, sizeof scratch, out, &error), GEMLET_OK);
                for (size_t c = 0; c < 3; c++) {
                    assert_int_equal(out[c], wanted[c] < 0 ? 0 : wanted[c] > 255 ? 255 : wanted[c]);
                }
            }
        }
    }
}

/* Each pixel of each format from where it stands, with rows longer than their pixels. */
static void pixels_stand_where_the_format_says(void **state) {
    (void)state;
    enum { WIDTH = 6, HEIGHT = 4, STRIDE = 31, CHROMA = 11 };
    static uint8_t pixels[STRIDE * HEIGHT], u[CHROMA * HEIGHT], v[CHROMA * HEIGHT], out[WIDTH * HEIGHT * 3];
    static _Alignas(64) unsigned char scratch[1 << 16];
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(i * 89 + 3);
    }
    for (size_t i = 0; i < sizeof u; i++) {
        u[i] = (uint8_t)(i * 61 + 9);
        v[i] = (uint8_t)(i * 43 + 77);
    }
    for (int format = 0; format <= GEMLET_PIXELS_I420; format++) {
        gemlet_image image = {.format = (gemlet_pixel_format)format,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .pixels = pixels,
                              .stride = STRIDE,
                              .chroma = u,
                              .chroma_stride = CHROMA,
                              .chroma_v = v,
                              .range = GEMLET_RANGE_FULL};
        gemlet_resample_target target = {GEMLET_RESAMPLE_TRIANGLE, WIDTH, HEIGHT};
        assert_int_equal(gemlet_resample(&image, &target, scratch, sizeof scratch, out, &error), GEMLET_OK);
        for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
            size_t x = i % WIDTH, y = i / WIDTH;
            const uint8_t *row = pixels + y * STRIDE, *uv = u + y / 2 * CHROMA;
            int wanted[3] = {row[3 * x], row[3 * x + 1], row[3 * x + 2]};
            if (format == GEMLET_PIXELS_BGR) {
                wanted[0] = row[3 * x + 2];
                wanted[2] = row[3 * x];
            } else if (format == GEMLET_PIXELS_RGBA) {
                wanted[0] = row[4 * x];
                wanted[1] = row[4 * x + 1];
                wanted[2] = row[4 * x + 2];
            } else if (format == GEMLET_PIXELS_GREY) {
                wanted[0] = wanted[1] = wanted[2] = row[x];
            } else if (format >= GEMLET_PIXELS_YUYV) {
                int luma = format == GEMLET_PIXELS_YUYV ? row[2 * x] : row[x];
                int cu = format == GEMLET_PIXELS_YUYV   ? row[x / 2 * 4 + 1]
                         : format == GEMLET_PIXELS_NV12 ? uv[x / 2 * 2]
                                                        : uv[x / 2];
                int cv = format == GEMLET_PIXELS_YUYV   ? row[x / 2 * 4 + 3]
                         : format == GEMLET_PIXELS_NV12 ? uv[x / 2 * 2 + 1]
                                                        : v[y / 2 * CHROMA + x / 2];
                wanted[0] = (256 * luma + 128 + 359 * (cv - 128)) / 256;
                wanted[1] = (256 * luma + 128 - 88 * (cu - 128) - 183 * (cv - 128)) / 256;
                wanted[2] = (256 * luma + 128 + 454 * (cu - 128)) / 256;
            }
            for (size_t c = 0; c < 3; c++) {
                assert_int_equal(out[3 * i + c], wanted[c] < 0 ? 0 : wanted[c] > 255 ? 255 : wanted[c]);
            }
        }
    }
}

static void pictures_that_cannot_be_are_named(void **state) {
    (void)state;
    static const uint8_t p[1];
    static const char planes[] = "an NV12 image needs a plane of chroma, an I420 image two";
    static const char even[] = "a YUYV image must have an even width, an NV12 and an I420 image an even height too";
    const gemlet_image rgb = {.format = GEMLET_PIXELS_RGB, .width = 4, .height = 2, .pixels = p, .stride = 12};
    const gemlet_image i420 = {.format = GEMLET_PIXELS_I420,
                               .width = 4,
                               .height = 2,
                               .pixels = p,
                               .stride = 4,
                               .chroma = p,
                               .chroma_v = p,
                               .chroma_stride = 2};
    static const size_t bytes[] = {3, 3, 4, 1, 2, 1, 1};
    gemlet_image image = rgb;
    says(gemlet_check_image(NULL, &error), "an image must have pixels");
    image.pixels = NULL;
    says(gemlet_check_image(&image, &error), "an image must have pixels");
    for (int format = 0; format <= GEMLET_PIXELS_I420; format++) {
        char expected[64];
        image = i420;
        image.format = (gemlet_pixel_format)format;
        image.chroma_stride = 4;
        image.stride = 4 * bytes[format];
        assert_int_equal(gemlet_check_image(&image, &error), GEMLET_OK);
        snprintf(expected, sizeof expected, "the image's stride must be at least %zu but is %zu", image.stride, image.stride - 1);
        image.stride--;
        says(gemlet_check_image(&image, &error), expected);
    }
    image = rgb;
    image.format = (gemlet_pixel_format)7;
    says(gemlet_check_image(&image, &error), "the pixel format must be at most 6 but is 7");
    const struct {
        uint32_t width, height;
        const char *message;
    } sides[] = {{0, 5, "an image's sides must be 1 pixel to 20480 but is 0"},
                 {5, 0, "an image's sides must be 1 pixel to 20480 but is 0"},
                 {0, 0, "an image's sides must be 1 pixel to 20480 but is 0"},
                 {20481, 1, "an image's sides must be 1 pixel to 20480 but is 20481"},
                 {1, 20481, "an image's sides must be 1 pixel to 20480 but is 20481"},
                 {20480, 1, NULL},
                 {1, 20480, NULL},
                 {1, 1, NULL}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        image = rgb;
        image.width = sides[i].width;
        image.height = sides[i].height;
        image.stride = 3 * 20481;
        if (sides[i].message == NULL) {
            assert_int_equal(gemlet_check_image(&image, &error), GEMLET_OK);
        } else {
            says(gemlet_check_image(&image, &error), sides[i].message);
        }
    }
    for (int format = GEMLET_PIXELS_YUYV; format <= GEMLET_PIXELS_I420; format++) {
        image = i420;
        image.format = (gemlet_pixel_format)format;
        image.stride = 8;
        image.chroma_stride = 4;
        image.width = 3;
        says(gemlet_check_image(&image, &error), even);
        image.width = 4;
        image.height = 3;
        if (format == GEMLET_PIXELS_YUYV) {
            assert_int_equal(gemlet_check_image(&image, &error), GEMLET_OK);
        } else {
            says(gemlet_check_image(&image, &error), even);
        }
        image.height = 2;
        image.matrix = GEMLET_COLOR_BT709;
        image.range = GEMLET_RANGE_FULL;
        assert_int_equal(gemlet_check_image(&image, &error), GEMLET_OK);
        image.matrix = (gemlet_color_matrix)2;
        says(gemlet_check_image(&image, &error), "the colour matrix must be at most 1 but is 2");
        image.matrix = GEMLET_COLOR_BT601;
        image.range = (gemlet_color_range)2;
        says(gemlet_check_image(&image, &error), "the colour range must be at most 1 but is 2");
        image.range = GEMLET_RANGE_LIMITED;
        image.chroma_stride = format == GEMLET_PIXELS_NV12 ? 4 : 2;
        assert_int_equal(gemlet_check_image(&image, &error), GEMLET_OK);
        image.chroma_stride--;
        if (format != GEMLET_PIXELS_YUYV) {
            says(gemlet_check_image(&image, &error), format == GEMLET_PIXELS_NV12
                                                         ? "the stride of the image's chroma must be at least 4 but is 3"
                                                         : "the stride of the image's chroma must be at least 2 but is 1");
        }
        image.chroma_stride = 4;
        image.chroma_v = NULL;
        assert_int_equal(gemlet_check_image(&image, NULL), format == GEMLET_PIXELS_I420 ? GEMLET_ERROR_ARGUMENT : GEMLET_OK);
        image.chroma = NULL;
        assert_int_equal(gemlet_check_image(&image, NULL), format != GEMLET_PIXELS_YUYV ? GEMLET_ERROR_ARGUMENT : GEMLET_OK);
        if (format != GEMLET_PIXELS_YUYV) {
            says(gemlet_check_image(&image, &error), planes);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_a_plain_transform),
        cmocka_unit_test(rows_are_counted),
        cmocka_unit_test(logarithms_are_exact),
        cmocka_unit_test(samples_are_weighed),
        cmocka_unit_test(scratch_is_counted),
        cmocka_unit_test(colours_are_the_standards),
        cmocka_unit_test(colours_are_rounded_as_written),
        cmocka_unit_test(pixels_stand_where_the_format_says),
        cmocka_unit_test(pictures_that_cannot_be_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
