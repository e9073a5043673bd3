/* What gemlet.h keeps opaque: a model, a session. */
#ifndef GEMLET_MODEL_SESSION_SESSION_H
#define GEMLET_MODEL_SESSION_SESSION_H

#include "model/text/decoder.h"
#include "model/vision/mobilenetv5/mobilenetv5.h"
#include <gemlet/gemlet.h>
#include <gemlet/tokenizer.h>

struct gemlet_model {
    const gemlet_port *port;
    gemlet_container container;
    gemlet_text_config config;
    gemlet_text_weights weights;
    gemlet_tokenizer tokenizer;
    gemlet_vision_config vision_config; /* block_count 0: no image encoder */
    gemlet_vision_weights vision_weights;
    gemlet_kernels kernels;
    uint64_t mapped;
};

/* The token that stands in a session's history for a soft token: equal to no id of a prompt. */
#define GEMLET_SOFT_TOKEN UINT32_MAX

struct gemlet_session {
    gemlet_model *model;
    gemlet_text_decoder decoder;
    uint32_t *history; /* [context], what stands at each position */
    size_t length;
    size_t written; /* the most positions that the rings have held since a reset: what a rewind must not go back behind */
    bool has_logits;
    gemlet_progress progress;
    void *progress_context;
    size_t call_done, call_total; /* tokens of the call that runs; total 0: none does */
    void *encoder_scratch;        /* GEMLET_ENCODER_BYTES */
    gemlet_encoder encoder;
    uint32_t *pending; /* [chunk], tokens of a text that are not fed yet */
    size_t pending_count;
    gemlet_vision vision; /* image_size 0: no images */
    float *soft_tokens;   /* [soft tokens][width] of the last image */
};

/* Options with the defaults filled in; GEMLET_ERROR_ARGUMENT names the option that is out of range. */
gemlet_status gemlet_check_options(const gemlet_options *options, const gemlet_text_config *config, gemlet_options *out,
                                   gemlet_error *error);

/* Adds to `*count` how many tokens a text has, special ones read as such. */
gemlet_status gemlet_session_count(gemlet_session *session, const char *text, size_t bytes, size_t *count, gemlet_error *error);

/* Around what feeds `total` tokens in several steps: progress is told of the whole, and logits are computed of its last token only.
 * Of calls within each other the outermost counts: begin answers whether this is it, and end wants that answer. */
bool gemlet_session_begin_call(gemlet_session *session, size_t total);
void gemlet_session_end_call(gemlet_session *session, bool outermost);

/* GEMLET_ERROR_CONTEXT where `count` positions are not left. */
gemlet_status gemlet_session_check_room(const gemlet_session *session, size_t count, gemlet_error *error);

#endif
