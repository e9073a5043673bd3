#!/usr/bin/env python3
"""Writes config.json and tensors.tsv (name, shape) of Gemma 3n as published, from transformers' and timm's model code without any
weights (pip install torch torchvision timm transformers):

    make_shapes.py e2b|e4b OUT
"""
import os
import sys

import torch
from transformers import Gemma3nConfig, Gemma3nForConditionalGeneration


def main(size, out):
    layers, inner, shared = (30, 8192, 10) if size == "e2b" else (35, 16384, 15)
    text = dict(num_hidden_layers=layers, intermediate_size=[inner] * layers, num_kv_shared_layers=shared,
                activation_sparsity_pattern=[0.95] * 10 + [0.0] * (layers - 10))
    config = Gemma3nConfig(text_config=text)
    with torch.device("meta"):
        model = Gemma3nForConditionalGeneration(config)
    config.save_pretrained(out)
    with open(os.path.join(out, "tensors.tsv"), "w") as f:
        for name, tensor in sorted(model.state_dict().items()):
            if tensor.ndim > 0 and name != "lm_head.weight":
                f.write(f"{name}\t{','.join(map(str, tensor.shape))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
