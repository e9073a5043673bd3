#include "examples/gemlet/serve/text_buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_CAPACITY = 256, PRINTED_BYTES = 256 };

static bool make_room(text_buffer *b, size_t count) {
    if (count <= b->capacity - b->count) {
        return true;
    }
    size_t capacity = b->capacity < LEAST_CAPACITY ? LEAST_CAPACITY : b->capacity;
    while (capacity - b->count < count && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    char *grown = capacity - b->count >= count ? realloc(b->bytes, capacity) : NULL;
    if (grown == NULL) {
        b->failed = true;
        return false;
    }
    b->bytes = grown;
    b->capacity = capacity;
    return true;
}

void text_buffer_add(text_buffer *buffer, const char *bytes, size_t count) {
    if (count > 0 && make_room(buffer, count)) {
        memcpy(buffer->bytes + buffer->count, bytes, count);
        buffer->count += count;
    }
}

void text_buffer_add_text(text_buffer *buffer, const char *text) {
    text_buffer_add(buffer, text, strlen(text));
}

void text_buffer_print(text_buffer *buffer, const char *format, ...) {
    char text[PRINTED_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) {
        buffer->failed = true;
        return;
    }
    text_buffer_add(buffer, text, (size_t)length);
}

/* How many bytes the character that begins here has, 0 where it is none (RFC 3629). */
static size_t character_at(const unsigned char *text, size_t bytes) {
    unsigned first = text[0];
    size_t length = first < 0x80                    ? 1
                    : first >= 0xC2 && first < 0xE0 ? 2
                    : first >= 0xE0 && first < 0xF0 ? 3
                    : first >= 0xF0 && first < 0xF5 ? 4
                                                    : 0;
    if (length == 0 || length > bytes) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (first == 0xE0 && text[1] < 0xA0) || (first == 0xF0 && text[1] < 0x90);
    bool beyond = (first == 0xED && text[1] >= 0xA0) || (first == 0xF4 && text[1] >= 0x90);
    return overlong || beyond ? 0 : length;
}

static void add_character(text_buffer *b, const char *text, size_t length) {
    unsigned char first = (unsigned char)text[0];
    if (length > 1 || (first >= 0x20 && first != '"' && first != '\\' && first != 0x7F)) {
        text_buffer_add(b, text, length);
    } else if (first == '\n') {
        text_buffer_add_text(b, "\\n");
    } else {
        text_buffer_print(b, first == '"' || first == '\\' ? "\\%c" : "\\u%04x", first);
    }
}

void text_buffer_add_json(text_buffer *buffer, const char *text, size_t bytes) {
    text_buffer_add_text(buffer, "\"");
    for (size_t at = 0; at < bytes;) {
        size_t length = character_at((const unsigned char *)text + at, bytes - at);
        if (length == 0) {
            text_buffer_add_text(buffer, "\xEF\xBF\xBD");
            at++;
        } else {
            add_character(buffer, text + at, length);
            at += length;
        }
    }
    text_buffer_add_text(buffer, "\"");
}

void text_buffer_drop(text_buffer *buffer, size_t count) {
    if (count > 0) {
        memmove(buffer->bytes, buffer->bytes + count, buffer->count - count);
        buffer->count -= count;
    }
}

void text_buffer_free(text_buffer *buffer) {
    free(buffer->bytes);
    *buffer = (text_buffer){NULL, 0, 0, false};
}
