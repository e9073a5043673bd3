#include "core/text.h"

#include <string.h>

bool gemlet_text_equal(const char *a, const char *b) {
    size_t length = strlen(a);
    return length == strlen(b) && memcmp(a, b, length) == 0;
}
