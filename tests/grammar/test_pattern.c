/* Patterns, character by character: which characters a class has, which bytes write them, what is refused with which words; and
 * what short patterns match, held against the C library's regular expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <regex.h>

#include <cmocka.h>

#include "tests/grammar/compiled.h"
#include "tests/kernels/kernel_test.h"
#include "tests/support/characters.h"

/* Appends to a text in an array of `room` bytes. */
static void append(char *text, size_t room, const char *more) {
    size_t used = strlen(text);
    assert_true(used + strlen(more) < room);
    snprintf(text + used, room - used, "%s", more);
}

/* ---- Characters ---- */

enum { MOST_RANGES = 12 };
static const uint32_t last_character = 0x10FFFF;

typedef struct character_class {
    const char *pattern;
    bool others; /* all characters but those of the ranges */
    uint32_t ranges[MOST_RANGES][2];
} character_class;

#define DIGITS                                                                                                                     \
    { '0', '9' }
#define WORDS                                                                                                                      \
    {'0', '9'}, {'A', 'Z'}, {'_', '_'}, {                                                                                          \
        'a', 'z'                                                                                                                   \
    }
/* ECMA-262: WhiteSpace and LineTerminator. */
#define SPACES                                                                                                                     \
    {9, 13}, {32, 32}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},     \
        {0x3000, 0x3000}, {                                                                                                        \
        0xFEFF, 0xFEFF                                                                                                             \
    }
#define LINE_ENDS                                                                                                                  \
    {10, 10}, {13, 13}, {                                                                                                          \
        0x2028, 0x2029                                                                                                             \
    }

static const character_class classes[] = {
    {"\\d", false, {DIGITS}},
    {"\\D", true, {DIGITS}},
    {"[\\D]", true, {DIGITS}},
    {"[^\\D]", false, {DIGITS}},
    {"\\w", false, {WORDS}},
    {"\\W", true, {WORDS}},
    {"\\s", false, {SPACES}},
    {"\\S", true, {SPACES}},
    {"[^\\s]", true, {SPACES}},
    {".", true, {LINE_ENDS}},
    {"[^]", true, {{1, 0}}},
    {"[\\d\\D]", true, {{1, 0}}},
    {"a", false, {{'a', 'a'}}},
    {"\xC3\xA9", false, {{0xE9, 0xE9}}},
    {"\\x41", false, {{'A', 'A'}}},
    {"\\x7f", false, {{0x7F, 0x7F}}},
    {"\\xFf", false, {{0xFF, 0xFF}}},
    {"\\u0041", false, {{'A', 'A'}}},
    {"\\u20Ac", false, {{0x20AC, 0x20AC}}},
    {"\\uFFFF", false, {{0xFFFF, 0xFFFF}}},
    {"\\0", false, {{0, 0}}},
    {"\\t", false, {{9, 9}}},
    {"\\n", false, {{10, 10}}},
    {"\\v", false, {{11, 11}}},
    {"\\f", false, {{12, 12}}},
    {"\\r", false, {{13, 13}}},
    {"\\.", false, {{'.', '.'}}},
    {"\\\\", false, {{'\\', '\\'}}},
    {"\\\xC2\x80", false, {{0x80, 0x80}}}, /* behind a backslash, what is no letter or digit stands for itself */
    {"\\/", false, {{'/', '/'}}},
    {"\\:", false, {{':', ':'}}},
    {"\\@", false, {{'@', '@'}}},
    {"\\[", false, {{'[', '['}}},
    {"\\`", false, {{'`', '`'}}},
    {"\\{", false, {{'{', '{'}}},
    {"\\\x01", false, {{1, 1}}},
    {"[\\b]", false, {{8, 8}}},
    {"[a-]", false, {{'-', '-'}, {'a', 'a'}}},
    {"[-a]", false, {{'-', '-'}, {'a', 'a'}}},
    {"[a\\-z]", false, {{'-', '-'}, {'a', 'a'}, {'z', 'z'}}},
    {"[\\]]", false, {{']', ']'}}},
    {"[\\d-x]", false, {{'-', '-'}, {'0', '9'}, {'x', 'x'}}},
    {"[.*+?(){}|$^]", false, {{'$', '$'}, {'(', '+'}, {'.', '.'}, {'?', '?'}, {'^', '^'}, {'{', '}'}}},
    {"[^^]", true, {{'^', '^'}}},
    {"[^\\x01-\\x03]", true, {{1, 3}}},
    {"[^\\0]", true, {{0, 0}}},
    {"[^\\0\\x05]", true, {{0, 0}, {5, 5}}},
    {"[^\\x05\\0-\\x01]", true, {{0, 1}, {5, 5}}},
    {"[^b-dx-zc-f]", true, {{'b', 'f'}, {'x', 'z'}}},
    {"[^x-zb-da]", true, {{'a', 'd'}, {'x', 'z'}}},
    {"[^a-cd-f]", true, {{'a', 'f'}}},
    {"[^a-ce-g]", true, {{'a', 'c'}, {'e', 'g'}}},
    {"[^a-zc-d]", true, {{'a', 'z'}}},
    {"[^d-fd-ea-b]", true, {{'a', 'b'}, {'d', 'f'}}},
    {"[^\xF4\x8F\xBF\xBF]", true, {{0x10FFFF, 0x10FFFF}}},
    {"[^\\0-\xF4\x8F\xBF\xBE]", false, {{0x10FFFF, 0x10FFFF}}},
    {"\\\xC5\xB4", false, {{0x174, 0x174}}}, /* 't' with something before */
    {"\xC4\xA8\xC4\xA9", false, {{1, 0}}},   /* '(' and ')' */
    {"[\xF4\x8F\xBF\xBE-\xF4\x8F\xBF\xBF]", false, {{0x10FFFE, 0x10FFFF}}},
    {"[\\ud7fe-\\ue001]", false, {{0xD7FE, 0xD7FF}, {0xE000, 0xE001}}},
    {"[\\ud7fe-\\ud800]", false, {{0xD7FE, 0xD7FF}}},
    {"[\\ud7fe-\\udfff]", false, {{0xD7FE, 0xD7FF}}},
    {"[\\ud800-\\ue001]", false, {{0xE000, 0xE001}}},
    {"[\\udfff-\\ue001]", false, {{0xE000, 0xE001}}},
    {"[\\ud800-\\udfffab]", false, {{'a', 'b'}}},
    {"[a\\ud800\\udfffb]", false, {{'a', 'b'}}},
    {"[\\ud7ff\\ue000]", false, {{0xD7FF, 0xD7FF}, {0xE000, 0xE000}}},
    {"[\\x7f-\\x80]", false, {{0x7F, 0x80}}},
    {"[\\u07ff-\\u0800]", false, {{0x7FF, 0x800}}},
    {"[\\uffff-\xF0\x90\x80\x80]", false, {{0xFFFF, 0x10000}}},
    {"[\xF0\x9F\x98\x80-\xF0\x9F\x98\x82]", false, {{0x1F600, 0x1F602}}},
    {"[\\u1000-\\u103f]", false, {{0x1000, 0x103F}}},
};

static bool has(const character_class *c, uint32_t character) {
    bool found = false;
    for (size_t i = 0; i < MOST_RANGES && (i == 0 || c->ranges[i][1] != 0); i++) {
        found = found || (character >= c->ranges[i][0] && character <= c->ranges[i][1]);
    }
    return found != c->others;
}

static bool is_surrogate(uint32_t character) {
    return character >= 0xD800 && character <= 0xDFFF;
}

/* All characters of the planes' beginnings and ends, and one in 997 between. */
static uint32_t next_character(uint32_t c) {
    uint32_t low = c & 0xFFFF;
    bool close = c < 0x3400 || low < 0x40 || low > 0xFFB0 || (c > 0xD7C0 && c < 0xE040) || (c > 0x1F5F0 && c < 0x1F610) ||
                 (c > 0xFE00 && c < 0x10000);
    return close                            ? c + 1
           : low + 997 > 0xFFB1             ? (c | 0xFFFF) - 0x4E
           : c < 0xD7C1 && c + 997 > 0xD7C1 ? 0xD7C1
           : c < 0xFE01 && c + 997 > 0xFE01 ? 0xFE01
                                            : c + 997;
}

static void classes_have_their_characters(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        compiled c;
        unsigned char bytes[4];
        assert_int_equal(
            compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, classes[i].pattern, strlen(classes[i].pattern), i % 2 == 0 ? 0 : 0xFF),
            GEMLET_OK);
        for (uint32_t character = 0; character <= last_character; character = next_character(character)) {
            size_t length = character_utf8(character, bytes);
            bool wanted = has(&classes[i], character) && !is_surrogate(character);
            if (matches_bytes(c.grammar, bytes, length) != wanted) {
                fail_msg("%s: U+%04X is %s", classes[i].pattern, (unsigned)character, wanted ? "refused" : "allowed");
            }
        }
        guarded_free(c.memory);
    }
}

/* RFC 3629: which second bytes a first one may have before it. */
static bool may_begin(const unsigned char *bytes, size_t length) {
    unsigned char first = bytes[0], second = bytes[1];
    size_t needed = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (needed < length) {
        return false;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return false;
        }
    }
    return length < 2 || !((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                           (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F));
}

static bool may_go_on(const gemlet_grammar *grammar, const char *before, const unsigned char *bytes, size_t length) {
    gemlet_grammar_state state;
    gemlet_grammar_begin(grammar, &state);
    assert_true(advance_bytes(grammar, &state, before, strlen(before)));
    return advance_bytes(grammar, &state, bytes, length);
}

/* A byte is allowed where a character can still come of it, of a pattern and of a string, and nowhere else. */
static void bytes_begin_characters(void **state) {
    (void)state;
    static const unsigned char thirds[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    compiled pattern, string;
    compile_good(&pattern, GEMLET_GRAMMAR_PATTERN, "[^]");
    compile_good(&string, GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"string\",\"maxLength\":1}");
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t third = 0; third < sizeof thirds; third++) {
                const unsigned char bytes[4] = {(unsigned char)first, (unsigned char)second, thirds[third],
                                                thirds[(third + second) % sizeof thirds]};
                for (size_t length = 1; length <= 4; length++) {
                    if (first < 0x80 && length > 1) {
                        continue;
                    }
                    bool may = may_begin(bytes, length);
                    if (may_go_on(pattern.grammar, "", bytes, length) != may ||
                        (first >= 0x80 && may_go_on(string.grammar, "\"", bytes, length) != may)) {
                        fail_msg("%02X %02X %02X %02X, %zu bytes of them: %s", first, second, bytes[2], bytes[3], length,
                                 may ? "refused" : "allowed");
                    }
                }
            }
        }
    }
    guarded_free(pattern.memory);
    guarded_free(string.memory);
}

/* Characters that a pattern can't end with are not begun. */
static void only_bytes_of_the_class_begin(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *bytes;
        bool may;
    } cases[] = {
        {"[\\u1000-\\u103f]", "\xE1\x80", true},
        {"[\\u1000-\\u103f]", "\xE1\x81", false},
        {"[\\u1000-\\u103f]", "\xE0", false},
        {"[\\u1000-\\u103f]", "\xE2", false},
        {"[\\u103f-\\u1040]", "\xE1\x81", true},
        {"[\\u103f-\\u1040]", "\xE1\x81\x81", false},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98", true},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x97", false},
        {"\xF0\x9F\x98\x80", "\xF0\x9E", false},
        {"\xF0\x9F\x98\x80", "\xF1", false},
        {"[\\ud7ff]", "\xED\x9F", true},
        {"[\\ud7ff]", "\xED\x9E", false},
        {"[\\ue000]", "\xEE", true},
        {"[\\ue000]", "\xED", false},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F", true},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8E", false},
        {"\\u0080", "\xC2\x80", true},
        {"\\u0080", "\xC3", false},
        {"\\u0800", "\xE0\xA0", true},
        {"\\u0800", "\xE0\xA1", false},
        {"\xF0\x90\x80\x80", "\xF0\x90", true},
        {"\xF0\x90\x80\x80", "\xF0\x91", false},
        {"[^\\u0080-\xF4\x8F\xBF\xBF]", "\xC2", false},
        {"[\\ud800-\\ue001]", "\xED", false},
        {"[\\ud800-\\ue001]", "\xEE\x80", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        compile_good(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern);
        if (may_go_on(c.grammar, "", (const unsigned char *)cases[i].bytes, strlen(cases[i].bytes)) != cases[i].may) {
            fail_msg("%s: case %zu", cases[i].pattern, i);
        }
        guarded_free(c.memory);
    }
}

/* Written by number, a string's character is the same: each of them, and those of the pattern. */
static void characters_written_by_number(void **state) {
    (void)state;
    compiled any, some;
    compile_good(&any, GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"string\",\"maxLength\":1}");
    compile_good(&some, GEMLET_GRAMMAR_SCHEMA,
                 "{\"type\":\"string\",\"pattern\":\"^[A\\\\ud7ff\\\\ue000\xF0\x9F\x98\x80\\n\\\\x08]$\"}");
    for (uint32_t unit = 0; unit <= 0xFFFF; unit++) {
        char text[40];
        int length = snprintf(text, sizeof text, unit % 2 == 0 ? "\"\\u%04x\"" : "\"\\u%04X\"", (unsigned)unit);
        bool wanted = unit == 'A' || unit == 0xD7FF || unit == 0xE000 || unit == '\n' || unit == 8;
        if (matches_bytes(any.grammar, text, (size_t)length) == is_surrogate(unit) ||
            matches_bytes(some.grammar, text, (size_t)length) != wanted) {
            fail_msg("%s", text);
        }
    }
    assert_false(
        may_go_on(any.grammar, "\"\\u", (const unsigned char *)"D8", 2)); /* no pairs: characters beyond stand as they are */
    assert_true(may_go_on(any.grammar, "\"\\u", (const unsigned char *)"D7", 2));
    assert_false(may_go_on(some.grammar, "\"\\u", (const unsigned char *)"D6", 2));
    assert_false(may_go_on(some.grammar, "\"\\u", (const unsigned char *)"D7FE", 4));
    for (int byte = 1; byte < 256; byte++) {
        const char text[] = {'"', '\\', (char)byte, '"'};
        assert_int_equal(matches_bytes(any.grammar, text, 4), strchr("\"\\/bfnrt", byte) != NULL);
        assert_int_equal(matches_bytes(some.grammar, text, 4), byte == 'n' || byte == 'b');
        const char digit[] = {'"', '\\', 'u', '0', '0', '4', (char)byte, '"'};
        assert_int_equal(matches_bytes(any.grammar, digit, 8), strchr("0123456789abcdefABCDEF", byte) != NULL);
    }
    guarded_free(any.memory);
    guarded_free(some.memory);
}

/* One after the other, in whatever way each is written. */
static void characters_one_after_the_other(void **state) {
    (void)state;
    static const char *const ways[][3] = {{"A", "\\u0041", "\\u0041"},
                                          {"\xC3\xA9", "\\u00e9", "\\u00E9"},
                                          {"\xE2\x82\xAC", "\\u20ac", "\\u20AC"},
                                          {"\\n", "\\u000a", "\\u000A"},
                                          {"/", "\\/", "\\u002f"}};
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_SCHEMA,
                 "{\"type\":\"string\",\"pattern\":\"^(A\xC3\xA9|\xC3\xA9\xE2\x82\xAC|\xE2\x82\xAC\\n|\\n\\/|\\/A)$\"}");
    for (size_t first = 0; first < 5; first++) {
        for (size_t second = 0; second < 5; second++) {
            for (size_t way = 0; way < 9; way++) {
                char text[32];
                snprintf(text, sizeof text, "\"%s%s\"", ways[first][way % 3], ways[second][way / 3]);
                if (matches(c.grammar, text) != (second == (first + 1) % 5)) {
                    fail_msg("%s", text);
                }
            }
        }
    }
    guarded_free(c.memory);
}

/* ---- What is refused ---- */

static void refusals_say_what_and_where(void **state) {
    (void)state;
    static const char end[] = "it ends too early", letter[] = "a backslash with that letter or digit is not of the subset",
                      range[] = "expected a range's last character not before its first", bracket[] = "expected ]",
                      empty[] = "a class without characters",
                      group[] = "groups that look around or have names are not of the subset",
                      mark[] = "a character that needs a backslash", again[] = "nothing that could be repeated",
                      number[] = "expected a number", anchor[] = "^ and $ are of the subset at both ends of the pattern only",
                      parts[] = "| beside ^ or $: put what it parts into a group", counts[] = "expected {least,most}",
                      many[] = "more than 256 characters, repetitions written out", digit[] = "expected a hexadecimal digit",
                      text[] = "expected UTF-8", open[] = "( without )", close[] = ") without (",
                      times[] = "a repetition of more than 1000 times", nested[] = "more than 15 groups within each other";
    static const struct {
        const char *pattern, *why;
        unsigned byte;
        gemlet_status status;
    } cases[] = {
        {"\\xg0", digit, 3, GEMLET_ERROR_FORMAT},
        {"\\u00g0", digit, 5, GEMLET_ERROR_FORMAT},
        {"\\x0\xC3\xA9", digit, 5, GEMLET_ERROR_FORMAT},
        {"\\x0\xC4\xB0", digit, 5, GEMLET_ERROR_FORMAT},
        {"\\u12", end, 4, GEMLET_ERROR_FORMAT},
        {"\\x1", end, 3, GEMLET_ERROR_FORMAT},
        {"a\\", end, 2, GEMLET_ERROR_FORMAT},
        {"[a-", end, 3, GEMLET_ERROR_FORMAT},
        {"[\\", end, 2, GEMLET_ERROR_FORMAT},
        {"\\9", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\1", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\a", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\z", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\A", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\Z", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"\\b", letter, 2, GEMLET_ERROR_UNSUPPORTED},
        {"[\\B]", letter, 3, GEMLET_ERROR_UNSUPPORTED},
        {"[b-a]", range, 4, GEMLET_ERROR_FORMAT},
        {"[a-\\d]", range, 5, GEMLET_ERROR_FORMAT},
        {"[a", bracket, 2, GEMLET_ERROR_FORMAT},
        {"[^", bracket, 2, GEMLET_ERROR_FORMAT},
        {"[\\]", bracket, 3, GEMLET_ERROR_FORMAT},
        {"[a\\]", bracket, 4, GEMLET_ERROR_FORMAT},
        {"[]", empty, 2, GEMLET_ERROR_FORMAT},
        {"[\\ud800-\\udfff]", empty, 15, GEMLET_ERROR_FORMAT},
        {"\\ud800", empty, 6, GEMLET_ERROR_FORMAT},
        {"[^\\d\\D]", empty, 7, GEMLET_ERROR_FORMAT},
        {"(?=a)", group, 2, GEMLET_ERROR_UNSUPPORTED},
        {"(?<a>b)", group, 2, GEMLET_ERROR_UNSUPPORTED},
        {"(?:a", open, 4, GEMLET_ERROR_FORMAT},
        {"(", open, 1, GEMLET_ERROR_FORMAT},
        {"a)", close, 2, GEMLET_ERROR_FORMAT},
        {"(a))", close, 4, GEMLET_ERROR_FORMAT},
        {"*", mark, 1, GEMLET_ERROR_FORMAT},
        {"+a", mark, 1, GEMLET_ERROR_FORMAT},
        {"(|?)", mark, 3, GEMLET_ERROR_FORMAT},
        {"{1}", mark, 1, GEMLET_ERROR_FORMAT},
        {"a}", mark, 2, GEMLET_ERROR_FORMAT},
        {"]", mark, 1, GEMLET_ERROR_FORMAT},
        {"a**", again, 2, GEMLET_ERROR_FORMAT},
        {"a+*", again, 2, GEMLET_ERROR_FORMAT},
        {"a?+", again, 2, GEMLET_ERROR_FORMAT},
        {"a{2}{3}", again, 4, GEMLET_ERROR_FORMAT},
        {"a*??", again, 3, GEMLET_ERROR_FORMAT},
        {"a{,2}", number, 2, GEMLET_ERROR_FORMAT},
        {"a{x}", number, 2, GEMLET_ERROR_FORMAT},
        {"a{2,", number, 4, GEMLET_ERROR_FORMAT},
        {"a{2,x}", number, 4, GEMLET_ERROR_FORMAT},
        {"a{:}", number, 2, GEMLET_ERROR_FORMAT},
        {"a{2,1}", counts, 6, GEMLET_ERROR_FORMAT},
        {"a{2", counts, 3, GEMLET_ERROR_FORMAT},
        {"a{2;}", counts, 3, GEMLET_ERROR_FORMAT},
        {"a{2,3,}", counts, 5, GEMLET_ERROR_FORMAT},
        {"a{1001}", times, 6, GEMLET_ERROR_UNSUPPORTED},
        {"a{0,1001}", times, 8, GEMLET_ERROR_UNSUPPORTED},
        {"a{257}", many, 6, GEMLET_ERROR_UNSUPPORTED},
        {"a{1000}", many, 7, GEMLET_ERROR_UNSUPPORTED},
        {"(ab){129}", many, 9, GEMLET_ERROR_UNSUPPORTED},
        {"(a{128}){2}b", many, 12, GEMLET_ERROR_UNSUPPORTED},
        {"a{256}b", many, 7, GEMLET_ERROR_UNSUPPORTED},
        {"a^", anchor, 2, GEMLET_ERROR_UNSUPPORTED},
        {"$a", anchor, 1, GEMLET_ERROR_UNSUPPORTED},
        {"^^", anchor, 2, GEMLET_ERROR_UNSUPPORTED},
        {"(a$)", anchor, 3, GEMLET_ERROR_UNSUPPORTED},
        {"a$$", anchor, 2, GEMLET_ERROR_UNSUPPORTED},
        {"a|b$", parts, 3, GEMLET_ERROR_UNSUPPORTED},
        {"^a|b", parts, 4, GEMLET_ERROR_UNSUPPORTED},
        {"^(a|b)|c$", parts, 8, GEMLET_ERROR_UNSUPPORTED},
        {"a\xFF", text, 1, GEMLET_ERROR_FORMAT},
        {"\xC3", text, 0, GEMLET_ERROR_FORMAT},
        {"[\xED\xA0\x80]", text, 1, GEMLET_ERROR_FORMAT},
        {"\\\x80", text, 1, GEMLET_ERROR_FORMAT},
        {"((((((((((((((((a))))))))))))))))", nested, 16, GEMLET_ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[GEMLET_MESSAGE_BYTES];
        compiled c;
        snprintf(wanted, sizeof wanted, "pattern: %s, at byte %u", cases[i].why, cases[i].byte);
        gemlet_status status = compile_text(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern);
        if (status != cases[i].status || strcmp(c.error.message, wanted) != 0) {
            fail_msg("%s: expected \"%s\", found %d, \"%s\"", cases[i].pattern, wanted, (int)status, c.error.message);
        }
        guarded_free(c.memory);
    }
}

static void as_many_as_there_may_be(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        size_t length; /* of the only texts, all 'a' */
    } cases[] = {{"a{256}", 256},
                 {"(a{128}){2}", 256},
                 {"(((((((((((((((a)))))))))))))))", 1},
                 {"a{0}", 0},
                 {"a{0,0}a", 1},
                 {"(a{0}){200}", 0},
                 {"a{100}(a){100}", 200},
                 {"a{56}((a|a){2}){50}", 156}};
    char text[300];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        compile_good(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern);
        for (size_t length = 0; length < sizeof text; length++) {
            assert_int_equal(matches_bytes(c.grammar, text, length), length == cases[i].length);
        }
        guarded_free(c.memory);
    }
}

/* A '$' behind an odd number of backslashes is a character. */
static void backslashes_before_the_end(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
    } cases[] = {{"\\$", "$"},   {"\\\\$", "\\"},   {"\\\\\\$", "\\$"}, {"\\\\\\\\$", "\\\\"},
                 {"a\\$", "a$"}, {"a\\\\$", "a\\"}, {"^\\$$", "$"},     {"$", ""},
                 {"^$", ""},     {"^", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        compile_good(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern);
        if (!matches_bytes(c.grammar, cases[i].text, strlen(cases[i].text)) || matches_bytes(c.grammar, "x", 1)) {
            fail_msg("%s", cases[i].pattern);
        }
        guarded_free(c.memory);
    }
}

/* No text is the empty pattern; a NUL is a character, and stands for itself behind a backslash. */
static void nothing_and_nul(void **state) {
    (void)state;
    static const char *const patterns[] = {"\0", "\\\0", "[\0]", "[\\\0]"};
    compiled c;
    assert_int_equal(compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, NULL, 0, 0xA5), GEMLET_OK);
    assert_true(matches_bytes(c.grammar, "", 0) && !matches_bytes(c.grammar, "x", 1));
    guarded_free(c.memory);
    assert_int_equal(compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, NULL, 1, 0xA5), GEMLET_ERROR_ARGUMENT);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, patterns[i], 1 + i % 2 + i / 2 * 2, 0xA5), GEMLET_OK);
        assert_true(matches_bytes(c.grammar, "\0", 1) && !matches_bytes(c.grammar, "0", 1) && !matches_bytes(c.grammar, "\v", 1));
        guarded_free(c.memory);
    }
}

/* What stands behind the text has no part in it. */
static void patterns_end_where_they_end(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        size_t bytes;
        bool good;
    } cases[] = {{"\xC3\xA9", 1, false}, {"a\xC3\xA9", 2, false}, {"aaa\xC3\xA9", 4, false}, {"[a]", 2, false},
                 {"(a)", 2, false},      {"a{1}", 3, false},      {"a{1,2}", 5, false},      {"\\x41", 3, false},
                 {"a*", 1, true},        {"a$", 1, true},         {"a\\$", 2, false},        {"^a", 0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        if ((compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern, cases[i].bytes, 0xA5) == GEMLET_OK) != cases[i].good) {
            fail_msg("%s, %zu bytes of it", cases[i].pattern, cases[i].bytes);
        }
        guarded_free(c.memory);
    }
}

/* Each of a schema's patterns is its own, anywhere in a string unless it is anchored. */
static void several_patterns_in_a_schema(void **state) {
    (void)state;
    static const char schema[] =
        "{\"prefixItems\":[{\"type\":\"string\",\"pattern\":\"^(a|bc){1,2}$\"},{\"type\":\"string\",\"pattern\":\"x[yz]\"},"
        "{\"type\":\"string\",\"pattern\":\"^\\\\d{2}\"},{\"type\":\"string\",\"pattern\":\"q|w$\"}],\"items\":false,\"minItems\":"
        "4}";
    static const char another[] =
        "{\"prefixItems\":[{\"type\":\"string\",\"pattern\":\"^(a|bc){1,2}$\"},{\"type\":\"string\",\"pattern\":\"x[yz]\"},"
        "{\"type\":\"string\",\"pattern\":\"^\\\\d{2}\"},{\"type\":\"string\",\"pattern\":\"(q|w+)$\"}],\"items\":false,"
        "\"minItems\":4}";
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"[\"abc\",\"xy\",\"12\",\"q\"]", true},       {"[\"bcbc\",\"\\u0000xz\\u0000\",\"12\",\"w\"]", true},
                 {"[\"a\",\"..xzx.\",\"123\",\"aqww\"]", true}, {"[\"b\",\"xy\",\"12\",\"q\"]", false},
                 {"[\"aaa\",\"xy\",\"12\",\"q\"]", false},      {"[\"a\",\"x.y\",\"12\",\"q\"]", false},
                 {"[\"a\",\"xy\",\"1\",\"q\"]", false},         {"[\"a\",\"xy\",\".12\",\"q\"]", false},
                 {"[\"a\",\"xy\",\"12\",\"wq.\"]", false},      {"[\"a\",\"xy\",\"12\",\"\"]", false}};
    compiled c;
    assert_int_equal(compile_text(&c, GEMLET_GRAMMAR_SCHEMA, schema), GEMLET_ERROR_UNSUPPORTED);
    assert_string_equal(c.error.message,
                        "pattern: | beside ^ or $: put what it parts into a group, at byte 3, in schema: /prefixItems/3/pattern");
    guarded_free(c.memory);
    compile_good(&c, GEMLET_GRAMMAR_SCHEMA, another);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (matches_bytes(c.grammar, cases[i].text, strlen(cases[i].text)) != cases[i].good) {
            fail_msg("%s", cases[i].text);
        }
    }
    guarded_free(c.memory);
}

/* However their names are written, and however often something refers to them: memory is counted for all. */
static void patterns_are_counted(void **state) {
    (void)state;
    char schema[30000] = "{\"properties\":{";
    static const char *const members[] = {"{\"\\u0070attern\":\"^$\"}", "{\"pattern\":\"^a\\u002eb$\"}",
                                          "{\"$ref\":\"#/properties/0\"}", "{\"$ref\":\"#/properties/1\"}"};
    for (size_t i = 0; i < 300; i++) {
        size_t used = strlen(schema);
        snprintf(schema + used, sizeof schema - used, "%s\"%zu\":%s", i > 0 ? "," : "", i, members[i % 4]);
    }
    append(schema, sizeof schema, "}}");
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_SCHEMA, schema);
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"{\"0\":\"\",\"1\":\"axb\",\"2\":\"\",\"3\":\"a.b\"}", true},
                 {"{\"2\":\"x\"}", false},
                 {"{\"3\":\"ab\"}", false},
                 {"{\"296\":\"x\"}", false},
                 {"{\"299\":\"a-b\"}", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(matches_bytes(c.grammar, cases[i].text, strlen(cases[i].text)), cases[i].good);
    }
    guarded_free(c.memory);
}

/* Classes of as many ranges as a pattern of so many bytes can write are held. */
static void classes_of_many_ranges(void **state) {
    (void)state;
    static const char *const parts[] = {"\\S", "\\W", "\\D\\S\\W", "[^\\s]", ".", "[\\s\\w]"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char pattern[3 * 80 + 8] = "", text[80];
        for (size_t count = 1; count <= 30; count++) {
            compiled c;
            append(pattern, sizeof pattern, parts[i]);
            compile_good(&c, GEMLET_GRAMMAR_PATTERN, pattern);
            memset(text, 'x', sizeof text);
            bool one = strcmp(parts[i], "\\W") != 0 && strcmp(parts[i], "\\D\\S\\W") != 0;
            assert_int_equal(matches_bytes(c.grammar, text, count), one);
            guarded_free(c.memory);
        }
    }
}

/* ---- What short patterns match ---- */

enum { MOST_TEXT = 5 };

static void compare(const char *pattern, size_t *compared) {
    char anchored[32];
    regex_t other;
    compiled c;
    bool ours = compile_text(&c, GEMLET_GRAMMAR_PATTERN, pattern) == GEMLET_OK;
    snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
    bool lazy = strstr(pattern, "+?") || strstr(pattern, "*?") || strstr(pattern, "??"); /* means something else there */
    bool theirs = !lazy && regcomp(&other, anchored, REG_EXTENDED | REG_NOSUB) == 0;
    for (size_t number = 0; ours && theirs && number < 1u << (MOST_TEXT + 1); number++) {
        char text[MOST_TEXT + 2];
        size_t length = 0;
        for (size_t rest = number + 2; rest > 1; rest /= 2) { /* the bits behind the highest */
            text[length++] = (char)('a' + rest % 2);
        }
        text[length] = '\0';
        if (matches_bytes(c.grammar, text, length) != (regexec(&other, text, 0, NULL, 0) == 0)) {
            fail_msg("%s: \"%s\"", pattern, text);
        }
        ++*compared;
    }
    if (theirs) {
        regfree(&other);
    }
    guarded_free(c.memory);
}

static void every_pattern_of(const char *const *symbols, size_t count, size_t length, size_t *compared) {
    size_t all = 1;
    for (size_t i = 0; i < length; i++) {
        all *= count;
    }
    for (size_t number = 0; number < all; number++) {
        char pattern[24] = "";
        for (size_t i = 0, rest = number; i < length; i++, rest /= count) {
            append(pattern, sizeof pattern, symbols[rest % count]);
        }
        compare(pattern, compared);
    }
}

static void short_patterns_match_as_elsewhere(void **state) {
    (void)state;
    static const char *const most[] = {"a", "b", "*", "+", "?", "|", "(", ")", "."}, *const counts[] = {"a",     "b",    "{2}",
                                                                                                        "{0,1}", "{1,}", "{0}",
                                                                                                        "(",     ")",    "|"},
                             *const groups[] = {"(a", "b)", "*", "|", "a"};
    size_t compared = 0;
    for (size_t length = 0; length <= 4; length++) {
        every_pattern_of(most, sizeof most / sizeof *most, length, &compared);
        every_pattern_of(counts, sizeof counts / sizeof *counts, length, &compared);
    }
    every_pattern_of(groups, sizeof groups / sizeof *groups, 5, &compared);
    print_message("%zu texts compared\n", compared);
    assert_true(compared > 50000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_have_their_characters),
        cmocka_unit_test(bytes_begin_characters),
        cmocka_unit_test(only_bytes_of_the_class_begin),
        cmocka_unit_test(characters_written_by_number),
        cmocka_unit_test(characters_one_after_the_other),
        cmocka_unit_test(refusals_say_what_and_where),
        cmocka_unit_test(as_many_as_there_may_be),
        cmocka_unit_test(backslashes_before_the_end),
        cmocka_unit_test(nothing_and_nul),
        cmocka_unit_test(patterns_end_where_they_end),
        cmocka_unit_test(several_patterns_in_a_schema),
        cmocka_unit_test(patterns_are_counted),
        cmocka_unit_test(classes_of_many_ranges),
        cmocka_unit_test(short_patterns_match_as_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
