/* Tokenizer tables and conversations, at their bounds: what strangers' tables may say, what white space is, which arguments are
 * refused with which words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "model/chat/format.h"
#include "model/tokenizer/tables.h"
#include "tests/tokenizer/reference.h"
#include <gemlet/arena.h>
#include <gemlet/sampler.h>

static test_tokenizer tiny;
static _Alignas(8) unsigned char scratch[GEMLET_ENCODER_BYTES];
static gemlet_error error;

static int set_up(void **state) {
    (void)state;
    return test_tokenizer_load(&tiny, "tests/tokenizer/data/tiny.model", "tests/tokenizer/data/tiny_added.txt", 0) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    test_tokenizer_free(&tiny);
    return 0;
}

static void says(gemlet_status status, gemlet_status expected, const char *message) {
    assert_int_equal(status, expected);
    assert_int_equal(error.status, expected);
    assert_string_equal(error.message, message);
}

/* ---- Tables ---- */

typedef struct copied {
    gemlet_tables_header *header;
    unsigned char *bytes;
    size_t size;
    gemlet_tokenizer tokenizer;
} copied;

static copied copy_tables(void) {
    copied c = {.size = tiny.bytes};
    c.bytes = aligned_alloc(GEMLET_ALIGNMENT, (tiny.bytes + 63) / 64 * 64);
    assert_non_null(c.bytes);
    memcpy(c.bytes, tiny.tables, tiny.bytes);
    c.header = (gemlet_tables_header *)(void *)c.bytes;
    return c;
}

static gemlet_status open_tables(copied *c) {
    return gemlet_tokenizer_open(&c->tokenizer, c->bytes, c->size, &error);
}

static uint32_t *words_of(const copied *c, gemlet_tables_section which) {
    return (uint32_t *)(void *)(c->bytes + c->header->sections[which].offset);
}

static void counts_have_bounds(void **state) {
    (void)state;
    copied c = copy_tables();
    gemlet_tables_header *h = c.header, kept = *h;
    assert_int_equal(open_tables(&c), GEMLET_OK);
    assert_int_equal(c.tokenizer.token_count, h->token_count);
    assert_int_equal(c.tokenizer.merge_count, h->sections[GEMLET_TABLES_MERGES].bytes / 16);
    assert_int_equal(c.tokenizer.node_count, h->sections[GEMLET_TABLES_NODES].bytes / 16);
    assert_int_equal(c.tokenizer.page_count, h->sections[GEMLET_TABLES_CHARACTERS].bytes / 1024);
    assert_int_equal(c.tokenizer.slot_mask, h->sections[GEMLET_TABLES_SLOTS].bytes / 4 - 1);
    assert_int_equal(c.tokenizer.expansion_count, h->sections[GEMLET_TABLES_EXPANSIONS].bytes / 12);
    assert_int_equal(c.tokenizer.expansion_token_count, h->sections[GEMLET_TABLES_EXPANSION_TOKENS].bytes / 4);
    assert_int_equal(c.tokenizer.string_bytes, h->sections[GEMLET_TABLES_STRINGS].bytes);
    const uint32_t counts[][2] = {
        {0, 5}, {GEMLET_TABLES_MAX_TOKENS + 1, GEMLET_TABLES_MAX_TOKENS + 1}, {5, 4}, {5, 2 * GEMLET_TABLES_MAX_TOKENS}};
    for (size_t i = 0; i < 4; i++) {
        h->token_count = counts[i][0];
        h->symbol_count = counts[i][1];
        says(open_tables(&c), GEMLET_ERROR_FORMAT, "tokenizer tables: count of tokens out of range");
    }
    const uint32_t allowed[][2] = {
        {1, 1}, {GEMLET_TABLES_MAX_TOKENS, GEMLET_TABLES_MAX_TOKENS}, {1, 2 * GEMLET_TABLES_MAX_TOKENS - 1}};
    for (size_t i = 0; i < 3; i++) { /* in range, but not what the sections hold */
        h->token_count = allowed[i][0];
        h->symbol_count = allowed[i][1];
        says(open_tables(&c), GEMLET_ERROR_FORMAT, "tokenizer tables: sizes of the sections do not agree");
    }
    *h = kept;
    for (size_t i = 0; i < GEMLET_TABLES_SPECIALS; i++) {
        h->special[i] = h->token_count - 1 + (uint32_t)(i % 2);
    }
    assert_int_equal(open_tables(&c), GEMLET_OK);
    for (int i = 0; i < GEMLET_TABLES_SPECIALS; i++) {
        assert_int_equal(gemlet_tokenizer_special(&c.tokenizer, (gemlet_special)i),
                         i % 2 == 0 ? kept.token_count - 1 : GEMLET_NO_TOKEN);
    }
    free(c.bytes);
}

static void tables_want_their_header(void **state) {
    (void)state;
    char expected[96];
    copied c = copy_tables();
    gemlet_tables_header *h = c.header, kept = *h;
    static const char none[] = "tokenizer: no tables given";
    says(gemlet_tokenizer_open(NULL, c.bytes, c.size, &error), GEMLET_ERROR_ARGUMENT, none);
    says(gemlet_tokenizer_open(&c.tokenizer, NULL, c.size, &error), GEMLET_ERROR_ARGUMENT, none);
    says(gemlet_tokenizer_open(&c.tokenizer, c.bytes + 8, c.size - 8, &error), GEMLET_ERROR_ALIGNMENT,
         "tokenizer tables: not at a multiple of 64 bytes");
    says(gemlet_tokenizer_open(&c.tokenizer, c.bytes, sizeof *h - 1, &error), GEMLET_ERROR_FORMAT,
         "tokenizer tables: shorter than their header");
    assert_int_equal(c.tokenizer.token_count, 0); /* an encoder refuses it */
    snprintf(expected, sizeof expected, "tokenizer tables: need %u bytes, found %zu", (unsigned)h->bytes, sizeof *h);
    says(gemlet_tokenizer_open(&c.tokenizer, c.bytes, sizeof *h, &error), GEMLET_ERROR_FORMAT, expected);
    snprintf(expected, sizeof expected, "tokenizer tables: need %u bytes, found %u", (unsigned)h->bytes, (unsigned)h->bytes - 1);
    says(gemlet_tokenizer_open(&c.tokenizer, c.bytes, h->bytes - 1, &error), GEMLET_ERROR_FORMAT, expected);
    assert_int_equal(gemlet_tokenizer_open(&c.tokenizer, c.bytes, h->bytes, &error), GEMLET_OK);
    h->magic++;
    says(open_tables(&c), GEMLET_ERROR_FORMAT, "tokenizer tables: no header of this byte order; pack the model again");
    *h = kept;
    h->version++;
    says(open_tables(&c), GEMLET_ERROR_UNSUPPORTED, "tokenizer tables: version 2 found, 1 expected; pack the model again");
    free(c.bytes);
}

static void sections_lie_inside(void **state) {
    (void)state;
    copied c = copy_tables();
    gemlet_tables_header *h = c.header, kept = *h;
    for (uint32_t i = 0; i < GEMLET_TABLES_SECTIONS; i++) {
        char expected[96];
        const uint32_t wrong[][2] = {
            {h->sections[i].offset + 4, 0},                                /* at no multiple of 64 */
            {0, 0},                                                        /* over the header */
            {(uint32_t)sizeof *h / 64 * 64, 0},                            /* over its end, where it ends at no multiple */
            {h->sections[i].offset, h->bytes - h->sections[i].offset + 1}, /* a byte too long */
            {(h->bytes + 63) / 64 * 64 + 64, 0},                           /* behind the end */
            {UINT32_MAX - 63, 64},
        };
        snprintf(expected, sizeof expected, "tokenizer tables: section %u does not lie in the tables", (unsigned)i);
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            if (k == 2 && sizeof *h % 64 == 0) {
                continue;
            }
            h->sections[i].offset = wrong[k][0];
            h->sections[i].bytes = wrong[k][1];
            says(open_tables(&c), GEMLET_ERROR_FORMAT, expected);
            *h = kept;
        }
        h->sections[i].bytes = h->bytes - h->sections[i].offset; /* to the last byte: only the sizes may be wrong */
        gemlet_status status = open_tables(&c);
        assert_true(status == GEMLET_OK || strcmp(error.message, "tokenizer tables: sizes of the sections do not agree") == 0);
        *h = kept;
    }
    free(c.bytes);
}

static void sizes_agree_or_not(void **state) {
    (void)state;
    static const struct {
        gemlet_tables_section section;
        uint32_t less;
        bool agrees;
    } cases[] = {
        {GEMLET_TABLES_TEXT_OFFSETS, 4, false},
        {GEMLET_TABLES_TEXT_OFFSETS, 1, false},
        {GEMLET_TABLES_STRINGS, 1, true},
        {GEMLET_TABLES_KINDS, 1, false},
        {GEMLET_TABLES_BYTE_TOKENS, 4, false},
        {GEMLET_TABLES_CHARACTER_PAGES, 2, false},
        {GEMLET_TABLES_CHARACTERS, 4, false},
        {GEMLET_TABLES_CHARACTERS, 512, false},
        {GEMLET_TABLES_CHARACTERS, 1024, true},
        {GEMLET_TABLES_SYMBOL_CHARACTERS, 4, false},
        {GEMLET_TABLES_MERGES, 16, true},
        {GEMLET_TABLES_MERGES, 4, false},
        {GEMLET_TABLES_MERGES, 8, false},
        {GEMLET_TABLES_MERGES, 1, false},
        {GEMLET_TABLES_SLOTS, 4, false},
        {GEMLET_TABLES_SLOTS, 1, false},
        {GEMLET_TABLES_NODES, 16, true},
        {GEMLET_TABLES_NODES, 4, false},
        {GEMLET_TABLES_EXPANSIONS, 12, true},
        {GEMLET_TABLES_EXPANSIONS, 4, false},
        {GEMLET_TABLES_EXPANSION_TOKENS, 4, true},
        {GEMLET_TABLES_EXPANSION_TOKENS, 1, false},
        {GEMLET_TABLES_EXPANSION_TOKENS, 2, false},
    };
    copied c = copy_tables();
    gemlet_tables_header *h = c.header, kept = *h;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (h->sections[cases[i].section].bytes < cases[i].less) {
            continue;
        }
        h->sections[cases[i].section].bytes -= cases[i].less;
        gemlet_status status = open_tables(&c);
        if (cases[i].agrees) {
            assert_int_equal(status, GEMLET_OK);
        } else {
            says(status, GEMLET_ERROR_FORMAT, "tokenizer tables: sizes of the sections do not agree");
        }
        *h = kept;
    }
    const struct {
        gemlet_tables_section section;
        uint32_t bytes;
        bool agrees;
    } exact[] = {{GEMLET_TABLES_SLOTS, 0, false},  {GEMLET_TABLES_SLOTS, 4, true},  {GEMLET_TABLES_SLOTS, 8, true},
                 {GEMLET_TABLES_SLOTS, 12, false}, {GEMLET_TABLES_SLOTS, 6, false}, {GEMLET_TABLES_NODES, 0, false},
                 {GEMLET_TABLES_NODES, 16, true}};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        h->sections[exact[i].section].bytes = exact[i].bytes;
        assert_int_equal(open_tables(&c), exact[i].agrees ? GEMLET_OK : GEMLET_ERROR_FORMAT);
        *h = kept;
    }
    free(c.bytes);
}

static void texts_lie_in_the_strings(void **state) {
    (void)state;
    copied c = copy_tables();
    const char *text = NULL;
    size_t bytes = 99;
    assert_int_equal(open_tables(&c), GEMLET_OK);
    uint32_t *offsets = words_of(&c, GEMLET_TABLES_TEXT_OFFSETS), last = c.tokenizer.token_count - 1,
             end = c.tokenizer.string_bytes;
    assert_int_equal(gemlet_tokenizer_text(&c.tokenizer, last + 1, &text, &bytes), GEMLET_ERROR_ARGUMENT);
    assert_true(bytes == 0 && text[0] == '\0');
    const struct {
        uint32_t start, end;
        bool good;
    } cases[] = {{0, 0, true},
                 {0, GEMLET_TOKEN_BYTES, true},
                 {0, GEMLET_TOKEN_BYTES + 1, false},
                 {5, 4, false},
                 {end - 3, end, true},
                 {end - 3, end + 1, false},
                 {end, end, true},
                 {end + 1, end + 1, false},
                 {1, 0, false},
                 {UINT32_MAX, 0, false},
                 {7, 7, true}};
    assert_true(end > GEMLET_TOKEN_BYTES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        offsets[last] = cases[i].start;
        offsets[last + 1] = cases[i].end;
        bytes = 99;
        assert_int_equal(gemlet_tokenizer_text(&c.tokenizer, last, &text, &bytes), cases[i].good ? GEMLET_OK : GEMLET_ERROR_FORMAT);
        assert_int_equal(bytes, cases[i].good ? cases[i].end - cases[i].start : 0);
        assert_true(!cases[i].good || text == c.tokenizer.strings + cases[i].start);
        assert_true(cases[i].good || text[0] == '\0');
    }
    free(c.bytes);
}

/* ---- Encoding by strangers' tables ---- */

static gemlet_status encode(copied *c, const char *text, id_list *ids) {
    return encode_text(&c->tokenizer, GEMLET_TEXT_SPECIAL, scratch, sizeof scratch, text, strlen(text), 0, ids, &error);
}

static const char outside[] = "tokenizer tables: an index points outside its section";

/* The symbol of a character, changed in the tables. */
static uint32_t *symbol_of(copied *c, uint32_t character) {
    const uint16_t *pages = (const uint16_t *)(const void *)(c->bytes + c->header->sections[GEMLET_TABLES_CHARACTER_PAGES].offset);
    return words_of(c, GEMLET_TABLES_CHARACTERS) + 256 * (size_t)pages[character >> 8] + (character & 255);
}

static void symbols_are_tokens_or_characters(void **state) {
    (void)state;
    copied c = copy_tables();
    id_list ids = {NULL, 0, 0};
    assert_int_equal(open_tables(&c), GEMLET_OK);
    const gemlet_tokenizer *t = &c.tokenizer;
    uint32_t *q = symbol_of(&c, 'q'), *bytes = words_of(&c, GEMLET_TABLES_BYTE_TOKENS);
    *q = t->token_count - 1;
    assert_int_equal(encode(&c, "q", &ids), GEMLET_OK);
    assert_true(ids.count == 1 && ids.ids[0] == t->token_count - 1);
    const uint32_t unknown[] = {t->symbol_count, t->symbol_count + 1, GEMLET_NO_SYMBOL}; /* the character's bytes then */
    for (size_t i = 0; i < 3; i++) {
        *q = unknown[i];
        assert_int_equal(encode(&c, "q", &ids), GEMLET_OK);
        assert_true(ids.count == 1 && ids.ids[0] == bytes['q']);
    }
    if (t->symbol_count > t->token_count) {
        uint32_t *characters = words_of(&c, GEMLET_TABLES_SYMBOL_CHARACTERS);
        *q = t->symbol_count - 1;
        characters[t->symbol_count - 1 - t->token_count] = 0x10FFFF;
        assert_int_equal(encode(&c, "q", &ids), GEMLET_OK);
        assert_true(ids.count == 4 && ids.ids[0] == bytes[0xF4] && ids.ids[3] == bytes[0xBF]);
        characters[t->symbol_count - 1 - t->token_count] = 0x110000;
        says(encode(&c, "q", &ids), GEMLET_ERROR_FORMAT, outside);
    }
    *q = t->symbol_count;
    bytes['q'] = t->token_count;
    says(encode(&c, "q", &ids), GEMLET_ERROR_FORMAT, outside);
    bytes['q'] = t->token_count - 1;
    assert_int_equal(encode(&c, "q", &ids), GEMLET_OK);
    free(ids.ids);
    free(c.bytes);
}

/* Tables of one unused token with an expansion that is put in place of those there are. */
static void expansions_lie_inside(void **state) {
    (void)state;
    copied c = copy_tables();
    id_list ids = {NULL, 0, 0};
    uint32_t unused = GEMLET_NO_TOKEN;
    assert_int_equal(open_tables(&c), GEMLET_OK);
    gemlet_tokenizer *t = &c.tokenizer;
    unsigned char *kinds = c.bytes + c.header->sections[GEMLET_TABLES_KINDS].offset;
    unused = t->token_count - 2;
    kinds[unused] = GEMLET_TOKEN_KIND_UNUSED;
    *symbol_of(&c, 'q') = unused;
    enum { TOKENS = GEMLET_TOKEN_BYTES + 8 };
    static uint32_t tokens[TOKENS];
    for (uint32_t i = 0; i < TOKENS; i++) {
        tokens[i] = 10 + i % 100;
    }
    const struct {
        uint32_t token, first, count;
        bool good;
    } cases[] = {{unused, 0, 0, true},
                 {unused, 0, 3, true},
                 {unused, TOKENS - 3, 3, true},
                 {unused, TOKENS - 3, 4, false},
                 {unused, TOKENS, 0, true},
                 {unused, TOKENS + 1, 0, false},
                 {unused, 0, GEMLET_TOKEN_BYTES, true},
                 {unused, 0, GEMLET_TOKEN_BYTES + 1, false},
                 {unused + 1, 0, 3, false},
                 {unused - 1, 0, 3, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_tables_expansion expansions[] = {{3, 0, 0}, {cases[i].token, cases[i].first, cases[i].count}};
        t->expansions = expansions;
        t->expansion_count = 2;
        t->expansion_tokens = tokens;
        t->expansion_token_count = TOKENS;
        gemlet_status status = encode(&c, "q", &ids);
        if (cases[i].good) {
            assert_int_equal(status, GEMLET_OK);
            assert_int_equal(ids.count, cases[i].count);
            assert_memory_equal(ids.ids, tokens + cases[i].first, cases[i].count * sizeof *tokens);
        } else {
            says(status, GEMLET_ERROR_FORMAT, outside);
        }
    }
    t->expansion_count = 0;
    says(encode(&c, "q", &ids), GEMLET_ERROR_FORMAT, outside);
    free(ids.ids);
    free(c.bytes);
}

static void merges_make_tokens(void **state) {
    (void)state;
    copied c = copy_tables();
    id_list ids = {NULL, 0, 0};
    assert_int_equal(open_tables(&c), GEMLET_OK);
    gemlet_tables_merge *merges = (gemlet_tables_merge *)(void *)(c.bytes + c.header->sections[GEMLET_TABLES_MERGES].offset);
    for (uint32_t i = 0; i < c.tokenizer.merge_count; i++) {
        merges[i].result = c.tokenizer.token_count;
    }
    says(encode(&c, "the words of this", &ids), GEMLET_ERROR_FORMAT, "tokenizer tables: a merge makes no token");
    free(ids.ids);
    free(c.bytes);
}

static gemlet_status refuse_tokens(void *context, const uint32_t *tokens, size_t count) {
    size_t *calls = context;
    (void)tokens;
    assert_true(count > 0);
    ++*calls;
    return GEMLET_ERROR_CANCELLED;
}

static void an_encoder_wants_its_arguments(void **state) {
    (void)state;
    static const char none[] = "encoder: no open tokenizer, scratch or receiver given";
    gemlet_encoder encoder;
    gemlet_tokenizer closed = {.token_count = 0};
    size_t calls = 0;
    const gemlet_tokenizer *t = &tiny.tokenizer;
    says(gemlet_encoder_begin(NULL, t, 0, scratch, sizeof scratch, refuse_tokens, &calls, &error), GEMLET_ERROR_ARGUMENT, none);
    says(gemlet_encoder_begin(&encoder, NULL, 0, scratch, sizeof scratch, refuse_tokens, &calls, &error), GEMLET_ERROR_ARGUMENT,
         none);
    says(gemlet_encoder_begin(&encoder, &closed, 0, scratch, sizeof scratch, refuse_tokens, &calls, &error), GEMLET_ERROR_ARGUMENT,
         none);
    says(gemlet_encoder_begin(&encoder, t, 0, NULL, sizeof scratch, refuse_tokens, &calls, &error), GEMLET_ERROR_ARGUMENT, none);
    says(gemlet_encoder_begin(&encoder, t, 0, scratch, sizeof scratch, NULL, &calls, &error), GEMLET_ERROR_ARGUMENT, none);
    says(gemlet_encoder_begin(&encoder, t, 0, scratch + 4, sizeof scratch - 4, refuse_tokens, &calls, &error),
         GEMLET_ERROR_ALIGNMENT, "encoder: scratch not at a multiple of 8 bytes");
    char expected[96];
    snprintf(expected, sizeof expected, "encoder: scratch must have %d bytes or more, found %d", (int)GEMLET_ENCODER_MIN_BYTES,
             (int)GEMLET_ENCODER_MIN_BYTES - 1);
    says(gemlet_encoder_begin(&encoder, t, 0, scratch, GEMLET_ENCODER_MIN_BYTES - 1, refuse_tokens, &calls, &error),
         GEMLET_ERROR_MEMORY, expected);
    assert_int_equal(gemlet_encoder_begin(&encoder, t, 0, scratch, GEMLET_ENCODER_MIN_BYTES, refuse_tokens, &calls, &error),
                     GEMLET_OK);
    assert_int_equal(encoder.capacity, GEMLET_ENCODER_MIN_BYTES / GEMLET_ENCODER_SYMBOL_BYTES);
    assert_int_equal(gemlet_encoder_finish(&encoder, &error), GEMLET_OK);
    assert_int_equal(calls, 0);
    assert_int_equal(gemlet_encoder_feed(&encoder, "a", 1, &error), GEMLET_OK);
    says(gemlet_encoder_finish(&encoder, &error), GEMLET_ERROR_CANCELLED, "encoding stopped by the receiver of the tokens");
    assert_int_equal(calls, 1);
}

/* ---- White space, as Python's str.strip takes it ---- */

static bool python_calls_it_space(uint32_t c) {
    static const uint32_t spaces[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x1C,   0x1D,   0x1E,   0x1F,   0x20,
                                      0x85,   0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006,
                                      0x2007, 0x2008, 0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (spaces[i] == c) {
            return true;
        }
    }
    return false;
}

typedef struct rendered {
    char text[256];
    size_t bytes, segments;
} rendered;

static gemlet_status keep_segment(void *context, const gemlet_segment *segment) {
    rendered *r = context;
    r->segments++;
    if (segment->type == GEMLET_SEGMENT_TEXT) {
        assert_true(segment->bytes > 0 && segment->bytes < sizeof r->text - r->bytes);
        memcpy(r->text + r->bytes, segment->text, segment->bytes);
        r->bytes += segment->bytes;
    } else {
        r->text[r->bytes++] = '|';
    }
    r->text[r->bytes] = '\0';
    return GEMLET_OK;
}

static void render_text(rendered *r, const gemlet_chat_format *format, gemlet_role role, const char *text, size_t bytes) {
    const gemlet_message_part user = {GEMLET_PART_TEXT, "q", 1}, part = {GEMLET_PART_TEXT, text, bytes};
    const gemlet_message messages[] = {{GEMLET_ROLE_USER, role == GEMLET_ROLE_USER ? &part : &user, 1},
                                       {GEMLET_ROLE_MODEL, &part, 1}};
    *r = (rendered){.bytes = 0};
    assert_int_equal(gemlet_chat_render(format, messages, role == GEMLET_ROLE_USER ? 1 : 2, (gemlet_chat_options){.bos = false},
                                        keep_segment, r, &error),
                     GEMLET_OK);
}

static void white_space_is_stripped(void **state) {
    (void)state;
    for (uint32_t c = 1; c < 0x3100; c++) {
        unsigned char text[16];
        char wanted[64];
        rendered r;
        if (c == '<') {
            continue;
        }
        size_t length = gemlet_utf8_write(c, text);
        bool space = python_calls_it_space(c);
        text[length] = 'x';
        memcpy(text + length + 1, text, length);
        text[2 * length + 1] = '\0';
        render_text(&r, &gemlet_gemma3_chat, GEMLET_ROLE_USER, (const char *)text, 2 * length + 1);
        snprintf(wanted, sizeof wanted, "|user\n%s|\n", space ? "x" : (const char *)text);
        if (strcmp(r.text, wanted) != 0) {
            fail_msg("U+%X: \"%s\" expected, \"%s\" found", (unsigned)c, wanted, r.text);
        }
    }
}

static void thoughts_are_left_out(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a", "a"},
        {"", ""},
        {" \n ", ""},
        {" a b\t", "a b"},
        {"<|channel>t<channel|>a", "a"},
        {"a<|channel>t<channel|>", "a"},
        {"a <|channel>t<channel|> b", "a  b"},
        {" <|channel>t<channel|> a <|channel>t<channel|> ", "a"},
        {"<|channel>t<channel|>", ""},
        {"a<|channel>t", "a"},  /* not closed: what follows is thought */
        {"t<channel|>a", "ta"}, /* not opened */
        {"a<|channel>t<|channel>u<channel|>b", "ab"},
        {"\xC2\xA0<|channel>t<channel|>\xE3\x80\x80x\xE2\x80\xA8", "x"},
        {"x\xE2\x80", "x\xE2\x80"}, /* cut off in a character */
        {"\x80x\x80", "\x80x\x80"},
        {"<|channel><channel|>a<|channel><channel|>b<|channel><channel|>", "ab"},
        {"a <channel|>", "a"},
        {"<channel|> a", "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[128];
        rendered r;
        render_text(&r, &gemlet_gemma4_chat, GEMLET_ROLE_MODEL, cases[i][0], strlen(cases[i][0]));
        snprintf(wanted, sizeof wanted, "|user\nq|\n|model\n%s|\n", cases[i][1]);
        assert_string_equal(r.text, wanted);
    }
    rendered r;
    render_text(&r, &gemlet_gemma4_chat, GEMLET_ROLE_MODEL, NULL, 0);
    assert_string_equal(r.text, "|user\nq|\n|model\n|\n");
    render_text(&r, &gemlet_gemma4_chat, GEMLET_ROLE_USER, "<|channel>t<channel|>", 21);
    assert_string_equal(r.text, "|user\n<|channel>t<channel|>|\n"); /* a user does not think */
}

/* As the template does it: parts at each end of a thought, of each what stands before its beginning; then stripped. */
static void strip_thoughts(const char *text, char *out) {
    static const char open[] = "<|channel>", close[] = "<channel|>";
    size_t length = 0, first = 0;
    for (const char *at = text; at != NULL;) {
        const char *end = strstr(at, close), *begin = strstr(at, open);
        size_t bytes = end != NULL ? (size_t)(end - at) : strlen(at);
        bytes = begin != NULL && begin < at + bytes ? (size_t)(begin - at) : bytes;
        memcpy(out + length, at, bytes);
        length += bytes;
        at = end != NULL ? end + strlen(close) : NULL;
    }
    while (length > 0 && (out[length - 1] == ' ' || out[length - 1] == '\n')) {
        length--;
    }
    while (first < length && (out[first] == ' ' || out[first] == '\n')) {
        first++;
    }
    memmove(out, out + first, length - first);
    out[length - first] = '\0';
}

/* Every text of up to six of these, behind which others stand. */
static void thoughts_and_spaces_anywhere(void **state) {
    (void)state;
    static const char *const parts[] = {" ", "x", "<|channel>", "<channel|>", "\n"};
    enum { PARTS = 5, MOST = 6 };
    for (size_t count = 0, all = 1; count <= MOST; count++, all *= PARTS) {
        for (size_t number = 0; number < all; number++) {
            char text[96] = "", kept[96], wanted[160];
            size_t length = 0;
            rendered r;
            for (size_t i = 0, rest = number; i < count; i++, rest /= PARTS) {
                length += (size_t)snprintf(text + length, sizeof text - length, "%s", parts[rest % PARTS]);
            }
            strip_thoughts(text, kept);
            snprintf(wanted, sizeof wanted, "|user\nq|\n|model\n%s|\n", kept);
            snprintf(text + length, sizeof text - length, "%s", number % 2 == 0 ? "<channel|>" : " y");
            render_text(&r, &gemlet_gemma4_chat, GEMLET_ROLE_MODEL, text, length);
            if (strcmp(r.text, wanted) != 0) {
                fail_msg("%.*s: \"%s\" expected, \"%s\" found", (int)length, text, wanted, r.text);
            }
        }
    }
}

/* ---- Conversations ---- */

static void conversations_that_cannot_be_are_named(void **state) {
    (void)state;
    const gemlet_message_part text = {GEMLET_PART_TEXT, "q", 1}, image = {GEMLET_PART_IMAGE, NULL, 0},
                              null = {GEMLET_PART_TEXT, NULL, 1}, other = {(gemlet_part_type)(GEMLET_PART_RESPONSE + 1), "q", 1},
                              call = {GEMLET_PART_CALL, "{}", 2}, two[] = {text, text}, empty = {GEMLET_PART_TEXT, NULL, 0};
    const gemlet_message user = {GEMLET_ROLE_USER, &text, 1}, model = {GEMLET_ROLE_MODEL, &text, 1},
                         system = {GEMLET_ROLE_SYSTEM, &text, 1}, pictures = {GEMLET_ROLE_SYSTEM, &image, 1},
                         pair = {GEMLET_ROLE_SYSTEM, two, 2}, lacks = {GEMLET_ROLE_USER, NULL, 1},
                         wrong = {GEMLET_ROLE_USER, &other, 1}, missing = {GEMLET_ROLE_USER, &null, 1},
                         calling = {GEMLET_ROLE_USER, &call, 1}, silent = {GEMLET_ROLE_USER, NULL, 0},
                         nothing = {GEMLET_ROLE_USER, &empty, 1},
                         sound = {GEMLET_ROLE_USER, &(gemlet_message_part){GEMLET_PART_AUDIO, NULL, 0}, 1};
    const struct {
        gemlet_message messages[3];
        size_t count;
        const char *message; /* NULL: it is rendered */
    } cases[] = {
        {{user, model, user}, 3, NULL},
        {{system, user, model}, 3, NULL},
        {{silent}, 1, NULL},
        {{nothing}, 1, NULL},
        {{sound}, 1, NULL},
        {{model}, 1, "chat: message 0 is out of turn; user and model must alternate, the user first"},
        {{user, user}, 2, "chat: message 1 is out of turn; user and model must alternate, the user first"},
        {{user, model, model}, 3, "chat: message 2 is out of turn; user and model must alternate, the user first"},
        {{user, system}, 2, "chat: message 1 is a system prompt; it must be the first message"},
        {{system}, 1, "chat: message 0 is a system prompt without a user's turn to stand in"},
        {{pictures, user}, 2, "chat: message 0 is a system prompt of other than one text"},
        {{pair, user}, 2, "chat: message 0 is a system prompt of other than one text"},
        {{lacks}, 1, "chat: message 0 has no parts where some are counted"},
        {{user, model, wrong}, 3, "chat: message 2 has a part that is neither text, image nor audio"},
        {{user, model, calling}, 3, "chat: message 2 has a call or a response, which belong to the model's turns"},
        {{missing}, 1, "chat: message 0 has a part that is neither text, image nor audio"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rendered r = {.bytes = 0};
        gemlet_status status = gemlet_chat_render(&gemlet_gemma3_chat, cases[i].messages, cases[i].count,
                                                  (gemlet_chat_options){.bos = true}, keep_segment, &r, &error);
        if (cases[i].message == NULL) {
            assert_int_equal(status, GEMLET_OK);
            assert_true(r.segments > 0);
        } else {
            says(status, GEMLET_ERROR_ARGUMENT, cases[i].message);
            assert_int_equal(r.segments, 0);
        }
    }
    rendered r = {.bytes = 0};
    const gemlet_chat_options think = {.think = true}, none = {.think = false};
    says(gemlet_chat_render(NULL, &user, 1, none, keep_segment, &r, &error), GEMLET_ERROR_ARGUMENT,
         "chat: no format given: gemlet_model_chat answers a model's");
    static const char nothing_given[] = "chat: no messages or no receiver given";
    says(gemlet_chat_render(&gemlet_gemma3_chat, NULL, 1, none, keep_segment, &r, &error), GEMLET_ERROR_ARGUMENT, nothing_given);
    says(gemlet_chat_render(&gemlet_gemma3_chat, &user, 0, none, keep_segment, &r, &error), GEMLET_ERROR_ARGUMENT, nothing_given);
    says(gemlet_chat_render(&gemlet_gemma3_chat, &user, 1, none, NULL, &r, &error), GEMLET_ERROR_ARGUMENT, nothing_given);
    says(gemlet_chat_render(&gemlet_gemma3_chat, &user, 1, think, keep_segment, &r, &error), GEMLET_ERROR_UNSUPPORTED,
         "chat: the model can't be asked to think");
    assert_int_equal(r.segments, 0);
    assert_true(gemlet_chat_thinks(&gemlet_gemma4_chat) && !gemlet_chat_thinks(&gemlet_gemma3_chat) &&
                !gemlet_chat_thinks(&gemlet_functiongemma_chat));
}

/* Each option alone and together, in each family. */
static void options_of_a_rendering(void **state) {
    (void)state;
    const gemlet_message_part text = {GEMLET_PART_TEXT, " q ", 3};
    const gemlet_message messages[] = {{GEMLET_ROLE_SYSTEM, &text, 1}, {GEMLET_ROLE_USER, &text, 1}};
    static const struct {
        const gemlet_chat_format *format;
        gemlet_chat_options options;
        size_t first;
        const char *wanted;
    } cases[] = {
        {&gemlet_gemma3_chat, {.bos = true}, 1, "||user\nq|\n"},
        {&gemlet_gemma3_chat, {.generation_prompt = true}, 1, "|user\nq|\n|model\n"},
        {&gemlet_gemma3_chat, {.after_reply = true}, 1, "|\n|user\nq|\n"},
        {&gemlet_gemma3_chat, {.bos = true}, 0, "||user\n q \n\nq|\n"},
        {&gemlet_functiongemma_chat, {.bos = false}, 0, "|developer\nq|\n|user\nq|\n"},
        {&gemlet_gemma4_chat, {.bos = false}, 0, "|system\nq|\n|user\nq|\n"},
        {&gemlet_gemma4_chat, {.think = true}, 0, "|system\n|\nq|\n|user\nq|\n"},
        {&gemlet_gemma4_chat, {.think = true}, 1, "|system\n|\n|\n|user\nq|\n"},
        {&gemlet_gemma4_chat, {.think = true, .after_reply = true}, 1, "|\n|user\nq|\n"},
        {&gemlet_gemma4_chat, {.think = true, .after_reply = true}, 0, "|\n|system\nq|\n|user\nq|\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rendered r = {.bytes = 0};
        assert_int_equal(gemlet_chat_render(cases[i].format, messages + cases[i].first, 2 - cases[i].first, cases[i].options,
                                            keep_segment, &r, &error),
                         GEMLET_OK);
        assert_string_equal(r.text, cases[i].wanted);
    }
}

/* ---- The sampler's words ---- */

static gemlet_status open_sampler(const gemlet_sampler_settings *s, uint32_t vocabulary, size_t bytes) {
    static gemlet_sampler sampler;
    return gemlet_sampler_open(&sampler, s, vocabulary, scratch, bytes, &error);
}

static void settings_have_bounds(void **state) {
    (void)state;
    const gemlet_sampler_settings d = gemlet_sampler_defaults();
    assert_true(d.temperature == 1.0f && d.top_k == 64 && d.top_p == 0.95f && d.min_p == 0.0f && d.repetition_penalty == 1.0f &&
                d.repetition_window == 64 && d.seed == 0 && d.bias_count == 0);
    static const struct {
        float temperature, top_p, min_p, penalty;
        const char *message;
    } cases[] = {
        {1e6f, 1.0f, 1.0f, 1e6f, NULL},
        {0.0f, 1e-30f, 0.0f, 1e-30f, NULL},
        {1000001.0f, 1.0f, 0.0f, 1.0f, "temperature: expected 0 (greedy) to 1000000, found 1000001"},
        {-1e-30f, 1.0f, 0.0f, 1.0f, "temperature: expected 0 (greedy) to 1000000, found -1e-30"},
        {NAN, 1.0f, 0.0f, 1.0f, "temperature: expected 0 (greedy) to 1000000, found NaN"},
        {1.0f, 0.0f, 0.0f, 1.0f, "top-p: expected more than 0 and at most 1 (off), found 0"},
        {1.0f, 1.0000001f, 0.0f, 1.0f, "top-p: expected more than 0 and at most 1 (off), found 1.0000001"},
        {1.0f, NAN, 0.0f, 1.0f, "top-p: expected more than 0 and at most 1 (off), found NaN"},
        {1.0f, 1.0f, -1e-30f, 1.0f, "min-p: expected 0 (off) to 1, found -1e-30"},
        {1.0f, 1.0f, 1.0000001f, 1.0f, "min-p: expected 0 (off) to 1, found 1.0000001"},
        {1.0f, 1.0f, NAN, 1.0f, "min-p: expected 0 (off) to 1, found NaN"},
        {1.0f, 1.0f, 0.0f, 0.0f, "repetition penalty: expected more than 0 (1: off) and at most 1000000, found 0"},
        {1.0f, 1.0f, 0.0f, 1000001.0f, "repetition penalty: expected more than 0 (1: off) and at most 1000000, found 1000001"},
        {1.0f, 1.0f, 0.0f, NAN, "repetition penalty: expected more than 0 (1: off) and at most 1000000, found NaN"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gemlet_sampler_settings s = d;
        s.temperature = cases[i].temperature;
        s.top_p = cases[i].top_p;
        s.min_p = cases[i].min_p;
        s.repetition_penalty = cases[i].penalty;
        if (cases[i].message == NULL) {
            assert_int_equal(open_sampler(&s, 10, sizeof scratch), GEMLET_OK);
        } else {
            says(open_sampler(&s, 10, sizeof scratch), GEMLET_ERROR_ARGUMENT, cases[i].message);
        }
    }
    gemlet_logit_bias biases[] = {{9, 0.0f}, {3, -INFINITY}, {10, 1.0f}};
    gemlet_sampler_settings s = d;
    s.biases = biases;
    s.bias_count = 2;
    assert_int_equal(open_sampler(&s, 10, sizeof scratch), GEMLET_OK);
    s.bias_count = 3;
    says(open_sampler(&s, 10, sizeof scratch), GEMLET_ERROR_ARGUMENT,
         "logit bias 2 of token 10: expected a token below 10 and a number that is finite or -infinity");
    biases[2] = (gemlet_logit_bias){4, INFINITY};
    says(open_sampler(&s, 10, sizeof scratch), GEMLET_ERROR_ARGUMENT,
         "logit bias 2 of token 4: expected a token below 10 and a number that is finite or -infinity");
    biases[2].bias = NAN;
    assert_int_equal(open_sampler(&s, 10, sizeof scratch), GEMLET_ERROR_ARGUMENT);
    s.biases = NULL;
    says(open_sampler(&s, 10, sizeof scratch), GEMLET_ERROR_ARGUMENT, "sampler: expected settings, a vocabulary and scratch");
    says(open_sampler(&d, 0, sizeof scratch), GEMLET_ERROR_ARGUMENT, "sampler: expected settings, a vocabulary and scratch");
}

/* Words of 8 bytes for candidates and adjustments, of 4 for probabilities and history, rounded up to 8. */
static void scratch_is_counted_to_the_byte(void **state) {
    (void)state;
    static const uint32_t cases[][5] = {/* vocabulary, top-k, window, biases, candidates */ {10, 0, 0, 0, 10},
                                        {10, 10, 3, 1, 10},
                                        {10, 11, 4, 0, 10},
                                        {10, 9, 0, 2, 9},
                                        {7, 1, 1, 0, 1},
                                        {9, 4, 5, 3, 4}};
    const gemlet_logit_bias biases[3] = {{1, 0.5f}, {2, 0.5f}, {3, 0.5f}};
    for (size_t i = 0; i < 6; i++) {
        gemlet_sampler_settings s = gemlet_sampler_defaults();
        s.top_k = cases[i][1];
        s.repetition_window = cases[i][2];
        s.bias_count = cases[i][3];
        s.biases = biases;
        for (int greedy = 0; greedy < 2; greedy++) {
            char expected[96];
            s.temperature = greedy == 1 ? 0.0f : 1.0f;
            size_t candidates = greedy == 1 ? 1 : cases[i][4];
            size_t bytes = 8 * (candidates + cases[i][3] + cases[i][2]) + (4 * (candidates + cases[i][2]) + 7) / 8 * 8;
            assert_int_equal(gemlet_sampler_bytes(&s, cases[i][0]), bytes);
            assert_int_equal(open_sampler(&s, cases[i][0], bytes), GEMLET_OK);
            snprintf(expected, sizeof expected, "sampler: expected %zu bytes of scratch, found %zu", bytes, bytes - 1);
            says(open_sampler(&s, cases[i][0], bytes - 1), GEMLET_ERROR_MEMORY, expected);
        }
    }
    gemlet_sampler sampler;
    const gemlet_sampler_settings s = gemlet_sampler_defaults();
    says(gemlet_sampler_open(&sampler, &s, 10, scratch + 4, sizeof scratch - 4, &error), GEMLET_ERROR_ALIGNMENT,
         "sampler: expected scratch at a multiple of 8");
}

/* xoshiro256** and SplitMix64 as they were published, beside the sampler: which token each draw takes of equal ones. */
static uint64_t rotated(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

static void draws_are_those_of_the_generator(void **state) {
    (void)state;
    enum { TOKENS = 1000 };
    static float logits[TOKENS];
    gemlet_sampler sampler;
    gemlet_sampler_settings s = gemlet_sampler_defaults();
    s.top_k = 0;
    s.top_p = 1.0f;
    s.seed = 77;
    assert_int_equal(gemlet_sampler_open(&sampler, &s, TOKENS, scratch, sizeof scratch, &error), GEMLET_OK);
    uint64_t seed = 77, words[4];
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        words[i] = z ^ (z >> 31);
    }
    for (int i = 0; i < 300; i++) {
        uint32_t token = 0;
        uint64_t result = rotated(words[1] * 5, 7) * 9, t = words[1] << 17;
        words[2] ^= words[0];
        words[3] ^= words[1];
        words[1] ^= words[2];
        words[0] ^= words[3];
        words[2] ^= t;
        words[3] = rotated(words[3], 45);
        assert_int_equal(gemlet_sampler_sample(&sampler, logits, TOKENS, &token, &error), GEMLET_OK);
        assert_memory_equal(sampler.random, words, sizeof words);
        double u = (double)(result >> 11) / 9007199254740992.0;
        uint32_t wanted = (uint32_t)(u * TOKENS);
        assert_in_range(token + 1, wanted, wanted + 2); /* the sums of equal shares round */
        assert_true(fabs(u * TOKENS - floor(u * TOKENS) - 0.5) > 0.49 || token == wanted);
    }
}

/* Candidates of no probability are never drawn, whatever the number. */
static void what_cannot_be_is_not_drawn(void **state) {
    (void)state;
    static const float logits[] = {-200.0f, 0.0f, -300.0f, 0.0f, -250.0f};
    gemlet_sampler sampler;
    gemlet_sampler_settings s = gemlet_sampler_defaults();
    s.top_k = 0;
    s.top_p = 1.0f;
    assert_int_equal(gemlet_sampler_open(&sampler, &s, 5, scratch, sizeof scratch, &error), GEMLET_OK);
    size_t seen[5] = {0};
    for (int i = 0; i < 200; i++) {
        uint32_t token = 9;
        assert_int_equal(gemlet_sampler_sample(&sampler, logits, 5, &token, &error), GEMLET_OK);
        assert_true(token < 5);
        seen[token]++;
    }
    assert_true(seen[1] > 60 && seen[3] > 60 && seen[1] + seen[3] == 200);
    uint32_t token = 0;
    says(gemlet_sampler_sample(&sampler, logits, 4, &token, &error), GEMLET_ERROR_ARGUMENT,
         "sampler: expected as many logits as the vocabulary has tokens, found 4");
    const float infinite[] = {0.0f, 1.0f, INFINITY, 0.0f, 0.0f}, none[] = {0.0f, NAN, 0.0f, 0.0f, 0.0f},
                nothing[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    says(gemlet_sampler_sample(&sampler, infinite, 5, &token, &error), GEMLET_ERROR_ARGUMENT,
         "logit of token 2: expected a number below infinity, found infinity");
    says(gemlet_sampler_sample(&sampler, none, 5, &token, &error), GEMLET_ERROR_ARGUMENT,
         "logit of token 1: expected a number below infinity, found NaN");
    const gemlet_logit_bias biases[] = {{3, 3e38f}, {1, 1.0f}, {3, 3e38f}};
    s.biases = biases;
    s.bias_count = 3;
    assert_int_equal(gemlet_sampler_open(&sampler, &s, 5, scratch, sizeof scratch, &error), GEMLET_OK);
    says(gemlet_sampler_sample(&sampler, logits, 5, &token, &error), GEMLET_ERROR_ARGUMENT,
         "logit of token 3: expected a number below infinity, found infinity, which its biases made of it");
    says(gemlet_sampler_sample(&sampler, none, 5, &token, &error), GEMLET_ERROR_ARGUMENT,
         "logit of token 1: expected a number below infinity, found NaN");
    s.bias_count = 0;
    s.repetition_penalty = 1e-38f;
    assert_int_equal(gemlet_sampler_open(&sampler, &s, 5, scratch, sizeof scratch, &error), GEMLET_OK);
    gemlet_sampler_remember(&sampler, (const uint32_t[]){1}, 1);
    says(gemlet_sampler_sample(&sampler, (const float[]){0.0f, 9.0f, 0.0f, 0.0f, 0.0f}, 5, &token, &error), GEMLET_ERROR_ARGUMENT,
         "logit of token 1: expected a number below infinity, found infinity, which the repetition penalty made of it");
    says(gemlet_sampler_sample(&sampler, nothing, 5, &token, &error), GEMLET_ERROR_STATE,
         "sampler: the filter, the biases and the logits leave no token to choose from");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_bounds),
        cmocka_unit_test(tables_want_their_header),
        cmocka_unit_test(sections_lie_inside),
        cmocka_unit_test(sizes_agree_or_not),
        cmocka_unit_test(texts_lie_in_the_strings),
        cmocka_unit_test(symbols_are_tokens_or_characters),
        cmocka_unit_test(expansions_lie_inside),
        cmocka_unit_test(merges_make_tokens),
        cmocka_unit_test(an_encoder_wants_its_arguments),
        cmocka_unit_test(white_space_is_stripped),
        cmocka_unit_test(thoughts_are_left_out),
        cmocka_unit_test(thoughts_and_spaces_anywhere),
        cmocka_unit_test(conversations_that_cannot_be_are_named),
        cmocka_unit_test(options_of_a_rendering),
        cmocka_unit_test(settings_have_bounds),
        cmocka_unit_test(scratch_is_counted_to_the_byte),
        cmocka_unit_test(draws_are_those_of_the_generator),
        cmocka_unit_test(what_cannot_be_is_not_drawn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
