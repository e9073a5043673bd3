/* libFuzzer: conversations.  Byte 0: family and options; byte 1: the segment at which whoever takes them fails; then messages, each
 * a byte of role, a byte of how many parts, and parts of a byte of type, a byte of length and so many bytes.  What comes out is
 * text of the messages or of the format, in pieces that are not empty. */
#include <stdlib.h>
#include <string.h>

#include "model/chat/format.h"

enum { MOST_MESSAGES = 16, MOST_PARTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct listener {
    size_t segments, fails_at, images, sounds;
    unsigned sum; /* of all bytes: each must be there */
} listener;

static gemlet_status listen(void *context, const gemlet_segment *segment) {
    listener *l = context;
    if (segment->type == GEMLET_SEGMENT_TEXT) {
        if (segment->bytes == 0) {
            abort();
        }
        for (size_t i = 0; i < segment->bytes; i++) {
            l->sum += (unsigned char)segment->text[i];
        }
    }
    size_t *slot = segment->type == GEMLET_SEGMENT_IMAGE ? &l->images : segment->type == GEMLET_SEGMENT_AUDIO ? &l->sounds : NULL;
    if (slot != NULL && segment->index != (*slot)++) {
        abort(); /* in order */
    }
    return ++l->segments == l->fails_at ? GEMLET_ERROR_CANCELLED : GEMLET_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gemlet_chat_format *const formats[] = {&gemlet_gemma3_chat, &gemlet_functiongemma_chat, &gemlet_gemma4_chat};
    gemlet_message messages[MOST_MESSAGES];
    gemlet_message_part parts[MOST_PARTS];
    size_t message_count = 0, part_count = 0, images = 0, sounds = 0;
    if (size < 2) {
        return 0;
    }
    char *copy = malloc(size);
    memcpy(copy, data, size);
    for (size_t at = 2; at + 2 <= size && message_count < MOST_MESSAGES;) {
        gemlet_message *m = &messages[message_count++];
        *m = (gemlet_message){(gemlet_role)(data[at] % 4), &parts[part_count], data[at + 1] % 8};
        m->part_count = m->part_count > MOST_PARTS - part_count ? MOST_PARTS - part_count : m->part_count;
        at += 2;
        for (size_t i = 0; i < m->part_count; i++) {
            gemlet_message_part *part = &parts[part_count++];
            size_t length = at + 1 < size ? data[at + 1] : 0, rest = at + 2 < size ? size - at - 2 : 0;
            *part = (gemlet_message_part){(gemlet_part_type)(at < size ? data[at] % 7 : 0), copy + (rest > 0 ? at + 2 : size),
                                          length < rest ? length : rest};
            at += 2 + part->bytes;
            images += part->type == GEMLET_PART_IMAGE || part->type == GEMLET_PART_CROP ? 1 : 0;
            sounds += part->type == GEMLET_PART_AUDIO ? 1 : 0;
        }
    }
    gemlet_error error = {GEMLET_OK, ""};
    const gemlet_chat_options options = {.bos = (data[0] & 8) != 0,
                                         .generation_prompt = (data[0] & 16) != 0,
                                         .after_reply = (data[0] & 32) != 0,
                                         .think = (data[0] & 64) != 0};
    listener l = {.fails_at = data[1]};
    gemlet_status status = gemlet_chat_render(formats[data[0] % 3], messages, message_count, options, listen, &l, &error);
    bool refused = status == GEMLET_ERROR_ARGUMENT || status == GEMLET_ERROR_UNSUPPORTED || status == GEMLET_ERROR_FORMAT;
    if (status != GEMLET_OK && !(refused && l.segments == 0 && error.message[0] != '\0') &&
        !(status == GEMLET_ERROR_CANCELLED && l.segments == l.fails_at)) {
        abort(); /* nothing has been rendered where a conversation is refused */
    }
    if (status == GEMLET_OK && (l.images != images || l.sounds != sounds)) {
        abort();
    }
    free(copy);
    return 0;
}
