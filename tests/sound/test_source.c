/* Sounds as the program reads them: as they come from a pipe, at other rates, of many channels, cut off and damaged. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef GEMLET_HAVE_SNDFILE
#include <sndfile.h>
#endif

#include <cmocka.h>

#include "examples/gemlet/sound.h"
#include "tests/support/temporary.h"

enum { MOST_BYTES = 1 << 20, MOST_PIECE = 4000 };

static const options plain = {.image_memory = 1};
static const options raw = {.raw_sound = 1};

static float tone(size_t i, double rate) {
    return 0.5f * (float)sin(2.0 * 3.14159265358979 * 440.0 * (double)i / rate);
}

/* ---- Raw samples from a pipe ---- */

/* Standard input is the end of a pipe that never waits: a reader that wanted all of it first would fail. */
static int open_pipe(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    return ends[1];
}

static void send(int to, const void *bytes, size_t count) {
    assert_int_equal(write(to, bytes, count), (ssize_t)count);
}

static void expect_samples(sound_source *s, const int16_t *expected, size_t count) {
    const float *samples;
    size_t found;
    assert_int_equal(sound_next(s, &samples, &found), GEMLET_OK);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(samples[i] == (float)expected[i] / 32768.0f);
    }
}

static void comes_as_it_is_written(void **state) {
    (void)state;
    const int16_t first[] = {1, -2, 3}, second[] = {-32768}, third[] = {32767, 5};
    gemlet_error error = {GEMLET_OK, ""};
    sound_source s;
    int in = open_pipe();
    assert_int_equal(sound_open(&s, "-", &raw, &error), GEMLET_OK);
    send(in, first, sizeof first);
    expect_samples(&s, first, 3);
    send(in, (const char *)second, 1); /* half a sample waits for its other half */
    sound_drain(&s);
    send(in, (const char *)second + 1, 1);
    expect_samples(&s, second, 1);
    send(in, third, sizeof third[0]);
    sound_drain(&s); /* gathered while nobody asks */
    send(in, third + 1, sizeof third[1]);
    sound_drain(&s);
    expect_samples(&s, third, 2);
    close(in);
    expect_samples(&s, NULL, 0);
    expect_samples(&s, NULL, 0);
    sound_close(&s);
}

static void more_than_is_held_waits_in_the_pipe(void **state) {
    (void)state;
    enum { RATE = 1000, HELD = SOUND_SECONDS * RATE * (int)sizeof(int16_t) };
    static const char piece[4096];
    const options slow = {.raw_sound = 1, .sound_rate = RATE};
    gemlet_error error = {GEMLET_OK, ""};
    sound_source s;
    int in = open_pipe();
    assert_int_equal(sound_open(&s, "-", &slow, &error), GEMLET_OK);
    assert_int_equal(fcntl(in, F_SETFL, O_NONBLOCK), 0);
    bool full = false;
    size_t sent = 0;
    while (!full && sent < 100 * HELD) {
        ssize_t count = write(in, piece, sizeof piece);
        full = count < 0;
        sent += full ? 0 : (size_t)count;
        sound_drain(&s);
    }
    assert_true(full && sent >= HELD && s.raw.capacity <= 4 * (HELD + 65536));
    sound_close(&s);
    close(in);
}

/* ---- Rates ---- */

#ifdef GEMLET_HAVE_SAMPLERATE
/* Writes a tone in pieces, each when the one before it has been read: a process of its own, as a recorder is. */
static void record(int to, uint32_t rate, size_t piece, size_t total) {
    int16_t whole[MOST_PIECE];
    for (size_t sent = 0; sent < total;) {
        size_t now = total - sent < piece ? total - sent : piece;
        for (size_t i = 0; i < now; i++) {
            whole[i] = (int16_t)(32767.0f * tone(sent + i, rate));
        }
        int waiting = 1;
        while (waiting > 0 && ioctl(to, FIONREAD, &waiting) == 0) {
            sched_yield();
        }
        if (write(to, whole, now * sizeof *whole) != (ssize_t)(now * sizeof *whole)) {
            _exit(1);
        }
        sent += now;
    }
    _exit(0);
}

/* What comes of it; `*reads` is how many pieces the source got. */
static size_t resampled(uint32_t rate, size_t piece, size_t total, float *samples, size_t *reads) {
    const options o = {.raw_sound = 1, .sound_rate = rate};
    gemlet_error error = {GEMLET_OK, ""};
    sound_source s;
    const float *found;
    size_t count = 0, given = 1;
    int in = open_pipe(), code = 1;
    pid_t recorder = fork();
    assert_true(recorder >= 0);
    if (recorder == 0) {
        record(in, rate, piece, total);
    }
    close(in);
    assert_int_equal(fcntl(STDIN_FILENO, F_SETFL, 0), 0);
    assert_int_equal(sound_open(&s, "-", &o, &error), GEMLET_OK);
    while (given > 0) {
        assert_int_equal(sound_next(&s, &found, &given), GEMLET_OK);
        memcpy(samples + count, found, given * sizeof *found);
        count += given;
    }
    *reads = s.reads;
    sound_close(&s);
    assert_int_equal(waitpid(recorder, &code, 0), recorder);
    assert_int_equal(code, 0);
    return count;
}

static void any_cut_gives_the_same(void **state) {
    (void)state;
    static const uint32_t rates[] = {8000, 11025, 16000, 22050, 44100, 48000, 192000};
    static float whole[65536], cut[65536];
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        size_t total = rates[r] / 5;
        size_t reads;
        size_t expected = resampled(rates[r], MOST_PIECE, total, whole, &reads);
        size_t exact = total * GEMLET_SAMPLE_RATE / rates[r];
        assert_in_range(expected, exact - 1, exact + 1);
        for (size_t i = expected / 4; i < 3 * expected / 4; i++) {
            assert_true(fabsf(whole[i] - tone(i, GEMLET_SAMPLE_RATE)) < 2e-3f);
        }
        assert_int_equal(resampled(rates[r], 77, total, cut, &reads), expected);
        assert_int_equal(reads, (total + 76) / 77);
        assert_memory_equal(whole, cut, expected * sizeof *whole);
    }
}
#endif

/* ---- Files ---- */

#ifdef GEMLET_HAVE_SNDFILE
typedef struct disk {
    uint8_t bytes[MOST_BYTES];
    size_t count, at;
} disk;

static sf_count_t disk_size(void *d) {
    return (sf_count_t)((disk *)d)->count;
}

static sf_count_t disk_tell(void *d) {
    return (sf_count_t)((disk *)d)->at;
}

static sf_count_t disk_seek(sf_count_t offset, int whence, void *context) {
    disk *d = context;
    sf_count_t from = whence == SEEK_CUR ? (sf_count_t)d->at : whence == SEEK_END ? (sf_count_t)d->count : 0;
    d->at = (size_t)(from + offset);
    return (sf_count_t)d->at;
}

static sf_count_t disk_read(void *to, sf_count_t count, void *context) {
    disk *d = context;
    size_t taken = (size_t)count < d->count - d->at ? (size_t)count : d->count - d->at;
    memcpy(to, d->bytes + d->at, taken);
    d->at += taken;
    return (sf_count_t)taken;
}

static sf_count_t disk_write(const void *from, sf_count_t count, void *context) {
    disk *d = context;
    assert_true(d->at + (size_t)count <= MOST_BYTES);
    memcpy(d->bytes + d->at, from, (size_t)count);
    d->at += (size_t)count;
    d->count = d->at > d->count ? d->at : d->count;
    return count;
}

static disk made;

/* A file of `frames` frames of `channels` samples each: `sample(frame, channel)`. */
static void make(int format, int rate, int channels, size_t frames, float (*sample)(size_t frame, int channel)) {
    SF_VIRTUAL_IO calls = {disk_size, disk_seek, disk_read, disk_write, disk_tell};
    SF_INFO facts = {.samplerate = rate, .channels = channels, .format = format};
    made = (disk){.count = 0};
    SNDFILE *file = sf_open_virtual(&calls, SFM_WRITE, &facts, &made);
    assert_non_null(file);
    for (size_t i = 0; i < frames; i++) {
        float frame[8];
        for (int c = 0; c < channels; c++) {
            frame[c] = sample(i, c);
        }
        assert_int_equal(sf_writef_float(file, frame, 1), 1);
    }
    assert_int_equal(sf_close(file), 0);
}

static gemlet_status read_made(size_t bytes, sound_file *file, gemlet_error *error) {
    return sound_read_bytes(file, made.bytes, bytes, "made", &plain, error);
}

static float quarter_tone(size_t frame, int channel) {
    return (float)(channel - 3) * 0.25f * tone(frame, 16000); /* 8 channels: an eighth of a tone on average */
}

static float one_tone(size_t frame, int channel) {
    (void)channel;
    return tone(frame, 16000);
}

static float fast_tone(size_t frame, int channel) {
    (void)channel;
    return tone(frame, 192000);
}

static float silence(size_t frame, int channel) {
    (void)frame;
    (void)channel;
    return 0.0f;
}

static float clipped(size_t frame, int channel) {
    return fmaxf(-1.0f, fminf(1.0f, 10.0f * one_tone(frame, channel)));
}

static float one_nan(size_t frame, int channel) {
    return frame == 700 ? NAN : one_tone(frame, channel);
}

static float one_infinity(size_t frame, int channel) {
    return frame == 700 && channel == 1 ? INFINITY : one_tone(frame, channel);
}

static void expect_tone(size_t frames, float factor, float tolerance) {
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(read_made(made.count, &file, &error), GEMLET_OK);
    assert_in_range(file.count, frames - (frames > 0), frames);
    for (size_t i = frames / 4; i < 3 * frames / 4; i++) {
        assert_true(fabsf(file.samples[i] - factor * tone(i, 16000)) < tolerance);
    }
    sound_free(&file);
}

static void files_of_all_kinds(void **state) {
    (void)state;
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1600, one_tone);
    expect_tone(1600, 1.0f, 1e-4f);
    make(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, 1600, one_tone);
    expect_tone(1600, 1.0f, 1e-4f);
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_24, 16000, 8, 1600, quarter_tone);
    expect_tone(1600, 0.125f, 1e-4f);
    make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 1, one_tone);
    expect_tone(1, 1.0f, 1e-4f);
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 0, one_tone);
    expect_tone(0, 1.0f, 1e-4f);
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1600, silence);
    expect_tone(1600, 0.0f, 1e-9f);
#ifdef GEMLET_HAVE_SAMPLERATE
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 192000, 1, 19200, fast_tone);
    expect_tone(1600, 1.0f, 1e-3f);
#endif
}

static void a_clipped_file_is_heard_as_it_is(void **state) {
    (void)state;
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 1600, clipped);
    assert_int_equal(read_made(made.count, &file, &error), GEMLET_OK);
    for (size_t i = 0; i < file.count; i++) {
        assert_true(file.samples[i] == clipped(i, 0));
    }
    sound_free(&file);
}

static void expect_refusal(size_t bytes, const char *message) {
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(read_made(bytes, &file, &error), GEMLET_ERROR_FORMAT);
    assert_null(file.samples);
    if (strstr(error.message, message) == NULL) {
        fail_msg("expected \"%s\", found \"%s\"", message, error.message);
    }
}

static void what_is_no_number_is_refused(void **state) {
    (void)state;
    make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 1600, one_nan);
    expect_refusal(made.count, "made: is no finite number at sample 700");
    make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 2, 1600, one_infinity);
    expect_refusal(made.count, "made: is no finite number at sample 700");
}

#ifdef GEMLET_HAVE_SAMPLERATE
static float loudest(size_t frame, int channel) {
    (void)channel;
    return frame % 5 < 3 ? 3.4e38f : -3.4e38f;
}

static void what_is_too_loud_to_be_resampled_is_refused(void **state) {
    (void)state;
    make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 22050, 1, 1600, loudest);
    expect_refusal(made.count, "made: is too loud to be resampled at sample ");
}
#endif

/* Behind the sound's format, a list of `length` bytes, of which there are 80; in memory and from a file. */
static void expect_list(uint32_t length, const char *message) {
    char path[TEMPORARY_BYTES];
    uint8_t list[88] = "LIST";
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 100, one_tone);
    memset(list + 8, 0xFF, 80);
    for (size_t i = 0; i < 4; i++) {
        list[4 + i] = (uint8_t)(length >> 8 * i);
    }
    memmove(made.bytes + 36 + sizeof list, made.bytes + 36, made.count - 36);
    memcpy(made.bytes + 36, list, sizeof list);
    made.count += sizeof list;
    int out = temporary_file(path);
    assert_int_equal(write(out, made.bytes, made.count), (ssize_t)made.count);
    close(out);
    gemlet_status status = read_made(made.count, &file, &error);
    assert_int_equal(status, message == NULL ? GEMLET_OK : GEMLET_ERROR_FORMAT);
    assert_int_equal(file.count, message == NULL ? 100 : 0);
    assert_true(message == NULL || strcmp(error.message, message) == 0);
    sound_free(&file);
    error.message[0] = '\0';
    assert_int_equal(sound_read(&file, path, &plain, &error), status);
    assert_true(message == NULL || strcmp(strchr(error.message, ':'), strchr(message, ':')) == 0);
    sound_free(&file);
    remove(path);
}

/* Who writes into a named pipe writes once: it is opened once, and nothing of it is lost. */
static void a_named_pipe_is_read_once(void **state) {
    (void)state;
    char folder[TEMPORARY_BYTES], path[TEMPORARY_BYTES + 8];
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1600, one_tone);
    temporary_folder(folder);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        int to = open(path, O_WRONLY);
        _exit(write(to, made.bytes, made.count) == (ssize_t)made.count ? 0 : 1);
    }
    alarm(60); /* a second opening would wait for a second writer */
    gemlet_status status = sound_read(&file, path, &plain, &error);
    alarm(0);
    int code = 1;
    assert_int_equal(waitpid(writer, &code, 0), writer);
    remove(path);
    remove(folder);
    assert_int_equal(code, 0);
    assert_int_equal(status, GEMLET_OK);
    assert_int_equal(file.count, 1600);
    sound_free(&file);
}

/* libsndfile 1.2.0 does not come back from a list that is longer than the file. */
static void lists_that_end_beyond_the_file(void **state) {
    (void)state;
    static const uint32_t beyond[] = {80 + 200 + 8 + 1, 65536, 0x7FFFFFFF, 0xFFFF0008, 0xFFFFFFF8, 0xFFFFFFFF};
    expect_list(80, NULL);
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        expect_list(beyond[i], "made: is damaged: its chunk \"LIST\" ends beyond it");
    }
}

static void too_many_chunks_are_told(void **state) {
    (void)state;
    static const uint8_t empty[8] = "junk";
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1, one_tone);
    for (size_t i = 0; i < 10001; i++, made.count += sizeof empty) {
        memcpy(made.bytes + made.count, empty, sizeof empty);
    }
    expect_refusal(made.count, "made: is damaged: its chunk \"junk\" is behind 10,000 others");
}

/* What is left of a file is heard, or it is refused; never more than was there. */
static void cut_off_anywhere(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        make(formats[f], 16000, 2, 3000, one_tone);
        expect_refusal(0, "made: ");
        for (size_t bytes = 1; bytes < made.count; bytes += 1 + bytes / 16) {
            sound_file file;
            gemlet_error error = {GEMLET_OK, ""};
            gemlet_status status = read_made(bytes, &file, &error);
            assert_true(status == GEMLET_OK ? file.count <= 3000
                                            : file.samples == NULL && strncmp(error.message, "made: ", 6) == 0);
            sound_free(&file);
        }
    }
}

static void damaged_anywhere(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    uint32_t random = 1;
    size_t refused = 0;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        make(formats[f], 16000, 1, 2000, one_tone);
        for (size_t i = 0; i < 300; i++) {
            random = random * 1664525u + 1013904223u;
            size_t at = i < 60 ? i : (random >> 8) % made.count;
            uint8_t kept = made.bytes[at];
            sound_file file;
            gemlet_error error = {GEMLET_OK, ""};
            made.bytes[at] = (uint8_t)(kept ^ (1u << (random >> 29)));
            gemlet_status status = read_made(made.count, &file, &error);
            for (size_t j = 0; j < file.count; j++) {
                assert_true(isfinite(file.samples[j]));
            }
            assert_true(status == GEMLET_OK || error.message[0] != '\0');
            refused += status != GEMLET_OK;
            sound_free(&file);
            made.bytes[at] = kept;
        }
    }
    assert_in_range(refused, 1, 599);
}

static void thirty_seconds_of_any_rate(void **state) {
    (void)state;
    static const int rates[] = {8000, 11025, 16000};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        sound_file file;
        gemlet_error error = {GEMLET_OK, ""};
        options cutting = plain;
        make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, rates[r], 1, (size_t)SOUND_SECONDS * (size_t)rates[r], silence);
        assert_int_equal(read_made(made.count, &file, &error), GEMLET_OK);
        assert_in_range(file.count, SOUND_SECONDS * GEMLET_SAMPLE_RATE - 1, SOUND_SECONDS * GEMLET_SAMPLE_RATE);
        sound_free(&file);
        make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, rates[r], 1, (size_t)SOUND_SECONDS * (size_t)rates[r] + 1, silence);
        assert_int_equal(read_made(made.count, &file, &error), GEMLET_ERROR_UNSUPPORTED);
        cutting.cut_sound = true;
        assert_int_equal(sound_read_bytes(&file, made.bytes, made.count, "made", &cutting, &error), GEMLET_OK);
        assert_in_range(file.count, SOUND_SECONDS * GEMLET_SAMPLE_RATE - 1, SOUND_SECONDS * GEMLET_SAMPLE_RATE);
        sound_free(&file);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_as_it_is_written),
        cmocka_unit_test(more_than_is_held_waits_in_the_pipe),
#ifdef GEMLET_HAVE_SAMPLERATE
        cmocka_unit_test(any_cut_gives_the_same),
#endif
#ifdef GEMLET_HAVE_SNDFILE
        cmocka_unit_test(files_of_all_kinds),
        cmocka_unit_test(a_clipped_file_is_heard_as_it_is),
        cmocka_unit_test(what_is_no_number_is_refused),
#ifdef GEMLET_HAVE_SAMPLERATE
        cmocka_unit_test(what_is_too_loud_to_be_resampled_is_refused),
#endif
        cmocka_unit_test(a_named_pipe_is_read_once),
        cmocka_unit_test(lists_that_end_beyond_the_file),
        cmocka_unit_test(too_many_chunks_are_told),
        cmocka_unit_test(cut_off_anywhere),
        cmocka_unit_test(damaged_anywhere),
        cmocka_unit_test(thirty_seconds_of_any_rate),
#endif
    };
    return cmocka_run_group_tests_name("sound source", tests, NULL, NULL);
}
