#!/usr/bin/env python3
"""usage: model_pages.py GEMLET_PACK

The tables of docs/models/*.md name every tensor and every number of an encoder that the packer writes for a model of the family that sees
and, where the family does, hears, and no other.  A name is what stands in backticks in a table's first column; N, S, B and I stand for the
numbers of a layer, a stage, a block and a stream or convolution.  The scales of a convolution NAME, which are the tensor NAME.scale, go
without saying.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = {
    "gemma3n": ["--text", "tests/data/tiny/text-q4_0.gguf", "--mmproj", "tests/data/tiny/mm-f16.gguf"],
    "gemma4": ["--hf", "tests/data/gemma4-mobile/hf"],
    "gemma3": ["--hf", "tests/data/vision/gemma3/hf"],
}
NUMBERS = [(r"^(a\.)?blk\.\d+\.", r"\1blk.N."), (r"^v\.blk\.\d+\.\d+\.", "v.blk.S.B."), (r"^v\.blk\.\d+\.", "v.blk.N."), (r"\.\d+\.(norm\.)?weight$", r".I.\1weight")]


def general(name):
    name = name.removesuffix(".scale")
    for pattern, to in NUMBERS:
        name = re.sub(pattern, to, name)
    return name


def packed(pack, source):
    lines = subprocess.run([pack, *source, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([pack, *source, "-o", work + "/model.gguf", "--quiet"], check=True)
        keys = re.findall(rb"gemlet\.(?:vision|audio)\.[a-z_.]+", Path(work + "/model.gguf").read_bytes())
    return {general(line.split()[0]) for line in lines if " taps " in line} | {key.decode() for key in keys}


def written(page):
    rows = re.findall(r"^\| *((?:`[^`|]+`[, ]*)+) *\|", page, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def main():
    failed = False
    for family, source in PAGES.items():
        page = Path(f"docs/models/{family}.md")
        names, found = packed(sys.argv[1], source), written(page.read_text())
        for name in sorted(names - found):
            print(f"{page}: lacks {name}, which the packer writes")
        for name in sorted(found - names):
            print(f"{page}: names {name}, which the packer does not write")
        print(f"{page}: {len(names)} names")
        failed = failed or names != found
    return 1 if failed else 0


sys.exit(main())
