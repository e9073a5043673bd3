/* Bytes that grow, and JSON written into them. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_TEXT_BUFFER_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty one.  `failed`: memory was refused, and what was to be added is not there. */
typedef struct text_buffer {
    char *bytes;
    size_t count, capacity;
    bool failed;
} text_buffer;

void text_buffer_add(text_buffer *buffer, const char *bytes, size_t count);
void text_buffer_add_text(text_buffer *buffer, const char *text);

/* At most 255 bytes at a time. */
void text_buffer_print(text_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* UTF-8 as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD. */
void text_buffer_add_json(text_buffer *buffer, const char *text, size_t bytes);

/* Takes the first `count` bytes away. */
void text_buffer_drop(text_buffer *buffer, size_t count);
void text_buffer_free(text_buffer *buffer);

#endif
