#!/usr/bin/env python3
"""Reduces golden.npz, which reference_gemma3n.py or reference_gemma4.py writes, to what the tests read: raw little-endian files without headers.

    make_reference.py GOLDEN.npz FOLDER

    text_ids.u32           [tokens]
    text_logits.f32        [tokens][vocabulary]
    text_layer<N>.f32      [tokens][streams][width], behind layer N
    text_final.f32         [tokens][width], normed: what the head gets
    text_<k|v>_<local|global>.f32  [heads][tokens][head width], of the last layer of a kind that has its own
    greedy_ids.u32         a prompt and what greedy decoding goes on with
    greedy_margin.f32      how far each of the latter is above the next likely
    image_ids.u32          [tokens], soft tokens as the image's id
    image_soft_tokens.f32  [256][width]
    image_logits_tail.f32  [12][vocabulary], of the last positions

Of reference_mobile.py, products of single layers:
    linear<N>.name         of the module
    linear<N>_<x|y>.s8     [vectors][columns], [vectors][rows]: codes that went in and came out
"""
import pathlib
import re
import sys

import numpy as np

PLAIN = ("text_logits", "text_final", "greedy_margin", "image_soft_tokens", "image_logits_tail")


def main(source, folder):
    golden, folder = np.load(source), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in golden.files:
        values = golden[name]
        name = name.replace("image0_", "image_")  # of several pictures the first
        if name in ("text_ids", "image_ids", "greedy_ids"):
            values.astype("<u4").tofile(folder / f"{name}.u32")
        elif name in PLAIN or re.fullmatch("text_[kv]_(local|global)", name):
            values.astype("<f4").tofile(folder / f"{name}.f32")
        elif re.fullmatch(r"text_layer\d+", name):  # [streams][1][tokens][width], or of one stream [tokens][width]
            values = values[:, 0].transpose(1, 0, 2) if values.ndim == 4 else values
            np.ascontiguousarray(values).astype("<f4").tofile(folder / f"{name}.f32")
        elif re.fullmatch(r"linear\d+_[xy]", name) and "language_model" in str(golden[name[:-1] + "name"]):
            values.tofile(folder / f"{name}.s8")
        elif re.fullmatch(r"linear\d+_name", name) and "language_model" in str(values):
            (folder / f"{name[:-5]}.name").write_text(str(values) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
