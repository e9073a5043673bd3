/* Going on when the context is full, by forgetting what stands between the beginning and the newest tokens. */
#include <string.h>

#include "model/session/session.h"

static gemlet_status check_lengths(const gemlet_session *s, size_t keep, size_t recent, gemlet_error *error) {
    if (recent > 0 && keep <= s->length && recent <= s->length - keep) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "can't keep the first ");
    gemlet_error_number(error, keep);
    gemlet_error_text(error, " positions and the last ");
    gemlet_error_number(error, recent);
    gemlet_error_text(error, " (at least 1) of ");
    gemlet_error_number(error, s->length);
    return GEMLET_ERROR_ARGUMENT;
}

/* A saved session may bring any ids along. */
static gemlet_status check_tokens(const gemlet_session *s, size_t first, size_t end, gemlet_error *error) {
    for (size_t i = first; i < end; i++) {
        if (s->history[i] >= s->model->config.vocabulary) {
            gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "position ");
            gemlet_error_number(error, i);
            gemlet_error_text(error, " would have to be computed again, but is no token: a soft token of an image or a sound");
            return GEMLET_ERROR_UNSUPPORTED;
        }
    }
    return GEMLET_OK;
}

gemlet_status gemlet_session_slide(gemlet_session *session, size_t keep, size_t recent, gemlet_error *error) {
    gemlet_status status = check_lengths(session, keep, recent, error);
    size_t newest = session->length - recent;
    if (status != GEMLET_OK || (keep == newest && session->has_logits)) {
        return status;
    }
    size_t first = gemlet_session_reaches(session, keep) ? keep : 0;
    status = check_tokens(session, first, keep, error);
    if (status == GEMLET_OK) {
        status = check_tokens(session, newest, session->length, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_session_rewind(session, first, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    /* Fed from the history itself, where it writes what it reads. */
    memmove(session->history + keep, session->history + newest, recent * sizeof *session->history);
    return gemlet_feed(session, session->history + first, keep - first + recent, error);
}
