/* sources: core/utf8.c
 * options: -eva-precision 4 -eva-slevel 400 -eva-split-return full
 * UTF-8: any bytes, at most 6 of them, each text ending with its array; any character. */
#include "core/utf8.h"
#include "tests/proof/eva/any.h"

static void read_text(const unsigned char *text, size_t bytes) {
    uint32_t character;
    int length = gemlet_utf8_read(text, bytes, &character);
    /*@ assert -1 <= length <= 4 && length <= bytes; */
    /*@ assert length <= 0 || character <= 0x10FFFF; */
    (void)gemlet_utf8_valid(text, bytes);
}

int main(void) {
    unsigned char one[1], two[2], three[3], four[4], six[6], out[4];
    any_bytes(one, sizeof one);
    any_bytes(two, sizeof two);
    any_bytes(three, sizeof three);
    any_bytes(four, sizeof four);
    any_bytes(six, sizeof six);
    read_text(one, sizeof one);
    read_text(two, sizeof two);
    read_text(three, sizeof three);
    read_text(four, sizeof four);
    read_text(six, sizeof six);
    size_t length = gemlet_utf8_write((uint32_t)any_size(0, 0x10FFFF), out);
    /*@ assert 1 <= length <= 4; */
    return 0;
}
