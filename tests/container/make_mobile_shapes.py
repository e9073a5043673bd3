#!/usr/bin/env python3
"""Writes config.json and tensors.tsv (name, shape, type) of the text of a Gemma 4 as Google's mobile checkpoint has it, from those of the
same model in bfloat16:

    make_mobile_shapes.py tests/data/shapes/gemma4-e2b e2b OUT
    make_mobile_shapes.py tests/data/shapes/gemma4-e4b e4b OUT
"""
import json
import os
import re
import sys

TEXT = "model.language_model."


def patterns(style, own):
    bits = {r"language_model\.embed_tokens_per_layer$": 4 if style == "e2b" else 2, r"language_model\.embed_tokens$": 2, r"^lm_head$": 2,
            r"language_model\.layers\.\d+\.per_layer_input_gate$": 8, r"language_model\.layers\.\d+\.per_layer_projection$": 8,
            r"language_model\.layers\.\d+\.self_attn\.": 4, r"language_model\.layers\.\d+\.mlp\.": 2 if style == "e2b" else 4}
    if style == "e2b":
        bits[r"language_model\.layers\.(%s)\.mlp\." % "|".join(map(str, range(own)))] = 4
    return {key: {"num_bits": bits[key]} for key in sorted(bits)}


def codes(shape, bits):
    return f"{shape[0]},{shape[1] * bits // 8}\t{'I8' if bits == 8 else 'U8'}"


def module(name, shape, configs, layers):
    """Lines of a quantised module."""
    bits = next(config["num_bits"] for pattern, config in configs.items() if re.search(pattern, name))
    if "embed_tokens" in name:
        yield f"{name}.embedding_quantized\t{codes(shape, bits)}"
        yield f"{name}.embedding_scale\t{shape[0]},{layers if 'per_layer' in name else 1}\tF32"
        return
    yield f"{name}.weight\t{codes(shape, bits)}"
    yield f"{name}.weight_scale\t{shape[0]},1\tF32"
    for side in "input", "output":
        yield f"{name}.{side}_activation_scale\t1\tF32"


def main(source, style, out):
    config = json.load(open(os.path.join(source, "config.json")))
    text = config["text_config"]
    configs = patterns(style, text["num_hidden_layers"] - text["num_kv_shared_layers"])
    config["tie_word_embeddings"] = False
    config["quantization_config"] = {"quant_method": "gemma", "num_bits": 4, "quantize_embeddings": True, "module_quant_configs": configs,
                                     "modules_to_not_convert": ["per_layer_model_projection"]}
    os.makedirs(out, exist_ok=True)
    json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=1)
    with open(os.path.join(out, "tensors.tsv"), "w") as f:
        for line in open(os.path.join(source, "tensors.tsv")):
            name, shape = line.split()
            shape = [int(n) for n in shape.split(",")]
            if not name.startswith(TEXT):
                continue
            if len(shape) != 2 or "per_layer_model_projection" in name:
                f.write(f"{name}\t{','.join(map(str, shape))}\tBF16\n")
                continue
            stem = name.removesuffix(".weight")
            lines = list(module(stem, shape, configs, text["num_hidden_layers"]))
            if stem.endswith("embed_tokens"):
                lines += module("lm_head", shape, configs, 1)
            f.write("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
