/* Logits as probabilities. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_LOGITS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_LOGITS_H

#include <stddef.h>

/* log(sum(exp(logits))): what a logit is above it is the logarithm of its probability. */
double logits_log_of_sum(const float *logits, size_t count);

#endif
