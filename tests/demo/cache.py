"""The encoder's soft tokens for many pictures, made once and kept in the work folder."""
import os
import time

import torch

import model
import vision
from state import load_checkpoint, load_snapshot

HERE = os.path.dirname(os.path.abspath(__file__))


def trained_encoder(work):
    """(model with the newest encoder, its steps)"""
    m = model.build()
    full = load_checkpoint(os.path.join(work, "vision.pt"))
    weights, step = (full["weights"], full["step"]) if full else (None, 0)
    if not full:
        weights, numbers = load_snapshot(os.path.join(HERE, "state", "vision.npz"))
        step = numbers["step"]
    m.load_state_dict(weights, strict=False)
    return m.eval(), step


@torch.no_grad()
def make_tokens(work, count, seed):
    m, step = trained_encoder(work)
    pictures, made, drawn, t = vision.picture_loader(seed, 16), [], [], time.time()
    while len(drawn) < count:
        x, _, batch = next(pictures)
        made.append(model.soft_tokens(m, vision.as_input(x)).half())
        drawn += batch
    print(f"{time.strftime('%H:%M:%S')} soft tokens of {len(drawn)} pictures made in {time.time() - t:.0f} s", flush=True)
    end = m.model.embed_vision(input_ids=torch.tensor([model.END_OF_IMAGE]))[0]
    return {"tokens": torch.cat(made), "scenes": drawn, "end_of_image": end, "step": step}


class SoftTokens:
    """A fixed set of pictures through the trained encoder; made again when the encoder has moved on."""
    def __init__(self, work, count=4000, seed=31337):
        path = os.path.join(work, f"tokens-{seed}.pt")
        kept = torch.load(path, weights_only=False) if os.path.exists(path) else None
        if kept is None or kept["step"] != trained_encoder(work)[1] or len(kept["scenes"]) < count:
            kept = make_tokens(work, count, seed)
            torch.save(kept, path + ".new")
            os.replace(path + ".new", path)
        self.tokens, self.scenes, self.end_of_image = kept["tokens"], kept["scenes"], kept["end_of_image"]

    def draw(self, n, rng):
        picked = rng.sample(range(len(self.scenes)), n)
        return [self.scenes[i] for i in picked], self.tokens[picked].float()
