#include "examples/gemlet/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOKENS_OF_MANY_IMAGES = 70 }; /* the least that Gemma 4 was made for */

gemlet_status engine_open(engine *e, const options *o, uint32_t context, gemlet_error *error) {
    gemlet_options chosen = options_for_library(o, context);
    *e = (engine){.posix = NULL};
    e->posix = gemlet_posix_open(o->threads, &e->port);
    if (e->posix == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "option --threads: the system refuses the threads");
    }
    gemlet_status status = gemlet_plan(&e->port, o->model, &chosen, &e->plan, error);
    if (status == GEMLET_OK && o->many_images && o->image_tokens == 0 && e->plan.image_tokens > TOKENS_OF_MANY_IMAGES) {
        chosen.image_tokens = TOKENS_OF_MANY_IMAGES;
        status = gemlet_plan(&e->port, o->model, &chosen, &e->plan, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    e->memory = aligned_alloc(GEMLET_ALIGNMENT, e->plan.arena);
    if (e->memory == NULL) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, "the system refuses ");
        gemlet_error_number(error, e->plan.arena);
        gemlet_error_text(error, " bytes; a smaller --ctx needs less");
        return GEMLET_ERROR_MEMORY;
    }
    status = gemlet_arena_init(&e->arena, e->memory, e->plan.arena, error);
    if (status == GEMLET_OK) {
        status = gemlet_model_open(&e->port, o->model, &chosen, &e->arena, &e->model, error);
    }
    if (status == GEMLET_OK) {
        status = gemlet_session_open(e->model, &chosen, &e->arena, &e->session, error);
    }
    if (status == GEMLET_OK) {
        e->tokenizer = gemlet_model_tokenizer(e->model);
        e->facts = gemlet_model_facts(e->model);
    }
    return status;
}

void engine_close(engine *e) {
    if (e->model != NULL) {
        gemlet_model_close(e->model);
    }
    free(e->memory);
    if (e->posix != NULL) {
        gemlet_posix_close(e->posix);
    }
    *e = (engine){.posix = NULL};
}

uint64_t engine_time(const engine *e) {
    return e->port.time(e->port.context);
}

static void print_rate(const char *label, uint64_t tokens, uint64_t nanoseconds) {
    double seconds = (double)nanoseconds * 1e-9;
    fprintf(stderr, "%-10s %10llu tokens %10.3f s", label, (unsigned long long)tokens, seconds);
    if (tokens > 0 && nanoseconds > 0) {
        fprintf(stderr, " %10.2f tokens/s", (double)tokens / seconds);
    }
    fputc('\n', stderr);
}

static void print_line(void *context, const char *text) {
    fprintf(context, "%s\n", text);
}

void engine_print_stats(const engine *e, const options *o, const engine_work *work) {
    const gemlet_memory_plan *plan = &e->plan;
    fputc('\n', stderr);
    print_rate("in", work->tokens_in, work->time_in);
    print_rate("out", work->tokens_out, work->time_out);
    if (work->sound_pieces > 0) {
        fprintf(stderr, "live sound %10llu samples in %llu pieces, the last of %llu\n", (unsigned long long)work->sound_samples,
                (unsigned long long)work->sound_pieces, (unsigned long long)work->sound_last);
    }
    fprintf(stderr, "level %s, threads %zu, kv %s, context %zu, seed %llu\n", e->facts.level, e->port.thread_count(e->port.context),
            o->cache == GEMLET_CACHE_S8 ? "int8" : "f16", gemlet_session_capacity(e->session), (unsigned long long)o->seed);
    fprintf(stderr, "weights    %14llu bytes mapped\n", (unsigned long long)plan->mapped);
    fprintf(stderr, "           %14llu bytes read for each token\n", (unsigned long long)plan->token_bytes);
    fprintf(stderr, "plan       %14zu bytes: persistent %zu, cache %zu, scratch %zu\n", plan->arena, plan->persistent, plan->cache,
            plan->scratch);
    fprintf(stderr, "arena      %14zu bytes at most: %s\n", e->arena.peak,
            e->arena.peak == plan->arena ? "as planned" : "not as planned");
    gemlet_arena_report(&e->arena, print_line, stderr);
}
