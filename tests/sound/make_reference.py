#!/usr/bin/env python3
"""Writes what the sound encoder's tests compare with, out of the reference implementation's outputs.

    python make_reference.py GOLDEN.npz tests/data/sound/NAME [model.safetensors]

With a safetensors file its sound encoder is written as well, to NAME/audio.safetensors.

GOLDEN.npz holds, for a clip KEY, KEYpcm (int16) or none where mel rows are what goes in, KEYmel, KEYmel_valid, the outputs of the stages,
KEYsoft_tokens, KEYids and KEYlogits_tail, KEY being "audio_short_", "audio_long_", "audio_" (Gemma 3n) or "audio0_", "audio1_" (Gemma 4).
A clip's files are CLIP.pcm.s16, CLIP.ids.u32 and CLIP.STAGE.f32, rows of time after each other; invalid rows at the end are left out.
Only the first clip has all stages, so that the data stay small.  CLIP.exact.f32 are the mel rows in double precision: the reference
implementation computes its transform in float32.
"""
import os, sys
import numpy as np

CLIPS = {"audio_short_": "short", "audio_long_": "long", "audio_": "masked", "audio0_": "short", "audio1_": "long"}
PARTS = {"ffw_start": "ffw_start", "attention": "attention", "lconv": "lconv", "ffw_end": "ffw_end",
         "feed_forward1": "ffw_start", "lconv1d": "lconv", "feed_forward2": "ffw_end"}


def stage_of(name):
    """The name of a stage as the encoder's watch has it, or None."""
    name = name.replace("layer", "block")
    block, _, part = name.partition("_")
    if block.startswith("block"):
        return block if not part else f"{block}.{PARTS[part]}" if part in PARTS else None
    return {"mel": "mel", "conv0": "conv0", "conv1": "conv1", "subsampled": "subsampled", "soft_tokens": "soft", "logits_tail": "logits"}.get(name)


def filters(low, high, points):
    edges = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + f / 700) for f in (low, high)), 130) / 2595) - 1)
    f = np.arange(points // 2 + 1)[:, None] * (16000 / points)
    return np.maximum(0, np.minimum((f - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - f) / np.diff(edges)[1:]))


def exact_mel(pcm, gemma4):
    """log-mel rows [frames, 128] of int16 samples, in double precision."""
    frame, points = (320, 512) if gemma4 else (512, 1024)
    x = np.concatenate([np.zeros(160 if gemma4 else 0), pcm / 32768, np.zeros(0 if gemma4 else -len(pcm) % 128)])
    f = np.stack([x[160 * i:160 * i + frame] for i in range((len(x) - frame - 1) // 160 + 1)])
    if not gemma4:
        f = np.concatenate([f[:, :1], f[:, 1:] - 0.97 * f[:, :-1]], 1)
    spectrum = np.abs(np.fft.rfft(f * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)), points))
    return np.log(spectrum @ filters(0, 8000, 512) + 1e-3 if gemma4 else np.maximum(spectrum @ filters(125, 7600, 1024), 1e-5))


def main():
    golden, out = np.load(sys.argv[1]), sys.argv[2]
    os.makedirs(out, exist_ok=True)
    gemma4 = "audio0_mel" in golden
    for key, clip in CLIPS.items():
        if key + "mel" not in golden:
            continue
        valid = golden[key + "mel_valid"]
        rows = int(valid.sum())
        frames = -(-(-(-rows // 2)) // 2)
        if key + "pcm" in golden:
            golden[key + "pcm"].astype("<i2").tofile(f"{out}/{clip}.pcm.s16")
            exact_mel(golden[key + "pcm"], gemma4).astype("<f4").tofile(f"{out}/{clip}.exact.f32")
        golden[key + "ids"].astype("<u4").tofile(f"{out}/{clip}.ids.u32")
        for name in golden.files:
            if not name.startswith(key) or any(name.startswith(k) and len(k) > len(key) for k in CLIPS):
                continue
            stage, x = stage_of(name[len(key):]), golden[name]
            if stage is None or (clip != "short" and stage not in ("mel", "soft", "logits") and not (stage.startswith("block") and "." not in stage)):
                continue
            if gemma4 and stage.startswith("conv"):
                x = np.moveaxis(x, 0, -1)                       # [channel, time, bin] to [time, bin, channel]
            if stage == "mel":
                x = x if clip == "masked" else x[:rows]         # what is invalid goes in all the same
            elif stage.startswith(("block", "subsampled")):
                x = x[:frames]
            elif stage == "soft":
                x = x[:frames if gemma4 else -(-frames // 4)]
            x.astype("<f4").tofile(f"{out}/{clip}.{stage}.f32")
    if len(sys.argv) > 3:
        from safetensors.numpy import load_file, save_file
        weights = load_file(sys.argv[3])
        save_file({k: v for k, v in weights.items() if k.startswith(("model.audio_tower.", "model.embed_audio."))}, f"{out}/audio.safetensors")


main()
