#!/usr/bin/env python3
"""What train_sound.py needs beside sounds.npz, so that it runs where only PyTorch and numpy are.

    python make_ears.py FOLDER      # ears.pt: pictures' soft tokens, what can be asked about them, token ids of all texts
"""
import os
import random
import sys

import torch

import cache
import model
import scenes
import sounds

PICTURES, CHECKED, SEED = 160, 64, 60_013      # the last ones are for validation
HERE = os.path.dirname(os.path.abspath(__file__))


def answers(scene):
    """{kind: [(index of the question's text, answer)]} of everything that can be asked about a scene."""
    known, rng, out = {t: i for i, t in enumerate(sounds.texts())}, random.Random(0), {}
    for kind in scenes.KINDS:
        pairs = {scenes.question(scene, kind, rng) for _ in range(60)}
        out[kind] = sorted((known[q], a) for q, a in pairs)
    return out


def main(folder):
    torch.set_num_threads(1)
    made = cache.make_tokens("", PICTURES, SEED)
    prompt = model.Prompt(os.path.join(HERE, "state", "tokenizer.model"))
    asked = [answers(s) for s in made["scenes"]]
    said = sorted({a for own in asked for pairs in own.values() for _, a in pairs})
    torch.save({
        "tokens": (made["tokens"].float() * 24).round().clamp(-127, 127).to(torch.int8), "tokens_scale": 1 / 24, "checked": CHECKED,
        "end_of_image": made["end_of_image"].detach(), "asked": asked, "answers": {a: prompt.answer(a) for a in said},
        "texts": sounds.texts(), "before": prompt.before, "after": prompt.after,
        "lead": prompt.sp.encode("\n\n") + [model.START_OF_AUDIO], "trail": prompt.sp.encode("\n\n") + prompt.question(""),
        "questions": [prompt.question(t) for t in sounds.texts()]}, os.path.join(folder, "ears.pt"))


if __name__ == "__main__":
    main(sys.argv[1])
