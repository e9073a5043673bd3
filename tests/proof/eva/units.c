/* sources: model/grammar/bounds.c
 * options: -eva-precision 3 -eva-slevel 3000
 * Bounds of numbers: any 20 digits with a point behind any 1 to 19 of them, or none, and any exponent of up to five digits, up and
 * down, with or without a sign. */
#include "model/grammar/schema.h"
#include "tests/proof/eva/any.h"

enum { DIGITS = 20, EXPONENT = 5 };

static char any_digit(void) {
    return (char)('0' + (char)any_size(0, 9));
}

static void read(size_t point, bool negative, char sign, unsigned fraction) {
    char text[DIGITS + EXPONENT + 4];
    size_t length = 0;
    bool rounded;
    text[0] = '-';
    length += negative;
    /*@ loop unroll 20; */
    for (size_t i = 0; i < DIGITS; i++) {
        if (i == point) {
            text[length++] = '.';
        }
        text[length++] = any_digit();
    }
    if (sign != 0) {
        text[length++] = 'e';
        text[length++] = sign;
        /*@ loop unroll 5; */
        for (size_t i = 0; i < EXPONENT; i++) {
            text[length++] = any_digit();
        }
    }
    int64_t units = gemlet_read_units((gemlet_json){text, text + length}, fraction, any_bool(), &rounded);
    /*@ assert -1000000000000000001 <= units <= 1000000000000000001; */
}

int main(void) {
    /*@ loop unroll 20; */
    for (size_t point = 1; point <= DIGITS; point++) {
        read(point, false, 0, 0);
        read(point, true, '-', GEMLET_NUMBER_FRACTION);
        read(point, false, '+', GEMLET_NUMBER_FRACTION);
    }
    return 0;
}
