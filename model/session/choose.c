/* How likely a session says each of the answers that are given: no sampling, and shared beginnings are computed once. */
#include <math.h>
#include <string.h>

#include "model/session/session.h"

/* A call: the choices in the order of their tokens, so that those which share a beginning stand together. */
typedef struct choosing {
    gemlet_session *session;
    const gemlet_choice *choices;
    size_t count;
    size_t *order;    /* [count] */
    float *logits;    /* [vocabulary], the session's before the call */
    double *logprobs; /* [count] */
} choosing;

static int compare(const gemlet_choice *a, const gemlet_choice *b) {
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (a->tokens[i] != b->tokens[i]) {
            return a->tokens[i] < b->tokens[i] ? -1 : 1;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

static size_t common(const gemlet_choice *a, const gemlet_choice *b) {
    size_t same = 0;
    while (same < a->count && same < b->count && a->tokens[same] == b->tokens[same]) {
        same++;
    }
    return same;
}

static void sort(const choosing *c) {
    for (size_t i = 0; i < c->count; i++) {
        size_t place = i;
        for (; place > 0 && compare(&c->choices[i], &c->choices[c->order[place - 1]]) < 0; place--) {
            c->order[place] = c->order[place - 1];
        }
        c->order[place] = i;
    }
}

static const gemlet_choice *at(const choosing *c, size_t place) {
    return &c->choices[c->order[place]];
}

/* Of `fed` tokens behind the session's own, those that the choice at `place` begins with, too. */
static size_t still_right(const choosing *c, size_t place, size_t fed) {
    return place > 0 ? gemlet_smaller(fed, common(at(c, place - 1), at(c, place))) : 0;
}

/* Logits are only needed before a choice's last token. */
static size_t tokens_to_feed(const choosing *c) {
    size_t fed = 0, total = 0;
    for (size_t i = 0; i < c->count; i++) {
        size_t right = still_right(c, i, fed), wanted = at(c, i)->count - 1;
        total += wanted > right ? wanted - right : 0;
        fed = wanted > right ? wanted : right;
    }
    return total;
}

/* log(sum(exp(logits))). */
static double log_of_sum(const float *logits, size_t count) {
    double most = (double)logits[0];
    for (size_t i = 1; i < count; i++) {
        most = fmax(most, (double)logits[i]);
    }
    double sum = exp((double)logits[0] - most);
    for (size_t i = 1; i < count; i++) {
        sum += exp((double)logits[i] - most);
    }
    return most + log(sum);
}

/* Behind the first `depth` tokens of the choice at `first`: what comes next in each from there on that begins like it. */
static void add_next(const choosing *c, size_t first, size_t depth, const float *logits, size_t vocabulary) {
    const double sum = log_of_sum(logits, vocabulary);
    for (size_t i = first; i < c->count && common(at(c, first), at(c, i)) >= depth; i++) {
        if (at(c, i)->count > depth) {
            c->logprobs[c->order[i]] += (double)logits[at(c, i)->tokens[depth]] - sum;
        }
    }
}

/* What of the choice at `place` is fed behind its first `fed` tokens. */
typedef struct run {
    const choosing *choosing;
    size_t place, fed;
} run;

static void add_row(void *context, size_t index, const float *logits, size_t count) {
    const run *r = context;
    add_next(r->choosing, r->place, r->fed + index + 1, logits, count);
}

/* The logits of all positions are wanted, of which feeding within a call computes the last alone unless it is asked for rows. */
static gemlet_status walk(const choosing *c, gemlet_error *error) {
    const size_t base = c->session->length;
    size_t fed = 0;
    gemlet_status status = GEMLET_OK;
    add_next(c, 0, 0, c->logits, c->session->model->config.vocabulary);
    for (size_t i = 0; i < c->count && status == GEMLET_OK; i++) {
        const gemlet_choice *choice = at(c, i);
        fed = still_right(c, i, fed);
        if (fed + 1 >= choice->count) {
            continue;
        }
        run r = {c, i, fed};
        status = gemlet_session_rewind(c->session, base + fed, error);
        if (status == GEMLET_OK) {
            status = gemlet_feed_with_logits(c->session, &choice->tokens[fed], choice->count - 1 - fed, add_row, &r, error);
        }
        fed = choice->count - 1;
    }
    return status;
}

static gemlet_status check_choice(const gemlet_session *s, const gemlet_choice *choice, gemlet_error *error) {
    if (choice->tokens == NULL || choice->count == 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "choices must have at least one token each");
    }
    for (size_t i = 0; i < choice->count; i++) {
        if (choice->tokens[i] >= s->model->config.vocabulary) {
            gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "a choice has the token id ");
            gemlet_error_number(error, choice->tokens[i]);
            gemlet_error_text(error, ", outside of the vocabulary's ");
            gemlet_error_number(error, s->model->config.vocabulary);
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    size_t behind = s->length + choice->count - 1; /* the last token is never fed */
    gemlet_status status = gemlet_session_check_room(s, choice->count - 1, error);
    if (status == GEMLET_OK && s->length > 0 &&
        !gemlet_text_reaches(&s->decoder, behind > s->written ? behind : s->written, s->length)) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "a choice of ");
        gemlet_error_number(error, choice->count);
        gemlet_error_text(error, " tokens is longer than the sliding windows can go back behind");
        return GEMLET_ERROR_ARGUMENT;
    }
    return status;
}

static gemlet_status check(const gemlet_session *s, const gemlet_choice *choices, size_t count, const double *logprobs,
                           const void *scratch, size_t bytes, gemlet_error *error) {
    if (count == 0 || choices == NULL || logprobs == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "there must be at least one choice, and room for its logarithm");
    }
    if (scratch == NULL || (uintptr_t)scratch % sizeof(size_t) != 0 || bytes < gemlet_choose_bytes(s, count)) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the scratch for choices must be aligned like a size_t and have ");
        gemlet_error_number(error, gemlet_choose_bytes(s, count));
        gemlet_error_text(error, " bytes");
        return GEMLET_ERROR_ARGUMENT;
    }
    if (!s->has_logits) {
        return gemlet_fail(error, GEMLET_ERROR_STATE, "there are no logits: feed at least one token first");
    }
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        status = check_choice(s, &choices[i], error);
    }
    return status;
}

size_t gemlet_choose_bytes(const gemlet_session *session, size_t count) {
    return count * sizeof(size_t) + session->model->config.vocabulary * sizeof(float);
}

gemlet_status gemlet_choose(gemlet_session *session, const gemlet_choice *choices, size_t count, double *logprobs, void *scratch,
                            size_t bytes, gemlet_error *error) {
    gemlet_status status = check(session, choices, count, logprobs, scratch, bytes, error);
    if (status != GEMLET_OK) {
        return status;
    }
    size_t *order = scratch;
    const choosing c = {session, choices, count, order, (float *)(void *)(order + count), logprobs};
    const size_t length = session->length, logits_bytes = session->model->config.vocabulary * sizeof *c.logits;
    memset(logprobs, 0, count * sizeof *logprobs);
    memcpy(c.logits, session->decoder.logits, logits_bytes);
    sort(&c);
    bool outermost = gemlet_session_begin_call(session, tokens_to_feed(&c));
    status = walk(&c, error);
    gemlet_session_end_call(session, outermost);
    session->length = length; /* the rings reach: that was checked */
    memcpy(session->decoder.logits, c.logits, logits_bytes);
    session->has_logits = true;
    return status;
}
