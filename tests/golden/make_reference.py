#!/usr/bin/env python3
"""Reduces golden.npz, which reference_model.py writes, to what the tests read: raw little-endian files without headers.

    make_reference.py GOLDEN.npz FOLDER

    text_ids.u32           [tokens]
    text_logits.f32        [tokens][vocabulary]
    text_layer<N>.f32      [tokens][streams][width], behind layer N
    image_ids.u32          [tokens], soft tokens as the image's id
    image_soft_tokens.f32  [256][width]
    image_logits_tail.f32  [12][vocabulary], of the last positions
"""
import pathlib
import sys

import numpy as np


def main(source, folder):
    golden, folder = np.load(source), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in golden.files:
        values = golden[name]
        if name in ("text_ids", "image_ids"):
            values.astype("<u4").tofile(folder / f"{name}.u32")
        elif name in ("text_logits", "image_soft_tokens", "image_logits_tail"):
            values.astype("<f4").tofile(folder / f"{name}.f32")
        elif name.startswith("text_layer"):  # [streams][1][tokens][width]
            np.ascontiguousarray(values[:, 0].transpose(1, 0, 2)).astype("<f4").tofile(folder / f"{name}.f32")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
