/* What models of the published sizes will take, planned on files that have their shapes but no weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const char *shapes; /* the folder of tests/data/shapes that is planned for */

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    gemlet_error error = {GEMLET_OK, ""};
    folder_make(f->source, "e2b");
    folder_make(f->target, "packed");
    snprintf(f->packed, sizeof f->packed, "%s/e2b.gguf", f->target);
    char from[64];
    snprintf(from, sizeof from, "tests/data/shapes/%s", shapes);
    write_shape_hf(f->source, from);
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

/* A number as README.md writes it. */
static const char *with_commas(size_t number, char text[32]) {
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%zu", number), written = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[written++] = ',';
        }
        text[written++] = digits[i];
    }
    text[written] = '\0';
    return text;
}

static void expect_in_readme(const char *line) {
    static char text[1 << 16];
    FILE *file = fopen("README.md", "rb");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[bytes] = '\0';
    if (strstr(text, line) == NULL) {
        fail_msg("README.md: expected the line \"%s\", found none", line);
    }
}

static void the_readme_s_tables_are_of_this_plan(void **state) {
    static const struct {
        const char *begin;
        gemlet_options options;
    } rows[] = {{"| 1,024 | int8", {.context = 1024, .cache = GEMLET_CACHE_S8}},
                {"| 1,024 | f16", {.context = 1024}},
                {"| 2,048 | f16", {.context = 2048}},
                {"| 4,096 | f16", {.context = 4096}}};
    char line[160], text[32], images[32], all[32];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gemlet_options options = rows[i].options;
        with_commas(plan(*state, options).arena, all);
        options.no_sounds = true;
        with_commas(plan(*state, options).arena, images);
        options.no_images = true;
        with_commas(plan(*state, options).arena, text);
        snprintf(line, sizeof line, "\n%s | %s | %s | %s |\n", rows[i].begin, text, images, all);
        expect_in_readme(line);
    }
    snprintf(line, sizeof line, "\n| arena at 4,096 positions, f16, four threads, images and sound | %s |\n", all);
    expect_in_readme(line);
}

static void gemma4_e2b_at_4096_tokens_takes_40_mb(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096});
    assert_true(found.arena <= 40000000);
    /* 15 layers have keys and values, 3 of them global with wider heads, the others hold the window and a chunk. */
    assert_int_equal(found.cache, (size_t)2 * 2 * (3 * 512 * 4096 + 12 * 256 * (512 + 64)));
    assert_true(found.token_bytes <= 1300000000); /* 2.28 G weights of 4.5 bits */
}

static void gemma4_e4b_holds_what_its_context_needs(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096});
    assert_int_equal(found.cache, (size_t)2 * 2 * 2 * (4 * 512 * 4096 + 20 * 256 * (512 + 64)));
    assert_true(found.token_bytes <= 2650000000);
}

/* 2.28 G weights, 1.5 G of them of 2 bits; the per-layer projection, bfloat16 in the source, of 8. */
static void mobile_e2b_reads_800_mb_a_token(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096});
    assert_true(found.token_bytes <= 800000000 && found.token_bytes >= 780000000);
    assert_true(found.arena <= 40000000);
}

static void mobile_e4b_reads_2_25_gb_a_token(void **state) {
    gemlet_memory_plan found = plan(*state, (gemlet_options){.context = 4096});
    assert_true(found.token_bytes <= 2250000000 && found.token_bytes >= 2150000000);
}

/* Only the global layers with keys of their own grow with the context. */
static void the_whole_context_can_be_planned(void **state) {
    gemlet_memory_plan some = plan(*state, (gemlet_options){.context = 32768});
    gemlet_memory_plan all = plan(*state, (gemlet_options){.context = 131072});
    gemlet_memory_plan half = plan(*state, (gemlet_options){.context = 131072, .cache = GEMLET_CACHE_S8});
    assert_true(all.cache > some.cache && all.cache < 4 * some.cache);
    assert_true(half.cache < all.cache * 52 / 100);
}

static int run(const char *name, const struct CMUnitTest *tests, size_t count) {
    shapes = name;
    print_message("%s\n", name);
    return _cmocka_run_group_tests(name, tests, count, set_up, tear_down);
}

int main(void) {
    const struct CMUnitTest gemma3n[] = {
        cmocka_unit_test(text_at_4096_tokens_takes_80_mb),
        cmocka_unit_test(a_token_reads_less_than_all_weights),
        cmocka_unit_test(an_int8_cache_takes_half),
        cmocka_unit_test(the_encoder_takes_16_mb),
        cmocka_unit_test(the_readme_s_tables_are_of_this_plan),
    };
    const struct CMUnitTest gemma4_e2b[] = {
        cmocka_unit_test(gemma4_e2b_at_4096_tokens_takes_40_mb),
        cmocka_unit_test(the_whole_context_can_be_planned),
    };
    const struct CMUnitTest gemma4_e4b[] = {
        cmocka_unit_test(gemma4_e4b_holds_what_its_context_needs),
        cmocka_unit_test(the_whole_context_can_be_planned),
    };
    const struct CMUnitTest mobile_e2b[] = {cmocka_unit_test(mobile_e2b_reads_800_mb_a_token)};
    const struct CMUnitTest mobile_e4b[] = {cmocka_unit_test(mobile_e4b_reads_2_25_gb_a_token)};
    return run("gemma4-e2b-mobile", mobile_e2b, 1) + run("gemma4-e4b-mobile", mobile_e4b, 1) +
           run("gemma3n-e2b", gemma3n, sizeof gemma3n / sizeof *gemma3n) +
           run("gemma4-e2b", gemma4_e2b, sizeof gemma4_e2b / sizeof *gemma4_e2b) +
           run("gemma4-e4b", gemma4_e4b, sizeof gemma4_e4b / sizeof *gemma4_e4b);
}
