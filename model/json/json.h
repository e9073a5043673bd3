/* JSON (RFC 8259) that is read where it stands: a text is checked once, a value is then a view of it.  There is no tree and no
 * memory to be had; finding a member reads the object again, which suits texts of some kilobytes. */
#ifndef GEMLET_MODEL_JSON_JSON_H
#define GEMLET_MODEL_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/status.h>

enum { GEMLET_JSON_NESTING = 32, GEMLET_JSON_POINTER_BYTES = 120 };

typedef enum gemlet_json_type {
    GEMLET_JSON_NONE, /* of a member that is not there */
    GEMLET_JSON_OBJECT,
    GEMLET_JSON_ARRAY,
    GEMLET_JSON_STRING,
    GEMLET_JSON_NUMBER,
    GEMLET_JSON_TRUE,
    GEMLET_JSON_FALSE,
    GEMLET_JSON_NULL
} gemlet_json_type;

/* From its first character to behind its last; `text` NULL for none. */
typedef struct gemlet_json {
    const char *text, *end;
} gemlet_json;

/* The one value of a text, which must outlive it.  GEMLET_ERROR_FORMAT, saying `what` it is and where it is wrong, for what is no
 * JSON, no UTF-8, half of a surrogate pair, or nested deeper than GEMLET_JSON_NESTING. */
gemlet_status gemlet_json_open(gemlet_json *value, const char *text, size_t bytes, const char *what, gemlet_error *error);

gemlet_json_type gemlet_json_type_of(gemlet_json value);

/* The members of an object or the elements of an array, in order. */
typedef struct gemlet_json_walk {
    const char *at;
    bool object;
} gemlet_json_walk;

gemlet_json_walk gemlet_json_walk_begin(gemlet_json container);
bool gemlet_json_walk_next(gemlet_json_walk *walk, gemlet_json *key, gemlet_json *value); /* an array's keys are none */

/* The member that comes behind the one named `last` (none: the first) where they are in the order of their names without regard to
 * case, and then in that of the text; false where there is none.  `*members` gets how many the object has. */
bool gemlet_json_next_sorted(gemlet_json object, gemlet_json last, gemlet_json *key, gemlet_json *value, size_t *members);

/* The member; none where there is no such one, or `object` is no object.  Of two with one name it is the last. */
gemlet_json gemlet_json_member(gemlet_json object, const char *name);

/* Adds to a message the pointer (RFC 6901) to the innermost value of `within` that has the byte at `at`, a member's name being its
 * value's; nothing for `within` itself.  What is longer than GEMLET_JSON_POINTER_BYTES ends in dots. */
void gemlet_json_put_pointer(gemlet_error *error, gemlet_json within, const char *at);

/* A string's text in pieces: runs of it as it stands, and what its escapes mean. */
typedef struct gemlet_json_text {
    const char *at, *end;
    char escaped[4];
} gemlet_json_text;

gemlet_json_text gemlet_json_text_begin(gemlet_json string);
bool gemlet_json_text_next(gemlet_json_text *text, const char **piece, size_t *bytes); /* valid until the next call */

/* The order of two strings' bytes: below, equal to or above 0.  `fold`: A to Z count as a to z. */
int gemlet_json_compare(gemlet_json a, gemlet_json b, bool fold);

/* Whether a value is the string `text`. */
bool gemlet_json_is(gemlet_json value, const char *text, bool fold);

/* What a hexadecimal digit says; -1 for another character. */
int gemlet_json_hexadecimal(char c);

/* The character that a backslash and this one mean, 'u' not being one; -1 where they mean none. */
int gemlet_json_escaped(char name);

/* How a string writes a byte of its text, with an escape only where it needs one; answers how many bytes that are. */
size_t gemlet_json_escape(char byte, char written[6]);

/* Behind the string that begins at `at`, of text that was opened. */
const char *gemlet_json_behind_string(const char *at);

/* Behind a number that begins at `at`; NULL where none does. */
const char *gemlet_json_scan_number(const char *at, const char *end);

#endif
