#!/usr/bin/env python3
"""usage: model_pages.py GEMLET_PACK

The tables of docs/models/*.md name every tensor that the packer writes for a model of the family, and no other.  A name is what stands in
backticks in a table's first column; N, S, B and I stand for the numbers of a layer, a stage, a block and a stream or convolution.  The
scales of a convolution NAME, which are the tensor NAME.scale, go without saying.
"""
import re
import subprocess
import sys
from pathlib import Path

PAGES = {
    "gemma3n": ["--text", "tests/data/tiny/text-q4_0.gguf", "--mmproj", "tests/data/tiny/mm-f16.gguf"],
    "gemma4": ["--text", "tests/data/gemma4-tiny/text-q4_0.gguf"],
    "gemma3": ["--hf", "tests/data/gemma3-small/hf"],
}
NUMBERS = [(r"^(a\.)?blk\.\d+\.", r"\1blk.N."), (r"^v\.blk\.\d+\.\d+\.", "v.blk.S.B."), (r"\.\d+\.(norm\.)?weight$", r".I.\1weight")]


def general(name):
    name = name.removesuffix(".scale")
    for pattern, to in NUMBERS:
        name = re.sub(pattern, to, name)
    return name


def packed(pack, source):
    lines = subprocess.run([pack, *source, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {general(line.split()[0]) for line in lines if " taps " in line}


def written(page):
    rows = re.findall(r"^\| *((?:`[^`|]+`[, ]*)+) *\|", page, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def main():
    failed = False
    for family, source in PAGES.items():
        page = Path(f"docs/models/{family}.md")
        names, found = packed(sys.argv[1], source), written(page.read_text())
        for name in sorted(names - found):
            print(f"{page}: lacks tensor {name}, which the packer writes")
        for name in sorted(found - names):
            print(f"{page}: names tensor {name}, which the packer does not write")
        print(f"{page}: {len(names)} names of tensors")
        failed = failed or names != found
    return 1 if failed else 0


sys.exit(main())
