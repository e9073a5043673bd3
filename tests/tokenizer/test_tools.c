/* Declarations, calls and responses against what the published templates make of them (data/tool_cases*.txt by make_tool_cases.py),
 * and calls read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/chat/format.h"
#include "model/json/json.h"

#define DATA "tests/tokenizer/data/"
enum { MAX_MESSAGES = 16, MAX_PARTS = 64, MAX_BYTES = 1 << 16 };

/* How a family writes its marks. */
typedef struct family {
    const gemlet_chat_format *format;
    const char *marks[GEMLET_SPECIAL_COUNT];
} family;

static const family gemma4 = {&gemlet_gemma4_chat,
                              {[GEMLET_SPECIAL_BOS] = "<bos>",
                               [GEMLET_SPECIAL_START_OF_TURN] = "<|turn>",
                               [GEMLET_SPECIAL_END_OF_TURN] = "<turn|>",
                               [GEMLET_SPECIAL_THINK] = "<|think|>",
                               [GEMLET_SPECIAL_START_OF_TOOL] = "<|tool>",
                               [GEMLET_SPECIAL_END_OF_TOOL] = "<tool|>",
                               [GEMLET_SPECIAL_START_OF_TOOL_CALL] = "<|tool_call>",
                               [GEMLET_SPECIAL_END_OF_TOOL_CALL] = "<tool_call|>",
                               [GEMLET_SPECIAL_START_OF_TOOL_RESPONSE] = "<|tool_response>",
                               [GEMLET_SPECIAL_END_OF_TOOL_RESPONSE] = "<tool_response|>",
                               [GEMLET_SPECIAL_TOOL_QUOTE] = "<|\"|>"}};
static const family functiongemma = {&gemlet_functiongemma_chat,
                                     {[GEMLET_SPECIAL_BOS] = "<bos>",
                                      [GEMLET_SPECIAL_START_OF_TURN] = "<start_of_turn>",
                                      [GEMLET_SPECIAL_END_OF_TURN] = "<end_of_turn>",
                                      [GEMLET_SPECIAL_START_OF_TOOL] = "<start_function_declaration>",
                                      [GEMLET_SPECIAL_END_OF_TOOL] = "<end_function_declaration>",
                                      [GEMLET_SPECIAL_START_OF_TOOL_CALL] = "<start_function_call>",
                                      [GEMLET_SPECIAL_END_OF_TOOL_CALL] = "<end_function_call>",
                                      [GEMLET_SPECIAL_START_OF_TOOL_RESPONSE] = "<start_function_response>",
                                      [GEMLET_SPECIAL_END_OF_TOOL_RESPONSE] = "<end_function_response>",
                                      [GEMLET_SPECIAL_TOOL_QUOTE] = "<escape>"}};

/* Receives what is rendered, as text. */
typedef struct receiver {
    const family *family;
    char text[MAX_BYTES];
    size_t bytes;
} receiver;

static gemlet_status receive(void *context, const gemlet_segment *segment) {
    receiver *r = context;
    bool special = segment->type == GEMLET_SEGMENT_SPECIAL;
    const char *text = special ? r->family->marks[segment->special] : segment->text;
    assert_non_null(text);
    size_t bytes = special ? strlen(text) : segment->bytes;
    assert_true(bytes > 0 && r->bytes + bytes < sizeof r->text);
    memcpy(r->text + r->bytes, text, bytes);
    r->bytes += bytes;
    r->text[r->bytes] = '\0';
    return GEMLET_OK;
}

typedef struct tool_case {
    gemlet_chat_options options;
    gemlet_message messages[MAX_MESSAGES];
    gemlet_message_part parts[MAX_PARTS];
    size_t message_count, part_count;
} tool_case;

/* Decodes %XX in place; answers the length. */
static size_t unquote(char *text) {
    char *out = text;
    for (char *in = text; *in != '\0'; in++, out++) {
        char digits[3] = {0};
        if (*in == '%') {
            memcpy(digits, in + 1, 2);
            in += 2;
        }
        *out = digits[0] != '\0' ? (char)strtoul(digits, NULL, 16) : *in;
    }
    *out = '\0';
    return (size_t)(out - text);
}

static void add_part(tool_case *c, gemlet_part_type type, char *text) {
    assert_true(c->part_count < MAX_PARTS && c->message_count > 0);
    c->messages[c->message_count - 1].part_count++;
    c->parts[c->part_count++] = (gemlet_message_part){type, text, unquote(text)};
}

static void add_message(tool_case *c, const char *role) {
    assert_true(c->message_count < MAX_MESSAGES);
    gemlet_role which = *role == 's' ? GEMLET_ROLE_SYSTEM : *role == 'u' ? GEMLET_ROLE_USER : GEMLET_ROLE_MODEL;
    c->messages[c->message_count++] = (gemlet_message){which, &c->parts[c->part_count], 0};
}

static void check_case(const family *f, const tool_case *c, const char *expected, size_t bytes) {
    static receiver r;
    gemlet_error error = {GEMLET_OK, ""};
    r.family = f;
    r.bytes = 0;
    gemlet_status status = gemlet_chat_render(f->format, c->messages, c->message_count, c->options, receive, &r, &error);
    size_t at = 0;
    while (at < bytes && at < r.bytes && r.text[at] == expected[at]) {
        at++;
    }
    if (status != GEMLET_OK || at != bytes || at != r.bytes) {
        size_t from = at < 100 ? 0 : at - 100;
        fail_msg("%s: at byte %zu rendered\n%.200s\nexpected\n%.200s", error.message, at, r.text + from, expected + from);
    }
}

/* Takes one line into the case; true where it completes the case. */
static bool read_line(const family *f, tool_case *c, char *line) {
    char *rest = line + strcspn(line, " ");
    rest += *rest == ' ';
    if (strncmp(line, "case", 4) == 0) {
        *c = (tool_case){.message_count = 0};
    } else if (strncmp(line, "bos", 3) == 0) {
        c->options.bos = true;
    } else if (strncmp(line, "think", 5) == 0) {
        c->options.think = true;
    } else if (strncmp(line, "generation", 10) == 0) {
        c->options.generation_prompt = true;
    } else if (strncmp(line, "tools ", 6) == 0) {
        c->options.tools = rest;
        c->options.tools_bytes = unquote(rest);
    } else if (strncmp(line, "message ", 8) == 0) {
        add_message(c, rest);
    } else if (strncmp(line, "text ", 5) == 0) {
        add_part(c, GEMLET_PART_TEXT, rest);
    } else if (strncmp(line, "call ", 5) == 0) {
        add_part(c, GEMLET_PART_CALL, rest);
    } else if (strncmp(line, "response ", 9) == 0) {
        add_part(c, GEMLET_PART_RESPONSE, rest);
    } else {
        assert_int_equal(strncmp(line, "expect ", 7), 0);
        check_case(f, c, rest, unquote(rest));
        return true;
    }
    return false;
}

static void check_file(const family *f, const char *path, int expected_cases) {
    static tool_case c;
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    char *file = calloc(1, 1 << 20);
    assert_non_null(file);
    size_t bytes = fread(file, 1, (1 << 20) - 1, in);
    assert_true(bytes < (1 << 20) - 1);
    fclose(in);
    int cases = 0;
    for (char *line = file, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        cases += read_line(f, &c, line);
    }
    assert_int_equal(cases, expected_cases);
    free(file);
}

static void gemma4_writes_what_its_template_writes(void **state) {
    (void)state;
    check_file(&gemma4, DATA "tool_cases_gemma4.txt", 120);
}

static void functiongemma_writes_what_its_template_writes(void **state) {
    (void)state;
    check_file(&functiongemma, DATA "tool_cases_functiongemma.txt", 60);
}

/* ---- Refusals ---- */

static receiver rendered; /* by `render` */

/* A user's turn with these tools, or where `part` is one of a model, that in a message of it behind the user's. */
static gemlet_status render(const family *f, const char *tools, gemlet_part_type part, const char *json, gemlet_error *error) {
    const gemlet_message_part hello = {GEMLET_PART_TEXT, "hello", 5}, said = {part, json, json != NULL ? strlen(json) : 0};
    const gemlet_message messages[] = {{GEMLET_ROLE_USER, &hello, 1}, {GEMLET_ROLE_MODEL, &said, 1}};
    rendered.family = f;
    rendered.bytes = 0;
    const gemlet_chat_options options = {.tools = tools, .tools_bytes = tools != NULL ? strlen(tools) : 0};
    gemlet_status status = gemlet_chat_render(f->format, messages, json != NULL ? 2 : 1, options, receive, &rendered, error);
    assert_true(status == GEMLET_OK || rendered.bytes == 0);
    return status;
}

/* Whether what Gemma 4 writes of these tools has this in it. */
static void check_written(const char *tools, const char *written) {
    gemlet_error error = {GEMLET_OK, ""};
    if (render(&gemma4, tools, GEMLET_PART_TEXT, NULL, &error) != GEMLET_OK || strstr(rendered.text, written) == NULL) {
        fail_msg("%s: %s\nexpected %s\nin %s", tools, error.message, written, rendered.text);
    }
}

static void check_refused(const char *tools, gemlet_part_type part, const char *json, gemlet_status status, const char *why) {
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_status found = render(&gemma4, tools, part, json, &error);
    if (found != status || error.status != status || strstr(error.message, why) == NULL) {
        fail_msg("%s %s: expected \"%s\", found %d \"%s\"", tools != NULL ? tools : "", json != NULL ? json : "", why, found,
                 error.message);
    }
}

#define TOOL(inside) "[{\"type\": \"function\", \"function\": {" inside "}}]"
#define PARAMETERS(inside) TOOL("\"name\": \"f\", \"parameters\": {" inside "}")

static void what_is_no_declaration_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *tools;
        gemlet_status status;
        const char *why;
    } cases[] = {
        {"", GEMLET_ERROR_FORMAT, "no JSON at byte 0"},
        {"[", GEMLET_ERROR_FORMAT, "no JSON at byte 1"},
        {"[] ]", GEMLET_ERROR_FORMAT, "no JSON at byte 3"},
        {"{}", GEMLET_ERROR_ARGUMENT, "expected a list"},
        {"[3]", GEMLET_ERROR_ARGUMENT, "expected {\"type\""},
        {"[{\"type\": \"code\", \"function\": {}}]", GEMLET_ERROR_ARGUMENT, "expected {\"type\""},
        {TOOL(""), GEMLET_ERROR_ARGUMENT, "name: expected"},
        {TOOL("\"name\": \"a{b\""), GEMLET_ERROR_ARGUMENT, "\"a{b\": name: expected"},
        {TOOL("\"name\": \"\""), GEMLET_ERROR_ARGUMENT, "name: expected"},
        {TOOL("\"name\": \"f\", \"description\": [1]"), GEMLET_ERROR_ARGUMENT, "\"f\": description: expected a text"},
        {TOOL("\"name\": \"f\", \"parameters\": 3"), GEMLET_ERROR_ARGUMENT, "parameters: expected an object"},
        {PARAMETERS("\"properties\": [3]"), GEMLET_ERROR_ARGUMENT, "properties: expected an object"},
        {PARAMETERS("\"required\": \"a\""), GEMLET_ERROR_ARGUMENT, "required: expected a list of names"},
        {PARAMETERS("\"required\": [1]"), GEMLET_ERROR_ARGUMENT, "required: expected a list of names"},
        {PARAMETERS("\"type\": [1]"), GEMLET_ERROR_ARGUMENT, "expected a type"},
        {PARAMETERS("\"properties\": {\"a\": {\"type\": 3}}"), GEMLET_ERROR_ARGUMENT, "\"f\": expected a type, or a list of types"},
        {PARAMETERS("\"properties\": {\"a\": {\"type\": [\"string\", 3]}}"), GEMLET_ERROR_ARGUMENT, "expected a type, or a list"},
        {PARAMETERS("\"required\": 3"), GEMLET_ERROR_ARGUMENT, "required: expected a list of names"},
        {PARAMETERS("\"required\": {\"a\": \"b\"}"), GEMLET_ERROR_ARGUMENT, "required: expected a list of names"},
        {TOOL("\"name\": \"\", \"description\": [1]"), GEMLET_ERROR_ARGUMENT, "name: expected"}, /* the first of two */
        {"[{\"type\": \"Function\", \"function\": {\"name\": \"f\"}}]", GEMLET_ERROR_ARGUMENT, "expected {\"type\""},
        {PARAMETERS("\"properties\": {\"a\": {\"type\": \"array\", \"items\": {\"required\": 3}}}"), GEMLET_ERROR_ARGUMENT,
         "required: expected a list of names"},
        {PARAMETERS("\"properties\": {\"a\": {}, \"b\": {}, \"a\": {}}"), GEMLET_ERROR_ARGUMENT, "two members of one name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused(cases[i].tools, GEMLET_PART_TEXT, NULL, cases[i].status, cases[i].why);
    }
    gemlet_error error;
    const family gemma3 = {&gemlet_gemma3_chat, {NULL}};
    assert_int_equal(render(&gemma3, "[]", GEMLET_PART_TEXT, NULL, &error), GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(render(&gemma3, NULL, GEMLET_PART_CALL, "{\"name\": \"f\"}", &error), GEMLET_ERROR_UNSUPPORTED);
    assert_int_equal(render(&gemma4, "[]", GEMLET_PART_TEXT, NULL, &error), GEMLET_OK);
}

static void what_is_no_call_is_refused_by_name(void **state) {
    (void)state;
    check_refused(NULL, GEMLET_PART_CALL, "{\"arguments\": {}}", GEMLET_ERROR_ARGUMENT, "name: expected");
    check_refused(NULL, GEMLET_PART_CALL, "{\"name\": \"f\", \"arguments\": \"{}\"}", GEMLET_ERROR_ARGUMENT, "expected an object");
    check_refused(NULL, GEMLET_PART_CALL, "{\"name\": \"f\"", GEMLET_ERROR_FORMAT, "no JSON");
    check_refused(NULL, GEMLET_PART_RESPONSE, "[]", GEMLET_ERROR_ARGUMENT, "name: expected");
    gemlet_error error;
    receiver r = {.family = &gemma4};
    const gemlet_message_part call = {GEMLET_PART_CALL, "{\"name\": \"f\"}", 13};
    const gemlet_message asked = {GEMLET_ROLE_USER, &call, 1};
    assert_int_equal(gemlet_chat_render(gemma4.format, &asked, 1, (gemlet_chat_options){.bos = false}, receive, &r, &error),
                     GEMLET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "message 0 has a call or a response"));
}

/* The text ends where its memory does. */
static void declarations_are_not_read_beyond_their_end(void **state) {
    (void)state;
    static const char *const texts[] = {PARAMETERS("\"properties\": {\"a\": {\"nullable\": 0}}"), PARAMETERS("\"required\": 0e1"),
                                        PARAMETERS("\"properties\": {\"a\": {\"enum\": -0.0}}")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t bytes = strlen(texts[i]);
        char *text = malloc(bytes);
        assert_non_null(text);
        memcpy(text, texts[i], bytes);
        static receiver r;
        r.family = &gemma4;
        const gemlet_message_part hello = {GEMLET_PART_TEXT, "hello", 5};
        const gemlet_message message = {GEMLET_ROLE_USER, &hello, 1};
        gemlet_status written = gemlet_chat_render(gemma4.format, &message, 1,
                                                   (gemlet_chat_options){.tools = text, .tools_bytes = bytes}, receive, &r, NULL);
        free(text);
        assert_int_equal(written, GEMLET_OK);
    }
}

/* Nor are calls, wherever they are cut. */
static void calls_are_not_read_beyond_their_end(void **state) {
    (void)state;
    static const char call[] = "call: f{ a:-0.5e+7 ,b:[<|\"|>x\xC3\xA9<|\"|>, None,true],<|\"|>c<|\"|>:{d:<|\"|><|\"|>}} ";
    for (size_t bytes = 0; bytes < sizeof call; bytes++) {
        char *text = malloc(bytes + (bytes == 0)), json[256];
        assert_non_null(text);
        memcpy(text, call, bytes);
        gemlet_call read;
        gemlet_status status = gemlet_call_read(text, bytes, json, sizeof json, &read, NULL);
        free(text);
        assert_int_equal(status, bytes < sizeof call - 2 ? GEMLET_ERROR_FORMAT : GEMLET_OK);
    }
}

/* What functions answered goes on with the turn of the reply that called them. */
static void responses_go_on_after_a_reply(void **state) {
    (void)state;
    static receiver r = {.family = &gemma4};
    const char *json = "{\"name\": \"f\", \"response\": {\"b\": 1, \"a\": \"x\"}}";
    const gemlet_message_part response = {GEMLET_PART_RESPONSE, json, strlen(json)}, hello = {GEMLET_PART_TEXT, "hello", 5};
    const gemlet_message messages[] = {{GEMLET_ROLE_MODEL, &response, 1}, {GEMLET_ROLE_USER, &hello, 1}};
    const gemlet_chat_options options = {.after_reply = true, .generation_prompt = true, .tools = "[]", .tools_bytes = 2};
    gemlet_error error;
    assert_int_equal(gemlet_chat_render(gemma4.format, messages, 1, options, receive, &r, &error), GEMLET_OK);
    assert_string_equal(r.text, "<|tool_response>response:f{a:<|\"|>x<|\"|>,b:1}<tool_response|>");
    r.bytes = 0;
    assert_int_equal(gemlet_chat_render(gemma4.format, messages, 2, options, receive, &r, &error), GEMLET_OK);
    assert_string_equal(r.text, "<|tool_response>response:f{a:<|\"|>x<|\"|>,b:1}<tool_response|>"
                                "<|turn>user\nhello<turn|>\n<|turn>model\n");
    assert_int_equal(gemlet_chat_render(gemma4.format, messages, 1, (gemlet_chat_options){.bos = true}, receive, &r, &error),
                     GEMLET_ERROR_ARGUMENT);
    const gemlet_message nothing = {GEMLET_ROLE_MODEL, &response, 0};
    assert_int_equal(gemlet_chat_render(gemma4.format, &nothing, 1, options, receive, &r, &error), GEMLET_ERROR_ARGUMENT);
    const gemlet_message silent[] = {{GEMLET_ROLE_MODEL, &response, 1}, {GEMLET_ROLE_USER, NULL, 0}};
    r.bytes = 0;
    assert_int_equal(gemlet_chat_render(gemma4.format, silent, 2, options, receive, &r, &error), GEMLET_OK);
    assert_string_equal(r.text, "<|tool_response>response:f{a:<|\"|>x<|\"|>,b:1}<tool_response|>"
                                "<|turn>user\n<turn|>\n<|turn>model\n");
}

/* Properties by themselves, after the templates' own words. */
static void properties_are_written_so(void **state) {
    (void)state;
    static const struct {
        const char *property, *written;
    } cases[] = {
        {"{\"type\": []}", "a:{type:<|\"|>[]<|\"|>}"},
        {"{\"type\": [\"string\", \"null\"]}", "a:{type:<|\"|>['STRING', 'NULL']<|\"|>}"},
        {"{\"type\": \"az`{AZ\"}", "a:{type:<|\"|>AZ`{AZ<|\"|>}"},
        {"{\"type\": \"string\", \"enum\": [{\"k\": 1}, [\"x\"]]}",
         "a:{enum:[{<|\"|>k<|\"|>:1},[<|\"|>x<|\"|>]],type:<|\"|>STRING<|\"|>}"},
        {"{\"type\": \"array\", \"items\": {\"properties\": 3, \"Properties\": {\"k\": 1}}}",
         "a:{items:{properties:{},Properties:{<|\"|>k<|\"|>:1}},type:<|\"|>ARRAY<|\"|>}"},
        {"{\"type\": \"array\", \"items\": {\"properties\": {\"k\": {\"type\": \"string\"}}}}",
         "a:{items:{properties:{k:{type:<|\"|>STRING<|\"|>}}},type:<|\"|>ARRAY<|\"|>}"},
        {"{\"type\": \"array\", \"items\": {\"required\": [\"k\", \"l\"], \"Required\": 3}}",
         "a:{items:{required:[<|\"|>k<|\"|>,<|\"|>l<|\"|>],Required:3},type:<|\"|>ARRAY<|\"|>}"},
        {"{\"type\": \"array\", \"items\": {\"type\": \"string\", \"Type\": \"string\"}}",
         "a:{items:{type:<|\"|>STRING<|\"|>,Type:<|\"|>string<|\"|>},type:<|\"|>ARRAY<|\"|>}"},
        {"{\"type\": \"array\", \"items\": {\"type\": [\"string\", \"null\"]}}",
         "a:{items:{type:[<|\"|>STRING<|\"|>,<|\"|>NULL<|\"|>]},type:<|\"|>ARRAY<|\"|>}"},
        {"{\"type\": \"object\", \"required\": [\"k\"], \"properties\": {}}",
         "a:{properties:{},required:[<|\"|>k<|\"|>],type:<|\"|>OBJECT<|\"|>}"},
        {"{\"type\": \"object\", \"properties\": {\"type\": {}, \"Type\": {}}}",
         "a:{properties:{Type:{type:<|\"|><|\"|>}},type:<|\"|>OBJECT<|\"|>}"},
        {"{\"type\": \"object\", \"k\": {\"nullable\": true}}",
         "a:{properties:{k:{nullable:true,type:<|\"|><|\"|>}},type:<|\"|>OBJECT<|\"|>}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char tools[512];
        snprintf(tools, sizeof tools, PARAMETERS("\"properties\": {\"a\": %s}"), cases[i].property);
        check_written(tools, cases[i].written);
    }
}

/* What functions answer, as far as it is said; the brace belongs to the type. */
static void answers_are_written_so(void **state) {
    (void)state;
    static const struct {
        const char *response, *written;
    } cases[] = {
        {"{\"type\": \"object\"}", ",response:{type:<|\"|>OBJECT<|\"|>}}<tool|>"},
        {"{\"type\": \"OBJECT\", \"description\": \"d\"}", ",response:{description:<|\"|>d<|\"|>,type:<|\"|>OBJECT<|\"|>}}<tool|>"},
        {"{\"type\": \"string\"}", ",response:{}<tool|>"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char tools[256];
        snprintf(tools, sizeof tools, TOOL("\"name\": \"f\", \"response\": %s"), cases[i].response);
        check_written(tools, cases[i].written);
    }
}

/* 256 members of an object are sorted; and what is nested as deep as JSON may be is written. */
static void as_many_and_as_deep_as_there_may_be(void **state) {
    (void)state;
    static char tools[16384];
    gemlet_error error;
    for (int count = 255; count <= 257; count++) {
        int used = snprintf(tools, sizeof tools, "%s",
                            "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {");
        for (int i = 0; i < count; i++) {
            used += snprintf(tools + used, sizeof tools - (size_t)used, "%s\"m%d\": {}", i > 0 ? "," : "", i);
        }
        snprintf(tools + used, sizeof tools - (size_t)used, "}}}}]");
        gemlet_error none = {GEMLET_OK, ""};
        gemlet_status status = render(&gemma4, tools, GEMLET_PART_TEXT, NULL, &none);
        assert_int_equal(status, count <= 256 ? GEMLET_OK : GEMLET_ERROR_ARGUMENT);
        assert_string_equal(none.message, count <= 256 ? "" : "chat: tools: \"f\": expected at most 256 members of an object");
    }
    for (int depth = GEMLET_JSON_NESTING - 5; depth <= GEMLET_JSON_NESTING - 4; depth++) { /* objects behind properties */
        int used = snprintf(tools, sizeof tools, "%s",
                            "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"a\":");
        for (int i = 0; i < depth; i++) {
            used += snprintf(tools + used, sizeof tools - (size_t)used, "{\"type\": \"object\"%s", i + 1 < depth ? ", \"a\":" : "");
        }
        for (int i = 0; i < depth + 4; i++) {
            used += snprintf(tools + used, sizeof tools - (size_t)used, "}");
        }
        snprintf(tools + used, sizeof tools - (size_t)used, "]");
        assert_int_equal(render(&gemma4, tools, GEMLET_PART_TEXT, NULL, &error),
                         depth == GEMLET_JSON_NESTING - 5 ? GEMLET_OK : GEMLET_ERROR_FORMAT);
    }
}

/* ---- Calls read back ---- */

/* An object of 200 members, the last of which is another, and so on. */
static void put_objects(char *text, size_t capacity, size_t depth) {
    size_t used = strlen(text);
    for (size_t d = 0; d < depth; d++) {
        used += (size_t)snprintf(text + used, capacity - used, "{");
        for (int i = 0; i < 199; i++) {
            used += (size_t)snprintf(text + used, capacity - used, "\"m%d\":0,", i);
        }
        used += (size_t)snprintf(text + used, capacity - used, "\"z\":");
    }
    used += (size_t)snprintf(text + used, capacity - used, "0");
    for (size_t d = 0; d < depth; d++) {
        used += (size_t)snprintf(text + used, capacity - used, "}");
    }
}

/* Sorting reads an object for each of its members: all together 8,388,608 bytes of a text. */
static void objects_of_many_members_within_each_other(void **state) {
    (void)state;
    static char call[1 << 16];
    for (size_t depth = 4; depth <= 28; depth += 24) {
        gemlet_error error = {GEMLET_OK, ""};
        snprintf(call, sizeof call, "{\"name\":\"f\",\"arguments\":");
        put_objects(call, sizeof call - 1, depth);
        snprintf(call + strlen(call), sizeof call - strlen(call), "}");
        gemlet_status status = render(&gemma4, NULL, GEMLET_PART_CALL, call, &error);
        assert_int_equal(status, depth == 4 ? GEMLET_OK : GEMLET_ERROR_ARGUMENT);
        assert_string_equal(error.message, depth == 4 ? "" : "chat: tools: expected objects of fewer members within each other");
    }
}

static void check_call(const char *text, const char *name, const char *json, size_t rest) {
    char found[512];
    gemlet_call call;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_status status = gemlet_call_read(text, strlen(text), found, sizeof found, &call, &error);
    if (status != GEMLET_OK || strcmp(found, json) != 0) {
        fail_msg("%s: %s: expected %s, found %s", text, error.message, json, found);
    }
    assert_int_equal(call.json_bytes, strlen(json));
    assert_true(call.name_bytes == strlen(name) && memcmp(call.name, name, call.name_bytes) == 0);
    assert_int_equal(call.bytes, strlen(text) - rest);
    gemlet_json value;
    assert_int_equal(gemlet_json_open(&value, found, call.json_bytes, "arguments", &error), GEMLET_OK);
    const size_t needed = call.json_bytes + 1;
    for (size_t capacity = 1; capacity <= needed; capacity++) {
        char small[512];
        memset(small, '#', sizeof small);
        assert_int_equal(gemlet_call_read(text, strlen(text), small, capacity, &call, &error),
                         capacity < needed ? GEMLET_ERROR_MEMORY : GEMLET_OK);
        for (size_t i = capacity; i < sizeof small; i++) {
            assert_int_equal(small[i], '#');
        }
    }
}

static void calls_are_read(void **state) {
    (void)state;
    check_call("call:f{}", "f", "{}", 0);
    check_call("call:f{ }", "f", "{}", 0);
    check_call("call:f{a:[ ],b:{ }}", "f", "{\"a\":[],\"b\":{}}", 0);
    check_call("call:get_door{name:<|\"|>front<|\"|>,n:-2.5e3,open:true,x:None}", "get_door",
               "{\"name\":\"front\",\"n\":-2.5e3,\"open\":true,\"x\":null}", 0);
    check_call("call:f{a:[1,<|\"|>}]<|\"|>,[],{}],b:{c:{<|\"|>d e<|\"|>:false}}}", "f",
               "{\"a\":[1,\"}]\",[],{}],\"b\":{\"c\":{\"d e\":false}}}", 0);
    check_call("call:f{a:<|\"|>\"q\" \\ \n\x01<|\"|>}", "f", "{\"a\":\"\\\"q\\\" \\\\ \\n\\u0001\"}", 0);
    check_call("call:f{a:<|\"|>\xFF\xC3<|\"|>}", "f", "{\"a\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}", 0);
    check_call(" call: f { a : 1 , b : [ 2 , 3 ] } call:g{}", "f", "{\"a\":1,\"b\":[2,3]}", 9);
    check_call("call:f{a:1}call:g{b:2}", "f", "{\"a\":1}", 11);
    check_call("\t\r\ncall:\t\r\nf\t\r{\t\r\na\t\r\n:\t\r\n1\t\r\n,b:2\r}\t", "f", "{\"a\":1,\"b\":2}", 1);
    check_call("call:f{<|\"|>a<|\"|>:<|\"|><|\"|>}", "f", "{\"a\":\"\"}", 0);
    check_call("call:f{a:<|\"|><|\"|<|\"|>}", "f", "{\"a\":\"<|\\\"|\"}", 0); /* not the whole mark */
    check_call("call:f{a:<|\"|><|\"|x<|\"|>}", "f", "{\"a\":\"<|\\\"|x\"}", 0);
    check_call("call:f{a:True,b:False,c:null,d:false}", "f", "{\"a\":true,\"b\":false,\"c\":null,\"d\":false}", 0);
}

static void what_is_no_call_is_not_read(void **state) {
    (void)state;
    static const char call_mark[] = "call:", name[] = "the name of a function", open[] = "{ behind the function's name",
                      key[] = "a name and a colon", value[] = "a value", comma[] = "a comma or }", element[] = "a comma or ]",
                      string[] = "the end of a string", colon[] = "a colon behind the name";
    static const struct {
        const char *text, *expected;
        unsigned byte;
    } cases[] = {{"", call_mark, 0},
                 {"open the door", call_mark, 0},
                 {"call", call_mark, 0},
                 {"call:", name, 5},
                 {"call:{}", name, 5},
                 {"call: \n{}", name, 7},
                 {"call:f", open, 6},
                 {"call:f[1]", open, 9},
                 {"call:f{", key, 7},
                 {"call:f{a", key, 7},
                 {"call:f{:1}", key, 7},
                 {"call:f{a:1,}", key, 11},
                 {"call:f{a{:1}", key, 7},
                 {"call:f{ ,a:1}", key, 8},
                 {"call:f{a:", value, 9},
                 {"call:f{a:}", value, 9},
                 {"call:f{a:\"x\"}", value, 9},
                 {"call:f{a:nonsense}", value, 9},
                 {"call:f{a:-}", value, 9},
                 {"call:f{a:1", comma, 10},
                 {"call:f{a:1]", comma, 10},
                 {"call:f{a:01}", comma, 10},
                 {"call:f{a:1 b:2}", comma, 11},
                 {"call:f{a:nulls}", comma, 13},
                 {"call:f{a:[1}", element, 11},
                 {"call:f{a:{b:1]}", comma, 13},
                 {"call:f{a:<|\"|>x}", string, 14},
                 {"call:f{a:<|\"|>", string, 14},
                 {"call:f{a:<|\"|>x<|\"|", string, 14},
                 {"call:f{a:<|\"|>x<|\"|>", comma, 20},
                 {"call:f{<|\"|>a<|\"|>1}", colon, 18},
                 {"call:f{<|\"|>a", string, 12}};
    char json[256], wanted[96];
    gemlet_call call;
    gemlet_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gemlet_call_read(cases[i].text, strlen(cases[i].text), json, sizeof json, &call, &error),
                         GEMLET_ERROR_FORMAT);
        snprintf(wanted, sizeof wanted, "call: expected %s at byte %u", cases[i].expected, cases[i].byte);
        if (strcmp(error.message, wanted) != 0) {
            fail_msg("%s: expected \"%s\", found \"%s\"", cases[i].text, wanted, error.message);
        }
    }
    for (size_t depth = GEMLET_JSON_NESTING - 1; depth <= GEMLET_JSON_NESTING; depth++) { /* besides the arguments themselves */
        char deep[128] = "call:f{a:";
        memset(deep + 9, '[', depth);
        memset(deep + 9 + depth, ']', depth);
        deep[9 + 2 * depth] = '}';
        gemlet_status status = gemlet_call_read(deep, 10 + 2 * depth, json, sizeof json, &call, &error);
        assert_int_equal(status, depth < GEMLET_JSON_NESTING ? GEMLET_OK : GEMLET_ERROR_FORMAT);
    }
    assert_string_equal(error.message, "call: expected values nested less deeply at byte 41");
    assert_int_equal(gemlet_call_read(NULL, 0, json, sizeof json, &call, &error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_call_read("call:f{}", 8, NULL, 9, &call, &error), GEMLET_ERROR_ARGUMENT);
    call.name = "x";
    assert_int_equal(gemlet_call_read("call:f{}", 8, json, 0, &call, &error), GEMLET_ERROR_ARGUMENT);
    assert_null(call.name);
}

/* As templates see it: of a text of JSON, false, null, 0 however it is written, and what is empty. */
static void what_counts_as_true(void **state) {
    (void)state;
    static const char *const no[] = {"0", "-0", "0.0", "0e5", "0.0E-3", "false", "null", "\"\"", "[]", "{}"},
                             *const yes[] = {"1", "9", "-1", "0.1", "0.09", "5e0", "10", "true", "\"0\"", "[0]"};
    static receiver r = {.family = &gemma4};
    const gemlet_message_part hello = {GEMLET_PART_TEXT, "hello", 5};
    const gemlet_message message = {GEMLET_ROLE_USER, &hello, 1};
    for (size_t i = 0; i < 20; i++) {
        char tools[256];
        int bytes =
            snprintf(tools, sizeof tools, PARAMETERS("\"properties\": {\"a\": {\"nullable\": %s}}"), i < 10 ? no[i] : yes[i - 10]);
        gemlet_error error = {GEMLET_OK, ""};
        r.bytes = 0;
        gemlet_status status = gemlet_chat_render(
            gemma4.format, &message, 1, (gemlet_chat_options){.tools = tools, .tools_bytes = (size_t)bytes}, receive, &r, &error);
        assert_int_equal(status, GEMLET_OK);
        if ((strstr(r.text, "nullable:true") != NULL) != (i >= 10)) {
            fail_msg("%s: %s", tools, r.text);
        }
    }
}

static void texts_have_at_most_65536_bytes(void **state) {
    (void)state;
    static receiver r = {.family = &gemma4};
    const gemlet_message_part hello = {GEMLET_PART_TEXT, "hello", 5};
    const gemlet_message message = {GEMLET_ROLE_USER, &hello, 1};
    static char tools[65537];
    memset(tools, ' ', sizeof tools);
    tools[0] = '[';
    tools[1] = ']';
    for (size_t bytes = 65535; bytes <= 65537; bytes++) {
        gemlet_error error = {GEMLET_OK, ""};
        r.bytes = 0;
        gemlet_status status = gemlet_chat_render(gemma4.format, &message, 1,
                                                  (gemlet_chat_options){.tools = tools, .tools_bytes = bytes}, receive, &r, &error);
        assert_int_equal(status, bytes <= 65536 ? GEMLET_OK : GEMLET_ERROR_ARGUMENT);
        assert_string_equal(error.message, bytes <= 65536 ? "" : "chat: tools: expected at most 65536 bytes of JSON");
    }
    gemlet_error error = {GEMLET_OK, ""};
    const gemlet_message_part call = {GEMLET_PART_CALL, NULL, 0};
    const gemlet_message said[] = {{GEMLET_ROLE_USER, &hello, 1}, {GEMLET_ROLE_MODEL, &call, 1}};
    assert_int_equal(gemlet_chat_render(gemma4.format, said, 2, (gemlet_chat_options){.bos = false}, receive, &r, &error),
                     GEMLET_ERROR_ARGUMENT);
}

/* Names of functions: 1 to 64 of the letters, digits, '_', '-' and '.'. */
static void names_of_functions(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char tools[128];
        gemlet_error error;
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
                    byte == '-' || byte == '.';
        for (int place = 0; place < 3; place++) {
            char name[4] = "xyz";
            name[place] = (char)byte;
            snprintf(tools, sizeof tools, TOOL("\"name\": \"%s\""), name);
            assert_int_equal(render(&gemma4, tools, GEMLET_PART_TEXT, NULL, &error) == GEMLET_OK, good);
        }
    }
    for (size_t length = 0; length <= 66; length++) {
        char tools[160], name[80] = "";
        gemlet_error error;
        memset(name, 'n', length);
        snprintf(tools, sizeof tools, TOOL("\"name\": \"%s\""), name);
        assert_int_equal(render(&gemma4, tools, GEMLET_PART_TEXT, NULL, &error) == GEMLET_OK, length >= 1 && length <= 64);
    }
}

/* What calls are written as, reads back as what they were, for every call of the cases. */
static void calls_of_the_cases_come_back(void **state) {
    (void)state;
    enum { ROOM = 1 << 16 };
    char *line = malloc(ROOM), *json = malloc(ROOM);
    FILE *in = fopen(DATA "tool_cases_gemma4.txt", "r");
    assert_true(in != NULL && line != NULL && json != NULL);
    int calls = 0;
    while (fgets(line, ROOM, in) != NULL) {
        if (strncmp(line, "call ", 5) != 0) {
            continue;
        }
        static receiver written, again;
        gemlet_error error = {GEMLET_OK, ""};
        gemlet_call call;
        line[strcspn(line, "\n")] = '\0';
        line[5 + unquote(line + 5)] = '\0';
        const gemlet_message_part hello = {GEMLET_PART_TEXT, "", 0};
        gemlet_message_part part = {GEMLET_PART_CALL, line + 5, strlen(line + 5)};
        const gemlet_message messages[] = {{GEMLET_ROLE_USER, &hello, 1}, {GEMLET_ROLE_MODEL, &part, 1}};
        written = again = (receiver){.family = &gemma4};
        assert_int_equal(
            gemlet_chat_render(gemma4.format, messages, 2, (gemlet_chat_options){.bos = false}, receive, &written, &error),
            GEMLET_OK);
        const char *text = strstr(written.text, "call:");
        assert_non_null(text);
        size_t bytes = written.bytes - (size_t)(text - written.text);
        assert_int_equal(gemlet_call_read(text, bytes, json, ROOM, &call, &error), GEMLET_OK);
        int made = snprintf(line, ROOM, "{\"name\":\"%.*s\",\"arguments\":%s}", (int)call.name_bytes, call.name, json);
        part = (gemlet_message_part){GEMLET_PART_CALL, line, (size_t)made};
        assert_int_equal(
            gemlet_chat_render(gemma4.format, messages, 2, (gemlet_chat_options){.bos = false}, receive, &again, &error),
            GEMLET_OK);
        assert_string_equal(again.text, written.text);
        calls++;
    }
    assert_true(calls > 50);
    fclose(in);
    free(line);
    free(json);
}

/* ---- JSON ---- */

/* What is cut anywhere is refused, whatever stands behind. */
static void what_is_cut_is_refused(void **state) {
    (void)state;
    static const char json[] = " {\"a\" : [1, \"x\\u0041\\n\"] , \"b\":{\"c\":true}, \"n\":-1.5e+7}";
    static const char call[] = " call: f { a : 1 , b:[<|\"|>x<|\"|> , None ],c:{<|\"|>d<|\"|> : true} }";
    char out[256];
    gemlet_json value;
    gemlet_call read;
    gemlet_error error;
    for (size_t bytes = 0; bytes < sizeof json - 1; bytes++) {
        assert_int_equal(gemlet_json_open(&value, json, bytes, "it", &error), GEMLET_ERROR_FORMAT);
    }
    assert_int_equal(gemlet_json_open(&value, json, sizeof json - 1, "it", &error), GEMLET_OK);
    for (size_t bytes = 0; bytes < sizeof call - 1; bytes++) {
        assert_int_equal(gemlet_call_read(call, bytes, out, sizeof out, &read, &error), GEMLET_ERROR_FORMAT);
    }
    assert_int_equal(gemlet_call_read(call, sizeof call - 1, out, sizeof out, &read, &error), GEMLET_OK);
    assert_string_equal(out, "{\"a\":1,\"b\":[\"x\",null],\"c\":{\"d\":true}}");
}

static void json_is_checked(void **state) {
    (void)state;
    static const char *const good[] = {"0",
                                       "-0.5e+7",
                                       "\"\"",
                                       "[]",
                                       "{}",
                                       " [1 , 2 ] ",
                                       "true",
                                       "[[[]]]",
                                       "{\"a\":{\"b\":[{}]}}",
                                       "\"\\ud83d\\ude00\\u00e9\\n\\/\""};
    static const char *const bad[] = {"",          " ",         "01",          "1.",          ".5",
                                      "+1",        "1e",        "[1,]",        "[,1]",        "{a:1}",
                                      "{\"a\"}",   "{\"a\":}",  "{\"a\":1,}",  "[1}",         "\"",
                                      "\"\\x\"",   "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
                                      "\"\n\"",    "\"\xFF\"",  "nul",         "1 2",         "[1 2]",
                                      "{\"a\" 1}", "]",         "tru e",       "\"a\\"};
    gemlet_json value;
    gemlet_error error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(gemlet_json_open(&value, good[i], strlen(good[i]), "it", &error), GEMLET_OK);
        assert_int_not_equal(gemlet_json_type_of(value), GEMLET_JSON_NONE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (gemlet_json_open(&value, bad[i], strlen(bad[i]), "it", &error) != GEMLET_ERROR_FORMAT || value.text != NULL) {
            fail_msg("%s is taken for JSON", bad[i]);
        }
    }
    char deep[2 * GEMLET_JSON_NESTING + 2];
    memset(deep, '[', GEMLET_JSON_NESTING + 1);
    memset(deep + GEMLET_JSON_NESTING + 1, ']', GEMLET_JSON_NESTING + 1);
    assert_int_equal(gemlet_json_open(&value, deep, sizeof deep, "it", &error), GEMLET_ERROR_FORMAT);
    assert_int_equal(gemlet_json_open(&value, deep + 1, sizeof deep - 2, "it", &error), GEMLET_OK);
}

static void json_is_read(void **state) {
    (void)state;
    const char *text = " {\"a\" : [1, \"x\\u0041\"], \"b\":{}, \"a\": \"last\" , \"n\":-1.5} ";
    gemlet_json value, key, member;
    assert_int_equal(gemlet_json_open(&value, text, strlen(text), "it", NULL), GEMLET_OK);
    assert_int_equal(gemlet_json_type_of(value), GEMLET_JSON_OBJECT);
    assert_true(gemlet_json_is(gemlet_json_member(value, "a"), "last", false));
    assert_int_equal(gemlet_json_type_of(gemlet_json_member(value, "c")), GEMLET_JSON_NONE);
    assert_int_equal(gemlet_json_type_of(gemlet_json_member(gemlet_json_member(value, "n"), "c")), GEMLET_JSON_NONE);
    gemlet_json_walk walk = gemlet_json_walk_begin(value);
    assert_true(gemlet_json_walk_next(&walk, &key, &member));
    assert_true(gemlet_json_is(key, "A", true) == false && gemlet_json_is(key, "a", true));
    gemlet_json_walk inner = gemlet_json_walk_begin(member);
    assert_true(gemlet_json_walk_next(&inner, &key, &member) && member.end - member.text == 1 && key.text == NULL);
    assert_true(gemlet_json_walk_next(&inner, &key, &member) && gemlet_json_is(member, "xA", false));
    assert_false(gemlet_json_walk_next(&inner, &key, &member));
    assert_true(gemlet_json_walk_next(&walk, &key, &member) && gemlet_json_type_of(member) == GEMLET_JSON_OBJECT);
    assert_true(gemlet_json_walk_next(&walk, &key, &member) && gemlet_json_walk_next(&walk, &key, &member));
    assert_true(member.end - member.text == 4 && gemlet_json_type_of(member) == GEMLET_JSON_NUMBER);
    assert_false(gemlet_json_walk_next(&walk, &key, &member));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemma4_writes_what_its_template_writes),
        cmocka_unit_test(functiongemma_writes_what_its_template_writes),
        cmocka_unit_test(what_is_no_declaration_is_refused_by_name),
        cmocka_unit_test(what_is_no_call_is_refused_by_name),
        cmocka_unit_test(declarations_are_not_read_beyond_their_end),
        cmocka_unit_test(responses_go_on_after_a_reply),
        cmocka_unit_test(calls_are_not_read_beyond_their_end),
        cmocka_unit_test(properties_are_written_so),
        cmocka_unit_test(answers_are_written_so),
        cmocka_unit_test(as_many_and_as_deep_as_there_may_be),
        cmocka_unit_test(objects_of_many_members_within_each_other),
        cmocka_unit_test(calls_are_read),
        cmocka_unit_test(what_is_no_call_is_not_read),
        cmocka_unit_test(what_counts_as_true),
        cmocka_unit_test(texts_have_at_most_65536_bytes),
        cmocka_unit_test(names_of_functions),
        cmocka_unit_test(calls_of_the_cases_come_back),
        cmocka_unit_test(what_is_cut_is_refused),
        cmocka_unit_test(json_is_checked),
        cmocka_unit_test(json_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
