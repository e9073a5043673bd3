/* Walks over a compiled grammar, byte by byte.
 *
 * A reading is a stack of frames: the values that the text is within.  An ambiguous beginning has several readings; each of them
 * has an end, so that one which is left out (there may be GEMLET_GRAMMAR_READINGS) costs texts but never makes a dead end.
 *
 * A value that ends itself (a string, an array, an object) is taken off when its last byte comes; a number or a literal where the
 * next byte is not its own. */
#include <string.h>

#include "core/text.h"
#include "model/chat/notation.h"
#include "model/grammar/table.h"
#include "model/json/json.h"

enum {
    PHASE_BEGIN, /* nothing of the value has been read */
    /* text of characters */
    PHASE_INSIDE,
    PHASE_ESCAPE, /* behind a backslash */
    PHASE_HEX,    /* in \\uXXXX */
    /* numbers */
    PHASE_MINUS,
    PHASE_ZERO,
    PHASE_DIGITS,
    PHASE_POINT,
    PHASE_FRACTION,
    /* arrays, objects and maps */
    PHASE_OPEN,
    PHASE_BEHIND_ITEM,
    PHASE_BEHIND_COMMA,
    PHASE_IN_KEY,
    PHASE_BEHIND_KEY, /* of a map: a colon is next */
    PHASE_BEHIND_COLON
};

typedef struct frame {
    uint16_t node;
    uint8_t phase;
    uint8_t spaced; /* the space that may stand behind a comma or colon has been read */
    uint16_t entry; /* of literals and members: the first that begins as what was read; of an object: see `next` */
    uint16_t next;  /* of an object: the first member that may still come */
    uint32_t count; /* elements, members, characters, or bytes of a literal or key */
} frame;

/* Of the innermost value, if it is a number or has characters; all 0 where a value begins. */
typedef struct scalar {
    gemlet_positions next; /* of a pattern: what the next character may be */
    int64_t value;         /* of a number, without its sign: units if it has a point, else what its digits say */
    uint32_t code;         /* of a character under way */
    uint8_t left;          /* its bytes or digits that are missing */
    uint8_t digits;        /* of a number: before the point, or behind it */
    uint8_t negative;
    uint8_t ends; /* of a pattern: the text may end here */
} scalar;

typedef struct reading {
    uint32_t depth;
    frame frames[GEMLET_GRAMMAR_DEPTH];
    scalar scalar;
} reading;

typedef struct readings {
    uint64_t count;
    reading of[GEMLET_GRAMMAR_READINGS];
} readings;

_Static_assert(sizeof(readings) <= sizeof(gemlet_grammar_state), "a state has room for readings");

typedef enum outcome { REFUSED, TAKEN, ENDED_BEFORE, OPENED } outcome;

/* ---- Frames ---- */

static frame *top(reading *r) {
    return &r->frames[r->depth - 1];
}

/* Whether a value of this node may begin within a reading of that depth. */
static bool fits(const gemlet_grammar *g, uint32_t depth, size_t number) {
    return number != GEMLET_NO_NODE && depth + g->nodes[number].depth <= GEMLET_GRAMMAR_DEPTH;
}

static void put(const gemlet_grammar *g, frame *f, const gemlet_node *n, scalar *s) {
    *f = (frame){.node = (uint16_t)(n - g->nodes)};
    if (n->kind == GEMLET_NODE_TEXT || n->has_pattern) {
        const gemlet_pattern *pattern = &g->patterns[n->first];
        s->next = pattern->first;
        s->ends = pattern->empty;
    }
}

static outcome push(const gemlet_grammar *g, reading *r, size_t number) {
    put(g, &r->frames[r->depth], &g->nodes[number], &r->scalar);
    r->depth++;
    return OPENED;
}

static outcome pop(reading *r) {
    r->depth--;
    memset(&r->scalar, 0, sizeof r->scalar);
    return TAKEN;
}

/* ---- Literals ---- */

static bool begins_as(const gemlet_grammar *g, const gemlet_entry *a, const gemlet_entry *b, size_t bytes) {
    return a->bytes >= bytes && b->bytes >= bytes && memcmp(g->text + a->text, g->text + b->text, bytes) == 0;
}

/* Goes on with the first of entries [from, end) that begins as what was read (`count` bytes of entry f->entry, which is any one
 * where none were) and this byte, of keys those whose values fit behind `depth` frames. */
static bool advance_literal(const gemlet_grammar *g, frame *f, size_t from, size_t end, bool keys, uint32_t depth,
                            unsigned char byte) {
    const gemlet_entry *read = &g->entries[f->entry];
    for (size_t i = from; i < end; i++) {
        const gemlet_entry *e = &g->entries[i];
        if (e->bytes > f->count && (unsigned char)g->text[e->text + f->count] == byte && begins_as(g, read, e, f->count) &&
            (!keys || fits(g, depth, e->node))) {
            f->entry = (uint16_t)i;
            f->count++;
            return true;
        }
    }
    return false;
}

static bool is_whole_literal(const gemlet_grammar *g, const gemlet_node *n, const frame *f) {
    for (size_t i = n->first; i < (size_t)n->first + n->count && f->count > 0; i++) {
        if (g->entries[i].bytes == f->count && begins_as(g, &g->entries[f->entry], &g->entries[i], f->count)) {
            return true;
        }
    }
    return false;
}

static outcome step_literals(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    if (advance_literal(g, f, n->first, (size_t)n->first + n->count, false, r->depth, byte)) {
        return TAKEN;
    }
    return is_whole_literal(g, n, f) ? ENDED_BEFORE : REFUSED;
}

/* ---- Numbers ---- */

static int64_t power_of_ten(unsigned exponent) {
    int64_t power = 1;
    for (; exponent > 0; exponent--) {
        power *= 10;
    }
    return power;
}

/* Whether the node has a value in [low, high] units of this sign. */
static bool has_value(const gemlet_node *n, bool negative, int64_t low, int64_t high) {
    int64_t first = negative ? -high : low, last = negative ? -low : high;
    return first <= n->high && last >= n->low;
}

/* Whether some number goes on from here: all numbers that begin as `s` with so many more digits are one range. */
static bool can_go_on(const gemlet_node *n, const scalar *s, unsigned phase) {
    const unsigned fraction = n->integer ? 0 : GEMLET_NUMBER_FRACTION;
    const int64_t unit = power_of_ten(fraction);
    if (phase == PHASE_MINUS) {
        return has_value(n, true, n->integer ? 1 : 0, power_of_ten(GEMLET_NUMBER_DIGITS) - 1);
    }
    if (phase == PHASE_POINT || phase == PHASE_FRACTION) {
        return has_value(n, s->negative, s->value, s->value + power_of_ten(fraction - s->digits) - 1);
    }
    unsigned most = phase == PHASE_ZERO ? 1 : GEMLET_NUMBER_DIGITS - fraction;
    for (unsigned more = 0; s->digits + more <= most; more++) {
        int64_t first = s->value * power_of_ten(more), last = (s->value + 1) * power_of_ten(more) - 1;
        if (has_value(n, s->negative, first * unit, last * unit + unit - 1)) {
            return true;
        }
    }
    return false;
}

static bool is_whole_number(const gemlet_node *n, const scalar *s, unsigned phase) {
    int64_t unit = phase == PHASE_FRACTION || n->integer ? 1 : power_of_ten(GEMLET_NUMBER_FRACTION);
    return (phase == PHASE_ZERO || phase == PHASE_DIGITS || phase == PHASE_FRACTION) &&
           has_value(n, s->negative, s->value * unit, s->value * unit);
}

/* What the number is with one more digit; PHASE_BEGIN where none may come. */
static unsigned add_digit(const gemlet_node *n, scalar *s, unsigned phase, int64_t digit) {
    const unsigned fraction = n->integer ? 0 : GEMLET_NUMBER_FRACTION;
    switch (phase) {
    case PHASE_BEGIN:
    case PHASE_MINUS:
        s->value = digit;
        s->digits = 1;
        if (digit == 0 && s->negative != 0 && n->integer) {
            return PHASE_BEGIN;
        }
        return digit == 0 ? PHASE_ZERO : PHASE_DIGITS;
    case PHASE_DIGITS:
        if (s->digits == GEMLET_NUMBER_DIGITS - fraction) {
            return PHASE_BEGIN;
        }
        s->value = s->value * 10 + digit;
        s->digits++;
        return PHASE_DIGITS;
    case PHASE_POINT:
    case PHASE_FRACTION:
        if (s->digits == fraction) {
            return PHASE_BEGIN;
        }
        s->digits++;
        s->value += digit * power_of_ten(fraction - s->digits);
        return PHASE_FRACTION;
    default: return PHASE_BEGIN;
    }
}

static unsigned next_phase(const gemlet_node *n, scalar *s, unsigned phase, unsigned char byte) {
    if (byte == '-' && phase == PHASE_BEGIN) {
        s->negative = 1;
        return PHASE_MINUS;
    }
    if (byte == '.' && !n->integer && (phase == PHASE_ZERO || phase == PHASE_DIGITS)) {
        s->value *= power_of_ten(GEMLET_NUMBER_FRACTION);
        s->digits = 0;
        return PHASE_POINT;
    }
    return byte >= '0' && byte <= '9' ? add_digit(n, s, phase, byte - '0') : PHASE_BEGIN;
}

static outcome step_number(const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    scalar after = r->scalar;
    unsigned phase = next_phase(n, &after, f->phase, byte);
    if (phase != PHASE_BEGIN && can_go_on(n, &after, phase)) {
        f->phase = (uint8_t)phase;
        r->scalar = after;
        return TAKEN;
    }
    return is_whole_number(n, &r->scalar, f->phase) ? ENDED_BEFORE : REFUSED;
}

/* ---- Characters ---- */

typedef gemlet_character_range range;

/* Ranges are in order: looks for the first that does not end before. */
bool gemlet_position_takes(const gemlet_grammar *g, const gemlet_pattern_position *position, range wanted) {
    const range *r = g->ranges + position->first_range;
    size_t from = 0, end = position->range_count;
    while (from < end) {
        size_t middle = from + (end - from) / 2;
        if (r[middle].last < wanted.first) {
            from = middle + 1;
        } else {
            end = middle;
        }
    }
    return from < position->range_count && r[from].first <= wanted.last;
}

/* The positions of a pattern that take one of these characters. */
static gemlet_positions taking(const gemlet_grammar *g, const gemlet_pattern *pattern, const gemlet_positions *next, range wanted) {
    gemlet_positions taken = {{0}};
    for (size_t i = 0; i < pattern->position_count; i++) {
        if (next->words[i / 64] == 0) {
            i += 63; /* none of these */
        } else if (gemlet_has_position(next, i) && gemlet_position_takes(g, &pattern->positions[i], wanted)) {
            gemlet_add_position(&taken, i);
        }
    }
    return taken;
}

static const gemlet_pattern *pattern_of(const gemlet_grammar *g, const gemlet_node *n) {
    return n->kind == GEMLET_NODE_TEXT || n->has_pattern ? &g->patterns[n->first] : NULL;
}

/* Whether one of these characters may come next, halves of surrogate pairs not counted. */
static bool may_take(const gemlet_grammar *g, const gemlet_node *n, const reading *r, range wanted) {
    const gemlet_pattern *pattern = pattern_of(g, n);
    if (wanted.first >= 0xD800 && wanted.first <= 0xDFFF) {
        wanted.first = 0xE000;
    }
    if (wanted.last >= 0xD800 && wanted.last <= 0xDFFF) {
        wanted.last = 0xD7FF;
    }
    if (wanted.first > wanted.last || (pattern == NULL && r->frames[r->depth - 1].count >= n->most)) {
        return false;
    }
    if (pattern == NULL) {
        return true;
    }
    gemlet_positions taken = taking(g, pattern, &r->scalar.next, wanted);
    return !gemlet_no_positions(&taken);
}

/* Goes on to what may follow the positions that take a character. */
static bool follow(const gemlet_grammar *g, const gemlet_pattern *pattern, scalar *s, uint32_t character) {
    gemlet_positions taken = taking(g, pattern, &s->next, (range){character, character});
    if (gemlet_no_positions(&taken)) {
        return false;
    }
    s->next = (gemlet_positions){{0}};
    s->ends = 0;
    for (size_t i = 0; i < pattern->position_count; i++) {
        if (gemlet_has_position(&taken, i)) {
            gemlet_add_positions(&s->next, &pattern->positions[i].follow);
            s->ends |= gemlet_has_position(&pattern->last, i);
        }
    }
    return true;
}

static outcome take_character(const gemlet_grammar *g, const gemlet_node *n, reading *r, uint32_t character) {
    const gemlet_pattern *pattern = pattern_of(g, n);
    frame *f = top(r);
    if (pattern != NULL ? !follow(g, pattern, &r->scalar, character) : !may_take(g, n, r, (range){character, character})) {
        return REFUSED;
    }
    f->phase = PHASE_INSIDE;
    if (f->count < GEMLET_UNBOUNDED - 1 && pattern == NULL) {
        f->count++;
    }
    r->scalar.code = r->scalar.left = 0;
    return TAKEN;
}

/* The characters that begin with these bits of a first byte, `left` bytes of UTF-8 being missing. */
static range characters_of(uint32_t bits, unsigned left) {
    static const uint32_t first_of_left[] = {0, 0, 0x800, 0x10000}; /* shorter ones are written shorter */
    range r = {bits << 6 * left, ((bits + 1) << 6 * left) - 1};
    r.first = r.first < first_of_left[left] ? first_of_left[left] : r.first;
    return r;
}

static outcome begin_character(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    if (byte < 0x80) {
        return take_character(g, n, r, byte);
    }
    unsigned left = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    uint32_t bits = byte & (0x3Fu >> left);
    if (byte < 0xC2 || byte > 0xF4 || !may_take(g, n, r, characters_of(bits, left))) {
        return REFUSED;
    }
    r->scalar.code = bits;
    r->scalar.left = (uint8_t)left;
    return TAKEN;
}

static outcome continue_character(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    scalar *s = &r->scalar;
    uint32_t bits = s->code << 6 | (byte & 0x3Fu);
    unsigned left = s->left - 1u;
    range wanted = {bits << 6 * left, ((bits + 1) << 6 * left) - 1};
    bool overlong = (left == 1 && bits < 0x20) || (left == 2 && bits < 0x10); /* a shorter form writes it, too */
    if ((byte & 0xC0) != 0x80 || bits << 6 * left > GEMLET_LAST_CHARACTER || overlong) {
        return REFUSED;
    }
    if (left == 0) {
        return take_character(g, n, r, bits);
    }
    if (!may_take(g, n, r, wanted)) {
        return REFUSED;
    }
    s->code = bits;
    s->left = (uint8_t)left;
    return TAKEN;
}

static outcome step_hex(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    int digit = gemlet_json_hexadecimal((char)byte);
    if (digit < 0) {
        return REFUSED;
    }
    uint32_t code = r->scalar.code * 16 + (uint32_t)digit;
    unsigned left = r->scalar.left - 1u;
    if (left == 0) {
        return take_character(g, n, r, code);
    }
    if (!may_take(g, n, r, (range){code << 4 * left, ((code + 1) << 4 * left) - 1})) {
        return REFUSED;
    }
    r->scalar.code = code;
    r->scalar.left = (uint8_t)left;
    return TAKEN;
}

static outcome step_escape(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    if (byte == 'u') {
        r->scalar.left = 4;
        top(r)->phase = PHASE_HEX;
        return may_take(g, n, r, (range){0, 0xFFFF}) ? TAKEN : REFUSED;
    }
    int meant = gemlet_json_escaped((char)byte);
    return meant >= 0 ? take_character(g, n, r, (uint32_t)meant) : REFUSED;
}

static bool is_whole_text(const gemlet_node *n, const reading *r) {
    const frame *f = &r->frames[r->depth - 1];
    if (r->scalar.left != 0 || f->phase == PHASE_ESCAPE) {
        return false;
    }
    return n->has_pattern || n->kind == GEMLET_NODE_TEXT ? r->scalar.ends != 0 : f->count >= n->least;
}

/* In the notation of calls a string ends with its mark, and all between is meant as it is; but the mark's own text, which readers
 * of calls take for it, is not written in characters.  f->entry counts how much of it stands there. */
static outcome step_notation(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    if (byte == GEMLET_GRAMMAR_QUOTE) {
        return r->scalar.left == 0 && is_whole_text(n, r) ? pop(r) : REFUSED;
    }
    f->entry =
        (uint16_t)(byte == (unsigned char)GEMLET_CALL_QUOTE[f->entry] ? f->entry + 1 : byte == (unsigned char)GEMLET_CALL_QUOTE[0]);
    if (f->entry == GEMLET_CALL_QUOTE_BYTES) {
        return REFUSED;
    }
    return r->scalar.left != 0 ? continue_character(g, n, r, byte) : begin_character(g, n, r, byte);
}

static outcome step_inside(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    if (r->scalar.left != 0) {
        return continue_character(g, n, r, byte);
    }
    if (byte == '"') {
        return is_whole_text(n, r) ? pop(r) : REFUSED;
    }
    if (byte == '\\') {
        top(r)->phase = PHASE_ESCAPE;
        return may_take(g, n, r, (range){0, 0xFFFF}) ? TAKEN : REFUSED;
    }
    return byte < 0x20 ? REFUSED : begin_character(g, n, r, byte);
}

static outcome step_string(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    switch (top(r)->phase) {
    case PHASE_BEGIN: top(r)->phase = PHASE_INSIDE; return byte == (g->notation ? GEMLET_GRAMMAR_QUOTE : '"') ? TAKEN : REFUSED;
    case PHASE_INSIDE: return g->notation ? step_notation(g, n, r, byte) : step_inside(g, n, r, byte);
    case PHASE_ESCAPE: return step_escape(g, n, r, byte);
    default: return step_hex(g, n, r, byte);
    }
}

static outcome step_text(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    return r->scalar.left != 0 ? continue_character(g, n, r, byte) : begin_character(g, n, r, byte);
}

/* ---- Arrays ---- */

/* One space may stand behind a comma or a colon. */
static bool take_space(frame *f, unsigned char byte) {
    bool taken = byte == ' ' && f->spaced == 0;
    f->spaced = taken ? 1 : f->spaced;
    return taken;
}

/* The next element's node, or none. */
static size_t next_item(const gemlet_grammar *g, const gemlet_node *n, const frame *f, uint32_t depth) {
    size_t item = f->count < n->count ? g->entries[n->first + f->count].node : n->other;
    return f->count < n->most && fits(g, depth, item) ? item : GEMLET_NO_NODE;
}

static outcome begin_item(const gemlet_grammar *g, const gemlet_node *n, reading *r) {
    frame *f = top(r);
    size_t item = next_item(g, n, f, r->depth);
    if (item == GEMLET_NO_NODE) {
        return REFUSED;
    }
    f->count++;
    f->phase = PHASE_BEHIND_ITEM;
    f->spaced = 0;
    return push(g, r, item);
}

/* The end of what counts its elements or members. */
static outcome end_counted(const gemlet_node *n, reading *r) {
    return top(r)->count >= n->least ? pop(r) : REFUSED;
}

static outcome step_array(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    switch (f->phase) {
    case PHASE_BEGIN: f->phase = PHASE_OPEN; return byte == '[' ? TAKEN : REFUSED;
    case PHASE_OPEN: return byte == ']' ? end_counted(n, r) : begin_item(g, n, r);
    case PHASE_BEHIND_ITEM:
        if (byte == ']') {
            return end_counted(n, r);
        }
        f->phase = PHASE_BEHIND_COMMA;
        return byte == ',' && next_item(g, n, f, r->depth) != GEMLET_NO_NODE ? TAKEN : REFUSED;
    default: return take_space(f, byte) ? TAKEN : begin_item(g, n, r);
    }
}

/* ---- Objects ---- */

/* Behind the last member that may come next: the first that must. */
static size_t end_of_choice(const gemlet_grammar *g, const gemlet_node *n, const frame *f) {
    size_t i = f->next, end = (size_t)n->first + n->count;
    while (i < end && !g->entries[i].required) {
        i++;
    }
    return i < end ? i + 1 : end;
}

static bool may_have_member(const gemlet_grammar *g, const gemlet_node *n, const frame *f, uint32_t depth) {
    const size_t end = end_of_choice(g, n, f);
    for (size_t i = f->next; i < end; i++) {
        if (fits(g, depth, g->entries[i].node)) {
            return true;
        }
    }
    return false;
}

static bool may_close(const gemlet_grammar *g, const gemlet_node *n, const frame *f) {
    size_t end = end_of_choice(g, n, f);
    return end == f->next || !g->entries[end - 1].required;
}

static outcome step_key(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    if (!advance_literal(g, f, f->next, end_of_choice(g, n, f), true, r->depth, byte)) {
        return REFUSED;
    }
    f->phase = PHASE_IN_KEY;
    if (f->count == g->entries[f->entry].bytes) {
        f->next = (uint16_t)(f->entry + 1);
        f->count = 0;
        f->phase = PHASE_BEHIND_COLON;
        f->spaced = 0;
    }
    return TAKEN;
}

static outcome begin_object(const gemlet_node *n, frame *f, unsigned char byte) {
    f->phase = PHASE_OPEN;
    f->next = n->first;
    return byte == '{' ? TAKEN : REFUSED;
}

static outcome step_object(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    switch (f->phase) {
    case PHASE_BEGIN: return begin_object(n, f, byte);
    case PHASE_OPEN:
    case PHASE_BEHIND_ITEM:
        if (byte == '}') {
            return may_close(g, n, f) ? pop(r) : REFUSED;
        }
        if (f->phase == PHASE_OPEN) {
            return step_key(g, n, r, byte);
        }
        f->phase = PHASE_BEHIND_COMMA;
        f->spaced = 0;
        return byte == ',' && may_have_member(g, n, f, r->depth) ? TAKEN : REFUSED;
    case PHASE_BEHIND_COMMA: return take_space(f, byte) ? TAKEN : step_key(g, n, r, byte);
    case PHASE_IN_KEY: return step_key(g, n, r, byte);
    default:
        if (take_space(f, byte)) {
            return TAKEN;
        }
        f->phase = PHASE_BEHIND_ITEM;
        return push(g, r, g->entries[f->entry].node);
    }
}

/* ---- Objects of any keys ---- */

static outcome begin_map_key(const gemlet_grammar *g, const gemlet_node *n, reading *r) {
    frame *f = top(r);
    if (f->count >= n->most || !fits(g, r->depth, n->other)) {
        return REFUSED;
    }
    f->count++;
    f->phase = PHASE_BEHIND_KEY;
    return push(g, r, g->key);
}

static outcome step_map(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    switch (f->phase) {
    case PHASE_BEGIN: return begin_object(n, f, byte);
    case PHASE_OPEN: return byte == '}' ? end_counted(n, r) : begin_map_key(g, n, r);
    case PHASE_BEHIND_KEY:
        f->phase = PHASE_BEHIND_COLON;
        f->spaced = 0;
        return byte == ':' ? TAKEN : REFUSED;
    case PHASE_BEHIND_COLON:
        if (take_space(f, byte)) {
            return TAKEN;
        }
        f->phase = PHASE_BEHIND_ITEM;
        return push(g, r, n->other);
    case PHASE_BEHIND_ITEM:
        if (byte == '}') {
            return end_counted(n, r);
        }
        f->phase = PHASE_BEHIND_COMMA;
        f->spaced = 0;
        return byte == ',' && f->count < n->most ? TAKEN : REFUSED;
    default: return take_space(f, byte) ? TAKEN : begin_map_key(g, n, r);
    }
}

/* ---- Calls ---- */

/* A member's name, which ends before what has a meaning in the notation. */
static outcome step_name(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    if (r->scalar.left != 0) {
        return continue_character(g, n, r, byte);
    }
    if (byte <= ' ' || gemlet_text_find(GEMLET_NOTATION_MARKS, (char)byte) != NULL) {
        return top(r)->count > 0 ? ENDED_BEFORE : REFUSED;
    }
    return begin_character(g, n, r, byte);
}

/* A function's name, then its arguments in its place. */
static outcome step_call(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    frame *f = top(r);
    const size_t end = (size_t)n->first + n->count;
    if (byte != '{') {
        return advance_literal(g, f, n->first, end, true, r->depth - 1, byte) ? TAKEN : REFUSED;
    }
    for (size_t i = n->first; i < end && f->count > 0; i++) {
        const gemlet_entry *e = &g->entries[i];
        if (e->bytes == f->count && begins_as(g, &g->entries[f->entry], e, e->bytes) && fits(g, r->depth - 1, e->node)) {
            put(g, f, &g->nodes[e->node], &r->scalar);
            return OPENED;
        }
    }
    return REFUSED;
}

/* ---- Readings ---- */

static outcome step(const gemlet_grammar *g, const gemlet_node *n, reading *r, unsigned char byte) {
    switch (n->kind) {
    case GEMLET_NODE_LITERALS: return step_literals(g, n, r, byte);
    case GEMLET_NODE_STRING: return step_string(g, n, r, byte);
    case GEMLET_NODE_TEXT: return step_text(g, n, r, byte);
    case GEMLET_NODE_NUMBER: return step_number(n, r, byte);
    case GEMLET_NODE_ARRAY: return step_array(g, n, r, byte);
    case GEMLET_NODE_OBJECT: return step_object(g, n, r, byte);
    case GEMLET_NODE_MAP: return step_map(g, n, r, byte);
    case GEMLET_NODE_NAME: return step_name(g, n, r, byte);
    case GEMLET_NODE_CALL: return step_call(g, n, r, byte);
    default: return REFUSED;
    }
}

static bool are_equal(const reading *a, const reading *b) {
    return a->depth == b->depth && memcmp(a->frames, b->frames, a->depth * sizeof *a->frames) == 0 &&
           memcmp(&a->scalar, &b->scalar, sizeof a->scalar) == 0;
}

static void keep(readings *after, const reading *r) {
    for (size_t i = 0; i < after->count; i++) {
        if (are_equal(&after->of[i], r)) {
            return;
        }
    }
    if (after->count < GEMLET_GRAMMAR_READINGS) {
        after->of[after->count++] = *r;
    }
}

/* Every alternative that takes the byte is a reading of its own.  Alternatives may be choices again; links.c bounds how
 * deep, and how many there are in all. */
static void keep_alternatives(const gemlet_grammar *g, const reading *r, unsigned char byte, readings *after) {
    struct {
        const gemlet_node *node;
        size_t next;
    } open[GEMLET_CHOICES];
    size_t depth = 1;
    open[0].node = &g->nodes[r->frames[r->depth - 1].node];
    open[0].next = 0;
    while (depth > 0) {
        const gemlet_node *choice = open[depth - 1].node;
        if (open[depth - 1].next == choice->count) {
            depth--;
            continue;
        }
        size_t number = g->entries[choice->first + open[depth - 1].next++].node;
        if (!fits(g, r->depth - 1, number)) {
            continue;
        }
        const gemlet_node *n = &g->nodes[number];
        if (n->kind == GEMLET_NODE_ANY_OF) {
            open[depth].node = n;
            open[depth++].next = 0;
        } else {
            reading one = *r;
            put(g, top(&one), n, &one.scalar);
            if (step(g, n, &one, byte) == TAKEN) {
                keep(after, &one);
            }
        }
    }
}

static void advance_reading(const gemlet_grammar *g, const reading *before, unsigned char byte, readings *after) {
    reading r = *before;
    while (r.depth > 0) {
        const gemlet_node *n = &g->nodes[top(&r)->node];
        if (n->kind == GEMLET_NODE_ANY_OF) {
            keep_alternatives(g, &r, byte, after);
            return;
        }
        switch (step(g, n, &r, byte)) {
        case REFUSED: return;
        case TAKEN: keep(after, &r); return;
        case ENDED_BEFORE: pop(&r); break;
        case OPENED: break;
        }
    }
}

/* Of the innermost value alone; all around it are not whole. */
static bool is_whole(const gemlet_grammar *g, const reading *r) {
    if (r->depth != 1) {
        return r->depth == 0;
    }
    const frame *f = &r->frames[0];
    const gemlet_node *n = &g->nodes[f->node];
    switch (n->kind) {
    case GEMLET_NODE_LITERALS: return is_whole_literal(g, n, f);
    case GEMLET_NODE_NUMBER: return is_whole_number(n, &r->scalar, f->phase);
    case GEMLET_NODE_TEXT: return is_whole_text(n, r);
    default: return false;
    }
}

void gemlet_grammar_begin(const gemlet_grammar *grammar, gemlet_grammar_state *state) {
    readings *first = (readings *)(void *)state;
    memset(state, 0, sizeof *state);
    first->count = 1;
    push(grammar, &first->of[0], 0);
}

bool gemlet_grammar_advance(const gemlet_grammar *grammar, const gemlet_grammar_state *state, unsigned char byte,
                            gemlet_grammar_state *after) {
    const readings *before = (const readings *)(const void *)state;
    readings found;
    found.count = 0;
    for (size_t i = 0; i < before->count; i++) {
        advance_reading(grammar, &before->of[i], byte, &found);
    }
    readings *to = (readings *)(void *)after;
    to->count = found.count;
    memcpy(to->of, found.of, (size_t)found.count * sizeof *found.of);
    return found.count > 0;
}

bool gemlet_grammar_is_complete(const gemlet_grammar *grammar, const gemlet_grammar_state *state) {
    const readings *now = (const readings *)(const void *)state;
    for (size_t i = 0; i < now->count; i++) {
        if (is_whole(grammar, &now->of[i])) {
            return true;
        }
    }
    return false;
}
