#include "examples/gemlet/answer.h"

#include <gemlet/chat.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS_OF_A_TIME = 9 }; /* around a frame of a clip: " 10:05 ", and what begins and ends its soft tokens */

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
    if (a->is_live) {
        sound_drain(&a->live); /* who speaks does not wait for a picture */
    }
    return a->cancelled == NULL || !a->cancelled();
}

static gemlet_status open_sampler(answerer *a) {
    gemlet_sampler_settings settings = sampler_settings(a->options);
    form_ask(&a->form, &settings);
    size_t bytes = gemlet_sampler_bytes(&settings, a->engine.facts.vocabulary);
    return gemlet_sampler_open(&a->sampler, &settings, a->engine.facts.vocabulary, a->sampler_scratch, bytes, &a->error);
}

/* How many frames the clip of each prompt has; 0: there is none. */
static size_t frames_of_clip(const options *o) {
    return o->clip_length > 0 ? o->clip_length : o->clip.count;
}

/* What --schema, --json or --pattern says of the answer's form, and whether calls have one. */
typedef struct wanted_form {
    gemlet_grammar_kind kind;
    const char *text;
    size_t bytes;
    bool answer, calls;
} wanted_form;

static gemlet_status compile_form(answerer *a, const wanted_form *w) {
    size_t tools = w->calls ? strlen(a->tools) : 0, needed = form_scratch_bytes(a->engine.tokenizer);
    gemlet_status status = w->answer ? form_count(w->kind, w->text, w->bytes, &needed, &a->error) : GEMLET_OK;
    if (status == GEMLET_OK && w->calls) {
        status = form_count(GEMLET_GRAMMAR_CALLS, a->tools, tools, &needed, &a->error);
    }
    if (status == GEMLET_OK && (a->form_memory = aligned_alloc(GEMLET_ALIGNMENT, needed)) == NULL) {
        status = gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the form of the answer");
    }
    status = status == GEMLET_OK ? form_words_open(&a->words, a->engine.tokenizer, &a->error) : status;
    status = status == GEMLET_OK ? form_open(&a->form, &a->words, a->form_memory, needed, &a->error) : status;
    if (status == GEMLET_OK && w->answer) {
        status = form_hold(&a->form, w->kind, w->text, w->bytes, &a->error);
    }
    return status == GEMLET_OK && w->calls ? form_hold_calls(&a->form, a->tools, tools, false, &a->error) : status;
}

static gemlet_status open_form(answerer *a) {
    const options *o = a->options;
    wanted_form w = {.kind = o->json ? GEMLET_GRAMMAR_JSON : GEMLET_GRAMMAR_PATTERN, .text = o->pattern, .calls = a->tools != NULL};
    char *schema = NULL;
    w.bytes = o->pattern != NULL ? strlen(o->pattern) : 0;
    w.answer = o->schema != NULL || o->pattern != NULL || o->json;
    if (o->schema != NULL) {
        w.kind = GEMLET_GRAMMAR_SCHEMA;
        w.text = schema = read_text(o->schema, &w.bytes, &a->error);
        if (schema == NULL) {
            return a->error.status;
        }
    }
    gemlet_status status = w.answer || w.calls ? compile_form(a, &w) : GEMLET_OK;
    free(schema);
    return status;
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
    if (o->tools != NULL && !gemlet_chat_calls(gemlet_model_chat(a->engine.model))) {
        return gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED, "--tools: models of this family were not made to call functions");
    }
    size_t bytes;
    if (o->tools != NULL && (a->tools = read_text(o->tools, &bytes, &a->error)) == NULL) {
        return a->error.status;
    }
    if (o->pan_and_scan && !gemlet_chat_crops(gemlet_model_chat(a->engine.model))) {
        return gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED,
                           "--pan-and-scan: models of this family were not made for crops of pictures");
    }
    if (frames_of_clip(o) > 0 && a->engine.plan.image_tokens == 0) {
        return gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED, "--clip: models of this family take no clips");
    }
    gemlet_session_on_progress(a->engine.session, go_on, a);
    gemlet_sampler_settings settings = sampler_settings(o);
    a->sampler_scratch = malloc(gemlet_sampler_bytes(&settings, a->engine.facts.vocabulary));
    if (a->sampler_scratch == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the sampler");
    }
    status = choices_open(&a->choices, o->choices, &a->engine, &a->error);
    status = status == GEMLET_OK ? open_form(a) : status;
    return status == GEMLET_OK ? open_sampler(a) : status;
}

static void forget_sounds(answerer *a) {
    if (a->is_live) {
        sound_close(&a->live);
    }
    a->is_live = false;
    a->live_sound = NULL;
    while (a->sound_count > 0) {
        sound_free(&a->sounds[--a->sound_count]);
    }
}

static void forget_pictures(answerer *a) {
    while (a->picture_count > 0) {
        image_free(&a->pictures[--a->picture_count]);
    }
}

void answerer_close(answerer *a) {
    forget_sounds(a);
    forget_pictures(a);
    choices_close(&a->choices);
    free(a->form_memory);
    form_words_close(&a->words);
    free(a->answer.bytes);
    free(a->calls.bytes);
    free(a->tools);
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

static gemlet_status keep_text(kept_text *kept, const char *text, size_t bytes, gemlet_error *error) {
    if (kept->count + bytes > kept->capacity) {
        size_t capacity = 2 * (kept->count + bytes);
        char *grown = realloc(kept->bytes, capacity);
        if (grown == NULL) {
            return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the answer");
        }
        kept->bytes = grown;
        kept->capacity = capacity;
    }
    if (bytes > 0) {
        memcpy(kept->bytes + kept->count, text, bytes);
    }
    kept->count += bytes;
    return GEMLET_OK;
}

static void trim(kept_text *kept) {
    size_t start = 0;
    while (kept->count > 0 && isspace((unsigned char)kept->bytes[kept->count - 1])) {
        kept->count--;
    }
    while (start < kept->count && isspace((unsigned char)kept->bytes[start])) {
        start++;
    }
    kept->count -= start;
    if (start > 0) {
        memmove(kept->bytes, kept->bytes + start, kept->count);
    }
}

/* A piece of the reply to where it belongs. */
static gemlet_status tell(answerer *a, const char *text, size_t bytes, gemlet_reply_part part) {
    if (part == GEMLET_REPLY_CALL && a->tools != NULL) {
        return keep_text(&a->calls, text, bytes, &a->error);
    }
    if (part != GEMLET_REPLY_THOUGHT) {
        print_text(a, text, bytes);
        return a->options->think ? keep_text(&a->answer, text, bytes, &a->error) : GEMLET_OK;
    }
    if (a->options->show_thoughts) {
        fwrite(text, 1, bytes, stderr);
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
        gemlet_reply_part part = GEMLET_REPLY_ANSWER;
        gemlet_status status = a->unfed ? make_room(a, 1) : GEMLET_OK;
        if (status == GEMLET_OK && a->unfed) {
            status = gemlet_feed(session, &a->last, 1, &a->error);
        }
        if (status == GEMLET_OK) {
            a->unfed = false;
            status = go_on(a, 0, 0) ? gemlet_sampler_next(&a->sampler, session, &a->last, &a->error) : GEMLET_ERROR_CANCELLED;
        }
        if (status == GEMLET_OK) {
            status = form_accept(&a->form, a->last, &a->error);
        }
        if (status == GEMLET_OK && ends_turn(a, a->last)) {
            return ANSWER_TURN_ENDED;
        }
        if (status == GEMLET_OK) {
            status = gemlet_reply_feed(reply, a->last, &text, &bytes, &part);
            a->thought = a->thought || reply->part == GEMLET_REPLY_THOUGHT;
        }
        if (status == GEMLET_OK) {
            status = tell(a, text, bytes, part);
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

gemlet_status answerer_keep_state(answerer *a) {
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

gemlet_status answerer_next_turn(answerer *a, const char *text, const options_files *images, size_t sounds, token_list *prompt) {
    bool first = gemlet_session_length(a->engine.session) == 0;
    turn_before before = {.first = first, .system = a->options->system, .think = a->options->think, .tools = a->tools};
    gemlet_status status = answer_look(a, images);
    if (status == GEMLET_OK && !first && a->thought) {
        status = answerer_forget_answer(a);
        before.reply = a->answer.bytes;
        before.reply_bytes = a->answer.count;
    } else if (status == GEMLET_OK && a->unfed) {
        status = tokens_append(prompt, &a->last, 1);
    }
    const turn_slots slots = {.images = images->count,
                              .sounds = sounds,
                              .crops = a->options->pan_and_scan ? a->crops : NULL,
                              .clip = a->options->clip.count > 0};
    return status == GEMLET_OK ? turn_append(prompt, a->engine.model, &before, text, slots, &a->error) : status;
}

static answer_end print_choice(answerer *a) {
    uint64_t started = engine_time(&a->engine);
    gemlet_status status = choices_print(&a->choices, a->engine.session, a->one_line, &a->error);
    a->work.time_out += engine_time(&a->engine) - started;
    return status == GEMLET_OK ? ANSWER_TURN_ENDED : status == GEMLET_ERROR_CANCELLED ? ANSWER_CANCELLED : ANSWER_FAILED;
}

answer_end answer_print(answerer *a) {
    if (a->choices.count > 0) {
        return print_choice(a);
    }
    uint64_t started = engine_time(&a->engine);
    gemlet_reply reply;
    const char *text;
    size_t bytes;
    gemlet_reply_part part;
    a->thought = false;
    a->answer.count = a->calls.count = 0;
    if (a->options->think && answerer_keep_state(a) != GEMLET_OK) {
        return ANSWER_FAILED;
    }
    if (form_begin(&a->form, gemlet_model_chat(a->engine.model), a->options->think, &a->error) != GEMLET_OK) {
        return ANSWER_FAILED;
    }
    gemlet_reply_begin(&reply, a->engine.tokenizer);
    answer_end end = print_tokens(a, &reply);
    gemlet_reply_flush(&reply, &text, &bytes, &part);
    if (tell(a, text, bytes, part) != GEMLET_OK) {
        end = ANSWER_FAILED;
    }
    trim(&a->answer);
    a->work.time_out += engine_time(&a->engine) - started;
    return end;
}

/* ---- The prompt ---- */

static gemlet_status feed_tokens(answerer *a, const uint32_t *ids, size_t count) {
    uint64_t started = engine_time(&a->engine);
    progress_begin(&a->progress, "prompt");
    gemlet_status status = count > 0 ? gemlet_feed(a->engine.session, ids, count, &a->error) : GEMLET_OK;
    progress_end(&a->progress);
    if (status == GEMLET_OK) {
        a->work.tokens_in += count;
    }
    a->work.time_in += engine_time(&a->engine) - started;
    return status;
}

gemlet_status answer_feed(answerer *a, const uint32_t *ids, size_t count) {
    gemlet_status status = feed_tokens(a, ids, count);
    if (status == GEMLET_OK) {
        gemlet_sampler_remember(&a->sampler, ids, count);
    }
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

gemlet_status answer_feed_sound(answerer *a, const gemlet_sound *sound) {
    uint64_t started = engine_time(&a->engine);
    const float *soft_tokens = NULL;
    size_t count = 0;
    progress_begin(&a->progress, "sound");
    gemlet_status status = gemlet_encode_sound(a->engine.session, sound, &soft_tokens, &count, &a->error);
    return feed_soft_tokens(a, status, soft_tokens, count, started);
}

/* Encodes what comes while more of it is recorded: at the end the last piece is left. */
static gemlet_status feed_live(answerer *a) {
    uint64_t started = engine_time(&a->engine);
    const float *samples = NULL, *soft_tokens = NULL;
    size_t count = 0;
    gemlet_status status = gemlet_sound_begin(a->engine.session, &a->error);
    while (status == GEMLET_OK && (status = sound_next(&a->live, &samples, &count)) == GEMLET_OK && count > 0) {
        const gemlet_sound piece = {GEMLET_SAMPLES_F32, samples, count};
        status = gemlet_sound_feed(a->engine.session, &piece, &a->error);
        a->work.sound_samples += count;
        a->work.sound_pieces++;
        a->work.sound_last = count;
    }
    if (status == GEMLET_OK) {
        status = gemlet_sound_end(a->engine.session, &soft_tokens, &count, &a->error);
    }
    return feed_soft_tokens(a, status, soft_tokens, count, started);
}

static gemlet_status feed_sound(answerer *a, const sound_file *file) {
    const gemlet_sound sound = sound_of(file);
    return file == a->live_sound ? feed_live(a) : answer_feed_sound(a, &sound);
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

gemlet_status answer_look(answerer *a, const options_files *images) {
    gemlet_status status = GEMLET_OK;
    forget_pictures(a);
    for (uint32_t i = 0; a->options->pan_and_scan && i < images->count && status == GEMLET_OK; i++) {
        gemlet_image crops[GEMLET_MOST_CROPS];
        status = answer_read_image(a, &a->pictures[i], images->paths[i]);
        a->crops[i] = status == GEMLET_OK ? (uint32_t)gemlet_crop_image(&a->pictures[i].image, crops) : 0;
        a->picture_count += status == GEMLET_OK ? 1 : 0;
    }
    return status;
}

/* What stands at a place of the prompt, where each picture is followed by its crops. */
static gemlet_status feed_picture(answerer *a, size_t place) {
    size_t picture = 0;
    for (; place > a->crops[picture]; picture++) {
        place -= 1 + a->crops[picture];
    }
    gemlet_image crops[GEMLET_MOST_CROPS];
    const gemlet_image *whole = &a->pictures[picture].image;
    (void)gemlet_crop_image(whole, crops);
    return answer_feed_image(a, place == 0 ? whole : &crops[place - 1]);
}

gemlet_status answer_feed_clip(answerer *a, const gemlet_clip_frame *frames, size_t count) {
    uint64_t started = engine_time(&a->engine);
    size_t before = gemlet_session_length(a->engine.session);
    progress_begin(&a->progress, "clip");
    gemlet_status status = gemlet_feed_clip(a->engine.session, frames, count, &a->error);
    progress_end(&a->progress);
    a->work.tokens_in += gemlet_session_length(a->engine.session) - before;
    a->work.time_in += engine_time(&a->engine) - started;
    return status;
}

/* The clip of the options: its frames are all decoded, and encoded one after the other. */
static gemlet_status feed_frames(answerer *a, image_file *files, gemlet_clip_frame *frames) {
    const options_files *clip = &a->options->clip;
    for (uint32_t i = 0; i < clip->count; i++) {
        gemlet_status status = answer_read_image(a, &files[i], clip->paths[i]);
        if (status != GEMLET_OK) {
            return status;
        }
        frames[i] = (gemlet_clip_frame){files[i].image, (double)i * (double)a->options->clip_interval};
    }
    return answer_feed_clip(a, frames, clip->count);
}

static gemlet_status feed_clip(answerer *a) {
    uint32_t count = a->options->clip.count;
    image_file *files = calloc(count, sizeof *files);
    gemlet_clip_frame *frames = calloc(count, sizeof *frames);
    gemlet_status status = GEMLET_ERROR_MEMORY;
    if (files != NULL && frames != NULL) {
        status = feed_frames(a, files, frames);
    } else {
        gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the frames of a clip");
    }
    for (uint32_t i = 0; files != NULL && i < count; i++) {
        image_free(&files[i]);
    }
    free(files);
    free(frames);
    return status;
}

/* The next picture of the prompt, or the clip. */
static gemlet_status feed_seen(answerer *a, const options_files *images, size_t image) {
    return a->options->clip.count > 0 ? feed_clip(a)
           : a->picture_count > 0     ? feed_picture(a, image)
                                      : feed_file(a, images->paths[image]);
}

static bool is_slot(uint32_t id) {
    return id == TURN_IMAGE || id == TURN_SOUND;
}

/* A prompt that is in whole is behind what was said, and the sampler knows it. */
static void settle_prompt(answerer *a, const token_list *prompt) {
    for (size_t i = 0; i < prompt->count; i++) {
        gemlet_sampler_remember(&a->sampler, &prompt->ids[i], is_slot(prompt->ids[i]) ? 0 : 1);
    }
    a->unfed = false;
    a->prompt_fed = true;
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
        status = feed_tokens(a, prompt->ids + first, end - first);
        if (status == GEMLET_OK && end < prompt->count) {
            status = prompt->ids[end] == TURN_IMAGE ? feed_seen(a, images, image++) : feed_sound(a, &a->sounds[sound++]);
        }
        first = end + 1;
    }
    return status;
}

/* Reads a sound, or opens the one that is yet to come. */
static gemlet_status read_sound(answerer *a, sound_file *file, const char *path) {
    if (a->options->raw_sound == 0 || strcmp(path, "-") != 0) {
        return sound_read(file, path, a->options, &a->error);
    }
    *file = (sound_file){NULL, 0};
    a->is_live = true;
    a->live_sound = file;
    gemlet_status status = sound_open(&a->live, path, a->options, &a->error);
    sound_limit(&a->live);
    return status;
}

static gemlet_status read_sounds(answerer *a, const options_files *sounds) {
    gemlet_status status = GEMLET_OK;
    forget_sounds(a);
    for (uint32_t i = 0; sounds != NULL && i < sounds->count && status == GEMLET_OK; i++) {
        status = read_sound(a, &a->sounds[a->sound_count], sounds->paths[i]);
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

/* Positions that the prompt takes in the session, at least. */
static size_t count_positions(const answerer *a, const token_list *prompt) {
    size_t images = count_slots(prompt, TURN_IMAGE), sounds = count_slots(prompt, TURN_SOUND);
    size_t soft_tokens = gemlet_session_image_facts(a->engine.session).soft_tokens;
    size_t frames = frames_of_clip(a->options);
    size_t seen = frames > 0 ? frames * (soft_tokens + MOST_TOKENS_OF_A_TIME) : images * soft_tokens;
    size_t positions = prompt->count - images - sounds + seen;
    for (size_t i = 0; i < a->sound_count; i++) {
        size_t shortest = gemlet_session_sound_facts(a->engine.session).shortest;
        size_t samples = &a->sounds[i] == a->live_sound ? shortest : a->sounds[i].count;
        positions += gemlet_sound_soft_tokens(a->engine.session, samples);
    }
    return positions;
}

gemlet_status answer_check_room(answerer *a, const token_list *prompt) {
    size_t capacity = gemlet_session_capacity(a->engine.session);
    size_t room = capacity - gemlet_session_length(a->engine.session);
    size_t positions = count_positions(a, prompt), frames = frames_of_clip(a->options);
    if (positions <= room) {
        return GEMLET_OK;
    }
    gemlet_fail(&a->error, GEMLET_ERROR_CONTEXT, "the context is full: the prompt takes ");
    gemlet_error_number(&a->error, positions);
    gemlet_error_text(&a->error, " positions, those of ");
    gemlet_error_number(&a->error, frames > 0 ? frames : count_slots(prompt, TURN_IMAGE));
    gemlet_error_text(&a->error, frames > 0 ? " frames of a clip" : a->picture_count > 0 ? " pictures and crops" : " pictures");
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
    a->prompt_fed = false;
    gemlet_status status = read_sounds(a, sounds);
    if (status == GEMLET_OK) {
        status = make_room(a, count_positions(a, prompt));
    }
    a->prompt_started = gemlet_session_length(a->engine.session);
    if (status == GEMLET_OK) {
        status = answer_check_room(a, prompt);
    }
    if (status == GEMLET_OK) {
        status = feed_prompt(a, prompt, images);
    }
    forget_pictures(a);
    if (a->prompt_started == 0) {
        a->first_prompt = gemlet_session_length(a->engine.session);
    }
    if (status != GEMLET_OK) {
        return status == GEMLET_ERROR_CANCELLED ? ANSWER_CANCELLED : ANSWER_FAILED;
    }
    settle_prompt(a, prompt);
    return answer_print(a);
}
