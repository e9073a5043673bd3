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

static bool takes(const gemlet_session *session, const gemlet_image *image) {
    return session->images != NULL && image != NULL;
}

static gemlet_status refuse(const gemlet_session *session, gemlet_error *error) {
    return session->images != NULL
               ? gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "image must not be NULL")
               : gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED,
                             "this session takes no images: the model has no image encoder, or it was opened without");
}

gemlet_status gemlet_encode_image(gemlet_session *session, const gemlet_image *image, const float **soft_tokens, size_t *count,
                                  gemlet_error *error) {
    gemlet_image_run *run = &session->image.run;
    if (!takes(session, image)) {
        return refuse(session, error);
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

/* ---- Images in the text ---- */

static uint32_t soft_tokens_of(const gemlet_session *s, const gemlet_image *image) {
    return s->images->soft_tokens(&s->image.run, image->width, image->height);
}

static gemlet_status frame_of(gemlet_session *s, const gemlet_spliced_image *spliced, gemlet_frame *frame, gemlet_error *error) {
    const gemlet_splice around = {.before = spliced->before, .after = spliced->after};
    return gemlet_session_frame(s, &around, s->model->image_begin, s->model->image_end, soft_tokens_of(s, spliced->image), frame,
                                error);
}

/* Tokens that are fed in all. */
static gemlet_status count_tokens(gemlet_session *s, const gemlet_spliced_image *images, size_t count, size_t *total,
                                  gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    size_t joined = 0;
    *total = 0;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        gemlet_frame frame = {.joined = 0};
        status = frame_of(s, &images[i], &frame, error);
        *total += frame.counts[0] - (i > 0 ? gemlet_session_begins(s) : 0) + frame.counts[1] + soft_tokens_of(s, images[i].image);
        joined = i == 0 ? frame.joined : joined;
    }
    return status != GEMLET_OK ? status : gemlet_session_check_room(s, *total - joined, error);
}

static gemlet_status feed_each(gemlet_session *s, const gemlet_spliced_image *images, size_t count, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        gemlet_frame frame;
        const float *soft_tokens = NULL;
        size_t tokens = 0;
        status = frame_of(s, &images[i], &frame, error);
        status = status != GEMLET_OK ? status : gemlet_encode_image(s, images[i].image, &soft_tokens, &tokens, error);
        status = status != GEMLET_OK ? status : gemlet_session_feed_framed(s, &frame, soft_tokens, tokens, error);
    }
    return status;
}

gemlet_status gemlet_session_feed_images(gemlet_session *session, const gemlet_spliced_image *images, size_t count,
                                         gemlet_error *error) {
    size_t total = 0;
    gemlet_status status = count_tokens(session, images, count, &total, error);
    if (status == GEMLET_OK) {
        bool outermost = gemlet_session_begin_call(session, total);
        status = feed_each(session, images, count, error);
        gemlet_session_end_call(session, outermost);
    }
    return status;
}

/* An image and its crops, with what the family writes around them. */
static gemlet_status feed_with(gemlet_session *session, const gemlet_image *image, const gemlet_image *crops, size_t count,
                               gemlet_error *error) {
    gemlet_spliced_image images[1 + GEMLET_MOST_CROPS];
    for (size_t i = 0; i <= count; i++) {
        gemlet_splice around = gemlet_chat_image_splice(gemlet_model_chat(session->model), i, count);
        images[i] = (gemlet_spliced_image){i == 0 ? image : &crops[i - 1], around.before, around.after};
    }
    return gemlet_session_feed_images(session, images, 1 + count, error);
}

gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    return takes(session, image) ? feed_with(session, image, NULL, 0, error) : refuse(session, error);
}

gemlet_status gemlet_feed_image_with_crops(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    gemlet_image crops[GEMLET_MOST_CROPS];
    if (!takes(session, image)) {
        return refuse(session, error);
    }
    if (!gemlet_chat_crops(gemlet_model_chat(session->model))) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "this session takes no crops of images: Gemma 3 does");
    }
    return feed_with(session, image, crops, gemlet_crop_image(image, crops), error);
}
