/* Characters for tests, written apart from the library's own. */
#ifndef GEMLET_TESTS_SUPPORT_CHARACTERS_H
#define GEMLET_TESTS_SUPPORT_CHARACTERS_H

#include <stddef.h>

/* Writes a character as UTF-8, 4 bytes at most; answers how many. */
size_t character_utf8(unsigned long character, unsigned char *out);

#endif
