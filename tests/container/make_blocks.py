#!/usr/bin/env python3
"""Writes tests/data/container/blocks.bin: block formats as the Python package gguf converts them (pip install gguf numpy).

Records, little-endian: uint32 direction (0: blocks to numbers, 1: numbers to blocks), uint32 ggml type, uint32 count of numbers,
uint32 bytes of blocks, the blocks, the numbers as float32.
"""
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGML_QUANT_SIZES, quants

# Where the float16 numbers of a block are: random bits there could be infinite.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
          T.Q2_K: [80, 82], T.Q3_K: [108], T.IQ4_NL: [0], T.IQ4_XS: [0]}
BLOCKS = 40


def random_blocks(rng, kind):
    _, size = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scales = (rng.normal(0, 0.02, BLOCKS) * 10.0 ** rng.integers(-3, 4, BLOCKS)).astype(np.float16)
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(BLOCKS, 2)
    return blocks.reshape(1, -1)


def random_numbers(rng):
    """Rows of 32: normal, small, large, all equal, ties of sign at the maximum, zeros, one number alone."""
    x = (rng.normal(0, 1, (64, 32)) * 10.0 ** rng.integers(-6, 4, (64, 1))).astype(np.float32)
    x[0] = 0
    x[1] = 0.25
    x[2] = -0.25
    x[3] = 0
    x[3, 17] = -3.0
    x[4, 5], x[4, 9] = 8.0, -8.0
    x[5, 5], x[5, 9] = -8.0, 8.0
    x[6] = np.arange(-16, 16) / 2
    x[7] = np.arange(-127, 127, 8)[:32] * np.float32(0.01)
    return x


def main(path):
    rng = np.random.default_rng(1)
    with open(path, "wb") as f:
        def record(direction, kind, blocks, numbers):
            f.write(struct.pack("<4I", direction, int(kind), numbers.size, blocks.nbytes))
            f.write(blocks.tobytes())
            f.write(numbers.astype("<f4").tobytes())
        for kind in HALVES:
            blocks = random_blocks(rng, kind)
            record(0, kind, blocks, quants.dequantize(blocks, kind))
        for kind, dtype in ((T.F32, np.uint32), (T.F16, np.uint16), (T.BF16, np.uint16)):
            bits = rng.integers(0, np.iinfo(dtype).max, 512, dtype=dtype)
            bits &= dtype(~(1 << (8 * bits.itemsize - 3)) & np.iinfo(dtype).max)  # no exponent of all ones
            record(0, kind, bits, quants.dequantize(bits.view(np.uint8).reshape(1, -1), kind))
        numbers = random_numbers(rng)
        for kind in (T.Q4_0, T.Q8_0):
            record(1, kind, quants.quantize(numbers, kind), numbers)


if __name__ == "__main__":
    main(sys.argv[1])
