#include "tests/support/characters.h"

size_t character_utf8(unsigned long character, unsigned char *out) {
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    const size_t bytes = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = bytes; i-- > 1; character >>= 6) {
        out[i] = (unsigned char)(0x80 | (character & 0x3F));
    }
    out[0] = (unsigned char)(bytes == 1 ? character : marks[bytes] | character);
    return bytes;
}
