/* An image or a sound in the text: what goes before and behind its soft tokens. */
#include <string.h>

#include "model/session/session.h"

/* The session's last token where it consists of line ends, to the beginning of `before`; answers how many. */
static size_t take_line_ends(const gemlet_session *s, char before[GEMLET_MOST_LINE_ENDS]) {
    const char *last = NULL;
    size_t length = 0;
    if (s->length < 2 || /* nothing but a line end: then <bos> would be put before it */
        gemlet_tokenizer_text(&s->model->tokenizer, s->history[s->length - 1], &last, &length) != GEMLET_OK ||
        length > GEMLET_MOST_LINE_ENDS) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (last[i] != '\n') {
            return 0;
        }
        before[i] = '\n';
    }
    return length;
}

gemlet_status gemlet_session_frame(gemlet_session *session, const gemlet_splice *around, uint32_t begin, uint32_t end,
                                   size_t soft_tokens, gemlet_frame *frame, gemlet_error *error) {
    size_t length = around->before[0] == '\n' ? take_line_ends(session, frame->before) : 0;
    frame->joined = length > 0 ? 1 : 0;
    for (const char *text = around->before; *text != '\0'; text++) {
        frame->before[length++] = *text;
    }
    frame->opening[0] = (gemlet_piece){.text = frame->before, .bytes = length};
    frame->opening[1] = (gemlet_piece){.token = begin};
    frame->closing[0] = (gemlet_piece){.token = end};
    frame->closing[1] = (gemlet_piece){.text = around->after, .bytes = strlen(around->after)};
    frame->counts[0] = gemlet_session_begins(session);
    frame->counts[1] = 0;
    gemlet_status status = gemlet_session_count(session, frame->opening, 2, false, &frame->counts[0], error);
    if (status == GEMLET_OK) {
        status = gemlet_session_count(session, frame->closing, 2, false, &frame->counts[1], error);
    }
    size_t total = frame->counts[0] + soft_tokens + frame->counts[1];
    return status != GEMLET_OK ? status : gemlet_session_check_room(session, total - frame->joined, error);
}

static gemlet_status feed_parts(gemlet_session *session, const gemlet_frame *f, const float *soft_tokens, size_t count,
                                gemlet_error *error) {
    gemlet_status status = gemlet_session_rewind(session, session->length - f->joined, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_feed_pieces(session, f->opening, 2, false, f->counts[0], error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_feed_embeddings(session, soft_tokens, count, error);
    }
    return status == GEMLET_OK ? gemlet_session_feed_pieces(session, f->closing, 2, false, f->counts[1], error) : status;
}

gemlet_status gemlet_session_feed_framed(gemlet_session *session, const gemlet_frame *frame, const float *soft_tokens, size_t count,
                                         gemlet_error *error) {
    bool outermost = gemlet_session_begin_call(session, frame->counts[0] + count + frame->counts[1]);
    gemlet_status status = feed_parts(session, frame, soft_tokens, count, error);
    gemlet_session_end_call(session, outermost);
    return status;
}
