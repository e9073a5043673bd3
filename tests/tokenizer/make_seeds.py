"""Writes the seeds of tests/fuzz/fuzz_tokenizer.c: make_seeds.py CORPUS.  Needs sentencepiece and protobuf.

Small models with user-defined, unused and control pieces, equal scores, characters that are no piece, and texts for them. The seeds of
tables come from the same models: build/tests/tokenizer-tables writes those (see fuzz_tokenizer.c for the format)."""

import os
import struct
import sys

from sentencepiece import sentencepiece_model_pb2 as proto


def model(pieces):
    m = proto.ModelProto()
    m.trainer_spec.model_type = m.trainer_spec.BPE
    m.trainer_spec.byte_fallback = True
    m.normalizer_spec.name = "identity"
    m.normalizer_spec.add_dummy_prefix = False
    m.normalizer_spec.remove_extra_whitespaces = False
    for text, kind in (("<pad>", 3), ("<eos>", 3), ("<bos>", 3), ("<unk>", 2), ("<start_of_turn>", 4), ("<end_of_turn>", 4), ("\n", 4), ("\n\n", 4), ("\u2581\u2581", 4)):
        m.pieces.add(piece=text, score=0, type=kind)
    for i in range(256):
        m.pieces.add(piece=f"<0x{i:02X}>", score=0, type=6)
    for text, score, kind in pieces:
        m.pieces.add(piece=text, score=score, type=kind)
    return m.SerializeToString()


VOCABULARIES = {
    "plain": [("ab", -1, 1), ("bc", -2, 1), ("abc", -3, 1), ("\u2581a", -4, 1), ("\u2581abc", -5, 1), ("a", -6, 1), ("b", -7, 1), ("c", -8, 1), ("\u2581", -9, 1)],
    "ties": [("aa", -1, 1), ("aaa", -1, 1), ("aaaa", -1, 1), ("ab", -1, 1), ("ba", -1, 1), ("a", -2, 1), ("b", -2, 1)],
    "unused": [("aa", -1, 5), ("aaaa", -2, 1), ("ab", -3, 5), ("abab", -4, 5), ("xy", -5, 5), ("a", -6, 1), ("b", -7, 5), ("é!", -8, 1), ("<b>", 0, 4)],
    "improper": [("abcd", 0, 1), ("cd", -5, 1), ("ab", -9, 1), ("bc", -1, 1), ("a", -2, 1), ("b", -2, 1), ("c", -2, 1), ("d", -2, 1), ("日本", -1, 1), ("日", -3, 1)],
}
TEXTS = [b"", b"abc  abc abcabcc\n\n\nabab", b"a" * 700, "日本 é! \u2581 \U0001F600".encode() + b"\xe2\x96\xff\x80<b><start_of_turn>user\n<start_of_tur", b"abcdabcbcd" * 60]


def main():
    for name, pieces in VOCABULARIES.items():
        data = model(pieces)
        for i, text in enumerate(TEXTS):
            with open(os.path.join(sys.argv[1], f"model-{name}-{i}"), "wb") as f:
                f.write(bytes([1, 4 * i + i % 2]) + struct.pack("<I", len(data)) + data + text)


if __name__ == "__main__":
    main()
