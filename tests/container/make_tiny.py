#!/usr/bin/env python3
"""Writes what the tests compare the tiny model with, from its Hugging Face folder and its GGUF pair (pip install gguf safetensors
numpy torch transformers):

    make_tiny.py HF_FOLDER text.gguf mmproj.gguf OUT

OUT/hf/tensors.tsv        each tensor's name there, its name in GGUF and its shape: paired by contents, not by any rule about names
OUT/hard_embeddings.f32   what transformers' embedders answer for the special ids, image then sound: float32 [16][hidden]
"""
import json
import os
import sys

import numpy as np
import torch
from gguf import GGUFReader, quants
from safetensors.numpy import load_file
from transformers import Gemma3nConfig
from transformers.models.gemma3n.modeling_gemma3n import Gemma3nMultimodalEmbedder


def gguf_tensors(path):
    for t in GGUFReader(path).tensors:
        x = quants.dequantize(t.data, t.tensor_type).reshape([int(d) for d in reversed(t.shape)])
        stacked = t.name in ("altup_proj.weight", "altup_unembd_proj.weight")
        for i in range(x.shape[0]) if stacked else [None]:
            yield (f"{t.name}#{i}", x[i]) if stacked else (t.name, x)


def numbers(name):
    return [int(p) for p in name.replace("_", ".").replace("#", ".").split(".") if p.isdigit()]


def main(hf, text, projector, out):
    weights = load_file(os.path.join(hf, "model.safetensors"))
    candidates = {}
    for name, x in list(gguf_tensors(text)) + list(gguf_tensors(projector)):
        candidates.setdefault(x.size, []).append((name, x.ravel()))
    table_rows = weights["model.language_model.embed_tokens_per_layer.weight"].size
    padded = next(c for c in candidates.values() if c[0][0] == "per_layer_token_embd.weight")[0][1]
    with open(os.path.join(out, "hf", "tensors.tsv"), "w") as f:
        for name in sorted(weights):
            x = weights[name].ravel()
            pool = candidates.get(x.size, []) if x.size != table_rows else [("per_layer_token_embd.weight", padded[:x.size])]
            same = [n for n, y in pool if np.array_equal(x, y) or np.array_equal(x.astype(np.float16).astype(np.float32), y)]
            if len(same) > 1:  # copies, such as the unused keys of layers that share them: the numbers in the names decide
                same = [n for n in same if numbers(n) == numbers(name)]
            assert len(same) == 1, (name, same)
            f.write(f"{name}\t{same[0]}\t{','.join(map(str, weights[name].shape))}\n")
    cfg = Gemma3nConfig(**json.load(open(os.path.join(hf, "config.json"))))
    rows = []
    for part, config in (("embed_vision", cfg.vision_config), ("embed_audio", cfg.audio_config)):
        embedder = Gemma3nMultimodalEmbedder(config, cfg.text_config).eval()
        state = {k[len(f"model.{part}."):]: torch.tensor(v) for k, v in weights.items() if k.startswith(f"model.{part}.")}
        embedder.load_state_dict(state, strict=False)
        with torch.no_grad():
            ids = torch.arange(config.vocab_offset, config.vocab_offset + config.vocab_size)
            rows.append(embedder(input_ids=ids).numpy().reshape(config.vocab_size, -1))
    np.concatenate(rows).astype("<f4").tofile(os.path.join(out, "hard_embeddings.f32"))


if __name__ == "__main__":
    main(*sys.argv[1:])
