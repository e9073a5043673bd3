#include "model/pack/switches.h"

#include <stdio.h>
#include <string.h>

#include "model/container/cursor.h"
#include "model/pack/numbers.h"

/* What is done with a key. */
typedef enum rule {
    TAKEN,        /* a reader takes it, and refuses what it can't be */
    HARMLESS,     /* what is packed does not depend on it */
    OFF,          /* null, false, 0, or nothing: what it switches on is not supported */
    MUST_BE,      /* one of the values */
    EACH_MUST_BE, /* of a list: each element is one of the values */
    SAME_AS       /* what the key in `values` says */
} rule;

/* A key that a source may have.  A key that has no row is as one that is OFF: somebody thought that it makes a difference, and
 * nobody here knows which. */
typedef struct row {
    const char *name; /* with a '*' at its end: all that begin so */
    rule rule;
    const char *values; /* as JSON has them, with '|' between */
} row;

/* An object in a part of config.json, and the keys that it may have. */
typedef struct object {
    const char *path; /* from the part's own on, names with '.' between; NULL ends a list */
    const row *rows;
} object;

/* ---- Rows of config.json ---- */

/* What transformers writes into any part of a configuration.  None of it enters inference as gemlet does it:
 * - how the file came to be, and classes: architectures ... transformers_version; names with '_' in front are transformers' own
 * notes, of which _sliding_window_pattern says what layer_types says;
 * - types that weights are kept or computed in (gemlet keeps the tensors' own numbers);
 * - training: initializer_range, dropouts;
 * - what the old base class added to every model: options of generation and of classifiers, which are not the model's arithmetic.
 * quantization_config means that tensors are not numbers but codes; a cross attention would be another kind of decoder. */
static const row any_part[] = {
    {"architectures", HARMLESS, NULL},
    {"architecture", HARMLESS, NULL},
    {"model_type", HARMLESS, NULL},
    {"transformers_version", HARMLESS, NULL},
    {"auto_map", HARMLESS, NULL},
    {"_*", HARMLESS, NULL},
    {"unsloth_*", HARMLESS, NULL},
    {"torch_dtype", HARMLESS, NULL},
    {"dtype", HARMLESS, NULL},
    {"use_bfloat16", HARMLESS, NULL},
    {"torchscript", HARMLESS, NULL},
    {"initializer_range", HARMLESS, NULL},
    {"attention_dropout", HARMLESS, NULL},
    {"hidden_dropout", HARMLESS, NULL},
    {"use_cache", HARMLESS, NULL},
    {"cache_implementation", HARMLESS, NULL},
    {"attn_implementation", HARMLESS, NULL},
    {"chunk_size_feed_forward", HARMLESS, NULL},
    {"output_attentions", HARMLESS, NULL},
    {"output_hidden_states", HARMLESS, NULL},
    {"output_scores", HARMLESS, NULL},
    {"return_dict", HARMLESS, NULL},
    {"return_dict_in_generate", HARMLESS, NULL},
    {"remove_invalid_values", HARMLESS, NULL},
    {"finetuning_task", HARMLESS, NULL},
    {"task_specific_params", HARMLESS, NULL},
    {"problem_type", HARMLESS, NULL},
    {"id2label", HARMLESS, NULL},
    {"label2id", HARMLESS, NULL},
    {"label_names", HARMLESS, NULL},
    {"num_classes", HARMLESS, NULL},
    {"tokenizer_class", HARMLESS, NULL},
    {"prefix", HARMLESS, NULL},
    {"sep_token_id", HARMLESS, NULL},
    {"decoder_start_token_id", HARMLESS, NULL},
    {"forced_bos_token_id", HARMLESS, NULL},
    {"forced_eos_token_id", HARMLESS, NULL},
    {"max_length", HARMLESS, NULL},
    {"min_length", HARMLESS, NULL},
    {"do_sample", HARMLESS, NULL},
    {"early_stopping", HARMLESS, NULL},
    {"num_beams", HARMLESS, NULL},
    {"num_beam_groups", HARMLESS, NULL},
    {"num_return_sequences", HARMLESS, NULL},
    {"diversity_penalty", HARMLESS, NULL},
    {"length_penalty", HARMLESS, NULL},
    {"repetition_penalty", HARMLESS, NULL},
    {"exponential_decay_length_penalty", HARMLESS, NULL},
    {"no_repeat_ngram_size", HARMLESS, NULL},
    {"encoder_no_repeat_ngram_size", HARMLESS, NULL},
    {"temperature", HARMLESS, NULL},
    {"top_k", HARMLESS, NULL},
    {"top_p", HARMLESS, NULL},
    {"typical_p", HARMLESS, NULL},
    {"bad_words_ids", HARMLESS, NULL},
    {"suppress_tokens", HARMLESS, NULL},
    {"begin_suppress_tokens", HARMLESS, NULL},
    {"tf_legacy_loss", HARMLESS, NULL},
    {"tie_encoder_decoder", HARMLESS, NULL},
    {"tie_word_embeddings", TAKEN, NULL},
    {"quantization_config", OFF, NULL},
    {"compression_config", OFF, NULL},
    {"is_decoder", OFF, NULL},
    {"is_encoder_decoder", OFF, NULL},
    {"add_cross_attention", OFF, NULL},
    {"pruned_heads", OFF, NULL},
    {NULL, OFF, NULL},
};

/* What all decoders of Gemma have.  The vocabularies' sizes are those of the tables. */
#define TEXT_ROWS                                                                                                                  \
    {"bos_token_id", TAKEN, NULL}, {"eos_token_id", TAKEN, NULL}, {"pad_token_id", TAKEN, NULL}, {"vocab_size", HARMLESS, NULL},   \
        {"rope_parameters", TAKEN, NULL}, {"layer_types", EACH_MUST_BE, "\"sliding_attention\"|\"full_attention\""},               \
        {"hidden_activation", MUST_BE, "\"gelu_pytorch_tanh\""}, {"hidden_act", MUST_BE, "\"gelu_pytorch_tanh\""},                 \
        {"attention_bias", OFF, NULL}, {"attn_logit_softcapping", OFF, NULL}, {                                                    \
        "use_bidirectional_attention", OFF, NULL                                                                                   \
    }

static const row gemma3_text[] = {
    TEXT_ROWS,
    {"rope_theta", TAKEN, NULL},
    {"rope_local_base_freq", TAKEN, NULL},
    {"rope_scaling", TAKEN, NULL},
    {"sliding_window_pattern", TAKEN, NULL},
    {NULL, OFF, NULL},
};

/* Attention's scale is 1, whatever query_pre_attn_scalar says; AltUp's coefficients are clipped in training alone; tables and
 * branches are as large as their tensors. */
static const row gemma3n_text[] = {
    TEXT_ROWS,
    {"rope_theta", TAKEN, NULL},
    {"rope_local_base_freq", TAKEN, NULL},
    {"rope_scaling", TAKEN, NULL},
    {"sliding_window_pattern", TAKEN, NULL},
    {"query_pre_attn_scalar", HARMLESS, NULL},
    {"altup_coef_clip", HARMLESS, NULL},
    {"altup_lr_multiplier", HARMLESS, NULL},
    {"altup_correct_scale", MUST_BE, "true"},
    {"laurel_rank", HARMLESS, NULL},
    {"vocab_size_per_layer_input", HARMLESS, NULL},
    {NULL, OFF, NULL},
};

/* Experts' numbers matter where enable_moe_block is on, the global layers' number of key heads where attention_k_eq_v is. */
static const row gemma4_text[] = {
    TEXT_ROWS,
    {"quantization_config", TAKEN, NULL},
    {"per_layer_config", TAKEN, NULL},
    {"use_double_wide_mlp", TAKEN, NULL},
    {"vocab_size_per_layer_input", HARMLESS, NULL},
    {"attention_k_eq_v", OFF, NULL},
    {"num_global_key_value_heads", HARMLESS, NULL},
    {"enable_moe_block", OFF, NULL},
    {"num_experts", HARMLESS, NULL},
    {"top_k_experts", HARMLESS, NULL},
    {"moe_intermediate_size", HARMLESS, NULL},
    {"expert_intermediate_size", HARMLESS, NULL},
    {NULL, OFF, NULL},
};

/* RoPE of global layers: the reader knows which kinds there are.  None of these looks at the context of the pretraining. */
#define ROPE_ROWS                                                                                                                  \
    {"rope_type", TAKEN, NULL}, {"type", TAKEN, NULL}, {"rope_theta", TAKEN, NULL}, {"factor", TAKEN, NULL}, {                     \
        "original_max_position_embeddings", HARMLESS, NULL                                                                         \
    }

static const row rope_kind[] = {ROPE_ROWS, {"partial_rotary_factor", MUST_BE, "1"}, {NULL, OFF, NULL}};
static const row partial_rope_kind[] = {ROPE_ROWS, {"partial_rotary_factor", TAKEN, NULL}, {NULL, OFF, NULL}};
static const row local_rope_kind[] = {
    {"rope_theta", TAKEN, NULL}, {"rope_type", MUST_BE, "\"default\""},   {"type", MUST_BE, "\"default\""},
    {"factor", MUST_BE, "1"},    {"partial_rotary_factor", MUST_BE, "1"}, {"original_max_position_embeddings", HARMLESS, NULL},
    {NULL, OFF, NULL},
};
static const row rope_kinds[] = {{"full_attention", TAKEN, NULL}, {"sliding_attention", TAKEN, NULL}, {NULL, OFF, NULL}};

static const object gemma3_objects[] = {
    {"", gemma3_text},
    {"rope_scaling", rope_kind},
    {"rope_parameters", rope_kinds},
    {"rope_parameters.full_attention", rope_kind},
    {"rope_parameters.sliding_attention", local_rope_kind},
    {NULL, NULL},
};
static const object gemma3n_objects[] = {
    {"", gemma3n_text},
    {"rope_scaling", rope_kind},
    {"rope_parameters", rope_kinds},
    {"rope_parameters.full_attention", rope_kind},
    {"rope_parameters.sliding_attention", local_rope_kind},
    {NULL, NULL},
};
static const row layer_override[] = {{"head_dim", TAKEN, NULL}, {"num_key_value_heads", TAKEN, NULL}, {NULL, OFF, NULL}};
static const object gemma4_objects[] = {
    {"", gemma4_text},
    {"rope_parameters", rope_kinds},
    {"rope_parameters.full_attention", partial_rope_kind},
    {"rope_parameters.sliding_attention", local_rope_kind},
    {"per_layer_config.*", layer_override},
    {NULL, NULL},
};

/* MobileNetV5.  transformers never pools it, whatever do_pooling says.  Its layers are those that have tensors, as wide as these,
 * and the first of each stage halves the picture: small models for tests say so in model_args, published ones have none. */
static const row mobilenetv5[] = {{"do_pooling", HARMLESS, NULL}, {"model_args", TAKEN, NULL}, {NULL, OFF, NULL}};
static const row mobilenetv5_layers[] = {
    {"stem_size", HARMLESS, NULL}, {"stages", HARMLESS, NULL}, {"width", HARMLESS, NULL}, {NULL, OFF, NULL}};
static const object mobilenetv5_objects[] = {{"", mobilenetv5}, {"model_args", mobilenetv5_layers}, {NULL, NULL}};

/* gemma4v.  Bounds are those that the file has; patches of 16 pixels, of which 3 x 3 are one soft token. */
static const row gemma4v[] = {
    {"attention_bias", OFF, NULL},
    {"default_output_length", TAKEN, NULL},
    {"global_head_dim", SAME_AS, "head_dim"},
    {"hidden_activation", MUST_BE, "\"gelu_pytorch_tanh\""},
    {"hidden_size", TAKEN, NULL},
    {"max_position_embeddings", HARMLESS, NULL},
    {"num_key_value_heads", SAME_AS, "num_attention_heads"},
    {"patch_size", MUST_BE, "16"},
    {"pooling_kernel_size", MUST_BE, "3"},
    {"position_embedding_size", HARMLESS, NULL},
    {"rms_norm_eps", TAKEN, NULL},
    {"rope_parameters", TAKEN, NULL},
    {"standardize", OFF, NULL},
    {"use_clipped_linears", HARMLESS, NULL},
    {NULL, OFF, NULL},
};
/* SigLIP; patches are as large as their matrix says, which must be 14 pixels. */
static const row siglip[] = {
    {"hidden_act", MUST_BE, "\"gelu_pytorch_tanh\""},
    {"hidden_size", TAKEN, NULL},
    {"layer_norm_eps", TAKEN, NULL},
    {"num_channels", MUST_BE, "3"},
    {"num_image_tokens", HARMLESS, NULL},
    {"num_positions", HARMLESS, NULL},
    {"patch_size", HARMLESS, NULL},
    {"projection_dim", HARMLESS, NULL},
    {"projector_hidden_act", HARMLESS, NULL},
    {"vision_use_head", HARMLESS, NULL},
    {NULL, OFF, NULL},
};
static const object siglip_objects[] = {{"", siglip}, {NULL, NULL}};

static const row axial_rope[] = {{"rope_type", MUST_BE, "\"default\"|\"axial\""}, {"rope_theta", TAKEN, NULL}, {NULL, OFF, NULL}};
static const object gemma4v_objects[] = {{"", gemma4v}, {"rope_parameters", axial_rope}, {NULL, NULL}};

/* Kernels and channels are as large as their tensors, strides are not to be seen there.  Clipping is at what float32 never reaches;
 * frames ahead would make an encoder wait. */
static const row usm[] = {
    {"conf_attention_context_right", MUST_BE, "0"},
    {"gradient_clipping", MUST_BE, "10000000000"},
    {"conf_conv_kernel_size", HARMLESS, NULL},
    {"sscp_conv_channel_size", HARMLESS, NULL},
    {"sscp_conv_kernel_size", MUST_BE, "[[3,3],[3,3]]"},
    {"sscp_conv_stride_size", MUST_BE, "[[2,2],[2,2]]"},
    {NULL, OFF, NULL},
};
static const object usm_objects[] = {{"", usm}, {NULL, NULL}};

/* gemma4a, likewise.  Bounds are those that the file has; frames that attention doesn't see count nothing at all. */
static const row gemma4a[] = {
    {"attention_context_right", MUST_BE, "0"},
    {"attention_invalid_logits_value", MUST_BE, "-1000000000"},
    {"conv_kernel_size", MUST_BE, "5"},
    {"gradient_clipping", MUST_BE, "10000000000"},
    {"hidden_act", MUST_BE, "\"silu\""},
    {"hidden_size", HARMLESS, NULL},
    {"output_proj_dims", TAKEN, NULL},
    {"rms_norm_eps", TAKEN, NULL},
    {"subsampling_conv_channels", HARMLESS, NULL},
    {"use_clipped_linears", HARMLESS, NULL},
    {NULL, OFF, NULL},
};
static const object gemma4a_objects[] = {{"", gemma4a}, {NULL, NULL}};

/* Pictures are stretched to the model's square, antialiased bilinear, and divided by 255.  The rest of the file is about sound, or
 * what do_normalize leaves alone. */
static const row preprocessor[] = {
    {"do_normalize", OFF, NULL},
    {"do_center_crop", OFF, NULL},
    {"do_pad", OFF, NULL},
    {"do_resize", MUST_BE, "true"},
    {"resample", MUST_BE, "2"},
    {"do_rescale", MUST_BE, "true"},
    {"rescale_factor", MUST_BE, "0.003921569"},
    {NULL, OFF, NULL},
};
static const object preprocessor_objects[] = {{"", preprocessor}, {NULL, NULL}};

/* ---- Rows of GGUF ---- */

/* ARCHITECTURE.suffix.  RoPE's scaling is linear where there is a factor and nothing else is said. */
#define KEY_ROWS                                                                                                                   \
    {"vocab_size", HARMLESS, NULL}, {"rope.dimension_count", SAME_AS, "attention.key_length"},                                     \
        {"rope.scaling.type", MUST_BE, "\"linear\""}, {"rope.scaling.original_context_length", HARMLESS, NULL},                    \
        {"rope.scaling.finetuned", HARMLESS, NULL}, {"rope.scaling.attn_factor", MUST_BE, "1"},                                    \
        {"attention.causal", MUST_BE, "true"}, {"attn_logit_softcapping", OFF, NULL}, {"pooling_type", OFF, NULL},                 \
        {"expert_count", OFF, NULL}, {                                                                                             \
        "logit_scale", OFF, NULL                                                                                                   \
    }

/* Some files say in the text's keys which encoder goes with them, and hold none of it. */
static const row gemma3_keys[] = {KEY_ROWS, {"vision.*", HARMLESS, NULL}, {"mm.*", HARMLESS, NULL}, {NULL, OFF, NULL}};
static const row gemma3n_keys[] = {KEY_ROWS, {NULL, OFF, NULL}};
static const row gemma4_keys[] = {KEY_ROWS, {"rope.dimension_count_swa", SAME_AS, "attention.key_length_swa"}, {NULL, OFF, NULL}};

/* clip.suffix of Gemma 3n: as of config.json; what is written of a ViT's heads and layers does not describe MobileNetV5. */
static const row gemma3n_projector_keys[] = {
    {"projector_type", MUST_BE, "\"gemma3nv\""},
    {"has_vision_encoder", MUST_BE, "true"},
    {"has_audio_encoder", TAKEN, NULL},
    {"use_gelu", HARMLESS, NULL},
    {"vision.projector_type", TAKEN, NULL},
    {"vision.projection_dim", TAKEN, NULL},
    {"vision.image_size", TAKEN, NULL},
    {"vision.embedding_length", TAKEN, NULL},
    {"vision.patch_size", HARMLESS, NULL},
    {"vision.feed_forward_length", HARMLESS, NULL},
    {"vision.block_count", HARMLESS, NULL},
    {"vision.attention.head_count", HARMLESS, NULL},
    {"vision.attention.layer_norm_epsilon", MUST_BE, "1e-06"},
    {"vision.image_mean", MUST_BE, "[0,0,0]"},
    {"vision.image_std", MUST_BE, "[1,1,1]"},
    {"audio.projector_type", MUST_BE, "\"gemma3na\""},
    {"audio.projection_dim", SAME_AS, "vision.projection_dim"},
    {"audio.embedding_length", TAKEN, NULL},
    {"audio.block_count", TAKEN, NULL},
    {"audio.attention.head_count", TAKEN, NULL},
    {"audio.num_mel_bins", TAKEN, NULL},
    {"audio.feed_forward_length", HARMLESS, NULL},
    {"audio.attention.layer_norm_epsilon", HARMLESS, NULL}, /* the converter's own: config.json has 1e-6 */
    {NULL, OFF, NULL},
};

/* clip.suffix of Gemma 3. */
static const row gemma3_projector_keys[] = {
    {"projector_type", MUST_BE, "\"gemma3\""},
    {"has_vision_encoder", MUST_BE, "true"},
    {"has_audio_encoder", MUST_BE, "false"},
    {"has_text_encoder", MUST_BE, "false"},
    {"use_gelu", MUST_BE, "true"},
    {"use_silu", MUST_BE, "false"},
    {"vision.projector_type", MUST_BE, "\"gemma3\""},
    {"vision.projection_dim", TAKEN, NULL},
    {"vision.image_size", TAKEN, NULL},
    {"vision.embedding_length", TAKEN, NULL},
    {"vision.patch_size", MUST_BE, "14"},
    {"vision.feed_forward_length", TAKEN, NULL},
    {"vision.block_count", TAKEN, NULL},
    {"vision.attention.head_count", TAKEN, NULL},
    {"vision.attention.layer_norm_epsilon", TAKEN, NULL},
    {"vision.image_mean", MUST_BE, "[0.5,0.5,0.5]"},
    {"vision.image_std", MUST_BE, "[0.5,0.5,0.5]"},
    {"vision.projector.scale_factor", TAKEN, NULL},
    {NULL, OFF, NULL},
};

/* clip.suffix of Gemma 4: image_size is not used.  What GELU is meant the converter does not write. */
static const row gemma4_projector_keys[] = {
    {"projector_type", MUST_BE, "\"gemma4v\""},
    {"has_vision_encoder", MUST_BE, "true"},
    {"has_audio_encoder", TAKEN, NULL},
    {"use_gelu", HARMLESS, NULL},
    {"vision.projector_type", TAKEN, NULL},
    {"vision.projection_dim", TAKEN, NULL},
    {"vision.image_size", HARMLESS, NULL},
    {"vision.embedding_length", TAKEN, NULL},
    {"vision.patch_size", MUST_BE, "16"},
    {"vision.feed_forward_length", TAKEN, NULL},
    {"vision.block_count", TAKEN, NULL},
    {"vision.attention.head_count", TAKEN, NULL},
    {"vision.attention.layer_norm_epsilon", TAKEN, NULL},
    {"vision.image_mean", MUST_BE, "[0,0,0]"},
    {"vision.image_std", MUST_BE, "[1,1,1]"},
    {"audio.projector_type", MUST_BE, "\"gemma4a\""},
    {"audio.projection_dim", SAME_AS, "vision.projection_dim"},
    {"audio.embedding_length", TAKEN, NULL},
    {"audio.block_count", TAKEN, NULL},
    {"audio.attention.head_count", TAKEN, NULL},
    {"audio.num_mel_bins", MUST_BE, "128"},
    {"audio.feed_forward_length", HARMLESS, NULL},
    {"audio.attention.layer_norm_epsilon", HARMLESS, NULL}, /* the converter's own: config.json has 1e-6 */
    {NULL, OFF, NULL},
};

/* ---- Families ---- */

/* What a family's sources may say.  NULL where the family's encoders are not packed: then nothing is said of their part. */
typedef struct family_switches {
    const char *architecture;
    const object *text, *vision, *audio; /* of config.json */
    const row *keys, *projector_keys;    /* of GGUF */
} family_switches;

static const family_switches families[] = {
    {"gemma3", gemma3_objects, siglip_objects, NULL, gemma3_keys, gemma3_projector_keys},
    {"gemma3n", gemma3n_objects, mobilenetv5_objects, usm_objects, gemma3n_keys, gemma3n_projector_keys},
    {"gemma4", gemma4_objects, gemma4v_objects, gemma4a_objects, gemma4_keys, gemma4_projector_keys},
};

static const family_switches *switches_of(const pack_family *family) {
    size_t i = 0;
    while (i + 1 < sizeof families / sizeof families[0] && strcmp(families[i].architecture, family->architecture) != 0) {
        i++;
    }
    return &families[i];
}

/* ---- One key ---- */

/* A value as JSON has it, cut where it is long, and whether that is null, false, 0 or nothing. */
typedef struct found {
    char text[160];
    bool off;
} found;

/* What is checked, and how it is called. */
typedef struct check {
    const char *path;   /* of the file */
    const char *prefix; /* of the keys' names */
    const char *architecture;
    gemlet_error *error;
} check;

static bool is_named(const row *r, const char *name) {
    size_t length = strlen(r->name);
    bool beginning = r->name[length - 1] == '*';
    return beginning ? strncmp(name, r->name, length - 1) == 0 : strcmp(name, r->name) == 0;
}

/* NULL where there is none. */
static const row *find_row(const row *rows, const char *name) {
    while (rows->name != NULL && !is_named(rows, name)) {
        rows++;
    }
    return rows->name != NULL ? rows : NULL;
}

static bool is_one_of(const char *text, const char *values) {
    size_t length = strlen(text);
    for (const char *at = values; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL) {
        if (strncmp(at, text, length) == 0 && (at[length] == '\0' || at[length] == '|')) {
            return true;
        }
    }
    return false;
}

/* `values` with " or " for '|'. */
static void write_values(const char *values, char *out, size_t capacity) {
    size_t used = 0;
    for (; *values != '\0' && used + 5 < capacity; values++) {
        used += (size_t)snprintf(out + used, capacity - used, "%.*s", *values == '|' ? 4 : 1, *values == '|' ? " or " : values);
    }
}

/* Whether the value is one of `values`, or where these are NULL, off. */
static gemlet_status check_value(const check *c, const char *name, const found *f, const char *values) {
    char supported[200] = "";
    if (values == NULL ? f->off : is_one_of(f->text, values)) {
        return GEMLET_OK;
    }
    write_values(values != NULL ? values : "null|false|0", supported, sizeof supported);
    return pack_fail(c->error, GEMLET_ERROR_UNSUPPORTED, "%s: \"%s%s\" is %s, which is not supported in a %s model: %s expected",
                     c->path, c->prefix, name, f->text, c->architecture, supported);
}

static void write_number(double value, found *f) {
    bool is_whole = value >= -1e15 && value <= 1e15 && value == (double)(int64_t)value;
    snprintf(f->text, sizeof f->text, is_whole ? "%.0f" : "%.7g", value);
    f->off = is_whole && (int64_t)value == 0;
}

/* ---- config.json ---- */

/* NULL where it is no object, or an empty one. */
static const cJSON *first_member(const cJSON *json) {
    return json != NULL && cJSON_IsObject(json) ? json->child : NULL;
}

static found read_json(const cJSON *json) {
    found f = {"", false};
    if (cJSON_IsNumber(json)) {
        write_number(json->valuedouble, &f);
        return f;
    }
    char *text = cJSON_PrintUnformatted(json);
    snprintf(f.text, sizeof f.text, "%s", text != NULL ? text : "too much to print");
    cJSON_free(text);
    f.off = is_one_of(f.text, "null|false|\"\"|[]|{}");
    return f;
}

/* `whole` is the object that has the member. */
static gemlet_status check_member(const check *c, const row *r, const cJSON *whole, const cJSON *member) {
    found f = read_json(member);
    gemlet_status status = GEMLET_OK;
    if (r->rule == SAME_AS) {
        const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(whole, r->values);
        found same = read_json(wanted);
        bool said = wanted != NULL && !cJSON_IsNull(wanted) && !cJSON_IsNull(member);
        return said ? check_value(c, member->string, &f, same.text) : GEMLET_OK;
    }
    if (r->rule == EACH_MUST_BE && cJSON_IsArray(member)) {
        for (const cJSON *e = member->child; e != NULL && status == GEMLET_OK; e = e->next) {
            f = read_json(e);
            status = check_value(c, member->string, &f, r->values);
        }
        return status;
    }
    bool bound = r->rule == MUST_BE || r->rule == EACH_MUST_BE || r->rule == OFF;
    return !bound || cJSON_IsNull(member) ? GEMLET_OK : check_value(c, member->string, &f, r->values);
}

/* Names that a table of numbers takes; both tables may be NULL. */
static bool is_taken(const char *name, const pack_json_number *text, const pack_number *const encoder[2]) {
    for (const pack_json_number *n = text; n != NULL && n->name != NULL; n++) {
        if (strcmp(n->name, name) == 0) {
            return true;
        }
    }
    for (int i = 0; i < 2; i++) {
        for (const pack_number *n = encoder[i]; n != NULL && n->suffix != NULL; n++) {
            if (n->json != NULL && strcmp(n->json, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A part of config.json. */
typedef struct config_part {
    const cJSON *json;
    const char *name; /* with a '.' at its end; "" where the file is the part */
    const object *objects;
    const pack_json_number *numbers;
    const pack_number *encoder_numbers[2];
    bool tolerant; /* whether keys without a row pass */
} config_part;

/* The members of one object; `path` is how it is called in its part, "" the part itself. */
static gemlet_status check_object(const check *whole, const config_part *part, const char *path, const row *rows,
                                  const cJSON *json) {
    static const row unknown = {"", OFF, NULL};
    char prefix[200];
    check c = *whole;
    bool top = path[0] == '\0';
    gemlet_status status = GEMLET_OK;
    snprintf(prefix, sizeof prefix, "%s%s%s", part->name, path, top ? "" : ".");
    c.prefix = prefix;
    for (const cJSON *m = first_member(json); m != NULL && status == GEMLET_OK; m = m->next) {
        const row *r = find_row(rows, m->string);
        r = r == NULL && top ? find_row(any_part, m->string) : r;
        if (r == NULL && (part->tolerant || (top && is_taken(m->string, part->numbers, part->encoder_numbers)))) {
            continue;
        }
        status = check_member(&c, r != NULL ? r : &unknown, json, m);
    }
    return status;
}

/* All objects behind `path`: one, or where it ends in ".*" all members of one. */
static gemlet_status check_objects(const check *c, const config_part *part, const object *o) {
    char path[120];
    const cJSON *json = part->json;
    const char *at = o->path;
    while (*at != '\0' && *at != '*') {
        size_t length = strcspn(at, ".");
        snprintf(path, sizeof path, "%.*s", (int)length, at);
        json = cJSON_GetObjectItemCaseSensitive(json, path);
        at += length + (at[length] == '.' ? 1 : 0);
    }
    if (*at == '\0') {
        return check_object(c, part, o->path, o->rows, json);
    }
    gemlet_status status = GEMLET_OK;
    for (const cJSON *m = first_member(json); m != NULL && status == GEMLET_OK; m = m->next) {
        snprintf(path, sizeof path, "%.*s%s", (int)(at - o->path), o->path, m->string);
        status = check_object(c, part, path, o->rows, m);
    }
    return status;
}

static gemlet_status check_part(const check *c, const config_part *part) {
    gemlet_status status = GEMLET_OK;
    for (const object *o = part->objects; o != NULL && o->path != NULL && status == GEMLET_OK; o++) {
        status = check_objects(c, part, o);
    }
    return status;
}

/* transformers takes a decoder's arithmetic from text_config alone where there is one; around it, tools may write what they like,
 * but what is known to matter must not look as if it did. */
gemlet_status pack_check_config(const pack_model *model, const cJSON *json, const char *path, gemlet_error *error) {
    const family_switches *s = switches_of(model->family);
    const cJSON *nested = cJSON_GetObjectItemCaseSensitive(json, "text_config");
    check c = {path, "", model->family->architecture, error};
    const object around[] = {{"", s->text[0].rows}, {NULL, NULL}};
    const config_part parts[] = {
        {nested, "text_config.", s->text, model->family->numbers, {NULL, NULL}, false},
        {json, "", nested != NULL ? around : s->text, model->family->numbers, {NULL, NULL}, nested != NULL},
        {cJSON_GetObjectItemCaseSensitive(json, "vision_config"),
         "vision_config.",
         s->vision,
         NULL,
         {pack_embedder_numbers, model->family->vit_numbers},
         false},
        {cJSON_GetObjectItemCaseSensitive(json, "audio_config"),
         "audio_config.",
         s->audio,
         NULL,
         {pack_embedder_numbers, model->family->sound_numbers},
         false},
    };
    gemlet_status status = GEMLET_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == GEMLET_OK; i++) {
        status = check_part(&c, &parts[i]);
    }
    return status;
}

gemlet_status pack_check_preprocessor(const pack_model *model, const cJSON *json, const char *path, gemlet_error *error) {
    check c = {path, "", model->family->architecture, error};
    const config_part part = {json, "", preprocessor_objects, NULL, {NULL, NULL}, true};
    return check_part(&c, &part);
}

/* ---- GGUF ---- */

static double number_of(uint64_t bits, gemlet_value_type type) {
    uint32_t half = (uint32_t)bits;
    float real;
    double wide;
    memcpy(&real, &half, sizeof real);
    memcpy(&wide, &bits, sizeof wide);
    switch (type) {
    case GEMLET_VALUE_INT8: return (double)(int8_t)bits;
    case GEMLET_VALUE_INT16: return (double)(int16_t)bits;
    case GEMLET_VALUE_INT32: return (double)(int32_t)bits;
    case GEMLET_VALUE_INT64: return (double)(int64_t)bits;
    case GEMLET_VALUE_FLOAT32: return (double)real;
    case GEMLET_VALUE_FLOAT64: return wide;
    default: return (double)bits;
    }
}

/* One value of `type` at the cursor. */
static void read_scalar(gemlet_cursor *at, gemlet_value_type type, found *f) {
    unsigned char bytes[8] = {0};
    uint64_t bits = 0;
    gemlet_cursor_bytes(at, bytes, gemlet_value_bytes((uint32_t)type));
    for (int i = 8; i-- > 0;) {
        bits = bits << 8 | bytes[i];
    }
    write_number(number_of(bits, type), f);
    if (type == GEMLET_VALUE_BOOL) {
        snprintf(f->text, sizeof f->text, "%s", bits != 0 ? "true" : "false");
    }
}

/* Long lists are cut, which is enough for a message; no row asks for a long one. */
static void read_list(gemlet_cursor *at, const gemlet_value *value, found *f) {
    size_t used = 1;
    found one = {"", false};
    f->text[0] = '[';
    for (uint64_t i = 0; i < value->count && used + sizeof one.text / 4 < sizeof f->text; i++) {
        read_scalar(at, value->type, &one);
        int written = snprintf(f->text + used, sizeof f->text - used, "%s%.24s", i != 0 ? "," : "", one.text);
        used += written > 0 ? (size_t)written : 0;
    }
    snprintf(f->text + used, sizeof f->text - used, "]");
    f->off = value->count == 0;
}

static found read_value(gemlet_container *container, const gemlet_value *value) {
    found f = {"", false};
    gemlet_cursor at = gemlet_cursor_at(container, value->offset);
    if (value->type == GEMLET_VALUE_STRING && !value->array) {
        char text[sizeof f.text - 2] = "";
        gemlet_cursor_bytes(&at, text, value->count < sizeof text ? (size_t)value->count : sizeof text - 1);
        snprintf(f.text, sizeof f.text, "\"%s\"", text);
        f.off = value->count == 0;
    } else if (value->type == GEMLET_VALUE_STRING) {
        snprintf(f.text, sizeof f.text, "a list of texts");
        f.off = value->count == 0;
    } else if (value->array) {
        read_list(&at, value, &f);
    } else {
        read_scalar(&at, value->type, &f);
    }
    return f;
}

static gemlet_status check_key(const check *c, gemlet_container *container, const row *r, const char *name,
                               const gemlet_value *value) {
    char other[2 * GEMLET_KEY_BYTES];
    gemlet_value wanted;
    found f = read_value(container, value);
    if (r->rule == TAKEN || r->rule == HARMLESS) {
        return GEMLET_OK;
    }
    if (r->rule != SAME_AS) {
        return check_value(c, name, &f, r->values);
    }
    snprintf(other, sizeof other, "%s%s", c->prefix, r->values);
    if (!gemlet_container_find(container, other, &wanted)) {
        return GEMLET_OK; /* the reader misses it, or asks what the packed model has */
    }
    found same = read_value(container, &wanted);
    return check_value(c, name, &f, same.text);
}

/* A key that says how a decoder of this family is made. */
static bool is_text_key(const gemlet_text_config *config, const char *suffix) {
    for (size_t i = 0; i < gemlet_text_key_count; i++) {
        if (gemlet_text_has(config, gemlet_text_keys[i].part, 0) && strcmp(gemlet_text_keys[i].suffix, suffix) == 0) {
            return true;
        }
    }
    return false;
}

/* All keys that begin with `c->prefix`; `config` may be NULL. */
static gemlet_status check_keys(const check *c, gemlet_container *container, const row *rows, const gemlet_text_config *config) {
    static const row unknown = {"", OFF, NULL};
    char key[GEMLET_KEY_BYTES];
    uint64_t cursor = 0;
    gemlet_value value;
    size_t length = strlen(c->prefix);
    gemlet_status status = GEMLET_OK;
    while (status == GEMLET_OK && gemlet_container_next_key(container, &cursor, key, &value)) {
        const char *suffix = key + length;
        if (strncmp(key, c->prefix, length) != 0 || (config != NULL && is_text_key(config, suffix))) {
            continue;
        }
        const row *r = find_row(rows, suffix);
        status = check_key(c, container, r != NULL ? r : &unknown, suffix, &value);
    }
    return status != GEMLET_OK ? status : gemlet_container_check_read(container, c->error);
}

gemlet_status pack_check_text_keys(const pack_model *model, gemlet_container *container, gemlet_error *error) {
    static const row general[] = {{"type", MUST_BE, "\"model\""}, {"*", HARMLESS, NULL}, {NULL, OFF, NULL}};
    char prefix[GEMLET_KEY_BYTES];
    snprintf(prefix, sizeof prefix, "%s.", model->family->architecture);
    check of_file = {container->path, "general.", model->family->architecture, error};
    check of_text = {container->path, prefix, model->family->architecture, error};
    gemlet_status status = check_keys(&of_file, container, general, NULL);
    return status != GEMLET_OK ? status : check_keys(&of_text, container, switches_of(model->family)->keys, &model->text);
}

gemlet_status pack_check_projector_keys(const pack_model *model, gemlet_container *container, gemlet_error *error) {
    check c = {container->path, "clip.", model->family->architecture, error};
    const row *rows = switches_of(model->family)->projector_keys;
    return rows == NULL ? GEMLET_OK : check_keys(&c, container, rows, NULL);
}
