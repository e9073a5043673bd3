#include <gemlet/sound.h>

#include <math.h>

#include "model/session/session.h"

enum {
    PIECE = 256,                                                        /* samples that are converted together */
    PART = GEMLET_CONFORMER_CHUNK * GEMLET_SUBSAMPLING * GEMLET_MEL_HOP /* samples between two calls of progress */
};

gemlet_sound_facts gemlet_session_sound_facts(const gemlet_session *session) {
    const gemlet_conformer *c = &session->sound;
    gemlet_sound_facts facts = {0};
    if (session->hears) {
        facts = (gemlet_sound_facts){c->longest, gemlet_conformer_shortest(c->model), (uint32_t)c->most_soft_tokens,
                                     session->model->config.width};
    }
    return facts;
}

size_t gemlet_sound_soft_tokens(const gemlet_session *session, size_t samples) {
    const gemlet_conformer *c = &session->sound;
    if (!session->hears || samples > c->longest || samples < gemlet_conformer_shortest(c->model)) {
        return 0;
    }
    return c->model->traits->padded ? c->most_soft_tokens : gemlet_conformer_soft_tokens(c->model, samples);
}

gemlet_status gemlet_sound_begin(gemlet_session *session, gemlet_error *error) {
    if (!session->hears) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED,
                           "this session takes no sounds: the model has no sound encoder, or it was opened without");
    }
    gemlet_conformer_begin(&session->sound);
    session->listens = true;
    return GEMLET_OK;
}

static float sample_of(const gemlet_sound *sound, size_t i) {
    return sound->format == GEMLET_SAMPLES_S16 ? (float)((const int16_t *)sound->samples)[i] / 32768.0f
                                               : ((const float *)sound->samples)[i];
}

static gemlet_status fail_numbers(gemlet_error *error, const char *text, size_t first, const char *between, size_t second) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, text);
    gemlet_error_number(error, first);
    gemlet_error_text(error, between);
    gemlet_error_number(error, second);
    return GEMLET_ERROR_ARGUMENT;
}

/* How many of the samples are to be taken, behind `before` that were. */
static gemlet_status check_samples(const gemlet_session *s, const gemlet_sound *sound, size_t before, size_t *count,
                                   gemlet_error *error) {
    if (sound == NULL || (sound->samples == NULL && sound->count > 0)) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the samples of a sound must not be NULL");
    }
    if (sound->format != GEMLET_SAMPLES_S16 && sound->format != GEMLET_SAMPLES_F32) {
        return fail_numbers(error, "the format of samples must be at most ", GEMLET_SAMPLES_F32, " but is ", (size_t)sound->format);
    }
    *count = sound->count;
    if (sound->count > s->sound.longest - before) {
        if (!s->cut_sounds) {
            return fail_numbers(error, "a sound must have at most ", s->sound.longest,
                                " samples (options sound_seconds, cut_sounds) but has ", before + sound->count);
        }
        *count = s->sound.longest - before;
    }
    for (size_t i = 0; i < *count && sound->format == GEMLET_SAMPLES_F32; i++) {
        if (!isfinite(sample_of(sound, i))) {
            gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "sample ");
            gemlet_error_number(error, before + i);
            gemlet_error_text(error, " of the sound is no finite number");
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    return GEMLET_OK;
}

static void feed(gemlet_session *s, const gemlet_sound *sound, size_t first, size_t count, bool more) {
    float piece[PIECE];
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        piece[filled++] = sample_of(sound, first + i);
        if (filled == PIECE || last) {
            gemlet_conformer_feed(&s->sound, piece, filled, more || !last);
            filled = 0;
        }
    }
}

static gemlet_status feed_all(gemlet_session *s, const gemlet_sound *sound, size_t count, gemlet_error *error) {
    for (size_t done = 0; done < count;) {
        size_t now = count - done < PART ? count - done : PART;
        feed(s, sound, done, now, done + now < count);
        done += now;
        if (s->progress != NULL && done < count && !s->progress(s->progress_context, done, count)) {
            s->listens = false;
            return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled by the caller");
        }
    }
    return GEMLET_OK;
}

static gemlet_status check_listens(const gemlet_session *s, gemlet_error *error) {
    return s->listens ? GEMLET_OK : gemlet_fail(error, GEMLET_ERROR_STATE, "no sound has begun: call gemlet_sound_begin first");
}

gemlet_status gemlet_sound_feed(gemlet_session *session, const gemlet_sound *samples, gemlet_error *error) {
    size_t count = 0;
    gemlet_status status = check_listens(session, error);
    if (status == GEMLET_OK) {
        status = check_samples(session, samples, session->sound.mel.fed, &count, error);
    }
    return status == GEMLET_OK ? feed_all(session, samples, count, error) : status;
}

static gemlet_status check_length(const gemlet_session *s, size_t samples, gemlet_error *error) {
    size_t shortest = gemlet_conformer_shortest(s->sound.model);
    return samples >= shortest ? GEMLET_OK
                               : fail_numbers(error, "a sound must have at least ", shortest, " samples but has ", samples);
}

gemlet_status gemlet_sound_end(gemlet_session *session, const float **soft_tokens, size_t *count, gemlet_error *error) {
    gemlet_status status = check_listens(session, error);
    if (status == GEMLET_OK) {
        status = check_length(session, session->sound.mel.fed, error);
    }
    if (status == GEMLET_OK) {
        gemlet_conformer_end(&session->sound);
        session->listens = false;
        *soft_tokens = session->sound.soft_tokens;
        *count = session->sound.soft_count;
    }
    return status;
}

/* Where a sound of so many samples stands in the text. */
static gemlet_status frame_sound(gemlet_session *s, size_t samples, gemlet_frame *frame, gemlet_error *error) {
    const gemlet_model *model = s->model;
    gemlet_status status = check_length(s, samples, error);
    return status != GEMLET_OK ? status
                               : gemlet_session_frame(s, &gemlet_model_chat(model)->sound, model->sound_begin, model->sound_end,
                                                      gemlet_sound_soft_tokens(s, samples), frame, error);
}

gemlet_status gemlet_feed_sound_end(gemlet_session *session, gemlet_error *error) {
    gemlet_frame frame = {.joined = 0};
    const float *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = check_listens(session, error);
    if (status == GEMLET_OK) {
        status = frame_sound(session, session->sound.mel.fed, &frame, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_sound_end(session, &soft_tokens, &count, error);
    }
    return status != GEMLET_OK ? status : gemlet_session_feed_framed(session, &frame, soft_tokens, count, error);
}

/* Begins a sound that is whole, and checks it first: on an error nothing has been computed.  `frame` (or NULL) gets where it will
 * stand in the text. */
static gemlet_status begin_whole(gemlet_session *s, const gemlet_sound *sound, size_t *count, gemlet_frame *frame,
                                 gemlet_error *error) {
    gemlet_status status = gemlet_sound_begin(s, error);
    if (status == GEMLET_OK) {
        status = check_samples(s, sound, 0, count, error);
    }
    if (status == GEMLET_OK) {
        status = frame != NULL ? frame_sound(s, *count, frame, error) : check_length(s, *count, error);
    }
    s->listens = status == GEMLET_OK;
    return status;
}

static gemlet_status encode_whole(gemlet_session *s, const gemlet_sound *sound, gemlet_frame *frame, const float **soft_tokens,
                                  size_t *count, gemlet_error *error) {
    size_t samples = 0;
    gemlet_status status = begin_whole(s, sound, &samples, frame, error);
    if (status == GEMLET_OK) {
        status = feed_all(s, sound, samples, error);
    }
    return status == GEMLET_OK ? gemlet_sound_end(s, soft_tokens, count, error) : status;
}

gemlet_status gemlet_encode_sound(gemlet_session *session, const gemlet_sound *sound, const float **soft_tokens, size_t *count,
                                  gemlet_error *error) {
    return encode_whole(session, sound, NULL, soft_tokens, count, error);
}

gemlet_status gemlet_feed_sound(gemlet_session *session, const gemlet_sound *sound, gemlet_error *error) {
    gemlet_frame frame = {.joined = 0};
    const float *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = encode_whole(session, sound, &frame, &soft_tokens, &count, error);
    return status != GEMLET_OK ? status : gemlet_session_feed_framed(session, &frame, soft_tokens, count, error);
}
