/* What a session is fed around images and clips, and for their soft tokens, against the same fed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proof/sessions.h"

/* ---- Images ---- */

/* An encoder that a session of the small model is given: as many soft tokens as the frame has columns. */
static gemlet_status fake_prepare(const gemlet_image_run *run, const gemlet_image *image, gemlet_error *error) {
    (void)run;
    return image->height == 1 ? GEMLET_OK : gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "one row expected");
}

static uint32_t fake_soft_tokens(const gemlet_image_run *run, uint32_t width, uint32_t height) {
    (void)run;
    (void)height;
    return width;
}

static bool fake_encode(const gemlet_image_run *run, float *soft_tokens) {
    for (size_t i = 0; i < run->most_soft_tokens * run->text_width; i++) {
        soft_tokens[i] = 0.125f * (float)(i % 11) - 0.5f;
    }
    return run->go_on == NULL || run->go_on(run->go_on_context, 1, 2);
}

static const gemlet_image_encoder fake = {.soft_tokens = fake_soft_tokens, .prepare = fake_prepare, .encode = fake_encode};

static void open_eyes(rig *r, const gemlet_options *options) {
    static float memory[CONTEXT * 32];
    rig_start(r, &small, options);
    r->session->images = &fake;
    r->session->image.run = (gemlet_image_run){.image_size = 11, .most_soft_tokens = CONTEXT, .text_width = 32};
    r->session->soft_tokens = memory;
    r->model->image_begin = 7;
    r->model->image_end = 9;
}

static gemlet_status fake_plan(gemlet_image_run *run, const void *model, gemlet_container *container, gemlet_error *error) {
    (void)model;
    (void)container;
    (void)error;
    run->most_soft_tokens = 20;
    return GEMLET_OK;
}

/* Gemma 3's soft tokens see each other, also those behind them: an image is one chunk, however long the others are. */
static void images_are_one_chunk(void **state) {
    (void)state;
    enum { WIDTH = 32 };
    static const float soft[(CHUNK + 1) * WIDTH];
    rig r;
    gemlet_options options = {.context = CONTEXT, .chunk = CHUNK};
    rig_start(&r, &small, &options);
    assert_true(r.model->family->images_together && r.model->config.width == WIDTH);
    const gemlet_image_encoder planned = {.plan = fake_plan, .soft_tokens = fake_soft_tokens, .prepare = fake_prepare};
    must(&r, gemlet_feed_embeddings(r.session, soft, CHUNK + 1, &r.error)); /* a model without eyes cuts them */
    r.model->images = &planned;
    must(&r, gemlet_feed_embeddings(r.session, soft, CHUNK, &r.error));
    says(&r, gemlet_feed_embeddings(r.session, soft, CHUNK + 1, &r.error), GEMLET_ERROR_ARGUMENT,
         "the soft tokens of an image, which see each other, must be at most 8 (option chunk) but are 9");
    for (uint32_t way = 0; way < 4; way++) {
        gemlet_arena counting;
        gemlet_session made;
        gemlet_arena_init_counting(&counting);
        options = (gemlet_options){.context = way == 1 ? 15 : CONTEXT, .chunk = way == 2 ? 30 : CHUNK, .no_images = way == 3};
        must(&r, gemlet_session_fill(&made, r.model, &options, &counting, &r.error));
        assert_int_equal(made.decoder.chunk, way == 0 ? 20 : way == 1 ? 15 : way == 2 ? 30 : CHUNK);
    }
    rig_close(&r);
}

/* What is fed behind them shows it, where there are several layers. */
static void soft_tokens_see_each_other(void **state) {
    (void)state;
    static float soft[3 * 256];
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++) {
        soft[i] = 0.25f * (float)(i * 37 % 19) - 2.0f;
    }
    rig r, apart;
    const gemlet_options options = {.context = CONTEXT, .chunk = CHUNK, .image_size = 64};
    rig_start(&r, &mini, &options);
    rig_start(&apart, &mini, &options);
    gemlet_family family = *r.model->family;
    family.images_together = true;
    r.model->family = &family;
    assert_true(r.model->images != NULL && r.model->config.width <= 256);
    must(&r, gemlet_feed(r.session, ids, 5, &r.error));
    must(&apart, gemlet_feed(apart.session, ids, 5, &apart.error));
    assert_states(&r, &apart); /* tokens do not */
    must(&r, gemlet_feed_embeddings(r.session, soft, 3, &r.error));
    must(&apart, gemlet_feed_embeddings(apart.session, soft, 3, &apart.error));
    assert_memory_not_equal(r.session->decoder.logits, apart.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
    rig_close(&r);
    rig_close(&apart);
}

/* Of tokens whose logits are all wanted, or that go through all layers, a chunk has few; an image's are one. */
static void ignore_row(void *context, size_t index, const float *logits, size_t count) {
    (void)context;
    (void)index;
    (void)logits;
    (void)count;
}

static void chunks_of_what_goes_through_all_layers(void **state) {
    (void)state;
    enum { WIDTH = 32, LONG = 3 * GEMLET_MOST_WANTED };
    static float soft[LONG * WIDTH];
    static uint32_t tokens[LONG];
    static const gemlet_image_encoder some = {.soft_tokens = fake_soft_tokens};
    for (int way = 0; way < 4; way++) { /* bits: all layers; together */
        rig r;
        steps s = {.count = 0};
        rig_start(&r, &small, &(gemlet_options){.context = 64, .chunk = LONG, .no_skipping = way % 2 == 1, .no_images = true});
        r.model->images = way >= 2 ? &some : NULL;
        gemlet_session_on_progress(r.session, count_step, &s);
        must(&r, gemlet_feed(r.session, tokens, LONG, &r.error));
        assert_int_equal(s.count, way % 2 == 1 ? LONG / GEMLET_MOST_WANTED : 1);
        gemlet_session_reset(r.session);
        s.count = 0;
        must(&r, gemlet_feed_embeddings(r.session, soft, LONG, &r.error));
        assert_int_equal(s.count, way == 1 ? LONG / GEMLET_MOST_WANTED : 1);
        gemlet_session_reset(r.session);
        s.count = 0;
        must(&r, gemlet_feed_with_logits(r.session, tokens, LONG, ignore_row, NULL, &r.error));
        assert_int_equal(s.count, LONG / GEMLET_MOST_WANTED);
        rig_close(&r);
    }
}

/* Embeddings of more than a chunk are the same as those of each. */
static void embeddings_of_several_chunks(void **state) {
    (void)state;
    enum { WIDTH = 32, COUNT = 2 * CHUNK + 3 };
    static float soft[COUNT * WIDTH];
    for (size_t i = 0; i < COUNT * WIDTH; i++) {
        soft[i] = 0.25f * (float)(i * 31 % 23) - 2.0f;
    }
    rig r, hand;
    rig_start(&r, &small, &text_only);
    rig_start(&hand, &small, &text_only);
    must(&r, gemlet_feed_embeddings(r.session, soft, COUNT, &r.error));
    for (size_t done = 0; done < COUNT; done += CHUNK) {
        must(&hand, gemlet_feed_embeddings(hand.session, soft + done * WIDTH, gemlet_smaller(CHUNK, COUNT - done), &hand.error));
    }
    assert_states(&r, &hand);
    rig_close(&r);
    rig_close(&hand);
}

static void an_image_is_spliced(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    rig r, hand;
    open_eyes(&r, &text_only);
    open_eyes(&hand, &text_only);
    gemlet_image frame = {.format = GEMLET_PIXELS_GREY, .width = 3, .height = 1, .pixels = pixels, .stride = 3};
    const float *soft = NULL;
    size_t count = 0;
    gemlet_image_facts facts = gemlet_session_image_facts(r.session);
    assert_int_equal(facts.size, 11);
    assert_int_equal(facts.soft_tokens, CONTEXT);
    assert_int_equal(facts.width, 32);
    must(&hand, gemlet_encode_image(hand.session, &frame, &soft, &count, &hand.error));
    assert_int_equal(count, 3);
    assert_ptr_equal(soft, hand.session->soft_tokens);
    steps s = {.count = 0};
    const gemlet_splice *around = &gemlet_model_chat(r.model)->image;
    gemlet_session_on_progress(r.session, count_step, &s);
    must(&r, gemlet_feed_image(r.session, &frame, &r.error));
    splice(&hand, around, around->before, 7, soft, count, 9);
    assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
    assert_states(&r, &hand);
    assert_true(s.done[0] == 1 && s.total[0] == 2); /* of the encoder, then of all tokens */
    assert_int_equal(s.total[s.count - 1], gemlet_session_length(hand.session));
    assert_int_equal(s.done[s.count - 1], s.total[s.count - 1]);
    rig_close(&r);
    rig_close(&hand);
}

static uint32_t budget_seen;

static uint32_t fake_budget(const gemlet_image_run *run, uint32_t width, uint32_t height) {
    budget_seen = run->image_tokens;
    return fake_soft_tokens(run, width, height);
}

/* Frames with their times between: minutes and seconds of two digits or more, whole seconds. */
static void a_clip_is_its_frames(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    static const gemlet_image_encoder counting = {.soft_tokens = fake_budget, .prepare = fake_prepare, .encode = fake_encode};
    static const gemlet_splice plain = {.before = "", .after = ""};
    static const char *const stamps[] = {"00:03 ", " 01:05 ", " 100:09 "};
    const gemlet_image frame = {.format = GEMLET_PIXELS_GREY, .width = 3, .height = 1, .pixels = pixels, .stride = 3};
    const gemlet_clip_frame frames[] = {{frame, 3.9}, {frame, 65.0}, {frame, 6009.5}};
    rig r, hand;
    const float *soft = NULL;
    size_t count = 0;
    open_eyes(&r, &text_only);
    open_eyes(&hand, &text_only);
    says(&r, gemlet_feed_clip(r.session, frames, 3, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "this session takes no clips: Gemma 4 does, where it is not opened without its image encoder");
    gemlet_family family = *r.model->family;
    family.clips = true;
    r.model->family = &family;
    r.session->images = &counting;
    for (uint32_t budget = 30; budget <= 280; budget += 125) {
        gemlet_session_reset(r.session);
        r.session->image.run.image_tokens = budget;
        must(&r, gemlet_feed_clip(r.session, frames, 3, &r.error));
        assert_int_equal(r.session->image.run.image_tokens, budget);
        assert_int_equal(budget_seen, budget < 70 ? budget : 70);
    }
    must(&hand, gemlet_encode_image(hand.session, &frame, &soft, &count, &hand.error));
    for (size_t i = 0; i < 3; i++) {
        splice(&hand, &plain, stamps[i], 7, soft, count, 9);
    }
    assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
    assert_memory_equal(r.session->history, hand.session->history, gemlet_session_length(r.session) * sizeof *r.session->history);
    assert_states(&r, &hand);
    says(&r, gemlet_feed_clip(r.session, frames, 0, &r.error), GEMLET_ERROR_ARGUMENT,
         "the frames of a clip must be 1 to 32 but are 0");
    static const double wrong[] = {-0.1, 360000.0, (double)NAN};
    static const char *const found[] = {"-0.1", "360000", "NaN"};
    for (size_t i = 0; i < 3; i++) {
        const gemlet_clip_frame bad[] = {{frame, 359999.0}, {frame, wrong[i]}, {frame, 1.0}};
        for (size_t number = 0; number < 2; number++) {
            char expected[96];
            snprintf(expected, sizeof expected,
                     "the seconds of a frame must be from 0 to below 360000 but those of number %zu are %s", number, found[i]);
            says(&r, gemlet_feed_clip(r.session, bad + 1 - number, 2, &r.error), GEMLET_ERROR_ARGUMENT, expected);
        }
    }
    /* As many as there may be do not fit this context; one more is one too many for any. */
    gemlet_clip_frame many[GEMLET_CLIP_MOST_FRAMES + 1];
    for (size_t i = 0; i <= GEMLET_CLIP_MOST_FRAMES; i++) {
        many[i] = (gemlet_clip_frame){frame, (double)i};
    }
    size_t length = gemlet_session_length(r.session);
    assert_int_equal(gemlet_feed_clip(r.session, many, GEMLET_CLIP_MOST_FRAMES, &r.error), GEMLET_ERROR_CONTEXT);
    assert_int_equal(gemlet_session_length(r.session), length); /* none of them was fed */
    says(&r, gemlet_feed_clip(r.session, many, GEMLET_CLIP_MOST_FRAMES + 1, &r.error), GEMLET_ERROR_ARGUMENT,
         "the frames of a clip must be 1 to 32 but are 33");
    /* Of ten and of nine, in minutes and seconds. */
    static const struct {
        double seconds;
        const char *stamp;
    } tens[] = {{9.0, "00:09 "}, {10.0, "00:10 "}, {11.0, "00:11 "}, {599.0, "09:59 "}, {600.0, "10:00 "}, {670.9, "11:10 "}};
    for (size_t i = 0; i < sizeof tens / sizeof *tens; i++) {
        const gemlet_clip_frame one = {frame, tens[i].seconds};
        gemlet_session_reset(r.session);
        gemlet_session_reset(hand.session);
        must(&r, gemlet_feed_clip(r.session, &one, 1, &r.error));
        must(&hand, gemlet_encode_image(hand.session, &frame, &soft, &count, &hand.error));
        splice(&hand, &plain, tens[i].stamp, 7, soft, count, 9);
        assert_memory_equal(r.session->history, hand.session->history,
                            gemlet_session_length(r.session) * sizeof *r.session->history);
        assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
    }
    rig_close(&r);
    rig_close(&hand);
}

static void crops_are_for_who_was_made_for_them(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &whole_model, &(gemlet_options){.context = 512});
    gemlet_image frame = rig_frame(&r);
    saved_state before = rig_save(&r);
    says(&r, gemlet_feed_image_with_crops(r.session, &frame, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "this session takes no crops of images: Gemma 3 does");
    assert_state(&r, &before);
    free(before.bytes);
    rig_close(&r);
}

static void an_image_fits_or_not(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    rig r;
    const float *soft = NULL;
    size_t count = 0;
    open_eyes(&r, &text_only);
    gemlet_image frame = {.format = GEMLET_PIXELS_GREY, .width = 1, .height = 1, .pixels = pixels, .stride = 64};
    must(&r, gemlet_feed_image(r.session, &frame, &r.error));
    uint32_t others = (uint32_t)gemlet_session_length(r.session) - 1;
    gemlet_session_reset(r.session);
    frame.width = CONTEXT - others + 1;
    says(&r, gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 41 tokens to feed, but room for 40 of 40");
    assert_int_equal(gemlet_session_length(r.session), 0);
    frame.width--;
    must(&r, gemlet_feed_image(r.session, &frame, &r.error));
    assert_int_equal(gemlet_session_length(r.session), CONTEXT);
    gemlet_session_reset(r.session);
    says(&r, gemlet_feed_image(r.session, NULL, &r.error), GEMLET_ERROR_ARGUMENT, "image must not be NULL");
    frame.height = 2;
    says(&r, gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_ARGUMENT, "one row expected");
    frame.height = 1;
    steps s = {.cancel_at = 1};
    gemlet_session_on_progress(r.session, count_step, &s);
    says(&r, gemlet_encode_image(r.session, &frame, &soft, &count, &r.error), GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    assert_null(soft);
    assert_int_equal(gemlet_session_length(r.session), 0);
    rig_close(&r);
    rig_start(&r, &small, &text_only);
    static const char none[] = "this session takes no images: the model has no image encoder, or it was opened without";
    says(&r, gemlet_feed_image(r.session, &frame, &r.error), GEMLET_ERROR_UNSUPPORTED, none);
    says(&r, gemlet_encode_image(r.session, &frame, &soft, &count, &r.error), GEMLET_ERROR_UNSUPPORTED, none);
    says(&r, gemlet_feed_image_with_crops(r.session, &frame, &r.error), GEMLET_ERROR_UNSUPPORTED, none);
    gemlet_image_facts facts = gemlet_session_image_facts(r.session);
    assert_true(facts.size == 0 && facts.soft_tokens == 0 && facts.width == 0);
    rig_close(&r);
}

/* ---- Frames of images and sounds ---- */

static uint32_t token_of(rig *r, const char *text) {
    const char *found = NULL;
    size_t length = 0;
    for (uint32_t i = 0; i < gemlet_tokenizer_count(&r->model->tokenizer); i++) {
        if (gemlet_tokenizer_text(&r->model->tokenizer, i, &found, &length) == GEMLET_OK && length == strlen(text) &&
            memcmp(found, text, length) == 0) {
            return i;
        }
    }
    fail_msg("no token is \"%s\"", text);
    return 0;
}

/* The line ends that a session ends with belong to the text before the image: one token less, and one text longer. */
static void line_ends_join(void **state) {
    (void)state;
    static const gemlet_splice line_ends = {.before = "\n\n", .after = "\n"}, letters = {.before = "ab", .after = ""};
    static const float soft[3 * 32] = {0.5f, -1.0f};
    rig r, hand;
    rig_start(&r, &small, &text_only);
    rig_start(&hand, &small, &text_only);
    uint32_t line_end = token_of(&r, "\n"), letter = token_of(&r, "a");
    const uint32_t before[][2] = {{letter, line_end}, {letter, letter}, {line_end, 0}};
    static const char *const texts[] = {"\n\n\n", "\n\n", "\n\n"};
    for (size_t i = 0; i < 6; i++) {
        gemlet_frame frame;
        bool ends = i < 3;
        size_t fed = i % 3 < 2 ? 2 : 1, joined = i == 0 ? 1 : 0;
        uint32_t opening[64], closing[64];
        const gemlet_splice *around = ends ? &line_ends : &letters;
        size_t opened = tokens_of(&r, ends ? texts[i] : "ab", false, opening);
        size_t closed = tokens_of(&r, around->after, false, closing);
        gemlet_session_reset(r.session);
        gemlet_session_reset(hand.session);
        must(&r, gemlet_feed(r.session, before[i % 3], fed, &r.error));
        must(&hand, gemlet_feed(hand.session, before[i % 3], fed - joined, &hand.error));
        must(&r, gemlet_session_frame(r.session, around, 7, 9, 3, &frame, &r.error));
        assert_int_equal(frame.joined, joined);
        assert_int_equal(frame.counts[0], opened + 1);
        assert_int_equal(frame.counts[1], closed + 1);
        steps s = {.count = 0};
        gemlet_session_on_progress(r.session, count_step, &s);
        must(&r, gemlet_session_feed_framed(r.session, &frame, soft, 3, &r.error));
        gemlet_session_on_progress(r.session, NULL, NULL);
        for (size_t k = 0; k < s.count; k++) {
            assert_int_equal(s.total[k], opened + 1 + 3 + closed + 1);
        }
        assert_int_equal(s.done[s.count - 1], s.total[0]);
        must(&hand, gemlet_feed(hand.session, opening, opened, &hand.error));
        must(&hand, gemlet_feed(hand.session, &(uint32_t){7}, 1, &hand.error));
        must(&hand, gemlet_feed_embeddings(hand.session, soft, 3, &hand.error));
        must(&hand, gemlet_feed(hand.session, &(uint32_t){9}, 1, &hand.error));
        must(&hand, gemlet_feed(hand.session, closing, closed, &hand.error));
        assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
        assert_memory_equal(r.session->history, hand.session->history, gemlet_session_length(r.session) * sizeof *opening);
        assert_memory_equal(r.session->decoder.logits, hand.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
    }
    rig_close(&r);
    rig_close(&hand);
}

/* One line end before the image is enough. */
static void a_line_end_joins(void **state) {
    (void)state;
    static const gemlet_splice around = {.before = "\nb", .after = ""};
    rig r;
    rig_start(&r, &small, &text_only);
    const uint32_t before[] = {token_of(&r, "a"), token_of(&r, "\n")};
    gemlet_frame frame;
    must(&r, gemlet_feed(r.session, before, 2, &r.error));
    must(&r, gemlet_session_frame(r.session, &around, 7, 9, 3, &frame, &r.error));
    assert_int_equal(frame.joined, 1);
    assert_int_equal(frame.opening[0].bytes, 3);
    assert_memory_equal(frame.before, "\n\nb", 3);
    rig_close(&r);
}

static void a_frame_fits_to_the_last_position(void **state) {
    (void)state;
    static const gemlet_splice around = {.before = "\n\n", .after = "b"};
    rig r;
    gemlet_frame frame;
    rig_start(&r, &small, &text_only);
    for (int joined = 0; joined < 3; joined++) { /* 2: an empty session, which <bos> begins */
        gemlet_session_reset(r.session);
        const uint32_t before[2] = {token_of(&r, "a"), token_of(&r, joined == 1 ? "\n" : "b")};
        must(&r, gemlet_feed(r.session, before, joined < 2 ? 2 : 0, &r.error));
        must(&r, gemlet_session_frame(r.session, &around, 7, 9, 1, &frame, &r.error));
        assert_int_equal(frame.joined, joined == 1 ? 1 : 0);
        size_t others = gemlet_session_length(r.session) - frame.joined + frame.counts[0] + frame.counts[1];
        must(&r, gemlet_session_frame(r.session, &around, 7, 9, CONTEXT - others, &frame, &r.error));
        assert_int_equal(gemlet_session_frame(r.session, &around, 7, 9, CONTEXT - others + 1, &frame, &r.error),
                         GEMLET_ERROR_CONTEXT);
    }
    rig_close(&r);
}

/* Of a line end that joins there is one token less. */
static void an_image_behind_a_line_end_fits(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    rig r;
    open_eyes(&r, &text_only);
    const uint32_t before[] = {token_of(&r, "a"), token_of(&r, "\n")};
    gemlet_image frame = {.format = GEMLET_PIXELS_GREY, .width = 1, .height = 1, .pixels = pixels, .stride = 64};
    must(&r, gemlet_feed(r.session, before, 2, &r.error));
    must(&r, gemlet_feed_image(r.session, &frame, &r.error));
    uint32_t others = (uint32_t)gemlet_session_length(r.session) - 1;
    for (uint32_t more = 0; more < 2; more++) {
        gemlet_session_reset(r.session);
        must(&r, gemlet_feed(r.session, before, 2, &r.error));
        frame.width = CONTEXT - others + more;
        assert_int_equal(gemlet_feed_image(r.session, &frame, &r.error), more == 0 ? GEMLET_OK : GEMLET_ERROR_CONTEXT);
        assert_int_equal(gemlet_session_length(r.session), more == 0 ? CONTEXT : 2);
    }
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_one_chunk),
        cmocka_unit_test(soft_tokens_see_each_other),
        cmocka_unit_test(chunks_of_what_goes_through_all_layers),
        cmocka_unit_test(embeddings_of_several_chunks),
        cmocka_unit_test(an_image_is_spliced),
        cmocka_unit_test(a_clip_is_its_frames),
        cmocka_unit_test(crops_are_for_who_was_made_for_them),
        cmocka_unit_test(a_line_end_joins),
        cmocka_unit_test(an_image_fits_or_not),
        cmocka_unit_test(line_ends_join),
        cmocka_unit_test(a_frame_fits_to_the_last_position),
        cmocka_unit_test(an_image_behind_a_line_end_fits),
    };
    return cmocka_run_group_tests(tests, make_sessions, end_sessions);
}
