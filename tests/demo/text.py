"""Batches of turns about pictures for decoder.Decoder."""
import math
import random
from dataclasses import dataclass

import torch

import scenes
from model import END_OF_IMAGE, HIDDEN, IMAGE_SOFT_TOKEN

SOFT = 256
# More often than a user would ask: what takes longest to learn.
PRACTICE = ("describe", "describe", "color", "color", "shape", "shape", "position", "position", "exists", "exists", "count")


@dataclass
class Turns:
    """How the turns lie behind their prefixes."""
    n_prefix: int                # prefix tokens of all pictures together; they come first
    shape: tuple                 # (pictures, turns, length) when padded
    valid: torch.Tensor          # [turn tokens]: their places among the padded ones
    mask: torch.Tensor           # [length, length], causal


@dataclass
class Batch:
    """Flat lists of tokens: all prefixes, then all turns without padding."""
    turns: Turns
    ids: torch.Tensor            # [tokens]
    positions: torch.Tensor      # [tokens]
    soft: torch.Tensor           # [tokens, HIDDEN]: what replaces embeddings where is_soft
    is_soft: torch.Tensor        # [tokens]
    at: torch.Tensor             # turn tokens whose next token is asked for
    targets: torch.Tensor        # the tokens asked for
    answers: list                # (kind of question, tokens) of each answer, in the order of the targets


def choose_cells(scene, n, rng):
    """n soft tokens in order: for 64, one from each 2 x 2 square of the grid; for 256, all; for fewer, three of each thing and
    others at random."""
    if n >= 64:
        side = math.isqrt(n)
        step = scenes.GRID // side
        return [(r * step + rng.randrange(step)) * scenes.GRID + c * step + rng.randrange(step) for r in range(side) for c in range(side)]
    inside = [[i for i in range(SOFT) if _covers(t, i)] for t in scene]
    chosen = {i for cells in inside for i in rng.sample(cells, 3)}
    rest = [i for i in range(SOFT) if i not in chosen]
    return sorted(chosen | set(rng.sample(rest, n - len(chosen))))


def _covers(thing, cell):
    y, x = divmod(cell, scenes.GRID)
    return math.hypot((x + .5) / scenes.GRID - thing.x, (y + .5) / scenes.GRID - thing.y) < thing.radius


def make_prefixes(prompt, tokens, end_of_image, cells):
    """(ids [B, P], positions, embeddings [B, P, HIDDEN]) of prefixes that keep only the soft tokens listed in cells [B][n]."""
    B, n, before, after = len(cells), len(cells[0]), len(prompt.before), prompt.after
    ids = torch.tensor([prompt.before + [IMAGE_SOFT_TOKEN] * n + after] * B)
    places = [list(range(before)) + [before + c for c in own] + [before + SOFT + i for i in range(len(after))] for own in cells]
    soft = torch.zeros(B, ids.shape[1], HIDDEN)
    soft[:, before:before + n] = tokens[torch.arange(B)[:, None], torch.tensor(cells)]
    soft[:, before + n] = end_of_image
    return ids, torch.tensor(places), soft


def make_batch(prompt, batch_scenes, tokens, end_of_image, turns, seen, length, rng):
    """tokens [B, 256, HIDDEN]: the pictures' soft tokens, of which `seen` are shown, in their places in the prompt."""
    prefixes = make_prefixes(prompt, tokens, end_of_image, [choose_cells(s, seen, rng) for s in batch_scenes])
    return assemble(prompt, prefixes, [scenes.questions(s, rng, turns, PRACTICE) for s in batch_scenes], length)


def assemble(prompt, prefixes, asked, length):
    """asked [B][turns]: (kind, question, answer)."""
    prefix, places, soft = prefixes
    ids, valid, positions, at, targets, answers = [], [], [], [], [], []
    for n, (kind, question, answer) in enumerate(turn for picture in asked for turn in picture):
        q, a = prompt.question(question), prompt.answer(answer)
        at += range(len(ids) + len(q) - 1, len(ids) + len(q) + len(a) - 1)
        ids += (q + a)[:-1]
        valid += range(n * length, n * length + len(q) + len(a) - 1)
        positions += range(len(prompt.prefix), len(prompt.prefix) + len(q) + len(a) - 1)
        targets += a
        answers.append((kind, len(a)))
    layout = Turns(prefix.numel(), (len(asked), len(asked[0]), length), torch.tensor(valid), torch.full((length, length), -1e9).triu(1))
    is_soft = (prefix == IMAGE_SOFT_TOKEN) | (prefix == END_OF_IMAGE)
    flat = lambda x, rest: torch.cat([x.flatten(0, 1), rest])
    return Batch(layout, flat(prefix, torch.tensor(ids)), flat(places, torch.tensor(positions)),
                 flat(soft, torch.zeros(len(ids), HIDDEN)), flat(is_soft, torch.zeros(len(ids), dtype=torch.bool)),
                 torch.tensor(at), torch.tensor(targets), answers)


def longest_turn(prompt):
    """Tokens of the longest turn, without the last one, which is only asked for."""
    rng, n = random.Random(0), 0
    for _ in range(400):
        for _, q, a in scenes.questions(scenes.make_scene(rng), rng, 4):
            n = max(n, len(prompt.question(q)) + len(prompt.answer(a)) - 1)
    return n


def exact(logits, batch):
    """[(kind, whether the whole answer is right)]: greedy decoding gives it exactly if each token is the most likely one."""
    right = (logits.argmax(1) == batch.targets).split([n for _, n in batch.answers])
    return [(kind, bool(r.all())) for (kind, _), r in zip(batch.answers, right)]
