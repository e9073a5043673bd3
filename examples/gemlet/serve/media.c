#include "examples/gemlet/serve/media.h"

#include <sys/random.h>
#include <sys/types.h>

enum { BITS_PER_LETTER = 6, LETTERS = 4, NO_LETTER = 64, WORD_BYTES = 8 };

static unsigned letter_value(char letter) {
    return letter >= 'A' && letter <= 'Z'   ? (unsigned)(letter - 'A')
           : letter >= 'a' && letter <= 'z' ? (unsigned)(letter - 'a') + 26
           : letter >= '0' && letter <= '9' ? (unsigned)(letter - '0') + 52
           : letter == '+'                  ? 62
           : letter == '/'                  ? 63
                                            : NO_LETTER;
}

bool media_decode_base64(const char *text, size_t length, uint8_t *bytes, size_t *count) {
    size_t padded = length;
    while (length > 0 && padded - length < 2 && text[length - 1] == '=') {
        length--;
    }
    uint32_t bits = 0;
    *count = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned value = letter_value(text[i]);
        if (value == NO_LETTER) {
            return false;
        }
        bits = bits << BITS_PER_LETTER | value;
        unsigned place = (unsigned)(i % LETTERS);
        if (place != 0) { /* the letter completes a byte, and 4, 2 or 0 bits are left */
            bytes[(*count)++] = (uint8_t)(bits >> (BITS_PER_LETTER - 2 * place));
        }
    }
    return length % LETTERS != 1 && (padded == length || padded % LETTERS == 0);
}

bool media_draw_key(media_key *key) {
    return getrandom(key->words, sizeof key->words, 0) == (ssize_t)sizeof key->words;
}

static uint64_t rotate(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static void mix(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void take_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
}

uint64_t media_identity(media_key key, const uint8_t *bytes, size_t count) {
    const uint64_t a = key.words[0], b = key.words[1];
    uint64_t v[4] = {a ^ 0x736F6D6570736575u, b ^ 0x646F72616E646F6Du, a ^ 0x6C7967656E657261u, b ^ 0x7465646279746573u};
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)bytes[i] << 8 * (i % WORD_BYTES);
        if (i % WORD_BYTES == WORD_BYTES - 1) {
            take_word(v, word);
            word = 0;
        }
    }
    take_word(v, word | (uint64_t)count << 56);
    v[2] ^= 0xFF;
    for (int i = 0; i < 4; i++) {
        mix(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
