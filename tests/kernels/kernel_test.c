#include "tests/kernels/kernel_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sanitized.h"
#include <gemlet/posix.h>

/* Under the address sanitizer nobody may read guards either. */
#ifdef GEMLET_ADDRESS_SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

uint64_t random_next(test_random *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

size_t random_range(test_random *r, size_t low, size_t high) {
    return low + (size_t)(random_next(r) % (high - low + 1));
}

float random_float(test_random *r, float low, float high) {
    return low + (high - low) * ((float)(random_next(r) >> 40) / 16777216.0f);
}

/* Sum of twelve uniforms: close enough to normal for test data. */
float random_normal(test_random *r) {
    float sum = -6.0f;
    for (int i = 0; i < 12; i++) {
        sum += random_float(r, 0.0f, 1.0f);
    }
    return sum;
}

float signalling_nan(void) {
    const uint32_t bits = 0x7F800001;
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    return nan;
}

void random_bytes(test_random *r, void *out, size_t bytes) {
    unsigned char *p = out;
    for (size_t i = 0; i < bytes; i++) {
        p[i] = (unsigned char)(random_next(r) >> 56);
    }
}

enum { GUARD = 256, GUARD_BYTE = 0xA5, POISON_BYTE = 0xCB };

typedef struct guarded_header {
    size_t bytes;
    unsigned char *allocation;
    size_t total;
} guarded_header;

static guarded_header *header_of(const void *buffer) {
    uintptr_t start = (uintptr_t)buffer & ~(uintptr_t)63;
    return (guarded_header *)(start - GUARD);
}

/* The header stays readable. */
static void close_guards(const guarded_header *header, const unsigned char *buffer) {
    const unsigned char *before = (const unsigned char *)(header + 1), *behind = buffer + header->bytes;
    ASAN_POISON_MEMORY_REGION(before, (size_t)(buffer - before));
    ASAN_POISON_MEMORY_REGION(behind, (size_t)(header->allocation + header->total - behind));
}

static void open_guards(const guarded_header *header) {
    ASAN_UNPOISON_MEMORY_REGION(header->allocation, header->total);
}

void *guarded_alloc(size_t bytes, size_t offset) {
    assert_true(offset < 64);
    size_t total = 64 + GUARD + 64 + bytes + GUARD;
    unsigned char *allocation = malloc(total);
    assert_non_null(allocation);
    memset(allocation, GUARD_BYTE, total);
    uintptr_t start = (((uintptr_t)allocation + 63) & ~(uintptr_t)63) + GUARD;
    unsigned char *buffer = (unsigned char *)start + offset;
    *header_of(buffer) = (guarded_header){bytes, allocation, total};
    memset(buffer, POISON_BYTE, bytes);
    close_guards(header_of(buffer), buffer);
    return buffer;
}

void guarded_check(const void *buffer) {
    const guarded_header *header = header_of(buffer);
    const unsigned char *byte = buffer;
    open_guards(header);
    for (const unsigned char *p = (const unsigned char *)(header + 1); p < byte; p++) {
        assert_int_equal(*p, GUARD_BYTE);
    }
    for (const unsigned char *p = byte + header->bytes; p < header->allocation + header->total; p++) {
        assert_int_equal(*p, GUARD_BYTE);
    }
    close_guards(header, byte);
}

void guarded_free(void *buffer) {
    if (buffer != NULL) {
        guarded_check(buffer);
        open_guards(header_of(buffer));
        free(header_of(buffer)->allocation);
    }
}

gemlet_level test_highest_level(void) {
    return gemlet_level_for(gemlet_posix_cpu_features());
}
