/* A JSON schema, "any JSON" or a pattern becomes a table of nodes.  Schemas within a schema become pending nodes behind it, which
 * are compiled in their turn: the table is its own list of what is left to do. */
#include <string.h>

#include "core/carver.h"
#include "model/grammar/schema.h"
#include "model/grammar/table.h"
#include <gemlet/arena.h>

/* Cuts the table off `carver`, or counts its bytes where that has no memory. */
static void carve(gemlet_carver *carver, const gemlet_grammar_room *room, gemlet_grammar *g) {
    g->nodes = gemlet_carve(carver, room->nodes, sizeof *g->nodes);
    g->entries = gemlet_carve(carver, room->entries, sizeof *g->entries);
    g->patterns = gemlet_carve(carver, room->patterns, sizeof *g->patterns);
    g->positions = gemlet_carve(carver, room->positions, sizeof *g->positions);
    g->ranges = gemlet_carve(carver, room->ranges, sizeof *g->ranges);
    g->text = gemlet_carve(carver, room->text, 1);
}

/* A grammar's text: a schema's value, or a pattern. */
typedef struct source {
    gemlet_grammar_kind kind;
    gemlet_json text;
    gemlet_grammar_room room;
} source;

static gemlet_grammar_room pattern_room(size_t bytes) {
    return (gemlet_grammar_room){
        .nodes = 1, .patterns = 1, .positions = GEMLET_PATTERN_POSITIONS, .ranges = gemlet_pattern_ranges(bytes)};
}

/* Of no text, any object. */
static gemlet_status open_source(gemlet_grammar_kind kind, const char *text, size_t bytes, source *s, gemlet_error *error) {
    static const char object[] = "{\"type\":\"object\"}";
    if (kind == GEMLET_GRAMMAR_JSON) {
        text = object;
        bytes = sizeof object - 1;
    }
    if ((unsigned)kind > GEMLET_GRAMMAR_CALLS || (text == NULL && bytes > 0)) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "grammar: expected a schema or a pattern");
    }
    if (bytes > GEMLET_GRAMMAR_MOST_BYTES) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "grammar: expected a text of at most 65536 bytes, found ");
        gemlet_error_number(error, bytes);
        return GEMLET_ERROR_UNSUPPORTED;
    }
    text = text != NULL ? text : ""; /* NULL may have no offset, even of 0 */
    *s = (source){.kind = kind, .text = {text, text + bytes}, .room = pattern_room(bytes)};
    if (kind == GEMLET_GRAMMAR_PATTERN) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_json_open(&s->text, text, bytes, kind == GEMLET_GRAMMAR_CALLS ? "tools" : "schema", error);
    if (status == GEMLET_OK) {
        s->room = gemlet_schema_room(s->text);
    }
    return status;
}

static size_t bytes_of(const source *s) {
    gemlet_carver counting = {NULL, 0};
    gemlet_grammar g;
    gemlet_carve(&counting, 1, sizeof g);
    carve(&counting, &s->room, &g);
    return counting.used;
}

gemlet_status gemlet_grammar_bytes(gemlet_grammar_kind kind, const char *text, size_t text_bytes, size_t *bytes,
                                   gemlet_error *error) {
    source s = {.kind = kind};
    gemlet_status status = open_source(kind, text, text_bytes, &s, error);
    *bytes = status == GEMLET_OK ? bytes_of(&s) : 0;
    return status;
}

/* The whole answer is one pattern. */
static gemlet_status compile_pattern(gemlet_grammar *g, const source *s, gemlet_error *error) {
    g->nodes[g->node_count++] = (gemlet_node){.kind = GEMLET_NODE_TEXT, .depth = 1, .other = GEMLET_NO_NODE};
    return gemlet_pattern_compile(g, &s->room, s->text.text, (size_t)(s->text.end - s->text.text), true, error);
}

gemlet_status gemlet_grammar_compile(gemlet_grammar_kind kind, const char *text, size_t text_bytes, void *memory, size_t bytes,
                                     const gemlet_grammar **grammar, gemlet_error *error) {
    source s = {.kind = kind};
    gemlet_status status = open_source(kind, text, text_bytes, &s, error);
    status = status != GEMLET_OK ? status : gemlet_check_memory("grammar", memory, bytes, bytes_of(&s), error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_carver carver = {memory, 0};
    gemlet_grammar *g = gemlet_carve(&carver, 1, sizeof *g);
    memset(g, 0, sizeof *g);
    carve(&carver, &s.room, g);
    g->notation = kind == GEMLET_GRAMMAR_CALLS;
    status = kind == GEMLET_GRAMMAR_PATTERN ? compile_pattern(g, &s, error) : gemlet_schema_compile(g, &s.room, s.text, error);
    if (status == GEMLET_OK) {
        *grammar = g;
    }
    return status;
}
