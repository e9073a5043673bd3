/* gemlet: Gemma-class vision-language models on ARM boards, in memory that is fixed before the first inference.
 *
 *     gemlet_plan       reads the file's header and answers how many bytes are needed
 *     gemlet_model_open keeps the model's index in the caller's arena; weights are mapped where the port can
 *     gemlet_session_open  keeps the KV cache and the scratch of a conversation in the arena
 *     gemlet_feed, gemlet_feed_text, gemlet_next   prompt in, tokens out
 *
 * Nothing is allocated after gemlet_session_open.  Every call answers a status; after an error the session is as it was before the
 * call, unless the comment says otherwise.  Nothing is global: models and sessions are independent, and several sessions may be
 * opened on and use one model at the same time, from different threads, if its port allows that (the posix port does).  One session
 * belongs to one thread; another one stops it through the progress callback, which may look at an atomic variable.
 */
#ifndef GEMLET_GEMLET_H
#define GEMLET_GEMLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/arena.h>
#include <gemlet/port.h>
#include <gemlet/status.h>
#include <gemlet/version.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gemlet_model gemlet_model;
typedef struct gemlet_session gemlet_session;

/* How keys and values are kept. */
typedef enum gemlet_cache_type {
    GEMLET_CACHE_F16,
    GEMLET_CACHE_S8 /* int8 with one scale per head and position */
} gemlet_cache_type;

/* What a model and its sessions are opened with.  Zero means the default. */
typedef struct gemlet_options {
    uint32_t context; /* positions that a session can hold; default 4,096, at most what the model was trained for */
    uint32_t
        chunk; /* tokens of a prompt that are computed together; default 64, at most 256: more is faster and takes more scratch */
    gemlet_cache_type cache; /* default GEMLET_CACHE_F16 */
    uint32_t level_limit;    /* highest gemlet_level to use plus 1; 0: whatever the CPU has.  For comparing levels */
    bool no_images;          /* leave the image encoder out: no memory for it */
    uint32_t
        image_size; /* pixels of the square that images are brought to, a multiple of 64; default what the model was made for */
    uint32_t image_tokens;  /* soft tokens that an image gives at most, where images keep their shape: Gemma 4 knows 70, 140, 280,
                               560  and 1120; default what the model was made for */
    bool no_sounds;         /* leave the sound encoder out: no memory for it */
    uint32_t sound_seconds; /* of the longest sound, at most 30 (the default), what the models were trained for */
    bool cut_sounds;        /* leave out what a sound has beyond that; else it is refused */
    bool no_skipping;       /* compute what is known not to matter (KV-shared layers of earlier tokens, zero gates): for tests */
} gemlet_options;

/* Bytes that gemlet_plan works in. */
enum { GEMLET_PLAN_WORK_BYTES = 12288 };

/* Bytes that a model with one session takes. */
typedef struct gemlet_memory_plan {
    size_t arena;         /* the buffer to hand over: kept + scratch, a multiple of GEMLET_ALIGNMENT */
    size_t persistent;    /* of it: index of the model and state of the session, without the cache */
    size_t cache;         /* of it: keys and values */
    size_t scratch;       /* of it: per call */
    uint64_t mapped;      /* weights that the port maps; in the arena (`persistent`) where it can't */
    uint64_t token_bytes; /* bytes of weights and table rows that are read to decode one token, at an empty context */
    size_t image_tokens;  /* of images that keep their shape: the most soft tokens that one gives; else 0 */
    /* Where gemlet_plan works, and nothing for the caller: there is no arena yet, and the call shall not need a large stack.  Where
     * stacks are small, keep the plan elsewhere. */
    union {
        unsigned char bytes[GEMLET_PLAN_WORK_BYTES];
        uint64_t alignment;
        void *pointer_alignment;
    } work;
} gemlet_memory_plan;

/* Fills `*plan` for the packed model at `path`.  Reads the header only.  Errors as gemlet_model_open; the numbers are unchanged
 * then. */
gemlet_status gemlet_plan(const gemlet_port *port, const char *path, const gemlet_options *options, gemlet_memory_plan *plan,
                          gemlet_error *error);

/* Opens the packed model at `path`; `*model` lives in `arena`, uses `port` and `path` (both must outlive it) and holds the file
 * open until gemlet_model_close.  `options` may be NULL.  GEMLET_ERROR_IO, GEMLET_ERROR_FORMAT, GEMLET_ERROR_UNSUPPORTED,
 * GEMLET_ERROR_MEMORY, GEMLET_ERROR_ARGUMENT; `*model` is NULL then, the file closed and the arena as it was. */
gemlet_status gemlet_model_open(const gemlet_port *port, const char *path, const gemlet_options *options, gemlet_arena *arena,
                                gemlet_model **model, gemlet_error *error);
void gemlet_model_close(gemlet_model *model);

/* Opens a session on `model`, which must outlive it.  Its memory is all taken from `arena` here, where several sessions may be:
 * each has its own scratch, in at most 3 of the GEMLET_ARENA_USERS pieces that an arena remembers.  There is nothing to close.
 * Errors as gemlet_model_open, and GEMLET_ERROR_STATE where the arena remembers no more pieces; `*session` is NULL then and the
 * arena as it was. */
gemlet_status gemlet_session_open(gemlet_model *model, const gemlet_options *options, gemlet_arena *arena, gemlet_session **session,
                                  gemlet_error *error);

/* ---- Prompt in ---- */

/* Called between chunks of a prompt with the tokens done so far and in all, and before them, behind each block of an image's
 * encoder, with the steps done so far and in all, and between the parts of a sound, 20,480 samples each, with the samples done so
 * far and in all; false cancels (GEMLET_ERROR_CANCELLED: the tokens done so far stay in the session).  Called from the session's
 * thread only. */
typedef bool (*gemlet_progress)(void *context, size_t done, size_t total);

void gemlet_session_on_progress(gemlet_session *session, gemlet_progress progress, void *context);

/* Appends `count` token ids.  GEMLET_ERROR_ARGUMENT for an id outside the vocabulary, GEMLET_ERROR_CONTEXT where they don't fit:
 * both before anything is computed.  GEMLET_ERROR_IO where the port can't read the per-layer table: the chunks done so far stay in
 * the session, as gemlet_session_length tells, and there are no logits. */
gemlet_status gemlet_feed(gemlet_session *session, const uint32_t *tokens, size_t count, gemlet_error *error);

/* Appends text, with <bos> before it where the session is empty.  `special`: whether the text of special tokens
 * ("<start_of_turn>") means the token; use false for text from outside. */
gemlet_status gemlet_feed_text(gemlet_session *session, const char *text, size_t bytes, bool special, gemlet_error *error);

/* Appends `count` soft tokens, `embeddings` being [count][width] as an encoder makes them.  With a model whose images' soft tokens
 * see each other, also those behind them (Gemma 3 with its image encoder), they are those of one image, which are computed
 * together: GEMLET_ERROR_ARGUMENT where they are more than one has, or in a session without images than its `chunk`. */
gemlet_status gemlet_feed_embeddings(gemlet_session *session, const float *embeddings, size_t count, gemlet_error *error);

/* Feeds a whole prompt, but keeps what the session already holds of its beginning: the longest common prefix stays in the cache as
 * far as the sliding windows still reach.  `*kept` (may be NULL) gets how many tokens were not computed again.  Errors as
 * gemlet_feed; but on GEMLET_ERROR_IO and GEMLET_ERROR_CANCELLED the session has been rewound already: what it held behind the
 * common prefix is lost, and the prefix and the chunks done so far stay, without logits. */
gemlet_status gemlet_feed_prompt(gemlet_session *session, const uint32_t *tokens, size_t count, size_t *kept, gemlet_error *error);

/* ---- Tokens out ---- */

/* The logits of the next token, [vocabulary], valid until the next call that feeds.  GEMLET_ERROR_STATE where nothing was fed. */
gemlet_status gemlet_logits(gemlet_session *session, const float **logits, size_t *count, gemlet_error *error);

/* As gemlet_feed, but calls `row` with the logits [vocabulary] of every token's position, in order: for evaluation. */
typedef void (*gemlet_logits_row)(void *context, size_t index, const float *logits, size_t count);
gemlet_status gemlet_feed_with_logits(gemlet_session *session, const uint32_t *tokens, size_t count, gemlet_logits_row row,
                                      void *context, gemlet_error *error);

/* ---- Answers that are given ---- */

/* An answer as tokens, at least one. */
typedef struct gemlet_choice {
    const uint32_t *tokens;
    size_t count;
} gemlet_choice;

/* Bytes of scratch that gemlet_choose takes for `count` choices. */
size_t gemlet_choose_bytes(const gemlet_session *session, size_t count);

/* `logprobs` [count] gets the natural logarithm of the probability that each choice follows what the session holds: the sum of its
 * tokens' log-softmax, whatever would stand behind it.  Nothing is sampled; a beginning that choices share is computed once, and
 * progress is told of the tokens that are computed.  `scratch`: gemlet_choose_bytes, aligned like a size_t, of the caller, unused
 * afterwards.  In any case the session's positions and logits are as before; only that a rewind may reach less far back, as after
 * feeding and going back.  GEMLET_ERROR_STATE without logits; GEMLET_ERROR_ARGUMENT for no choice, one without tokens, an id
 * outside the vocabulary, too little scratch, or a choice so long that the sliding windows could not go back (as many tokens as a
 * chunk has are never too long where nothing was rewound); GEMLET_ERROR_CONTEXT where the longest does not fit: all before anything
 * is computed.  GEMLET_ERROR_CANCELLED and GEMLET_ERROR_IO as gemlet_feed; `logprobs` is not to be used then. */
gemlet_status gemlet_choose(gemlet_session *session, const gemlet_choice *choices, size_t count, double *logprobs, void *scratch,
                            size_t bytes, gemlet_error *error);

/* ---- State ---- */

size_t gemlet_session_length(const gemlet_session *session);   /* positions used */
size_t gemlet_session_capacity(const gemlet_session *session); /* positions in all */

/* Forgets everything. */
void gemlet_session_reset(gemlet_session *session);

/* Goes back to the first `length` positions.  GEMLET_ERROR_ARGUMENT where there are fewer, GEMLET_ERROR_STATE where the sliding
 * windows no longer hold what they need; then only a reset is possible. */
gemlet_status gemlet_session_rewind(gemlet_session *session, size_t length, gemlet_error *error);

/* Makes room in a full context: keeps the first `keep` positions and the last `recent` (at least 1), and forgets those between. The
 * recent tokens are computed again behind the kept ones, so that the session is to the bit what it would be if only these tokens
 * had been fed, and so are the kept ones where the sliding windows no longer hold what they need; gemlet_session_length tells
 * afterwards how many there are, and the logits are those of the last.  GEMLET_ERROR_ARGUMENT where there are fewer positions than
 * `keep` + `recent`, GEMLET_ERROR_UNSUPPORTED where a soft token would have to be computed again: only the caller has its image or
 * sound. On GEMLET_ERROR_IO and GEMLET_ERROR_CANCELLED the chunks done so far stay, as with gemlet_feed, and the other tokens are
 * lost. */
gemlet_status gemlet_session_slide(gemlet_session *session, size_t keep, size_t recent, gemlet_error *error);

/* The bytes that gemlet_session_save writes now; and saving to / restoring from a caller's buffer of any alignment.  A saved state
 * fits a session with the same model and options; GEMLET_ERROR_FORMAT otherwise, and the session is unchanged.  Continuing after a
 * restore gives the same bits as never having stopped. */
size_t gemlet_session_state_bytes(const gemlet_session *session);
gemlet_status gemlet_session_save(const gemlet_session *session, void *buffer, size_t bytes, gemlet_error *error);
gemlet_status gemlet_session_restore(gemlet_session *session, const void *buffer, size_t bytes, gemlet_error *error);

/* ---- Facts ---- */

typedef struct gemlet_facts {
    uint32_t vocabulary, layers, width, context; /* `context`: what the model was trained for */
    const char *level;                           /* "dotprod", ... */
} gemlet_facts;

gemlet_facts gemlet_model_facts(const gemlet_model *model);

/* The tokenizer of the model (gemlet/tokenizer.h). */
struct gemlet_tokenizer;
struct gemlet_chat_format;
const struct gemlet_tokenizer *gemlet_model_tokenizer(const gemlet_model *model);

/* How the model's family writes conversations (gemlet/chat.h). */
const struct gemlet_chat_format *gemlet_model_chat(const gemlet_model *model);

#ifdef __cplusplus
}
#endif
#endif
