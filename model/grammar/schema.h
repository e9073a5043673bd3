/* JSON schemas, draft 2020-12, as tables of nodes. */
#ifndef GEMLET_MODEL_GRAMMAR_SCHEMA_H
#define GEMLET_MODEL_GRAMMAR_SCHEMA_H

#include "model/grammar/table.h"
#include "model/json/json.h"

/* What the table of a schema, or of a list of functions, may take at most. */
gemlet_grammar_room gemlet_schema_room(gemlet_json schema);

/* Compiles a schema, or where g->notation is set a list of functions, into an empty table with that room. */
gemlet_status gemlet_schema_compile(gemlet_grammar *g, const gemlet_grammar_room *room, gemlet_json schema, gemlet_error *error);

/* bounds.c: a number in units of 10^-fraction, at most 10^18 - 1 of them, rounded up or down; whether it was rounded. */
int64_t gemlet_read_units(gemlet_json number, unsigned fraction, bool up, bool *rounded);

/* links.c: of a table whose nodes are all compiled. */

/* Leads all that names a reference to where that ends, and the root, too: none is met any more.  False where the root leads in a
 * circle. */
bool gemlet_schema_follow_references(gemlet_grammar *g);

/* Counts for each choice how many are within each other, in `least`, and in `most` what is tried at a byte where it begins.
 * Answers why that is too much, or NULL. */
const char *gemlet_schema_count_choices(gemlet_grammar *g);

/* texts.c: whether all texts of a pattern have `least` to `most` characters. */
bool gemlet_pattern_has_lengths(const gemlet_pattern *pattern, uint32_t least, uint32_t most);

/* Whether a text of the pattern may come to where nothing but the mark of calls' strings goes on, which no string has in it.  Never
 * false where one does. */
bool gemlet_pattern_forces_mark(const gemlet_grammar *g, const gemlet_pattern *pattern);

/* depths.c: finds out how many frames the values of each node need, of a table whose references were followed and whose choices
 * were counted.  False where the root has none that ends within GEMLET_GRAMMAR_DEPTH. */
bool gemlet_schema_measure_depths(gemlet_grammar *g);

#endif
