"""Takes the vocabulary out of a GGUF file: as rows for bench_tokenizer.c, and as the tokenizer.model that it once was.

    gguf_vocabulary.py FILE.gguf ROWS tokenizer.model

Needs gguf and protobuf. llama.cpp's converter declares <start_of_turn> and the like as control symbols and writes spaces into
user-defined symbols; SentencePiece's own model has them user-defined, with U+2581.
"""

import struct
import sys

import gguf
from sentencepiece import sentencepiece_model_pb2 as proto

CONTROL, USER_DEFINED, UNKNOWN = 3, 4, 2


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    columns = []
    for key in ("tokens", "scores", "token_type"):
        field = reader.fields[f"tokenizer.ggml.{key}"]
        columns.append([field.parts[i] for i in field.data])
    model = proto.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    with open(sys.argv[2], "wb") as rows:
        for token, score, kind in zip(*columns):
            text, score, kind = bytes(token), float(score[0]), int(kind[0])
            rows.write(struct.pack("<ifI", kind, score, len(text)) + text)
            piece = text.decode()
            if piece == "<unk>":
                kind = UNKNOWN
            elif kind == CONTROL and piece not in ("<pad>", "<eos>", "<bos>"):
                kind = USER_DEFINED
            if kind == USER_DEFINED:
                piece = piece.replace(" ", "\u2581")
            model.pieces.add(piece=piece, score=score, type=kind)
    for name, piece in (("pad", "<pad>"), ("eos", "<eos>"), ("bos", "<bos>"), ("unk", "<unk>")):
        setattr(model.trainer_spec, name + "_piece", piece)
    with open(sys.argv[3], "wb") as f:
        f.write(model.SerializeToString())


if __name__ == "__main__":
    main()
