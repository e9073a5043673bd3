/* A user's turn as tokens, by the model's chat template (gemlet/chat.h). */
#ifndef GEMLET_EXAMPLES_GEMLET_TURN_H
#define GEMLET_EXAMPLES_GEMLET_TURN_H

#include "examples/gemlet/tokens.h"
#include <gemlet/chat.h>
#include <gemlet/gemlet.h>

/* Stand in a list for the soft tokens of the next image or crop, of the next sound. */
#define TURN_IMAGE UINT32_MAX
#define TURN_SOUND (UINT32_MAX - 1)

/* How many there are. */
typedef struct turn_slots {
    size_t images, sounds;
    const uint32_t *crops; /* [images], of each; NULL: none */
    bool clip;             /* in place of images: TURN_IMAGE stands for the whole of it */
} turn_slots;

/* What stands before a user's turn. */
typedef struct turn_before {
    bool first;         /* nothing: the turn begins with <bos>, and with the two below */
    const char *system; /* instructions; NULL: none */
    bool think;         /* the model is asked to think */
    const char *tools;  /* the functions that it may call, JSON; NULL: none */
    const char *reply;  /* of a later turn: the answer before it, where the session does not hold that; else NULL */
    size_t reply_bytes;
} turn_before;

/* Appends the user's turn and the beginning of the model's; a turn that is not the first ends the model's turn before it.  Special
 * tokens in the texts are text like other text, but for images and sounds: they stand where `text` says "<image>" and "<sound>", or
 * before all of it where it doesn't.  GEMLET_ERROR_ARGUMENT where there are places for a kind but not as many as there are of it.
 */
gemlet_status turn_append(token_list *list, const gemlet_model *model, const turn_before *before, const char *text,
                          turn_slots slots, gemlet_error *error);

/* Appends messages as gemlet_chat_render renders them, the slots of their parts as TURN_IMAGE and TURN_SOUND. */
gemlet_status turn_append_messages(token_list *list, const gemlet_model *model, const gemlet_message *messages, size_t count,
                                   gemlet_chat_options how, gemlet_error *error);

#endif
