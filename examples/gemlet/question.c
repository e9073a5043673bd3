#include "examples/gemlet/question.h"

gemlet_status question_make(question *q, answerer *a, const char *text, turn_slots slots) {
    const turn_before before = {.first = true, .system = a->options->system, .think = a->options->think};
    gemlet_status status = turn_append(&q->prompt, a->engine.model, &before, text, slots, &a->error);
    while (status == GEMLET_OK && q->prompt.ids[q->head] != TURN_IMAGE && q->prompt.ids[q->head] != TURN_SOUND) {
        q->head++;
    }
    return status;
}

void question_free(question *q) {
    tokens_free(&q->prompt);
    *q = (question){.head = 0};
}

gemlet_status question_begin(question *q, answerer *a) {
    if (q->head_fed && answerer_rewind(a, q->head) == GEMLET_OK) {
        gemlet_sampler_remember(&a->sampler, q->prompt.ids, q->head);
        return GEMLET_OK;
    }
    gemlet_status status = answerer_rewind(a, 0);
    if (status == GEMLET_OK) {
        status = answer_feed(a, q->prompt.ids, q->head);
    }
    q->head_fed = status == GEMLET_OK;
    return status;
}

gemlet_status question_end(const question *q, answerer *a) {
    return answer_feed(a, q->prompt.ids + q->head + 1, q->prompt.count - q->head - 1);
}
