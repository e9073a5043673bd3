#include "core/text.h"

#include <string.h>

bool gemlet_text_equal(const char *a, const char *b) {
    size_t length = strlen(a);
    return length == strlen(b) && memcmp(a, b, length) == 0;
}

size_t gemlet_text_number(char *out, uint64_t number) {
    char digits[GEMLET_NUMBER_CHARACTERS];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    memcpy(out, digits + first, sizeof digits - first);
    return sizeof digits - first;
}
