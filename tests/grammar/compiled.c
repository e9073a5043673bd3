#include "tests/grammar/compiled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/kernel_test.h"
#include <gemlet/arena.h>

enum { FILL = 0xA5 };

gemlet_status compile_bytes(compiled *c, gemlet_grammar_kind kind, const char *text, size_t length, int fill) {
    size_t bytes = 0;
    *c = (compiled){.error = {GEMLET_OK, ""}};
    gemlet_status status = gemlet_grammar_bytes(kind, text, length, &bytes, &c->error);
    if (status != GEMLET_OK) {
        return status;
    }
    assert_int_equal(bytes % GEMLET_ALIGNMENT, 0);
    c->memory = guarded_alloc(bytes, 0);
    memset(c->memory, fill, bytes);
    status = gemlet_grammar_compile(kind, text, length, c->memory, bytes, &c->grammar, &c->error);
    guarded_check(c->memory);
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

bool advance_bytes(const gemlet_grammar *grammar, gemlet_grammar_state *state, const void *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (!gemlet_grammar_advance(grammar, state, ((const unsigned char *)text)[i], state)) {
            return false;
        }
    }
    return true;
}

bool matches_bytes(const gemlet_grammar *grammar, const void *text, size_t bytes) {
    gemlet_grammar_state state;
    gemlet_grammar_begin(grammar, &state);
    return advance_bytes(grammar, &state, text, bytes) && gemlet_grammar_is_complete(grammar, &state);
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
    guarded_free(c.memory);
}
