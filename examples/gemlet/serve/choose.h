/* Answers that are given: how likely the model says each, without sampling. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_CHOOSE_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_CHOOSE_H

#include "examples/gemlet/serve/request.h"
#include "examples/gemlet/serve/slots.h"

/* `logprobs` [choice_count] gets the logarithm of each choice's probability behind what the slot holds (gemlet_choose), which must
 * have logits; the slot holds the same afterwards. */
gemlet_status choose(slot *s, const request *r, double *logprobs, void *scratch, size_t bytes, gemlet_error *error);

#endif
