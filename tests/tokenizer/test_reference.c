/* The encoder against SentencePiece's, and the package tokenizers', ids of 20,000 lines (make_reference.py), fed whole and byte by
 * byte, through small and large windows; and its decoder against the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "tests/tokenizer/reference.h"

#define DATA "tests/tokenizer/data/"

static void check_lines(const test_tokenizer *t, const char *path, size_t expected_lines, size_t scratch_bytes, size_t feed) {
    size_t bytes;
    unsigned char *file = read_file(path, &bytes);
    void *scratch = malloc(scratch_bytes);
    id_list list = {0};
    reference_line line;
    size_t lines = 0;
    assert_non_null(file);
    for (size_t at = 0; reference_next(file, bytes, &at, &line); lines++) {
        for (int mode = 0; mode < 2; mode++) {
            gemlet_error error = {0};
            gemlet_status status = encode_text(&t->tokenizer, (gemlet_text_mode)mode, scratch, scratch_bytes, line.text, line.bytes,
                                               feed, &list, &error);
            if (status != GEMLET_OK || list.count != line.count[mode] || hash_ids(list.ids, list.count) != line.hash[mode]) {
                fail_msg("%s: line %zu, mode %d: %s, %zu ids where %u are expected", path, lines, mode, error.message, list.count,
                         line.count[mode]);
            }
        }
    }
    assert_int_equal(lines, expected_lines);
    free(list.ids);
    free(scratch);
    free(file);
}

static void test_tiny(void **state) {
    (void)state;
    test_tokenizer t;
    assert_true(test_tokenizer_load(&t, DATA "tiny.model", DATA "tiny_added.txt", 0));
    check_lines(&t, DATA "tiny_reference.bin", 20000, GEMLET_ENCODER_BYTES, 0);
    check_lines(&t, DATA "tiny_reference.bin", 20000, GEMLET_ENCODER_MIN_BYTES, 1);
    test_tokenizer_free(&t);
}

static void test_odd(void **state) {
    (void)state;
    test_tokenizer t;
    assert_true(test_tokenizer_load(&t, DATA "odd.model", NULL, 0));
    check_lines(&t, DATA "odd_reference.bin", 4000, GEMLET_ENCODER_BYTES, 3);
    check_lines(&t, DATA "odd_reference.bin", 4000, GEMLET_ENCODER_MIN_BYTES, 0);
    test_tokenizer_free(&t);
}

/* Ranked merges: the ids of the package tokenizers. */
static void test_merges(void **state) {
    (void)state;
    test_tokenizer t;
    assert_true(test_tokenizer_load(&t, "tests/data/gemma4-tiny/hf/tokenizer.json", NULL, 0));
    check_lines(&t, DATA "gemma4_reference.bin", 20000, GEMLET_ENCODER_BYTES, 0);
    check_lines(&t, DATA "gemma4_reference.bin", 20000, GEMLET_ENCODER_MIN_BYTES, 1);
    test_tokenizer_free(&t);
}

/* The text with U+FFFD for each byte that is no UTF-8, and a space for U+2581: what decoding must give. */
static size_t expected_text(const reference_line *line, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < line->bytes;) {
        uint32_t character;
        int length = gemlet_utf8_read(line->text + i, line->bytes - i, &character);
        character = length <= 0 ? GEMLET_REPLACEMENT_CHARACTER : character == 0x2581 ? ' ' : character;
        used += gemlet_utf8_write(character, (unsigned char *)out + used);
        i += length <= 0 ? 1 : (size_t)length;
    }
    return used;
}

static void check_valid(const char *text, size_t bytes) {
    uint32_t character;
    for (size_t i = 0; i < bytes;) {
        int length = gemlet_utf8_read((const unsigned char *)text + i, bytes - i, &character);
        assert_true(length > 0);
        i += (size_t)length;
    }
}

static size_t decode(const gemlet_tokenizer *tokenizer, const id_list *ids, char *out) {
    gemlet_decoder decoder;
    const char *text;
    size_t bytes;
    size_t used = 0;
    gemlet_decoder_begin(&decoder, tokenizer, true);
    for (size_t i = 0; i < ids->count; i++) {
        assert_int_equal(gemlet_decoder_feed(&decoder, ids->ids[i], &text, &bytes), GEMLET_OK);
        check_valid(text, bytes);
        memcpy(out + used, text, bytes);
        used += bytes;
    }
    gemlet_decoder_flush(&decoder, &text, &bytes);
    memcpy(out + used, text, bytes);
    return used + bytes;
}

static void test_decoding_gives_the_text_back(void **state) {
    (void)state;
    test_tokenizer t;
    size_t bytes;
    unsigned char *file = read_file(DATA "tiny_reference.bin", &bytes);
    void *scratch = malloc(GEMLET_ENCODER_BYTES);
    id_list list = {0};
    reference_line line;
    gemlet_error error;
    assert_true(test_tokenizer_load(&t, DATA "tiny.model", DATA "tiny_added.txt", 0));
    for (size_t at = 0; reference_next(file, bytes, &at, &line);) {
        char *expected = malloc(3 * line.bytes + 1);
        char *found = malloc(3 * line.bytes + 1);
        assert_int_equal(
            encode_text(&t.tokenizer, GEMLET_TEXT_SPECIAL, scratch, GEMLET_ENCODER_BYTES, line.text, line.bytes, 0, &list, &error),
            GEMLET_OK);
        size_t length = expected_text(&line, expected);
        assert_int_equal(decode(&t.tokenizer, &list, found), length);
        assert_memory_equal(found, expected, length);
        free(expected);
        free(found);
    }
    free(list.ids);
    free(scratch);
    free(file);
    test_tokenizer_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiny), cmocka_unit_test(test_odd), cmocka_unit_test(test_merges),
                                       cmocka_unit_test(test_decoding_gives_the_text_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
