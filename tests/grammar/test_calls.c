/* Calls of functions: what their grammar allows against the list of schemas, whose values are written as the templates do; walks
 * that are read back; and the constraint over the tiny Gemma 4's vocabulary.
 *
 *     grammar-calls            the tests
 *     grammar-calls COUNT      prints so many arguments of random calls, each behind its schema and a tab, for validate.py */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/chat/format.h"
#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/grammar/compiled.h"
#include "tests/grammar/schemas.h"
#include "tests/kernels/kernel_test.h"
#include <gemlet/arena.h>
#include <gemlet/gemlet.h>
#include <gemlet/grammar.h>
#include <gemlet/posix.h>

enum { TEXT_BYTES = 1 << 16 };

static const char mark[] = "<|\"|>";

/* A call's bytes: its marks as one each. */
static size_t shorten(const char *text, unsigned char *out) {
    size_t bytes = 0;
    while (*text != '\0') {
        bool marked = strncmp(text, mark, sizeof mark - 1) == 0;
        out[bytes++] = marked ? GEMLET_GRAMMAR_QUOTE : (unsigned char)*text;
        text += marked ? sizeof mark - 1 : 1;
    }
    return bytes;
}

static bool matches_call(const gemlet_grammar *grammar, const char *call) {
    static unsigned char bytes[TEXT_BYTES];
    return matches_bytes(grammar, bytes, shorten(call, bytes));
}

/* ---- By hand ---- */

#define FUNCTION(name, parameters) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" parameters "}}"

static const char lamps[] =
    "[" FUNCTION("set_lamp",
                 "{\"type\":\"object\",\"properties\":{\"room\":{\"type\":\"string\",\"enum\":[\"hall\",\"cellar\"]},"
                 "\"level\":{\"type\":\"INTEGER\",\"minimum\":0,\"maximum\":10},\"note\":{\"type\":\"string\","
                 "\"nullable\":true}},\"required\":[\"room\"]}") ","
                                                                 "{\"type\":\"function\",\"function\":{\"name\":\"set_lamps\","
                                                                 "\"description\":\"All.\"}}," FUNCTION(
                                                                     "move",
                                                                     "{\"type\":\"object\",\"properties\":{\"to\":{\"$ref\":\"#/"
                                                                     "$defs/place\"},\"by\":{\"type\":\"array\",\"items\":"
                                                                     "{\"type\":[\"number\",\"null\"]}}},\"$defs\":{\"place\":{"
                                                                     "\"type\":\"object\",\"properties\":{\"x\":{\"type\":"
                                                                     "\"number\"},\"y\":{\"type\":\"number\"}},\"required\":[\"x\","
                                                                     "\"y\"]}}}") "," FUNCTION("tell", "{\"type\":\"object\"}") "]";

static void calls_are_held(void **state) {
    (void)state;
    static const char *const good[] = {"call:set_lamp{room:<|\"|>hall<|\"|>}",
                                       "call:set_lamp{level:10,room:<|\"|>cellar<|\"|>}",
                                       "call:set_lamp{level:0,note:<|\"|>a \"b\" \\n{},\n<|<|\"|>,room:<|\"|>hall<|\"|>}",
                                       "call:set_lamp{level:7, note:<|\"|><|\"|>, room: <|\"|>hall<|\"|>}",
                                       "call:set_lamps{}",
                                       "call:move{by:[1.5,null,None,-2],to:{x:1,y:2.5}}",
                                       "call:move{}",
                                       "call:tell{}",
                                       "call:tell{any:None,b:{c:[<|\"|>d<|\"|>,true]}}"};
    static const char *const bad[] = {"call:set_lamp{}",
                                      "call:set_lamp{room:<|\"|>attic<|\"|>}",
                                      "call:set_lamp{room:hall}",
                                      "call:set_lamp{room:\"hall\"}",
                                      "call:set_lamp{level:11,room:<|\"|>hall<|\"|>}",
                                      "call:set_lamp{room:<|\"|>hall<|\"|>,level:1}",
                                      "call:set_lamp{other:1,room:<|\"|>hall<|\"|>}",
                                      "call:set_lamp{room:<|\"|>hall<|\"|>",
                                      "call:set_lamps{room:<|\"|>hall<|\"|>}",
                                      "call:set_lam{}",
                                      "call:set_lampss{}",
                                      "call:move{to:{x:1}}",
                                      "call:move{to:{y:1,x:2}}",
                                      "call:tell{a b:1}",
                                      "call:tell{<|\"|>a<|\"|>:1}",
                                      "call:tell",
                                      "{}",
                                      ""};
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_CALLS, lamps);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!matches_call(c.grammar, good[i])) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (matches_call(c.grammar, bad[i])) {
            fail_msg("allowed: %s", bad[i]);
        }
    }
    guarded_free(c.memory);
}

static void the_mark_is_not_written_in_characters(void **state) {
    (void)state;
    static const char *const pieces[] = {"<|\"|", "<<|\"|", "<|<|\"|"};
    compiled c;
    compile_good(&c, GEMLET_GRAMMAR_CALLS, lamps);
    for (size_t i = 0; i < 3; i++) {
        gemlet_grammar_state s;
        static const char first[] = "call:set_lamp{note:";
        gemlet_grammar_begin(c.grammar, &s);
        for (const char *at = first; *at != '\0'; at++) {
            assert_true(gemlet_grammar_advance(c.grammar, &s, (unsigned char)*at, &s));
        }
        assert_true(gemlet_grammar_advance(c.grammar, &s, GEMLET_GRAMMAR_QUOTE, &s));
        for (const char *at = pieces[i]; *at != '\0'; at++) {
            assert_true(gemlet_grammar_advance(c.grammar, &s, (unsigned char)*at, &s));
        }
        gemlet_grammar_state next;
        assert_false(gemlet_grammar_advance(c.grammar, &s, '>', &next));
        assert_true(gemlet_grammar_advance(c.grammar, &s, '|', &next));
        assert_true(gemlet_grammar_advance(c.grammar, &next, '>', &next));
        assert_true(gemlet_grammar_advance(c.grammar, &s, GEMLET_GRAMMAR_QUOTE, &next));
    }
    guarded_free(c.memory);
}

static void what_is_no_list_of_functions_is_refused(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"[]", "expected a list of functions"},
        {"{}", "expected a list of functions"},
        {"[{}]", "tools: /0: expected {\"type\": \"function\", \"function\": {\"name\""},
        {"[1]", "tools: /0: expected {\"type\": \"function\", \"function\": {\"name\""},
        {"[" FUNCTION("a b", "{}") "]", "tools: /0: expected {\"type\": \"function\", \"function\": {\"name\""},
        {"[" FUNCTION("f", "{\"type\":\"object\"}") "," FUNCTION("f", "{\"type\":\"object\"}") "]", "two functions are named"},
        {"[" FUNCTION("f", "{\"type\":\"string\"}") "]", "the parameters of f: expected the schema of an object"},
        {"[" FUNCTION("f", "{\"enum\":[{}]}") "]", "expected the schema of an object"},
        {"[" FUNCTION("f", "{\"title\":\"t\"}") "]", "expected the schema of an object"},
        {"[" FUNCTION("f", "true") "]", "expected a schema that has a value"},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"properties\":{\"a:b\":{}}}") "]", "calls can't write the name \"a:b\""},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"properties\":{\"\":{}}}") "]", "calls can't write the name"},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":\"x<|\\\"|>y\"}}}") "]", "the mark of strings"},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}") "]", "the keyword \"not\" is not held"},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/function\"}}}") "]", "$ref"},
        {"[" FUNCTION("f", "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":false}}") "]", "it has no value"},
        {"[", "tools"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        compiled c;
        gemlet_status status = compile_text(&c, GEMLET_GRAMMAR_CALLS, wrong[i][0]);
        if (status == GEMLET_OK || status != c.error.status || strstr(c.error.message, wrong[i][1]) == NULL) {
            fail_msg("%s: expected \"%s\", found \"%s\"", wrong[i][0], wrong[i][1], c.error.message);
        }
        guarded_free(c.memory);
    }
}

/* ---- The list of schemas ---- */

typedef struct listing {
    compiled now, json; /* the function, and its parameters as a schema */
    char parameters[TEXT_BYTES], tools[TEXT_BYTES + 128], text[TEXT_BYTES];
    size_t bytes; /* of the text */
    size_t schemas, left_out, texts, unwritable, wrong;
    test_random random;
    size_t wanted;
} listing;

/* A schema is that of the function's only argument.  Pointers would not lead there. */
static bool next_schema(listing *l, const char *schema) {
    guarded_free(l->now.memory);
    guarded_free(l->json.memory);
    l->now.memory = l->json.memory = NULL;
    l->now.grammar = NULL;
    if (strstr(schema, "$ref") != NULL) {
        l->left_out++;
        return false;
    }
    snprintf(l->parameters, sizeof l->parameters, "{\"type\":\"object\",\"properties\":{\"v\":%s},\"required\":[\"v\"]}", schema);
    snprintf(l->tools, sizeof l->tools, "[" FUNCTION("f", "%s") "]", l->parameters);
    if (compile_text(&l->now, GEMLET_GRAMMAR_CALLS, l->tools) != GEMLET_OK) {
        assert_non_null(strstr(l->now.error.message, "calls can't write the name"));
        guarded_free(l->now.memory);
        l->now.memory = NULL;
        l->left_out++;
        return false;
    }
    compile_good(&l->json, GEMLET_GRAMMAR_SCHEMA, l->parameters);
    l->schemas++;
    return true;
}

static gemlet_status receive(void *context, const gemlet_segment *segment) {
    listing *l = context;
    bool quote = segment->type == GEMLET_SEGMENT_SPECIAL && segment->special == GEMLET_SPECIAL_TOOL_QUOTE;
    const char *text = quote ? mark : segment->text;
    size_t bytes = quote ? sizeof mark - 1 : segment->bytes;
    if (quote || segment->type == GEMLET_SEGMENT_TEXT) {
        assert_true(l->bytes + bytes < sizeof l->text);
        memcpy(l->text + l->bytes, text, bytes);
        l->bytes += bytes;
        l->text[l->bytes] = '\0';
    }
    return GEMLET_OK;
}

/* Writes the call as the template does; false for a member's name that it writes, but that could not be read. */
static bool write_call(listing *l, const char *value) {
    static char call[TEXT_BYTES];
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_call read;
    snprintf(call, sizeof call, "{\"name\":\"f\",\"arguments\":{\"v\":%s}}", value);
    const gemlet_message_part part = {GEMLET_PART_CALL, call, strlen(call)}, asked = {GEMLET_PART_TEXT, "x", 1};
    const gemlet_message messages[] = {{GEMLET_ROLE_USER, &asked, 1}, {GEMLET_ROLE_MODEL, &part, 1}};
    l->bytes = 0;
    if (gemlet_chat_render(&gemlet_gemma4_chat, messages, 2, (gemlet_chat_options){.bos = false}, receive, l, &error) !=
        GEMLET_OK) {
        return false;
    }
    const char *first = strstr(l->text, "call:f{");
    if (first == NULL) {
        fail_msg("no call in %s", l->text);
        return false;
    }
    memmove(l->text, first, strlen(first) + 1);
    static char json[TEXT_BYTES * 6];
    if (gemlet_call_read(l->text, strlen(l->text), json, sizeof json, &read, &error) != GEMLET_OK) {
        return false;
    }
    l->text[read.bytes] = '\0'; /* the turn's text goes on */
    return true;
}

/* Whether some object of the value has a name that calls can't write. */
static bool has_odd_name(const char *value) {
    for (const char *at = strchr(value, '"'); at != NULL; at = strchr(at, '"')) {
        bool odd = at[1] == '"';
        for (at++; *at != '"'; at += *at == '\\' ? 2 : 1) {
            odd = odd || *at == ' ' || *at == '\\' || strchr(":,{}[]<", *at) != NULL;
        }
        if (*++at == ':' && odd) {
            return true;
        }
    }
    return false;
}

static void check_line(void *context, char kind, char *text) {
    listing *l = context;
    if (kind == 'S') {
        next_schema(l, text);
    } else if (kind != 'R' && l->now.grammar != NULL) {
        if (has_odd_name(text) || !write_call(l, text)) {
            l->unwritable++;
            return;
        }
        l->texts++;
        if (matches_call(l->now.grammar, l->text) != (kind == '+')) {
            print_message("%s: %s is %s\n", l->tools, l->text, kind == '+' ? "refused" : "allowed");
            l->wrong++;
        }
    }
}

static void arguments_are_allowed_as_jsonschema_has_it(void **state) {
    (void)state;
    static listing l;
    schemas_each_line(check_line, &l);
    guarded_free(l.now.memory);
    guarded_free(l.json.memory);
    print_message("%zu schemas (%zu left out), %zu texts (%zu can't be written)\n", l.schemas, l.left_out, l.texts, l.unwritable);
    assert_true(l.schemas >= 300 && l.texts >= 9500);
    assert_int_equal(l.wrong, 0);
}

/* ---- Walks ---- */

/* A random call into l->text; false where it gets too long.  There must always be a byte or an end. */
static bool walk(listing *l) {
    static const unsigned char ends[] = {GEMLET_GRAMMAR_QUOTE, '}', ']', ',', '0', 0};
    gemlet_grammar_state state, next;
    l->bytes = 0;
    gemlet_grammar_begin(l->now.grammar, &state);
    while (l->bytes < 2000 && !gemlet_grammar_is_complete(l->now.grammar, &state)) {
        unsigned char allowed[256 + 64];
        size_t count = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            if (gemlet_grammar_advance(l->now.grammar, &state, (unsigned char)byte, &next)) {
                size_t times = byte != 0 && strchr((const char *)ends, (int)(signed char)byte) != NULL ? 8 : 1;
                for (; times > 0; times--) {
                    allowed[count++] = (unsigned char)byte;
                }
            }
        }
        if (count == 0) {
            fail_msg("%s: a dead end behind %.*s", l->tools, (int)l->bytes, l->text);
        }
        unsigned char byte = allowed[random_range(&l->random, 0, count - 1)];
        assert_true(gemlet_grammar_advance(l->now.grammar, &state, byte, &state));
        size_t bytes = byte == GEMLET_GRAMMAR_QUOTE ? sizeof mark - 1 : 1;
        memcpy(l->text + l->bytes, byte == GEMLET_GRAMMAR_QUOTE ? mark : (const char *)&byte, bytes);
        l->bytes += bytes;
    }
    return gemlet_grammar_is_complete(l->now.grammar, &state);
}

/* Members of a call come in the order of their names, those of a schema's value in its own: where no schema within has two, what is
 * read back is one of its values. */
static bool has_one_order(const char *schema) {
    const char *properties = strstr(schema + 1, "\"properties\"");
    properties = properties != NULL ? strstr(properties + 1, "\"properties\"") : NULL; /* the first are the function's */
    return properties == NULL && strstr(schema, "\"enum\"") == NULL && strstr(schema, "\"const\"") == NULL;
}

static void walk_line(void *context, char kind, char *text) {
    static char json[TEXT_BYTES];
    listing *l = context;
    if (kind != 'S' || !next_schema(l, text)) {
        return;
    }
    for (size_t i = 0; i < (l->wanted + 369) / 370; i++) {
        gemlet_call call;
        gemlet_error error = {GEMLET_OK, ""};
        if (!walk(l)) {
            continue;
        }
        if (gemlet_call_read(l->text, l->bytes, json, sizeof json, &call, &error) != GEMLET_OK || call.bytes != l->bytes) {
            fail_msg("%s: %.*s: %s", l->tools, (int)l->bytes, l->text, error.message);
        }
        assert_true(call.name_bytes == 1 && *call.name == 'f');
        l->texts++;
        if (l->wanted > 3700) {
            printf("%s\t%s\n", l->parameters, json);
        } else if (has_one_order(l->parameters) && !matches(l->json.grammar, json)) {
            fail_msg("%s: %s was read as %s", l->parameters, l->text, json);
        }
    }
}

static void walks_are_read_back(void **state) {
    (void)state;
    static listing l;
    l.wanted = 3700;
    l.random = (test_random){31};
    schemas_each_line(walk_line, &l);
    guarded_free(l.now.memory);
    guarded_free(l.json.memory);
    print_message("%zu calls of %zu functions\n", l.texts, l.schemas);
    assert_true(l.texts >= 3000);
}

/* ---- Tokens ---- */

static const gemlet_options options = {.context = 64, .no_images = true, .no_sounds = true};

/* The tiny Gemma 4's vocabulary, which has the marks. */
typedef struct bench {
    char folder[FOLDER_BYTES], packed[FOLDER_BYTES + 16];
    gemlet_posix *posix;
    gemlet_port port;
    gemlet_arena arena;
    void *memory, *order_memory, *constraint_memory;
    gemlet_model *model;
    const gemlet_tokenizer *tokenizer;
    gemlet_token_order order;
    gemlet_constraint constraint;
    gemlet_error error;
    compiled calls;
} bench;

static void must(bench *b, gemlet_status status) {
    if (status != GEMLET_OK) {
        fail_msg("%s", b->error.message);
        abort();
    }
}

static void *take(size_t bytes) {
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT);
    assert_non_null(memory);
    return memory;
}

static void open_bench(bench *b, const char *tools) {
    gemlet_memory_plan plan;
    *b = (bench){.error = {GEMLET_OK, ""}};
    folder_make(b->folder, "calls");
    snprintf(b->packed, sizeof b->packed, "%s/calls.gguf", b->folder);
    const pack_options pack = {.text = GEMMA4_TEXT, .output = b->packed};
    must(b, pack_run(&pack, &b->error));
    b->posix = gemlet_posix_open(1, &b->port);
    must(b, gemlet_plan(&b->port, b->packed, &options, &plan, &b->error));
    b->memory = take(plan.arena);
    must(b, gemlet_arena_init(&b->arena, b->memory, plan.arena, &b->error));
    must(b, gemlet_model_open(&b->port, b->packed, &options, &b->arena, &b->model, &b->error));
    b->tokenizer = gemlet_model_tokenizer(b->model);
    size_t bytes = gemlet_token_order_bytes(b->tokenizer);
    b->order_memory = take(bytes);
    must(b, gemlet_token_order_open(&b->order, b->tokenizer, b->order_memory, bytes, &b->error));
    b->constraint_memory = take(gemlet_constraint_bytes(b->tokenizer));
    compile_good(&b->calls, GEMLET_GRAMMAR_CALLS, tools);
}

static void close_bench(bench *b) {
    gemlet_model_close(b->model);
    gemlet_posix_close(b->posix);
    folder_remove(b->folder);
    free(b->memory);
    free(b->order_memory);
    free(b->constraint_memory);
    guarded_free(b->calls.memory);
}

static void begin(bench *b, const gemlet_grammar *grammar, bool may_think, bool must_call) {
    must(b, gemlet_constraint_begin(&b->constraint, grammar, &b->order, gemlet_model_chat(b->model), may_think,
                                    b->constraint_memory, gemlet_constraint_bytes(b->tokenizer), &b->error));
    must(b, gemlet_constraint_hold_calls(&b->constraint, b->calls.grammar, must_call, &b->error));
}

static uint32_t special(const bench *b, gemlet_special which) {
    uint32_t token = gemlet_tokenizer_special(b->tokenizer, which);
    assert_true(token != GEMLET_NO_TOKEN);
    return token;
}

static bool may(bench *b, gemlet_special which) {
    return gemlet_constraint_allows(&b->constraint, special(b, which));
}

static void say(bench *b, gemlet_special which) {
    must(b, gemlet_constraint_accept(&b->constraint, special(b, which), &b->error));
}

/* The token that is this byte. */
static uint32_t token_of(const bench *b, char byte) {
    for (uint32_t i = 0; i < b->order.count; i++) {
        const char *text = NULL;
        size_t bytes = 0;
        assert_int_equal(gemlet_tokenizer_text(b->tokenizer, b->order.tokens[i], &text, &bytes), GEMLET_OK);
        if (bytes == 1 && *text == byte) {
            return b->order.tokens[i];
        }
    }
    fail_msg("no token for byte %d", byte);
    return 0;
}

static void say_text(bench *b, const char *text) {
    for (; *text != '\0'; text++) {
        must(b, gemlet_constraint_accept(&b->constraint, token_of(b, *text), &b->error));
    }
}

static void a_free_answer_may_call(void **state) {
    (void)state;
    bench b;
    open_bench(&b, lamps);
    begin(&b, NULL, false, false);
    say_text(&b, "I will {");
    assert_null(gemlet_constraint_list(&b.constraint));
    assert_true(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    assert_true(gemlet_constraint_is_complete(&b.constraint));
    say(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL);
    assert_false(gemlet_constraint_is_complete(&b.constraint));
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    assert_false(may(&b, GEMLET_SPECIAL_TOOL_QUOTE));
    assert_false(may(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL));
    assert_false(gemlet_constraint_allows(&b.constraint, token_of(&b, 'x')));
    assert_int_equal(gemlet_constraint_accept(&b.constraint, token_of(&b, 'x'), &b.error), GEMLET_ERROR_STATE);
    say_text(&b, "call:set_lamp{room:");
    assert_false(gemlet_constraint_allows(&b.constraint, token_of(&b, 'h')));
    say(&b, GEMLET_SPECIAL_TOOL_QUOTE);
    say_text(&b, "hall");
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TOOL_CALL));
    say(&b, GEMLET_SPECIAL_TOOL_QUOTE);
    say_text(&b, "}");
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    say(&b, GEMLET_SPECIAL_END_OF_TOOL_CALL);
    assert_true(gemlet_constraint_is_complete(&b.constraint));
    assert_true(may(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL)); /* another */
    say_text(&b, "done");
    say(&b, GEMLET_SPECIAL_END_OF_TURN);
    close_bench(&b);
}

/* To a grammar the mark around strings is the byte 0xFF; a token that is this byte is none. */
static void a_byte_is_no_mark(void **state) {
    (void)state;
    bench b;
    open_bench(&b, lamps);
    const uint32_t byte = token_of(&b, (char)GEMLET_GRAMMAR_QUOTE);
    begin(&b, NULL, false, false);
    say(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL);
    say_text(&b, "call:set_lamp{room:");
    for (size_t i = 0; i < 2; i++) {
        assert_true(may(&b, GEMLET_SPECIAL_TOOL_QUOTE));
        assert_false(gemlet_constraint_allows(&b.constraint, byte));
        const uint64_t *listed = gemlet_constraint_list(&b.constraint);
        assert_true(listed == NULL || (listed[byte / 64] >> (byte % 64) & 1) == 0);
        assert_int_equal(gemlet_constraint_accept(&b.constraint, byte, &b.error), GEMLET_ERROR_STATE);
        if (i == 0) {
            say(&b, GEMLET_SPECIAL_TOOL_QUOTE);
            say_text(&b, "hall");
        }
    }
    close_bench(&b);
}

static void an_answer_must_call(void **state) {
    (void)state;
    bench b;
    open_bench(&b, lamps);
    begin(&b, NULL, true, true);
    assert_false(gemlet_constraint_is_complete(&b.constraint));
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    assert_false(gemlet_constraint_allows(&b.constraint, token_of(&b, 'c')));
    say(&b, GEMLET_SPECIAL_START_OF_CHANNEL);
    assert_false(may(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL));
    say_text(&b, "thought\nwhat?");
    say(&b, GEMLET_SPECIAL_END_OF_CHANNEL);
    const uint64_t *listed = gemlet_constraint_list(&b.constraint);
    assert_non_null(listed);
    for (uint32_t token = 0; token < b.order.token_count; token++) {
        bool wanted =
            token == special(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL) || token == special(&b, GEMLET_SPECIAL_START_OF_CHANNEL);
        assert_int_equal(listed[token / 64] >> (token % 64) & 1, wanted);
    }
    say(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL);
    say_text(&b, "call:set_lamps{}");
    say(&b, GEMLET_SPECIAL_END_OF_TOOL_CALL);
    say(&b, GEMLET_SPECIAL_END_OF_TURN);
    close_bench(&b);
}

static void an_answer_of_a_form_or_calls(void **state) {
    (void)state;
    bench b;
    compiled form;
    open_bench(&b, lamps);
    compile_good(&form, GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"boolean\"}");
    begin(&b, form.grammar, false, false);
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    say(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL);
    assert_false(gemlet_constraint_allows(&b.constraint, token_of(&b, 't')));
    say_text(&b, "call:tell{}");
    say(&b, GEMLET_SPECIAL_END_OF_TOOL_CALL);
    assert_true(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    say_text(&b, "tr");
    assert_false(may(&b, GEMLET_SPECIAL_END_OF_TURN));
    assert_false(may(&b, GEMLET_SPECIAL_START_OF_TOOL_CALL));
    say_text(&b, "ue");
    say(&b, GEMLET_SPECIAL_END_OF_TURN);
    guarded_free(form.memory);
    close_bench(&b);
}

/* Random tokens of those that are allowed, by the list where there is one; what comes out is a call. */
static void random_calls_are_calls(void **state) {
    (void)state;
    static char text[TEXT_BYTES], json[TEXT_BYTES];
    bench b;
    test_random random = {7};
    size_t ended = 0;
    open_bench(&b, lamps);
    for (size_t trial = 0; trial < 60; trial++) {
        gemlet_reply reply;
        gemlet_call call;
        size_t bytes = 0;
        begin(&b, NULL, false, true);
        gemlet_reply_begin(&reply, b.tokenizer);
        bool done = false;
        for (size_t step = 0; step < 200 && !done; step++) {
            uint32_t chosen = GEMLET_NO_TOKEN, count = 0;
            const uint64_t *listed = gemlet_constraint_list(&b.constraint);
            for (uint32_t token = 0; token < b.order.token_count; token++) {
                bool allowed = gemlet_constraint_allows(&b.constraint, token);
                assert_true(listed == NULL || (listed[token / 64] >> (token % 64) & 1) == allowed);
                size_t weight = token == special(&b, GEMLET_SPECIAL_TOOL_QUOTE) ? 200 : 1;
                for (; allowed && weight > 0; weight--) {
                    chosen = random_range(&random, 0, count++) == 0 ? token : chosen;
                }
            }
            assert_true(chosen != GEMLET_NO_TOKEN);
            must(&b, gemlet_constraint_accept(&b.constraint, chosen, &b.error));
            done = chosen == special(&b, GEMLET_SPECIAL_END_OF_TOOL_CALL);
            const char *piece = NULL;
            size_t length = 0;
            gemlet_reply_part part;
            must(&b, gemlet_reply_feed(&reply, chosen, &piece, &length, &part));
            assert_true(bytes + length < sizeof text);
            if (part == GEMLET_REPLY_CALL) {
                memcpy(text + bytes, piece, length);
                bytes += length;
            }
        }
        if (done) {
            must(&b, gemlet_call_read(text, bytes, json, sizeof json, &call, &b.error));
            assert_int_equal(call.bytes, bytes);
            ended++;
        }
    }
    print_message("%zu of 60 calls ended\n", ended);
    assert_true(ended >= 30);
    close_bench(&b);
}

static void families_without_functions_call_none(void **state) {
    (void)state;
    gemlet_constraint constraint = {.format = &gemlet_gemma3_chat};
    gemlet_error error = {GEMLET_OK, ""};
    assert_int_equal(gemlet_constraint_hold_calls(&constraint, NULL, true, &error), GEMLET_ERROR_UNSUPPORTED);
    assert_false(constraint.must_call);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        static listing l;
        l.wanted = strtoul(argv[1], NULL, 10);
        l.random = (test_random){43};
        schemas_each_line(walk_line, &l);
        fprintf(stderr, "%zu calls of %zu functions\n", l.texts, l.schemas);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_held),
        cmocka_unit_test(the_mark_is_not_written_in_characters),
        cmocka_unit_test(what_is_no_list_of_functions_is_refused),
        cmocka_unit_test(arguments_are_allowed_as_jsonschema_has_it),
        cmocka_unit_test(walks_are_read_back),
        cmocka_unit_test(a_free_answer_may_call),
        cmocka_unit_test(a_byte_is_no_mark),
        cmocka_unit_test(an_answer_must_call),
        cmocka_unit_test(an_answer_of_a_form_or_calls),
        cmocka_unit_test(random_calls_are_calls),
        cmocka_unit_test(families_without_functions_call_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
