#include "model/image.h"

#include <string.h>

#include "model/model.h"

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

/* The ids around an image are found by their text, as a prompt has it. */
static const char before_image[] = "\n\n<start_of_image>";
static const char after_image[] = "\n\n";

static gemlet_status feed_around(gemlet_session *session, const float *soft_tokens, size_t count, gemlet_error *error) {
    gemlet_status status = gemlet_feed_text(session, before_image, sizeof before_image - 1, true, error);
    if (status == GEMLET_OK) {
        status = gemlet_feed_embeddings(session, soft_tokens, count, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_feed(session, &session->vision.config->end_token, 1, error);
    }
    return status == GEMLET_OK ? gemlet_feed_text(session, after_image, sizeof after_image - 1, true, error) : status;
}

gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    size_t count = session->length == 0 ? 1 : 0;
    gemlet_status status = gemlet_session_count(session, before_image, sizeof before_image - 1, &count, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_count(session, after_image, sizeof after_image - 1, &count, error);
    }
    if (status == GEMLET_OK && session->vision.image_size != 0) {
        count += session->vision.config->soft_tokens + 1;
        status = gemlet_session_check_room(session, count, error);
    }
    const float *soft_tokens = NULL;
    size_t soft_count = 0;
    if (status == GEMLET_OK) {
        status = gemlet_encode_image(session, image, &soft_tokens, &soft_count, error);
    }
    if (status == GEMLET_OK) {
        bool outermost = gemlet_session_begin_call(session, count);
        status = feed_around(session, soft_tokens, soft_count, error);
        gemlet_session_end_call(session, outermost);
    }
    return status;
}
