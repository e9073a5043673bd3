/* sources: model/json/json.c core/utf8.c core/text.c
 * options: -eva-precision 3 -eva-slevel 20000 -eva-split-return full
 * JSON: any bytes, of texts of 0 to 4 that end with their array: whether they are JSON at all; numbers, escapes. */
#include "model/json/json.h"
#include "tests/proof/eva/any.h"
#include "tests/proof/eva/any_message.h"

enum { MOST = 4 };

/* The text ends with its array. */
static void check(size_t bytes) {
    char text[MOST];
    gemlet_json value;
    any_bytes(text, sizeof text);
    const char *first = text + MOST - bytes;
    if (gemlet_json_open(&value, first, bytes, "text", NULL) == GEMLET_OK) {
        /*@ assert first <= value.text && value.text <= value.end && value.end <= first + bytes; */
    }
}

int main(void) {
    /*@ loop unroll 5; */
    for (size_t bytes = 0; bytes <= MOST; bytes++) {
        check(bytes);
    }
    return 0;
}
