#!/usr/bin/env python3
"""Build small Gemma 4 E-style models in Google's mobile QAT checkpoint format (quant_method "gemma", layout wNa8o8) and record what they compute.

    reference_mobile.py OUT --seed 1 [--style e2b|e4b] [--layers 10 --shared 5 ...]
    reference_mobile.py OUT --seed 1 --of HF --audio-seconds 1.5 3.1     records what a checkpoint that was made so before computes

writes OUT/hf (config.json, model.safetensors with packed weights, tokenizer.json, processor files) and OUT/golden.npz; then evaluates every calibrated
linear layer with integers only and prints how many outputs differ from the reference.  Needs reference_gemma4.py beside it (tokenizer, test inputs, taps).

What is as published: tensor names, types and shapes; bits per module, E2B: attention 4, MLP 4 in layers that own KV and 2 in the others,
per-layer gate and projection 8, embeddings 2, per-layer table 4; E4B: MLP 4 everywhere, per-layer table 2; vision 8; audio 2 except lconv1d.linear_start 4;
unpacked: bfloat16 in text and vision, float32 in audio and in both modality projections; q/k/v, k/v and gate/up share activation scales; the head has none
(0); KV-shared layers carry K/V projections that nothing reads; cache scales of global layers are stored 16 times too large.

What is not: weights are random, their scales come from each row (2 bits: about a standard deviation, else the largest magnitude), activation scales from
one pass over the test inputs and random token sequences.
"""
import argparse, json, os, re
import numpy as np
import torch
import reference_gemma4 as tiny

SKIP = ["model.vision_tower.patch_embedder", "model.audio_tower.subsample_conv_projection", "model.audio_tower.output_proj", "relative_k_proj", "model.embed_audio",
        "model.embed_vision", "per_layer_model_projection"]
GLOBAL_CACHE_FACTOR = 16        # what cache scales of global layers are stored too large by
UPDATE = 0.4                    # size of a layer's updates beside reference_gemma4's
HEADROOM = 1.02                 # activation scales leave this much above the largest magnitude seen


# ---- weights ----------------------------------------------------------------------------------------------------------------------------------------
def bit_widths(a):
    """module_quant_configs: searched in sorted order, first match wins ('(' sorts before a backslash)."""
    owners = "|".join(str(i) for i in range(a.layers - a.shared))
    bits = {r"language_model\.embed_tokens_per_layer$": 4 if a.style == "e2b" else 2, r"language_model\.embed_tokens$": 2, r"^lm_head$": 2,
            r"language_model\.layers\.\d+\.per_layer_input_gate$": 8, r"language_model\.layers\.\d+\.per_layer_projection$": 8, r"vision_tower": 8,
            r"audio_tower(?!.*lconv1d\.linear_start)": 2, r"audio_tower\.layers\.\d+\.lconv1d\.linear_start\.": 4, r"language_model\.layers\.\d+\.self_attn\.": 4}
    if a.style == "e2b":
        bits[rf"language_model\.layers\.({owners})\.mlp\."] = 4
        bits[r"language_model\.layers\.\d+\.mlp\."] = 2
    else:
        bits[r"language_model\.layers\.\d+\.mlp\."] = 4
    return {k: {"num_bits": bits[k]} for k in sorted(bits)}


def bits_of(name, configs):
    return next(v["num_bits"] for k, v in configs.items() if re.search(k, name))


def encode(w, bits, rng, block=None):
    """Integer codes and scales of a float matrix: one scale per row, or per `block` columns of a row."""
    f = w.astype(np.float64).reshape(w.shape[0], -1, block or w.shape[1])
    if bits == 2:
        s = f.std(-1, keepdims=True) * rng.uniform(0.85, 1.15, f.shape[:2] + (1,))
    else:
        s = np.abs(f).max(-1, keepdims=True) / (8 if bits == 4 else 127)
    s = s.astype(np.float32)
    q = np.clip(np.rint(f / s), -(1 << (bits - 1)) + (bits == 8), (1 << (bits - 1)) - 1)
    return q.astype(np.int8).reshape(w.shape), s[..., 0]


def pack(q, bits):
    """Low bits first, offset binary; 8 bits as they are."""
    if bits == 8:
        return q
    n = 8 // bits
    u = (q.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8).reshape(q.shape[0], -1, n)
    return np.bitwise_or.reduce(u << (bits * np.arange(n, dtype=np.uint8)), axis=-1).astype(np.uint8)


def unpack(p, bits):
    if bits == 8:
        return p.astype(np.int8)
    n = 8 // bits
    u = (p[..., None] >> (bits * np.arange(n, dtype=np.uint8))) & ((1 << bits) - 1)
    return (u.astype(np.int16) - (1 << (bits - 1))).astype(np.int8).reshape(p.shape[0], -1)


def quantize(model, config, seed, block):
    """Swap modules for the reference's quantised ones, in place, and fill them."""
    from transformers.integrations.gemma_quant import QuantizedEmbedding, QuantizedLinear
    from transformers.quantizers.quantizer_gemma import GemmaQuantizer
    floats = {n: m.weight.detach().numpy().copy() for n, m in model.named_modules() if isinstance(m, (torch.nn.Linear, torch.nn.Embedding))}
    GemmaQuantizer(config, pre_quantized=True)._process_model_before_weight_loading(model)
    rng = np.random.default_rng(seed + 2000)
    for n, m in model.named_modules():
        if isinstance(m, QuantizedLinear) and n != "lm_head":
            q, s = encode(floats[n], m.num_bits, rng)
            m.weight.data, m.weight_scale.data = torch.from_numpy(pack(q, m.num_bits)), torch.from_numpy(s)
        elif isinstance(m, QuantizedEmbedding):
            q, s = encode(floats[n], m.num_bits, rng, block if n.endswith("per_layer") else None)
            m.embedding_quantized.data, m.embedding_scale.data = torch.from_numpy(pack(q, m.num_bits)), torch.nn.Parameter(torch.from_numpy(s), requires_grad=False)
    e = model.model.language_model.embed_tokens
    model.lm_head.weight.data, model.lm_head.weight_scale.data = e.embedding_quantized.data.clone(), e.embedding_scale.data.clone()


def stored_type(name, t):
    if t.dtype in (torch.uint8, torch.int8) or name.endswith("_scale") or ".audio_tower." in name or ".embed_audio." in name or ".embed_vision." in name:
        return t.dtype
    return torch.bfloat16


# ---- activations ------------------------------------------------------------------------------------------------------------------------------------
def linears(model, calibrated=False):
    from transformers.integrations.gemma_quant import QuantizedLinear
    return {n: m for n, m in model.named_modules() if isinstance(m, QuantizedLinear) and (not calibrated or float(m.output_activation_scale))}


def scale_group(name, side):
    """Modules that were one einsum share their scales; inputs also where they are the same activation."""
    for pair in (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")):
        for p in pair:
            if f".{p}" in name and (side == "in" or p != "q_proj" or "audio_tower" in name):
                return name.replace(f".{p}", "." + "+".join(pair))
    return name


def calibrate(model, run):
    seen = {}
    def see(key, x):
        seen[key] = max(seen.get(key, 0.0), float(x.abs().max()))
    mods = {n: m for n, m in linears(model).items() if n != "lm_head"}
    def watch(n):
        def hook(m, i, o):
            see((scale_group(n, "in"), "in"), i[0])
            see((scale_group(n, "out"), "out"), o)
        return hook
    hs = [m.register_forward_hook(watch(n)) for n, m in mods.items()]
    with torch.no_grad():
        run()
    for h in hs:
        h.remove()
    for n, m in mods.items():
        m.input_activation_scale.fill_(seen[scale_group(n, "in"), "in"] * HEADROOM / 127)
        m.output_activation_scale.fill_(seen[scale_group(n, "out"), "out"] * HEADROOM / 127)


def codes(x, scale):
    return torch.clamp(torch.round(x / scale), -128, 127).to(torch.int8)


def rounding_cache(model, scales):
    """A KV cache that holds what int8 entries would: scales[layer] = (scale of K, scale of V).  With None it records magnitudes in `seen` instead."""
    from transformers import DynamicCache
    class Rounding(DynamicCache):
        seen = {}
        def update(self, k, v, layer_idx, *args, **kw):
            if scales is None:
                for j, x in enumerate((k, v)):
                    self.seen[layer_idx, j] = max(self.seen.get((layer_idx, j), 0.0), float(x.abs().max()))
            else:
                k, v = (codes(x, s).float() * s for x, s in zip((k, v), scales[layer_idx]))
            return super().update(k, v, layer_idx, *args, **kw)
    return Rounding(config=model.config.text_config)


def cache_scales(model, sequences):
    """Scale of K and V per layer, as a runtime needs them; layers that own no KV repeat their owner's."""
    t = model.config.text_config
    cache = None
    seen = {}
    with torch.no_grad():
        for ids in sequences:
            cache = rounding_cache(model, None)
            cache.seen = seen
            model(input_ids=torch.tensor(ids, dtype=torch.long)[None], cache=cache, use_cache=True)
    own = t.num_hidden_layers - t.num_kv_shared_layers
    owner = lambda i: i if i < own else max(j for j in range(own) if t.layer_types[j] == t.layer_types[i])
    return [tuple(np.float32(seen[owner(i), j] * HEADROOM / 127) for j in (0, 1)) for i in range(t.num_hidden_layers)]


# ---- the checkpoint ---------------------------------------------------------------------------------------------------------------------------------
def write(model, a, hf, kv, seed):
    from safetensors.torch import save_file
    t = model.config.text_config
    st = {n: x.detach().to(stored_type(n, x)).contiguous().clone() for n, x in model.state_dict().items()}
    rng = np.random.default_rng(seed + 3000)
    own = a.layers - a.shared
    for i in range(a.layers):
        base = f"model.language_model.layers.{i}.self_attn."
        factor = GLOBAL_CACHE_FACTOR if t.layer_types[i] == "full_attention" else 1
        for s, x in zip(("k", "v"), kv[i]):
            st[base + s + "_cache_scale"] = torch.tensor(float(x) * factor, dtype=torch.float32)
        if i >= own:                                                                     # present in the published files, read by nothing
            src = max(j for j in range(own) if t.layer_types[j] == t.layer_types[i])
            for w in ("k_proj", "v_proj"):
                like = f"model.language_model.layers.{src}.self_attn.{w}."
                q, s = encode(rng.normal(0, 0.2, (st[like + "weight"].shape[0], a.hidden)), 4, rng)
                st[base + w + ".weight"], st[base + w + ".weight_scale"] = torch.from_numpy(pack(q, 4)), torch.from_numpy(s)
                for side in ("input", "output"):
                    st[base + w + f".{side}_activation_scale"] = st[like + f"{side}_activation_scale"].clone()
    save_file(st, os.path.join(hf, "model.safetensors"), metadata={"format": "pt"})
    return st


def write_config(model, a, hf, quantization):
    model.config.dtype = torch.bfloat16
    model.config.quantization_config = quantization
    model.config.save_pretrained(hf)
    path = os.path.join(hf, "config.json")
    cfg = json.load(open(path))
    cfg["architectures"] = ["Gemma4ForConditionalGeneration"]
    cfg["text_config"].setdefault("global_head_dim", a.global_head_dim)                  # published files spell these out
    cfg["text_config"].setdefault("num_global_key_value_heads", None)
    cfg["text_config"].pop("per_layer_config", None)
    cfg["vision_config"].update(rope_parameters={"rope_type": "default", "rope_theta": 100.0}, global_head_dim=a.vis_head_dim, default_output_length=a.max_soft)
    cfg.update(vision_soft_tokens_per_image=a.max_soft, eoa_token_id=cfg["eoa_token_index"])
    json.dump(cfg, open(path, "w"), indent=1)
    img = {"do_convert_rgb": True, "do_normalize": False, "do_rescale": True, "do_resize": True, "image_mean": [0.0] * 3, "image_std": [1.0] * 3,
           "image_processor_type": "Gemma4ImageProcessor", "image_seq_length": a.max_soft, "max_soft_tokens": a.max_soft, "patch_size": 16, "pooling_kernel_size": 3,
           "resample": 3, "rescale_factor": 1 / 255}
    aud = {"feature_extractor_type": "Gemma4AudioFeatureExtractor", "feature_size": 128, "sampling_rate": 16000, "frame_length": 320, "hop_length": 160, "fft_length": 512,
           "min_frequency": 0.0, "max_frequency": 8000.0, "mel_floor": 0.001, "preemphasis": 0.0, "preemphasis_htk_flavor": True, "padding_side": "right",
           "padding_value": 0.0, "input_scale_factor": 1.0, "dither": 0.0, "fft_overdrive": False, "return_attention_mask": True, "per_bin_mean": None, "per_bin_stddev": None}
    json.dump({"processor_class": "Gemma4Processor", "image_seq_length": a.max_soft, "audio_seq_length": 750, "audio_ms_per_token": 40, "image_processor": img,
               "feature_extractor": aud}, open(os.path.join(hf, "processor_config.json"), "w"), indent=1)
    ids = json.load(open(os.path.join(hf, "tokenizer.json")))["model"]["vocab"]
    json.dump({"bos_token_id": 2, "eos_token_id": [1, ids["<turn|>"], ids["<|tool_response>"]], "pad_token_id": 0, "do_sample": True, "temperature": 1.0, "top_k": 64, "top_p": 0.95},
              open(os.path.join(hf, "generation_config.json"), "w"), indent=1)


def load(hf):
    """from_pretrained.  transformers 5.24 allocates one scale per row for every table and then refuses the per-layer table's scale per row and layer (earlier
    versions let quantised models differ in shape): give it room first."""
    from transformers import Gemma4ForConditionalGeneration
    from transformers.quantizers.quantizer_gemma import GemmaQuantizer
    prepare = GemmaQuantizer._process_model_before_weight_loading
    def with_room(self, model, **kw):
        prepare(self, model, **kw)
        table, t = model.model.language_model.embed_tokens_per_layer, model.config.text_config
        table.embedding_scale = torch.nn.Parameter(table.embedding_scale.new_ones(t.vocab_size_per_layer_input, t.num_hidden_layers), requires_grad=False)
    GemmaQuantizer._process_model_before_weight_loading = with_room
    try:
        return Gemma4ForConditionalGeneration.from_pretrained(hf, dtype=torch.float32, attn_implementation="eager").eval()
    finally:
        GemmaQuantizer._process_model_before_weight_loading = prepare


# ---- integer arithmetic -----------------------------------------------------------------------------------------------------------------------------
def integer_cases(model, run):
    """Run, and return for every calibrated linear layer the codes that entered and left it in the reference: {name: (x, y)}."""
    got = {}
    def watch(n):
        def hook(m, i, o):
            x, y = codes(i[0], m.input_activation_scale), torch.round(o / m.output_activation_scale).to(torch.int8)
            got.setdefault(n, []).append((x.reshape(-1, m.in_features).numpy(), y.reshape(-1, m.out_features).numpy()))
        return hook
    hs = [m.register_forward_hook(watch(n)) for n, m in linears(model, calibrated=True).items()]
    with torch.no_grad():
        run()
    for h in hs:
        h.remove()
    return {n: tuple(np.concatenate(v) for v in zip(*p)) for n, p in got.items()}


def integer_linear(m, x, unsigned=False):
    """y of a layer from the codes x: exact sums, one float32 multiplication, one rounding to nearest even, one clip.  unsigned: weights as stored (offset
    binary) and the sum of x to take the offset out again."""
    w = unpack(m.weight.numpy(), m.num_bits).astype(np.int32)
    if unsigned:
        offset = 1 << (m.num_bits - 1)
        sums = x.astype(np.int32) @ (w + offset).T - offset * x.astype(np.int32).sum(1, keepdims=True)
    else:
        sums = x.astype(np.int32) @ w.T
    factor = m.weight_scale[:, 0].numpy().astype(np.float64) * float(m.input_activation_scale) / float(m.output_activation_scale)
    exact = sums * factor
    real = sums.astype(np.float32) * factor.astype(np.float32)
    return np.clip(np.rint(real), -128, 127).astype(np.int8), exact, sums


def check_integers(model, cases):
    total = differ = ours = ties = ends = 0
    worst_sum, worst_tie = 0, 0.0
    mods = linears(model)
    for n, (x, y) in cases.items():
        m = mods[n]
        mine, real, sums = integer_linear(m, x)                                          # real: in float64
        if m.num_bits != 8:
            assert np.array_equal(mine, integer_linear(m, x, unsigned=True)[0])
        d = mine.astype(np.int16) - y
        bad = d != 0
        assert np.abs(d).max(initial=0) <= 1, n
        total += y.size; differ += int(bad.sum()); ties += int((np.abs(np.abs(real - np.floor(real)) - 0.5) < 1e-4).sum())
        ends += int(((mine == 127) | (mine == -128)).sum())
        ours += int((mine != np.clip(np.rint(real), -128, 127)).sum())
        worst_sum = max(worst_sum, int(np.abs(sums).max()))
        if bad.any():
            worst_tie = max(worst_tie, float(np.abs(np.abs(real[bad] - np.floor(real[bad])) - 0.5).max()))
    print(f"integers: {len(cases)} layers, {total} outputs, {differ} differ from the reference, each by 1, none further than {worst_tie:.2e} from a tie; "
          f"{ours} differ from float64; {ties} lie within 1e-4 of a tie; largest |sum| {worst_sum}; at the ends of the range {ends}")


# ---- main -------------------------------------------------------------------------------------------------------------------------------------------
def runtime_logits(model, ids, kv):
    """What an integer runtime computes: int8 KV, and the head's input rounded to int8 per token, scale = largest magnitude / 127."""
    scales = [tuple(torch.tensor(float(x)) for x in s) for s in kv]
    def round_input(m, i):
        s = i[0].abs().amax(-1, keepdim=True) / 127
        return (torch.round(i[0] / s) * s,)
    h = model.lm_head.register_forward_pre_hook(round_input)
    with torch.no_grad():
        out = model(input_ids=torch.tensor(ids, dtype=torch.long)[None], cache=rounding_cache(model, scales), use_cache=True).logits[0].numpy()
    h.remove()
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("out"); ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--style", choices=("e2b", "e4b"), default="e2b", help="bits and FFN widths of the published E2B or E4B")
    for name, v in (("layers", 10), ("shared", 5), ("period", 5), ("hidden", 128), ("inter", 192), ("heads", 4), ("kv-heads", 1), ("head-dim", 32), ("global-head-dim", 64),
                    ("window", 16), ("ple", 32), ("vis-layers", 3), ("vis-heads", 3), ("vis-head-dim", 32), ("vis-inter", 256), ("max-soft", 70), ("aud-layers", 2),
                    ("aud-hidden", 64), ("aud-heads", 4), ("aud-channels", 8), ("aud-out", 96), ("id-shift", 0)):
        ap.add_argument("--" + name, type=int, default=v)
    ap.add_argument("--image-size", nargs="+", default=["96x160"], help="HEIGHTxWIDTH of each test image")
    ap.add_argument("--audio-seconds", nargs="+", type=float, default=[1.5])
    ap.add_argument("--of", metavar="HF", help="a checkpoint that is there already: writes OUT/golden.npz alone")
    a = ap.parse_args()
    a.double_wide = a.style == "e2b"
    from transformers import Gemma4ForConditionalGeneration
    from transformers.utils.quantization_config import GemmaQuantizationConfig
    torch.manual_seed(a.seed)
    hf = os.path.join(a.out, "hf"); os.makedirs(hf, exist_ok=True)
    vocab, _ = tiny.build_tokenizer(hf, a.id_shift)
    if a.of:
        g = tiny.golden(load(a.of).requires_grad_(False), a, tiny.make_inputs(a, vocab))
        np.savez_compressed(os.path.join(a.out, "golden.npz"), **g)
        return
    cfg = tiny.config(a, vocab)
    cfg._attn_implementation = "eager"
    cfg.tie_word_embeddings = cfg.text_config.tie_word_embeddings = False
    cfg.vision_config.use_clipped_linears = cfg.audio_config.use_clipped_linears = False
    model = Gemma4ForConditionalGeneration(cfg).eval().float()
    tiny.scramble(model, a.seed)
    for n, p in model.model.language_model.named_parameters():      # static rounding turns the least difference into a whole step: keep what one step does small
        if n.split(".")[-2] in ("post_attention_layernorm", "post_feedforward_layernorm", "post_per_layer_input_norm"):
            p.data.mul_(UPDATE)
    for n, p in list(model.named_parameters()) + list(model.named_buffers()):
        if torch.is_floating_point(p) and stored_type(n, p) == torch.bfloat16:
            p.data.copy_(p.data.to(torch.bfloat16).float())
    quantization = GemmaQuantizationConfig(quantize_embeddings=True, module_quant_configs=bit_widths(a), modules_to_not_convert=SKIP)
    quantize(model, quantization, a.seed, a.ple)
    inp = tiny.make_inputs(a, vocab)
    rng = np.random.default_rng(a.seed + 4000)
    sequences = [inp["text"]] + [np.concatenate([[2], rng.integers(107 + a.id_shift, vocab[tiny.HIGH[0]], 63)]) for _ in range(8)]
    def run(model=model):
        for ids in sequences:
            model(input_ids=torch.tensor(ids, dtype=torch.long)[None], use_cache=False)
        for _, px, pos, _, ids in inp["images"]:
            model(input_ids=torch.tensor(ids)[None], pixel_values=px, image_position_ids=pos, use_cache=False)
        for _, mel, mask, _, ids in inp["audios"]:
            model(input_ids=torch.tensor(ids)[None], input_features=mel, input_features_mask=mask, use_cache=False)
    calibrate(model, run)
    kv = cache_scales(model, sequences)
    saved = write(model, a, hf, kv, a.seed)
    write_config(model, a, hf, quantization.to_dict())

    model = load(hf).requires_grad_(False)
    for n, x in model.state_dict().items():
        assert torch.equal(x.float(), saved[n].float()), n
    g = tiny.golden(model, a, inp, greedy=True)
    shaken = tiny.golden(model, a, inp, noise=2e-7)
    tiny.compare(g, shaken, "inputs shaken by 2e-7")
    g.update({"shaken_" + k: shaken[k] for k in ("text_logits", "image0_logits_tail", "audio0_logits_tail", "image0_soft_tokens", "audio0_soft_tokens")})
    g["runtime_text_logits"] = runtime_logits(model, inp["text"], kv)
    g["runtime_cache_scales"] = np.array(kv, np.float32)
    tiny.compare({"text_logits": g["text_logits"]}, {"text_logits": g["runtime_text_logits"]}, "int8 KV and head")
    cases = integer_cases(model, lambda: run(model))
    check_integers(model, cases)
    mid = a.layers - a.shared - 1
    picks = [f"model.language_model.layers.{i}.{p}" for i, p in ((0, "self_attn.q_proj"), (mid, "self_attn.k_proj"), (mid, "self_attn.o_proj"), (0, "mlp.gate_proj"),
             (0, "mlp.down_proj"), (a.layers - 1, "mlp.gate_proj"), (a.layers - 1, "mlp.down_proj"), (1, "per_layer_input_gate"), (1, "per_layer_projection"))]
    picks += ["model.vision_tower.encoder.layers.0.mlp.down_proj.linear", "model.audio_tower.layers.0.feed_forward1.ffw_layer_1.linear", "model.audio_tower.layers.0.lconv1d.linear_start.linear"]
    for k, n in enumerate(picks):
        x, y = cases[n]
        g[f"linear{k}_name"], g[f"linear{k}_x"], g[f"linear{k}_y"] = np.array(n), x[:64], y[:64]
    np.savez_compressed(os.path.join(a.out, "golden.npz"), **g)
    print("std: logits %.3f, image soft tokens %.3f, audio soft tokens %.3f" % (g["text_logits"].std(), g["image0_soft_tokens"].std(), g["audio0_soft_tokens"].std()))


if __name__ == "__main__":
    main()
