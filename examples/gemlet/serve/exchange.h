/* A request and its reply, from the first header to the last byte. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_EXCHANGE_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_EXCHANGE_H

#include "examples/gemlet/serve/reply.h"
#include "examples/gemlet/serve/server.h"

typedef struct exchange {
    server *server;
    const char *path; /* of the route, for the log; "?": none */
    connection *connection;
    uint64_t started;
    text_buffer body; /* of the request */
    unsigned code;    /* of the reply; 0: none is decided on yet */
    bool streams;     /* the reply comes from exchange_advance, behind what is in `out`; else `out` is all of it */
    bool ended;       /* nothing will be added to `out` */
    text_buffer out;
    reply_head head;
    uint32_t width, height; /* of the camera's frame */
    slot *slot;
    request request;
    completion completion;
} exchange;

/* NULL where memory is refused. */
exchange *exchange_open(server *s, connection *c);
void exchange_close(exchange *x);

/* Adds to the body; what is too much is dropped, and the reply says so. */
void exchange_receive(exchange *x, const char *bytes, size_t count);

/* Decides on a reply that is an error. */
void exchange_fail(exchange *x, unsigned code, const char *message);

/* POST /v1/chat/completions, when the body is there: decides on the reply.  A whole answer is made here; of a stream, the prompt is
 * fed here. */
void exchange_complete_chat(exchange *x);

/* GET /camera: a picture of now. */
void exchange_take_picture(exchange *x);

/* The next of a stream into `out`, or nothing and `ended`.  False where the stream broke off. */
bool exchange_advance(exchange *x);

#endif
