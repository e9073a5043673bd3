/* A clip: frames as the processor of Gemma 4 writes a video, "mm:ss " before the soft tokens of each, a space between them. */
#include <string.h>

#include <gemlet/image.h>

#include "core/text.h"
#include "model/session/session.h"

enum { LONGEST_STAMP = 16 };

/* What stands before a frame: " mm:ss ", without the first space at the first; minutes may be more. */
typedef struct time_stamp {
    char text[LONGEST_STAMP];
} time_stamp;

static time_stamp stamp_of(const gemlet_clip_frame *frame, bool first) {
    uint32_t seconds = (uint32_t)frame->seconds;
    time_stamp stamp = {""};
    size_t length = 0;
    if (!first) {
        stamp.text[length++] = ' ';
    }
    const uint32_t parts[2] = {seconds / 60, seconds % 60};
    for (size_t i = 0; i < 2; i++) {
        if (parts[i] < 10) {
            stamp.text[length++] = '0';
        }
        length += gemlet_text_number(stamp.text + length, parts[i]);
        stamp.text[length++] = i == 0 ? ':' : ' ';
    }
    return stamp;
}

static gemlet_status check_frames(const gemlet_session *s, const gemlet_clip_frame *frames, size_t count, gemlet_error *error) {
    if (s->images == NULL || !s->model->family->clips) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "this session takes no clips: Gemma 4 does, where it is not opened without its image encoder");
    }
    if (frames == NULL || count == 0 || count > GEMLET_CLIP_MOST_FRAMES) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the frames of a clip must be 1 to ");
        gemlet_error_number(error, GEMLET_CLIP_MOST_FRAMES);
        gemlet_error_text(error, " but are ");
        gemlet_error_number(error, frames == NULL ? 0 : count);
        return GEMLET_ERROR_ARGUMENT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!(frames[i].seconds >= 0.0 && frames[i].seconds < 360000.0)) {
            char number[GEMLET_REAL_CHARACTERS];
            gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the seconds of a frame must be from 0 to below 360000 but those of number ");
            gemlet_error_number(error, i);
            gemlet_error_text(error, " are ");
            gemlet_error_bytes(error, number, gemlet_text_real(number, frames[i].seconds));
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    return GEMLET_OK;
}

gemlet_status gemlet_feed_clip(gemlet_session *session, const gemlet_clip_frame *frames, size_t count, gemlet_error *error) {
    gemlet_image_run *run = &session->image.run;
    gemlet_status status = check_frames(session, frames, count, error);
    if (status != GEMLET_OK) {
        return status;
    }
    time_stamp stamps[GEMLET_CLIP_MOST_FRAMES];
    gemlet_spliced_image images[GEMLET_CLIP_MOST_FRAMES];
    for (size_t i = 0; i < count; i++) {
        stamps[i] = stamp_of(&frames[i], i == 0);
        images[i] = (gemlet_spliced_image){&frames[i].image, stamps[i].text, ""};
    }
    uint32_t budget = run->image_tokens;
    run->image_tokens = budget < GEMLET_CLIP_TOKENS ? budget : GEMLET_CLIP_TOKENS;
    status = gemlet_session_feed_images(session, images, count, error);
    run->image_tokens = budget;
    return status;
}
