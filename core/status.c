#include <gemlet/status.h>

#include <stdbool.h>
#include <string.h>

#include "core/text.h"
#include "core/utf8.h"

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

/* Bytes of the printable UTF-8 character at the start of `text`, or 0: a control character (C0, DEL, C1), or no UTF-8. */
static size_t printable(const unsigned char *text, size_t length) {
    uint32_t character = 0;
    int bytes = gemlet_utf8_read(text, length, &character);
    bool control = character < 0x20 || (character >= 0x7F && character < 0xA0);
    return bytes > 0 && !control ? (size_t)bytes : 0;
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
