#include "examples/gemlet/serve/completion.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/image.h"
#include "examples/gemlet/serve/choose.h"
#include "examples/gemlet/serve/logits.h"
#include "examples/gemlet/sound.h"
#include "examples/gemlet/turn.h"

/* ---- The prompt ---- */

static bool go_on(void *context, size_t done, size_t total) {
    const completion *c = context;
    (void)done;
    (void)total;
    return c->wanted(c->wanted_context);
}

static gemlet_status feed_sound(completion *c, const request_media *m, const options *o) {
    sound_file file;
    gemlet_status status = sound_read_bytes(&file, m->bytes, m->count, m->place, o, &c->error);
    size_t positions = gemlet_sound_soft_tokens(c->slot->session, file.count);
    c->of_sounds += positions;
    if (status == GEMLET_OK && positions == 0) {
        status = gemlet_fail(&c->error, GEMLET_ERROR_UNSUPPORTED, m->place);
        gemlet_error_text(&c->error, ": the sound is shorter or longer than the model hears");
    }
    if (status == GEMLET_OK) {
        status = request_check_room(c->request, c->of_sounds, c->slot->session, &c->error);
    }
    if (status == GEMLET_OK) {
        const gemlet_sound sound = sound_of(&file);
        status = slot_feed_sound(c->slot, m->identity, &sound, &c->error);
    }
    sound_free(&file);
    return status;
}

static gemlet_status feed_picture(completion *c, const request_media *m, const options *o) {
    char name[REQUEST_PLACE_BYTES + 16];
    image_file file;
    snprintf(name, sizeof name, "%s.image_url", m->place);
    gemlet_status status = image_read_bytes(&file, m->bytes, m->count, name, (size_t)o->image_memory * IMAGE_MEBIBYTE, &c->error);
    if (status == GEMLET_OK) {
        status = slot_feed_image(c->slot, m->identity, &file.image, &c->error);
    }
    image_free(&file);
    return status;
}

/* Decoding can't be cancelled: it is asked before. */
static gemlet_status feed_medium(completion *c, const request_media *m, const options *o) {
    if (!c->wanted(c->wanted_context)) {
        return gemlet_fail(&c->error, GEMLET_ERROR_CANCELLED, "cancelled");
    }
    return m->is_sound ? feed_sound(c, m, o) : feed_picture(c, m, o);
}

static bool is_medium(uint32_t id) {
    return id == TURN_IMAGE || id == TURN_SOUND;
}

/* From element `first` of the prompt on; pictures and sounds before it are in the session already. */
static gemlet_status feed_prompt(completion *c, size_t first, const options *o) {
    const token_list *prompt = &c->request->prompt;
    gemlet_status status = GEMLET_OK;
    size_t medium = 0;
    for (size_t i = 0; i < first; i++) {
        medium += is_medium(prompt->ids[i]);
        c->of_sounds += prompt->ids[i] == TURN_SOUND ? c->slot->positions[i] : 0;
    }
    while (first < prompt->count && status == GEMLET_OK) {
        size_t end = first;
        while (end < prompt->count && !is_medium(prompt->ids[end])) {
            end++;
        }
        status = end > first ? slot_feed(c->slot, prompt->ids + first, end - first, &c->error) : GEMLET_OK;
        if (status == GEMLET_OK && end < prompt->count) {
            status = feed_medium(c, &c->request->media[medium++], o);
        }
        first = end + 1;
    }
    return status;
}

static void remember_prompt(completion *c) {
    const token_list *prompt = &c->request->prompt;
    for (size_t i = 0; i < prompt->count; i++) {
        if (!is_medium(prompt->ids[i])) {
            gemlet_sampler_remember(&c->slot->sampler, &prompt->ids[i], 1);
        }
    }
}

/* What the request holds the answer to, in the slot's memory. */
static gemlet_status begin_form(completion *c) {
    const request *r = c->request;
    form *f = &c->slot->form;
    const char *tools = r->callable != NULL ? r->callable : r->tools;
    *f = (form){.grammar = NULL};
    if (!r->form.wanted && tools == NULL) {
        return GEMLET_OK;
    }
    gemlet_status status = form_open(f, c->words, c->slot->form_memory, c->slots->form_bytes, &c->error);
    if (status == GEMLET_OK && r->form.wanted) {
        status = form_hold(f, r->form.kind, r->form.schema, r->form.schema != NULL ? strlen(r->form.schema) : 0, &c->error);
    }
    if (status == GEMLET_OK && tools != NULL) {
        status = form_hold_calls(f, tools, strlen(tools), r->must_call, &c->error);
    }
    return status == GEMLET_OK ? form_begin(f, gemlet_model_chat(c->slots->engine.model), r->think, &c->error) : status;
}

gemlet_status completion_begin(completion *c, slots *all, slot *taken, const form_words *words, const request *r,
                               bool (*wanted)(void *), void *context, const options *o) {
    *c = (completion){.slots = all, .slot = taken, .words = words, .request = r, .wanted = wanted, .wanted_context = context};
    uint64_t started = engine_time(&all->engine);
    gemlet_sampler_settings sampling = r->sampling;
    gemlet_reply_begin(&c->reply, all->engine.tokenizer);
    gemlet_session_on_progress(taken->session, go_on, c);
    gemlet_status status = begin_form(c);
    form_ask(&taken->form, &sampling);
    if (status == GEMLET_OK) {
        status = gemlet_sampler_open(&taken->sampler, &sampling, all->engine.facts.vocabulary, taken->sampler_scratch,
                                     all->sampler_bytes, &c->error);
    }
    if (status == GEMLET_OK) {
        remember_prompt(c);
        size_t first = slot_keep(taken, r->keys, r->prompt.count);
        c->kept = slot_length(taken);
        status = feed_prompt(c, first, o);
        c->fed = slot_length(taken) > c->kept ? slot_length(taken) - c->kept : 0;
    }
    c->time_in = engine_time(&all->engine) - started;
    return status;
}

/* ---- Log probabilities ---- */

/* "token":...,"logprob":...,"bytes":[...] */
static void add_logprob(completion *c, uint32_t token, double logprob) {
    const char *text = "";
    size_t bytes = 0;
    (void)gemlet_tokenizer_text(c->slots->engine.tokenizer, token, &text, &bytes);
    text_buffer *b = &c->logprobs;
    text_buffer_add_text(b, "\"token\":");
    text_buffer_add_json(b, text, bytes);
    text_buffer_print(b, ",\"logprob\":%.6f,\"bytes\":[", logprob > -9999.0 ? logprob : -9999.0);
    for (size_t i = 0; i < bytes; i++) {
        text_buffer_print(b, "%s%u", i > 0 ? "," : "", (unsigned char)text[i]);
    }
    text_buffer_add_text(b, "]");
}

/* The likeliest tokens, of equals the lower first, as the sampler has it. */
static size_t likeliest(const float *logits, size_t count, size_t wanted, uint32_t *best) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (found == wanted && !(logits[i] > logits[best[found - 1]])) {
            continue;
        }
        size_t place = found < wanted ? found++ : found - 1;
        for (; place > 0 && logits[i] > logits[best[place - 1]]; place--) {
            best[place] = best[place - 1];
        }
        best[place] = (uint32_t)i;
    }
    return found;
}

/* Of the token that was sampled, by the model alone: before the temperature and what else the request asks of the sampler. */
static gemlet_status tell_logprobs(completion *c) {
    const float *logits = NULL;
    size_t count = 0;
    uint32_t best[REQUEST_MOST_TOP_LOGPROBS] = {0};
    gemlet_status status = gemlet_logits(c->slot->session, &logits, &count, &c->error);
    if (status != GEMLET_OK) {
        return status;
    }
    double all = logits_log_of_sum(logits, count);
    text_buffer *b = &c->logprobs;
    text_buffer_add_text(b, b->count > 0 ? ",{" : "{");
    add_logprob(c, c->last, (double)logits[c->last] - all);
    text_buffer_add_text(b, ",\"top_logprobs\":[");
    size_t found = c->request->top_logprobs > 0 ? likeliest(logits, count, c->request->top_logprobs, best) : 0;
    for (size_t i = 0; i < found; i++) {
        text_buffer_add_text(b, i > 0 ? ",{" : "{");
        add_logprob(c, best[i], (double)logits[best[i]] - all);
        text_buffer_add_text(b, "}");
    }
    text_buffer_add_text(b, "]}");
    return GEMLET_OK;
}

/* ---- The answer ---- */

/* Where in `held` a stop text begins, the first of them; held.count where none does. */
static size_t find_stop(const completion *c) {
    const text_buffer *held = &c->held;
    for (size_t at = 0; at < held->count; at++) {
        for (size_t i = 0; i < c->request->stop_count; i++) {
            size_t bytes = strlen(c->request->stops[i]);
            if (bytes <= held->count - at && memcmp(held->bytes + at, c->request->stops[i], bytes) == 0) {
                return at;
            }
        }
    }
    return held->count;
}

/* Where in `held` a stop text may have begun that is not whole yet. */
static size_t find_beginning_of_stop(const completion *c) {
    const text_buffer *held = &c->held;
    for (size_t at = 0; at < held->count; at++) {
        for (size_t i = 0; i < c->request->stop_count; i++) {
            size_t left = held->count - at;
            if (left < strlen(c->request->stops[i]) && memcmp(held->bytes + at, c->request->stops[i], left) == 0) {
                return at;
            }
        }
    }
    return held->count;
}

/* A piece of the reply to where it belongs.  True where a stop text came: nothing behind it is told. */
static bool tell(completion *c, const char *text, size_t bytes, gemlet_reply_part part) {
    if (part == GEMLET_REPLY_THOUGHT || bytes == 0) {
        text_buffer_add(&c->thoughts, text, bytes);
        return false;
    }
    if (part == GEMLET_REPLY_CALL && c->request->tools != NULL) {
        text_buffer_add(&c->call, text, bytes);
        return false;
    }
    text_buffer_add(&c->held, text, bytes);
    size_t stop = find_stop(c);
    bool stopped = stop < c->held.count;
    size_t told = stopped ? stop : find_beginning_of_stop(c);
    text_buffer_add(&c->answer, c->held.bytes, told);
    text_buffer_drop(&c->held, stopped ? c->held.count : told);
    return stopped;
}

/* ---- Calls ---- */

/* {"index":0,"id":"call_0","type":"function","function":{"name":...,"arguments":"{...}"}} */
static void add_call(completion *c, const gemlet_call *call, const char *json) {
    text_buffer *b = &c->calls;
    text_buffer_print(b, "%s{\"index\":%zu,\"id\":\"call_%016llx%02zx\",\"type\":\"function\",\"function\":{\"name\":",
                      b->count > 0 ? "," : "", c->call_count, (unsigned long long)c->request->sampling.seed, c->call_count & 255);
    text_buffer_add_json(b, call->name, call->name_bytes);
    text_buffer_add_text(b, ",\"arguments\":");
    text_buffer_add_json(b, json, call->json_bytes);
    text_buffer_add_text(b, "}}");
    c->call_count++;
}

/* What came of a call, where its end has come; what can't be read as one is part of the answer, as the model said it. */
static void end_call(completion *c) {
    enum { BYTES_OF_JSON_PER_BYTE = 6, MORE_BYTES_OF_JSON = 8 };
    size_t room = BYTES_OF_JSON_PER_BYTE * c->call.count + MORE_BYTES_OF_JSON;
    char *json = malloc(room);
    gemlet_call call;
    c->call.failed = c->call.failed || json == NULL;
    while (json != NULL && c->call.count > 0 &&
           gemlet_call_read(c->call.bytes, c->call.count, json, room, &call, NULL) == GEMLET_OK) {
        add_call(c, &call, json);
        text_buffer_drop(&c->call, call.bytes);
    }
    text_buffer_add(&c->answer, c->call.bytes, c->call.count);
    text_buffer_drop(&c->call, c->call.count);
    free(json);
}

static completion_end end_for(gemlet_status status) {
    return status == GEMLET_ERROR_CANCELLED ? COMPLETION_CANCELLED
           : status == GEMLET_ERROR_CONTEXT ? COMPLETION_LIMIT
                                            : COMPLETION_FAILED;
}

static bool out_of_memory(const completion *c) {
    return c->held.failed || c->answer.failed || c->call.failed || c->calls.failed || c->thoughts.failed || c->logprobs.failed ||
           c->choices.failed;
}

static completion_end next_token(completion *c) {
    const char *text;
    size_t bytes;
    gemlet_reply_part part = GEMLET_REPLY_ANSWER;
    const engine *e = &c->slots->engine;
    gemlet_status status = c->unfed ? slot_feed(c->slot, &c->last, 1, &c->error) : GEMLET_OK;
    if (status == GEMLET_OK && !c->wanted(c->wanted_context)) {
        status = gemlet_fail(&c->error, GEMLET_ERROR_CANCELLED, "cancelled");
    }
    if (status == GEMLET_OK) {
        c->unfed = false;
        status = gemlet_sampler_next(&c->slot->sampler, c->slot->session, &c->last, &c->error);
    }
    if (status == GEMLET_OK) {
        status = form_accept(&c->slot->form, c->last, &c->error);
    }
    if (status != GEMLET_OK) {
        return end_for(status);
    }
    if (gemlet_chat_is_end(gemlet_model_chat(e->model), e->tokenizer, c->last)) {
        return COMPLETION_STOPPED;
    }
    status = gemlet_reply_feed(&c->reply, c->last, &text, &bytes, &part);
    if (status == GEMLET_OK && c->request->logprobs && part == GEMLET_REPLY_ANSWER && c->reply.part == GEMLET_REPLY_ANSWER) {
        status = tell_logprobs(c);
    }
    if (status != GEMLET_OK) {
        return end_for(status);
    }
    c->unfed = true;
    c->tokens++;
    c->cut = tell(c, text, bytes, part);
    bool called = part == GEMLET_REPLY_CALL && c->reply.part != GEMLET_REPLY_CALL && c->request->tools != NULL;
    if (called) {
        end_call(c);
    }
    if (c->cut || (called && c->request->single_call)) {
        return COMPLETION_STOPPED;
    }
    return c->request->most_tokens > 0 && c->tokens >= c->request->most_tokens ? COMPLETION_LIMIT : COMPLETION_GOES_ON;
}

/* What was held back belongs to the answer after all, unless a stop text came. */
static void finish(completion *c) {
    const char *text;
    size_t bytes;
    gemlet_reply_part part = GEMLET_REPLY_ANSWER;
    gemlet_reply_flush(&c->reply, &text, &bytes, &part);
    if (!c->cut && !tell(c, text, bytes, part)) {
        text_buffer_add(&c->answer, c->held.bytes, c->held.count);
    }
    if (c->end == COMPLETION_STOPPED && c->call.count > 0) {
        end_call(c);
    }
}

/* The likeliest of the choices, of equals the first, is the answer. */
static completion_end choose_answer(completion *c) {
    const request *r = c->request;
    double logprobs[REQUEST_MOST_CHOICES];
    size_t best = 0;
    /* What the sampler has for the whole vocabulary is more than choosing needs, and nothing is sampled. */
    gemlet_status status = choose(c->slot, r, logprobs, c->slot->sampler_scratch, c->slots->sampler_bytes, &c->error);
    if (status != GEMLET_OK) {
        return end_for(status);
    }
    for (size_t i = 0; i < r->choice_count; i++) {
        const char *text = r->choices[i].text;
        best = logprobs[i] > logprobs[best] ? i : best;
        text_buffer_add_text(&c->choices, i > 0 ? ",{\"text\":" : "{\"text\":");
        text_buffer_add_json(&c->choices, text, strlen(text));
        text_buffer_print(&c->choices, ",\"logprob\":%.6f,\"probability\":%.9g}", logprobs[i], exp(logprobs[i]));
    }
    c->tokens = r->choices[best].tokens.count;
    text_buffer_add_text(&c->answer, r->choices[best].text);
    return COMPLETION_STOPPED;
}

completion_end completion_step(completion *c) {
    uint64_t started = engine_time(&c->slots->engine);
    const bool chooses = c->request->choice_count > 0;
    c->end = chooses ? choose_answer(c) : next_token(c);
    if (!chooses && (c->end == COMPLETION_STOPPED || c->end == COMPLETION_LIMIT)) {
        finish(c);
    }
    if (out_of_memory(c)) {
        gemlet_fail(&c->error, GEMLET_ERROR_MEMORY, "out of memory for the answer");
        c->end = COMPLETION_FAILED;
    }
    c->time_out += engine_time(&c->slots->engine) - started;
    return c->end;
}

void completion_free(completion *c) {
    if (c->slot != NULL) {
        gemlet_session_on_progress(c->slot->session, NULL, NULL);
    }
    text_buffer_free(&c->held);
    text_buffer_free(&c->answer);
    text_buffer_free(&c->thoughts);
    text_buffer_free(&c->logprobs);
    text_buffer_free(&c->call);
    text_buffer_free(&c->calls);
    text_buffer_free(&c->choices);
}
