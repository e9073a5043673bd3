/* What schemas and patterns become: how much room their tables are said to need and how much they have, what less room does, each
 * array in memory of its own; and which readings of an answer are followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "model/grammar/schema.h"
#include "tests/grammar/compiled.h"
#include "tests/kernels/kernel_test.h"

/* ---- Tables in arrays of their own ---- */

enum { ARRAYS = 6, FILL = 0xA5 };

/* A room's counts, in the order of its members. */
typedef struct counts {
    size_t of[ARRAYS];
} counts;

static counts counts_of_room(gemlet_grammar_room room) {
    return (counts){{room.nodes, room.entries, room.text, room.patterns, room.positions, room.ranges}};
}

static counts counts_of_table(const gemlet_grammar *g) {
    return (counts){{g->node_count, g->entry_count, g->text_bytes, g->pattern_count, g->position_count, g->range_count}};
}

static gemlet_json json_of(const char *text) {
    gemlet_json json;
    gemlet_error error;
    assert_int_equal(gemlet_json_open(&json, text, strlen(text), "schema", &error), GEMLET_OK);
    return json;
}

typedef struct table {
    gemlet_grammar g;
    gemlet_error error;
    gemlet_status status;
} table;

static void *array_of(size_t count, size_t bytes) {
    void *array = guarded_alloc(count * bytes, 0);
    memset(array, FILL, count * bytes);
    return array;
}

static void free_table(table *t) {
    guarded_free(t->g.nodes);
    guarded_free(t->g.entries);
    guarded_free(t->g.text);
    guarded_free(t->g.patterns);
    guarded_free(t->g.positions);
    guarded_free(t->g.ranges);
}

/* Compiles a schema, or with `pattern` that in an empty table. */
static void compile_in(table *t, const char *text, bool pattern, bool calls, counts room) {
    const size_t *of = room.of;
    const gemlet_grammar_room said = {of[0], of[1], of[2], of[3], of[4], of[5]};
    *t = (table){.error = {GEMLET_OK, ""}};
    t->g.notation = calls;
    t->g.nodes = array_of(of[0], sizeof *t->g.nodes);
    t->g.entries = array_of(of[1], sizeof *t->g.entries);
    t->g.text = array_of(of[2], 1);
    t->g.patterns = array_of(of[3], sizeof *t->g.patterns);
    t->g.positions = array_of(of[4], sizeof *t->g.positions);
    t->g.ranges = array_of(of[5], sizeof *t->g.ranges);
    t->status = pattern ? gemlet_pattern_compile(&t->g, &said, text, strlen(text), false, &t->error)
                        : gemlet_schema_compile(&t->g, &said, json_of(text), &t->error);
}

/* ---- How much room ---- */

#define FUNCTION(name, parameters) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" parameters "}}"

static const struct {
    const char *text;
    bool calls;
    counts said, had; /* nodes, entries, bytes of text, patterns, positions, ranges */
} rooms[] = {
    {"true", false, {{17, 18, 75, 0, 0, 0}}, {{7, 8, 13, 0, 0, 0}}},
    {"[1, {\"a\": \",:[{\"}]", false, {{21, 26, 115, 0, 0, 0}}, {{0}}},
    {"{\"items\":{\"$ref\":\"#\"}}", false, {{21, 26, 123, 0, 0, 0}}, {{8, 8, 13, 0, 0, 0}}},
    {"{\"pattern\":\"ab\"}", false, {{19, 22, 105, 1, 256, 160}}, {{7, 8, 13, 1, 4, 4}}},
    {"{\"Pattern\":{\"p\\u0061ttern\":\"pattern\"}}", false, {{21, 26, 155, 2, 512, 352}}, {{0}}},
    {"{\"$defs\":{\"a\":{\"enum\":[\"x\",1]}},\"prefixItems\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"\\u0023/$defs/a\"}],"
     "\"items\":{\"$ref\":\"#/$defs/a\"}}",
     false,
     {{37, 58, 375, 0, 0, 0}},
     {{11, 12, 17, 0, 0, 0}}},
    {"[" FUNCTION("f", "{\"properties\":{\"a\":{\"const\":null}}}") "]", true, {{32, 48, 300, 0, 0, 0}}, {{10, 12, 29, 0, 0, 0}}},
};

static void check_counts(const char *text, counts found, counts wanted) {
    for (size_t a = 0; a < ARRAYS; a++) {
        if (found.of[a] != wanted.of[a]) {
            print_message("%s, array %zu: expected %zu, found %zu\n", text, a, wanted.of[a], found.of[a]);
        }
    }
    assert_memory_equal(&found, &wanted, sizeof found);
}

/* More would be a device's memory, less a refusal. */
static void rooms_are_as_they_were(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        /* What stands behind the text has no part in it. */
        char text[256];
        snprintf(text, sizeof text, "%s,:[{", rooms[i].text);
        const gemlet_json schema = {text, text + strlen(rooms[i].text)};
        counts said = counts_of_room(gemlet_schema_room(schema));
        check_counts(rooms[i].text, said, rooms[i].said);
    }
}

static size_t bytes_of(counts room) {
    const size_t *of = room.of;
    return gemlet_aligned(sizeof(gemlet_grammar)) + gemlet_aligned(of[0] * sizeof(gemlet_node)) +
           gemlet_aligned(of[1] * sizeof(gemlet_entry)) + gemlet_aligned(of[2]) + gemlet_aligned(of[3] * sizeof(gemlet_pattern)) +
           gemlet_aligned(of[4] * sizeof(gemlet_pattern_position)) + gemlet_aligned(of[5] * sizeof(gemlet_character_range));
}

/* What is asked for is what the arrays take, each at a boundary; the table begins where the memory does. */
static void memory_is_that_of_the_arrays(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        size_t bytes = 0;
        gemlet_error error;
        const gemlet_grammar_kind kind = rooms[i].calls ? GEMLET_GRAMMAR_CALLS : GEMLET_GRAMMAR_SCHEMA;
        assert_int_equal(gemlet_grammar_bytes(kind, rooms[i].text, strlen(rooms[i].text), &bytes, &error), GEMLET_OK);
        assert_int_equal(bytes, bytes_of(rooms[i].said));
    }
    for (size_t length = 0; length < 300; length++) {
        size_t bytes = 0;
        char text[300];
        compiled c;
        gemlet_error error;
        memset(text, 'a', sizeof text);
        assert_int_equal(gemlet_grammar_bytes(GEMLET_GRAMMAR_PATTERN, text, length, &bytes, &error), GEMLET_OK);
        assert_int_equal(bytes, bytes_of((counts){{1, 0, 0, 1, GEMLET_PATTERN_POSITIONS, 8 * length + 16}}));
        if (compile_bytes(&c, GEMLET_GRAMMAR_PATTERN, text, length, FILL) == GEMLET_OK) {
            assert_ptr_equal(c.grammar, c.memory);
        }
        guarded_free(c.memory);
    }
}

/* Nothing is compiled twice, and nothing stays that was needed for a moment. */
static void tables_have_no_more_than_they_need(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        if (rooms[i].had.of[0] == 0) {
            continue;
        }
        table t;
        compile_in(&t, rooms[i].text, false, rooms[i].calls, rooms[i].said);
        assert_int_equal(t.status, GEMLET_OK);
        counts had = counts_of_table(&t.g);
        check_counts(rooms[i].text, had, rooms[i].had);
        free_table(&t);
    }
}

/* ---- Less room ---- */

static const char much[] = "{\"properties\":{\"a\":{\"enum\":[1,\"x\"]},\"b\":{\"pattern\":\"^[ac-e][^x-z]{3}$\"},"
                           "\"c\":{\"pattern\":\"(f(de){2}){2}\"},\"d\":{\"items\":{\"type\":\"integer\"}}},\"required\":[\"a\"]}";

static const char *const answers[] = {"{\"a\":1}", "{\"a\":\"x\",\"b\":\"daaa\",\"d\":[1, 2]}",
                                      "{\"a\":1,\"b\":\"c...\",\"c\":\"..fdedefdede\"}"};

static void check_answers(const gemlet_grammar *g) {
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_true(matches(g, answers[i]));
    }
    assert_false(matches(g, "{\"b\":\"daaa\"}"));
    assert_false(matches(g, "{\"a\":1,\"b\":\"aaax\"}"));
    assert_false(matches(g, "{\"a\":1,\"c\":\"fdedefded\"}"));
}

/* What stands for any value, which every room has. */
static const size_t built_in[ARRAYS] = {7, 8, 13, 0, 0, 0};

/* What a table has while a schema is compiled is a little more than what it has in the end: a text that is looked at is put there.
 */
static void tables_in_all_rooms_up_to_theirs(void **state) {
    (void)state;
    const counts said = counts_of_room(gemlet_schema_room(json_of(much)));
    for (size_t a = 0; a < ARRAYS; a++) {
        size_t taken = 0;
        for (size_t room = built_in[a]; room <= said.of[a]; room++) {
            counts less = said;
            less.of[a] = room;
            table t;
            compile_in(&t, much, false, false, less);
            if (t.status == GEMLET_OK) {
                check_answers(&t.g);
                taken++;
            } else {
                static const char *const words[ARRAYS] = {"schema: it is too large, at byte 0",
                                                          "schema: it is too large, at byte 0",
                                                          "schema: it is too large, at byte 0",
                                                          "pattern: too many patterns, at byte ",
                                                          "pattern: more than 256 characters, repetitions written out, at byte ",
                                                          "pattern: too many characters, at byte "};
                assert_int_equal(taken, 0);
                assert_int_equal(strncmp(t.error.message, words[a], strlen(words[a])), 0);
                assert_true(room < said.of[a]);
            }
            free_table(&t);
        }
        assert_in_range(taken, 1, said.of[a]);
    }
}

/* Arrays of just as many as are used, which are all walked over; of text a little more where something is looked at for a moment.
 */
static void tables_of_just_what_they_have(void **state) {
    (void)state;
    static const struct {
        const char *schema;
        bool calls;
        size_t more; /* bytes of text */
        const char *good, *bad;
    } cases[] = {
        {"{\"properties\":{\"a\":true,\"b\":true}}", false, 0, "{\"a\":[1, \"x\"],\"b\":{\"c\":null}}", "{\"a\":1,\"a\":2}"},
        {"{\"properties\":{\"a\":true},\"required\":[\"a\"]}", false, 4, "{\"a\":{}}", "{}"},
        {"{\"enum\":[12,1,\"x\"]}", false, 0, "1", "2"},
        {"{\"prefixItems\":[true,false]}", false, 0, "[1]", "[1,2]"},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", false, 0, "null", "nul"},
        {"{\"type\":\"string\",\"pattern\":\"^[a-c]\\\\d[^x]$\"}", false, 16, "\"b7\xC3\xA9\"", "\"b7x\""},
        {"[" FUNCTION("f", "{\"properties\":{\"a\":{\"enum\":[\"x\"]}}}") "]", true, 0, "call:f{a:\xFFx\xFF}",
         "call:f{a:\xFFy\xFF}"},
        {"[{\"type\":\"function\",\"function\":{\"name\":\"ff\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", true, 0,
         "call:f{}", "call:f{a:1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        table t, exact;
        compile_in(&t, cases[i].schema, false, cases[i].calls, counts_of_room(gemlet_schema_room(json_of(cases[i].schema))));
        assert_int_equal(t.status, GEMLET_OK);
        counts had = counts_of_table(&t.g);
        had.of[2] += cases[i].more;
        compile_in(&exact, cases[i].schema, false, cases[i].calls, had);
        assert_int_equal(exact.status, GEMLET_OK);
        assert_true(matches(&exact.g, cases[i].good) && !matches(&exact.g, cases[i].bad));
        free_table(&t);
        free_table(&exact);
    }
    table t;
    compile_in(&t, much, false, false, counts_of_room(gemlet_schema_room(json_of(much))));
    assert_int_equal(t.g.patterns[0].position_count, 4);
    assert_int_equal(t.g.patterns[1].position_count, 12);
    free_table(&t);
}

/* A pattern that is refused leaves nothing before its table. */
static void refused_patterns_in_an_empty_table(void **state) {
    (void)state;
    static const char *const wrong[] = {"(", "[", "a{2", "\\x", "a{257}", "(ab){129}", "((a{9}){9}){9}", "[^\\D\\d]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char schema[64];
        table t;
        snprintf(schema, sizeof schema, "{\"pattern\":\"%s%s\"}", wrong[i][0] == '\\' ? "\\" : "", wrong[i]);
        compile_in(&t, i < 7 ? schema : "{\"pattern\":\"[^\\\\D\\\\d]\"}", false, false,
                   counts_of_room(gemlet_schema_room(json_of("{\"pattern\":\"0123456789\"}"))));
        assert_true(t.status != GEMLET_OK && t.g.pattern_count == 0);
        free_table(&t);
        compile_in(&t, wrong[i], true, false, (counts){{0, 0, 0, 1, GEMLET_PATTERN_POSITIONS, 160}});
        assert_true(t.status != GEMLET_OK && t.g.pattern_count == 0);
        free_table(&t);
    }
}

/* ---- Readings ---- */

/* Alternatives that read the same are one reading, so that there is room for one that does not; of those that do not, as many as
 * may be are followed. */
static void readings_that_are_equal_are_one(void **state) {
    (void)state;
    static const char beginning[] = "{\"$defs\":{\"x\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}},\"anyOf\":[";
    for (size_t same = 0; same <= GEMLET_GRAMMAR_READINGS + 1; same++) {
        for (size_t others = 0; others <= GEMLET_GRAMMAR_READINGS + 1; others++) {
            char schema[4096];
            int used = snprintf(schema, sizeof schema, "%s", beginning);
            for (size_t i = 0; i < same + others; i++) {
                const char *comma = i > 0 ? "," : "";
                used +=
                    i < same
                        ? snprintf(schema + used, sizeof schema - (size_t)used, "%s{\"anyOf\":[{\"$ref\":\"#/$defs/x\"}]}", comma)
                        : snprintf(schema + used, sizeof schema - (size_t)used,
                                   "%s{\"type\":\"array\",\"minItems\":2,\"prefixItems\":[{\"const\":1},{\"const\":\"%zu\"}]}",
                                   comma, i - same);
            }
            snprintf(schema + used, sizeof schema - (size_t)used, "]}");
            if (same + others == 0) {
                continue;
            }
            compiled c;
            compile_good(&c, GEMLET_GRAMMAR_SCHEMA, schema);
            assert_true(matches(c.grammar, "[1, 2]") == (same > 0));
            for (size_t i = 0; i < others; i++) {
                char answer[32];
                snprintf(answer, sizeof answer, "[1,\"%zu\"]", i);
                if (matches(c.grammar, answer) != (i + (same > 0) < GEMLET_GRAMMAR_READINGS)) {
                    fail_msg("%zu the same, %s of %zu others", same, answer, others);
                }
            }
            guarded_free(c.memory);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_are_as_they_were),
        cmocka_unit_test(memory_is_that_of_the_arrays),
        cmocka_unit_test(tables_have_no_more_than_they_need),
        cmocka_unit_test(tables_in_all_rooms_up_to_theirs),
        cmocka_unit_test(tables_of_just_what_they_have),
        cmocka_unit_test(refused_patterns_in_an_empty_table),
        cmocka_unit_test(readings_that_are_equal_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
