#!/usr/bin/env python3
"""Changes the header of a packed file, whose checksum is right again then:

    change_packed.py IN OUT number NAME VALUE    the key NAME, a uint32
    change_packed.py IN OUT text OLD NEW         the first OLD, wherever it is, by NEW of as many bytes
"""
import os
import struct
import sys
import zlib

from change_gguf import Reader


def main():
    source, out, change = sys.argv[1:4]
    old, new = (os.fsencode(argument) for argument in sys.argv[4:6])
    data = bytearray(open(source, "rb").read())
    r = Reader(bytes(data))
    r.take(8)
    tensor_count, key_count = r.number("Q"), r.number("Q")
    places, alignment = {}, 32
    for _ in range(key_count):
        name, kind = r.string(), r.number("I")
        places[name] = r.at
        r.value(kind)
    if b"general.alignment" in places:
        alignment = struct.unpack_from("<I", data, places[b"general.alignment"])[0]
    for _ in range(tensor_count):
        r.string()
        r.take(8 * r.number("I") + 12)
    header = -(-r.at // alignment) * alignment
    if change == "number":
        struct.pack_into("<I", data, places[old], int(new))
    else:
        at = data.index(old, 0, header)
        assert len(old) == len(new)
        data[at:at + len(new)] = new
    checksum = places[b"gemlet.header.crc32"]
    struct.pack_into("<I", data, checksum, 0)
    struct.pack_into("<I", data, checksum, zlib.crc32(data[:header]))
    open(out, "wb").write(data)


main()
