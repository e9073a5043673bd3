#include "core/utf8.h"

static size_t expected_length(unsigned char lead) {
    if (lead < 0x80) {
        return 1;
    }
    if ((lead & 0xE0) == 0xC0) {
        return 2;
    }
    if ((lead & 0xF0) == 0xE0) {
        return 3;
    }
    return (lead & 0xF8) == 0xF0 ? 4 : 0;
}

static bool is_valid(uint32_t character, size_t length) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    return character >= least[length] && character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF);
}

int gemlet_utf8_read(const unsigned char *text, size_t bytes, uint32_t *character) {
    size_t length = expected_length(text[0]);
    if (length <= 1) {
        *character = text[0];
        return length == 1 ? 1 : -1;
    }
    uint32_t value = text[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (i == bytes) {
            return 0;
        }
        if ((text[i] & 0xC0) != 0x80) {
            return -1;
        }
        value = value << 6 | (text[i] & 0x3Fu);
    }
    *character = value;
    return is_valid(value, length) ? (int)length : -1;
}

bool gemlet_utf8_valid(const unsigned char *text, size_t bytes) {
    uint32_t character;
    for (size_t i = 0; i < bytes;) {
        int length = gemlet_utf8_read(text + i, bytes - i, &character);
        if (length <= 0) {
            return false;
        }
        i += (size_t)length;
    }
    return true;
}

size_t gemlet_utf8_write(uint32_t character, unsigned char *out) {
    if (character < 0x80) {
        out[0] = (unsigned char)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (unsigned char)(0xF00u >> length | character);
    return length;
}
