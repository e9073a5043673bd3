/* GGUF files made by hand, right and broken.  Only what the standard library has, so that nothing under test builds the tests. */
#ifndef GEMLET_TESTS_CONTAINER_GGUF_BUILDER_H
#define GEMLET_TESTS_CONTAINER_GGUF_BUILDER_H

#include <stddef.h>
#include <stdint.h>

enum { BUILDER_BYTES = 1 << 16, BUILDER_TENSORS = 16 };

typedef struct gguf_builder {
    _Alignas(64) unsigned char data[BUILDER_BYTES];
    size_t length;
} gguf_builder;

void put_bytes(gguf_builder *b, const void *bytes, size_t length);
void put_u32(gguf_builder *b, uint32_t number);
void put_u64(gguf_builder *b, uint64_t number);
void put_string(gguf_builder *b, const char *text);
void put_key_u32(gguf_builder *b, const char *key, uint32_t number);
void put_key_string(gguf_builder *b, const char *key, const char *text);
void put_key_u32s(gguf_builder *b, const char *key, const uint32_t *numbers, size_t count);

/* Changes a number that is there already. */
void set_u32(gguf_builder *b, size_t at, uint32_t number);
void set_u64(gguf_builder *b, size_t at, uint64_t number);

/* Where the first `what` of `length` bytes is; fails the test where it is not. */
size_t find_bytes(const gguf_builder *b, const void *what, size_t length);
size_t find_text(const gguf_builder *b, const char *text);

/* A valid packed file with one tensor of each kind:
 *   0 "real"   plain F32, 2 x 3          1 "matrix" Q4_0 panels, 16 x 32      2 "conv"  int8 convolution, 8 x 16, 1 tap
 *   3 "conv.scale" plain F32, 8          4 "depth"  real convolution, 4 x 1, 9 taps
 *   5 "blob"   a blob of 100 bytes
 * Positions of numbers in it, for tests that break them. */
typedef struct packed_places {
    size_t name[BUILDER_TENSORS];       /* of a tensor's name's length */
    size_t dimensions[BUILDER_TENSORS]; /* of the number of dimensions; the dimensions follow */
    size_t type[BUILDER_TENSORS];       /* of the type; the offset follows */
    size_t data[BUILDER_TENSORS];       /* of the data */
    size_t keys;                        /* of the first key's length */
} packed_places;

void build_packed(gguf_builder *b, packed_places *places);

#endif
