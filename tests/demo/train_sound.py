#!/usr/bin/env python3
"""Phase "sound": the sound encoder and its embedder learn to say a question to the decoder, which stays as it is.

    python train_sound.py FOLDER OUT --seconds 500 [--device cuda] [--decoder state/text.npz]

FOLDER holds sounds.npz (sounds.py) and ears.pt (make_ears.py).  OUT gets last.pt and optimizer.pt (goes on from there), log.txt, and best.npz,
the ears that did best with the validation voices, as state/ears.npz has them.

1. words: the encoder alone learns which words were said (CTC every 40 ms) and which question it was (at the clip's end).
2. answers: the answer's tokens, by the frozen decoder (matrices as Q4_0 holds them) about pictures' soft tokens; the losses
   of phase 1 go on with less weight.
"""
import argparse
import math
import os
import random
import re
import time
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import decoder
import ears
import quantise
from sizes import AUDIO_SOFT_TOKEN, END_OF_AUDIO, END_OF_IMAGE, HIDDEN, IMAGE_SOFT_TOKEN, SOUND_POSITIONS
from state import load_snapshot, save_snapshot

SOFT = 256
PRACTICE = ("describe",) * 3 + ("position",) * 2 + ("exists",) * 8 + ("color", "shape", "count")
STEP, FLOOR = 0.2, -11.6        # of sounds.py's 8-bit frames


class Clips:
    """Spoken questions on the device; draw() also augments."""
    def __init__(self, folder, device):
        z = np.load(os.path.join(folder, "sounds.npz"))
        self.frames = torch.from_numpy(z["frames"]).to(device)
        lengths = z["lengths"]
        self.start, self.length = np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths
        self.of = {part: {} for part in (False, True)}
        for i, (validation, text) in enumerate(zip(z["validation"], z["text"])):
            self.of[bool(validation)].setdefault(int(text), []).append(i)
        self.device = device

    def draw(self, texts, rng, validation):
        return [rng.choice(self.of[validation][t]) for t in texts]

    def batch(self, picked, rng=None):
        """(frames [B, T, BINS], lengths [B]); with rng: other speeds, other throats, noise, masked bands and moments."""
        clips = [self.frames[self.start[i]:self.start[i] + self.length[i]].float() * STEP + FLOOR for i in picked]
        if rng is not None:
            clips = [self._other_speaker(c, rng) for c in clips]
        lengths = torch.tensor([len(c) for c in clips], device=self.device)
        x = nn.utils.rnn.pad_sequence(clips, batch_first=True)
        if rng is not None:
            x = self._mask(self._noise(x, rng), lengths)
        return x * (torch.arange(x.shape[1], device=self.device) < lengths[:, None])[..., None], lengths

    @staticmethod
    def _other_speaker(c, rng):
        n = max(32, int(len(c) / rng.uniform(.88, 1.14)))
        c = F.interpolate(c.T[None], n, mode="linear", align_corners=True)[0].T                # speed
        at = (torch.arange(ears.BINS, device=c.device) * rng.uniform(.93, 1.07) + rng.uniform(-2, 2)).clamp(0, ears.BINS - 1.001)
        low = at.long()
        return c[:, low] * (1 - at + low) + c[:, low + 1] * (at - low)                          # formants

    def _noise(self, x, rng):
        B, T, bins = x.shape
        draw = lambda *shape: torch.rand(*shape, device=self.device)
        x = x + (draw(B, 1, 1) * 3 - 1.5) + (draw(B, 1, 1) * 2 - 1) * torch.linspace(-1, 1, bins, device=self.device)     # level, microphone
        floor = draw(B, 1, 1) * 9 - 11 + torch.linspace(-1, 1, bins, device=self.device) * (draw(B, 1, 1) * 3 - 1.5)
        return torch.logaddexp(x, floor + torch.randn(B, T, bins, device=self.device) * .4).clamp_min(math.log(1e-5))

    def _mask(self, x, lengths):
        B, T, bins = x.shape
        mean = x.mean((1, 2), keepdim=True)
        for size, most, axis in ((bins, 18, 2), (bins, 18, 2), (T, 12, 1), (T, 12, 1)):
            width = (torch.rand(B, 1, device=self.device) * most).floor()
            start = torch.rand(B, 1, device=self.device) * (size - width)
            at = torch.arange(size, device=self.device)
            hidden = (at >= start) & (at < start + width)
            x = torch.where(hidden[:, :, None] if axis == 1 else hidden[:, None], mean, x)
        return x


class Words(nn.Module):
    """What only training needs: which word at each 40 ms, which question at the end."""
    def __init__(self, texts):
        super().__init__()
        split = [re.findall(r"[a-z]+", t.lower()) for t in texts]
        names = sorted({w for s in split for w in s})
        self.said = [torch.tensor([names.index(w) + 1 for w in s]) for s in split]
        self.word, self.question = nn.Linear(ears.WIDTH, len(names) + 1), nn.Linear(ears.WIDTH, len(texts))

    def loss(self, x, valid, texts):
        n = valid.sum(1)
        said = [self.said[t] for t in texts]
        log = F.log_softmax(self.word(x), -1).transpose(0, 1)
        ctc = F.ctc_loss(log, torch.cat(said).to(x.device), n, torch.tensor([len(s) for s in said], device=x.device), zero_infinity=True)
        end = x[torch.arange(len(x), device=x.device), n - 1]
        logits, wanted = self.question(end), torch.tensor(texts, device=x.device)
        return ctc + F.cross_entropy(logits, wanted, label_smoothing=.05), (logits.argmax(1) == wanted).float().mean()

    def right(self, x, valid, texts):
        """Share of clips whose words come out exactly, by the most likely word at each place."""
        best, ok = self.word(x).argmax(-1).cpu(), 0
        for row, n, t in zip(best, valid.sum(1).tolist(), texts):
            row = torch.unique_consecutive(row[:n])
            ok += row[row > 0].tolist() == self.said[t].tolist()
        return ok / len(texts)


class Talk:
    """Batches of turns about pictures for decoder.Decoder: each turn is a spoken or a written question and its answer."""
    def __init__(self, folder, device):
        d = torch.load(os.path.join(folder, "ears.pt"), weights_only=False)
        self.d, self.device = d, device
        self.tokens = d["tokens"].to(device).float() * d["tokens_scale"]
        self.end_of_image = d["end_of_image"].float().to(device)
        self.training, self.validation = range(len(d["asked"]) - d["checked"]), range(len(d["asked"]) - d["checked"], len(d["asked"]))

    def ask(self, picture, kind, rng):
        """The answer is drawn before the question: most questions of a kind may have the same one, as "Is there" has "No"."""
        pairs = self.d["asked"][picture][kind]
        said = rng.choice(sorted({answer for _, answer in pairs}))
        return rng.choice([pair for pair in pairs if pair[1] == said])

    def batch(self, pictures, asked, sound=None, end=None):
        """asked [B][turns] of (text, answer), all written, or all spoken: `sound`'s rows in order, and the end's embedding."""
        d, dev, before = self.d, self.device, len(self.d["before"])
        prefix = torch.tensor([d["before"] + [IMAGE_SOFT_TOKEN] * SOFT + d["after"]] * len(pictures))
        P = prefix.shape[1]
        soft = torch.zeros(len(pictures), P, HIDDEN, device=dev)
        soft[:, before:before + SOFT], soft[:, before + SOFT] = self.tokens[list(pictures)], self.end_of_image
        turns, at, targets, lengths, n = [], [], [], [], 0
        for own in asked:
            for text, answer in own:
                q = d["questions"][text] if sound is None else d["lead"] + [AUDIO_SOFT_TOKEN] * SOUND_POSITIONS + [END_OF_AUDIO] + d["trail"]
                a = d["answers"][answer]
                at += range(n + len(q) - 1, n + len(q) + len(a) - 1)
                turns.append((q + a)[:-1])
                targets += a
                lengths.append(len(a))
                n += len(turns[-1])
        longest = max(map(len, turns))
        ids = torch.tensor([i for t in turns for i in t], device=dev)
        rows = torch.zeros(len(ids), HIDDEN, device=dev)
        if sound is not None:
            rows = rows.index_put((torch.where(ids == AUDIO_SOFT_TOKEN)[0],), sound.flatten(0, 1))
            rows = torch.where((ids == END_OF_AUDIO)[:, None], end, rows)
        ids = torch.cat([prefix.flatten().to(dev), ids])
        special = (ids == IMAGE_SOFT_TOKEN) | (ids == END_OF_IMAGE) | (ids == AUDIO_SOFT_TOKEN) | (ids == END_OF_AUDIO)
        positions = [i for _ in pictures for i in range(P)] + [P + i for t in turns for i in range(len(t))]
        valid = [k * longest + i for k, t in enumerate(turns) for i in range(len(t))]
        layout = SimpleNamespace(n_prefix=prefix.numel(), shape=(len(pictures), len(asked[0]), longest), valid=torch.tensor(valid, device=dev),
                                 mask=torch.full((longest, longest), -1e9, device=dev).triu(1))
        return SimpleNamespace(turns=layout, ids=ids, positions=torch.tensor(positions, device=dev), soft=torch.cat([soft.flatten(0, 1), rows]),
                               is_soft=special, at=torch.tensor(at, device=dev), targets=torch.tensor(targets, device=dev), lengths=lengths)


def exact(logits, batch):
    right = logits.argmax(1) == batch.targets
    return [bool(r.all()) for r in right.split(batch.lengths)]


class Trainer:
    def __init__(self, a):
        self.a, self.rng, self.device = a, random.Random(a.seed), a.device
        torch.manual_seed(a.seed)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.clips, self.talk = Clips(a.folder, a.device), Talk(a.folder, a.device)
        self.ears, self.words = ears.Ears().to(a.device), Words(self.talk.d["texts"]).to(a.device)
        self.start_with_background()
        tensors, _ = load_snapshot(a.decoder)
        self.decoder = decoder.Decoder()
        self.decoder.load_state_dict(tensors)
        self.decoder.to(a.device)
        self.decoder.requires_grad_(False)
        self.round_decoder()
        self.step, self.spent, self.best, self.phase = 0, 0., -1., "words"
        self.optimizer = torch.optim.AdamW([
            {"params": [p for p in self.learning() if p.ndim > 1], "weight_decay": .02},
            {"params": [p for p in self.learning() if p.ndim <= 1], "weight_decay": 0.}], lr=a.rate, betas=(.9, .98))

    @torch.no_grad()
    def start_with_background(self):
        """Padding and end start as a picture's background, which the decoder already looks past: with it alone, and the words' own
        embeddings at every other place, the decoder answered 7 of 10 questions before any training."""
        projection = nn.init.orthogonal_(self.ears.embed_audio.embedding_projection.weight)
        background = self.talk.tokens[:, 0].mean(0)
        for row in (0, -1):
            self.ears.embed_audio.embedding.weight[row] = background @ projection

    def learning(self):
        return [*self.ears.parameters(), *self.words.parameters()]

    def round_decoder(self):
        for n in decoder.STORED_Q4_0:
            self.decoder.p[n].data.copy_(quantise.q4_0(self.decoder.p[n].data))

    def rate(self):
        """Warm-up, then a cosine over the time given: where this run stands is known whatever the device's speed."""
        return self.a.rate * min(1, (self.step + 1) / 200) * (.03 + .97 * .5 * (1 + math.cos(math.pi * min(1, self.spent / self.a.seconds))))

    def update(self, loss):
        for g in self.optimizer.param_groups:
            g["lr"] = self.rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1

    def words_step(self):
        rng = self.rng
        texts = [rng.randrange(len(self.talk.d["texts"])) for _ in range(self.a.clips)]
        x, valid, _, _ = self.ears(*self.clips.batch(self.clips.draw(texts, rng, False), rng))
        loss, right = self.words.loss(x, valid, texts)
        self.update(loss)
        return loss.detach(), right

    def answers_step(self):
        rng, a = self.rng, self.a
        pictures = rng.sample(self.talk.training, a.pictures)
        asked = [[self.talk.ask(p, rng.choice(PRACTICE), rng) for _ in range(a.turns)] for p in pictures]
        texts = [q for own in asked for q, _ in own]
        x, valid, sound, end = self.ears(*self.clips.batch(self.clips.draw(texts, rng, False), rng))
        heard, _ = self.words.loss(x, valid, texts)
        batch = self.talk.batch(pictures, asked, sound, end)
        logits = self.decoder(batch, full=True)
        answer = F.cross_entropy(logits, batch.targets)
        self.update(answer + .3 * heard)
        return answer.detach(), sum(exact(logits, batch)) / len(batch.lengths)

    @torch.no_grad()
    def validate(self):
        """(words right, spoken questions answered exactly, written ones) with voices and pictures that training does not see."""
        rng, talk, done, words, by_hand = random.Random(77), self.talk, [], [], []
        checked = talk.validation[:self.a.check]
        for start in range(0, len(checked), 8):
            pictures = checked[start:start + 8]
            asked = [[talk.ask(p, kind, rng) for kind in talk.d["asked"][p]] for p in pictures]
            texts = [q for own in asked for q, _ in own]
            x, valid, sound, end = self.ears(*self.clips.batch(self.clips.draw(texts, rng, True)))
            words.append(self.words.right(x, valid, texts))
            for how, result in (((sound, end), done), ((), by_hand)):
                batch = talk.batch(pictures, asked, *how)
                result += exact(self.decoder(batch, full=True), batch)
        mean = lambda v: sum(v) / len(v)
        return mean(words), mean(done), mean(by_hand)

    # ---- kept between runs

    def save(self):
        self.write("optimizer.pt", self.optimizer_state())
        self.write("last.pt", {"ears": self.weights(), "words": self.words.state_dict(), "rng": self.rng.getstate(), "step": self.step,
                               "spent": self.spent, "best": self.best, "phase": self.phase})

    def weights(self):
        return {n: t.cpu() for n, t in self.ears.state_dict().items()}

    def write(self, name, kept):
        path = os.path.join(self.a.out, name)
        torch.save(kept, path + ".new")
        os.replace(path + ".new", path)

    def optimizer_state(self):
        """The moments as bfloat16 (the optimizer makes them float again)."""
        kept = self.optimizer.state_dict()
        brief = lambda v: v.to(torch.bfloat16) if torch.is_tensor(v) and v.ndim > 0 else v
        return {**kept, "state": {i: {k: brief(v) for k, v in own.items()} for i, own in kept["state"].items()}}

    def go_on(self):
        path = os.path.join(self.a.out, "last.pt")
        if not os.path.exists(path):
            return
        kept = torch.load(path, weights_only=False, map_location=self.device)
        self.ears.load_state_dict(kept["ears"]), self.words.load_state_dict(kept["words"])
        path = os.path.join(self.a.out, "optimizer.pt")
        if os.path.exists(path):        # without it the moments start anew
            self.optimizer.load_state_dict(torch.load(path, weights_only=False, map_location=self.device))
        self.rng.setstate(kept["rng"])
        self.step, self.spent, self.best, self.phase = kept["step"], kept["spent"], kept["best"], kept["phase"]

    def log(self, line):
        line = f"{self.spent:6.1f} s step {self.step} {self.phase}: {line}"
        print(line, flush=True)
        with open(os.path.join(self.a.out, "log.txt"), "a") as f:
            print(line, file=f)

    def check(self, losses):
        words, spoken, written = self.validate()
        value = spoken + .01 * words if self.phase != "words" else words - 1
        better, self.best = value > self.best, max(value, self.best)
        loss, right = (float(sum(v) / len(v)) for v in zip(*losses))
        self.log(f"loss {loss:.3f} right {right:.3f} | validation: words {words:.3f} spoken {spoken:.3f} written {written:.3f}{' *' if better else ''}")
        if better:
            save_snapshot(os.path.join(self.a.out, "best.npz"), self.weights(), step=self.step)
        self.save()
        return words

    def run(self):
        a, losses, checked = self.a, [], self.spent
        began = time.time() - self.spent
        while self.spent < a.seconds and (a.steps == 0 or self.step < a.steps):
            losses.append(self.words_step() if self.phase == "words" else self.answers_step())
            self.spent = time.time() - began
            if self.spent - checked < a.every * a.seconds and not (a.steps and self.step % 4 == 0):
                continue
            words = self.check(losses)
            losses, self.spent = [], time.time() - began
            checked = self.spent
            if self.phase == "words" and (words > .93 or self.spent > a.words * a.seconds):
                self.phase = "answers"
        if losses:
            self.check(losses)


def main():
    ap = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    ap.add_argument("folder"), ap.add_argument("out")
    ap.add_argument("--decoder", default=os.path.join(here, "state", "text.npz"))
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--seconds", type=float, default=500, help="stops by itself, the last check included a little later")
    ap.add_argument("--words", type=float, default=.25, help="share of them for phase 1 at most")
    ap.add_argument("--every", type=float, default=1 / 30, help="share of them between validations")
    ap.add_argument("--steps", type=int, default=0, help="for a try: stop here, check every fourth step")
    ap.add_argument("--rate", type=float, default=1e-3), ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--clips", type=int, default=96), ap.add_argument("--pictures", type=int, default=16), ap.add_argument("--turns", type=int, default=4)
    ap.add_argument("--check", type=int, default=64, help="validation pictures, six questions each")
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    t = Trainer(a)
    t.go_on()
    t.run()


if __name__ == "__main__":
    main()
