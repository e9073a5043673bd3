#include <string.h>

#include "core/utf8.h"
#include "model/chat/tools.h"

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
static void put_pieces(gemlet_rendering *r, kept_text pieces) {
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
        gemlet_put_bytes(r, piece, is_last ? (size_t)(last - piece) : bytes);
        last = is_last ? NULL : last;
    }
}

/* A text without the white space at its ends, and of a model that thinks without its thoughts: those of earlier turns are no part
 * of the conversation. */
static void put_trimmed(gemlet_rendering *r, gemlet_role role, const char *text, size_t bytes) {
    bool thinks = role == GEMLET_ROLE_MODEL && r->format->thinks;
    if (bytes > 0) {
        put_pieces(r, (kept_text){text, text + bytes, thinks ? "<|channel>" : NULL, thinks ? "<channel|>" : NULL});
    }
}

static void put_slot(gemlet_rendering *r, gemlet_segment_type type, size_t index, const gemlet_splice *around) {
    gemlet_put_text(r, around->before);
    gemlet_put_special(r, around->start);
    gemlet_put(r, &(gemlet_segment){.type = type, .index = index});
    gemlet_put_special(r, around->end);
    gemlet_put_text(r, around->after);
}

/* An image and the crops behind it. */
static void put_image(gemlet_rendering *r, size_t crops) {
    for (size_t i = 0; i <= crops; i++) {
        const gemlet_splice around = gemlet_chat_image_splice(r->format, i, crops);
        put_slot(r, GEMLET_SEGMENT_IMAGE, r->images++, &around);
    }
}

static size_t count_crops(const gemlet_message *message, size_t image) {
    size_t end = image + 1;
    while (end < message->part_count && message->parts[end].type == GEMLET_PART_CROP) {
        end++;
    }
    return end - image - 1;
}

static void put_part(gemlet_rendering *r, const gemlet_message *message, size_t number) {
    const gemlet_message_part *part = &message->parts[number];
    switch (part->type) {
    case GEMLET_PART_TEXT: put_trimmed(r, message->role, part->text, part->bytes); break;
    case GEMLET_PART_IMAGE: put_image(r, count_crops(message, number)); break;
    case GEMLET_PART_AUDIO: put_slot(r, GEMLET_SEGMENT_AUDIO, r->sounds++, &r->format->sound); break;
    case GEMLET_PART_CROP: break; /* with its image */
    case GEMLET_PART_CALL: gemlet_put_call(r, part->text, part->bytes); break;
    case GEMLET_PART_RESPONSE: gemlet_put_response(r, part->text, part->bytes); break;
    }
}

static void put_start(gemlet_rendering *r, const char *role) {
    gemlet_put_special(r, r->format->start_of_turn);
    gemlet_put_text(r, role);
}

static void put_end(gemlet_rendering *r) {
    gemlet_put_special(r, r->format->end_of_turn);
    gemlet_put_text(r, r->format->behind_turn);
}

/* What a message ends with; text where it has nothing. */
static gemlet_part_type last_part(const gemlet_message *message) {
    return message->part_count > 0 ? message->parts[message->part_count - 1].type : GEMLET_PART_TEXT;
}

/* A turn of the model that ends with calls waits for the responses, and behind these the model goes on: no end of turn. */
static void put_parts(gemlet_rendering *r, const gemlet_message *message) {
    for (size_t i = 0; i < message->part_count; i++) {
        put_part(r, message, i);
    }
    if (last_part(message) == GEMLET_PART_CALL) {
        gemlet_put_special(r, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE);
    } else if (last_part(message) != GEMLET_PART_RESPONSE) {
        put_end(r);
    }
}

static void put_turn(gemlet_rendering *r, const gemlet_message *message, const gemlet_message *system) {
    put_start(r, message->role == GEMLET_ROLE_USER ? r->format->user : r->format->model);
    if (system != NULL) {
        gemlet_put_bytes(r, system->parts[0].text, system->parts[0].bytes);
        gemlet_put_text(r, r->format->behind_system);
    }
    put_parts(r, message);
}

/* The system's own turn; `message` NULL where there is no prompt in it. */
static void put_system(gemlet_rendering *r, const gemlet_message *message, gemlet_chat_options options) {
    put_start(r, r->format->system);
    if (options.think) {
        gemlet_put_special(r, GEMLET_SPECIAL_THINK);
        gemlet_put_text(r, r->format->behind_think);
    }
    if (message != NULL) {
        put_trimmed(r, GEMLET_ROLE_SYSTEM, message->parts[0].text, message->parts[0].bytes);
    }
    if (options.tools != NULL) {
        gemlet_put_tools(r, options.tools, options.tools_bytes);
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

static gemlet_status check_crop(const gemlet_rendering *r, const gemlet_message *message, size_t part, size_t number) {
    if (!gemlet_chat_crops(r->format)) {
        return gemlet_fail(r->error, GEMLET_ERROR_UNSUPPORTED, "chat: the model was not made for crops of images");
    }
    gemlet_part_type before = part > 0 ? message->parts[part - 1].type : GEMLET_PART_TEXT;
    bool belongs = before == GEMLET_PART_IMAGE || before == GEMLET_PART_CROP;
    return belongs ? GEMLET_OK : refuse(r->error, number, " has a crop that does not stand behind its image");
}

/* A call or a response is written, to nowhere: that refuses what it can't write. */
static gemlet_status check_call(gemlet_rendering *r, const gemlet_message *message, size_t part, size_t number) {
    if (message->role != GEMLET_ROLE_MODEL) {
        return refuse(r->error, number, " has a call or a response, which belong to the model's turns");
    }
    put_part(r, message, part);
    return r->status;
}

static gemlet_status check_parts(gemlet_rendering *r, const gemlet_message *message, size_t number) {
    if (message->part_count > 0 && message->parts == NULL) {
        return refuse(r->error, number, " has no parts where some are counted");
    }
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < message->part_count && status == GEMLET_OK; i++) {
        const gemlet_message_part *part = &message->parts[i];
        switch (part->type) {
        case GEMLET_PART_IMAGE:
        case GEMLET_PART_AUDIO: break;
        case GEMLET_PART_CROP: status = check_crop(r, message, i, number); break;
        case GEMLET_PART_CALL:
        case GEMLET_PART_RESPONSE: status = check_call(r, message, i, number); break;
        default:
            if (part->type != GEMLET_PART_TEXT || (part->text == NULL && part->bytes > 0)) {
                status = refuse(r->error, number, " has a part that is neither text, image nor audio");
            }
        }
    }
    return status;
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

/* Whether the first message belongs to the turn of the reply before: what functions answered to its calls. */
static bool goes_on(const gemlet_message *messages, gemlet_chat_options options) {
    return options.after_reply && messages[0].role == GEMLET_ROLE_MODEL && messages[0].part_count > 0 &&
           messages[0].parts != NULL && messages[0].parts[0].type == GEMLET_PART_RESPONSE;
}

static gemlet_status check(gemlet_rendering *r, const gemlet_message *messages, size_t count, gemlet_chat_options options) {
    size_t turn = goes_on(messages, options) ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        gemlet_status status = check_parts(r, &messages[i], i);
        if (status == GEMLET_OK && messages[i].role == GEMLET_ROLE_SYSTEM) {
            status = check_system(&messages[i], i, count, r->error);
        } else if (status == GEMLET_OK && messages[i].role != (turn++ % 2 == 0 ? GEMLET_ROLE_USER : GEMLET_ROLE_MODEL)) {
            status = refuse(r->error, i, " is out of turn; user and model must alternate, the user first");
        }
        if (status != GEMLET_OK) {
            return status;
        }
    }
    if (options.tools != NULL) {
        gemlet_put_tools(r, options.tools, options.tools_bytes);
    }
    return r->status;
}

/* What stands before the first of the users' turns. */
static void put_beginning(gemlet_rendering *r, const gemlet_message *messages, gemlet_chat_options options) {
    if (options.bos) {
        gemlet_put_special(r, GEMLET_SPECIAL_BOS);
    }
    if (options.after_reply && !goes_on(messages, options)) {
        put_end(r);
    }
    if (options.after_reply) {
        options.think = false;
        options.tools = NULL;
    }
    bool has_system = messages[0].role == GEMLET_ROLE_SYSTEM;
    if (r->format->system != NULL && (has_system || options.think || options.tools != NULL)) {
        put_system(r, has_system ? &messages[0] : NULL, options);
    }
}

/* Where the rendering has failed already, nothing more is sent. */
static void put_conversation(gemlet_rendering *r, const gemlet_message *messages, size_t count, gemlet_chat_options options) {
    bool has_system = messages[0].role == GEMLET_ROLE_SYSTEM;
    size_t first = has_system ? 1 : 0;
    put_beginning(r, messages, options);
    if (goes_on(messages, options)) {
        put_parts(r, &messages[first++]);
    }
    for (size_t i = first; i < count && r->status == GEMLET_OK; i++) {
        put_turn(r, &messages[i], has_system && r->format->system == NULL && i == 1 ? &messages[0] : NULL);
    }
    gemlet_part_type last = last_part(&messages[count - 1]);
    if (options.generation_prompt && last != GEMLET_PART_CALL && last != GEMLET_PART_RESPONSE) {
        put_start(r, r->format->model);
    }
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
    gemlet_rendering r = {.format = format, .context = context, .error = error};
    r.status = check(&r, messages, count, options);
    if (r.status == GEMLET_OK) {
        r.sink = sink;
        put_conversation(&r, messages, count, options);
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

bool gemlet_chat_crops(const gemlet_chat_format *format) {
    return format->cropped.before != NULL;
}

bool gemlet_chat_calls(const gemlet_chat_format *format) {
    return format->tools != NULL;
}
