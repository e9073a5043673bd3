/* UTF-8, one character at a time. */
#ifndef GEMLET_CORE_UTF8_H
#define GEMLET_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GEMLET_REPLACEMENT_CHARACTER = 0xFFFD };

/* Reads the first of `bytes` > 0 bytes.  Answers the character's length; 0 where it is cut off and more bytes are needed; -1 where
 * the first byte starts no valid character (an overlong form, a surrogate and what lies beyond U+10FFFF are not valid). */
int gemlet_utf8_read(const unsigned char *text, size_t bytes, uint32_t *character);

/* Whether `bytes` bytes are whole, valid characters; none are. */
bool gemlet_utf8_valid(const unsigned char *text, size_t bytes);

/* Writes one to four bytes and answers how many.  `character` <= 0x1FFFFF. */
size_t gemlet_utf8_write(uint32_t character, unsigned char *out);

#endif
