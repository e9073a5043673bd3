#!/usr/bin/env python3
"""Writes tests/data/container/configs.json: a config.json of each family and size as transformers saves it, what differs from the
defaults alone ("... brief") and all of it ("... whole"), and as older releases saved them ("... old", written down by hand): all of them
must pack (pip install torch transformers).

    make_configs.py OUT
"""
import json
import sys

from transformers import Gemma3Config, Gemma3nConfig, Gemma3nTextConfig, Gemma3TextConfig, Gemma4Config, Gemma4TextConfig

SMALL = dict(num_attention_heads=4, num_key_value_heads=1, sliding_window=512, max_position_embeddings=32768, vocab_size=262144)
MODELS = {
    "gemma3 270M": Gemma3TextConfig(hidden_size=640, intermediate_size=2048, num_hidden_layers=18, **SMALL),
    "gemma3 1B": Gemma3TextConfig(hidden_size=1152, intermediate_size=6912, num_hidden_layers=26, **SMALL),
    "gemma3 4B": Gemma3Config(text_config=dict(hidden_size=2560, intermediate_size=10240, num_hidden_layers=34, sliding_window=1024,
                                               rope_scaling={"factor": 8.0, "rope_type": "linear"})),
    "gemma3n E4B": Gemma3nConfig(),
    "gemma3n text": Gemma3nTextConfig(),
    "gemma4": Gemma4Config(text_config={}),
    "gemma4 encoders": Gemma4Config(text_config={}, vision_config={}, audio_config={}),
    "gemma4 text": Gemma4TextConfig(),
}
OLD_ROPE = dict(rope_theta=1000000.0, rope_local_base_freq=10000.0, rope_scaling=None)
OLD = {
    "gemma3 270M old": dict(
        SMALL, architectures=["Gemma3ForCausalLM"], _sliding_window_pattern=6, attention_bias=False, attention_dropout=0.0, bos_token_id=2,
        attn_logit_softcapping=None, final_logit_softcapping=None, eos_token_id=1, head_dim=256, hidden_activation="gelu_pytorch_tanh",
        hidden_size=640, initializer_range=0.02, intermediate_size=2048, model_type="gemma3_text", num_hidden_layers=18, pad_token_id=0,
        layer_types=["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(18)], query_pre_attn_scalar=256,
        rms_norm_eps=1e-06, torch_dtype="bfloat16", transformers_version="4.55.0.dev0", use_bidirectional_attention=False,
        use_cache=True, cache_implementation="hybrid", **OLD_ROPE),
    "gemma3 4B old": dict(
        architectures=["Gemma3ForConditionalGeneration"], boi_token_index=255999, eoi_token_index=256000, eos_token_id=[1, 106],
        image_token_index=262144, initializer_range=0.02, mm_tokens_per_image=256, model_type="gemma3", torch_dtype="bfloat16",
        text_config=dict(hidden_size=2560, intermediate_size=10240, model_type="gemma3_text", num_hidden_layers=34, sliding_window=1024,
                         rope_scaling=dict(factor=8.0, rope_type="linear")),
        transformers_version="4.50.0.dev0",
        vision_config=dict(hidden_size=1152, image_size=896, intermediate_size=4304, model_type="siglip_vision_model",
                           num_attention_heads=16, num_hidden_layers=27, patch_size=14, vision_use_head=False)),
    "gemma3n E2B old": dict(
        architectures=["Gemma3nForConditionalGeneration"], model_type="gemma3n", eos_token_id=[1, 106], boi_token_id=255999, eoi_token_id=262144,
        image_token_id=262145, boa_token_id=256000, eoa_token_id=262272, audio_token_id=262273, torch_dtype="bfloat16",
        text_config=dict(
            activation_sparsity_pattern=[0.95] * 10 + [0.0] * 20, altup_active_idx=0, altup_coef_clip=120.0, altup_correct_scale=True,
            altup_num_inputs=4, attention_bias=False, attention_dropout=0.0, final_logit_softcapping=30.0, head_dim=256,
            hidden_activation="gelu_pytorch_tanh", hidden_size=2048, hidden_size_per_layer_input=256, initializer_range=0.02,
            intermediate_size=[8192] * 30, laurel_rank=64, max_position_embeddings=32768, model_type="gemma3n_text",
            layer_types=["full_attention" if i % 5 == 4 else "sliding_attention" for i in range(30)], num_attention_heads=8,
            num_hidden_layers=30, num_key_value_heads=2, num_kv_shared_layers=10, query_pre_attn_scalar=256, rms_norm_eps=1e-06,
            sliding_window=512, torch_dtype="bfloat16", use_cache=True, vocab_size=262400, vocab_size_per_layer_input=262144, **OLD_ROPE),
        vision_config=dict(architecture="mobilenetv5_300m_enc", do_pooling=True, hidden_size=2048, initializer_range=0.02, num_classes=2,
                           label_names=["LABEL_0", "LABEL_1"], model_args=None, model_type="gemma3n_vision", rms_norm_eps=1e-06,
                           torch_dtype="bfloat16", vocab_offset=262144, vocab_size=128)),
}


def main(out):
    saved = dict(OLD)
    for name, config in MODELS.items():
        saved[name + " brief"] = config.to_diff_dict()
        saved[name + " whole"] = config.to_dict()
    with open(out, "w") as f:
        rows = (f"{json.dumps(name)}: {json.dumps(config, default=str)}" for name, config in sorted(saved.items()))
        f.write("{" + ",\n".join(rows) + "}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
