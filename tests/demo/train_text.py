#!/usr/bin/env python3
"""The decoder's phases, one after the other.  Run again to resume: WORK/text.pt, else state/text.npz, else from nothing.

    read    learns language and looking things up, from 20 ideal soft tokens (vision.ideal_tokens) a picture
    see     the encoder's own soft tokens, 64 of them
    all     all 256 soft tokens, as a user's prompt has them, and matrices rounded to Q4_0
    full    AltUp's coefficients, the per-layer inputs and the layers that rested join in

    python train_text.py WORK [--until PHASE] [--threads 2]
"""
import argparse
import math
import os
import random
import time
from collections import namedtuple

import torch
import torch.nn.functional as F

import decoder
import model
import scenes
import text
import vision
from cache import SoftTokens
from muon import Muon
from state import load_checkpoint, load_snapshot, save_checkpoint, save_snapshot

HERE = os.path.dirname(os.path.abspath(__file__))
SNAPSHOT = os.path.join(HERE, "state", "text.npz")
TURNS = 8
SAVE_EVERY = 20          # steps; a few minutes

# seen: whether the encoder's own soft tokens; cells: how many of them; peak, floor: learning rate relative to RATES
Phase = namedtuple("Phase", "name steps seen cells awake full quantised batch peak floor")
PHASES = [
    Phase("read", 300, False, 20, decoder.AWAKE, False, False, 10, 1., .6),
    Phase("see", 500, True, 64, decoder.AWAKE, False, False, 10, .6, .3),
    Phase("all", 240, True, 256, decoder.AWAKE, False, True, 8, .3, .1),
    Phase("full", 400, True, 256, range(decoder.LAYERS), True, True, 6, .2, .0),
]
RATES = {"muon": 0.02, "adam": 3e-3}


def phase_at(step):
    """(phase, steps done in it); (None, 0) after the last."""
    for p in PHASES:
        if step < p.steps:
            return p, step
        step -= p.steps
    return None, 0


def relative_rate(p, done):
    fall = .5 + .5 * math.cos(math.pi * done / p.steps)
    return min(1, (done + 1) / 60) * (p.floor + (p.peak - p.floor) * fall)


class Ideal:
    """Endless scenes with ideal soft tokens, blurred by noise."""
    def __init__(self):
        self.book, self.end_of_image = vision.codebook(), torch.zeros(model.HIDDEN)

    def draw(self, n, rng):
        drawn = [scenes.make_scene(rng) for _ in range(n)]
        labels = [scenes.cell_labels(s) for s in drawn]
        labels = {k: torch.stack([torch.from_numpy(l[k].reshape(-1)) for l in labels]) for k in scenes.LABELS}
        tokens = vision.ideal_tokens(labels, self.book)
        return drawn, decoder.rms(tokens + torch.randn_like(tokens) * (.2 + .5 * torch.rand(n, 1, 1)))


class Trainer:
    def __init__(self, work):
        self.work, self.path = work, os.path.join(work, "text.pt")
        tokenizer = os.path.join(HERE, "state", "tokenizer.model")
        if not os.path.exists(tokenizer):
            model.train_tokenizer(tokenizer)
        self.prompt, self.decoder, self.step, self.mean = model.Prompt(tokenizer), decoder.Decoder(), 0, {}
        self.length = text.longest_turn(self.prompt)
        book = vision.codebook()
        self.decoder.start_with_names(self._words(book), [book["shape"], book["colour"]])
        p = self.decoder.p
        self.muon = Muon([p[k] for k in decoder.MATRICES], RATES["muon"])
        self.adam = torch.optim.AdamW([t for k, t in p.items() if k not in decoder.MATRICES], RATES["adam"], betas=(.9, .98), weight_decay=0)
        self._resume()
        self.rng = random.Random(self.step + 17)

    def _words(self, book):
        """{token: the codebook's direction of what it names}"""
        names = {"shape": scenes.SHAPES, "colour": scenes.COLOUR_NAMES, "row": scenes.ROWS, "column": scenes.COLUMNS}
        pieces = {label: [self.prompt.sp.encode("a " + word)[1:] for word in words] for label, words in names.items()}
        return {p[0]: book[label][i] for label, words in pieces.items() for i, p in enumerate(words) if len(p) == 1}

    def _resume(self):
        full = load_checkpoint(self.path)
        if full:
            self.decoder.load_state_dict(full["weights"])
            self.muon.load_state_dict(full["muon"]), self.adam.load_state_dict(full["adam"])
            self.step, self.mean = full["step"], full["mean"]
            return
        tensors, numbers = load_snapshot(SNAPSHOT)
        if tensors:
            self.decoder.load_state_dict(tensors)
            self.step = numbers["step"]

    def save(self):
        save_checkpoint(self.path, weights=self.decoder.state_dict(), muon=self.muon.state_dict(), adam=self.adam.state_dict(),
                        step=self.step, mean=self.mean)
        save_snapshot(SNAPSHOT, self.decoder.state_dict(), step=self.step)

    def train_step(self, source, phase, done):
        for opt, name in ((self.muon, "muon"), (self.adam, "adam")):
            opt.param_groups[0]["lr"] = RATES[name] * relative_rate(phase, done)
        drawn, tokens = source.draw(phase.batch, self.rng)
        batch = text.make_batch(self.prompt, drawn, tokens, source.end_of_image, TURNS, phase.cells, self.length, self.rng)
        logits = self.decoder(batch, phase.full, phase.quantised, phase.awake)
        loss = F.cross_entropy(logits, batch.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.adam.param_groups[0]["params"], 1.0)
        for opt in (self.muon, self.adam):
            opt.step()
            opt.zero_grad()
        self.step += 1
        self._note("loss", loss.item())
        for kind, right in text.exact(logits, batch):
            self._note(kind, float(right))

    def _note(self, name, value):
        keep = .95 if name == "loss" else .99
        self.mean[name] = keep * self.mean.get(name, value) + (1 - keep) * value

    def run(self, until):
        source, current, t = None, None, time.time()
        while True:
            phase, done = phase_at(self.step)
            if phase is None:
                return
            if phase.name != current:
                if until and current == until:
                    return
                current, source = phase.name, SoftTokens(self.work) if phase.seen else Ideal()
            self.train_step(source, phase, done)
            if self.step % 10 == 0:
                print(f"{time.strftime('%H:%M:%S')} {phase.name} {self.step} {(time.time() - t) / 10:.2f} s/step " +
                      " ".join(f"{k} {v:.3f}" for k, v in self.mean.items()), flush=True)
                t = time.time()
            if self.step % SAVE_EVERY == 0 or phase_at(self.step)[0] != phase:
                self.save()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("work"), ap.add_argument("--until", help="stop after this phase"), ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    os.makedirs(a.work, exist_ok=True)
    Trainer(a.work).run(a.until)


if __name__ == "__main__":
    main()
