#include "examples/gemlet/sound_source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef GEMLET_HAVE_SNDFILE
#include <sndfile.h>
#endif
#ifdef GEMLET_HAVE_SAMPLERATE
#include <samplerate.h>
#endif

#include "examples/gemlet/program.h"
#include "examples/gemlet/sound_riff.h"
#include <gemlet/sound.h>

enum { LEAST_RATE = 1000, MOST_RATE = 768000, MOST_CHANNELS = 64 };

static gemlet_status fail(const sound_source *s, gemlet_status status, const char *text) {
    gemlet_fail(s->error, status, s->name);
    gemlet_error_text(s->error, ": ");
    gemlet_error_text(s->error, text);
    return status;
}

static gemlet_status fail_number(const sound_source *s, gemlet_status status, const char *text, size_t number) {
    fail(s, status, text);
    gemlet_error_number(s->error, number);
    return status;
}

/* ---- Frames of a file ---- */

/* 0 at the end. */
static size_t read_frames(sound_source *s) {
#ifdef GEMLET_HAVE_SNDFILE
    if (s->file != NULL) {
        sf_count_t count = sf_readf_float(s->file, s->frames, SOUND_BLOCK);
        return count > 0 ? (size_t)count : 0;
    }
#endif
    return sound_raw_read(&s->raw, s->frames, SOUND_BLOCK);
}

/* Whether the end is the end of the sound. */
static gemlet_status check_end(sound_source *s) {
    s->ended = true;
#ifdef GEMLET_HAVE_SNDFILE
    if (s->file != NULL && sf_error(s->file) != SF_ERR_NO_ERROR) {
        return fail(s, GEMLET_ERROR_FORMAT, sf_strerror(s->file));
    }
#endif
    return s->raw.failure == 0 ? GEMLET_OK : fail(s, GEMLET_ERROR_IO, strerror(s->raw.failure));
}

static float average(const float *frame, size_t channels) {
    float sum = 0.0f;
    for (size_t c = 0; c < channels; c++) {
        sum += frame[c];
    }
    return sum / (float)channels;
}

/* The next frames, as one channel. */
static gemlet_status read_mono(sound_source *s) {
    size_t count = read_frames(s);
    s->pending = 0;
    s->pending_count = 0;
    if (count == 0) {
        return check_end(s);
    }
    s->reads++;
    if (count > s->most - s->taken) {
        if (!s->options->cut_sound) {
            bool file = s->memory.bytes == NULL; /* what came to a server can't be cut by an option */
            return fail_number(s, GEMLET_ERROR_UNSUPPORTED,
                               file ? "is longer than the model hears at once (--cut-sound leaves out the rest), seconds: "
                                    : "is longer than the model hears at once, seconds: ",
                               SOUND_SECONDS);
        }
        count = s->most - s->taken;
        s->ended = true;
    }
    for (size_t i = 0; i < count; i++) {
        s->mono[i] = average(s->frames + i * s->channels, s->channels);
        if (!isfinite(s->mono[i])) {
            return fail_number(s, GEMLET_ERROR_FORMAT, "is no finite number at sample ", s->taken + i);
        }
    }
    s->taken += count;
    s->pending_count = count;
    return GEMLET_OK;
}

/* ---- To the models' rate ---- */

static gemlet_status open_resampler(sound_source *s) {
    if (s->rate == GEMLET_SAMPLE_RATE) {
        return GEMLET_OK;
    }
#ifdef GEMLET_HAVE_SAMPLERATE
    int failed = 0;
    s->resampler = src_new(SRC_SINC_BEST_QUALITY, 1, &failed);
    return s->resampler != NULL ? GEMLET_OK : fail(s, GEMLET_ERROR_MEMORY, src_strerror(failed));
#else
    return fail_number(s, GEMLET_ERROR_UNSUPPORTED, "must have 16000 samples a second, as this build lacks libsamplerate, but has ",
                       s->rate);
#endif
}

/* Of what is pending, and at the end of what the resampler keeps. */
static gemlet_status resample(sound_source *s, size_t *count) {
#ifdef GEMLET_HAVE_SAMPLERATE
    SRC_DATA data = {.data_in = s->mono + s->pending,
                     .input_frames = (long)s->pending_count,
                     .data_out = s->resampled,
                     .output_frames = SOUND_BLOCK,
                     .src_ratio = (double)GEMLET_SAMPLE_RATE / (double)s->rate,
                     .end_of_input = s->ended};
    int failed = src_process(s->resampler, &data);
    if (failed != 0) {
        return fail(s, GEMLET_ERROR_UNSUPPORTED, src_strerror(failed));
    }
    s->pending += (size_t)data.input_frames_used;
    s->pending_count -= (size_t)data.input_frames_used;
    *count = (size_t)data.output_frames_gen;
    for (size_t i = 0; i < *count; i++) {
        if (!isfinite(s->resampled[i])) { /* of samples that were, but close to the largest numbers */
            return fail_number(s, GEMLET_ERROR_FORMAT, "is too loud to be resampled at sample ", s->given + i);
        }
    }
#else
    (void)s;
    *count = 0;
#endif
    return GEMLET_OK;
}

/* One step towards the next samples. */
static gemlet_status step(sound_source *s, const float **samples, size_t *count) {
    gemlet_status status = s->pending_count == 0 && !s->ended ? read_mono(s) : GEMLET_OK;
    if (status == GEMLET_OK && s->resampler != NULL) {
        *samples = s->resampled;
        return resample(s, count);
    }
    *samples = s->mono;
    *count = s->pending_count;
    s->pending_count = 0;
    return status;
}

gemlet_status sound_next(sound_source *s, const float **samples, size_t *count) {
    gemlet_status status = GEMLET_OK;
    bool last = false;
    *count = 0;
    while (status == GEMLET_OK && *count == 0 && !last) {
        last = s->ended && s->pending_count == 0;
        status = step(s, samples, count);
    }
    *count = *count < s->most_given - s->given ? *count : s->most_given - s->given;
    s->given += *count;
    return status;
}

/* ---- Opening ---- */

static gemlet_status prepare(sound_source *s) {
    if (s->rate < LEAST_RATE || s->rate > MOST_RATE) {
        return fail_number(s, GEMLET_ERROR_UNSUPPORTED, "must have 1000 to 768000 samples a second, but has ", s->rate);
    }
    if (s->channels < 1 || s->channels > MOST_CHANNELS) {
        return fail_number(s, GEMLET_ERROR_UNSUPPORTED, "must have 1 to 64 channels, but has ", s->channels);
    }
    s->frames = malloc((size_t)SOUND_BLOCK * (s->channels + 2) * sizeof *s->frames);
    if (s->frames == NULL) {
        return fail(s, GEMLET_ERROR_MEMORY, "out of memory");
    }
    s->mono = s->frames + (size_t)SOUND_BLOCK * s->channels;
    s->resampled = s->mono + SOUND_BLOCK;
    return open_resampler(s);
}

static gemlet_status open_raw(sound_source *s, const char *path) {
    s->rate = s->options->sound_rate != 0 ? s->options->sound_rate : GEMLET_SAMPLE_RATE;
    s->channels = 1;
    s->is_raw = true;
    int failure = sound_raw_open(&s->raw, path, s->options->raw_sound == OPTIONS_RAW_F32, s->rate, SOUND_SECONDS);
    return failure == 0 ? prepare(s) : fail(s, GEMLET_ERROR_IO, strerror(failure));
}

#ifdef GEMLET_HAVE_SNDFILE
static sf_count_t memory_size(void *context) {
    return (sf_count_t)((const sound_bytes *)context)->count;
}

static sf_count_t memory_tell(void *context) {
    return (sf_count_t)((const sound_bytes *)context)->at;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *context) {
    sound_bytes *m = context;
    sf_count_t from = whence == SEEK_CUR ? (sf_count_t)m->at : whence == SEEK_END ? (sf_count_t)m->count : 0;
    sf_count_t most = (sf_count_t)m->count;
    if (offset < -from || offset > most - from) {
        return -1;
    }
    m->at = (size_t)(from + offset);
    return (sf_count_t)m->at;
}

static sf_count_t memory_read(void *to, sf_count_t count, void *context) {
    sound_bytes *m = context;
    size_t left = m->count - m->at;
    size_t taken = count < 0 ? 0 : (size_t)count < left ? (size_t)count : left;
    memcpy(to, m->bytes + m->at, taken);
    m->at += taken;
    return (sf_count_t)taken;
}

static size_t memory_read_at(void *context, uint64_t offset, void *out, size_t count) {
    sound_bytes *m = context;
    return memory_seek((sf_count_t)offset, SEEK_SET, m) < 0 ? 0 : (size_t)memory_read(out, (sf_count_t)count, m);
}

static size_t file_read_at(void *context, uint64_t offset, void *out, size_t count) {
    FILE *file = context;
    return fseeko(file, (off_t)offset, SEEK_SET) == 0 ? fread(out, 1, count, file) : 0;
}

static gemlet_status check_riff(const sound_source *s, const sound_riff_file *file) {
    char name[5];
    const char *problem = sound_riff_problem(file, name);
    if (problem == NULL) {
        return GEMLET_OK;
    }
    fail(s, GEMLET_ERROR_FORMAT, "is damaged: its chunk \"");
    gemlet_error_text(s->error, name);
    gemlet_error_text(s->error, "\" ");
    gemlet_error_text(s->error, problem);
    return GEMLET_ERROR_FORMAT;
}

/* Only a file can be looked at before it is read: who writes into a pipe has gone when it is opened again. */
static gemlet_status check_frame(sound_source *s, const char *path) {
    if (s->memory.bytes != NULL) {
        gemlet_status status = check_riff(s, &(sound_riff_file){memory_read_at, &s->memory, s->memory.count});
        s->memory.at = 0;
        return status;
    }
    struct stat facts;
    bool is_file = strcmp(path, "-") != 0 && stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
    FILE *file = is_file ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        return GEMLET_OK; /* sf_open says why */
    }
    off_t size = fseeko(file, 0, SEEK_END) == 0 ? ftello(file) : 0;
    gemlet_status status = size > 0 ? check_riff(s, &(sound_riff_file){file_read_at, file, (uint64_t)size}) : GEMLET_OK;
    fclose(file);
    return status;
}

static SNDFILE *open_sound(const char *path, sound_bytes *memory, SF_INFO *facts) {
    SF_VIRTUAL_IO calls = {memory_size, memory_seek, memory_read, NULL, memory_tell};
    return memory->bytes != NULL    ? sf_open_virtual(&calls, SFM_READ, facts, memory)
           : strcmp(path, "-") == 0 ? sf_open_fd(0, SFM_READ, facts, SF_FALSE)
                                    : sf_open(path, SFM_READ, facts);
}
#endif

/* The file that lies in memory, where there is one, else the one at `path`. */
static gemlet_status open_file(sound_source *s, const char *path) {
#ifdef GEMLET_HAVE_SNDFILE
    SF_INFO facts = {0};
    gemlet_status status = check_frame(s, path);
    if (status != GEMLET_OK) {
        return status;
    }
    s->file = open_sound(path, &s->memory, &facts);
    if (s->file == NULL) {
        return fail(s, GEMLET_ERROR_FORMAT, sf_strerror(NULL));
    }
    s->rate = facts.samplerate > 0 ? (uint32_t)facts.samplerate : 0;
    s->channels = facts.channels > 0 ? (uint32_t)facts.channels : 0;
    return prepare(s);
#else
    (void)path;
    return fail(s, GEMLET_ERROR_UNSUPPORTED, "this build lacks libsndfile and takes raw samples only (--raw-sound)");
#endif
}

static void begin(sound_source *s, const char *name, const options *o, gemlet_error *error) {
    *s = (sound_source){.name = name, .options = o, .error = error, .raw.descriptor = -1, .most = SIZE_MAX, .most_given = SIZE_MAX};
}

gemlet_status sound_open(sound_source *s, const char *path, const options *o, gemlet_error *error) {
    begin(s, program_input(path), o, error);
    return o->raw_sound != 0 ? open_raw(s, path) : open_file(s, path);
}

gemlet_status sound_open_bytes(sound_source *s, const uint8_t *bytes, size_t count, const char *name, const options *o,
                               gemlet_error *error) {
    begin(s, name, o, error);
    s->memory = (sound_bytes){bytes, count, 0};
    return open_file(s, "");
}

void sound_close(sound_source *s) {
#ifdef GEMLET_HAVE_SNDFILE
    if (s->file != NULL) {
        sf_close(s->file);
    }
#endif
#ifdef GEMLET_HAVE_SAMPLERATE
    if (s->resampler != NULL) {
        src_delete(s->resampler);
    }
#endif
    if (s->is_raw) {
        sound_raw_close(&s->raw);
    }
    free(s->frames);
    *s = (sound_source){.raw.descriptor = -1};
}

void sound_limit(sound_source *s) {
    s->most = (size_t)SOUND_SECONDS * s->rate;
    s->most_given = (size_t)SOUND_SECONDS * GEMLET_SAMPLE_RATE;
}

void sound_drain(sound_source *s) {
    if (s->is_raw) {
        sound_raw_drain(&s->raw);
    }
}
