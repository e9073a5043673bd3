#include "model/pack/tokenizer_build.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "model/pack/merge_ranks.h"
#include "model/pack/vocabulary_index.h"
#include "model/tokenizer/tables.h"
#include <gemlet/arena.h>
#include <gemlet/tokenizer.h>

#define SPACE_TEXT "\xE2\x96\x81"
enum { SPACE_CHARACTER = 0x2581 };

typedef gemlet_tables_merge merge;

/* Everything that is on its way into the tables. */
typedef struct build {
    const gemlet_vocabulary *vocabulary;
    gemlet_error *error;
    size_t count;
    uint8_t *kinds;         /* [count] gemlet_token_kind */
    bool *mergeable;        /* [count] normal and unused pieces: what merging can make */
    bool *made;             /* [count] results of ranked merges */
    bool *matched;          /* [count] user-defined and special pieces: looked for in the text before anything is merged */
    vocabulary_index index; /* mergeable pieces by text */
    merge_ranks ranks;      /* of a ranked vocabulary */
    uint32_t *symbols;      /* [0x110000] symbol of each code point */
    uint32_t *extra;        /* code points of symbols that are no token */
    size_t extra_count;
    merge *merges;
    size_t merge_count;
    uint32_t *merge_of; /* [count] a piece's merge or GEMLET_NO_TOKEN */
    uint32_t *slots;
    size_t slot_count;
    gemlet_tables_node *nodes;
    size_t node_count;
    gemlet_tables_expansion *expansions;
    size_t expansion_count;
    uint32_t *expansion_tokens;
    size_t expansion_token_count;
    size_t expansion_token_capacity;
    uint32_t byte_tokens[256];
    uint32_t special[GEMLET_TABLES_SPECIALS];
} build;

/* ---- what each row is ---- */

static bool text_is(const gemlet_piece *piece, const char *text) {
    return piece->bytes == strlen(text) && memcmp(piece->text, text, piece->bytes) == 0;
}

/* Gemma 3's and 3n's name, and Gemma 4's where that is another one. */
static const char *const special_names[GEMLET_TABLES_SPECIALS][2] = {
    [GEMLET_SPECIAL_BOS] = {"<bos>", "<bos>"},
    [GEMLET_SPECIAL_EOS] = {"<eos>", "<eos>"},
    [GEMLET_SPECIAL_PAD] = {"<pad>", "<pad>"},
    [GEMLET_SPECIAL_UNKNOWN] = {"<unk>", "<unk>"},
    [GEMLET_SPECIAL_START_OF_TURN] = {"<start_of_turn>", "<|turn>"},
    [GEMLET_SPECIAL_END_OF_TURN] = {"<end_of_turn>", "<turn|>"},
    [GEMLET_SPECIAL_START_OF_IMAGE] = {"<start_of_image>", "<|image>"},
    [GEMLET_SPECIAL_END_OF_IMAGE] = {"<end_of_image>", "<image|>"},
    [GEMLET_SPECIAL_IMAGE] = {"<image_soft_token>", "<|image|>"},
    [GEMLET_SPECIAL_START_OF_AUDIO] = {"<start_of_audio>", "<|audio>"},
    [GEMLET_SPECIAL_END_OF_AUDIO] = {"<end_of_audio>", "<audio|>"},
    [GEMLET_SPECIAL_AUDIO] = {"<audio_soft_token>", "<|audio|>"},
};

static bool is_named(const gemlet_piece *piece, size_t special) {
    return text_is(piece, special_names[special][0]) || text_is(piece, special_names[special][1]);
}

/* "<|...>" or "<...|>", as Gemma 4 writes its marks. */
static bool is_mark(const gemlet_piece *piece) {
    const char *text = piece->text;
    size_t n = piece->bytes;
    return n > 3 && text[0] == '<' && text[n - 1] == '>' && (text[1] == '|' || text[n - 2] == '|');
}

static bool has_special_name(const gemlet_piece *piece) {
    for (size_t i = 0; i < GEMLET_TABLES_SPECIALS; i++) {
        if (is_named(piece, i)) {
            return true;
        }
    }
    bool unused = piece->bytes > 8 && memcmp(piece->text, "<unused", 7) == 0 && piece->text[piece->bytes - 1] == '>';
    return unused || text_is(piece, "<mask>");
}

/* "[PAD17]" in row 17: what llama.cpp's converter writes where there is no piece. */
static bool is_filler(const gemlet_piece *piece, size_t row) {
    char name[32] = "[PAD";
    size_t used = 4;
    char digits[20];
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + row % 10);
        row /= 10;
    } while (row != 0);
    memcpy(name + used, digits + start, sizeof digits - start);
    used += sizeof digits - start;
    name[used] = ']';
    name[used + 1] = '\0';
    return piece->type == GEMLET_PIECE_UNUSED && text_is(piece, name);
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The byte that a byte piece is named after, or -1. */
static int byte_value(const gemlet_piece *piece) {
    if (piece->bytes != 6 || memcmp(piece->text, "<0x", 3) != 0 || piece->text[5] != '>') {
        return -1;
    }
    int high = hex_value(piece->text[3]);
    int low = hex_value(piece->text[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

static gemlet_status classify_byte(build *b, size_t row) {
    int value = byte_value(&b->vocabulary->pieces[row]);
    if (value < 0) {
        return gemlet_vocabulary_fail_row(b->error, GEMLET_ERROR_FORMAT, row, "a byte piece is not named <0x00> to <0xFF>");
    }
    b->kinds[row] = GEMLET_TOKEN_KIND_BYTE;
    b->byte_tokens[value] = (uint32_t)row;
    return GEMLET_OK;
}

static void classify_text(build *b, size_t row) {
    const gemlet_piece *piece = &b->vocabulary->pieces[row];
    bool ranked = b->vocabulary->ranked;
    bool filler = piece->type == GEMLET_PIECE_NONE || is_filler(piece, row);
    bool unused = filler || piece->type == GEMLET_PIECE_UNUSED;
    bool mark = ranked && is_mark(piece) && !b->made[row]; /* llama.cpp's converter calls some normal */
    bool special = piece->type == GEMLET_PIECE_CONTROL || piece->type == GEMLET_PIECE_UNKNOWN || mark ||
                   (piece->type != GEMLET_PIECE_UNUSED && has_special_name(piece));
    bool line_feed = !ranked && piece->type == GEMLET_PIECE_NORMAL && memchr(piece->text, '\n', piece->bytes) != NULL;
    b->kinds[row] = special ? GEMLET_TOKEN_KIND_SPECIAL : unused ? GEMLET_TOKEN_KIND_UNUSED : GEMLET_TOKEN_KIND_TEXT;
    b->mergeable[row] =
        (piece->type == GEMLET_PIECE_NORMAL && !line_feed && !special) || (piece->type == GEMLET_PIECE_UNUSED && !filler);
    b->matched[row] = (special && !ranked) || mark || line_feed || piece->type == GEMLET_PIECE_CONTROL ||
                      piece->type == GEMLET_PIECE_UNKNOWN || piece->type == GEMLET_PIECE_USER_DEFINED;
}

static gemlet_status classify(build *b) {
    for (size_t i = 0; i < 256; i++) {
        b->byte_tokens[i] = GEMLET_NO_TOKEN;
    }
    for (size_t i = 0; i < b->vocabulary->merge_count; i++) {
        b->made[b->vocabulary->merges[i].result] = true;
    }
    for (size_t row = 0; row < b->count; row++) {
        if (b->vocabulary->pieces[row].type != GEMLET_PIECE_BYTE) {
            classify_text(b, row);
            continue;
        }
        gemlet_status status = classify_byte(b, row);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < 256; i++) {
        if (b->byte_tokens[i] == GEMLET_NO_TOKEN) {
            gemlet_fail(b->error, GEMLET_ERROR_UNSUPPORTED, "vocabulary: no piece for byte ");
            gemlet_error_number(b->error, i);
            gemlet_error_text(b->error, "; only vocabularies with byte fallback are supported");
            return GEMLET_ERROR_UNSUPPORTED;
        }
    }
    for (size_t i = 0; i < GEMLET_TABLES_SPECIALS; i++) {
        b->special[i] = GEMLET_NO_TOKEN;
        for (size_t row = b->count; row-- > 0;) {
            if (b->kinds[row] == GEMLET_TOKEN_KIND_SPECIAL && is_named(&b->vocabulary->pieces[row], i)) {
                b->special[i] = (uint32_t)row;
            }
        }
    }
    return GEMLET_OK;
}

/* ---- characters ---- */

static gemlet_status find_symbols(build *b) {
    enum { CHARACTERS = 0x110000 };
    b->symbols = malloc(CHARACTERS * sizeof *b->symbols);
    b->extra = malloc(CHARACTERS * sizeof *b->extra);
    if (b->symbols == NULL || b->extra == NULL) {
        return gemlet_vocabulary_no_memory(b->error);
    }
    bool *occurs = calloc(CHARACTERS, sizeof *occurs);
    if (occurs == NULL) {
        return gemlet_vocabulary_no_memory(b->error);
    }
    for (size_t i = 0; i < CHARACTERS; i++) {
        b->symbols[i] = GEMLET_NO_SYMBOL;
    }
    for (size_t row = 0; row < b->count; row++) {
        const gemlet_piece *piece = &b->vocabulary->pieces[row];
        uint32_t character;
        for (size_t i = 0; b->mergeable[row] && i < piece->bytes;) {
            size_t length = (size_t)gemlet_utf8_read((const unsigned char *)piece->text + i, piece->bytes - i, &character);
            occurs[character] = true;
            if (length == piece->bytes && b->symbols[character] == GEMLET_NO_SYMBOL) {
                b->symbols[character] = (uint32_t)row;
            }
            i += length;
        }
    }
    for (uint32_t i = 0; i < CHARACTERS; i++) {
        if (occurs[i] && b->symbols[i] == GEMLET_NO_SYMBOL) {
            b->symbols[i] = (uint32_t)(b->count + b->extra_count);
            b->extra[b->extra_count++] = i;
        }
    }
    free(occurs);
    return GEMLET_OK;
}

/* ---- merges ---- */

/* One symbol while a piece is put together from its characters. */
typedef struct part {
    size_t start;
    uint32_t symbol;
    uint32_t pair; /* the piece that this part and the next one make, or GEMLET_NO_TOKEN */
    double order;  /* of that merge: the smallest is the best */
} part;

/* What part `i` and the next one make: by their symbols where merges are ranked, else by their text. */
static void update_part(const build *b, const gemlet_piece *piece, part *parts, size_t count, size_t i) {
    parts[i].pair = GEMLET_NO_TOKEN;
    if (i + 1 >= count) {
        return;
    }
    if (b->vocabulary->ranked) {
        uint32_t rank = merge_ranks_find(&b->ranks, parts[i].symbol, parts[i + 1].symbol);
        parts[i].pair = rank != UINT32_MAX ? b->vocabulary->merges[rank].result : GEMLET_NO_TOKEN;
        parts[i].order = rank;
    } else {
        size_t end = i + 2 < count ? parts[i + 2].start : piece->bytes;
        uint32_t pair = vocabulary_index_find(&b->index, piece->text + parts[i].start, end - parts[i].start);
        parts[i].pair = pair;
        parts[i].order = pair != GEMLET_NO_TOKEN ? -(double)b->vocabulary->pieces[pair].score : 0.0;
    }
}

static size_t split_characters(const build *b, const gemlet_piece *piece, part *parts) {
    size_t count = 0;
    uint32_t character;
    for (size_t i = 0; i < piece->bytes; count++) {
        parts[count].start = i;
        i += (size_t)gemlet_utf8_read((const unsigned char *)piece->text + i, piece->bytes - i, &character);
        parts[count].symbol = b->symbols[character];
    }
    return count;
}

/* A piece's merge, with what orders it among the others. */
typedef struct ordered_merge {
    merge merge;
    double order;
} ordered_merge;

/* Merges the characters of a piece as the encoder does until two symbols are left that make the whole piece; see
 * gemlet_tables_merge.  False where they do not. */
static bool find_split(const build *b, uint32_t row, ordered_merge *out) {
    const gemlet_piece *piece = &b->vocabulary->pieces[row];
    part parts[GEMLET_TOKEN_BYTES];
    size_t count = split_characters(b, piece, parts);
    if (count < 2) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        update_part(b, piece, parts, count, i);
    }
    while (count > 2) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++) {
            if (parts[i].pair != GEMLET_NO_TOKEN && (best == count || parts[i].order < parts[best].order)) {
                best = i;
            }
        }
        if (best == count) {
            return false;
        }
        parts[best].symbol = parts[best].pair;
        memmove(parts + best + 1, parts + best + 2, (count - best - 2) * sizeof *parts);
        count--;
        update_part(b, piece, parts, count, best);
        if (best > 0) {
            update_part(b, piece, parts, count, best - 1);
        }
    }
    *out = (ordered_merge){{parts[0].symbol, parts[1].symbol, row, 0}, parts[0].order};
    return parts[0].pair == row;
}

static int compare_merges(const void *a, const void *b) {
    const ordered_merge *x = a;
    const ordered_merge *y = b;
    if (x->order != y->order) {
        return x->order < y->order ? -1 : 1;
    }
    return x->merge.result < y->merge.result ? -1 : x->merge.result > y->merge.result;
}

static void rank_merges(build *b, ordered_merge *ordered) {
    qsort(ordered, b->merge_count, sizeof *ordered, compare_merges);
    for (size_t i = 0, rank = 0; i < b->merge_count; i++) {
        rank = i > 0 && ordered[i].order == ordered[i - 1].order ? rank : i;
        b->merges[i] = ordered[i].merge;
        b->merges[i].rank = (uint32_t)rank;
        b->merge_of[ordered[i].merge.result] = (uint32_t)i;
    }
}

static gemlet_status find_merges(build *b) {
    ordered_merge *ordered = malloc(b->count * sizeof *ordered);
    b->merges = malloc(b->count * sizeof *b->merges);
    b->merge_of = malloc(b->count * sizeof *b->merge_of);
    bool has_ranks = !b->vocabulary->ranked || merge_ranks_init(&b->ranks, b->vocabulary);
    if (ordered == NULL || b->merges == NULL || b->merge_of == NULL || !has_ranks) {
        free(ordered);
        return gemlet_vocabulary_no_memory(b->error);
    }
    for (uint32_t row = 0; row < b->count; row++) {
        const gemlet_piece *piece = &b->vocabulary->pieces[row];
        b->merge_of[row] = GEMLET_NO_TOKEN;
        /* Of pieces with equal texts the first counts. */
        if (b->mergeable[row] && vocabulary_index_find(&b->index, piece->text, piece->bytes) == row &&
            find_split(b, row, &ordered[b->merge_count])) {
            b->merge_count++;
        }
    }
    rank_merges(b, ordered);
    free(ordered);
    return GEMLET_OK;
}

static bool fill_slots(build *b) {
    memset(b->slots, 0, b->slot_count * sizeof *b->slots);
    for (uint32_t i = 0; i < b->merge_count; i++) {
        uint64_t hash = gemlet_tables_hash(b->merges[i].left, b->merges[i].right);
        uint32_t probe = 0;
        while (probe < GEMLET_TABLES_MAX_PROBES && b->slots[((uint32_t)hash + probe) & (b->slot_count - 1)] != 0) {
            probe++;
        }
        if (probe == GEMLET_TABLES_MAX_PROBES) {
            return false;
        }
        b->slots[((uint32_t)hash + probe) & (b->slot_count - 1)] = (uint32_t)(hash >> 56) << 24 | (i + 1);
    }
    return true;
}

/* Merges whose hashes fall together would ask for ever more slots: a vocabulary that was not made for it needs a few times as many
 * as it has merges. */
enum { MOST_SLOTS_A_MERGE = 64 };

static gemlet_status make_slots(build *b) {
    const size_t most = MOST_SLOTS_A_MERGE * (b->merge_count < 16 ? 16 : (size_t)b->merge_count);
    for (b->slot_count = 16; b->slot_count < 2 * b->merge_count; b->slot_count *= 2) {
    }
    for (; b->slot_count <= most; b->slot_count *= 2) {
        free(b->slots);
        b->slots = malloc(b->slot_count * sizeof *b->slots);
        if (b->slots == NULL) {
            return gemlet_vocabulary_no_memory(b->error);
        }
        if (fill_slots(b)) {
            return GEMLET_OK;
        }
    }
    return gemlet_fail(b->error, GEMLET_ERROR_UNSUPPORTED,
                       "tokenizer: too many merges fall on one slot of their table: no trained vocabulary does that");
}

/* ---- unused pieces ---- */

static gemlet_status append_expansion(build *b, uint32_t token) {
    if (b->expansion_token_count == b->expansion_token_capacity) {
        size_t capacity = 2 * b->expansion_token_capacity + 64;
        uint32_t *tokens = realloc(b->expansion_tokens, capacity * sizeof *tokens);
        if (tokens == NULL) {
            return gemlet_vocabulary_no_memory(b->error);
        }
        b->expansion_tokens = tokens;
        b->expansion_token_capacity = capacity;
    }
    b->expansion_tokens[b->expansion_token_count++] = token;
    return GEMLET_OK;
}

static gemlet_status append_bytes(build *b, const char *text, size_t bytes) {
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < bytes && status == GEMLET_OK; i++) {
        status = append_expansion(b, b->byte_tokens[(unsigned char)text[i]]);
    }
    return status;
}

/* A symbol that does not fall apart further: a token, or the bytes of a character that is unused or no token. */
static gemlet_status append_symbol(build *b, uint32_t symbol) {
    if (symbol >= b->count) {
        unsigned char character[4];
        size_t bytes = gemlet_utf8_write(b->extra[symbol - b->count], character);
        return append_bytes(b, (const char *)character, bytes);
    }
    const gemlet_piece *piece = &b->vocabulary->pieces[symbol];
    return b->kinds[symbol] == GEMLET_TOKEN_KIND_UNUSED ? append_bytes(b, piece->text, piece->bytes) : append_expansion(b, symbol);
}

/* Splits a token along its merges until no unused token is left. */
static gemlet_status expand(build *b, uint32_t token) {
    uint32_t stack[GEMLET_TOKEN_BYTES + 1];
    size_t depth = 0;
    gemlet_status status = GEMLET_OK;
    stack[depth++] = token;
    while (depth > 0 && status == GEMLET_OK) {
        uint32_t symbol = stack[--depth];
        if (symbol < b->count && b->kinds[symbol] == GEMLET_TOKEN_KIND_UNUSED && b->merge_of[symbol] != GEMLET_NO_TOKEN) {
            stack[depth++] = b->merges[b->merge_of[symbol]].right;
            stack[depth++] = b->merges[b->merge_of[symbol]].left;
        } else {
            status = append_symbol(b, symbol);
        }
    }
    return status;
}

/* Whether the encoder may have this unused token as a symbol. */
static bool is_reached(const build *b, uint32_t row) {
    uint32_t character;
    const gemlet_piece *piece = &b->vocabulary->pieces[row];
    int length = piece->bytes == 0 ? 0 : gemlet_utf8_read((const unsigned char *)piece->text, piece->bytes, &character);
    bool single = length > 0 && (size_t)length == piece->bytes && b->symbols[character] == row;
    return b->kinds[row] == GEMLET_TOKEN_KIND_UNUSED && (single || b->merge_of[row] != GEMLET_NO_TOKEN);
}

static gemlet_status expand_unused(build *b) {
    size_t unused = 0;
    for (size_t row = 0; row < b->count; row++) {
        unused += b->kinds[row] == GEMLET_TOKEN_KIND_UNUSED;
    }
    b->expansions = calloc(unused + 1, sizeof *b->expansions);
    if (b->expansions == NULL) {
        return gemlet_vocabulary_no_memory(b->error);
    }
    for (uint32_t row = 0; row < b->count; row++) {
        if (!is_reached(b, row)) {
            continue;
        }
        size_t first = b->expansion_token_count;
        gemlet_status status = expand(b, row);
        if (status != GEMLET_OK) {
            return status;
        }
        b->expansions[b->expansion_count++] =
            (gemlet_tables_expansion){row, (uint32_t)first, (uint32_t)(b->expansion_token_count - first)};
    }
    return GEMLET_OK;
}

/* ---- the trie of user-defined and special tokens ---- */

/* A token to be matched: its code points, and during the trie's making the node that its first `depth` code points lead to. */
typedef struct match {
    uint32_t characters[GEMLET_MATCH_CHARACTERS];
    size_t length;
    uint32_t token;
} match;

static int compare_matches(const void *a, const void *b) {
    const match *x = a;
    const match *y = b;
    for (size_t i = 0; i < x->length && i < y->length; i++) {
        if (x->characters[i] != y->characters[i]) {
            return x->characters[i] < y->characters[i] ? -1 : 1;
        }
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    return x->token < y->token ? -1 : x->token > y->token;
}

static gemlet_status read_match(const build *b, uint32_t row, match *out) {
    const gemlet_piece *piece = &b->vocabulary->pieces[row];
    out->length = 0;
    out->token = row;
    for (size_t i = 0; i < piece->bytes;) {
        uint32_t character;
        i += (size_t)gemlet_utf8_read((const unsigned char *)piece->text + i, piece->bytes - i, &character);
        if (out->length == GEMLET_MATCH_CHARACTERS) {
            return gemlet_vocabulary_fail_row(b->error, GEMLET_ERROR_UNSUPPORTED, row,
                                              "a user-defined or special token has more than 64 characters");
        }
        out->characters[out->length++] = character == ' ' ? SPACE_CHARACTER : character;
    }
    return GEMLET_OK;
}

/* A range of the sorted matches that share `depth` code points, and their node. */
typedef struct range {
    size_t first;
    size_t end;
    size_t depth;
} range;

/* Gives node `n` its token and appends its children, one for each different next character of its range. */
static void grow_node(build *b, const match *matches, range *ranges, size_t n) {
    range r = ranges[n];
    gemlet_tables_node *node = &b->nodes[n];
    size_t i = r.first;
    while (i < r.end && matches[i].length == r.depth) {
        /* Of tokens with equal texts the first counts; sorting has put it first. */
        node->token = node->token == GEMLET_NO_TOKEN ? matches[i].token : node->token;
        i++;
    }
    node->first_child = (uint32_t)b->node_count;
    while (i < r.end) {
        uint32_t character = matches[i].characters[r.depth];
        size_t end = i;
        while (end < r.end && matches[end].characters[r.depth] == character) {
            end++;
        }
        ranges[b->node_count] = (range){i, end, r.depth + 1};
        b->nodes[b->node_count++] = (gemlet_tables_node){character, GEMLET_NO_TOKEN, 0, 0};
        i = end;
    }
    node->child_count = (uint32_t)b->node_count - node->first_child;
}

static gemlet_status make_trie(build *b) {
    size_t count = 0;
    size_t characters = 1;
    match *matches = malloc((b->count + 1) * sizeof *matches);
    gemlet_status status = matches == NULL ? gemlet_vocabulary_no_memory(b->error) : GEMLET_OK;
    for (uint32_t row = 0; row < b->count && status == GEMLET_OK; row++) {
        if (b->matched[row]) {
            status = read_match(b, row, &matches[count]);
            characters += matches[count++].length;
        }
    }
    range *ranges = malloc(characters * sizeof *ranges);
    b->nodes = malloc(characters * sizeof *b->nodes);
    if (status == GEMLET_OK && (ranges == NULL || b->nodes == NULL)) {
        status = gemlet_vocabulary_no_memory(b->error);
    }
    if (status == GEMLET_OK) {
        qsort(matches, count, sizeof *matches, compare_matches);
        ranges[0] = (range){0, count, 0};
        b->nodes[0] = (gemlet_tables_node){0, GEMLET_NO_TOKEN, 0, 0};
        b->node_count = 1;
        for (size_t n = 0; n < b->node_count; n++) {
            grow_node(b, matches, ranges, n);
        }
        for (size_t i = 0; i < b->nodes[0].child_count; i++) {
            b->symbols[b->nodes[b->nodes[0].first_child + i].character] |= GEMLET_STARTS_MATCH;
        }
    }
    free(ranges);
    free(matches);
    return status;
}

/* ---- the tables ---- */

static bool page_is_used(const build *b, uint32_t page) {
    for (uint32_t i = 0; i < 256; i++) {
        if (b->symbols[256 * page + i] != GEMLET_NO_SYMBOL) {
            return true;
        }
    }
    return false;
}

/* Page 0 of the table is empty and stands for all pages without a symbol.  Counts only where `out` is NULL. */
static size_t write_characters(const build *b, uint16_t *pages, uint32_t *out) {
    size_t count = 1;
    for (size_t i = 0; i < 256 && out != NULL; i++) {
        out[i] = GEMLET_NO_SYMBOL;
    }
    for (uint32_t page = 0; page < GEMLET_TABLES_PAGES; page++) {
        if (!page_is_used(b, page)) {
            continue;
        }
        if (out != NULL) {
            memcpy(out + 256 * count, b->symbols + 256 * page, 256 * sizeof *out);
            pages[page] = (uint16_t)count;
        }
        count++;
    }
    return count;
}

/* The text that a row decodes to, into `out` (GEMLET_TOKEN_BYTES). */
static size_t output_text(const build *b, size_t row, char *out) {
    const gemlet_piece *piece = &b->vocabulary->pieces[row];
    if (b->kinds[row] == GEMLET_TOKEN_KIND_BYTE) {
        unsigned char byte = (unsigned char)byte_value(piece);
        memcpy(out, &byte, 1);
        return 1;
    }
    size_t used = 0;
    for (size_t i = 0; i < piece->bytes && !is_filler(piece, row);) {
        bool space = piece->bytes - i >= 3 && memcmp(piece->text + i, SPACE_TEXT, 3) == 0;
        out[used] = ' ';
        if (!space) {
            out[used] = piece->text[i];
        }
        used++;
        i += space ? 3 : 1;
    }
    return used;
}

static size_t write_strings(const build *b, uint32_t *offsets, char *strings) {
    char text[GEMLET_TOKEN_BYTES];
    size_t used = 0;
    for (size_t row = 0; row < b->count; row++) {
        size_t bytes = output_text(b, row, text);
        if (strings != NULL) {
            memcpy(strings + used, text, bytes);
            offsets[row] = (uint32_t)used;
        }
        used += bytes;
    }
    if (strings != NULL) {
        offsets[b->count] = (uint32_t)used;
    }
    return used;
}

static size_t layout(const build *b, gemlet_tables_header *header) {
    size_t sizes[GEMLET_TABLES_SECTIONS] = {
        [GEMLET_TABLES_TEXT_OFFSETS] = 4 * (b->count + 1),
        [GEMLET_TABLES_STRINGS] = write_strings(b, NULL, NULL),
        [GEMLET_TABLES_KINDS] = b->count,
        [GEMLET_TABLES_BYTE_TOKENS] = sizeof b->byte_tokens,
        [GEMLET_TABLES_CHARACTER_PAGES] = 2 * GEMLET_TABLES_PAGES,
        [GEMLET_TABLES_CHARACTERS] = 4 * 256 * write_characters(b, NULL, NULL),
        [GEMLET_TABLES_SYMBOL_CHARACTERS] = 4 * b->extra_count,
        [GEMLET_TABLES_MERGES] = b->merge_count * sizeof *b->merges,
        [GEMLET_TABLES_SLOTS] = 4 * b->slot_count,
        [GEMLET_TABLES_NODES] = b->node_count * sizeof *b->nodes,
        [GEMLET_TABLES_EXPANSIONS] = b->expansion_count * sizeof *b->expansions,
        [GEMLET_TABLES_EXPANSION_TOKENS] = 4 * b->expansion_token_count,
    };
    size_t offset = sizeof *header;
    for (size_t i = 0; i < GEMLET_TABLES_SECTIONS; i++) {
        offset = (offset + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
        header->sections[i].offset = (uint32_t)offset;
        header->sections[i].bytes = (uint32_t)sizes[i];
        offset += sizes[i];
    }
    return (offset + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
}

static void copy_section(unsigned char *tables, gemlet_tables_section which, const void *data) {
    const gemlet_tables_header *header = (const void *)tables;
    if (header->sections[which].bytes > 0) {
        memcpy(tables + header->sections[which].offset, data, header->sections[which].bytes);
    }
}

static gemlet_status write_tables(const build *b, void **out, size_t *bytes) {
    gemlet_tables_header header = {
        GEMLET_TABLES_MAGIC, GEMLET_TABLES_VERSION, 0, (uint32_t)b->count, (uint32_t)(b->count + b->extra_count), {0}, {{0, 0}}};
    size_t total = layout(b, &header);
    if (total > UINT32_MAX) {
        return gemlet_fail(b->error, GEMLET_ERROR_UNSUPPORTED, "vocabulary: its tables pass 4 GB");
    }
    header.bytes = (uint32_t)total;
    memcpy(header.special, b->special, sizeof header.special);
    unsigned char *tables = aligned_alloc(GEMLET_ALIGNMENT, total);
    if (tables == NULL) {
        return gemlet_vocabulary_no_memory(b->error);
    }
    memset(tables, 0, total);
    memcpy(tables, &header, sizeof header);
    write_strings(b, (void *)(tables + header.sections[GEMLET_TABLES_TEXT_OFFSETS].offset),
                  (char *)tables + header.sections[GEMLET_TABLES_STRINGS].offset);
    write_characters(b, (void *)(tables + header.sections[GEMLET_TABLES_CHARACTER_PAGES].offset),
                     (void *)(tables + header.sections[GEMLET_TABLES_CHARACTERS].offset));
    copy_section(tables, GEMLET_TABLES_KINDS, b->kinds);
    copy_section(tables, GEMLET_TABLES_BYTE_TOKENS, b->byte_tokens);
    copy_section(tables, GEMLET_TABLES_SYMBOL_CHARACTERS, b->extra);
    copy_section(tables, GEMLET_TABLES_MERGES, b->merges);
    copy_section(tables, GEMLET_TABLES_SLOTS, b->slots);
    copy_section(tables, GEMLET_TABLES_NODES, b->nodes);
    copy_section(tables, GEMLET_TABLES_EXPANSIONS, b->expansions);
    copy_section(tables, GEMLET_TABLES_EXPANSION_TOKENS, b->expansion_tokens);
    *out = tables;
    *bytes = total;
    return GEMLET_OK;
}

static void free_build(build *b) {
    free(b->kinds);
    free(b->mergeable);
    free(b->made);
    free(b->matched);
    merge_ranks_free(&b->ranks);
    vocabulary_index_free(&b->index);
    free(b->symbols);
    free(b->extra);
    free(b->merges);
    free(b->merge_of);
    free(b->slots);
    free(b->nodes);
    free(b->expansions);
    free(b->expansion_tokens);
}

static gemlet_status index_pieces(build *b) {
    if (!vocabulary_index_init(&b->index, b->vocabulary)) {
        return gemlet_vocabulary_no_memory(b->error);
    }
    for (uint32_t row = 0; row < b->count; row++) {
        if (b->mergeable[row]) {
            vocabulary_index_add(&b->index, row);
        }
    }
    vocabulary_index_sort(&b->index);
    return GEMLET_OK;
}

gemlet_status gemlet_tokenizer_build(const gemlet_vocabulary *vocabulary, void **tables, size_t *bytes, gemlet_error *error) {
    *tables = NULL;
    *bytes = 0;
    if (vocabulary->count == 0) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "vocabulary: no tokens");
    }
    static gemlet_status (*const steps[])(build *) = {classify,   index_pieces,  find_symbols, find_merges,
                                                      make_slots, expand_unused, make_trie};
    build b = {.vocabulary = vocabulary, .error = error, .count = vocabulary->count};
    b.kinds = calloc(b.count, sizeof *b.kinds);
    b.mergeable = calloc(b.count, sizeof *b.mergeable);
    b.made = calloc(b.count, sizeof *b.made);
    b.matched = calloc(b.count, sizeof *b.matched);
    bool has_memory = b.kinds != NULL && b.mergeable != NULL && b.made != NULL && b.matched != NULL;
    gemlet_status status = has_memory ? GEMLET_OK : gemlet_vocabulary_no_memory(error);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == GEMLET_OK; i++) {
        status = steps[i](&b);
    }
    if (status == GEMLET_OK) {
        status = write_tables(&b, tables, bytes);
    }
    free_build(&b);
    return status;
}
