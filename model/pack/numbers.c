#include "model/pack/numbers.h"

#include <math.h>

#include "model/pack/model.h"

#define REQUIRED NAN
#define PLACE(member) offsetof(pack_embedder, member)
#define VIT_PLACE(member) offsetof(pack_vit, member)
#define AUDIO_PLACE(member) offsetof(pack_audio, member)

const pack_number pack_embedder_numbers[] = {
    {"hidden_size", "embedding_length", false, REQUIRED, PLACE(width)},
    {"vocab_offset", "vocabulary_offset", false, REQUIRED, PLACE(vocabulary_offset)},
    {"vocab_size", "vocabulary_size", false, 128, PLACE(vocabulary_size)},
    {NULL, "begin_token_id", false, 0, PLACE(begin_id)},
    {NULL, "end_token_id", false, 0, PLACE(end_id)},
    {NULL, "soft_token_id", false, 0, PLACE(soft_id)},
    {NULL, "soft_token_count", false, 0, PLACE(soft_tokens)},
    {"rms_norm_eps", "rms_epsilon", true, 1e-6, PLACE(rms_epsilon)},
    {NULL, NULL, false, 0, 0},
};

const pack_number pack_usm_numbers[] = {
    {"conf_num_hidden_layers", "block_count", false, 12, AUDIO_PLACE(block_count)},
    {"conf_num_attention_heads", "attention.head_count", false, 8, AUDIO_PLACE(head_count)},
    {"conf_attention_chunk_size", "attention.chunk_size", false, 12, AUDIO_PLACE(chunk_size)},
    {"conf_attention_context_left", "attention.context_left", false, 13, AUDIO_PLACE(context_left)},
    {"conf_attention_context_right", "attention.context_right", false, 0, AUDIO_PLACE(context_right)},
    {"conf_attention_logit_cap", "attention.logit_cap", true, 50, AUDIO_PLACE(logit_cap)},
    {"input_feat_size", "mel_bins", false, 128, AUDIO_PLACE(mel_bins)},
    {"conf_reduction_factor", "reduction_factor", false, 4, AUDIO_PLACE(reduction_factor)},
    {"conf_residual_weight", "residual_weight", true, 0.5, AUDIO_PLACE(residual_weight)},
    {"gradient_clipping", "gradient_clipping", true, 1e10, AUDIO_PLACE(gradient_clipping)},
    {"sscp_conv_group_norm_eps", "group_norm_epsilon", true, 1e-3, AUDIO_PLACE(group_norm_epsilon)},
    {NULL, NULL, false, 0, 0},
};

const pack_number pack_gemma4a_numbers[] = {
    {"num_hidden_layers", "block_count", false, 12, AUDIO_PLACE(block_count)},
    {"num_attention_heads", "attention.head_count", false, 8, AUDIO_PLACE(head_count)},
    {"attention_chunk_size", "attention.chunk_size", false, 12, AUDIO_PLACE(chunk_size)},
    {"attention_context_left", "attention.context_left", false, 13, AUDIO_PLACE(context_left)},
    {"attention_context_right", "attention.context_right", false, 0, AUDIO_PLACE(context_right)},
    {"attention_logit_cap", "attention.logit_cap", true, 50, AUDIO_PLACE(logit_cap)},
    {NULL, "mel_bins", false, 0, AUDIO_PLACE(mel_bins)},
    {NULL, "reduction_factor", false, 0, AUDIO_PLACE(reduction_factor)},
    {"residual_weight", "residual_weight", true, 0.5, AUDIO_PLACE(residual_weight)},
    {"gradient_clipping", "gradient_clipping", true, 1e10, AUDIO_PLACE(gradient_clipping)},
    {NULL, "group_norm_epsilon", true, 0, AUDIO_PLACE(group_norm_epsilon)},
    {NULL, NULL, false, 0, 0},
};

const pack_number pack_gemma4v_numbers[] = {
    {"num_hidden_layers", "block_count", false, 16, VIT_PLACE(block_count)},
    {"num_attention_heads", "attention.head_count", false, 12, VIT_PLACE(head_count)},
    {"head_dim", "attention.key_length", false, 64, VIT_PLACE(head_width)},
    {"intermediate_size", "feed_forward_length", false, 3072, VIT_PLACE(inner)},
    {NULL, "rope.freq_base", true, 0, VIT_PLACE(rope_base)},
    {NULL, NULL, false, 0, 0},
};

/* A head's width is the encoder's, shared among the heads. */
const pack_number pack_siglip_numbers[] = {
    {"num_hidden_layers", "block_count", false, 27, VIT_PLACE(block_count)},
    {"num_attention_heads", "attention.head_count", false, 16, VIT_PLACE(head_count)},
    {NULL, "attention.key_length", false, 0, VIT_PLACE(head_width)},
    {"intermediate_size", "feed_forward_length", false, 4304, VIT_PLACE(inner)},
    {"image_size", "image_size", false, 896, VIT_PLACE(image_size)},
    {NULL, NULL, false, 0, 0},
};
