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
    os.makedirs(a.out, exist_ok=True)
    model.write_hf(m.eval(), a.out, os.path.join(HERE, "state", "tokenizer.model"))
    print(f"{a.out}: encoder after {vision_steps} steps, decoder after {numbers['step']}")


if __name__ == "__main__":
    main()
