/* A saved state goes on as the session would have, and whatever else it holds is refused, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32.h"
#include "tests/proof/sessions.h"

static void a_state_goes_on_in_another_session(void **state) {
    (void)state;
    const packed_file *const files[] = {&small, &whole_model, &mini}; /* the last has several heads of keys */
    for (int variant = 0; variant < 12; variant++) {
        gemlet_options options = text_only;
        options.cache = variant % 2 == 1 ? GEMLET_CACHE_S8 : GEMLET_CACHE_F16;
        const packed_file *file = files[variant / 4];
        rig r, other;
        rig_start(&r, file, &options);
        rig_start(&other, file, &options);
        must(&r, gemlet_feed(r.session, ids, 33, &r.error));
        if (variant / 2 % 2 == 1) {
            must(&r, gemlet_session_rewind(r.session, 32, &r.error));
        }
        saved_state saved = rig_save(&r);
        rig_restore(&other, &saved);
        assert_states(&r, &other);
        assert_int_equal(other.session->written, 33);
        assert_int_equal(other.session->has_logits, variant / 2 % 2 == 0);
        if (other.session->has_logits) {
            assert_memory_equal(r.session->decoder.logits, other.session->decoder.logits,
                                r.model->config.vocabulary * sizeof(float));
        }
        must(&r, gemlet_feed(r.session, ids, 5, &r.error));
        must(&other, gemlet_feed(other.session, ids, 5, &other.error));
        assert_memory_equal(r.session->decoder.logits, other.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
        assert_states(&r, &other);
        free(saved.bytes);
        rig_close(&r);
        rig_close(&other);
    }
}

/* A session that is full is saved and goes on, too. */
static void a_full_state_is_a_state(void **state) {
    (void)state;
    rig r, other;
    rig_start(&r, &small, &text_only);
    rig_start(&other, &small, &text_only);
    must(&r, gemlet_feed(r.session, ids, CONTEXT, &r.error));
    saved_state saved = rig_save(&r);
    rig_restore(&other, &saved);
    assert_states(&r, &other);
    assert_int_equal(gemlet_session_length(other.session), CONTEXT);
    free(saved.bytes);
    rig_close(&r);
    rig_close(&other);
}

/* The header's size follows from what is behind it: the ids, the logits, and per layer and position a key and a value. */
static void a_state_has_the_size_of_its_parts(void **state) {
    (void)state;
    for (int s8 = 0; s8 < 2; s8++) {
        rig r;
        gemlet_options options = text_only;
        options.cache = s8 == 1 ? GEMLET_CACHE_S8 : GEMLET_CACHE_F16;
        rig_start(&r, &small, &options);
        size_t empty = gemlet_session_state_bytes(r.session);
        must(&r, gemlet_feed(r.session, ids, 3, &r.error));
        size_t row = s8 == 1 ? 32 + sizeof(float) : 32 * 2;
        size_t parts = 3 * sizeof *ids + r.model->config.vocabulary * sizeof(float) + 3 * 2 * row;
        assert_int_equal(gemlet_session_state_bytes(r.session), empty + parts);
        saved_state saved = rig_save(&r);
        assert_memory_equal(saved.bytes, "gemstate", 8);
        rig_close(&r);
        free(saved.bytes);
    }
}

static void refuses(rig *r, const saved_state *saved, size_t size, const char *message) {
    saved_state before = rig_save(r);
    says(r, gemlet_session_restore(r->session, saved->bytes, size, &r->error), GEMLET_ERROR_FORMAT, message);
    assert_state(r, &before);
    free(before.bytes);
}

static void a_damaged_state_is_refused(void **state) {
    (void)state;
    static const char other[] = "the saved session is of another model, other options or damaged";
    rig r;
    rig_start(&r, &small, &text_only);
    size_t header = gemlet_session_state_bytes(r.session);
    must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    saved_state saved = rig_save(&r);
    char expected[128];
    snprintf(expected, sizeof expected, "the buffer for the session's state must have %zu bytes but has %zu", saved.size,
             saved.size - 1);
    says(&r, gemlet_session_save(r.session, saved.bytes, saved.size - 1, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    snprintf(expected, sizeof expected, "the buffer for the session's state must have %zu bytes but has 0", saved.size);
    says(&r, gemlet_session_save(r.session, NULL, saved.size, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    refuses(&r, &(saved_state){NULL, 0}, saved.size, "not a saved session: too short");
    refuses(&r, &saved, header - 1, "not a saved session: too short");
    refuses(&r, &saved, header, "the saved session is cut");
    refuses(&r, &saved, saved.size - 1, "the saved session is cut");
    for (size_t i = 0; i < saved.size; i += i < header ? 1 : 7) {
        saved.bytes[i] ^= 0x10;
        gemlet_status status = gemlet_session_restore(r.session, saved.bytes, saved.size, &r.error);
        assert_int_equal(status, GEMLET_ERROR_FORMAT);
        assert_true(i < header ? r.error.message[0] != '\0' : strcmp(r.error.message, "the saved session is damaged") == 0);
        saved.bytes[i] ^= 0x10;
    }
    saved.bytes[0] ^= 1;
    refuses(&r, &saved, saved.size, other);
    saved.bytes[0] ^= 1;
    must(&r, gemlet_session_restore(r.session, saved.bytes, saved.size, &r.error));
    free(saved.bytes);
    rig_close(&r);
}

/* Lengths that are right by their checksum and wrong by themselves.  The header ends with checksum, length and written. */
static void a_forged_state_is_refused(void **state) {
    (void)state;
    static const uint64_t numbers[][2] = {{CONTEXT + 1, CONTEXT + 1}, {0, CONTEXT + 1}, {4, 3}, {UINT64_MAX, UINT64_MAX}, {3, 0}};
    rig r;
    rig_start(&r, &small, &text_only);
    size_t header = gemlet_session_state_bytes(r.session);
    must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    saved_state saved = rig_save(&r);
    size_t lengths = header - 16, crc = lengths;
    uint32_t stored = gemlet_crc32(0, "", 0);
    do { /* the checksum is the last 32-bit number whose zeroing makes the checksum of all right; padding may follow it */
        crc -= 4;
        memcpy(&stored, saved.bytes + crc, 4);
        memset(saved.bytes + crc, 0, 4);
        if (gemlet_crc32(0, saved.bytes, saved.size) == stored) {
            break;
        }
        memcpy(saved.bytes + crc, &stored, 4);
    } while (crc > 8);
    assert_true(crc > 8);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        memcpy(saved.bytes + lengths, numbers[i], 16);
        memset(saved.bytes + crc, 0, 4);
        uint32_t forged = gemlet_crc32(0, saved.bytes, saved.size);
        memcpy(saved.bytes + crc, &forged, 4);
        refuses(&r, &saved, saved.size, "the saved session is of another model, other options or damaged");
    }
    free(saved.bytes);
    rig_close(&r);
}

static void states_of_others_are_refused(void **state) {
    (void)state;
    static const char other[] = "the saved session is of another model, other options or damaged";
    rig r;
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    saved_state saved = rig_save(&r);
    gemlet_options options[] = {text_only, text_only, text_only};
    options[0].context--;
    options[1].chunk--;
    options[2].cache = GEMLET_CACHE_S8;
    for (size_t i = 0; i < 4; i++) {
        rig stranger;
        rig_start(&stranger, i < 3 ? &small : &whole_model, i < 3 ? &options[i] : &text_only);
        refuses(&stranger, &saved, saved.size, other);
        rig_close(&stranger);
    }
    gemlet_text_config *config = &r.model->config;
    uint32_t *const numbers[] = {&config->width,
                                 &config->layers,
                                 &config->first_shared,
                                 &config->vocabulary,
                                 &config->kinds[0].kv_heads,
                                 &config->kinds[1].kv_heads,
                                 &config->kinds[0].head_width,
                                 &config->kinds[1].head_width,
                                 &r.model->weights.fingerprint};
    gemlet_session_reset(r.session);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ++*numbers[i];
        says(&r, gemlet_session_restore(r.session, saved.bytes, saved.size, &r.error), GEMLET_ERROR_FORMAT, other);
        --*numbers[i];
    }
    rig_restore(&r, &saved);
    free(saved.bytes);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_state_is_a_state),      cmocka_unit_test(a_state_has_the_size_of_its_parts),
        cmocka_unit_test(a_damaged_state_is_refused),   cmocka_unit_test(a_forged_state_is_refused),
        cmocka_unit_test(states_of_others_are_refused), cmocka_unit_test(a_state_goes_on_in_another_session),
    };
    return cmocka_run_group_tests(tests, make_sessions, end_sessions);
}
