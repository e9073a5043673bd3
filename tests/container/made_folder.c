#include "tests/container/made_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/container/tiny_model.h"

/* A tensor; P stands for the width of the per-layer inputs, T for that of all layers, and L in a name for the layer's number. */
typedef struct made_tensor {
    const char *name, *shape;
} made_tensor;

static const made_tensor of_all[] = {
    {"embed_tokens.weight", "528,32"},
    {"norm.weight", "32"},
    {"layers.L.input_layernorm.weight", "32"},
    {"layers.L.self_attn.q_proj.weight", "32,32"},
    {"layers.L.self_attn.k_proj.weight", "32,32"},
    {"layers.L.self_attn.v_proj.weight", "32,32"},
    {"layers.L.self_attn.o_proj.weight", "32,32"},
    {"layers.L.self_attn.q_norm.weight", "32"},
    {"layers.L.self_attn.k_norm.weight", "32"},
    {"layers.L.post_attention_layernorm.weight", "32"},
    {"layers.L.pre_feedforward_layernorm.weight", "32"},
    {"layers.L.post_feedforward_layernorm.weight", "32"},
    {"layers.L.mlp.gate_proj.weight", "64,32"},
    {"layers.L.mlp.up_proj.weight", "64,32"},
    {"layers.L.mlp.down_proj.weight", "32,64"},
    {NULL, NULL},
};

static const made_tensor of_per_layer_inputs[] = {
    {"embed_tokens_per_layer.weight", "2,T"},
    {"per_layer_model_projection.weight", "T,32"},
    {"per_layer_projection_norm.weight", "P"},
    {"layers.L.per_layer_input_gate.weight", "P,32"},
    {"layers.L.per_layer_projection.weight", "32,P"},
    {"layers.L.post_per_layer_input_norm.weight", "32"},
    {NULL, NULL},
};

static const made_tensor of_gemma3n[] = {
    {"altup_projections.0.weight", "32,32"},
    {"altup_projections.1.weight", "32,32"},
    {"altup_projections.2.weight", "32,32"},
    {"altup_unembed_projections.0.weight", "32,32"},
    {"altup_unembed_projections.1.weight", "32,32"},
    {"altup_unembed_projections.2.weight", "32,32"},
    {"layers.L.altup.correction_coefs.weight", "4,4"},
    {"layers.L.altup.correct_output_scale", "32"},
    {"layers.L.altup.prediction_coefs.weight", "16,4"},
    {"layers.L.altup.modality_router.weight", "4,32"},
    {"layers.L.altup.router_norm.weight", "32"},
    {"layers.L.laurel.linear_left.weight", "32,32"},
    {"layers.L.laurel.linear_right.weight", "32,32"},
    {"layers.L.laurel.post_laurel_norm.weight", "32"},
    {NULL, NULL},
};

static const made_tensor of_gemma4[] = {{"layers.L.layer_scalar", "1"}, {NULL, NULL}};

static const made_tensor *const parts[][4] = {
    [MADE_GEMMA3] = {of_all, NULL},
    [MADE_GEMMA3N] = {of_all, of_per_layer_inputs, of_gemma3n, NULL},
    [MADE_GEMMA4] = {of_all, of_per_layer_inputs, of_gemma4, NULL},
};

static unsigned layers_of(const made_folder *made) {
    return made->layers != 0 ? made->layers : 4;
}

/* `text` with numbers for its letters. */
static void put_filled(FILE *out, const char *text, unsigned per_layer, unsigned layers, unsigned layer) {
    for (; *text != '\0'; text++) {
        if (*text == 'P' || *text == 'T') {
            fprintf(out, "%u", *text == 'P' ? per_layer : per_layer * layers);
        } else if (*text == 'L') {
            fprintf(out, "%u", layer);
        } else {
            fputc(*text, out);
        }
    }
}

static void put_tensor(FILE *out, const made_folder *made, const made_tensor *t, unsigned layer) {
    char name[160] = "";
    unsigned per_layer = made->per_layer != 0 ? made->per_layer : 32;
    FILE *text = fmemopen(name, sizeof name, "w");
    assert_non_null(text);
    put_filled(text, t->name, per_layer, layers_of(made), layer);
    fclose(text);
    fprintf(out, "model.%s\t", name);
    put_filled(out, made->tensor != NULL && strcmp(made->tensor, name) == 0 ? made->shape : t->shape, per_layer, layers_of(made),
               layer);
    fputc('\n', out);
}

static void put_tensors(FILE *out, const made_folder *made) {
    for (size_t i = 0; parts[made->family][i] != NULL; i++) {
        for (const made_tensor *t = parts[made->family][i]; t->name != NULL; t++) {
            unsigned count = strncmp(t->name, "layers.L.", 9) == 0 ? layers_of(made) : 1;
            for (unsigned layer = 0; layer < count; layer++) {
                put_tensor(out, made, t, layer);
            }
        }
    }
}

static FILE *create(const char *folder, const char *name) {
    char path[FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    return out;
}

void write_made(const made_folder *made, const char *path) {
    static const char *const types[] = {"gemma3_text", "gemma3n_text", "gemma4_text"};
    static const char *const own[] = {
        "", "\"num_kv_shared_layers\": 0, \"activation_sparsity_pattern\": 0, \"sliding_window_pattern\": 2,",
        "\"global_head_dim\": 32,"};
    char shapes[FOLDER_BYTES];
    folder_make(shapes, "shapes");
    FILE *out = create(shapes, "config.json");
    fprintf(out, "{%s%s\"model_type\": \"%s\", \"num_hidden_layers\": %u, \"hidden_size\": 32, \"intermediate_size\": 64, ",
            made->config != NULL ? made->config : "", own[made->family], types[made->family], layers_of(made));
    fprintf(out, "\"num_attention_heads\": 1, \"num_key_value_heads\": 1, \"head_dim\": 32");
    if (made->family != MADE_GEMMA3) {
        fprintf(out, ", \"hidden_size_per_layer_input\": %u", made->per_layer != 0 ? made->per_layer : 32);
    }
    fputs("}\n", out);
    assert_int_equal(fclose(out), 0);
    out = create(shapes, "tensors.tsv");
    put_tensors(out, made);
    if (made->extra != NULL) {
        fprintf(out, "model.%s\n", made->extra);
    }
    assert_int_equal(fclose(out), 0);
    write_shape_hf(path, shapes);
    folder_remove(shapes);
}
