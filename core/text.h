/* NUL-terminated texts, with what the library may use of <string.h>. */
#ifndef GEMLET_CORE_TEXT_H
#define GEMLET_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GEMLET_NUMBER_CHARACTERS = 20, GEMLET_REAL_CHARACTERS = 20 }; /* the most that a number has */

/* Whether two texts have the same bytes. */
bool gemlet_text_equal(const char *a, const char *b);

/* The first place of a character in a text, where a NUL is its end; NULL where it has none.  C's strchr, which boards need not
 * have. */
const char *gemlet_text_find(const char *text, char character);

/* Writes a number in decimal, without a NUL, and answers how many characters it has. */
size_t gemlet_text_number(char *out, uint64_t number);

/* Likewise a real, for messages: eight digits, "0.95", "-1e-30", "infinity", "NaN". */
size_t gemlet_text_real(char *out, double number);

#endif
