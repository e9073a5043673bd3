/* What a session answers, to the bit and to the letter: every bound from both sides, every message whole, and each way of feeding
 * against the same fed by hand.  Small enough, as those of states, images, sounds and choices beside it, that tests/proof/mutate.py
 * can run it on every mutant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "tests/container/forge.h"
#include "tests/proof/sessions.h"
#include <gemlet/sampler.h>
#include <gemlet/sound.h>

/* ---- Options and plan ---- */

static void options_have_defaults_and_bounds(void **state) {
    (void)state;
    gemlet_text_config config = {.trained_context = 10000};
    gemlet_options out;
    rig r = {.error = {GEMLET_OK, ""}};
    must(&r, gemlet_check_options(NULL, &config, &out, &r.error));
    assert_int_equal(out.context, 4096);
    assert_int_equal(out.chunk, 64);
    assert_int_equal(out.sound_seconds, 30);
    config.trained_context = 4095;
    must(&r, gemlet_check_options(NULL, &config, &out, &r.error));
    assert_int_equal(out.context, 4095);
    gemlet_options most = {.context = 4095, .chunk = 256, .cache = GEMLET_CACHE_S8, .sound_seconds = 30};
    must(&r, gemlet_check_options(&most, &config, &out, &r.error));
    assert_memory_equal(&most, &out, sizeof most);
    most = (gemlet_options){.context = 5, .chunk = 6, .sound_seconds = 1};
    must(&r, gemlet_check_options(&most, &config, &out, &r.error));
    assert_int_equal(out.chunk, 5);
    assert_int_equal(out.sound_seconds, 1);
    most.chunk = 4;
    must(&r, gemlet_check_options(&most, &config, &out, &r.error));
    assert_int_equal(out.chunk, 4);
    says(&r, gemlet_check_options(&(gemlet_options){.context = 4096}, &config, &out, &r.error), GEMLET_ERROR_ARGUMENT,
         "option context must be at most what the model was trained for, 4095 but is 4096");
    says(&r, gemlet_check_options(&(gemlet_options){.chunk = 257}, &config, &out, &r.error), GEMLET_ERROR_ARGUMENT,
         "option chunk must be at most 256 but is 257");
    says(&r, gemlet_check_options(&(gemlet_options){.cache = (gemlet_cache_type)2}, &config, &out, &r.error), GEMLET_ERROR_ARGUMENT,
         "option cache must be at most 1 but is 2");
    says(&r, gemlet_check_options(&(gemlet_options){.sound_seconds = 31}, &config, &out, &r.error), GEMLET_ERROR_ARGUMENT,
         "option sound_seconds must be at most what the models were trained for, 30 but is 31");
}

static void a_plan_is_what_the_arena_holds(void **state) {
    (void)state;
    const packed_file *const files[] = {&small, &whole_model};
    for (size_t i = 0; i < 2; i++) {
        rig r;
        gemlet_memory_plan plan;
        rig_start(&r, files[i], &(gemlet_options){.context = CONTEXT, .chunk = CHUNK, .image_tokens = i == 1 ? 70 : 0});
        must(&r, gemlet_plan(&r.port, "model", &r.options, &plan, &r.error));
        size_t cache = 0;
        for (size_t u = 0; u < r.arena.user_count; u++) {
            cache += strcmp(r.arena.users[u].name, "KV cache") == 0 ? r.arena.users[u].peak : 0;
        }
        assert_int_equal(plan.arena, r.arena.peak);
        assert_int_equal(plan.cache, cache);
        assert_true(cache > 0);
        assert_int_equal(plan.persistent, r.arena.kept_peak - cache);
        assert_int_equal(plan.scratch, r.arena.scratch_peak);
        assert_int_equal(plan.mapped, r.model->mapped);
        assert_int_equal(plan.token_bytes, r.model->weights.token_bytes);
        assert_int_equal(plan.image_tokens, r.session->images != NULL ? r.session->image.run.image_tokens : 0);
        says(&r, gemlet_plan(NULL, "model", &r.options, &plan, &r.error), GEMLET_ERROR_ARGUMENT,
             "gemlet_plan: port, path and plan must not be NULL");
        says(&r, gemlet_plan(&r.port, NULL, &r.options, &plan, &r.error), GEMLET_ERROR_ARGUMENT,
             "gemlet_plan: port, path and plan must not be NULL");
        says(&r, gemlet_plan(&r.port, "model", &r.options, NULL, &r.error), GEMLET_ERROR_ARGUMENT,
             "gemlet_plan: port, path and plan must not be NULL");
        says(&r, gemlet_plan(&r.port, "model", &(gemlet_options){.chunk = 257}, &plan, &r.error), GEMLET_ERROR_ARGUMENT,
             "option chunk must be at most 256 but is 257");
        rig_close(&r);
    }
}

/* ---- Model ---- */

/* Sessions on one model in one arena, as many as it has room for; `scratch`: pieces of it that each takes. */
static void fill_an_arena(const packed_file *file, const gemlet_options *options, size_t scratch) {
    const size_t most = GEMLET_ARENA_USERS / scratch;
    rig r;
    gemlet_session *last = NULL;
    const float *logits = NULL, *expected = NULL;
    size_t count = 0;
    rig_init(&r, file->bytes, file->size, options);
    must(&r, rig_open(&r, rig_plan(&r) * (most + 1), 0xA5));
    must(&r, gemlet_feed(r.session, ids, 12, &r.error));
    must(&r, gemlet_logits(r.session, &expected, &count, &r.error));
    for (size_t i = 1; i < most; i++) {
        must(&r, gemlet_session_open(r.model, options, &r.arena, &last, &r.error));
        must(&r, gemlet_feed(last, ids, 12, &r.error));
        must(&r, gemlet_logits(last, &logits, &count, &r.error));
        assert_ptr_not_equal(logits, expected);
        assert_memory_equal(logits, expected, count * sizeof *logits);
    }
    gemlet_arena before = r.arena;
    says(&r, gemlet_session_open(r.model, options, &r.arena, &last, &r.error), GEMLET_ERROR_STATE,
         "arena: no place for text, expected at most 48 scratch allocations held");
    assert_null(last);
    assert_memory_equal(&r.arena, &before, sizeof before);
    must(&r, gemlet_feed(r.session, ids, 1, &r.error)); /* the first goes on */
    rig_close(&r);
}

static void an_arena_holds_many_sessions(void **state) {
    (void)state;
    fill_an_arena(&whole_model, &(gemlet_options){.context = CONTEXT, .chunk = CHUNK, .image_tokens = 70, .sound_seconds = 1}, 3);
    fill_an_arena(&mini, &(gemlet_options){.context = CONTEXT, .chunk = CHUNK, .image_size = 64, .no_sounds = true}, 2);
    fill_an_arena(&small, &text_only, 1);
}

static void a_model_wants_its_arguments(void **state) {
    (void)state;
    static const char model_says[] = "gemlet_model_open: port, path, arena and model must not be NULL";
    static const char session_says[] = "gemlet_session_open: model, arena and session must not be NULL";
    rig r;
    gemlet_model *model = NULL;
    gemlet_session *session = NULL;
    gemlet_arena counting;
    rig_start(&r, &small, &text_only);
    gemlet_arena before = r.arena;
    says(&r, gemlet_model_open(NULL, "m", NULL, &r.arena, &model, &r.error), GEMLET_ERROR_ARGUMENT, model_says);
    says(&r, gemlet_model_open(&r.port, NULL, NULL, &r.arena, &model, &r.error), GEMLET_ERROR_ARGUMENT, model_says);
    says(&r, gemlet_model_open(&r.port, "m", NULL, NULL, &model, &r.error), GEMLET_ERROR_ARGUMENT, model_says);
    says(&r, gemlet_model_open(&r.port, "m", NULL, &r.arena, NULL, &r.error), GEMLET_ERROR_ARGUMENT, model_says);
    says(&r, gemlet_session_open(NULL, NULL, &r.arena, &session, &r.error), GEMLET_ERROR_ARGUMENT, session_says);
    says(&r, gemlet_session_open(r.model, NULL, NULL, &session, &r.error), GEMLET_ERROR_ARGUMENT, session_says);
    says(&r, gemlet_session_open(r.model, NULL, &r.arena, NULL, &r.error), GEMLET_ERROR_ARGUMENT, session_says);
    gemlet_arena_init_counting(&counting);
    model = r.model;
    says(&r, gemlet_model_open(&r.port, "m", NULL, &counting, &model, &r.error), GEMLET_ERROR_ARGUMENT,
         "gemlet_model_open: the arena has no memory; gemlet_plan counts");
    assert_null(model);
    must(&r, gemlet_session_open(r.model, &text_only, &counting, &session, &r.error)); /* counts, and makes nothing */
    assert_null(session);
    assert_true(counting.peak > 0);
    session = r.session;
    assert_int_equal(gemlet_session_open(r.model, &text_only, &r.arena, &session, &r.error), GEMLET_ERROR_MEMORY);
    assert_null(session);
    model = r.model;
    assert_int_equal(gemlet_model_open(&r.port, "m", NULL, &r.arena, &model, &r.error), GEMLET_ERROR_MEMORY);
    assert_null(model);
    assert_memory_equal(&before, &r.arena, sizeof before); /* as before the calls that failed */
    gemlet_facts facts = gemlet_model_facts(r.model);
    assert_int_equal(facts.vocabulary, r.model->config.vocabulary);
    assert_int_equal(facts.layers, 1);
    assert_int_equal(facts.width, 32);
    assert_int_equal(facts.context, 64);
    assert_string_equal(facts.level, gemlet_level_name(r.model->kernels.level));
    assert_ptr_equal(gemlet_model_tokenizer(r.model), &r.model->tokenizer);
    assert_ptr_equal(gemlet_model_chat(r.model), r.model->family->chat);
    gemlet_model_close(NULL);
    rig_close(&r);
}

/* Without its encoders a model takes neither pictures nor sounds, and no memory for them. */
static void senses_can_be_left_out(void **state) {
    (void)state;
    static const uint8_t pixels[4] = {0};
    static const gemlet_image frame = {.format = GEMLET_PIXELS_GREY, .width = 2, .height = 2, .pixels = pixels, .stride = 2};
    static const float silence[1];
    static const gemlet_sound sound = {GEMLET_SAMPLES_F32, silence, 1};
    size_t mapped[4], kept[4], scratch[4], seeing = 0, hearing = 0;
    for (size_t left_out = 0; left_out < 4; left_out++) {
        const bool sees = (left_out & 1) == 0, hears = (left_out & 2) == 0;
        rig r;
        rig_start(&r, &whole_model, &(gemlet_options){.context = 512, .no_images = !sees, .no_sounds = !hears});
        assert_int_equal(gemlet_session_image_facts(r.session).size != 0, sees);
        assert_int_equal(gemlet_session_sound_facts(r.session).soft_tokens != 0, hears);
        assert_int_equal(r.model->hears, hears);
        mapped[left_out] = (size_t)r.model->mapped;
        kept[left_out] = r.arena.kept_peak;
        scratch[left_out] = r.arena.scratch_peak;
        seeing = sees ? gemlet_aligned(r.session->image.run.bytes) : seeing;
        hearing = hears ? gemlet_aligned(r.session->sound.work_bytes) : hearing;
        gemlet_status status = gemlet_feed_image(r.session, &frame, &r.error);
        assert_true(sees ? status != GEMLET_ERROR_UNSUPPORTED : status == GEMLET_ERROR_UNSUPPORTED);
        r.error = (gemlet_error){GEMLET_OK, ""};
        gemlet_session_reset(r.session);
        status = gemlet_feed_sound(r.session, &sound, &r.error);
        assert_true(hears ? status != GEMLET_ERROR_UNSUPPORTED : status == GEMLET_ERROR_UNSUPPORTED);
        rig_close(&r);
    }
    assert_true(mapped[0] > mapped[1] && mapped[0] > mapped[2] && mapped[1] > mapped[3] && mapped[2] > mapped[3]);
    assert_int_equal(mapped[0] - mapped[1], mapped[2] - mapped[3]);
    assert_true(kept[0] > kept[1] && kept[0] > kept[2] && kept[1] > kept[3] && kept[2] > kept[3]);
    assert_int_equal(scratch[0], gemlet_larger(scratch[3], gemlet_larger(seeing, hearing))); /* one memory for all */
    assert_int_equal(scratch[1], gemlet_larger(scratch[3], hearing));
    assert_int_equal(scratch[2], gemlet_larger(scratch[3], seeing));
    assert_true(scratch[0] >= scratch[1] && scratch[0] >= scratch[2] && scratch[3] <= scratch[1] && scratch[3] <= scratch[2]);
}

/* Where a key's number is in a packed file. */
static unsigned char *value_of(unsigned char *bytes, size_t size, const char *key) {
    const size_t length = strlen(key);
    for (size_t at = 0; at + length + 8 <= size; at++) {
        if (memcmp(bytes + at, key, length) == 0) {
            return bytes + at + length + 4; /* behind its type */
        }
    }
    fail_msg("no key %s", key);
    return NULL;
}

static size_t no_threads(void *context) {
    (void)context;
    return 0;
}

static void a_port_without_threads_has_one(void **state) {
    (void)state;
    rig r;
    rig_init(&r, small.bytes, small.size, &text_only);
    size_t bytes = rig_plan(&r);
    r.port.thread_count = no_threads;
    must(&r, rig_open(&r, bytes, 0xA5));
    assert_int_equal(r.session->decoder.threads, 1);
    rig_close(&r);
}

/* Gemma 3n fills a sound up with the embedding of its last id. */
static void sounds_are_filled_up_with_the_last_id(void **state) {
    (void)state;
    rig r;
    rig_start(&r, &mini, &(gemlet_options){.context = CONTEXT, .chunk = CHUNK, .image_size = 64, .sound_seconds = 1});
    const gemlet_model *m = r.model;
    assert_true(m->config.audio_count > 1);
    assert_ptr_equal(r.session->sound.padding, m->weights.audio_embedding + (size_t)(m->config.audio_count - 1) * m->config.width);
    rig_close(&r);
}

/* A family may hear where the file was packed without. */
static void models_without_ears_do_not_hear(void **state) {
    (void)state;
    static const float silence[1];
    static const char key[] = "audio.block_count";
    const gemlet_options options = {.context = 64, .no_images = true};
    unsigned char *bytes = aligned_alloc(GEMLET_ALIGNMENT, (whole_model.size + 63) / 64 * 64);
    assert_non_null(bytes);
    memcpy(bytes, whole_model.bytes, whole_model.size);
    value_of(bytes, whole_model.size, key)[-5] ^= 1; /* another key's name */
    forge_header(bytes, whole_model.size);
    rig r;
    rig_init(&r, bytes, whole_model.size, &options);
    must(&r, rig_open(&r, rig_plan(&r), 0xA5));
    assert_non_null(r.model->family->sounds);
    assert_false(r.model->hears || r.session->hears);
    assert_int_equal(gemlet_feed_sound(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, silence, 1}, &r.error),
                     GEMLET_ERROR_UNSUPPORTED);
    rig_close(&r);
    free(bytes);
}

/* What is fed around pictures and sounds has an embedding, to the last one. */
static void ids_have_embeddings(void **state) {
    (void)state;
    static const char *const keys[] = {"gemlet.vision.begin_token_id", "gemlet.vision.end_token_id", "gemlet.audio.begin_token_id",
                                       "gemlet.audio.end_token_id"};
    const gemlet_options options = {.context = 64, .sound_seconds = 1};
    rig r;
    rig_start(&r, &whole_model, &options);
    const uint32_t vocabulary = r.model->config.vocabulary;
    const size_t arena_bytes = r.arena_bytes;
    rig_close(&r);
    unsigned char *bytes = aligned_alloc(GEMLET_ALIGNMENT, (whole_model.size + 63) / 64 * 64);
    assert_non_null(bytes);
    for (size_t i = 0; i < 4; i++) {
        for (uint32_t beyond = 0; beyond < 2; beyond++) {
            const uint32_t id = vocabulary - 1 + beyond;
            char message[GEMLET_MESSAGE_BYTES];
            memcpy(bytes, whole_model.bytes, whole_model.size);
            memcpy(value_of(bytes, whole_model.size, keys[i]), &id, sizeof id);
            forge_header(bytes, whole_model.size);
            rig_init(&r, bytes, whole_model.size, &options);
            gemlet_status status = rig_open(&r, arena_bytes, 0xA5);
            snprintf(message, sizeof message,
                     "model: token ids must be below %u, the rows of tensor \"token_embd.weight\", but %s has %u",
                     (unsigned)vocabulary, keys[i], (unsigned)id);
            assert_int_equal(status, beyond == 0 ? GEMLET_OK : GEMLET_ERROR_FORMAT);
            assert_true(beyond == 0 || strcmp(r.error.message, message) == 0);
            if (status == GEMLET_OK) { /* else nothing is open */
                rig_close(&r);
            }
        }
    }
    free(bytes);
}

static void levels_are_limited(void **state) {
    (void)state;
    for (uint32_t limit = 0; limit <= 4; limit++) {
        rig r;
        gemlet_options options = text_only;
        options.level_limit = limit;
        rig_start(&r, &small, &options);
        gemlet_level best = gemlet_level_for(r.port.cpu_features(r.port.context));
        gemlet_level wanted = limit == 0 || best + 1u < limit ? best : (gemlet_level)(limit - 1);
        assert_string_equal(gemlet_model_facts(r.model).level, gemlet_level_name(wanted));
        rig_close(&r);
    }
}

/* ---- Feeding ---- */

static void however_it_is_cut(void **state) {
    (void)state;
    static const packed_file *const files[] = {&small, &whole_model};
    for (int variant = 0; variant < 4; variant++) {
        rig whole, parts;
        gemlet_options options = text_only;
        options.cache = variant % 2 == 1 ? GEMLET_CACHE_S8 : GEMLET_CACHE_F16;
        rig_start(&whole, files[variant / 2], &options);
        rig_start(&parts, files[variant / 2], &options);
        must(&whole, gemlet_feed(whole.session, ids, 29, &whole.error));
        for (size_t i = 0; i < 29; i += i % 5 + 1) {
            must(&parts, gemlet_feed(parts.session, ids + i, gemlet_smaller(i % 5 + 1, 29 - i), &parts.error));
        }
        assert_int_equal(gemlet_session_length(whole.session), 29);
        assert_int_equal(gemlet_session_capacity(whole.session), CONTEXT);
        assert_states(&whole, &parts);
        rig_close(&whole);
        rig_close(&parts);
    }
}

typedef struct rows {
    size_t count, vocabulary;
    float logits[24][RIG_VOCABULARY_MOST];
} rows;

static void keep_row(void *context, size_t index, const float *logits, size_t count) {
    rows *all = context;
    assert_int_equal(index, all->count);
    memcpy(all->logits[all->count++], logits, count * sizeof *logits);
    all->vocabulary = count;
}

static void each_row_is_that_of_its_token(void **state) {
    (void)state;
    rig r;
    static rows all;
    const float *logits = NULL;
    size_t count = 0;
    all.count = 0;
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_feed_with_logits(r.session, ids, 21, keep_row, &all, &r.error));
    assert_int_equal(all.count, 21);
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    assert_int_equal(count, r.model->config.vocabulary);
    assert_int_equal(all.vocabulary, count);
    assert_memory_equal(logits, all.logits[20], count * sizeof *logits);
    gemlet_session_reset(r.session);
    assert_int_equal(gemlet_session_length(r.session), 0);
    for (size_t i = 0; i < 21; i++) {
        must(&r, gemlet_feed(r.session, ids + i, 1, &r.error));
        must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
        assert_memory_equal(logits, all.logits[i], count * sizeof *logits);
    }
    rig_close(&r);
}

static void full_is_full(void **state) {
    (void)state;
    static float soft[(CONTEXT + 1) * 64];
    rig r;
    rig_start(&r, &small, &text_only);
    says(&r, gemlet_feed(r.session, ids, CONTEXT + 1, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 41 tokens to feed, but room for 40 of 40");
    says(&r, gemlet_feed_embeddings(r.session, soft, CONTEXT + 1, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 41 tokens to feed, but room for 40 of 40");
    must(&r, gemlet_feed(r.session, ids, CONTEXT - 1, &r.error));
    saved_state before = rig_save(&r);
    says(&r, gemlet_feed_with_logits(r.session, ids, 2, keep_row, NULL, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 2 tokens to feed, but room for 1 of 40");
    says(&r, gemlet_feed_text(r.session, "abcdefgh", 8, false, &r.error), GEMLET_ERROR_CONTEXT, r.error.message);
    assert_state(&r, &before);
    must(&r, gemlet_feed(r.session, ids, 1, &r.error));
    says(&r, gemlet_feed(r.session, ids, 1, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 1 tokens to feed, but room for 0 of 40");
    must(&r, gemlet_feed(r.session, ids, 0, &r.error));
    gemlet_session_reset(r.session);
    must(&r, gemlet_feed_embeddings(r.session, soft, CONTEXT, &r.error));
    assert_int_equal(gemlet_session_length(r.session), CONTEXT);
    for (size_t i = 0; i < CONTEXT; i++) {
        assert_int_equal(r.session->history[i], GEMLET_SOFT_TOKEN);
    }
    free(before.bytes);
    rig_close(&r);
}

static void what_is_no_input_is_said(void **state) {
    (void)state;
    rig r;
    const float *logits = NULL;
    size_t count = 0;
    char expected[96];
    rig_start(&r, &small, &text_only);
    says(&r, gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE,
         "there are no logits: feed at least one token first");
    says(&r, gemlet_feed(r.session, NULL, 1, &r.error), GEMLET_ERROR_ARGUMENT, "tokens must not be NULL");
    says(&r, gemlet_feed_embeddings(r.session, NULL, 1, &r.error), GEMLET_ERROR_ARGUMENT, "embeddings must not be NULL");
    says(&r, gemlet_feed_text(r.session, NULL, 1, true, &r.error), GEMLET_ERROR_ARGUMENT, "text must not be NULL");
    for (size_t wrong = 0; wrong < 3; wrong++) {
        uint32_t tokens[3] = {1, 1, 1};
        tokens[wrong] = r.model->config.vocabulary;
        snprintf(expected, sizeof expected, "token ids must be below %u but number %zu is %u", (unsigned)tokens[wrong], wrong,
                 (unsigned)tokens[wrong]);
        says(&r, gemlet_feed(r.session, tokens, 3, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    }
    must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    gemlet_session_reset(r.session);
    assert_int_equal(r.session->length + r.session->written, 0);
    says(&r, gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE,
         "there are no logits: feed at least one token first");
    must(&r, gemlet_feed(r.session, NULL, 0, &r.error));
    must(&r, gemlet_feed_embeddings(r.session, NULL, 0, &r.error));
    uint32_t vocabulary = r.model->config.vocabulary, some[3] = {1, vocabulary, 2};
    snprintf(expected, sizeof expected, "token ids must be below %u but number 1 is %u", (unsigned)vocabulary,
             (unsigned)vocabulary);
    says(&r, gemlet_feed(r.session, some, 3, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    some[1] = vocabulary - 1;
    must(&r, gemlet_feed(r.session, some, 3, &r.error));
    says(&r, gemlet_session_rewind(r.session, 4, &r.error), GEMLET_ERROR_ARGUMENT, "can't rewind to the first 4 positions of 3");
    must(&r, gemlet_session_rewind(r.session, 3, &r.error));
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    must(&r, gemlet_session_rewind(r.session, 2, &r.error));
    assert_int_equal(gemlet_logits(r.session, &logits, &count, &r.error), GEMLET_ERROR_STATE);
    assert_int_equal(r.session->written, 3);
    must(&r, gemlet_session_rewind(r.session, 0, &r.error));
    assert_int_equal(r.session->written, 0);
    must(&r, gemlet_feed(r.session, ids, CONTEXT, &r.error));
    says(&r, gemlet_session_rewind(r.session, 1, &r.error), GEMLET_ERROR_STATE,
         "the sliding windows no longer hold what that position sees: reset instead");
    must(&r, gemlet_session_rewind(r.session, CONTEXT - 1, &r.error));
    rig_close(&r);
}

static void a_prompt_keeps_what_is_there(void **state) {
    (void)state;
    static const size_t counts[] = {1, 5, 12, 20, CONTEXT};
    rig r, fresh;
    rig_start(&r, &small, &text_only);
    rig_start(&fresh, &small, &text_only);
    for (size_t i = 0; i < 5; i++) {
        for (size_t same = 0; same <= counts[i] && same <= 15; same++) { /* how many of its tokens stand there already */
            uint32_t other[CONTEXT];
            size_t kept = SIZE_MAX, before = same + 3;
            memcpy(other, ids, sizeof other);
            for (size_t k = same; k < before; k++) {
                other[k] = ids[k] ^ 1;
            }
            gemlet_session_reset(r.session);
            gemlet_session_reset(fresh.session);
            must(&r, gemlet_feed(r.session, other, before, &r.error));
            must(&r, gemlet_feed_prompt(r.session, ids, counts[i], i % 2 == 0 ? &kept : NULL, &r.error));
            must(&fresh, gemlet_feed(fresh.session, ids, counts[i], &fresh.error));
            assert_true(i % 2 != 0 || kept == (same == counts[i] ? same - 1 : same));
            assert_int_equal(gemlet_session_length(r.session), counts[i]);
            assert_memory_equal(r.session->decoder.logits, fresh.session->decoder.logits,
                                r.model->config.vocabulary * sizeof(float));
            assert_memory_equal(r.session->history, ids, counts[i] * sizeof *ids);
        }
    }
    size_t kept = 0;
    must(&r, gemlet_feed_prompt(r.session, ids, CONTEXT, &kept, &r.error)); /* the same again: its last token alone */
    assert_int_equal(kept, CONTEXT - 1);
    must(&r, gemlet_feed_prompt(r.session, ids, 2, &kept, &r.error)); /* beyond what the windows hold: from the start */
    assert_int_equal(kept, 0);
    must(&r, gemlet_feed(r.session, ids + 2, 20, &r.error));
    saved_state before = rig_save(&r);
    kept = 77;
    says(&r, gemlet_feed_prompt(r.session, ids, CONTEXT + 1, &kept, &r.error), GEMLET_ERROR_CONTEXT,
         "the context is full: 19 tokens to feed, but room for 18 of 40");
    says(&r, gemlet_feed_prompt(r.session, NULL, 1, &kept, &r.error), GEMLET_ERROR_ARGUMENT, "tokens must not be NULL");
    assert_int_equal(kept, 77);
    assert_state(&r, &before);
    must(&r, gemlet_feed_prompt(r.session, NULL, 0, &kept, &r.error));
    assert_int_equal(kept, 0);
    assert_int_equal(gemlet_session_length(r.session), 0);
    free(before.bytes);
    rig_close(&r);
    rig_close(&fresh);
}

/* ---- Text ---- */

static void text_is_its_tokens(void **state) {
    (void)state;
    static const char *const texts[] = {"a", "some words of text, longer than", "<start_of_turn>x\n\n", ""};
    for (size_t i = 0; i < 8; i++) {
        uint32_t wanted[256];
        bool special = i % 2 == 1;
        rig text, tokens;
        gemlet_options options = {.context = 64, .chunk = CHUNK, .no_images = true};
        rig_start(&text, &small, &options);
        rig_start(&tokens, &small, &options);
        wanted[0] = gemlet_tokenizer_special(&tokens.model->tokenizer, GEMLET_SPECIAL_BOS);
        for (int again = 0; again < 2; again++) {
            size_t begin = again == 0 ? 1 : 0; /* <bos> stands before the first text alone */
            size_t count = tokens_of(&tokens, texts[i / 2], special, wanted + 1);
            size_t room = gemlet_session_capacity(text.session) - gemlet_session_length(text.session);
            if (count + begin > room) {
                continue;
            }
            must(&text, gemlet_feed_text(text.session, texts[i / 2], strlen(texts[i / 2]), special, &text.error));
            must(&tokens, gemlet_feed(tokens.session, wanted + 1 - begin, count + begin, &tokens.error));
            assert_states(&text, &tokens);
        }
        rig_close(&text);
        rig_close(&tokens);
    }
}

static void text_fits_to_the_last_token(void **state) {
    (void)state;
    static const char text[] = "words of which each is some tokens";
    uint32_t wanted[256];
    rig r;
    gemlet_options options = {.context = 64, .chunk = CHUNK, .no_images = true};
    rig_start(&r, &small, &options);
    size_t count = tokens_of(&r, text, false, wanted);
    assert_in_range(count, 2, 60);
    rig_close(&r);
    for (uint32_t missing = 0; missing < 2; missing++) {
        char expected[96];
        options.context = (uint32_t)count + 1 - missing;
        rig_start(&r, &small, &options);
        gemlet_status status = gemlet_feed_text(r.session, text, strlen(text), false, &r.error);
        if (missing == 0) {
            must(&r, status);
            assert_int_equal(gemlet_session_length(r.session), count + 1);
        } else {
            snprintf(expected, sizeof expected, "the context is full: %zu tokens to feed, but room for %zu of %zu", count + 1,
                     count, count);
            says(&r, status, GEMLET_ERROR_CONTEXT, expected);
            assert_int_equal(gemlet_session_length(r.session), 0);
        }
        rig_close(&r);
    }
}

/* ---- Progress ---- */

static void progress_counts_the_whole(void **state) {
    (void)state;
    rig r;
    uint32_t wanted[256];
    steps s = {.count = 0};
    rig_start(&r, &small, &text_only);
    gemlet_session_on_progress(r.session, count_step, &s);
    must(&r, gemlet_feed(r.session, ids, 20, &r.error));
    assert_int_equal(s.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(s.done[i], i < 2 ? CHUNK * (i + 1) : 20);
        assert_int_equal(s.total[i], 20);
    }
    s = (steps){.session = r.session};
    static const char text[] = "text of two chunks";
    size_t count = tokens_of(&r, text, false, wanted);
    assert_in_range(count, CHUNK + 1, 20);
    must(&r, gemlet_feed_text(r.session, text, strlen(text), false, &r.error));
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.total[i], count);
        assert_int_equal(s.done[i], i + 1 < s.count ? CHUNK * (i + 1) : count);
    }
    s = (steps){.cancel_at = 2};
    gemlet_session_reset(r.session);
    says(&r, gemlet_feed(r.session, ids, 20, &r.error), GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    assert_int_equal(gemlet_session_length(r.session), 2 * CHUNK);
    assert_false(r.session->has_logits);
    s = (steps){.cancel_at = 1};
    must(&r, gemlet_feed(r.session, ids, 4, &r.error)); /* too late to be cancelled */
    assert_true(r.session->has_logits);
    rig_close(&r);
}

/* ---- Sliding ---- */

static void slides_forget_the_middle(void **state) {
    (void)state;
    static const size_t keeps[] = {0, 1, 7, 30}, recents[] = {1, 2, 9};
    rig r, fresh;
    rig_start(&r, &small, &text_only);
    rig_start(&fresh, &small, &text_only);
    for (size_t i = 0; i < 12; i++) {
        size_t keep = keeps[i / 3], recent = recents[i % 3];
        uint32_t expected[CONTEXT];
        memcpy(expected, ids, keep * sizeof *ids);
        memcpy(expected + keep, ids + CONTEXT - recent, recent * sizeof *ids);
        gemlet_session_reset(r.session);
        gemlet_session_reset(fresh.session);
        must(&r, gemlet_feed(r.session, ids, CONTEXT, &r.error));
        must(&r, gemlet_session_slide(r.session, keep, recent, &r.error));
        must(&fresh, gemlet_feed(fresh.session, expected, keep + recent, &fresh.error));
        assert_int_equal(gemlet_session_length(r.session), keep + recent);
        assert_memory_equal(r.session->history, expected, (keep + recent) * sizeof *expected);
        assert_memory_equal(r.session->decoder.logits, fresh.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
    }
    rig_close(&r);
    rig_close(&fresh);
}

/* Also where there is nothing to forget: the logits are those of the last token. */
static void slides_make_logits(void **state) {
    (void)state;
    rig r, fresh;
    const float *logits = NULL, *expected = NULL;
    size_t count = 0;
    rig_start(&r, &small, &text_only);
    rig_start(&fresh, &small, &text_only);
    must(&fresh, gemlet_feed(fresh.session, ids, 8, &fresh.error));
    must(&fresh, gemlet_logits(fresh.session, &expected, &count, &fresh.error));
    for (size_t keep = 0; keep < 8; keep++) {
        must(&r, gemlet_feed(r.session, ids + r.session->length, 10 - r.session->length, &r.error));
        must(&r, gemlet_session_rewind(r.session, 8, &r.error));
        must(&r, gemlet_session_slide(r.session, keep, 8 - keep, &r.error));
        must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
        assert_int_equal(gemlet_session_length(r.session), 8);
        assert_memory_equal(logits, expected, count * sizeof *logits);
    }
    rig_close(&r);
    rig_close(&fresh);
}

static void slides_that_cannot_be_are_named(void **state) {
    (void)state;
    static const float soft[64];
    rig r;
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_feed(r.session, ids, 19, &r.error));
    must(&r, gemlet_feed_embeddings(r.session, soft, 1, &r.error));
    must(&r, gemlet_feed(r.session, ids, 10, &r.error)); /* 19 is no token */
    saved_state before = rig_save(&r);
    says(&r, gemlet_session_slide(r.session, 5, 0, &r.error), GEMLET_ERROR_ARGUMENT,
         "can't keep the first 5 positions and the last 0 (at least 1) of 30");
    says(&r, gemlet_session_slide(r.session, 5, 26, &r.error), GEMLET_ERROR_ARGUMENT,
         "can't keep the first 5 positions and the last 26 (at least 1) of 30");
    says(&r, gemlet_session_slide(r.session, 31, 1, &r.error), GEMLET_ERROR_ARGUMENT,
         "can't keep the first 31 positions and the last 1 (at least 1) of 30");
    must(&r, gemlet_session_slide(r.session, 5, 25, &r.error)); /* nothing to forget */
    must(&r, gemlet_session_slide(r.session, 29, 1, &r.error));
    says(&r, gemlet_session_slide(r.session, 5, 11, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "position 19 would have to be computed again, but is no token: a soft token of an image or a sound");
    assert_state(&r, &before);
    must(&r, gemlet_session_slide(r.session, 22, 7, &r.error)); /* what is kept is not computed again */
    assert_int_equal(gemlet_session_length(r.session), 29);
    gemlet_session_reset(r.session);
    must(&r, gemlet_feed_embeddings(r.session, soft, 1, &r.error));
    must(&r, gemlet_feed(r.session, ids, 38, &r.error));
    says(&r, gemlet_session_slide(r.session, 1, 9, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "position 0 would have to be computed again, but is no token: a soft token of an image or a sound");
    rig_restore(&r, &before);
    r.session->history[20] = r.model->config.vocabulary; /* as a saved session may bring along */
    says(&r, gemlet_session_slide(r.session, 5, 10, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "position 20 would have to be computed again, but is no token: a soft token of an image or a sound");
    free(before.bytes);
    rig_close(&r);
}

/* ---- Sampling ---- */

static void sampling_asks_the_session(void **state) {
    (void)state;
    static _Alignas(8) unsigned char scratch[1 << 16];
    rig r;
    gemlet_sampler sampler;
    uint32_t token = 0, best = 0;
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.temperature = 0.0f;
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_sampler_open(&sampler, &settings, r.model->config.vocabulary, scratch, sizeof scratch, &r.error));
    says(&r, gemlet_sampler_next(&sampler, r.session, &token, &r.error), GEMLET_ERROR_STATE,
         "there are no logits: feed at least one token first");
    must(&r, gemlet_feed(r.session, ids, 3, &r.error));
    must(&r, gemlet_sampler_next(&sampler, r.session, &token, &r.error));
    for (uint32_t i = 1; i < r.model->config.vocabulary; i++) {
        best = r.session->decoder.logits[i] > r.session->decoder.logits[best] ? i : best;
    }
    assert_int_equal(token, best);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults_and_bounds),
        cmocka_unit_test(a_plan_is_what_the_arena_holds),
        cmocka_unit_test(an_arena_holds_many_sessions),
        cmocka_unit_test(a_model_wants_its_arguments),
        cmocka_unit_test(ids_have_embeddings),
        cmocka_unit_test(levels_are_limited),
        cmocka_unit_test(however_it_is_cut),
        cmocka_unit_test(each_row_is_that_of_its_token),
        cmocka_unit_test(full_is_full),
        cmocka_unit_test(what_is_no_input_is_said),
        cmocka_unit_test(a_prompt_keeps_what_is_there),
        cmocka_unit_test(text_is_its_tokens),
        cmocka_unit_test(text_fits_to_the_last_token),
        cmocka_unit_test(progress_counts_the_whole),
        cmocka_unit_test(slides_forget_the_middle),
        cmocka_unit_test(slides_make_logits),
        cmocka_unit_test(slides_that_cannot_be_are_named),
        cmocka_unit_test(a_port_without_threads_has_one),
        cmocka_unit_test(models_without_ears_do_not_hear),
        cmocka_unit_test(sounds_are_filled_up_with_the_last_id),
        cmocka_unit_test(sampling_asks_the_session),
        cmocka_unit_test(senses_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, make_sessions, end_sessions);
}
