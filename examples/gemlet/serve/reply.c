#include "examples/gemlet/serve/reply.h"

#include <string.h>

/* ---- What both forms share ---- */

static void add_head(text_buffer *out, const reply_head *head, const char *object) {
    text_buffer_print(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", head->id, object,
                      (long long)head->created);
    text_buffer_add_json(out, head->model, strlen(head->model));
}

static const char *finish_reason(const completion *c) {
    return c->end == COMPLETION_LIMIT ? "length" : c->call_count > 0 ? "tool_calls" : "stop";
}

static void add_logprobs(text_buffer *out, const completion *c) {
    if (!c->request->logprobs) {
        text_buffer_add_text(out, ",\"logprobs\":null");
        return;
    }
    text_buffer_add_text(out, ",\"logprobs\":{\"content\":[");
    text_buffer_add(out, c->logprobs.bytes, c->logprobs.count);
    text_buffer_add_text(out, "],\"refusal\":null}");
}

static void add_usage(text_buffer *out, const completion *c) {
    size_t in = c->kept + c->fed;
    text_buffer_print(out, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,", in, c->tokens,
                      in + c->tokens);
    text_buffer_print(out, "\"prompt_tokens_details\":{\"cached_tokens\":%zu}}", c->kept);
}

static double rate(size_t count, uint64_t nanoseconds) {
    return nanoseconds > 0 ? (double)count * 1e9 / (double)nanoseconds : 0.0;
}

/* Not OpenAI's: how long it took, under the names that llama.cpp's server gives it. */
static void add_timings(text_buffer *out, const completion *c) {
    text_buffer_print(out, ",\"timings\":{\"cache_n\":%zu,\"prompt_n\":%zu,\"prompt_ms\":%.3f,\"prompt_per_second\":%.3f,", c->kept,
                      c->fed, (double)c->time_in * 1e-6, rate(c->fed, c->time_in));
    text_buffer_print(out, "\"predicted_n\":%zu,\"predicted_ms\":%.3f,\"predicted_per_second\":%.3f}", c->tokens,
                      (double)c->time_out * 1e-6, rate(c->tokens, c->time_out));
}

/* Not OpenAI's either. */
static void add_choices(text_buffer *out, const completion *c) {
    if (c->request->choice_count > 0) {
        text_buffer_add_text(out, ",\"gemlet\":{\"choices\":[");
        text_buffer_add(out, c->choices.bytes, c->choices.count);
        text_buffer_add_text(out, "]}");
    }
}

/* Thoughts apart from the answer, as DeepSeek, llama.cpp and vLLM name them; `comma` stands before the first member, or nothing. */
static void add_texts(text_buffer *out, const completion *c, const char *comma) {
    if (c->thoughts.count > 0) {
        text_buffer_print(out, "%s\"reasoning_content\":", comma);
        text_buffer_add_json(out, c->thoughts.bytes, c->thoughts.count);
        comma = ",";
    }
    if (c->calls.count > 0) {
        text_buffer_print(out, "%s\"tool_calls\":[", comma);
        text_buffer_add(out, c->calls.bytes, c->calls.count);
        text_buffer_add_text(out, "]");
        comma = ",";
    }
    if (c->answer.count > 0 || (c->thoughts.count == 0 && c->calls.count == 0)) {
        text_buffer_print(out, "%s\"content\":", comma);
        text_buffer_add_json(out, c->answer.bytes, c->answer.count);
    }
}

/* ---- As a whole ---- */

void reply_whole(text_buffer *out, const reply_head *head, const completion *c) {
    add_head(out, head, "chat.completion");
    text_buffer_add_text(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"");
    add_texts(out, c, ",");
    if (c->answer.count == 0 && c->calls.count > 0) {
        text_buffer_add_text(out, ",\"content\":null");
    } else if (c->answer.count == 0 && c->thoughts.count > 0) {
        text_buffer_add_text(out, ",\"content\":\"\"");
    }
    text_buffer_add_text(out, ",\"refusal\":null}");
    add_logprobs(out, c);
    text_buffer_print(out, ",\"finish_reason\":\"%s\"}]", finish_reason(c));
    add_usage(out, c);
    add_timings(out, c);
    add_choices(out, c);
    text_buffer_add_text(out, "}");
}

/* ---- As events ---- */

static void begin_event(text_buffer *out, const reply_head *head) {
    text_buffer_add_text(out, "data: ");
    add_head(out, head, "chat.completion.chunk");
}

static void end_event(text_buffer *out) {
    text_buffer_add_text(out, "}\n\n");
}

void reply_first_event(text_buffer *out, const reply_head *head) {
    begin_event(out, head);
    text_buffer_add_text(out, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                              "\"finish_reason\":null}]");
    end_event(out);
}

void reply_event(text_buffer *out, const reply_head *head, completion *c) {
    if (c->answer.count == 0 && c->thoughts.count == 0 && c->calls.count == 0 && c->logprobs.count == 0) {
        return;
    }
    begin_event(out, head);
    text_buffer_add_text(out, ",\"choices\":[{\"index\":0,\"delta\":{"); /* the first event has said the role */
    add_texts(out, c, "");
    text_buffer_add_text(out, "}");
    add_logprobs(out, c);
    text_buffer_add_text(out, ",\"finish_reason\":null}]");
    end_event(out);
    text_buffer_drop(&c->answer, c->answer.count);
    text_buffer_drop(&c->thoughts, c->thoughts.count);
    text_buffer_drop(&c->calls, c->calls.count);
    text_buffer_drop(&c->logprobs, c->logprobs.count);
}

void reply_last_events(text_buffer *out, const reply_head *head, const completion *c) {
    begin_event(out, head);
    text_buffer_print(out, ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}]",
                      finish_reason(c));
    add_timings(out, c);
    add_choices(out, c);
    end_event(out);
    if (c->request->include_usage) {
        begin_event(out, head);
        text_buffer_add_text(out, ",\"choices\":[]");
        add_usage(out, c);
        end_event(out);
    }
    text_buffer_add_text(out, "data: [DONE]\n\n");
}

/* ---- Errors ---- */

void reply_error(text_buffer *out, const char *type, const char *code, const char *message) {
    text_buffer_add_text(out, "{\"error\":{\"message\":");
    text_buffer_add_json(out, message, strlen(message));
    text_buffer_print(out, ",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}", type, code);
}

void reply_error_event(text_buffer *out, const char *message) {
    text_buffer_add_text(out, "data: ");
    reply_error(out, "server_error", "failed", message);
    text_buffer_add_text(out, "\n\n");
}
