#!/usr/bin/env python3
"""Tokens a second that Gemma 4 E2B's mobile checkpoint would reach on boards, by a model and not by a clock: products take the cycles that
llvm-mca gives the kernels' loops (tests/bench/mca.sh), split over four cores; the other instructions, counted by tests/bench/decoder.sh
--real, run at two a cycle; a decoded token takes that time or the one to read its bytes, whichever is longer.  And how long a picture and
an answer to a question about it take: encoding 1280 x 720 pixels to 528 x 288, 66 soft tokens (tests/bench/vit.sh "gemma4v 16 70 1280 720"
counts it), the prompt and 16 tokens of answer.

    boards.py BUILD PROMPT DECODE PICTURE      BUILD: of the aarch64 preset; million instructions of a prompt's token, of a decoded one
                                               and of a picture

And how many seconds of sound one core encodes in a second, likewise, but that a core in order runs the other instructions at one a cycle:

    boards.py --sound BUILD USM GEMMA4A    million instructions of a second, by tests/bench/sound.sh usm gemma4a
"""
import pathlib
import subprocess
import sys

CORES, BYTES = 4, 782.7e6
# Multiply-adds by kernel, and what the counted instructions hold of them: (kernel, millions).
PROMPT = (("w4_times_many", 516.0), ("w8_times_many", 26.0))
DECODE = (("w4_times_1", 703.0), ("w2_times_1", 1132.0 + 403.0), ("w8_times_1", 42.0))
COUNTED_DECODE = (("w4_times_1", 703.0), ("w2_times_1", 1132.0), ("w8_times_1", 42.0))  # the counted model has a small head
# Of the encoder: 16 layers of 594 patches; attention has two products.
PATCHES, VIT_LAYERS = 594, 16
PICTURE = (("w8_times_many", VIT_LAYERS * PATCHES * (4 * 768 * 768 + 3 * 768 * 3072) / 1e6),
           ("multiply_range", VIT_LAYERS * 2 * PATCHES * PATCHES * 768 / 1e6))
PICTURE_BYTES = VIT_LAYERS * (4 * 768 * 768 + 3 * 768 * 3072)  # a layer's weights are read once
QUESTION, ANSWER = 66 + 17, 16  # tokens: the turn around soft tokens and "What do you see?"
BOARDS = (("Raspberry Pi 5: Cortex-A76, 2.4 GHz, 9 GB/s", "dotprod", "neoverse-n1", 2.4e9, 9e9),
          ("RK3566: Cortex-A55, 1.8 GHz, 5 GB/s", "dotprod", "cortex-a55", 1.8e9, 5e9),
          ("Zero 2 class: Cortex-A53, 1.4 GHz, 5 GB/s", "neon", "cortex-a53", 1.4e9, 5e9))


# Of a second of sound: convolutions are the linears of USM, and what gemma4a has before and behind its blocks.
SOUND = {"USM": (("multiply_range", 16338.0),),
         "gemma4a": (("w2_times_many", 6606.0), ("w4_times_many", 629.0), ("multiply_range", 125.0))}
CORES_ALONE = (("Cortex-A76, 2.4 GHz", "dotprod", "neoverse-n1", 2.4e9, 2), ("Cortex-A53, 1.4 GHz", "neon", "cortex-a53", 1.4e9, 1))


def loops(build, level, core):
    """Instructions and cycles of a multiply-add of each kernel's loop."""
    found = {}
    for name in ("row_scaled.c.o", "conv.c.o"):
        path = next(path for path in pathlib.Path(build).rglob(name) if f"gemlet-{level}.dir" in str(path))
        lines = subprocess.run(["tests/bench/mca.sh", str(path), "-", core], check=True, capture_output=True, text=True).stdout
        fields = (line.split("\t") for line in lines.splitlines())
        found |= {f[0]: (float(f[2]) / float(f[1]), float(f[5])) for f in fields}
    return found


def million_cycles(cycles, work, other):
    """Of four cores side by side."""
    return (sum(cycles[k][1] * m for k, m in work) + other / 2) / CORES


def main(build, prompt, decode, picture):
    counted = loops(build, "dotprod", "neoverse-n1")  # the counts are of Cortex-A76
    rest = [float(total) - sum(counted[k][0] * m for k, m in work)
            for total, work in ((prompt, PROMPT), (decode, COUNTED_DECODE), (picture, PICTURE))]
    print(f"Beside products: {rest[0]:.1f}, {rest[1]:.1f} and {rest[2]:.0f} million instructions.\n")
    on_board = [(name, loops(build, level, core), clock, bandwidth) for name, level, core, clock, bandwidth in BOARDS]
    print("| board, four cores | prompt, tokens a second | decode, by cycles | decode, by bytes | decode |")
    print("|---|---:|---:|---:|---:|")
    for name, cycles, clock, bandwidth in on_board:
        rates = [clock / 1e6 / million_cycles(cycles, work, other) for work, other in zip((PROMPT, DECODE), rest)]
        by_bytes = bandwidth / BYTES
        print(f"| {name} | {rates[0]:.0f} | {rates[1]:.1f} | {by_bytes:.1f} | {min(rates[1], by_bytes):.1f} |")
    print("\n| million cycles of each of four cores (seconds) | picture | prompt | answer of 16 tokens | all |")
    print("|---|---:|---:|---:|---:|")
    for name, cycles, clock, bandwidth in on_board:
        by_bytes = lambda count: count / bandwidth * clock / 1e6
        parts = [max(million_cycles(cycles, PICTURE, rest[2]), by_bytes(PICTURE_BYTES)),
                 max(QUESTION * million_cycles(cycles, PROMPT, rest[0]), by_bytes(BYTES)),
                 ANSWER * max(million_cycles(cycles, DECODE, rest[1]), by_bytes(BYTES))]
        print(f"| {name} | " + " | ".join(f"{part:,.0f} ({part * 1e6 / clock:.2f} s)" for part in parts + [sum(parts)]) + " |")


def sound(build, *instructions):
    counted = loops(build, "dotprod", "neoverse-n1")
    print("| seconds of sound that one core encodes in a second | " + " | ".join(SOUND) + " |")
    print("|---|" + "---:|" * len(SOUND))
    for name, level, core, clock, at_once in CORES_ALONE:
        cycles = loops(build, level, core)
        factors = []
        for work, all_instructions in zip(SOUND.values(), instructions):
            rest = float(all_instructions) - sum(counted[k][0] * m for k, m in work)
            factors.append(clock / 1e6 / (sum(cycles[k][1] * m for k, m in work) + rest / at_once))
        print(f"| {name} | " + " | ".join(f"{factor:.2f}" for factor in factors) + " |")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "--sound":
        sound(*sys.argv[2:])
    elif len(sys.argv) == 5:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
