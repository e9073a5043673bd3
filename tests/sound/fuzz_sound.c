/* libFuzzer: any bytes as a sound of the program: raw samples from a pipe, and files in memory of the uncompressed kinds (WAV of
 * any sort, AIFF, AU, CAF), whose reader is libsndfile; other kinds are other libraries' and are not tried.  Byte 0: raw (1), of
 * floats (2), cut where it is too long (4), at another rate (8); bytes 1 and 2 that rate.  Seeds are make_seeds.py's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/gemlet/sound.h"

enum { HEADER = 3, MOST_RAW = 1 << 15, MOST_SAMPLES = SOUND_SECONDS * GEMLET_SAMPLE_RATE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Samples of a sound are finite, as many as there may be; one that is refused says why and takes no memory. */
static void check(gemlet_status status, sound_file *file, const gemlet_error *error) {
    if (status != GEMLET_OK &&
        (file->samples != NULL || file->count != 0 || error->status != status || error->message[0] == '\0')) {
        abort();
    }
    if (file->count > MOST_SAMPLES) {
        abort();
    }
    for (size_t i = 0; i < file->count; i++) {
        if (!isfinite(file->samples[i])) {
            abort();
        }
    }
    sound_free(file);
}

static void read_raw(const uint8_t *data, size_t size, const options *o) {
    sound_file file;
    gemlet_error error = {GEMLET_OK, ""};
    int ends[2], kept = dup(STDIN_FILENO);
    size = size < MOST_RAW ? size : MOST_RAW; /* what a pipe holds */
    if (pipe(ends) != 0 || write(ends[1], data, size) != (ssize_t)size || dup2(ends[0], STDIN_FILENO) < 0) {
        abort();
    }
    close(ends[0]);
    close(ends[1]);
    check(sound_read(&file, "-", o, &error), &file, &error);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
}

/* Uncompressed, as libsndfile reads it by itself. */
static bool is_plain(const uint8_t *data, size_t size) {
    static const char *const kinds[] = {"RIFF", "RIFX", "RF64", "FORM", ".snd", "caff"};
    for (size_t i = 0; size >= 4 && i < sizeof kinds / sizeof *kinds; i++) {
        if (memcmp(data, kinds[i], 4) == 0) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEADER) {
        return 0;
    }
    const options o = {.raw_sound = (data[0] & 2) != 0 ? OPTIONS_RAW_F32 : 1,
                       .cut_sound = (data[0] & 4) != 0,
                       .sound_rate = (data[0] & 8) != 0 ? 1u + data[1] + 256u * data[2] : 0};
    if ((data[0] & 1) != 0) {
        read_raw(data + HEADER, size - HEADER, &o);
    } else if (is_plain(data + HEADER, size - HEADER)) {
        sound_file file;
        gemlet_error error = {GEMLET_OK, ""};
        check(sound_read_bytes(&file, data + HEADER, size - HEADER, "sound", &o, &error), &file, &error);
    }
    return 0;
}
