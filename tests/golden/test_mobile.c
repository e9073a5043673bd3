/* Single layers of a mobile checkpoint, exactly: integers that went into the reference's matrices, and what came out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/pack.h"
#include "tests/container/tiny_model.h"
#include "tests/golden/golden.h"

#define GOLDEN "tests/data/golden/gemma4-mobile/"

/* Where the decoder has what the reference calls so, in layer N of "model.language_model.layers.N.NAME". */
static const struct place {
    const char *name;
    size_t offset;
} places[] = {
    {"self_attn.q_proj", offsetof(gemlet_text_layer, query)},
    {"self_attn.k_proj", offsetof(gemlet_text_layer, key)},
    {"self_attn.v_proj", offsetof(gemlet_text_layer, value)},
    {"self_attn.o_proj", offsetof(gemlet_text_layer, output)},
    {"mlp.gate_proj", offsetof(gemlet_text_layer, gate)},
    {"mlp.up_proj", offsetof(gemlet_text_layer, up)},
    {"mlp.down_proj", offsetof(gemlet_text_layer, down)},
    {"per_layer_input_gate", offsetof(gemlet_text_layer, per_layer_gate)},
    {"per_layer_projection", offsetof(gemlet_text_layer, per_layer_projection)},
};

static const gemlet_matrix *matrix_called(const running *r, const char *module) {
    static const char prefix[] = "model.language_model.layers.";
    assert_memory_equal(module, prefix, sizeof prefix - 1);
    char *end;
    unsigned long layer = strtoul(module + sizeof prefix - 1, &end, 10);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(end + 1, places[i].name) == 0) {
            return (const gemlet_matrix *)(const void *)((const char *)&r->session->decoder.weights->layers[layer] +
                                                         places[i].offset);
        }
    }
    fail_msg("no matrix is called %s", module);
    return NULL;
}

/* A whole file of codes, for the caller to free. */
static int8_t *read_codes(size_t pair, char which, size_t *count) {
    char path[64];
    snprintf(path, sizeof path, GOLDEN "linear%zu_%c.s8", pair, which);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    int8_t *codes = malloc(1 << 16);
    assert_non_null(codes);
    *count = fread(codes, 1, 1 << 16, file);
    fclose(file);
    return codes;
}

/* The codes that a matrix makes of codes, [vectors][rows], for the caller to free. */
static int8_t *multiply(const running *r, const gemlet_matrix *w, const int8_t *x, size_t vectors) {
    const gemlet_row_scaled_kernels *kernels = r->session->decoder.kernels.row_scaled;
    float *numbers = malloc(vectors * w->columns * sizeof *numbers), *products = malloc(vectors * w->rows * sizeof *products);
    void *activations = malloc(gemlet_row_scaled_activation_bytes(vectors, w->columns));
    int8_t *y = calloc(vectors, w->rows);
    for (size_t i = 0; i < vectors * w->columns; i++) {
        numbers[i] = (float)x[i] * w->input_scale;
    }
    kernels->quantize(numbers, w->columns, vectors, 0, w->columns, w->columns, w->input_scale, activations);
    kernels->correct(w->type, vectors, w->columns, activations);
    kernels->multiply(w, 0, (w->rows + GEMLET_PANEL_ROWS - 1) / GEMLET_PANEL_ROWS, activations, vectors, products, w->rows);
    for (size_t i = 0; i < vectors * w->rows; i++) {
        y[i] = (int8_t)rintf(products[i] / w->output_scale);
    }
    free(numbers);
    free(products);
    free(activations);
    return y;
}

static char folder[FOLDER_BYTES];

static void layers_give_the_reference_s_codes(void **state) {
    char packed[FOLDER_BYTES + 32], module[128], path[64];
    gemlet_error error = {GEMLET_OK, ""};
    running r;
    size_t pair = 0;
    (void)state;
    snprintf(packed, sizeof packed, "%s/mobile.gguf", folder);
    assert_int_equal(pack_run(&(pack_options){.folder = GEMMA4_MOBILE, .output = packed}, &error), GEMLET_OK);
    running_open(&r, packed, 1, &(gemlet_options){.context = 64});
    for (;; pair++) {
        snprintf(path, sizeof path, GOLDEN "linear%zu.name", pair);
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(module, sizeof module, file) == NULL) {
            break;
        }
        fclose(file);
        module[strcspn(module, "\n")] = '\0';
        size_t in, out, differ = 0;
        int8_t *x = read_codes(pair, 'x', &in), *y = read_codes(pair, 'y', &out);
        const gemlet_matrix *w = matrix_called(&r, module);
        size_t vectors = in / w->columns;
        assert_true(vectors > 0 && in == vectors * w->columns && out == vectors * w->rows);
        int8_t *found = multiply(&r, w, x, vectors);
        for (size_t i = 0; i < out; i++) {
            differ += found[i] != y[i];
            assert_true(abs(found[i] - y[i]) <= 1);
        }
        print_message("           %-52s %u bits: %zu of %zu outputs differ\n", module, gemlet_row_scaled_bits(w->type), differ,
                      out);
        assert_true((double)differ <= 1e-4 * (double)out);
        free(x);
        free(y);
        free(found);
    }
    running_close(&r);
    assert_int_equal(pair, 9);
}

/* ---- What is refused ---- */

static void copy_folder(const char *to) {
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[128], into[FOLDER_BYTES + 64];
        snprintf(from, sizeof from, GEMMA4_MOBILE "/%s", files[i]);
        snprintf(into, sizeof into, "%s/%s", to, files[i]);
        copy_file(from, into);
    }
}

/* Changes the first `from` in a file to `to`, which is as long. */
static void change(const char *path, const char *from, const char *to) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size > 0);
    char *bytes = malloc((size_t)size);
    assert_non_null(bytes);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    size_t length = strlen(from), at = 0;
    assert_int_equal(strlen(to), length);
    while (at + length <= (size_t)size && memcmp(bytes + at, from, length) != 0) {
        at++;
    }
    assert_true(at + length <= (size_t)size);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(to, 1, length, file), length);
    fclose(file);
    free(bytes);
}

#define LAYER "model.language_model.layers."

/* A tensor's bytes as one float, or as one byte. */
static const struct refusal {
    const char *tensor;
    float number;
    int byte; /* -1: the number */
    const char *message;
} refusals[] = {
    {LAYER "0.self_attn.q_proj.weight_scale", NAN, -1, "\"blk.0.attn_q.scale\" holds NaN at element 0"},
    {LAYER "3.mlp.down_proj.weight_scale", -1.0f, -1, "\"blk.3.ffn_down.scale\" has a negative scale of row 0: -1"},
    {LAYER "1.self_attn.v_proj.input_activation_scale", 0.25f, -1, "\"blk.1.attn_k.weight\" (w4 panels, inputs in steps of "},
    {LAYER "1.mlp.up_proj.input_activation_scale", 0.25f, -1, "\"blk.1.ffn_gate.weight\" (w4 panels, inputs in steps of "},
    {LAYER "2.mlp.down_proj.input_activation_scale", INFINITY, -1,
     "\"blk.2.ffn_down.input_scale\" must be positive or 0, but is inf"},
    {LAYER "2.mlp.down_proj.output_activation_scale", 0.0f, -1, "\"blk.2.ffn_down.weight\" has a step of its inputs alone"},
    {LAYER "4.per_layer_input_gate.weight", 0.0f, 0x80, "\"blk.4.inp_gate.weight\" has the weight -128 in row 0"},
};

static void refuse(const char *message) {
    gemlet_error error = {GEMLET_OK, ""};
    char packed[FOLDER_BYTES + 32];
    snprintf(packed, sizeof packed, "%s/refused.gguf", folder);
    assert_int_not_equal(pack_run(&(pack_options){.folder = folder, .output = packed}, &error), GEMLET_OK);
    if (strstr(error.message, message) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", message, error.message);
    }
}

static void what_is_wrong_is_refused_by_name(void **state) {
    char weights[FOLDER_BYTES + 64], config[FOLDER_BYTES + 64];
    (void)state;
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        unsigned char byte = (unsigned char)r->byte;
        copy_folder(folder);
        overwrite_tensor(weights, r->tensor, 0, r->byte < 0 ? (const void *)&r->number : &byte, r->byte < 0 ? sizeof r->number : 1);
        refuse(r->message);
    }
    copy_folder(folder);
    overwrite_tensor(weights, LAYER "2.mlp.down_proj.input_activation_scale", 0, &(float){0.0f}, sizeof(float));
    overwrite_tensor(weights, LAYER "2.mlp.down_proj.output_activation_scale", 0, &(float){0.0f}, sizeof(float));
    refuse("\"blk.2.ffn_down.weight\" must have a step of its inputs");
    copy_folder(folder);
    change(config, "embed_tokens$", "embed_tokenz$");
    refuse("\"token_embd.weight\" has codes of 2 bits, but config.json's \"quantization_config\" says 4");
    copy_folder(folder);
    change(config, "\"quant_method\": \"gemma\"", "\"quant_method\": \"gamma\"");
    refuse("\"quantization_config\" is {\"quant_method\": \"gamma\", ...}, but only \"gemma\" is supported");
    copy_folder(folder);
    change(config, "\"quantize_embeddings\"", "\"quantise_embeddings\"");
    refuse("\"quantization_config\" has \"quantise_embeddings\", which nobody here knows");
    copy_folder(folder);
    change(weights, LAYER "1.mlp.up_proj.weight_scale", LAYER "1.mlp.up_proj.weight_scaly");
    refuse("weight_scaly\" has no place in a gemma4 model");
}

/* ---- Steps, of which the packed file has others than a packer gives it ---- */

/* Packs the folder, and puts steps behind a matrix of what came out. */
static void pack_with_steps(const char *packed, const char *tensor, const float steps[2]) {
    gemlet_error error = {GEMLET_OK, ""};
    open_gguf file;
    gemlet_tensor t;
    assert_int_equal(pack_run(&(pack_options){.folder = GEMMA4_MOBILE, .output = packed}, &error), GEMLET_OK);
    gguf_open(&file, packed);
    assert_true(gemlet_container_find_tensor(&file.container, tensor, &t));
    gguf_close(&file);
    FILE *bytes = fopen(packed, "r+b");
    assert_non_null(bytes);
    assert_int_equal(fseek(bytes, (long)(t.offset + t.bytes) - GEMLET_ROW_SCALED_TAIL, SEEK_SET), 0);
    assert_int_equal(fwrite(steps, sizeof *steps, 2, bytes), 2);
    assert_int_equal(fclose(bytes), 0);
}

static void what_steps_cannot_be_is_refused(void **state) {
    static const struct {
        const char *tensor;
        float steps[2];
        const char *message;
    } cases[] = {
        {"blk.2.ffn_down.weight", {0.0f, 0.0f}, "tensor \"blk.2.ffn_down.weight\" must have a step of its inputs"},
        {"token_embd.weight", {0.25f, 0.5f}, "tensor \"token_embd.weight\" must have no steps of its activations"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char packed[FOLDER_BYTES + 32];
        snprintf(packed, sizeof packed, "%s/steps.gguf", folder);
        pack_with_steps(packed, cases[i].tensor, cases[i].steps);
        assert_model_refused(packed, cases[i].message);
    }
}

/* The embedding's rows, as they are looked up. */
static float *look_up(running *r, size_t *bytes) {
    const gemlet_matrix *w = &r->session->decoder.weights->embedding;
    float *rows = malloc(w->rows * w->columns * sizeof *rows);
    assert_non_null(rows);
    *bytes = w->rows * w->columns * sizeof *rows;
    for (size_t row = 0; row < w->rows; row++) {
        gemlet_matrix_row(w, row, rows + row * w->columns);
    }
    return rows;
}

/* The same codes and scales as the embedding's, but steps, which go into the factors of a matrix: embeddings stay what they are. */
static void a_head_with_steps_is_one_of_its_own(void **state) {
    char packed[FOLDER_BYTES + 32], weights[FOLDER_BYTES + 64];
    static const float steps[2] = {0.05f, 0.5f};
    float *rows[2];
    size_t bytes[2];
    (void)state;
    snprintf(packed, sizeof packed, "%s/head.gguf", folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    copy_folder(folder);
    for (size_t i = 0; i < 2; i++) {
        gemlet_error error = {GEMLET_OK, ""};
        running r;
        if (pack_run(&(pack_options){.folder = folder, .output = packed}, &error) != GEMLET_OK) {
            fail_msg("%s", error.message);
        }
        running_open(&r, packed, 1, &(gemlet_options){.context = 64});
        assert_int_equal(r.session->decoder.config->own_head, i == 1);
        assert_true(i == 0 || r.session->decoder.weights->head.input_scale == steps[0]);
        rows[i] = look_up(&r, &bytes[i]);
        running_close(&r);
        overwrite_tensor(weights, "lm_head.input_activation_scale", 0, &steps[0], sizeof *steps);
        overwrite_tensor(weights, "lm_head.output_activation_scale", 0, &steps[1], sizeof *steps);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(rows[0], rows[1], bytes[0]);
    free(rows[0]);
    free(rows[1]);
}

static int make_folder(void **state) {
    (void)state;
    folder_make(folder, "mobile");
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layers_give_the_reference_s_codes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_by_name, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_steps_cannot_be_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_head_with_steps_is_one_of_its_own, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
