#include <gemlet/image.h>

#include "model/session/session.h"

gemlet_image_facts gemlet_session_image_facts(const gemlet_session *session) {
    const gemlet_image_run *run = &session->image.run;
    gemlet_image_facts facts = {0};
    if (session->images != NULL) {
        facts = (gemlet_image_facts){run->image_size, run->most_soft_tokens, session->model->config.width};
    }
    return facts;
}

gemlet_status gemlet_encode_image(gemlet_session *session, const gemlet_image *image, const float **soft_tokens, size_t *count,
                                  gemlet_error *error) {
    gemlet_image_run *run = &session->image.run;
    if (session->images == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "this session takes no images: the model has no image encoder, or it was opened without");
    }
    if (image == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "image must not be NULL");
    }
    gemlet_status status = session->images->prepare(run, image, error);
    if (status != GEMLET_OK) {
        return status;
    }
    run->go_on = session->progress;
    run->go_on_context = session->progress_context;
    if (!session->images->encode(run, session->soft_tokens)) {
        return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    }
    *soft_tokens = session->soft_tokens;
    *count = session->images->soft_tokens(run, image->width, image->height);
    return GEMLET_OK;
}

gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    const gemlet_model *model = session->model;
    bool taken = session->images != NULL && image != NULL; /* else refused below */
    gemlet_frame frame = {.joined = 0};
    size_t expected = taken ? session->images->soft_tokens(&session->image.run, image->width, image->height) : 0;
    gemlet_status status = gemlet_session_frame(session, &gemlet_model_chat(model)->image, model->image_begin, model->image_end,
                                                expected, &frame, error);
    const float *soft_tokens = NULL;
    size_t count = 0;
    if (status == GEMLET_OK || !taken) {
        status = gemlet_encode_image(session, image, &soft_tokens, &count, error);
    }
    return status != GEMLET_OK ? status : gemlet_session_feed_framed(session, &frame, soft_tokens, count, error);
}
