/* Answering: a prompt is fed, tokens are sampled, their text goes to standard output. */
#ifndef GEMLET_EXAMPLES_GEMLET_ANSWER_H
#define GEMLET_EXAMPLES_GEMLET_ANSWER_H

#include "examples/gemlet/engine.h"
#include "examples/gemlet/image.h"
#include "examples/gemlet/progress.h"
#include "examples/gemlet/sound.h"
#include "examples/gemlet/tokens.h"
#include <gemlet/image.h>
#include <gemlet/sampler.h>

typedef enum answer_end {
    ANSWER_TURN_ENDED, /* the model said so */
    ANSWER_LIMIT,      /* of tokens */
    ANSWER_CONTEXT_FULL,
    ANSWER_CANCELLED, /* *cancelled became true */
    ANSWER_FAILED     /* the message is in error */
} answer_end;

typedef struct answerer {
    engine engine;
    gemlet_sampler sampler;
    void *sampler_scratch;
    const options *options;
    bool (*cancelled)(void); /* may be NULL */
    bool one_line;           /* print line ends as spaces */
    engine_work work;
    progress progress;     /* of a prompt or a picture that is read */
    bool unfed;            /* whether `last` was printed, but is not in the session yet */
    uint32_t last;         /* the token that was sampled last */
    size_t prompt_started; /* the session's length before the prompt */
    size_t first_prompt;   /* how many tokens of the context the first prompt took: what --slide never forgets */
    bool thought;          /* whether the last answer had thoughts, or the mark of some */
    char *answer;          /* with --think: its text without them, without the white space around it; ours */
    size_t answer_bytes, answer_capacity;
    void *before_answer; /* with --think: the session's state before it; ours */
    size_t before_bytes;
    sound_file sounds[OPTIONS_MOST_FILES]; /* of the prompt */
    size_t sound_count;
    gemlet_error error;
} answerer;

/* Opens model, session and sampler.  Must be closed in any case. */
gemlet_status answerer_open(answerer *a, const options *o, bool (*cancelled)(void));
void answerer_close(answerer *a);

/* Goes back to the first `length` positions, 0 for none; random numbers begin again from the seed.  GEMLET_ERROR_STATE where the
 * session can't: only 0 is sure. */
gemlet_status answerer_rewind(answerer *a, size_t length);

/* With --think: brings the session back to where the last answer began. */
gemlet_status answerer_forget_answer(answerer *a);

/* Feeds `prompt`, with the images and sounds (NULL: none) of these files at its places for them, and prints what the model says, as
 * whole UTF-8.  What does not fit the context is refused before anything is read or computed. */
answer_end answer(answerer *a, const token_list *prompt, const options_files *images, const options_files *sounds);

/* Whether the prompt, its images and the sounds that were read included, fits behind what the session holds: GEMLET_ERROR_CONTEXT.
 */
gemlet_status answer_check_room(answerer *a, const token_list *prompt);

/* Reads an image file as the options say; tells of damage that it shows nevertheless. */
gemlet_status answer_read_image(answerer *a, image_file *file, const char *path);

/* The parts of that.  Each adds to the work that --stats tells. */
gemlet_status answer_feed(answerer *a, const uint32_t *ids, size_t count);
gemlet_status answer_feed_image(answerer *a, const gemlet_image *image);
answer_end answer_print(answerer *a);

#endif
