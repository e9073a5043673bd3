#include <string.h>

#include "model/chat/notation.h"
#include <gemlet/chat.h>

void gemlet_reply_begin(gemlet_reply *reply, const gemlet_tokenizer *tokenizer) {
    *reply = (gemlet_reply){.part = GEMLET_REPLY_ANSWER};
    gemlet_decoder_begin(&reply->decoder, tokenizer, false);
}

/* Takes a channel's name from the front of the text. */
static void drop_name(gemlet_reply *reply, const char **text, size_t *bytes) {
    while (reply->in_name && *bytes > 0) {
        reply->in_name = **text != '\n';
        ++*text;
        --*bytes;
    }
}

/* What a token begins or ends; false where it is no mark. */
static bool is_mark(const gemlet_reply *reply, uint32_t token, gemlet_reply_part *next) {
    static const struct {
        gemlet_special mark;
        gemlet_reply_part next;
    } marks[] = {{GEMLET_SPECIAL_START_OF_CHANNEL, GEMLET_REPLY_THOUGHT},
                 {GEMLET_SPECIAL_END_OF_CHANNEL, GEMLET_REPLY_ANSWER},
                 {GEMLET_SPECIAL_START_OF_TOOL_CALL, GEMLET_REPLY_CALL},
                 {GEMLET_SPECIAL_END_OF_TOOL_CALL, GEMLET_REPLY_ANSWER}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (token != GEMLET_NO_TOKEN && token == gemlet_tokenizer_special(reply->decoder.tokenizer, marks[i].mark)) {
            *next = marks[i].next;
            return true;
        }
    }
    return false;
}

/* Behind what the decoder held back. */
static void add_quote(gemlet_reply *reply, const char **text, size_t *bytes) {
    memcpy(reply->quote, *text, *bytes); /* at most three bytes that start no character: nine */
    memcpy(reply->quote + *bytes, GEMLET_CALL_QUOTE, GEMLET_CALL_QUOTE_BYTES);
    *text = reply->quote;
    *bytes += GEMLET_CALL_QUOTE_BYTES;
}

/* A mark's own text is not shown, but it may bring what the decoder held back: that belongs to what was before it. */
gemlet_status gemlet_reply_feed(gemlet_reply *reply, uint32_t token, const char **text, size_t *bytes, gemlet_reply_part *part) {
    gemlet_reply_part next = reply->part;
    bool mark = is_mark(reply, token, &next);
    bool quote =
        reply->part == GEMLET_REPLY_CALL && token == gemlet_tokenizer_special(reply->decoder.tokenizer, GEMLET_SPECIAL_TOOL_QUOTE);
    gemlet_status status = GEMLET_OK;
    *part = reply->part;
    if (mark || quote) {
        gemlet_decoder_flush(&reply->decoder, text, bytes);
    } else {
        status = gemlet_decoder_feed(&reply->decoder, token, text, bytes);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    drop_name(reply, text, bytes);
    if (quote) {
        add_quote(reply, text, bytes);
    }
    if (mark) {
        reply->part = next;
        reply->in_name = next == GEMLET_REPLY_THOUGHT;
    }
    return GEMLET_OK;
}

void gemlet_reply_flush(gemlet_reply *reply, const char **text, size_t *bytes, gemlet_reply_part *part) {
    gemlet_decoder_flush(&reply->decoder, text, bytes);
    drop_name(reply, text, bytes);
    *part = reply->part;
}
