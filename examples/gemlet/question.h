/* A prompt that is asked again and again, about another picture or sound each time.  What stands before that is the same for each,
 * so its keys and values stay in the session, which goes back to there before the next one. */
#ifndef GEMLET_EXAMPLES_GEMLET_QUESTION_H
#define GEMLET_EXAMPLES_GEMLET_QUESTION_H

#include "examples/gemlet/answer.h"
#include "examples/gemlet/turn.h"

typedef struct question {
    token_list prompt;
    size_t head; /* tokens of the prompt before the slot */
    bool head_fed;
} question;

/* The first turn of a conversation, `text` with a slot for one picture or sound.  To be freed in any case. */
gemlet_status question_make(question *q, answerer *a, const char *text, turn_slots slots);
void question_free(question *q);

/* Brings the session to where the picture or sound stands.  What it held before is kept as far as possible. */
gemlet_status question_begin(question *q, answerer *a);

/* Feeds what stands behind it: the answer comes next. */
gemlet_status question_end(const question *q, answerer *a);

#endif
