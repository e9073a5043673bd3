/* libFuzzer: any bytes as a JSON schema, a pattern, a list of functions, or text that goes through a compiled one.  The first byte
 * says which; of a text the first zero byte ends the grammar, or what one is drawn from. */
#include <stdlib.h>
#include <string.h>

#include "model/grammar/table.h"
#include "tests/support/drawn_schema.h"
#include <gemlet/arena.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_MEMORY = 1 << 22, MOST_WALK = 400 };

/* The text as far as it is allowed, then bytes that are: there must be one as long as the text is not complete. */
static void walk(const gemlet_grammar *grammar, const uint8_t *text, size_t bytes) {
    gemlet_grammar_state state, next;
    gemlet_grammar_begin(grammar, &state);
    for (size_t i = 0; i < bytes && i < MOST_WALK; i++) {
        if (!gemlet_grammar_advance(grammar, &state, text[i], &next)) {
            break;
        }
        state = next;
    }
    for (size_t i = 0; i < MOST_WALK / 4 && !gemlet_grammar_is_complete(grammar, &state); i++) {
        unsigned byte = 0;
        while (byte < 256 && !gemlet_grammar_advance(grammar, &state, (unsigned char)(byte ^ 0x7D), &next)) {
            byte++;
        }
        if (byte == 256) {
            abort();
        }
        state = next;
    }
}

/* The arrays lie in one block, in which no sanitizer sees where one ends. */
static void check_table(const gemlet_grammar *g, const void *memory, size_t bytes) {
    const void *const ends[] = {g->nodes + g->node_count,         g->entries + g->entry_count, g->patterns + g->pattern_count,
                                g->positions + g->position_count, g->ranges + g->range_count,  g->text + g->text_bytes};
    const void *const limits[] = {g->entries, g->patterns, g->positions, g->ranges, g->text, (const char *)memory + bytes};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if ((uintptr_t)ends[i] > (uintptr_t)limits[i]) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char drawn[DRAWN_SCHEMA_BYTES];
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    const uint8_t *end = memchr(data + 1, '\0', size - 1);
    size_t bytes = end != NULL ? (size_t)(end - data - 1) : size - 1, needed = 0;
    gemlet_grammar_kind kind = data[0] == 2       ? GEMLET_GRAMMAR_CALLS
                               : data[0] % 2 == 0 ? GEMLET_GRAMMAR_SCHEMA
                                                  : GEMLET_GRAMMAR_PATTERN;
    const size_t walked = size - 1 - bytes;
    if (data[0] == 4) {
        bytes = drawn_schema(data + 1, bytes, drawn);
        text = drawn;
    }
    gemlet_error error = {GEMLET_OK, ""};
    const gemlet_grammar *grammar = NULL;
    /* In memory of its own that ends with it, so that the sanitizer sees a read beyond the text. */
    char *block = malloc(bytes + 1);
    if (block == NULL) {
        return 0;
    }
    char *copy = block + 1;
    memcpy(copy, text, bytes);
    gemlet_status status = gemlet_grammar_bytes(kind, copy, bytes, &needed, &error);
    if (status == GEMLET_OK && needed <= MOST_MEMORY) {
        void *memory = aligned_alloc(GEMLET_ALIGNMENT, needed);
        if (memory != NULL) {
            status = gemlet_grammar_compile(kind, copy, bytes, memory, needed, &grammar, &error);
            if (status == GEMLET_OK) {
                check_table(grammar, memory, needed);
                walk(grammar, end != NULL ? end + 1 : data, end != NULL ? walked - 1 : 0);
            }
        }
        free(memory);
    }
    if (status != GEMLET_OK && (error.message[0] == '\0' || error.status != status)) {
        abort();
    }
    free(block);
    return 0;
}
