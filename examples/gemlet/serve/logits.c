#include "examples/gemlet/serve/logits.h"

#include <math.h>

double logits_log_of_sum(const float *logits, size_t count) {
    float most = logits[0];
    double beyond = -1; /* the greatest itself, which adds exp(0) */
    for (size_t i = 1; i < count; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    for (size_t i = 0; i < count; i++) {
        beyond += exp((double)logits[i] - (double)most);
    }
    return (double)most + log1p(beyond);
}
