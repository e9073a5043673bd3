/* Hugging Face tensor names to GGUF's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/model.h"
#include "model/pack/numbers.h"
#include "model/text/tensors.h"

typedef struct renaming {
    const char *from;
    const char *to;
    bool norm; /* stored less one by Gemma 3 */
} renaming;

static const renaming text_names[] = {
    {"embed_tokens.weight", "token_embd.weight", false},
    {"embed_tokens_per_layer.weight", "per_layer_token_embd.weight", false},
    {"per_layer_model_projection.weight", "per_layer_model_proj.weight", false},
    {"per_layer_projection_norm.weight", "per_layer_proj_norm.weight", true},
    {"norm.weight", "output_norm.weight", true},
};

static const renaming text_layer_names[] = {
    {"input_layernorm.weight", "attn_norm.weight", true},
    {"self_attn.q_proj.weight", "attn_q.weight", false},
    {"self_attn.k_proj.weight", "attn_k.weight", false},
    {"self_attn.v_proj.weight", "attn_v.weight", false},
    {"self_attn.o_proj.weight", "attn_output.weight", false},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", true},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", true},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", true},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", true},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", true},
    {"mlp.gate_proj.weight", "ffn_gate.weight", false},
    {"mlp.up_proj.weight", "ffn_up.weight", false},
    {"mlp.down_proj.weight", "ffn_down.weight", false},
    {"altup.correction_coefs.weight", "altup_correct_coef.weight", false},
    {"altup.correct_output_scale", "altup_correct_scale.weight", false},
    {"altup.prediction_coefs.weight", "altup_predict_coef.weight", false},
    {"altup.modality_router.weight", "altup_router.weight", false},
    {"altup.router_norm.weight", "altup_router_norm.weight", true},
    {"laurel.linear_left.weight", "laurel_l.weight", false},
    {"laurel.linear_right.weight", "laurel_r.weight", false},
    {"laurel.post_laurel_norm.weight", "laurel_post_norm.weight", true},
    {"per_layer_input_gate.weight", "inp_gate.weight", false},
    {"per_layer_projection.weight", "proj.weight", false},
    {"post_per_layer_input_norm.weight", "post_norm.weight", true},
    {"layer_scalar", "layer_output_scale.weight", false},
};

static const renaming audio_layer_names[] = {
    {"attention.attn.k_proj.weight", "attn_k.weight", false},
    {"attention.attn.q_proj.weight", "attn_q.weight", false},
    {"attention.attn.v_proj.weight", "attn_v.weight", false},
    {"attention.attn.per_dim_scale", "per_dim_scale", false},
    {"attention.attn.relative_position_embedding.pos_proj.weight", "linear_pos.weight", false},
    {"attention.post.weight", "attn_out.weight", false},
    {"attention.post_norm.weight", "ln2.weight", false},
    {"attention.pre_attn_norm.weight", "ln1.weight", false},
    {"ffw_layer_end.ffw_layer_1.weight", "ffn_up_1.weight", false},
    {"ffw_layer_end.ffw_layer_2.weight", "ffn_down_1.weight", false},
    {"ffw_layer_end.post_layer_norm.weight", "ffn_post_norm_1.weight", false},
    {"ffw_layer_end.pre_layer_norm.weight", "ffn_norm_1.weight", false},
    {"ffw_layer_start.ffw_layer_1.weight", "ffn_up.weight", false},
    {"ffw_layer_start.ffw_layer_2.weight", "ffn_down.weight", false},
    {"ffw_layer_start.post_layer_norm.weight", "ffn_post_norm.weight", false},
    {"ffw_layer_start.pre_layer_norm.weight", "ffn_norm.weight", false},
    {"lconv1d.conv_norm.weight", "norm_conv.weight", false},
    {"lconv1d.depthwise_conv1d.weight", "conv_dw.weight", false},
    {"lconv1d.linear_end.weight", "conv_pw2.weight", false},
    {"lconv1d.linear_start.weight", "conv_pw1.weight", false},
    {"lconv1d.pre_layer_norm.weight", "conv_norm.weight", false},
    {"norm.weight", "layer_pre_norm.weight", false},
};

/* Of Gemma 4's sound encoder, whose matrices may be wrapped ("NAME.linear.weight") and have bounds ("NAME.input_min"). */
static const renaming gemma4_audio_layer_names[] = {
    {"feed_forward1.ffw_layer_1", "ffn_up", false},
    {"feed_forward1.ffw_layer_2", "ffn_down", false},
    {"feed_forward1.post_layer_norm", "ffn_post_norm", false},
    {"feed_forward1.pre_layer_norm", "ffn_norm", false},
    {"feed_forward2.ffw_layer_1", "ffn_up_1", false},
    {"feed_forward2.ffw_layer_2", "ffn_down_1", false},
    {"feed_forward2.post_layer_norm", "ffn_post_norm_1", false},
    {"feed_forward2.pre_layer_norm", "ffn_norm_1", false},
    {"lconv1d.conv_norm", "norm_conv", false},
    {"lconv1d.depthwise_conv1d", "conv_dw", false},
    {"lconv1d.linear_end", "conv_pw2", false},
    {"lconv1d.linear_start", "conv_pw1", false},
    {"lconv1d.pre_layer_norm", "conv_norm", false},
    {"norm_out", "ln2", false},
    {"norm_post_attn", "attn_post_norm", false},
    {"norm_pre_attn", "attn_pre_norm", false},
    {"self_attn.k_proj", "attn_k", false},
    {"self_attn.per_dim_scale", "per_dim_scale", false},
    {"self_attn.post", "attn_out", false},
    {"self_attn.q_proj", "attn_q", false},
    {"self_attn.relative_k_proj", "attn_k_rel", false},
    {"self_attn.v_proj", "attn_v", false},
};

static const renaming gemma4_audio_names[] = {
    {"output_proj.bias", "a.pre_encode.out.bias", false},
    {"output_proj.weight", "a.pre_encode.out.weight", false},
    {"subsample_conv_projection.input_proj_linear.weight", "a.input_projection.weight", false},
    {"subsample_conv_projection.layer0.conv.weight", "a.conv1d.0.weight", false},
    {"subsample_conv_projection.layer0.norm.weight", "a.conv1d.0.norm.weight", false},
    {"subsample_conv_projection.layer1.conv.weight", "a.conv1d.1.weight", false},
    {"subsample_conv_projection.layer1.norm.weight", "a.conv1d.1.norm.weight", false},
};

static const renaming embedder_names[] = {
    {"embedding.weight", "embedding.weight", false},
    {"embedding_projection.weight", "input_projection.weight", false},
    {"hard_embedding_norm.weight", "hard_emb_norm.weight", false},
    {"soft_embedding_norm.weight", "soft_emb_norm.weight", false},
};

enum { COUNT_TEXT = sizeof text_names / sizeof text_names[0] };
enum { COUNT_TEXT_LAYER = sizeof text_layer_names / sizeof text_layer_names[0] };
enum { COUNT_AUDIO_LAYER = sizeof audio_layer_names / sizeof audio_layer_names[0] };
enum { COUNT_GEMMA4_AUDIO_LAYER = sizeof gemma4_audio_layer_names / sizeof gemma4_audio_layer_names[0] };
enum { COUNT_GEMMA4_AUDIO = sizeof gemma4_audio_names / sizeof gemma4_audio_names[0] };
enum { COUNT_EMBEDDER = sizeof embedder_names / sizeof embedder_names[0] };

/* Writes `prefix` and the name that `rest` gets in the table; false where it is not in there. */
static bool rename_by(const renaming *table, size_t count, const char *prefix, const char *rest, char *out, bool *norm) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].from, rest) == 0) {
            *norm = table[i].norm;
            return snprintf(out, GEMLET_NAME_BYTES, "%s%s", prefix, table[i].to) < GEMLET_NAME_BYTES;
        }
    }
    return false;
}

/* "12.rest": the number into `*number`; NULL where it doesn't start with one of at most four digits. */
static const char *take_number(const char *text, unsigned *number) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 4 || text[digits] != '.') {
        return NULL;
    }
    *number = (unsigned)strtoul(text, NULL, 10);
    return text + digits + 1;
}

static const char *after(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 ? name + length : NULL;
}

static bool rename_text(const char *rest, char *out, bool *norm) {
    unsigned number;
    const char *tail = after(rest, "layers.");
    if (tail != NULL) {
        char prefix[32];
        tail = take_number(tail, &number);
        if (tail == NULL) {
            return false;
        }
        snprintf(prefix, sizeof prefix, "blk.%u.", number);
        return rename_by(text_layer_names, COUNT_TEXT_LAYER, prefix, tail, out, norm);
    }
    bool unembed = (tail = after(rest, "altup_unembed_projections.")) != NULL;
    if (unembed || (tail = after(rest, "altup_projections.")) != NULL) {
        tail = take_number(tail, &number);
        snprintf(out, GEMLET_NAME_BYTES, "%s.%u.weight", unembed ? "altup_unembd_proj" : "altup_proj", tail == NULL ? 0 : number);
        return tail != NULL && strcmp(tail, "weight") == 0;
    }
    return rename_by(text_names, COUNT_TEXT, "", rest, out, norm);
}

static bool rename_audio(const char *rest, char *out, bool *norm) {
    unsigned number;
    const char *tail = after(rest, "conformer.");
    if (tail != NULL) {
        char prefix[32];
        tail = take_number(tail, &number);
        snprintf(prefix, sizeof prefix, "a.blk.%u.", tail == NULL ? 0 : number);
        return tail != NULL && rename_by(audio_layer_names, COUNT_AUDIO_LAYER, prefix, tail, out, norm);
    }
    if (strcmp(rest, "subsample_conv_projection.input_proj_linear.weight") == 0) {
        return snprintf(out, GEMLET_NAME_BYTES, "a.pre_encode.out.weight") > 0;
    }
    tail = after(rest, "subsample_conv_projection.conv_");
    tail = tail != NULL ? take_number(tail, &number) : NULL;
    if (tail == NULL || (strcmp(tail, "conv.weight") != 0 && strcmp(tail, "norm.weight") != 0)) {
        return false;
    }
    return snprintf(out, GEMLET_NAME_BYTES, "a.conv1d.%u.%s", number, tail[0] == 'c' ? "weight" : "norm.weight") > 0;
}

/* The end of a name that is not a matrix's own: where it begins, and what becomes of it. */
static const char *wrapped_end(const char *rest, size_t *begins) {
    static const renaming ends[] = {{".linear.weight", ".weight", false},  {".weight", ".weight", false},
                                    {".input_min", ".input_min", false},   {".input_max", ".input_max", false},
                                    {".output_min", ".output_min", false}, {".output_max", ".output_max", false}};
    size_t length = strlen(rest);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i].from);
        if (length > end && strcmp(rest + length - end, ends[i].from) == 0) {
            *begins = length - end;
            return ends[i].to;
        }
    }
    *begins = length;
    return "";
}

/* "N.STEM" with an end of those above, to PREFIX + "N." + what the table calls the stem + the end. */
static bool rename_wrapped(const renaming *table, size_t count, const char *prefix, const char *rest, char *out, bool *norm) {
    unsigned number;
    char numbered[32], stem[64];
    size_t begins = 0;
    const char *tail = take_number(rest, &number);
    const char *end = tail != NULL ? wrapped_end(tail, &begins) : "";
    if (tail == NULL || begins >= sizeof stem) {
        return false;
    }
    snprintf(numbered, sizeof numbered, "%s%u.", prefix, number);
    snprintf(stem, sizeof stem, "%.*s", (int)begins, tail);
    if (!rename_by(table, count, numbered, stem, out, norm)) {
        return false;
    }
    size_t length = strlen(out);
    return snprintf(out + length, GEMLET_NAME_BYTES - length, "%s", end) < (int)(GEMLET_NAME_BYTES - length);
}

static bool rename_gemma4_audio(const char *rest, char *out, bool *norm) {
    const char *tail = after(rest, "layers.");
    return tail == NULL ? rename_by(gemma4_audio_names, COUNT_GEMMA4_AUDIO, "", rest, out, norm)
                        : rename_wrapped(gemma4_audio_layer_names, COUNT_GEMMA4_AUDIO_LAYER, "a.blk.", tail, out, norm);
}

/* Of Gemma 4's image encoder, whose matrices are wrapped and have bounds like those of its sound encoder. */
static const renaming gemma4_vision_layer_names[] = {
    {"input_layernorm", "ln1", false},
    {"mlp.down_proj", "ffn_down", false},
    {"mlp.gate_proj", "ffn_gate", false},
    {"mlp.up_proj", "ffn_up", false},
    {"post_attention_layernorm", "attn_post_norm", false},
    {"post_feedforward_layernorm", "ffn_post_norm", false},
    {"pre_feedforward_layernorm", "ln2", false},
    {"self_attn.k_norm", "attn_k_norm", false},
    {"self_attn.k_proj", "attn_k", false},
    {"self_attn.o_proj", "attn_out", false},
    {"self_attn.q_norm", "attn_q_norm", false},
    {"self_attn.q_proj", "attn_q", false},
    {"self_attn.v_proj", "attn_v", false},
};
static const renaming gemma4_vision_names[] = {
    {"patch_embedder.input_proj.weight", "v.patch_embd.weight", false},
    {"patch_embedder.position_embedding_table", "v.position_embd.weight", false},
};
enum { COUNT_GEMMA4_VISION_LAYER = sizeof gemma4_vision_layer_names / sizeof *gemma4_vision_layer_names };
enum { COUNT_GEMMA4_VISION = sizeof gemma4_vision_names / sizeof *gemma4_vision_names };

static bool rename_gemma4_vision(const char *rest, char *out, bool *norm) {
    const char *tail = after(rest, "encoder.layers.");
    return tail == NULL ? rename_by(gemma4_vision_names, COUNT_GEMMA4_VISION, "", rest, out, norm)
                        : rename_wrapped(gemma4_vision_layer_names, COUNT_GEMMA4_VISION_LAYER, "v.blk.", tail, out, norm);
}

/* Of Gemma 3's image encoder. */
static const renaming siglip_layer_names[] = {
    {"layer_norm1.bias", "ln1.bias", false},
    {"layer_norm1.weight", "ln1.weight", false},
    {"layer_norm2.bias", "ln2.bias", false},
    {"layer_norm2.weight", "ln2.weight", false},
    {"mlp.fc1.bias", "ffn_up.bias", false},
    {"mlp.fc1.weight", "ffn_up.weight", false},
    {"mlp.fc2.bias", "ffn_down.bias", false},
    {"mlp.fc2.weight", "ffn_down.weight", false},
    {"self_attn.k_proj.bias", "attn_k.bias", false},
    {"self_attn.k_proj.weight", "attn_k.weight", false},
    {"self_attn.out_proj.bias", "attn_out.bias", false},
    {"self_attn.out_proj.weight", "attn_out.weight", false},
    {"self_attn.q_proj.bias", "attn_q.bias", false},
    {"self_attn.q_proj.weight", "attn_q.weight", false},
    {"self_attn.v_proj.bias", "attn_v.bias", false},
    {"self_attn.v_proj.weight", "attn_v.weight", false},
};
static const renaming siglip_names[] = {
    {"embeddings.patch_embedding.bias", "v.patch_embd.bias", false},
    {"embeddings.patch_embedding.weight", "v.patch_embd.weight", false},
    {"embeddings.position_embedding.weight", "v.position_embd.weight", false},
    {"post_layernorm.bias", "v.post_ln.bias", false},
    {"post_layernorm.weight", "v.post_ln.weight", false},
};
static const renaming gemma3_projector_names[] = {
    {"mm_input_projection_weight", "mm.input_projection.weight", false},
    {"mm_soft_emb_norm.weight", "mm.soft_emb_norm.weight", true},
};
enum { COUNT_SIGLIP_LAYER = sizeof siglip_layer_names / sizeof *siglip_layer_names };
enum { COUNT_SIGLIP = sizeof siglip_names / sizeof *siglip_names };
enum { COUNT_GEMMA3_PROJECTOR = sizeof gemma3_projector_names / sizeof *gemma3_projector_names };

static bool rename_siglip(const char *rest, char *out, bool *norm) {
    unsigned number = 0;
    char prefix[32];
    const char *inner = after(rest, "vision_model."); /* folders of older and of newer transformers */
    rest = inner != NULL ? inner : rest;
    const char *tail = after(rest, "encoder.layers.");
    if (tail == NULL) {
        return rename_by(siglip_names, COUNT_SIGLIP, "", rest, out, norm);
    }
    tail = take_number(tail, &number);
    snprintf(prefix, sizeof prefix, "v.blk.%u.", number);
    return tail != NULL && rename_by(siglip_layer_names, COUNT_SIGLIP_LAYER, prefix, tail, out, norm);
}

static bool rename_gemma3_images(const char *name, char *out, bool *norm) {
    const char *inner = after(name, "model.");
    name = inner != NULL ? inner : name;
    const char *tower = after(name, "vision_tower."), *projector = after(name, "multi_modal_projector.");
    return (tower != NULL && rename_siglip(tower, out, norm)) ||
           (projector != NULL && rename_by(gemma3_projector_names, COUNT_GEMMA3_PROJECTOR, "", projector, out, norm));
}

/* timm's names are GGUF's but for the prefix. */
static bool rename_vision(const char *rest, char *out) {
    const char *blocks = after(rest, "blocks.");
    int length =
        blocks != NULL ? snprintf(out, GEMLET_NAME_BYTES, "v.blk.%s", blocks) : snprintf(out, GEMLET_NAME_BYTES, "v.%s", rest);
    return length < GEMLET_NAME_BYTES && (blocks != NULL || after(rest, "conv_stem.") != NULL || after(rest, "msfa.") != NULL);
}

bool pack_gguf_name(const pack_family *family, const char *name, char out[GEMLET_NAME_BYTES], bool *norm) {
    static const char *const heads[] = {"lm_head.weight", "language_model.lm_head.weight", "model.lm_head.weight"};
    static const char *const text_prefixes[] = {"model.language_model.", "language_model.model.", "model."};
    const char *rest;
    *norm = false;
    if ((rest = after(name, "model.vision_tower.timm_model.")) != NULL) {
        return rename_vision(rest, out);
    }
    if (family->vit == &gemlet_gemma4v_traits && (rest = after(name, "model.vision_tower.")) != NULL) {
        return rename_gemma4_vision(rest, out, norm);
    }
    if (family->vit == &gemlet_siglip_traits && rename_gemma3_images(name, out, norm)) {
        return true;
    }
    if ((rest = after(name, "model.audio_tower.")) != NULL) {
        bool gemma4 = family->sound_numbers == pack_gemma4a_numbers;
        return gemma4 ? rename_gemma4_audio(rest, out, norm) : rename_audio(rest, out, norm);
    }
    if ((rest = after(name, "model.embed_vision.")) != NULL) {
        return rename_by(embedder_names, COUNT_EMBEDDER, "mm.", rest, out, norm);
    }
    if ((rest = after(name, "model.embed_audio.")) != NULL) {
        return rename_by(embedder_names, COUNT_EMBEDDER, "mm.a.", rest, out, norm);
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strcmp(name, heads[i]) == 0) {
            return snprintf(out, GEMLET_NAME_BYTES, "%s", GEMLET_HEAD_TENSOR) > 0;
        }
    }
    for (size_t i = 0; i < sizeof text_prefixes / sizeof text_prefixes[0]; i++) {
        if ((rest = after(name, text_prefixes[i])) != NULL) {
            return rename_text(rest, out, norm);
        }
    }
    return false;
}
