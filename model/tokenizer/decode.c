#include <string.h>

#include "core/utf8.h"
#include "model/tokenizer/tables.h"
#include <gemlet/tokenizer.h>

void gemlet_decoder_begin(gemlet_decoder *decoder, const gemlet_tokenizer *tokenizer, bool specials) {
    memset(decoder, 0, sizeof *decoder);
    decoder->tokenizer = tokenizer;
    decoder->specials = specials;
}

/* Moves what is decided about the held bytes to the output: whole characters, and U+FFFD for bytes that start none.  At the `end`
 * of a run of byte tokens a character that is cut off starts none either. */
static size_t release(gemlet_decoder *decoder, bool end, size_t used) {
    while (decoder->held_count > 0) {
        uint32_t character;
        int length = gemlet_utf8_read(decoder->held, decoder->held_count, &character);
        if (length == 0 && !end) {
            break;
        }
        if (length <= 0) {
            length = 1;
            character = GEMLET_REPLACEMENT_CHARACTER;
        }
        used += gemlet_utf8_write(character, (unsigned char *)decoder->text + used);
        decoder->held_count -= (size_t)length;
        memmove(decoder->held, decoder->held + length, decoder->held_count);
    }
    return used;
}

gemlet_status gemlet_decoder_feed(gemlet_decoder *decoder, uint32_t token, const char **text, size_t *bytes) {
    const char *piece;
    size_t length;
    *text = decoder->text;
    *bytes = 0;
    gemlet_status status = gemlet_tokenizer_text(decoder->tokenizer, token, &piece, &length);
    if (status != GEMLET_OK) {
        return status;
    }
    unsigned kind = decoder->tokenizer->kinds[token];
    if (kind == GEMLET_TOKEN_KIND_BYTE) {
        if (length != 1) {
            return GEMLET_ERROR_FORMAT;
        }
        decoder->held[decoder->held_count++] = (unsigned char)piece[0];
        *bytes = release(decoder, false, 0);
        return GEMLET_OK;
    }
    if (!gemlet_utf8_valid((const unsigned char *)piece, length)) {
        return GEMLET_ERROR_FORMAT;
    }
    size_t used = release(decoder, true, 0);
    if (kind != GEMLET_TOKEN_KIND_SPECIAL || decoder->specials) {
        memcpy(decoder->text + used, piece, length);
        used += length;
    }
    *bytes = used;
    return GEMLET_OK;
}

void gemlet_decoder_flush(gemlet_decoder *decoder, const char **text, size_t *bytes) {
    *text = decoder->text;
    *bytes = release(decoder, true, 0);
}
