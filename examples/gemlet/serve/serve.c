/* gemlet serve: answers by OpenAI's protocol over HTTP. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/gemlet/interrupt.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/serve/http.h"
#include "examples/gemlet/serve/json.h"
#include "examples/gemlet/serve/server.h"
#include <gemlet/chat.h>

enum { WATCH_NANOSECONDS = 200000000 };

uint64_t server_time(const server *s) {
    return engine_time(&s->slots.engine);
}

/* ---- What the server is ---- */

static void name_model(server *s) {
    static const char ending[] = ".gguf";
    const char *path = s->options->model;
    const char *slash = strrchr(path, '/');
    int length = snprintf(s->model, sizeof s->model, "%s", slash != NULL ? slash + 1 : path);
    size_t bytes = length < 0 ? 0 : (size_t)length < sizeof s->model ? (size_t)length : sizeof s->model - 1;
    if (bytes > sizeof ending - 1 && strcmp(s->model + bytes - (sizeof ending - 1), ending) == 0) {
        s->model[bytes - (sizeof ending - 1)] = '\0';
    }
}

static void add_holder(text_buffer *out, const char *name, uint64_t bytes) {
    if (bytes > 0) {
        text_buffer_add_text(out, ",{\"of\":");
        text_buffer_add_json(out, name, strlen(name));
        text_buffer_print(out, ",\"bytes\":%llu}", (unsigned long long)bytes);
    }
}

/* Who holds how much of the memory that was planned. */
static void add_plan(const server *s, text_buffer *out) {
    const slots *all = &s->slots;
    const gemlet_arena *arena = &all->engine.arena;
    text_buffer_print(out, ",\"plan\":[{\"of\":\"weights, mapped\",\"bytes\":%llu}", (unsigned long long)all->engine.plan.mapped);
    for (size_t i = 0; i < arena->user_count; i++) {
        add_holder(out, arena->users[i].name, arena->users[i].peak);
    }
    add_holder(out, "other slots", (all->count - 1) * all->session_bytes);
    add_holder(out, "samplers", all->program_bytes);
    add_holder(out, "forms of answers", all->count * all->form_bytes);
    text_buffer_add_text(out, "]");
}

/* The reply of /v1/models: OpenAI's members, vLLM's for the context, and in "gemlet" what the page shows. */
static void describe(server *s) {
    const engine *e = &s->slots.engine;
    text_buffer *out = &s->models;
    text_buffer_add_text(out, "{\"object\":\"list\",\"data\":[{\"id\":");
    text_buffer_add_json(out, s->model, strlen(s->model));
    text_buffer_print(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"gemlet\",\"max_model_len\":%zu,\"gemlet\":{",
                      (long long)s->started, gemlet_session_capacity(e->session));
    text_buffer_print(out, "\"level\":\"%s\",\"threads\":%zu,\"slots\":%zu,\"context\":%zu,", e->facts.level,
                      e->port.thread_count(e->port.context), s->slots.count, gemlet_session_capacity(e->session));
    text_buffer_print(out, "\"pictures\":%s,\"sounds\":%s,\"thinks\":%s,\"camera\":%s",
                      gemlet_session_image_facts(e->session).size > 0 ? "true" : "false",
                      gemlet_session_sound_facts(e->session).longest > 0 ? "true" : "false",
                      gemlet_chat_thinks(gemlet_model_chat(e->model)) ? "true" : "false",
                      s->options->camera != NULL ? "true" : "false");
    add_plan(s, out);
    text_buffer_add_text(out, "}}]}");
}

/* ---- Running ---- */

static gemlet_status open_server(server *s, const options *o, gemlet_error *error) {
    s->options = o;
    s->started = (int64_t)time(NULL);
    if (o->api_key_file != NULL && keys_read(&s->keys, o->api_key_file, error) != GEMLET_OK) {
        return error->status;
    }
    gemlet_status status = slots_open(&s->slots, o, error);
    if (status != GEMLET_OK) {
        return status;
    }
    status = form_words_open(&s->words, s->slots.engine.tokenizer, error);
    if (status == GEMLET_ERROR_UNSUPPORTED) { /* told to who asks for a form */
        form_words_close(&s->words);
    } else if (status != GEMLET_OK) {
        return status;
    }
    s->reader =
        (request_reader){.options = o, .model = s->slots.engine.model, .session = s->slots.engine.session, .words = &s->words};
    if (!media_draw_key(&s->reader.key)) {
        return gemlet_fail(error, GEMLET_ERROR_IO, "the system gives no random numbers");
    }
    name_model(s);
    describe(s);
    if (o->camera != NULL && (s->viewfinder = viewfinder_open(o, error)) == NULL) {
        return error->status;
    }
    if (!connections_open(&s->connections, o->connections) || s->models.failed) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the server");
    }
    return GEMLET_OK;
}

static void close_server(server *s) {
    viewfinder_close(s->viewfinder);
    form_words_close(&s->words);
    slots_close(&s->slots);
    connections_close(&s->connections);
    keys_free(&s->keys);
    text_buffer_free(&s->models);
}

static void announce(const server *s, const http *h) {
    const options *o = s->options;
    bool six = strchr(o->host, ':') != NULL;
    if (o->api_key_file == NULL && !http_is_local(h)) {
        fputs("gemlet: whoever reaches this address may ask: --api-key-file asks for a key\n", stderr);
    }
    printf("listening on http://%s%s%s:%u\n", six ? "[" : "", o->host, six ? "]" : "", http_port(h));
    fflush(stdout);
}

static int serve(server *s, gemlet_error *error) {
    const struct timespec pause = {0, WATCH_NANOSECONDS};
    http *h = http_start(s, error);
    if (h == NULL) {
        return program_fail(error);
    }
    announce(s, h);
    while (!interrupt_seen()) {
        nanosleep(&pause, NULL);
        connections_shut_late(&s->connections, server_time(s));
    }
    atomic_store(&s->stopping, true);
    http_stop(h);
    return 0;
}

int command_serve(int argc, char **argv) {
    options o;
    int code;
    gemlet_error error = {GEMLET_OK, ""};
    if (!options_parse(&o, OPTIONS_SERVE, argc, argv, &code)) {
        return code;
    }
    server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        fputs("gemlet: out of memory for the server\n", stderr);
        return 1;
    }
    json_begin();
    interrupt_catch_all();
    code = open_server(s, &o, &error) == GEMLET_OK ? serve(s, &error) : program_fail(&error);
    close_server(s);
    free(s);
    return code;
}
