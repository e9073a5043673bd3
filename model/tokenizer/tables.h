/* The layout of the tokenizer's tables: what model/pack/tokenizer_build.c writes and model/tokenizer/tokenizer.c reads in place.
 *
 * Everything is little endian; offsets count bytes from the start; each section starts at a multiple of 64 and the gaps are zero,
 * so that equal vocabularies give equal bytes. */
#ifndef GEMLET_MODEL_TOKENIZER_TABLES_H
#define GEMLET_MODEL_TOKENIZER_TABLES_H

#include <stdint.h>

#include <gemlet/tokenizer.h>

#define GEMLET_TABLES_MAGIC 0x4B544C47u /* "GLTK"; reads differently on a big-endian machine, which is refused that way */
#define GEMLET_TABLES_VERSION 1u

enum {
    GEMLET_TABLES_SPECIALS = GEMLET_SPECIAL_AUDIO + 1, /* those whose ids the header has; the others are found by their texts */
    GEMLET_TABLES_PAGES = 0x110000 >> 8,
    GEMLET_TABLES_MAX_TOKENS = 1 << 23,
    GEMLET_TABLES_MAX_PROBES = 64 /* the builder enlarges the hash table until no merge lies farther from its slot */
};

typedef enum gemlet_tables_section {
    GEMLET_TABLES_TEXT_OFFSETS,      /* uint32 [tokens + 1]: where each token's text starts in STRINGS */
    GEMLET_TABLES_STRINGS,           /* bytes: output text, U+2581 already a space, byte tokens one raw byte */
    GEMLET_TABLES_KINDS,             /* uint8 [tokens]: gemlet_token_kind */
    GEMLET_TABLES_BYTE_TOKENS,       /* uint32 [256] */
    GEMLET_TABLES_CHARACTER_PAGES,   /* uint16 [4352]: page of each 256 code points */
    GEMLET_TABLES_CHARACTERS,        /* uint32 [pages][256]: symbol, or GEMLET_NO_SYMBOL; GEMLET_STARTS_MATCH may be set */
    GEMLET_TABLES_SYMBOL_CHARACTERS, /* uint32 [symbols - tokens]: code point of each symbol that is no token */
    GEMLET_TABLES_MERGES,            /* gemlet_tables_merge [merges], best first */
    GEMLET_TABLES_SLOTS,             /* uint32 [power of two]: open addressing, fingerprint << 24 | merge + 1, or 0 */
    GEMLET_TABLES_NODES,             /* gemlet_tables_node [nodes]: trie of user-defined and special tokens, root first */
    GEMLET_TABLES_EXPANSIONS,        /* gemlet_tables_expansion [], ascending by token */
    GEMLET_TABLES_EXPANSION_TOKENS,  /* uint32 [] */
    GEMLET_TABLES_SECTIONS
} gemlet_tables_section;

typedef enum gemlet_token_kind {
    GEMLET_TOKEN_KIND_TEXT,    /* normal pieces, and user-defined ones that stand for text */
    GEMLET_TOKEN_KIND_SPECIAL, /* <bos>, <end_of_turn>, <unk>, ... */
    GEMLET_TOKEN_KIND_BYTE,
    GEMLET_TOKEN_KIND_UNUSED /* never comes out of the encoder */
} gemlet_token_kind;

#define GEMLET_NO_SYMBOL 0x00FFFFFFu
#define GEMLET_STARTS_MATCH 0x80000000u /* a user-defined or special token starts with this character */

typedef struct gemlet_tables_header {
    uint32_t magic;
    uint32_t version;
    uint32_t bytes; /* of everything */
    uint32_t token_count;
    uint32_t symbol_count;
    uint32_t special[GEMLET_TABLES_SPECIALS];
    struct {
        uint32_t offset;
        uint32_t bytes;
    } sections[GEMLET_TABLES_SECTIONS];
} gemlet_tables_header;

/* Two neighbouring symbols that become a third.  Each piece has at most one entry.  What happens inside a piece's characters until
 * they are two symbols depends on nothing outside them, because nothing has crossed their ends yet; so the two symbols are always
 * the same two, and all other ways to cut the piece in two never occur. */
typedef struct gemlet_tables_merge {
    uint32_t left;
    uint32_t right;
    uint32_t result; /* a token */
    uint32_t rank;   /* 0 has the best score; equal scores have equal ranks */
} gemlet_tables_merge;

typedef struct gemlet_tables_node {
    uint32_t character;
    uint32_t token; /* that ends here, or GEMLET_NO_TOKEN */
    uint32_t first_child;
    uint32_t child_count; /* children are neighbours, ascending by character */
} gemlet_tables_node;

/* What an unused token falls apart into: EXPANSION_TOKENS[first .. first + count). */
typedef struct gemlet_tables_expansion {
    uint32_t token;
    uint32_t first;
    uint32_t count;
} gemlet_tables_expansion;

/* Where the search for the merge of (left, right) starts (masked), and the fingerprint (top eight bits) that its slot carries. */
static inline uint64_t gemlet_tables_hash(uint32_t left, uint32_t right) {
    uint64_t hash = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    return hash * 0xD6E8FEB86659FD93u;
}

#endif
