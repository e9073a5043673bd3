#include "examples/gemlet/sound_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16 /* bytes: what a pipe holds */ };

static size_t sample_bytes(const sound_raw *r) {
    return r->is_float ? sizeof(float) : sizeof(int16_t);
}

int sound_raw_open(sound_raw *r, const char *path, bool is_float, uint32_t rate, uint32_t seconds) {
    bool standard = strcmp(path, "-") == 0;
    *r = (sound_raw){.is_ours = !standard, .is_float = is_float};
    r->most = (size_t)rate * seconds * sample_bytes(r) + PIECE;
    r->descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    return r->descriptor < 0 ? errno : 0;
}

void sound_raw_close(sound_raw *r) {
    if (r->is_ours && r->descriptor >= 0) {
        close(r->descriptor);
    }
    free(r->bytes);
    *r = (sound_raw){.descriptor = -1};
}

/* Room for a piece behind what is held; false where there is none. */
static bool make_room(sound_raw *r) {
    if (r->begin > 0) {
        memmove(r->bytes, r->bytes + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->capacity - r->end >= PIECE) {
        return true;
    }
    size_t capacity = r->end + PIECE > 2 * r->capacity ? r->end + PIECE : 2 * r->capacity;
    uint8_t *grown = r->end + PIECE <= r->most ? realloc(r->bytes, capacity) : NULL;
    if (grown != NULL) {
        r->bytes = grown;
        r->capacity = capacity;
    }
    return grown != NULL;
}

static void read_once(sound_raw *r) {
    ssize_t count;
    do {
        count = read(r->descriptor, r->bytes + r->end, PIECE);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        r->failure = errno;
    }
    r->ended = count <= 0;
    r->end += count > 0 ? (size_t)count : 0;
}

static void take(sound_raw *r, float *samples, size_t count) {
    const uint8_t *from = r->bytes + r->begin;
    for (size_t i = 0; i < count; i++) {
        int16_t whole;
        if (r->is_float) {
            memcpy(&samples[i], from + i * sizeof(float), sizeof(float));
        } else {
            memcpy(&whole, from + i * sizeof whole, sizeof whole);
            samples[i] = (float)whole / 32768.0f;
        }
    }
    r->begin += count * sample_bytes(r);
}

size_t sound_raw_read(sound_raw *r, float *samples, size_t count) {
    while (!r->ended && r->end - r->begin < sample_bytes(r)) {
        if (!make_room(r)) {
            r->failure = ENOMEM;
            r->ended = true;
        } else {
            read_once(r);
        }
    }
    size_t there = r->failure == 0 ? (r->end - r->begin) / sample_bytes(r) : 0;
    count = there < count ? there : count;
    if (count > 0) {
        take(r, samples, count);
    }
    return count;
}

void sound_raw_drain(sound_raw *r) {
    struct pollfd waiting = {.fd = r->descriptor, .events = POLLIN};
    while (!r->ended && poll(&waiting, 1, 0) > 0 && make_room(r)) {
        read_once(r);
    }
}
