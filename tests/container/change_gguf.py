#!/usr/bin/env python3
"""Writes a GGUF file anew, changed, for tests of what a source may be:

    change_gguf.py IN OUT head-copied | head-rotated      output.weight: token_embd.weight, or that with its rows moved up by one
    change_gguf.py IN OUT bias                            and blk.0.attn_q.bias
    change_gguf.py IN OUT key NAME TYPE VALUE             the key NAME too, or instead; TYPE is text, number, numbers (1,2,...), real or bool
    change_gguf.py IN OUT exchanged A B                   tensors with A in their names get B there, and the other way round
    change_gguf.py IN OUT type TENSOR NUMBER              another type for a tensor, whose bytes stay
    change_gguf.py IN STEM split COUNT                    STEM-00001-of-0000N.gguf, ..., as llama.cpp splits
"""
import struct
import sys

BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of GGUF's types of values
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 30: (1, 2)}  # of its types of tensors: elements, bytes
STRING, ARRAY, ALIGNMENT = 8, 9, 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, kind):
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def value(self, kind):
        start = self.at
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            element, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.value(element)
        else:
            self.take(BYTES[kind])
        return self.data[start:self.at]


def load(path):
    r = Reader(open(path, "rb").read())
    r.take(8)
    tensor_count, key_count = r.number("Q"), r.number("Q")
    keys = []
    for _ in range(key_count):
        name, kind = r.string(), r.number("I")
        keys.append((name, kind, r.value(kind)))
    tensors = []
    for _ in range(tensor_count):
        name = r.string()
        shape = [r.number("Q") for _ in range(r.number("I"))]
        tensors.append((name, shape, r.number("I"), r.number("Q")))
    base = -(-r.at // ALIGNMENT) * ALIGNMENT
    out = []
    for name, shape, kind, offset in tensors:
        elements, size = BLOCKS[kind]
        for length in shape:
            size *= length
        out.append((name, shape, kind, r.data[base + offset:base + offset + size // elements]))
    return keys, out


def save(path, keys, tensors):
    head = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys)))
    for name, kind, value in keys:
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value
    body = bytearray()
    for name, shape, kind, data in tensors:
        body += b"\0" * (-len(body) % ALIGNMENT)
        head += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        body += data
    head += b"\0" * (-len(head) % ALIGNMENT)
    open(path, "wb").write(head + body + b"\0" * (-len(body) % ALIGNMENT))


def add_head(keys, tensors, out, rotated):
    name, shape, kind, data = next(t for t in tensors if t[0] == b"token_embd.weight")
    row = len(data) // shape[1]
    save(out, keys, tensors + [(b"output.weight", shape, kind, data[row:] + data[:row] if rotated else data)])


def split(keys, tensors, stem, count):
    for i in range(count):
        part = [(b"split.no", 2, struct.pack("<H", i)), (b"split.count", 2, struct.pack("<H", count)),
                (b"split.tensors.count", 5, struct.pack("<i", len(tensors)))]
        first, end = len(tensors) * i // count, len(tensors) * (i + 1) // count
        save(f"{stem}-{i + 1:05}-of-{count:05}.gguf", (keys if i == 0 else []) + part, tensors[first:end])


def encode(kind, value):
    """A value's type and bytes."""
    if kind == "text":
        return STRING, struct.pack("<Q", len(value)) + value.encode()
    if kind == "number":
        return 4, struct.pack("<I", int(value))
    if kind == "numbers":
        numbers = [int(number) for number in value.split(",")]
        return ARRAY, struct.pack(f"<IQ{len(numbers)}I", 4, len(numbers), *numbers)
    return (6, struct.pack("<f", float(value))) if kind == "real" else (7, bytes([value == "true"]))


def main():
    source, out, change = sys.argv[1:4]
    keys, tensors = load(source)
    if change == "split":
        split(keys, tensors, out, int(sys.argv[4]))
    elif change == "key":
        name = sys.argv[4].encode()
        save(out, [k for k in keys if k[0] != name] + [(name, *encode(*sys.argv[5:7]))], tensors)
    elif change == "type":
        save(out, keys, [(n, s, int(sys.argv[5]) if n == sys.argv[4].encode() else t, d) for n, s, t, d in tensors])
    elif change == "exchanged":
        a, b = sys.argv[4].encode(), sys.argv[5].encode()
        save(out, keys, [(n.replace(a, b) if a in n else n.replace(b, a), s, t, d) for n, s, t, d in tensors])
    elif change == "bias":
        save(out, keys, tensors + [(b"blk.0.attn_q.bias", [32], 0, struct.pack("<32f", *range(32)))])
    else:
        add_head(keys, tensors, out, change == "head-rotated")


if __name__ == "__main__":
    main()
