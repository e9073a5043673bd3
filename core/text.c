#include "core/text.h"

#include <string.h>

bool gemlet_text_equal(const char *a, const char *b) {
    size_t length = strlen(a);
    return length == strlen(b) && memcmp(a, b, length) == 0;
}

const char *gemlet_text_find(const char *text, char character) {
    while (*text != character && *text != '\0') {
        text++;
    }
    return *text == character ? text : NULL;
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
