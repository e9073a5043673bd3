#include "examples/gemlet/turn.h"

#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/options.h"
#include <gemlet/chat.h>

enum { MOST_PARTS = 4 * OPTIONS_MOST_FILES + 1 };

/* Text segments between two tokens go through one encoder, because BPE may join them. */
typedef struct turn {
    token_list *list;
    const gemlet_chat_format *format;
    const gemlet_tokenizer *tokenizer;
    gemlet_encoder encoder;
    gemlet_error *error;
} turn;

static gemlet_status append_segment(void *context, const gemlet_segment *segment) {
    turn *t = context;
    if (segment->type == GEMLET_SEGMENT_TEXT) {
        return gemlet_encoder_feed(&t->encoder, segment->text, segment->bytes, t->error);
    }
    gemlet_status status = gemlet_encoder_finish(&t->encoder, t->error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (segment->type != GEMLET_SEGMENT_SPECIAL) {
        const uint32_t slot = segment->type == GEMLET_SEGMENT_IMAGE ? TURN_IMAGE : TURN_SOUND;
        return tokens_append(t->list, &slot, 1);
    }
    uint32_t id = gemlet_tokenizer_special(t->tokenizer, segment->special);
    if (id == GEMLET_NO_TOKEN) {
        return gemlet_fail(t->error, GEMLET_ERROR_UNSUPPORTED, "the model's vocabulary lacks a token of its chat template");
    }
    return tokens_append(t->list, &id, 1);
}

/* What may stand in a text. */
static const struct slot {
    const char *mark;
    gemlet_part_type part;
    const char *one, *several;
} kinds[] = {{"<image>", GEMLET_PART_IMAGE, " picture", " pictures"}, {"<sound>", GEMLET_PART_AUDIO, " sound", " sounds"}};

enum { KINDS = sizeof kinds / sizeof *kinds };

static size_t count_marks(const char *text, const char *mark) {
    size_t marks = 0;
    for (const char *at = text; (at = strstr(at, mark)) != NULL; at += strlen(mark)) {
        marks++;
    }
    return marks;
}

/* A place without its picture would be text, and the model would make something up. */
static gemlet_status check_marks(const char *system, const char *text, const struct slot *kind, size_t there, gemlet_error *error) {
    size_t marks = count_marks(text, kind->mark);
    if (system != NULL && count_marks(system, kind->mark) > 0) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "a system prompt has no place for");
        gemlet_error_text(error, kind->several);
        gemlet_error_text(error, ", found ");
        gemlet_error_text(error, kind->mark);
        return GEMLET_ERROR_ARGUMENT;
    }
    if (marks == 0 || marks == there) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the text says ");
    gemlet_error_text(error, kind->mark);
    gemlet_error_text(error, " ");
    gemlet_error_number(error, marks);
    gemlet_error_text(error, marks == 1 ? " time, but there " : " times, but there ");
    gemlet_error_text(error, there == 1 ? "is " : "are ");
    gemlet_error_number(error, there);
    gemlet_error_text(error, there == 1 ? kind->one : kind->several);
    return GEMLET_ERROR_ARGUMENT;
}

/* The next mark of a kind that there is something for; NULL where there is none. */
static const struct slot *next_mark(const char *text, const size_t there[KINDS], const char **at) {
    const struct slot *found = NULL;
    for (size_t k = 0; k < KINDS; k++) {
        const char *mark = there[k] > 0 ? strstr(text, kinds[k].mark) : NULL;
        if (mark != NULL && (found == NULL || mark < *at)) {
            found = &kinds[k];
            *at = mark;
        }
    }
    return found;
}

/* The user's text with its images and sounds; answers how many parts. */
static size_t split(const char *text, turn_slots slots, gemlet_message_part parts[MOST_PARTS]) {
    const size_t there[KINDS] = {slots.images, slots.sounds};
    size_t count = 0;
    const char *at = text;
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < there[k] && count_marks(text, kinds[k].mark) == 0; i++) {
            parts[count++] = (gemlet_message_part){kinds[k].part, NULL, 0};
        }
    }
    for (const struct slot *kind; (kind = next_mark(text, there, &at)) != NULL; text = at + strlen(kind->mark)) {
        if (at > text) {
            parts[count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, (size_t)(at - text)};
        }
        parts[count++] = (gemlet_message_part){kind->part, NULL, 0};
    }
    parts[count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, strlen(text)};
    return count;
}

static gemlet_status render(turn *t, const turn_before *before, const char *text, turn_slots slots) {
    const char *system = before->system;
    const gemlet_message_part instructions = {GEMLET_PART_TEXT, system, system != NULL ? strlen(system) : 0};
    gemlet_message_part parts[MOST_PARTS];
    size_t count = split(text, slots, parts);
    const gemlet_message messages[] = {{GEMLET_ROLE_SYSTEM, &instructions, 1}, {GEMLET_ROLE_USER, parts, count}};
    bool instructed = before->first && system != NULL;
    gemlet_chat_options how = {
        .bos = before->first, .after_reply = !before->first, .generation_prompt = true, .think = before->first && before->think};
    gemlet_status status =
        before->reply != NULL ? gemlet_encoder_feed(&t->encoder, before->reply, before->reply_bytes, t->error) : GEMLET_OK;
    if (status == GEMLET_OK) {
        status = gemlet_chat_render(t->format, instructed ? messages : messages + 1, instructed ? 2 : 1, how, append_segment, t,
                                    t->error);
    }
    return status == GEMLET_OK ? gemlet_encoder_finish(&t->encoder, t->error) : status;
}

gemlet_status turn_append(token_list *list, const gemlet_model *model, const turn_before *before, const char *text,
                          turn_slots slots, gemlet_error *error) {
    const gemlet_tokenizer *tokenizer = gemlet_model_tokenizer(model);
    turn t = {.list = list, .format = gemlet_model_chat(model), .tokenizer = tokenizer, .error = error};
    const size_t there[KINDS] = {slots.images, slots.sounds};
    gemlet_status checked = GEMLET_OK;
    for (size_t k = 0; k < KINDS && checked == GEMLET_OK; k++) {
        checked = check_marks(before->first ? before->system : NULL, text, &kinds[k], there[k], error);
    }
    if (checked != GEMLET_OK) {
        return checked;
    }
    void *scratch = malloc(GEMLET_ENCODER_BYTES);
    if (scratch == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for tokens");
    }
    gemlet_status status =
        gemlet_encoder_begin(&t.encoder, tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_BYTES, tokens_append, list, error);
    if (status == GEMLET_OK) {
        status = render(&t, before, text, slots);
    }
    free(scratch);
    return status;
}
