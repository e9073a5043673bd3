/* Status texts and the building of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <gemlet/status.h>

static void every_status_has_its_text(void **state) {
    (void)state;
    for (int a = GEMLET_OK; a <= GEMLET_ERROR_STATE; a++) {
        const char *text = gemlet_status_text((gemlet_status)a);
        assert_string_not_equal(text, "unknown status");
        for (int b = GEMLET_OK; b < a; b++) {
            assert_string_not_equal(text, gemlet_status_text((gemlet_status)b));
        }
    }
    assert_string_equal(gemlet_status_text((gemlet_status)(GEMLET_ERROR_STATE + 1)), "unknown status");
}

static void a_message_is_built_from_pieces(void **state) {
    (void)state;
    gemlet_error error;
    memset(&error, 'x', sizeof error); /* what was there before must not matter */
    assert_int_equal(gemlet_fail(&error, GEMLET_ERROR_FORMAT, "tensor "), GEMLET_ERROR_FORMAT);
    gemlet_error_bytes(&error, "blk.0.attn_q and more", 12);
    gemlet_error_text(&error, ": expected ");
    gemlet_error_number(&error, 0);
    gemlet_error_text(&error, ", found ");
    gemlet_error_number(&error, UINT64_MAX);
    assert_int_equal(error.status, GEMLET_ERROR_FORMAT);
    assert_string_equal(error.message, "tensor blk.0.attn_q: expected 0, found 18446744073709551615");
    assert_int_equal(gemlet_fail(&error, GEMLET_ERROR_IO, "again"), GEMLET_ERROR_IO);
    assert_string_equal(error.message, "again");
}

static void without_an_error_only_the_status_counts(void **state) {
    (void)state;
    assert_int_equal(gemlet_fail(NULL, GEMLET_ERROR_CONTEXT, "full"), GEMLET_ERROR_CONTEXT);
    gemlet_error_text(NULL, "text");
    gemlet_error_bytes(NULL, "text", 4);
    gemlet_error_number(NULL, 1);
}

static void unprintable_bytes_become_question_marks(void **state) {
    (void)state;
    const char name[] = "a\0b\nc\x1B[31m\x7F\xC3\xA9"; /* the last two are UTF-8 and stay */
    gemlet_error error;
    (void)gemlet_fail(&error, GEMLET_ERROR_FORMAT, "name ");
    gemlet_error_bytes(&error, name, sizeof name - 1);
    assert_string_equal(error.message, "name a?b?c?[31m?\xC3\xA9");

    static const struct {
        const char *bytes, *shown;
    } cases[] = {
        {"\x80", "?"},                            /* a continuation without a start */
        {"\xC3", "?"},                            /* a start without its continuation */
        {"\xC3x", "?x"},                          /* and with something else */
        {"\xC2\x9B", "??"},                       /* a control character beyond ASCII */
        {"\xC0\xAF", "??"},                       /* '/' in two bytes */
        {"\xE0\x80\xAF", "???"},                  /* in three */
        {"\xED\xA0\x80", "???"},                  /* a surrogate */
        {"\xF4\x90\x80\x80", "????"},             /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", "????"},             /* no UTF-8 at all */
        {"\xF0\x9F\x93\xB7", "\xF0\x9F\x93\xB7"}, /* a camera */
        {"\xE2\x96\x81gem", "\xE2\x96\x81gem"},   /* a piece of a vocabulary */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)gemlet_fail(&error, GEMLET_ERROR_FORMAT, cases[i].bytes);
        assert_string_equal(error.message, cases[i].shown);
    }
}

static void the_message_is_cut_where_it_is_full(void **state) {
    (void)state;
    char text[2 * GEMLET_MESSAGE_BYTES];
    memset(text, 'a', sizeof text);
    struct {
        gemlet_error error;
        unsigned char guard[16];
    } guarded;
    memset(guarded.guard, 0x5A, sizeof guarded.guard);
    (void)gemlet_fail(&guarded.error, GEMLET_ERROR_IO, "");
    gemlet_error_bytes(&guarded.error, text, GEMLET_MESSAGE_BYTES - 3);
    gemlet_error_number(&guarded.error, 12345);
    assert_int_equal(strlen(guarded.error.message), GEMLET_MESSAGE_BYTES - 1);
    assert_string_equal(guarded.error.message + GEMLET_MESSAGE_BYTES - 3, "12");
    gemlet_error_bytes(&guarded.error, text, sizeof text);
    gemlet_error_text(&guarded.error, "more");
    assert_string_equal(guarded.error.message + GEMLET_MESSAGE_BYTES - 3, "12");
    for (size_t i = 0; i < sizeof guarded.guard; i++) {
        assert_int_equal(guarded.guard[i], 0x5A);
    }
}

/* A name that ends in half a character would make the message invalid UTF-8. */
static void the_cut_leaves_whole_characters(void **state) {
    (void)state;
    gemlet_error error;
    for (size_t room = 0; room <= 5; room++) {
        (void)gemlet_fail(&error, GEMLET_ERROR_IO, "");
        for (size_t i = 0; i < GEMLET_MESSAGE_BYTES - 1 - room; i++) {
            gemlet_error_text(&error, "a");
        }
        gemlet_error_text(&error, "\xE2\x82\xAC\xC3\xA9"); /* three bytes, two bytes */
        size_t expected = room < 3 ? 0 : room < 5 ? 3 : 5;
        assert_int_equal(strlen(error.message), GEMLET_MESSAGE_BYTES - 1 - room + expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_text),
        cmocka_unit_test(a_message_is_built_from_pieces),
        cmocka_unit_test(without_an_error_only_the_status_counts),
        cmocka_unit_test(unprintable_bytes_become_question_marks),
        cmocka_unit_test(the_message_is_cut_where_it_is_full),
        cmocka_unit_test(the_cut_leaves_whole_characters),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
