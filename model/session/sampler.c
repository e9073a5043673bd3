#include <gemlet/sampler.h>

#include <math.h>
#include <string.h>

#include "core/crc32.h"
#include "core/real.h"
#include "core/text.h"

/* ---- Keys: what has to be ordered is packed into integers, so that one heap orders all of it ----
 *
 * A candidate's key is greater for a greater logit and, among equals, for a lower token.
 * An adjustment's key is the token above the index of its bias, or above REPEATED, which comes last. */
enum { TOKEN_BITS = 32 };
#define LOW_BITS UINT32_MAX
#define SIGN_BIT 0x80000000u
#define REPEATED UINT32_MAX

static uint64_t candidate_key(float logit, uint32_t token) {
    float positive_zero = logit + 0.0f; /* -0 and 0 are equal, their bits are not */
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    bits = (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
    return (uint64_t)bits << TOKEN_BITS | (LOW_BITS - token);
}

static float candidate_logit(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> TOKEN_BITS);
    bits = (bits & SIGN_BIT) != 0 ? bits & ~SIGN_BIT : ~bits;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

static uint32_t candidate_token(uint64_t key) {
    return LOW_BITS - (uint32_t)(key & LOW_BITS);
}

/* ---- A heap with the least key at the root ---- */

static void sift_down(uint64_t *keys, size_t count, size_t parent) {
    uint64_t key = keys[parent];
    for (size_t child = 2 * parent + 1; child < count; child = 2 * parent + 1) {
        child += child + 1 < count && keys[child + 1] < keys[child];
        if (key <= keys[child]) {
            break;
        }
        keys[parent] = keys[child];
        parent = child;
    }
    keys[parent] = key;
}

static void make_heap(uint64_t *keys, size_t count) {
    for (size_t i = count / 2; i > 0; i--) {
        sift_down(keys, count, i - 1);
    }
}

static void sort_descending(uint64_t *keys, size_t count) {
    make_heap(keys, count);
    for (size_t end = count; end > 1; end--) {
        uint64_t least = keys[0];
        keys[0] = keys[end - 1];
        keys[end - 1] = least;
        sift_down(keys, end - 1, 0);
    }
}

/* ---- Random numbers ---- */

static uint64_t split_mix(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static uint64_t xoshiro(uint64_t state[4]) {
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

static double uniform(uint64_t state[4]) {
    return (double)(xoshiro(state) >> 11) * 0x1p-53;
}

/* ---- Opening ---- */

gemlet_sampler_settings gemlet_sampler_defaults(void) {
    return (gemlet_sampler_settings){
        .temperature = 1.0f, .top_k = 64, .top_p = 0.95f, .repetition_penalty = 1.0f, .repetition_window = 64};
}

static size_t candidate_capacity(const gemlet_sampler_settings *settings, uint32_t vocabulary) {
    if (settings->temperature == 0.0f) {
        return 1;
    }
    return settings->top_k == 0 || settings->top_k > vocabulary ? vocabulary : settings->top_k;
}

static size_t adjustment_capacity(const gemlet_sampler_settings *settings) {
    return settings->bias_count + settings->repetition_window;
}

size_t gemlet_sampler_bytes(const gemlet_sampler_settings *settings, uint32_t vocabulary) {
    size_t words = candidate_capacity(settings, vocabulary) + adjustment_capacity(settings);
    size_t halves = candidate_capacity(settings, vocabulary) + settings->repetition_window;
    return (words + (halves + 1) / 2) * sizeof(uint64_t);
}

static gemlet_status refuse_setting(const char *expected, float found, gemlet_error *error) {
    char number[GEMLET_REAL_CHARACTERS];
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, expected);
    gemlet_error_text(error, ", found ");
    gemlet_error_bytes(error, number, gemlet_text_real(number, (double)found));
    return GEMLET_ERROR_ARGUMENT;
}

static gemlet_status check_settings(const gemlet_sampler_settings *s, uint32_t vocabulary, gemlet_error *error) {
    /* Written so that NaN is refused. */
    if (!(s->temperature >= 0.0f && s->temperature <= 1e6f)) {
        return refuse_setting("temperature: expected 0 (greedy) to 1000000", s->temperature, error);
    }
    if (!(s->top_p > 0.0f && s->top_p <= 1.0f)) {
        return refuse_setting("top-p: expected more than 0 and at most 1 (off)", s->top_p, error);
    }
    if (!(s->min_p >= 0.0f && s->min_p <= 1.0f)) {
        return refuse_setting("min-p: expected 0 (off) to 1", s->min_p, error);
    }
    if (!(s->repetition_penalty > 0.0f && s->repetition_penalty <= 1e6f)) {
        return refuse_setting("repetition penalty: expected more than 0 (1: off) and at most 1000000", s->repetition_penalty,
                              error);
    }
    for (size_t i = 0; i < s->bias_count; i++) {
        if (s->biases[i].token >= vocabulary || !(s->biases[i].bias < INFINITY)) {
            gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "logit bias ");
            gemlet_error_number(error, i);
            gemlet_error_text(error, " of token ");
            gemlet_error_number(error, s->biases[i].token);
            gemlet_error_text(error, ": expected a token below ");
            gemlet_error_number(error, vocabulary);
            gemlet_error_text(error, " and a number that is finite or -infinity");
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    return GEMLET_OK;
}

static gemlet_status check_scratch(const void *scratch, size_t bytes, size_t needed, gemlet_error *error) {
    if ((uintptr_t)scratch % sizeof(uint64_t) != 0) {
        return gemlet_fail(error, GEMLET_ERROR_ALIGNMENT, "sampler: expected scratch at a multiple of 8");
    }
    if (bytes < needed) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "sampler: expected ");
        gemlet_error_number(error, needed);
        gemlet_error_text(error, " bytes of scratch, found ");
        gemlet_error_number(error, bytes);
        return GEMLET_ERROR_MEMORY;
    }
    return GEMLET_OK;
}

gemlet_status gemlet_sampler_open(gemlet_sampler *sampler, const gemlet_sampler_settings *settings, uint32_t vocabulary,
                                  void *scratch, size_t bytes, gemlet_error *error) {
    if (sampler == NULL || settings == NULL || scratch == NULL || vocabulary == 0 ||
        (settings->biases == NULL && settings->bias_count != 0) || settings->bias_count >= REPEATED) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "sampler: expected settings, a vocabulary and scratch");
    }
    gemlet_status status = check_settings(settings, vocabulary, error);
    if (status == GEMLET_OK) {
        status = check_scratch(scratch, bytes, gemlet_sampler_bytes(settings, vocabulary), error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    *sampler = (gemlet_sampler){.settings = *settings, .vocabulary = vocabulary, .candidates = scratch};
    sampler->capacity = candidate_capacity(settings, vocabulary);
    sampler->adjustments = sampler->candidates + sampler->capacity;
    /* cppcheck-suppress invalidPointerCast ; each is a piece of its own of the scratch, aligned for it */
    sampler->probabilities = (float *)(sampler->adjustments + adjustment_capacity(settings));
    /* cppcheck-suppress invalidPointerCast */
    sampler->history = (uint32_t *)(sampler->probabilities + sampler->capacity);
    uint64_t seed = settings->seed;
    for (size_t i = 0; i < 4; i++) {
        sampler->random[i] = split_mix(&seed);
    }
    return GEMLET_OK;
}

void gemlet_sampler_remember(gemlet_sampler *sampler, const uint32_t *tokens, size_t count) {
    uint32_t window = sampler->settings.repetition_window;
    for (size_t i = 0; i < count; i++, sampler->remembered++) {
        if (window != 0) {
            sampler->history[sampler->remembered % window] = tokens[i];
        }
    }
}

/* ---- Sampling ---- */

/* The adjustments of this step, in descending order; answers how many. */
static size_t list_adjustments(gemlet_sampler *s) {
    size_t count = s->settings.bias_count;
    for (size_t i = 0; i < count; i++) {
        s->adjustments[i] = (uint64_t)s->settings.biases[i].token << TOKEN_BITS | i;
    }
    if (s->settings.repetition_penalty != 1.0f) {
        uint32_t window = s->settings.repetition_window;
        uint64_t held = s->remembered < window ? s->remembered : window;
        for (uint64_t i = 0; i < held; i++) {
            s->adjustments[count++] = (uint64_t)s->history[i] << TOKEN_BITS | REPEATED;
        }
    }
    sort_descending(s->adjustments, count);
    return count;
}

/* Applies the adjustments of `token`, which are the last `*count`, and takes them off the list. */
static float adjust(const gemlet_sampler *s, size_t *count, uint32_t token, float logit) {
    bool repeated = false;
    for (; *count > 0 && s->adjustments[*count - 1] >> TOKEN_BITS == token; (*count)--) {
        uint32_t index = (uint32_t)(s->adjustments[*count - 1] & LOW_BITS);
        if (index != REPEATED) {
            logit += s->settings.biases[index].bias;
        }
        repeated = repeated || index == REPEATED;
    }
    float penalty = s->settings.repetition_penalty;
    if (!repeated) {
        return logit;
    }
    return logit > 0.0f ? logit / penalty : logit * penalty;
}

/* The token whose adjustments are last on the list of `count`; one beyond the vocabulary where there is none. */
static uint32_t next_adjusted(const gemlet_sampler *s, size_t count) {
    return count > 0 ? (uint32_t)(s->adjustments[count - 1] >> TOKEN_BITS) : s->vocabulary;
}

static void admit(gemlet_sampler *s, size_t *found, uint64_t key) {
    if (*found < s->capacity) {
        s->candidates[(*found)++] = key;
        if (*found == s->capacity) {
            make_heap(s->candidates, *found);
        }
    } else {
        s->candidates[0] = key;
        sift_down(s->candidates, *found, 0);
    }
}

/* `logit` is what came of the token's `raw` one, by its biases and then the penalty. */
static gemlet_status refuse_logit(const gemlet_sampler *s, uint32_t token, float raw, float logit, gemlet_error *error) {
    const gemlet_sampler_settings *settings = &s->settings;
    float biased = raw;
    for (size_t i = 0; i < settings->bias_count; i++) {
        biased += settings->biases[i].token == token ? settings->biases[i].bias : 0.0f;
    }
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "logit of token ");
    gemlet_error_number(error, token);
    gemlet_error_text(error, ": expected a number below infinity, found ");
    float found = raw < INFINITY ? logit : raw;
    gemlet_error_text(error, found == found ? "infinity" : "NaN");
    if (raw < INFINITY) {
        gemlet_error_text(error, biased < INFINITY ? ", which the repetition penalty made of it" : ", which its biases made of it");
    }
    return GEMLET_ERROR_ARGUMENT;
}

/* The first token from `token` on that is listed, or all are with NULL; one beyond the vocabulary where there is none. */
static uint32_t next_listed(const gemlet_sampler *s, const uint64_t *listed, uint32_t token) {
    if (listed == NULL) {
        return token;
    }
    while (token < s->vocabulary && (listed[token / 64] >> (token % 64) & 1) == 0) {
        token = listed[token / 64] >> (token % 64) == 0 ? (token / 64 + 1) * 64 : token + 1;
    }
    return token;
}

static bool is_allowed(const gemlet_sampler *s, const uint64_t *listed, uint32_t token) {
    return listed != NULL || s->settings.allowed == NULL || s->settings.allowed(s->settings.allowed_context, token);
}

/* Collects the `capacity` greatest candidates, the greatest first; `*found` gets how many there are. */
static gemlet_status select_candidates(gemlet_sampler *s, const float *logits, size_t *found, gemlet_error *error) {
    const uint64_t *listed = s->settings.listed != NULL ? s->settings.listed(s->settings.allowed_context) : NULL;
    size_t adjustments = list_adjustments(s);
    uint32_t adjusted = next_adjusted(s, adjustments);
    float least = -INFINITY; /* a later token must be above it to stay */
    *found = 0;
    for (uint32_t token = next_listed(s, listed, 0); token < s->vocabulary; token = next_listed(s, listed, token + 1)) {
        float logit = logits[token];
        while (adjusted < token) { /* not listed */
            (void)adjust(s, &adjustments, adjusted, 0.0f);
            adjusted = next_adjusted(s, adjustments);
        }
        if (token == adjusted) {
            logit = logit == logit ? adjust(s, &adjustments, token, logit) : logit;
            adjusted = next_adjusted(s, adjustments);
        }
        if (logit <= least) {
            continue;
        }
        if (!(logit < INFINITY)) {
            return refuse_logit(s, token, logits[token], logit, error);
        }
        if (is_allowed(s, listed, token)) {
            admit(s, found, candidate_key(logit, token));
            least = *found == s->capacity ? candidate_logit(s->candidates[0]) : -INFINITY;
        }
    }
    sort_descending(s->candidates, *found);
    return GEMLET_OK;
}

/* How many of the `count` candidates top-p and min-p keep; fills their probabilities, of all that top-k kept. */
static size_t keep_probable(gemlet_sampler *s, size_t count) {
    float *p = s->probabilities;
    float largest = candidate_logit(s->candidates[0]);
    for (size_t i = 0; i < count; i++) {
        /* The difference first: a logit divided by a tiny temperature may overflow. */
        p[i] = (candidate_logit(s->candidates[i]) - largest) / s->settings.temperature;
    }
    gemlet_real_kernels_scalar.softmax(p, count);
    size_t kept = count;
    if (s->settings.top_p < 1.0f) {
        double sum = p[0];
        for (kept = 1; kept < count && sum < (double)s->settings.top_p; kept++) {
            sum += p[kept];
        }
    }
    float floor = s->settings.min_p * p[0];
    while (kept > 1 && p[kept - 1] < floor) {
        kept--;
    }
    return kept;
}

/* The index of one of the `count` most probable candidates: the first at which the running sum exceeds u times the whole sum.  Both
 * are the same additions, and u < 1, so that a candidate of probability 0 is never it. */
static size_t draw(gemlet_sampler *s, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += s->probabilities[i];
    }
    double target = uniform(s->random) * sum;
    double running = s->probabilities[0];
    size_t drawn = 0;
    while (drawn + 1 < count && running <= target) {
        running += s->probabilities[++drawn];
    }
    return drawn;
}

gemlet_status gemlet_sampler_sample(gemlet_sampler *sampler, const float *logits, size_t count, uint32_t *token,
                                    gemlet_error *error) {
    if (sampler == NULL || logits == NULL || token == NULL || count != sampler->vocabulary) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "sampler: expected as many logits as the vocabulary has tokens, found ");
        gemlet_error_number(error, count);
        return GEMLET_ERROR_ARGUMENT;
    }
    size_t found;
    gemlet_status status = select_candidates(sampler, logits, &found, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (found == 0) {
        return gemlet_fail(error, GEMLET_ERROR_STATE,
                           "sampler: the filter, the biases and the logits leave no token to choose from");
    }
    size_t chosen = 0;
    if (sampler->settings.temperature > 0.0f) {
        chosen = draw(sampler, keep_probable(sampler, found));
    }
    *token = candidate_token(sampler->candidates[chosen]);
    gemlet_sampler_remember(sampler, token, 1);
    return GEMLET_OK;
}

gemlet_status gemlet_sampler_next(gemlet_sampler *sampler, gemlet_session *session, uint32_t *token, gemlet_error *error) {
    const float *logits = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_logits(session, &logits, &count, error);
    return status == GEMLET_OK ? gemlet_sampler_sample(sampler, logits, count, token, error) : status;
}

/* ---- State: a header and the part of the history that was written.  The header's CRC-32 is of all, itself being 0 there. ---- */

typedef struct sampler_state {
    char magic[8];
    uint64_t remembered, random[4];
    uint32_t vocabulary, window, crc32, unused;
} sampler_state;

static size_t history_bytes(uint64_t remembered, uint32_t window) {
    return (remembered < window ? (size_t)remembered : window) * sizeof(uint32_t);
}

size_t gemlet_sampler_state_bytes(const gemlet_sampler *sampler) {
    return sizeof(sampler_state) + history_bytes(sampler->remembered, sampler->settings.repetition_window);
}

gemlet_status gemlet_sampler_save(const gemlet_sampler *sampler, void *buffer, size_t bytes, gemlet_error *error) {
    size_t needed = gemlet_sampler_state_bytes(sampler);
    if (buffer == NULL || bytes < needed) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the buffer for the sampler's state must have ");
        gemlet_error_number(error, needed);
        gemlet_error_text(error, " bytes but has ");
        gemlet_error_number(error, buffer == NULL ? 0 : bytes);
        return GEMLET_ERROR_ARGUMENT;
    }
    sampler_state state = {.magic = "gemsampl",
                           .remembered = sampler->remembered,
                           .vocabulary = sampler->vocabulary,
                           .window = sampler->settings.repetition_window};
    memcpy(state.random, sampler->random, sizeof state.random);
    memcpy(buffer, &state, sizeof state);
    memcpy((char *)buffer + sizeof state, sampler->history, needed - sizeof state);
    state.crc32 = gemlet_crc32(0, buffer, needed);
    memcpy(buffer, &state, sizeof state);
    return GEMLET_OK;
}

gemlet_status gemlet_sampler_restore(gemlet_sampler *sampler, const void *buffer, size_t bytes, gemlet_error *error) {
    sampler_state state;
    if (buffer == NULL || bytes < sizeof state) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "not a saved sampler: too short");
    }
    memcpy(&state, buffer, sizeof state);
    if (memcmp(state.magic, "gemsampl", sizeof state.magic) != 0 || state.vocabulary != sampler->vocabulary ||
        state.window != sampler->settings.repetition_window) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the saved sampler is of another vocabulary, another window or damaged");
    }
    const unsigned char *history = (const unsigned char *)buffer + sizeof state;
    size_t held = history_bytes(state.remembered, state.window);
    uint32_t crc32 = state.crc32;
    state.crc32 = 0;
    if (bytes - sizeof state < held || gemlet_crc32(gemlet_crc32(0, &state, sizeof state), history, held) != crc32) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the saved sampler is damaged");
    }
    sampler->remembered = state.remembered;
    memcpy(sampler->random, state.random, sizeof state.random);
    memcpy(sampler->history, history, held);
    return GEMLET_OK;
}
