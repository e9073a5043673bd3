/* libFuzzer: byte 0 says what follows, byte 1 holds the options, then a 32-bit length with that many bytes of tables or of a
 * tokenizer.model, then text.
 * 0: any bytes as the tokenizer's tables.  Whatever they are, text is encoded and the ids decoded without harm.
 * 1: any bytes as tokenizer.model.  Where it builds, the ids do not depend on how the text is fed or how large the windows are, and
 *    decoding gives the text back. */
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "model/pack/sentencepiece_model.h"
#include "model/pack/tokenizer_build.h"
#include <gemlet/tokenizer.h>

enum { MAX_IDS = 1 << 18, LARGE = 65534 * GEMLET_ENCODER_SYMBOL_BYTES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct id_array {
    size_t count;
    uint32_t ids[MAX_IDS];
} id_array;

static gemlet_status append(void *context, const uint32_t *ids, size_t count) {
    id_array *array = context;
    if (count > MAX_IDS - array->count) {
        return GEMLET_ERROR_CONTEXT;
    }
    memcpy(array->ids + array->count, ids, count * sizeof *ids);
    array->count += count;
    return GEMLET_OK;
}

static gemlet_status encode(const gemlet_tokenizer *t, unsigned options, size_t scratch_bytes, size_t feed, const char *text,
                            size_t size, id_array *out) {
    static _Alignas(8) unsigned char scratch[LARGE];
    static gemlet_encoder encoder;
    gemlet_error error = {GEMLET_OK, ""};
    out->count = 0;
    gemlet_text_mode mode = options & 1 ? GEMLET_TEXT_SPECIAL : GEMLET_TEXT_PLAIN;
    gemlet_status status = gemlet_encoder_begin(&encoder, t, mode, scratch, scratch_bytes, append, out, &error);
    for (size_t at = 0; at < size && status == GEMLET_OK; at += feed) {
        status = gemlet_encoder_feed(&encoder, text + at, size - at < feed ? size - at : feed, &error);
    }
    status = status == GEMLET_OK ? gemlet_encoder_finish(&encoder, &error) : status;
    if (status != GEMLET_OK && (error.status != status || error.message[0] == '\0')) {
        abort(); /* every refusal says why */
    }
    return status;
}

/* Decodes into `out` (at least what the tokens' texts can need); the text so far must be valid UTF-8 after each token. */
static size_t decode(const gemlet_tokenizer *t, const id_array *ids, char *out, size_t capacity) {
    static gemlet_decoder decoder;
    size_t used = 0;
    const char *text;
    size_t bytes;
    gemlet_decoder_begin(&decoder, t, true);
    for (size_t i = 0; i <= ids->count; i++) {
        if (i == ids->count) {
            gemlet_decoder_flush(&decoder, &text, &bytes);
        } else if (gemlet_decoder_feed(&decoder, ids->ids[i], &text, &bytes) != GEMLET_OK) {
            continue;
        }
        if (bytes > sizeof decoder.text || !gemlet_utf8_valid((const unsigned char *)text, bytes)) {
            abort();
        }
        if (used + bytes <= capacity) {
            memcpy(out + used, text, bytes);
            used += bytes;
        }
    }
    return used;
}

/* The text as the encoder reads it: U+FFFD for bytes that are no UTF-8; U+2581 decodes to a space. */
static size_t normalize(const char *text, size_t size, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        uint32_t character;
        int length = gemlet_utf8_read((const unsigned char *)text + i, size - i, &character);
        character = length <= 0 ? GEMLET_REPLACEMENT_CHARACTER : character == 0x2581 ? ' ' : character;
        used += gemlet_utf8_write(character, (unsigned char *)out + used);
        i += length <= 0 ? 1 : (size_t)length;
    }
    return used;
}

static id_array first, second;

static void check_built(const gemlet_tokenizer *t, unsigned options, const char *text, size_t size) {
    gemlet_status whole = encode(t, options, LARGE, size + 1, text, size, &first);
    gemlet_status parts = encode(t, options, GEMLET_ENCODER_MIN_BYTES, 1 + (options >> 1), text, size, &second);
    if (whole != GEMLET_OK && size < 60000) {
        abort();
    }
    if (whole == GEMLET_OK && parts == GEMLET_OK &&
        (first.count != second.count || memcmp(first.ids, second.ids, 4 * first.count) != 0)) {
        abort();
    }
    char *expected = malloc(3 * size + 1);
    char *decoded = malloc(3 * size + 1);
    char *found = malloc(9 * size + 1);
    size_t length = normalize(text, size, expected);
    size_t used = decode(t, &first, decoded, 3 * size + 1);
    /* A vocabulary without a piece for U+2581 gives it back as its bytes. */
    if (whole == GEMLET_OK && (normalize(decoded, used, found) != length || memcmp(found, expected, length) != 0)) {
        abort();
    }
    free(expected);
    free(decoded);
    free(found);
}

static void build_and_check(const uint8_t *model, size_t bytes, unsigned options, const char *text, size_t size) {
    gemlet_vocabulary vocabulary;
    gemlet_error error = {GEMLET_OK, ""};
    void *tables = NULL;
    size_t table_bytes;
    gemlet_tokenizer tokenizer;
    gemlet_status status = gemlet_sentencepiece_read(model, bytes, &vocabulary, &error);
    if (status == GEMLET_OK) {
        status = gemlet_tokenizer_build(&vocabulary, &tables, &table_bytes, &error);
    }
    if (status != GEMLET_OK && (error.status != status || error.message[0] == '\0')) {
        abort();
    }
    if (status == GEMLET_OK) {
        if (gemlet_tokenizer_open(&tokenizer, tables, table_bytes, &error) != GEMLET_OK) {
            abort();
        }
        check_built(&tokenizer, options, text, size);
    }
    free(tables);
    gemlet_vocabulary_free(&vocabulary);
}

static void open_and_use(const uint8_t *tables, size_t bytes, unsigned options, const char *text, size_t size) {
    gemlet_tokenizer tokenizer;
    gemlet_error error = {GEMLET_OK, ""};
    static char decoded[1 << 16];
    unsigned char *copy = aligned_alloc(64, (bytes + 64) / 64 * 64);
    memcpy(copy, tables, bytes);
    if (gemlet_tokenizer_open(&tokenizer, copy, bytes, &error) == GEMLET_OK) {
        (void)encode(&tokenizer, options, GEMLET_ENCODER_MIN_BYTES, 1 + (options >> 1), text, size, &first);
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t id = i * 37;
            (void)append(&first, &id, 1);
        }
        (void)decode(&tokenizer, &first, decoded, sizeof decoded);
    } else if (error.message[0] == '\0') {
        abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t bytes;
    if (size < 6) {
        return 0;
    }
    memcpy(&bytes, data + 2, sizeof bytes);
    bytes = bytes < size - 6 ? bytes : (uint32_t)(size - 6);
    const char *text = (const char *)data + 6 + bytes;
    if (data[0] & 1) {
        build_and_check(data + 6, bytes, data[1], text, size - 6 - bytes);
    } else {
        open_and_use(data + 6, bytes, data[1], text, size - 6 - bytes);
    }
    return 0;
}
