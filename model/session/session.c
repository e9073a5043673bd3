#include <string.h>

#include "core/carver.h"
#include "model/session/session.h"

/* ---- Opening ---- */

static gemlet_status take(gemlet_arena *arena, const char *name, size_t bytes, void *out, gemlet_error *error) {
    void *memory = NULL;
    gemlet_status status = gemlet_arena_keep(arena, name, bytes, &memory, error);
    memcpy(out, &memory, sizeof memory);
    return status;
}

static void set_decoder(gemlet_text_decoder *decoder, const gemlet_model *model, const gemlet_options *options) {
    size_t threads = model->port->thread_count(model->port->context);
    *decoder = (gemlet_text_decoder){
        .config = &model->config,
        .weights = &model->weights,
        .kernels = model->kernels,
        .port = model->port,
        .container = &model->container,
        .threads = threads > 0 ? threads : 1,
        .context = options->context,
        .chunk = options->chunk,
        .int8_cache = options->cache == GEMLET_CACHE_S8,
        .no_skipping = options->no_skipping,
    };
}

/* Finds out what an image takes, before the text model is opened, whose chunk may depend on it. */
static gemlet_status plan_images(gemlet_session *s, const gemlet_options *options, gemlet_error *error) {
    gemlet_model *model = s->model;
    gemlet_image_run *run = &s->image.run;
    if (model->images == NULL || options->no_images) {
        return GEMLET_OK;
    }
    s->images = model->images;
    *run = (gemlet_image_run){.kernels = model->kernels,
                              .port = model->port,
                              .threads = s->decoder.threads,
                              .text_width = model->config.width,
                              .image_size = options->image_size,
                              .image_tokens = options->image_tokens};
    gemlet_status status = s->images->plan(run, &model->image_model, &model->container, error);
    gemlet_status read = gemlet_container_check_read(&model->container, error); /* what seems to be missing may only not be read */
    return read != GEMLET_OK ? read : status;
}

/* The encoder never runs together with the text model: its memory is the text scratch, `text_scratch` bytes that were taken last,
 * with what is missing taken below. */
static gemlet_status open_images(gemlet_session *s, size_t text_scratch, gemlet_arena *arena, gemlet_error *error) {
    gemlet_image_run *run = &s->image.run;
    void *lowest = NULL;
    if (s->images == NULL) {
        return GEMLET_OK;
    }
    gemlet_status status =
        take(arena, "soft tokens", sizeof(float) * run->most_soft_tokens * run->text_width, &s->soft_tokens, error);
    if (status == GEMLET_OK) {
        size_t missing = run->bytes > text_scratch ? run->bytes - text_scratch : 0;
        status = gemlet_arena_scratch(arena, "image encoder, beyond text", missing, &lowest, error);
    }
    run->memory = lowest;
    return status;
}

/* What the encoder keeps between two calls is its own; its work memory is the scratch of the others, `scratch` bytes down to
 * `lowest`, with what is missing taken below. */
static gemlet_status open_sounds(gemlet_session *s, const gemlet_options *options, size_t scratch, gemlet_arena *arena,
                                 gemlet_error *error) {
    const gemlet_model *model = s->model;
    gemlet_conformer *c = &s->sound;
    if (!model->hears || options->no_sounds) {
        return GEMLET_OK;
    }
    s->hears = true;
    s->cut_sounds = options->cut_sounds;
    *c = (gemlet_conformer){.model = &model->sound_model,
                            .kernels = model->kernels,
                            .port = model->port,
                            .threads = s->decoder.threads,
                            .text_width = model->config.width,
                            .longest = (size_t)options->sound_seconds * GEMLET_SOUND_RATE};
    gemlet_conformer_plan(c);
    if (model->weights.audio_embedding != NULL) {
        c->padding = model->weights.audio_embedding + (size_t)(model->config.audio_count - 1) * model->config.width;
    }
    void *lowest = NULL;
    gemlet_status status =
        take(arena, "sound's soft tokens", sizeof(float) * c->most_soft_tokens * c->text_width, &c->soft_tokens, error);
    if (status == GEMLET_OK) {
        status = take(arena, "sound encoder", c->state_bytes, &c->state, error);
    }
    if (status == GEMLET_OK) {
        size_t missing = c->work_bytes > scratch ? c->work_bytes - scratch : 0;
        status = gemlet_arena_scratch(arena, "sound encoder, beyond the others", missing, &lowest, error);
    }
    c->work = lowest;
    if (status == GEMLET_OK && lowest != NULL) {
        gemlet_conformer_open(c);
    }
    return status;
}

/* Whether embeddings are those of images whose soft tokens see each other. */
static bool together(const gemlet_session *s) {
    return s->model->family->images_together && s->model->images != NULL;
}

gemlet_status gemlet_session_fill(gemlet_session *made, gemlet_model *model, const gemlet_options *options, gemlet_arena *arena,
                                  gemlet_error *error) {
    gemlet_options checked;
    *made = (gemlet_session){.model = model};
    gemlet_status status = gemlet_check_options(options, &model->config, &checked, error);
    if (status != GEMLET_OK) {
        return status;
    }
    set_decoder(&made->decoder, model, &checked);
    status = plan_images(made, &checked, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (together(made) && made->images != NULL) { /* an image goes through a layer as a whole */
        size_t soft_tokens = gemlet_smaller(made->image.run.most_soft_tokens, checked.context);
        checked.chunk = (uint32_t)gemlet_larger(checked.chunk, soft_tokens);
        made->decoder.chunk = checked.chunk;
    }
    status = take(arena, "session", checked.context * sizeof *made->history, &made->history, error);
    if (status == GEMLET_OK) {
        status = take(arena, "session", checked.chunk * sizeof *made->pending, &made->pending, error);
    }
    if (status == GEMLET_OK) {
        status = take(arena, "tokenizer", sizeof *made->encoder, &made->encoder, error);
    }
    if (status == GEMLET_OK) {
        status = take(arena, "tokenizer", GEMLET_ENCODER_BYTES, &made->encoder_scratch, error);
    }
    size_t before = arena->scratch;
    if (status == GEMLET_OK) {
        status = gemlet_text_open(&made->decoder, arena, error);
    }
    if (status == GEMLET_OK) {
        status = open_images(made, arena->scratch - before, arena, error);
    }
    return status != GEMLET_OK ? status : open_sounds(made, &checked, arena->scratch - before, arena, error);
}

gemlet_status gemlet_session_open(gemlet_model *model, const gemlet_options *options, gemlet_arena *arena, gemlet_session **session,
                                  gemlet_error *error) {
    if (model == NULL || arena == NULL || session == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "gemlet_session_open: model, arena and session must not be NULL");
    }
    gemlet_arena arena_before = *arena;
    gemlet_session counted; /* a counting arena gives no memory */
    gemlet_session *memory = NULL;
    *session = NULL;
    gemlet_status status = take(arena, "session", sizeof counted, &memory, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_fill(memory != NULL ? memory : &counted, model, options, arena, error);
    }
    if (status == GEMLET_OK) {
        *session = memory;
    } else {
        *arena = arena_before;
    }
    return status;
}

/* ---- Feeding ---- */

void gemlet_session_on_progress(gemlet_session *session, gemlet_progress progress, void *context) {
    session->progress = progress;
    session->progress_context = context;
}

/* What is fed: ids, or embeddings where `tokens` is NULL.  Logits are computed of the last position of the outermost call, or of
 * all where `row` is there. */
typedef struct feed_job {
    const uint32_t *tokens;
    const float *embeddings;
    size_t count;
    gemlet_logits_row row;
    void *context;
} feed_job;

typedef struct row_job {
    const feed_job *feed;
    size_t first;
    size_t vocabulary;
} row_job;

static void answer_row(void *context, size_t index, const float *logits) {
    const row_job *job = context;
    job->feed->row(job->feed->context, job->first + index, logits, job->vocabulary);
}

/* Behind `length` positions. */
static gemlet_status check_room_behind(const gemlet_session *s, size_t length, size_t count, gemlet_error *error) {
    size_t room = s->decoder.context - length;
    if (count <= room) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_CONTEXT, "the context is full: ");
    gemlet_error_number(error, count);
    gemlet_error_text(error, " tokens to feed, but room for ");
    gemlet_error_number(error, room);
    gemlet_error_text(error, " of ");
    gemlet_error_number(error, s->decoder.context);
    return GEMLET_ERROR_CONTEXT;
}

static gemlet_status check_room(const gemlet_session *s, size_t count, gemlet_error *error) {
    return check_room_behind(s, s->length, count, error);
}

static gemlet_status check_ids(const gemlet_session *s, const uint32_t *tokens, size_t count, gemlet_error *error) {
    if (tokens == NULL && count > 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "tokens must not be NULL");
    }
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] >= s->model->config.vocabulary) {
            gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "token ids must be below ");
            gemlet_error_number(error, s->model->config.vocabulary);
            gemlet_error_text(error, " but number ");
            gemlet_error_number(error, i);
            gemlet_error_text(error, " is ");
            gemlet_error_number(error, tokens[i]);
            return GEMLET_ERROR_ARGUMENT;
        }
    }
    return GEMLET_OK;
}

static gemlet_status check_tokens(const gemlet_session *s, const uint32_t *tokens, size_t count, gemlet_error *error) {
    gemlet_status status = check_ids(s, tokens, count, error);
    return status != GEMLET_OK ? status : check_room(s, count, error);
}

static gemlet_status feed_chunk(gemlet_session *s, const feed_job *job, size_t done, size_t count, gemlet_error *error) {
    size_t width = s->model->config.width;
    bool last = s->call_done + count == s->call_total;
    size_t wanted = job->row != NULL ? count : last ? 1 : 0;
    gemlet_text_chunk chunk = {.tokens = job->tokens != NULL ? job->tokens + done : NULL,
                               .embeddings = job->tokens != NULL ? NULL : job->embeddings + done * width,
                               .count = count,
                               .position = s->length,
                               .wanted = wanted,
                               .together = job->tokens == NULL && together(s)};
    row_job rows = {job, done, s->model->config.vocabulary};
    s->has_logits = false;
    gemlet_status status = gemlet_text_forward(&s->decoder, &chunk, job->row != NULL ? answer_row : NULL, &rows, error);
    if (status != GEMLET_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        s->history[s->length + i] = chunk.tokens != NULL ? chunk.tokens[i] : GEMLET_SOFT_TOKEN;
    }
    s->length += count;
    s->written = s->length > s->written ? s->length : s->written;
    s->has_logits = wanted > 0;
    return GEMLET_OK;
}

bool gemlet_session_begin_call(gemlet_session *session, size_t total) {
    bool outermost = session->call_total == 0;
    if (outermost) {
        session->call_total = total;
        session->call_done = 0;
    }
    return outermost;
}

void gemlet_session_end_call(gemlet_session *session, bool outermost) {
    session->call_total = outermost ? 0 : session->call_total;
}

static gemlet_status feed_chunks(gemlet_session *s, const feed_job *job, gemlet_error *error) {
    bool all_layers = job->row != NULL || s->decoder.no_skipping; /* for all tokens */
    all_layers = all_layers && (job->tokens != NULL || !together(s));
    size_t most = all_layers ? gemlet_smaller(s->decoder.chunk, GEMLET_MOST_WANTED) : s->decoder.chunk;
    for (size_t done = 0; done < job->count;) {
        size_t count = gemlet_smaller(job->count - done, most);
        gemlet_status status = feed_chunk(s, job, done, count, error);
        if (status != GEMLET_OK) {
            return status;
        }
        done += count;
        s->call_done += count;
        bool go_on = s->progress == NULL || s->progress(s->progress_context, s->call_done, s->call_total);
        if (!go_on && s->call_done < s->call_total) {
            s->has_logits = false; /* they are of a part of what was to be fed */
            return gemlet_fail(error, GEMLET_ERROR_CANCELLED, "cancelled by the caller");
        }
    }
    return GEMLET_OK;
}

static gemlet_status feed(gemlet_session *s, const feed_job *job, gemlet_error *error) {
    bool outermost = gemlet_session_begin_call(s, job->count);
    gemlet_status status = feed_chunks(s, job, error);
    gemlet_session_end_call(s, outermost);
    return status;
}

gemlet_status gemlet_feed(gemlet_session *session, const uint32_t *tokens, size_t count, gemlet_error *error) {
    gemlet_status status = check_tokens(session, tokens, count, error);
    return status != GEMLET_OK ? status : feed(session, &(feed_job){.tokens = tokens, .count = count}, error);
}

gemlet_status gemlet_feed_embeddings(gemlet_session *session, const float *embeddings, size_t count, gemlet_error *error) {
    if (embeddings == NULL && count > 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "embeddings must not be NULL");
    }
    gemlet_status status = check_room(session, count, error);
    if (status == GEMLET_OK && together(session) && count > session->decoder.chunk) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the soft tokens of an image, which see each other, must be at most ");
        gemlet_error_number(error, session->decoder.chunk);
        gemlet_error_text(error, " (option chunk) but are ");
        gemlet_error_number(error, count);
        return GEMLET_ERROR_ARGUMENT;
    }
    return status != GEMLET_OK ? status : feed(session, &(feed_job){.embeddings = embeddings, .count = count}, error);
}

gemlet_status gemlet_feed_with_logits(gemlet_session *session, const uint32_t *tokens, size_t count, gemlet_logits_row row,
                                      void *context, gemlet_error *error) {
    gemlet_status status = check_tokens(session, tokens, count, error);
    return status != GEMLET_OK
               ? status
               : feed(session, &(feed_job){.tokens = tokens, .count = count, .row = row, .context = context}, error);
}

gemlet_status gemlet_feed_prompt(gemlet_session *session, const uint32_t *tokens, size_t count, size_t *kept, gemlet_error *error) {
    size_t same = 0;
    gemlet_status status = check_ids(session, tokens, count, error);
    if (status != GEMLET_OK) {
        return status;
    }
    while (same < count && same < session->length && session->history[same] == tokens[same]) {
        same++;
    }
    same = same == count && same > 0 ? same - 1 : same; /* the last token's logits are wanted */
    same = gemlet_session_reaches(session, same) ? same : 0;
    status = check_room_behind(session, same, count - same, error);
    if (status == GEMLET_OK) {
        status = gemlet_session_rewind(session, same, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    if (kept != NULL) {
        *kept = same;
    }
    return gemlet_feed(session, count > 0 ? tokens + same : NULL, count - same, error); /* NULL may have no offset, even of 0 */
}

/* ---- Text ---- */

static gemlet_status count_tokens(void *context, const uint32_t *tokens, size_t count) {
    (void)tokens;
    *(size_t *)context += count;
    return GEMLET_OK;
}

typedef struct text_job {
    gemlet_session *session;
    gemlet_error *error;
} text_job;

/* Feeds what is pending once more comes, so that the last of a text is still pending at its end. */
static gemlet_status feed_pending(void *context, const uint32_t *tokens, size_t count) {
    text_job *job = context;
    gemlet_session *s = job->session;
    for (size_t i = 0; i < count; i++) {
        if (s->pending_count == s->decoder.chunk) {
            gemlet_status status = feed(s, &(feed_job){.tokens = s->pending, .count = s->pending_count}, job->error);
            if (status != GEMLET_OK) {
                return status;
            }
            s->pending_count = 0;
        }
        s->pending[s->pending_count++] = tokens[i];
    }
    return GEMLET_OK;
}

/* Hands the pieces' tokens to `sink`. */
static gemlet_status encode(gemlet_session *s, const gemlet_piece *pieces, size_t number, bool special, gemlet_token_sink sink,
                            void *context, gemlet_error *error) {
    gemlet_text_mode mode = special ? GEMLET_TEXT_SPECIAL : GEMLET_TEXT_PLAIN;
    gemlet_status status = gemlet_encoder_begin(s->encoder, &s->model->tokenizer, mode, s->encoder_scratch, GEMLET_ENCODER_BYTES,
                                                sink, context, error);
    for (size_t i = 0; i < number && status == GEMLET_OK; i++) {
        if (pieces[i].text != NULL) {
            status = gemlet_encoder_feed(s->encoder, pieces[i].text, pieces[i].bytes, error);
            continue;
        }
        status = gemlet_encoder_finish(s->encoder, error);
        status = status == GEMLET_OK ? sink(context, &pieces[i].token, 1) : status;
    }
    return status == GEMLET_OK ? gemlet_encoder_finish(s->encoder, error) : status;
}

gemlet_status gemlet_session_count(gemlet_session *session, const gemlet_piece *pieces, size_t number, bool special, size_t *count,
                                   gemlet_error *error) {
    return encode(session, pieces, number, special, count_tokens, count, error);
}

gemlet_status gemlet_session_check_room(const gemlet_session *session, size_t count, gemlet_error *error) {
    return check_room(session, count, error);
}

size_t gemlet_session_begins(const gemlet_session *session) {
    uint32_t first = gemlet_tokenizer_special(&session->model->tokenizer, GEMLET_SPECIAL_BOS);
    return session->length == 0 && first != GEMLET_NO_TOKEN ? 1 : 0;
}

gemlet_status gemlet_session_feed_pieces(gemlet_session *session, const gemlet_piece *pieces, size_t number, bool special,
                                         size_t count, gemlet_error *error) {
    bool outermost = gemlet_session_begin_call(session, count);
    session->pending_count = 0;
    if (gemlet_session_begins(session) == 1) {
        session->pending[session->pending_count++] = gemlet_tokenizer_special(&session->model->tokenizer, GEMLET_SPECIAL_BOS);
    }
    /* The text could be encoded once already: what fails now is feeding, which has said why. */
    gemlet_status status = encode(session, pieces, number, special, feed_pending, &(text_job){session, error}, NULL);
    if (status == GEMLET_OK) {
        status = feed(session, &(feed_job){.tokens = session->pending, .count = session->pending_count}, error);
    }
    gemlet_session_end_call(session, outermost);
    return status;
}

gemlet_status gemlet_feed_text(gemlet_session *session, const char *text, size_t bytes, bool special, gemlet_error *error) {
    if (text == NULL && bytes > 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "text must not be NULL");
    }
    const gemlet_piece piece = {.text = text != NULL ? text : "", .bytes = bytes};
    size_t count = gemlet_session_begins(session);
    gemlet_status status = gemlet_session_count(session, &piece, 1, special, &count, error);
    if (status == GEMLET_OK) {
        status = check_room(session, count, error);
    }
    return status != GEMLET_OK || count == 0 ? status : gemlet_session_feed_pieces(session, &piece, 1, special, count, error);
}

/* ---- State ---- */

gemlet_status gemlet_logits(gemlet_session *session, const float **logits, size_t *count, gemlet_error *error) {
    if (!session->has_logits) {
        return gemlet_fail(error, GEMLET_ERROR_STATE, "there are no logits: feed at least one token first");
    }
    *logits = session->decoder.logits;
    *count = session->model->config.vocabulary;
    return GEMLET_OK;
}

size_t gemlet_session_length(const gemlet_session *session) {
    return session->length;
}

size_t gemlet_session_capacity(const gemlet_session *session) {
    return session->decoder.context;
}

void gemlet_session_reset(gemlet_session *session) {
    session->length = 0;
    session->written = 0;
    session->has_logits = false;
}

bool gemlet_session_reaches(const gemlet_session *session, size_t length) {
    return length == 0 || gemlet_text_reaches(&session->decoder, session->written, length);
}

gemlet_status gemlet_session_rewind(gemlet_session *session, size_t length, gemlet_error *error) {
    if (length > session->length) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "can't rewind to the first ");
        gemlet_error_number(error, length);
        gemlet_error_text(error, " positions of ");
        gemlet_error_number(error, session->length);
        return GEMLET_ERROR_ARGUMENT;
    }
    if (!gemlet_session_reaches(session, length)) {
        return gemlet_fail(error, GEMLET_ERROR_STATE, "the sliding windows no longer hold what that position sees: reset instead");
    }
    if (length != session->length) {
        session->has_logits = false;
    }
    session->length = length;
    if (length == 0) {
        session->written = 0;
    }
    return GEMLET_OK;
}
