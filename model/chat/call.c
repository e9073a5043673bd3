/* Calls in the notation of the templates, as JSON: call:NAME{KEY:<|"|>text<|"|>,KEY:[1,true,None],KEY:{KEY:2.5}} */
#include <string.h>

#include "core/text.h"
#include "core/utf8.h"
#include "model/chat/notation.h"
#include "model/json/json.h"
#include <gemlet/chat.h>

typedef struct reader {
    const char *at, *end;
    char *json;
    size_t used, capacity;
    uint64_t objects; /* a bit for each level, the innermost lowest: whether it is one */
    unsigned depth;
    const char *problem, *place; /* what was expected, and where; NULL for none */
} reader;

static void expect(reader *r, bool good, const char *what) {
    if (r->problem == NULL && !good) {
        r->problem = what;
        r->place = r->at;
    }
}

static bool starts(const reader *r, const char *text) {
    size_t bytes = strlen(text);
    return r->problem == NULL && (size_t)(r->end - r->at) >= bytes && memcmp(r->at, text, bytes) == 0;
}

static bool take(reader *r, const char *text) {
    bool there = starts(r, text);
    r->at += there ? strlen(text) : 0;
    return there;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The end of a text without the spaces that it ends with. */
static const char *trimmed(const char *text, const char *end) {
    while (end > text && is_space(end[-1])) {
        end--;
    }
    return end;
}

static void skip_space(reader *r) {
    while (r->at < r->end && is_space(*r->at)) {
        r->at++;
    }
}

/* ---- JSON out ---- */

static void put(reader *r, const char *text, size_t bytes) {
    if (r->capacity - r->used > bytes) { /* and a NUL */
        memcpy(r->json + r->used, text, bytes);
    }
    r->used += r->used < r->capacity ? (bytes < r->capacity - r->used ? bytes : r->capacity - r->used) : 0;
}

static void put_text(reader *r, const char *text) {
    put(r, text, strlen(text));
}

/* A character of a string; what is no UTF-8 becomes U+FFFD. */
static void put_character(reader *r, const char *text, size_t bytes) {
    uint32_t character;
    int length = gemlet_utf8_read((const unsigned char *)text, bytes, &character);
    if (length <= 0) {
        unsigned char replacement[4];
        put(r, (const char *)replacement, gemlet_utf8_write(GEMLET_REPLACEMENT_CHARACTER, replacement));
    } else if (length > 1) {
        put(r, text, (size_t)length);
    } else {
        char written[6];
        put(r, written, gemlet_json_escape(*text, written));
    }
}

static size_t character_bytes(const reader *r) {
    uint32_t character;
    int length = gemlet_utf8_read((const unsigned char *)r->at, (size_t)(r->end - r->at), &character);
    return length > 0 ? (size_t)length : 1;
}

static void put_run(reader *r, const char *end) {
    put_text(r, "\"");
    while (r->at < end) {
        size_t bytes = character_bytes(r);
        put_character(r, r->at, (size_t)(end - r->at));
        r->at += bytes;
    }
    put_text(r, "\"");
}

/* ---- The notation in ---- */

/* A string behind its mark, to the next one. */
static void read_string(reader *r) {
    const char *end = r->at;
    while ((size_t)(r->end - end) >= GEMLET_CALL_QUOTE_BYTES && memcmp(end, GEMLET_CALL_QUOTE, GEMLET_CALL_QUOTE_BYTES) != 0) {
        end++;
    }
    expect(r, (size_t)(r->end - end) >= GEMLET_CALL_QUOTE_BYTES, "the end of a string");
    if (r->problem == NULL) {
        put_run(r, end);
        (void)take(r, GEMLET_CALL_QUOTE);
    }
}

/* A name, as it is or as a string, and the colon. */
static void read_key(reader *r) {
    skip_space(r);
    if (take(r, GEMLET_CALL_QUOTE)) {
        read_string(r);
    } else {
        const char *colon = r->at;
        while (colon < r->end && gemlet_text_find(":,{}[]", *colon) == NULL) {
            colon++;
        }
        const char *end = trimmed(r->at, colon);
        expect(r, end > r->at && colon < r->end && *colon == ':', "a name and a colon");
        if (r->problem == NULL) {
            put_run(r, end);
        }
    }
    skip_space(r);
    expect(r, take(r, ":"), "a colon behind the name");
    put_text(r, ":");
}

static void read_scalar(reader *r) {
    static const struct {
        const char *text, *json;
    } words[] = {{"true", "true"}, {"false", "false"}, {"None", "null"}, {"null", "null"}, {"True", "true"}, {"False", "false"}};
    if (take(r, GEMLET_CALL_QUOTE)) {
        read_string(r);
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (take(r, words[i].text)) {
            put_text(r, words[i].json);
            return;
        }
    }
    const char *behind = gemlet_json_scan_number(r->at, r->end);
    expect(r, behind != NULL, "a value");
    if (r->problem == NULL) {
        put(r, r->at, (size_t)(behind - r->at));
        r->at = behind;
    }
}

/* Whether a container begins that is not empty; its first value is to come then. */
static bool begins(reader *r) {
    bool object = take(r, "{");
    if (!object && !take(r, "[")) {
        return false;
    }
    expect(r, r->depth < GEMLET_JSON_NESTING, "values nested less deeply");
    r->objects = r->objects << 1 | object;
    r->depth++;
    put_text(r, object ? "{" : "[");
    skip_space(r);
    if (starts(r, object ? "}" : "]")) {
        return false;
    }
    if (object) {
        read_key(r);
    }
    return true;
}

/* Behind a value: the ends of containers, or what leads to the next value of one. */
static void read_behind(reader *r) {
    while (r->problem == NULL && r->depth > 0) {
        bool object = (r->objects & 1) != 0;
        skip_space(r);
        if (take(r, ",")) {
            put_text(r, ",");
            if (object) {
                read_key(r);
            }
            return;
        }
        expect(r, take(r, object ? "}" : "]"), object ? "a comma or }" : "a comma or ]");
        put_text(r, object ? "}" : "]");
        r->objects >>= 1;
        r->depth--;
    }
}

static void read_arguments(reader *r) {
    expect(r, starts(r, "{"), "{ behind the function's name");
    do {
        skip_space(r);
        unsigned depth = r->depth;
        if (begins(r)) {
            continue;
        }
        if (r->depth == depth) {
            read_scalar(r);
        }
        read_behind(r);
    } while (r->problem == NULL && r->depth > 0);
}

static void read_name(reader *r, gemlet_call *call) {
    skip_space(r);
    expect(r, take(r, "call:"), "call:");
    skip_space(r);
    call->name = r->at;
    while (r->at < r->end && gemlet_text_find("{}:,<\"\n", *r->at) == NULL) {
        r->at++;
    }
    call->name_bytes = (size_t)(trimmed(call->name, r->at) - call->name);
    expect(r, call->name_bytes > 0, "the name of a function");
}

gemlet_status gemlet_call_read(const char *text, size_t bytes, char *json, size_t capacity, gemlet_call *call,
                               gemlet_error *error) {
    *call = (gemlet_call){.name = NULL};
    if (text == NULL || json == NULL || capacity == 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "call: no text or no buffer given");
    }
    reader r = {.at = text, .end = text + bytes, .json = json, .capacity = capacity};
    read_name(&r, call);
    read_arguments(&r);
    if (r.problem != NULL) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, "call: expected ");
        gemlet_error_text(error, r.problem);
        gemlet_error_text(error, " at byte ");
        gemlet_error_number(error, (uint64_t)(r.place - text));
        return GEMLET_ERROR_FORMAT;
    }
    if (r.used == capacity) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "call: the arguments do not fit the buffer");
    }
    json[r.used] = '\0';
    call->json_bytes = r.used;
    call->bytes = (size_t)(r.at - text);
    return GEMLET_OK;
}
