/* gemlet-pack on folders with a fault: what would be another model, or do harm, is refused by name and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "model/pack/slice.h"
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
    static const made_folder whole[] = {{.family = MADE_GEMMA3}, {.family = MADE_GEMMA3N}, {.family = MADE_GEMMA4}};
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(made_folders_are_packed),
        TEST(rows_of_any_length_are_packed),
        TEST(faults_are_refused_by_name),
        TEST(the_longest_slice_has_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
