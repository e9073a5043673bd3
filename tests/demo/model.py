"""The demo model: a Gemma 3n with toy widths, built by transformers and timm, and its files on disk.

Fixed by the architecture (and by the programs that read it): 25 layers of which the last five share K and V, every fifth
global, the first ten 95 % sparse, 4 AltUp streams, LAuReL rank 64, 256 per-layer channels, 256 soft tokens a picture.
"""
import io
import json
import os
import random
from functools import partial

import torch
import torch.nn as nn
from timm.layers.norm import RmsNorm2d
from timm.layers.norm_act import RmsNormAct2d
from timm.models import mobilenetv5, register_model
from timm.models._efficientnet_builder import decode_arch_def, round_channels

import scenes
from sizes import (AUDIO_SOFT_TOKEN, BOS, END_OF_AUDIO, END_OF_IMAGE, END_OF_TURN, EOS, HEAD_DIM, HEADS, HIDDEN,
                   IMAGE_SOFT_TOKEN, INTER, KV_HEADS, N_AUDIO, N_TEXT, N_VISION, PAD, SOUND, START_OF_AUDIO, START_OF_IMAGE,
                   START_OF_TURN)

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
    """MobileNetV5 with the 300M encoder's kinds of block at toy widths; `width` is the fusion adapter's output."""
    m = mobilenetv5.MobileNetV5Encoder(
        block_args=decode_arch_def(stages or STAGES), stem_size=stem_size, pad_type="same",
        round_chs_fn=partial(round_channels, multiplier=1.0, divisor=8), norm_layer=mobilenetv5.RmsNorm2d,
        act_layer=mobilenetv5._GELU, layer_scale_init_value=1e-5)
    m.num_features = m.head_hidden_size = width
    m.msfa = mobilenetv5.MobileNetV5MultiScaleFusionAdapter(
        in_chs=m.msfa_in_chs, out_chs=width, output_resolution=m.msfa_output_resolution,
        norm_layer=mobilenetv5.RmsNorm2d, act_layer=mobilenetv5._GELU)
    m.default_cfg = m.pretrained_cfg = {"input_size": (3, 768, 768), "num_classes": 0, "mean": (0.,) * 3, "std": (1.,) * 3}
    return m


def config():
    from transformers import Gemma3nConfig
    text = dict(vocab_size=N_TEXT + N_VISION + N_AUDIO, vocab_size_per_layer_input=N_TEXT, hidden_size=HIDDEN,
                intermediate_size=INTER, num_hidden_layers=25, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
                head_dim=HEAD_DIM, sliding_window=512, num_kv_shared_layers=5, hidden_size_per_layer_input=256,
                laurel_rank=64, max_position_embeddings=2048)
    vision = dict(architecture="mobilenetv5_tiny_enc", hidden_size=128, vocab_size=N_VISION, vocab_offset=N_TEXT,
                  model_args=dict(stem_size=32, width=128))
    audio = dict(SOUND, vocab_size=N_AUDIO, vocab_offset=N_TEXT + N_VISION)
    return Gemma3nConfig(text_config=text, vision_config=vision, audio_config=audio, image_token_id=IMAGE_SOFT_TOKEN,
                         boi_token_id=START_OF_IMAGE, eoi_token_id=END_OF_IMAGE, audio_token_id=AUDIO_SOFT_TOKEN,
                         boa_token_id=START_OF_AUDIO, eoa_token_id=END_OF_AUDIO, tie_word_embeddings=True)


def build():
    """The model at its first step.  The library's own initial values leave the encoder at chance, see README.md."""
    from transformers import Gemma3nForConditionalGeneration
    torch.manual_seed(0)
    m = Gemma3nForConditionalGeneration(config()).float()
    for name, p in m.named_parameters():
        if "vision_tower" in name and p.ndim == 4:
            nn.init.kaiming_normal_(p)
        elif "embed_vision.embedding_projection" in name:
            nn.init.orthogonal_(p)
        elif "layer_scale" in name:
            p.data.fill_(1.0)
    m.model.vision_tower.to(memory_format=torch.channels_last)
    return m


# ------------------------------------------------------------------------------------------------ faster norms for training

class _Rms2d(torch.autograd.Function):
    """RMSNorm over the channels of a channels_last tensor in fewer passes than the library's; a step takes a fifth less."""
    @staticmethod
    def forward(ctx, x, w, eps):
        out = torch.empty_like(x, memory_format=torch.channels_last)
        x = x.permute(0, 2, 3, 1)
        inv = torch.rsqrt(torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps))
        ctx.save_for_backward(x, w, inv)
        torch.mul(x, inv, out=out.permute(0, 2, 3, 1)).mul_(w)
        return out

    @staticmethod
    def backward(ctx, g):
        x, w, inv = ctx.saved_tensors
        c = x.shape[-1]
        n, g = (x * inv).reshape(-1, c), g.permute(0, 2, 3, 1).reshape(-1, c)
        gn = g * w
        dx = gn.addcmul(n, (gn * n).sum(1, keepdim=True).div_(c), value=-1).mul_(inv.reshape(-1, 1))
        return dx.reshape(x.shape).permute(0, 3, 1, 2), (g * n).sum(0), None


def fast_norms():
    RmsNorm2d.forward = lambda self, x: _Rms2d.apply(x, self.weight, self.eps)
    RmsNormAct2d.forward = lambda self, x: self.act(self.drop(_Rms2d.apply(x, self.weight, self.eps)))


def soft_tokens(m, pictures):
    """[B, 3, 256, 256] in 0..1 -> [B, 256, HIDDEN], as the decoder receives them."""
    return m.model.get_image_features(pictures).pooler_output


# ---------------------------------------------------------------------------------------------------------------- tokenizer

def train_tokenizer(path):
    """SentencePiece BPE with byte fallback and Gemma's control pieces."""
    import sentencepiece as spm
    rng, corpus = random.Random(0), ["user", "model"] * 3000      # one piece each
    for _ in range(3000):
        for _, q, a in scenes.questions(scenes.make_scene(rng), rng, 2):
            corpus += [q, a]
    b = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=b, model_type="bpe", vocab_size=N_TEXT - 32, byte_fallback=True,
        character_coverage=1.0, pad_id=PAD, eos_id=EOS, bos_id=BOS, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
        bos_piece="<bos>", unk_piece="<unk>", add_dummy_prefix=False, remove_extra_whitespaces=False,
        split_by_whitespace=True, normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=1,
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<start_of_audio>", "\n", "\n\n"])
    with open(path, "wb") as f:
        f.write(b.getvalue())


class Prompt:
    """Token ids of Gemma's chat format: PREFIX (with 256 places for soft tokens), then a turn."""
    def __init__(self, path):
        import sentencepiece as spm
        self.sp = spm.SentencePieceProcessor(model_file=path)
        # Text between two special tokens is encoded as one run: "user\n" and the image's "\n\n" give the longer token first.
        self.before = [BOS, START_OF_TURN] + self.sp.encode("user\n\n\n") + [START_OF_IMAGE]
        self.after = [END_OF_IMAGE] + self.sp.encode("\n\n")
        self.prefix = self.before + [IMAGE_SOFT_TOKEN] * 256 + self.after

    def question(self, text):
        return self.sp.encode(text) + [END_OF_TURN] + self.sp.encode("\n") + [START_OF_TURN] + self.sp.encode("model\n")

    def answer(self, text):
        return self.sp.encode(text) + [END_OF_TURN]

    def text(self, ids):
        return self.sp.decode([int(i) for i in ids if i != END_OF_TURN])


# ----------------------------------------------------------------------------------------------------- Hugging Face folder

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role']=='assistant' else m['role']) + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] | trim }}{% else %}{% for c in m['content'] %}"
    "{% if c['type']=='image' %}{{ '<image_soft_token>' }}{% elif c['type']=='audio' %}{{ '<audio_soft_token>' }}"
    "{% else %}{{ c['text'] | trim }}{% endif %}{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}")


def write_hf(m, out, tokenizer):
    """The folder that transformers, llama.cpp's converter and gemlet-pack read."""
    from safetensors.torch import load_file, save_file
    m.save_pretrained(out, safe_serialization=True)
    # Published checkpoints carry K and V weights for the layers that share them, though nothing reads them; so does this one.
    path = os.path.join(out, "model.safetensors")
    tensors = load_file(path)
    for i in range(20, 25):
        for w in ("k_proj", "v_proj", "k_norm"):
            name = "model.language_model.layers.{}.self_attn.{}.weight"
            tensors[name.format(i, w)] = tensors[name.format(19, w)].clone()
    save_file(tensors, path, metadata={"format": "pt"})
    with open(tokenizer, "rb") as src, open(os.path.join(out, "tokenizer.model"), "wb") as dst:
        dst.write(src.read())
    _write_json(out, "tokenizer_config.json", _tokenizer_config())
    _write_json(out, "preprocessor_config.json", {
        "image_processor_type": "SiglipImageProcessorFast", "size": {"height": scenes.SIZE, "width": scenes.SIZE},
        "image_seq_length": 256, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": False,
        "rescale_factor": 1 / 255, "resample": 2, "feature_extractor_type": "Gemma3nAudioFeatureExtractor",
        "feature_size": 128, "sampling_rate": 16000})


def _tokenizer_config():
    names = {PAD: "<pad>", EOS: "<eos>", BOS: "<bos>", START_OF_TURN: "<start_of_turn>", END_OF_TURN: "<end_of_turn>",
             START_OF_IMAGE: "<start_of_image>", START_OF_AUDIO: "<start_of_audio>", END_OF_IMAGE: "<end_of_image>",
             IMAGE_SOFT_TOKEN: "<image_soft_token>", END_OF_AUDIO: "<end_of_audio>", AUDIO_SOFT_TOKEN: "<audio_soft_token>"}
    for i in range(N_TEXT, N_TEXT + N_VISION + N_AUDIO):
        names.setdefault(i, f"<unused{i}>")
    return {"add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
            "unk_token": "<unk>", "tokenizer_class": "GemmaTokenizer", "chat_template": CHAT_TEMPLATE,
            "added_tokens_decoder": {str(i): {"content": t, "special": True} for i, t in names.items()}}


def _write_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=1)
