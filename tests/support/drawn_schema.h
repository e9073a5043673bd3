/* Schemas whose parts and pointers are drawn from bytes: what raw bytes seldom come to, definitions that lead to each other in any
 * order, beside themselves, and in circles. */
#ifndef GEMLET_TESTS_SUPPORT_DRAWN_SCHEMA_H
#define GEMLET_TESTS_SUPPORT_DRAWN_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

enum { DRAWN_SCHEMA_BYTES = 1 << 14 };

/* Writes a schema into `text` [DRAWN_SCHEMA_BYTES], NUL-terminated; answers its bytes.  Where `bytes` end, 0 is drawn. */
size_t drawn_schema(const uint8_t *bytes, size_t count, char *text);

#endif
