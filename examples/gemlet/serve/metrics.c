#include "examples/gemlet/serve/metrics.h"

void metrics_count_reply(metrics *m, unsigned code) {
    atomic_fetch_add(&m->replies[code / 100 % METRICS_CODES], 1);
}

void metrics_count_completion(metrics *m, const completion *c) {
    atomic_fetch_add(&m->answers, 1);
    atomic_fetch_add(&m->tokens_in, c->fed);
    atomic_fetch_add(&m->tokens_kept, c->kept);
    atomic_fetch_add(&m->tokens_out, c->tokens);
    atomic_fetch_add(&m->time_in, c->time_in);
    atomic_fetch_add(&m->time_out, c->time_out);
    /* Of a stream whose reader went away, or was late, while the server waited for him, nobody asks for the rest. */
    bool left = c->end == COMPLETION_GOES_ON && c->error.status == GEMLET_OK;
    if (left || c->end == COMPLETION_CANCELLED || c->error.status == GEMLET_ERROR_CANCELLED) {
        atomic_fetch_add(&m->cancelled, 1);
    }
}

static void head(text_buffer *out, const char *name, const char *type, const char *help) {
    text_buffer_print(out, "# HELP gemlet_%s %s\n# TYPE gemlet_%s ", name, help, name);
    text_buffer_print(out, "%s\n", type);
}

static void whole(text_buffer *out, const char *name, const char *type, const char *help, uint64_t value) {
    head(out, name, type, help);
    text_buffer_print(out, "gemlet_%s %llu\n", name, (unsigned long long)value);
}

static void seconds(text_buffer *out, const char *name, const char *help, uint64_t nanoseconds) {
    head(out, name, "counter", help);
    text_buffer_print(out, "gemlet_%s %.6f\n", name, (double)nanoseconds * 1e-9);
}

static void memory(text_buffer *out, const slots *s) {
    const gemlet_memory_plan *plan = &s->engine.plan;
    head(out, "memory_bytes", "gauge", "Planned when the server started.");
    text_buffer_print(out, "gemlet_memory_bytes{of=\"weights\"} %llu\n", (unsigned long long)plan->mapped);
    text_buffer_print(out, "gemlet_memory_bytes{of=\"first_slot\"} %zu\n", plan->arena);
    text_buffer_print(out, "gemlet_memory_bytes{of=\"other_slots\"} %zu\n", (s->count - 1) * s->session_bytes);
    text_buffer_print(out, "gemlet_memory_bytes{of=\"program\"} %zu\n", s->program_bytes);
    text_buffer_print(out, "gemlet_memory_bytes{of=\"forms\"} %zu\n", s->count * s->form_bytes);
}

void metrics_print(metrics *m, slots *s, text_buffer *out) {
    head(out, "replies_total", "counter", "HTTP replies, by the first digit of their status.");
    for (unsigned digit = 2; digit < METRICS_CODES; digit++) {
        text_buffer_print(out, "gemlet_replies_total{status=\"%uxx\"} %llu\n", digit,
                          (unsigned long long)atomic_load(&m->replies[digit]));
    }
    whole(out, "answers_total", "counter", "Requests that got a slot.", atomic_load(&m->answers));
    whole(out, "busy_total", "counter", "Requests that found no slot free.", atomic_load(&m->busy));
    whole(out, "cancelled_total", "counter", "Answers that ended because the client went away, or for their time limit.",
          atomic_load(&m->cancelled));
    whole(out, "prompt_tokens_total", "counter", "Positions of prompts that were computed.", atomic_load(&m->tokens_in));
    whole(out, "prompt_tokens_kept_total", "counter", "Positions of prompts that a slot held already.",
          atomic_load(&m->tokens_kept));
    whole(out, "answer_tokens_total", "counter", "Tokens of answers.", atomic_load(&m->tokens_out));
    seconds(out, "prompt_seconds_total", "Time that prompts took.", atomic_load(&m->time_in));
    seconds(out, "answer_seconds_total", "Time that answers took.", atomic_load(&m->time_out));
    whole(out, "slots", "gauge", "Answers that can be made at the same time.", s->count);
    whole(out, "slots_busy", "gauge", "Of them, those that are being made.", slots_busy(s));
    whole(out, "connections", "gauge", "That are open.", atomic_load(&m->connections));
    memory(out, s);
}
