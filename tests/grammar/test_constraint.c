/* Constraints: the sampler's filter over a real vocabulary, that of the demo.
 *
 *     grammar-constraint            the tests
 *     grammar-constraint COUNT      prints so many sampled answers, each behind its schema and a tab, for validate.py */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/grammar/schemas.h"
#include "tests/kernels/kernel_test.h"
#include <gemlet/arena.h>
#include <gemlet/grammar.h>
#include <gemlet/posix.h>
#include <gemlet/sampler.h>

static const char demo[] = "examples/demo/demo.gguf";

enum { MOST_TOKENS = 600, ANSWER_BYTES = 65536, MOST_REFUSED = 4096 /* of constraint.c */ };

/* A model's vocabulary in order, and memory for what is tested. */
typedef struct bench {
    gemlet_posix *posix;
    gemlet_port port;
    gemlet_arena arena;
    void *memory, *order_memory, *constraint_memory, *grammar_memory, *sampler_memory;
    size_t grammar_bytes;
    gemlet_model *model;
    const gemlet_tokenizer *tokenizer;
    uint32_t vocabulary;
    gemlet_token_order order;
    gemlet_constraint constraint;
    gemlet_error error;
    float *logits;
    char *answer;
} bench;

static void *take(size_t bytes) {
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT);
    if (memory == NULL) {
        fail_msg("out of memory");
        abort();
    }
    return memory;
}

static void must(bench *b, gemlet_status status) {
    if (status != GEMLET_OK) {
        fail_msg("%s", b->error.message);
        abort();
    }
}

static void open_bench(bench *b) {
    const gemlet_options options = {.context = 64, .no_images = true, .no_sounds = true};
    gemlet_memory_plan plan;
    *b = (bench){.grammar_bytes = 1 << 20};
    b->posix = gemlet_posix_open(1, &b->port);
    must(b, gemlet_plan(&b->port, demo, &options, &plan, &b->error));
    b->memory = take(plan.arena);
    must(b, gemlet_arena_init(&b->arena, b->memory, plan.arena, &b->error));
    must(b, gemlet_model_open(&b->port, demo, &options, &b->arena, &b->model, &b->error));
    b->tokenizer = gemlet_model_tokenizer(b->model);
    b->vocabulary = gemlet_tokenizer_count(b->tokenizer);
    b->order_memory = take(gemlet_token_order_bytes(b->tokenizer));
    must(b, gemlet_token_order_open(&b->order, b->tokenizer, b->order_memory, gemlet_token_order_bytes(b->tokenizer), &b->error));
    b->constraint_memory = take(gemlet_constraint_bytes(b->tokenizer));
    b->grammar_memory = take(b->grammar_bytes);
    b->sampler_memory = take((size_t)b->vocabulary * 16 + 4096);
    b->logits = take(b->vocabulary * sizeof *b->logits);
    b->answer = take(ANSWER_BYTES);
}

static void close_bench(bench *b) {
    gemlet_model_close(b->model);
    gemlet_posix_close(b->posix);
    void *const all[] = {b->memory, b->order_memory, b->constraint_memory, b->grammar_memory, b->sampler_memory,
                         b->logits, b->answer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
}

static void begin(bench *b, const char *schema) {
    const gemlet_grammar *grammar = NULL;
    must(b, gemlet_grammar_compile(GEMLET_GRAMMAR_SCHEMA, schema, strlen(schema), b->grammar_memory, b->grammar_bytes, &grammar,
                                   &b->error));
    must(b, gemlet_constraint_begin(&b->constraint, grammar, &b->order, gemlet_model_chat(b->model), false, b->constraint_memory,
                                    gemlet_constraint_bytes(b->tokenizer), &b->error));
}

/* Numbers that are about as far apart as a model's. */
static void draw_logits(bench *b, test_random *random) {
    for (uint32_t i = 0; i < b->vocabulary; i++) {
        b->logits[i] = (float)random_range(random, 0, 100000) / 10000.0f;
    }
    b->logits[gemlet_tokenizer_special(b->tokenizer, GEMLET_SPECIAL_END_OF_TURN)] = 14.0f;
}

/* Samples an answer; true where it ended.  There must be a token at each place. */
static bool sample(bench *b, test_random *random, uint32_t top_k, uint64_t seed, size_t *bytes) {
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    gemlet_sampler sampler;
    settings.temperature = 1.5f;
    settings.top_k = top_k;
    settings.top_p = 1.0f;
    settings.seed = seed;
    settings.allowed = gemlet_constraint_allows;
    settings.listed = gemlet_constraint_list;
    settings.allowed_context = &b->constraint;
    must(b,
         gemlet_sampler_open(&sampler, &settings, b->vocabulary, b->sampler_memory, (size_t)b->vocabulary * 16 + 4096, &b->error));
    *bytes = 0;
    for (size_t i = 0; i < MOST_TOKENS; i++) {
        uint32_t token = 0;
        const char *text = NULL;
        size_t length = 0;
        draw_logits(b, random);
        must(b, gemlet_sampler_sample(&sampler, b->logits, b->vocabulary, &token, &b->error));
        must(b, gemlet_constraint_accept(&b->constraint, token, &b->error));
        if (gemlet_chat_is_end(gemlet_model_chat(b->model), b->tokenizer, token)) {
            return true;
        }
        must(b, gemlet_tokenizer_text(b->tokenizer, token, &text, &length));
        assert_true(length > 0 && *bytes + length <= ANSWER_BYTES);
        memcpy(b->answer + *bytes, text, length);
        *bytes += length;
    }
    return false;
}

typedef void visit_schema(bench *b, size_t number, const char *schema, void *context);

typedef struct schema_visit {
    bench *b;
    visit_schema *visit;
    void *context;
    size_t number;
} schema_visit;

static void visit_if_schema(void *context, char mark, char *text) {
    schema_visit *v = context;
    if (mark == 'S') {
        v->visit(v->b, v->number++, text, v->context);
    }
}

static void each_schema(bench *b, visit_schema *visit, void *context) {
    schema_visit v = {.b = b, .visit = visit, .context = context};
    schemas_each_line(visit_if_schema, &v);
}

/* ---- Answers ---- */

typedef struct answers {
    test_random random;
    size_t wanted, made, ended;
    bool print;
} answers;

static void answer_schema(bench *b, size_t number, const char *schema, void *context) {
    answers *a = context;
    static const uint32_t top[] = {64, 1, 0, 8};
    (void)number;
    for (size_t i = 0; i < (a->wanted + 369) / 370 && a->made < a->wanted; i++, a->made++) {
        size_t bytes = 0;
        begin(b, schema);
        bool ended = sample(b, &a->random, top[i % 4], a->made, &bytes);
        a->ended += ended;
        if (ended) {
            gemlet_grammar_state state;
            gemlet_grammar_begin(b->constraint.grammar, &state);
            for (size_t at = 0; at < bytes; at++) {
                assert_true(gemlet_grammar_advance(b->constraint.grammar, &state, (unsigned char)b->answer[at], &state));
            }
            assert_true(gemlet_grammar_is_complete(b->constraint.grammar, &state));
        }
        if (ended && a->print) {
            printf("%s\t%.*s\n", schema, (int)bytes, b->answer);
        }
    }
}

static void sampled_answers_have_their_form(void **state) {
    (void)state;
    bench b;
    answers a = {.random = {23}, .wanted = 370};
    open_bench(&b);
    each_schema(&b, answer_schema, &a);
    close_bench(&b);
    print_message("%zu answers, %zu ended within %d tokens\n", a.made, a.ended, MOST_TOKENS);
    assert_true(a.ended * 100 >= a.made * 90);
}

/* ---- Ways to the same answer ---- */

/* Whether tokens are asked about one by one or have been listed. */
static void compare_ways(bench *b, size_t number, const char *schema, void *context) {
    test_random *random = context;
    if (number % 12 != 0) {
        return;
    }
    begin(b, schema);
    for (size_t step = 0; step < 12; step++) {
        uint32_t allowed = 0, chosen = GEMLET_NO_TOKEN;
        for (uint32_t token = 0; token < b->vocabulary; token++) {
            b->constraint.is_listed = b->constraint.is_prepared = false;
            b->constraint.refused = 0;
            bool one_by_one = gemlet_constraint_allows(&b->constraint, token);
            b->logits[token] = one_by_one ? 1.0f : 0.0f;
            if (one_by_one && !gemlet_chat_is_end(gemlet_model_chat(b->model), b->tokenizer, token) &&
                random_range(random, 0, allowed++) == 0) {
                chosen = token;
            }
        }
        for (uint32_t token = 0; token < b->vocabulary; token++) {
            b->constraint.refused = b->constraint.is_listed ? 0 : MOST_REFUSED; /* as if so many had been */
            assert_int_equal(gemlet_constraint_allows(&b->constraint, token), b->logits[token] > 0.5f);
        }
        b->constraint.is_prepared = false;
        const uint64_t *listed = gemlet_constraint_list(&b->constraint);
        for (uint32_t token = 0; token < b->vocabulary && listed != NULL; token++) {
            assert_int_equal(listed[token / 64] >> (token % 64) & 1, b->logits[token] > 0.5f);
        }
        if (chosen == GEMLET_NO_TOKEN) {
            return;
        }
        must(b, gemlet_constraint_accept(&b->constraint, chosen, &b->error));
    }
}

static void listed_tokens_are_those_that_are_asked_about(void **state) {
    (void)state;
    bench b;
    test_random random = {5};
    open_bench(&b);
    each_schema(&b, compare_ways, &random);
    close_bench(&b);
}

static void an_order_is_one(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    const char *before = NULL;
    size_t before_bytes = 0;
    for (uint32_t i = 0; i < b.order.count; i++) {
        const char *text = NULL;
        size_t bytes = 0;
        must(&b, gemlet_tokenizer_text(b.tokenizer, b.order.tokens[i], &text, &bytes));
        size_t shared = 0, both = bytes < before_bytes ? bytes : before_bytes;
        while (shared < both && text[shared] == before[shared]) {
            shared++;
        }
        assert_int_equal(b.order.shared[i], shared);
        assert_true(shared == before_bytes || (shared < bytes && (unsigned char)text[shared] > (unsigned char)before[shared]));
        before = text;
        before_bytes = bytes;
    }
    close_bench(&b);
}

static void what_is_not_allowed_is_not_accepted(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    begin(&b, "{\"type\":\"boolean\"}");
    uint32_t end = gemlet_tokenizer_special(b.tokenizer, GEMLET_SPECIAL_END_OF_TURN);
    assert_false(gemlet_constraint_allows(&b.constraint, end));
    assert_int_equal(gemlet_constraint_accept(&b.constraint, end, &b.error), GEMLET_ERROR_STATE);
    assert_false(gemlet_constraint_allows(&b.constraint, b.vocabulary));
    assert_false(gemlet_constraint_allows(&b.constraint, gemlet_tokenizer_special(b.tokenizer, GEMLET_SPECIAL_BOS)));
    assert_int_equal(
        gemlet_token_order_open(&b.order, b.tokenizer, b.order_memory, gemlet_token_order_bytes(b.tokenizer) - 1, &b.error),
        GEMLET_ERROR_MEMORY);
    close_bench(&b);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        bench b;
        answers a = {.random = {97}, .wanted = strtoul(argv[1], NULL, 10), .print = true};
        open_bench(&b);
        each_schema(&b, answer_schema, &a);
        close_bench(&b);
        fprintf(stderr, "%zu answers, %zu ended within %d tokens\n", a.made, a.ended, MOST_TOKENS);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampled_answers_have_their_form),
        cmocka_unit_test(listed_tokens_are_those_that_are_asked_about),
        cmocka_unit_test(an_order_is_one),
        cmocka_unit_test(what_is_not_allowed_is_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
