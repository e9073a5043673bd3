#include <gemlet/image.h>

#include <string.h>

#include "model/session/session.h"

gemlet_image_facts gemlet_session_image_facts(const gemlet_session *session) {
    const gemlet_vision *v = &session->vision;
    if (v->image_size == 0) {
        return (gemlet_image_facts){0};
    }
    return (gemlet_image_facts){v->image_size, v->config->soft_tokens, session->model->config.width};
}

gemlet_status gemlet_encode_image(gemlet_session *session, const gemlet_image *image, const float **soft_tokens, size_t *count,
                                  gemlet_error *error) {
    gemlet_vision *v = &session->vision;
    if (v->image_size == 0) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "this session takes no images: the model has no image encoder, or it was opened without");
    }
    /* The pictures of the encoder are not there yet: resampling uses their memory. */
    gemlet_status status = gemlet_resize(image, v->image_size, v->memory, gemlet_vision_square(v), error);
    if (status != GEMLET_OK) {
        return status;
    }
    v->go_on = session->progress;
    v->go_on_context = session->progress_context;
    if (!gemlet_vision_run(v, session->soft_tokens)) {
        return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    }
    *soft_tokens = session->soft_tokens;
    *count = v->config->soft_tokens;
    return GEMLET_OK;
}

/* The ids around an image are found by their text, as a prompt has it.  A line end that the session ends with belongs to the text
 * before the image: the tokenizer joins line ends to one token. */
enum { MOST_LINE_ENDS = 64 };
static const char line_ends[] = "\n\n";
static const char start_of_image[] = "<start_of_image>";

typedef struct image_opening {
    char text[MOST_LINE_ENDS + sizeof line_ends + sizeof start_of_image];
    size_t bytes;
    size_t joined; /* tokens of the session that it replaces: 0 or 1 */
} image_opening;

static image_opening opening_of(const gemlet_session *s) {
    image_opening o = {.bytes = 0};
    const char *last = NULL;
    size_t length = 0;
    if (s->length > 1 && /* nothing but a line end: then <bos> would be put before it */
        gemlet_tokenizer_text(&s->model->tokenizer, s->history[s->length - 1], &last, &length) == GEMLET_OK &&
        length <= MOST_LINE_ENDS) {
        while (o.bytes < length && last[o.bytes] == '\n') {
            o.text[o.bytes++] = '\n';
        }
        o.joined = o.bytes == length && length > 0 ? 1 : 0;
        o.bytes = o.joined != 0 ? length : 0;
    }
    memcpy(o.text + o.bytes, line_ends, sizeof line_ends - 1);
    memcpy(o.text + o.bytes + sizeof line_ends - 1, start_of_image, sizeof start_of_image - 1);
    o.bytes += sizeof line_ends + sizeof start_of_image - 2;
    return o;
}

static gemlet_status feed_around(gemlet_session *session, const image_opening *opening, const float *soft_tokens, size_t count,
                                 gemlet_error *error) {
    gemlet_status status = gemlet_session_rewind(session, session->length - opening->joined, error);
    if (status == GEMLET_OK) {
        status = gemlet_feed_text(session, opening->text, opening->bytes, true, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_feed_embeddings(session, soft_tokens, count, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_feed(session, &session->vision.config->end_token, 1, error);
    }
    return status == GEMLET_OK ? gemlet_feed_text(session, line_ends, sizeof line_ends - 1, true, error) : status;
}

gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    image_opening opening = opening_of(session);
    size_t count = session->length == 0 ? 1 : 0;
    gemlet_status status = gemlet_session_count(session, opening.text, opening.bytes, &count, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_count(session, line_ends, sizeof line_ends - 1, &count, error);
    }
    if (status == GEMLET_OK && session->vision.image_size != 0) {
        count += session->vision.config->soft_tokens + 1;
        status = gemlet_session_check_room(session, count - opening.joined, error);
    }
    const float *soft_tokens = NULL;
    size_t soft_count = 0;
    if (status == GEMLET_OK) {
        status = gemlet_encode_image(session, image, &soft_tokens, &soft_count, error);
    }
    if (status == GEMLET_OK) {
        bool outermost = gemlet_session_begin_call(session, count);
        status = feed_around(session, &opening, soft_tokens, soft_count, error);
        gemlet_session_end_call(session, outermost);
    }
    return status;
}
