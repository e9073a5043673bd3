/* A user's turn as tokens, by the model's chat template (gemlet/chat.h). */
#ifndef GEMLET_EXAMPLES_GEMLET_TURN_H
#define GEMLET_EXAMPLES_GEMLET_TURN_H

#include "examples/gemlet/tokens.h"
#include <gemlet/gemlet.h>

/* Stands in a list for the soft tokens of the next image. */
#define TURN_IMAGE UINT32_MAX

/* Appends the user's turn and the beginning of the model's: the first of a session begins with <bos> and holds `system` (may be
 * NULL); a later one first ends the model's turn before it.  Special tokens in the texts are text like other text, but for
 * `images` images: they stand where `text` says "<image>", or before all of it where it doesn't.  GEMLET_ERROR_ARGUMENT where there
 * are places but not as many as images. */
gemlet_status turn_append(token_list *list, const gemlet_model *model, const char *system, const char *text, size_t images,
                          bool first, gemlet_error *error);

#endif
