/* Members of a JSON object, each checked where it is read: a message names the member, what was expected and what was found. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_JSON_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include <gemlet/status.h>

/* Before the first call of json_parse: cJSON is given an allocator that keeps to json_parse's limit. */
void json_begin(void);

/* NULL and a message where the bytes are no JSON value, or more than one, hold a text with U+0000 (at which it would end), or hold
 * so many values that their tree would take more than a few times the text (GEMLET_ERROR_UNSUPPORTED); GEMLET_ERROR_MEMORY where
 * the system refuses memory.  For cJSON_Delete. */
cJSON *json_parse(const char *bytes, size_t count, gemlet_error *error);

/* Some of the text that was parsed. */
typedef struct json_text {
    const char *at;
    size_t count;
} json_text;

/* The text of `value`, a member or an element of `container`, of which `text` is the text.  Numbers stand in it as they were
 * written, which doubles would not keep. */
json_text json_text_of(json_text text, const cJSON *container, const cJSON *value);

/* Answer the member `name`; NULL where there is none, or it is null. */
const cJSON *json_member(const cJSON *object, const char *name);

/* Say what is wrong: "NAME: expected WHAT, found ...". */
gemlet_status json_expected(const cJSON *found, const char *name, const char *what, gemlet_error *error);

/* Read a member where it is there, and leave `*value` as it is where it isn't. */
gemlet_status json_read_flag(const cJSON *object, const char *name, bool *value, gemlet_error *error);
gemlet_status json_read_number(const cJSON *object, const char *name, double least, double most, double *value,
                               gemlet_error *error);
gemlet_status json_read_whole(const cJSON *object, const char *name, double least, double most, double *value, gemlet_error *error);

#endif
