#include "examples/gemlet/turn.h"

#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/options.h"

enum { MOST_PARTS = (4 + GEMLET_MOST_CROPS) * OPTIONS_MOST_FILES + 1 };

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

/* The parts of a message, as far as they are known. */
typedef struct part_list {
    gemlet_message_part parts[MOST_PARTS];
    size_t count;
    size_t images; /* of them */
} part_list;

static void add_slot(part_list *list, gemlet_part_type type, turn_slots slots) {
    list->parts[list->count++] = (gemlet_message_part){type, NULL, 0};
    if (type == GEMLET_PART_IMAGE) {
        uint32_t crops = slots.crops != NULL ? slots.crops[list->images] : 0;
        for (; crops > 0; crops--) {
            list->parts[list->count++] = (gemlet_message_part){GEMLET_PART_CROP, NULL, 0};
        }
        list->images++;
    }
}

/* The user's text with its images and sounds. */
static void split(const char *text, turn_slots slots, part_list *list) {
    const size_t there[KINDS] = {slots.images, slots.sounds};
    const char *at = text;
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < there[k] && count_marks(text, kinds[k].mark) == 0; i++) {
            add_slot(list, kinds[k].part, slots);
        }
    }
    for (const struct slot *kind; (kind = next_mark(text, there, &at)) != NULL; text = at + strlen(kind->mark)) {
        if (at > text) {
            list->parts[list->count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, (size_t)(at - text)};
        }
        add_slot(list, kind->part, slots);
    }
    list->parts[list->count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, strlen(text)};
}

/* Messages, behind a reply that the session does not hold (NULL: none), through one encoder. */
static gemlet_status append(token_list *list, const gemlet_model *model, const turn_before *before, const gemlet_message *messages,
                            size_t count, gemlet_chat_options how, gemlet_error *error) {
    const gemlet_tokenizer *tokenizer = gemlet_model_tokenizer(model);
    turn t = {.list = list, .format = gemlet_model_chat(model), .tokenizer = tokenizer, .error = error};
    void *scratch = malloc(GEMLET_ENCODER_BYTES);
    if (scratch == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for tokens");
    }
    gemlet_status status =
        gemlet_encoder_begin(&t.encoder, tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_BYTES, tokens_append, list, error);
    if (status == GEMLET_OK && before != NULL && before->reply != NULL) {
        status = gemlet_encoder_feed(&t.encoder, before->reply, before->reply_bytes, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_chat_render(t.format, messages, count, how, append_segment, &t, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_encoder_finish(&t.encoder, error);
    }
    free(scratch);
    return status;
}

gemlet_status turn_append_messages(token_list *list, const gemlet_model *model, const gemlet_message *messages, size_t count,
                                   gemlet_chat_options how, gemlet_error *error) {
    return append(list, model, NULL, messages, count, how, error);
}

/* A clip has its own beginnings and ends: those of the image that holds its place go. */
static void unframe(token_list *list, size_t from) {
    size_t slot = from;
    while (list->ids[slot] != TURN_IMAGE) {
        slot++;
    }
    memmove(list->ids + slot + 1, list->ids + slot + 2, (list->count - slot - 2) * sizeof *list->ids);
    memmove(list->ids + slot - 1, list->ids + slot, (list->count - 1 - slot) * sizeof *list->ids);
    list->count -= 2;
}

gemlet_status turn_append(token_list *list, const gemlet_model *model, const turn_before *before, const char *text,
                          turn_slots slots, gemlet_error *error) {
    slots.images = slots.clip ? 1 : slots.images;
    const size_t there[KINDS] = {slots.images, slots.sounds}, from = list->count;
    const char *system = before->system;
    const gemlet_message_part instructions = {GEMLET_PART_TEXT, system, system != NULL ? strlen(system) : 0};
    part_list user = {.count = 0};
    gemlet_status status = GEMLET_OK;
    for (size_t k = 0; k < KINDS && status == GEMLET_OK; k++) {
        status = check_marks(before->first ? system : NULL, text, &kinds[k], there[k], error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    split(text, slots, &user);
    const gemlet_message messages[] = {{GEMLET_ROLE_SYSTEM, &instructions, 1}, {GEMLET_ROLE_USER, user.parts, user.count}};
    bool instructed = before->first && system != NULL;
    const gemlet_chat_options how = {.bos = before->first,
                                     .after_reply = !before->first,
                                     .generation_prompt = true,
                                     .think = before->first && before->think,
                                     .tools = before->tools,
                                     .tools_bytes = before->tools != NULL ? strlen(before->tools) : 0};
    status = append(list, model, before, instructed ? messages : messages + 1, instructed ? 2 : 1, how, error);
    if (status == GEMLET_OK && slots.clip) {
        unframe(list, from);
    }
    return status;
}
