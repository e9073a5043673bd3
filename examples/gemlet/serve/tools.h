/* Functions that a request declares: whether a call is one of them. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_TOOLS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

/* The declaration with the name; NULL where there is none. */
const cJSON *tools_find(const cJSON *tools, const char *name, size_t bytes);

/* Whether `tools`, a JSON list, declares the function, and the arguments, a JSON object, fit its parameters: all that are required
 * are there, and each that is declared is of its type and among its values; where additionalProperties is false there are no
 * others. What stands deeper in objects and lists is not looked at.  False also where there is no memory to look. */
bool tools_fit(const char *tools, const char *name, size_t name_bytes, const char *arguments, size_t bytes);

#endif
