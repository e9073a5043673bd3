#include "examples/gemlet/sound.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef GEMLET_HAVE_SNDFILE
#include <sndfile.h>
#endif
#ifdef GEMLET_HAVE_SAMPLERATE
#include <samplerate.h>
#endif

enum { LEAST_RATE = 1000, MOST_RATE = 768000, MOST_CHANNELS = 64, BLOCK = 4096 /* frames that are read together */ };

/* A file that is read: frames of `channels` samples. */
typedef struct reader {
    const char *name;
    const options *options;
    gemlet_error *error;
    uint32_t rate, channels;
    FILE *raw; /* NULL: not raw */
#ifdef GEMLET_HAVE_SNDFILE
    SNDFILE *file;
#endif
} reader;

static gemlet_status fail(const reader *r, gemlet_status status, const char *text) {
    gemlet_fail(r->error, status, r->name);
    gemlet_error_text(r->error, ": ");
    gemlet_error_text(r->error, text);
    return status;
}

static gemlet_status fail_number(const reader *r, const char *text, size_t number) {
    fail(r, GEMLET_ERROR_UNSUPPORTED, text);
    gemlet_error_number(r->error, number);
    return GEMLET_ERROR_UNSUPPORTED;
}

/* At most BLOCK frames; 0 at the end. */
static size_t read_raw(const reader *r, float *frames) {
    int16_t whole[BLOCK];
    if (r->options->raw_sound == OPTIONS_RAW_F32) {
        return fread(frames, sizeof *frames, BLOCK, r->raw);
    }
    size_t count = fread(whole, sizeof *whole, BLOCK, r->raw);
    for (size_t i = 0; i < count; i++) {
        frames[i] = (float)whole[i] / 32768.0f;
    }
    return count;
}

static size_t read_frames(const reader *r, float *frames) {
#ifdef GEMLET_HAVE_SNDFILE
    if (r->file != NULL) {
        sf_count_t count = sf_readf_float(r->file, frames, BLOCK);
        return count > 0 ? (size_t)count : 0;
    }
#endif
    return read_raw(r, frames);
}

static float average(const float *frame, size_t channels) {
    float sum = 0.0f;
    for (size_t c = 0; c < channels; c++) {
        sum += frame[c];
    }
    return sum / (float)channels;
}

/* All frames, one channel; what is beyond the longest as the options say. */
static gemlet_status read_all(const reader *r, sound_file *file) {
    size_t most = (size_t)SOUND_SECONDS * r->rate;
    float *frames = malloc((size_t)BLOCK * r->channels * sizeof *frames);
    file->samples = malloc((most + 1) * sizeof *file->samples);
    if (frames == NULL || file->samples == NULL) {
        free(frames);
        return fail(r, GEMLET_ERROR_MEMORY, "out of memory");
    }
    gemlet_status status = GEMLET_OK;
    for (size_t count = 0; status == GEMLET_OK && file->count <= most && (count = read_frames(r, frames)) > 0;) {
        for (size_t i = 0; i < count && file->count <= most && status == GEMLET_OK; i++) {
            float sample = average(frames + i * r->channels, r->channels);
            file->samples[file->count++] = sample;
            if (!isfinite(sample)) {
                fail(r, GEMLET_ERROR_FORMAT, "is no finite number at sample ");
                gemlet_error_number(r->error, file->count - 1);
                status = GEMLET_ERROR_FORMAT;
            }
        }
    }
    free(frames);
    if (status == GEMLET_OK && r->raw != NULL && ferror(r->raw)) {
        return fail(r, GEMLET_ERROR_IO, strerror(errno));
    }
    if (status == GEMLET_OK && file->count > most) {
        file->count = most;
        if (!r->options->cut_sound) {
            fail(r, GEMLET_ERROR_UNSUPPORTED,
                 "is longer than the model hears at once (--cut-sound leaves out the rest), seconds: ");
            gemlet_error_number(r->error, SOUND_SECONDS);
            return GEMLET_ERROR_UNSUPPORTED;
        }
    }
    return status;
}

static gemlet_status resample(const reader *r, sound_file *file) {
    if (r->rate == GEMLET_SAMPLE_RATE) {
        return GEMLET_OK;
    }
#ifdef GEMLET_HAVE_SAMPLERATE
    double ratio = (double)GEMLET_SAMPLE_RATE / (double)r->rate;
    size_t most = (size_t)((double)file->count * ratio) + 1;
    float *samples = malloc(most * sizeof *samples);
    SRC_DATA data = {.data_in = file->samples, .data_out = samples, .input_frames = (long)file->count, .src_ratio = ratio};
    data.output_frames = (long)((double)file->count * ratio);
    int failed = samples != NULL ? src_simple(&data, SRC_SINC_BEST_QUALITY, 1) : -1;
    if (failed != 0) {
        free(samples);
        return fail(r, GEMLET_ERROR_MEMORY, samples == NULL ? "out of memory" : src_strerror(failed));
    }
    free(file->samples);
    file->samples = samples;
    file->count = (size_t)data.output_frames_gen;
    return GEMLET_OK;
#else
    (void)file;
    return fail_number(r, "must have 16000 samples a second, as this build lacks libsamplerate, but has ", r->rate);
#endif
}

static gemlet_status read_open(const reader *r, sound_file *file) {
    if (r->rate < LEAST_RATE || r->rate > MOST_RATE) {
        return fail_number(r, "must have 1000 to 768000 samples a second, but has ", r->rate);
    }
    if (r->channels < 1 || r->channels > MOST_CHANNELS) {
        return fail_number(r, "must have 1 to 64 channels, but has ", r->channels);
    }
    gemlet_status status = read_all(r, file);
    return status == GEMLET_OK ? resample(r, file) : status;
}

static gemlet_status read_raw_file(reader *r, const char *path, sound_file *file) {
    bool standard = strcmp(path, "-") == 0;
    r->raw = standard ? stdin : fopen(path, "rb");
    if (r->raw == NULL) {
        return fail(r, GEMLET_ERROR_IO, strerror(errno));
    }
    r->rate = r->options->sound_rate != 0 ? r->options->sound_rate : GEMLET_SAMPLE_RATE;
    r->channels = 1;
    gemlet_status status = read_open(r, file);
    if (!standard) {
        fclose(r->raw);
    }
    return status;
}

static gemlet_status read_sound_file(reader *r, const char *path, sound_file *file) {
#ifdef GEMLET_HAVE_SNDFILE
    SF_INFO facts = {0};
    r->file = strcmp(path, "-") == 0 ? sf_open_fd(0, SFM_READ, &facts, SF_FALSE) : sf_open(path, SFM_READ, &facts);
    if (r->file == NULL) {
        return fail(r, GEMLET_ERROR_FORMAT, sf_strerror(NULL));
    }
    r->rate = facts.samplerate > 0 ? (uint32_t)facts.samplerate : 0;
    r->channels = facts.channels > 0 ? (uint32_t)facts.channels : 0;
    gemlet_status status = read_open(r, file);
    sf_close(r->file);
    return status;
#else
    (void)path;
    (void)file;
    return fail(r, GEMLET_ERROR_UNSUPPORTED, "this build lacks libsndfile and takes raw samples only (--raw-sound)");
#endif
}

gemlet_status sound_read(sound_file *file, const char *path, const options *o, gemlet_error *error) {
    reader r = {.name = strcmp(path, "-") == 0 ? "standard input" : path, .options = o, .error = error};
    *file = (sound_file){NULL, 0};
    gemlet_status status = o->raw_sound != 0 ? read_raw_file(&r, path, file) : read_sound_file(&r, path, file);
    if (status != GEMLET_OK) {
        sound_free(file);
    }
    return status;
}

void sound_free(sound_file *file) {
    free(file->samples);
    *file = (sound_file){NULL, 0};
}

gemlet_sound sound_of(const sound_file *file) {
    return (gemlet_sound){GEMLET_SAMPLES_F32, file->samples, file->count};
}
