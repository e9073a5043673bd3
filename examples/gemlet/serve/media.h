/* Pictures and sounds of a request: base64 in, bytes and their identity out. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_MEDIA_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes base64 (RFC 4648, with its padding or without) into `bytes`, which has room for 3 / 4 of `length`, rounded up; it may be
 * the text itself.  False where a character is none of the alphabet's, or the length can't be. */
bool media_decode_base64(const char *text, size_t length, uint8_t *bytes, size_t *count);

/* Tells bytes apart: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) under a key that is drawn when the
 * program starts, so that nobody can make two pictures that are taken for one. */
typedef struct media_key {
    uint64_t words[2];
} media_key;
bool media_draw_key(media_key *key);
uint64_t media_identity(media_key key, const uint8_t *bytes, size_t count);

#endif
