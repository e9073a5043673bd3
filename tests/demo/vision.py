"""Phase "vision": the encoder learns to say, at each of its 16 x 16 soft tokens, what is there.

The labels of scenes.cell_labels are tied to a fixed codebook: one direction of the soft-token space for each value of each
label.  So the ideal soft token of a cell is known beforehand (`ideal_tokens`), and the decoder can learn to read such tokens
while the encoder is still learning to make them.
"""
import random

import numpy as np
import torch
import torch.nn.functional as F

import scenes
from model import HIDDEN, soft_tokens

WEIGHTS = {"thing": 2., "shape": 2., "colour": 1., "row": .5, "column": .5, "role": 1.}
SHARPNESS = 2.            # an ideal token's logits stand about 4.6 * SHARPNESS above the others


def codebook():
    """{label: [classes, HIDDEN]}, all rows orthonormal; a function of nothing, so that no file needs to carry it."""
    total = sum(scenes.LABELS.values())
    q = np.linalg.qr(np.random.RandomState(7).standard_normal((HIDDEN, total)))[0].T
    rows = torch.from_numpy(np.ascontiguousarray(q)).float()
    return dict(zip(scenes.LABELS, rows.split(list(scenes.LABELS.values()))))


def ideal_tokens(labels, book):
    """labels {name: [..., cells]} -> [..., cells, HIDDEN] with root mean square 1, as the encoder's last norm makes them."""
    total = sum(torch.cat([book[k], torch.zeros(1, HIDDEN)])[labels[k]] for k in book)   # class -1 picks the row of zeros
    return F.normalize(total, dim=-1) * HIDDEN ** .5


def vision_loss(tokens, labels, book):
    """Cross-entropy of every label plus the distance to the ideal token; also {label: accuracy}."""
    loss, accuracy = (1 - F.cosine_similarity(tokens, ideal_tokens(labels, book), dim=-1)).mean(), {}
    for name, rows in book.items():
        known = labels[name] >= 0
        if not known.any():
            continue
        logits, y = tokens[known] @ rows.T * SHARPNESS, labels[name][known]
        loss = loss + WEIGHTS[name] * F.cross_entropy(logits, y)
        accuracy[name] = (logits.argmax(1) == y).float().mean().item()
    return loss, accuracy


class Pictures(torch.utils.data.IterableDataset):
    """Endless batches of ([B, 3, 256, 256], labels, scenes); `crowded` is the share of crowds."""
    def __init__(self, seed, batch, crowded=0.):
        self.seed, self.batch, self.crowded = seed, batch, crowded

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = random.Random(self.seed * 1000 + (worker.id if worker else 0))
        while True:
            batch = [scenes.make_crowd(rng) if rng.random() < self.crowded else scenes.make_scene(rng) for _ in range(self.batch)]
            x = np.stack([scenes.photograph(s, rng) for s in batch])
            labels = [scenes.cell_labels(s) for s in batch]
            labels = {k: torch.from_numpy(np.stack([l[k].reshape(-1) for l in labels])) for k in scenes.LABELS}
            yield torch.from_numpy(x).permute(0, 3, 1, 2), labels, batch


def picture_loader(seed, batch, crowded=0.):
    return iter(torch.utils.data.DataLoader(Pictures(seed, batch, crowded), batch_size=None, num_workers=1, prefetch_factor=4))


def as_input(pictures):
    return (pictures.float() / 255).contiguous(memory_format=torch.channels_last)


def parameters(m):
    return list(m.model.vision_tower.parameters()) + [m.model.embed_vision.soft_embedding_norm.weight,
                                                      m.model.embed_vision.embedding_projection.weight]


def freeze_start(m):
    """Stem and first stage stop learning: they cost a third of a step and are good long before the rest."""
    tower = m.model.vision_tower.timm_model
    for part in (tower.conv_stem, tower.blocks[0]):
        part.requires_grad_(False)


def train_step(m, opt, batch, book):
    pictures, labels, _ = batch
    loss, accuracy = vision_loss(soft_tokens(m, as_input(pictures)), labels, book)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in parameters(m) if p.requires_grad], 1.0)
    opt.step()
    return loss.item(), accuracy
