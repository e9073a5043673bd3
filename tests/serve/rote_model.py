"""A model that says a text by rote: a Gemma 4 whose layers add nothing, so that the next token follows from the last one alone.

    rote_model.write(FOLDER)    a folder as Hugging Face has it, for gemlet-pack

Behind a turn's beginning it calls a function, `f` with the number `n` 4, and behind the response it says "ok".
"""
import json
import random
import struct
from pathlib import Path

SHAPES = Path("tests/data/gemma4-tiny/hf")
# Each token once: a byte stands for the second of two equal characters.
CALL = ["\n", "<|tool_call>", "c", "a", "l", "<0x6C>", ":", "f", "{", "n", "<0x3A>", "4", "}", "<tool_call|>", "<|tool_response>"]
ANSWER = ["<tool_response|>", "o", "k", "<turn|>"]


def token_of(text, tokens):
    return tokens[text] if text in tokens else tokens[f"<0x{ord(text):02X}>"]


def half(number):
    return struct.pack("<e", number)


def tensors(tokens):
    """name: (shape, bytes) of all that the text model has."""
    made = {}
    for line in (SHAPES / "tensors.tsv").read_text().splitlines():
        name, _, shape = line.split("\t")[:3]
        if "language_model" in name:
            shape = [int(side) for side in shape.split(",")]
            count = 1
            for side in shape:
                count *= side
            # What a layer adds is scaled by the norm behind it; the stream itself by layer_scalar.
            made[name] = (shape, half(0.0 if "layers." in name and "post_" in name else 1.0 if name.endswith(("norm.weight", "layer_scalar")) else 0.0) * count)
    name = "model.language_model.embed_tokens.weight"
    (rows, width), _ = made[name]
    signs = random.Random(1)
    embedding = [[signs.choice((-1.0, 1.0)) for _ in range(width)] for _ in range(rows)]
    head = [[0.0] * width for _ in range(rows)]
    for path in (CALL, ANSWER):
        for last, following in zip(path, path[1:]):
            head[token_of(following, tokens)] = [0.25 * sign for sign in embedding[token_of(last, tokens)]]
    for name, matrix in ((name, embedding), ("lm_head.weight", head)):
        made[name] = ([rows, width], b"".join(half(number) for row in matrix for number in row))
    return made


def write(folder):
    folder = Path(folder)
    folder.mkdir()
    config = json.loads((SHAPES / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((SHAPES / name).read_bytes())
    header, data = {}, b""
    for name, (shape, numbers) in tensors(json.loads((SHAPES / "tokenizer.json").read_text())["model"]["vocab"]).items():
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
