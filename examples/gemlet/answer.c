#include "examples/gemlet/answer.h"

#include "examples/gemlet/turn.h"
#include <gemlet/chat.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gemlet_sampler_settings sampler_settings(const options *o) {
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.temperature = o->temperature;
    settings.top_k = o->top_k;
    settings.top_p = o->top_p;
    settings.min_p = o->min_p;
    settings.repetition_penalty = o->repeat_penalty;
    settings.repetition_window = o->repeat_window;
    settings.seed = o->seed;
    return settings;
}

static bool go_on(void *context, size_t done, size_t total) {
    answerer *a = context;
    progress_show(&a->progress, done, total);
    return a->cancelled == NULL || !a->cancelled();
}

static gemlet_status open_sampler(answerer *a) {
    gemlet_sampler_settings settings = sampler_settings(a->options);
    size_t bytes = gemlet_sampler_bytes(&settings, a->engine.facts.vocabulary);
    return gemlet_sampler_open(&a->sampler, &settings, a->engine.facts.vocabulary, a->sampler_scratch, bytes, &a->error);
}

gemlet_status answerer_open(answerer *a, const options *o, bool (*cancelled)(void)) {
    *a = (answerer){.options = o, .cancelled = cancelled};
    gemlet_status status = engine_open(&a->engine, o, 0, &a->error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (o->think && !gemlet_chat_thinks(gemlet_model_chat(a->engine.model))) {
        return gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED, "--think: models of this family can't be asked to think");
    }
    gemlet_session_on_progress(a->engine.session, go_on, a);
    gemlet_sampler_settings settings = sampler_settings(o);
    a->sampler_scratch = malloc(gemlet_sampler_bytes(&settings, a->engine.facts.vocabulary));
    if (a->sampler_scratch == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the sampler");
    }
    return open_sampler(a);
}

static void forget_sounds(answerer *a) {
    while (a->sound_count > 0) {
        sound_free(&a->sounds[--a->sound_count]);
    }
}

void answerer_close(answerer *a) {
    forget_sounds(a);
    free(a->answer);
    free(a->before_answer);
    free(a->sampler_scratch);
    engine_close(&a->engine);
}

gemlet_status answerer_rewind(answerer *a, size_t length) {
    gemlet_status status = gemlet_session_rewind(a->engine.session, length, &a->error);
    a->unfed = a->unfed && status != GEMLET_OK;
    return status == GEMLET_OK ? open_sampler(a) : status;
}

static bool ends_turn(const answerer *a, uint32_t token) {
    return gemlet_chat_is_end(gemlet_model_chat(a->engine.model), a->engine.tokenizer, token);
}

static void print_text(const answerer *a, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        bool line_end = text[i] == '\n' || text[i] == '\r';
        putchar(a->one_line && line_end ? ' ' : text[i]);
    }
    if (bytes > 0) {
        fflush(stdout);
    }
}

/* Adds to the answer that is kept for later turns. */
static bool keep_text(answerer *a, const char *text, size_t bytes) {
    if (a->answer_bytes + bytes > a->answer_capacity) {
        size_t capacity = 2 * (a->answer_bytes + bytes);
        char *grown = realloc(a->answer, capacity);
        if (grown == NULL) {
            return false;
        }
        a->answer = grown;
        a->answer_capacity = capacity;
    }
    if (bytes > 0) {
        memcpy(a->answer + a->answer_bytes, text, bytes);
    }
    a->answer_bytes += bytes;
    return true;
}

static void trim_kept(answerer *a) {
    size_t start = 0;
    while (a->answer_bytes > 0 && isspace((unsigned char)a->answer[a->answer_bytes - 1])) {
        a->answer_bytes--;
    }
    while (start < a->answer_bytes && isspace((unsigned char)a->answer[start])) {
        start++;
    }
    a->answer_bytes -= start;
    if (start > 0) {
        memmove(a->answer, a->answer + start, a->answer_bytes);
    }
}

/* A piece of the reply to where it belongs. */
static gemlet_status tell(answerer *a, const char *text, size_t bytes, bool thought) {
    if (!thought) {
        print_text(a, text, bytes);
    } else if (a->options->show_thoughts) {
        fwrite(text, 1, bytes, stderr);
    }
    if (!thought && a->options->think && !keep_text(a, text, bytes)) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the answer");
    }
    return GEMLET_OK;
}

static answer_end end_for(gemlet_status status) {
    return status == GEMLET_ERROR_CANCELLED ? ANSWER_CANCELLED
           : status == GEMLET_ERROR_CONTEXT ? ANSWER_CONTEXT_FULL
                                            : ANSWER_FAILED;
}

/* With --slide, makes room for `count` tokens where there is none: the first prompt stays (a quarter of the context at most), and
 * of what else fits the newest half.  Where that can't be, feeding says that the context is full. */
static gemlet_status make_room(answerer *a, size_t count) {
    gemlet_session *session = a->engine.session;
    size_t capacity = gemlet_session_capacity(session);
    size_t length = gemlet_session_length(session);
    size_t keep = a->first_prompt < capacity / 4 ? a->first_prompt : capacity / 4;
    if (!a->options->slide || count <= capacity - length || length <= keep || count + keep + 2 > capacity) {
        return GEMLET_OK;
    }
    size_t recent = (capacity - keep - count) / 2;
    recent = recent < (length - keep + 1) / 2 ? recent : (length - keep + 1) / 2;
    gemlet_status status = gemlet_session_slide(session, keep, recent, &a->error);
    return status == GEMLET_ERROR_UNSUPPORTED ? GEMLET_OK : status;
}

static answer_end print_tokens(answerer *a, gemlet_reply *reply) {
    gemlet_session *session = a->engine.session;
    for (uint32_t i = 0; a->options->predict == 0 || i < a->options->predict; i++) {
        const char *text;
        size_t bytes;
        bool thought = false;
        gemlet_status status = a->unfed ? make_room(a, 1) : GEMLET_OK;
        if (status == GEMLET_OK && a->unfed) {
            status = gemlet_feed(session, &a->last, 1, &a->error);
        }
        if (status == GEMLET_OK) {
            a->unfed = false;
            status = go_on(a, 0, 0) ? gemlet_sampler_next(&a->sampler, session, &a->last, &a->error) : GEMLET_ERROR_CANCELLED;
        }
        if (status == GEMLET_OK && ends_turn(a, a->last)) {
            return ANSWER_TURN_ENDED;
        }
        if (status == GEMLET_OK) {
            status = gemlet_reply_feed(reply, a->last, &text, &bytes, &thought);
            a->thought = a->thought || reply->in_channel;
        }
        if (status == GEMLET_OK) {
            status = tell(a, text, bytes, thought);
        }
        if (status != GEMLET_OK) {
            return end_for(status);
        }
        a->unfed = true;
        a->work.tokens_out++;
        if (ferror(stdout)) {
            gemlet_fail(&a->error, GEMLET_ERROR_IO, "standard output can't be written");
            return ANSWER_FAILED;
        }
    }
    return ANSWER_LIMIT;
}

/* The session as it is before an answer, for thoughts to be taken out of it again. */
static gemlet_status keep_state(answerer *a) {
    size_t bytes = gemlet_session_state_bytes(a->engine.session);
    void *grown = realloc(a->before_answer, bytes);
    if (grown == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the state before the answer");
    }
    a->before_answer = grown;
    a->before_bytes = bytes;
    return gemlet_session_save(a->engine.session, a->before_answer, bytes, &a->error);
}

gemlet_status answerer_forget_answer(answerer *a) {
    a->unfed = false;
    return gemlet_session_restore(a->engine.session, a->before_answer, a->before_bytes, &a->error);
}

answer_end answer_print(answerer *a) {
    uint64_t started = engine_time(&a->engine);
    gemlet_reply reply;
    const char *text;
    size_t bytes;
    bool thought;
    a->thought = false;
    a->answer_bytes = 0;
    if (a->options->think && keep_state(a) != GEMLET_OK) {
        return ANSWER_FAILED;
    }
    gemlet_reply_begin(&reply, a->engine.tokenizer);
    answer_end end = print_tokens(a, &reply);
    gemlet_reply_flush(&reply, &text, &bytes, &thought);
    if (tell(a, text, bytes, thought) != GEMLET_OK) {
        end = ANSWER_FAILED;
    }
    trim_kept(a);
    a->work.time_out += engine_time(&a->engine) - started;
    return end;
}

/* ---- The prompt ---- */

gemlet_status answer_feed(answerer *a, const uint32_t *ids, size_t count) {
    uint64_t started = engine_time(&a->engine);
    progress_begin(&a->progress, "prompt");
    gemlet_status status = count > 0 ? gemlet_feed(a->engine.session, ids, count, &a->error) : GEMLET_OK;
    progress_end(&a->progress);
    if (status == GEMLET_OK) {
        gemlet_sampler_remember(&a->sampler, ids, count);
        a->work.tokens_in += count;
    }
    a->work.time_in += engine_time(&a->engine) - started;
    return status;
}

/* What an encoder has made, or has failed to make as `status` says; the call began at `started`. */
static gemlet_status feed_soft_tokens(answerer *a, gemlet_status status, const float *soft_tokens, size_t count, uint64_t started) {
    progress_end(&a->progress);
    if (status == GEMLET_OK) {
        progress_begin(&a->progress, "prompt");
        status = gemlet_feed_embeddings(a->engine.session, soft_tokens, count, &a->error);
        progress_end(&a->progress);
    }
    if (status == GEMLET_OK) {
        a->work.tokens_in += count;
    }
    a->work.time_in += engine_time(&a->engine) - started;
    return status;
}

gemlet_status answer_feed_image(answerer *a, const gemlet_image *image) {
    uint64_t started = engine_time(&a->engine);
    const float *soft_tokens = NULL;
    size_t count = 0;
    progress_begin(&a->progress, "picture");
    gemlet_status status = gemlet_encode_image(a->engine.session, image, &soft_tokens, &count, &a->error);
    return feed_soft_tokens(a, status, soft_tokens, count, started);
}

static gemlet_status feed_sound(answerer *a, const sound_file *file) {
    uint64_t started = engine_time(&a->engine);
    const float *soft_tokens = NULL;
    size_t count = 0;
    const gemlet_sound sound = sound_of(file);
    progress_begin(&a->progress, "sound");
    gemlet_status status = gemlet_encode_sound(a->engine.session, &sound, &soft_tokens, &count, &a->error);
    return feed_soft_tokens(a, status, soft_tokens, count, started);
}

gemlet_status answer_read_image(answerer *a, image_file *file, const char *path) {
    gemlet_status status = image_read(file, path, (size_t)a->options->image_memory * IMAGE_MEBIBYTE, &a->error);
    if (status == GEMLET_OK && file->damage[0] != '\0') {
        fprintf(stderr, "gemlet: %s: shown, but damaged: %s\n", path, file->damage);
    }
    return status;
}

static gemlet_status feed_file(answerer *a, const char *path) {
    image_file file;
    gemlet_status status = answer_read_image(a, &file, path);
    if (status == GEMLET_OK) {
        status = answer_feed_image(a, &file.image);
    }
    image_free(&file);
    return status;
}

static bool is_slot(uint32_t id) {
    return id == TURN_IMAGE || id == TURN_SOUND;
}

/* Tokens, and images and sounds where the prompt has a place for them. */
static gemlet_status feed_prompt(answerer *a, const token_list *prompt, const options_files *images) {
    gemlet_status status = GEMLET_OK;
    size_t image = 0, sound = 0;
    for (size_t first = 0; first < prompt->count && status == GEMLET_OK;) {
        size_t end = first;
        while (end < prompt->count && !is_slot(prompt->ids[end])) {
            end++;
        }
        status = answer_feed(a, prompt->ids + first, end - first);
        if (status == GEMLET_OK && end < prompt->count) {
            status = prompt->ids[end] == TURN_IMAGE ? feed_file(a, images->paths[image++]) : feed_sound(a, &a->sounds[sound++]);
        }
        first = end + 1;
    }
    return status;
}

static gemlet_status read_sounds(answerer *a, const options_files *sounds) {
    gemlet_status status = GEMLET_OK;
    forget_sounds(a);
    for (uint32_t i = 0; sounds != NULL && i < sounds->count && status == GEMLET_OK; i++) {
        status = sound_read(&a->sounds[a->sound_count], sounds->paths[i], a->options, &a->error);
        a->sound_count += status == GEMLET_OK ? 1 : 0;
    }
    return status;
}

static size_t count_slots(const token_list *prompt, uint32_t slot) {
    size_t slots = 0;
    for (size_t i = 0; i < prompt->count; i++) {
        slots += prompt->ids[i] == slot;
    }
    return slots;
}

/* Positions that the prompt takes in the session. */
static size_t count_positions(const answerer *a, const token_list *prompt) {
    size_t images = count_slots(prompt, TURN_IMAGE), sounds = count_slots(prompt, TURN_SOUND);
    size_t positions = prompt->count - images - sounds + images * gemlet_session_image_facts(a->engine.session).soft_tokens;
    for (size_t i = 0; i < a->sound_count; i++) {
        positions += gemlet_sound_soft_tokens(a->engine.session, a->sounds[i].count);
    }
    return positions;
}

gemlet_status answer_check_room(answerer *a, const token_list *prompt) {
    size_t capacity = gemlet_session_capacity(a->engine.session);
    size_t room = capacity - gemlet_session_length(a->engine.session);
    size_t positions = count_positions(a, prompt);
    if (positions <= room) {
        return GEMLET_OK;
    }
    gemlet_fail(&a->error, GEMLET_ERROR_CONTEXT, "the context is full: the prompt takes ");
    gemlet_error_number(&a->error, positions);
    gemlet_error_text(&a->error, " positions, those of ");
    gemlet_error_number(&a->error, count_slots(prompt, TURN_IMAGE));
    gemlet_error_text(&a->error, " pictures");
    if (a->sound_count > 0) {
        gemlet_error_text(&a->error, " and ");
        gemlet_error_number(&a->error, a->sound_count);
        gemlet_error_text(&a->error, " sounds");
    }
    gemlet_error_text(&a->error, " included, and there is room for ");
    gemlet_error_number(&a->error, room);
    gemlet_error_text(&a->error, " of ");
    gemlet_error_number(&a->error, capacity);
    gemlet_error_text(&a->error, " (--ctx)");
    return GEMLET_ERROR_CONTEXT;
}

answer_end answer(answerer *a, const token_list *prompt, const options_files *images, const options_files *sounds) {
    a->unfed = false;
    gemlet_status status = read_sounds(a, sounds);
    if (status != GEMLET_OK) {
        return ANSWER_FAILED;
    }
    status = make_room(a, count_positions(a, prompt));
    a->prompt_started = gemlet_session_length(a->engine.session);
    if (status == GEMLET_OK) {
        status = answer_check_room(a, prompt);
    }
    if (status == GEMLET_OK) {
        status = feed_prompt(a, prompt, images);
    }
    if (a->prompt_started == 0) {
        a->first_prompt = gemlet_session_length(a->engine.session);
    }
    if (status != GEMLET_OK) {
        return status == GEMLET_ERROR_CANCELLED ? ANSWER_CANCELLED : ANSWER_FAILED;
    }
    return answer_print(a);
}
