#include <string.h>

#include "examples/gemlet/picture.h"

/* A number of the data, as their byte order has it. */
static uint32_t number_at(const uint8_t *at, unsigned bytes, bool little) {
    uint32_t number = 0;
    for (unsigned i = 0; i < bytes; i++) {
        number |= (uint32_t)at[i] << 8 * (little ? i : bytes - 1 - i);
    }
    return number;
}

/* Bytes of a value of an integer type (EXIF 2.3, section 4.6.2); 0 for other types. */
static unsigned integer_bytes(uint32_t type) {
    enum { BYTE = 1, SHORT = 3, LONG = 4, SIGNED_BYTE = 6, SIGNED_SHORT = 8, SIGNED_LONG = 9 };
    switch (type) {
    case BYTE:
    case SIGNED_BYTE: return 1;
    case SHORT:
    case SIGNED_SHORT: return 2;
    case LONG:
    case SIGNED_LONG: return 4;
    default: return 0;
    }
}

/* Tag 0x112 of the first directory of the TIFF header, which some writers put "Exif\0\0" before. */
unsigned picture_exif_orientation(const uint8_t *bytes, size_t count) {
    enum { PREFIX = 6, HEADER = 8, ENTRY = 12, TAG = 0x112 };
    if (count >= PREFIX && memcmp(bytes, "Exif\0", PREFIX) == 0) {
        bytes += PREFIX;
        count -= PREFIX;
    }
    if (count < HEADER || (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0)) {
        return 1;
    }
    bool little = bytes[0] == 'I';
    size_t directory = number_at(bytes + 4, 4, little);
    if (directory > count || count - directory < 2) {
        return 1;
    }
    uint32_t entries = number_at(bytes + directory, 2, little);
    for (size_t at = directory + 2; entries > 0 && count >= ENTRY && at <= count - ENTRY; entries--, at += ENTRY) {
        unsigned width = integer_bytes(number_at(bytes + at + 2, 2, little));
        if (number_at(bytes + at, 2, little) == TAG && width != 0 && number_at(bytes + at + 4, 4, little) == 1) {
            uint32_t orientation = number_at(bytes + at + 8, width, little);
            return orientation >= 1 && orientation <= 8 ? orientation : 1;
        }
    }
    return 1;
}
