/* Keys of a source's configuration: what transformers and llama.cpp write passes, what would make it another model is refused by
 * name, with what was found and what is supported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/pack/switches.h"
#include "tests/container/gguf_builder.h"
#include "tests/container/memory_port.h"

/* ---- config.json ---- */

static cJSON *read_configs(void) {
    enum { MOST = 1 << 17 };
    char *text = malloc(MOST);
    FILE *file = fopen("tests/data/container/configs.json", "rb");
    assert_non_null(file);
    size_t length = fread(text, 1, MOST, file);
    fclose(file);
    cJSON *json = cJSON_ParseWithLength(text, length);
    free(text);
    assert_non_null(json);
    return json;
}

static gemlet_status check(const cJSON *config, gemlet_error *error) {
    static pack_model model;
    model.family = pack_family_of_model_type(cJSON_GetObjectItemCaseSensitive(config, "model_type")->valuestring);
    assert_non_null(model.family);
    error->message[0] = '\0';
    return pack_check_config(&model, config, "config.json", error);
}

static void saved_configurations_pass(void **state) {
    gemlet_error error;
    cJSON *all = read_configs();
    int count = 0;
    (void)state;
    for (const cJSON *config = all->child; config != NULL; config = config->next, count++) {
        if (check(config, &error) != GEMLET_OK) {
            fail_msg("%s: %s", config->string, error.message);
        }
    }
    assert_int_equal(count, 19);
    cJSON_Delete(all);
}

/* The object at a path of names with '.' between, made where it is not. */
static cJSON *object_at(cJSON *json, const char *path) {
    char name[64];
    while (*path != '\0') {
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        cJSON *next = cJSON_GetObjectItemCaseSensitive(json, name);
        if (!cJSON_IsObject(next)) {
            cJSON_DeleteItemFromObjectCaseSensitive(json, name);
            next = cJSON_AddObjectToObject(json, name);
        }
        json = next;
        path += length + (path[length] == '.' ? 1 : 0);
    }
    return json;
}

/* A configuration with one member changed, and what is said of it; NULL: it passes. */
typedef struct change {
    const char *config, *object, *name, *value, *message;
} change;

static const change changes[] = {
    /* the decoder's arithmetic */
    {"gemma3 1B whole", "", "hidden_activation", "\"silu\"",
     "config.json: \"hidden_activation\" is \"silu\", which is not supported in a gemma3 model: \"gelu_pytorch_tanh\" expected"},
    {"gemma3 4B brief", "text_config", "hidden_activation", "\"gelu\"",
     "\"text_config.hidden_activation\" is \"gelu\", which is not"},
    {"gemma3 270M old", "", "hidden_act", "\"relu\"", "\"hidden_act\" is \"relu\""},
    {"gemma3 270M old", "", "attention_bias", "true",
     "\"attention_bias\" is true, which is not supported in a gemma3 model: null or"},
    {"gemma3 4B old", "text_config", "attention_bias", "true", "\"text_config.attention_bias\" is true"},
    {"gemma3n E2B old", "text_config", "attention_bias", "true", "in a gemma3n model: null or false or 0 expected"},
    {"gemma3 1B whole", "", "attn_logit_softcapping", "50.0", "\"attn_logit_softcapping\" is 50, which is not supported"},
    {"gemma3 1B whole", "", "use_bidirectional_attention", "true", "\"use_bidirectional_attention\" is true"},
    {"gemma4 whole", "text_config", "use_bidirectional_attention", "\"all\"",
     "\"text_config.use_bidirectional_attention\" is \"all\""},
    {"gemma4 whole", "text_config", "attention_k_eq_v", "true", "\"text_config.attention_k_eq_v\" is true"},
    {"gemma4 whole", "text_config", "enable_moe_block", "true", "\"text_config.enable_moe_block\" is true"},
    {"gemma4 whole", "text_config", "num_experts", "8", NULL},
    {"gemma4 whole", "text_config.per_layer_config.5", "sliding_window", "8",
     "\"text_config.per_layer_config.5.sliding_window\" is 8"},
    {"gemma3n E4B whole", "text_config", "altup_correct_scale", "false",
     "is false, which is not supported in a gemma3n model: true"},
    {"gemma3n E4B whole", "text_config", "altup_coef_clip", "60.0", NULL},
    {"gemma3 270M old", "", "layer_types", "[\"full_attention\", \"chunked_attention\"]",
     "\"layer_types\" is \"chunked_attention\", which is not supported in a gemma3 model: \"sliding_attention\" or "
     "\"full_attention\" "
     "expected"},
    {"gemma3 270M old", "", "layer_types", "\"full_attention\"", NULL},
    {"gemma3 270M old", "", "quantization_config", "{\"quant_method\": \"gptq\"}", "\"quantization_config\" is {\"quant_method\""},
    {"gemma3 4B old", "", "quantization_config", "{\"quant_method\": \"gptq\"}", "\"quantization_config\" is {\"quant_method\""},
    /* RoPE */
    {"gemma3 4B old", "text_config.rope_scaling", "beta_fast", "32", "\"text_config.rope_scaling.beta_fast\" is 32"},
    {"gemma3 4B old", "text_config.rope_scaling", "partial_rotary_factor", "0.5", "partial_rotary_factor\" is 0.5, which"},
    {"gemma3 4B old", "text_config.rope_scaling", "original_max_position_embeddings", "8192", NULL},
    {"gemma3 4B whole", "text_config.rope_parameters.sliding_attention", "rope_type", "\"yarn\"",
     "\"text_config.rope_parameters.sliding_attention.rope_type\" is \"yarn\", which is not supported in a gemma3 model: "
     "\"default\""},
    {"gemma3 4B whole", "text_config.rope_parameters.full_attention", "attention_factor", "0.5", "attention_factor\" is 0.5"},
    {"gemma3 1B whole", "rope_parameters", "rope_theta", "5000.0", "\"rope_parameters.rope_theta\" is 5000"},
    {"gemma4 whole", "text_config.rope_parameters.full_attention", "partial_rotary_factor", "0.5", NULL},
    {"gemma4 whole", "text_config.rope_parameters.sliding_attention", "partial_rotary_factor", "0.5",
     "is 0.5, which is not supported"},
    {"gemma4 whole", "text_config", "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 8}",
     "\"text_config.rope_scaling\" is {"},
    /* keys that nobody knows: of the decoder, of an encoder that is packed, of one that is not, of the file */
    {"gemma3 1B whole", "", "residual_multiplier", "0.5",
     "\"residual_multiplier\" is 0.5, which is not supported in a gemma3 model"},
    {"gemma3 1B whole", "", "residual_multiplier", "null", NULL},
    {"gemma3 1B whole", "", "num_experts", "0", NULL},
    {"gemma3 1B whole", "", "some_layers", "[]", NULL},
    {"gemma3 4B old", "text_config", "num_kv_shared_layers", "4", "\"text_config.num_kv_shared_layers\" is 4"},
    {"gemma3n E2B old", "text_config", "enable_moe_block", "true", "\"text_config.enable_moe_block\" is true"},
    {"gemma3 4B old", "", "unsloth_fixed", "true", NULL},
    {"gemma3 270M old", "", "unsloth_version", "\"2025.8\"", NULL},
    {"gemma3 4B old", "", "of_a_tool", "true", NULL},
    {"gemma3 4B old", "vision_config", "vision_use_head", "true", NULL},
    {"gemma4 encoders whole", "vision_config", "global_head_dim", "64", NULL},
    {"gemma4 encoders whole", "vision_config", "global_head_dim", "null", NULL},
    {"gemma4 encoders whole", "vision_config", "global_head_dim", "128",
     "\"vision_config.global_head_dim\" is 128, which is not supported in a gemma4 model: 64 expected"},
    {"gemma4 encoders whole", "vision_config", "num_key_value_heads", "4", "\"vision_config.num_key_value_heads\" is 4, which"},
    {"gemma3n E2B old", "vision_config", "output_stride", "8", "\"vision_config.output_stride\" is 8"},
    {"gemma3n E2B old", "vision_config", "model_args", "{\"act_layer\": \"relu\"}",
     "\"vision_config.model_args.act_layer\" is \"relu\""},
    {"gemma3n E4B whole", "audio_config", "sscp_conv_stride_size", "[[2, 2], [1, 2]]",
     "\"audio_config.sscp_conv_stride_size\" is [[2,2],[1,2]], which is not supported in a gemma3n model: [[2,2],[2,2]] expected"},
    {"gemma3n E4B whole", "audio_config", "gradient_clipping", "1.5", "\"audio_config.gradient_clipping\" is 1.5, which is not"},
    {"gemma3n E4B whole", "audio_config", "conf_attention_context_right", "2", "conf_attention_context_right\" is 2, which is not"},
    {"gemma4 encoders whole", "audio_config", "hidden_act", "\"relu\"",
     "\"audio_config.hidden_act\" is \"relu\", which is not supported in a gemma4 model: \"silu\" expected"},
    {"gemma4 encoders whole", "audio_config", "conv_kernel_size", "7",
     "\"audio_config.conv_kernel_size\" is 7, which is not supported in a gemma4 model: 5 expected"},
    {"gemma4 encoders whole", "audio_config", "gradient_clipping", "100.0",
     "\"audio_config.gradient_clipping\" is 100, which is not supported in a gemma4 model: 10000000000 expected"},
    {"gemma4 encoders whole", "audio_config", "attention_context_right", "3",
     "\"audio_config.attention_context_right\" is 3, which"},
    {"gemma4 encoders whole", "audio_config", "attention_invalid_logits_value", "-1.0",
     "\"audio_config.attention_invalid_logits_value\" is -1, which is not supported in a gemma4 model: -1000000000 expected"},
    {"gemma4 encoders whole", "audio_config", "attention_chunk_size", "24", NULL},
    {"gemma4 encoders whole", "audio_config", "subsampling_conv_channels", "[64, 32]", NULL},
    {"gemma4 encoders whole", "audio_config", "initializer_range", "0.1", NULL},
    {"gemma4 encoders whole", "audio_config", "sscp_conv_stride_size", "[[2, 2], [1, 2]]",
     "\"audio_config.sscp_conv_stride_size\" is [[2,2],[1,2]], which is not supported in a gemma4 model: null or false or 0"},
    {"gemma4 encoders whole", "audio_config", "mel_bins", "80", "\"audio_config.mel_bins\" is 80, which is not supported"},
};

static void switches_are_refused_by_name(void **state) {
    gemlet_error error;
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const change *c = &changes[i];
        cJSON *all = read_configs(), *config = cJSON_GetObjectItemCaseSensitive(all, c->config);
        assert_non_null(config);
        cJSON *object = object_at(config, c->object);
        cJSON_DeleteItemFromObjectCaseSensitive(object, c->name);
        cJSON_AddItemToObject(object, c->name, cJSON_Parse(c->value));
        gemlet_status status = check(config, &error);
        if (status != (c->message != NULL ? GEMLET_ERROR_UNSUPPORTED : GEMLET_OK) ||
            (c->message != NULL && strstr(error.message, c->message) == NULL)) {
            fail_msg("%s, %s = %s: \"%s\" expected, found \"%s\"", c->config, c->name, c->value,
                     c->message != NULL ? c->message : "", error.message);
        }
        cJSON_Delete(all);
    }
}

static void preprocessors_are_checked(void **state) {
    static pack_model model;
    static const char *const cases[][2] = {
        {"{\"do_normalize\": false, \"resample\": 2, \"rescale_factor\": 0.00392156862745098, \"do_resize\": true, "
         "\"image_mean\": [0.5, 0.5, 0.5], \"do_center_crop\": null, \"fft_overdrive\": true}",
         NULL},
        {"{}", NULL},
        {"{\"do_normalize\": true}",
         "preprocessor_config.json: \"do_normalize\" is true, which is not supported in a gemma3n model"},
        {"{\"resample\": 3}", "\"resample\" is 3, which is not supported in a gemma3n model: 2 expected"},
        {"{\"rescale_factor\": 0.0078125}", "\"rescale_factor\" is 0.0078125, which"},
    };
    (void)state;
    model.family = pack_family_of_architecture("gemma3n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gemlet_error error = {GEMLET_OK, ""};
        cJSON *json = cJSON_Parse(cases[i][0]);
        assert_non_null(json);
        gemlet_status status = pack_check_preprocessor(&model, json, "preprocessor_config.json", &error);
        if (status != (cases[i][1] != NULL ? GEMLET_ERROR_UNSUPPORTED : GEMLET_OK) ||
            (cases[i][1] != NULL && strstr(error.message, cases[i][1]) == NULL)) {
            fail_msg("%s: found \"%s\"", cases[i][0], error.message);
        }
        cJSON_Delete(json);
    }
}

/* Patterns of a quantized checkpoint that POSIX has no words for, or that are compiled by copying, fit nothing. */
static void patterns_fit_or_are_not_usable(void **state) {
    static const struct {
        const char *pattern, *module;
        bool fits;
    } cases[] = {
        {"^layers\\\\.\\\\d+\\\\.mlp", "layers.12.mlp.up", true},
        {"^layers\\\\.\\\\d+\\\\.mlp", "layers.x.mlp", false},
        {"(a|b)*c$", "ababc", true},
        {"^a\\\\\\\\d", "a\\d", true},
        {"^a\\\\\\\\d", "a1", false},
        {"^a{2}$", "aa", false},
        {"(a+)+", "aa", false},
        {"a++", "aa", false},
        {"(((a{1,255}){1,255}){1,255})", "aa", false},
        {"(a)\\\\1", "aa", false},
        {"a\\\\w", "aa", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static pack_quantization q;
        char text[256];
        gemlet_error error = {GEMLET_OK, ""};
        snprintf(text, sizeof text,
                 "{\"quantization_config\": {\"quant_method\": \"gemma\", \"num_bits\": 4, \"module_quant_configs\": {\"%s\": "
                 "{\"num_bits\": 2}}}}",
                 cases[i].pattern);
        cJSON *json = cJSON_Parse(text);
        assert_non_null(json);
        assert_int_equal(pack_read_quantization(&q, json, "config.json", &error), GEMLET_OK);
        if (pack_quantized_bits(&q, cases[i].module) != (cases[i].fits ? 2 : 4)) {
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].module);
        }
        pack_free_quantization(&q);
        cJSON_Delete(json);
    }
}

/* ---- GGUF ---- */

typedef struct key_case {
    const char *architecture, *key;
    uint32_t type; /* gemlet_value_type: bool, uint32, float32, or a string */
    const void *value;
    const char *message;
} key_case;

#define NUMBER(n) (&(const uint32_t){n})
#define REAL(x) (&(const float){x})

static const key_case key_cases[] = {
    {"gemma3", "gemma3.rope.scaling.type", GEMLET_VALUE_STRING, "yarn",
     "\"gemma3.rope.scaling.type\" is \"yarn\", which is not supported in a gemma3 model: \"linear\" expected"},
    {"gemma3", "gemma3.rope.scaling.type", GEMLET_VALUE_STRING, "linear", NULL},
    {"gemma3", "gemma3.rope.scaling.attn_factor", GEMLET_VALUE_FLOAT32, REAL(1.25f),
     "attn_factor\" is 1.25, which is not supported"},
    {"gemma3", "gemma3.rope.scaling.yarn_log_multiplier", GEMLET_VALUE_FLOAT32, REAL(0.1f), "yarn_log_multiplier\" is 0.1, which"},
    {"gemma3", "gemma3.rope.dimension_count", GEMLET_VALUE_UINT32, NUMBER(64), NULL},
    {"gemma3", "gemma3.rope.dimension_count", GEMLET_VALUE_UINT32, NUMBER(32),
     "is 32, which is not supported in a gemma3 model: 64"},
    {"gemma3", "gemma3.attn_logit_softcapping", GEMLET_VALUE_FLOAT32, REAL(50.0f),
     "\"gemma3.attn_logit_softcapping\" is 50, which"},
    {"gemma3", "gemma3.attn_logit_softcapping", GEMLET_VALUE_FLOAT32, REAL(0.0f), NULL},
    {"gemma3", "gemma3.attention.causal", GEMLET_VALUE_BOOL, NUMBER(0), "\"gemma3.attention.causal\" is false, which is not"},
    {"gemma3", "gemma3.attention.causal", GEMLET_VALUE_BOOL, NUMBER(1), NULL},
    {"gemma3", "gemma3.pooling_type", GEMLET_VALUE_UINT32, NUMBER(1), "\"gemma3.pooling_type\" is 1, which is not supported"},
    {"gemma3", "gemma3.expert_count", GEMLET_VALUE_UINT32, NUMBER(8), "\"gemma3.expert_count\" is 8, which is not supported"},
    {"gemma3", "gemma3.expert_count", GEMLET_VALUE_UINT32, NUMBER(0), NULL},
    {"gemma3", "gemma3.logit_scale", GEMLET_VALUE_FLOAT32, REAL(0.0625f),
     "\"gemma3.logit_scale\" is 0.0625, which is not supported"},
    {"gemma3", "gemma3.attention.shared_kv_layers", GEMLET_VALUE_UINT32, NUMBER(5),
     "shared_kv_layers\" is 5, which is not supported"},
    {"gemma3n", "gemma3n.attention.shared_kv_layers", GEMLET_VALUE_UINT32, NUMBER(5), NULL},
    {"gemma3", "gemma3.final_logit_softcapping", GEMLET_VALUE_FLOAT32, REAL(30.0f), NULL},
    {"gemma3", "gemma3.vision.block_count", GEMLET_VALUE_UINT32, NUMBER(27), NULL},
    {"gemma3n", "gemma3n.vision.block_count", GEMLET_VALUE_UINT32, NUMBER(27),
     "\"gemma3n.vision.block_count\" is 27, which is not"},
    {"gemma3n", "gemma3n.rope.scaling.type", GEMLET_VALUE_STRING, "longrope", "\"gemma3n.rope.scaling.type\" is \"longrope\""},
    {"gemma4", "gemma4.expert_count", GEMLET_VALUE_UINT32, NUMBER(128), "\"gemma4.expert_count\" is 128, which is not supported"},
    {"gemma4", "gemma4.rope.dimension_count_swa", GEMLET_VALUE_UINT32, NUMBER(16), "dimension_count_swa\" is 16, which is not"},
    {"gemma3", "general.type", GEMLET_VALUE_STRING, "adapter", "\"general.type\" is \"adapter\", which is not supported"},
    {"gemma3", "general.finetune", GEMLET_VALUE_STRING, "it", NULL},
    {"gemma3", "of.a.tool", GEMLET_VALUE_UINT32, NUMBER(1), NULL},
};

static void put_key(gguf_builder *b, const key_case *k) {
    if (k->type == GEMLET_VALUE_STRING) {
        put_key_string(b, k->key, k->value);
        return;
    }
    put_string(b, k->key);
    put_u32(b, k->type);
    put_bytes(b, k->value, k->type == GEMLET_VALUE_BOOL ? 1 : 4);
}

static void keys_are_refused_by_name(void **state) {
    static gguf_builder b;
    static pack_model model;
    static gemlet_container container;
    gemlet_error error;
    char name[64];
    (void)state;
    for (size_t i = 0; i < sizeof key_cases / sizeof key_cases[0]; i++) {
        const key_case *k = &key_cases[i];
        gemlet_port port;
        b.length = 0;
        put_bytes(&b, "GGUF", 4), put_u32(&b, 3), put_u64(&b, 0), put_u64(&b, 4);
        put_key_string(&b, "general.architecture", k->architecture);
        snprintf(name, sizeof name, "%s.attention.key_length", k->architecture);
        put_key_u32(&b, name, 64);
        snprintf(name, sizeof name, "%s.attention.key_length_swa", k->architecture);
        put_key_u32(&b, name, strcmp(k->architecture, "gemma4") == 0 ? 32 : 0);
        put_key(&b, k);
        memory_file file = {.data = b.data, .size = b.length};
        memory_port_open(&file, &port);
        assert_int_equal(gemlet_container_open(&container, &port, "text.gguf", &error), GEMLET_OK);
        model.family = pack_family_of_architecture(k->architecture);
        pack_begin_config(model.family, &model.text);
        error.message[0] = '\0';
        gemlet_status status = pack_check_text_keys(&model, &container, &error);
        if (status != (k->message != NULL ? GEMLET_ERROR_UNSUPPORTED : GEMLET_OK) ||
            (k->message != NULL && strstr(error.message, k->message) == NULL)) {
            fail_msg("%s: \"%s\" expected, found \"%s\"", k->key, k->message != NULL ? k->message : "", error.message);
        }
        gemlet_container_close(&container);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_configurations_pass), cmocka_unit_test(switches_are_refused_by_name),
        cmocka_unit_test(preprocessors_are_checked), cmocka_unit_test(patterns_fit_or_are_not_usable),
        cmocka_unit_test(keys_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
