/* HTTP: connections in, routes, replies out, by GNU libmicrohttpd, a thread a connection. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_HTTP_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_HTTP_H

#include "examples/gemlet/serve/server.h"

typedef struct http http;

/* Listens as the options say.  NULL and a message where that can't be. */
http *http_start(server *s, gemlet_error *error);
unsigned http_port(const http *h);
bool http_is_local(const http *h); /* nobody but this machine reaches it */

/* Ends all connections and their answers. */
void http_stop(http *h);

#endif
