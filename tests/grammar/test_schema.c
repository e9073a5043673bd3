/* Schemas and lists of functions, one after the other: taken, or refused in just these words (verdicts.txt); in as much memory as
 * they ask for and not a byte beyond, whatever that was full of and whatever stands behind the text.  And how many there may be of
 * what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/grammar/table.h"
#include "tests/grammar/compiled.h"
#include "tests/grammar/schemas.h"
#include "tests/kernels/kernel_test.h"

/* ---- Verdicts ---- */

static size_t check_verdict(gemlet_grammar_kind kind, const char *schema, const char *wanted) {
    static const char behind[] = "\"]},:0eE.*u\\";
    static const unsigned char fills[] = {0, 0xFF, '>'};
    char buffer[1024];
    const size_t length = strlen(schema);
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof behind; i++) {
        compiled c;
        memcpy(buffer, schema, length + 1);
        memset(buffer + length, behind[i], 8);
        gemlet_status status = compile_bytes(&c, kind, buffer, length, fills[i % sizeof fills]);
        if ((status == GEMLET_OK) != (*wanted == '\0') || strcmp(c.error.message, wanted) != 0) {
            print_message("%s: expected \"%s\", found %d, \"%s\"\n", schema, wanted, (int)status, c.error.message);
            wrong++;
        }
        guarded_free(c.memory);
    }
    return wrong;
}

typedef struct verdicts {
    size_t lines, wrong;
} verdicts;

static void check_line(void *context, char mark, char *line) {
    verdicts *v = context;
    char *wanted = strchr(line, '\t');
    assert_non_null(wanted);
    *wanted++ = '\0';
    v->lines++;
    v->wrong += check_verdict(mark == 'S' ? GEMLET_GRAMMAR_SCHEMA : GEMLET_GRAMMAR_CALLS, line, wanted);
}

static void schemas_are_taken_or_refused_in_these_words(void **state) {
    (void)state;
    verdicts v = {0, 0};
    each_line("tests/grammar/verdicts.txt", check_line, &v);
    assert_true(v.lines > 120);
    assert_int_equal(v.wrong, 0);
}

/* ---- How many ---- */

static char text[1 << 17];
static size_t used;

static void put(const char *more) {
    size_t length = strlen(more);
    assert_true(used + length < sizeof text);
    memcpy(text + used, more, length + 1);
    used += length;
}

static void put_number(const char *before, size_t number, const char *behind) {
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", number);
    put(before);
    put(digits);
    put(behind);
}

/* Compiles what was written, and wants this message of it, or none. */
static compiled compile_written(gemlet_grammar_kind kind, const char *wanted) {
    compiled c;
    const size_t bytes = used;
    used = 0;
    gemlet_status status = compile_bytes(&c, kind, text, bytes, 0xFF);
    if (strcmp(c.error.message, wanted) != 0 || (status == GEMLET_OK) != (*wanted == '\0')) {
        fail_msg("expected \"%s\", found %d, \"%s\"", wanted, (int)status, c.error.message);
    }
    return c;
}

/* 128 pointers are remembered; one that is followed again is not another. */
static void as_many_pointers_as_are_held(void **state) {
    (void)state;
    for (size_t count = 127; count <= 129; count++) {
        put("{\"$defs\":{\"\":true");
        for (size_t i = 0; i < count; i++) {
            put_number(",\"d", i, "\":{\"const\":");
            put_number("", i, "}");
        }
        put("},\"properties\":{\"\":true");
        for (size_t i = 0; i < 2 * count; i++) {
            put_number(",\"p", i, "\":{\"$ref\":\"#/$defs/d");
            put_number("", i % count, "\"}");
        }
        put("}}");
        char wanted[160] = "";
        const char *last = strstr(text, "\"#/$defs/d128\"");
        if (count == 129) {
            snprintf(wanted, sizeof wanted,
                     "schema: /properties/p128/$ref: more than 128 pointers, the last: \"#/$defs/d128\", at byte %zu",
                     (size_t)(last - text));
        }
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, wanted);
        if (count < 129) {
            assert_true(matches(c.grammar, "{\"p0\":0,\"p126\":126,\"p127\":0}") == (count == 127));
            assert_true(matches(c.grammar, "{\"p1\":1,\"p128\":0}") == (count == 128));
            assert_false(matches(c.grammar, "{\"p1\":2}"));
        }
        guarded_free(c.memory);
    }
}

/* Members of functions' parameters are sorted, 256 of them. */
static void as_many_members_as_are_sorted(void **state) {
    (void)state;
    for (size_t count = 255; count <= 257; count++) {
        put("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{");
        for (size_t i = count; i-- > 0;) {
            put_number("\"m", 1000 + i, i > 0 ? "\":{\"type\":\"integer\"}," : "\":{\"type\":\"integer\"}");
        }
        put("}}}}]");
        char wanted[200] = "";
        if (count == 257) {
            snprintf(wanted, sizeof wanted,
                     "tools: /0/function/parameters/properties/m1000: more than 256 properties, the first: \"m1000\", at byte %zu",
                     (size_t)(strstr(text, "\"m1000\"") - text));
        }
        compiled c = compile_written(GEMLET_GRAMMAR_CALLS, wanted);
        if (count < 257) {
            assert_true(matches(c.grammar, "call:f{m1000:1,m1001:2,m1254:3}"));
            assert_true(matches(c.grammar, "call:f{m1255:1}") == (count == 256));
            assert_false(matches(c.grammar, "call:f{m1001:1,m1000:2}"));
        }
        guarded_free(c.memory);
    }
}

/* Sorting properties reads them all for each: of such within each other there is an end. */
static void properties_of_many_within_each_other(void **state) {
    (void)state;
    for (size_t depth = 2; depth <= 12; depth += 10) {
        put("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":");
        for (size_t d = 0; d < depth; d++) {
            put("{\"properties\":{");
            for (size_t i = 0; i < 200; i++) {
                put_number("\"m", 100 + i, "\":{\"const\":1},");
            }
            put("\"z\":");
        }
        put("{\"const\":2}");
        for (size_t d = 0; d < depth; d++) {
            put("}}");
        }
        put("}}]");
        char wanted[200] = "", name[16] = "";
        const char *properties = strstr(text, "{\"m100");
        const size_t bytes = (size_t)(text + used - strlen("}}}]") - properties), last = 100 + 8388608 / bytes;
        if (depth == 12) {
            snprintf(name, sizeof name, "\"m%zu\"", last);
            snprintf(wanted, sizeof wanted,
                     "tools: /0/function/parameters/properties/m%zu: too many properties within each other, at %s, at byte %zu",
                     last, name, (size_t)(strstr(text, name) - text));
        }
        compiled c = compile_written(GEMLET_GRAMMAR_CALLS, wanted);
        assert_true(depth == 12 || matches(c.grammar, "call:f{m100:1,z:{m299:1,z:2}}"));
        guarded_free(c.memory);
    }
}

/* A text of as many bytes as it may have, of nothing but values, of escapes, of names: the table holds it. */
static void texts_of_as_many_bytes_as_there_may_be(void **state) {
    (void)state;
    static const struct {
        const char *begin, *part, *end, *answer;
    } cases[] = {
        {"{\"enum\":[0", ",1", "]}", "1"},
        {"{\"anyOf\":[true", ",{}", "]}", "[]"},
        {"{\"prefixItems\":[true", ",true", "]}", "[0]"},
        {"{\"enum\":[\"", "\\u0001", "\"]}", NULL},
        {"{\"enum\":[\"", "\\\"", "\"]}", NULL},
        {"{\"enum\":[\"", "\x7F", "\"]}", NULL},
        {"{\"enum\":[[", "\"\",", "0]]}", NULL},
        {"{\"const\":[0", ",[]", "]}", NULL},
        {"{\"required\":[\"\"", ",\"a\"", "]}", "{\"\":1,\"a\":[]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t room = GEMLET_GRAMMAR_MOST_BYTES - strlen(cases[i].end);
        put(cases[i].begin);
        while (used + strlen(cases[i].part) <= room) {
            put(cases[i].part);
        }
        while (used < room) {
            put(cases[i].part[0] == '\\' || cases[i].part[0] == '\x7F' ? "x" : " ");
        }
        put(cases[i].end);
        assert_int_equal(used, GEMLET_GRAMMAR_MOST_BYTES);
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
        assert_true(cases[i].answer == NULL || matches(c.grammar, cases[i].answer));
        guarded_free(c.memory);
    }
    put("{\"title\":\"");
    while (used < GEMLET_GRAMMAR_MOST_BYTES - 1) {
        put("x");
    }
    put("\"}");
    compile_written(GEMLET_GRAMMAR_SCHEMA, "grammar: expected a text of at most 65536 bytes, found 65537");
}

/* ---- Pointers ---- */

static void pointers_lead_where_they_say(void **state) {
    (void)state;
    static const struct {
        const char *schema, *good, *bad;
    } cases[] = {
        {"{\"$defs\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/b\"}}", "[2]", "[1]"},
        {"{\"$defs\":{\"a/b\":{\"const\":1},\"a~b\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/a~1b\"}}", "[1]", "[2]"},
        {"{\"$defs\":{\"a/b\":{\"const\":1},\"a~b\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/a~0b\"}}", "[2]", "[1]"},
        {"{\"$defs\":{\"\":{\"const\":1}},\"items\":{\"$ref\":\"#/$defs/\"}}", "[1]", "[2]"},
        {"{\"$defs\":{\"a\":{\"$defs\":{\"a\":{\"const\":3}},\"const\":1}},\"items\":{\"$ref\":\"#/$defs/a/$defs/a\"}}", "[3]",
         "[1]"},
        {"{\"$defs\":{\"ab\":{\"const\":1},\"a\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/a\"}}", "[2]", "[1]"},
        {"{\"$defs\":{\"a\":{\"const\":1},\"ab\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/ab\"}}", "[2]", "[1]"},
        {"{\"prefixItems\":[{\"const\":4},{\"const\":5},{\"$ref\":\"#/prefixItems/0\"}]}", "[4,5,4]", "[4,5,5]"},
        {"{\"prefixItems\":[{\"const\":4},{\"const\":5},{\"$ref\":\"#/prefixItems/1\"}]}", "[4,5,5]", "[4,5,4]"},
        {"{\"$defs\":{\"~1\":{\"const\":1},\"/\":{\"const\":2}},\"items\":{\"$ref\":\"#/$defs/~01\"}}", "[1]", "[2]"},
        {"{\"prefixItems\":[{\"$ref\":\"#/prefixItems/9\"},true,true,true,true,true,true,true,true,{\"const\":7}]}", "[7]", "[6]"},
        {"{\"prefixItems\":[{\"$ref\":\"#/prefixItems/10\"},true,true,true,true,true,true,true,true,true,{\"const\":8}]}", "[8]",
         "[7]"},
        {"{\"items\":{\"$ref\":\"#/$d\\u0065fs/a\"},\"$defs\":{\"\\u0061\":{\"const\":9}}}", "[9]", "[8]"},
        {"{\"items\":{\"$ref\":\"#/$defs/a%25b\"},\"$defs\":{\"a%25b\":{\"const\":8},\"a%b\":{\"const\":9}}}", "[9]", "[8]"},
        {"{\"items\":{\"$ref\":\"#/%24defs%2Fa%c3%a4\"},\"$defs\":{\"a\u00e4\":{\"const\":9}}}", "[9]", "[8]"},
        {"{\"$id\":\"x\",\"items\":{\"$ref\":\"#/$defs/$id\"},\"$defs\":{\"$id\":{\"const\":9}}}", "[9]", "[8]"},
        {"{\"items\":{\"$id\":\"x\",\"const\":9}}", "[9]", "[8]"},
        {"{\"$defs\":{\"a\":{\"$id\":\"x\",\"const\":9}},\"items\":{\"$ref\":\"#/$defs/a\"}}", "[9]", "[8]"},
        {"{\"anyOf\":[{\"const\":0},{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}]}", "[[0],0]", "[1]"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/properties/b\"},\"b\":{\"$ref\":\"#/properties/c\"},\"c\":{\"const\":1}}}",
         "{\"a\":1,\"b\":1,\"c\":1}", "{\"a\":2}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].schema);
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
        if (!matches(c.grammar, cases[i].good) || matches(c.grammar, cases[i].bad)) {
            fail_msg("%s", cases[i].schema);
        }
        guarded_free(c.memory);
    }
    static const char *const nowhere[] = {"#/$defs/a/",
                                          "#/$defs/aa",
                                          "#/$defs/",
                                          "#/$defs/A",
                                          "#/$defs/a~",
                                          "#/$defs/a~2b",
                                          "#/$defs/a~b",
                                          "#/$defs/a/b",
                                          "#a",
                                          "#/default/1x",
                                          "#/default/01",
                                          "#/default/1e0",
                                          "#/default/18446744073709551617",
                                          "#/default/4294967297",
                                          "#/default/-1",
                                          "#/default/12",
                                          "#/default/",
                                          "#/default/a",
                                          "#/default/:",
                                          "#/default/1/x",
                                          "#/$defs/%61%",
                                          "#/$defs/%6",
                                          "#/$defs/%6g",
                                          "#/$defs/%%61",
                                          "%",
                                          "#/$defs/own/$defs/a",
                                          "$defs"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        char wanted[160];
        snprintf(wanted, sizeof wanted, "schema: /items/$ref: expected # or a pointer into this schema, found \"%s\", at byte 17",
                 nowhere[i]);
        put("{\"items\":{\"$ref\":\"");
        put(nowhere[i]);
        put("\"},\"$defs\":{\"a\":{\"const\":1},\"a~\":{},\"a/"
            "b\":{},\"a~b\":{},\"e\":3,\"own\":{\"$id\":\"x\",\"$defs\":{\"a\":true}}},\"default\":[1,2,3,4,5,6,7,8,9,10,11,12]}");
        guarded_free(compile_written(GEMLET_GRAMMAR_SCHEMA, wanted).memory);
    }
}

/* ---- How values are written ---- */

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void spaces_are_one_behind_commas_and_colons(void **state) {
    (void)state;
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"items\":{\"type\":\"integer\"}}",
                TEXTS("[]", "[1]", "[1,2]", "[1, 2]", "[1,2, 3,4]", "[1, 2, 3]"),
                TEXTS("[ ]", "[ 1]", "[1 ]", "[1 ,2]", "[1,  2]", " [1]", "[1] ", "[1,\t2]", "[1,]", "[,1]"));
    allows_only(GEMLET_GRAMMAR_SCHEMA,
                "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
                TEXTS("{}", "{\"a\":1}", "{\"a\": 1}", "{\"a\":1,\"b\":2}", "{\"a\": 1, \"b\": 2}", "{\"b\":2}"),
                TEXTS("{ }", "{ \"a\":1}", "{\"a\" :1}", "{\"a\":  1}", "{\"a\":1 ,\"b\":2}", "{\"a\":1,  \"b\":2}", "{\"a\":1 }",
                      "{\"b\":1,\"a\":2}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1,\"a\":2}"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"additionalProperties\":{\"type\":\"integer\"},\"type\":\"object\"}",
                TEXTS("{}", "{\"x\":1}", "{\"x\": 1, \"y\": 2}"),
                TEXTS("{ }", "{ \"x\":1}", "{\"x\" :1}", "{\"x\":  1}", "{\"x\":1 ,\"y\":2}", "{\"x\":1,  \"y\":2}", "{\"x\":1 }",
                      "{x:1}"));
}

static void numbers_are_written_so(void **state) {
    (void)state;
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\"}",
                TEXTS("0", "7", "-7", "10", "999999999999999999", "-999999999999999999"),
                TEXTS("-0", "00", "01", "-01", "+1", "1.0", "1e1", "1000000000000000000", "-", "", "1.", "0.5"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\"}",
                TEXTS("0", "-0", "0.5", "-0.000001", "0.000000", "999999999999.999999", "12.5", "100"),
                TEXTS("1000000000000", "0.0000001", "00", "1.", ".5", "-.5", "1e1", "1.5e0", "--1", "1.5.5"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\",\"minimum\":0.000001,\"maximum\":0.000003}",
                TEXTS("0.000001", "0.000002", "0.000003"), TEXTS("0", "0.000000", "0.000004", "0.00001", "1", "-0"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":-10}", TEXTS("-10", "-11", "-12"),
                TEXTS("-1", "-9", "-13", "0", "10", "-100"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\",\"minimum\":0,\"maximum\":0}", TEXTS("0", "-0", "0.0", "-0.000000"),
                TEXTS("1", "0.1", "-0.1"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"exclusiveMinimum\":999999999999999997}",
                TEXTS("999999999999999998", "999999999999999999"), TEXTS("999999999999999997", "99999999999999999"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":-999999999999999999}", TEXTS("-999999999999999999"),
                TEXTS("-999999999999999998", "-99999999999999999", "0", "-1"));
    /* The sign of the one before is not that of the next. */
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"items\":{\"type\":\"integer\",\"minimum\":-9,\"maximum\":5}}",
                TEXTS("[-9,5]", "[5,-9]", "[-1,-9]"), TEXTS("[-1,9]", "[-9,6]", "[5,6]"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":0.1}", TEXTS("0"), TEXTS("1", "-1"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":-0.1,\"maximum\":0}", TEXTS("0"), TEXTS("1", "-1"));
    /* Digits beyond the eighteenth round inwards, exponents move the point. */
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":100000000000000000.5}", TEXTS("100000000000000001"),
                TEXTS("100000000000000000"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":100000000000000000.0}", TEXTS("100000000000000000"),
                TEXTS("99999999999999999"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":-100000000000000000.5}", TEXTS("-100000000000000001"),
                TEXTS("-100000000000000000"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":99999999999999999e1}", TEXTS("999999999999999990"),
                TEXTS("999999999999999989"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":99999999999999999e1}", TEXTS("999999999999999990"),
                TEXTS("999999999999999991"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":1e+2,\"maximum\":1200e-1}", TEXTS("100", "120"),
                TEXTS("99", "121", "10", "1200"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\",\"minimum\":15e-1,\"maximum\":0.25E1}", TEXTS("1.5", "2.5", "2"),
                TEXTS("1.4", "2.6", "15"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":1e-99999,\"maximum\":1}", TEXTS("1"), TEXTS("0"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":0e99999,\"maximum\":0}", TEXTS("0"), TEXTS("1"));
}

/* Spaces of the schema's text are not the answer's. */
static void literals_are_written_without_spaces(void **state) {
    (void)state;
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"enum\":[ \"a\" , { \"b\" : [ \"c\" , 1 ] , \"d\"\t:\n{ } } , -0.5 ]}",
                TEXTS("\"a\"", "{\"b\":[\"c\",1],\"d\":{}}", "-0.5"), TEXTS("{\"b\" : [\"c\",1],\"d\":{}}", "a", "{}"));
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"prefixItems\":[{\"enum\":[12]},{\"enum\":[1]}]}", TEXTS("[12,1]", "[]", "[12,1,{}]"),
                TEXTS("[1]", "[1,1]", "[12,12]", "[1,12]"));
    allows_only(GEMLET_GRAMMAR_CALLS,
                "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":"
                "{\"a\":{\"const\":{\"b\" : [ \"c\" , null ]}}}}}}]",
                TEXTS("call:f{a:{b:[\xFF"
                      "c\xFF,None]}}",
                      "call:f{}"),
                TEXTS("call:f{a:{b : [\xFF"
                      "c\xFF,None]}}",
                      "call:f{a:{b:[\xFF"
                      "c\xFF,null]}}"));
}

/* The text of a string's mark does not stand within one. */
static void marks_are_not_written_in_characters(void **state) {
    (void)state;
    allows_only(
        GEMLET_GRAMMAR_CALLS,
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"}}}}}]",
        TEXTS("call:f{a:\xFF<|\"|\xFF}", "call:f{a:\xFF<|\"|<|\"|\xFF}", "call:f{a:\xFF<|\"\xFF}", "call:f{a:\xFF<|\"|x>\xFF}"),
        TEXTS("call:f{a:\xFF<|\"|>\xFF}", "call:f{a:\xFF<<|\"|>\xFF}", "call:f{a:\xFF<|<|\"|>\xFF}", "call:f{a:\xFF<|\"<|\"|>\xFF}",
              "call:f{a:\"x\"}", "call:f{a:\xFFx}", "call:f{a:\xFFx\xFF\xFF}"));
}

/* A function whose arguments have no value is not called; its name is not begun. */
static void functions_that_cannot_be_called(void **state) {
    (void)state;
    static const char functions[] = "[{\"type\":\"function\",\"function\":{\"name\":\"fa\",\"parameters\":{\"properties\":{\"a\":"
                                    "false},\"required\":[\"a\"]}}},"
                                    "{\"type\":\"function\",\"function\":{\"name\":\"fb\"}}]";
    compiled c;
    gemlet_grammar_state state_of;
    compile_good(&c, GEMLET_GRAMMAR_CALLS, functions);
    gemlet_grammar_begin(c.grammar, &state_of);
    assert_true(advance_bytes(c.grammar, &state_of, "call:f", 6));
    assert_false(gemlet_grammar_advance(c.grammar, &state_of, 'a', &state_of));
    assert_true(matches(c.grammar, "call:fb{}"));
    guarded_free(c.memory);
}

/* Arguments that must be 24 values deep can be written. */
static void arguments_that_must_be_deep(void **state) {
    (void)state;
    for (size_t depth = GEMLET_GRAMMAR_DEPTH - 1; depth <= GEMLET_GRAMMAR_DEPTH + 1; depth++) {
        char answer[256] = "call:f";
        size_t end = strlen(answer);
        put("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"$ref\":\"#/$defs/d1\",\"$defs\":{");
        for (size_t d = 1; d < depth; d++) {
            put_number("\"d", d, "\":");
            put_number("{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d", d + 1, "\"}},\"required\":[\"a\"]},");
            end += (size_t)snprintf(answer + end, sizeof answer - end, "{a:");
        }
        put_number("\"d", depth, "\":{\"const\":7}}}}}]");
        end += (size_t)snprintf(answer + end, sizeof answer - end, "7");
        for (size_t d = 1; d < depth; d++) {
            end += (size_t)snprintf(answer + end, sizeof answer - end, "}");
        }
        bool fits = depth <= GEMLET_GRAMMAR_DEPTH;
        compiled c = compile_written(GEMLET_GRAMMAR_CALLS,
                                     fits ? "" : "tools: it has no value, or none of at most 24 values within each other");
        assert_true(!fits || matches(c.grammar, answer));
        guarded_free(c.memory);
    }
}

/* The '^' of another pattern, or of what the memory was full of, is not that of one that is empty. */
static void an_empty_pattern_is_any_string(void **state) {
    (void)state;
    static const char schema[] = "{\"prefixItems\":[{\"type\":\"string\",\"pattern\":\"\"}]}";
    for (int fill = 0; fill < 256; fill++) {
        compiled c;
        assert_int_equal(compile_bytes(&c, GEMLET_GRAMMAR_SCHEMA, schema, sizeof schema - 1, fill), GEMLET_OK);
        assert_true(matches(c.grammar, "[\"abc\"]") && matches(c.grammar, "[\"\"]") && !matches(c.grammar, "[1]"));
        guarded_free(c.memory);
    }
}

/* A backslash or a first byte is not begun where no character comes of it. */
static void strings_have_no_dead_ends(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool may;
    } cases[] = {
        {"^\xF0\x90\x80\x80$", "\"\\", false},
        {"^\xF0\x90\x80\x80$", "\"\xF0", true},
        {"^\xEF\xBF\xBF$", "\"\\uf", true},
        {"^\\u0000$", "\"\\u000", true},
        {"^a$", "\"\\u0061\"", true},
        {"^a$", "\"\\u1", false},
        {"^[\\\\ud800-\\\\ue001]$", "\"\xED", false},
        {"^[\\\\ud800-\\\\ue001]$", "\"\\uD", false},
        {"^[\\\\ud800-\\\\ue001]$", "\"\\uE0", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char schema[80];
        compiled c;
        gemlet_grammar_state at;
        snprintf(schema, sizeof schema, "{\"type\":\"string\",\"pattern\":\"%s\"}", cases[i].pattern);
        compile_good(&c, GEMLET_GRAMMAR_SCHEMA, schema);
        gemlet_grammar_begin(c.grammar, &at);
        if (advance_bytes(c.grammar, &at, cases[i].text, strlen(cases[i].text)) != cases[i].may) {
            fail_msg("%s: %s", schema, cases[i].text);
        }
        guarded_free(c.memory);
    }
}

/* Choices within choices, 8 of them; behind anything else they are counted anew. */
static void choices_within_choices(void **state) {
    (void)state;
    for (size_t count = 7; count <= 9; count++) {
        for (size_t i = 0; i < count; i++) {
            put("{\"anyOf\":[{\"const\":0},");
        }
        put("{\"items\":{\"anyOf\":[{\"const\":1},{\"const\":2}]}}");
        for (size_t i = 0; i < count; i++) {
            put("]}");
        }
        compiled c =
            compile_written(GEMLET_GRAMMAR_SCHEMA, count < 9 ? "" : "schema: anyOf within anyOf more than 8 times, or in a circle");
        assert_true(count == 9 || (matches(c.grammar, "[1,2]") && matches(c.grammar, "0") && !matches(c.grammar, "[0]")));
        guarded_free(c.memory);
    }
}

/* Choices that a pointer leads to are within those that it stands in, wherever they are written: each of these has the one before
 * it. */
static void choices_that_pointers_lead_to(void **state) {
    (void)state;
    static const size_t counts[] = {7, 8, 9, 10, 30, 127};
    for (size_t i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
        const size_t count = counts[i / 2];
        const bool backwards = i % 2 == 0;
        put_number("{\"type\":\"object\",\"required\":[\"p", backwards ? count : 1, "\"],\"properties\":{");
        for (size_t n = 1; n <= count; n++) {
            const size_t within = backwards ? n - 1 : n + 1;
            put_number("\"p", n, "\":{\"anyOf\":[{\"const\":");
            put_number("", n, "},");
            if (within >= 1 && within <= count) {
                put_number("{\"$ref\":\"#/properties/p", within, "\"}]}");
            } else {
                put("{\"const\":0}]}");
            }
            put(n < count ? "," : "}}");
        }
        compiled c =
            compile_written(GEMLET_GRAMMAR_SCHEMA, count < 9 ? "" : "schema: anyOf within anyOf more than 8 times, or in a circle");
        char good[32], bad[32];
        snprintf(good, sizeof good, "{\"p%zu\":0}", backwards ? count : 1);
        snprintf(bad, sizeof bad, "{\"p%zu\":9}", backwards ? count : 1);
        assert_true(count >= 9 || (matches(c.grammar, good) && !matches(c.grammar, bad)));
        guarded_free(c.memory);
    }
}

/* Choices of nothing but choices that lead back to them: there is nothing to try, and no end. */
static void choices_of_choices_in_a_circle(void **state) {
    (void)state;
    static const char *const schemas[] = {
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"anyOf\":[{\"$ref\":\"#\"}]}]}",
        "{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"},{\"$ref\":\"#/$defs/c\"}]},"
        "\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/c\"},{\"$ref\":\"#/$defs/a\"}]},"
        "\"c\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/b\"}]}},\"$ref\":\"#/$defs/a\"}"};
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        put(schemas[i]);
        guarded_free(compile_written(GEMLET_GRAMMAR_SCHEMA, "schema: anyOf within anyOf more than 8 times, or in a circle").memory);
    }
}

/* What is no choice counts as none, whatever its own bounds are, and none is taken for another that has been seen: choices are
 * numbered here past all places where the text of what they share can begin. */
static void alternatives_that_are_no_choices(void **state) {
    (void)state;
    put("{\"anyOf\":[{\"type\":\"string\",\"minLength\":20},{\"type\":\"array\",\"minItems\":9},{\"type\":\"boolean\"}]}");
    compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
    assert_true(matches(c.grammar, "\"abcdefghijklmnopqrst\"") && matches(c.grammar, "[1,2,3,4,5,6,7,8,9]") &&
                matches(c.grammar, "true"));
    guarded_free(c.memory);

    enum { COUNT = 64 };
    char answer[2 * COUNT + 2] = "";
    put("{\"$defs\":{\"a\":{\"type\":\"integer\"}},\"prefixItems\":[");
    for (size_t i = 0; i < COUNT; i++) {
        put(i > 0 ? "," : "");
        put("{\"anyOf\":[{\"type\":\"boolean\"},{\"$ref\":\"#/$defs/a\"}]}");
        answer[2 * i] = i > 0 ? ',' : '[';
        answer[2 * i + 1] = '5';
    }
    put("]}");
    answer[2 * COUNT] = ']';
    c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
    assert_true(matches(c.grammar, answer));
    guarded_free(c.memory);
}

/* Each alternative is tried at the byte where a choice begins, those of a choice within it each time that it is named. */
static void as_many_alternatives_as_are_tried(void **state) {
    (void)state;
    static const char too_many[] = "schema: anyOf of too many alternatives, those within it counted each time that they are named";
    for (size_t count = 2047; count <= 2049; count++) {
        put("{\"anyOf\":[{\"maxLength\":0}");
        for (size_t i = 1; i < count; i++) {
            put_number(",{\"maxLength\":", i, "}");
        }
        put("]}");
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, count < 2049 ? "" : too_many);
        assert_true(count == 2049 || matches(c.grammar, "\"a\""));
        guarded_free(c.memory);
    }
    for (size_t count = 7; count <= 9; count++) {
        put("{\"$defs\":{\"c\":{\"anyOf\":[{\"maxLength\":0}");
        for (size_t i = 1; i < 256; i++) {
            put_number(",{\"maxLength\":", i, "}");
        }
        put("]}},\"anyOf\":[");
        for (size_t i = 0; i < count; i++) {
            put(i > 0 ? ",{\"anyOf\":[{\"$ref\":\"#/$defs/c\"}]}" : "{\"anyOf\":[{\"$ref\":\"#/$defs/c\"}]}");
        }
        put("]}");
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, count < 9 ? "" : too_many);
        assert_true(count == 9 || matches(c.grammar, "\"a\""));
        guarded_free(c.memory);
    }
}

/* A literal of a choice is one of its 32,768; a list of literals alone is no choice. */
static void as_many_literals_as_are_tried(void **state) {
    (void)state;
    for (size_t count = 6537; count <= 6538; count++) {
        put("{\"$defs\":{\"e\":{\"enum\":[0");
        for (size_t i = 1; i < count; i++) {
            put_number(",", i, "");
        }
        put("]}},\"anyOf\":[{\"$ref\":\"#/$defs/e\"}");
        for (size_t i = 0; i < 4; i++) {
            put(",{\"anyOf\":[{\"$ref\":\"#/$defs/e\"}]}");
        }
        put("]}");
        bool fits = 5 * (16 + count) <= 32768;
        compiled c = compile_written(
            GEMLET_GRAMMAR_SCHEMA,
            fits ? "" : "schema: anyOf of too many alternatives, those within it counted each time that they are named");
        assert_true(!fits || matches(c.grammar, "6536"));
        guarded_free(c.memory);
    }
}

/* Pointers in a circle have no value; what stands beside them does. */
static void pointers_in_a_circle(void **state) {
    (void)state;
    static const char none[] = "schema: it has no value, or none of at most 24 values within each other";
    put("{\"$ref\":\"#\"}");
    guarded_free(compile_written(GEMLET_GRAMMAR_SCHEMA, none).memory);
    put("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":{\"$ref\":\"#/$defs/a\"}}}");
    guarded_free(compile_written(GEMLET_GRAMMAR_SCHEMA, none).memory);
    put("{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"const\":1},{\"$ref\":\"#/$defs/c\"}],\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
        "\"b\":{\"$ref\":\"#/$defs/a\"},\"c\":{\"$ref\":\"#/$defs/d\"},\"d\":{\"allOf\":[{\"const\":2}]}}}");
    compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
    assert_true(matches(c.grammar, "1") && matches(c.grammar, "2") && !matches(c.grammar, "3"));
    guarded_free(c.memory);
}

/* What stands in its place and is referred to as well is compiled once, whichever comes first: there is room for it. */
static void what_is_named_and_stands_is_one(void **state) {
    (void)state;
    static const char *const orders[][2] = {{"{\"properties\":{\"a\":{\"enum\":[0", "]},\"b\":{\"$ref\":\"#/properties/a\"}}}"},
                                            {"{\"properties\":{\"b\":{\"$ref\":\"#/properties/a\"},\"a\":{\"enum\":[0", "]}}}"}};
    for (size_t i = 0; i < 2; i++) {
        put(orders[i][0]);
        for (size_t n = 1; n < 1000; n++) {
            put_number(",", n, "");
        }
        put(orders[i][1]);
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
        assert_true(matches(c.grammar, i == 0 ? "{\"a\":1,\"b\":999}" : "{\"b\":999,\"a\":1}"));
        assert_int_equal(c.grammar->entry_count, 1000 + 2 + 8);
        guarded_free(c.memory);
    }
    for (size_t count = 1; count <= 40; count++) {
        put("{\"prefixItems\":[{\"type\":[\"boolean\",\"null\"]}");
        for (size_t n = 1; n < count; n++) {
            put(",{\"type\":[\"boolean\",\"null\"]}");
        }
        put("]}");
        guarded_free(compile_written(GEMLET_GRAMMAR_SCHEMA, "").memory);
    }
}

/* Alternatives that are the same are one, others are not, wherever the choice and they stand in the text. */
static void alternatives_that_are_the_same(void **state) {
    (void)state;
    for (size_t before = 8; before < 40; before++) {
        for (size_t named = 0; named < before; named += 1 + before / 12) {
            put("{\"prefixItems\":[{\"const\":0}");
            for (size_t i = 1; i < before; i++) {
                put_number(",{\"const\":", i % 10, "}");
            }
            for (size_t i = 0; i < 2; i++) {
                put_number(i == 0 ? ",{\"anyOf\":[{\"$ref\":\"#/prefixItems/" : ",{\"$ref\":\"#/prefixItems/", named, "\"}");
            }
            put(",{\"const\":\"x\"}]}]}");
            compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
            for (size_t i = 0; i < before; i++) {
                put_number(i == 0 ? "[" : ",", i % 10, "");
            }
            const size_t items = used;
            put_number(",", named % 10, "]");
            assert_true(matches(c.grammar, text));
            used = items;
            put(",\"x\"]");
            assert_true(matches(c.grammar, text));
            used = 0;
            guarded_free(c.memory);
        }
    }
}

/* A pattern that asks for the mark of a call's strings has texts that can be begun and not ended. */
static void patterns_that_ask_for_the_mark(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        bool may;
    } cases[] = {{"^<[|]\\\"[|]>$", false},
                 {"^a*<.\\\"[|]+>$", true},
                 {"^.{4}>$", false},
                 {"^.{4}>?$", true},
                 {"^.{4}[>x]$", true},
                 {".>", true},
                 {"^<[|]\\\"[|](>|y)$", true},
                 {"^(x|.{3}).>$", false},
                 {"^.{5}$", true},
                 {"^<.\\\".>>$", false},
                 {"^a[|]\\\"[|]>$", true}, /* another character at each place of the mark */
                 {"^<a\\\"[|]>$", true},
                 {"^<[|]a[|]>$", true},
                 {"^<[|]\\\"a>$", true},
                 {"^<[|]\\\"[|][=->]$", true}, /* another may stand for its last */
                 {"^<[|]\\\"[|][>-z]$", true},
                 {"^[\\\\s\\\\S]{4}>$", false}, /* any character, but not any number of them */
                 {"^[\\\\s\\\\S]*>$", true},
                 {"^(x><[|]\\\")+$", true},  /* round to the first place */
                 {"^.{62}<[|]x[|]>$", true}, /* beyond the first word of a set */
                 {"^.{63}<[|]x[|]>$", true},
                 {"^.{255}<$", true}, /* as many places as there may be */
                 {"^.{251}<[|]\\\"[|]>$", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[200] = "";
        if (!cases[i].may) {
            snprintf(
                wanted, sizeof wanted,
                "tools: /0/function/parameters/properties/a/pattern asks for the mark of strings, <|\"|>, within one, at byte 86");
        }
        put("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"pattern\":\"");
        put(cases[i].pattern);
        put("\"}}}}}]");
        guarded_free(compile_written(GEMLET_GRAMMAR_CALLS, wanted).memory);
    }
    put("{\"pattern\":\"^<[|]\\\"[|]>$\"}");
    compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
    assert_true(matches(c.grammar, "\"<|\\\"|>\""));
    guarded_free(c.memory);
}

/* 24 values within each other, however they come to be. */
static void values_within_values(void **state) {
    (void)state;
    static const struct {
        const char *schema, *open, *close;
    } cases[] = {
        {"true", "[", "]"},
        {"true", "{\"a\":", "}"},
        {"{\"items\":{\"$ref\":\"#\"},\"type\":[\"array\",\"integer\",\"object\"]}", "[", "]"},
        {"{\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\"},{\"$ref\":\"#\"}]}}}", "{\"a\":", "}"}};
    static const char *const innermost[] = {"0", "{}", "[]"};
    for (size_t i = 0; i < 3 * sizeof cases / sizeof *cases; i++) {
        put(cases[i / 3].schema);
        compiled c = compile_written(GEMLET_GRAMMAR_SCHEMA, "");
        for (size_t depth = 1; depth <= GEMLET_GRAMMAR_DEPTH; depth++) {
            char answer[256] = "";
            size_t end = 0;
            for (size_t d = 0; d <= 2 * depth; d++) {
                const char *part = d < depth ? cases[i / 3].open : d == depth ? innermost[i % 3] : cases[i / 3].close;
                end += (size_t)snprintf(answer + end, sizeof answer - end, "%s", part);
            }
            if (matches(c.grammar, answer) != (depth < GEMLET_GRAMMAR_DEPTH)) {
                fail_msg("%s: %s", cases[i / 3].schema, answer);
            }
        }
        guarded_free(c.memory);
    }
}

/* What must be 24 values deep is held, and written; what must be deeper has no value. */
static void values_that_must_be_deep(void **state) {
    (void)state;
    static const struct {
        const char *before, *behind; /* of the number of the schema within */
        const char *open, *close;    /* of a value */
        bool optional;
    } kinds[] = {
        {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d", "\"}},\"required\":[\"a\"]}", "{\"a\":", "}", false},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d", "\"}}}", "{\"a\":", "}", true},
        {"{\"required\":[\"a\"],\"additionalProperties\":{\"$ref\":\"#/$defs/d", "\"}}", "{\"a\":", "}", false},
        {"{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/d", "\"}}", "[", "]", false},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/d", "\"}}", "[", "]", true},
        {"{\"type\":\"array\",\"minItems\":1,\"prefixItems\":[{\"$ref\":\"#/$defs/d", "\"}]}", "[", "]", false},
        {"{\"type\":\"array\",\"minItems\":1,\"prefixItems\":[true,{\"$ref\":\"#/$defs/d", "\"}]}", "[0,", "]", true},
        {"{\"type\":\"array\",\"minItems\":2,\"prefixItems\":[true,{\"$ref\":\"#/$defs/d", "\"}]}", "[0,", "]", false},
        {"{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":{\"$ref\":\"#/$defs/d", "\"}}", "{\"x\":", "}", false},
        {"{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/d", "\"}}", "{\"x\":", "}", true},
        {"{\"anyOf\":[{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/d", "\"}},false]}", "[", "]", false},
        {"{\"anyOf\":[{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/d", "\"}},{\"const\":1}]}", "[", "]", true},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t depth = GEMLET_GRAMMAR_DEPTH - 1; depth <= GEMLET_GRAMMAR_DEPTH + 1; depth++) {
            char answer[512] = "";
            size_t end = 0;
            put("{\"$ref\":\"#/$defs/d1\",\"$defs\":{");
            for (size_t d = 1; d < depth; d++) {
                put_number("\"d", d, "\":");
                put_number(kinds[k].before, d + 1, kinds[k].behind);
                put(",");
                end += (size_t)snprintf(answer + end, sizeof answer - end, "%s", kinds[k].open);
            }
            put_number("\"d", depth, "\":{\"const\":7}}}");
            answer[end++] = '7';
            for (size_t d = 1; d < depth; d++) {
                end += (size_t)snprintf(answer + end, sizeof answer - end, "%s", kinds[k].close);
            }
            bool fits = depth <= GEMLET_GRAMMAR_DEPTH;
            compiled c = compile_written(
                GEMLET_GRAMMAR_SCHEMA,
                fits || kinds[k].optional ? "" : "schema: it has no value, or none of at most 24 values within each other");
            if (c.grammar != NULL && matches(c.grammar, answer) != fits) {
                fail_msg("kind %zu, depth %zu: %s", k, depth, answer);
            }
            guarded_free(c.memory);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_are_taken_or_refused_in_these_words),
        cmocka_unit_test(as_many_pointers_as_are_held),
        cmocka_unit_test(as_many_members_as_are_sorted),
        cmocka_unit_test(properties_of_many_within_each_other),
        cmocka_unit_test(texts_of_as_many_bytes_as_there_may_be),
        cmocka_unit_test(pointers_lead_where_they_say),
        cmocka_unit_test(spaces_are_one_behind_commas_and_colons),
        cmocka_unit_test(numbers_are_written_so),
        cmocka_unit_test(literals_are_written_without_spaces),
        cmocka_unit_test(marks_are_not_written_in_characters),
        cmocka_unit_test(functions_that_cannot_be_called),
        cmocka_unit_test(an_empty_pattern_is_any_string),
        cmocka_unit_test(strings_have_no_dead_ends),
        cmocka_unit_test(choices_within_choices),
        cmocka_unit_test(choices_that_pointers_lead_to),
        cmocka_unit_test(choices_of_choices_in_a_circle),
        cmocka_unit_test(alternatives_that_are_no_choices),
        cmocka_unit_test(as_many_alternatives_as_are_tried),
        cmocka_unit_test(as_many_literals_as_are_tried),
        cmocka_unit_test(pointers_in_a_circle),
        cmocka_unit_test(what_is_named_and_stands_is_one),
        cmocka_unit_test(alternatives_that_are_the_same),
        cmocka_unit_test(patterns_that_ask_for_the_mark),
        cmocka_unit_test(arguments_that_must_be_deep),
        cmocka_unit_test(values_that_must_be_deep),
        cmocka_unit_test(values_within_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
