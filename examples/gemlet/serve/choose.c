#include "examples/gemlet/serve/choose.h"

gemlet_status choose(slot *s, const request *r, double *logprobs, void *scratch, size_t bytes, gemlet_error *error) {
    gemlet_choice choices[REQUEST_MOST_CHOICES];
    for (size_t i = 0; i < r->choice_count; i++) {
        choices[i] = (gemlet_choice){r->choices[i].tokens.ids, r->choices[i].tokens.count};
    }
    return gemlet_choose(s->session, choices, r->choice_count, logprobs, scratch, bytes, error);
}
