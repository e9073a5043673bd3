/* The sampler: each step alone, all of them against a plain implementation of the header's list, and the edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gemlet/sampler.h>

/* A sampler in scratch of exactly the bytes that it asked for, so that the sanitizer sees one too many. */
typedef struct fixture {
    gemlet_sampler sampler;
    void *scratch;
    gemlet_error error;
} fixture;

static void begin(fixture *f, const gemlet_sampler_settings *settings, uint32_t vocabulary) {
    size_t bytes = gemlet_sampler_bytes(settings, vocabulary);
    f->scratch = malloc(bytes);
    assert_non_null(f->scratch);
    memset(f->scratch, 0xA5, bytes);
    assert_int_equal(gemlet_sampler_open(&f->sampler, settings, vocabulary, f->scratch, bytes, &f->error), GEMLET_OK);
}

static void end(fixture *f) {
    free(f->scratch);
}

static uint32_t sample(fixture *f, const float *logits) {
    uint32_t token = UINT32_MAX;
    assert_int_equal(gemlet_sampler_sample(&f->sampler, logits, f->sampler.vocabulary, &token, &f->error), GEMLET_OK);
    assert_true(token < f->sampler.vocabulary);
    return token;
}

static uint32_t sample_once(const gemlet_sampler_settings *settings, const float *logits, uint32_t vocabulary) {
    fixture f;
    begin(&f, settings, vocabulary);
    uint32_t token = sample(&f, logits);
    end(&f);
    return token;
}

/* A bit for each token (below 64) that came up in `draws` draws. */
static uint64_t drawn_tokens(const gemlet_sampler_settings *settings, const float *logits, uint32_t vocabulary, int draws) {
    fixture f;
    uint64_t seen = 0;
    begin(&f, settings, vocabulary);
    for (int i = 0; i < draws; i++) {
        seen |= UINT64_C(1) << sample(&f, logits);
    }
    end(&f);
    return seen;
}

/* Temperature 1 and nothing else. */
static gemlet_sampler_settings plain(void) {
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.top_k = 0;
    settings.top_p = 1.0f;
    settings.seed = 20240613;
    return settings;
}

static gemlet_sampler_settings greedy(void) {
    gemlet_sampler_settings settings = plain();
    settings.temperature = 0.0f;
    return settings;
}

/* ---- Greedy ---- */

static void greedy_takes_the_greatest_and_of_equals_the_first(void **state) {
    (void)state;
    gemlet_sampler_settings settings = greedy();
    const float logits[] = {-3.0f, 2.0f, 7.0f, 7.0f, -INFINITY, 6.99999f};
    assert_int_equal(sample_once(&settings, logits, 6), 2);
    const float zeros[] = {-1.0f, -0.0f, 0.0f}; /* -0 and 0 are equal */
    assert_int_equal(sample_once(&settings, zeros, 3), 1);
    const float negative[] = {-5.0f, -4.0f, -6.0f};
    assert_int_equal(sample_once(&settings, negative, 3), 1);
    assert_int_equal(sample_once(&settings, negative, 1), 0);
}

static void greedy_takes_no_random_number(void **state) {
    (void)state;
    gemlet_sampler_settings settings = greedy();
    const float logits[] = {1.0f, 2.0f};
    fixture f;
    begin(&f, &settings, 2);
    uint64_t before[4];
    memcpy(before, f.sampler.random, sizeof before);
    (void)sample(&f, logits);
    assert_memory_equal(before, f.sampler.random, sizeof before);
    end(&f);
}

/* ---- State ---- */

static void a_restored_sampler_goes_on_as_if_it_had_not_stopped(void **state) {
    (void)state;
    enum { TOKENS = 50, DRAWS = 20 };
    float logits[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) {
        logits[i] = (float)(i % 7);
    }
    gemlet_sampler_settings settings = plain();
    settings.repetition_window = 5;
    settings.repetition_penalty = 3.0f;
    for (int before = 0; before < 8; before++) { /* an empty history, one that is not full, one that went round */
        unsigned char saved[256];
        fixture f, g;
        begin(&f, &settings, TOKENS);
        for (int i = 0; i < before; i++) {
            (void)sample(&f, logits);
        }
        size_t bytes = gemlet_sampler_state_bytes(&f.sampler);
        assert_true(bytes < sizeof saved);
        assert_int_equal(gemlet_sampler_save(&f.sampler, saved + 1, bytes - 1, &f.error), GEMLET_ERROR_ARGUMENT);
        assert_int_equal(gemlet_sampler_save(&f.sampler, saved + 1, bytes, &f.error), GEMLET_OK);
        settings.seed++; /* which the state overrules */
        begin(&g, &settings, TOKENS);
        for (size_t i = 0; i < bytes; i++) {
            saved[1 + i] ^= 4;
            assert_int_equal(gemlet_sampler_restore(&g.sampler, saved + 1, bytes, &g.error), GEMLET_ERROR_FORMAT);
            assert_int_equal(gemlet_sampler_restore(&g.sampler, saved + 1, i, &g.error), GEMLET_ERROR_FORMAT);
            saved[1 + i] ^= 4;
        }
        assert_int_equal(g.sampler.remembered, 0);
        assert_int_equal(gemlet_sampler_restore(&g.sampler, saved + 1, bytes, &g.error), GEMLET_OK);
        for (int i = 0; i < DRAWS; i++) {
            assert_int_equal(sample(&f, logits), sample(&g, logits));
        }
        end(&g);
        gemlet_sampler_settings other = settings;
        other.repetition_window = 6;
        begin(&g, &other, TOKENS);
        assert_int_equal(gemlet_sampler_restore(&g.sampler, saved + 1, bytes, &g.error), GEMLET_ERROR_FORMAT);
        end(&g);
        end(&f);
    }
}

/* Each message whole, and not a byte written behind the buffer. */
static void states_that_cannot_be_are_named(void **state) {
    (void)state;
    gemlet_sampler_settings settings = plain();
    settings.repetition_window = 3;
    unsigned char saved[512];
    char message[GEMLET_MESSAGE_BYTES];
    const float logits[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    fixture f, other;
    begin(&f, &settings, 4);
    (void)sample(&f, logits);
    (void)sample(&f, logits);
    const size_t bytes = gemlet_sampler_state_bytes(&f.sampler);
    assert_int_equal(gemlet_sampler_save(&f.sampler, NULL, bytes, &f.error), GEMLET_ERROR_ARGUMENT);
    snprintf(message, sizeof message, "the buffer for the sampler's state must have %zu bytes but has 0", bytes);
    assert_string_equal(f.error.message, message);
    assert_int_equal(gemlet_sampler_save(&f.sampler, saved, bytes - 1, &f.error), GEMLET_ERROR_ARGUMENT);
    snprintf(message, sizeof message, "the buffer for the sampler's state must have %zu bytes but has %zu", bytes, bytes - 1);
    assert_string_equal(f.error.message, message);
    memset(saved, 0xA5, sizeof saved);
    assert_int_equal(gemlet_sampler_save(&f.sampler, saved, bytes, &f.error), GEMLET_OK);
    for (size_t i = bytes; i < sizeof saved; i++) {
        assert_int_equal(saved[i], 0xA5);
    }
    assert_int_equal(gemlet_sampler_restore(&f.sampler, NULL, bytes, &f.error), GEMLET_ERROR_FORMAT);
    assert_string_equal(f.error.message, "not a saved sampler: too short");
    for (size_t less = 1; less <= bytes; less++) {
        assert_int_equal(gemlet_sampler_restore(&f.sampler, saved, bytes - less, &f.error), GEMLET_ERROR_FORMAT);
        assert_string_equal(f.error.message,
                            less <= 2 * sizeof(uint32_t) ? "the saved sampler is damaged" : "not a saved sampler: too short");
    }
    begin(&other, &settings, 5);
    assert_int_equal(gemlet_sampler_restore(&other.sampler, saved, bytes, &other.error), GEMLET_ERROR_FORMAT);
    assert_string_equal(other.error.message, "the saved sampler is of another vocabulary, another window or damaged");
    end(&other);
    end(&f);
}

/* ---- Random numbers ---- */

static void random_numbers_are_the_published_ones(void **state) {
    (void)state;
    enum { TOKENS = 1024 };
    float logits[TOKENS] = {0}; /* token i for u in [i / 1024, (i + 1) / 1024) */
    gemlet_sampler_settings settings = plain();
    settings.seed = 0;
    fixture f;
    begin(&f, &settings, TOKENS);
    const uint64_t split_mix_of_0[4] = {0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC};
    assert_memory_equal(f.sampler.random, split_mix_of_0, sizeof split_mix_of_0);
    for (uint64_t i = 0; i < 4; i++) {
        f.sampler.random[i] = i + 1;
    }
    /* What xoshiro256** answers from the state 1, 2, 3, 4. */
    const uint64_t numbers[] = {11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(sample(&f, logits), numbers[i] >> 54);
    }
    end(&f);
}

static void the_seed_decides(void **state) {
    (void)state;
    enum { TOKENS = 64, DRAWS = 40 };
    float logits[TOKENS] = {0};
    uint32_t first[DRAWS];
    for (uint64_t seed = 0; seed < 3; seed++) {
        gemlet_sampler_settings settings = plain();
        settings.seed = seed / 2; /* 0, 0, 1 */
        fixture f;
        begin(&f, &settings, TOKENS);
        size_t equal = 0;
        for (size_t i = 0; i < DRAWS; i++) {
            uint32_t token = sample(&f, logits);
            equal += seed > 0 && token == first[i];
            first[i] = token;
        }
        assert_true(seed == 0 || (seed == 1 ? equal == DRAWS : equal < DRAWS / 4));
        end(&f);
    }
}

/* Frequencies within 4.5 standard deviations of softmax(logits / temperature): a right sampler fails one seed in 20,000. */
static void check_distribution(const gemlet_sampler_settings *settings, const float *logits, const double *expected,
                               uint32_t vocabulary) {
    enum { DRAWS = 100000 };
    fixture f;
    uint32_t counts[16] = {0};
    begin(&f, settings, vocabulary);
    for (int i = 0; i < DRAWS; i++) {
        counts[sample(&f, logits)]++;
    }
    end(&f);
    for (uint32_t i = 0; i < vocabulary; i++) {
        double mean = (double)DRAWS * expected[i];
        assert_true(fabs(counts[i] - mean) <= 4.5 * sqrt(mean * (1.0 - expected[i])));
    }
}

static void frequencies_are_the_probabilities(void **state) {
    (void)state;
    const float logits[] = {1.0f, -INFINITY, 3.0f, 2.5f, -2.0f, 0.0f};
    const float temperatures[] = {1.0f, 0.5f, 3.0f};
    for (size_t t = 0; t < 3; t++) {
        gemlet_sampler_settings settings = plain();
        settings.temperature = temperatures[t];
        double expected[6], sum = 0.0;
        for (size_t i = 0; i < 6; i++) {
            expected[i] = exp((double)logits[i] / (double)temperatures[t]);
            sum += expected[i];
        }
        for (size_t i = 0; i < 6; i++) {
            expected[i] /= sum;
        }
        check_distribution(&settings, logits, expected, 6);
    }
    /* What top-k and top-p leave out is shared among the rest in proportion. */
    gemlet_sampler_settings settings = plain();
    settings.top_k = 2;
    double rest = 1.0 / (1.0 + exp(-0.5));
    const double expected[] = {0.0, 0.0, rest, 1.0 - rest, 0.0, 0.0};
    check_distribution(&settings, logits, expected, 6);
    settings.top_k = 0;
    settings.top_p = 0.8f;
    check_distribution(&settings, logits, expected, 6);
}

static void any_temperature_is_finite(void **state) {
    (void)state;
    const float logits[] = {30.0f, -30.0f, 30.0f, 29.9999f};
    gemlet_sampler_settings settings = plain();
    settings.temperature = 1e-38f; /* 30 / 1e-38 is infinite */
    assert_int_equal(drawn_tokens(&settings, logits, 4, 100), 1u << 0 | 1u << 2);
    settings.temperature = 1e6f;
    assert_int_equal(drawn_tokens(&settings, logits, 4, 200), 15);
    const float huge[] = {3e38f, -3e38f, 3e38f};
    settings.temperature = 1.0f;
    assert_int_equal(drawn_tokens(&settings, huge, 3, 100), 5);
}

/* ---- Top-k, top-p, min-p ---- */

static void top_k_keeps_k_the_lower_of_equals(void **state) {
    (void)state;
    const float logits[] = {0.0f, 1.0f, 1.0f, 0.5f, 1.0f, 1.0f};
    const uint64_t kept[] = {0x3F, 0x02, 0x06, 0x16, 0x36, 0x3E, 0x3F, 0x3F};
    for (uint32_t k = 0; k < 8; k++) {
        gemlet_sampler_settings settings = plain();
        settings.top_k = k;
        assert_int_equal(drawn_tokens(&settings, logits, 6, 300), kept[k]);
    }
    gemlet_sampler_settings settings = plain();
    settings.top_k = UINT32_MAX;
    assert_int_equal(drawn_tokens(&settings, logits, 6, 300), 0x3F);
}

static void top_p_keeps_the_shortest_run_that_reaches_p(void **state) {
    (void)state;
    const float equal[] = {2.0f, 2.0f, 2.0f, 2.0f}; /* exactly 1/4 each */
    const struct {
        float p;
        uint64_t kept;
    } cases[] = {{1e-30f, 1}, {0.25f, 1},       {0.2500001f, 3},  {0.5f, 3}, {0.51f, 7},
                 {0.75f, 7},  {0.7500001f, 15}, {0.9999999f, 15}, {1.0f, 15}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gemlet_sampler_settings settings = plain();
        settings.top_p = cases[i].p;
        assert_int_equal(drawn_tokens(&settings, equal, 4, 300), cases[i].kept);
    }
    /* The probabilities are those after the temperature and after top-k. */
    const float logits[] = {0.0f, 1.0f, 0.0f, 0.0f};
    gemlet_sampler_settings settings = plain();
    settings.top_p = 0.5f; /* 0.475 0.175 0.175 0.175 */
    assert_int_equal(drawn_tokens(&settings, logits, 4, 300), 3);
    settings.temperature = 0.5f; /* 0.711 ... */
    assert_int_equal(drawn_tokens(&settings, logits, 4, 300), 2);
    settings.temperature = 1.0f;
    settings.top_k = 2; /* 0.731 0.269 */
    settings.top_p = 0.7f;
    assert_int_equal(drawn_tokens(&settings, logits, 4, 300), 2);
}

static void min_p_is_relative_to_the_greatest(void **state) {
    (void)state;
    const float logits[] = {0.0f, 2.0f, 1.0f, 2.0f}; /* 1 : 7.389 : 2.718 : 7.389 */
    const struct {
        float p;
        uint64_t kept;
    } cases[] = {{0.0f, 15}, {0.13f, 15}, {0.14f, 14}, {0.36f, 14}, {0.37f, 10}, {1.0f, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gemlet_sampler_settings settings = plain();
        settings.min_p = cases[i].p;
        assert_int_equal(drawn_tokens(&settings, logits, 4, 400), cases[i].kept);
    }
}

/* ---- Bias, repetition, filter ---- */

static void biases_add_up_and_can_forbid(void **state) {
    (void)state;
    const float logits[] = {1.0f, 2.0f, 3.0f, 0.0f};
    const gemlet_logit_bias biases[] = {{3, 1.5f}, {2, -INFINITY}, {3, 1.0f}};
    gemlet_sampler_settings settings = greedy();
    settings.biases = biases;
    for (size_t count = 0; count <= 3; count++) {
        const uint32_t expected[] = {2, 2, 1, 3};
        settings.bias_count = count;
        assert_int_equal(sample_once(&settings, logits, 4), expected[count]);
    }
}

static void repetition_is_penalised_once_within_the_window(void **state) {
    (void)state;
    const float logits[] = {-1.0f, -1.5f, -3.0f, -4.0f};
    gemlet_sampler_settings settings = greedy();
    settings.repetition_penalty = 2.0f;
    settings.repetition_window = 3;
    fixture f;
    begin(&f, &settings, 4);
    const uint32_t prompt[] = {3, 0, 0, 0};
    gemlet_sampler_remember(&f.sampler, prompt, 4);
    /* Token 0 is at -2, not at -8.  Then 1 is at -3, until it has left the ring of three; then 0 fills the ring alone again. */
    const uint32_t expected[] = {1, 0, 0, 0, 1, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sample(&f, logits), expected[i]);
        assert_int_equal(f.sampler.remembered, 5 + i);
        assert_int_equal(f.sampler.history[(4 + i) % 3], expected[i]);
    }
    end(&f);
}

static void the_penalty_follows_the_bias_and_lowers_either_sign(void **state) {
    (void)state;
    gemlet_sampler_settings settings = greedy();
    settings.repetition_penalty = 2.0f;
    const gemlet_logit_bias bias = {0, 4.0f};
    settings.biases = &bias;
    settings.bias_count = 1;
    /* 2 + 4 = 6, halved 3: less than 3.5, but 2 / 2 + 4 = 5 would be more. */
    const float logits[] = {2.0f, 3.5f};
    fixture f;
    begin(&f, &settings, 2);
    const uint32_t seen = 0;
    assert_int_equal(sample(&f, logits), 0);
    gemlet_sampler_remember(&f.sampler, &seen, 1);
    assert_int_equal(sample(&f, logits), 1);
    end(&f);
    /* A repetition outside the vocabulary (an image's token) is nobody's. */
    settings.bias_count = 0;
    begin(&f, &settings, 2);
    const uint32_t strange[] = {2, UINT32_MAX};
    gemlet_sampler_remember(&f.sampler, strange, 2);
    assert_int_equal(sample(&f, logits), 1);
    end(&f);
}

static void without_a_window_nothing_is_held(void **state) {
    (void)state;
    gemlet_sampler_settings settings = greedy();
    settings.repetition_penalty = 100.0f;
    settings.repetition_window = 0;
    const float logits[] = {2.0f, 3.5f};
    fixture f;
    begin(&f, &settings, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sample(&f, logits), 1);
    }
    assert_int_equal(f.sampler.remembered, 3);
    end(&f);
}

typedef struct filter {
    uint64_t allowed; /* a bit for each token */
    uint32_t asked;
    uint32_t next; /* tokens below it were asked about */
    bool ascending;
} filter;

static bool allow(void *context, uint32_t token) {
    filter *f = context;
    f->ascending = f->ascending && token >= f->next;
    f->next = token + 1;
    f->asked++;
    return (f->allowed >> token & 1) != 0;
}

static void the_filter_has_its_way(void **state) {
    (void)state;
    const float logits[] = {5.0f, 1.0f, 4.0f, 1.5f, 3.0f, -INFINITY};
    filter f = {.allowed = 0x2A, .ascending = true};
    gemlet_sampler_settings settings = greedy();
    settings.allowed = allow;
    settings.allowed_context = &f;
    assert_int_equal(sample_once(&settings, logits, 6), 3);
    assert_true(f.ascending);
    assert_int_equal(f.asked, 5); /* never about what is out anyway */
    f = (filter){.allowed = 0x3F, .ascending = true};
    assert_int_equal(sample_once(&settings, logits, 6), 0);
    assert_int_equal(f.asked, 1); /* nor about what is below the best */
    settings = plain();
    settings.top_k = 2; /* of those that are allowed */
    settings.allowed = allow;
    settings.allowed_context = &f;
    uint64_t seen = 0;
    for (uint64_t i = 0; i < 100; i++) {
        f = (filter){.allowed = 0x3A, .ascending = true};
        settings.seed = i;
        seen |= UINT64_C(1) << sample_once(&settings, logits, 6);
        assert_true(f.ascending);
    }
    assert_int_equal(seen, 0x18);
}

/* Of 200 tokens every 17th, by its bits. */
static const uint64_t *list_some(void *context) {
    static uint64_t bits[4];
    memset(bits, 0, sizeof bits);
    for (uint32_t token = 3; token < 200; token += 17) {
        bits[token / 64] |= (uint64_t)1 << (token % 64);
    }
    ++*(uint32_t *)context;
    return bits;
}

static bool allow_some(void *context, uint32_t token) {
    ++*(uint32_t *)context;
    return token % 17 == 3;
}

static uint64_t few[5];

static const uint64_t *list_few(void *context) {
    (void)context;
    return few;
}

/* Lists with gaps of whole words, at words' ends, and with bits behind the vocabulary, which are no tokens. */
static void lists_have_gaps(void **state) {
    (void)state;
    static const uint32_t kept[] = {0, 5, 63, 64, 127, 130, 191, 192, 254, 255, 256};
    float logits[257];
    for (size_t i = 0; i < 257; i++) {
        logits[i] = -(float)i;
    }
    gemlet_sampler_settings settings = greedy();
    settings.listed = list_few;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        for (size_t j = i; j < sizeof kept / sizeof *kept; j++) {
            memset(few, 0, sizeof few);
            few[kept[i] / 64] |= UINT64_C(1) << kept[i] % 64;
            few[kept[j] / 64] |= UINT64_C(1) << kept[j] % 64;
            few[4] |= UINT64_C(0xFE); /* 257 and on */
            assert_int_equal(sample_once(&settings, logits, 257), kept[i]);
            settings.top_k = 2;
            settings.temperature = 100.0f;
            uint64_t seen = 0;
            for (uint64_t seed = 0; seed < 40; seed++) {
                settings.seed = seed;
                uint32_t token = sample_once(&settings, logits, 257);
                assert_true(token == kept[i] || token == kept[j]);
                seen |= token == kept[j];
            }
            assert_int_equal(seen, 1);
            settings = greedy();
            settings.listed = list_few;
        }
    }
}

/* The same tokens, also where biases and repetitions concern some that are not listed; and nothing is asked. */
static void a_list_is_the_filter(void **state) {
    (void)state;
    const gemlet_logit_bias biases[] = {{0, 9.0f}, {20, 2.0f}, {21, 30.0f}, {190, -1.0f}, {199, 50.0f}};
    float logits[200];
    for (uint32_t i = 0; i < 200; i++) {
        logits[i] = (float)((i * 7919) % 97) / 10.0f;
    }
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    uint32_t asked = 0, listed = 0;
    settings.biases = biases;
    settings.bias_count = sizeof biases / sizeof *biases;
    settings.repetition_penalty = 1.5f;
    settings.allowed = allow_some;
    settings.allowed_context = &asked;
    fixture one, other;
    begin(&one, &settings, 200);
    settings.listed = list_some;
    settings.allowed_context = &listed;
    begin(&other, &settings, 200);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(sample(&one, logits), sample(&other, logits));
    }
    assert_int_equal(listed, 300);
    assert_true(asked > 300);
    end(&one);
    end(&other);
}

/* Wherever in a long list the only tokens are. */
static const uint64_t *list_this(void *context) {
    return context;
}

static void one_token_of_a_long_list(void **state) {
    (void)state;
    enum { TOKENS = 3000 };
    static float logits[TOKENS];
    static uint64_t list[(TOKENS + 63) / 64];
    gemlet_sampler_settings settings = plain();
    settings.listed = list_this;
    settings.allowed = allow_some; /* which is not asked */
    settings.allowed_context = list;
    for (uint32_t token = 0; token < TOKENS; token += token % 64 == 6 ? 57 : 1) { /* the first of each word */
        memset(list, 0, sizeof list);
        list[token / 64] = UINT64_C(1) << (token % 64);
        assert_int_equal(sample_once(&settings, logits, TOKENS), token);
        list[token / 64] |= UINT64_C(1) << 63; /* and another behind it */
        logits[token] = 50.0f;
        assert_int_equal(sample_once(&settings, logits, TOKENS), token);
        logits[token] = 0.0f;
    }
}

/* -0 and 0 are equal for those that are kept, too; and what is divided by next to nothing is no number less. */
static void kept_tokens_are_in_order(void **state) {
    (void)state;
    gemlet_sampler_settings settings = plain();
    const float zeros[] = {-1.0f, -0.0f, 0.0f};
    settings.top_k = 1;
    assert_int_equal(sample_once(&settings, zeros, 3), 1);
    settings.top_k = 0;
    settings.temperature = 1e-38f;
    const float close[] = {0.0f, 3.0f, 2.0f};
    assert_int_equal(drawn_tokens(&settings, close, 3, 50), 2);
}

/* ---- All steps together ---- */

enum { VOCABULARY = 262144 }; /* Gemma's */

typedef struct choice {
    double z;
    uint32_t token;
} choice;

static int by_rank(const void *a, const void *b) {
    const choice *x = a, *y = b;
    if (x->z != y->z) {
        return x->z < y->z ? 1 : -1;
    }
    return (x->token > y->token) - (x->token < y->token);
}

static uint64_t numbers = 1;

static double fraction(void) {
    numbers = numbers * 6364136223846793005u + 1442695040888963407u;
    return (double)(numbers >> 11) * 0x1p-53;
}

/* The header's list, in double precision and by sorting everything. */
static uint32_t defined_token(const gemlet_sampler_settings *s, const float *logits, uint32_t vocabulary, const uint32_t *history,
                              size_t held, double u) {
    static choice choices[VOCABULARY];
    size_t count = 0;
    for (uint32_t t = 0; t < vocabulary; t++) {
        float z = logits[t];
        bool repeated = false;
        for (size_t i = 0; i < s->bias_count; i++) {
            z = s->biases[i].token == t ? z + s->biases[i].bias : z;
        }
        for (size_t i = 0; i < held; i++) {
            repeated = repeated || history[i] == t;
        }
        z = repeated ? (z > 0.0f ? z / s->repetition_penalty : z * s->repetition_penalty) : z;
        if (z > -INFINITY && (s->allowed == NULL || s->allowed(s->allowed_context, t))) {
            choices[count++] = (choice){(double)z, t};
        }
    }
    assert_true(count > 0);
    qsort(choices, count, sizeof *choices, by_rank);
    count = s->top_k != 0 && s->top_k < count ? s->top_k : count;
    double sum = 0.0, running = 0.0, top = choices[0].z;
    for (size_t i = 0; i < count; i++) {
        choices[i].z = exp((choices[i].z - top) / (double)s->temperature);
        sum += choices[i].z;
    }
    size_t kept = 0;
    while (kept < count && (kept == 0 || running < (double)s->top_p * sum) && choices[kept].z >= (double)s->min_p) {
        running += choices[kept++].z;
    }
    double target = u * running;
    size_t drawn = 0;
    running = choices[0].z;
    while (running <= target) {
        running += choices[++drawn].z;
    }
    return choices[drawn].token;
}

static bool allow_odd(void *context, uint32_t token) {
    (void)context;
    return token % 2 == 1;
}

/* The fraction that the sampler is about to take: xoshiro256** as its authors write it. */
static double coming_fraction(const gemlet_sampler *sampler) {
    uint64_t x = sampler->random[1] * 5;
    x = ((x << 7) | (x >> 57)) * 9;
    return (double)(x >> 11) * 0x1p-53;
}

static void all_steps_are_what_the_header_says(void **state) {
    (void)state;
    enum { LARGEST = 700, WINDOW = 16, ROUNDS = 400 };
    static float logits[LARGEST];
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t vocabulary = 2 + (uint32_t)(fraction() * (LARGEST - 2));
        double spread = fraction() * 8.0;
        for (uint32_t t = 0; t < vocabulary; t++) {
            logits[t] = (float)(floor((fraction() + fraction() - 1.0) * 64.0) / 64.0 * spread); /* with ties */
        }
        gemlet_logit_bias biases[3];
        for (size_t i = 0; i < 3; i++) {
            biases[i] = (gemlet_logit_bias){(uint32_t)(fraction() * vocabulary), (float)(fraction() * 8.0 - 4.0)};
        }
        gemlet_sampler_settings settings = {.temperature = (float)(0.2 + 2.0 * fraction()),
                                            .top_p = 1.0f,
                                            .repetition_penalty = 1.0f,
                                            .repetition_window = WINDOW,
                                            .seed = (uint64_t)round,
                                            .biases = biases};
        settings.top_k = round % 2 == 0 ? (uint32_t)(fraction() * 1.2 * vocabulary) : 0;
        settings.top_p = round % 3 == 0 ? 1.0f : (float)(0.01 + 0.98 * fraction());
        settings.min_p = round % 5 == 0 ? (float)(0.3 * fraction()) : 0.0f;
        settings.bias_count = round % 4 == 0 ? 3 : 0;
        settings.repetition_penalty = round % 7 == 0 ? 1.3f : 1.0f;
        settings.allowed = round % 6 == 0 ? allow_odd : NULL;
        fixture f;
        begin(&f, &settings, vocabulary);
        for (size_t step = 0; step < 24; step++) {
            double u = coming_fraction(&f.sampler);
            size_t held = step < WINDOW ? step : WINDOW;
            uint32_t expected = defined_token(&settings, logits, vocabulary, f.sampler.history, held, u);
            assert_int_equal(sample(&f, logits), expected);
        }
        end(&f);
    }
}

static void a_whole_vocabulary(void **state) {
    (void)state;
    static float logits[VOCABULARY];
    for (size_t i = 0; i < VOCABULARY; i++) {
        logits[i] = (float)(fraction() * 20.0 - 10.0);
    }
    for (uint32_t k = 0; k <= 64; k += 64) {
        gemlet_sampler_settings settings = gemlet_sampler_defaults();
        settings.top_k = k;
        fixture f;
        begin(&f, &settings, VOCABULARY);
        double u = coming_fraction(&f.sampler);
        assert_int_equal(sample(&f, logits), defined_token(&settings, logits, VOCABULARY, NULL, 0, u));
        end(&f);
    }
}

/* ---- What is refused ---- */

static void bad_logits_are_refused_and_change_nothing(void **state) {
    (void)state;
    enum { TOKENS = 100 };
    const float bad[] = {NAN, -NAN, INFINITY};
    const uint32_t top_k[] = {0, 1, 5};
    for (size_t b = 0; b < 3; b++) {
        for (uint32_t place = 0; place < TOKENS; place += 33) {
            for (size_t k = 0; k < 3; k++) {
                float logits[TOKENS];
                for (uint32_t i = 0; i < TOKENS; i++) {
                    logits[i] = (float)(TOKENS - i);
                }
                logits[place] = bad[b];
                gemlet_logit_bias bias = {place, 1.0f};
                gemlet_sampler_settings settings = plain();
                settings.top_k = top_k[k];
                settings.biases = &bias;
                settings.bias_count = place % 2;
                fixture f;
                begin(&f, &settings, TOKENS);
                gemlet_sampler before = f.sampler;
                uint32_t token = 77;
                assert_int_equal(gemlet_sampler_sample(&f.sampler, logits, TOKENS, &token, &f.error), GEMLET_ERROR_ARGUMENT);
                assert_non_null(strstr(f.error.message, b < 2 ? "found NaN" : "found infinity"));
                assert_int_equal(token, 77);
                assert_memory_equal(&before, &f.sampler, sizeof before);
                logits[place] = 0.0f; /* and it goes on */
                (void)sample(&f, logits);
                end(&f);
            }
        }
    }
}

static void nothing_left_is_a_status(void **state) {
    (void)state;
    const float logits[] = {1.0f, 2.0f};
    const float masked[] = {-INFINITY, -INFINITY};
    const gemlet_logit_bias biases[] = {{0, -INFINITY}, {1, -INFINITY}};
    for (int round = 0; round < 6; round++) {
        filter none = {.ascending = true};
        gemlet_sampler_settings settings = round % 2 == 0 ? plain() : greedy();
        settings.allowed = round / 2 == 0 ? allow : NULL;
        settings.allowed_context = &none;
        settings.biases = biases;
        settings.bias_count = round / 2 == 1 ? 2 : 0;
        fixture f;
        begin(&f, &settings, 2);
        gemlet_sampler before = f.sampler;
        uint32_t token = 77;
        assert_int_equal(gemlet_sampler_sample(&f.sampler, round / 2 == 2 ? masked : logits, 2, &token, &f.error),
                         GEMLET_ERROR_STATE);
        assert_int_equal(token, 77);
        assert_memory_equal(&before, &f.sampler, sizeof before);
        end(&f);
    }
}

static void settings_out_of_range_are_refused(void **state) {
    (void)state;
    const gemlet_logit_bias outside = {8, 0.0f}, infinite = {0, INFINITY}, undefined = {0, NAN}, good_one = {0, 1.0f};
    gemlet_sampler_settings bad[15];
    for (size_t i = 0; i < 15; i++) {
        bad[i] = gemlet_sampler_defaults();
        bad[i].bias_count = i >= 10 && i <= 12 ? 1 : 0;
    }
    bad[0].temperature = -0.1f;
    bad[1].temperature = NAN;
    bad[2].temperature = INFINITY;
    bad[3].top_p = 0.0f;
    bad[4].top_p = 1.01f;
    bad[5].top_p = NAN;
    bad[6].min_p = -0.01f;
    bad[7].min_p = 1.5f;
    bad[8].repetition_penalty = 0.0f;
    bad[9].repetition_penalty = NAN;
    bad[10].biases = &outside;
    bad[11].biases = &infinite;
    bad[12].biases = &undefined;
    bad[13].bias_count = 1;
    bad[14].biases = &good_one;
    bad[14].bias_count = UINT32_MAX; /* more than are numbered; none of them is looked at */
    uint64_t scratch[4096];
    gemlet_sampler sampler;
    gemlet_error error;
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(gemlet_sampler_open(&sampler, &bad[i], 8, scratch, sizeof scratch, &error), GEMLET_ERROR_ARGUMENT);
        assert_int_equal(error.status, GEMLET_ERROR_ARGUMENT);
    }
    gemlet_sampler_settings good = gemlet_sampler_defaults();
    size_t bytes = gemlet_sampler_bytes(&good, 8);
    assert_int_equal(gemlet_sampler_open(&sampler, &good, 0, scratch, sizeof scratch, &error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_sampler_open(&sampler, &good, 8, NULL, sizeof scratch, NULL), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_sampler_open(&sampler, &good, 8, scratch, bytes - 1, &error), GEMLET_ERROR_MEMORY);
    assert_int_equal(gemlet_sampler_open(&sampler, &good, 8, (char *)scratch + 4, bytes, &error), GEMLET_ERROR_ALIGNMENT);
    assert_int_equal(gemlet_sampler_open(&sampler, &good, 8, scratch, bytes, &error), GEMLET_OK);
    const float logits[8] = {0};
    uint32_t token;
    assert_int_equal(gemlet_sampler_sample(&sampler, logits, 7, &token, &error), GEMLET_ERROR_ARGUMENT);
    assert_int_equal(gemlet_sampler_sample(&sampler, NULL, 8, &token, NULL), GEMLET_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_greatest_and_of_equals_the_first),
        cmocka_unit_test(greedy_takes_no_random_number),
        cmocka_unit_test(a_restored_sampler_goes_on_as_if_it_had_not_stopped),
        cmocka_unit_test(random_numbers_are_the_published_ones),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(frequencies_are_the_probabilities),
        cmocka_unit_test(any_temperature_is_finite),
        cmocka_unit_test(top_k_keeps_k_the_lower_of_equals),
        cmocka_unit_test(top_p_keeps_the_shortest_run_that_reaches_p),
        cmocka_unit_test(min_p_is_relative_to_the_greatest),
        cmocka_unit_test(biases_add_up_and_can_forbid),
        cmocka_unit_test(repetition_is_penalised_once_within_the_window),
        cmocka_unit_test(the_penalty_follows_the_bias_and_lowers_either_sign),
        cmocka_unit_test(without_a_window_nothing_is_held),
        cmocka_unit_test(the_filter_has_its_way),
        cmocka_unit_test(lists_have_gaps),
        cmocka_unit_test(states_that_cannot_be_are_named),
        cmocka_unit_test(a_list_is_the_filter),
        cmocka_unit_test(one_token_of_a_long_list),
        cmocka_unit_test(kept_tokens_are_in_order),
        cmocka_unit_test(all_steps_are_what_the_header_says),
        cmocka_unit_test(a_whole_vocabulary),
        cmocka_unit_test(bad_logits_are_refused_and_change_nothing),
        cmocka_unit_test(nothing_left_is_a_status),
        cmocka_unit_test(settings_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
