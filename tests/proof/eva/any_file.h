/* A port whose files hold any bytes, may be of any size, and whose every call may fail; each read may give other bytes than the one
 * before, which no file does.  For Frama-C's Eva alone. */
#ifndef GEMLET_TESTS_PROOF_EVA_ANY_FILE_H
#define GEMLET_TESTS_PROOF_EVA_ANY_FILE_H

#include <__fc_builtin.h>

#include <stddef.h>

#include <gemlet/port.h>

/* Any bytes: what is read from it differs each time. */
static void any_bytes(unsigned char *out, size_t length) {
    if (length > 0) {
        Frama_C_make_unknown((char *)out, length);
    }
}

static _Bool any_bool(void) {
    return Frama_C_interval(0, 1) == 1;
}

static uint64_t any_number(void) {
    uint64_t number;
    any_bytes((unsigned char *)&number, sizeof number);
    return number;
}

static gemlet_file *any_open(void *context, const char *path) {
    (void)path;
    return any_bool() ? (gemlet_file *)context : NULL;
}

static void any_close(void *context, gemlet_file *file) {
    (void)context;
    (void)file;
}

static bool any_size(void *context, gemlet_file *file, uint64_t *size) {
    (void)context;
    (void)file;
    *size = any_number();
    return any_bool();
}

static int64_t any_read(void *context, gemlet_file *file, uint64_t offset, void *out, size_t length) {
    (void)context;
    (void)file;
    (void)offset;
    any_bytes(out, length);
    return any_bool() ? (int64_t)length : (int64_t)any_number();
}

#endif
