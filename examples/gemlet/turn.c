#include "examples/gemlet/turn.h"

#include <stdlib.h>
#include <string.h>

#include "model/chat.h"

/* Text segments between two tokens go through one encoder, because BPE may join them. */
typedef struct turn {
    token_list *list;
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
        return gemlet_fail(t->error, GEMLET_ERROR_UNSUPPORTED, "a turn of text has no place for images and sounds");
    }
    uint32_t id = gemlet_tokenizer_special(t->tokenizer, segment->special);
    if (id == GEMLET_NO_TOKEN) {
        return gemlet_fail(t->error, GEMLET_ERROR_UNSUPPORTED, "the model's vocabulary lacks a token of its chat template");
    }
    return tokens_append(t->list, &id, 1);
}

static gemlet_status render(turn *t, const char *system, const char *text, bool first) {
    const gemlet_message_part parts[] = {{GEMLET_PART_TEXT, system, system != NULL ? strlen(system) : 0},
                                         {GEMLET_PART_TEXT, text, strlen(text)}};
    const gemlet_message messages[] = {{GEMLET_ROLE_SYSTEM, &parts[0], 1}, {GEMLET_ROLE_USER, &parts[1], 1}};
    bool instructed = first && system != NULL;
    const gemlet_segment ending[] = {{.type = GEMLET_SEGMENT_SPECIAL, .special = GEMLET_SPECIAL_END_OF_TURN},
                                     {.type = GEMLET_SEGMENT_TEXT, .text = "\n", .bytes = 1}};
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < 2 && !first && status == GEMLET_OK; i++) {
        status = append_segment(t, &ending[i]);
    }
    if (status == GEMLET_OK) {
        gemlet_chat_options how = {.bos = first, .generation_prompt = true};
        status = gemlet_chat_render(instructed ? messages : messages + 1, instructed ? 2 : 1, how, append_segment, t, t->error);
    }
    return status == GEMLET_OK ? gemlet_encoder_finish(&t->encoder, t->error) : status;
}

gemlet_status turn_append(token_list *list, const gemlet_tokenizer *tokenizer, const char *system, const char *text, bool first,
                          gemlet_error *error) {
    turn t = {.list = list, .tokenizer = tokenizer, .error = error};
    void *scratch = malloc(GEMLET_ENCODER_BYTES);
    if (scratch == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for tokens");
    }
    gemlet_status status =
        gemlet_encoder_begin(&t.encoder, tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_BYTES, tokens_append, list, error);
    if (status == GEMLET_OK) {
        status = render(&t, system, text, first);
    }
    free(scratch);
    return status;
}
