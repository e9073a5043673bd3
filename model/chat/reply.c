#include <string.h>

#include <gemlet/chat.h>

void gemlet_reply_begin(gemlet_reply *reply, const gemlet_tokenizer *tokenizer) {
    *reply = (gemlet_reply){.in_channel = false};
    gemlet_decoder_begin(&reply->decoder, tokenizer, false);
}

/* Takes a channel's name from the front of the text. */
static void drop_name(gemlet_reply *reply, const char **text, size_t *bytes) {
    if (!reply->in_name) {
        return;
    }
    const char *end = memchr(*text, '\n', *bytes);
    size_t name = end != NULL ? (size_t)(end - *text) + 1 : *bytes;
    reply->in_name = end == NULL;
    *text += name;
    *bytes -= name;
}

/* A mark's own text is not shown, but it may bring what the decoder held back: that belongs to what was before it. */
gemlet_status gemlet_reply_feed(gemlet_reply *reply, uint32_t token, const char **text, size_t *bytes, bool *thought) {
    const gemlet_tokenizer *tokenizer = reply->decoder.tokenizer;
    gemlet_status status = gemlet_decoder_feed(&reply->decoder, token, text, bytes);
    *thought = reply->in_channel;
    if (status != GEMLET_OK) {
        return status;
    }
    drop_name(reply, text, bytes);
    if (token == gemlet_tokenizer_special(tokenizer, GEMLET_SPECIAL_START_OF_CHANNEL)) {
        reply->in_channel = reply->in_name = true;
    } else if (token == gemlet_tokenizer_special(tokenizer, GEMLET_SPECIAL_END_OF_CHANNEL)) {
        reply->in_channel = reply->in_name = false;
    }
    return GEMLET_OK;
}

void gemlet_reply_flush(gemlet_reply *reply, const char **text, size_t *bytes, bool *thought) {
    gemlet_decoder_flush(&reply->decoder, text, bytes);
    drop_name(reply, text, bytes);
    *thought = reply->in_channel;
}
