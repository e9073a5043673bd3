/* Regular expressions: those of JSON Schema (ECMA-262), as far as they are regular, as an automaton of their positions. */
#include <string.h>

#include "core/text.h"
#include "core/utf8.h"
#include "model/grammar/table.h"
#include "model/json/json.h"

enum { MOST_GROUPS = 16, FIRST_SURROGATE = 0xD800, LAST_SURROGATE = 0xDFFF, MOST_TIMES = 1000 };
#define NO_CHARACTER UINT32_MAX

/* A part of the pattern: positions [begin, end). */
typedef struct fragment {
    gemlet_positions first, last;
    uint16_t begin, end;
    bool empty; /* it matches nothing, too */
} fragment;

/* A group that is open: what stood before the last '|', and what has come since. */
typedef struct group {
    fragment alternatives, sequence;
    bool has_alternatives;
} group;

typedef struct parser {
    gemlet_grammar *g;
    const gemlet_grammar_room *room;
    const char *text;
    size_t bytes, at;
    size_t first_position; /* of this pattern */
    bool parts;            /* there is a '|' outside of groups */
    gemlet_status status;
    gemlet_error *error;
    group groups[MOST_GROUPS];
    size_t depth;
} parser;

static void refuse(parser *p, gemlet_status status, const char *why) {
    if (p->status == GEMLET_OK) {
        p->status = gemlet_fail(p->error, status, "pattern: ");
        gemlet_error_text(p->error, why);
        gemlet_error_text(p->error, ", at byte ");
        gemlet_error_number(p->error, p->at);
    }
}

static bool at_end(const parser *p) {
    return p->at >= p->bytes || p->status != GEMLET_OK;
}

/* The next character, which `*behind` is behind. */
static uint32_t look(const parser *p, size_t *behind) {
    uint32_t character = NO_CHARACTER;
    *behind = p->at;
    if (at_end(p)) {
        return character;
    }
    int length = gemlet_utf8_read((const unsigned char *)p->text + p->at, p->bytes - p->at, &character);
    *behind += length > 0 ? (size_t)length : 1;
    return length > 0 ? character : NO_CHARACTER;
}

static uint32_t next(parser *p) {
    size_t behind = 0;
    uint32_t character = look(p, &behind);
    if (character == NO_CHARACTER) {
        refuse(p, GEMLET_ERROR_FORMAT, p->at < p->bytes ? "expected UTF-8" : "it ends too early");
    }
    p->at = behind;
    return character;
}

static bool take(parser *p, char wanted) {
    size_t behind = 0;
    bool found = look(p, &behind) == (uint32_t)wanted;
    p->at = found ? behind : p->at;
    return found;
}

/* ---- Characters ---- */

static void add_range(parser *p, uint32_t first, uint32_t last) {
    if (p->g->range_count == p->room->ranges || p->g->range_count == UINT16_MAX) {
        refuse(p, GEMLET_ERROR_MEMORY, "too many characters");
        return;
    }
    p->g->ranges[p->g->range_count++] = (gemlet_character_range){first, last};
}

/* Lets the range at `root` sink below those that begin later (Williams, "Algorithm 232: Heapsort", 1964). */
static void sink(gemlet_character_range *r, size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        child += child + 1 < count && r[child + 1].first > r[child].first;
        if (r[root].first >= r[child].first) {
            return;
        }
        gemlet_character_range one = r[root];
        r[root] = r[child];
        r[child] = one;
    }
}

static void sort_ranges(gemlet_character_range *r, size_t count) {
    for (size_t i = count / 2; i > 0; i--) {
        sink(r, i - 1, count);
    }
    for (size_t left = count; left > 1; left--) {
        gemlet_character_range last = r[left - 1];
        r[left - 1] = r[0];
        r[0] = last;
        sink(r, 0, left - 1);
    }
}

/* Sorts the ranges from `from` on and joins those that touch. */
static void join_ranges(parser *p, size_t from) {
    gemlet_character_range *r = p->g->ranges + from;
    size_t count = p->g->range_count - from, kept = 0;
    sort_ranges(r, count);
    for (size_t i = 1; i < count; i++) {
        if (r[i].first <= r[kept].last + 1) {
            r[kept].last = r[i].last > r[kept].last ? r[i].last : r[kept].last;
        } else {
            r[++kept] = r[i];
        }
    }
    p->g->range_count = from + (count > 0 ? kept + 1 : 0);
}

/* All characters but those of the ranges from `from` on, which are in order. */
static void turn_ranges(parser *p, size_t from) {
    uint32_t begin = 0;
    size_t kept = from;
    for (size_t i = from; i < p->g->range_count; i++) {
        gemlet_character_range r = p->g->ranges[i];
        if (r.first > begin) {
            p->g->ranges[kept++] = (gemlet_character_range){begin, r.first - 1};
        }
        begin = r.last + 1;
    }
    p->g->range_count = kept;
    if (begin <= GEMLET_LAST_CHARACTER) {
        add_range(p, begin, GEMLET_LAST_CHARACTER);
    }
}

static const gemlet_character_range digits[] = {{'0', '9'}};
static const gemlet_character_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const gemlet_character_range spaces[] = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                                                {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                                {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const gemlet_character_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static void add_class(parser *p, const gemlet_character_range *ranges, size_t count, bool others) {
    size_t from = p->g->range_count;
    for (size_t i = 0; i < count; i++) {
        add_range(p, ranges[i].first, ranges[i].last);
    }
    if (others) {
        turn_ranges(p, from);
    }
}

#define ADD_CLASS(p, ranges, others) add_class(p, ranges, sizeof(ranges) / sizeof *(ranges), others)

/* What a letter behind a backslash stands for, where that is a class. */
static bool add_named_class(parser *p, uint32_t letter) {
    switch (letter) {
    case 'd': ADD_CLASS(p, digits, false); return true;
    case 'D': ADD_CLASS(p, digits, true); return true;
    case 'w': ADD_CLASS(p, words, false); return true;
    case 'W': ADD_CLASS(p, words, true); return true;
    case 's': ADD_CLASS(p, spaces, false); return true;
    case 'S': ADD_CLASS(p, spaces, true); return true;
    default: return false;
    }
}

static uint32_t read_hex(parser *p, size_t count) {
    uint32_t code = 0;
    for (size_t i = 0; i < count && p->status == GEMLET_OK; i++) {
        uint32_t c = next(p);
        int digit = c < 0x80 ? gemlet_json_hexadecimal((char)c) : -1;
        if (digit < 0) {
            refuse(p, GEMLET_ERROR_FORMAT, "expected a hexadecimal digit");
            return 0;
        }
        code = code * 16 + (uint32_t)digit;
    }
    return code;
}

/* A character behind a backslash, which is no class. */
static uint32_t escaped_character(parser *p, uint32_t letter) {
    static const char names[] = "tnrfv0", meant[] = "\t\n\r\f\v";
    if (letter == 'x' || letter == 'u') {
        return read_hex(p, letter == 'x' ? 2 : 4);
    }
    const char *name = letter < 0x80 && letter != 0 ? gemlet_text_find(names, (char)letter) : NULL;
    if (name != NULL) { /* a NUL's is the end of `meant` */
        return (uint32_t)(unsigned char)meant[name - names];
    }
    bool named = letter < 0x80 && (letter - '0' < 10 || (letter | 32) - 'a' < 26);
    if (named) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "a backslash with that letter or digit is not of the subset");
    }
    return letter;
}

/* One character or class of a bracket; NO_CHARACTER for a class, which was added. */
static uint32_t bracket_item(parser *p) {
    uint32_t c = next(p);
    if (c != '\\') {
        return c;
    }
    uint32_t letter = next(p);
    if (letter == 'b') {
        return '\b';
    }
    return add_named_class(p, letter) ? NO_CHARACTER : escaped_character(p, letter);
}

static void add_bracket(parser *p) {
    bool others = take(p, '^'), closed = false;
    size_t from = p->g->range_count;
    while (!at_end(p) && !(closed = take(p, ']'))) {
        uint32_t first = bracket_item(p), last = first;
        size_t behind = 0, dash = p->at;
        if (first == NO_CHARACTER) {
            continue;
        }
        if (take(p, '-')) {
            if (look(p, &behind) == ']') {
                p->at = dash; /* a dash of its own */
            } else {
                last = bracket_item(p);
            }
        }
        if (last == NO_CHARACTER || last < first) {
            refuse(p, GEMLET_ERROR_FORMAT, "expected a range's last character not before its first");
            return;
        }
        add_range(p, first, last);
    }
    if (!closed) {
        refuse(p, GEMLET_ERROR_FORMAT, "expected ]");
    }
    join_ranges(p, from);
    if (others) {
        turn_ranges(p, from);
    }
}

/* Whether there is one to take: the machine takes no halves of surrogate pairs. */
static bool has_character(const parser *p, size_t from) {
    for (size_t i = from; i < p->g->range_count; i++) {
        if (p->g->ranges[i].first < FIRST_SURROGATE || p->g->ranges[i].last > LAST_SURROGATE) {
            return true;
        }
    }
    return false;
}

/* ---- Fragments ---- */

static fragment nothing(const parser *p) {
    uint16_t at = (uint16_t)(p->g->position_count - p->first_position);
    return (fragment){.begin = at, .end = at, .empty = true};
}

static gemlet_pattern_position *position(const parser *p, size_t i) {
    return &p->g->positions[p->first_position + i];
}

static size_t add_position(parser *p, gemlet_pattern_position made) {
    size_t number = p->g->position_count - p->first_position;
    if (number == GEMLET_PATTERN_POSITIONS || p->g->position_count == p->room->positions) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "more than 256 characters, repetitions written out");
        return 0;
    }
    p->g->positions[p->g->position_count++] = made;
    return number;
}

/* One of the characters whose ranges begin at `from`. */
static fragment characters(parser *p, size_t from) {
    if (!has_character(p, from)) {
        refuse(p, GEMLET_ERROR_FORMAT, "a class without characters");
    }
    fragment f = nothing(p);
    size_t number = add_position(
        p, (gemlet_pattern_position){.first_range = (uint16_t)from, .range_count = (uint16_t)(p->g->range_count - from)});
    gemlet_add_position(&f.first, number);
    f.last = f.first;
    f.end++;
    f.empty = false;
    return f;
}

static void lead(const parser *p, const gemlet_positions *from, const gemlet_positions *to) {
    for (size_t i = 0; i < p->g->position_count - p->first_position; i++) {
        if (gemlet_has_position(from, i)) {
            gemlet_add_positions(&position(p, i)->follow, to);
        }
    }
}

static void append(const parser *p, fragment *sequence, const fragment *f) {
    lead(p, &sequence->last, &f->first);
    if (sequence->empty) {
        gemlet_add_positions(&sequence->first, &f->first);
    }
    if (!f->empty) {
        sequence->last = f->last;
    } else {
        gemlet_add_positions(&sequence->last, &f->last);
    }
    sequence->empty = sequence->empty && f->empty;
    sequence->end = f->end;
}

static gemlet_positions moved(const gemlet_positions *set, const fragment *within, size_t by) {
    gemlet_positions result = {{0}};
    for (size_t i = within->begin; i < within->end; i++) {
        if (gemlet_has_position(set, i)) {
            gemlet_add_position(&result, i + by);
        }
    }
    return result;
}

/* The same again, as positions of its own; for `append`, to which its ends alone matter. */
static fragment copy(parser *p, const fragment *f) {
    size_t end = p->g->position_count - p->first_position, by = end - f->begin;
    fragment made = {.empty = f->empty};
    if (end + f->end - f->begin > GEMLET_PATTERN_POSITIONS) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "more than 256 characters, repetitions written out");
        return *f;
    }
    for (size_t i = f->begin; i < f->end && p->status == GEMLET_OK; i++) {
        gemlet_pattern_position same = *position(p, i);
        same.follow = moved(&same.follow, f, by);
        add_position(p, same);
    }
    made.first = moved(&f->first, f, by);
    made.last = moved(&f->last, f, by);
    return made;
}

/* From `least` to `most` times.  Nothing stays that, however often. */
static fragment repeat(parser *p, const fragment *f, uint32_t least, uint32_t most) {
    if (f->begin == f->end) {
        return *f;
    }
    fragment all = {.begin = f->begin, .end = f->end, .empty = true};
    uint32_t written = most != GEMLET_UNBOUNDED ? most : least > 0 ? least : 1;
    for (uint32_t i = 0; i < written && p->status == GEMLET_OK; i++) {
        fragment one = i + 1 < written ? copy(p, f) : *f;
        one.empty = f->empty || i >= least;
        if (i + 1 == written && most == GEMLET_UNBOUNDED) {
            lead(p, &one.last, &one.first);
        }
        append(p, &all, &one);
    }
    all.end = (uint16_t)(p->g->position_count - p->first_position);
    return all;
}

/* ---- The grammar of patterns ---- */

static uint32_t read_number(parser *p) {
    size_t behind = 0, digit_count = 0;
    uint32_t number = 0;
    for (uint32_t c = look(p, &behind); c - '0' < 10; c = look(p, &behind), digit_count++) {
        number = number * 10 + (c - '0');
        p->at = behind;
        if (number > MOST_TIMES) {
            refuse(p, GEMLET_ERROR_UNSUPPORTED, "a repetition of more than 1000 times");
            return 0;
        }
    }
    if (digit_count == 0) {
        refuse(p, GEMLET_ERROR_FORMAT, "expected a number");
    }
    return number;
}

/* Reads how often what came last is repeated. */
static fragment quantified(parser *p, const fragment *f) {
    uint32_t least = 1, most = 1;
    size_t behind = 0;
    if (take(p, '*')) {
        least = 0;
        most = GEMLET_UNBOUNDED;
    } else if (take(p, '+')) {
        most = GEMLET_UNBOUNDED;
    } else if (take(p, '?')) {
        least = 0;
    } else if (take(p, '{')) {
        least = most = read_number(p);
        if (take(p, ',')) {
            most = look(p, &behind) == '}' ? GEMLET_UNBOUNDED : read_number(p);
        }
        if (!take(p, '}') || most < least) {
            refuse(p, GEMLET_ERROR_FORMAT, "expected {least,most}");
        }
    } else {
        return *f;
    }
    take(p, '?'); /* as few as possible: of the same texts */
    uint32_t again = look(p, &behind);
    if (again == '*' || again == '+' || again == '?' || again == '{') {
        refuse(p, GEMLET_ERROR_FORMAT, "nothing that could be repeated");
    }
    return repeat(p, f, least, most);
}

static void open_group(parser *p) {
    if (take(p, '?') && !take(p, ':')) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "groups that look around or have names are not of the subset");
    } else if (p->depth == MOST_GROUPS) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "more than 15 groups within each other");
    } else {
        p->groups[p->depth++] = (group){.sequence = nothing(p)};
    }
}

static void end_alternative(parser *p) {
    group *top = &p->groups[p->depth - 1];
    if (!top->has_alternatives) {
        top->alternatives = top->sequence;
    } else {
        gemlet_add_positions(&top->alternatives.first, &top->sequence.first);
        gemlet_add_positions(&top->alternatives.last, &top->sequence.last);
        top->alternatives.empty = top->alternatives.empty || top->sequence.empty;
        top->alternatives.end = top->sequence.end;
    }
    top->has_alternatives = true;
    top->sequence = nothing(p);
}

static fragment close_group(parser *p) {
    end_alternative(p);
    return p->groups[--p->depth].alternatives;
}

/* A class, or a character by itself or behind a backslash, as ranges. */
static void add_characters(parser *p, uint32_t c) {
    if (c == '.') {
        ADD_CLASS(p, line_ends, true);
    } else if (c == '[') {
        add_bracket(p);
    } else if (c != '\\') {
        add_range(p, c, c);
    } else {
        uint32_t letter = next(p);
        if (!add_named_class(p, letter)) {
            c = escaped_character(p, letter);
            add_range(p, c, c);
        }
    }
}

static bool is_one_of(uint32_t c, const char *characters) {
    return c != 0 && c < 0x80 && gemlet_text_find(characters, (char)c) != NULL;
}

/* What closes, opens or parts groups; true where a group is closed, which is an atom then. */
static bool read_mark(parser *p, uint32_t c, fragment *atom) {
    if (c == '(') {
        open_group(p);
    } else if (c == '|') {
        p->parts = p->parts || p->depth == 1;
        end_alternative(p);
    } else if (p->depth == 1) {
        refuse(p, GEMLET_ERROR_FORMAT, ") without (");
    } else {
        *atom = close_group(p);
        return true;
    }
    return false;
}

/* One character, class or group that is closed.  False where that was the beginning of a group or of an alternative. */
static bool read_atom(parser *p, fragment *atom) {
    size_t from = p->g->range_count;
    uint32_t c = next(p);
    if (is_one_of(c, "(|)")) {
        return read_mark(p, c, atom);
    }
    if (is_one_of(c, "*+?{}]")) {
        refuse(p, GEMLET_ERROR_FORMAT, "a character that needs a backslash");
    } else if (is_one_of(c, "^$")) {
        refuse(p, GEMLET_ERROR_UNSUPPORTED, "^ and $ are of the subset at both ends of the pattern only");
    } else if (p->status == GEMLET_OK) {
        add_characters(p, c);
    }
    if (p->status == GEMLET_OK) {
        *atom = characters(p, from);
    }
    return p->status == GEMLET_OK;
}

/* Any text. */
static fragment any_text(parser *p) {
    size_t from = p->g->range_count;
    add_range(p, 0, GEMLET_LAST_CHARACTER);
    fragment f = characters(p, from);
    return repeat(p, &f, 0, GEMLET_UNBOUNDED);
}

/* Whether the pattern's last character is a '$' of its own. */
static bool ends_anchored(const char *text, size_t bytes) {
    size_t backslashes = 0;
    if (bytes == 0 || text[bytes - 1] != '$') {
        return false;
    }
    while (backslashes + 1 < bytes && text[bytes - 2 - backslashes] == '\\') {
        backslashes++;
    }
    return backslashes % 2 == 0;
}

static void read_pattern(parser *p, fragment *whole) {
    open_group(p);
    while (!at_end(p)) {
        fragment atom = {.begin = 0};
        if (read_atom(p, &atom)) {
            atom = quantified(p, &atom);
            append(p, &p->groups[p->depth - 1].sequence, &atom);
        }
    }
    if (p->depth != 1) {
        refuse(p, GEMLET_ERROR_FORMAT, "( without )");
    }
    if (p->status == GEMLET_OK) {
        *whole = close_group(p);
    }
}

size_t gemlet_pattern_ranges(size_t bytes) {
    return 8 * bytes + 16;
}

gemlet_status gemlet_pattern_compile(gemlet_grammar *g, const gemlet_grammar_room *room, const char *text, size_t bytes,
                                     bool anchored, gemlet_error *error) {
    bool begins = bytes > 0 && text[0] == '^', ends = ends_anchored(text, bytes);
    parser p = {.g = g,
                .room = room,
                .text = text,
                .bytes = bytes - (ends && bytes > begins),
                .at = begins,
                .first_position = g->position_count,
                .error = error};
    fragment all = nothing(&p), whole = {.begin = 0};
    if (!begins && !anchored) {
        fragment any = any_text(&p);
        append(&p, &all, &any);
    }
    read_pattern(&p, &whole);
    if (p.parts && (begins || ends)) {
        refuse(&p, GEMLET_ERROR_UNSUPPORTED, "| beside ^ or $: put what it parts into a group");
    }
    append(&p, &all, &whole);
    if (!ends && !anchored) {
        fragment any = any_text(&p);
        append(&p, &all, &any);
    }
    if (g->pattern_count == room->patterns) {
        refuse(&p, GEMLET_ERROR_MEMORY, "too many patterns");
    }
    if (p.status == GEMLET_OK) {
        g->patterns[g->pattern_count++] = (gemlet_pattern){.positions = g->positions + p.first_position,
                                                           .position_count = (uint16_t)(g->position_count - p.first_position),
                                                           .empty = all.empty,
                                                           .first = all.first,
                                                           .last = all.last};
    }
    return p.status;
}
