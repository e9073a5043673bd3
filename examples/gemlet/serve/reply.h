/* Replies as OpenAI's protocol has them: a completion as one JSON object, or as server-sent events while it is made. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_REPLY_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_REPLY_H

#include <stdint.h>

#include "examples/gemlet/serve/completion.h"
#include "examples/gemlet/serve/text_buffer.h"

enum { REPLY_ID_BYTES = 40 };

/* What every part of a reply begins with. */
typedef struct reply_head {
    const char *model;
    char id[REPLY_ID_BYTES];
    int64_t created; /* seconds since 1970 */
} reply_head;

/* The whole of a completion that has ended. */
void reply_whole(text_buffer *out, const reply_head *head, const completion *c);

/* Events: the first, one for what came since the last (nothing where nothing came; answer, thoughts and logprobs of `c` are empty
 * afterwards), and those that end the stream. */
void reply_first_event(text_buffer *out, const reply_head *head);
void reply_event(text_buffer *out, const reply_head *head, completion *c);
void reply_last_events(text_buffer *out, const reply_head *head, const completion *c);

/* An error as an object, and as the last event of a stream. */
void reply_error(text_buffer *out, const char *type, const char *code, const char *message);
void reply_error_event(text_buffer *out, const char *message);

#endif
