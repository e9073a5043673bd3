#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proof/sessions.h"

uint32_t ids[CONTEXT + 1];
packed_file whole_model;
const gemlet_options text_only = {.context = CONTEXT, .chunk = CHUNK, .no_images = true};

int make_sessions(void **state) {
    for (size_t i = 0; i <= CONTEXT; i++) {
        ids[i] = (uint32_t)(i * 97 + 5) % 200;
    }
    whole_model = packed_whole();
    return pack_models(state);
}

int end_sessions(void **state) {
    free(whole_model.bytes);
    return free_models(state);
}

void says(rig *r, gemlet_status status, gemlet_status expected, const char *message) {
    assert_int_equal(status, expected);
    assert_int_equal(r->error.status, expected);
    assert_string_equal(r->error.message, message);
    r->error = (gemlet_error){GEMLET_OK, ""};
}

void assert_states(rig *a, rig *b) {
    saved_state expected = rig_save(b);
    assert_state(a, &expected);
    free(expected.bytes);
}

static gemlet_status keep_ids(void *context, const uint32_t *tokens, size_t count) {
    uint32_t **to = context;
    memcpy(*to, tokens, count * sizeof *tokens);
    *to += count;
    return GEMLET_OK;
}

size_t tokens_of(rig *r, const char *text, bool special, uint32_t *out) {
    static _Alignas(8) unsigned char scratch[GEMLET_ENCODER_BYTES];
    gemlet_encoder encoder;
    uint32_t *to = out;
    must(r, gemlet_encoder_begin(&encoder, &r->model->tokenizer, special ? GEMLET_TEXT_SPECIAL : GEMLET_TEXT_PLAIN, scratch,
                                 sizeof scratch, keep_ids, &to, &r->error));
    must(r, gemlet_encoder_feed(&encoder, text, strlen(text), &r->error));
    must(r, gemlet_encoder_finish(&encoder, &r->error));
    return (size_t)(to - out);
}

void splice(rig *r, const gemlet_splice *around, const char *before, uint32_t begin, const float *soft, size_t count,
            uint32_t end) {
    must(r, gemlet_feed_text(r->session, before, strlen(before), false, &r->error));
    must(r, gemlet_feed(r->session, &begin, 1, &r->error));
    must(r, gemlet_feed_embeddings(r->session, soft, count, &r->error));
    must(r, gemlet_feed(r->session, &end, 1, &r->error));
    must(r, gemlet_feed_text(r->session, around->after, strlen(around->after), false, &r->error));
}

bool count_step(void *context, size_t done, size_t total) {
    steps *s = context;
    assert_true(s->session == NULL || s->session->pending_count <= s->session->decoder.chunk);
    s->done[s->count] = done;
    s->total[s->count] = total;
    s->count++;
    return s->count != s->cancel_at;
}
