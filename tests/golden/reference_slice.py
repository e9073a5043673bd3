#!/usr/bin/env python3
"""Slices a folder of Gemma 3n as the published Mix-n-Match recipe does, and records what the slice computes.

    reference_slice.py make HF OUT                the golden values of tests/data/golden/gemma3n-slices, from the tiny model's folder
    reference_slice.py slice HF SLICING NEW_HF    writes the sliced folder; SLICING: FILE.json or TABLE.csv:NAME (columns as published)
    reference_slice.py golden NEW_HF FILE.npz     logits and layer outputs of a folder's text model

The recipe (https://github.com/google-gemini/gemma-cookbook, MatFormer_Lab): the first w rows of gate_proj and up_proj and the first w columns of down_proj; skipped
layers go and the others are renumbered, with their blocks of rows of per_layer_model_projection and of columns of embed_tokens_per_layer; everything else is copied.

Needs torch, transformers, safetensors, numpy, and reference_gemma3n.py beside it.
"""
import argparse, csv, json, math, os, re, shutil, tempfile
import numpy as np
import torch


def read_slicing(arg):
    """(name, widths, skipped) from a JSON file or TABLE.csv:NAME."""
    if ".csv:" in arg:
        path, name = arg.split(":", 1)
        row = next(r for r in csv.DictReader(open(path)) if r["name"] == name)
        numbers = lambda s: [math.prod(int(f) for f in e.split("*")) for e in s.strip("[] ").split(",") if e.strip()]
        return name, numbers(row["FFN Hidden Dims"]), numbers(row["Layers Skipped"] or "")
    s = json.load(open(arg))
    return s["name"], s["ffn_hidden_dims"], s["layers_skipped"]


def slice_config(config, widths, skipped):
    """The text configuration of the slice (a new dictionary)."""
    t = dict(config)
    n, shared = t["num_hidden_layers"], t["num_kv_shared_layers"]
    kept = [i for i in range(n) if i not in skipped]
    first_shared = n - shared
    types = t.get("layer_types") or ["full_attention" if (i + 1) % 5 == 0 else "sliding_attention" for i in range(n)]
    sparsity = t.get("activation_sparsity_pattern") or [0.95] * 10 + [0.0] * (n - 10)
    old = t["intermediate_size"] if isinstance(t["intermediate_size"], list) else [t["intermediate_size"]] * n
    if len(widths) != len(kept):
        raise SystemExit(f"{len(widths)} widths for {len(kept)} layers")
    if any(w > old[i] for w, i in zip(widths, kept)):
        raise SystemExit("a width exceeds the source's")
    for kind in set(types):                      # the last local and the last global layer with K/V of their own
        feeder = max(i for i in range(first_shared) if types[i] == kind)
        if feeder in skipped:
            raise SystemExit(f"layer {feeder} feeds the layers that share K/V and can't be skipped")
    t.update(num_hidden_layers=len(kept), intermediate_size=list(widths), num_kv_shared_layers=sum(i >= first_shared for i in kept),
             activation_sparsity_pattern=[sparsity[i] for i in kept], layer_types=[types[i] for i in kept])
    return t, kept


def slice_tensor(name, w, n, kept, widths):
    """(new name, tensor) of one tensor, None if it goes with its layer.  n: layers of the source."""
    m = re.search(r"language_model\.layers\.(\d+)\.", name)
    if m:
        if int(m[1]) not in kept:
            return None
        i = kept.index(int(m[1]))
        name = name.replace(f".layers.{m[1]}.", f".layers.{i}.")
        if name.endswith(("mlp.gate_proj.weight", "mlp.up_proj.weight")):
            w = w[:widths[i]]
        elif name.endswith("mlp.down_proj.weight"):
            w = w[:, :widths[i]]
    elif "per_layer_model_projection" in name:   # [n * 256, hidden]
        w = w.reshape(n, -1, w.shape[1])[kept].reshape(-1, w.shape[1])
    elif "embed_tokens_per_layer" in name:       # [vocabulary, n * 256]
        w = w.reshape(w.shape[0], n, -1)[:, kept].reshape(w.shape[0], -1)
    return name, w.contiguous()


def slice_folder(src, slicing, dst):
    from safetensors import safe_open
    from safetensors.torch import save_file
    _, widths, skipped = slicing
    os.makedirs(dst, exist_ok=True)
    config = json.load(open(os.path.join(src, "config.json")))
    n = config["text_config"]["num_hidden_layers"]
    config["text_config"], kept = slice_config(config["text_config"], widths, skipped)
    out = {}
    for f in sorted(os.listdir(src)):
        if f.endswith(".safetensors"):
            with safe_open(os.path.join(src, f), "pt") as st:
                out.update(x for k in st.keys() if (x := slice_tensor(k, st.get_tensor(k), n, kept, widths)))
        elif f not in ("config.json", "model.safetensors.index.json"):
            shutil.copy(os.path.join(src, f), dst)
    save_file(out, os.path.join(dst, "model.safetensors"), metadata={"format": "pt"})
    json.dump(config, open(os.path.join(dst, "config.json"), "w"), indent=1)


def load(folder):
    try:                                         # toy folders name toy encoders, which importing this registers
        import reference_gemma3n  # noqa: F401
    except ImportError:
        pass
    from transformers import Gemma3nForConditionalGeneration
    return Gemma3nForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def golden(folder, seed=1, quantise=False):
    model = load(folder)
    t = model.config.get_text_config()
    ids = np.concatenate([[2], np.random.default_rng(seed).integers(8, t.vocab_size_per_layer_input, 63)]).astype(np.int64)
    out = {"text_ids": ids}
    hooks = [l.register_forward_hook(lambda m, a, o, i=i: out.__setitem__(f"text_layer{i}", (o[0] if isinstance(o, tuple) else o)[:, 0].detach().numpy().copy()))
             for i, l in enumerate(model.model.language_model.layers) if i % 5 in (0, 4)]
    if quantise:
        import reference_gemma3n
        hooks += reference_gemma3n.fake_quant_hooks(model)
    with torch.no_grad():
        out["text_logits"] = model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
    for h in hooks:
        h.remove()
    return out


# Of the tiny model: half widths with wide global layers and one block of layers skipped, as E2B's; all layers, wide in the middle; two layers skipped, odd widths.
SLICINGS = {
    "blockskip": ([256 if i % 5 == 4 else 128 for i in range(20)], [10, 11, 12, 13, 14]),
    "mixed": ([128] * 10 + [256] * 10 + [128] * 4 + [256], []),
    "uneven": ([96, 160] * 11 + [96], [3, 21]),
}


def make(hf, out):
    """What test_slice.c compares with: OUT/NAME.f32, logits of [tokens][vocabulary], and OUT/text_ids.u32."""
    os.makedirs(out, exist_ok=True)
    for name, (widths, skipped) in SLICINGS.items():
        with tempfile.TemporaryDirectory() as new:
            slice_folder(hf, (name, widths, skipped), new)
            found = golden(new)
        found["text_ids"].astype("<u4").tofile(os.path.join(out, "text_ids.u32"))
        found["text_logits"].astype("<f4").tofile(os.path.join(out, f"{name}.f32"))


def main():
    ap = argparse.ArgumentParser()
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("make"); p.add_argument("hf"); p.add_argument("out")
    p = sub.add_parser("slice"); p.add_argument("hf"); p.add_argument("slicing"); p.add_argument("new_hf")
    p = sub.add_parser("golden"); p.add_argument("hf"); p.add_argument("file"); p.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    if a.what == "make":
        make(a.hf, a.out)
    elif a.what == "slice":
        slice_folder(a.hf, read_slicing(a.slicing), a.new_hf)
    else:
        np.savez_compressed(a.file, **golden(a.hf, a.seed))


if __name__ == "__main__":
    main()
