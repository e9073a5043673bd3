/* Grammars: what schemas and patterns allow, held against a list that jsonschema judged (make_schemas.py), their memory, and walks
 * through them that must never end in nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/grammar/compiled.h"
#include "tests/grammar/schemas.h"
#include "tests/kernels/kernel_test.h"
#include "tests/support/drawn_schema.h"
#include <gemlet/arena.h>
#include <gemlet/grammar.h>

/* ---- The list ---- */

typedef struct listing {
    compiled now;
    const char *schema;
    size_t schemas, texts, wrong;
    test_random random;
} listing;

static void next_schema(listing *l, char *text) {
    guarded_free(l->now.memory);
    l->schema = text;
    l->schemas++;
    compile_good(&l->now, GEMLET_GRAMMAR_SCHEMA, text);
}

static void check_refusal(listing *l, char *text) {
    char *wanted = strchr(text, '\t');
    assert_non_null(wanted);
    *wanted++ = '\0';
    compiled c;
    gemlet_status status = compile_text(&c, GEMLET_GRAMMAR_SCHEMA, text);
    if (status == GEMLET_OK || strstr(c.error.message, wanted) == NULL) {
        print_message("%s: expected \"%s\", found %d, \"%s\"\n", text, wanted, (int)status, c.error.message);
        l->wrong++;
    }
    guarded_free(c.memory);
}

static void check_line(void *context, char mark, char *text) {
    listing *l = context;
    if (mark == 'S') {
        next_schema(l, text);
    } else if (mark == 'R') {
        check_refusal(l, text);
    } else {
        l->texts++;
        if (matches(l->now.grammar, text) != (mark == '+')) {
            print_message("%s: %s is %s\n", l->schema, text, mark == '+' ? "refused" : "allowed");
            l->wrong++;
        }
    }
}

static void texts_are_allowed_as_jsonschema_has_it(void **state) {
    (void)state;
    listing l = {.schemas = 0};
    schemas_each_line(check_line, &l);
    guarded_free(l.now.memory);
    print_message("%zu schemas, %zu texts\n", l.schemas, l.texts);
    assert_true(l.schemas >= 300);
    assert_int_equal(l.wrong, 0);
}

/* What is wrong is told with the pointer to it. */
static void refusals_tell_the_place(void **state) {
    (void)state;
    size_t wrong = 0;
    static const char *const cases[][2] = {
        {"{\"not\":{}}", "schema: /not: the keyword \"not\" is not held, at byte 1"},
        {"{\"minimum\":\"3\"}", "schema: /minimum: expected a number, at byte 11"},
        {"{\"properties\":{\"age\":{\"minimum\":\"x\"}}}", "schema: /properties/age/minimum: expected a number, at byte 32"},
        {"{\"properties\":{\"a/b\":{\"x~y\":1}}}", "schema: /properties/a~1b/x~0y: the keyword \"x~y\" is not held, at byte 22"},
        {"{\"properties\":{\"q\\\"\":{\"type\":\"text\"}}}",
         "schema: /properties/q\"/type: expected the name of a type, found \"text\", at byte 29"},
        {"{\"properties\":{\"\\u00e9\":{\"type\":[]}}}",
         "schema: /properties/\xC3\xA9/type: expected at least one type, at byte 32"},
        {"{\"anyOf\":[{},{\"minItems\":2,\"maxItems\":1}]}", "schema: /anyOf/1/minItems is greater than maxItems, at byte 25"},
        {"{\"items\":{\"$ref\":\"#/$defs/x\"},\"$defs\":{\"x\":{\"enum\":3}}}",
         "schema: /$defs/x/enum: expected an array of values, at byte 51"},
        {"{\"prefixItems\":[true,{\"properties\":[]}]}",
         "schema: /prefixItems/1/properties: expected an object of schemas, at byte 35"},
        {"{\"properties\":{\"a\":{}},\"required\":[\"a\",3]}", "schema: /required/1: expected names, at byte 39"},
        {"{\"properties\":{\"a\":{},\"a\":{}}}", "schema: /properties/a: two properties are named \"a\", at byte 22"},
        {"{\"items\":{\"items\":{\"items\":7}}}",
         "schema: /items/items/items: expected a schema that has a value, found 7, at byte 27"},
        {"{\"additionalProperties\":{\"$ref\":\"#/nothing\"}}",
         "schema: /additionalProperties/$ref: expected # or a pointer into this schema, found \"#/nothing\", at byte 32"},
        {"{\"items\":{\"const\":1,\"title\":\"t\",\"minimum\":0}}",
         "schema: /items/minimum beside enum, const, anyOf, allOf or $ref is not held, at byte 42"},
        {"{\"items\":{\"allOf\":[{},{}]}}", "schema: /items/allOf of other than one schema is not held, at byte 18"},
        {"{\"items\":{\"pattern\":\"a*\",\"maxLength\":3}}",
         "schema: /items/pattern allows lengths that minLength or maxLength does not: say it in the pattern, at byte 20"},
        {"3", "schema: expected a schema that has a value, found 3, at byte 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        assert_int_not_equal(compile_text(&c, GEMLET_GRAMMAR_SCHEMA, cases[i][0]), GEMLET_OK);
        if (strcmp(c.error.message, cases[i][1]) != 0) {
            print_message("%s\n  %s\n", c.error.message, cases[i][1]);
            wrong++;
        }
        guarded_free(c.memory);
    }
    assert_int_equal(wrong, 0);
    compiled c;
    assert_int_not_equal(compile_text(&c, GEMLET_GRAMMAR_SCHEMA, "{\"items\":{\"pattern\":\"(\"}}"), GEMLET_OK);
    assert_non_null(strstr(c.error.message, ", in schema: /items/pattern"));
    guarded_free(c.memory);
    /* A long pointer leaves room for what is wrong. */
    static char deep[8192];
    size_t used = 0;
    for (int i = 0; i < 12; i++) {
        used += (size_t)snprintf(deep + used, sizeof deep - used, "{\"properties\":{\"a member with a long name\":");
    }
    used += (size_t)snprintf(deep + used, sizeof deep - used, "{\"not\":1}");
    for (int i = 0; i < 12; i++) {
        used += (size_t)snprintf(deep + used, sizeof deep - used, "}}");
    }
    assert_int_not_equal(compile_text(&c, GEMLET_GRAMMAR_SCHEMA, deep), GEMLET_OK);
    assert_non_null(strstr(c.error.message, "...: the keyword \"not\" is not held, at byte "));
    guarded_free(c.memory);
}

/* ---- The ends of what is held ---- */

static void bounds_of_many_digits(void **state) {
    (void)state;
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":999999999999999998}",
                (const char *const[]){"999999999999999998", "0", NULL}, (const char *const[]){"999999999999999999", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":999999999999999999}",
                (const char *const[]){"999999999999999999", NULL}, (const char *const[]){"999999999999999998", "0", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":12345678901234567890123}",
                (const char *const[]){"999999999999999999", NULL}, (const char *const[]){"1000000000000000000", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":-12345678901234567890123}",
                (const char *const[]){"-999999999999999999", NULL}, (const char *const[]){NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":1.5e2}", (const char *const[]){"150", NULL},
                (const char *const[]){"151", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":1e10}", (const char *const[]){"10000000000", NULL},
                (const char *const[]){"10000000001", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":12e-1}", (const char *const[]){"1", NULL},
                (const char *const[]){"2", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\",\"maximum\":0.0000005}", (const char *const[]){"0", "-0.000001", NULL},
                (const char *const[]){"0.000001", NULL});
    allows_only(GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"number\",\"minimum\":0.0000005}", (const char *const[]){"0.000001", NULL},
                (const char *const[]){"0", NULL});
}

/* Choices within each other: eight, however far their nodes are apart. */
static void choices_within_choices(void **state) {
    (void)state;
    for (size_t depth = 8; depth <= 9; depth++) {
        char text[512];
        size_t used = 0;
        for (size_t i = 0; i < depth; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "{\"anyOf\":[{\"const\":%zu},", i);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "{\"const\":\"x\"}");
        for (size_t i = 0; i < depth; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "]}");
        }
        compiled c;
        gemlet_status status = compile_text(&c, GEMLET_GRAMMAR_SCHEMA, text);
        assert_int_equal(status, depth == 8 ? GEMLET_OK : GEMLET_ERROR_UNSUPPORTED);
        if (status == GEMLET_OK) {
            assert_true(matches(c.grammar, "\"x\"") && matches(c.grammar, "0") && matches(c.grammar, "7"));
        }
        guarded_free(c.memory);
    }
}

static void counts_of_repetitions_are_digits(void **state) {
    (void)state;
    static const char *const alone[] = {"*a", "+", "a|?", "({1}", "}", "]", "(*)"};
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        compiled c;
        assert_int_equal(compile_text(&c, GEMLET_GRAMMAR_PATTERN, alone[i]), GEMLET_ERROR_FORMAT);
        guarded_free(c.memory);
    }
    static const char *const wrong[] = {"a{1:}", "a{:}", "a{1,:}", "a{/}", "a{1", "a{,2}", "a{}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        compiled c;
        if (compile_text(&c, GEMLET_GRAMMAR_PATTERN, wrong[i]) == GEMLET_OK) {
            assert_true(matches(c.grammar, wrong[i])); /* taken as it is written */
            assert_false(matches(c.grammar, "aaaaaaaaaa"));
        }
        guarded_free(c.memory);
    }
    allows_only(GEMLET_GRAMMAR_PATTERN, "a{2}b{0,1}c{09,10}", (const char *const[]){"aaccccccccc", "aabcccccccccc", NULL},
                (const char *const[]){"aacccccccc", "aaccccccccccc", "acccccccccc", NULL});
}

/* ---- Walks ---- */

/* Goes on with random bytes, rather with those that end something, and checks that there always is one or an end. */
static void walk(const gemlet_grammar *grammar, test_random *random, const char *what) {
    static const char ends[] = "\"}],0";
    gemlet_grammar_state state, next;
    gemlet_grammar_begin(grammar, &state);
    for (size_t length = 0; length < 600; length++) {
        unsigned char allowed[256 + 64];
        size_t count = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            if (gemlet_grammar_advance(grammar, &state, (unsigned char)byte, &next)) {
                size_t times = byte < 128 && byte != 0 && strchr(ends, (int)byte) != NULL ? 8 : 1;
                for (; times > 0; times--) {
                    allowed[count++] = (unsigned char)byte;
                }
            }
        }
        if (gemlet_grammar_is_complete(grammar, &state) && (count == 0 || random_range(random, 0, 3) == 0)) {
            return;
        }
        if (count == 0) {
            fail_msg("%s: a dead end", what);
        }
        assert_true(gemlet_grammar_advance(grammar, &state, allowed[random_range(random, 0, count - 1)], &state));
    }
}

static void walk_line(void *context, char mark, char *text) {
    listing *l = context;
    if (mark == 'S') {
        next_schema(l, text);
        for (size_t i = 0; i < 6; i++) {
            walk(l->now.grammar, &l->random, text);
        }
    }
}

/* Definitions that lead to each other in any order: what is taken has no dead ends, in just the memory that it asks for. */
static void drawn_schemas_have_no_dead_ends(void **state) {
    (void)state;
    static char text[DRAWN_SCHEMA_BYTES];
    test_random random = {41};
    size_t taken = 0, too_many = 0;
    for (size_t trial = 0; trial < 1500; trial++) {
        uint8_t bytes[300];
        const size_t count = random_range(&random, 4, sizeof bytes);
        for (size_t i = 0; i < count; i++) {
            bytes[i] = (uint8_t)random_range(&random, 0, 255);
        }
        compiled c;
        gemlet_status status = compile_bytes(&c, GEMLET_GRAMMAR_SCHEMA, text, drawn_schema(bytes, count, text), 0xFF);
        if (status == GEMLET_OK) {
            taken++;
            walk(c.grammar, &random, text);
        } else {
            assert_true(status == GEMLET_ERROR_UNSUPPORTED || status == GEMLET_ERROR_FORMAT);
            too_many += strstr(c.error.message, "anyOf within anyOf") != NULL;
        }
        guarded_free(c.memory);
    }
    print_message("%zu of 1500 taken, %zu have too many choices\n", taken, too_many);
    assert_true(taken > 300 && too_many > 50);
}

static void no_walk_ends_in_nothing(void **state) {
    (void)state;
    listing l = {.random = {11}};
    schemas_each_line(walk_line, &l);
    guarded_free(l.now.memory);
}

/* ---- Patterns, any JSON ---- */

static void a_pattern_is_the_whole_answer(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool right;
    } cases[] = {{"yes|no", "yes", true},
                 {"yes|no", "no", true},
                 {"yes|no", "yesno", false},
                 {"[0-9]{1,3}", "1234", false},
                 {"[0-9]{1,3}", "123", true},
                 {"(a|b)*c", "ababc", true},
                 {"(a|b)*c", "abab", false},
                 {"", "", true},
                 {"", "x", false},
                 {".+", "日本\xF0\x9F\x98\x80", true},
                 {".", "\n", false},
                 {"^a$", "a", true},
                 {"[^a]", "\xC3\xA9", true},
                 {"\xC3\xA9?x", "x", true},
                 {"a\\.b", "a.b", true},
                 {"a\\.b", "axb", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled c;
        compile_good(&c, GEMLET_GRAMMAR_PATTERN, cases[i].pattern);
        if (matches(c.grammar, cases[i].text) != cases[i].right) {
            fail_msg("%s: %s", cases[i].pattern, cases[i].text);
        }
        guarded_free(c.memory);
    }
}

static void damaged_characters_are_not_allowed(void **state) {
    (void)state;
    static const char *const damaged[] = {
        "\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
        "\xF5", "\xC3",     "\xE2\x82", "a\xFF"};
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_PATTERN, "[^b]*");
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_false(matches(c.grammar, damaged[i]));
    }
    guarded_free(c.memory);
}

static void any_json_is_an_object(void **state) {
    (void)state;
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_JSON, NULL);
    assert_true(matches(c.grammar, "{\"a\":[1,-2.5,{\"b\":null}],\"\":\"\\u00e9\\n\"}"));
    assert_false(matches(c.grammar, "[1]"));
    assert_false(matches(c.grammar, "{\"a\"}"));
    char deep[200] = "{\"a\":";
    memset(deep + 5, '[', 22);
    memset(deep + 27, ']', 22);
    memcpy(deep + 49, "}", 2);
    assert_true(matches(c.grammar, deep)); /* 23 values within each other */
    memset(deep + 5, '[', 24);
    memset(deep + 29, ']', 24);
    memcpy(deep + 53, "}", 2);
    assert_false(matches(c.grammar, deep)); /* 25 */
    guarded_free(c.memory);
}

/* ---- Memory, arguments ---- */

static void memory_is_as_planned(void **state) {
    (void)state;
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^a+$\"}}}";
    size_t bytes = 0;
    const gemlet_grammar *grammar = NULL;
    gemlet_error error;
    assert_int_equal(gemlet_grammar_bytes(GEMLET_GRAMMAR_SCHEMA, schema, strlen(schema), &bytes, &error), GEMLET_OK);
    unsigned char *memory = guarded_alloc(bytes, 0);
    assert_int_equal(gemlet_grammar_compile(GEMLET_GRAMMAR_SCHEMA, schema, strlen(schema), memory, bytes, &grammar, &error),
                     GEMLET_OK);
    guarded_check(memory);
    assert_int_equal(gemlet_grammar_compile(GEMLET_GRAMMAR_SCHEMA, schema, strlen(schema), memory, bytes - 1, &grammar, &error),
                     GEMLET_ERROR_MEMORY);
    assert_int_equal(gemlet_grammar_compile(GEMLET_GRAMMAR_SCHEMA, schema, strlen(schema), memory + 8, bytes, &grammar, &error),
                     GEMLET_ERROR_ALIGNMENT);
    assert_int_equal(gemlet_grammar_bytes(GEMLET_GRAMMAR_SCHEMA, "{", 1, &bytes, &error), GEMLET_ERROR_FORMAT);
    assert_int_equal(bytes, 0);
    assert_int_equal(gemlet_grammar_bytes(GEMLET_GRAMMAR_SCHEMA, schema, GEMLET_GRAMMAR_MOST_BYTES + 1, &bytes, &error),
                     GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(gemlet_grammar_bytes((gemlet_grammar_kind)9, schema, 1, &bytes, &error), GEMLET_ERROR_ARGUMENT);
    guarded_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_allowed_as_jsonschema_has_it),
        cmocka_unit_test(refusals_tell_the_place),
        cmocka_unit_test(bounds_of_many_digits),
        cmocka_unit_test(choices_within_choices),
        cmocka_unit_test(counts_of_repetitions_are_digits),
        cmocka_unit_test(no_walk_ends_in_nothing),
        cmocka_unit_test(drawn_schemas_have_no_dead_ends),
        cmocka_unit_test(a_pattern_is_the_whole_answer),
        cmocka_unit_test(damaged_characters_are_not_allowed),
        cmocka_unit_test(any_json_is_an_object),
        cmocka_unit_test(memory_is_as_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
