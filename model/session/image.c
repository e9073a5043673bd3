#include <gemlet/image.h>

#include <string.h>

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

/* What stands around an image: the family says it.  Line ends that the session ends with belong to the text before the image, as
 * the tokenizer joins line ends to one token. */
enum { MOST_LINE_ENDS = 64, LONGEST_BEFORE = 16 };

typedef struct image_frame {
    char before[MOST_LINE_ENDS + LONGEST_BEFORE];
    gemlet_piece opening[2]; /* text, the id that begins an image */
    gemlet_piece closing[2]; /* the id that ends it, text */
    size_t joined;           /* tokens of the session that the opening replaces: 0 or 1 */
} image_frame;

/* The session's last token where it consists of line ends, to the beginning of `before`; answers how many. */
static size_t take_line_ends(const gemlet_session *s, char before[MOST_LINE_ENDS]) {
    const char *last = NULL;
    size_t length = 0;
    if (s->length < 2 || /* nothing but a line end: then <bos> would be put before it */
        gemlet_tokenizer_text(&s->model->tokenizer, s->history[s->length - 1], &last, &length) != GEMLET_OK ||
        length > MOST_LINE_ENDS) {
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

static void frame_image(const gemlet_session *s, image_frame *f) {
    const gemlet_splice *around = &s->model->family->chat->image;
    size_t length = around->before[0] == '\n' ? take_line_ends(s, f->before) : 0;
    f->joined = length > 0 ? 1 : 0;
    for (const char *text = around->before; *text != '\0'; text++) {
        f->before[length++] = *text;
    }
    f->opening[0] = (gemlet_piece){.text = f->before, .bytes = length};
    f->opening[1] = (gemlet_piece){.token = s->model->image_begin};
    f->closing[0] = (gemlet_piece){.token = s->model->image_end};
    f->closing[1] = (gemlet_piece){.text = around->after, .bytes = strlen(around->after)};
}

static gemlet_status feed_around(gemlet_session *session, const image_frame *f, const size_t counts[2], const float *soft_tokens,
                                 size_t count, gemlet_error *error) {
    gemlet_status status = gemlet_session_rewind(session, session->length - f->joined, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_feed_pieces(session, f->opening, 2, false, counts[0], error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_feed_embeddings(session, soft_tokens, count, error);
    }
    return status == GEMLET_OK ? gemlet_session_feed_pieces(session, f->closing, 2, false, counts[1], error) : status;
}

gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error) {
    image_frame f;
    size_t counts[2] = {gemlet_session_begins(session), 0};
    frame_image(session, &f);
    gemlet_status status = gemlet_session_count(session, f.opening, 2, false, &counts[0], error);
    if (status == GEMLET_OK) {
        status = gemlet_session_count(session, f.closing, 2, false, &counts[1], error);
    }
    size_t total = counts[0] + counts[1];
    if (status == GEMLET_OK && session->images != NULL && image != NULL) { /* else refused below */
        total += session->images->soft_tokens(&session->image.run, image->width, image->height);
        status = gemlet_session_check_room(session, total - f.joined, error);
    }
    const float *soft_tokens = NULL;
    size_t soft_count = 0;
    if (status == GEMLET_OK) {
        status = gemlet_encode_image(session, image, &soft_tokens, &soft_count, error);
    }
    if (status == GEMLET_OK) {
        bool outermost = gemlet_session_begin_call(session, total);
        status = feed_around(session, &f, counts, soft_tokens, soft_count, error);
        gemlet_session_end_call(session, outermost);
    }
    return status;
}
