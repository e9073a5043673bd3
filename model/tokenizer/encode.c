#include <string.h>

#include "core/utf8.h"
#include "model/tokenizer/merge.h"
#include "model/tokenizer/trie.h"
#include <gemlet/tokenizer.h>

enum {
    SPACE_CHARACTER = 0x2581, /* what SentencePiece makes of a space */
    MAX_SYMBOLS = UINT16_MAX - 1,
    FIRST_OVERLAP = 32 /* symbols before the end of a window that the next one sees again; doubled until it agrees */
};

static gemlet_status damaged(gemlet_error *error) {
    return gemlet_fail(error, GEMLET_ERROR_FORMAT, "tokenizer tables: an index points outside its section");
}

/* ---- output ---- */

static gemlet_status flush_tokens(gemlet_encoder *e, gemlet_error *error) {
    size_t count = e->out_count;
    e->out_count = 0;
    if (error != NULL) {
        error->status = GEMLET_OK; /* the receiver may say in it why it stops */
    }
    gemlet_status status = count == 0 ? GEMLET_OK : e->sink(e->context, e->out, count);
    bool said = error != NULL && error->status == status;
    return status == GEMLET_OK || said ? status : gemlet_fail(error, status, "encoding stopped by the receiver of the tokens");
}

static gemlet_status put_token(gemlet_encoder *e, uint32_t token, gemlet_error *error) {
    if (token >= e->tokenizer->token_count) {
        return damaged(error);
    }
    e->out[e->out_count++] = token;
    return e->out_count == sizeof e->out / sizeof e->out[0] ? flush_tokens(e, error) : GEMLET_OK;
}

static gemlet_status put_bytes(gemlet_encoder *e, uint32_t character, gemlet_error *error) {
    unsigned char bytes[4];
    if (character > 0x10FFFF) {
        return damaged(error);
    }
    size_t count = gemlet_utf8_write(character, bytes);
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        status = put_token(e, e->tokenizer->byte_tokens[bytes[i]], error);
    }
    return status;
}

static gemlet_status put_unused(gemlet_encoder *e, uint32_t token, gemlet_error *error) {
    const gemlet_tokenizer *t = e->tokenizer;
    size_t low = 0;
    size_t high = t->expansion_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->expansions[middle].token < token) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == t->expansion_count || t->expansions[low].token != token) {
        return damaged(error);
    }
    const gemlet_tables_expansion *expansion = &t->expansions[low];
    if (expansion->count > GEMLET_TOKEN_BYTES || expansion->first > t->expansion_token_count ||
        expansion->count > t->expansion_token_count - expansion->first) {
        return damaged(error);
    }
    gemlet_status status = GEMLET_OK;
    for (uint32_t i = 0; i < expansion->count && status == GEMLET_OK; i++) {
        status = put_token(e, t->expansion_tokens[expansion->first + i], error);
    }
    return status;
}

static gemlet_status put_symbol(gemlet_encoder *e, uint32_t symbol, gemlet_error *error) {
    const gemlet_tokenizer *t = e->tokenizer;
    if (symbol & ENCODER_RAW_CHARACTER) {
        return put_bytes(e, symbol & ~ENCODER_RAW_CHARACTER, error);
    }
    if (symbol & ENCODER_FROZEN_TOKEN) {
        return put_token(e, symbol & ~ENCODER_FROZEN_TOKEN, error);
    }
    if (symbol >= t->token_count) {
        return symbol < t->symbol_count ? put_bytes(e, t->symbol_characters[symbol - t->token_count], error) : damaged(error);
    }
    return t->kinds[symbol] == GEMLET_TOKEN_KIND_UNUSED ? put_unused(e, symbol, error) : put_token(e, symbol, error);
}

static gemlet_status put_tokens(gemlet_encoder *e, size_t count, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < count && status == GEMLET_OK; i++) {
        status = put_symbol(e, e->tokens[i].symbol, error);
    }
    return status;
}

/* ---- windows ---- */

/* Keeps the merged symbols of gemlet_encoder_merge(first, count) as the tokens known so far. */
static void keep_tokens(gemlet_encoder *e, size_t first, size_t count) {
    e->token_count = 0;
    for (size_t i = 0; i < count; i = e->next[i]) {
        e->tokens[e->token_count++] = (gemlet_encoder_token){e->ids[i], (uint32_t)(e->next[i] - i)};
    }
    e->covered = first + count;
}

/* The last token that starts at least `overlap` symbols before the end of what the tokens cover, and in the window's first half, so
 * that the next merge covers half a window or more. */
static size_t token_before(const gemlet_encoder *e, size_t overlap, size_t *start) {
    size_t token = e->token_count;
    *start = e->covered;
    while (token > 0 && (e->covered - *start < overlap || *start > e->capacity / 2)) {
        *start -= e->tokens[--token].span;
    }
    return token;
}

/* Merges again from one of the known tokens to the end of the window; where that token comes out again, those before it are final.
 */
static gemlet_status confirm_tokens(gemlet_encoder *e, gemlet_error *error) {
    for (size_t overlap = FIRST_OVERLAP;; overlap *= 2) {
        size_t start;
        size_t token = token_before(e, overlap, &start);
        if (token == 0) {
            return gemlet_fail(error, GEMLET_ERROR_MEMORY,
                               "text without a safe place to cut its tokens; give the encoder more scratch");
        }
        gemlet_status status = gemlet_encoder_merge(e, start, e->count - start, error);
        if (status != GEMLET_OK) {
            return status;
        }
        if (e->ids[0] != e->tokens[token].symbol || e->next[0] != e->tokens[token].span) {
            continue;
        }
        status = put_tokens(e, token, error);
        e->count -= start;
        memmove(e->symbols, e->symbols + start, e->count * sizeof *e->symbols);
        keep_tokens(e, 0, e->count);
        return status;
    }
}

static gemlet_status put_window(gemlet_encoder *e, uint32_t symbol, gemlet_error *error) {
    if (e->count == e->capacity) {
        gemlet_status status = GEMLET_OK;
        if (e->token_count == 0) {
            status = gemlet_encoder_merge(e, 0, e->capacity / 2, error);
            keep_tokens(e, 0, e->capacity / 2);
        }
        if (status == GEMLET_OK) {
            status = confirm_tokens(e, error);
        }
        if (status != GEMLET_OK) {
            return status;
        }
    }
    e->symbols[e->count++] = symbol;
    return GEMLET_OK;
}

static gemlet_status finish_window(gemlet_encoder *e, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    if (e->token_count > 0) {
        status = confirm_tokens(e, error);
    } else if (e->count > 0) {
        status = gemlet_encoder_merge(e, 0, e->count, error);
        keep_tokens(e, 0, e->count);
    }
    if (status == GEMLET_OK) {
        status = put_tokens(e, e->token_count, error);
    }
    e->count = 0;
    e->token_count = 0;
    e->covered = 0;
    return status;
}

/* ---- user-defined and special tokens ---- */

/* The entry of the character table: a symbol, and whether a user-defined or special token may start here. */
static uint32_t find_character(const gemlet_tokenizer *t, uint32_t character) {
    uint32_t page = t->pages[character >> 8];
    return page < t->page_count ? t->characters[256 * page + (character & 255)] : GEMLET_NO_SYMBOL;
}

static uint32_t character_symbol(const gemlet_tokenizer *t, uint32_t character, uint32_t entry) {
    uint32_t symbol = entry & ~GEMLET_STARTS_MATCH;
    return symbol < t->symbol_count ? symbol : ENCODER_RAW_CHARACTER | character;
}

static void restart_match(gemlet_encoder *e) {
    e->match_depth = 0;
    e->match_length = 0;
    e->match_node = 0;
}

/* Follows the queue into the trie.  True where the longest match is certain, false where more text may make it longer. */
static bool advance_match(gemlet_encoder *e) {
    const gemlet_tokenizer *t = e->tokenizer;
    while (e->match_depth < e->queue_count) {
        const gemlet_tables_node *node = gemlet_trie_child(t, e->match_node, e->queue[e->match_depth]);
        if (node == NULL) {
            return true;
        }
        e->match_node = (uint32_t)(node - t->nodes);
        e->match_depth++;
        bool wanted = e->mode == GEMLET_TEXT_SPECIAL || !gemlet_tokenizer_is_special(t, node->token);
        if (node->token < t->token_count && wanted) {
            e->match_token = node->token;
            e->match_length = e->match_depth;
        }
    }
    return t->nodes[e->match_node].child_count == 0 || e->queue_count == GEMLET_MATCH_CHARACTERS;
}

/* Turns the front of the queue into symbols as far as that is certain, or all of it at the end of the text. */
static gemlet_status drain_queue(gemlet_encoder *e, bool end, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    while (e->queue_count > 0 && status == GEMLET_OK && (advance_match(e) || end)) {
        size_t used = e->match_length;
        if (used > 0) {
            status = put_window(e, ENCODER_FROZEN_TOKEN | e->match_token, error);
        } else {
            used = 1;
            uint32_t entry = find_character(e->tokenizer, e->queue[0]);
            status = put_window(e, character_symbol(e->tokenizer, e->queue[0], entry), error);
        }
        e->queue_count -= used;
        memmove(e->queue, e->queue + used, e->queue_count * sizeof e->queue[0]);
        restart_match(e);
    }
    return status;
}

static gemlet_status put_character(gemlet_encoder *e, uint32_t character, gemlet_error *error) {
    if (character == ' ') {
        character = SPACE_CHARACTER;
    }
    uint32_t entry = find_character(e->tokenizer, character);
    if (e->queue_count == 0 && !(entry & GEMLET_STARTS_MATCH)) {
        return put_window(e, character_symbol(e->tokenizer, character, entry), error);
    }
    e->queue[e->queue_count++] = character;
    return drain_queue(e, false, error);
}

/* ---- text ---- */

gemlet_status gemlet_encoder_begin(gemlet_encoder *encoder, const gemlet_tokenizer *tokenizer, gemlet_text_mode mode, void *scratch,
                                   size_t scratch_bytes, gemlet_token_sink sink, void *context, gemlet_error *error) {
    if (encoder == NULL || tokenizer == NULL || tokenizer->token_count == 0 || scratch == NULL || sink == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "encoder: no open tokenizer, scratch or receiver given");
    }
    if ((uintptr_t)scratch % 8 != 0) {
        return gemlet_fail(error, GEMLET_ERROR_ALIGNMENT, "encoder: scratch not at a multiple of 8 bytes");
    }
    if (scratch_bytes < GEMLET_ENCODER_MIN_BYTES) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "encoder: scratch must have ");
        gemlet_error_number(error, GEMLET_ENCODER_MIN_BYTES);
        gemlet_error_text(error, " bytes or more, found ");
        gemlet_error_number(error, scratch_bytes);
        return GEMLET_ERROR_MEMORY;
    }
    size_t n = scratch_bytes / GEMLET_ENCODER_SYMBOL_BYTES;
    n = n > MAX_SYMBOLS ? MAX_SYMBOLS : n;
    memset(encoder, 0, sizeof *encoder);
    encoder->tokenizer = tokenizer;
    encoder->mode = mode;
    encoder->sink = sink;
    encoder->context = context;
    encoder->capacity = n;
    encoder->tokens = scratch;
    encoder->symbols = (uint32_t *)(encoder->tokens + n);
    encoder->ids = encoder->symbols + n;
    encoder->merges = encoder->ids + n;
    encoder->ranks = encoder->merges + n;
    encoder->next = (uint16_t *)(encoder->ranks + n);
    encoder->previous = encoder->next + n;
    encoder->heap = encoder->previous + n;
    encoder->places = encoder->heap + n;
    return GEMLET_OK;
}

/* Reads the characters of partial[]; at the end of the text one that is cut off is invalid. */
static gemlet_status drain_partial(gemlet_encoder *e, bool end, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    while (e->partial_count > 0 && status == GEMLET_OK) {
        uint32_t character;
        int length = gemlet_utf8_read(e->partial, e->partial_count, &character);
        if (length == 0 && !end) {
            break;
        }
        if (length <= 0) {
            length = 1;
            character = GEMLET_REPLACEMENT_CHARACTER;
        }
        e->partial_count -= (size_t)length;
        memmove(e->partial, e->partial + length, e->partial_count);
        status = put_character(e, character, error);
    }
    return status;
}

gemlet_status gemlet_encoder_feed(gemlet_encoder *encoder, const char *text, size_t bytes, gemlet_error *error) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < bytes && status == GEMLET_OK; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (encoder->partial_count == 0 && byte < 0x80) {
            status = put_character(encoder, byte, error);
        } else {
            encoder->partial[encoder->partial_count++] = byte;
            status = drain_partial(encoder, false, error);
        }
    }
    return status;
}

gemlet_status gemlet_encoder_finish(gemlet_encoder *encoder, gemlet_error *error) {
    gemlet_status status = drain_partial(encoder, true, error);
    if (status == GEMLET_OK) {
        status = drain_queue(encoder, true, error);
    }
    if (status == GEMLET_OK) {
        status = finish_window(encoder, error);
    }
    if (status == GEMLET_OK) {
        status = flush_tokens(encoder, error);
    }
    return status;
}
