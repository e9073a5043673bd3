#!/usr/bin/env python3
"""Phase "vision", see vision.py.  Run again to resume: WORK/vision.pt, else state/vision.npz, else from nothing.

    python train_vision.py WORK [--steps 4000] [--freeze-after 1000] [--threads 2] [--start FILE]
"""
import argparse
import math
import os
import time

import torch

import model
import vision
from state import load_checkpoint, load_snapshot, save_checkpoint, save_snapshot

HERE = os.path.dirname(os.path.abspath(__file__))
SNAPSHOT = os.path.join(HERE, "state", "vision.npz")
PREFIXES = ("model.vision_tower.", "model.embed_vision.")
BATCH = 8


def weights(m):
    return {k: v for k, v in m.state_dict().items() if k.startswith(PREFIXES)}


def rate(step, steps):
    return 1e-3 * min(1, (step + 1) / 50) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(1, step / steps))))


def start(m, opt, a):
    """Load the latest state; returns the number of steps done."""
    full = load_checkpoint(os.path.join(a.work, "vision.pt"))
    if full:
        m.load_state_dict(full["weights"], strict=False)
        opt.load_state_dict(full["optimizer"])
        return full["step"]
    tensors, numbers = load_snapshot(SNAPSHOT)
    if tensors:
        m.load_state_dict(tensors, strict=False)
        return numbers["step"]
    if a.start:
        m.load_state_dict(torch.load(a.start), strict=False)
    return 0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("work"), ap.add_argument("--steps", type=int, default=4000)
    ap.add_argument("--freeze-after", type=int, default=1000, help="steps after which stem and first stage stay as they are")
    ap.add_argument("--threads", type=int, default=2), ap.add_argument("--start", help="weights of an earlier encoder")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    os.makedirs(a.work, exist_ok=True)
    m = model.build()
    model.fast_norms()
    opt = torch.optim.AdamW(vision.parameters(m), 1e-3, weight_decay=0.01)
    step = first = start(m, opt, a)
    book, pictures, mean, t = vision.codebook(), vision.picture_loader(step + 1, BATCH, crowded=.5), {}, time.time()
    while step < a.steps:
        for group in opt.param_groups:
            group["lr"] = rate(step, a.steps)
        if step == max(a.freeze_after, first):
            vision.freeze_start(m)
        loss, accuracy = vision.train_step(m, opt, next(pictures), book)
        step += 1
        for k, v in [("loss", loss), *accuracy.items()]:
            mean[k] = v if k not in mean else .95 * mean[k] + .05 * v
        if step % 20 == 0:
            print(f"{time.strftime('%H:%M:%S')} vision {step} {(time.time() - t) / 20:.2f} s/step " +
                  " ".join(f"{k} {v:.3f}" for k, v in mean.items()), flush=True)
            t = time.time()
        if step % 100 == 0 or step == a.steps:
            save_checkpoint(os.path.join(a.work, "vision.pt"), weights=weights(m), optimizer=opt.state_dict(), step=step)
            save_snapshot(SNAPSHOT, weights(m), step=step)


if __name__ == "__main__":
    main()
