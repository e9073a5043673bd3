/* How many bytes a model and a session take: opening both with an arena that only counts. */
#include "core/text.h"
#include "model/session/session.h"

typedef struct plan_work {
    gemlet_arena arena;
    gemlet_model model;
    gemlet_session session;
} plan_work;

_Static_assert(sizeof(plan_work) <= GEMLET_PLAN_WORK_BYTES, "a plan has room for what is counted");

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
    plan_work *work = (plan_work *)(void *)&plan->work;
    gemlet_arena *arena = &work->arena;
    gemlet_model *model = &work->model;
    gemlet_session *session = &work->session;
    void *unused = NULL;
    gemlet_arena_init_counting(arena);
    gemlet_status status = gemlet_arena_keep(arena, "model", sizeof *model, &unused, error);
    if (status == GEMLET_OK) {
        status = gemlet_model_fill(model, port, path, options, arena, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    status = gemlet_arena_keep(arena, "session", sizeof *session, &unused, error);
    status = status != GEMLET_OK ? status : gemlet_session_fill(session, model, options, arena, error);
    if (status == GEMLET_OK) {
        plan->arena = arena->peak;
        plan->cache = user_bytes(arena, "KV cache");
        plan->persistent = arena->kept_peak - plan->cache;
        plan->scratch = arena->scratch_peak;
        plan->mapped = model->mapped;
        plan->token_bytes = model->weights.token_bytes;
        plan->image_tokens = session->images != NULL ? session->image.run.image_tokens : 0;
    }
    gemlet_container_close(&model->container);
    return status;
}
