/* JSON against a second reader, which is the grammar of RFC 8259 written down rule by rule and recurses as it does: the verdict on
 * every short text, on longer ones with any byte changed and cut anywhere; whatever stands behind a text has no part in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/json/json.h"
#include "tests/support/characters.h"

/* ---- The second reader: each rule takes what it can from *at on, and says whether that was one ---- */

typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

static bool takes_byte(cursor *t, unsigned char least, unsigned char most) {
    if (t->at == t->end || *t->at < least || *t->at > most) {
        return false;
    }
    t->at++;
    return true;
}

static bool takes_one_of(cursor *t, const char *bytes) {
    return t->at < t->end && *t->at != 0 && strchr(bytes, *t->at) != NULL && takes_byte(t, 0, 255);
}

static void take_space(cursor *t) {
    while (takes_one_of(t, " \t\n\r")) {
    }
}

static bool takes_word(cursor *t, const char *word) {
    size_t length = strlen(word);
    bool is_there = (size_t)(t->end - t->at) >= length && memcmp(t->at, word, length) == 0;
    t->at += is_there ? length : 0;
    return is_there;
}

static size_t take_digits(cursor *t) {
    size_t count = 0;
    for (; takes_byte(t, '0', '9'); count++) {
    }
    return count;
}

/* [ "-" ] int [ frac ] [ exp ] */
static bool takes_number(cursor *t) {
    (void)takes_one_of(t, "-");
    if (!takes_one_of(t, "0") && take_digits(t) == 0) {
        return false;
    }
    if (takes_one_of(t, ".") && take_digits(t) == 0) {
        return false;
    }
    if (takes_one_of(t, "eE")) {
        (void)takes_one_of(t, "+-");
        return take_digits(t) > 0;
    }
    return true;
}

static bool takes_unit(cursor *t, unsigned long *unit) {
    char digits[5] = "";
    for (size_t i = 0; i < 4; i++) {
        if (t->at == t->end || strchr("0123456789abcdefABCDEF", *t->at) == NULL || *t->at == 0) {
            return false;
        }
        digits[i] = (char)*t->at++;
    }
    *unit = strtoul(digits, NULL, 16);
    return true;
}

/* Behind a backslash; a half of a pair by itself is no character. */
static bool takes_escape(cursor *t) {
    unsigned long unit, second;
    if (!takes_one_of(t, "u")) {
        return takes_one_of(t, "\"\\/bfnrt");
    }
    if (!takes_unit(t, &unit) || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return false;
    }
    return unit < 0xD800 || unit > 0xDBFF ||
           (takes_word(t, "\\u") && takes_unit(t, &second) && second >= 0xDC00 && second <= 0xDFFF);
}

/* RFC 3629's table of well-formed sequences. */
static bool takes_character(cursor *t) {
    static const unsigned char forms[][8] = {
        {0x20, 0x21},
        {0x23, 0x5B},
        {0x5D, 0x7F},
        {0xC2, 0xDF, 0x80, 0xBF},
        {0xE0, 0xE0, 0xA0, 0xBF, 0x80, 0xBF},
        {0xE1, 0xEC, 0x80, 0xBF, 0x80, 0xBF},
        {0xED, 0xED, 0x80, 0x9F, 0x80, 0xBF},
        {0xEE, 0xEF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF0, 0xF0, 0x90, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF1, 0xF3, 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF4, 0xF4, 0x80, 0x8F, 0x80, 0xBF, 0x80, 0xBF},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        cursor form = *t;
        size_t part = 0;
        while (part < 8 && forms[i][part + 1] != 0 && takes_byte(&form, forms[i][part], forms[i][part + 1])) {
            part += 2;
        }
        if (part == 8 || forms[i][part + 1] == 0) {
            *t = form;
            return true;
        }
    }
    return false;
}

static bool takes_string(cursor *t) {
    if (!takes_one_of(t, "\"")) {
        return false;
    }
    while (!takes_one_of(t, "\"")) {
        if (!(takes_one_of(t, "\\") ? takes_escape(t) : takes_character(t))) {
            return false;
        }
    }
    return true;
}

static bool takes_value(cursor *t, int depth);

static bool takes_container(cursor *t, const char *end, bool is_object, int depth) {
    if (depth == GEMLET_JSON_NESTING) {
        return false;
    }
    take_space(t);
    if (takes_one_of(t, end)) {
        return true;
    }
    do {
        take_space(t);
        if (is_object && !takes_string(t)) {
            return false;
        }
        take_space(t);
        if ((is_object && !takes_one_of(t, ":")) || !takes_value(t, depth + 1)) {
            return false;
        }
    } while (takes_one_of(t, ","));
    return takes_one_of(t, end);
}

/* With the spaces around it. */
static bool takes_value(cursor *t, int depth) {
    bool found = false;
    take_space(t);
    if (takes_one_of(t, "{")) {
        found = takes_container(t, "}", true, depth);
    } else if (takes_one_of(t, "[")) {
        found = takes_container(t, "]", false, depth);
    } else if (t->at < t->end && *t->at == '"') {
        found = takes_string(t);
    } else {
        found = takes_word(t, "true") || takes_word(t, "false") || takes_word(t, "null") || takes_number(t);
    }
    take_space(t);
    return found;
}

static bool is_json(const char *bytes, size_t length) {
    cursor t = {(const unsigned char *)bytes, (const unsigned char *)bytes + length};
    return takes_value(&t, 0) && t.at == t.end;
}

/* ---- Both ---- */

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Both readers have the same opinion; the value is the text without the spaces around it. */
static void compare(const char *bytes, size_t length) {
    gemlet_json value;
    gemlet_error error = {GEMLET_OK, ""};
    bool good = is_json(bytes, length);
    gemlet_status status = gemlet_json_open(&value, bytes, length, "text", &error);
    if (status != (good ? GEMLET_OK : GEMLET_ERROR_FORMAT)) {
        fail_msg("%.*s: %s", (int)length, bytes, good ? error.message : "it is no JSON, but was taken");
    }
    if (!good) {
        assert_null(value.text);
        return;
    }
    const char *first = bytes, *end = bytes + length;
    while (first < end && is_space(*first)) {
        first++;
    }
    while (end > first && is_space(end[-1])) {
        end--;
    }
    assert_ptr_equal(value.text, first);
    assert_ptr_equal(value.end, end);
}

/* What would go on with a value, or end it, stands behind the text. */
static const char behind[] = {'0', '"', '}', ']', 'e', 'l', 'u', ' ', (char)0xA9, '\0', '\\', '.'};

static void every_text_of(const char *alphabet, size_t length) {
    const size_t letters = strlen(alphabet);
    size_t all = 1, turn = 0;
    char bytes[8] = "";
    for (size_t i = 0; i < length; i++) {
        all *= letters;
    }
    for (size_t number = 0; number < all; number++) {
        for (size_t i = 0, rest = number; i < length; i++, rest /= letters) {
            bytes[i] = alphabet[rest % letters];
        }
        bytes[length] = behind[turn++ % sizeof behind];
        compare(bytes, length);
    }
}

static void every_short_text(void **state) {
    (void)state;
    for (size_t length = 0; length <= 4; length++) {
        every_text_of("{}[],:\"\\/u01e-+. \tatn\xC3\xA9", length);
    }
    every_text_of("{}[],:\"1 ", 5);
    every_text_of("{}[],:\" ", 6);
    every_text_of("-01.eE+", 6);
}

static const char *const examples[] = {
    "{\"a\":[1,-2.5e+3,\"x\\u00e9\\n\"],\"b\":{\"\":null,\"c\":true},\"d\":false}",
    " [ [ ] , { } , \"\\\\\\\"\" , 0.0E-1 ]\r\n",
    "\"\\ud83d\\uDE00\\uD7FF\\uE000\\u0000\\/\\b\\f\\r\\t\"",
    "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{\"a\":0}]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[true,false,null,tru]",
    "\"\\udbff\\udc00\\ud800\\udfff\"",
};

static void any_byte_changed_or_cut_off(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const size_t length = strlen(examples[i]);
        char bytes[128] = "";
        assert_true(length < sizeof bytes);
        memcpy(bytes, examples[i], length + 1);
        for (size_t at = 0; at < length; at++) {
            compare(examples[i], at);
            for (size_t byte = 0; byte < 256; byte++) {
                bytes[at] = (char)byte;
                bytes[length] = behind[byte % sizeof behind];
                compare(bytes, length);
            }
            bytes[at] = examples[i][at];
            memmove(bytes + at, examples[i] + at + 1, length - at); /* left out */
            compare(bytes, length - 1);
            memcpy(bytes, examples[i], length + 1);
        }
        compare(examples[i], length);
    }
}

/* ---- Strings ---- */

static gemlet_json opened(const char *bytes) {
    gemlet_json value;
    assert_int_equal(gemlet_json_open(&value, bytes, strlen(bytes), "text", NULL), GEMLET_OK);
    return value;
}

/* A string's text, all of it. */
static size_t plain(const char *string, char *out) {
    const char *piece;
    size_t bytes, length = 0;
    for (gemlet_json_text text = gemlet_json_text_begin(opened(string)); gemlet_json_text_next(&text, &piece, &bytes);) {
        memcpy(out + length, piece, bytes);
        length += bytes;
    }
    return length;
}

static void put_unit(char *out, unsigned long unit, const char *digits) {
    out[0] = '\\';
    out[1] = 'u';
    for (size_t i = 0; i < 4; i++) {
        out[2 + i] = digits[unit >> (12 - 4 * i) & 15];
    }
}

static void every_character_by_its_number(void **state) {
    (void)state;
    char string[16] = "\"", found[8];
    unsigned char wanted[4];
    for (unsigned long c = 0; c <= 0x10FFFF; c += c < 0x11000 || c > 0x10FF00 ? 1 : 61) {
        const char *digits = c % 2 == 0 ? "0123456789abcdef" : "0123456789ABCDEF";
        size_t units = c < 0x10000 ? 1 : 2;
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        put_unit(string + 1, units == 1 ? c : 0xD800 + ((c - 0x10000) >> 10), digits);
        put_unit(string + 7, 0xDC00 + ((c - 0x10000) & 0x3FF), digits);
        memcpy(string + 1 + 6 * units, "\"", 2);
        size_t length = character_utf8(c, wanted);
        assert_int_equal(plain(string, found), length);
        assert_memory_equal(found, wanted, length);
    }
}

static void every_short_escape(void **state) {
    (void)state;
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    for (int byte = 0; byte < 256; byte++) {
        const char *name = byte != 0 ? strchr(names, byte) : NULL, *special = strchr("\"\\\b\f\n\r\t", byte);
        char written[8], wanted[7] = "";
        assert_int_equal(gemlet_json_escaped((char)byte), name != NULL ? meant[name - names] : -1);
        memset(written, '#', sizeof written);
        size_t length = gemlet_json_escape((char)byte, written);
        for (size_t i = length; i < sizeof written; i++) {
            assert_int_equal(written[i], '#'); /* no more than it says */
        }
        if (special != NULL && byte != 0) {
            assert_int_equal(length, 2);
            assert_int_equal(written[0], '\\');
            assert_int_equal(gemlet_json_escaped(written[1]), byte);
        } else if (byte < 0x20) {
            put_unit(wanted, (unsigned long)byte, "0123456789abcdef");
            assert_int_equal(length, 6);
            assert_memory_equal(written, wanted, 6);
        } else {
            assert_int_equal(length, 1);
            assert_int_equal((unsigned char)written[0], byte);
        }
        int digit =
            byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL ? (int)strtol((char[]){(char)byte, '\0'}, NULL, 16) : -1;
        assert_int_equal(gemlet_json_hexadecimal((char)byte), digit);
    }
}

/* In the order of their bytes, and in that without regard to case; a NUL is a byte as others. */
static void strings_are_ordered_by_their_bytes(void **state) {
    (void)state;
    static const char *const strings[] = {"\"\"",   "\"\\u0000\"", "\"\\u0000a\"", "\"@\"",       "\"A\"",        "\"AB\"",
                                          "\"Z\"",  "\"[\"",       "\"\\u0060\"",  "\"a\"",       "\"a\\u0000\"", "\"aB\"",
                                          "\"ab\"", "\"z\"",       "\"\\u007b\"",  "\"\\u00e9\"", "\"\xC3\xAA\""};
    enum { COUNT = sizeof strings / sizeof *strings };
    for (size_t a = 0; a < COUNT; a++) {
        for (size_t b = 0; b < COUNT; b++) {
            char left[16] = "", right[16] = "";
            size_t left_bytes = plain(strings[a], left), right_bytes = plain(strings[b], right);
            size_t common = left_bytes < right_bytes ? left_bytes : right_bytes;
            int order = memcmp(left, right, common);
            order = order != 0 ? order : (int)left_bytes - (int)right_bytes;
            int found = gemlet_json_compare(opened(strings[a]), opened(strings[b]), false);
            assert_true(order < 0 ? found < 0 : order > 0 ? found > 0 : found == 0);
            bool is = memchr(right, '\0', right_bytes) == NULL && order == 0;
            assert_int_equal(gemlet_json_is(opened(strings[a]), right, false),
                             is || (order != 0 && strcmp(right, left) == 0 && left_bytes == strlen(right)));
        }
    }
    assert_int_equal(gemlet_json_compare(opened("\"AZ@[\""), opened("\"az@[\""), true), 0);
    assert_true(gemlet_json_compare(opened("\"@\""), opened("\"`\""), true) != 0);
    assert_true(gemlet_json_compare(opened("\"[\""), opened("\"{\""), true) != 0);
    assert_true(gemlet_json_is(opened("\"A\\u005A\""), "az", true));
    assert_false(gemlet_json_is(opened("\"A\""), "a", false));
    assert_false(gemlet_json_is(opened("\"a\\u0000\""), "a", false));
    assert_false(gemlet_json_is(opened("[\"a\"]"), "a", false));
}

/* ---- Values within values ---- */

static void members_in_the_order_of_their_names(void **state) {
    (void)state;
    static const char *const order[] = {"\"\"", "\"A\"", "\"a\"", "\"a\"", "\"B\"", "\"b0\""};
    gemlet_json object = opened("{ \"b0\" : 1,\r\"a\":{\"x\":[\"}\"]}, \"A\":2,\"\":3 ,\t\"B\":\"\\\"]\",\"a\" :-4e1}"),
                key = {NULL, NULL}, value;
    static const char *const values[] = {"3", "2", "{", "-4e1", "\"", "1"};
    size_t members = 0, count = 0;
    for (; gemlet_json_next_sorted(object, key, &key, &value, &members); count++) {
        assert_int_equal(members, 6);
        assert_true(count < 6);
        assert_int_equal(key.end - key.text, strlen(order[count]));
        if (count < 1 || count > 3) { /* of names that differ in case alone, the text's order */
            assert_memory_equal(key.text, order[count], strlen(order[count]));
        }
    }
    assert_int_equal(count, 6);
    key = (gemlet_json){NULL, NULL};
    assert_true(gemlet_json_next_sorted(object, key, &key, &value, &members));
    assert_memory_equal(value.text, values[0], 1);
    key = gemlet_json_member(object, "a"); /* the last of that name */
    assert_int_equal(key.end - key.text, 4);
    assert_memory_equal(key.text, values[3], 4);
    assert_memory_equal(gemlet_json_member(opened("{\"a\":1,\"A\":2}"), "a").text, "1", 1);
    assert_null(gemlet_json_member(opened("[1]"), "a").text);
    assert_null(gemlet_json_member(opened("{\"b\":1}"), "a").text);
    assert_int_equal(gemlet_json_type_of(gemlet_json_member(object, "none")), GEMLET_JSON_NONE);
}

/* Two of one name keep the order of the text. */
static void names_that_are_the_same(void **state) {
    (void)state;
    gemlet_json object = opened("{\"b\":1,\"a\":2,\"A\":3,\"a\":4}"), key = {NULL, NULL}, value;
    size_t members = 0;
    for (const char *wanted = "2341"; *wanted != '\0'; wanted++) {
        assert_true(gemlet_json_next_sorted(object, key, &key, &value, &members));
        assert_int_equal(*value.text, *wanted);
    }
    assert_false(gemlet_json_next_sorted(object, key, &key, &value, &members));
}

static void types_of_values(void **state) {
    (void)state;
    static const struct {
        const char *text;
        gemlet_json_type type;
    } cases[] = {{"{}", GEMLET_JSON_OBJECT},   {"[]", GEMLET_JSON_ARRAY},  {"\"\"", GEMLET_JSON_STRING}, {"true", GEMLET_JSON_TRUE},
                 {"false", GEMLET_JSON_FALSE}, {"null", GEMLET_JSON_NULL}, {"-0", GEMLET_JSON_NUMBER},   {"9", GEMLET_JSON_NUMBER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gemlet_json_type_of(opened(cases[i].text)), cases[i].type);
    }
    assert_int_equal(gemlet_json_type_of((gemlet_json){NULL, NULL}), GEMLET_JSON_NONE);
}

static void pointers_name_the_innermost_value(void **state) {
    (void)state;
    static const char document[] = " {\"a\": [1, {\"b/\": 2}], \"~\": \"x\", \"\": []} ";
    static const struct {
        const char *at, *pointer;
    } cases[] = {{"{\"a\"", ""},         {"\"a\"", "/a"},    {"[1", "/a"},     {"1,", "/a/0"}, {" {\"b", "/a"},
                 {"\"b/\"", "/a/1/b~1"}, {"2}", "/a/1/b~1"}, {"}]", "/a/1"},   {"], ", "/a"},  {" \"~", ""},
                 {"\"~", "/~0"},         {"x\"", "/~0"},     {"\"\": [", "/"}, {"[]", "/"}};
    gemlet_json value = opened(document);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_error error = {GEMLET_OK, ""};
        gemlet_json_put_pointer(&error, value, strstr(document, cases[i].at));
        if (strcmp(error.message, cases[i].pointer) != 0) {
            fail_msg("%s: expected \"%s\", found \"%s\"", cases[i].at, cases[i].pointer, error.message);
        }
    }
}

/* A pointer of more bytes than it may have ends in dots, between characters and before a part that does not fit. */
static void long_pointers_end_in_dots(void **state) {
    (void)state;
    for (size_t length = 100; length < 140; length++) {
        char document[400] = "{\"", wanted[160] = "/";
        gemlet_error error = {GEMLET_OK, ""};
        memset(document + 2, 'n', length);
        memcpy(document + 2 + length, "\":[[0]]}", 9);
        gemlet_json_put_pointer(&error, opened(document), strchr(document, '0'));
        size_t most = GEMLET_JSON_POINTER_BYTES - 1;
        memset(wanted + 1, 'n', length < most ? length : most);
        const char *rest = length + 4 <= most   ? "/0/0"
                           : length + 3 == most ? "/0/..."
                           : length + 2 == most ? "/0..."
                           : length + 1 == most ? "/..."
                                                : "...";
        size_t names = length < most ? length : most;
        snprintf(wanted + 1 + names, sizeof wanted - 1 - names, "%s", rest);
        assert_string_equal(error.message, wanted);
        for (size_t i = 0; i < length; i++) { /* of two bytes each, written as ~1 or as they are */
            document[2 + 2 * i] = i % 2 == 0 ? '\\' : (char)0xC3;
            document[3 + 2 * i] = i % 2 == 0 ? '/' : (char)0xA9;
        }
        memcpy(document + 2 + 2 * length, "\":0}", 5);
        error = (gemlet_error){GEMLET_OK, ""};
        gemlet_json_put_pointer(&error, opened(document), strchr(document, '0'));
        assert_int_equal(strlen(error.message), 1 + most / 2 * 2 + 3);
        assert_memory_equal(error.message, "/~1\xC3\xA9~1\xC3\xA9", 9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_text),
        cmocka_unit_test(any_byte_changed_or_cut_off),
        cmocka_unit_test(every_character_by_its_number),
        cmocka_unit_test(every_short_escape),
        cmocka_unit_test(strings_are_ordered_by_their_bytes),
        cmocka_unit_test(members_in_the_order_of_their_names),
        cmocka_unit_test(names_that_are_the_same),
        cmocka_unit_test(types_of_values),
        cmocka_unit_test(pointers_name_the_innermost_value),
        cmocka_unit_test(long_pointers_end_in_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
