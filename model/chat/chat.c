
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
    static const uint16_t ranges[][2] = {{0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
                                         {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (c >= ranges[i][0] && c <= ranges[i][1]) {
            return true;
        }
    }
    return false;
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

/* A text of which some pieces are left out, and where the white space at both ends of the rest ends. */
typedef struct kept_text {
    const char *text, *end;
    const char *open, *close; /* what stands between them is left out, they too; NULL: nothing is */
} kept_text;

static const char *find(const char *text, const char *end, const char *wanted) {
    size_t bytes = strlen(wanted);
    for (; (size_t)(end - text) >= bytes; text++) {
        if (memcmp(text, wanted, bytes) == 0) {
            return text;
        }
    }
    return NULL;
}

/* The next piece that is kept, from `text` on; false behind the last one. */
static bool next_piece(kept_text *k, const char **piece, size_t *bytes) {
    if (k->text == NULL) {
        return false;
    }
    const char *close = k->close != NULL ? find(k->text, k->end, k->close) : NULL;
    const char *section = close != NULL ? close : k->end;
    const char *open = k->open != NULL ? find(k->text, section, k->open) : NULL;
    *piece = k->text;
    *bytes = (size_t)((open != NULL ? open : section) - k->text);
    k->text = close != NULL ? close + strlen(k->close) : NULL;
    return true;
}

/* The pieces as one text, without the white space at both ends. */
static void put_pieces(rendering *r, kept_text pieces) {
    const char *piece, *last = NULL;
    size_t bytes;
    for (kept_text k = pieces; next_piece(&k, &piece, &bytes);) {
        for (size_t length; (length = space_before((const unsigned char *)piece, bytes)) > 0;) {
            bytes -= length;
        }
        last = bytes > 0 ? piece + bytes : last;
    }
    bool begun = false;
    for (kept_text k = pieces; last != NULL && next_piece(&k, &piece, &bytes);) {
        for (size_t length; !begun && (length = space_at((const unsigned char *)piece, bytes)) > 0;) {
            piece += length;
            bytes -= length;
        }
        begun = begun || bytes > 0;
        bool is_last = last >= piece && last <= piece + bytes;
        put_bytes(r, piece, is_last ? (size_t)(last - piece) : bytes);
        last = is_last ? NULL : last;
    }
}

/* A text without the white space at its ends, and of a model that thinks without its thoughts: those of earlier turns are no part
 * of the conversation. */
static void put_trimmed(rendering *r, gemlet_role role, const char *text, size_t bytes) {
    bool thinks = role == GEMLET_ROLE_MODEL && r->format->thinks;
    if (bytes > 0) {
        put_pieces(r, (kept_text){text, text + bytes, thinks ? "<|channel>" : NULL, thinks ? "<channel|>" : NULL});
    }
}

static void put_slot(rendering *r, gemlet_segment_type type, size_t index, const gemlet_splice *around) {
    put_text(r, around->before);
    put_special(r, around->start);
    put(r, &(gemlet_segment){.type = type, .index = index});
    put_special(r, around->end);
    put_text(r, around->after);
}

static void put_part(rendering *r, gemlet_role role, const gemlet_message_part *part) {
    switch (part->type) {
    case GEMLET_PART_TEXT: put_trimmed(r, role, part->text, part->bytes); break;
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
        put_part(r, message->role, &message->parts[i]);
    }
    put_end(r);
}

/* The system's own turn; `message` NULL where there is no prompt in it. */
static void put_system(rendering *r, const gemlet_message *message, bool think) {
    put_start(r, r->format->system);
    if (think) {
        put_special(r, GEMLET_SPECIAL_THINK);
        put_text(r, r->format->behind_think);
    }
    if (message != NULL) {
        put_trimmed(r, GEMLET_ROLE_SYSTEM, message->parts[0].text, message->parts[0].bytes);
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
    if (options.think && !format->thinks) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "chat: the model can't be asked to think");
    }
    rendering r = {.format = format, .sink = sink, .context = context, .error = error, .status = check(messages, count, error)};
    if (r.status == GEMLET_OK && options.bos) {
        put_special(&r, GEMLET_SPECIAL_BOS);
    }
    if (r.status == GEMLET_OK && options.after_reply) {
        put_end(&r);
    }
    bool has_system = messages[0].role == GEMLET_ROLE_SYSTEM;
    bool own_turn = format->system != NULL;
    bool think = options.think && !options.after_reply;
    if (r.status == GEMLET_OK && own_turn && (has_system || think)) {
        put_system(&r, has_system ? &messages[0] : NULL, think);
    }
    for (size_t i = has_system; i < count && r.status == GEMLET_OK; i++) {
        put_turn(&r, &messages[i], has_system && !own_turn && i == 1 ? &messages[0] : NULL);
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

bool gemlet_chat_thinks(const gemlet_chat_format *format) {
    return format->thinks;
}
