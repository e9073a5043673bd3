
#include <string.h>

#include "core/utf8.h"
#include "model/chat/format.h"

/* Where rendering stands. */
typedef struct rendering {
    const gemlet_chat_format *format;
    gemlet_segment_sink sink;
    void *context;
    gemlet_error *error;
    gemlet_status status; /* of the first failure; nothing is sent after it */
    size_t images;
    size_t sounds;
} rendering;

static void put(rendering *r, const gemlet_segment *segment) {
    if (r->status == GEMLET_OK) {
        r->status = r->sink(r->context, segment);
        if (r->status != GEMLET_OK) {
            gemlet_fail(r->error, r->status, "chat: stopped by the receiver of the segments");
        }
    }
}

static void put_bytes(rendering *r, const char *text, size_t bytes) {
    if (bytes > 0) {
        put(r, &(gemlet_segment){.type = GEMLET_SEGMENT_TEXT, .text = text, .bytes = bytes});
    }
}

static void put_text(rendering *r, const char *text) {
    put_bytes(r, text, strlen(text));
}

static void put_special(rendering *r, gemlet_special special) {
    put(r, &(gemlet_segment){.type = GEMLET_SEGMENT_SPECIAL, .special = special});
}

/* What Python's str.isspace calls white space: bidirectional type WS, B or S, or category Zs. */
static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* The length of the white space character that the text starts with, or 0. */
static size_t space_at(const unsigned char *text, size_t bytes) {
    uint32_t character;
    int length = bytes == 0 ? 0 : gemlet_utf8_read(text, bytes, &character);
    return length > 0 && is_space(character) ? (size_t)length : 0;
}

/* The same for the end of the text; white space has at most three bytes. */
static size_t space_before(const unsigned char *text, size_t bytes) {
    for (size_t length = 1; length <= 3 && length <= bytes; length++) {
        if (space_at(text + bytes - length, length) == length) {
            return length;
        }
    }
    return 0;
}

static void put_trimmed(rendering *r, const char *text, size_t bytes) {
    const unsigned char *start = (const unsigned char *)text;
    for (size_t length; (length = space_at(start, bytes)) > 0;) {
        start += length;
        bytes -= length;
    }
    for (size_t length; (length = space_before(start, bytes)) > 0;) {
        bytes -= length;
    }
    put_bytes(r, (const char *)start, bytes);
}

static void put_slot(rendering *r, gemlet_segment_type type, size_t index, const gemlet_splice *around) {
    put_text(r, around->before);
    put_special(r, around->start);
    put(r, &(gemlet_segment){.type = type, .index = index});
    put_special(r, around->end);
    put_text(r, around->after);
}

static void put_part(rendering *r, const gemlet_message_part *part) {
    switch (part->type) {
    case GEMLET_PART_TEXT: put_trimmed(r, part->text, part->bytes); break;
    case GEMLET_PART_IMAGE: put_slot(r, GEMLET_SEGMENT_IMAGE, r->images++, &r->format->image); break;
    case GEMLET_PART_AUDIO: put_slot(r, GEMLET_SEGMENT_AUDIO, r->sounds++, &r->format->sound); break;
    }
}

static void put_start(rendering *r, const char *role) {
    put_special(r, r->format->start_of_turn);
    put_text(r, role);
}

static void put_end(rendering *r) {
    put_special(r, r->format->end_of_turn);
    put_text(r, r->format->behind_turn);
}

static void put_turn(rendering *r, const gemlet_message *message, const gemlet_message *system) {
    put_start(r, message->role == GEMLET_ROLE_USER ? r->format->user : r->format->model);
    if (system != NULL) {
        put_bytes(r, system->parts[0].text, system->parts[0].bytes);
        put_text(r, r->format->behind_system);
    }
    for (size_t i = 0; i < message->part_count; i++) {
        put_part(r, &message->parts[i]);
    }
    put_end(r);
}

/* ---- what is refused ---- */

static gemlet_status refuse(gemlet_error *error, size_t message, const char *why) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "chat: message ");
    gemlet_error_number(error, message);
    gemlet_error_text(error, why);
    return GEMLET_ERROR_ARGUMENT;
}

static gemlet_status check_parts(const gemlet_message *message, size_t number, gemlet_error *error) {
    if (message->part_count > 0 && message->parts == NULL) {
        return refuse(error, number, " has no parts where some are counted");
    }
    for (size_t i = 0; i < message->part_count; i++) {
        const gemlet_message_part *part = &message->parts[i];
        if ((unsigned)part->type > GEMLET_PART_AUDIO || (part->type == GEMLET_PART_TEXT && part->text == NULL && part->bytes > 0)) {
            return refuse(error, number, " has a part that is neither text, image nor audio");
        }
    }
    return GEMLET_OK;
}

static gemlet_status check_system(const gemlet_message *message, size_t number, size_t count, gemlet_error *error) {
    if (number > 0) {
        return refuse(error, number, " is a system prompt; it must be the first message");
    }
    if (count == 1) {
        return refuse(error, number, " is a system prompt without a user's turn to stand in");
    }
    if (message->part_count != 1 || message->parts[0].type != GEMLET_PART_TEXT) {
        return refuse(error, number, " is a system prompt of other than one text");
    }
    return GEMLET_OK;
}

static gemlet_status check(const gemlet_message *messages, size_t count, gemlet_error *error) {
    size_t turn = 0;
    for (size_t i = 0; i < count; i++) {
        gemlet_status status = check_parts(&messages[i], i, error);
        if (status == GEMLET_OK && messages[i].role == GEMLET_ROLE_SYSTEM) {
            status = check_system(&messages[i], i, count, error);
        } else if (status == GEMLET_OK && messages[i].role != (turn++ % 2 == 0 ? GEMLET_ROLE_USER : GEMLET_ROLE_MODEL)) {
            status = refuse(error, i, " is out of turn; user and model must alternate, the user first");
        }
        if (status != GEMLET_OK) {
            return status;
        }
    }
    return GEMLET_OK;
}

gemlet_status gemlet_chat_render(const gemlet_chat_format *format, const gemlet_message *messages, size_t count,
                                 gemlet_chat_options options, gemlet_segment_sink sink, void *context, gemlet_error *error) {
    if (format == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "chat: no format given: gemlet_model_chat answers a model's");
    }
    if (messages == NULL || count == 0 || sink == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "chat: no messages or no receiver given");
    }
    rendering r = {.format = format, .sink = sink, .context = context, .error = error, .status = check(messages, count, error)};
    if (r.status == GEMLET_OK && options.bos) {
        put_special(&r, GEMLET_SPECIAL_BOS);
    }
    if (r.status == GEMLET_OK && options.after_reply) {
        put_end(&r);
    }
    bool has_system = messages[0].role == GEMLET_ROLE_SYSTEM;
    for (size_t i = has_system; i < count && r.status == GEMLET_OK; i++) {
        put_turn(&r, &messages[i], has_system && i == 1 ? &messages[0] : NULL);
    }
    if (options.generation_prompt) {
        put_start(&r, format->model);
    }
    return r.status;
}

bool gemlet_chat_is_end(const gemlet_chat_format *format, const gemlet_tokenizer *tokenizer, uint32_t token) {
    for (size_t i = 0; i < GEMLET_CHAT_ENDS; i++) {
        if (token == gemlet_tokenizer_special(tokenizer, format->ends[i])) {
            return true;
        }
    }
    return false;
}
