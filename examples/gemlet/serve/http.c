#include "examples/gemlet/serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "examples/gemlet/serve/exchange.h"
#include "examples/gemlet/serve/page.h"

enum {
    STACK_BYTES = 1 << 20,   /* of a connection's thread */
    HEADER_BYTES = 32 << 10, /* of a connection: headers, and what is read at a time */
    BLOCK_BYTES = 16 << 10,  /* that a stream writes at a time */
    OK = 200,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    NOT_FOUND = 404,
    NOT_ALLOWED = 405,
    WRONG_TYPE = 415,
    FAILED = 500,
    BUSY = 503,
    LONGEST_RETRY = 60 /* seconds */
};
#define SECOND UINT64_C(1000000000)

struct http {
    server *server;
    struct MHD_Daemon *daemon;
    bool local; /* nobody but this machine reaches it */
};

/* ---- Routes ---- */

typedef void (*route_reply)(exchange *x);

static void reply_health(exchange *x) {
    x->code = OK;
    text_buffer_add_text(&x->out, "{\"status\":\"ok\"}");
}

static void reply_models(exchange *x) {
    const text_buffer *models = &x->server->models;
    x->code = OK;
    text_buffer_add(&x->out, models->bytes, models->count);
}

static void reply_metrics(exchange *x) {
    x->code = OK;
    metrics_print(&x->server->metrics, &x->server->slots, &x->out);
}

static void reply_page(exchange *x) {
    x->code = OK;
    text_buffer_add(&x->out, (const char *)page_html, page_html_bytes);
}

static const struct route {
    const char *path, *method, *type;
    route_reply reply;
    bool open; /* to everybody, without a key */
} routes[] = {
    {"/", "GET", "text/html; charset=utf-8", reply_page, true},
    {"/health", "GET", "application/json", reply_health, true},
    {"/metrics", "GET", "text/plain; version=0.0.4; charset=utf-8", reply_metrics, false},
    {"/v1/models", "GET", "application/json", reply_models, false},
    {"/camera", "GET", "image/bmp", exchange_take_picture, false},
    {"/v1/chat/completions", "POST", "application/json", exchange_complete_chat, false},
};

static const struct route *find_route(const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* ---- Who may ask ---- */

static const char *header(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Whether "NAME:PORT" names this machine as only its own programs do: by what it listens at, too. */
static bool names_this_machine(const char *host, const char *own) {
    char address[INET6_ADDRSTRLEN + sizeof "[]"];
    bool six = strchr(own, ':') != NULL;
    snprintf(address, sizeof address, "%s%s%s", six ? "[" : "", own, six ? "]" : "");
    const char *const names[] = {"localhost", "127.0.0.1", "[::1]", address};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncasecmp(host, names[i], length) == 0 && (host[length] == ':' || host[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* A page of another site that the user looks at must not ask here in his name: neither by a request across sites, nor, where nobody
 * but this machine reaches the server, by a name of its own that suddenly leads here (DNS rebinding).  A server that others reach
 * does not know its own names, and can't tell.  Where keys are asked for, the page has none. */
static bool is_foreign(const http *h, struct MHD_Connection *c, bool open) {
    const char *host = header(c, "Host"), *origin = header(c, "Origin");
    if (h->server->keys.text != NULL) {
        return false;
    }
    if (h->local && host != NULL && !names_this_machine(host, h->server->options->host)) {
        return true;
    }
    const char *from = header(c, "Sec-Fetch-Site"); /* a browser says so of pictures, too, for which it names no origin */
    if (!open && from != NULL && strcmp(from, "cross-site") == 0) {
        return true;
    }
    static const char scheme[] = "http://";
    bool same = origin != NULL && host != NULL && strncmp(origin, scheme, sizeof scheme - 1) == 0 &&
                strcasecmp(origin + sizeof scheme - 1, host) == 0;
    return origin != NULL && !same;
}

static bool is_json(const char *type) {
    static const char json[] = "application/json";
    return type != NULL && strncasecmp(type, json, sizeof json - 1) == 0 && strchr(" ;", type[sizeof json - 1]) != NULL;
}

/* A HEAD is a GET without its body. */
static bool has_method(const struct route *r, const char *method) {
    return strcmp(r->method, method) == 0 || (strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void check(exchange *x, const http *h, struct MHD_Connection *c, const struct route *r, const char *method) {
    if (is_foreign(h, c, r != NULL && r->open)) {
        exchange_fail(x, FORBIDDEN, "this server answers programs and pages of this machine alone; --api-key-file lets others in");
    } else if (r == NULL) {
        exchange_fail(x, NOT_FOUND, "expected /v1/chat/completions, /v1/models, /camera, /health, /metrics or /");
    } else if (!r->open && !keys_allow(&h->server->keys, header(c, "Authorization"))) {
        exchange_fail(x, UNAUTHORIZED, "expected a key that this server knows: Authorization: Bearer KEY");
    } else if (!has_method(r, method)) {
        exchange_fail(x, NOT_ALLOWED, "this path has another method");
    } else if (strcmp(r->method, "POST") == 0 && !is_json(header(c, "Content-Type"))) {
        exchange_fail(x, WRONG_TYPE, "expected Content-Type: application/json");
    }
}

/* ---- Replies ---- */

/* What stands in the way of anything but this page, and of this page doing anything but asking this server. */
static const char policy[] = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; "
                             "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* About as long as until a slot is free: the mean of what answers took so far, between the slots. */
static unsigned retry_after(server *s) {
    metrics *m = &s->metrics;
    uint64_t answers = atomic_load(&m->answers);
    uint64_t mean = answers > 0 ? (atomic_load(&m->time_in) + atomic_load(&m->time_out)) / answers / s->slots.count : 0;
    uint64_t seconds = (mean + SECOND - 1) / SECOND;
    return seconds < 1 ? 1 : seconds > LONGEST_RETRY ? LONGEST_RETRY : (unsigned)seconds;
}

static void add_headers(const exchange *x, const struct route *r, struct MHD_Response *response) {
    bool failed = x->code != OK;
    const char *type = x->streams ? "text/event-stream" : failed || r == NULL ? "application/json" : r->type;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (r != NULL && r->reply == reply_page) {
        MHD_add_response_header(response, "Content-Security-Policy", policy);
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    }
    if (x->width > 0) {
        char sides[32];
        snprintf(sides, sizeof sides, "%ux%u", (unsigned)x->width, (unsigned)x->height);
        MHD_add_response_header(response, "X-Picture-Size", sides);
    }
    if (x->code == BUSY) {
        char number[16];
        snprintf(number, sizeof number, "%u", retry_after(x->server));
        MHD_add_response_header(response, "Retry-After", number);
    }
    if (x->code == NOT_ALLOWED && r != NULL) {
        MHD_add_response_header(response, "Allow", has_method(r, "HEAD") ? "GET, HEAD" : r->method);
    }
    if (x->code == UNAUTHORIZED) {
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    }
}

/* As much of the stream as is there, or comes next. */
static ssize_t read_stream(void *context, uint64_t at, char *buffer, size_t most) {
    exchange *x = context;
    (void)at;
    while (x->out.count == 0) {
        if (x->ended) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (!exchange_advance(x)) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    size_t count = x->out.count < most ? x->out.count : most;
    memcpy(buffer, x->out.bytes, count);
    text_buffer_drop(&x->out, count);
    return (ssize_t)count;
}

static enum MHD_Result send_reply(exchange *x, const struct route *r, struct MHD_Connection *c) {
    if (x->out.failed) {
        return MHD_NO;
    }
    struct MHD_Response *response =
        x->streams ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, x, NULL)
                   : MHD_create_response_from_buffer(x->out.count, x->out.bytes, MHD_RESPMEM_PERSISTENT); /* until it is sent */
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(x, r, response);
    enum MHD_Result result = MHD_queue_response(c, x->code, response);
    MHD_destroy_response(response);
    metrics_count_reply(&x->server->metrics, x->code);
    return result;
}

/* ---- What libmicrohttpd calls ---- */

static connection *connection_of(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* Called when the headers are there, then for each piece of the body, then at its end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *c, const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_bytes, void **state) {
    const http *h = context;
    exchange *x = *state;
    const struct route *r = find_route(path);
    (void)version;
    if (x == NULL) {
        connection *one = connection_of(c);
        x = one != NULL ? exchange_open(h->server, one) : NULL;
        *state = x;
        if (x == NULL) {
            return MHD_NO;
        }
        x->path = r != NULL ? r->path : "?";
        check(x, h, c, r, method);
        return MHD_YES;
    }
    if (*upload_bytes > 0) {
        exchange_receive(x, upload, *upload_bytes);
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (x->code == 0 && r != NULL) {
        r->reply(x);
    }
    return send_reply(x, r, c);
}

static void log_reply(const exchange *x) {
    const completion *c = &x->completion;
    fprintf(stderr, "gemlet: %s: status %u, prompt %zu positions and %zu kept, answer %zu tokens, %.3f s\n", x->path, x->code,
            c->fed, c->kept, c->tokens, (double)(server_time(x->server) - x->started) * 1e-9);
}

static void complete(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    const http *h = context;
    exchange *x = *state;
    (void)c;
    (void)code;
    if (x == NULL) {
        return;
    }
    server *s = h->server;
    connections_extend(&s->connections, x->connection, server_time(s) + s->options->request_seconds * SECOND);
    if (s->options->log_requests) {
        log_reply(x);
    }
    exchange_close(x);
    *state = NULL;
}

static void notice_connection(void *context, struct MHD_Connection *c, void **socket_context,
                              enum MHD_ConnectionNotificationCode code) {
    const http *h = context;
    server *s = h->server;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        int socket = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *socket_context = connections_add(&s->connections, socket, server_time(s) + s->options->request_seconds * SECOND);
        atomic_fetch_add(&s->metrics.connections, 1);
    } else {
        if (*socket_context != NULL) {
            connections_remove(&s->connections, *socket_context);
        }
        atomic_fetch_sub(&s->metrics.connections, 1);
    }
}

/* ---- Listening ---- */

typedef union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} address;

static bool parse_address(const options *o, address *a) {
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, o->host, &a->four.sin_addr) == 1) {
        a->four.sin_family = AF_INET;
        a->four.sin_port = htons((uint16_t)o->port);
        return true;
    }
    a->six.sin6_family = AF_INET6;
    a->six.sin6_port = htons((uint16_t)o->port);
    return inet_pton(AF_INET6, o->host, &a->six.sin6_addr) == 1;
}

static bool is_local(const address *a) {
    return a->any.sa_family == AF_INET ? ntohl(a->four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
                                       : IN6_IS_ADDR_LOOPBACK(&a->six.sin6_addr);
}

static struct MHD_Daemon *listen_at(http *h, const address *a) {
    const options *o = h->server->options;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC;
    flags |= a->any.sa_family == AF_INET6 ? (unsigned)MHD_USE_IPv6 : 0u;
    return MHD_start_daemon(flags, 0, NULL, NULL, handle, h, MHD_OPTION_SOCK_ADDR, &a->any, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)o->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, complete, h,
                            MHD_OPTION_NOTIFY_CONNECTION, notice_connection, h, MHD_OPTION_END);
}

http *http_start(server *s, gemlet_error *error) {
    address a;
    http *h = calloc(1, sizeof *h);
    if (h == NULL) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the server");
        return NULL;
    }
    h->server = s;
    if (!parse_address(s->options, &a)) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "option --host: expected an IPv4 or IPv6 address, found \"");
        gemlet_error_text(error, s->options->host);
        gemlet_error_text(error, "\"");
        free(h);
        return NULL;
    }
    h->local = is_local(&a);
    errno = 0;
    h->daemon = listen_at(h, &a);
    if (h->daemon == NULL) {
        gemlet_fail(error, GEMLET_ERROR_IO, "can't listen on port ");
        gemlet_error_number(error, s->options->port);
        gemlet_error_text(error, ": ");
        gemlet_error_text(error, errno != 0 ? strerror(errno) : "the system refuses");
        free(h);
        return NULL;
    }
    return h;
}

unsigned http_port(const http *h) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

bool http_is_local(const http *h) {
    return h->local;
}

void http_stop(http *h) {
    MHD_stop_daemon(h->daemon);
    free(h);
}
