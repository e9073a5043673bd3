/* Reading a container's header: little-endian numbers at a position that can't leave the file.  Of the container and
 * gemlet-pack; nobody else needs it. */
#ifndef GEMLET_MODEL_CONTAINER_CURSOR_H
#define GEMLET_MODEL_CONTAINER_CURSOR_H

#include "model/container/container.h"

/* A position in the file.  Once a read has failed, every further one fails and answers zeros, so that a few reads can be checked
 * together. */
typedef struct gemlet_cursor {
    gemlet_container *container;
    uint64_t position;
    bool failed;     /* ended beyond the file, or the port could not read */
    bool unreadable; /* it was the port */
} gemlet_cursor;

gemlet_cursor gemlet_cursor_at(gemlet_container *container, uint64_t position);

/* Copies `length` bytes and goes on by them. */
void gemlet_cursor_bytes(gemlet_cursor *cursor, void *out, size_t length);
uint32_t gemlet_cursor_u32(gemlet_cursor *cursor);
uint64_t gemlet_cursor_u64(gemlet_cursor *cursor);
void gemlet_cursor_skip(gemlet_cursor *cursor, uint64_t length);

/* Reads a string's length and its bytes into `out` of `capacity` bytes, NUL-terminated and cut where it is longer; answers its
 * whole length.  A length beyond the end of the file fails. */
uint64_t gemlet_cursor_string(gemlet_cursor *cursor, char *out, size_t capacity);

/* Reads a value's type and goes past its contents.  `*problem` gets a static text where the value breaks the format. */
void gemlet_cursor_value(gemlet_cursor *cursor, gemlet_value *value, const char **problem);

/* Adds to a message why the port's last call failed, where the port says so. */
void gemlet_container_add_reason(const gemlet_container *container, gemlet_error *error);

/* Bytes of a value of `type`; 0 for strings, arrays and numbers that are no type. */
uint32_t gemlet_value_bytes(uint32_t type);

#endif
