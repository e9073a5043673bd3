/* A growing buffer of little-endian numbers, and GGUF keys in it. */
#ifndef GEMLET_MODEL_PACK_BYTES_H
#define GEMLET_MODEL_PACK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pack_bytes {
    unsigned char *data;
    size_t length;
    size_t capacity;
    bool failed; /* out of memory: what was added since is lost */
    uint32_t key_count;
} pack_bytes;

void pack_bytes_free(pack_bytes *b);
void pack_put(pack_bytes *b, const void *bytes, size_t length);
void pack_put_u32(pack_bytes *b, uint32_t number);
void pack_put_u64(pack_bytes *b, uint64_t number);
void pack_put_string(pack_bytes *b, const char *text);

/* A key and its value. */
void pack_key_u32(pack_bytes *b, const char *key, uint32_t number);
void pack_key_f32(pack_bytes *b, const char *key, float number);
void pack_key_string(pack_bytes *b, const char *key, const char *text);
void pack_key_u32s(pack_bytes *b, const char *key, const uint32_t *numbers, size_t count);
void pack_key_f32s(pack_bytes *b, const char *key, const float *numbers, size_t count);
void pack_key_bools(pack_bytes *b, const char *key, const bool *values, size_t count);

#endif
