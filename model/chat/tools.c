#include "model/chat/tools.h"

#include <string.h>

#include "core/text.h"
#include "model/json/json.h"

/* The templates are recursive and sort the members of objects; this has a stack, and looks for the next member each time. */

typedef enum level_kind {
    LEVEL_TOOLS,      /* the list of tools */
    LEVEL_FUNCTION,   /* a declaration, in steps */
    LEVEL_PROPERTIES, /* the parameters of one, or of an object in them */
    LEVEL_PROPERTY,   /* one of them, in steps */
    LEVEL_ITEMS,      /* what the elements of an array are */
    LEVEL_MEMBERS,    /* of an object that is a value */
    LEVEL_ELEMENTS    /* of a list that is a value */
} level_kind;

typedef struct level {
    level_kind kind;
    gemlet_json value;
    const char *close; /* what stands behind it */
    gemlet_json last;  /* the member that was written last; none at first */
    gemlet_json_walk walk;
    unsigned step;
    bool begun;  /* whether something stands in it, so that a comma comes first */
    bool quoted; /* of a value: whether the names of members are strings, which those of calls and responses are not */
} level;

/* A level of JSON takes two at most. */
enum { MOST_LEVELS = 2 * GEMLET_JSON_NESTING + 2, MOST_NAME_BYTES = 64, MOST_BYTES = 1 << 16 };

typedef struct printer {
    gemlet_rendering *r;
    gemlet_json function; /* for messages; none outside of declarations */
    level levels[MOST_LEVELS];
    size_t depth;
    size_t work; /* of GEMLET_TOOL_WORK */
} printer;

static void refuse(printer *p, const char *why) {
    gemlet_rendering *r = p->r;
    if (r->status != GEMLET_OK) {
        return;
    }
    gemlet_json name = gemlet_json_member(p->function, "name");
    r->status = gemlet_fail(r->error, GEMLET_ERROR_ARGUMENT, "chat: tools: ");
    if (gemlet_json_type_of(name) == GEMLET_JSON_STRING) {
        gemlet_error_bytes(r->error, name.text, (size_t)(name.end - name.text));
        gemlet_error_text(r->error, ": ");
    }
    gemlet_error_text(r->error, why);
}

/* ---- Small things ---- */

static void put_raw(printer *p, gemlet_json string) {
    const char *piece;
    size_t bytes;
    for (gemlet_json_text text = gemlet_json_text_begin(string); gemlet_json_text_next(&text, &piece, &bytes);) {
        gemlet_put_bytes(p->r, piece, bytes);
    }
}

static void put_quote(printer *p) {
    gemlet_put_special(p->r, GEMLET_SPECIAL_TOOL_QUOTE);
}

static void put_quoted(printer *p, gemlet_json string) {
    put_quote(p);
    put_raw(p, string);
    put_quote(p);
}

/* A to Z in place of a to z: names of types have no others. */
static void put_upper(printer *p, gemlet_json string) {
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *piece;
    size_t bytes;
    for (gemlet_json_text text = gemlet_json_text_begin(string); gemlet_json_text_next(&text, &piece, &bytes);) {
        for (size_t i = 0; i < bytes; i++) {
            bool small = piece[i] >= 'a' && piece[i] <= 'z';
            gemlet_put_bytes(p->r, small ? &upper[piece[i] - 'a'] : &piece[i], 1);
        }
    }
}

/* Of a number: whether it is another than 0. */
static bool has_digit(gemlet_json number) {
    for (const char *at = number.text; at < number.end && *at != 'e' && *at != 'E'; at++) {
        if (*at >= '1' && *at <= '9') {
            return true;
        }
    }
    return false;
}

/* What Jinja takes for true. */
static bool is_true(gemlet_json value) {
    gemlet_json key, element;
    gemlet_json_walk walk;
    switch (gemlet_json_type_of(value)) {
    case GEMLET_JSON_OBJECT:
    case GEMLET_JSON_ARRAY: walk = gemlet_json_walk_begin(value); return gemlet_json_walk_next(&walk, &key, &element);
    case GEMLET_JSON_STRING: return value.end - value.text > 2;
    case GEMLET_JSON_NUMBER: return has_digit(value);
    case GEMLET_JSON_TRUE: return true;
    default: return false;
    }
}

static bool is_object(gemlet_json value) {
    return gemlet_json_type_of(value) == GEMLET_JSON_OBJECT;
}

static bool is_string(gemlet_json value) {
    return gemlet_json_type_of(value) == GEMLET_JSON_STRING;
}

/* ---- The stack ---- */

static void push(printer *p, level_kind kind, gemlet_json value, const char *close) {
    if (p->depth == MOST_LEVELS) {
        refuse(p, "nested too deeply");
        return;
    }
    bool container = is_object(value) || gemlet_json_type_of(value) == GEMLET_JSON_ARRAY;
    p->levels[p->depth++] = (level){.kind = kind,
                                    .value = value,
                                    .close = close,
                                    .walk = container ? gemlet_json_walk_begin(value) : (gemlet_json_walk){NULL, false}};
}

static void pop(printer *p) {
    gemlet_put_text(p->r, p->levels[--p->depth].close);
}

/* A comma where something stands before, and what begins the next piece. */
static void put_next(printer *p, level *l, const char *text) {
    gemlet_put_text(p->r, l->begun ? "," : "");
    gemlet_put_text(p->r, text);
    l->begun = true;
}

/* The member behind the one that was written last. */
static bool next_sorted(printer *p, level *l, gemlet_json *key, gemlet_json *value) {
    size_t members = 0;
    bool found = gemlet_json_next_sorted(l->value, l->last, key, value, &members);
    p->work += (size_t)(l->value.end - l->value.text);
    if (members > GEMLET_TOOL_MEMBERS) {
        refuse(p, "expected at most 256 members of an object");
    } else if (p->work > GEMLET_TOOL_WORK) {
        refuse(p, "expected objects of fewer members within each other");
    }
    if (found && l->last.text != NULL && gemlet_json_compare(*key, l->last, false) == 0) {
        refuse(p, "an object has two members of one name");
    }
    l->last = *key;
    return found && p->r->status == GEMLET_OK;
}

/* ---- Values ---- */

static void push_value(printer *p, level_kind kind, gemlet_json value, bool quoted, const char *close) {
    push(p, kind, value, close);
    p->levels[p->depth - 1].quoted = quoted;
}

static void put_value(printer *p, gemlet_json value, bool quoted) {
    switch (gemlet_json_type_of(value)) {
    case GEMLET_JSON_OBJECT:
        gemlet_put_text(p->r, "{");
        push_value(p, LEVEL_MEMBERS, value, quoted, "}");
        break;
    case GEMLET_JSON_ARRAY:
        gemlet_put_text(p->r, "[");
        push_value(p, LEVEL_ELEMENTS, value, quoted, "]");
        break;
    case GEMLET_JSON_STRING: put_quoted(p, value); break;
    case GEMLET_JSON_NULL: gemlet_put_text(p->r, "None"); break;
    default: gemlet_put_bytes(p->r, value.text, (size_t)(value.end - value.text)); break;
    }
}

static void step_members(printer *p, level *l) {
    gemlet_json key, value;
    if (!next_sorted(p, l, &key, &value)) {
        pop(p);
        return;
    }
    put_next(p, l, "");
    if (l->quoted) {
        put_quoted(p, key);
    } else {
        put_raw(p, key);
    }
    gemlet_put_text(p->r, ":");
    put_value(p, value, l->quoted);
}

static void step_elements(printer *p, level *l) {
    gemlet_json key, value;
    if (!gemlet_json_walk_next(&l->walk, &key, &value)) {
        pop(p);
        return;
    }
    put_next(p, l, "");
    put_value(p, value, l->quoted);
}

/* ---- Types and lists of names ---- */

/* A list of types, as Jinja writes it: ['STRING', 'NULL'] for the whole of it, or each as a string. */
static void put_types(printer *p, gemlet_json types, bool each) {
    gemlet_json key, type;
    const char *before = "[";
    for (gemlet_json_walk walk = gemlet_json_walk_begin(types); gemlet_json_walk_next(&walk, &key, &type);
         before = each ? "," : ", ") {
        if (!is_string(type)) {
            refuse(p, "expected a type, or a list of types");
            return;
        }
        gemlet_put_text(p->r, before);
        each ? put_quote(p) : gemlet_put_text(p->r, "'");
        put_upper(p, type);
        each ? put_quote(p) : gemlet_put_text(p->r, "'");
    }
    gemlet_put_text(p->r, *before == '[' ? "[]" : "]");
}

static void put_type(printer *p, gemlet_json type) {
    put_quote(p);
    if (is_string(type)) {
        put_upper(p, type);
    } else if (gemlet_json_type_of(type) == GEMLET_JSON_ARRAY) {
        put_types(p, type, false);
    } else if (type.text != NULL) {
        refuse(p, "expected a type, or a list of types");
    }
    put_quote(p);
}

/* A list of strings goes on the stack. */
static void put_names(printer *p, gemlet_json names, const char *close) {
    gemlet_json key, name;
    if (gemlet_json_type_of(names) != GEMLET_JSON_ARRAY) {
        refuse(p, "required: expected a list of names");
        return;
    }
    for (gemlet_json_walk walk = gemlet_json_walk_begin(names); gemlet_json_walk_next(&walk, &key, &name);) {
        if (!is_string(name)) {
            refuse(p, "required: expected a list of names");
            return;
        }
    }
    push(p, LEVEL_ELEMENTS, names, close);
}

static void put_description(printer *p, gemlet_json of) {
    gemlet_json description = gemlet_json_member(of, "description");
    if (is_true(description) && !is_string(description)) {
        refuse(p, "description: expected a text");
        return;
    }
    gemlet_put_text(p->r, "description:");
    put_quote(p);
    if (is_string(description)) {
        put_raw(p, description);
    }
    put_quote(p);
}

/* ---- Parameters ---- */

/* Members of an object that are said in their own place. */
static bool is_standard(gemlet_json key) {
    static const char *const names[] = {"description", "type", "properties", "required", "nullable"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gemlet_json_is(key, names[i], false)) {
            return true;
        }
    }
    return false;
}

static void step_properties(printer *p, level *l) {
    gemlet_json key, value;
    do {
        if (!next_sorted(p, l, &key, &value)) {
            pop(p);
            return;
        }
    } while (is_standard(key));
    put_next(p, l, "");
    put_raw(p, key);
    gemlet_put_text(p->r, ":{");
    push(p, LEVEL_PROPERTY, value, "}");
}

/* What the values of a string, the elements of an array may be. */
static void put_choices(printer *p, level *l, gemlet_json type) {
    gemlet_json choices = gemlet_json_member(l->value, "enum"), items = gemlet_json_member(l->value, "items");
    if (gemlet_json_is(type, "string", true) && is_true(choices)) {
        put_next(p, l, "enum:");
        put_value(p, choices, true);
    } else if (gemlet_json_is(type, "array", true) && is_object(items) && is_true(items)) {
        put_next(p, l, "items:{");
        push(p, LEVEL_ITEMS, items, "}");
    }
}

static void put_object(printer *p, level *l) {
    gemlet_json properties = gemlet_json_member(l->value, "properties");
    put_next(p, l, "properties:{");
    push(p, LEVEL_PROPERTIES, is_object(properties) ? properties : l->value, "}");
}

static void step_property(printer *p, level *l) {
    gemlet_json type = gemlet_json_member(l->value, "type"), required = gemlet_json_member(l->value, "required");
    bool object = gemlet_json_is(type, "object", true);
    switch (l->step++) {
    case 0:
        if (p->r->format->tools->always_described || is_true(gemlet_json_member(l->value, "description"))) {
            put_description(p, l->value);
            l->begun = true;
        }
        break;
    case 1: put_choices(p, l, type); break;
    case 2:
        if (p->r->format->tools->nullable && is_true(gemlet_json_member(l->value, "nullable"))) {
            put_next(p, l, "nullable:true");
        }
        break;
    case 3:
        if (object) {
            put_object(p, l);
        }
        break;
    case 4:
        if (object && is_true(required)) {
            put_next(p, l, "required:[");
            put_names(p, required, "]");
        }
        break;
    default:
        put_next(p, l, "type:");
        put_type(p, type);
        pop(p);
        break;
    }
}

static void step_items(printer *p, level *l) {
    gemlet_json key, value;
    do {
        if (!next_sorted(p, l, &key, &value)) {
            pop(p);
            return;
        }
    } while (gemlet_json_type_of(value) == GEMLET_JSON_NULL);
    put_next(p, l, "");
    put_raw(p, key);
    if (gemlet_json_is(key, "properties", false)) {
        gemlet_put_text(p->r, ":{");
        if (is_object(value)) {
            push(p, LEVEL_PROPERTIES, value, "}");
        } else {
            gemlet_put_text(p->r, "}");
        }
    } else if (gemlet_json_is(key, "required", false)) {
        gemlet_put_text(p->r, ":[");
        put_names(p, value, "]");
    } else if (gemlet_json_is(key, "type", false)) {
        gemlet_put_text(p->r, ":");
        if (gemlet_json_type_of(value) == GEMLET_JSON_ARRAY) {
            put_types(p, value, true);
        } else {
            put_type(p, value);
        }
    } else {
        gemlet_put_text(p->r, ":");
        put_value(p, value, true);
    }
}

/* ---- Declarations ---- */

bool gemlet_is_function_name(gemlet_json name) {
    const char *at = name.text;
    if (!is_string(name) || name.end - name.text < 3 || name.end - name.text > MOST_NAME_BYTES + 2) {
        return false;
    }
    for (at++; at < name.end - 1; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && gemlet_text_find("_-.", *at) == NULL) {
            return false;
        }
    }
    return true;
}

static void put_name(printer *p, gemlet_json of) {
    gemlet_json name = gemlet_json_member(of, "name");
    if (!gemlet_is_function_name(name)) {
        refuse(p, "name: expected 1 to 64 letters, digits, '_', '-' and '.'");
        return;
    }
    put_raw(p, name);
}

static void put_parameters(printer *p, gemlet_json properties) {
    gemlet_put_text(p->r, ",parameters:{");
    if (is_true(properties) && !is_object(properties)) {
        refuse(p, "properties: expected an object");
    } else if (is_true(properties)) {
        gemlet_put_text(p->r, "properties:{");
        push(p, LEVEL_PROPERTIES, properties, "},");
    }
}

/* What the function answers: Gemma 4's template says it, where it is said. */
static void put_answer(printer *p, gemlet_json response) {
    if (!p->r->format->tools->answers || response.text == NULL) {
        return;
    }
    gemlet_put_text(p->r, ",response:{");
    if (is_true(gemlet_json_member(response, "description"))) {
        put_description(p, response);
        gemlet_put_text(p->r, ",");
    }
    if (gemlet_json_is(gemlet_json_member(response, "type"), "object", true)) {
        gemlet_put_text(p->r, "type:");
        put_type(p, gemlet_json_member(response, "type"));
        gemlet_put_text(p->r, "}");
    }
}

/* The brace that ends the parameters belongs to their type: the templates forget it where there is none. */
static void step_function(printer *p, level *l) {
    gemlet_json parameters = gemlet_json_member(l->value, "parameters");
    gemlet_json required = gemlet_json_member(parameters, "required"), type = gemlet_json_member(parameters, "type");
    switch (l->step++) {
    case 0:
        gemlet_put_special(p->r, GEMLET_SPECIAL_START_OF_TOOL);
        gemlet_put_text(p->r, "declaration:");
        put_name(p, l->value);
        gemlet_put_text(p->r, "{");
        put_description(p, l->value);
        break;
    case 1:
        if (is_true(parameters) && !is_object(parameters)) {
            refuse(p, "parameters: expected an object");
        } else if (is_true(parameters)) {
            put_parameters(p, gemlet_json_member(parameters, "properties"));
        }
        break;
    case 2:
        if (is_true(required)) {
            gemlet_put_text(p->r, "required:[");
            put_names(p, required, "],");
        }
        break;
    default:
        if (is_true(type)) {
            gemlet_put_text(p->r, "type:");
            put_type(p, type);
            gemlet_put_text(p->r, "}");
        }
        put_answer(p, gemlet_json_member(l->value, "response"));
        pop(p);
        gemlet_put_special(p->r, GEMLET_SPECIAL_END_OF_TOOL);
        break;
    }
}

static void step_tools(printer *p, level *l) {
    gemlet_json key, tool;
    if (!gemlet_json_walk_next(&l->walk, &key, &tool)) {
        pop(p);
        return;
    }
    p->function = gemlet_json_member(tool, "function");
    if (!is_object(p->function) || !gemlet_json_is(gemlet_json_member(tool, "type"), "function", false)) {
        refuse(p, "expected {\"type\": \"function\", \"function\": {...}}");
        return;
    }
    push(p, LEVEL_FUNCTION, p->function, "}");
}

/* ---- All of it ---- */

/* Writes what is on the stack, and what that brings there. */
static void print(printer *p) {
    static void (*const steps[])(printer *, level *) = {
        [LEVEL_TOOLS] = step_tools,       [LEVEL_FUNCTION] = step_function, [LEVEL_PROPERTIES] = step_properties,
        [LEVEL_PROPERTY] = step_property, [LEVEL_ITEMS] = step_items,       [LEVEL_MEMBERS] = step_members,
        [LEVEL_ELEMENTS] = step_elements};
    while (p->depth > 0 && p->r->status == GEMLET_OK) {
        level *top = &p->levels[p->depth - 1];
        steps[top->kind](p, top);
    }
}

static bool open_text(printer *p, const char *text, size_t bytes, gemlet_json *value) {
    if (p->r->status == GEMLET_OK && p->r->format->tools == NULL) {
        p->r->status =
            gemlet_fail(p->r->error, GEMLET_ERROR_UNSUPPORTED, "chat: models of this family were not made to call functions");
    } else if (p->r->status == GEMLET_OK && (text == NULL || bytes > MOST_BYTES)) {
        refuse(p, "expected at most 65536 bytes of JSON");
    } else if (p->r->status == GEMLET_OK) {
        p->r->status = gemlet_json_open(value, text, bytes, "chat: tools", p->r->error);
    }
    return p->r->status == GEMLET_OK;
}

void gemlet_put_tools(gemlet_rendering *r, const char *text, size_t bytes) {
    printer p = {.r = r};
    gemlet_json list = {NULL, NULL};
    if (!open_text(&p, text, bytes, &list)) {
        return;
    }
    if (gemlet_json_type_of(list) != GEMLET_JSON_ARRAY) {
        refuse(&p, "expected a list");
        return;
    }
    push(&p, LEVEL_TOOLS, list, "");
    print(&p);
}

/* "call:NAME{" or "response:NAME{", and the members of `value`. */
static void put_named(printer *p, const char *what, gemlet_json of, gemlet_json value) {
    gemlet_put_text(p->r, what);
    put_name(p, of);
    gemlet_put_text(p->r, "{");
    if (is_object(value)) {
        push(p, LEVEL_MEMBERS, value, "");
    } else if (value.text != NULL) {
        gemlet_put_text(p->r, "value:");
        put_value(p, value, false);
    }
    print(p);
    gemlet_put_text(p->r, "}");
}

void gemlet_put_call(gemlet_rendering *r, const char *text, size_t bytes) {
    printer p = {.r = r};
    gemlet_json call = {NULL, NULL};
    if (!open_text(&p, text, bytes, &call)) {
        return;
    }
    gemlet_json arguments = gemlet_json_member(call, "arguments");
    if (arguments.text != NULL && !is_object(arguments)) {
        refuse(&p, "arguments of a call: expected an object");
    }
    gemlet_put_special(r, GEMLET_SPECIAL_START_OF_TOOL_CALL);
    put_named(&p, "call:", call, arguments);
    gemlet_put_special(r, GEMLET_SPECIAL_END_OF_TOOL_CALL);
}

void gemlet_put_response(gemlet_rendering *r, const char *text, size_t bytes) {
    printer p = {.r = r};
    gemlet_json response = {NULL, NULL};
    if (!open_text(&p, text, bytes, &response)) {
        return;
    }
    gemlet_put_special(r, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE);
    put_named(&p, "response:", response, gemlet_json_member(response, "response"));
    gemlet_put_special(r, GEMLET_SPECIAL_END_OF_TOOL_RESPONSE);
}
