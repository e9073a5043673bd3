#!/usr/bin/env python3
"""The trained model as a Hugging Face folder, for gemlet-pack and evaluate.py.

    python export.py OUT [--work WORK]      # newest checkpoints in WORK, else the snapshots in state/
"""
import argparse
import os

import cache
import decoder
import model
from state import load_checkpoint, load_snapshot

HERE = os.path.dirname(os.path.abspath(__file__))


def trained_ears(work):
    """(weights under the names of transformers' Gemma3nModel, steps): train_sound.py's in WORK, else the snapshot."""
    for path in (os.path.join(work, "ears", "best.npz"), os.path.join(HERE, "state", "ears.npz")):
        tensors, numbers = load_snapshot(path)
        if tensors:
            return tensors, numbers["step"]
    raise SystemExit(f"{path}: no such file, and {work or 'no WORK'} has no ears/best.npz: train_sound.py makes it")


def wear(m, weights):
    """Puts ears into the model; all of its sound encoder and embedder, and nothing else."""
    missing, unknown = m.model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if name.startswith(("audio_tower.", "embed_audio."))]
    assert not unknown and not missing, (unknown, missing)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out"), ap.add_argument("--work", default="")
    a = ap.parse_args()
    m, vision_steps = cache.trained_encoder(a.work)
    full = load_checkpoint(os.path.join(a.work, "text.pt"))
    tensors, numbers = (full["weights"], full) if full else load_snapshot(os.path.join(HERE, "state", "text.npz"))
    d = decoder.Decoder()
    d.load_state_dict(tensors)
    d.to_hf(m)
    ears, sound_steps = trained_ears(a.work)
    wear(m, ears)
    os.makedirs(a.out, exist_ok=True)
    model.write_hf(m.eval(), a.out, os.path.join(HERE, "state", "tokenizer.model"))
    print(f"{a.out}: encoder after {vision_steps} steps, decoder after {numbers['step']}, ears after {sound_steps}")


if __name__ == "__main__":
    main()
