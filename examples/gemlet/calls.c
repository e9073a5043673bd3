#include "examples/gemlet/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/turn.h"
#include "model/json/json.h"

enum { BYTES_OF_JSON_PER_BYTE = 6, MORE_BYTES_OF_JSON = 8 };

void calls_forget(call_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].name);
        free(list->entries[i].arguments);
        free(list->entries[i].response);
    }
    *list = (call_list){.count = 0};
}

/* The next call of the text; `*read` says how much of it that was. */
static gemlet_status read_one(call_list *list, const char *text, size_t bytes, size_t *read, gemlet_error *error) {
    size_t room = BYTES_OF_JSON_PER_BYTE * bytes + MORE_BYTES_OF_JSON;
    gemlet_call call;
    if (list->count == CALLS_MOST) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "the model calls more than 16 functions at once");
    }
    char *arguments = malloc(room), *name = NULL;
    if (arguments == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a call");
    }
    gemlet_status status = gemlet_call_read(text, bytes, arguments, room, &call, error);
    if (status == GEMLET_OK && (name = strndup(call.name, call.name_bytes)) == NULL) {
        status = gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a call");
    }
    if (status != GEMLET_OK) {
        free(arguments);
        return status;
    }
    *read = call.bytes;
    list->entries[list->count++] = (call_entry){.name = name, .arguments = arguments};
    return GEMLET_OK;
}

gemlet_status calls_read(call_list *list, const char *text, size_t bytes, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    calls_forget(list);
    for (size_t at = 0, read = 0; at < bytes && status == GEMLET_OK; at += read) {
        status = read_one(list, text + at, bytes - at, &read, error);
    }
    if (status != GEMLET_OK) {
        calls_forget(list);
    }
    return status;
}

void calls_print_next(const call_list *list) {
    if (list->answered < list->count) {
        const call_entry *entry = &list->entries[list->answered];
        printf("call %s %s\n", entry->name, entry->arguments);
        fflush(stdout);
    }
}

static gemlet_status receive_nothing(void *context, const gemlet_segment *segment) {
    (void)context;
    (void)segment;
    return GEMLET_OK;
}

/* Behind the reply the model goes on, as soon as its functions have answered. */
static const gemlet_chat_options behind_calls = {.after_reply = true, .generation_prompt = true};

gemlet_status calls_answer(call_list *list, const gemlet_model *model, const char *json, gemlet_error *error) {
    static const char what[] = "what the function answers: expected JSON";
    call_entry *entry = &list->entries[list->answered];
    gemlet_json alone; /* else `1,"more":2` would be taken for the answer and a second member */
    if (gemlet_json_open(&alone, json, strlen(json), "", error) != GEMLET_OK) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, what);
    }
    static const char form[] = "{\"name\":\"%s\",\"response\":%s}";
    size_t room = sizeof form + strlen(entry->name) + strlen(json);
    char *text = malloc(room);
    if (text == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for an answer");
    }
    int bytes = snprintf(text, room, form, entry->name, json);
    const gemlet_message_part part = {GEMLET_PART_RESPONSE, text, (size_t)bytes};
    const gemlet_message message = {GEMLET_ROLE_MODEL, &part, 1};
    gemlet_status status = gemlet_chat_render(gemlet_model_chat(model), &message, 1, behind_calls, receive_nothing, NULL, error);
    if (status != GEMLET_OK) {
        free(text);
        return status != GEMLET_ERROR_FORMAT ? status : gemlet_fail(error, status, what);
    }
    entry->response = text;
    list->answered++;
    return GEMLET_OK;
}

void calls_take_back(call_list *list) {
    if (list->answered > 0) {
        call_entry *entry = &list->entries[--list->answered];
        free(entry->response);
        entry->response = NULL;
    }
}

gemlet_status calls_append(const call_list *list, const gemlet_model *model, token_list *prompt, gemlet_error *error) {
    gemlet_message_part parts[CALLS_MOST];
    for (size_t i = 0; i < list->count; i++) {
        parts[i] = (gemlet_message_part){GEMLET_PART_RESPONSE, list->entries[i].response, strlen(list->entries[i].response)};
    }
    const gemlet_message message = {GEMLET_ROLE_MODEL, parts, list->count};
    return turn_append_messages(prompt, model, &message, 1, behind_calls, error);
}
