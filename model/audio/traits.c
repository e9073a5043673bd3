#include "model/audio/conformer.h"

const gemlet_conformer_traits gemlet_usm = {
    .mel = {.frame = 512, .points = 1024, .padding = 128, .emphasis = 0.97, .floor = 1e-5, .low = 125.0, .high = 7600.0},
    .cumulative_norm = true,
    .soft_normed = true,
    .padded = true,
    .key_scale = 1.0,
    .input = "a.pre_encode.out.weight",
    .attention_norm = "ln1.weight",
    .attention_post_norm = "ln2.weight",
    .block_norm = "layer_pre_norm.weight",
};

/* The key scale is ln(1 + e) / ln 2. */
const gemlet_conformer_traits gemlet_gemma4a = {
    .mel = {.frame = 320, .points = 512, .lead = 160, .padding = 1, .floor = 1e-3, .floor_added = true, .low = 0.0, .high = 8000.0},
    .rows_before = 1,
    .context_less = 1,
    .bounded = true,
    .projected = true,
    .key_scale = 1.8946361239720115,
    .input = "a.input_projection.weight",
    .attention_norm = "attn_pre_norm.weight",
    .attention_post_norm = "attn_post_norm.weight",
    .block_norm = "ln2.weight",
};
