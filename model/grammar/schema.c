/* Of each schema within a schema: which keywords it has, and the node that they make. */
#include "model/grammar/schema.h"

#include <string.h>

#include "core/text.h"
#include "model/chat/notation.h"
#include "model/chat/tools.h"

enum { MOST_REFERENCES = 128 };

typedef enum keyword {
    TYPE,
    ENUMERATION,
    CONSTANT,
    ANY_OF,
    ALL_OF,
    REFERENCE,
    PROPERTIES,
    REQUIRED,
    ADDITIONAL,
    LEAST_PROPERTIES,
    MOST_PROPERTIES,
    ITEMS,
    PREFIX_ITEMS,
    LEAST_ITEMS,
    MOST_ITEMS,
    PATTERN,
    LEAST_LENGTH,
    MOST_LENGTH,
    MINIMUM,
    MAXIMUM,
    ABOVE,
    BELOW,
    KEYWORDS
} keyword;

static const char *const keyword_names[KEYWORDS] = {
    [TYPE] = "type",
    [ENUMERATION] = "enum",
    [CONSTANT] = "const",
    [ANY_OF] = "anyOf",
    [ALL_OF] = "allOf",
    [REFERENCE] = "$ref",
    [PROPERTIES] = "properties",
    [REQUIRED] = "required",
    [ADDITIONAL] = "additionalProperties",
    [LEAST_PROPERTIES] = "minProperties",
    [MOST_PROPERTIES] = "maxProperties",
    [ITEMS] = "items",
    [PREFIX_ITEMS] = "prefixItems",
    [LEAST_ITEMS] = "minItems",
    [MOST_ITEMS] = "maxItems",
    [PATTERN] = "pattern",
    [LEAST_LENGTH] = "minLength",
    [MOST_LENGTH] = "maxLength",
    [MINIMUM] = "minimum",
    [MAXIMUM] = "maximum",
    [ABOVE] = "exclusiveMinimum",
    [BELOW] = "exclusiveMaximum",
};

/* What says nothing of values, or is looked at where something refers to it. */
static const char *const annotations[] = {"title", "description", "default",    "examples", "$schema", "$id",       "$comment",
                                          "$defs", "definitions", "deprecated", "readOnly", "format",  "writeOnly", "$anchor"};

enum { STRING = 1, NUMBER = 2, INTEGER = 4, BOOLEAN = 8, NOTHING = 16, ARRAY = 32, OBJECT = 64 };

static const struct {
    const char *name;
    unsigned type;
} types[] = {{"string", STRING}, {"number", NUMBER}, {"integer", INTEGER}, {"boolean", BOOLEAN},
             {"null", NOTHING},  {"array", ARRAY},   {"object", OBJECT}};

enum { TYPES = sizeof types / sizeof *types };

/* A pointer that was followed once: from which document, how it is written, and to where; places in the text. */
typedef struct reference {
    uint32_t document, pointer, bytes, target;
    uint16_t node;
} reference;

/* A schema: each keyword's value; none where it is not there. */
typedef struct keywords {
    gemlet_json at[KEYWORDS];
} keywords;

typedef struct compiler {
    gemlet_grammar *g;
    const gemlet_grammar_room *room;
    gemlet_json root;
    gemlet_status status;
    gemlet_error *error;
    uint16_t any;         /* the node of any value */
    bool has_base;        /* what is compiled is within an inner $id */
    gemlet_json document; /* of document_of, the last one */
    size_t work;          /* of GEMLET_TOOL_WORK */
    size_t reference_count;
    reference references[MOST_REFERENCES];
} compiler;

/* Begins to say what is wrong. */
static void begin_refusal(compiler *c, gemlet_status status, const char *text) {
    c->status = gemlet_fail(c->error, status, c->g->notation ? "tools: " : "schema: ");
    gemlet_error_text(c->error, text);
}

/* Says what is wrong, and where. */
static void refuse_at(compiler *c, gemlet_status status, const char *at, const char *colon, const char *before, gemlet_json found,
                      const char *behind) {
    if (c->status != GEMLET_OK) {
        return;
    }
    begin_refusal(c, status, "");
    gemlet_json_put_pointer(c->error, c->root, at);
    gemlet_error_text(c->error, at > c->root.text ? colon : "");
    gemlet_error_text(c->error, before);
    gemlet_error_bytes(c->error, found.text, (size_t)(found.end - found.text));
    gemlet_error_text(c->error, behind);
    gemlet_error_text(c->error, ", at byte ");
    gemlet_error_number(c->error, (uint64_t)(at - c->root.text));
}

static void refuse(compiler *c, gemlet_status status, const char *before, gemlet_json found, const char *behind) {
    refuse_at(c, status, found.text, ": ", before, found, behind);
}

/* Says what is wrong with a keyword's value, or with that of a part of it: its name is in the pointer. */
static void refuse_keyword(compiler *c, gemlet_status status, gemlet_json value, const char *why) {
    refuse_at(c, status, value.text, "", why, (gemlet_json){value.text, value.text}, "");
}

static void refuse_size(compiler *c) {
    refuse(c, GEMLET_ERROR_UNSUPPORTED, "it is too large", (gemlet_json){c->root.text, c->root.text}, "");
}

/* ---- The table ---- */

static uint32_t place_of(const compiler *c, const char *at) {
    return (uint32_t)(at - c->root.text);
}

static uint16_t add_node(compiler *c, gemlet_node made) {
    gemlet_grammar *g = c->g;
    if (g->node_count == c->room->nodes || g->node_count == GEMLET_NO_NODE) {
        refuse_size(c);
        return 0;
    }
    g->nodes[g->node_count] = made;
    return (uint16_t)g->node_count++;
}

/* A schema that is compiled later: its text is from `source` to `most`. */
static uint16_t add_pending(compiler *c, gemlet_json schema) {
    return add_node(c, (gemlet_node){.kind = GEMLET_NODE_PENDING,
                                     .other = GEMLET_NO_NODE,
                                     .source = place_of(c, schema.text),
                                     .most = place_of(c, schema.end),
                                     .has_base = c->has_base});
}

static void add_entry(compiler *c, gemlet_node *n, gemlet_entry made) {
    gemlet_grammar *g = c->g;
    if (g->entry_count == c->room->entries || g->entry_count == UINT16_MAX) {
        refuse_size(c);
        return;
    }
    if (n->count == 0) {
        n->first = (uint16_t)g->entry_count;
    }
    g->entries[g->entry_count++] = made;
    n->count++;
}

static void put_text(compiler *c, const char *text, size_t bytes) {
    gemlet_grammar *g = c->g;
    if (c->room->text - g->text_bytes < bytes) {
        refuse_size(c);
        return;
    }
    memcpy(g->text + g->text_bytes, text, bytes);
    g->text_bytes += bytes;
}

/* A string's text as it is. */
static void put_plain(compiler *c, gemlet_json string) {
    const char *piece = NULL;
    size_t bytes = 0;
    for (gemlet_json_text text = gemlet_json_text_begin(string); gemlet_json_text_next(&text, &piece, &bytes);) {
        put_text(c, piece, bytes);
    }
}

/* As calls write it, between its marks; their text within it would end it early. */
static void put_marked(compiler *c, gemlet_json string) {
    static const char quote = (char)GEMLET_GRAMMAR_QUOTE;
    put_text(c, &quote, 1);
    size_t first = c->g->text_bytes;
    put_plain(c, string);
    for (size_t i = first; i + GEMLET_CALL_QUOTE_BYTES <= c->g->text_bytes; i++) {
        if (memcmp(c->g->text + i, GEMLET_CALL_QUOTE, GEMLET_CALL_QUOTE_BYTES) == 0) {
            refuse(c, GEMLET_ERROR_UNSUPPORTED, "the mark of strings within one: ", string, "");
        }
    }
    put_text(c, &quote, 1);
}

static void put_string(compiler *c, gemlet_json string) {
    const char *piece = NULL;
    size_t bytes = 0;
    if (c->g->notation) {
        put_marked(c, string);
        return;
    }
    put_text(c, "\"", 1);
    for (gemlet_json_text text = gemlet_json_text_begin(string); gemlet_json_text_next(&text, &piece, &bytes);) {
        for (size_t i = 0; i < bytes; i++) {
            char written[6];
            put_text(c, written, gemlet_json_escape(piece[i], written));
        }
    }
    put_text(c, "\"", 1);
}

/* What a string says, behind the table's text: it is overwritten by what is put next.  Answers its bytes. */
static size_t plain_text(compiler *c, gemlet_json string, const char **plain) {
    size_t first = c->g->text_bytes;
    *plain = c->g->text + first;
    put_plain(c, string);
    size_t bytes = c->g->text_bytes - first;
    c->g->text_bytes = first;
    return bytes;
}

/* A member's name, as it stands before the colon. */
static void put_name(compiler *c, gemlet_json name) {
    if (!c->g->notation) {
        put_string(c, name);
        return;
    }
    size_t first = c->g->text_bytes;
    put_plain(c, name);
    bool good = c->g->text_bytes > first;
    for (size_t i = first; i < c->g->text_bytes; i++) {
        const char byte = c->g->text[i];
        good = good && (unsigned char)byte > ' ' && gemlet_text_find(GEMLET_NOTATION_MARKS, byte) == NULL;
    }
    if (!good) {
        refuse(c, GEMLET_ERROR_UNSUPPORTED, "calls can't write the name ", name, "");
    }
}

static bool is_name(const char *behind) {
    while (gemlet_text_find(" \t\n\r", *behind) != NULL) {
        behind++;
    }
    return *behind == ':';
}

/* A value of the schema without spaces between. */
static gemlet_entry literal(compiler *c, gemlet_json value) {
    size_t first = c->g->text_bytes;
    for (const char *at = value.text; at < value.end;) {
        const char *behind = *at == '"' ? gemlet_json_behind_string(at) : at + 1;
        if (*at == '"' && behind < value.end && is_name(behind)) {
            put_name(c, (gemlet_json){at, behind});
        } else if (*at == '"') {
            put_string(c, (gemlet_json){at, behind});
        } else if (*at == 'n' && c->g->notation) {
            put_text(c, "None", 4);
            behind = at + 4;
        } else {
            put_text(c, at, gemlet_text_find(" \t\n\r", *at) == NULL);
        }
        at = behind;
    }
    return (gemlet_entry){.text = (uint32_t)first, .bytes = (uint32_t)(c->g->text_bytes - first), .node = GEMLET_NO_NODE};
}

static gemlet_entry word(compiler *c, const char *text) {
    size_t first = c->g->text_bytes;
    put_text(c, text, strlen(text));
    return (gemlet_entry){.text = (uint32_t)first, .bytes = (uint32_t)strlen(text), .node = GEMLET_NO_NODE};
}

/* What stands for null: calls write it as their templates do, Python's way, and read both. */
static void add_nothing(compiler *c, gemlet_node *n) {
    add_entry(c, n, word(c, "null"));
    if (c->g->notation) {
        add_entry(c, n, word(c, "None"));
    }
}

/* ---- Any value ---- */

static gemlet_node number_node(bool integer) {
    int64_t most = INT64_C(999999999999999999);
    return (gemlet_node){.kind = GEMLET_NODE_NUMBER, .integer = integer, .other = GEMLET_NO_NODE, .low = -most, .high = most};
}

static gemlet_node simple_node(gemlet_node_kind kind, uint16_t other) {
    return (gemlet_node){.kind = (uint8_t)kind, .other = other, .most = GEMLET_UNBOUNDED};
}

/* What stands for any value and for any key.  Made before all else, so that entries of other nodes stay side by side. */
static void add_any_value(compiler *c) {
    gemlet_node words = simple_node(GEMLET_NODE_LITERALS, GEMLET_NO_NODE), any = simple_node(GEMLET_NODE_ANY_OF, GEMLET_NO_NODE);
    c->any = add_node(c, any);
    uint16_t string = add_node(c, simple_node(GEMLET_NODE_STRING, GEMLET_NO_NODE));
    c->g->key = c->g->notation ? add_node(c, simple_node(GEMLET_NODE_NAME, GEMLET_NO_NODE)) : string;
    add_entry(c, &words, word(c, "true"));
    add_entry(c, &words, word(c, "false"));
    add_nothing(c, &words);
    const uint16_t parts[] = {string, add_node(c, number_node(false)), add_node(c, words),
                              add_node(c, simple_node(GEMLET_NODE_ARRAY, c->any)),
                              add_node(c, simple_node(GEMLET_NODE_MAP, c->any))};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        add_entry(c, &any, (gemlet_entry){.node = parts[i]});
    }
    c->g->nodes[c->any] = any;
}

/* A schema, or true, which is any value.  What something has referred to has a node already: each schema is compiled once. */
static uint16_t add_schema(compiler *c, gemlet_json schema) {
    for (size_t i = 0; i < c->reference_count; i++) {
        if (c->root.text + c->references[i].target == schema.text) {
            return c->references[i].node;
        }
    }
    return *schema.text == 't' ? c->any : add_pending(c, schema);
}

/* ---- Keywords ---- */

static bool is_annotation(gemlet_json key) {
    for (size_t i = 0; i < sizeof annotations / sizeof *annotations; i++) {
        if (gemlet_json_is(key, annotations[i], false)) {
            return true;
        }
    }
    return false;
}

static void collect(compiler *c, gemlet_json schema, keywords *found) {
    gemlet_json_walk members = gemlet_json_walk_begin(schema);
    gemlet_json key, value;
    memset(found, 0, sizeof *found);
    while (gemlet_json_walk_next(&members, &key, &value)) {
        size_t i = 0;
        while (i < KEYWORDS && !gemlet_json_is(key, keyword_names[i], false)) {
            i++;
        }
        if (i < KEYWORDS) {
            found->at[i] = value;
        } else if (!is_annotation(key) && !(c->g->notation && gemlet_json_is(key, "nullable", false))) {
            refuse(c, GEMLET_ERROR_UNSUPPORTED, "the keyword ", key, " is not held");
        }
    }
}

static bool is_there(const keywords *k, keyword which) {
    return k->at[which].text != NULL;
}

/* Refuses keywords beside `alone` other than `also`. */
static void check_alone(compiler *c, const keywords *k, keyword alone, keyword also) {
    for (size_t i = 0; i < KEYWORDS; i++) {
        if (is_there(k, (keyword)i) && i != alone && i != also) {
            refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[i], " beside enum, const, anyOf, allOf or $ref is not held");
        }
    }
}

static bool is_kind(gemlet_json value, char first) {
    return *value.text == first;
}

/* Whether the keyword is there, and its value begins as it should. */
static bool has(compiler *c, const keywords *k, keyword which, char kind, const char *expected) {
    if (!is_there(k, which)) {
        return false;
    }
    if (!is_kind(k->at[which], kind)) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[which], expected);
    }
    return c->status == GEMLET_OK;
}

/* A count; `otherwise` where there is none. */
static uint32_t count_of(compiler *c, const keywords *k, keyword which, uint32_t otherwise) {
    bool rounded = false;
    if (!is_there(k, which)) {
        return otherwise;
    }
    bool number = gemlet_json_type_of(k->at[which]) == GEMLET_JSON_NUMBER;
    int64_t count = number ? gemlet_read_units(k->at[which], 0, true, &rounded) : -1;
    if (count < 0 || rounded) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[which], ": expected a whole number from 0 on");
        return otherwise;
    }
    return count < GEMLET_UNBOUNDED ? (uint32_t)count : GEMLET_UNBOUNDED;
}

static unsigned type_named(compiler *c, gemlet_json name) {
    for (size_t i = 0; i < TYPES; i++) {
        if (gemlet_json_is(name, types[i].name, c->g->notation)) {
            return types[i].type;
        }
    }
    refuse(c, GEMLET_ERROR_FORMAT, "expected the name of a type, found ", name, "");
    return 0;
}

/* Types that the schema names; where it names none, those that its keywords are about; 0: any. */
static unsigned types_of(compiler *c, const keywords *k) {
    static const struct {
        keyword first, last;
        unsigned type;
    } about[] = {{PROPERTIES, MOST_PROPERTIES, OBJECT},
                 {ITEMS, MOST_ITEMS, ARRAY},
                 {PATTERN, MOST_LENGTH, STRING},
                 {MINIMUM, BELOW, NUMBER}};
    unsigned found = 0;
    if (is_there(k, TYPE) && !is_kind(k->at[TYPE], '[')) {
        return type_named(c, k->at[TYPE]);
    }
    if (is_there(k, TYPE)) {
        gemlet_json_walk names = gemlet_json_walk_begin(k->at[TYPE]);
        gemlet_json key, name;
        while (gemlet_json_walk_next(&names, &key, &name)) {
            found |= type_named(c, name);
        }
        if (found == 0) {
            refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[TYPE], ": expected at least one type");
        }
        return found;
    }
    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        for (size_t w = about[i].first; w <= about[i].last; w++) {
            found |= is_there(k, (keyword)w) ? about[i].type : 0;
        }
    }
    return found;
}

/* ---- Values one by one ---- */

static unsigned type_of_value(gemlet_json value) {
    static const char first[] = "\"tfn[{";
    static const unsigned meant[] = {STRING, BOOLEAN, BOOLEAN, NOTHING, ARRAY, OBJECT};
    const char *found = gemlet_text_find(first, *value.text);
    if (found != NULL) {
        return meant[found - first];
    }
    bool rounded = false;
    (void)gemlet_read_units(value, 0, true, &rounded);
    return rounded ? NUMBER : NUMBER | INTEGER; /* 1.0 is an integer, too */
}

static void add_literal(compiler *c, gemlet_node *n, gemlet_json value, unsigned wanted) {
    if ((type_of_value(value) & wanted) != 0) {
        add_entry(c, n, literal(c, value));
    }
}

static gemlet_node literals_node(compiler *c, const keywords *k) {
    gemlet_node n = simple_node(GEMLET_NODE_LITERALS, GEMLET_NO_NODE);
    keyword which = is_there(k, ENUMERATION) ? ENUMERATION : CONSTANT;
    unsigned wanted = is_there(k, TYPE) ? types_of(c, k) : ~0u;
    check_alone(c, k, which, TYPE);
    if (which == CONSTANT) {
        add_literal(c, &n, k->at[CONSTANT], wanted);
    } else if (has(c, k, ENUMERATION, '[', ": expected an array of values")) {
        gemlet_json_walk values = gemlet_json_walk_begin(k->at[ENUMERATION]);
        gemlet_json key, value;
        while (gemlet_json_walk_next(&values, &key, &value)) {
            add_literal(c, &n, value, wanted);
        }
    }
    if (n.count == 0) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[which], ": no value of the type");
    }
    return n;
}

/* ---- Strings ---- */

/* Adds where it is to what is wrong with a pattern. */
static void tell_place(compiler *c, gemlet_json pattern) {
    if (c->status != GEMLET_OK) {
        gemlet_error_text(c->error, c->g->notation ? ", in tools: " : ", in schema: ");
        gemlet_json_put_pointer(c->error, c->root, pattern.text);
    }
}

/* A pattern's number. */
static uint16_t pattern_of(compiler *c, gemlet_json string) {
    const char *text = NULL;
    size_t bytes = plain_text(c, string, &text);
    if (c->status == GEMLET_OK) {
        c->status = gemlet_pattern_compile(c->g, c->room, text, bytes, false, c->error);
        tell_place(c, string);
    }
    return c->status == GEMLET_OK ? (uint16_t)(c->g->pattern_count - 1) : 0;
}

/* What is asked of a string's pattern beside it. */
static void check_pattern(compiler *c, const keywords *k, const gemlet_node *n) {
    const gemlet_pattern *pattern = &c->g->patterns[n->first];
    if (!gemlet_pattern_has_lengths(pattern, n->least, n->most)) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[PATTERN],
                       " allows lengths that minLength or maxLength does not: say it in the pattern");
    } else if (c->g->notation && gemlet_pattern_forces_mark(c->g, pattern)) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[PATTERN],
                       " asks for the mark of strings, " GEMLET_CALL_QUOTE ", within one");
    }
}

static gemlet_node string_node(compiler *c, const keywords *k) {
    gemlet_node n = simple_node(GEMLET_NODE_STRING, GEMLET_NO_NODE);
    n.least = count_of(c, k, LEAST_LENGTH, 0);
    n.most = count_of(c, k, MOST_LENGTH, GEMLET_UNBOUNDED);
    if (n.least > n.most) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[LEAST_LENGTH], " is greater than maxLength");
    }
    if (has(c, k, PATTERN, '"', ": expected a string")) {
        n.has_pattern = true;
        n.first = pattern_of(c, k->at[PATTERN]);
        if (c->status == GEMLET_OK) {
            check_pattern(c, k, &n);
        }
    }
    return n;
}

/* ---- Numbers ---- */

static int64_t bound(compiler *c, const keywords *k, keyword inclusive, keyword exclusive, bool integer, bool low,
                     int64_t otherwise) {
    int64_t best = otherwise;
    const keyword both[] = {inclusive, exclusive};
    for (size_t i = 0; i < 2; i++) {
        gemlet_json value = k->at[both[i]];
        if (!is_there(k, both[i])) {
            continue;
        }
        if (gemlet_json_type_of(value) != GEMLET_JSON_NUMBER) {
            refuse_keyword(c, GEMLET_ERROR_FORMAT, value, ": expected a number");
            continue;
        }
        bool rounded = false;
        int64_t units = gemlet_read_units(value, integer ? 0 : GEMLET_NUMBER_FRACTION, low, &rounded);
        if (i == 1 && !rounded) {
            units += low ? 1 : -1;
        }
        best = (low ? units > best : units < best) ? units : best;
    }
    return best;
}

static gemlet_node bounded_number(compiler *c, const keywords *k, bool integer) {
    gemlet_node n = number_node(integer);
    n.low = bound(c, k, MINIMUM, ABOVE, integer, true, n.low);
    n.high = bound(c, k, MAXIMUM, BELOW, integer, false, n.high);
    if (n.low > n.high) {
        keyword named = is_there(k, MINIMUM) ? MINIMUM : is_there(k, ABOVE) ? ABOVE : is_there(k, MAXIMUM) ? MAXIMUM : BELOW;
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[named],
                       ": no number of at most 18 digits, 6 of them behind the point, is within the bounds");
    }
    return n;
}

/* ---- Arrays ---- */

/* Those of an array of schemas, as a node's entries; false, which has no value, as one that is never begun. */
static void add_schemas(compiler *c, gemlet_node *n, gemlet_json schemas) {
    gemlet_json_walk walk = gemlet_json_walk_begin(schemas);
    gemlet_json key, schema;
    while (gemlet_json_walk_next(&walk, &key, &schema)) {
        add_entry(c, n, (gemlet_entry){.node = is_kind(schema, 'f') ? GEMLET_NO_NODE : add_schema(c, schema)});
    }
}

static gemlet_node array_node(compiler *c, const keywords *k) {
    gemlet_node n = simple_node(GEMLET_NODE_ARRAY, GEMLET_NO_NODE);
    n.least = count_of(c, k, LEAST_ITEMS, 0);
    n.most = count_of(c, k, MOST_ITEMS, GEMLET_UNBOUNDED);
    if (has(c, k, PREFIX_ITEMS, '[', ": expected an array of schemas")) {
        add_schemas(c, &n, k->at[PREFIX_ITEMS]);
    }
    if (!is_there(k, ITEMS)) {
        n.other = c->any;
    } else if (!is_kind(k->at[ITEMS], 'f')) {
        n.other = add_schema(c, k->at[ITEMS]);
    }
    if (n.least > n.most) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[LEAST_ITEMS], " is greater than maxItems");
    }
    return n;
}

/* ---- Objects ---- */

static gemlet_entry key_of(compiler *c, gemlet_json name) {
    gemlet_entry e = {.text = (uint32_t)c->g->text_bytes, .node = GEMLET_NO_NODE};
    put_name(c, name);
    put_text(c, ":", 1);
    e.bytes = (uint32_t)(c->g->text_bytes - e.text);
    return e;
}

/* The member with the same key as `wanted`. */
static gemlet_entry *find_key(const compiler *c, const gemlet_node *n, const gemlet_entry *wanted) {
    for (size_t i = 0; i < n->count; i++) {
        gemlet_entry *e = &c->g->entries[n->first + i];
        if (e->bytes == wanted->bytes && memcmp(c->g->text + e->text, c->g->text + wanted->text, e->bytes) == 0) {
            return e;
        }
    }
    return NULL;
}

static void add_property(compiler *c, gemlet_node *n, gemlet_json key, gemlet_json value) {
    gemlet_entry e = key_of(c, key);
    if (find_key(c, n, &e) != NULL) {
        refuse(c, GEMLET_ERROR_FORMAT, "two properties are named ", key, "");
    }
    e.node = is_kind(value, 'f') ? GEMLET_NO_NODE : add_schema(c, value);
    add_entry(c, n, e);
}

/* Templates write the arguments of a call in the order of their names. */
static void add_sorted_properties(compiler *c, gemlet_json properties, gemlet_node *n) {
    gemlet_json key = {NULL, NULL}, value;
    size_t members = 0;
    while (c->status == GEMLET_OK && gemlet_json_next_sorted(properties, key, &key, &value, &members)) {
        c->work += (size_t)(properties.end - properties.text);
        if (members > GEMLET_TOOL_MEMBERS || c->work > GEMLET_TOOL_WORK) {
            refuse(c, GEMLET_ERROR_UNSUPPORTED,
                   members > GEMLET_TOOL_MEMBERS ? "more than 256 properties, the first: "
                                                 : "too many properties within each other, at ",
                   key, "");
        }
        add_property(c, n, key, value);
    }
}

static void add_properties(compiler *c, const keywords *k, gemlet_node *n) {
    gemlet_json_walk members = gemlet_json_walk_begin(k->at[PROPERTIES]);
    gemlet_json key, value;
    if (c->g->notation) {
        add_sorted_properties(c, k->at[PROPERTIES], n);
        return;
    }
    while (gemlet_json_walk_next(&members, &key, &value)) {
        add_property(c, n, key, value);
    }
}

/* What additionalProperties says of values, or any. */
static uint16_t other_values(compiler *c, const keywords *k) {
    if (!is_there(k, ADDITIONAL)) {
        return c->any;
    }
    return is_kind(k->at[ADDITIONAL], 'f') ? GEMLET_NO_NODE : add_schema(c, k->at[ADDITIONAL]);
}

/* Those that are no property come last. */
static void add_required(compiler *c, const keywords *k, gemlet_node *n) {
    gemlet_json_walk names = gemlet_json_walk_begin(k->at[REQUIRED]);
    gemlet_json key, name;
    while (gemlet_json_walk_next(&names, &key, &name)) {
        if (!is_kind(name, '"')) {
            refuse_keyword(c, GEMLET_ERROR_FORMAT, name, ": expected names");
            return;
        }
        gemlet_entry e = key_of(c, name), *found = find_key(c, n, &e);
        if (found != NULL) {
            found->required = true;
            c->g->text_bytes = e.text;
            continue;
        }
        e.required = true;
        e.node = other_values(c, k);
        add_entry(c, n, e);
    }
}

static void check_member_counts(compiler *c, const keywords *k, const gemlet_node *n) {
    uint32_t required = 0, least = count_of(c, k, LEAST_PROPERTIES, 0), most = count_of(c, k, MOST_PROPERTIES, GEMLET_UNBOUNDED);
    for (size_t i = 0; i < n->count; i++) {
        required += c->g->entries[n->first + i].required;
    }
    if (least > required) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[LEAST_PROPERTIES], " beyond the required ones is not held");
    }
    if (most < n->count) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[MOST_PROPERTIES], " below the number of properties is not held");
    }
}

static gemlet_node object_node(compiler *c, const keywords *k) {
    bool named = has(c, k, PROPERTIES, '{', ": expected an object of schemas");
    bool required = has(c, k, REQUIRED, '[', ": expected an array of names");
    gemlet_node n = simple_node(GEMLET_NODE_OBJECT, GEMLET_NO_NODE);
    if (named) {
        add_properties(c, k, &n);
    }
    if (required) {
        add_required(c, k, &n);
    }
    if (n.count > 0 || (named && c->g->notation) || (is_there(k, ADDITIONAL) && is_kind(k->at[ADDITIONAL], 'f'))) {
        check_member_counts(c, k, &n);
        return n;
    }
    n = simple_node(GEMLET_NODE_MAP, other_values(c, k));
    n.least = count_of(c, k, LEAST_PROPERTIES, 0);
    n.most = count_of(c, k, MOST_PROPERTIES, GEMLET_UNBOUNDED);
    if (n.least > n.most) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[LEAST_PROPERTIES], " is greater than maxProperties");
    }
    return n;
}

/* ---- References ---- */

/* Whether a key is the part of a pointer; there ~0 stands for '~', ~1 for '/', and no other '~' may be. */
static bool is_part(compiler *c, gemlet_json key, const char *part, const char *end) {
    const char *plain = NULL;
    size_t bytes = plain_text(c, key, &plain), i = 0;
    for (; i < bytes && part < end; i++) {
        char wanted = *part++;
        if (wanted == '~' && (part == end || (*part != '0' && *part != '1'))) {
            return false;
        }
        if (wanted == '~') {
            wanted = *part++ == '0' ? '~' : '/';
        }
        if (plain[i] != wanted) {
            return false;
        }
    }
    return i == bytes && part == end;
}

/* An element's number, as a pointer writes it; -1 where it is none that a text could have. */
static int64_t index_of(const char *part, const char *end) {
    int64_t index = 0;
    if (part == end || (*part == '0' && end - part > 1)) {
        return -1;
    }
    for (; part < end; part++) {
        if (*part < '0' || *part > '9' || index > GEMLET_GRAMMAR_MOST_BYTES) {
            return -1;
        }
        index = index * 10 + (*part - '0');
    }
    return index;
}

/* What a part of a pointer names in a value; none where there is no such thing. */
static gemlet_json find_part(compiler *c, gemlet_json within, const char *part, const char *end) {
    gemlet_json key, value, found = {NULL, NULL};
    const bool object = is_kind(within, '{'), array = is_kind(within, '[');
    const int64_t index = array ? index_of(part, end) : -1;
    gemlet_json_walk walk = gemlet_json_walk_begin(within);
    for (int64_t i = 0; (object || array) && found.text == NULL && gemlet_json_walk_next(&walk, &key, &value); i++) {
        if (object ? is_part(c, key, part, end) : i == index) {
            found = value;
        }
    }
    return found;
}

/* What a pointer in this place points into: the schema, or a function's parameters. */
static gemlet_json document_of(compiler *c, const char *at) {
    gemlet_json_walk tools = gemlet_json_walk_begin(c->root);
    gemlet_json key, tool;
    if (!c->g->notation) {
        return c->root;
    }
    while ((at < c->document.text || at >= c->document.end) && gemlet_json_walk_next(&tools, &key, &tool)) {
        c->document = gemlet_json_member(gemlet_json_member(tool, "function"), "parameters");
    }
    return c->document;
}

/* Writes what %HH stands for in its place, as in any fragment of a URI.  Answers the bytes that are left; 0 where a % is none of
 * these. */
static size_t decode_percents(char *text, size_t bytes) {
    size_t kept = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '%') {
            text[kept++] = text[i];
            continue;
        }
        int high = i + 2 < bytes ? gemlet_json_hexadecimal(text[i + 1]) : -1;
        int low = high >= 0 ? gemlet_json_hexadecimal(text[i + 2]) : -1;
        if (low < 0) {
            return 0;
        }
        text[kept++] = (char)(unsigned char)(high * 16 + low);
        i += 2;
    }
    return kept;
}

/* Whether a schema is a resource of its own: a pointer does not lead into it or out of it. */
static bool has_own_base(compiler *c, gemlet_json schema) {
    return schema.text != document_of(c, schema.text).text &&
           gemlet_json_type_of(gemlet_json_member(schema, "$id")) == GEMLET_JSON_STRING;
}

static gemlet_json find_reference(compiler *c, gemlet_json document, gemlet_json string) {
    const char *plain = NULL;
    gemlet_json found = document, none = {NULL, NULL};
    size_t bytes = plain_text(c, string, &plain);
    bytes = decode_percents(c->g->text + c->g->text_bytes, bytes);
    const char *at = plain, *end = plain + bytes;
    const size_t kept = c->g->text_bytes;
    if (bytes == 0 || *at != '#') {
        return none;
    }
    c->g->text_bytes += bytes; /* the pointer stays while keys are compared with it */
    for (at++; at < end && found.text != NULL;) {
        const char *part = at + 1;
        bool pointer = *at == '/' && !has_own_base(c, found);
        for (at = part; at < end && *at != '/';) {
            at++;
        }
        found = pointer ? find_part(c, found, part, at) : none;
    }
    c->g->text_bytes = kept;
    return found;
}

/* The one with this pointer; NULL where it was not followed yet.  Following costs a walk over the text, and there may be a pointer
 * in every part of it. */
static const reference *find_followed(const compiler *c, gemlet_json document, gemlet_json pointer) {
    size_t bytes = (size_t)(pointer.end - pointer.text);
    for (size_t i = 0; i < c->reference_count; i++) {
        const reference *r = &c->references[i];
        if (c->root.text + r->document == document.text && r->bytes == bytes &&
            memcmp(c->root.text + r->pointer, pointer.text, bytes) == 0) {
            return r;
        }
    }
    return NULL;
}

/* The node of a schema that something refers to: it may stand in its own place already. */
static uint16_t node_of_target(compiler *c, gemlet_json schema) {
    const uint32_t source = place_of(c, schema.text);
    for (size_t i = 0; i < c->g->node_count; i++) {
        if (c->g->nodes[i].source == source) {
            return (uint16_t)i;
        }
    }
    return add_schema(c, schema);
}

static gemlet_node alias_of(uint16_t node) {
    return (gemlet_node){.kind = GEMLET_NODE_ALIAS, .first = node, .other = GEMLET_NO_NODE};
}

static gemlet_node reference_node(compiler *c, const keywords *k) {
    gemlet_json pointer = k->at[REFERENCE];
    check_alone(c, k, REFERENCE, REFERENCE);
    if (!has(c, k, REFERENCE, '"', ": expected a string")) {
        return alias_of(0);
    }
    if (c->has_base) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, pointer, " within a schema that has a $id of its own is not held");
        return alias_of(0);
    }
    gemlet_json document = document_of(c, pointer.text);
    const reference *followed = find_followed(c, document, pointer);
    if (followed != NULL) {
        return alias_of(followed->node);
    }
    gemlet_json found = find_reference(c, document, pointer);
    if (found.text == NULL) {
        refuse(c, GEMLET_ERROR_UNSUPPORTED, "expected # or a pointer into this schema, found ", pointer, "");
        return alias_of(0);
    }
    if (c->reference_count == MOST_REFERENCES) {
        refuse(c, GEMLET_ERROR_UNSUPPORTED, "more than 128 pointers, the last: ", pointer, "");
        return alias_of(0);
    }
    reference made = {place_of(c, document.text), place_of(c, pointer.text), (uint32_t)(pointer.end - pointer.text),
                      place_of(c, found.text), node_of_target(c, found)};
    c->references[c->reference_count++] = made;
    return alias_of(made.node);
}

/* ---- Choices ---- */

static gemlet_node any_of_node(compiler *c, const keywords *k) {
    gemlet_node n = simple_node(GEMLET_NODE_ANY_OF, GEMLET_NO_NODE);
    check_alone(c, k, ANY_OF, ANY_OF);
    if (has(c, k, ANY_OF, '[', ": expected an array of schemas")) {
        add_schemas(c, &n, k->at[ANY_OF]);
    }
    if (n.count == 0) {
        refuse_keyword(c, GEMLET_ERROR_FORMAT, k->at[ANY_OF], ": expected at least one schema that has a value");
    }
    return n;
}

static gemlet_node all_of_node(compiler *c, const keywords *k) {
    gemlet_json key, schema = {NULL, NULL}, another;
    check_alone(c, k, ALL_OF, ALL_OF);
    gemlet_json_walk schemas = gemlet_json_walk_begin(k->at[ALL_OF]);
    if (!is_kind(k->at[ALL_OF], '[') || !gemlet_json_walk_next(&schemas, &key, &schema) ||
        gemlet_json_walk_next(&schemas, &key, &another)) {
        refuse_keyword(c, GEMLET_ERROR_UNSUPPORTED, k->at[ALL_OF], " of other than one schema is not held");
        return alias_of(0);
    }
    return alias_of(add_schema(c, schema));
}

static gemlet_node node_of_type(compiler *c, const keywords *k, unsigned type) {
    gemlet_node n = simple_node(GEMLET_NODE_LITERALS, GEMLET_NO_NODE);
    switch (type) {
    case STRING: return string_node(c, k);
    case NUMBER: return bounded_number(c, k, false);
    case INTEGER: return bounded_number(c, k, true);
    case ARRAY: return array_node(c, k);
    case OBJECT: return object_node(c, k);
    case BOOLEAN:
        add_entry(c, &n, word(c, "true"));
        add_entry(c, &n, word(c, "false"));
        return n;
    default: add_nothing(c, &n); return n;
    }
}

static gemlet_node typed_node(compiler *c, const keywords *k) {
    unsigned wanted = types_of(c, k);
    if (wanted == 0) {
        return alias_of(c->any);
    }
    if ((wanted & (wanted - 1)) == 0) {
        return node_of_type(c, k, wanted);
    }
    gemlet_node n = simple_node(GEMLET_NODE_ANY_OF, GEMLET_NO_NODE);
    uint16_t made[TYPES] = {0};
    size_t count = 0;
    for (size_t i = 0; i < TYPES; i++) {
        if ((wanted & types[i].type) != 0) {
            made[count++] = add_node(c, node_of_type(c, k, types[i].type));
        }
    }
    for (size_t i = 0; i < count; i++) {
        add_entry(c, &n, (gemlet_entry){.node = made[i]});
    }
    return n;
}

static gemlet_node node_of_schema(compiler *c, gemlet_json schema) {
    keywords k;
    if (!is_kind(schema, '{')) {
        refuse(c, GEMLET_ERROR_FORMAT, "expected a schema that has a value, found ", schema, "");
        return alias_of(0);
    }
    collect(c, schema, &k);
    c->has_base = c->has_base || has_own_base(c, schema);
    if (is_there(&k, REFERENCE)) {
        return reference_node(c, &k);
    }
    if (is_there(&k, ENUMERATION) || is_there(&k, CONSTANT)) {
        return literals_node(c, &k);
    }
    if (is_there(&k, ANY_OF)) {
        return any_of_node(c, &k);
    }
    return is_there(&k, ALL_OF) ? all_of_node(c, &k) : typed_node(c, &k);
}

/* Each value of the schema makes at most a node and two entries: one where it stands, and one of its own (`true` of a boolean has
 * `false` beside it, null of functions is written in two ways); its text at most as many bytes as it has, and what stands around
 * keys.  What is not counted here is what stands for any value; and the text of a pointer and of a key beside it are put for a
 * moment. */
gemlet_grammar_room gemlet_schema_room(gemlet_json schema) {
    enum { BUILT_IN = 16, BUILT_IN_TEXT = 64 };
    const size_t bytes = (size_t)(schema.end - schema.text);
    size_t values = 1, patterns = 0;
    for (const char *at = schema.text, *behind; at < schema.end; at = behind) {
        bool string = *at == '"';
        behind = string ? gemlet_json_behind_string(at) : at + 1;
        values += *at == ',' || *at == ':' || *at == '[' || *at == '{';
        patterns += string && gemlet_json_is((gemlet_json){at, behind}, keyword_names[PATTERN], false);
    }
    return (gemlet_grammar_room){.nodes = values + BUILT_IN,
                                 .entries = 2 * values + BUILT_IN,
                                 .text = 2 * bytes + 3 * values + BUILT_IN_TEXT,
                                 .patterns = patterns,
                                 .positions = patterns * GEMLET_PATTERN_POSITIONS,
                                 .ranges = patterns > 0 ? gemlet_pattern_ranges(bytes) + 16 * patterns : 0};
}

/* ---- Functions ---- */

static const char call_opening[] = "call:";

static bool is_empty(gemlet_json object) {
    gemlet_json_walk members = gemlet_json_walk_begin(object);
    gemlet_json key, value;
    return !gemlet_json_walk_next(&members, &key, &value);
}

/* To templates, parameters that are empty are none. */
static uint16_t node_of_parameters(compiler *c, gemlet_json function) {
    gemlet_json parameters = gemlet_json_member(function, "parameters");
    gemlet_json_type type = gemlet_json_type_of(parameters);
    if (type == GEMLET_JSON_NONE || type == GEMLET_JSON_NULL || (type == GEMLET_JSON_OBJECT && is_empty(parameters))) {
        return add_node(c, simple_node(GEMLET_NODE_OBJECT, GEMLET_NO_NODE));
    }
    return add_pending(c, parameters);
}

/* A call of one of the functions of a list. */
static gemlet_node call_node(compiler *c) {
    gemlet_node n = simple_node(GEMLET_NODE_CALL, GEMLET_NO_NODE);
    gemlet_json_walk tools = gemlet_json_walk_begin(c->root);
    gemlet_json key, tool;
    while (is_kind(c->root, '[') && gemlet_json_walk_next(&tools, &key, &tool)) {
        gemlet_json function = gemlet_json_member(tool, "function"), name = gemlet_json_member(function, "name");
        if (!gemlet_is_function_name(name)) {
            refuse(c, GEMLET_ERROR_FORMAT, "expected {\"type\": \"function\", \"function\": {\"name\": ...}}, found ", tool, "");
            return n;
        }
        gemlet_entry e = word(c, call_opening);
        put_plain(c, name);
        e.bytes = (uint32_t)(c->g->text_bytes - e.text);
        if (find_key(c, &n, &e) != NULL) {
            refuse(c, GEMLET_ERROR_FORMAT, "two functions are named ", name, "");
        }
        e.node = node_of_parameters(c, function);
        add_entry(c, &n, e);
    }
    if (n.count == 0) {
        refuse(c, GEMLET_ERROR_FORMAT, "expected a list of functions, found ", c->root, "");
    }
    return n;
}

/* Arguments are one object. */
static void check_parameters(compiler *c) {
    const gemlet_grammar *g = c->g;
    for (size_t i = 0; c->status == GEMLET_OK && i < g->nodes[0].count; i++) {
        const gemlet_entry *e = &g->entries[g->nodes[0].first + i];
        if (e->node == GEMLET_NO_NODE ||
            (g->nodes[e->node].kind != GEMLET_NODE_OBJECT && g->nodes[e->node].kind != GEMLET_NODE_MAP)) {
            begin_refusal(c, GEMLET_ERROR_UNSUPPORTED, "the parameters of ");
            gemlet_error_bytes(c->error, g->text + e->text + sizeof call_opening - 1, e->bytes - (sizeof call_opening - 1));
            gemlet_error_text(c->error, ": expected the schema of an object");
        }
    }
}

static void compile_pending(compiler *c) {
    gemlet_grammar *g = c->g;
    for (size_t i = 0; i < g->node_count && c->status == GEMLET_OK; i++) {
        if (g->nodes[i].kind == GEMLET_NODE_PENDING) {
            const uint32_t source = g->nodes[i].source;
            c->has_base = g->nodes[i].has_base;
            gemlet_node made = node_of_schema(c, (gemlet_json){c->root.text + source, c->root.text + g->nodes[i].most});
            g->nodes[i] = made;
            g->nodes[i].source = source;
        }
    }
}

/* What is asked of all nodes together, when they are there. */
static void link(compiler *c) {
    bool has_root = gemlet_schema_follow_references(c->g);
    if (c->g->notation) {
        check_parameters(c);
    }
    const char *too_much = gemlet_schema_count_choices(c->g);
    if (c->status == GEMLET_OK && too_much != NULL) {
        begin_refusal(c, GEMLET_ERROR_UNSUPPORTED, too_much);
    }
    if (c->status == GEMLET_OK && (!has_root || !gemlet_schema_measure_depths(c->g))) {
        begin_refusal(c, GEMLET_ERROR_FORMAT, "it has no value, or none of at most 24 values within each other");
    }
}

gemlet_status gemlet_schema_compile(gemlet_grammar *g, const gemlet_grammar_room *room, gemlet_json schema, gemlet_error *error) {
    compiler c = {.g = g, .room = room, .root = schema, .error = error};
    add_pending(&c, schema);
    add_any_value(&c);
    if (g->notation) {
        gemlet_node made = call_node(&c);
        g->nodes[0] = made;
    } else if (is_kind(schema, 't')) {
        g->nodes[0] = alias_of(c.any);
    }
    compile_pending(&c);
    if (c.status == GEMLET_OK) {
        link(&c);
    }
    return c.status;
}
