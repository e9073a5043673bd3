/* A request for a chat completion: JSON in, messages, pictures, sounds and settings out. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_REQUEST_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_REQUEST_H

#include "examples/gemlet/form.h"
#include "examples/gemlet/options.h"
#include "examples/gemlet/serve/media.h"
#include "examples/gemlet/tokens.h"
#include <gemlet/gemlet.h>
#include <gemlet/sampler.h>

enum { REQUEST_MOST_MEDIA = 16, REQUEST_MOST_STOPS = 8, REQUEST_MOST_TOP_LOGPROBS = 20, REQUEST_MOST_CHOICES = 32 };
enum { REQUEST_PLACE_BYTES = 64 }; /* "messages[3].content[1]" */

/* A picture or a sound, still in its file's format: it is decoded when its turn comes. */
typedef struct request_media {
    uint8_t *bytes; /* ours */
    size_t count;
    uint64_t identity;
    bool is_sound;
    char place[REQUEST_PLACE_BYTES];
} request_media;

/* An answer that the model is to choose among others. */
typedef struct request_choice {
    char *text; /* ours */
    token_list tokens;
} request_choice;

/* What the answer is held to, compiled when it begins. */
typedef struct request_form {
    bool wanted;
    gemlet_grammar_kind kind;
    char *schema; /* JSON; NULL: there is none; ours */
} request_form;

/* What requests are read with; constant while the server runs. */
typedef struct request_reader {
    const options *options;
    const gemlet_model *model;
    const gemlet_session *session; /* of any slot: they take the same pictures and sounds */
    const form_words *words;       /* without memory: the vocabulary is not fit for forms */
    media_key key;
} request_reader;

typedef struct request {
    token_list prompt;                       /* TURN_IMAGE and TURN_SOUND stand for the next of their kind */
    uint64_t *keys;                          /* [prompt.count]: the token, or a medium's identity above all tokens */
    request_media media[REQUEST_MOST_MEDIA]; /* in the order of the prompt */
    size_t media_count;
    size_t positions; /* that the prompt takes, at most, without its sounds */
    gemlet_sampler_settings sampling;
    char *stops[REQUEST_MOST_STOPS];
    size_t stop_count;
    request_choice choices[REQUEST_MOST_CHOICES];
    size_t choice_count; /* 0: the model says what it likes */
    char *tools;         /* a JSON list of functions; NULL: none; ours */
    char *callable;      /* those of them that may be called, where they are not all; ours */
    bool must_call;
    bool single_call; /* the answer ends with its first call */
    request_form form;
    uint32_t most_tokens; /* 0: no limit but the context */
    uint32_t top_logprobs;
    bool logprobs;
    bool stream;
    bool include_usage;
    bool think;
} request;

/* Reads `count` bytes of JSON, which need not be NUL-terminated.  GEMLET_ERROR_MEMORY where the system refuses memory,
 * GEMLET_ERROR_CONTEXT where the prompt does not fit a slot; every other status is the request's fault too, and the message says of
 * which member.  `*r` must be freed in any case. */
gemlet_status request_read(request *r, const request_reader *reader, const char *bytes, size_t count, gemlet_error *error);
void request_free(request *r);

/* GEMLET_ERROR_CONTEXT where the prompt and an answer do not fit the session with sounds that take so many positions. */
gemlet_status request_check_room(const request *r, size_t of_sounds, const gemlet_session *session, gemlet_error *error);

#endif
