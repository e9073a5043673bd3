/* Answering: a prompt is fed, tokens are sampled, their text goes to standard output. */
#ifndef GEMLET_EXAMPLES_GEMLET_ANSWER_H
#define GEMLET_EXAMPLES_GEMLET_ANSWER_H

#include "examples/gemlet/choices.h"
#include "examples/gemlet/engine.h"
#include "examples/gemlet/form.h"
#include "examples/gemlet/image.h"
#include "examples/gemlet/progress.h"
#include "examples/gemlet/sound.h"
#include "examples/gemlet/tokens.h"
#include "examples/gemlet/turn.h"
#include <gemlet/image.h>
#include <gemlet/sampler.h>

typedef enum answer_end {
    ANSWER_TURN_ENDED, /* the model said so */
    ANSWER_LIMIT,      /* of tokens */
    ANSWER_CONTEXT_FULL,
    ANSWER_CANCELLED, /* *cancelled became true */
    ANSWER_FAILED     /* the message is in error */
} answer_end;

/* A text that grows; ours. */
typedef struct kept_text {
    char *bytes;
    size_t count, capacity;
} kept_text;

typedef struct answerer {
    engine engine;
    gemlet_sampler sampler;
    void *sampler_scratch;
    const options *options;
    choices choices;         /* of --choices */
    form_words words;        /* of --schema, --json, --pattern or --tools */
    form form;               /* likewise */
    void *form_memory;       /* ours */
    bool (*cancelled)(void); /* may be NULL */
    bool one_line;           /* print line ends as spaces */
    engine_work work;
    progress progress;     /* of a prompt or a picture that is read */
    bool unfed;            /* whether `last` was printed, but is not in the session yet */
    uint32_t last;         /* the token that was sampled last */
    size_t prompt_started; /* the session's length before the prompt */
    bool prompt_fed;       /* whether all of it went in */
    size_t first_prompt;   /* how many tokens of the context the first prompt took: what --slide never forgets */
    char *tools;           /* the functions that the model may call, JSON; NULL: none; ours */
    bool thought;          /* whether the last answer had thoughts, or the mark of some */
    kept_text answer;      /* with --think: its text without them, without the white space around it */
    kept_text calls;       /* with tools: those that it made, for gemlet_call_read */
    void *before_answer;   /* with --think: the session's state before it; ours */
    size_t before_bytes;
    sound_file sounds[OPTIONS_MOST_FILES]; /* of the prompt; one that is live has no samples */
    size_t sound_count;
    image_file pictures[OPTIONS_MOST_FILES]; /* likewise, where answer_look has read them */
    uint32_t crops[OPTIONS_MOST_FILES];      /* of each */
    size_t picture_count;
    sound_source live;            /* that is taken as it comes; while the model computes, what comes is kept */
    bool is_live;                 /* whether it is open */
    const sound_file *live_sound; /* which of the sounds it is; NULL: none */
    gemlet_error error;
} answerer;

/* Opens model, session and sampler.  Must be closed in any case. */
gemlet_status answerer_open(answerer *a, const options *o, bool (*cancelled)(void));
void answerer_close(answerer *a);

/* Goes back to the first `length` positions, 0 for none; random numbers begin again from the seed.  GEMLET_ERROR_STATE where the
 * session can't: only 0 is sure. */
gemlet_status answerer_rewind(answerer *a, size_t length);

/* Appends the next user's turn with its pictures (or the clip of the options) and sounds, behind the last answer where there was
 * one.  Thoughts are no part of the conversation: where the last answer had some, the session goes back to before it, and the
 * answer alone becomes part of the prompt. */
gemlet_status answerer_next_turn(answerer *a, const char *text, const options_files *images, size_t sounds, token_list *prompt);

/* With --think: keeps the session as it is, for answerer_forget_answer. */
gemlet_status answerer_keep_state(answerer *a);

/* With --think: brings the session back to where the last answer began. */
gemlet_status answerer_forget_answer(answerer *a);

/* With --pan-and-scan: reads the pictures of the next prompt before it is written, as their `crops` are part of it. */
gemlet_status answer_look(answerer *a, const options_files *images);

/* Feeds `prompt`, with the images and sounds (NULL: none) of these files at its places for them, and prints what the model says, as
 * whole UTF-8.  What does not fit the context is refused before anything is read or computed, but for the length of a sound that is
 * yet to come. */
answer_end answer(answerer *a, const token_list *prompt, const options_files *images, const options_files *sounds);

/* Whether the prompt, its images and the sounds that were read included, fits behind what the session holds: GEMLET_ERROR_CONTEXT.
 */
gemlet_status answer_check_room(answerer *a, const token_list *prompt);

/* Reads an image file as the options say; tells of damage that it shows nevertheless. */
gemlet_status answer_read_image(answerer *a, image_file *file, const char *path);

/* The parts of that.  Each adds to the work that --stats tells.  answer_print prints choices where there are some. */
gemlet_status answer_feed(answerer *a, const uint32_t *ids, size_t count);
gemlet_status answer_feed_image(answerer *a, const gemlet_image *image);
gemlet_status answer_feed_clip(answerer *a, const gemlet_clip_frame *frames, size_t count);
gemlet_status answer_feed_sound(answerer *a, const gemlet_sound *sound);
answer_end answer_print(answerer *a);

#endif
