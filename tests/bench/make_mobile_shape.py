#!/usr/bin/env python3
"""Writes a folder of Hugging Face with all layers of Gemma 4 E2B as Google's mobile checkpoint has them, and random codes, so that what
a token costs can be counted.  Shapes are those of tests/data/shapes/gemma4-e2b-mobile, tokenizer and vocabulary those of the tiny mobile
model, so the head and the tables are small.  (pip install numpy)

    make_mobile_shape.py OUT
"""
import json
import pathlib
import shutil
import sys

import numpy as np

SHAPES, TINY = pathlib.Path("tests/data/shapes/gemma4-e2b-mobile"), pathlib.Path("tests/data/gemma4-mobile/hf")
VOCABULARY, PUBLISHED = 672, "262144"
SIZES = {"F32": 4, "BF16": 2, "U8": 1, "I8": 1}
STEP = 0.05  # of all activations: normed ones reach 6


def numbers(name, shape, kind, rng):
    """The bytes of a tensor.  Rows of random codes have a deviation of 1 / root of their length, so that streams stay as large."""
    if kind == "U8":
        return rng.integers(0, 256, shape, dtype=np.uint8).tobytes()
    if kind == "I8":
        return rng.integers(-127, 128, shape, dtype=np.int8).tobytes()
    if name.endswith("activation_scale"):
        head = name.startswith("lm_head")
        return np.full(shape, 0 if head else STEP, np.float32).tobytes()
    if kind == "F32":
        return np.full(shape, 0.004, np.float32).tobytes()
    mean = 0.15 if "post_" in name else 0.07 if "k_norm" in name else 0.9 if "layer_scalar" in name else 1.0
    values = rng.normal(0, 0.02, shape) if name.endswith("model_projection.weight") else np.full(shape, mean)
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in "tokenizer.json", "tokenizer_config.json":
        shutil.copyfile(TINY / name, out / name)
    config = json.load(open(SHAPES / "config.json"))
    config["text_config"]["vocab_size"] = config["text_config"]["vocab_size_per_layer_input"] = VOCABULARY
    json.dump(config, open(out / "config.json", "w"))
    rng, header, offset, tensors = np.random.default_rng(1), {}, 0, []
    for line in open(SHAPES / "tensors.tsv"):
        name, shape, kind = line.split()
        shape = [int(n) for n in shape.replace(PUBLISHED, str(VOCABULARY)).split(",")]
        size = int(np.prod(shape)) * SIZES[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
        tensors.append((name, shape, kind))
    text = json.dumps(header).encode()
    written = {}
    with open(out / "model.safetensors", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, shape, kind in tensors:
            written[name] = numbers(name, shape, kind, rng)
            if name == "lm_head.weight":
                written[name] = written["model.language_model.embed_tokens.embedding_quantized"]
            f.write(written[name])
            if not name.startswith("model.language_model.embed_tokens."):
                del written[name]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
