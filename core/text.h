/* NUL-terminated texts, with what the library may use of <string.h>. */
#ifndef GEMLET_CORE_TEXT_H
#define GEMLET_CORE_TEXT_H

#include <stdbool.h>

/* Whether two texts have the same bytes. */
bool gemlet_text_equal(const char *a, const char *b);

#endif
