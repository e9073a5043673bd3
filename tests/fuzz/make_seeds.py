#!/usr/bin/env python3
"""Writes small valid inputs for fuzz_pack_gguf and fuzz_pack_hf below tests/fuzz/corpus (pip install gguf numpy sentencepiece
safetensors).  The weights are zeros and random numbers: only the shapes matter.

    make_seeds.py CORPUS [PAIR]

With PAIR also writes a Gemma 3 as PAIR/text.gguf and as the Hugging Face folder PAIR/hf with the same weights: Gemma 3 keeps its
norms less one there.
"""
import io
import json
import os
import struct
import sys
import tempfile

import gguf
import numpy as np
import sentencepiece
from safetensors.numpy import save

WIDTH, INNER, HEAD, PER_LAYER, STREAMS, RANK = 32, 32, 32, 32, 2, 32
T = gguf.GGMLQuantizationType
RNG = np.random.default_rng(1)


def weights(*shape):
    return RNG.normal(0, 0.1, shape).astype(np.float32)


def tokenizer():
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b ab"]), model_writer=out, model_type="bpe", vocab_size=270, byte_fallback=True, character_coverage=1.0, pad_id=0,
        eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>"], add_dummy_prefix=False, remove_extra_whitespaces=False,
        normalization_rule_name="identity", hard_vocab_limit=False)
    return out.getvalue()


def layer(gemma3n):
    """GGUF name, Hugging Face name, weights."""
    parts = [("attn_norm", "input_layernorm", weights(WIDTH)), ("attn_q", "self_attn.q_proj", weights(HEAD, WIDTH)),
             ("attn_k", "self_attn.k_proj", weights(HEAD, WIDTH)), ("attn_v", "self_attn.v_proj", weights(HEAD, WIDTH)),
             ("attn_output", "self_attn.o_proj", weights(WIDTH, HEAD)), ("attn_q_norm", "self_attn.q_norm", weights(HEAD)),
             ("attn_k_norm", "self_attn.k_norm", weights(HEAD)), ("post_attention_norm", "post_attention_layernorm", weights(WIDTH)),
             ("ffn_norm", "pre_feedforward_layernorm", weights(WIDTH)), ("ffn_gate", "mlp.gate_proj", weights(INNER, WIDTH)),
             ("ffn_up", "mlp.up_proj", weights(INNER, WIDTH)), ("ffn_down", "mlp.down_proj", weights(WIDTH, INNER)),
             ("post_ffw_norm", "post_feedforward_layernorm", weights(WIDTH))]
    if gemma3n:
        parts += [("altup_router_norm", "altup.router_norm", weights(WIDTH)), ("altup_router", "altup.modality_router", weights(STREAMS, WIDTH)),
                  ("altup_predict_coef", "altup.prediction_coefs", weights(STREAMS * STREAMS, STREAMS)),
                  ("altup_correct_coef", "altup.correction_coefs", weights(STREAMS, STREAMS)),
                  ("altup_correct_scale", "altup.correct_output_scale", weights(WIDTH)), ("laurel_l", "laurel.linear_left", weights(RANK, WIDTH)),
                  ("laurel_r", "laurel.linear_right", weights(WIDTH, RANK)), ("laurel_post_norm", "laurel.post_laurel_norm", weights(WIDTH)),
                  ("inp_gate", "per_layer_input_gate", weights(PER_LAYER, WIDTH)), ("proj", "per_layer_projection", weights(WIDTH, PER_LAYER)),
                  ("post_norm", "post_per_layer_input_norm", weights(WIDTH))]
    return parts


def encoder():
    """Names without their prefixes: an edge residual, an inverted residual, an attention, the fusion."""
    return {"conv_stem.conv.weight": weights(4, 3, 3, 3), "conv_stem.conv.bias": weights(4), "conv_stem.bn.weight": weights(4),
            "blk.0.0.conv_exp.weight": weights(8, 4, 3, 3), "blk.0.0.bn1.weight": weights(8), "blk.0.0.conv_pwl.weight": weights(4, 8, 1, 1),
            "blk.0.0.bn2.weight": weights(4),
            "blk.1.0.dw_start.conv.weight": weights(4, 1, 3, 3), "blk.1.0.dw_start.bn.weight": weights(4),
            "blk.1.0.pw_exp.conv.weight": weights(8, 4, 1, 1), "blk.1.0.pw_exp.bn.weight": weights(8), "blk.1.0.pw_proj.conv.weight": weights(8, 8, 1, 1),
            "blk.1.0.pw_proj.bn.weight": weights(8), "blk.1.0.layer_scale.gamma": weights(8),
            "blk.1.1.attn.query.proj.weight": weights(8, 8, 1, 1), "blk.1.1.attn.key.proj.weight": weights(4, 8, 1, 1),
            "blk.1.1.attn.value.proj.weight": weights(4, 8, 1, 1), "blk.1.1.attn.output.proj.weight": weights(8, 8, 1, 1), "blk.1.1.norm.weight": weights(8),
            "msfa.ffn.pw_exp.conv.weight": weights(16, 12, 1, 1), "msfa.ffn.pw_exp.bn.weight": weights(16),
            "msfa.ffn.pw_proj.conv.weight": weights(8, 16, 1, 1), "msfa.ffn.pw_proj.bn.weight": weights(8), "msfa.norm.weight": weights(8)}


def sections(*files):
    """All but the last with their lengths in front."""
    return b"".join(struct.pack("<I", len(f)) + f for f in files[:-1]) + files[-1]


def gguf_bytes(arch, fill):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.gguf")
        w = gguf.GGUFWriter(path, arch)
        fill(w)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        with open(path, "rb") as f:
            return f.read()


def add(w, name, x, kind):
    if x.ndim == 2 and x.shape[1] % 32 == 0 and kind not in (T.F32, T.F16):
        w.add_tensor(name, gguf.quants.quantize(x, kind), raw_dtype=kind)
    else:
        w.add_tensor(name, x.astype(np.float16) if kind == T.F16 and x.ndim > 1 else x)


def text_gguf(gemma3n, model, parts, words, table, kind, last=None):
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [sp.IdToPiece(i) for i in range(sp.vocab_size())] + [f"[PAD{i}]" for i in range(sp.vocab_size(), len(words))]
    types = [2 if sp.IsUnknown(i) else 3 if sp.IsControl(i) else 6 if sp.IsByte(i) else 1 for i in range(sp.vocab_size())]

    def fill(w):
        arch = "gemma3n" if gemma3n else "gemma3"
        w.add_block_count(1), w.add_context_length(64), w.add_embedding_length(WIDTH), w.add_feed_forward_length([INNER] if gemma3n else INNER)
        w.add_head_count(1), w.add_head_count_kv(1), w.add_key_length(HEAD), w.add_value_length(HEAD), w.add_layer_norm_rms_eps(1e-6)
        w.add_rope_freq_base(1e6), w.add_sliding_window(16)
        if gemma3n:
            w.add_uint32("gemma3n.altup.active_idx", 0), w.add_uint32("gemma3n.altup.num_inputs", STREAMS)
            w.add_uint32("gemma3n.embedding_length_per_layer_input", PER_LAYER), w.add_uint32("gemma3n.attention.shared_kv_layers", 0)
            w.add_array("gemma3n.activation_sparsity_scale", [1.5]), w.add_array("gemma3n.attention.sliding_window_pattern", [True])
        w.add_tokenizer_model("llama"), w.add_token_list(pieces), w.add_token_scores([sp.GetScore(i) for i in range(sp.vocab_size())] + [0.0] * (len(pieces) - sp.vocab_size()))
        w.add_token_types(types + [5] * (len(pieces) - len(types))), w.add_add_space_prefix(False)
        add(w, "token_embd.weight", words, kind), w.add_tensor("output_norm.weight", weights(WIDTH) if last is None else last)
        if gemma3n:
            add(w, "per_layer_token_embd.weight", table, kind), w.add_tensor("per_layer_model_proj.weight", weights(PER_LAYER, WIDTH))
            w.add_tensor("per_layer_proj_norm.weight", weights(PER_LAYER))
            w.add_tensor("altup_proj.weight", weights(1, WIDTH, WIDTH)), w.add_tensor("altup_unembd_proj.weight", weights(1, WIDTH, WIDTH))
        for name, _, x in parts:
            add(w, f"blk.0.{name}.weight", x, kind)
        assert w.arch == arch
    return gguf_bytes("gemma3n" if gemma3n else "gemma3", fill)


def projector_gguf(enc):
    def fill(w):
        w.add_bool("clip.has_vision_encoder", True), w.add_string("clip.vision.projector_type", "gemma3nv")
        w.add_uint32("clip.vision.projection_dim", WIDTH), w.add_uint32("clip.vision.embedding_length", 8), w.add_uint32("clip.vision.image_size", 64)
        for name, x in enc.items():
            add(w, "v." + name, x, T.F16)
        for part in ("mm.", "mm.a."):
            w.add_tensor(part + "embedding.weight", weights(2, 8)), w.add_tensor(part + "input_projection.weight", weights(WIDTH, 8))
            w.add_tensor(part + "hard_emb_norm.weight", weights(8)), w.add_tensor(part + "soft_emb_norm.weight", weights(8))
    return gguf_bytes("clip", fill)


def write_pair(folder, model, words):
    grid = lambda x: (np.rint(x * 1024) / 1024).astype(np.float32)  # where less one and plus one lose nothing
    parts = [(n, h, grid(x)) for n, h, x in layer(False)]
    last = grid(weights(WIDTH))
    os.makedirs(os.path.join(folder, "hf"), exist_ok=True)
    write = lambda name, data: open(os.path.join(folder, name), "wb").write(data)
    write("text.gguf", text_gguf(False, model, parts, words, None, T.F32, last))
    files = dict(zip(HF_FILES, next_folder(model, [(n, h, x - (1 if n.endswith("norm") else 0)) for n, h, x in parts], words, last - 1)))
    for name, data in files.items():
        if data:
            write(os.path.join("hf", name), data)


def next_folder(model, parts, words, last):
    """The second of hf_folder's variants, float32, as a list of files."""
    variant = list(hf_folder(False, model, parts, words, None, {}, last))[1]
    out = []
    for _ in HF_FILES[:-1]:
        length = struct.unpack("<I", variant[:4])[0]
        out.append(variant[4:4 + length])
        variant = variant[4 + length:]
    return out + [variant]


HF_FILES = ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.model", "model.safetensors.index.json", "model.safetensors"]


def hf_folder(gemma3n, model, parts, words, table, enc, last=None):
    text = dict(hidden_size=WIDTH, intermediate_size=[INNER], num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=HEAD,
                sliding_window=16, layer_types=["sliding_attention"], rms_norm_eps=1e-6, max_position_embeddings=64,
                rope_parameters={"full_attention": {"rope_theta": 1e6, "rope_type": "default"}, "sliding_attention": {"rope_theta": 1e4}})
    prefix = "model.language_model." if gemma3n else "model."
    out = {prefix + "embed_tokens.weight": words, prefix + "norm.weight": weights(WIDTH) if last is None else last}
    out.update({f"{prefix}layers.0.{name}" + ("" if name.endswith("_scale") else ".weight"): x for _, name, x in parts})
    config = dict(text, model_type="gemma3_text", query_pre_attn_scalar=HEAD)
    if gemma3n:
        text.update(altup_num_inputs=STREAMS, altup_active_idx=0, hidden_size_per_layer_input=PER_LAYER, num_kv_shared_layers=0, activation_sparsity_pattern=[0.9])
        config = dict(model_type="gemma3n", text_config=text, boi_token_id=4, image_token_id=len(words) - 1,
                      vision_config=dict(hidden_size=8, vocab_offset=len(words) - 2, vocab_size=2))
        out.update({prefix + "embed_tokens_per_layer.weight": table, prefix + "per_layer_model_projection.weight": weights(PER_LAYER, WIDTH),
                    prefix + "per_layer_projection_norm.weight": weights(PER_LAYER), prefix + "altup_projections.0.weight": weights(WIDTH, WIDTH),
                    prefix + "altup_unembed_projections.0.weight": weights(WIDTH, WIDTH)})
        out.update({"model.vision_tower.timm_model." + n.replace("blk.", "blocks."): x for n, x in enc.items()})
        out.update({"model.embed_vision.embedding.weight": weights(2, 8), "model.embed_vision.embedding_projection.weight": weights(WIDTH, 8),
                    "model.embed_vision.hard_embedding_norm.weight": weights(8), "model.embed_vision.soft_embedding_norm.weight": weights(8)})
    tokens = {"4": {"content": "<start_of_turn>", "special": True}}
    if gemma3n:
        tokens[str(len(words) - 1)] = {"content": "<image_soft_token>", "special": True}
    added = {"added_tokens_decoder": tokens}
    dump = lambda x: json.dumps(x).encode()
    half = {k: v.astype(np.float16) for k, v in out.items()}
    index = dump({"weight_map": {k: "model.safetensors" for k in out}})
    yield sections(dump(config), dump({"size": {"height": 64, "width": 64}}), dump(added), model, b"", save(half))
    yield sections(dump(config), b"", dump(added), model, index, save(out))


def main(corpus, pair=None):
    model = tokenizer()
    count = sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size() + 8
    words, table, enc = weights(count, WIDTH), weights(count - 4, PER_LAYER), encoder()
    table[-3:] = 0
    write = lambda folder, name, data: open(os.path.join(corpus, folder, name), "wb").write(data)
    for gemma3n in (False, True):
        parts = layer(gemma3n)
        name = "gemma3n" if gemma3n else "gemma3"
        for kind in (T.Q4_0, T.F16, T.Q8_0):
            write("pack_gguf", f"{name}-{kind.name.lower()}", sections(text_gguf(gemma3n, model, parts, words, table, kind), b""))
        for i, data in enumerate(hf_folder(gemma3n, model, parts, words, table, enc)):
            write("pack_hf", f"{name}-{i}", data)
    write("pack_gguf", "gemma3n-image", sections(text_gguf(True, model, layer(True), words, table, T.Q4_0), projector_gguf(enc)))


    if pair:
        write_pair(pair, model, words)


if __name__ == "__main__":
    main(*sys.argv[1:])
