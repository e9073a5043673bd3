#!/usr/bin/env python3
"""usage: make_seeds.py OUT
Seeds of the fuzz target `sound`: small sounds of each kind that it reads, behind its three bytes."""
import math
import struct
import sys
from pathlib import Path


def tone(count, rate, channels=1):
    return [0.5 * math.sin(2 * math.pi * 440 * (i // channels) / rate) for i in range(count * channels)]


def coded(samples, bits):
    if bits == 32:
        return struct.pack(f"<{len(samples)}f", *samples)
    if bits == 8:
        return bytes(int(128 + 127 * x) for x in samples)
    return b"".join(int(x * ((1 << (bits - 1)) - 1)).to_bytes(bits // 8, "little", signed=True) for x in samples)


def chunk(name, data, order="<"):
    return name + struct.pack(order + "I", len(data)) + data + b"\0" * (len(data) % 2)


def wav(samples, rate, channels, bits, extensible=False):
    code = 3 if bits == 32 else 1
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    if extensible:
        form += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", code) + bytes.fromhex("000000001000800000aa00389b71")
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + chunk(b"fmt ", form) + chunk(b"LIST", b"INFOINAM") + chunk(b"data", coded(samples, bits))


def au(samples, rate):
    return b".snd" + struct.pack(">IIIII", 24, 2 * len(samples), 3, rate, 1) + b"".join(struct.pack(">h", int(32767 * x)) for x in samples)


def aiff(samples, rate):
    exponent = rate.bit_length() - 1
    extended = struct.pack(">HQ", 16383 + exponent, rate << (63 - exponent))
    common = struct.pack(">hIh", 1, len(samples), 16) + extended
    sound = struct.pack(">II", 0, 0) + b"".join(struct.pack(">h", int(32767 * x)) for x in samples)
    return b"FORM" + struct.pack(">I", 46 + len(sound)) + b"AIFF" + chunk(b"COMM", common, ">") + chunk(b"SSND", sound, ">")


def main(out):
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {
        "wav-16": b"\0\0\0" + wav(tone(200, 16000), 16000, 1, 16),
        "wav-8-stereo": b"\0\0\0" + wav(tone(100, 8000, 2), 8000, 2, 8),
        "wav-24": b"\4\0\0" + wav(tone(100, 48000), 48000, 1, 24),
        "wav-float": b"\0\0\0" + wav(tone(100, 44100), 44100, 1, 32),
        "wav-extensible": b"\4\0\0" + wav(tone(60, 16000, 6), 16000, 6, 16, True),
        "wav-empty": b"\0\0\0" + wav([], 16000, 1, 16),
        "wav-no-number": b"\0\0\0" + wav([0.0, math.nan, math.inf], 16000, 1, 32),
        "au": b"\0\0\0" + au(tone(100, 16000), 16000),
        "aiff": b"\0\0\0" + aiff(tone(100, 22050), 22050),
        "raw-16": b"\1\0\0" + coded(tone(200, 16000), 16),
        "raw-float": b"\3\0\0" + coded(tone(100, 16000), 32),
        "raw-other-rate": b"\x09\x40\x1f" + coded(tone(300, 8000), 16),
    }
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
