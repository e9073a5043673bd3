/* sources: model/grammar/pattern.c model/json/json.c core/utf8.c core/text.c
 * options: -eva-precision 2 -eva-slevel 20000 -eva-split-return full
 * Patterns: any bytes, of texts of 0 to 3 that end with their array, with room for as many ranges as the compiler asks for. */
#include "model/grammar/table.h"
#include "tests/proof/eva/any.h"
#include "tests/proof/eva/any_message.h"

enum { MOST = 3, RANGES = 8 * MOST + 16 };

static void compile(size_t bytes, bool anchored) {
    gemlet_pattern_position positions[GEMLET_PATTERN_POSITIONS];
    gemlet_character_range ranges[RANGES];
    gemlet_pattern pattern;
    gemlet_grammar grammar = {.patterns = &pattern, .positions = positions, .ranges = ranges};
    const gemlet_grammar_room room = {.patterns = 1, .positions = GEMLET_PATTERN_POSITIONS, .ranges = gemlet_pattern_ranges(bytes)};
    char text[MOST];
    any_bytes(text, sizeof text);
    if (gemlet_pattern_compile(&grammar, &room, text + MOST - bytes, bytes, anchored, NULL) == GEMLET_OK) {
        /*@ assert grammar.range_count <= RANGES && grammar.position_count <= GEMLET_PATTERN_POSITIONS; */
    }
}

int main(void) {
    /*@ loop unroll 4; */
    for (size_t bytes = 0; bytes <= MOST; bytes++) {
        compile(bytes, true);
        compile(bytes, false);
    }
    return 0;
}
