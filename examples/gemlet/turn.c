#include "examples/gemlet/turn.h"

#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/options.h"
#include <gemlet/chat.h>

enum { MOST_PARTS = 2 * OPTIONS_MOST_FILES + 1 };

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
    if (segment->type == GEMLET_SEGMENT_IMAGE) {
        const uint32_t image = TURN_IMAGE;
        return tokens_append(t->list, &image, 1);
    }
    if (segment->type != GEMLET_SEGMENT_SPECIAL) {
        return gemlet_fail(t->error, GEMLET_ERROR_UNSUPPORTED, "a turn has no place for sounds");
    }
    uint32_t id = gemlet_tokenizer_special(t->tokenizer, segment->special);
    if (id == GEMLET_NO_TOKEN) {
        return gemlet_fail(t->error, GEMLET_ERROR_UNSUPPORTED, "the model's vocabulary lacks a token of its chat template");
    }
    return tokens_append(t->list, &id, 1);
}

static const char mark[] = "<image>";

static size_t count_marks(const char *text) {
    size_t marks = 0;
    for (const char *at = text; (at = strstr(at, mark)) != NULL; at += sizeof mark - 1) {
        marks++;
    }
    return marks;
}

/* A place without its picture would be text, and the model would make something up. */
static gemlet_status check_marks(const char *system, const char *text, size_t images, gemlet_error *error) {
    size_t marks = count_marks(text);
    if (system != NULL && count_marks(system) > 0) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "a system prompt has no place for pictures, found <image>");
    }
    if (marks == 0 || marks == images) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the text says <image> ");
    gemlet_error_number(error, marks);
    gemlet_error_text(error, marks == 1 ? " time, but there " : " times, but there ");
    gemlet_error_text(error, images == 1 ? "is " : "are ");
    gemlet_error_number(error, images);
    gemlet_error_text(error, images == 1 ? " picture" : " pictures");
    return GEMLET_ERROR_ARGUMENT;
}

/* The user's text with its images; answers how many parts. */
static size_t split(const char *text, size_t images, gemlet_message_part parts[MOST_PARTS]) {
    size_t count = 0;
    bool marked = count_marks(text) > 0;
    for (; images > 0; images--) {
        const char *at = marked ? strstr(text, mark) : text;
        if (at > text) {
            parts[count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, (size_t)(at - text)};
        }
        parts[count++] = (gemlet_message_part){GEMLET_PART_IMAGE, NULL, 0};
        text = marked ? at + sizeof mark - 1 : at;
    }
    parts[count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, strlen(text)};
    return count;
}

static gemlet_status render(turn *t, const turn_before *before, const char *text, size_t images) {
    const char *system = before->system;
    const gemlet_message_part instructions = {GEMLET_PART_TEXT, system, system != NULL ? strlen(system) : 0};
    gemlet_message_part parts[MOST_PARTS];
    size_t count = split(text, images, parts);
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

gemlet_status turn_append(token_list *list, const gemlet_model *model, const turn_before *before, const char *text, size_t images,
                          gemlet_error *error) {
    const gemlet_tokenizer *tokenizer = gemlet_model_tokenizer(model);
    turn t = {.list = list, .format = gemlet_model_chat(model), .tokenizer = tokenizer, .error = error};
    gemlet_status checked = check_marks(before->first ? before->system : NULL, text, images, error);
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
        status = render(&t, before, text, images);
    }
    free(scratch);
    return status;
}
