/* The tokenizer's edges: damaged tables, wrong arguments, streaming, modes; and what building refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "model/pack/sentencepiece_model.h"
#include "model/pack/tokenizer_build.h"
#include "model/tokenizer/tables.h"
#include "tests/tokenizer/reference.h"

#define DATA "tests/tokenizer/data/"

static test_tokenizer tiny;
static _Alignas(8) unsigned char scratch[GEMLET_ENCODER_BYTES];

static int load(void **state) {
    (void)state;
    return test_tokenizer_load(&tiny, DATA "tiny.model", DATA "tiny_added.txt", 0) ? 0 : -1;
}

static int unload(void **state) {
    (void)state;
    test_tokenizer_free(&tiny);
    return 0;
}

/* ---- building ---- */

static void test_both_sources_give_the_same_bytes(void **state) {
    (void)state;
    test_tokenizer rows;
    assert_true(test_tokenizer_load_rows(&rows, DATA "tiny.rows"));
    assert_int_equal(rows.bytes, tiny.bytes);
    assert_memory_equal(rows.tables, tiny.tables, tiny.bytes);
    test_tokenizer_free(&rows);
}

static void test_special_ids(void **state) {
    (void)state;
    static const uint32_t none = GEMLET_NO_TOKEN;
    const uint32_t expected[GEMLET_SPECIAL_COUNT] = {2,   1,    0,    3,    4,    5,    6,    512,  513,  7,    520,
                                                     521, none, none, none, none, none, none, none, none, none, none};
    for (int i = 0; i < GEMLET_SPECIAL_COUNT; i++) {
        assert_int_equal(gemlet_tokenizer_special(&tiny.tokenizer, (gemlet_special)i), expected[i]);
        assert_int_equal(gemlet_tokenizer_is_special(&tiny.tokenizer, expected[i]), expected[i] != none);
    }
    assert_int_equal(gemlet_tokenizer_count(&tiny.tokenizer), 528);
    assert_int_equal(gemlet_tokenizer_special(&tiny.tokenizer, GEMLET_SPECIAL_COUNT), GEMLET_NO_TOKEN);
    assert_false(gemlet_tokenizer_is_special(&tiny.tokenizer, 8));
    assert_false(gemlet_tokenizer_is_special(&tiny.tokenizer, 528));
}

static void test_special_ids_of_gemma_4(void **state) {
    (void)state;
    static const uint32_t expected[GEMLET_SPECIAL_COUNT] = {2,   1,  0,   3,   105, 106, 665, 669, 667, 666, 670,
                                                            668, 98, 100, 101, 46,  47,  48,  49,  50,  51,  52};
    test_tokenizer t;
    assert_true(test_tokenizer_load(&t, "tests/data/gemma4-tiny/hf/tokenizer.json", NULL, 0));
    for (int i = 0; i < GEMLET_SPECIAL_COUNT; i++) {
        assert_int_equal(gemlet_tokenizer_special(&t.tokenizer, (gemlet_special)i), expected[i]);
        assert_true(gemlet_tokenizer_is_special(&t.tokenizer, expected[i]));
    }
    test_tokenizer_free(&t);
}

static void test_a_vocabulary_without_specials(void **state) {
    (void)state;
    test_tokenizer odd;
    assert_true(test_tokenizer_load(&odd, DATA "odd.model", NULL, 0));
    assert_int_equal(gemlet_tokenizer_special(&odd.tokenizer, GEMLET_SPECIAL_BOS), 2);
    assert_int_equal(gemlet_tokenizer_special(&odd.tokenizer, GEMLET_SPECIAL_IMAGE), GEMLET_NO_TOKEN);
    test_tokenizer_free(&odd);
}

static void check_message(gemlet_status status, gemlet_status expected, const gemlet_error *error, const char *message) {
    assert_int_equal(status, expected);
    assert_int_equal(error->status, expected);
    assert_string_equal(error->message, message);
}

static void test_building_refuses(void **state) {
    (void)state;
    static char text[300];
    gemlet_vocabulary v;
    gemlet_error error = {0};
    void *tables;
    size_t bytes;
    memset(text, 'x', sizeof text);
    assert_int_equal(gemlet_vocabulary_init(&v, 300, &error), GEMLET_OK);
    check_message(gemlet_vocabulary_set(&v, 300, "a", 1, 0, 1, &error), GEMLET_ERROR_ARGUMENT, &error,
                  "vocabulary row 300: beyond the vocabulary's end");
    check_message(gemlet_vocabulary_set(&v, 7, "a", 1, 0, 7, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 7: type is none of 1 to 6");
    check_message(gemlet_vocabulary_set(&v, 7, "a", 1, 0, 0, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 7: type is none of 1 to 6");
    check_message(gemlet_vocabulary_set(&v, 7, "a", 1, NAN, 1, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 7: score is not a number");
    check_message(gemlet_vocabulary_set(&v, 7, text, 257, 0, 1, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 7: text has no byte or more than 256");
    check_message(gemlet_vocabulary_set(&v, 7, "\xE2\x96", 2, 0, 1, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 7: text is not valid UTF-8");
    check_message(gemlet_vocabulary_grow(&v, (size_t)1 << 40, &error), GEMLET_ERROR_UNSUPPORTED, &error,
                  "vocabulary row 1099511627776: more rows than the tokenizer can number");
    check_message(gemlet_tokenizer_build(&v, &tables, &bytes, &error), GEMLET_ERROR_UNSUPPORTED, &error,
                  "vocabulary: no piece for byte 0; only vocabularies with byte fallback are supported");
    for (size_t i = 0; i < 256; i++) {
        static const char hex[] = "0123456789ABCDEF";
        static char names[256][6];
        memcpy(names[i], (char[]){'<', '0', 'x', hex[i / 16], hex[i % 16], '>'}, 6);
        assert_int_equal(gemlet_vocabulary_set(&v, i, names[i], 6, 0, GEMLET_PIECE_BYTE, &error), GEMLET_OK);
    }
    assert_int_equal(gemlet_vocabulary_set(&v, 256, text, 64, 0, GEMLET_PIECE_CONTROL, &error), GEMLET_OK);
    assert_int_equal(gemlet_tokenizer_build(&v, &tables, &bytes, &error), GEMLET_OK);
    free(tables);
    assert_int_equal(gemlet_vocabulary_set(&v, 257, text, 65, 0, GEMLET_PIECE_CONTROL, &error), GEMLET_OK);
    check_message(gemlet_tokenizer_build(&v, &tables, &bytes, &error), GEMLET_ERROR_UNSUPPORTED, &error,
                  "vocabulary row 257: a user-defined or special token has more than 64 characters");
    check_message(gemlet_vocabulary_add(&v, 256, "other", 5, 1, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 256: the added token's text differs from the piece's");
    assert_int_equal(gemlet_vocabulary_set(&v, 258, "<0xG0>", 6, 0, GEMLET_PIECE_BYTE, &error), GEMLET_OK);
    check_message(gemlet_tokenizer_build(&v, &tables, &bytes, &error), GEMLET_ERROR_FORMAT, &error,
                  "vocabulary row 258: a byte piece is not named <0x00> to <0xFF>");
    gemlet_vocabulary_free(&v);
    check_message(gemlet_tokenizer_build(&v, &tables, &bytes, &error), GEMLET_ERROR_FORMAT, &error, "vocabulary: no tokens");
}

static void test_a_model_cut_off_anywhere_is_refused(void **state) {
    (void)state;
    size_t bytes;
    unsigned char *model = read_file(DATA "tiny.model", &bytes);
    for (size_t length = 0; length <= bytes; length++) {
        /* In a buffer of its own, so that a sanitizer sees a read past the end. */
        unsigned char *part = malloc(length + (length == 0));
        gemlet_vocabulary vocabulary;
        gemlet_error error = {0};
        memcpy(part, model, length);
        gemlet_status status = gemlet_sentencepiece_read(part, length, &vocabulary, &error);
        assert_int_equal(status == GEMLET_OK, length == bytes);
        assert_int_equal(error.message[0] != '\0', length != bytes);
        gemlet_vocabulary_free(&vocabulary);
        free(part);
    }
    free(model);
}

/* ---- opening ---- */

static void check_open(size_t bytes, size_t offset, gemlet_status expected, const char *message) {
    gemlet_tokenizer t;
    gemlet_error error = {0};
    unsigned char *copy = aligned_alloc(64, tiny.bytes + 64);
    memset(&t, 0xA5, sizeof t);
    memcpy(copy + offset, tiny.tables, tiny.bytes);
    check_message(gemlet_tokenizer_open(&t, copy + offset, bytes, &error), expected, &error, message);
    assert_int_equal(t.token_count, 0);
    free(copy);
}

static void check_field(size_t field, uint32_t value, gemlet_status expected, const char *message) {
    uint32_t *words = tiny.tables;
    uint32_t before = words[field];
    words[field] = value;
    check_open(tiny.bytes, 0, expected, message);
    words[field] = before;
}

static void test_opening_refuses(void **state) {
    (void)state;
    enum { SECTIONS = 5 + GEMLET_TABLES_SPECIALS };
    gemlet_tokenizer t;
    gemlet_error error = {0};
    check_message(gemlet_tokenizer_open(&t, NULL, 100, &error), GEMLET_ERROR_ARGUMENT, &error, "tokenizer: no tables given");
    check_open(tiny.bytes, 32, GEMLET_ERROR_ALIGNMENT, "tokenizer tables: not at a multiple of 64 bytes");
    check_open(100, 0, GEMLET_ERROR_FORMAT, "tokenizer tables: shorter than their header");
    check_open(tiny.bytes - 64, 0, GEMLET_ERROR_FORMAT, "tokenizer tables: need 21312 bytes, found 21248");
    check_field(0, 0x474C544B, GEMLET_ERROR_FORMAT, "tokenizer tables: no header of this byte order; pack the model again");
    check_field(1, 2, GEMLET_ERROR_UNSUPPORTED, "tokenizer tables: version 2 found, 1 expected; pack the model again");
    check_field(3, 0, GEMLET_ERROR_FORMAT, "tokenizer tables: count of tokens out of range");
    check_field(3, UINT32_MAX, GEMLET_ERROR_FORMAT, "tokenizer tables: count of tokens out of range");
    check_field(3, 527, GEMLET_ERROR_FORMAT, "tokenizer tables: sizes of the sections do not agree");
    check_field(4, 527, GEMLET_ERROR_FORMAT, "tokenizer tables: count of tokens out of range");
    check_field(4, 1 << 24, GEMLET_ERROR_FORMAT, "tokenizer tables: count of tokens out of range");
    for (size_t i = 0; i < GEMLET_TABLES_SECTIONS; i++) {
        char message[] = "tokenizer tables: section 0 does not lie in the tables";
        char longer[] = "tokenizer tables: section 10 does not lie in the tables";
        message[26] = (char)('0' + i % 10);
        longer[27] = (char)('0' + i % 10);
        const char *expected = i < 10 ? message : longer;
        check_field(SECTIONS + 2 * i, 0, GEMLET_ERROR_FORMAT, expected);
        check_field(SECTIONS + 2 * i, 0xFFFFFFC0, GEMLET_ERROR_FORMAT, expected);
        check_field(SECTIONS + 2 * i, 257, GEMLET_ERROR_FORMAT, expected);
        check_field(SECTIONS + 2 * i + 1, UINT32_MAX, GEMLET_ERROR_FORMAT, expected);
    }
    for (size_t i = 0; i < GEMLET_TABLES_EXPANSIONS; i++) { /* the tiny vocabulary has none, and nothing after it */
        if (i != GEMLET_TABLES_STRINGS) {
            check_field(SECTIONS + 2 * i + 1, 3, GEMLET_ERROR_FORMAT, "tokenizer tables: sizes of the sections do not agree");
        }
    }
}

/* What unused tokens fall apart into is counted, and so are characters that are no tokens, which must be characters. */
static void test_tables_of_a_vocabulary_with_all_sections(void **state) {
    (void)state;
    test_tokenizer odd;
    gemlet_tokenizer t;
    gemlet_error error = {0};
    id_list ids = {0};
    assert_true(test_tokenizer_load(&odd, "tests/tokenizer/data/odd.model", NULL, 0));
    unsigned char *copy = aligned_alloc(64, (odd.bytes + 63) / 64 * 64);
    memcpy(copy, odd.tables, odd.bytes);
    gemlet_tables_header *header = (gemlet_tables_header *)(void *)copy;
    uint32_t *tokens = &header->sections[GEMLET_TABLES_EXPANSION_TOKENS].bytes;
    assert_int_equal(gemlet_tokenizer_open(&t, copy, odd.bytes, &error), GEMLET_OK);
    assert_true(t.expansion_count > 0 && t.expansion_token_count > 1);
    assert_int_equal(t.expansion_token_count, *tokens / 4);
    assert_int_equal(t.expansion_count, header->sections[GEMLET_TABLES_EXPANSIONS].bytes / sizeof(gemlet_tables_expansion));
    const uint32_t whole = *tokens;
    for (uint32_t less = 1; less < 8; less++) {
        *tokens = whole - less;
        check_message(gemlet_tokenizer_open(&t, copy, odd.bytes, &error), less == 4 ? GEMLET_OK : GEMLET_ERROR_FORMAT, &error,
                      less == 4 ? "" : "tokenizer tables: sizes of the sections do not agree");
        error = (gemlet_error){0};
    }
    *tokens = whole;
    assert_true(header->sections[GEMLET_TABLES_SYMBOL_CHARACTERS].bytes >= 4);
    uint32_t *character = (uint32_t *)(void *)(copy + header->sections[GEMLET_TABLES_SYMBOL_CHARACTERS].offset);
    unsigned char text[4];
    size_t bytes = gemlet_utf8_write(*character, text);
    for (uint32_t beyond = 0; beyond < 2; beyond++) {
        *character = 0x10FFFF + beyond;
        assert_int_equal(gemlet_tokenizer_open(&t, copy, odd.bytes, &error), GEMLET_OK);
        assert_int_equal(encode_text(&t, GEMLET_TEXT_PLAIN, scratch, sizeof scratch, text, bytes, 0, &ids, &error),
                         beyond == 0 ? GEMLET_OK : GEMLET_ERROR_FORMAT);
    }
    free(ids.ids);
    free(copy);
    test_tokenizer_free(&odd);
}

/* Changes to the tables may change ids or stop the encoder, never more; sanitizers and guard pages watch. */
static void test_damaged_tables_do_no_harm(void **state) {
    (void)state;
    static const char text[] = "The quick brown fox\n\n\njumps <end_of_turn> 0123456789 \xE2\x96 \xF0\x9F\x98\x80 <start_of_ima";
    uint64_t random = 1;
    id_list ids = {0};
    size_t stopped = 0;
    unsigned char *copy = aligned_alloc(64, tiny.bytes);
    for (int round = 0; round < 3000; round++) {
        memcpy(copy, tiny.tables, tiny.bytes);
        for (int i = 0; i < 1 + round % 50; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            copy[(random >> 33) % tiny.bytes] = (unsigned char)(random >> 24);
        }
        gemlet_tokenizer t;
        gemlet_error error = {0};
        gemlet_decoder decoder;
        const char *piece;
        size_t bytes;
        if (gemlet_tokenizer_open(&t, copy, tiny.bytes, &error) == GEMLET_OK) {
            gemlet_status status =
                encode_text(&t, GEMLET_TEXT_SPECIAL, scratch, sizeof scratch, text, sizeof text - 1, 0, &ids, &error);
            assert_true(status == GEMLET_OK || status == GEMLET_ERROR_FORMAT);
            gemlet_decoder_begin(&decoder, &t, true);
            for (uint32_t id = 0; id < 540; id++) {
                (void)gemlet_decoder_feed(&decoder, id, &piece, &bytes);
                assert_true(gemlet_utf8_valid((const unsigned char *)piece, bytes));
            }
        }
        assert_int_equal(error.status == GEMLET_OK, error.message[0] == '\0');
        stopped += error.status != GEMLET_OK;
    }
    assert_true(stopped > 100 && stopped < 2900);
    free(copy);
    free(ids.ids);
}

/* ---- encoding ---- */

static void check_ids(gemlet_text_mode mode, const char *text, const uint32_t *expected, size_t count) {
    id_list ids = {0};
    assert_int_equal(encode_text(&tiny.tokenizer, mode, scratch, sizeof scratch, text, strlen(text), 0, &ids, NULL), GEMLET_OK);
    assert_int_equal(ids.count, count);
    if (count > 0) {
        assert_memory_equal(ids.ids, expected, 4 * count);
    }
    free(ids.ids);
}

static void test_modes(void **state) {
    (void)state;
    /* In plain text "<eos>" is '<' as a byte, 'e', 'o', 's' and '>' as a byte; "\n\n" is one symbol in both modes. */
    check_ids(GEMLET_TEXT_PLAIN, "<eos>\n\n", (uint32_t[]){10 + 0x3C, 363, 365, 368, 10 + 0x3E, 9}, 6);
    check_ids(GEMLET_TEXT_SPECIAL, "<eos>\n\n", (uint32_t[]){1, 9}, 2);
    check_ids(GEMLET_TEXT_SPECIAL, "<image_soft_token><end_of_image>the<eos", (uint32_t[]){513, 512, 268, 10 + 0x3C, 363, 365, 368},
              7);
    check_ids(GEMLET_TEXT_SPECIAL, "", NULL, 0);
}

static void test_encoder_refuses(void **state) {
    (void)state;
    gemlet_encoder e;
    gemlet_error error = {0};
    id_list ids = {0};
    gemlet_tokenizer closed = {0};
    const size_t bytes = sizeof scratch;
    check_message(gemlet_encoder_begin(&e, &closed, GEMLET_TEXT_PLAIN, scratch, bytes, id_list_append, &ids, &error),
                  GEMLET_ERROR_ARGUMENT, &error, "encoder: no open tokenizer, scratch or receiver given");
    check_message(gemlet_encoder_begin(&e, &tiny.tokenizer, GEMLET_TEXT_PLAIN, NULL, bytes, id_list_append, &ids, &error),
                  GEMLET_ERROR_ARGUMENT, &error, "encoder: no open tokenizer, scratch or receiver given");
    check_message(
        gemlet_encoder_begin(&e, &tiny.tokenizer, GEMLET_TEXT_PLAIN, scratch + 4, bytes - 8, id_list_append, &ids, &error),
        GEMLET_ERROR_ALIGNMENT, &error, "encoder: scratch not at a multiple of 8 bytes");
    check_message(gemlet_encoder_begin(&e, &tiny.tokenizer, GEMLET_TEXT_PLAIN, scratch, 8191, id_list_append, &ids, &error),
                  GEMLET_ERROR_MEMORY, &error, "encoder: scratch must have 8192 bytes or more, found 8191");
}

static gemlet_status stop(void *context, const uint32_t *ids, size_t count) {
    (void)ids;
    size_t *left = context;
    *left -= count < *left ? count : *left;
    return *left == 0 ? GEMLET_ERROR_CONTEXT : GEMLET_OK;
}

static void test_the_receiver_can_stop(void **state) {
    (void)state;
    gemlet_encoder e;
    gemlet_error error = {0};
    size_t left = 1000;
    gemlet_status status = gemlet_encoder_begin(&e, &tiny.tokenizer, GEMLET_TEXT_PLAIN, scratch, sizeof scratch, stop, &left, NULL);
    size_t fed = 0;
    for (; status == GEMLET_OK && fed < 100000; fed++) {
        status = gemlet_encoder_feed(&e, "x", 1, &error);
    }
    check_message(status, GEMLET_ERROR_CONTEXT, &error, "encoding stopped by the receiver of the tokens");
    assert_true(fed < 5000);
}

/* A text that allows no cut: each of a hundred pieces scores above the one before, so that what the last character is decides about
 * the first.  Small windows must say so; a window that holds the text must encode it. */
static void test_text_without_a_cut_is_an_error_not_other_ids(void **state) {
    (void)state;
    enum { LENGTH = 300 };
    static char names[256][6];
    static unsigned char pairs[LENGTH][4];
    static unsigned char singles[LENGTH + 1][2];
    static unsigned char text[2 * (LENGTH + 1)];
    gemlet_vocabulary v;
    gemlet_error error = {0};
    test_tokenizer t = {0};
    id_list ids = {0};
    assert_int_equal(gemlet_vocabulary_init(&v, 256 + 2 * LENGTH + 1, &error), GEMLET_OK);
    for (size_t i = 0; i < 256; i++) {
        static const char hex[] = "0123456789ABCDEF";
        memcpy(names[i], (char[]){'<', '0', 'x', hex[i / 16], hex[i % 16], '>'}, 6);
        assert_int_equal(gemlet_vocabulary_set(&v, i, names[i], 6, 0, GEMLET_PIECE_BYTE, &error), GEMLET_OK);
    }
    for (size_t i = 0; i <= LENGTH; i++) {
        singles[i][0] = (unsigned char)(0xC4 + i / 64);
        singles[i][1] = (unsigned char)(0x80 + i % 64);
        memcpy(text + 2 * i, singles[i], 2);
        assert_int_equal(gemlet_vocabulary_set(&v, 256 + i, (char *)singles[i], 2, -1000, GEMLET_PIECE_NORMAL, &error), GEMLET_OK);
        if (i > 0) {
            memcpy(pairs[i - 1], text + 2 * i - 2, 4);
            gemlet_status status =
                gemlet_vocabulary_set(&v, 256 + LENGTH + i, (char *)pairs[i - 1], 4, (float)i, GEMLET_PIECE_NORMAL, &error);
            assert_int_equal(status, GEMLET_OK);
        }
    }
    assert_int_equal(gemlet_tokenizer_build(&v, &t.tables, &t.bytes, &error), GEMLET_OK);
    assert_int_equal(gemlet_tokenizer_open(&t.tokenizer, t.tables, t.bytes, &error), GEMLET_OK);
    assert_int_equal(encode_text(&t.tokenizer, GEMLET_TEXT_PLAIN, scratch, sizeof scratch, text, sizeof text, 0, &ids, &error),
                     GEMLET_OK);
    assert_int_equal(ids.count, LENGTH / 2 + 1);
    assert_int_equal(ids.ids[0], 256);
    assert_int_equal(ids.ids[1], 256 + LENGTH + 2);
    gemlet_status status =
        encode_text(&t.tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_MIN_BYTES, text, sizeof text, 0, &ids, &error);
    check_message(status, GEMLET_ERROR_MEMORY, &error,
                  "text without a safe place to cut its tokens; give the encoder more scratch");
    assert_int_equal(ids.count, 0);
    free(ids.ids);
    free(t.tables);
    gemlet_vocabulary_free(&v);
}

/* However much scratch there is, a window has as many symbols as can be numbered. */
static void test_windows_of_more_symbols_than_are_numbered(void **state) {
    (void)state;
    enum { BYTES = 150000, SYMBOLS = 140000 };
    char *text = malloc(BYTES);
    void *large = malloc((size_t)SYMBOLS * GEMLET_ENCODER_SYMBOL_BYTES);
    id_list small_windows = {0}, large_windows = {0};
    assert_true(text != NULL && large != NULL);
    for (size_t i = 0; i < BYTES; i++) {
        text[i] = "the quick brown fox jumps over \n"[i * i % 32];
    }
    assert_int_equal(encode_text(&tiny.tokenizer, GEMLET_TEXT_PLAIN, scratch, sizeof scratch, text, BYTES, 0, &small_windows, NULL),
                     GEMLET_OK);
    assert_int_equal(encode_text(&tiny.tokenizer, GEMLET_TEXT_PLAIN, large, (size_t)SYMBOLS * GEMLET_ENCODER_SYMBOL_BYTES, text,
                                 BYTES, 0, &large_windows, NULL),
                     GEMLET_OK);
    assert_int_equal(large_windows.count, small_windows.count);
    assert_memory_equal(large_windows.ids, small_windows.ids, small_windows.count * sizeof *small_windows.ids);
    free(small_windows.ids);
    free(large_windows.ids);
    free(large);
    free(text);
}

/* ---- decoding ---- */

static void check_feed(gemlet_decoder *d, uint32_t token, const char *expected) {
    const char *text;
    size_t bytes;
    assert_int_equal(gemlet_decoder_feed(d, token, &text, &bytes), GEMLET_OK);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(text, expected, bytes);
}

static void check_flush(gemlet_decoder *d, const char *expected) {
    const char *text;
    size_t bytes;
    gemlet_decoder_flush(d, &text, &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(text, expected, bytes);
}

static void test_decoder_holds_back_what_is_not_whole(void **state) {
    (void)state;
    enum { BYTE = 10, THE = 270 };
    gemlet_decoder d;
    gemlet_decoder_begin(&d, &tiny.tokenizer, false);
    check_feed(&d, THE, " the");
    check_feed(&d, BYTE + 0xF0, "");
    check_feed(&d, BYTE + 0x9F, "");
    check_feed(&d, BYTE + 0x98, "");
    check_feed(&d, BYTE + 0x80, "\xF0\x9F\x98\x80");
    check_feed(&d, BYTE + 'x', "x");
    check_feed(&d, BYTE + 0xE2, "");
    check_feed(&d, BYTE + 0x96, "");
    check_feed(&d, THE, "\xEF\xBF\xBD\xEF\xBF\xBD the");
    check_feed(&d, BYTE + 0xE2, "");
    check_feed(&d, BYTE + 'y', "\xEF\xBF\xBDy");
    check_feed(&d, BYTE + 0x80, "\xEF\xBF\xBD");
    check_feed(&d, BYTE + 0xF0, "");
    check_feed(&d, BYTE + 0x9F, "");
    check_feed(&d, BYTE + 0xF0, "\xEF\xBF\xBD\xEF\xBF\xBD");
    check_flush(&d, "\xEF\xBF\xBD");
    check_flush(&d, "");
    check_feed(&d, BYTE + 0xC3, "");
    check_feed(&d, 5, "\xEF\xBF\xBD"); /* <end_of_turn> ends the run, and is not shown */
    check_feed(&d, 400, "");           /* an unused row */
    gemlet_decoder_begin(&d, &tiny.tokenizer, true);
    check_feed(&d, 5, "<end_of_turn>");
    check_feed(&d, 9, "\n\n");
}

static void test_decoder_refuses_ids_beyond_the_vocabulary(void **state) {
    (void)state;
    gemlet_decoder d;
    const char *text;
    size_t bytes;
    gemlet_decoder_begin(&d, &tiny.tokenizer, false);
    check_feed(&d, 10 + 0xC3, "");
    assert_int_equal(gemlet_decoder_feed(&d, 528, &text, &bytes), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_decoder_feed(&d, GEMLET_NO_TOKEN, &text, &bytes), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(bytes, 0);
    check_feed(&d, 10 + 0xA9, "\xC3\xA9");
}

/* Tables may be of strangers: what comes out is UTF-8 for all that. */
static void test_decoder_refuses_what_is_no_utf8(void **state) {
    (void)state;
    enum { BYTE = 10, THE = 270 };
    static const char *const texts[] = {"\xFFhe", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80", "x\xE2\x96"};
    unsigned char *copy = aligned_alloc(64, tiny.bytes);
    gemlet_tokenizer t;
    gemlet_decoder d;
    const char *text;
    size_t bytes;
    memcpy(copy, tiny.tables, tiny.bytes);
    assert_int_equal(gemlet_tokenizer_open(&t, copy, tiny.bytes, NULL), GEMLET_OK);
    assert_int_equal(gemlet_tokenizer_text(&t, THE, &text, &bytes), GEMLET_OK);
    assert_int_equal(bytes, 4); /* " the" */
    unsigned char *piece = copy + (text - (const char *)copy);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t k = 0; k < bytes; k++) { /* spaces and the text, which may be shorter */
            size_t spaces = bytes - strlen(texts[i]);
            piece[k] = k < spaces ? ' ' : (unsigned char)texts[i][k - spaces];
        }
        gemlet_decoder_begin(&d, &t, false);
        check_feed(&d, BYTE + 0xC3, "");
        const char *out;
        size_t used = 99;
        assert_int_equal(gemlet_decoder_feed(&d, THE, &out, &used), GEMLET_ERROR_FORMAT);
        assert_int_equal(used, 0);
        check_feed(&d, BYTE + 0xA9, "\xC3\xA9"); /* nothing was lost */
    }
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sources_give_the_same_bytes),
        cmocka_unit_test(test_special_ids),
        cmocka_unit_test(test_special_ids_of_gemma_4),
        cmocka_unit_test(test_a_vocabulary_without_specials),
        cmocka_unit_test(test_building_refuses),
        cmocka_unit_test(test_a_model_cut_off_anywhere_is_refused),
        cmocka_unit_test(test_opening_refuses),
        cmocka_unit_test(test_tables_of_a_vocabulary_with_all_sections),
        cmocka_unit_test(test_damaged_tables_do_no_harm),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_encoder_refuses),
        cmocka_unit_test(test_the_receiver_can_stop),
        cmocka_unit_test(test_text_without_a_cut_is_an_error_not_other_ids),
        cmocka_unit_test(test_windows_of_more_symbols_than_are_numbered),
        cmocka_unit_test(test_decoder_holds_back_what_is_not_whole),
        cmocka_unit_test(test_decoder_refuses_ids_beyond_the_vocabulary),
        cmocka_unit_test(test_decoder_refuses_what_is_no_utf8),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
