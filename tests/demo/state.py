"""What is kept between runs: full checkpoints in a work folder, a compact snapshot in state/ beside the scripts."""
import os
import random

import numpy as np
import torch


def save_checkpoint(path, **parts):
    """Atomic: a run that is killed leaves the previous checkpoint."""
    parts["rng"] = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    torch.save(parts, path + ".new")
    os.replace(path + ".new", path)


def load_checkpoint(path):
    """The dictionary saved, or None."""
    if not os.path.exists(path):
        return None
    parts = torch.load(path, weights_only=False)
    python, numpy, torch_state = parts.pop("rng")
    random.setstate(python), np.random.set_state(numpy), torch.set_rng_state(torch_state)
    return parts


def _to_bf16(t):
    return t.detach().float().contiguous().to(torch.bfloat16).view(torch.int16).numpy().view(np.uint8).reshape(-1, 2).T


def save_snapshot(path, tensors, **numbers):
    """Weights as bfloat16, low and high bytes apart because the high ones compress well; `numbers` are steps done."""
    parts = {f"w:{name}": np.ascontiguousarray(_to_bf16(t)) for name, t in tensors.items()}
    parts.update({f"s:{name}": np.array(t.shape, np.int32) for name, t in tensors.items()})
    parts.update({f"n:{name}": np.array(v) for name, v in numbers.items()})
    with open(path + ".new", "wb") as f:
        np.savez_compressed(f, **parts)
    os.replace(path + ".new", path)


def load_snapshot(path):
    """(tensors, numbers), or (None, None)."""
    if not os.path.exists(path):
        return None, None
    z = np.load(path)
    tensors = {}
    for key in z.files:
        if key.startswith("w:"):
            halves = np.ascontiguousarray(z[key].T).view(np.int16).reshape(tuple(z["s:" + key[2:]]))
            tensors[key[2:]] = torch.from_numpy(halves).view(torch.bfloat16).float()
    return tensors, {k[2:]: z[k].item() for k in z.files if k.startswith("n:")}
