/* Orders and constraints over vocabularies that are made up: the order is one, byte by byte; what a constraint says of each token,
 * however it is asked, is what the grammar says of its bytes; and both take just the memory that they ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "model/chat/format.h"
#include "model/tokenizer/tables.h"
#include "tests/grammar/compiled.h"
#include "tests/kernels/kernel_test.h"

enum { BYTES = 256, MOST_TEXT = 6, SPECIALS = 3, LISTED = 8192 /* of constraint.c */ };

/* Every byte, then made-up texts, then three special tokens, of which the first ends a turn. */
typedef struct made {
    gemlet_tokenizer tokenizer;
    uint32_t *offsets;
    char *strings;
    uint8_t *kinds;
} made;

/* Of `count` tokens; `share` of 256 made-up texts begin with 'x'. */
static made make(uint32_t count, unsigned share, uint64_t seed) {
    static const char letters[] = "ab{}[]\":,01 \0\\\xC3\xA9\xE2\x82\xAC\xFF";
    made m = {.offsets = malloc((count + 1) * sizeof *m.offsets),
              .strings = malloc((size_t)count * MOST_TEXT),
              .kinds = calloc(count, 1)};
    assert_non_null(m.offsets);
    assert_non_null(m.strings);
    assert_non_null(m.kinds);
    test_random random = {seed};
    uint32_t used = 0;
    for (uint32_t token = 0; token < count; token++) {
        size_t length = token < BYTES ? 1 : random_range(&random, 0, MOST_TEXT);
        m.offsets[token] = used;
        for (size_t i = 0; i < length; i++) {
            m.strings[used + i] = token < BYTES ? (char)token : letters[random_range(&random, 0, sizeof letters - 2)];
        }
        if (token >= BYTES && length > 0 && random_range(&random, 0, 255) < share) {
            m.strings[used] = 'x';
        }
        used += (uint32_t)length;
        m.kinds[token] = token + SPECIALS >= count ? GEMLET_TOKEN_KIND_SPECIAL : GEMLET_TOKEN_KIND_TEXT;
    }
    m.offsets[count] = used;
    m.tokenizer = (gemlet_tokenizer){
        .token_count = count, .string_bytes = used, .text_offsets = m.offsets, .strings = m.strings, .kinds = m.kinds};
    for (size_t i = 0; i < GEMLET_SPECIAL_COUNT; i++) {
        m.tokenizer.special[i] = GEMLET_NO_TOKEN;
    }
    m.tokenizer.special[GEMLET_SPECIAL_END_OF_TURN] = count - SPECIALS;
    return m;
}

static void discard(made *m) {
    free(m->offsets);
    free(m->strings);
    free(m->kinds);
}

/* A token's text; none of a special one. */
static size_t text_of(const made *m, uint32_t token, const unsigned char **text) {
    *text = (const unsigned char *)m->strings + m->offsets[token];
    return m->kinds[token] == GEMLET_TOKEN_KIND_SPECIAL ? 0 : m->offsets[token + 1] - m->offsets[token];
}

/* ---- Orders ---- */

static int compare_texts(const unsigned char *a, size_t a_bytes, const unsigned char *b, size_t b_bytes) {
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static void check_order(const made *m, const gemlet_token_order *order) {
    const uint32_t count = m->tokenizer.token_count;
    uint32_t texts = 0, begins[BYTES + 1] = {0};
    unsigned char *seen = calloc(count, 1);
    for (uint32_t token = 0; token < count; token++) {
        const unsigned char *text;
        size_t bytes = text_of(m, token, &text);
        texts += bytes > 0;
        assert_int_equal(order->first_bytes[token], bytes > 0 ? text[0] : 0);
        assert_int_equal(order->is_text[token / 64] >> token % 64 & 1, bytes > 0);
        for (size_t byte = bytes > 0 ? text[0] + 1u : BYTES + 1; byte <= BYTES; byte++) {
            begins[byte]++;
        }
    }
    for (size_t bit = count; bit % 64 != 0; bit++) {
        assert_int_equal(order->is_text[bit / 64] >> bit % 64 & 1, 0);
    }
    assert_int_equal(order->count, texts);
    assert_int_equal(order->token_count, count);
    assert_memory_equal(order->begins, begins, sizeof begins);
    const unsigned char *before = NULL;
    size_t before_bytes = 0;
    for (uint32_t i = 0; i < texts; i++) {
        const unsigned char *text;
        size_t bytes = text_of(m, order->tokens[i], &text), shared = 0;
        assert_true(bytes > 0 && seen[order->tokens[i]]++ == 0);
        assert_true(i == 0 || compare_texts(before, before_bytes, text, bytes) <= 0);
        while (shared < bytes && shared < before_bytes && shared < UINT8_MAX && text[shared] == before[shared]) {
            shared++;
        }
        assert_int_equal(order->shared[i], shared);
        before = text;
        before_bytes = bytes;
    }
    free(seen);
}

/* Opens the order of a vocabulary in just its memory and checks it. */
static void check_vocabulary(const made *m) {
    gemlet_token_order order;
    gemlet_error error = {GEMLET_OK, ""};
    const size_t bytes = gemlet_token_order_bytes(&m->tokenizer);
    unsigned char *memory = guarded_alloc(bytes, 0);
    assert_int_equal(gemlet_token_order_open(&order, &m->tokenizer, memory, bytes, &error), GEMLET_OK);
    check_order(m, &order);
    guarded_free(memory);
}

static void orders_are_orders(void **state) {
    (void)state;
    static const uint32_t counts[] = {BYTES + SPECIALS, BYTES + SPECIALS + 1, 319, 320, 321, 512, 1000, 5000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (unsigned share = 0; share <= 255; share += 255) {
            made m = make(counts[i], share, 7 * i + share + 1);
            gemlet_token_order order;
            gemlet_error error = {GEMLET_OK, ""};
            const size_t bytes = gemlet_token_order_bytes(&m.tokenizer), n = counts[i];
            assert_int_equal(bytes, gemlet_aligned(4 * n) + 2 * gemlet_aligned(n) + gemlet_aligned((n + 63) / 64 * 8) +
                                        gemlet_aligned(4 * (BYTES + 1)));
            unsigned char *memory = guarded_alloc(bytes, 0);
            assert_int_equal(gemlet_token_order_open(&order, &m.tokenizer, memory, bytes, &error), GEMLET_OK);
            check_order(&m, &order);
            assert_int_equal(gemlet_token_order_open(&order, &m.tokenizer, memory, bytes - 1, &error), GEMLET_ERROR_MEMORY);
            assert_int_equal(gemlet_token_order_open(&order, &m.tokenizer, memory + 8, bytes, &error), GEMLET_ERROR_ALIGNMENT);
            guarded_free(memory);
            discard(&m);
        }
    }
}

/* Texts that are as long as they may be and begin alike, two at each length that go on with another byte: whatever is sorted first,
 * something waits at each of 255 bytes. */
static void long_beginnings_are_sorted(void **state) {
    (void)state;
    enum { LONG = GEMLET_TOKEN_BYTES, EACH = 2 };
    static const char others[][EACH + 1] = {"ac", "aa", "cc", "\0a", "\0\0"};
    for (size_t way = 0; way < sizeof others / sizeof *others; way++) {
        for (int turned = 0; turned < 2; turned++) {
            const uint32_t count = BYTES + EACH * LONG + 2 + SPECIALS;
            made m = {.offsets = malloc((count + 1) * sizeof *m.offsets),
                      .strings = malloc((size_t)count * LONG),
                      .kinds = calloc(count, 1)};
            uint32_t used = 0;
            for (uint32_t token = 0; token < count; token++) {
                const uint32_t place = token - BYTES, length = turned ? LONG - place / EACH : place / EACH + 1;
                m.offsets[token] = used;
                if (token < BYTES) {
                    m.strings[used++] = (char)token;
                } else if (place < EACH * LONG + 2) {
                    bool whole = place >= EACH * LONG;
                    memset(m.strings + used, 'b', LONG);
                    used += whole ? LONG : length;
                    m.strings[used - 1] = whole ? 'b' : others[way][place % EACH];
                } else {
                    m.kinds[token] = GEMLET_TOKEN_KIND_SPECIAL;
                }
            }
            m.offsets[count] = used;
            m.tokenizer = (gemlet_tokenizer){
                .token_count = count, .string_bytes = used, .text_offsets = m.offsets, .strings = m.strings, .kinds = m.kinds};
            check_vocabulary(&m);
            discard(&m);
        }
    }
}

/* A token whose text is damaged has none. */
static void damaged_texts_are_none(void **state) {
    (void)state;
    made m = make(1000, 0, 3);
    const size_t bytes = gemlet_token_order_bytes(&m.tokenizer);
    unsigned char *memory = guarded_alloc(bytes, 0);
    gemlet_token_order order;
    gemlet_error error = {GEMLET_OK, ""};
    m.offsets[601] = m.offsets[600] + GEMLET_TOKEN_BYTES + 1;
    assert_int_equal(gemlet_token_order_open(&order, &m.tokenizer, memory, bytes, &error), GEMLET_OK);
    assert_int_equal(order.is_text[600 / 64] >> 600 % 64 & 1, 0); /* longer than a text may be */
    assert_int_equal(order.is_text[601 / 64] >> 601 % 64 & 1, 0); /* ends before it begins */
    assert_int_equal(order.first_bytes[600] + order.first_bytes[601], 0);
    guarded_free(memory);
    discard(&m);
}

/* Of each byte that JSON or UTF-8 may need there is a token: without it answers could not go on. */
static void every_byte_is_needed_or_not(void **state) {
    (void)state;
    for (uint32_t byte = 0; byte < BYTES; byte++) {
        made m = make(BYTES + SPECIALS, 0, 1);
        gemlet_token_order order;
        gemlet_error error = {GEMLET_OK, ""};
        const size_t bytes = gemlet_token_order_bytes(&m.tokenizer);
        unsigned char *memory = guarded_alloc(bytes, 0);
        m.kinds[byte] = GEMLET_TOKEN_KIND_SPECIAL;
        gemlet_status status = gemlet_token_order_open(&order, &m.tokenizer, memory, bytes, &error);
        bool needed = byte <= 0xF4 && byte != 0xC0 && byte != 0xC1;
        assert_int_equal(status, needed ? GEMLET_ERROR_UNSUPPORTED : GEMLET_OK);
        assert_string_equal(error.message, needed ? "token order: the vocabulary has no token for each single byte" : "");
        guarded_free(memory);
        discard(&m);
    }
    made m = make(5000, 0, 9); /* a text's second byte is not its first */
    m.kinds[0xFF] = GEMLET_TOKEN_KIND_SPECIAL;
    uint32_t last = 5000 - SPECIALS - 1;
    while (m.offsets[last + 1] - m.offsets[last] < 2) {
        last--;
    }
    for (uint32_t token = last + 1; token < 5000; token++) { /* it is the last that is text */
        m.kinds[token] = GEMLET_TOKEN_KIND_SPECIAL;
    }
    m.strings[m.offsets[last]] = 'a';
    m.strings[m.offsets[last] + 1] = '\xFF';
    check_vocabulary(&m);
    discard(&m);
}

/* ---- Constraints ---- */

typedef struct bench {
    made vocabulary;
    gemlet_token_order order;
    gemlet_constraint constraint;
    compiled grammar;
    gemlet_grammar_state state; /* by hand */
    unsigned char *order_memory, *constraint_memory;
    size_t order_bytes, constraint_bytes;
    test_random random;
} bench;

static void open_bench(bench *b, uint32_t count, unsigned share, gemlet_grammar_kind kind, const char *text) {
    gemlet_error error = {GEMLET_OK, ""};
    *b = (bench){.vocabulary = make(count, share, count), .random = {count + share}};
    compile_good(&b->grammar, kind, text);
    b->order_bytes = gemlet_token_order_bytes(&b->vocabulary.tokenizer);
    b->order_memory = guarded_alloc(b->order_bytes, 0);
    assert_int_equal(gemlet_token_order_open(&b->order, &b->vocabulary.tokenizer, b->order_memory, b->order_bytes, &error),
                     GEMLET_OK);
    b->constraint_bytes = gemlet_constraint_bytes(&b->vocabulary.tokenizer);
    assert_int_equal(b->constraint_bytes,
                     gemlet_aligned(GEMLET_TOKEN_BYTES * sizeof(gemlet_grammar_state)) + gemlet_aligned((count + 63) / 64 * 8));
    b->constraint_memory = guarded_alloc(b->constraint_bytes, 0);
    assert_int_equal(gemlet_constraint_begin(&b->constraint, b->grammar.grammar, &b->order, &gemlet_gemma3_chat, false,
                                             b->constraint_memory, b->constraint_bytes - 1, &error),
                     GEMLET_ERROR_MEMORY);
    assert_int_equal(gemlet_constraint_begin(&b->constraint, b->grammar.grammar, &b->order, &gemlet_gemma3_chat, false,
                                             b->constraint_memory, b->constraint_bytes, &error),
                     GEMLET_OK);
    assert_ptr_equal(b->constraint.path, b->constraint_memory);
    gemlet_grammar_begin(b->grammar.grammar, &b->state);
}

static void close_bench(bench *b) {
    guarded_free(b->order_memory);
    guarded_free(b->constraint_memory);
    guarded_free(b->grammar.memory);
    discard(&b->vocabulary);
}

/* What the grammar says of a token's bytes; `*after` gets where it is then. */
static bool may_come(const bench *b, uint32_t token, gemlet_grammar_state *after) {
    const unsigned char *text;
    size_t bytes = text_of(&b->vocabulary, token, &text);
    if (token == b->vocabulary.tokenizer.special[GEMLET_SPECIAL_END_OF_TURN]) {
        return gemlet_grammar_is_complete(b->grammar.grammar, &b->state);
    }
    *after = b->state;
    return bytes > 0 && advance_bytes(b->grammar.grammar, after, text, bytes);
}

/* Asks about all tokens in order, about some in none, and for the list. */
static void check_place(bench *b, const uint8_t *wanted) {
    const uint32_t count = b->vocabulary.tokenizer.token_count;
    uint32_t beginning = 0;
    for (size_t i = 0; i < 50; i++) {
        uint32_t token = (uint32_t)random_range(&b->random, 0, count - 1);
        assert_int_equal(gemlet_constraint_allows(&b->constraint, token), wanted[token]);
    }
    for (uint32_t token = 0; token < count; token++) {
        if (gemlet_constraint_allows(&b->constraint, token) != wanted[token]) {
            fail_msg("token %u is %s", (unsigned)token, wanted[token] ? "refused" : "allowed");
        }
    }
    assert_false(gemlet_constraint_allows(&b->constraint, count));
    assert_false(gemlet_constraint_allows(&b->constraint, UINT32_MAX));
    for (uint32_t token = 0; token < count; token++) {
        const unsigned char *text;
        gemlet_grammar_state after;
        beginning +=
            text_of(&b->vocabulary, token, &text) > 0 && gemlet_grammar_advance(b->grammar.grammar, &b->state, text[0], &after);
    }
    const uint64_t *listed = gemlet_constraint_list(&b->constraint);
    assert_int_equal(listed != NULL, beginning <= LISTED);
    for (uint32_t bit = 0; listed != NULL && bit < (count + 63) / 64 * 64; bit++) {
        assert_int_equal(listed[bit / 64] >> bit % 64 & 1, bit < count && wanted[bit]);
    }
}

/* Goes on with an allowed token, if there is another than the end; refuses one that is not. */
static bool step(bench *b, const uint8_t *wanted, uint32_t allowed) {
    const uint32_t count = b->vocabulary.tokenizer.token_count, end = count - SPECIALS;
    gemlet_error error = {GEMLET_OK, ""};
    uint32_t token = (uint32_t)random_range(&b->random, 0, count - 1);
    while (wanted[token] && allowed < count) {
        token = (token + 1) % count;
    }
    if (!wanted[token]) {
        char message[96];
        snprintf(message, sizeof message, "constraint: the answer may not go on with token %u", (unsigned)token);
        assert_int_equal(gemlet_constraint_accept(&b->constraint, token, &error), GEMLET_ERROR_STATE);
        assert_string_equal(error.message, message);
    }
    assert_int_equal(gemlet_constraint_is_complete(&b->constraint), wanted[end]);
    if (wanted[end]) {
        assert_int_equal(gemlet_constraint_accept(&b->constraint, end, &error), GEMLET_OK); /* changes nothing */
        allowed--;
    }
    if (allowed == 0) {
        return false;
    }
    token = (uint32_t)random_range(&b->random, 0, count - 1);
    while (!wanted[token] || token == end) {
        token = (token + 1) % count;
    }
    gemlet_grammar_state after;
    assert_true(may_come(b, token, &after));
    assert_int_equal(gemlet_constraint_accept(&b->constraint, token, &error), GEMLET_OK);
    b->state = after;
    return true;
}

static void tokens_are_their_bytes(void **state) {
    (void)state;
    static const struct {
        uint32_t count;
        unsigned share; /* of 'x', so that many or few begin with what may come */
        gemlet_grammar_kind kind;
        const char *text;
    } cases[] = {{700, 0, GEMLET_GRAMMAR_JSON, NULL},
                 {512, 0, GEMLET_GRAMMAR_JSON, NULL},
                 {12288, 20, GEMLET_GRAMMAR_JSON, NULL},
                 {12000, 0, GEMLET_GRAMMAR_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":3}}"},
                 {20011, 200, GEMLET_GRAMMAR_PATTERN, "(x[ab{}]?)*"},
                 {20011, 60, GEMLET_GRAMMAR_PATTERN, "x{3,9}[01]"},
                 {8192 + BYTES, 255, GEMLET_GRAMMAR_PATTERN, "x.*"},
                 {30000, 128, GEMLET_GRAMMAR_PATTERN, "[^\"]*"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        open_bench(&b, cases[i].count, cases[i].share, cases[i].kind, cases[i].text);
        uint8_t *wanted = malloc(cases[i].count);
        bool more = true;
        for (size_t places = 0; places < 12 && more; places++) {
            uint32_t allowed = 0;
            for (uint32_t token = 0; token < cases[i].count; token++) {
                gemlet_grammar_state after;
                wanted[token] = may_come(&b, token, &after);
                allowed += wanted[token];
            }
            check_place(&b, wanted);
            more = step(&b, wanted, allowed);
        }
        free(wanted);
        close_bench(&b);
    }
}

/* Where as many tokens begin with what may come as are listed at most, and one more. */
static void as_many_as_are_listed(void **state) {
    (void)state;
    for (uint32_t more = 0; more < 2; more++) {
        bench b;
        const uint32_t count = 12000;
        open_bench(&b, count, 0, GEMLET_GRAMMAR_PATTERN, "x.*");
        uint32_t beginning = 1; /* the byte itself */
        for (uint32_t token = BYTES; token < count - SPECIALS; token++) {
            if (b.vocabulary.offsets[token + 1] > b.vocabulary.offsets[token]) {
                char *first = &b.vocabulary.strings[b.vocabulary.offsets[token]];
                *first = beginning < LISTED + more ? 'x' : 'a';
                beginning += beginning < LISTED + more;
            }
        }
        assert_int_equal(beginning, LISTED + more);
        gemlet_error error = {GEMLET_OK, ""};
        assert_int_equal(gemlet_token_order_open(&b.order, &b.vocabulary.tokenizer, b.order_memory, b.order_bytes, &error),
                         GEMLET_OK);
        assert_int_equal(gemlet_constraint_list(&b.constraint) != NULL, more == 0);
        close_bench(&b);
    }
}

/* An answer that nothing holds may go on with any token there is, and ends anywhere. */
static void free_answers(void **state) {
    (void)state;
    bench b;
    gemlet_error error = {GEMLET_OK, ""};
    const uint32_t count = 1000;
    open_bench(&b, count, 0, GEMLET_GRAMMAR_JSON, NULL);
    assert_int_equal(gemlet_constraint_begin(&b.constraint, NULL, &b.order, &gemlet_gemma3_chat, true, b.constraint_memory,
                                             b.constraint_bytes, &error),
                     GEMLET_OK);
    for (uint32_t token = 0; token < count; token++) {
        assert_true(gemlet_constraint_allows(&b.constraint, token));
        assert_int_equal(gemlet_constraint_accept(&b.constraint, token, &error), GEMLET_OK);
        assert_true(gemlet_constraint_is_complete(&b.constraint));
        assert_null(gemlet_constraint_list(&b.constraint));
    }
    for (uint32_t token = count; token < count + 200; token++) {
        assert_false(gemlet_constraint_allows(&b.constraint, token));
        assert_int_equal(gemlet_constraint_accept(&b.constraint, token, &error), GEMLET_ERROR_STATE);
    }
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_orders),      cmocka_unit_test(long_beginnings_are_sorted),
        cmocka_unit_test(damaged_texts_are_none), cmocka_unit_test(every_byte_is_needed_or_not),
        cmocka_unit_test(tokens_are_their_bytes), cmocka_unit_test(as_many_as_are_listed),
        cmocka_unit_test(free_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
