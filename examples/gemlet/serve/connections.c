#include "examples/gemlet/serve/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

bool connections_open(connections *c, size_t most) {
    *c = (connections){.most = most};
    pthread_mutex_init(&c->lock, NULL);
    c->all = calloc(most, sizeof *c->all);
    return c->all != NULL;
}

void connections_close(connections *c) {
    free(c->all);
    pthread_mutex_destroy(&c->lock);
}

connection *connections_add(connections *c, int socket, uint64_t deadline) {
    connection *made = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->most && made == NULL; i++) {
        made = c->all[i].used ? NULL : &c->all[i];
    }
    if (made != NULL) {
        *made = (connection){socket, deadline, true};
    }
    pthread_mutex_unlock(&c->lock);
    return made;
}

void connections_remove(connections *c, connection *one) {
    pthread_mutex_lock(&c->lock);
    one->used = false;
    pthread_mutex_unlock(&c->lock);
}

void connections_extend(connections *c, connection *one, uint64_t deadline) {
    pthread_mutex_lock(&c->lock);
    one->deadline = deadline;
    pthread_mutex_unlock(&c->lock);
}

void connections_shut_late(connections *c, uint64_t now) {
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->most; i++) {
        if (c->all[i].used && c->all[i].deadline < now) {
            shutdown(c->all[i].socket, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

bool connection_is_open(const connection *one) {
    char next;
    ssize_t got = recv(one->socket, &next, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}
