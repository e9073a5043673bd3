/* What gemlet.h keeps opaque: a model, a session. */
#ifndef GEMLET_MODEL_SESSION_SESSION_H
#define GEMLET_MODEL_SESSION_SESSION_H

#include <gemlet/gemlet.h>
#include <gemlet/tokenizer.h>

#include "model/family/family.h"
#include "model/text/decoder.h"

struct gemlet_model {
    const gemlet_port *port;
    gemlet_container container;
    const gemlet_family *family;
    gemlet_text_config config;
    gemlet_text_weights weights;
    gemlet_tokenizer tokenizer;
    const gemlet_image_encoder *images; /* NULL: no image encoder */
    gemlet_image_model image_model;
    uint32_t image_begin, image_end; /* the ids before and behind an image's soft tokens */
    bool hears;                      /* whether there is a sound encoder */
    gemlet_conformer_model sound_model;
    uint32_t sound_begin, sound_end; /* the ids before and behind a sound's soft tokens */
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
    gemlet_encoder *encoder;
    void *encoder_scratch; /* GEMLET_ENCODER_BYTES */
    uint32_t *pending;     /* [chunk], tokens of a text that are not fed yet */
    size_t pending_count;
    const gemlet_image_encoder *images; /* NULL: takes none */
    gemlet_image_session image;
    float *soft_tokens;  /* [most soft tokens][width] of the last image */
    bool hears, listens; /* whether it takes sounds; whether one has begun and not ended */
    bool cut_sounds;
    gemlet_conformer sound;
};

/* options.c: options with the defaults filled in; GEMLET_ERROR_ARGUMENT names the option that is out of range. */
gemlet_status gemlet_check_options(const gemlet_options *options, const gemlet_text_config *config, gemlet_options *out,
                                   gemlet_error *error);

/* model.c: fills a model whose memory the caller has.  On an error the file is closed. */
gemlet_status gemlet_model_fill(gemlet_model *model, const gemlet_port *port, const char *path, const gemlet_options *options,
                                gemlet_arena *arena, gemlet_error *error);

/* session.c: likewise a session.  A counting arena gives no memory, but counts the same. */
gemlet_status gemlet_session_fill(gemlet_session *made, gemlet_model *model, const gemlet_options *options, gemlet_arena *arena,
                                  gemlet_error *error);

/* A piece of what is fed: text, or where that is NULL a token. */
typedef struct gemlet_piece {
    const char *text;
    size_t bytes;
    uint32_t token;
} gemlet_piece;

/* Adds to `*count` how many tokens the pieces have.  `special`: whether the text of special tokens means these. */
gemlet_status gemlet_session_count(gemlet_session *session, const gemlet_piece *pieces, size_t number, bool special, size_t *count,
                                   gemlet_error *error);

/* Feeds pieces of `count` tokens in all, chunks crossing from one to the next, with <bos> before them where the session is empty
 * and there is one.  The caller has checked that there is room. */
gemlet_status gemlet_session_feed_pieces(gemlet_session *session, const gemlet_piece *pieces, size_t number, bool special,
                                         size_t count, gemlet_error *error);

/* 1 where <bos> would be put before what is fed next, else 0. */
size_t gemlet_session_begins(const gemlet_session *session);

/* Whether all that positions from `length` on see is still there, so that a rewind may end there. */
bool gemlet_session_reaches(const gemlet_session *session, size_t length);

/* Around what feeds `total` tokens in several steps: progress is told of the whole, and logits are computed of its last token only.
 * Of calls within each other the outermost counts: begin answers whether this is it, and end wants that answer. */
bool gemlet_session_begin_call(gemlet_session *session, size_t total);
void gemlet_session_end_call(gemlet_session *session, bool outermost);

/* What stands around the soft tokens of an image or a sound: the family says it.  Line ends that the session ends with belong to
 * the text before it, as the tokenizer joins line ends to one token. */
enum { GEMLET_MOST_LINE_ENDS = 64, GEMLET_LONGEST_BEFORE = 32 };

typedef struct gemlet_frame {
    char before[GEMLET_MOST_LINE_ENDS + GEMLET_LONGEST_BEFORE];
    gemlet_piece opening[2]; /* text, the id that begins it */
    gemlet_piece closing[2]; /* the id that ends it, text */
    size_t joined;           /* tokens of the session that the opening replaces: 0 or 1 */
    size_t counts[2];        /* tokens of the opening, with <bos>, and of the closing */
} gemlet_frame;

/* frame.c: prepares what goes around `soft_tokens` soft tokens.  GEMLET_ERROR_CONTEXT where all that does not fit.  Nothing in the
 * frame moves afterwards: it points into itself. */
gemlet_status gemlet_session_frame(gemlet_session *session, const gemlet_splice *around, uint32_t begin, uint32_t end,
                                   size_t soft_tokens, gemlet_frame *frame, gemlet_error *error);

/* Feeds the opening, `count` soft tokens and the closing. */
gemlet_status gemlet_session_feed_framed(gemlet_session *session, const gemlet_frame *frame, const float *soft_tokens, size_t count,
                                         gemlet_error *error);

/* One of several images that are fed in one call, and the texts around its soft tokens; only the first's may begin with a line end,
 * which joins what the session ends with. */
typedef struct gemlet_spliced_image {
    const gemlet_image *image;
    const char *before, *after;
} gemlet_spliced_image;

/* image.c: encodes and feeds images one behind the other.  GEMLET_ERROR_CONTEXT where not all of them fit: before anything is
 * computed.  Where it fails later, the images done so far stay. */
gemlet_status gemlet_session_feed_images(gemlet_session *session, const gemlet_spliced_image *images, size_t count,
                                         gemlet_error *error);

/* GEMLET_ERROR_CONTEXT where `count` positions are not left. */
gemlet_status gemlet_session_check_room(const gemlet_session *session, size_t count, gemlet_error *error);

#endif
