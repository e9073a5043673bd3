#include "examples/gemlet/serve/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    OK = 200,
    BAD_REQUEST = 400,
    NOT_FOUND = 404,
    TOO_LARGE = 413,
    FAILED = 500,
    BUSY = 503,
    UNAUTHORIZED = 401,
    MEBIBYTE = 1 << 20
};

exchange *exchange_open(server *s, connection *c) {
    exchange *x = calloc(1, sizeof *x);
    if (x != NULL) {
        x->server = s;
        x->connection = c;
        x->started = server_time(s);
    }
    return x;
}

static void forget_body(exchange *x) {
    atomic_fetch_sub(&x->server->body_bytes, x->body.count);
    text_buffer_free(&x->body);
}

/* Gives the slot back: as soon as the answer is made, however slowly it is read. */
static void leave_slot(exchange *x) {
    if (x->slot != NULL) {
        metrics_count_completion(&x->server->metrics, &x->completion);
        completion_free(&x->completion);
        slots_give_back(&x->server->slots, x->slot);
        x->slot = NULL;
    }
    request_free(&x->request);
}

void exchange_close(exchange *x) {
    leave_slot(x);
    forget_body(x);
    text_buffer_free(&x->out);
    free(x);
}

static void fail(exchange *x, unsigned code, const char *name, const char *message) {
    x->code = code;
    x->ended = true;
    x->streams = false;
    text_buffer_drop(&x->out, x->out.count);
    reply_error(&x->out, code < FAILED ? "invalid_request_error" : "server_error", name, message);
}

void exchange_fail(exchange *x, unsigned code, const char *message) {
    const char *name = code == UNAUTHORIZED ? "invalid_api_key"
                       : code == TOO_LARGE  ? "request_too_large"
                       : code == BUSY       ? "busy"
                       : code == FAILED     ? "failed"
                                            : "invalid_request";
    fail(x, code, name, message);
}

/* For what was read of the request, and for what begins with it: its fault, mostly. */
static void fail_for(exchange *x, const gemlet_error *error) {
    switch (error->status) {
    case GEMLET_ERROR_CONTEXT: fail(x, BAD_REQUEST, "context_length_exceeded", error->message); break;
    case GEMLET_ERROR_CANCELLED: exchange_fail(x, BUSY, error->message); break;
    case GEMLET_ERROR_IO:
    case GEMLET_ERROR_MEMORY:
    case GEMLET_ERROR_STATE: exchange_fail(x, FAILED, error->message); break;
    default: exchange_fail(x, BAD_REQUEST, error->message); break;
    }
}

void exchange_receive(exchange *x, const char *bytes, size_t count) {
    server *s = x->server;
    size_t most = (size_t)s->options->body_memory * MEBIBYTE;
    size_t all = most * (s->slots.count + 1); /* those that are answered, and one more: a crowd must not take all memory */
    if (x->code != 0) {
        return;
    }
    if (x->body.count + count > most) {
        forget_body(x);
        exchange_fail(x, TOO_LARGE, "the request is larger than --request-memory allows");
        return;
    }
    if (atomic_fetch_add(&s->body_bytes, count) + count > all) {
        atomic_fetch_sub(&s->body_bytes, count);
        forget_body(x);
        exchange_fail(x, BUSY, "too many large requests at the same time");
        return;
    }
    size_t before = x->body.count;
    text_buffer_add(&x->body, bytes, count);
    if (x->body.count == before) {
        atomic_fetch_sub(&s->body_bytes, count);
        exchange_fail(x, FAILED, "out of memory for the request");
    }
}

/* ---- Completions ---- */

static bool wanted(void *context) {
    const exchange *x = context;
    return !atomic_load(&x->server->stopping) && connection_is_open(x->connection);
}

static void begin_head(exchange *x) {
    server *s = x->server;
    x->head.model = s->model;
    x->head.created = (int64_t)time(NULL);
    snprintf(x->head.id, sizeof x->head.id, "chatcmpl-%llx-%llx", (unsigned long long)s->started,
             (unsigned long long)atomic_fetch_add(&s->requests, 1));
}

/* What the request is not to blame for. */
static void fail_inside(exchange *x, const gemlet_error *error) {
    exchange_fail(x, error->status == GEMLET_ERROR_CANCELLED ? BUSY : FAILED, error->message);
}

static void answer_whole(exchange *x) {
    completion *c = &x->completion;
    while (completion_step(c) == COMPLETION_GOES_ON) {
    }
    if (c->end == COMPLETION_FAILED || c->end == COMPLETION_CANCELLED) {
        fail_inside(x, &c->error);
    } else {
        reply_whole(&x->out, &x->head, c);
        x->code = OK;
        x->ended = true;
    }
    leave_slot(x);
}

void exchange_complete_chat(exchange *x) {
    server *s = x->server;
    gemlet_error error = {GEMLET_OK, ""};
    connections_extend(&s->connections, x->connection, server_time(s) + (uint64_t)s->options->answer_seconds * 1000000000u);
    gemlet_status status = request_read(&x->request, &s->reader, x->body.bytes != NULL ? x->body.bytes : "", x->body.count, &error);
    forget_body(x);
    if (status != GEMLET_OK) {
        fail_for(x, &error);
        return;
    }
    x->slot = atomic_load(&s->stopping) ? NULL : slots_take(&s->slots, x->request.keys, x->request.prompt.count);
    if (x->slot == NULL) {
        atomic_fetch_add(&s->metrics.busy, 1);
        exchange_fail(x, BUSY, "all slots are busy");
        return;
    }
    begin_head(x);
    status = completion_begin(&x->completion, &s->slots, x->slot, &s->words, &x->request, wanted, x, s->options);
    if (status != GEMLET_OK) {
        fail_for(x, &x->completion.error);
        leave_slot(x);
    } else if (x->request.stream) {
        reply_first_event(&x->out, &x->head);
        x->code = OK;
        x->streams = true;
    } else {
        answer_whole(x);
    }
}

void exchange_take_picture(exchange *x) {
    gemlet_error error = {GEMLET_OK, ""};
    if (x->server->viewfinder == NULL) {
        exchange_fail(x, NOT_FOUND, "the server was started without --camera");
    } else if (viewfinder_take(x->server->viewfinder, (viewfinder_call){wanted, x}, &x->out, &x->width, &x->height, &error) !=
               GEMLET_OK) {
        fail_inside(x, &error);
    } else {
        x->code = OK;
    }
}

bool exchange_advance(exchange *x) {
    completion *c = &x->completion;
    text_buffer_drop(&x->out, x->out.count);
    completion_end end = completion_step(c);
    reply_event(&x->out, &x->head, c);
    if (end == COMPLETION_STOPPED || end == COMPLETION_LIMIT) {
        reply_last_events(&x->out, &x->head, c);
    } else if (end == COMPLETION_FAILED) {
        reply_error_event(&x->out, c->error.message);
    }
    x->ended = end != COMPLETION_GOES_ON;
    if (x->ended) {
        leave_slot(x);
    }
    return end != COMPLETION_CANCELLED && !x->out.failed;
}
