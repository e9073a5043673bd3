#include "examples/gemlet/sound_riff.h"

#include <string.h>

enum { HEADER = 12, CHUNK = 8, MOST_CHUNKS = 10000 };

static uint64_t number(const uint8_t *bytes, bool big) {
    uint64_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        value = value << 8 | bytes[big ? i : 3 - i];
    }
    return value;
}

static bool is(const uint8_t *bytes, const char *name) {
    return memcmp(bytes, name, 4) == 0;
}

/* A name that can be printed. */
static void tell(const uint8_t *bytes, char name[5]) {
    for (size_t i = 0; i < 4; i++) {
        name[i] = bytes[i] >= ' ' && bytes[i] < 0x7F ? (char)bytes[i] : '?';
    }
    name[4] = '\0';
}

const char *sound_riff_problem(const sound_riff_file *file, char name[5]) {
    uint8_t bytes[HEADER];
    if (file->read_at(file->context, 0, bytes, HEADER) < HEADER || !(is(bytes, "RIFF") || is(bytes, "RIFX") || is(bytes, "RF64"))) {
        return NULL;
    }
    const bool big = is(bytes, "RIFX");
    uint64_t at = HEADER;
    for (size_t chunks = 0; file->read_at(file->context, at, bytes, CHUNK) == CHUNK; chunks++) {
        const uint64_t length = number(bytes + 4, big), left = file->size - at - CHUNK;
        tell(bytes, name);
        if (chunks == MOST_CHUNKS) {
            return "is behind 10,000 others";
        }
        if (length > left) {
            return is(bytes, "data") ? NULL : "ends beyond it";
        }
        at += CHUNK + length + length % 2;
    }
    return NULL;
}
