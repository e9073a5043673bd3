/* The sampler: logits in, one token out.
 *
 * The order of operations is that of transformers; llama.cpp differs only where it divides by the temperature last:
 *
 *   1. bias               z += bias, for each entry of the list that names the token
 *   2. repetition penalty once for each token in the history ring: z /= penalty where z > 0, z *= penalty elsewhere
 *   3. filter             tokens that the caller's filter does not allow, and those with z = -infinity, are out
 *   4. temperature        0: the token with the greatest z is the answer (greedy); else z /= temperature
 *   5. top-k              the k greatest z stay
 *   6. top-p              p = softmax(z); the shortest run from the most probable on whose sum reaches top_p stays
 *   7. min-p              tokens with p >= min_p * (the greatest p) stay
 *   8. draw               one of what stays, in proportion to p
 *
 * Of equal z the lower token comes first, everywhere.  A setting that switches a step off leaves the numbers as they were.
 *
 * The answer depends on the logits, the settings and what was sampled before, on nothing else: softmax is the scalar kernel of
 * core/real.h (no libm), sums run in a stated order, and random numbers are xoshiro256** (Blackman, Vigna: "Scrambled linear
 * pseudorandom number generators", 2021), its state filled by SplitMix64 from the seed.  Each draw takes one number, whose upper 53
 * bits are the fraction u in [0, 1); greedy sampling takes none.
 *
 * Work: one pass over the logits with a heap of k, then k log k; the filter is asked only about tokens that are above
 * the k best so far, and where it lists what it allows nothing else is looked at.
 */
#ifndef GEMLET_SAMPLER_H
#define GEMLET_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/gemlet.h>
#include <gemlet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gemlet_logit_bias {
    uint32_t token;
    float bias; /* finite, or -infinity: never this token */
} gemlet_logit_bias;

/* Whether the answer may go on with `token`.  Must give the same answer for the same token until one is sampled.  It is asked in
 * ascending order of tokens, at most once for each. */
typedef bool (*gemlet_token_filter)(void *context, uint32_t token);

/* Where few tokens are allowed: a bit for each token of the vocabulary (bit i % 64 of word i / 64), valid until one is sampled;
 * NULL where the filter shall be asked.  Both must say the same. */
typedef const uint64_t *(*gemlet_token_lister)(void *context);

typedef struct gemlet_sampler_settings {
    float temperature;          /* 0: greedy; at most 1,000,000 */
    uint32_t top_k;             /* 0: all tokens */
    float top_p;                /* above 0; 1: off */
    float min_p;                /* 0 (off) to 1 */
    float repetition_penalty;   /* above 0, at most 1,000,000; 1: off */
    uint32_t repetition_window; /* how many of the latest tokens the history ring holds */
    uint64_t seed;
    const gemlet_logit_bias *biases; /* not owned, must outlive the sampler; NULL with bias_count 0 */
    size_t bias_count;
    gemlet_token_filter allowed; /* NULL: every token is */
    gemlet_token_lister listed;  /* NULL: `allowed` is always asked */
    void *allowed_context;       /* of both */
} gemlet_sampler_settings;

/* What Gemma is meant to be sampled with: temperature 1, top-k 64, top-p 0.95; no penalty, a window of 64, seed 0. */
gemlet_sampler_settings gemlet_sampler_defaults(void);

/* The caller owns it.  Read `history` as you like: token i of all that were remembered, for the last `repetition_window` of them,
 * is history[i % repetition_window].  The other members belong to sampler.c. */
typedef struct gemlet_sampler {
    gemlet_sampler_settings settings;
    uint32_t vocabulary;
    uint32_t *history;
    uint64_t remembered; /* tokens so far */
    uint64_t random[4];
    size_t capacity;       /* of `candidates` */
    uint64_t *candidates;  /* a key each, see sampler.c */
    float *probabilities;  /* [capacity] */
    uint64_t *adjustments; /* [bias_count + repetition_window], a key each */
} gemlet_sampler;

/* Bytes of scratch that a sampler with these settings takes: 12 for each of the top k (or of the whole vocabulary), 8 for each
 * bias, 12 for each token of the window, rounded up to 8. */
size_t gemlet_sampler_bytes(const gemlet_sampler_settings *settings, uint32_t vocabulary);

/* Begins with an empty history.  `scratch`, aligned to 8 bytes, contents undefined, is the sampler's as long as it is used; the
 * settings are copied.  GEMLET_ERROR_ARGUMENT for a setting out of its range, GEMLET_ERROR_ALIGNMENT, GEMLET_ERROR_MEMORY where
 * `bytes` is less than gemlet_sampler_bytes says; the sampler must not be used then. */
gemlet_status gemlet_sampler_open(gemlet_sampler *sampler, const gemlet_sampler_settings *settings, uint32_t vocabulary,
                                  void *scratch, size_t bytes, gemlet_error *error);

/* Puts tokens into the history that were not sampled here, say those of the prompt. */
void gemlet_sampler_remember(gemlet_sampler *sampler, const uint32_t *tokens, size_t count);

/* Samples from `logits` [count], count being the vocabulary, and remembers the token.  GEMLET_ERROR_ARGUMENT where a logit is NaN
 * or +infinity or becomes that by its biases or the penalty, GEMLET_ERROR_STATE where no token is left to choose from; history and
 * random numbers are as before then. */
gemlet_status gemlet_sampler_sample(gemlet_sampler *sampler, const float *logits, size_t count, uint32_t *token,
                                    gemlet_error *error);

/* Samples the token that follows what was fed to `session`, and remembers it.  The caller feeds it back (gemlet_feed) to go on.
 * Errors as gemlet_logits and gemlet_sampler_sample. */
gemlet_status gemlet_sampler_next(gemlet_sampler *sampler, gemlet_session *session, uint32_t *token, gemlet_error *error);

/* ---- State ---- */

/* The bytes that gemlet_sampler_save writes now; and saving to / restoring from a caller's buffer of any alignment: the history and
 * the random numbers, not the settings.  A saved state fits a sampler with the same vocabulary and repetition window;
 * GEMLET_ERROR_FORMAT otherwise, and the sampler is unchanged.  Beside gemlet_session_save it makes a later answer the one that
 * would have come without stopping. */
size_t gemlet_sampler_state_bytes(const gemlet_sampler *sampler);
gemlet_status gemlet_sampler_save(const gemlet_sampler *sampler, void *buffer, size_t bytes, gemlet_error *error);
gemlet_status gemlet_sampler_restore(gemlet_sampler *sampler, const void *buffer, size_t bytes, gemlet_error *error);

#ifdef __cplusplus
}
#endif
#endif
