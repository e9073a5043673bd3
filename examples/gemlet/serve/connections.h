/* Connections and their time: what must have come or gone by when.  A connection that is late is shut, and its thread sees that
 * the other side is gone. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_CONNECTIONS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_CONNECTIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct connection {
    int socket;
    uint64_t deadline; /* nanoseconds, as the port's time */
    bool used;
} connection;

typedef struct connections {
    connection *all;
    size_t most;
    pthread_mutex_t lock;
} connections;

/* False where memory is refused. */
bool connections_open(connections *c, size_t most);
void connections_close(connections *c);

/* NULL where there are too many.  The socket must stay open until the connection is removed. */
connection *connections_add(connections *c, int socket, uint64_t deadline);
void connections_remove(connections *c, connection *one);
void connections_extend(connections *c, connection *one, uint64_t deadline);

/* To be called now and then. */
void connections_shut_late(connections *c, uint64_t now);

/* Whether the other side is still there. */
bool connection_is_open(const connection *one);

#endif
