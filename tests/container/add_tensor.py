#!/usr/bin/env python3
"""usage: add_tensor.py FILE.safetensors NAME

Adds a tensor of eight numbers."""
import json
import struct
import sys

path, name = sys.argv[1:]
data = open(path, "rb").read()
length = struct.unpack_from("<Q", data)[0]
header, body = json.loads(data[8:8 + length]), data[8 + length:]
header[name] = {"dtype": "F32", "shape": [8], "data_offsets": [len(body), len(body) + 32]}
text = json.dumps(header).encode()
open(path, "wb").write(struct.pack("<Q", len(text)) + text + body + struct.pack("<8f", *range(8)))
