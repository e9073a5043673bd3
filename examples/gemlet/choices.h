/* --choices: answers that are given, and how likely the model says each (gemlet_choose). */
#ifndef GEMLET_EXAMPLES_GEMLET_CHOICES_H
#define GEMLET_EXAMPLES_GEMLET_CHOICES_H

#include "examples/gemlet/engine.h"
#include "examples/gemlet/tokens.h"

enum { CHOICES_MOST = 32 };

typedef struct choices {
    const char *texts[CHOICES_MOST]; /* into the option's value */
    size_t bytes[CHOICES_MOST];
    gemlet_choice list[CHOICES_MOST]; /* into `tokens` */
    double logprobs[CHOICES_MOST];
    size_t count; /* 0: none are given, the model says what it wants */
    token_list tokens;
    void *scratch; /* gemlet_choose_bytes, ours */
} choices;

/* Takes "a|b|c" apart; `text` must outlive it, NULL: no choices.  GEMLET_ERROR_ARGUMENT for less than two, more than CHOICES_MOST,
 * and one without text.  Must be closed in any case. */
gemlet_status choices_open(choices *c, const char *text, const engine *e, gemlet_error *error);
void choices_close(choices *c);

/* Prints the likeliest, a tab and its probability; or where not `one_line` all of them like that, the likeliest first, with line
 * ends between them. */
gemlet_status choices_print(choices *c, gemlet_session *session, bool one_line, gemlet_error *error);

#endif
