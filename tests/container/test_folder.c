/* gemlet-pack on folders with a fault: what would be another model, or do harm, is refused by name and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "model/pack/slice.h"
#include "tests/container/gguf_builder.h"
#include "tests/container/made_folder.h"
#include "tests/container/tiny_model.h"

typedef struct fixture {
    char source[FOLDER_BYTES], folder[FOLDER_BYTES];
    char packed[FOLDER_BYTES + 32];
    gemlet_error error;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    folder_make(f->source, "source");
    folder_make(f->folder, "packed");
    snprintf(f->packed, sizeof f->packed, "%s/packed.gguf", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->source);
    folder_remove(f->folder);
    free(f);
    return 0;
}

static gemlet_status pack(fixture *f, const char *slice) {
    pack_options options = {.folder = f->source, .output = f->packed, .slice = slice};
    f->error.message[0] = '\0';
    return pack_run(&options, &f->error);
}

static void expect_refusal(fixture *f, const char *what, const char *slice, const char *message) {
    if (pack(f, slice) == GEMLET_OK || strstr(f->error.message, message) == NULL) {
        fail_msg("%s: \"%s\" expected in \"%s\"", what, message, f->error.message);
    }
    assert_int_equal(folder_count(f->folder), 0); /* no half file, no temporary one */
}

static void expect_packed(fixture *f, const made_folder *made, const char *slice) {
    open_gguf packed;
    gemlet_tensor t;
    uint64_t cursor = 0;
    write_made(made, f->source);
    if (pack(f, slice) != GEMLET_OK) {
        fail_msg("%s", f->error.message);
    }
    gguf_open(&packed, f->packed);
    for (uint32_t i = 0; i < packed.container.tensor_count; i++) {
        assert_true(gemlet_container_next_tensor(&packed.container, &cursor, i, &t));
        assert_int_equal(gemlet_container_verify(&packed.container, &t, &f->error), GEMLET_OK);
    }
    gguf_close(&packed);
}

/* What the faults below are faults of. */
static void made_folders_are_packed(void **state) {
    static const made_folder whole[] = {{.family = MADE_GEMMA3},
                                        {.family = MADE_GEMMA3N, .config = "\"vision_config\": null, \"audio_config\": null,"},
                                        {.family = MADE_GEMMA4}};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        expect_packed(*state, &whole[i], NULL);
    }
    expect_packed(*state, &whole[1], "32,64x2;skip=1");
}

/* A row of the per-layer table may be longer than what is converted at a time. */
static void rows_of_any_length_are_packed(void **state) {
    const made_folder long_rows = {.family = MADE_GEMMA4, .layers = 65, .per_layer = 4096};
    expect_packed(*state, &long_rows, NULL);
}

typedef struct fault {
    made_folder made;
    const char *slice, *message;
} fault;

#define QUANTIZED(bits) "\"quantization_config\": {\"quant_method\": \"gemma\", \"num_bits\": " #bits "},"

static const fault faults[] = {
    /* what a slice is cut by */
    {{MADE_GEMMA3N, .config = "\"num_kv_shared_layers\": 100,"}, "32x4", "a layer must have keys and values of its own"},
    {{MADE_GEMMA3N, .tensor = "per_layer_model_projection.weight", .shape = "96,32"},
     "64x3;skip=1",
     "\"per_layer_model_proj.weight\" must be a matrix of 128 rows, but has 96"},
    {{MADE_GEMMA3N, .tensor = "embed_tokens_per_layer.weight", .shape = "2,96"},
     "64x3;skip=1",
     "\"per_layer_token_embd.weight\" must be a matrix of 128 columns, but has 96"},
    {{MADE_GEMMA3N, .tensor = "embed_tokens_per_layer.weight", .shape = "2,192"},
     "64x3;skip=1",
     "\"per_layer_token_embd.weight\" must be a matrix of 128 columns, but has 192"},
    {{MADE_GEMMA3N, .tensor = "layers.2.mlp.up_proj.weight", .shape = "96,32"},
     "32x4",
     "\"blk.2.ffn_up.weight\" must be a matrix of 64 rows, but has 96"},
    {{MADE_GEMMA3N, .tensor = "layers.2.mlp.down_proj.weight", .shape = "32,96"},
     "32x4",
     "\"blk.2.ffn_down.weight\" must be a matrix of 64 columns, but has 96"},
    /* codes where numbers are wanted */
    {{MADE_GEMMA4, .layers = 1, .config = QUANTIZED(4), .tensor = "layers.0.input_layernorm.weight", .shape = "32 U8"},
     NULL,
     "\"blk.0.attn_norm.weight\" must hold numbers (F32, F16 or BF16), but holds codes of 4 bits"},
    {{MADE_GEMMA4, .layers = 1, .config = QUANTIZED(8), .tensor = "layers.0.input_layernorm.weight", .shape = "32 I8"},
     NULL,
     "\"blk.0.attn_norm.weight\" must hold numbers (F32, F16 or BF16), but holds codes of 8 bits"},
    {{MADE_GEMMA4, .layers = 1, .config = QUANTIZED(4), .tensor = "layers.0.mlp.gate_proj.weight", .shape = "64,16 U8",
      .extra = "layers.0.mlp.gate_proj.weight_scale 96 F32"},
     NULL,
     "\"blk.0.ffn_gate.scale\" must be 64 F32 numbers, one a row, but has 96"},
    /* what the library would not open */
    {{MADE_GEMMA3, .config = "\"rope_theta\": 0,"}, NULL, "\"rope.freq_base\" must be a finite number above 0 but is 0"},
    {{MADE_GEMMA3, .config = "\"rope_local_base_freq\": -1,"}, NULL, "\"rope.freq_base_swa\" must be a finite number above 0"},
    {{MADE_GEMMA3, .config = "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0},"},
     NULL,
     "\"rope.scaling.factor\" must be a finite number above 0 but is 0"},
    {{MADE_GEMMA3, .config = "\"query_pre_attn_scalar\": 0,"}, NULL, "\"attention.scale\" must be a finite number but is inf"},
    {{MADE_GEMMA3N, .config = "\"altup_active_idx\": 1,"}, NULL, "the active AltUp stream must be 0 but is 1"},
    {{MADE_GEMMA3, .tensor = "embed_tokens.weight", .shape = "300,32"},
     NULL,
     "the tokenizer has 528 tokens, but tensor \"token_embd.weight\" has 300 rows"},
    /* lists where objects are wanted */
    {{MADE_GEMMA4, .config = "\"per_layer_config\": [{\"head_dim\": 512}],"}, NULL, "\"per_layer_config\" must be an object"},
};

static void faults_are_refused_by_name(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        write_made(&faults[i].made, f->source);
        expect_refusal(f, faults[i].message, faults[i].slice, faults[i].message);
    }
}

/* 128 widths of seven digits, no two neighbours alike. */
static void the_longest_slice_has_its_line(void **state) {
    fixture *f = *state;
    char path[FOLDER_BYTES + 32], line[PACK_SLICE_LINE_BYTES];
    pack_slice slice;
    snprintf(path, sizeof path, "%s/slice.json", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 128; i++) {
        fprintf(file, "%s%d", i == 0 ? "{\"ffn_hidden_dims\": [" : ", ", 1000000 - i % 2);
    }
    fputs("], \"layers_skipped\": [0, 2, 3, 127]}", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pack_read_slice(path, &slice, &f->error), GEMLET_OK);
    pack_slice_line(&slice, line);
    assert_int_equal(strlen(line), 128 * strlen("1000000x1,") - 64 - 1 + strlen(";skip=0,2-3,127"));
    assert_non_null(strstr(line, "1000000x1,999999x1;skip=0,2-3,127"));
}

/* ---- Files ---- */

static const char *in_source(const fixture *f, const char *name) {
    static char path[FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", f->source, name);
    return path;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Only what is not there can be done without; a pipe would be waited for. */
static void what_is_no_file_is_refused(void **state) {
    static const char *const names[] = {"config.json",     "preprocessor_config.json",     "tokenizer_config.json",
                                        "tokenizer.model", "model.safetensors.index.json", "model.safetensors",
                                        "slice.json"};
    fixture *f = *state;
    char slice[FOLDER_BYTES + 64];
    snprintf(slice, sizeof slice, "%s/slice.json", f->source);
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        char message[128];
        const char *name = names[i / 2], *path = in_source(f, name);
        write_tiny_hf(&tiny_gemma3n, f->source, 1);
        unlink(path);
        assert_int_equal(i % 2 == 0 ? mkfifo(path, 0600) : mkdir(path, 0700), 0);
        snprintf(message, sizeof message, "%s: not a regular file", name);
        expect_refusal(f, name, strcmp(name, "slice.json") == 0 ? slice : NULL, message);
        assert_int_equal(remove(path), 0);
    }
}

static void a_damaged_preprocessor_is_refused(void **state) {
    fixture *f = *state;
    write_tiny_hf(&tiny_gemma3n, f->source, 1);
    write_text(in_source(f, "preprocessor_config.json"), "{\"size\": ");
    expect_refusal(f, "cut off", NULL, "preprocessor_config.json: is not a JSON object");
    write_text(in_source(f, "preprocessor_config.json"), "{\"size\": {\"height\": 512, \"width\": 768}}");
    expect_refusal(f, "no square", NULL, "preprocessor_config.json: \"size\" must be a square");
}

/* Of several wrong numbers in several parts of a configuration. */
static void the_first_wrong_number_is_named(void **state) {
    fixture *f = *state;
    write_made(&(made_folder){.family = MADE_GEMMA3N}, f->source);
    write_text(in_source(f, "config.json"),
               "{\"model_type\": \"gemma3n\", \"vision_config\": {\"hidden_size\": -1, \"vocab_offset\": 1}, \"boi_token_id\": -2, "
               "\"text_config\": {\"num_hidden_layers\": 4, \"hidden_size\": 32, \"intermediate_size\": 64}}");
    expect_refusal(f, "two wrong numbers", NULL, "\"hidden_size\" must be a number from 0");
}

/* What spaces beside such a token would become is not what is packed. */
static void added_tokens_that_take_spaces_are_refused(void **state) {
    static const char *const switches[] = {"lstrip", "rstrip", "single_word"};
    fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        write_made(&(made_folder){.family = MADE_GEMMA3}, f->source);
        snprintf(text, sizeof text, "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<x>\", \"%s\": true}}}", switches[i]);
        write_text(in_source(f, "tokenizer_config.json"), text);
        expect_refusal(f, switches[i], NULL, "\"<x>\" of \"added_tokens_decoder\" must be a token without single_word");
    }
}

/* A file that is being made has a longer name than the file, where the file system leaves room for one. */
static void long_names_are_packed_to(void **state) {
    fixture *f = *state;
    char path[FOLDER_BYTES + 256];
    gemlet_error error = {GEMLET_OK, ""};
    write_made(&(made_folder){.family = MADE_GEMMA3}, f->source);
    for (int length = 236; length <= 255; length++) {
        pack_options options = {.folder = f->source, .output = path};
        snprintf(path, sizeof path, "%s/%0*d", f->folder, length, 0);
        if (pack_run(&options, &error) != GEMLET_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(folder_count(f->folder), length - 235);
    }
}

static void an_output_needs_a_name(void **state) {
    fixture *f = *state;
    write_made(&(made_folder){.family = MADE_GEMMA3}, f->source);
    f->packed[0] = '\0';
    expect_refusal(f, "no name", NULL, "give the output as -o FILE, or --list");
}

/* Codes have a type of their own in what --list says. */
static void types_of_codes_are_listed(void **state) {
    fixture *f = *state;
    char *text = NULL;
    size_t length = 0;
    FILE *report = open_memstream(&text, &length);
    assert_non_null(report);
    const pack_options options = {.folder = GEMMA4_MOBILE, .list = true, .report = report};
    assert_int_equal(pack_run(&options, &f->error), GEMLET_OK);
    assert_int_equal(fclose(report), 0);
    assert_null(strstr(text, "unknown"));
    assert_non_null(strstr(text, " U8 "));
    free(text);
}

/* Each of its numbers would be looked for in the whole file. */
static void a_list_for_too_many_layers_is_refused(void **state) {
    static gguf_builder b;
    static const uint32_t layers[129] = {4};
    fixture *f = *state;
    b.length = 0;
    put_bytes(&b, "GGUF", 4), put_u32(&b, 3), put_u64(&b, 0), put_u64(&b, 2);
    put_key_string(&b, "general.architecture", "gemma3");
    put_key_u32s(&b, "gemma3.block_count", layers, 129);
    FILE *file = fopen(in_source(f, "text.gguf"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b.data, 1, b.length, file), b.length);
    assert_int_equal(fclose(file), 0);
    const pack_options options = {.text = in_source(f, "text.gguf"), .output = f->packed};
    assert_int_equal(pack_run(&options, &f->error), GEMLET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(f->error.message, "\"gemma3.block_count\" has 129 numbers, at most 128 expected"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(made_folders_are_packed),         TEST(rows_of_any_length_are_packed),
        TEST(faults_are_refused_by_name),      TEST(the_longest_slice_has_its_line),
        TEST(what_is_no_file_is_refused),      TEST(a_damaged_preprocessor_is_refused),
        TEST(the_first_wrong_number_is_named), TEST(added_tokens_that_take_spaces_are_refused),
        TEST(long_names_are_packed_to),        TEST(an_output_needs_a_name),
        TEST(types_of_codes_are_listed),       TEST(a_list_for_too_many_layers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
