/* JSON schemas, draft 2020-12, as tables of nodes. */
#ifndef GEMLET_MODEL_GRAMMAR_SCHEMA_H
#define GEMLET_MODEL_GRAMMAR_SCHEMA_H

#include "model/grammar/table.h"
#include "model/json/json.h"

/* What the table of a schema, or of a list of functions, may take at most. */
gemlet_grammar_room gemlet_schema_room(gemlet_json schema, bool functions);

/* Compiles a schema, or where g->notation is set a list of functions, into an empty table with that room. */
gemlet_status gemlet_schema_compile(gemlet_grammar *g, const gemlet_grammar_room *room, gemlet_json schema, gemlet_error *error);

/* bounds.c: a number in units of 10^-fraction, at most 10^18 - 1 of them, rounded up or down; whether it was rounded. */
int64_t gemlet_read_units(gemlet_json number, unsigned fraction, bool up, bool *rounded);

/* depths.c: finds out how many frames the values of each node need.  GEMLET_ERROR_FORMAT where the root has none that ends,
 * GEMLET_ERROR_UNSUPPORTED for choices within choices beyond GEMLET_CHOICES. */
gemlet_status gemlet_schema_measure_depths(gemlet_grammar *g, gemlet_error *error);

#endif
