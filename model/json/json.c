#include "model/json/json.h"

#include <string.h>

#include "core/text.h"
#include "core/utf8.h"

/* ---- Scanning: each answers what stands behind, NULL where it is not there ---- */

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at;
}

int gemlet_json_hexadecimal(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind "\u"; -1 where they are none. */
static int32_t scan_unit(const char *at, const char *end) {
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = (size_t)(end - at) > i ? gemlet_json_hexadecimal(at[i]) : -1;
        if (digit < 0) {
            return -1;
        }
        unit = 16 * unit + digit;
    }
    return unit;
}

/* `at` is behind "\u"; a pair of surrogates is one character. */
static const char *scan_unicode(const char *at, const char *end, uint32_t *character) {
    int32_t high = scan_unit(at, end);
    *character = (uint32_t)high;
    if (high < 0xD800 || high > 0xDFFF) {
        return high < 0 ? NULL : at + 4;
    }
    bool paired = high < 0xDC00 && end - at >= 6 && at[4] == '\\' && at[5] == 'u';
    int32_t low = paired ? scan_unit(at + 6, end) : -1;
    *character = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return low >= 0xDC00 && low <= 0xDFFF ? at + 10 : NULL;
}

int gemlet_json_escaped(char name) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = name != '\0' ? gemlet_text_find(names, name) : NULL;
    return found != NULL ? meanings[found - names] : -1;
}

size_t gemlet_json_escape(char byte, char written[6]) {
    static const char special[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt", digits[] = "0123456789abcdef";
    const char *found = byte != '\0' ? gemlet_text_find(special, byte) : NULL;
    const unsigned number = (unsigned char)byte;
    if (found != NULL) {
        memcpy(written, (const char[]){'\\', names[found - special]}, 2);
        return 2;
    }
    if (number < 0x20) {
        memcpy(written, (const char[]){'\\', 'u', '0', '0', digits[number >> 4], digits[number & 15]}, 6);
        return 6;
    }
    *written = byte;
    return 1;
}

/* `at` is behind the backslash. */
static const char *scan_escape(const char *at, const char *end, uint32_t *character) {
    if (at == end) {
        return NULL;
    }
    if (*at == 'u') {
        return scan_unicode(at + 1, end, character);
    }
    int meant = gemlet_json_escaped(*at);
    *character = meant >= 0 ? (uint32_t)meant : 0;
    return meant >= 0 ? at + 1 : NULL;
}

static const char *scan_string(const char *at, const char *end) {
    if (at == end || *at != '"') {
        return NULL;
    }
    for (at++; at < end && *at != '"';) {
        uint32_t character;
        if (*at == '\\') {
            at = scan_escape(at + 1, end, &character);
        } else {
            int length = gemlet_utf8_read((const unsigned char *)at, (size_t)(end - at), &character);
            at = length > 0 && character >= 0x20 ? at + length : NULL;
        }
        if (at == NULL) {
            return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

static const char *scan_digits(const char *at, const char *end) {
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at > first ? at : NULL;
}

const char *gemlet_json_scan_number(const char *at, const char *end) {
    at += at < end && *at == '-';
    const char *behind = at < end && *at == '0' ? at + 1 : scan_digits(at, end);
    if (behind != NULL && behind < end && *behind == '.') {
        behind = scan_digits(behind + 1, end);
    }
    if (behind != NULL && behind < end && (*behind == 'e' || *behind == 'E')) {
        behind++;
        behind += behind < end && (*behind == '+' || *behind == '-');
        behind = scan_digits(behind, end);
    }
    return behind;
}

static const char *scan_word(const char *at, const char *end) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && memcmp(at, words[i], length) == 0) {
            return at + length;
        }
    }
    return NULL;
}

static const char *scan_scalar(const char *at, const char *end) {
    if (at < end && *at == '"') {
        return scan_string(at, end);
    }
    bool number = at < end && (*at == '-' || (*at >= '0' && *at <= '9'));
    return number ? gemlet_json_scan_number(at, end) : scan_word(at, end);
}

/* ---- Checking ---- */

typedef struct checker {
    const char *at, *end;
    uint64_t objects; /* a bit for each level, the innermost lowest: whether it is one */
    unsigned depth;
    bool bad;
} checker;

static void advance(checker *c, const char *behind) {
    c->bad = c->bad || behind == NULL;
    c->at = c->bad ? c->at : skip_space(behind, c->end);
}

static bool is_at(const checker *c, char wanted) {
    return !c->bad && c->at < c->end && *c->at == wanted;
}

/* "name": of a member. */
static void check_name(checker *c) {
    advance(c, scan_string(c->at, c->end));
    advance(c, is_at(c, ':') ? c->at + 1 : NULL);
}

/* Whether a container begins whose first value is to come; one that is empty ends here. */
static bool begins(checker *c) {
    bool object = is_at(c, '{');
    if (!object && !is_at(c, '[')) {
        return false;
    }
    if (c->depth == GEMLET_JSON_NESTING) {
        c->bad = true;
        return true;
    }
    advance(c, c->at + 1);
    if (is_at(c, object ? '}' : ']')) {
        advance(c, c->at + 1);
        return false;
    }
    c->objects = c->objects << 1 | object;
    c->depth++;
    if (object) {
        check_name(c);
    }
    return true;
}

/* Behind a value: the ends of containers, or what leads to the next value of one. */
static void check_behind(checker *c) {
    while (!c->bad && c->depth > 0) {
        bool object = (c->objects & 1) != 0;
        if (is_at(c, ',')) {
            advance(c, c->at + 1);
            if (object) {
                check_name(c);
            }
            return;
        }
        advance(c, is_at(c, object ? '}' : ']') ? c->at + 1 : NULL);
        c->objects >>= 1;
        c->depth--;
    }
}

static void check_value(checker *c) {
    const char *before = c->at;
    if (begins(c)) {
        return;
    }
    if (c->at == before) {
        advance(c, scan_scalar(c->at, c->end));
    }
    check_behind(c);
}

gemlet_status gemlet_json_open(gemlet_json *value, const char *text, size_t bytes, const char *what, gemlet_error *error) {
    checker c = {.at = text, .end = text + bytes};
    advance(&c, text);
    *value = (gemlet_json){c.at, c.at};
    do {
        check_value(&c);
    } while (!c.bad && c.depth > 0);
    if (c.bad || c.at != c.end) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, what);
        gemlet_error_text(error,
                          c.depth == GEMLET_JSON_NESTING ? ": nested too deeply, or no JSON, at byte " : ": no JSON at byte ");
        gemlet_error_number(error, (uint64_t)(c.at - text));
        *value = (gemlet_json){NULL, NULL};
        return GEMLET_ERROR_FORMAT;
    }
    value->end = c.end;
    while (value->end > value->text && skip_space(value->end - 1, value->end) == value->end) {
        value->end--;
    }
    return GEMLET_OK;
}

/* ---- What was checked ---- */

gemlet_json_type gemlet_json_type_of(gemlet_json value) {
    if (value.text == NULL) {
        return GEMLET_JSON_NONE;
    }
    switch (*value.text) {
    case '{': return GEMLET_JSON_OBJECT;
    case '[': return GEMLET_JSON_ARRAY;
    case '"': return GEMLET_JSON_STRING;
    case 't': return GEMLET_JSON_TRUE;
    case 'f': return GEMLET_JSON_FALSE;
    case 'n': return GEMLET_JSON_NULL;
    default: return GEMLET_JSON_NUMBER;
    }
}

const char *gemlet_json_behind_string(const char *at) {
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

/* Inside of a container, where there is always more text. */
static const char *behind_value(const char *at) {
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = gemlet_json_behind_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
        } else {
            while (gemlet_text_find("+-.0123456789eEtrufalsn", *at) != NULL) {
                at++;
            }
        }
    } while (depth > 0);
    return at;
}

static const char *next_mark(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r' || *at == ',' || *at == ':') {
        at++;
    }
    return at;
}

gemlet_json_walk gemlet_json_walk_begin(gemlet_json container) {
    return (gemlet_json_walk){container.text + 1, *container.text == '{'};
}

bool gemlet_json_walk_next(gemlet_json_walk *walk, gemlet_json *key, gemlet_json *value) {
    walk->at = next_mark(walk->at);
    if (*walk->at == '}' || *walk->at == ']') {
        return false;
    }
    *key = (gemlet_json){NULL, NULL};
    if (walk->object) {
        *key = (gemlet_json){walk->at, gemlet_json_behind_string(walk->at)};
        walk->at = next_mark(key->end);
    }
    *value = (gemlet_json){walk->at, behind_value(walk->at)};
    walk->at = value->end;
    return true;
}

gemlet_json gemlet_json_member(gemlet_json object, const char *name) {
    gemlet_json found = {NULL, NULL}, key, value;
    if (gemlet_json_type_of(object) != GEMLET_JSON_OBJECT) {
        return found;
    }
    for (gemlet_json_walk walk = gemlet_json_walk_begin(object); gemlet_json_walk_next(&walk, &key, &value);) {
        found = gemlet_json_is(key, name, false) ? value : found;
    }
    return found;
}

/* ---- Strings ---- */

gemlet_json_text gemlet_json_text_begin(gemlet_json string) {
    return (gemlet_json_text){.at = string.text + 1, .end = string.end - 1};
}

bool gemlet_json_text_next(gemlet_json_text *text, const char **piece, size_t *bytes) {
    if (text->at == text->end) {
        return false;
    }
    if (*text->at == '\\') {
        uint32_t character = 0;
        text->at = scan_escape(text->at + 1, text->end, &character);
        *piece = text->escaped;
        *bytes = gemlet_utf8_write(character, (unsigned char *)text->escaped);
        return true;
    }
    *piece = text->at;
    while (text->at < text->end && *text->at != '\\') {
        text->at++;
    }
    *bytes = (size_t)(text->at - *piece);
    return true;
}

/* A string, a byte at a time. */
typedef struct byte_reader {
    gemlet_json_text text;
    const char *piece;
    size_t bytes;
} byte_reader;

static int next_byte(byte_reader *r, bool fold) {
    if (r->bytes == 0 && !gemlet_json_text_next(&r->text, &r->piece, &r->bytes)) {
        return -1;
    }
    r->bytes--;
    unsigned char byte = (unsigned char)*r->piece++;
    return fold && byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

int gemlet_json_compare(gemlet_json a, gemlet_json b, bool fold) {
    byte_reader left = {.text = gemlet_json_text_begin(a)}, right = {.text = gemlet_json_text_begin(b)};
    for (;;) {
        int l = next_byte(&left, fold), r = next_byte(&right, fold);
        if (l != r || l < 0) {
            return l - r;
        }
    }
}

bool gemlet_json_is(gemlet_json value, const char *text, bool fold) {
    if (gemlet_json_type_of(value) != GEMLET_JSON_STRING) {
        return false;
    }
    byte_reader reader = {.text = gemlet_json_text_begin(value)};
    int byte;
    while ((byte = next_byte(&reader, fold)) >= 0 && *text != '\0' && byte == (unsigned char)*text) {
        text++;
    }
    return byte < 0 && *text == '\0';
}

static int compare_keys(gemlet_json a, gemlet_json b) {
    int order = gemlet_json_compare(a, b, true);
    return order != 0 ? order : a.text < b.text ? -1 : a.text > b.text;
}

bool gemlet_json_next_sorted(gemlet_json object, gemlet_json last, gemlet_json *key, gemlet_json *value, size_t *members) {
    gemlet_json name, member;
    *members = 0;
    *key = (gemlet_json){NULL, NULL};
    for (gemlet_json_walk walk = gemlet_json_walk_begin(object); gemlet_json_walk_next(&walk, &name, &member); ++*members) {
        bool later = last.text == NULL || compare_keys(name, last) > 0;
        if (later && (key->text == NULL || compare_keys(name, *key) < 0)) {
            *key = name;
            *value = member;
        }
    }
    return key->text != NULL;
}

/* ---- Pointers ---- */

/* The member or element that has the byte at `at`: its place, and whether there is one. */
static bool find_byte(gemlet_json within, const char *at, gemlet_json *key, gemlet_json *value, uint64_t *index) {
    gemlet_json_type type = gemlet_json_type_of(within);
    gemlet_json_walk walk = gemlet_json_walk_begin(within);
    *index = 0;
    while ((type == GEMLET_JSON_OBJECT || type == GEMLET_JSON_ARRAY) && gemlet_json_walk_next(&walk, key, value)) {
        if (at < value->end) {
            return at >= (type == GEMLET_JSON_OBJECT ? key->text : value->text);
        }
        ++*index;
    }
    return false;
}

/* A part of a pointer, in which ~0 stands for '~' and ~1 for '/', as far as there is room; false where it was cut. */
static bool put_part(gemlet_error *error, gemlet_json name, size_t *room) {
    const char *piece;
    size_t bytes;
    for (gemlet_json_text text = gemlet_json_text_begin(name); gemlet_json_text_next(&text, &piece, &bytes);) {
        for (size_t i = 0, length = 1; i < bytes; i += length, length = 1) {
            while (i + length < bytes && ((unsigned char)piece[i + length] & 0xC0) == 0x80) {
                length++; /* of a character */
            }
            bool escaped = piece[i] == '~' || piece[i] == '/';
            size_t needed = escaped ? 2 : length;
            if (*room < needed) {
                return false;
            }
            gemlet_error_bytes(error, escaped ? (piece[i] == '~' ? "~0" : "~1") : piece + i, needed);
            *room -= needed;
        }
    }
    return true;
}

static bool put_index(gemlet_error *error, uint64_t index, size_t *room) {
    char digits[GEMLET_NUMBER_CHARACTERS];
    size_t length = gemlet_text_number(digits, index);
    if (*room < length) {
        return false;
    }
    gemlet_error_bytes(error, digits, length);
    *room -= length;
    return true;
}

void gemlet_json_put_pointer(gemlet_error *error, gemlet_json within, const char *at) {
    gemlet_json key = {NULL, NULL}, value = {NULL, NULL};
    uint64_t index = 0;
    for (size_t room = GEMLET_JSON_POINTER_BYTES; at > within.text && find_byte(within, at, &key, &value, &index); within = value) {
        bool object = gemlet_json_type_of(within) == GEMLET_JSON_OBJECT, whole = room > 0;
        if (whole) {
            gemlet_error_text(error, "/");
            room--;
            whole = object ? put_part(error, key, &room) : put_index(error, index, &room);
        }
        if (!whole) {
            gemlet_error_text(error, "...");
            return;
        }
    }
}
