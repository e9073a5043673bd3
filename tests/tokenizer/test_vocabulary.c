/* Vocabularies that a stranger chose so that hashes fall together: they take no longer than others, or are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "model/pack/tokenizer_build.h"
#include "model/pack/vocabulary_index.h"
#include "model/tokenizer/tables.h"

/* Either of a pair, behind either of each pair before it, has the same low 46 bits of FNV-1a. */
static const char *const pairs[][2] = {
    {"wwii6r", "ZGFlmH"}, {"SAWaCM", "d1nff7"}, {"31apdk", "EBPxQ2"}, {"tWny6g", "AgEnkQ"}, {"HfEp1x", "utxunb"},
    {"4g9lTr", "nZ78KF"}, {"H9yPYZ", "2XVXTc"}, {"gi9iMW", "GkpSoj"}, {"qmk1vo", "DIH49y"}, {"/RnWd9", "UoUcOb"},
    {"XboSSR", "xl0Q5U"}, {"xkd1vA", "Xm3sVD"}, {"9m8LZr", "lo6s/m"}, {"Vxtm1q", "eZCbxG"},
};
enum { PAIRS = sizeof pairs / sizeof *pairs, TEXTS = 1 << PAIRS, TEXT_BYTES = 6 * PAIRS };

static void make_text(size_t number, bool alike, char text[TEXT_BYTES + 1]) {
    for (size_t i = 0; i < PAIRS; i++) {
        memcpy(text + 6 * i, pairs[i][number >> i & 1], 6);
        if (!alike) {
            text[6 * i] = "ab"[number >> i & 1];
        }
    }
    text[TEXT_BYTES] = '\0';
}

/* Processor time to find each of the texts. */
static double time_to_find(bool alike) {
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_vocabulary vocabulary;
    vocabulary_index index;
    char *texts = malloc((size_t)TEXTS * (TEXT_BYTES + 1));
    assert_non_null(texts);
    assert_int_equal(gemlet_vocabulary_init(&vocabulary, TEXTS, &error), GEMLET_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        char *text = texts + i * (TEXT_BYTES + 1);
        make_text(i, alike, text);
        assert_int_equal(gemlet_vocabulary_set(&vocabulary, i, text, TEXT_BYTES, 0.0f, GEMLET_PIECE_NORMAL, &error), GEMLET_OK);
    }
    clock_t start = clock();
    assert_true(vocabulary_index_init(&index, &vocabulary));
    for (uint32_t i = 0; i < TEXTS; i++) {
        vocabulary_index_add(&index, i);
    }
    vocabulary_index_sort(&index);
    for (uint32_t i = 0; i < TEXTS; i++) {
        assert_int_equal(vocabulary_index_find(&index, vocabulary.pieces[i].text, TEXT_BYTES), i);
    }
    double taken = (double)(clock() - start) / CLOCKS_PER_SEC;
    vocabulary_index_free(&index);
    gemlet_vocabulary_free(&vocabulary);
    free(texts);
    return taken;
}

static void no_texts_take_longer_than_others(void **state) {
    (void)state;
    double others = time_to_find(false), alike = time_to_find(true);
    if (alike > 20.0 * others + 0.05) {
        fail_msg("%.3f s for texts that hash alike, %.3f s for others", alike, others);
    }
}

static void the_first_row_of_a_text_is_found(void **state) {
    static const char *const texts[] = {"b", "ab", "a", "", "abcdefgh", "abcdefghi", "ab", "abcdefgi"};
    enum { COUNT = sizeof texts / sizeof *texts };
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_vocabulary vocabulary;
    vocabulary_index index;
    (void)state;
    assert_int_equal(gemlet_vocabulary_init(&vocabulary, COUNT, &error), GEMLET_OK);
    assert_true(vocabulary_index_init(&index, &vocabulary));
    vocabulary_index_sort(&index);
    assert_int_equal(vocabulary_index_find(&index, "a", 1), UINT32_MAX);
    for (uint32_t i = COUNT; i-- > 0;) {
        vocabulary.pieces[i] = (gemlet_piece){texts[i], strlen(texts[i]), 0.0f, GEMLET_PIECE_NORMAL};
        vocabulary_index_add(&index, i);
    }
    vocabulary_index_sort(&index);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(vocabulary_index_find(&index, texts[i], strlen(texts[i])), i == 6 ? 1 : i);
    }
    assert_int_equal(vocabulary_index_find(&index, "abcdefg", 7), UINT32_MAX);
    assert_int_equal(vocabulary_index_find(&index, "a\0", 2), UINT32_MAX);
    assert_int_equal(vocabulary_index_find(&index, "c", 1), UINT32_MAX);
    vocabulary_index_free(&index);
    gemlet_vocabulary_free(&vocabulary);
}

enum { BYTES = 256, CHARACTERS = 900, MERGES = GEMLET_TABLES_MAX_PROBES + 8, ROWS = BYTES + CHARACTERS + MERGES, FIRST = 0x4E00 };

/* A vocabulary of bytes, of characters, and of pairs of these that all hash to the same slot of a table of 4,096. */
typedef struct crowd {
    gemlet_vocabulary vocabulary;
    char texts[ROWS][8];
    gemlet_error error;
} crowd;

static void set_row(crowd *c, uint32_t row, size_t bytes, gemlet_piece_type type) {
    assert_int_equal(gemlet_vocabulary_set(&c->vocabulary, row, c->texts[row], bytes, 0.0f, (int)type, &c->error), GEMLET_OK);
}

static void add_pair(crowd *c, vocabulary_index *index, uint32_t left, uint32_t right, uint32_t row) {
    memcpy(c->texts[row], c->texts[left], 3);
    memcpy(c->texts[row] + 3, c->texts[right], 3);
    set_row(c, row, 6, GEMLET_PIECE_NORMAL);
    vocabulary_index_add(index, row);
    vocabulary_index_sort(index);
    assert_int_equal(gemlet_vocabulary_add_merge(&c->vocabulary, index, c->texts[left], 3, c->texts[right], 3, &c->error),
                     GEMLET_OK);
}

static void make_crowd(crowd *c, uint32_t mask) {
    vocabulary_index index;
    uint32_t row = BYTES + CHARACTERS;
    assert_int_equal(gemlet_vocabulary_init(&c->vocabulary, ROWS, &c->error), GEMLET_OK);
    c->vocabulary.ranked = true;
    assert_true(vocabulary_index_init(&index, &c->vocabulary));
    for (uint32_t i = 0; i < BYTES + CHARACTERS; i++) {
        if (i < BYTES) {
            snprintf(c->texts[i], sizeof c->texts[i], "<0x%02X>", i);
        } else {
            gemlet_utf8_write(FIRST + i - BYTES, (unsigned char *)c->texts[i]);
        }
        set_row(c, i, i < BYTES ? 6 : 3, i < BYTES ? GEMLET_PIECE_BYTE : GEMLET_PIECE_NORMAL);
        if (i >= BYTES) {
            vocabulary_index_add(&index, i);
        }
    }
    for (uint32_t left = BYTES; left < BYTES + CHARACTERS; left++) {
        for (uint32_t right = BYTES; right < BYTES + CHARACTERS && row < ROWS; right++) {
            if ((gemlet_tables_hash(left, right) & mask) == 0) {
                add_pair(c, &index, left, right, row++);
            }
        }
    }
    assert_int_equal(row, ROWS);
    vocabulary_index_free(&index);
}

/* A table that keeps them apart would be larger the more they are alike: 8 GiB for 70 merges, were 32 bits the same. */
static void merges_that_crowd_one_slot_are_refused(void **state) {
    (void)state;
    for (uint32_t alike = 0; alike < 2; alike++) {
        static crowd c;
        void *tables = NULL;
        size_t bytes = 0;
        c.error.message[0] = '\0';
        make_crowd(&c, alike != 0 ? 0x1FFF : 0);
        gemlet_status status = gemlet_tokenizer_build(&c.vocabulary, &tables, &bytes, &c.error);
        assert_int_equal(status, alike != 0 ? GEMLET_ERROR_UNSUPPORTED : GEMLET_OK);
        if (alike != 0) {
            assert_non_null(strstr(c.error.message, "tokenizer: too many merges fall on one slot"));
        }
        free(tables);
        gemlet_vocabulary_free(&c.vocabulary);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_texts_take_longer_than_others),
        cmocka_unit_test(the_first_row_of_a_text_is_found),
        cmocka_unit_test(merges_that_crowd_one_slot_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
