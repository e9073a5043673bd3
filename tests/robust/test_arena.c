/* Every smaller arena is refused when model and session are opened, never later; the planned one is enough to the byte, is used to
 * the byte and not a byte beyond; what it held before does not matter.  Arguments: packed models to try besides the small ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/robust/rig.h"
#include "tests/support/sanitized.h"

enum { STEPS = 256 };

static char **models; /* further ones, NULL at the end */

static size_t refuse_smaller(rig *r, size_t plan) {
    size_t refused = 0;
    for (size_t i = 0; i <= STEPS; i++) {
        size_t size = i < STEPS ? plan * i / STEPS : plan - 1;
        gemlet_status status = rig_open(r, size, 0xA5);
        assert_int_equal(status, GEMLET_ERROR_MEMORY);
        rig_check_status(r, status);
        refused++;
    }
    return refused;
}

/* The planned size: opens, is used up exactly, and gives the same bits whatever was in it. */
static void use_planned(rig *r, size_t plan) {
    static const int poisons[] = {0xA5, 0xFF, 0x00};
    saved_state first = {NULL, 0};
    for (size_t i = 0; i < sizeof poisons / sizeof *poisons; i++) {
        assert_int_equal(rig_open(r, plan, poisons[i]), GEMLET_OK);
        assert_int_equal(r->arena.peak, plan);
        assert_int_equal(r->arena.kept + r->arena.scratch, plan);
        must(r, rig_converse(r));
        assert_int_equal(r->arena.peak, plan);
        saved_state state = rig_save(r);
        if (i == 0) {
            first = state;
        } else {
            assert_same_state(&state, &first);
            free(state.bytes);
        }
        rig_close(r);
    }
    free(first.bytes);
}

static void check(const packed_file *file, const gemlet_options *options, bool maps) {
    rig r;
    rig_init(&r, file->bytes, file->size, options);
    r.file.maps = maps;
    size_t plan = rig_plan(&r);
    size_t refused = refuse_smaller(&r, plan);
    use_planned(&r, plan);
    print_message("           %s: %zu smaller than %zu bytes%s refused\n", file->name, refused, plan,
                  maps ? "" : ", weights included,");
}

static void text_models_fit_exactly(void **state) {
    (void)state;
    check(&small, &(gemlet_options){.context = 64, .chunk = 8}, true);
    check(&small, &(gemlet_options){.context = 64, .cache = GEMLET_CACHE_S8}, false);
    check(&mini, &(gemlet_options){.context = 64, .chunk = 5, .no_images = true, .cache = GEMLET_CACHE_S8}, true);
    check(&mini, &(gemlet_options){.context = 100, .no_images = true}, false);
}

static void image_models_fit_exactly(void **state) {
    (void)state;
    const gemlet_options options = {.context = 350, .image_size = 64};
    if (SANITIZED) { /* the same code in less time */
        check(&mini, &options, true);
        return;
    }
    packed_file tiny = packed_tiny();
    check(&tiny, &options, true);
    free(tiny.bytes);
}

static void further_models_fit_exactly(void **state) {
    (void)state;
    for (char **path = models; *path != NULL; path++) {
        packed_file file = packed_read(*path);
        check(&file, &(gemlet_options){.context = 512}, true);
        free(file.bytes);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_models_fit_exactly),
        cmocka_unit_test(image_models_fit_exactly),
        cmocka_unit_test(further_models_fit_exactly),
    };
    models = argv + (argc > 0 ? 1 : 0);
    return cmocka_run_group_tests(tests, pack_models, free_models);
}
