"""Writes the tokenizer.json that a GGUF file's vocabulary of ranked merges (tokenizer.ggml.model "gemma4") was made of.

    gguf_tokenizer_json.py FILE.gguf tokenizer.json

Needs gguf.  Tokens that are looked for in the text are those that the file calls control or user-defined.
"""

import json
import sys

import gguf

BYTE, CONTROL, USER_DEFINED = 6, 3, 4


def main():
    fields = gguf.GGUFReader(sys.argv[1]).fields
    tokens, types, merges = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "merges"))
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": id, "content": text, **plain} for id, (text, kind) in enumerate(zip(tokens, types)) if kind in (CONTROL, USER_DEFINED)]
    space = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
             "ignore_merges": False, "vocab": {text: id for id, text in enumerate(tokens)}, "merges": [merge.split(" ", 1) for merge in merges]}
    with open(sys.argv[2], "w") as f:
        json.dump({"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
                   "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
                   "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}, "post_processor": None,
                   "decoder": {"type": "Sequence", "decoders": [space, {"type": "ByteFallback"}, {"type": "Fuse"}]}, "model": model}, f, ensure_ascii=False)


if __name__ == "__main__":
    main()
