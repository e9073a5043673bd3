#include <gemlet/status.h>

#include <stdbool.h>
#include <string.h>

#include "core/text.h"

const char *gemlet_status_text(gemlet_status status) {
    switch (status) {
    case GEMLET_OK: return "ok";
    case GEMLET_ERROR_ARGUMENT: return "invalid argument";
    case GEMLET_ERROR_ALIGNMENT: return "buffer not aligned";
    case GEMLET_ERROR_MEMORY: return "arena too small";
    case GEMLET_ERROR_IO: return "input or output failed";
    case GEMLET_ERROR_FORMAT: return "file damaged";
    case GEMLET_ERROR_UNSUPPORTED: return "not supported";
    case GEMLET_ERROR_CONTEXT: return "context full";
    case GEMLET_ERROR_CANCELLED: return "cancelled";
    case GEMLET_ERROR_STATE: return "not possible in this state";
    }
    return "unknown status";
}

/* Bytes of the printable UTF-8 character at the start of `text`, or 0: a control character, or no UTF-8 (RFC 3629, section 4). */
static size_t printable(const unsigned char *text, size_t length) {
    unsigned char first = text[0];
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7F ? 1 : 0;
    }
    size_t bytes = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
    if (bytes == 0 || bytes > length) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* C1 controls, forms longer than needed, surrogates, and what lies beyond U+10FFFF. */
    unsigned char second = text[1];
    bool bad = (first == 0xC2 && second < 0xA0) || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
               (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
    return bad ? 0 : bytes;
}

void gemlet_error_bytes(gemlet_error *error, const char *text, size_t length) {
    if (error == NULL) {
        return;
    }
    size_t used = strlen(error->message);
    for (size_t i = 0; i < length;) {
        size_t bytes = printable((const unsigned char *)text + i, length - i);
        size_t taken = bytes == 0 ? 1 : bytes;
        if (taken > sizeof error->message - 1 - used) {
            break;
        }
        memcpy(error->message + used, bytes == 0 ? "?" : text + i, taken);
        used += taken;
        i += taken;
    }
    error->message[used] = '\0';
}

void gemlet_error_text(gemlet_error *error, const char *text) {
    gemlet_error_bytes(error, text, strlen(text));
}

void gemlet_error_number(gemlet_error *error, uint64_t number) {
    char digits[GEMLET_NUMBER_CHARACTERS];
    gemlet_error_bytes(error, digits, gemlet_text_number(digits, number));
}

gemlet_status gemlet_fail(gemlet_error *error, gemlet_status status, const char *text) {
    if (error != NULL) {
        error->status = status;
        error->message[0] = '\0';
        gemlet_error_text(error, text);
    }
    return status;
}
