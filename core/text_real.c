/* Reals in messages. */
#include <float.h>
#include <string.h>

#include "core/text.h"

enum { REAL_DIGITS = 8, LEAST_PLAIN = -4 };

/* The digits of a number that is neither negative nor infinite, the first of which counts 10^`*exponent`; answers how many there
 * are without zeros at the end, but at least one. */
static size_t digits_of(double number, char digits[GEMLET_NUMBER_CHARACTERS], int *exponent) {
    *exponent = 0;
    for (; number >= 10.0; (*exponent)++) {
        number /= 10.0;
    }
    for (; number > 0.0 && number < 1.0; (*exponent)--) {
        number *= 10.0;
    }
    size_t count = gemlet_text_number(digits, (uint64_t)(number * 1e7 + 0.5));
    *exponent += count > REAL_DIGITS ? 1 : 0; /* rounded up to a power of ten */
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    return count;
}

size_t gemlet_text_real(char *out, double number) {
    char digits[GEMLET_NUMBER_CHARACTERS];
    size_t used = 0;
    int exponent;
    if (number != number) {
        memcpy(out, (const char[]){'N', 'a', 'N'}, 3);
        return 3;
    }
    if (number < 0.0) {
        out[used++] = '-';
        number = -number;
    }
    if (number > DBL_MAX) {
        memcpy(out + used, (const char[]){'i', 'n', 'f', 'i', 'n', 'i', 't', 'y'}, 8);
        return used + 8;
    }
    int count = (int)digits_of(number, digits, &exponent);
    bool plain = exponent >= LEAST_PLAIN && exponent < REAL_DIGITS;
    int ones = plain ? exponent : 0; /* the digit before the point */
    for (int i = ones < 0 ? ones : 0; i < count || i <= ones; i++) {
        if (i == ones + 1) {
            out[used++] = '.';
        }
        out[used] = '0';
        if (i >= 0 && i < count) {
            out[used] = digits[i];
        }
        used++;
    }
    if (!plain) {
        out[used++] = 'e';
        if (exponent < 0) {
            out[used++] = '-';
        }
        used += gemlet_text_number(out + used, (uint64_t)(exponent < 0 ? -exponent : exponent));
    }
    return used;
}
