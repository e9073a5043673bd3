/* gemlet perplexity: how well a text is predicted, by the rule of llama.cpp's tool of that name.
 *
 * The text, without a newline at its end, becomes tokens with <bos> before them; these are cut into chunks of C tokens, and what is
 * left over is not used.  Each chunk starts in an empty context, its first token replaced by <bos>.  Scored are the tokens behind
 * position C / 2, which have at least half a chunk before them: C - C / 2 - 1 in each chunk.  The perplexity is exp of the mean of
 * -log p(token) over all of them; its error is that of the mean, times the perplexity. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/gemlet/engine.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/tokens.h"

enum { DEFAULT_CHUNK = 512 };

typedef struct score {
    const uint32_t *next; /* the token behind each row */
    double sum, squares;
    size_t count;
} score;

static void add_row(void *context, size_t index, const float *logits, size_t count) {
    score *s = context;
    float largest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)expf(logits[i] - largest);
    }
    /* cppcheck-suppress invalidFunctionArg ; the largest logit adds 1 to the sum */
    double loss = log(sum) - (double)(logits[s->next[index]] - largest);
    s->sum += loss;
    s->squares += loss * loss;
    s->count++;
}

static gemlet_status score_chunk(engine *e, const uint32_t *chunk, size_t length, score *s, gemlet_error *error) {
    size_t first = length / 2;
    uint32_t bos = gemlet_tokenizer_special(e->tokenizer, GEMLET_SPECIAL_BOS);
    uint32_t start = bos != GEMLET_NO_TOKEN ? bos : chunk[0];
    gemlet_session_reset(e->session);
    gemlet_status status = gemlet_feed(e->session, &start, 1, error);
    if (status == GEMLET_OK) {
        status = gemlet_feed(e->session, chunk + 1, first - 1, error);
    }
    if (status == GEMLET_OK) {
        s->next = chunk + first + 1;
        status = gemlet_feed_with_logits(e->session, chunk + first, length - 1 - first, add_row, s, error);
    }
    return status;
}

static gemlet_status read_tokens(const engine *e, const char *path, token_list *tokens, gemlet_error *error) {
    size_t bytes;
    char *text = read_text(path, &bytes, error);
    if (text == NULL) {
        return GEMLET_ERROR_IO;
    }
    bytes -= bytes > 0 && text[bytes - 1] == '\n';
    gemlet_status status = tokens_append_special(tokens, e->tokenizer, GEMLET_SPECIAL_BOS);
    if (status == GEMLET_OK) {
        status = tokens_append_text(tokens, e->tokenizer, text, bytes, error);
    }
    free(text);
    return status;
}

static gemlet_status check_length(const char *path, size_t count, size_t length, gemlet_error *error) {
    if (length < 4) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "option --ctx: expected at least 4 for a perplexity");
    }
    if (count < 2 * length) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, program_input(path));
        gemlet_error_text(error, ": expected at least two chunks, that is ");
        gemlet_error_number(error, 2 * length);
        gemlet_error_text(error, " tokens, found ");
        gemlet_error_number(error, count);
        return GEMLET_ERROR_ARGUMENT;
    }
    return GEMLET_OK;
}

static gemlet_status score_text(engine *e, const token_list *tokens, size_t length, score *s, gemlet_error *error) {
    size_t chunks = tokens->count / length;
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < chunks && status == GEMLET_OK; i++) {
        status = score_chunk(e, tokens->ids + i * length, length, s, error);
        if (status == GEMLET_OK) {
            fprintf(stderr, "chunk %zu of %zu: %.4f\n", i + 1, chunks, exp(s->sum / (double)s->count));
        }
    }
    if (status == GEMLET_OK && !isfinite(s->sum)) {
        status = gemlet_fail(error, GEMLET_ERROR_FORMAT, "the logits are not finite");
    }
    return status;
}

static void print_score(const score *s, size_t chunks, size_t length) {
    double mean = s->sum / (double)s->count;
    double variance = s->squares / (double)s->count - mean * mean;
    double deviation = variance > 0.0 && s->count > 1 ? sqrt(variance / (double)(s->count - 1)) : 0.0;
    printf("perplexity %.4f +/- %.5f (%zu tokens of %zu chunks of %zu)\n", exp(mean), deviation * exp(mean), s->count, chunks,
           length);
}

int command_perplexity(int argc, char **argv) {
    options o;
    engine e;
    token_list tokens = {.ids = NULL};
    score s = {.next = NULL};
    gemlet_error error = {GEMLET_OK, ""};
    int code;
    if (!options_parse(&o, OPTIONS_PERPLEXITY, argc, argv, &code)) {
        return code;
    }
    size_t length = o.context != 0 ? o.context : DEFAULT_CHUNK;
    gemlet_status status = engine_open(&e, &o, DEFAULT_CHUNK, &error);
    if (status == GEMLET_OK) {
        status = read_tokens(&e, o.file, &tokens, &error);
    }
    if (status == GEMLET_OK) {
        status = check_length(o.file, tokens.count, length, &error);
    }
    uint64_t started = status == GEMLET_OK ? engine_time(&e) : 0;
    if (status == GEMLET_OK) {
        status = score_text(&e, &tokens, length, &s, &error);
    }
    if (status == GEMLET_OK) {
        size_t chunks = tokens.count / length;
        engine_work work = {.tokens_in = chunks * (length - 1), .time_in = engine_time(&e) - started};
        print_score(&s, chunks, length);
        if (o.stats) {
            engine_print_stats(&e, &o, &work);
        }
    }
    engine_close(&e);
    tokens_free(&tokens);
    return status == GEMLET_OK ? 0 : program_fail(&error);
}
