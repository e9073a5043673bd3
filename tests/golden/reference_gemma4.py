#!/usr/bin/env python3
"""Build small Gemma 4 E-style models with the reference implementation (transformers) and record what they compute.

    reference_gemma4.py OUT --seed 1 [--layers 10 --shared 5 --period 5 ...]

writes OUT/hf (config, safetensors, tokenizer.json, processor files: a folder that llama.cpp's converter accepts), OUT/golden.npz (inputs and every
intermediate that is worth comparing) and OUT/tokens.json (strings and the ids they become).  All weights are random but scaled so that activations
stay in a realistic range, the network is not chaotic, and every branch matters: per-layer embeddings, KV sharing, layer scalars, both RoPEs, clipped
linears in both encoders, the relative-position term of the conformer.

Needs: torch 2.14, torchvision 0.29, transformers 5.24, tokenizers, safetensors, numpy, pillow.

Weights are snapped to the grids they are stored in, see snap(): packing such a model loses nothing, so a comparison with its golden values shows errors
of logic and of activation quantisation only.  The KV-shared layers' K/V weights are in the file, as in the published checkpoints, filled with noise that
nothing may read.  Fixed because the graph or the processor fixes them: patch 16, 3x3 pooling, 128 mel bins, 128 channels in the first sub-sampling
convolution (their quarter is taken for the number of frequency bins), chunk 12 with 12 frames of past, kernel 5.
"""
import argparse, copy, json, os
import numpy as np
import torch

# ---- tokenizer: the published layout in small -------------------------------------------------------------------------------------------------------
LOW = {46: "<|tool>", 47: "<tool|>", 48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>", 51: "<tool_response|>", 52: '<|"|>',
       98: "<|think|>", 100: "<|channel>", 101: "<channel|>", 105: "<|turn>", 106: "<turn|>"}
HIGH = ["<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
CORPUS = ["a red circle on the left of a blue square", "two green triangles above one yellow ring", "there is no image here", "how many shapes are there?",
          "describe the picture", "what was said in the recording?", "the quick brown fox jumps over the lazy dog", "0123456789", "user model system thought"]
TEMPLATE = ("{{ bos_token }}{% if enable_thinking is defined and enable_thinking %}{{ '<|turn>system\n<|think|>\n<turn|>\n' }}{% endif %}"
            "{% for m in messages %}{{ '<|turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
            "{% if m['content'] is string %}{{ m['content'] | trim }}{% else %}{% for c in m['content'] %}"
            "{% if c['type'] == 'image' %}{{ '<|image|>' }}{% elif c['type'] == 'audio' %}{{ '<|audio|>' }}{% else %}{{ c['text'] | trim }}{% endif %}"
            "{% endfor %}{% endif %}{{ '<turn|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}")


def learn_pieces(n):
    """Plain BPE on the corpus; a space belongs to the word after it."""
    words = {}
    for line in CORPUS:
        for k, w in enumerate(line.split(" ")):
            w = tuple(("\u2581" if k else "") + w)
            words[w] = words.get(w, 0) + 1
    chars = sorted({c for w in words for c in w} | set("\u2581abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!?'\"-:;()<>|/=+*#_".replace(" ", "")))
    pieces = []
    while len(pieces) < n:
        pairs = {}
        for w, c in words.items():
            for p in zip(w, w[1:]):
                pairs[p] = pairs.get(p, 0) + c
        if not pairs:
            break
        a, b = max(pairs, key=lambda p: (pairs[p], p))
        if a + b not in pieces:
            pieces.append(a + b)
        new = {}
        for w, c in words.items():
            out = []
            for s in w:
                if out and out[-1] == a and s == b:
                    out[-1] = a + b
                else:
                    out.append(s)
            new[tuple(out)] = new.get(tuple(out), 0) + c
        words = new
    return pieces, chars


def build_tokenizer(out, shift, n_pieces=150):
    """Write tokenizer.json, tokenizer_config.json, chat_template.jinja.  `shift` moves every id after the first six, to catch hard-coded ids."""
    from tokenizers import Tokenizer, AddedToken, decoders, models, normalizers, pre_tokenizers
    low = {i + shift: t for i, t in LOW.items()}
    toks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]"]
    unused = 0
    while len(toks) < 107 + shift:
        if len(toks) in low:
            toks.append(low[len(toks)])
        else:
            toks.append(f"<unused{unused}>"); unused += 1
    toks += ["\n" * k for k in range(1, 32)] + ["\u2581" * k for k in range(2, 32)]
    toks += [f"<0x{k:02X}>" for k in range(256)]
    pieces, chars = learn_pieces(n_pieces)
    toks += pieces + chars
    n = (len(toks) + len(HIGH) + 31) // 32 * 32
    toks += [f"<unused{unused + k}>" for k in range(n - len(toks) - len(HIGH))] + HIGH
    vocab = {t: i for i, t in enumerate(toks)}
    assert len(vocab) == n
    merges = []          # runs first, longest first; then piece by piece every split whose halves are tokens: 514,906 merges in the published file
    for k in range(31, 1, -1):
        for c in "\n\u2581":
            merges += [(c * j, c * (k - j)) for j in range(k - 1, 0, -1)]
    for p in pieces:
        merges += [(p[:j], p[j:]) for j in range(len(p) - 1, 0, -1) if p[:j] in vocab and p[j:] in vocab]
    tk = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tk.normalizer = normalizers.Replace(" ", "\u2581")
    tk.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tk.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = toks[:5] + list(LOW.values()) + HIGH
    tk.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tk.save(os.path.join(out, "tokenizer.json"))
    cfg = {"add_bos_token": True, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>", "padding_side": "left",
           "tokenizer_class": "GemmaTokenizer", "processor_class": "Gemma4Processor", "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>",
           "audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>", "sot_token": "<|turn>", "eot_token": "<turn|>", "soc_token": "<|channel>",
           "eoc_token": "<channel|>", "think_token": "<|think|>"}
    cfg["extra_special_tokens"] = {k: cfg[k] for k in cfg if k.split("_")[0] in ("image", "boi", "eoi", "audio", "boa", "eoa", "sot", "eot", "soc", "eoc", "think")}
    json.dump(cfg, open(os.path.join(out, "tokenizer_config.json"), "w"), indent=1)
    open(os.path.join(out, "chat_template.jinja"), "w").write(TEMPLATE)
    cases = ["", "a red circle", "  two  spaces", "line\nbreak\n\n\nthree", "\n" * 40, " " * 40, "zażółć \u4f60\u597d \U0001F642", "<|turn>user\nhello<turn|>\n<|turn>model\n",
             "<|channel>thought\nhm<channel|>the picture", "<|image><|image|><|image|><image|>describe", "x<unused3>y", "tab\there", "\u2581already"]
    return vocab, [[c, tk.encode(c, add_special_tokens=False).ids] for c in cases]


# ---- model ------------------------------------------------------------------------------------------------------------------------------------------
def config(a, vocab):
    from transformers import Gemma4Config
    kinds = ["full_attention" if (i + 1) % a.period == 0 else "sliding_attention" for i in range(a.layers)]
    own = kinds[:a.layers - a.shared]
    assert kinds[-1] == "full_attention" and own[-2:] == ["sliding_attention", "full_attention"], "layers end, and own-KV layers end, with a global layer after a local one"
    n = len(vocab)
    text = dict(vocab_size=n, vocab_size_per_layer_input=n, hidden_size=a.hidden, intermediate_size=a.inter, num_hidden_layers=a.layers, num_attention_heads=a.heads,
                num_key_value_heads=a.kv_heads, head_dim=a.head_dim, global_head_dim=a.global_head_dim, sliding_window=a.window, layer_types=kinds,
                num_kv_shared_layers=a.shared, hidden_size_per_layer_input=a.ple, use_double_wide_mlp=a.double_wide, max_position_embeddings=4096,
                final_logit_softcapping=30.0, attention_k_eq_v=False, use_bidirectional_attention=None, tie_word_embeddings=True,
                rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                                 "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0}})
    vision = dict(hidden_size=a.vis_heads * a.vis_head_dim, intermediate_size=a.vis_inter, num_hidden_layers=a.vis_layers, num_attention_heads=a.vis_heads,
                  num_key_value_heads=a.vis_heads, head_dim=a.vis_head_dim, position_embedding_size=(3 * a.max_soft + 31) // 32 * 32, use_clipped_linears=True,
                  standardize=False, rope_parameters={"rope_type": "axial", "rope_theta": 100.0})
    audio = dict(hidden_size=a.aud_hidden, num_hidden_layers=a.aud_layers, num_attention_heads=a.aud_heads, subsampling_conv_channels=[128, a.aud_channels],
                 output_proj_dims=a.aud_out, use_clipped_linears=True)
    ids = dict(zip(("boi_token_id", "boa_token_id", "image_token_id", "audio_token_id", "eoi_token_id", "eoa_token_index", "video_token_id"), (vocab[t] for t in HIGH)))
    return Gemma4Config(text_config=text, vision_config=vision, audio_config=audio, tie_word_embeddings=True, **ids)


def scramble(model, seed):
    """Replace initial values by ones under which every branch contributes and updates to the residual streams are small."""
    g = torch.Generator().manual_seed(seed)
    rn = lambda p, s, m=0.0: p.data.copy_(torch.randn(p.shape, generator=g) * s + m)
    for name, p in model.named_parameters():
        parent = name.split(".")[-2]
        if parent in ("post_attention_layernorm", "post_feedforward_layernorm", "post_per_layer_input_norm", "post_layer_norm", "norm_post_attn"):
            rn(p, 0.03, 0.12) if "language_model" in name else rn(p, 0.1, 0.45)   # a random network amplifies every rounding error unless the updates are small
        elif parent == "k_norm":
            rn(p, 0.12 / p.numel() ** 0.5, 1.2 / p.numel() ** 0.5)   # attention has no 1/sqrt(d): the trained k_norm carries it
        elif p.ndim == 1 and "norm" in name:
            rn(p, 0.1, 1.0)
        elif "per_dim_scale" in name:
            rn(p, 0.5)
        elif name.endswith("embed_tokens_per_layer.weight"):
            rn(p, 1.0 / model.config.text_config.hidden_size_per_layer_input ** 0.5)
        elif name.endswith("embed_tokens.weight"):
            rn(p, 0.5 / p.shape[1] ** 0.5)
        elif "position_embedding_table" in name:
            rn(p, 0.3)
        elif p.ndim >= 2:
            rn(p, (0.5 if "linear_end" in name else 1.0) / p[0].numel() ** 0.5)
        else:
            rn(p, 0.05)
    for layer in model.model.language_model.layers:
        layer.layer_scalar.copy_(torch.rand(1, generator=g) * 0.3 + 0.8)


def clip(model, run, qat):
    """Give every clipped linear finite, asymmetric bounds that cut about one value in 200, taken from an unclipped run.  With `qat` they look like the
    published ones: -128 and 127 times one step, the range of an int8 tensor."""
    from transformers.models.gemma4.modeling_gemma4 import Gemma4ClippableLinear
    mods = [m for m in model.modules() if isinstance(m, Gemma4ClippableLinear)]
    seen = {}
    hs = [m.register_forward_hook(lambda m, i, o: seen.setdefault(m, []).append((i[0].detach().reshape(-1), o.detach().reshape(-1)))) for m in mods]
    run()
    for h in hs:
        h.remove()
    for m in mods:
        x, y = (torch.cat([v[k] for v in seen[m]]).numpy() for k in (0, 1))
        if qat:
            for v, lo, hi in ((x, m.input_min, m.input_max), (y, m.output_min, m.output_max)):
                hi.fill_(float(np.quantile(np.abs(v), .995))); lo.fill_(-float(hi) * 128 / 127)
            continue
        for buf, v, q in ((m.input_min, x, .002), (m.input_max, x, .997), (m.output_min, y, .003), (m.output_max, y, .998)):
            buf.fill_(float(np.quantile(v, q)))


def signif(x, n):
    """Round to n significant bits."""
    m, e = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(m, n)), e - n)


def snap_q4(w, bits):
    """Q4_0 blocks of 32: d * (-8..7), the largest magnitude at exactly -8 d, d short enough that every product fits the storage type."""
    b = w.astype(np.float64).reshape(-1, 32)
    d = signif(np.take_along_axis(b, np.abs(b).argmax(1)[:, None], 1) / -8, bits - 3)
    d[d == 0] = 1
    return (np.clip(np.rint(b / d), -8, 7) * d).reshape(w.shape)


def snap_i8(w, bits):
    """One scale per output channel, values -127..127, the largest magnitude at exactly 127 d."""
    f = w.astype(np.float64).reshape(w.shape[0], -1)
    m = np.abs(f).max(1, keepdims=True)
    d = signif(m / 127, bits - 7)
    return (np.rint(f * (127 / m)) * d).reshape(w.shape)


def snap_few(w, levels, bits):
    """Values -levels/2 .. levels/2 - 1 times one step per output channel, as in the published audio encoder (4 levels, 16 in linear_start).
    As int8 this is exact as 64 (16) times the level, not with a step of max / 127."""
    d = signif(np.abs(w).astype(np.float64).std(1, keepdims=True) * (1.6 if levels == 4 else 0.6), bits - (levels > 4) * 3)
    return np.clip(np.rint(w / d), -levels // 2, levels // 2 - 1) * d


def snap(model, dtype, qat):
    """Text matrices to Q4_0, encoder matrices and dense convolutions to int8 per output channel (with `qat` the conformer's clipped linears to 2 and 4 bits),
    the rest to the storage type (float16 or bfloat16); all results are exact in the storage type, in float16 and in float32."""
    bits = {torch.float16: 11, torch.bfloat16: 8}[dtype]
    for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if n.endswith(("layer_scalar", "_min", "_max"))]:
        w = p.data.float().numpy()
        if ".language_model." in name and w.ndim == 2:
            w = snap_q4(w, bits)
        elif qat and ".audio_tower.layers." in name and name.endswith(".linear.weight"):
            w = snap_few(w, 16 if "linear_start" in name else 4, bits)
        elif w.ndim == 4 or w.ndim == 2:
            w = snap_i8(w, bits)
        else:
            w = p.data.to(dtype).float().numpy()
        t = torch.tensor(w, dtype=torch.float32)
        assert torch.equal(t.to(dtype).float(), t), name
        p.data.copy_(t)


def write_hf(model, a, hf, dtype, seed):
    from safetensors.torch import load_file, save_file
    m = copy.deepcopy(model).to(dtype)
    m.config.dtype = dtype
    m.save_pretrained(hf)
    path, t = os.path.join(hf, "model.safetensors"), model.config.text_config
    st = load_file(path)
    rng = np.random.default_rng(seed + 1000)
    for i in range(a.layers - a.shared, a.layers):
        src = max(j for j in range(a.layers - a.shared) if t.layer_types[j] == t.layer_types[i])
        for w in ("k_proj", "v_proj", "k_norm"):
            key = "model.language_model.layers.%d.self_attn." + w + ".weight"
            s = st[key % src]
            noise = rng.normal(0, 0.2, s.shape)
            st[key % i] = torch.from_numpy((snap_q4(noise, 8) if s.ndim == 2 else noise).astype(np.float32)).to(dtype)
    save_file(st, path, metadata={"format": "pt"})
    cfg = json.load(open(os.path.join(hf, "config.json")))      # published files spell these out; newer saves fold them into per_layer_config
    cfg["text_config"].setdefault("global_head_dim", a.global_head_dim)
    cfg["text_config"].setdefault("num_global_key_value_heads", None)
    cfg["text_config"].pop("per_layer_config", None)
    cfg["vision_config"].update(rope_parameters={"rope_type": "default", "rope_theta": 100.0}, global_head_dim=a.vis_head_dim, default_output_length=a.max_soft)
    cfg.update(vision_soft_tokens_per_image=a.max_soft, eoa_token_id=cfg["eoa_token_index"])
    json.dump(cfg, open(os.path.join(hf, "config.json"), "w"), indent=1)
    img = {"do_convert_rgb": True, "do_normalize": False, "do_rescale": True, "do_resize": True, "image_mean": [0.0] * 3, "image_std": [1.0] * 3,
           "image_processor_type": "Gemma4ImageProcessor", "image_seq_length": a.max_soft, "max_soft_tokens": a.max_soft, "patch_size": 16, "pooling_kernel_size": 3,
           "resample": 3, "rescale_factor": 1 / 255}
    aud = {"feature_extractor_type": "Gemma4AudioFeatureExtractor", "feature_size": 128, "sampling_rate": 16000, "frame_length": 320, "hop_length": 160, "fft_length": 512,
           "min_frequency": 0.0, "max_frequency": 8000.0, "mel_floor": 0.001, "preemphasis": 0.0, "preemphasis_htk_flavor": True, "padding_side": "right",
           "padding_value": 0.0, "input_scale_factor": 1.0, "dither": 0.0, "fft_overdrive": False, "return_attention_mask": True, "per_bin_mean": None, "per_bin_stddev": None}
    vid = {**img, "video_processor_type": "Gemma4VideoProcessor", "do_normalize": True, "max_soft_tokens": 70, "num_frames": 32, "do_sample_frames": True}
    del vid["image_processor_type"]
    json.dump({"processor_class": "Gemma4Processor", "image_seq_length": a.max_soft, "audio_seq_length": 750, "audio_ms_per_token": 40, "image_processor": img,
               "feature_extractor": aud, "video_processor": vid}, open(os.path.join(hf, "processor_config.json"), "w"), indent=1)
    ids = json.load(open(os.path.join(hf, "tokenizer.json")))["model"]["vocab"]
    json.dump({"bos_token_id": 2, "eos_token_id": [1, ids["<turn|>"], ids["<|tool_response>"]], "pad_token_id": 0, "do_sample": True, "temperature": 1.0, "top_k": 64, "top_p": 0.95},
              open(os.path.join(hf, "generation_config.json"), "w"), indent=1)


# ---- inputs and golden values -----------------------------------------------------------------------------------------------------------------------
def make_image(rng, h, w):
    yy, xx = np.mgrid[0:h, 0:w] / max(h, w)
    img = np.stack([0.5 + 0.5 * np.sin(9 * xx + 4 * yy), (xx * 3 % 1) * yy, ((xx - .4) ** 2 + (yy - .3) ** 2 < .05) * 0.8], -1) + rng.normal(0, .015, (h, w, 3))
    return (np.clip(img, 0, 1) * 255).round().astype(np.uint8)


def make_audio(rng, seconds):
    t = np.arange(int(16000 * seconds)) / 16000
    f0 = 140 + 60 * np.sin(2 * np.pi * 1.3 * t)
    ph = 2 * np.pi * np.cumsum(f0) / 16000
    x = sum(np.sin(k * ph + k) / k for k in range(1, 12)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3.1 * t) ** 2)
    x = 0.15 * x + 0.1 * np.sin(2 * np.pi * (300 + 900 * t) * t) + rng.normal(0, 0.01, t.size)
    x[int(0.6 * t.size):int(0.7 * t.size)] *= 0.0          # digital silence: the floor inside the logarithm
    return np.clip(np.rint(x * 20000), -32768, 32767).astype(np.int16)


def make_inputs(a, vocab):
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4.image_processing_gemma4 import Gemma4ImageProcessor
    rng = np.random.default_rng(a.seed)
    lo, hi = 107 + a.id_shift, vocab[HIGH[0]] - 1
    rand = lambda n: rng.integers(lo, hi, n)
    inp = {"text": np.concatenate([[2], rand(63)]), "images": [], "audios": []}
    proc, fe = Gemma4ImageProcessor(max_soft_tokens=a.max_soft), Gemma4AudioFeatureExtractor()
    for size in a.image_size:
        h, w = map(int, size.split("x"))
        rgb = make_image(rng, h, w)
        f = proc(torch.from_numpy(rgb).permute(2, 0, 1), return_tensors="pt")
        n = int(f["num_soft_tokens_per_image"][0])
        ids = np.concatenate([[2], rand(6), [vocab["<|image>"]], [vocab["<|image|>"]] * n, [vocab["<image|>"]], rand(10)])
        inp["images"].append((rgb, f["pixel_values"], f["image_position_ids"], n, ids))
    for s in a.audio_seconds:
        pcm = make_audio(rng, s)
        f = fe([pcm.astype(np.float32) / 32768], return_tensors="pt")       # a list: a bare array is mis-shaped by transformers 5.24
        mask = f["input_features_mask"]
        n = int(mask[0, ::2][::2].sum())
        ids = np.concatenate([[2], rand(6), [vocab["<|audio>"]], [vocab["<|audio|>"]] * n, [vocab["<audio|>"]], rand(10)])
        inp["audios"].append((pcm, f["input_features"], mask, n, ids))
    inp["greedy"] = np.concatenate([[2], rand(30)])
    return inp


def golden(model, a, inp, noise=0.0, greedy=False):
    """Run everything; return inputs and reference outputs (float32).  `noise` perturbs every embedding, pixel or mel value by that relative amount."""
    out, taps = {}, {}
    g = torch.Generator().manual_seed(7)
    shake = lambda x: x * (1 + noise * torch.randn(x.shape, generator=g)) if noise else x
    mm, lm = model.model, model.model.language_model
    arr = lambda o: (o[0] if isinstance(o, tuple) else o).detach().float().numpy().copy()
    hooks = []
    tap = lambda mod, key: hooks.append(mod.register_forward_hook(lambda m, i, o: taps.__setitem__(key, arr(o))))
    for i, l in enumerate(lm.layers):
        tap(l, f"text_layer{i}")
    tap(lm.layers[0].self_attn, "text_layer0_attn"); tap(lm.layers[0].mlp, "text_layer0_mlp"); tap(lm.norm, "text_final")
    if noise:
        hooks.append(lm.embed_tokens.register_forward_hook(lambda m, i, o: shake(o)))
    inner = lm.project_per_layer_inputs
    def per_layer(embeds, identity=None):
        r = inner(embeds, identity)
        taps["text_per_layer_inputs"] = arr(r)
        return r
    lm.project_per_layer_inputs = per_layer
    call = lambda ids, **k: model(input_ids=torch.tensor(ids, dtype=torch.long)[None], use_cache=False, **k)
    with torch.no_grad():
        r = call(inp["text"], return_shared_kv_states=True)
        out["text_ids"], out["text_logits"] = inp["text"], r.logits[0].numpy()
        out.update({k: v[0] for k, v in taps.items()})
        for kind, name in (("sliding_attention", "local"), ("full_attention", "global")):      # what the shared layers read: rotated K, normed V
            out[f"text_k_{name}"], out[f"text_v_{name}"] = (x[0].numpy() for x in r.shared_kv_states[kind])
        if greedy:
            seq, margin = list(inp["greedy"]), []
            for _ in range(16):
                top = call(seq).logits[0, -1].topk(2)
                seq.append(int(top.indices[0])); margin.append(float(top.values[0] - top.values[1]))
            out["greedy_ids"], out["greedy_margin"] = np.array(seq), np.array(margin)
        del lm.project_per_layer_inputs
        for h in hooks:
            h.remove()
        hooks.clear(); taps.clear()
        vt, at = mm.vision_tower, mm.audio_tower
        tap(vt.patch_embedder, "embed"); tap(vt.pooler, "pooled")
        for i, l in enumerate(vt.encoder.layers):
            tap(l, f"layer{i}")
        tap(vt.encoder.layers[0].self_attn, "layer0_attn"); tap(vt.encoder.layers[0].mlp, "layer0_mlp")
        for k, (rgb, px, pos, n, ids) in enumerate(inp["images"]):
            taps.clear()
            out[f"image{k}_soft_tokens"] = mm.get_image_features(shake(px), pos).pooler_output[0].numpy()
            valid = int((pos[0, :, 0] >= 0).sum())
            w, h = (int(v) + 1 for v in pos[0].max(0).values)
            rows = np.arange(0, valid, max(1, valid // 80))
            pv = px[0, :valid].numpy().reshape(h, w, 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(h * 16, w * 16, 3)
            out.update({f"image{k}_rgb": rgb, f"image{k}_resized": np.rint(pv * 255).astype(np.uint8), f"image{k}_grid": np.array([w, h]),
                        f"image{k}_position_ids": pos[0].numpy().astype(np.int16), f"image{k}_patches_head": px[0, :24].numpy(), f"image{k}_ids": ids,
                        f"vision{k}_rows": rows, f"vision{k}_pooled": taps.pop("pooled")[0][:n]})
            out.update({f"vision{k}_{key}": v[0][rows] for key, v in taps.items()})
            out[f"image{k}_logits_tail"] = call(ids, pixel_values=shake(px), image_position_ids=pos).logits[0, -12:].numpy()
        for h in hooks:
            h.remove()
        hooks.clear()
        sub = at.subsample_conv_projection
        tap(sub.layer0, "conv0"); tap(sub.layer1, "conv1"); tap(sub, "subsampled")
        for i, l in enumerate(at.layers):
            tap(l, f"layer{i}")
        first_block = at.layers[0]
        for key in ("feed_forward1", "self_attn", "lconv1d", "feed_forward2"):
            tap(getattr(first_block, key), f"layer0_{key}")
        for k, (pcm, mel, mask, n, ids) in enumerate(inp["audios"]):
            taps.clear()
            r = mm.get_audio_features(shake(mel), mask)
            out[f"audio{k}_soft_tokens"] = r.pooler_output[0, :n].numpy()
            c0, c1 = taps.pop("conv0")[0], taps.pop("conv1")[0]                      # [channel, frame, bin]
            out.update({f"audio{k}_pcm": pcm, f"audio{k}_mel": mel[0].numpy(), f"audio{k}_mel_valid": mask[0].numpy(), f"audio{k}_ids": ids,
                        f"audio{k}_conv0_head": c0[:, :6], f"audio{k}_conv1": c1[:, :n], f"audio{k}_hidden": r.last_hidden_state[0, :n].numpy()})
            out.update({f"audio{k}_{key}": v[0][:n] for key, v in taps.items()})
            out[f"audio{k}_logits_tail"] = call(ids, input_features=shake(mel), input_features_mask=mask).logits[0, -12:].numpy()
        for h in hooks:
            h.remove()
    return out


def fake_quant_hooks(model, encoder):
    """Quantise activations to int8 in float arithmetic: blocks of 32 before text matrices; before encoder matrices blocks of 32, one scale per row, or ("static") the
    step that a clipped linear's bounds imply, per row where there are no bounds; one scale per pixel before the dense convolution.  The distance to the plain
    model is what quantisation alone costs."""
    from transformers.models.gemma4.modeling_gemma4 import Gemma4ClippableLinear
    bounds = {m.linear: m for m in model.modules() if isinstance(m, Gemma4ClippableLinear)}
    def q(x, axis):
        d = x.abs().amax(axis, keepdim=True).clamp_min(1e-12) / 127
        return torch.round(x / d) * d
    def blocks(x, n):
        return q(x.reshape(*x.shape[:-1], -1, n), -1).reshape(x.shape) if n and x.shape[-1] % n == 0 else q(x, -1)
    def static(x, c):
        d = torch.maximum(c.input_max / 127, -c.input_min / 128)
        return torch.clamp(torch.round(x / d), -128, 127) * d
    hs = []
    for n, m in model.named_modules():
        if isinstance(m, torch.nn.Linear) and encoder == "static" and m in bounds:
            hs.append(m.register_forward_pre_hook(lambda m, i: (static(i[0], bounds[m]),)))
        elif isinstance(m, torch.nn.Linear):
            text = ".language_model." in n or "lm_head" in n
            hs.append(m.register_forward_pre_hook(lambda m, i, k=32 if text or encoder == "blocks" else 0: (blocks(i[0], k),)))
        elif isinstance(m, torch.nn.Conv2d) and m.in_channels > 1:
            hs.append(m.register_forward_pre_hook(lambda m, i: (q(i[0], 1),)))
    return hs


def compare(g, f, label):
    cos = lambda x, y: (x * y).sum(-1) / np.maximum(np.sqrt((x * x).sum(-1) * (y * y).sum(-1)), 1e-20)
    worst = {}
    for k in g:
        if k.startswith(("text_l", "text_f", "vision", "image", "audio")) and g[k].dtype == np.float32 and not k.endswith(("head", "mel", "conv1", "valid")):
            c = cos(g[k].astype(np.float64), f[k].astype(np.float64))
            same = f" same argmax {(g[k].argmax(-1) == f[k].argmax(-1)).mean():.3f}" if "logits" in k else ""
            if "logits" in k or "soft" in k:
                print(f"{label}: {k:24s} mean cosine {c.mean():.6f} worst {c.min():.6f}{same}")
            worst[k] = float(c.min())
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("out"); ap.add_argument("--seed", type=int, default=1)
    for name, v in (("layers", 10), ("shared", 5), ("period", 5), ("hidden", 128), ("inter", 192), ("heads", 4), ("kv-heads", 1), ("head-dim", 32), ("global-head-dim", 64),
                    ("window", 16), ("ple", 32), ("vis-layers", 3), ("vis-heads", 3), ("vis-head-dim", 32), ("vis-inter", 256), ("max-soft", 70), ("aud-layers", 2),
                    ("aud-hidden", 64), ("aud-heads", 4), ("aud-channels", 8), ("aud-out", 96), ("id-shift", 0)):
        ap.add_argument("--" + name, type=int, default=v)
    ap.add_argument("--double-wide", type=int, default=1, help="KV-shared layers have FFNs of twice the width (E2B), or not (E4B)")
    ap.add_argument("--image-size", nargs="+", default=["96x160", "200x120"], help="HEIGHTxWIDTH of each test image")
    ap.add_argument("--audio-seconds", nargs="+", type=float, default=[1.5, 3.1])
    ap.add_argument("--qat", action="store_true", help="encoder bounds and audio weights as quantisation-aware training left them in the published checkpoint")
    ap.add_argument("--dtype", choices=("float16", "bfloat16"), default="float16", help="of the safetensors file")
    a = ap.parse_args()
    a.double_wide = bool(a.double_wide)
    from transformers import Gemma4ForConditionalGeneration
    torch.manual_seed(a.seed)
    dtype = getattr(torch, a.dtype)
    hf = os.path.join(a.out, "hf"); os.makedirs(hf, exist_ok=True)
    vocab, cases = build_tokenizer(hf, a.id_shift)
    cfg = config(a, vocab)
    cfg._attn_implementation = "eager"
    model = Gemma4ForConditionalGeneration(cfg).eval().float()
    scramble(model, a.seed)
    inp = make_inputs(a, vocab)
    mm = model.model
    with torch.no_grad():
        clip(model, lambda: ([mm.get_image_features(px, pos) for _, px, pos, _, _ in inp["images"]], [mm.get_audio_features(m, v) for _, m, v, _, _ in inp["audios"]]), a.qat)
    snap(model, dtype, a.qat)
    g = golden(model, a, inp, greedy=True)
    low = compare(g, golden(model, a, inp, noise=0.002), "inputs shaken by 0.2 %")
    assert min(v for k, v in low.items() if "logits" in k) >= 0.9999, "the network is too chaotic to be a reference"
    for encoder in ("rows", "blocks", "static"):
        hs = fake_quant_hooks(model, encoder)
        fq = golden(model, a, inp)
        for h in hs:
            h.remove()
        compare(g, fq, f"int8 activations, encoders {encoder}")
        if encoder == "rows":
            g.update({"quantised_" + k: fq[k] for k in g if k in ("text_logits", "image0_soft_tokens", "audio0_soft_tokens", "image0_logits_tail", "audio0_logits_tail")})
    write_hf(model, a, hf, dtype, a.seed)
    os.makedirs(a.out, exist_ok=True)
    np.savez_compressed(os.path.join(a.out, "golden.npz"), **g)
    json.dump(cases, open(os.path.join(a.out, "tokens.json"), "w"), indent=1)
    print({k: v.shape for k, v in g.items()})
    print("std: logits %.3f, image soft tokens %.3f, audio soft tokens %.3f; parameters %d" % (g["text_logits"].std(), g["image0_soft_tokens"].std(), g["audio0_soft_tokens"].std(),
          sum(p.numel() for p in model.parameters())))


if __name__ == "__main__":
    main()
