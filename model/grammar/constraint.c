/* The sampler's filter.
 *
 * Where few tokens begin with a byte that a reading takes, these are walked and listed.  Else a token is refused by its first byte
 * where no reading takes that, or walked.  So where most tokens are allowed, as inside
 * of a string, only those are walked that the sampler asks about, which are few.  Where many were walked in vain few are allowed:
 * then the vocabulary is walked once in its order, a beginning that can't go on with all tokens that have it, and answers are
 * looked up. */
#include <string.h>

#include "core/carver.h"
#include <gemlet/arena.h>
#include <gemlet/grammar.h>

enum { MOST_REFUSED = 4096, MOST_WALKED = 16384, MOST_LISTED = 8192, BYTES = 256 };

static void carve(gemlet_carver *carver, size_t tokens, gemlet_constraint *c) {
    c->path = gemlet_carve(carver, GEMLET_TOKEN_BYTES, sizeof *c->path);
    c->allowed = gemlet_carve(carver, (tokens + 63) / 64, sizeof *c->allowed);
}

size_t gemlet_constraint_bytes(const gemlet_tokenizer *tokenizer) {
    gemlet_carver counting = {NULL, 0};
    gemlet_constraint c;
    carve(&counting, gemlet_tokenizer_count(tokenizer), &c);
    return counting.used;
}

gemlet_status gemlet_constraint_begin(gemlet_constraint *constraint, const gemlet_grammar *grammar, const gemlet_token_order *order,
                                      const gemlet_chat_format *format, bool may_think, void *memory, size_t bytes,
                                      gemlet_error *error) {
    size_t needed = gemlet_constraint_bytes(order->tokenizer);
    gemlet_status status = gemlet_check_memory("constraint", memory, bytes, needed, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_carver carver = {memory, 0};
    *constraint = (gemlet_constraint){.grammar = grammar, .order = order, .format = format};
    carve(&carver, gemlet_tokenizer_count(order->tokenizer), constraint);
    constraint->may_think = may_think && gemlet_chat_thinks(format);
    if (grammar != NULL) {
        gemlet_grammar_begin(grammar, &constraint->state);
    }
    return GEMLET_OK;
}

gemlet_status gemlet_constraint_hold_calls(gemlet_constraint *constraint, const gemlet_grammar *calls, bool must_call,
                                           gemlet_error *error) {
    if (!gemlet_chat_calls(constraint->format)) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "constraint: models of this family were not made to call functions");
    }
    constraint->calls = calls;
    constraint->must_call = must_call;
    return GEMLET_OK;
}

/* What holds the next token's text; NULL: nothing does. */
static const gemlet_grammar *holding(const gemlet_constraint *c) {
    return c->is_calling ? c->calls : c->grammar;
}

/* Whether the first call is still to come, and nothing may come before it. */
static bool awaits_call(const gemlet_constraint *c) {
    return c->must_call && !c->is_calling && !c->has_called;
}

static bool is_free(const gemlet_constraint *c) {
    return c->is_thinking || (holding(c) == NULL && !awaits_call(c));
}

static bool has_bit(const uint64_t *bits, size_t i) {
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void set_bit(uint64_t *bits, size_t i) {
    bits[i / 64] |= (uint64_t)1 << (i % 64);
}

/* Finds out which bytes may come first. */
static void prepare(gemlet_constraint *c) {
    memset(c->first_bytes, 0, sizeof c->first_bytes);
    c->beginning = 0;
    for (size_t byte = 0; byte < GEMLET_GRAMMAR_QUOTE && !awaits_call(c); byte++) {
        if (gemlet_grammar_advance(holding(c), &c->state, (unsigned char)byte, &c->path[0])) {
            set_bit(c->first_bytes, byte);
            c->beginning += c->order->begins[byte + 1] - c->order->begins[byte];
        }
    }
    c->refused = c->walked = 0;
    c->is_listed = false;
    c->is_prepared = true;
}

/* Walks a text's bytes from number `from` on, those before being on the path; answers how many of all may come.  The byte that
 * stands for a mark is none of a text's. */
static size_t walk(const gemlet_constraint *c, const char *text, size_t from, size_t bytes) {
    size_t i = from;
    while (i < bytes && (unsigned char)text[i] != GEMLET_GRAMMAR_QUOTE &&
           gemlet_grammar_advance(holding(c), i == 0 ? &c->state : &c->path[i - 1], (unsigned char)text[i], &c->path[i])) {
        i++;
    }
    return i;
}

/* Of tokens [first, end) in order, those whose bytes may come.  A token shares its first bytes with the one before it, whose path
 * is still there. */
static void list_range(gemlet_constraint *c, uint32_t first, uint32_t end) {
    const gemlet_token_order *order = c->order;
    size_t walked = 0; /* bytes of the token before that may come */
    for (uint32_t i = first; i < end; i++) {
        const char *text = NULL;
        size_t bytes = 0;
        uint32_t token = order->tokens[i];
        if (order->shared[i] > walked) {
            continue; /* it begins with what may not come */
        }
        walked = order->shared[i];
        (void)gemlet_tokenizer_text(order->tokenizer, token, &text, &bytes); /* of one that is damaged, nothing */
        walked = walk(c, text, walked, bytes);
        if (bytes > 0 && walked == bytes) {
            set_bit(c->allowed, token);
        }
    }
}

static void list(gemlet_constraint *c) {
    memset(c->allowed, 0, (c->order->token_count + 63) / 64 * sizeof *c->allowed);
    for (size_t byte = 0; byte < BYTES; byte++) {
        if (has_bit(c->first_bytes, byte)) {
            list_range(c, c->order->begins[byte], c->order->begins[byte + 1]);
        }
    }
    c->is_listed = true;
}

/* Of a token that is text. */
static bool may_come(gemlet_constraint *c, uint32_t token) {
    const char *text = NULL;
    size_t bytes = 0;
    if (!c->is_prepared) {
        prepare(c);
    }
    if (!has_bit(c->first_bytes, c->order->first_bytes[token])) {
        return false;
    }
    if ((c->refused >= MOST_REFUSED || c->walked >= MOST_WALKED) && !c->is_listed) {
        list(c);
    }
    if (c->is_listed) {
        return has_bit(c->allowed, token);
    }
    if (gemlet_tokenizer_text(c->order->tokenizer, token, &text, &bytes) != GEMLET_OK) {
        return false;
    }
    bool allowed = walk(c, text, 0, bytes) == bytes;
    c->refused += !allowed;
    c->walked++;
    return allowed;
}

static bool is_mark(const gemlet_constraint *c, uint32_t token, gemlet_special which) {
    return token == gemlet_tokenizer_special(c->order->tokenizer, which);
}

/* Of a token within a call that is no text. */
static bool goes_on_calling(const gemlet_constraint *c, uint32_t token) {
    if (is_mark(c, token, GEMLET_SPECIAL_TOOL_QUOTE)) {
        return gemlet_grammar_advance(c->calls, &c->state, GEMLET_GRAMMAR_QUOTE, &c->path[0]);
    }
    return is_mark(c, token, GEMLET_SPECIAL_END_OF_TOOL_CALL) && gemlet_grammar_is_complete(c->calls, &c->state);
}

static bool allows(gemlet_constraint *c, uint32_t token) {
    if (token >= gemlet_tokenizer_count(c->order->tokenizer)) {
        return false;
    }
    if (has_bit(c->order->is_text, token)) {
        return is_free(c) || may_come(c, token);
    }
    if (c->is_calling) {
        return goes_on_calling(c, token);
    }
    if (gemlet_chat_is_end(c->format, c->order->tokenizer, token)) {
        return gemlet_constraint_is_complete(c);
    }
    if (c->is_thinking) {
        return is_mark(c, token, GEMLET_SPECIAL_END_OF_CHANNEL);
    }
    if (c->calls != NULL && is_mark(c, token, GEMLET_SPECIAL_START_OF_TOOL_CALL)) {
        return c->grammar == NULL || !c->is_begun;
    }
    return is_free(c) || (c->may_think && !c->is_begun && is_mark(c, token, GEMLET_SPECIAL_START_OF_CHANNEL));
}

/* Where few tokens are allowed the sampler asks about the whole vocabulary: most are refused here, by their first byte. */
bool gemlet_constraint_allows(void *constraint, uint32_t token) {
    gemlet_constraint *c = constraint;
    const gemlet_token_order *order = c->order;
    if (c->is_prepared && !is_free(c) && token < order->token_count) {
        const unsigned char first = order->first_bytes[token];
        if (first != 0 && !has_bit(c->first_bytes, first)) {
            return false;
        }
    }
    return allows(c, token);
}

const uint64_t *gemlet_constraint_list(void *constraint) {
    gemlet_constraint *c = constraint;
    if (is_free(c)) {
        return NULL;
    }
    if (!c->is_prepared) {
        prepare(c);
    }
    if (c->beginning > MOST_LISTED) {
        return NULL;
    }
    if (!c->is_listed) {
        list(c);
    }
    for (int which = 0; which < GEMLET_SPECIAL_COUNT; which++) { /* those that are no text */
        uint32_t token = gemlet_tokenizer_special(c->order->tokenizer, (gemlet_special)which);
        if (token != GEMLET_NO_TOKEN && !has_bit(c->order->is_text, token) && allows(c, token)) {
            set_bit(c->allowed, token);
        }
    }
    return c->allowed;
}

/* Goes on with a mark that is allowed. */
static void accept_mark(gemlet_constraint *c, uint32_t token) {
    if (is_mark(c, token, GEMLET_SPECIAL_START_OF_CHANNEL) || is_mark(c, token, GEMLET_SPECIAL_END_OF_CHANNEL)) {
        c->is_thinking = is_mark(c, token, GEMLET_SPECIAL_START_OF_CHANNEL);
    } else if (c->is_calling && is_mark(c, token, GEMLET_SPECIAL_TOOL_QUOTE)) {
        (void)gemlet_grammar_advance(c->calls, &c->state, GEMLET_GRAMMAR_QUOTE, &c->state);
    } else if (c->is_calling) {
        c->is_calling = false;
        c->has_called = true;
        if (c->grammar != NULL) {
            gemlet_grammar_begin(c->grammar, &c->state);
        }
    } else if (c->calls != NULL && is_mark(c, token, GEMLET_SPECIAL_START_OF_TOOL_CALL)) {
        c->is_calling = true;
        gemlet_grammar_begin(c->calls, &c->state);
    }
    c->is_prepared = false;
}

gemlet_status gemlet_constraint_accept(gemlet_constraint *constraint, uint32_t token, gemlet_error *error) {
    gemlet_constraint *c = constraint;
    const char *text = NULL;
    size_t bytes = 0;
    if (!gemlet_constraint_allows(c, token)) {
        gemlet_fail(error, GEMLET_ERROR_STATE, "constraint: the answer may not go on with token ");
        gemlet_error_number(error, token);
        return GEMLET_ERROR_STATE;
    }
    if (!c->is_calling && gemlet_chat_is_end(c->format, c->order->tokenizer, token)) {
        return GEMLET_OK;
    }
    if (!has_bit(c->order->is_text, token)) {
        accept_mark(c, token);
        return GEMLET_OK;
    }
    if (is_free(c)) {
        return GEMLET_OK;
    }
    gemlet_status status = gemlet_tokenizer_text(c->order->tokenizer, token, &text, &bytes);
    if (status != GEMLET_OK) {
        return status;
    }
    if (walk(c, text, 0, bytes) == bytes) {
        c->state = c->path[bytes - 1];
    }
    c->is_begun = c->is_begun || !c->is_calling;
    c->is_prepared = false;
    return GEMLET_OK;
}

/* Behind calls an answer may end that has not begun. */
bool gemlet_constraint_is_complete(const gemlet_constraint *constraint) {
    const gemlet_constraint *c = constraint;
    if (c->is_thinking || c->is_calling || awaits_call(c)) {
        return false;
    }
    return c->grammar == NULL || (c->has_called && !c->is_begun) || gemlet_grammar_is_complete(c->grammar, &c->state);
}
