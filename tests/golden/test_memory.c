/* What Gemma 3n E2B will take, planned on a file that has its shapes but no weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include <gemlet/gemlet.h>
#include <gemlet/posix.h>

typedef struct fixture {
    char source[FOLDER_BYTES];
    char target[FOLDER_BYTES];
    char packed[FOLDER_BYTES + 32];
    struct gemlet_posix *posix;
    gemlet_port port;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(f->source, "e2b");
    folder_make(f->target, "packed");
    snprintf(f->packed, sizeof f->packed, "%s/e2b.gguf", f->target);
    write_shape_hf(f->source, "tests/data/shapes/gemma3n-e2b");
    pack_options options = {.folder = f->source, .output = f->packed, .header_only = true};
    if (pack_run(&options, &error) != GEMLET_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    f->posix = gemlet_posix_open(4, &f->port);
    *state = f;
    return f->posix != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    gemlet_posix_close(f->posix);
    folder_remove(f->source);
    folder_remove(f->target);
    free(f);
    return 0;
}

static gemlet_memory_plan plan(const fixture *f, gemlet_options options) {
    gemlet_memory_plan found;
    gemlet_error error;
    if (gemlet_plan(&f->port, f->packed, &options, &found, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
    print_message("           %s context %5u, %s: arena %.1f MB (cache %.1f, scratch %.1f), %.3f GB a token\n",
                  options.no_images ? "text," : "images,", options.context, options.cache == GEMLET_CACHE_F16 ? "f16" : "int8",
                  (double)found.arena / 1e6, (double)found.cache / 1e6, (double)found.scratch / 1e6,
                  (double)found.token_bytes / 1e9);
    return found;
}

static void text_at_4096_tokens_takes_80_mb(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096, .no_images = true});
    assert_true(found.arena <= 80000000);
    /* 20 layers have keys and values, 4 of them global, the others hold the window and a chunk. */
    assert_int_equal(found.cache, (size_t)2 * 2 * 256 * 2 * (4 * 4096 + 16 * (512 + 64)));
}

static void a_token_reads_less_than_all_weights(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096, .no_images = true});
    assert_true(found.token_bytes <= 1200000000);
    assert_true(found.token_bytes >= 1000000000); /* dense layers, LM head: 1.0 GB alone */
    assert_true(found.mapped > found.token_bytes);
}

static void an_int8_cache_takes_half(void **state) {
    gemlet_memory_plan whole = plan(*state, (gemlet_options){.context = 32768, .no_images = true});
    gemlet_memory_plan half = plan(*state, (gemlet_options){.context = 32768, .no_images = true, .cache = GEMLET_CACHE_S8});
    assert_true(half.cache < whole.cache * 52 / 100);
    assert_int_equal(half.scratch, whole.scratch);
}

/* The encoder works in the text model's scratch, which short chunks make small: then the rest is its own.  768 x 768 pixels. */
static void the_encoder_takes_16_mb(void **state) {
    gemlet_memory_plan text = plan(*state, (gemlet_options){.context = 4096, .chunk = 8, .no_images = true});
    gemlet_memory_plan images = plan(*state, (gemlet_options){.context = 4096, .chunk = 8});
    assert_true(images.scratch > text.scratch);
    assert_true(images.scratch <= 16000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_at_4096_tokens_takes_80_mb),
        cmocka_unit_test(a_token_reads_less_than_all_weights),
        cmocka_unit_test(an_int8_cache_takes_half),
        cmocka_unit_test(the_encoder_takes_16_mb),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
