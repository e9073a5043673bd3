/* Slices of a MatFormer model: against the reference, which slices a folder and runs it, and against themselves from both sources.
 */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"
#include <gemlet/posix.h>

enum { VOCABULARY = 528 };

static const struct recipe {
    const char *name, *line;
} recipes[] = {
    {"blockskip", "128x4,256x1,128x4,256x1,128x4,256x1,128x4,256x1;skip=10-14"},
    {"mixed", "128x10,256x10,128x4,256x1"},
    {"uneven", "96,160,96,160,96,160,96,160,96,160,96,160,96,160,96,160,96,160,96,160,96,160,96;skip=3,21"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static char folder[FOLDER_BYTES], source[FOLDER_BYTES];

static int set_up(void **state) {
    (void)state;
    folder_make(folder, "slice");
    folder_make(source, "source");
    write_tiny_hf(&tiny_gemma3n, source, 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    folder_remove(folder);
    folder_remove(source);
    return 0;
}

static const char *named(const char *name) {
    static char path[FOLDER_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Packs a slice, NULL: the whole, of the tiny model as GGUF or as a folder. */
static gemlet_status pack(bool from_folder, const char *slice, const char *output, gemlet_error *error) {
    pack_options options = {.output = output, .slice = slice};
    options.folder = from_folder ? source : NULL;
    options.text = from_folder ? NULL : TINY_TEXT;
    options.projector = from_folder ? NULL : TINY_PROJECTOR;
    return pack_run(&options, error);
}

static char *read_all(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

/* The same bytes but for the header, which has the source's name and the packed tokenizer's. */
static void assert_same_tail(const char *one, const char *other, bool whole) {
    size_t length, other_length;
    char *bytes = read_all(one, &length), *others = read_all(other, &other_length);
    size_t compared = whole ? length : length - length / 4;
    assert_int_equal(length, other_length);
    assert_memory_equal(bytes + length - compared, others + length - compared, compared);
    free(bytes);
    free(others);
}

static void slices_give_the_reference_s_logits(void **state) {
    size_t tokens, count;
    uint32_t *ids = golden_read("gemma3n-slices/text_ids.u32", &tokens);
    gemlet_error error = {GEMLET_OK, ""};
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        char file[64];
        running r;
        snprintf(file, sizeof file, "gemma3n-slices/%s.f32", recipes[i].name);
        float *expected = golden_read(file, &count);
        assert_int_equal(count, tokens * VOCABULARY);
        assert_int_equal(pack(false, recipes[i].line, named("slice.gguf"), &error), GEMLET_OK);
        running_open(&r, named("slice.gguf"), 2, &(gemlet_options){.context = 128});
        float *logits = running_logits(&r, ids, tokens);
        assert_agreement(recipes[i].name, agreement_of(logits, expected, tokens, VOCABULARY), 0.9998, 0.9995, 0.98);
        free(logits);
        free(expected);
        running_close(&r);
    }
    free(ids);
}

static void a_folder_and_a_gguf_give_the_same_slices(void **state) {
    gemlet_error error = {GEMLET_OK, ""};
    char other[FOLDER_BYTES + 32];
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        snprintf(other, sizeof other, "%s", named("folder.gguf"));
        assert_int_equal(pack(true, recipes[i].line, other, &error), GEMLET_OK);
        assert_int_equal(pack(false, recipes[i].line, named("gguf.gguf"), &error), GEMLET_OK);
        assert_same_tail(other, named("gguf.gguf"), false);
    }
}

static void the_whole_is_no_slice(void **state) {
    gemlet_error error = {GEMLET_OK, ""};
    char other[FOLDER_BYTES + 32];
    (void)state;
    for (size_t from_folder = 0; from_folder < 2; from_folder++) {
        snprintf(other, sizeof other, "%s", named("whole.gguf"));
        assert_int_equal(pack(from_folder != 0, NULL, other, &error), GEMLET_OK);
        assert_int_equal(pack(from_folder != 0, "256x25", named("slice.gguf"), &error), GEMLET_OK);
        assert_same_tail(other, named("slice.gguf"), true);
    }
}

static void a_file_says_the_same_as_a_line(void **state) {
    gemlet_error error = {GEMLET_OK, ""};
    char json[FOLDER_BYTES + 32], other[FOLDER_BYTES + 32];
    gemlet_container container;
    gemlet_port port;
    char slice[256];
    (void)state;
    snprintf(json, sizeof json, "%s", named("recipe.json"));
    FILE *file = fopen(json, "w");
    assert_non_null(file);
    fputs("{\"name\": \"mine\", \"layers_skipped\": [4], \"ffn_hidden_dims\": [", file);
    for (int i = 0; i < 24; i++) {
        fprintf(file, "%s64", i == 0 ? "" : ", ");
    }
    fputs("]}\n", file);
    fclose(file);
    snprintf(other, sizeof other, "%s", named("file.gguf"));
    assert_int_equal(pack(false, json, other, &error), GEMLET_OK);
    struct gemlet_posix *posix = gemlet_posix_open(1, &port);
    assert_int_equal(gemlet_container_open(&container, &port, other, &error), GEMLET_OK);
    assert_int_equal(gemlet_container_string(&container, "gemlet.slice", slice, sizeof slice, &error), GEMLET_OK);
    assert_string_equal(slice, "mine: 64x24;skip=4 of 25 layers");
    gemlet_container_close(&container);
    gemlet_posix_close(posix);
}

static const struct refusal {
    const char *slice, *message;
} refusals[] = {
    {"256x24", "24 widths are given, but 25 layers are kept"},
    {"256x24;skip=19", "layer 19 can't be skipped: the last 5 layers read its keys and values"},
    {"256x24;skip=18", "layer 18 can't be skipped: the last 5 layers read its keys and values"},
    {"256x24;skip=25", "layer 25 can't be skipped: the source has 25"},
    {"250x25", "must be a multiple of 32 up to 256, what layer 0 of the source has, but is 250"},
    {"256x24,288", "the width of layer 24 must be a multiple of 32 up to 256"},
    {"0x25", "but is 0"},
    {"e2b", "the source has 25 layers, the published slices are of one with 35"},
    {"e2.98b", "expected a published name (--slice list says which)"},
    {"256x25;skip=", "expected widths and layers like"},
    {"256x25;skip=5-3", "expected widths and layers like"},
    {"256x25;skip=1,", "expected widths and layers like"},
    {"256x25 ", "expected widths and layers like"},
    {"256x200", "at most 128 layers"},
    {"256x0", "expected widths and layers like"},
    {"nowhere.json", "can't be opened"},
};

static void what_can_t_be_cut_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        gemlet_error error = {GEMLET_OK, ""};
        assert_int_not_equal(pack(i % 2 == 0, refusals[i].slice, named("refused.gguf"), &error), GEMLET_OK);
        if (strstr(error.message, refusals[i].message) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", refusals[i].message, error.message);
        }
    }
    gemlet_error error = {GEMLET_OK, ""};
    pack_options options = {.text = GEMMA4_TEXT, .slice = "192x10", .output = named("refused.gguf")};
    assert_int_not_equal(pack_run(&options, &error), GEMLET_OK);
    assert_non_null(strstr(error.message, "only Gemma 3n's models contain smaller ones, but this is a gemma4 model"));
}

/* The line of a slice in what --slice list prints. */
static char *line_of(char *text, const char *name) {
    char *line = text;
    while (line != NULL && strncmp(line, name, strlen(name)) != 0) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    assert_non_null(line);
    return line;
}

/* `count` numbers behind `words`, with which the line begins. */
static void read_numbers(char *line, const char *const *words, uint64_t *numbers, size_t count) {
    for (; *words != NULL; words++) {
        line += strspn(line, " ");
        assert_int_equal(strncmp(line, *words, strlen(*words)), 0);
        line += strlen(*words);
    }
    for (size_t i = 0; i < count; i++) {
        char *end;
        numbers[i] = strtoull(line, &end, 10);
        assert_true(end > line);
        line = end;
    }
}

/* Of a file that has E4B's shapes: the slice that is E2B takes what E2B's own file takes. */
static void the_published_slices_of_e4b_are_listed(void **state) {
    char e4b[FOLDER_BYTES], text[4096] = "";
    gemlet_error error = {GEMLET_OK, ""};
    (void)state;
    folder_make(e4b, "e4b");
    write_shape_hf(e4b, "tests/data/shapes/gemma3n-e4b");
    FILE *report = fopen(named("list.txt"), "w+");
    assert_non_null(report);
    pack_options options = {.folder = e4b, .slice = "list", .list = true, .no_sound = true, .report = report};
    if (pack_run(&options, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
    rewind(report);
    assert_true(fread(text, 1, sizeof text - 1, report) > 1000);
    fclose(report);
    folder_remove(e4b);
    uint64_t e2b[4], e4b_file; /* file, read, multiply-adds, arena */
    static const char *const of_e2b[] = {"e2b", "30", "1.91", "50.9", NULL}, *const of_e4b[] = {"e4b", "35", "3.98", "62.3", NULL};
    read_numbers(line_of(text, "e2b "), of_e2b, e2b, 4);
    read_numbers(line_of(text, "e4b "), of_e4b, &e4b_file, 1);
    assert_int_equal(e2b[1], 1193550832);
    assert_int_equal(e2b[3], 73047872);
    assert_true(e2b[0] < e4b_file && e2b[2] < e2b[1] * 2);
}

/* How many files for trials are in the folder. */
static size_t trials(void) {
    size_t count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        count += strncmp(entry->d_name, "gemlet-slice.", 13) == 0;
    }
    closedir(entries);
    return count;
}

/* A list tries each slice in a file that a signal must not leave behind. */
static void a_list_that_is_stopped_leaves_nothing(void **state) {
    char e4b[FOLDER_BYTES];
    int ending = 0;
    (void)state;
    folder_make(e4b, "e4b");
    write_shape_hf(e4b, "tests/data/shapes/gemma3n-e4b");
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        FILE *report = fopen("/dev/null", "w");
        const pack_options options = {.folder = e4b, .slice = "list", .no_sound = true, .report = report};
        setenv("TMPDIR", folder, 1);
        signal(SIGTERM, SIG_DFL);
        _exit(report != NULL && pack_run(&options, NULL) == GEMLET_OK ? 0 : 1);
    }
    while (trials() == 0 && waitpid(child, &ending, WNOHANG) == 0) {
    }
    kill(child, SIGTERM);
    assert_int_equal(waitpid(child, &ending, 0), child);
    assert_true(WIFSIGNALED(ending) && WTERMSIG(ending) == SIGTERM);
    assert_int_equal(trials(), 0);
    folder_remove(e4b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_the_reference_s_logits),
        cmocka_unit_test(a_folder_and_a_gguf_give_the_same_slices),
        cmocka_unit_test(the_whole_is_no_slice),
        cmocka_unit_test(a_file_says_the_same_as_a_line),
        cmocka_unit_test(what_can_t_be_cut_is_refused),
        cmocka_unit_test(the_published_slices_of_e4b_are_listed),
        cmocka_unit_test(a_list_that_is_stopped_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
