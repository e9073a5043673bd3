/* What a session answers, to the bit and to the letter: every bound from both sides, every message whole, and each way of feeding
 * against the same fed by hand.  Small enough that tests/proof/mutate.py can run it on every mutant. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carver.h"
#include "core/crc32.h"
#include "tests/container/forge.h"
#include "tests/robust/rig.h"
#include <gemlet/sampler.h>
#include <gemlet/sound.h>

enum { CONTEXT = 40, CHUNK = 8, SAMPLES = 5000 };

static uint32_t ids[CONTEXT + 1];
static packed_file whole_model; /* Gemma 4 with its encoders of pictures and sounds */
static const gemlet_options text_only = {.context = CONTEXT, .chunk = CHUNK, .no_images = true};

static void must(const rig *r, gemlet_status status) {
    if (status != GEMLET_OK) {
        fail_msg("%s", r->error.message);
    }
}

static void says(rig *r, gemlet_status status, gemlet_status expected, const char *message) {
    assert_int_equal(status, expected);
    assert_int_equal(r->error.status, expected);
    assert_string_equal(r->error.message, message);
    r->error = (gemlet_error){GEMLET_OK, ""};
}

static void assert_states(rig *a, rig *b) {
    saved_state first = rig_save(a), second = rig_save(b);
    assert_same_state(&first, &second);
    free(first.bytes);
    free(second.bytes);
}

static void assert_unchanged(rig *r, const saved_state *before) {
    saved_state now = rig_save(r);
    assert_same_state(&now, before);
    free(now.bytes);
}

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

static void ignore_row(void *context, size_t index, const float *logits, size_t count) {
    (void)context;
    (void)index;
    (void)logits;
    (void)count;
}

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
    assert_unchanged(&r, &before);
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
    says(&r, gemlet_session_rewind(r.session, 4, &r.error), GEMLET_ERROR_ARGUMENT, "can't rewind forward");
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
    assert_unchanged(&r, &before);
    must(&r, gemlet_feed_prompt(r.session, NULL, 0, &kept, &r.error));
    assert_int_equal(kept, 0);
    assert_int_equal(gemlet_session_length(r.session), 0);
    free(before.bytes);
    rig_close(&r);
    rig_close(&fresh);
}

/* ---- Text ---- */

static gemlet_status keep_ids(void *context, const uint32_t *tokens, size_t count) {
    uint32_t **to = context;
    memcpy(*to, tokens, count * sizeof *tokens);
    *to += count;
    return GEMLET_OK;
}

static size_t tokens_of(rig *r, const char *text, bool special, uint32_t *out) {
    static _Alignas(8) unsigned char scratch[GEMLET_ENCODER_BYTES];
    gemlet_encoder encoder;
    uint32_t *to = out;
    must(r, gemlet_encoder_begin(&encoder, &r->model->tokenizer, special ? GEMLET_TEXT_SPECIAL : GEMLET_TEXT_PLAIN, scratch,
                                 sizeof scratch, keep_ids, &to, &r->error));
    must(r, gemlet_encoder_feed(&encoder, text, strlen(text), &r->error));
    must(r, gemlet_encoder_finish(&encoder, &r->error));
    return (size_t)(to - out);
}

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

typedef struct steps {
    size_t count, cancel_at;
    size_t done[64], total[64];
    const gemlet_session *session; /* or NULL: whose tokens that wait must be no more than a chunk */
} steps;

static bool count_step(void *context, size_t done, size_t total) {
    steps *s = context;
    assert_true(s->session == NULL || s->session->pending_count <= s->session->decoder.chunk);
    s->done[s->count] = done;
    s->total[s->count] = total;
    s->count++;
    return s->count != s->cancel_at;
}

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
         "position 19 would have to be computed again, but is no token: a soft token of an image");
    assert_unchanged(&r, &before);
    must(&r, gemlet_session_slide(r.session, 22, 7, &r.error)); /* what is kept is not computed again */
    assert_int_equal(gemlet_session_length(r.session), 29);
    gemlet_session_reset(r.session);
    must(&r, gemlet_feed_embeddings(r.session, soft, 1, &r.error));
    must(&r, gemlet_feed(r.session, ids, 38, &r.error));
    says(&r, gemlet_session_slide(r.session, 1, 9, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "position 0 would have to be computed again, but is no token: a soft token of an image");
    rig_restore(&r, &before);
    r.session->history[20] = r.model->config.vocabulary; /* as a saved session may bring along */
    says(&r, gemlet_session_slide(r.session, 5, 10, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "position 20 would have to be computed again, but is no token: a soft token of an image");
    free(before.bytes);
    rig_close(&r);
}

/* ---- State ---- */

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
    assert_unchanged(r, &before);
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

/* ---- Images ---- */

/* What feeds an image, by hand. */
static void splice(rig *r, const gemlet_splice *around, const char *before, uint32_t begin, const float *soft, size_t count,
                   uint32_t end) {
    must(r, gemlet_feed_text(r->session, before, strlen(before), false, &r->error));
    must(r, gemlet_feed(r->session, &begin, 1, &r->error));
    must(r, gemlet_feed_embeddings(r->session, soft, count, &r->error));
    must(r, gemlet_feed(r->session, &end, 1, &r->error));
    must(r, gemlet_feed_text(r->session, around->after, strlen(around->after), false, &r->error));
}

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
         "the soft tokens of an image, which see each other, must be at most 8 but are 9");
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
    for (size_t i = 0; i < 3; i++) {
        const gemlet_clip_frame bad[] = {{frame, 359999.0}, {frame, wrong[i]}, {frame, 1.0}};
        says(&r, gemlet_feed_clip(r.session, bad, 2, &r.error), GEMLET_ERROR_ARGUMENT,
             "the seconds of a frame must be from 0 to 360000; those of number 1 are not");
        says(&r, gemlet_feed_clip(r.session, bad + 1, 2, &r.error), GEMLET_ERROR_ARGUMENT,
             "the seconds of a frame must be from 0 to 360000; those of number 0 are not");
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
    assert_unchanged(&r, &before);
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

/* ---- Choices ---- */

enum { CHOICES = 7 };

/* The log-softmax of one token. */
static double logprob_of(rig *r, uint32_t token) {
    const float *logits = NULL;
    size_t count = 0;
    double sum = 0.0;
    must(r, gemlet_logits(r->session, &logits, &count, &r->error));
    for (size_t i = 0; i < count; i++) {
        sum += exp((double)logits[i]);
    }
    return (double)logits[token] - log(sum);
}

static void count_up(rig *r, const gemlet_choice *choice, double *logprob) {
    size_t before = gemlet_session_length(r->session);
    *logprob = 0.0;
    for (size_t i = 0; i < choice->count; i++) {
        *logprob += logprob_of(r, choice->tokens[i]);
        must(r, gemlet_feed(r->session, &choice->tokens[i], 1, &r->error));
    }
    must(r, gemlet_session_rewind(r->session, before - 1, &r->error));
    must(r, gemlet_feed(r->session, &ids[before - 1], 1, &r->error));
}

typedef struct told_steps {
    size_t calls, last, total;
} told_steps;

static bool tell_steps(void *context, size_t done, size_t total) {
    told_steps *told = context;
    told->calls++;
    told->last = done;
    told->total = total;
    return true;
}

/* As if each were said alone, in any order; what they share is computed once. */
static void choices_are_as_likely_as_said(void **state) {
    (void)state;
    static const uint32_t tokens[] = {9, 8, 7, 6, 5}, other[] = {9, 8, 3}, third[] = {4, 9};
    const gemlet_choice choices[CHOICES] = {{tokens, 5}, {other, 3}, {tokens, 2}, {third, 2}, {tokens, 1}, {other, 3}, {third, 1}};
    static _Alignas(8) unsigned char scratch[4096];
    double wanted[CHOICES], found[CHOICES];
    rig r;
    told_steps told = {0, 0, 0};
    rig_start(&r, &small, &text_only);
    must(&r, gemlet_feed(r.session, ids, 6, &r.error));
    for (size_t i = 0; i < CHOICES; i++) {
        count_up(&r, &choices[i], &wanted[i]);
    }
    size_t bytes = gemlet_choose_bytes(r.session, CHOICES);
    assert_true(bytes <= sizeof scratch);
    const float *logits = NULL;
    size_t count = 0;
    static float before[RIG_VOCABULARY_MOST];
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    memcpy(before, logits, count * sizeof *before);
    gemlet_session_on_progress(r.session, tell_steps, &told);
    must(&r, gemlet_choose(r.session, choices, CHOICES, found, scratch, bytes, &r.error));
    assert_int_equal(gemlet_session_length(r.session), 6);
    must(&r, gemlet_logits(r.session, &logits, &count, &r.error));
    assert_memory_equal(before, logits, count * sizeof *before);
    for (size_t i = 0; i < CHOICES; i++) {
        assert_true(fabs(found[i] - wanted[i]) < 1e-5);
    }
    /* 9 8 7 6 and 4: all that stands before a last token. */
    assert_int_equal(told.total, 5);
    assert_true(told.last <= 5);
    told = (told_steps){0, 0, 0};
    must(&r, gemlet_choose(r.session, choices, 1, found, scratch, bytes, &r.error));
    assert_true(fabs(found[0] - wanted[0]) < 1e-5);
    assert_int_equal(told.total, 4);
    rig_close(&r);
}

static void choose_says(rig *r, const gemlet_choice *choice, gemlet_status expected, const char *message) {
    static _Alignas(8) unsigned char scratch[4096 + 64];
    double found = 0.0;
    const size_t bytes = gemlet_choose_bytes(r->session, 1);
    memset(scratch, 0xA5, sizeof scratch);
    if (expected == GEMLET_OK) {
        must(r, gemlet_choose(r->session, choice, 1, &found, scratch, bytes, &r->error));
        assert_true(found < 0.0);
    } else {
        saved_state before = rig_save(r);
        says(r, gemlet_choose(r->session, choice, 1, &found, scratch, bytes, &r->error), expected, message);
        assert_unchanged(r, &before);
        free(before.bytes);
    }
    for (size_t i = bytes; i < bytes + 64; i++) {
        assert_int_equal(scratch[i], 0xA5);
    }
}

static void choices_that_cannot_be_are_named(void **state) {
    (void)state;
    static _Alignas(8) unsigned char scratch[4096];
    rig r;
    double found[2];
    char message[GEMLET_MESSAGE_BYTES];
    rig_start(&r, &small, &text_only);
    const uint32_t vocabulary = r.model->config.vocabulary;
    const size_t bytes = gemlet_choose_bytes(r.session, 2);
    assert_int_equal(bytes, 2 * sizeof(size_t) + vocabulary * sizeof(float));
    uint32_t tokens[CONTEXT] = {1, 2, 3};
    const gemlet_choice one = {tokens, 3}, none = {tokens, 0}, nothing = {NULL, 1}, two[2] = {one, {tokens, 1}};
    says(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes, &r.error), GEMLET_ERROR_STATE,
         "there are no logits: feed at least one token first");
    must(&r, gemlet_feed(r.session, ids, 30, &r.error));
    static const char least[] = "there must be at least one choice, and room for its logarithm";
    says(&r, gemlet_choose(r.session, two, 0, found, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    says(&r, gemlet_choose(r.session, NULL, 2, found, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    says(&r, gemlet_choose(r.session, two, 2, NULL, scratch, bytes, &r.error), GEMLET_ERROR_ARGUMENT, least);
    snprintf(message, sizeof message, "the scratch for choices must be aligned like a size_t and have %zu bytes", bytes);
    says(&r, gemlet_choose(r.session, two, 2, found, NULL, bytes, &r.error), GEMLET_ERROR_ARGUMENT, message);
    says(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes - 1, &r.error), GEMLET_ERROR_ARGUMENT, message);
    says(&r, gemlet_choose(r.session, two, 2, found, scratch + 1, bytes, &r.error), GEMLET_ERROR_ARGUMENT, message);
    must(&r, gemlet_choose(r.session, two, 2, found, scratch, bytes, &r.error));
    choose_says(&r, &none, GEMLET_ERROR_ARGUMENT, "choices must have at least one token each");
    choose_says(&r, &nothing, GEMLET_ERROR_ARGUMENT, "choices must have at least one token each");
    for (size_t place = 0; place < 3; place++) {
        const uint32_t kept = tokens[place];
        tokens[place] = vocabulary;
        snprintf(message, sizeof message, "a choice has the token id %u, outside of the vocabulary's %u", vocabulary, vocabulary);
        choose_says(&r, &one, GEMLET_ERROR_ARGUMENT, message);
        tokens[place] = vocabulary - 1;
        choose_says(&r, &one, GEMLET_OK, NULL);
        tokens[place] = kept;
    }
    /* The last token of a choice needs no room. */
    must(&r, gemlet_feed(r.session, ids, CONTEXT - 34, &r.error));
    choose_says(&r, &(gemlet_choice){ids, 5}, GEMLET_OK, NULL);
    gemlet_status status = gemlet_choose(r.session, &(gemlet_choice){ids, 6}, 1, found, scratch, bytes, &r.error);
    assert_int_equal(status, GEMLET_ERROR_CONTEXT);
    rig_close(&r);
}

/* A choice may be as long as the rings can go back over; nothing is to go back to where nothing was fed but its first. */
static void choices_are_as_long_as_rings_go_back(void **state) {
    (void)state;
    static _Alignas(8) unsigned char scratch[4096];
    static const gemlet_options short_chunks = {.context = CONTEXT, .chunk = 1, .no_images = true};
    rig r;
    double found;
    size_t longest = 0;
    rig_start(&r, &small, &short_chunks);
    const size_t bytes = gemlet_choose_bytes(r.session, 1), window = r.model->config.kinds[GEMLET_LOCAL_LAYER].window,
                 slots = window + 1;
    assert_in_range(slots, 2, CONTEXT - 1);
    for (size_t length = 1; length < CONTEXT; length++) {
        gemlet_session_reset(r.session);
        must(&r, gemlet_feed(r.session, ids, length, &r.error));
        for (size_t count = 1; length + count - 1 <= CONTEXT && count < CONTEXT; count++) {
            size_t behind = length + count - 1, oldest = behind > slots ? behind - slots : 0,
                   needed = length >= window ? length - window + 1 : 0;
            gemlet_status status = gemlet_choose(r.session, &(gemlet_choice){ids, count}, 1, &found, scratch, bytes, &r.error);
            if (needed >= oldest) {
                must(&r, status);
                longest = count > longest ? count : longest;
            } else {
                char message[GEMLET_MESSAGE_BYTES];
                snprintf(message, sizeof message, "a choice of %zu tokens is longer than the sliding windows can go back behind",
                         count);
                says(&r, status, GEMLET_ERROR_ARGUMENT, message);
            }
            gemlet_session_reset(r.session);
            must(&r, gemlet_feed(r.session, ids, length, &r.error));
        }
    }
    assert_true(longest > 1);
    rig_close(&r);
}

/* ---- Sounds ---- */

static int16_t samples[32000];
static float reals[16001];

static void a_sound_is_spliced(void **state) {
    (void)state;
    gemlet_options options = {.context = 64, .chunk = 8, .no_images = true, .sound_seconds = 1};
    rig r, hand;
    rig_start(&r, &whole_model, &options);
    rig_start(&hand, &whole_model, &options);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, SAMPLES}, same = {GEMLET_SAMPLES_F32, reals, SAMPLES};
    const float *soft = NULL;
    size_t count = 0, heard = 0, width = hand.model->config.width;
    const gemlet_splice *around = &gemlet_model_chat(r.model)->sound;
    must(&hand, gemlet_encode_sound(hand.session, &sound, &soft, &count, &hand.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(hand.session, SAMPLES));
    assert_true(count > 1);
    const float *found = NULL;
    must(&r, gemlet_encode_sound(r.session, &same, &found, &heard, &r.error)); /* the other format */
    assert_int_equal(heard, count);
    assert_memory_equal(found, soft, count * width * sizeof(float));
    must(&r, gemlet_sound_begin(r.session, &r.error));
    for (size_t done = 0; done < SAMPLES; done += 999) { /* in pieces */
        size_t now = gemlet_smaller(999, SAMPLES - done);
        must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples + done, now}, &r.error));
    }
    must(&r, gemlet_sound_end(r.session, &found, &heard, &r.error));
    assert_int_equal(heard, count);
    assert_memory_equal(found, soft, count * width * sizeof(float));
    for (int streamed = 0; streamed < 2; streamed++) {
        gemlet_session_reset(r.session);
        gemlet_session_reset(hand.session);
        if (streamed == 0) {
            must(&r, gemlet_feed_sound(r.session, &sound, &r.error));
        } else {
            must(&r, gemlet_sound_begin(r.session, &r.error));
            must(&r, gemlet_sound_feed(r.session, &sound, &r.error));
            must(&r, gemlet_feed_sound_end(r.session, &r.error));
        }
        splice(&hand, around, around->before, r.model->sound_begin, soft, count, r.model->sound_end);
        assert_int_equal(gemlet_session_length(r.session), gemlet_session_length(hand.session));
        assert_memory_equal(r.session->decoder.logits, hand.session->decoder.logits, r.model->config.vocabulary * sizeof(float));
    }
    rig_close(&r);
    rig_close(&hand);
}

static void a_sound_fits_or_not(void **state) {
    (void)state;
    gemlet_options options = {.context = 64, .chunk = 8, .no_images = true, .sound_seconds = 1};
    rig r;
    const float *soft = NULL;
    size_t count = 0;
    rig_start(&r, &whole_model, &options);
    gemlet_sound_facts facts = gemlet_session_sound_facts(r.session);
    assert_int_equal(facts.longest, 16000);
    assert_int_equal(facts.width, r.model->config.width);
    assert_int_equal(facts.soft_tokens, gemlet_sound_soft_tokens(r.session, 16000));
    assert_int_equal(gemlet_sound_soft_tokens(r.session, 16001), 0);
    assert_int_equal(gemlet_sound_soft_tokens(r.session, facts.shortest - 1), 0);
    assert_true(gemlet_sound_soft_tokens(r.session, facts.shortest) > 0);
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, 16001};
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "a sound must have at most 16000 samples (options sound_seconds, cut_sounds) but has 16001");
    char expected[96];
    snprintf(expected, sizeof expected, "a sound must have at least %zu samples but has %zu", facts.shortest, facts.shortest - 1);
    sound.count = facts.shortest - 1;
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    says(&r, gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_ARGUMENT, expected);
    assert_false(r.session->listens);
    sound.count = facts.shortest;
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(r.session, facts.shortest));
    says(&r, gemlet_encode_sound(r.session, NULL, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    sound.samples = NULL;
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    sound = (gemlet_sound){(gemlet_sample_format)2, samples, 500};
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_ARGUMENT,
         "the format of samples must be at most 1 but is 2");
    static const char not_begun[] = "no sound has begun: call gemlet_sound_begin first";
    says(&r, gemlet_sound_feed(r.session, &sound, &r.error), GEMLET_ERROR_STATE, not_begun);
    says(&r, gemlet_sound_end(r.session, &soft, &count, &r.error), GEMLET_ERROR_STATE, not_begun);
    says(&r, gemlet_feed_sound_end(r.session, &r.error), GEMLET_ERROR_STATE, not_begun);
    rig_close(&r);
}

static void pieces_of_a_sound_are_counted(void **state) {
    (void)state;
    gemlet_options options = {.context = 64, .chunk = 8, .no_images = true, .sound_seconds = 1};
    rig r;
    const float *soft = NULL;
    size_t count = 0;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_sound_begin(r.session, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, NULL, 0}, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 15990}, &r.error));
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 11}, &r.error), GEMLET_ERROR_ARGUMENT,
         "a sound must have at most 16000 samples (options sound_seconds, cut_sounds) but has 16001");
    reals[7] = (float)1e300; /* infinity */
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals, 10}, &r.error), GEMLET_ERROR_ARGUMENT,
         "sample 15997 of the sound is no finite number");
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals + 7, 1}, &r.error), GEMLET_ERROR_ARGUMENT,
         "sample 15990 of the sound is no finite number");
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, NULL, 1}, &r.error), GEMLET_ERROR_ARGUMENT,
         "the samples of a sound must not be NULL");
    reals[7] = 0.25f;
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_F32, reals, 10}, &r.error));
    must(&r, gemlet_sound_end(r.session, &soft, &count, &r.error));
    assert_int_equal(count, gemlet_sound_soft_tokens(r.session, 16000));
    says(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 1}, &r.error), GEMLET_ERROR_STATE,
         "no sound has begun: call gemlet_sound_begin first"); /* it has ended */
    reals[7] = (float)samples[7] / 32768.0f;
    rig_close(&r);
    options.cut_sounds = true;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_encode_sound(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 16000}, &soft, &count, &r.error));
    float *wanted = malloc(count * r.model->config.width * sizeof *wanted);
    memcpy(wanted, soft, count * r.model->config.width * sizeof *wanted);
    size_t heard = 0;
    must(&r, gemlet_encode_sound(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 16001}, &soft, &heard, &r.error));
    assert_int_equal(heard, count);
    assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof *wanted);
    must(&r, gemlet_sound_begin(r.session, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples, 15000}, &r.error));
    must(&r, gemlet_sound_feed(r.session, &(gemlet_sound){GEMLET_SAMPLES_S16, samples + 15000, 1001}, &r.error));
    must(&r, gemlet_sound_end(r.session, &soft, &heard, &r.error));
    assert_memory_equal(soft, wanted, count * r.model->config.width * sizeof *wanted);
    free(wanted);
    rig_close(&r);
}

static void a_sound_needs_room_and_ears(void **state) {
    (void)state;
    gemlet_options options = {.context = 64, .chunk = 8, .no_images = true, .sound_seconds = 1};
    gemlet_sound sound = {GEMLET_SAMPLES_S16, samples, 16000};
    rig r;
    rig_start(&r, &whole_model, &options);
    must(&r, gemlet_feed_sound(r.session, &sound, &r.error));
    size_t length = gemlet_session_length(r.session);
    rig_close(&r);
    for (uint32_t missing = 0; missing < 2; missing++) {
        char expected[96];
        options.context = (uint32_t)length - missing;
        rig_start(&r, &whole_model, &options);
        gemlet_status status = gemlet_feed_sound(r.session, &sound, &r.error);
        if (missing == 0) {
            must(&r, status);
        } else {
            snprintf(expected, sizeof expected, "the context is full: %zu tokens to feed, but room for %zu of %zu", length,
                     length - 1, length - 1);
            says(&r, status, GEMLET_ERROR_CONTEXT, expected);
            assert_int_equal(gemlet_session_length(r.session), 0);
        }
        rig_close(&r);
    }
    steps s = {.cancel_at = 1};
    options.context = 64;
    options.sound_seconds = 2;
    sound.count = 32000;
    rig_start(&r, &whole_model, &options);
    const float *soft = NULL;
    size_t count = 0;
    gemlet_session_on_progress(r.session, count_step, &s);
    says(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error), GEMLET_ERROR_CANCELLED, "cancelled by the caller");
    assert_int_equal(s.total[0], 32000);
    assert_int_equal(s.done[0], 32 * 4 * 160);
    assert_false(r.session->listens);
    s = (steps){.count = 0};
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(s.count, 1); /* the end is told by what is returned */
    sound.count = 32 * 4 * 160;
    s = (steps){.count = 0};
    must(&r, gemlet_encode_sound(r.session, &sound, &soft, &count, &r.error));
    assert_int_equal(s.count, 0);
    rig_close(&r);
    options.no_sounds = true;
    rig_start(&r, &whole_model, &options);
    says(&r, gemlet_feed_sound(r.session, &sound, &r.error), GEMLET_ERROR_UNSUPPORTED,
         "this session takes no sounds: the model has no sound encoder, or it was opened without");
    assert_int_equal(gemlet_sound_soft_tokens(r.session, 16000), 0);
    gemlet_sound_facts none = gemlet_session_sound_facts(r.session);
    assert_true(none.longest == 0 && none.shortest == 0 && none.soft_tokens == 0 && none.width == 0);
    rig_close(&r);
}

/* ---- All ---- */

static int set_up(void **state) {
    for (size_t i = 0; i < CONTEXT + 1; i++) {
        ids[i] = (uint32_t)(i * 97 + 5) % 200;
    }
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        samples[i] = (int16_t)(i * i * 31 % 20011 - 10000);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        reals[i] = (float)samples[i] / 32768.0f;
    }
    whole_model = packed_whole();
    return pack_models(state);
}

static int tear_down(void **state) {
    free(whole_model.bytes);
    return free_models(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults_and_bounds),
        cmocka_unit_test(a_plan_is_what_the_arena_holds),
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
        cmocka_unit_test(slides_that_cannot_be_are_named),
        cmocka_unit_test(a_full_state_is_a_state),
        cmocka_unit_test(a_state_has_the_size_of_its_parts),
        cmocka_unit_test(a_damaged_state_is_refused),
        cmocka_unit_test(a_forged_state_is_refused),
        cmocka_unit_test(states_of_others_are_refused),
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
        cmocka_unit_test(a_port_without_threads_has_one),
        cmocka_unit_test(models_without_ears_do_not_hear),
        cmocka_unit_test(sounds_are_filled_up_with_the_last_id),
        cmocka_unit_test(sampling_asks_the_session),
        cmocka_unit_test(choices_are_as_likely_as_said),
        cmocka_unit_test(choices_that_cannot_be_are_named),
        cmocka_unit_test(choices_are_as_long_as_rings_go_back),
        cmocka_unit_test(a_sound_is_spliced),
        cmocka_unit_test(a_sound_fits_or_not),
        cmocka_unit_test(pieces_of_a_sound_are_counted),
        cmocka_unit_test(a_sound_needs_room_and_ears),
        cmocka_unit_test(a_state_goes_on_in_another_session),
        cmocka_unit_test(senses_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
