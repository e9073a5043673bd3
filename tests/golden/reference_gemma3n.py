#!/usr/bin/env python3
"""Builds small Gemma 3n models with the reference implementations (transformers and timm) and records what they compute.

    python tiny_gemma3n.py OUT --seed 1 [--image-size 256] [--audio]

writes OUT/hf (config, safetensors, tokenizer, processor files: a folder that llama.cpp's converter accepts) and
OUT/golden.npz (inputs and every intermediate that is worth comparing).  All weights are random but scaled so that
activations stay in a realistic range and every branch (sparse FFN, AltUp, LAuReL, KV sharing, PLE, layer scale) matters.

Needs: torch 2.14.1, torchvision 0.29.1, timm 1.0.31, transformers 5.23.0, sentencepiece, safetensors, numpy, pillow.
llama.cpp's converter and runtime come with the source package llama-cpp-python 0.3.36 (vendor/llama.cpp).

Shapes the llama.cpp graph fixes and this file keeps: KV sharing starts at layer 20, the first 10 layers are 95 % sparse,
4 AltUp streams with stream 0 active, LAuReL rank 64, 256 PLE channels per layer, every 5th layer global.
"""
import argparse, io, json, math, os
import numpy as np
import torch

from timm.models import register_model
from timm.models import mobilenetv5 as mnv5
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from functools import partial

STAGES = [
    ["er_r1_k3_s2_e4_c16", "er_r1_k3_s1_e4_c16"],
    ["uir_r1_a3_k5_s2_e6_c32", "uir_r1_a5_k0_s1_e4_c32", "uir_r1_a3_k0_s1_e4_c32"],
    ["uir_r1_a5_k5_s2_e6_c64", "uir_r1_a5_k0_s1_e4_c64", "uir_r1_a0_k0_s1_e1_c64",
     "mqa_r1_k3_h4_v2_s1_d32_c64", "uir_r1_a0_k0_s1_e2_c64", "mqa_r1_k3_h4_v2_s1_d32_c64", "uir_r1_a0_k0_s1_e2_c64"],
    ["uir_r1_a5_k5_s2_e6_c128", "mqa_r1_k3_h4_s1_d32_c128", "uir_r1_a0_k0_s1_e2_c128",
     "mqa_r1_k3_h4_s1_d32_c128", "uir_r1_a0_k0_s1_e2_c128"],
]


@register_model
def mobilenetv5_tiny_enc(pretrained=False, stages=None, stem_size=32, width=128, **kwargs):
    """MobileNetV5 with the 300M encoder's block kinds at toy widths; `width` is the MSFA output."""
    for k in ("features_only", "in_chans", "num_classes", "global_pool"):
        kwargs.pop(k, None)
    m = mnv5.MobileNetV5Encoder(
        block_args=decode_arch_def(stages or STAGES), stem_size=stem_size, pad_type="same",  # as the 300M encoder
         round_chs_fn=partial(round_channels, multiplier=1.0, divisor=8),
        norm_layer=mnv5.RmsNorm2d, act_layer=mnv5._GELU, layer_scale_init_value=1e-5)
    m.num_features = m.head_hidden_size = width
    m.msfa = mnv5.MobileNetV5MultiScaleFusionAdapter(in_chs=m.msfa_in_chs, out_chs=width, output_resolution=m.msfa_output_resolution,
                                                     norm_layer=mnv5.RmsNorm2d, act_layer=mnv5._GELU)
    m.default_cfg = m.pretrained_cfg = {"input_size": (3, 768, 768), "num_classes": 0, "mean": (0., 0., 0.), "std": (1., 1., 1.)}
    return m


def train_tokenizer(out, corpus, n_text):
    """SentencePiece BPE with byte fallback and Gemma's control pieces; returns nothing, writes tokenizer.model."""
    import sentencepiece as spm
    buf = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=buf, model_type="bpe", vocab_size=n_text, byte_fallback=True, character_coverage=1.0,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<start_of_audio>", "\n", "\n\n"],
        add_dummy_prefix=False, remove_extra_whitespaces=False, split_by_whitespace=True, normalization_rule_name="identity",
        hard_vocab_limit=False)
    with open(os.path.join(out, "tokenizer.model"), "wb") as f:
        f.write(buf.getvalue())


def config(n_text, image_size, layers=25, hidden=128, inter=256, heads=4, kv_heads=2, head_dim=32, window=16, vis_width=128,
           audio_hidden=64, n_vis=8, n_aud=8, stages=None, stem_size=32, full_vision=False):
    from transformers import Gemma3nConfig
    text = dict(vocab_size=n_text + n_vis + n_aud, vocab_size_per_layer_input=n_text, hidden_size=hidden, intermediate_size=inter, num_hidden_layers=layers,
                num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim, sliding_window=window,
                num_kv_shared_layers=layers - 20, hidden_size_per_layer_input=256, laurel_rank=64, max_position_embeddings=2048)
    vision = dict(architecture="mobilenetv5_tiny_enc", hidden_size=vis_width, vocab_size=n_vis, vocab_offset=n_text,
                  model_args=dict(stem_size=stem_size, width=vis_width, **({"stages": stages} if stages else {})))
    if full_vision:  # the real 300M encoder: 294 M parameters, 436 GMAC at 768 x 768
        vision.update(architecture="mobilenetv5_300m_enc", hidden_size=2048, model_args=None)
    audio = dict(hidden_size=audio_hidden, conf_num_hidden_layers=2, conf_num_attention_heads=4, vocab_size=n_aud, vocab_offset=n_text + n_vis,
                 sscp_conv_channel_size=(16, 8))
    return Gemma3nConfig(text_config=text, vision_config=vision, audio_config=audio, image_token_id=n_text + 1, boi_token_id=6, eoi_token_id=n_text,
                         audio_token_id=n_text + n_vis + 1, boa_token_id=7, eoa_token_id=n_text + n_vis, tie_word_embeddings=True)


def scramble(model, seed):
    """Replace initial values by ones under which every branch contributes."""
    g = torch.Generator().manual_seed(seed)
    rn = lambda p, s, m=0.0: p.data.copy_(torch.randn(p.shape, generator=g) * s + m)
    for name, p in model.named_parameters():
        if name.split(".")[-2] in ("post_attention_layernorm", "post_feedforward_layernorm", "post_per_layer_input_norm", "post_laurel_norm"):
            rn(p, 0.03, 0.15)   # small updates to the residual streams, or a random network amplifies every rounding error
        elif name.endswith("norm.weight") or ".bn" in name or name.endswith("norm_layer.weight") or (p.ndim == 1 and "norm" in name):
            rn(p, 0.1, 1.0)
        elif "layer_scale" in name:
            rn(p, 0.1, 0.3)
        elif "correct_output_scale" in name:
            rn(p, 0.2, 1.0)
        elif "coefs" in name:
            rn(p, 0.2)
        elif "per_dim_scale" in name:
            rn(p, 0.1)
        elif p.ndim >= 2:
            fan = p[0].numel() if p.ndim > 2 else p.shape[1]
            rn(p, (0.5 if "embed" in name and "proj" not in name else 1.0) / math.sqrt(fan))
        else:
            rn(p, 0.05)


def snap(model):
    """Round weights to the grids they are stored in: Q4_0 blocks of 32 for every text matrix, int8 per output channel for the encoder's
    dense convolutions and the projections, float16 for the rest.  Packing such a model is lossless, so a comparison with its golden
    values shows errors of logic and of activation quantisation only."""
    from gguf import quants, GGMLQuantizationType as T
    for name, p in model.named_parameters():
        w = p.data.float().numpy()
        if ".language_model." in name and w.ndim == 2 and w.shape[1] % 32 == 0:
            w = quants.dequantize(quants.quantize(w, T.Q4_0), T.Q4_0)
        elif w.ndim == 4 and w.shape[1] > 1 or ".embedding_projection." in name or ".audio_tower." in name and w.ndim == 2:
            f = w.reshape(w.shape[0], -1)
            d = np.maximum(np.abs(f).max(1, keepdims=True) / 127, 1e-12).astype(np.float32)
            w = (np.clip(np.rint(f / d), -127, 127) * d).reshape(w.shape)
        elif ".vision_tower." in name and "layer_scale" not in name:
            w = w.astype(np.float16).astype(np.float32)
        p.data.copy_(torch.from_numpy(np.ascontiguousarray(w)))


def write_hf(model, cfg, out, image_size, n_text, n_vis, n_aud, chat=True):
    model.save_pretrained(out, safe_serialization=True)
    # Published checkpoints carry K/V weights for the KV-shared layers too, though nothing reads them; so do these.
    from safetensors.torch import load_file, save_file
    st = load_file(os.path.join(out, "model.safetensors"))
    for i in range(20, cfg.text_config.num_hidden_layers):
        for w in ("k_proj", "v_proj", "k_norm"):
            st[f"model.language_model.layers.{i}.self_attn.{w}.weight"] = st[f"model.language_model.layers.19.self_attn.{w}.weight"].clone()
    save_file(st, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    names = {n_text: "<end_of_image>", n_text + 1: "<image_soft_token>", n_text + n_vis: "<end_of_audio>", n_text + n_vis + 1: "<audio_soft_token>"}
    for i in range(n_text, n_text + n_vis + n_aud):
        names.setdefault(i, f"<unused{i}>")
    dec = {str(i): {"content": t, "special": True} for i, t in [(0, "<pad>"), (1, "<eos>"), (2, "<bos>"), (4, "<start_of_turn>"),
           (5, "<end_of_turn>"), (6, "<start_of_image>"), (7, "<start_of_audio>")] + list(names.items())}
    tok = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
           "added_tokens_decoder": dec, "tokenizer_class": "GemmaTokenizer"}
    tok["chat_template"] = ("{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role']=='assistant' else m['role']) + '\n' }}"
                            "{% if m['content'] is string %}{{ m['content'] | trim }}{% else %}{% for c in m['content'] %}"
                            "{% if c['type']=='image' %}{{ '<image_soft_token>' }}{% elif c['type']=='audio' %}{{ '<audio_soft_token>' }}{% else %}{{ c['text'] | trim }}{% endif %}"
                            "{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}")
    json.dump(tok, open(os.path.join(out, "tokenizer_config.json"), "w"), indent=1)
    json.dump({"image_processor_type": "SiglipImageProcessorFast", "size": {"height": image_size, "width": image_size}, "image_seq_length": 256,
               "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": False, "rescale_factor": 1 / 255, "resample": 2,
               "feature_extractor_type": "Gemma3nAudioFeatureExtractor", "feature_size": 128, "sampling_rate": 16000},
              open(os.path.join(out, "preprocessor_config.json"), "w"), indent=1)


def golden(model, cfg, seed, image_size, audio):
    """Inputs and reference outputs (float32) for text-only, image+text and, with `audio`, audio+text."""
    t, n_text = cfg.text_config, cfg.text_config.vocab_size_per_layer_input
    rng = np.random.default_rng(seed)
    out = {}
    taps = {}
    lm = model.model.language_model
    hooks = [lm.layers[i].register_forward_hook(lambda m, a, o, i=i: taps.__setitem__(f"layer{i}", (o[0] if isinstance(o, tuple) else o).detach().numpy().copy()))
             for i in (0, 4, 9, 10, 19, 20, t.num_hidden_layers - 1)]
    ids = np.concatenate([[2], rng.integers(8, n_text, 63)]).astype(np.int64)
    with torch.no_grad():
        r = model(input_ids=torch.tensor(ids)[None], use_cache=False)
        out["text_ids"], out["text_logits"] = ids, r.logits[0].numpy()
        out.update({f"text_{k}": v for k, v in taps.items()})
        yy, xx = np.mgrid[0:image_size, 0:image_size] / image_size
        img = np.stack([0.5 + 0.5 * np.sin(7 * xx + 3 * yy), yy * xx, ((xx - .5) ** 2 + (yy - .5) ** 2 < .1) * 0.8], 0) + rng.normal(0, .03, (3, image_size, image_size))
        img = (np.clip(img, 0, 1) * 255).round().astype(np.uint8)
        out["image_rgb"] = img.transpose(1, 2, 0)
        px = torch.tensor(img, dtype=torch.float32)[None] / 255
        vt = model.model.vision_tower.timm_model
        vtaps = {}
        vh = [vt.conv_stem.register_forward_hook(lambda m, a, o: vtaps.__setitem__("stem", o.numpy().copy()))]
        vh += [b.register_forward_hook(lambda m, a, o, i=i: vtaps.__setitem__(f"stage{i}", o.numpy().copy())) for i, b in enumerate(vt.blocks)]
        vh += [vt.msfa.register_forward_hook(lambda m, a, o: vtaps.__setitem__("msfa", o.numpy().copy()))]
        feats = model.model.get_image_features(px).pooler_output
        out["image_soft_tokens"] = feats[0].numpy()
        out.update({f"vision_{k}": v[0] for k, v in vtaps.items()})
        pre, post = rng.integers(8, n_text, 6), rng.integers(8, n_text, 10)
        seq = np.concatenate([[2], pre, [6], [n_text + 1] * 256, [n_text], post]).astype(np.int64)
        r = model(input_ids=torch.tensor(seq)[None], pixel_values=px, use_cache=False)
        out["image_ids"], out["image_logits_tail"] = seq, r.logits[0, -12:].numpy()
        if audio:
            feat = torch.tensor(rng.normal(0, 1, (1, 203, 128)), dtype=torch.float32)
            mask = torch.ones(1, 203, dtype=torch.bool); mask[:, 190:] = False
            af = model.model.get_audio_features(feat, ~mask)
            out["audio_mel"], out["audio_mel_valid"], out["audio_soft_tokens"] = feat[0].numpy(), mask[0].numpy(), af.pooler_output[0].numpy()
            out["audio_hidden"] = af.last_hidden_state[0].numpy()
            A = cfg.audio_token_id
            seq = np.concatenate([[2], pre, [7], [A] * cfg.audio_soft_tokens_per_image, [cfg.eoa_token_id], post]).astype(np.int64)
            r = model(input_ids=torch.tensor(seq)[None], input_features=feat, input_features_mask=mask, use_cache=False)
            out["audio_ids"], out["audio_logits_tail"] = seq, r.logits[0, -12:].numpy()
    for h in hooks + vh:
        h.remove()
    return out


def fake_quant_hooks(model):
    """Quantise activations as gemlet does (blocks of 32 before text matrices; one scale per pixel before dense convolutions, and around
    the middle of its range where GELU comes before), in float arithmetic.
    The distance between this and the plain model is what quantisation alone costs."""
    def q(x, d):
        d = d.clamp_min(1e-12) / 127
        return torch.round(x / d) * d
    def text(m, a):
        x = a[0]; b = x.reshape(*x.shape[:-1], -1, 32)
        return (q(b, b.abs().amax(-1, keepdim=True)).reshape(x.shape),)
    def conv(m, a):
        x = a[0]
        return (q(x, x.abs().amax(1, keepdim=True)),)
    def behind_gelu(m, a):
        x = a[0]; least, largest = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        middle = (least + largest) / 2
        return (middle + q(x - middle, (largest - least) / 2),)
    hs = []
    for n, m in model.named_modules():
        if isinstance(m, torch.nn.Linear) and m.in_features % 32 == 0 and (".language_model." in n or "lm_head" in n or "embedding_projection" in n):
            hs.append(m.register_forward_pre_hook(text))
        elif isinstance(m, torch.nn.Conv2d) and m.groups == 1 and "conv_stem" not in n:
            hs.append(m.register_forward_pre_hook(behind_gelu if "pw_proj" in n or "conv_pwl" in n else conv))
    return hs


CORPUS = ["a red circle on the left of a blue square", "two green triangles above one yellow ring", "there is no image here", "how many shapes are there?",
          "describe the picture", "the quick brown fox jumps over the lazy dog", "0123456789", "user model system"] * 4


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out"); ap.add_argument("--seed", type=int, default=1); ap.add_argument("--image-size", type=int, default=256)
    ap.add_argument("--layers", type=int, default=25); ap.add_argument("--hidden", type=int, default=128); ap.add_argument("--inter", type=int, default=256)
    ap.add_argument("--heads", type=int, default=4); ap.add_argument("--kv-heads", type=int, default=2); ap.add_argument("--head-dim", type=int, default=32)
    ap.add_argument("--window", type=int, default=16)
    ap.add_argument("--audio", action="store_true"); ap.add_argument("--full-vision", action="store_true")
    ap.add_argument("--snap", action="store_true", help="round the weights to their storage grids first, see snap()")
    ap.add_argument("--hot", action="store_true", help="residual activations around 1e5 in the encoder")
    ap.add_argument("--no-golden", action="store_true", help="weights only")
    a = ap.parse_args()
    from transformers import Gemma3nForConditionalGeneration
    torch.manual_seed(a.seed)
    hf = os.path.join(a.out, "hf"); os.makedirs(hf, exist_ok=True)
    n_text = 512
    train_tokenizer(hf, CORPUS, 400)
    cfg = config(n_text, a.image_size, a.layers, a.hidden, a.inter, a.heads, a.kv_heads, a.head_dim, a.window, full_vision=a.full_vision)
    model = Gemma3nForConditionalGeneration(cfg).eval().float()
    scramble(model, a.seed)
    if a.hot:   # activations beyond float16's 65,504, as trained encoders have: every norm is scale-free, so a right answer barely changes
        for name, p in model.named_parameters():
            if ".blocks.1." in name and "layer_scale" in name:
                p.data.mul_(1e5)
    if a.snap:
        snap(model)
    write_hf(model, cfg, hf, a.image_size, n_text, 8, 8)
    if a.no_golden:
        return
    g = golden(model, cfg, a.seed, a.image_size, a.audio)
    hs = fake_quant_hooks(model)
    fq = golden(model, cfg, a.seed, a.image_size, a.audio)
    for h in hs:
        h.remove()
    cos = lambda x, y: (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    for k in g:
        if k.startswith(("text_l", "image_soft", "image_logits", "vision_", "audio_soft", "audio_logits")):
            x, y = (g[k], fq[k]) if not k.startswith("vision_") else (np.moveaxis(g[k], 0, -1), np.moveaxis(fq[k], 0, -1))
            c = cos(x, y)
            print(f"quantisation alone: {k:22s} mean cosine {c.mean():.5f} worst {c.min():.5f}" + (f" same argmax {(x.argmax(-1) == y.argmax(-1)).mean():.3f}" if "logits" in k else ""))
    for k in [k for k in fq if k in ("text_logits", "image_soft_tokens", "image_logits_tail") or k.startswith("vision_")]:
        g["quantised_" + k] = fq[k]
    np.savez_compressed(os.path.join(a.out, "golden.npz"), **g)
    print({k: v.shape for k, v in g.items()})
    print("logits std", g["text_logits"].std(), "soft token std", g["image_soft_tokens"].std())


if __name__ == "__main__":
    main()
