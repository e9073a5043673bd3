/* sources: core/status.c core/text.c core/utf8.c
 * options: -eva-precision 3 -eva-slevel 3000 -eva-split-return full
 * Messages: any status; to a message of 0 or 245 to 255 bytes, any 0 to 4 bytes are appended, or any number; what is appended does
 * not go beyond the message, which stays a text.  Decimal digits of any number. */
#include <string.h>

#include "core/text.h"
#include "tests/proof/eva/any.h"
#include <gemlet/status.h>

enum { MOST = GEMLET_MESSAGE_BYTES - 1, LONGEST = 4 };

/* The text ends with its array. */
static void append(const char *text, size_t used, size_t bytes) {
    gemlet_error error = {GEMLET_OK, ""};
    memset(error.message, 'a', used);
    gemlet_error_bytes(&error, text + LONGEST - bytes, bytes);
    size_t length = strlen(error.message);
    /*@ assert used <= length <= MOST; */
}

static void append_number(size_t used) {
    gemlet_error error = {GEMLET_OK, ""};
    memset(error.message, 'a', used);
    gemlet_error_number(&error, (uint32_t)any_size(0, 999));
    size_t length = strlen(error.message);
    /*@ assert used <= length <= MOST; */
}

int main(void) {
    gemlet_error error;
    char text[LONGEST], digits[GEMLET_NUMBER_CHARACTERS];
    any_bytes(text, sizeof text);
    size_t count = gemlet_text_number(digits, any_number());
    /*@ assert 1 <= count <= sizeof(digits); */
    (void)gemlet_fail(&error, (gemlet_status)any_size(0, 20), "a text");
    (void)gemlet_status_text((gemlet_status)any_size(0, 20));
    gemlet_error_bytes(NULL, text, sizeof text);
    /*@ loop unroll 12; */
    for (size_t used = MOST - 10; used <= MOST; used++) {
        /*@ loop unroll 5; */
        for (size_t bytes = 0; bytes <= LONGEST; bytes++) {
            append(text, used, bytes);
        }
        append_number(used);
    }
    append(text, 0, LONGEST);
    append_number(0);
    return 0;
}
