#!/usr/bin/env python3
"""Cuts what the encoder's tests compare with out of the reference implementation's outputs, and lets Pillow resize a few pictures.

    python make_reference.py TINY/golden.npz HOT/golden.npz tests/data/vision

TINY is the model of tests/data/tiny, HOT the same with the layer scales of stage 1 times 1e5.  Pictures of activations are written
as float32, pixel after pixel.  A resize case is one file: width, height, size (uint32), the picture, what Pillow makes of it (RGB).
"""
import os, struct, sys
import numpy as np
from PIL import Image

STAGES = ("stage0", "stage1", "stage2", "stage3", "msfa")
CASES = [(97, 61, 64), (33, 40, 64), (500, 3, 64), (1, 1, 64), (2, 200, 64), (64, 64, 64), (160, 120, 128)]


def picture(rng, width, height):
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([127 + 120 * np.sin(x / 7), 127 + 120 * np.cos(y / 5), 255 * ((x // 9 + y // 9) % 2)], -1)
    return np.clip(waves + rng.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def main():
    tiny, hot, out = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3]
    os.makedirs(out, exist_ok=True)
    tiny["image_rgb"].tofile(os.path.join(out, "image.rgb"))
    assert (tiny["image_rgb"] == hot["image_rgb"]).all()
    for stage in STAGES:
        np.moveaxis(tiny["vision_" + stage], 0, -1).astype("<f4").tofile(os.path.join(out, f"tiny_{stage}.f32"))
    np.moveaxis(hot["vision_stage1"], 0, -1).astype("<f4").tofile(os.path.join(out, "hot_stage1.f32"))
    for name, golden in (("tiny", tiny), ("hot", hot)):
        golden["image_soft_tokens"].astype("<f4").tofile(os.path.join(out, f"{name}_soft.f32"))
    rng = np.random.default_rng(7)
    for i, (width, height, size) in enumerate(CASES):
        rgb = picture(rng, width, height)
        resized = np.asarray(Image.fromarray(rgb).resize((size, size), Image.BILINEAR))
        with open(os.path.join(out, f"resize{i}.bin"), "wb") as f:
            f.write(struct.pack("<3I", width, height, size) + rgb.tobytes() + resized.tobytes())


main()
