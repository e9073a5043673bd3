/* One answer: a request's prompt is fed to a slot, then tokens come one at a time. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_COMPLETION_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_COMPLETION_H

#include "examples/gemlet/serve/request.h"
#include "examples/gemlet/serve/slots.h"
#include "examples/gemlet/serve/text_buffer.h"
#include <gemlet/chat.h>

typedef enum completion_end {
    COMPLETION_GOES_ON,
    COMPLETION_STOPPED,   /* the turn ended, or a stop text came */
    COMPLETION_LIMIT,     /* of tokens, or the context is full */
    COMPLETION_CANCELLED, /* nobody wants it any more */
    COMPLETION_FAILED     /* the message is in `error` */
} completion_end;

typedef struct completion {
    slots *slots;
    slot *slot;
    const form_words *words;
    const request *request;
    bool (*wanted)(void *context); /* asked between tokens, chunks and blocks of an encoder, by the thread that works */
    void *wanted_context;
    gemlet_reply reply;
    uint32_t last;
    bool unfed;                 /* whether `last` was told, but is not in the session yet */
    bool cut;                   /* by a stop text */
    text_buffer held;           /* the end of the answer, as far as a stop text may begin there */
    text_buffer answer;         /* what came since the caller emptied it */
    text_buffer thoughts;       /* likewise */
    text_buffer logprobs;       /* likewise: JSON objects, with commas between */
    text_buffer call;           /* of a function, as far as it came */
    text_buffer calls;          /* those that were read since the caller emptied it: JSON objects, with commas between */
    size_t call_count;          /* that were read */
    text_buffer choices;        /* JSON objects: how likely each choice of the request is */
    size_t kept, fed, tokens;   /* positions of the prompt that were there, and that were computed; tokens of the answer */
    size_t of_sounds;           /* positions that the prompt's sounds take, as far as they came */
    uint64_t time_in, time_out; /* nanoseconds */
    completion_end end;
    gemlet_error error;
} completion;

/* Takes no slot: `slot` is the caller's.  Feeds the prompt; on an error there is no answer, and only completion_free may follow. */
gemlet_status completion_begin(completion *c, slots *all, slot *taken, const form_words *words, const request *r,
                               bool (*wanted)(void *), void *context, const options *o);

/* The next token: what it adds to answer and thoughts may be nothing.  Answers how the answer ended, or that it goes on. */
completion_end completion_step(completion *c);
void completion_free(completion *c);

#endif
