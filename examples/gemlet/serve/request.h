/* A request for a chat completion: JSON in, messages, pictures, sounds and settings out. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_REQUEST_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_REQUEST_H

#include "examples/gemlet/form.h"
#include "examples/gemlet/options.h"
#include "examples/gemlet/serve/media.h"
#include "examples/gemlet/sound.h"
#include "examples/gemlet/tokens.h"
#include <gemlet/gemlet.h>
#include <gemlet/sampler.h>

enum { REQUEST_MOST_MEDIA = 16, REQUEST_MOST_STOPS = 8, REQUEST_MOST_TOP_LOGPROBS = 20, REQUEST_MOST_CHOICES = 32 };

/* A picture (still in its file's format, to be decoded when its turn comes) or a sound (decoded). */
typedef struct request_media {
    uint8_t *picture;
    size_t picture_bytes;
    sound_file sound;
    uint64_t identity;
    bool is_sound;
} request_media;

/* An answer that the model is to choose among others. */
typedef struct request_choice {
    char *text; /* ours */
    token_list tokens;
} request_choice;

/* Whether the model is to call a function. */
typedef enum request_calls {
    REQUEST_CALLS_NONE, /* it can't */
    REQUEST_CALLS_AUTO, /* as it likes */
    REQUEST_CALLS_ONE   /* its answer begins with a call: `call_start` */
} request_calls;

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
    size_t positions; /* that the prompt takes, at most */
    gemlet_sampler_settings sampling;
    char *stops[REQUEST_MOST_STOPS];
    size_t stop_count;
    request_choice choices[REQUEST_MOST_CHOICES];
    size_t choice_count; /* 0: the model says what it likes */
    char *tools;         /* a JSON list of functions; NULL: none; ours */
    request_calls calls;
    char *call_start; /* what a call begins with that the answer must make: "call:", or with a function's name "call:NAME{"; ours */
    bool single_call; /* the answer ends with its first call */
    form *form;       /* of the answer; NULL: it may say what it likes; ours */
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

#endif
