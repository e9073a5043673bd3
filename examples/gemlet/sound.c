#include "examples/gemlet/sound.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = SOUND_SECONDS * GEMLET_SAMPLE_RATE };

static gemlet_status read_all(sound_source *s, sound_file *file) {
    const float *samples = NULL;
    size_t count = 0;
    gemlet_status status = GEMLET_OK;
    sound_limit(s);
    file->samples = malloc((size_t)MOST * sizeof *file->samples);
    if (file->samples == NULL) {
        return gemlet_fail(s->error, GEMLET_ERROR_MEMORY, "out of memory for a sound");
    }
    while (status == GEMLET_OK && (status = sound_next(s, &samples, &count)) == GEMLET_OK && count > 0) {
        memcpy(file->samples + file->count, samples, count * sizeof *samples);
        file->count += count;
    }
    return status;
}

static gemlet_status read_source(sound_source *s, gemlet_status status, sound_file *file) {
    *file = (sound_file){NULL, 0};
    if (status == GEMLET_OK) {
        status = read_all(s, file);
    }
    sound_close(s);
    if (status != GEMLET_OK) {
        sound_free(file);
    }
    return status;
}

gemlet_status sound_read(sound_file *file, const char *path, const options *o, gemlet_error *error) {
    sound_source source;
    gemlet_status status = sound_open(&source, path, o, error);
    return read_source(&source, status, file);
}

gemlet_status sound_read_bytes(sound_file *file, const uint8_t *bytes, size_t count, const char *name, const options *o,
                               gemlet_error *error) {
    sound_source source;
    gemlet_status status = sound_open_bytes(&source, bytes, count, name, o, error);
    return read_source(&source, status, file);
}

void sound_free(sound_file *file) {
    free(file->samples);
    *file = (sound_file){NULL, 0};
}

gemlet_sound sound_of(const sound_file *file) {
    return (gemlet_sound){GEMLET_SAMPLES_F32, file->samples, file->count};
}
