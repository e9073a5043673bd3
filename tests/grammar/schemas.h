/* Lists of schemas: lines whose first character says what they are. */
#ifndef GEMLET_TESTS_GRAMMAR_SCHEMAS_H
#define GEMLET_TESTS_GRAMMAR_SCHEMAS_H

/* `mark` is a line's first character, `text` what stands behind it, which may be written to. */
typedef void visit_line(void *context, char mark, char *text);

/* Each line of a file in turn; fails the test where there is none. */
void each_line(const char *path, visit_line *visit, void *context);

/* Those of schemas and texts that make_schemas.py writes. */
void schemas_each_line(visit_line *visit, void *context);

#endif
