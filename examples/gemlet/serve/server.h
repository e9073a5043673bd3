/* What all connections share, constant while the server runs but for the counters and the slots' own state. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_SERVER_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_SERVER_H

#include <stdatomic.h>

#include "examples/gemlet/options.h"
#include "examples/gemlet/serve/connections.h"
#include "examples/gemlet/serve/keys.h"
#include "examples/gemlet/serve/metrics.h"
#include "examples/gemlet/serve/request.h"
#include "examples/gemlet/serve/slots.h"
#include "examples/gemlet/serve/viewfinder.h"

enum { SERVER_MODEL_BYTES = 128 };

typedef struct server {
    const options *options;
    slots slots;
    form_words words;
    request_reader reader;
    connections connections;
    keys keys;
    metrics metrics;
    viewfinder *viewfinder;         /* NULL: no camera */
    char model[SERVER_MODEL_BYTES]; /* the file's name without its folder and ".gguf" */
    text_buffer models;             /* the reply of /v1/models */
    int64_t started;                /* seconds since 1970 */
    atomic_size_t body_bytes;       /* of requests that are being received */
    atomic_uint_least64_t requests; /* so far */
    atomic_bool stopping;
} server;

uint64_t server_time(const server *s); /* nanoseconds */

#endif
