/* Feeds a model so that its instructions can be counted: count_decoder MODEL prefill|decode COUNT [THREADS]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gemlet.h"
#include "port/posix/posix.h"

enum { MOST = 2048 };

int main(int argc, char **argv) {
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    gemlet_memory_plan plan;
    gemlet_arena arena;
    gemlet_model *model = NULL;
    gemlet_session *session = NULL;
    uint32_t tokens[MOST];
    size_t count = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (count == 0 || count > MOST) {
        fputs("count_decoder MODEL prefill|decode COUNT [THREADS]\n", stderr);
        return 2;
    }
    gemlet_posix *posix = gemlet_posix_open(argc > 4 ? strtoul(argv[4], NULL, 10) : 1, &port);
    gemlet_options options = {.context = MOST, .chunk = 128};
    gemlet_status status = gemlet_plan(&port, argv[1], &options, &plan, &error);
    void *memory = status == GEMLET_OK ? aligned_alloc(GEMLET_ALIGNMENT, plan.arena) : NULL;
    status = status != GEMLET_OK ? status : gemlet_arena_init(&arena, memory, plan.arena, &error);
    status = status != GEMLET_OK ? status : gemlet_model_open(&port, argv[1], &options, &arena, &model, &error);
    status = status != GEMLET_OK ? status : gemlet_session_open(model, &options, &arena, &session, &error);
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (uint32_t)(8 + i * 7 % 500);
    }
    size_t step = strcmp(argv[2], "decode") == 0 ? 1 : count;
    for (size_t i = 0; i < count && status == GEMLET_OK; i += step) {
        status = gemlet_feed(session, tokens + i, step, &error);
    }
    if (status != GEMLET_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    gemlet_model_close(model);
    gemlet_posix_close(posix);
    free(memory);
    return status == GEMLET_OK ? 0 : 1;
}
