/* What a form costs a sampled token, for tests/bench/grammar.sh:
 *
 *     count_grammar TABLES open|free|SCHEMA STEPS TOP-K
 *
 * samples so many tokens from made-up logits over the vocabulary whose tables are in the file: "open" sorts the vocabulary and
 * samples none, "free" asks no filter, else the answer is held to the schema and begins again where it has ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/chat/format.h"
#include "tests/bench/made_up.h"
#include <gemlet/arena.h>
#include <gemlet/grammar.h>
#include <gemlet/sampler.h>

static void *take(size_t bytes) {
    void *memory = aligned_alloc(GEMLET_ALIGNMENT, (bytes + GEMLET_ALIGNMENT) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void must(gemlet_status status, const gemlet_error *error) {
    if (status != GEMLET_OK) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
}

static void open_tables(const char *path, gemlet_tokenizer *tokenizer, gemlet_error *error) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(1);
    }
    size_t bytes = (size_t)ftell(file);
    void *tables = take(bytes);
    rewind(file);
    if (fread(tables, 1, bytes, file) != bytes) {
        exit(1);
    }
    fclose(file);
    must(gemlet_tokenizer_open(tokenizer, tables, bytes, error), error);
}

int main(int argc, char **argv) {
    gemlet_tokenizer tokenizer;
    gemlet_token_order order;
    gemlet_constraint constraint;
    gemlet_sampler sampler;
    const gemlet_grammar *grammar = NULL;
    gemlet_error error = {GEMLET_OK, ""};
    if (argc != 5) {
        return 2;
    }
    open_tables(argv[1], &tokenizer, &error);
    bool held = strcmp(argv[2], "open") != 0 && strcmp(argv[2], "free") != 0;
    const uint32_t count = gemlet_tokenizer_count(&tokenizer);
    size_t bytes = gemlet_token_order_bytes(&tokenizer), scratch = gemlet_constraint_bytes(&tokenizer), table = 1 << 20;
    printf("order %zu\nconstraint %zu\n", bytes, scratch);
    if (strcmp(argv[2], "free") != 0) {
        must(gemlet_token_order_open(&order, &tokenizer, take(bytes), bytes, &error), &error);
    }
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.top_k = (uint32_t)atoi(argv[4]);
    void *memory = take(scratch), *grammar_memory = take(table);
    if (held) {
        must(gemlet_grammar_compile(GEMLET_GRAMMAR_SCHEMA, argv[2], strlen(argv[2]), grammar_memory, table, &grammar, &error),
             &error);
        must(gemlet_constraint_begin(&constraint, grammar, &order, &gemlet_gemma4_chat, false, memory, scratch, &error), &error);
        settings.allowed = gemlet_constraint_allows;
        settings.listed = gemlet_constraint_list;
        settings.allowed_context = &constraint;
    }
    bytes = gemlet_sampler_bytes(&settings, count);
    must(gemlet_sampler_open(&sampler, &settings, count, take(bytes), bytes, &error), &error);
    /* One set of numbers, read from another place for each token. */
    float *logits = take(2 * count * sizeof *logits);
    for (size_t i = 0; i < 2 * (size_t)count; i++) {
        logits[i] = (float)(next() % 100000) / 10000.0f;
    }
    for (int step = 0; step < atoi(argv[3]); step++) {
        uint32_t token = 0;
        must(gemlet_sampler_sample(&sampler, logits + (size_t)step * 997 % count, count, &token, &error), &error);
        if (held) {
            must(gemlet_constraint_accept(&constraint, token, &error), &error);
            if (gemlet_chat_is_end(&gemlet_gemma4_chat, &tokenizer, token)) {
                must(gemlet_constraint_begin(&constraint, grammar, &order, &gemlet_gemma4_chat, false, memory, scratch, &error),
                     &error);
            }
        }
    }
    return 0;
}
