#include "tests/grammar/compiled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gemlet/arena.h>

enum { GUARD = 256, GUARD_BYTE = 0x5A, FILL = 0xA5 };

gemlet_status compile_bytes(compiled *c, gemlet_grammar_kind kind, const char *text, size_t length, int fill) {
    size_t bytes = 0;
    *c = (compiled){.error = {GEMLET_OK, ""}};
    gemlet_status status = gemlet_grammar_bytes(kind, text, length, &bytes, &c->error);
    if (status != GEMLET_OK) {
        return status;
    }
    assert_int_equal(bytes % GEMLET_ALIGNMENT, 0);
    c->memory = aligned_alloc(GEMLET_ALIGNMENT, bytes + GUARD);
    assert_non_null(c->memory);
    memset(c->memory, fill, bytes);
    memset(c->memory + bytes, GUARD_BYTE, GUARD);
    status = gemlet_grammar_compile(kind, text, length, c->memory, bytes, &c->grammar, &c->error);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(c->memory[bytes + i], GUARD_BYTE);
    }
    return status;
}

gemlet_status compile_text(compiled *c, gemlet_grammar_kind kind, const char *text) {
    return compile_bytes(c, kind, text, text != NULL ? strlen(text) : 0, FILL);
}

void compile_good(compiled *c, gemlet_grammar_kind kind, const char *text) {
    if (compile_text(c, kind, text) != GEMLET_OK) {
        fail_msg("%s: %s", text, c->error.message);
    }
}

bool matches_bytes(const gemlet_grammar *grammar, const void *text, size_t bytes) {
    gemlet_grammar_state state;
    gemlet_grammar_begin(grammar, &state);
    for (size_t i = 0; i < bytes; i++) {
        if (!gemlet_grammar_advance(grammar, &state, ((const unsigned char *)text)[i], &state)) {
            return false;
        }
    }
    return gemlet_grammar_is_complete(grammar, &state);
}

bool matches(const gemlet_grammar *grammar, const char *text) {
    return matches_bytes(grammar, text, strlen(text));
}

void allows_only(gemlet_grammar_kind kind, const char *text, const char *const *good, const char *const *bad) {
    compiled c;
    compile_good(&c, kind, text);
    for (; *good != NULL; good++) {
        if (!matches(c.grammar, *good)) {
            fail_msg("%s: %s is refused", text, *good);
        }
    }
    for (; *bad != NULL; bad++) {
        if (matches(c.grammar, *bad)) {
            fail_msg("%s: %s is allowed", text, *bad);
        }
    }
    free(c.memory);
}
