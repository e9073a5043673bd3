/* What the server has done, counted, as text for Prometheus. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_METRICS_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "examples/gemlet/serve/completion.h"
#include "examples/gemlet/serve/slots.h"
#include "examples/gemlet/serve/text_buffer.h"

enum { METRICS_CODES = 6 }; /* 1xx to 5xx, by the first digit */

/* All zero in the beginning; any thread may add. */
typedef struct metrics {
    atomic_uint_least64_t replies[METRICS_CODES];
    atomic_uint_least64_t busy, cancelled; /* refused with 503; answers that ended because nobody wanted them */
    atomic_uint_least64_t answers;
    atomic_uint_least64_t tokens_in, tokens_kept, tokens_out;
    atomic_uint_least64_t time_in, time_out; /* nanoseconds */
    atomic_size_t connections;
} metrics;

void metrics_count_reply(metrics *m, unsigned code);
void metrics_count_completion(metrics *m, const completion *c);
void metrics_print(metrics *m, slots *s, text_buffer *out);

#endif
