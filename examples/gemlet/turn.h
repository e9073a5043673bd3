/* A user's turn as tokens, by the model's chat template (gemlet/chat.h). */
#ifndef GEMLET_EXAMPLES_GEMLET_TURN_H
#define GEMLET_EXAMPLES_GEMLET_TURN_H

#include "examples/gemlet/tokens.h"
#include <gemlet/gemlet.h>

/* Stands in a list for the soft tokens of the next image. */
#define TURN_IMAGE UINT32_MAX

/* What stands before a user's turn. */
typedef struct turn_before {
    bool first;         /* nothing: the turn begins with <bos>, and with the two below */
    const char *system; /* instructions; NULL: none */
    bool think;         /* the model is asked to think */
    const char *reply;  /* of a later turn: the answer before it, where the session does not hold that; else NULL */
    size_t reply_bytes;
} turn_before;

/* Appends the user's turn and the beginning of the model's; a turn that is not the first ends the model's turn before it.  Special
 * tokens in the texts are text like other text, but for `images` images: they stand where `text` says "<image>", or before all of
 * it where it doesn't.  GEMLET_ERROR_ARGUMENT where there are places but not as many as images. */
gemlet_status turn_append(token_list *list, const gemlet_model *model, const turn_before *before, const char *text, size_t images,
                          gemlet_error *error);

#endif
