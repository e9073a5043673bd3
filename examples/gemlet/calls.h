/* The calls of one answer, and what the functions answer to them. */
#ifndef GEMLET_EXAMPLES_GEMLET_CALLS_H
#define GEMLET_EXAMPLES_GEMLET_CALLS_H

#include "examples/gemlet/tokens.h"
#include <gemlet/chat.h>
#include <gemlet/gemlet.h>

enum { CALLS_MOST = 16 };

typedef struct call_entry {
    char *name, *arguments; /* the latter JSON; ours */
    char *response;         /* {"name": ..., "response": ...}; NULL: it waits for one; ours */
} call_entry;

typedef struct call_list {
    call_entry entries[CALLS_MOST];
    size_t count;
    size_t answered; /* of them, the first ones */
} call_list;

/* Takes the calls out of an answer's text as gemlet_reply gives it.  GEMLET_ERROR_FORMAT for what is none; none is kept then. */
gemlet_status calls_read(call_list *list, const char *text, size_t bytes, gemlet_error *error);
void calls_forget(call_list *list);

/* "NAME JSON" of the first that waits for an answer, as a line; nothing where none does. */
void calls_print_next(const call_list *list);

/* The answer to it: JSON.  Refused where it is none; the same call waits then. */
gemlet_status calls_answer(call_list *list, const gemlet_model *model, const char *json, gemlet_error *error);

/* The last answer was none: its call waits again. */
void calls_take_back(call_list *list);

/* All answers as the next prompt, behind the reply that called. */
gemlet_status calls_append(const call_list *list, const gemlet_model *model, token_list *prompt, gemlet_error *error);

#endif
