"""Writes what SentencePiece, or the package tokenizers, makes of 20,000 lines, for tests/tokenizer/test_reference.c and bench_tokenizer.c.

    make_reference.py --model tokenizer.model --out FILE [--added ADDED.txt] [--transformers] [--lines N] [--seed N]
    make_reference.py --json tokenizer.json --out FILE [--lines N] [--seed N]

--added: lines "id text", special tokens beyond the SentencePiece model.
--transformers: also encode the lines with transformers' tokenizer made of the same model, and print how many are equal.
Needs sentencepiece and protobuf (and transformers), or tokenizers.

The file: "GLTR", uint32 number of lines, then for each line uint32 bytes, the bytes, and for both modes (plain, special) the number of
ids as uint32 and the FNV-1a hash of the ids as little-endian uint32.
"""

import argparse
import codecs
import json
import struct
import tempfile

import reference_lines

try:
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
except ImportError:  # tokenizer.json does not need it
    pass

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
NAMES = {"<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<start_of_audio>", "<end_of_audio>",
         "<audio_soft_token>"}


def is_special(piece):
    unused = piece.piece.startswith("<unused") and piece.piece.endswith(">")
    return piece.type in (CONTROL, UNKNOWN) or (piece.type == USER_DEFINED and (piece.piece in NAMES or unused))


def load(path, added):
    model = proto.ModelProto()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    for id in range(len(model.pieces), max([len(model.pieces) - 1, *added]) + 1):
        model.pieces.add(piece=added.get(id, f"\u0001no piece {id}"), score=0, type=CONTROL)
    return model


def processor(model, special_type):
    """SentencePiece with all special pieces declared as `special_type`; it insists on an unknown piece, which byte fallback never uses."""
    model_copy = proto.ModelProto()
    model_copy.CopyFrom(model)
    for piece in model_copy.pieces:
        if is_special(piece):
            piece.type = CONTROL if piece.piece.startswith("\u0001") else special_type
    model_copy.pieces.add(piece="\u0001unknown", score=0, type=UNKNOWN)
    for name in ("unk", "bos", "eos", "pad"):
        setattr(model_copy.trainer_spec, name + "_piece", "\u0001unknown" if name == "unk" else f"\u0001{name}")
    return sentencepiece.SentencePieceProcessor(model_proto=model_copy.SerializeToString())


def encode_lines(processor, lines):
    return [processor.encode(line) for line in lines]


def fnv1a(ids):
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def transformers_tokenizer(model, added):
    """transformers' own conversion of the model, as AutoTokenizer does where there is no tokenizer.json."""
    import os

    import transformers

    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "tokenizer.model"), "wb") as f:
        base = proto.ModelProto()
        base.CopyFrom(model)
        del base.pieces[len(base.pieces) - sum(1 for p in base.pieces if p.piece.startswith("\u0001") or p.piece in added.values()):]
        f.write(base.SerializeToString())
    tokens = {str(i): {"content": p.piece, "special": True} for i, p in enumerate(model.pieces) if is_special(p) and not p.piece.startswith("\u0001")}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "added_tokens_decoder": tokens}, f)
    return transformers.AutoTokenizer.from_pretrained(folder)


def compare(tokenizer, lines, expected, texts):
    # transformers numbers added tokens from the end of the vocabulary on.
    number = {text: id for id, text in enumerate(texts)}
    theirs_to_ours = {id: number.get(text, -1) for text, id in tokenizer.get_vocab().items()}
    equal, shown, valid = 0, 0, 0
    for line, ids in zip(lines, expected):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            continue
        valid += 1
        theirs = [theirs_to_ours[id] for id in tokenizer.encode(text, add_special_tokens=False)]
        equal += theirs == ids
        if theirs != ids and shown < 12:
            shown += 1
            at = next((i for i, (a, b) in enumerate(zip(theirs, ids)) if a != b), min(len(theirs), len(ids)))
            print(f"differs at token {at}: {text[:60]!r}: transformers {theirs[at:at + 6]}, sentencepiece {ids[at:at + 6]}")
    print(f"transformers: {equal} of {valid} lines of valid UTF-8 are equal to SentencePiece's")


def write_reference(path, lines, modes):
    with open(path, "wb") as f:
        f.write(b"GLTR" + struct.pack("<I", len(lines)))
        for line, *ids_of_modes in zip(lines, *modes):
            f.write(struct.pack("<I", len(line)) + line)
            for ids in ids_of_modes:
                f.write(struct.pack("<II", len(ids), fnv1a(ids)))
    print(f"{len(lines)} lines, {sum(map(len, lines))} bytes, {sum(map(len, modes[0]))} ids")


def encode_with_json(arguments):
    """The package takes text: a byte that is no UTF-8 is U+FFFD, each for itself."""
    import tokenizers

    codecs.register_error("each", lambda e: ("\ufffd" * (e.end - e.start), e.end))
    tokenizer = tokenizers.Tokenizer.from_file(arguments.json)
    with open(arguments.json) as f:
        model = json.load(f)
    added = [token["content"] for token in model["added_tokens"]]
    specials = added + ["<unused0>", "<unused3>", "<unused", "<table>", "</s>", "<0x0A>", "[multimodal]", "<|", "|>", "<|turn", "turn|>", "<|turn|>"]
    pieces = [p for p in model["model"]["vocab"] if p not in added and not p.startswith(("<unused", "<0x"))]
    lines = reference_lines.lines(pieces, specials, arguments.lines, arguments.seed)
    modes = []
    for as_text in (True, False):
        tokenizer.encode_special_tokens = as_text
        modes.append([tokenizer.encode(line.decode(errors="each"), add_special_tokens=False).ids for line in lines])
    write_reference(arguments.out, lines, modes)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--json")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    parser.add_argument("--added")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--lines", type=int, default=20000)
    arguments = parser.parse_args()
    if arguments.json:
        encode_with_json(arguments)
        return
    added = {}
    if arguments.added:
        with open(arguments.added) as f:
            added = {int(id): text for id, text in (line.split() for line in f)}
    model = load(arguments.model, added)
    named = [p for p in model.pieces if not p.piece.startswith("\u0001")]
    specials = [p.piece for p in named if is_special(p) and not p.piece.startswith("<unused")] + ["<unused0>", "<unused514>", "<unused98>", "<unused", "<unused99999>"]
    pieces = [p.piece for p in named if p.type in (NORMAL, USER_DEFINED, UNUSED)]
    lines = reference_lines.lines(pieces, specials, arguments.lines)
    modes = [encode_lines(processor(model, type), lines) for type in (CONTROL, USER_DEFINED)]
    write_reference(arguments.out, lines, modes)
    unmodified = sentencepiece.SentencePieceProcessor(model_file=arguments.model)
    same = sum(unmodified.encode(line) == ids for line, ids in zip(lines, modes[1]))
    print(f"the unmodified model gives the ids of the special mode on {same} lines")
    if arguments.transformers:
        compare(transformers_tokenizer(model, added), lines, modes[1], [p.piece for p in model.pieces])


if __name__ == "__main__":
    main()
