#include "examples/gemlet/serve/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A list of "1," takes cJSON thirty times its text.  Each thread parses one text at a time. */
enum { LEAST_TREE = 4 << 20 };
static _Thread_local size_t bytes_left;
static _Thread_local bool limit_reached, memory_refused; /* cJSON says of both nothing but that it failed */

static void *allocate(size_t bytes) {
    if (bytes > bytes_left) {
        limit_reached = true;
        return NULL;
    }
    void *made = malloc(bytes);
    bytes_left -= made != NULL ? bytes : 0;
    memory_refused = memory_refused || made == NULL;
    return made;
}

void json_begin(void) {
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate, .free_fn = free});
}

/* "\u0000" with an odd number of backslashes before the u. */
static bool has_zero(const char *text, size_t count) {
    static const char zero[] = "\\u0000";
    size_t slashes = 0;
    for (size_t i = 0; i < count; i++) {
        if (slashes % 2 == 1 && count - i >= sizeof zero - 2 && memcmp(text + i, zero + 1, sizeof zero - 2) == 0) {
            return true;
        }
        slashes = text[i] == '\\' ? slashes + 1 : 0;
    }
    return false;
}

static void fail_at(size_t byte, gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_FORMAT, "expected JSON, found an error at byte ");
    gemlet_error_number(error, byte);
}

static bool is_space(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strchr(" \t\r\n", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

cJSON *json_parse(const char *bytes, size_t count, gemlet_error *error) {
    const char *end = NULL;
    if (memchr(bytes, '\0', count) != NULL || has_zero(bytes, count)) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, "expected text without the character U+0000");
        return NULL;
    }
    bytes_left = LEAST_TREE + 2 * count;
    limit_reached = memory_refused = false;
    cJSON *json = cJSON_ParseWithLengthOpts(bytes, count, &end, false);
    bytes_left = SIZE_MAX;
    if (json == NULL && memory_refused) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the request");
    } else if (json == NULL && limit_reached) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "the request has too many values");
    } else if (json == NULL) {
        fail_at(end != NULL ? (size_t)(end - bytes) : 0, error);
    } else if (!is_space(end, count - (size_t)(end - bytes))) {
        fail_at((size_t)(end - bytes), error);
        cJSON_Delete(json);
        json = NULL;
    }
    return json;
}

/* ---- The text of a value ---- */

static void advance(json_text *t, size_t count) {
    count = count < t->count ? count : t->count;
    t->at += count;
    t->count -= count;
}

static char next(const json_text *t) {
    if (t->count == 0) {
        return '\0';
    }
    return *t->at;
}

/* As cJSON has it. */
static void skip_space(json_text *t) {
    while (t->count > 0 && (unsigned char)*t->at <= ' ') {
        advance(t, 1);
    }
}

static void skip_string(json_text *t) {
    for (advance(t, 1); t->count > 0 && *t->at != '"';) {
        advance(t, *t->at == '\\' ? 2 : 1);
    }
    advance(t, 1);
}

static void skip_list(json_text *t) {
    size_t depth = 0;
    do {
        char c = next(t);
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c == '"') {
            skip_string(t);
        } else {
            advance(t, 1);
        }
    } while (depth > 0 && t->count > 0);
}

/* Past a value that cJSON has read already: brackets and quotes tell where it ends. */
static void skip_value(json_text *t) {
    if (next(t) == '"') {
        skip_string(t);
    } else if (next(t) == '{' || next(t) == '[') {
        skip_list(t);
    } else {
        while ((unsigned char)next(t) > ' ' && strchr(",]}", next(t)) == NULL) {
            advance(t, 1);
        }
    }
    skip_space(t);
}

json_text json_text_of(json_text text, const cJSON *container, const cJSON *value) {
    static const char open[] = "{[";
    while (text.count > 0 && strchr(open, *text.at) == NULL) { /* space, and a byte order mark */
        advance(&text, 1);
    }
    for (const cJSON *one = container->child; one != NULL; one = one->next) {
        advance(&text, 1); /* what opens the list, or the comma */
        skip_space(&text);
        if (cJSON_IsObject(container)) {
            skip_value(&text);
            advance(&text, 1);
            skip_space(&text);
        }
        const char *at = text.at;
        skip_value(&text);
        if (one == value) {
            return (json_text){at, (size_t)(text.at - at)};
        }
    }
    return (json_text){text.at, 0};
}

/* ---- Values ---- */

const cJSON *json_member(const cJSON *object, const char *name) {
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(member) ? NULL : member;
}

static const char *kind_of(const cJSON *value) {
    return value == NULL           ? "nothing"
           : cJSON_IsString(value) ? "a text"
           : cJSON_IsNumber(value) ? "a number"
           : cJSON_IsBool(value)   ? "true or false"
           : cJSON_IsArray(value)  ? "a list"
           : cJSON_IsObject(value) ? "an object"
                                   : "null";
}

gemlet_status json_expected(const cJSON *found, const char *name, const char *what, gemlet_error *error) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, name);
    gemlet_error_text(error, ": expected ");
    gemlet_error_text(error, what);
    gemlet_error_text(error, ", found ");
    gemlet_error_text(error, kind_of(found));
    if (found != NULL && cJSON_IsNumber(found)) {
        char number[32];
        snprintf(number, sizeof number, " %g", found->valuedouble);
        gemlet_error_text(error, number);
    }
    return GEMLET_ERROR_ARGUMENT;
}

gemlet_status json_read_flag(const cJSON *object, const char *name, bool *value, gemlet_error *error) {
    const cJSON *member = json_member(object, name);
    if (member == NULL) {
        return GEMLET_OK;
    }
    *value = cJSON_IsTrue(member) != 0;
    return cJSON_IsBool(member) ? GEMLET_OK : json_expected(member, name, "true or false", error);
}

gemlet_status json_read_number(const cJSON *object, const char *name, double least, double most, double *value,
                               gemlet_error *error) {
    const cJSON *member = json_member(object, name);
    if (member == NULL) {
        return GEMLET_OK;
    }
    if (!cJSON_IsNumber(member) || !(member->valuedouble >= least && member->valuedouble <= most)) {
        char what[96];
        snprintf(what, sizeof what, "a number from %g to %g", least, most);
        return json_expected(member, name, what, error);
    }
    *value = member->valuedouble;
    return GEMLET_OK;
}

gemlet_status json_read_whole(const cJSON *object, const char *name, double least, double most, double *value,
                              gemlet_error *error) {
    double number = *value;
    gemlet_status status = json_read_number(object, name, least, most, &number, error);
    if (status == GEMLET_OK && json_member(object, name) != NULL && floor(number) != number) {
        return json_expected(json_member(object, name), name, "a whole number", error);
    }
    *value = number;
    return status;
}
