/* The keys of those who may ask. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_KEYS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include <gemlet/status.h>

typedef struct keys {
    char *text; /* lines, each ended by NUL; ours */
    size_t bytes;
} keys;

/* Reads a file of keys, one a line.  GEMLET_ERROR_FORMAT where it has none: a server that asks for a key and knows none is a
 * mistake. */
gemlet_status keys_read(keys *k, const char *path, gemlet_error *error);
void keys_free(keys *k);

/* Whether the header "Authorization" (NULL: there is none) holds one of them, in a time that does not tell how much of it is right.
 * Without keys everybody may. */
bool keys_allow(const keys *k, const char *authorization);

#endif
