/* A compiled grammar: what machine.c walks over.  It lies in one piece of the caller's memory. */
#ifndef GEMLET_MODEL_GRAMMAR_TABLE_H
#define GEMLET_MODEL_GRAMMAR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/grammar.h>

enum {
    GEMLET_PATTERN_POSITIONS = 256, /* of the characters of a pattern, repetitions written out */
    GEMLET_PATTERN_WORDS = GEMLET_PATTERN_POSITIONS / 64,
    GEMLET_CHOICES = 8,         /* anyOf within anyOf */
    GEMLET_CHOICE_WORK = 32768, /* of all alternatives of a choice: 16 for each, 1 for each literal of one */
    GEMLET_NEVER = UINT8_MAX,   /* depth of what has no finite value */
    GEMLET_NUMBER_FRACTION = 6, /* digits behind the point of a number that is no integer */
    GEMLET_NUMBER_DIGITS = 18,  /* of a number at most, those behind the point included */
    GEMLET_NO_NODE = UINT16_MAX
};
#define GEMLET_UNBOUNDED UINT32_MAX
#define GEMLET_LAST_CHARACTER 0x10FFFFu

/* A set of a pattern's positions. */
typedef struct gemlet_positions {
    uint64_t words[GEMLET_PATTERN_WORDS];
} gemlet_positions;

typedef struct gemlet_character_range {
    uint32_t first, last;
} gemlet_character_range;

/* A pattern as the automaton of its positions (Glushkov, "The abstract theory of automata", 1961): each place where the pattern has
 * a character is a state, and all states lead to an end. */
typedef struct gemlet_pattern_position {
    uint16_t first_range, range_count; /* its characters */
    gemlet_positions follow;           /* what may come behind it */
} gemlet_pattern_position;

typedef struct gemlet_pattern {
    gemlet_pattern_position *positions;
    uint16_t position_count;
    bool empty; /* no character at all is right, too */
    gemlet_positions first, last;
} gemlet_pattern;

typedef enum gemlet_node_kind {
    GEMLET_NODE_PENDING,  /* what is compiled later: the schema from `source` to `most` */
    GEMLET_NODE_ALIAS,    /* of node `first`; links.c leads all to that */
    GEMLET_NODE_LITERALS, /* one of the entries' texts */
    GEMLET_NODE_STRING,   /* of `least` to `most` characters, or as pattern `first` says */
    GEMLET_NODE_NUMBER,
    GEMLET_NODE_ARRAY,  /* entries are its first elements', then `other` */
    GEMLET_NODE_OBJECT, /* entries are its members, in this order */
    GEMLET_NODE_MAP,    /* an object of any keys, its values `other` */
    GEMLET_NODE_ANY_OF, /* one of the entries' nodes; `least` choices within each other, `most` of GEMLET_CHOICE_WORK */
    GEMLET_NODE_TEXT,   /* of pattern `first`, as it is */
    GEMLET_NODE_NAME,   /* of a member in the notation of calls */
    GEMLET_NODE_CALL    /* of one of the entries' functions: its text up to the arguments, and their node */
} gemlet_node_kind;

typedef struct gemlet_node {
    uint8_t kind;
    uint8_t depth;         /* the least that a value needs: frames of machine.c; GEMLET_NEVER */
    bool has_pattern;      /* of a string: number `first` */
    bool integer;          /* of a number: units are 1, else 10^-6 */
    bool has_base;         /* while it is pending: $id around it changes what $ref means */
    uint16_t first, count; /* entries */
    uint16_t other;        /* a node */
    uint32_t least, most;  /* elements, members or characters */
    uint32_t source;       /* where its schema is in the text; 0: it is the root, or a part of another */
    int64_t low, high;     /* of a number, in units */
} gemlet_node;

typedef struct gemlet_entry {
    uint32_t text, bytes; /* a literal, or a key with its quotes and colon */
    uint16_t node;
    bool required;
} gemlet_entry;

struct gemlet_grammar {
    size_t node_count, entry_count, text_bytes, pattern_count, position_count, range_count;
    gemlet_node *nodes; /* the first is the root */
    gemlet_entry *entries;
    char *text;
    gemlet_pattern *patterns;
    gemlet_pattern_position *positions;
    gemlet_character_range *ranges;
    uint16_t key;  /* the node of any key */
    bool notation; /* values are written as in calls, not as in JSON */
};

/* What may be written of a table.  compile.c counts it before. */
typedef struct gemlet_grammar_room {
    size_t nodes, entries, text, patterns, positions, ranges;
} gemlet_grammar_room;

static inline bool gemlet_has_position(const gemlet_positions *set, size_t i) {
    return (set->words[i / 64] >> (i % 64) & 1) != 0;
}

static inline void gemlet_add_position(gemlet_positions *set, size_t i) {
    set->words[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void gemlet_add_positions(gemlet_positions *set, const gemlet_positions *more) {
    for (size_t w = 0; w < GEMLET_PATTERN_WORDS; w++) {
        set->words[w] |= more->words[w];
    }
}

static inline bool gemlet_no_positions(const gemlet_positions *set) {
    uint64_t all = 0;
    for (size_t w = 0; w < GEMLET_PATTERN_WORDS; w++) {
        all |= set->words[w];
    }
    return all == 0;
}

/* machine.c: whether one of these characters is a position's. */
bool gemlet_position_takes(const gemlet_grammar *g, const gemlet_pattern_position *position, gemlet_character_range wanted);

/* pattern.c: appends the pattern of this text, UTF-8.  Unless `anchored`, it may stand anywhere in what is matched, as JSON Schema
 * means it.  GEMLET_ERROR_UNSUPPORTED for what the subset does not have, GEMLET_ERROR_FORMAT for a mistake. */
gemlet_status gemlet_pattern_compile(gemlet_grammar *g, const gemlet_grammar_room *room, const char *text, size_t bytes,
                                     bool anchored, gemlet_error *error);

/* Ranges that a pattern of `bytes` bytes may take. */
size_t gemlet_pattern_ranges(size_t bytes);

#endif
