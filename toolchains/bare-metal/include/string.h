/* All of <string.h> that the library may use: the board's C library, or some fifty lines of one's own, must define it. */
#ifndef GEMLET_BARE_METAL_STRING_H
#define GEMLET_BARE_METAL_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);

#endif
