/* How many bytes a model and a session take: opening both with an arena that only counts. */
#include "core/text.h"
#include "model/session/session.h"

static size_t user_bytes(const gemlet_arena *arena, const char *name) {
    for (size_t i = 0; i < arena->user_count; i++) {
        if (gemlet_text_equal(arena->users[i].name, name)) {
            return arena->users[i].peak;
        }
    }
    return 0;
}

gemlet_status gemlet_plan(const gemlet_port *port, const char *path, const gemlet_options *options, gemlet_memory_plan *plan,
                          gemlet_error *error) {
    if (port == NULL || path == NULL || plan == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "gemlet_plan: port, path and plan must not be NULL");
    }
    gemlet_arena arena;
    gemlet_model model;
    void *unused = NULL;
    gemlet_arena_init_counting(&arena);
    gemlet_status status = gemlet_arena_keep(&arena, "model", sizeof model, &unused, error);
    if (status == GEMLET_OK) {
        status = gemlet_model_fill(&model, port, path, options, &arena, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_session *session = NULL;
    status = gemlet_session_open(&model, options, &arena, &session, error);
    if (status == GEMLET_OK) {
        size_t cache = user_bytes(&arena, "KV cache");
        size_t persistent = arena.kept_peak - cache;
        *plan = (gemlet_memory_plan){arena.peak,         persistent,   cache,
                                     arena.scratch_peak, model.mapped, gemlet_text_token_bytes(&model.config, &model.weights)};
    }
    gemlet_container_close(&model.container);
    return status;
}
