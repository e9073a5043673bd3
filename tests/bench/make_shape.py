#!/usr/bin/env python3
"""Writes a text GGUF with the layers of Gemma 3n E2B and random weights, so that what a real layer costs can be counted: hidden 2,048,
feed-forward 8,192, 8 heads of 256 over 2 key heads, 30 layers of which 10 are sparse and 10 share keys.  Tokenizer and vocabulary are
those of the small file given, so the LM head and the embedding tables are small.  Types are as llama.cpp's quantiser leaves them: Q4_0,
F16 for what it does not quantise.  llama.cpp and gemlet-pack read it (pip install gguf numpy):

    make_shape.py tests/data/tiny/text-q4_0.gguf OUT.gguf [--dense] [--layers N] [--hidden N] [--feed-forward N]

--dense: no layer is sparse.  llama.cpp has its own rule which layers are sparse or share keys, by number: 30 layers keep it right.
"""
import argparse

import gguf
import numpy as np

HEADS, KEY_HEADS, HEAD_WIDTH, PER_LAYER, LAUREL, STREAMS, SHARED, WINDOW = 8, 2, 256, 256, 64, 4, 10, 512
SPARSE, DEVIATIONS = 10, 1.6448536


def matrices(hidden, inner, layers, vocabulary):
    """Name, shape (rows first) and type of everything but the layers' norms."""
    q4, f16, f32 = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32
    yield "token_embd", (vocabulary, hidden), q4
    yield "per_layer_token_embd", (vocabulary, layers * PER_LAYER), q4
    yield "per_layer_model_proj", (layers * PER_LAYER, hidden), f16
    yield "altup_proj", (STREAMS - 1, hidden, hidden), f16
    yield "altup_unembd_proj", (STREAMS - 1, hidden, hidden), f16
    for i in range(layers):
        for name, rows, columns in (("attn_q", HEADS * HEAD_WIDTH, hidden), ("attn_k", KEY_HEADS * HEAD_WIDTH, hidden),
                                    ("attn_v", KEY_HEADS * HEAD_WIDTH, hidden), ("attn_output", hidden, HEADS * HEAD_WIDTH),
                                    ("ffn_gate", inner, hidden), ("ffn_up", inner, hidden), ("ffn_down", hidden, inner),
                                    ("inp_gate", PER_LAYER, hidden), ("proj", hidden, PER_LAYER)):
            yield f"blk.{i}.{name}", (rows, columns), q4
        for name, rows, columns in (("laurel_l", LAUREL, hidden), ("laurel_r", hidden, LAUREL), ("altup_router", STREAMS, hidden),
                                    ("altup_correct_coef", STREAMS, STREAMS), ("altup_predict_coef", STREAMS * STREAMS, STREAMS)):
            yield f"blk.{i}.{name}", (rows, columns), f32


def norms(hidden, layers):
    """Name, length and mean; small where a residual stream is added to, or random layers amplify every rounding error."""
    yield "output_norm", hidden, 1.0
    yield "per_layer_proj_norm", PER_LAYER, 1.0
    for i in range(layers):
        for name, length, mean in (("attn_norm", hidden, 1.0), ("attn_q_norm", HEAD_WIDTH, 1.0), ("attn_k_norm", HEAD_WIDTH, 1.0),
                                   ("post_attention_norm", hidden, 0.15), ("ffn_norm", hidden, 1.0), ("post_ffw_norm", hidden, 0.15),
                                   ("laurel_post_norm", hidden, 0.15), ("post_norm", hidden, 0.15), ("altup_router_norm", hidden, 1.0),
                                   ("altup_correct_scale", hidden, 1.0)):
            yield f"blk.{i}.{name}", length, mean


def random_matrix(rng, shape, kind):
    deviation = 1 / np.sqrt(shape[-1])
    if kind != gguf.GGMLQuantizationType.Q4_0:
        x = rng.normal(0, deviation, shape).astype(np.float32)
        return x.astype(np.float16) if kind == gguf.GGMLQuantizationType.F16 else x
    blocks = rng.integers(0, 256, (shape[0], shape[1] // 32, 18), dtype=np.uint8)
    scale = np.float16(deviation / 4.61)  # of nibbles from -8 to 7, all as likely
    blocks[..., :2] = np.frombuffer(scale.tobytes(), np.uint8)
    return blocks.reshape(shape[0], -1)


def copy_metadata(writer, template, replaced):
    for field in template.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = replaced.pop(field.name, field.contents())
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, field.types[1] if kind == gguf.GGUFValueType.ARRAY else None)
    assert not replaced, replaced


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("template")
    parser.add_argument("out")
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--feed-forward", type=int, default=8192)
    a = parser.parse_args()
    template = gguf.GGUFReader(a.template)
    vocabulary = len(template.fields["tokenizer.ggml.tokens"].data)
    writer = gguf.GGUFWriter(a.out, "gemma3n")
    copy_metadata(writer, template, {
        "gemma3n.block_count": a.layers, "gemma3n.context_length": 32768, "gemma3n.embedding_length": a.hidden,
        "gemma3n.feed_forward_length": [a.feed_forward] * a.layers, "gemma3n.attention.head_count": HEADS,
        "gemma3n.attention.head_count_kv": KEY_HEADS, "gemma3n.attention.key_length": HEAD_WIDTH,
        "gemma3n.attention.value_length": HEAD_WIDTH, "gemma3n.attention.sliding_window": WINDOW,
        "gemma3n.attention.shared_kv_layers": SHARED,
        "gemma3n.activation_sparsity_scale": [0.0 if a.dense or i >= SPARSE else DEVIATIONS for i in range(a.layers)],
        "gemma3n.attention.sliding_window_pattern": [i % 5 != 4 for i in range(a.layers)]})
    rng = np.random.default_rng(1)
    for name, shape, kind in matrices(a.hidden, a.feed_forward, a.layers, vocabulary):
        raw = kind if kind == gguf.GGMLQuantizationType.Q4_0 else None
        writer.add_tensor(name + ".weight", random_matrix(rng, shape, kind), raw_dtype=raw)
    for name, length, mean in norms(a.hidden, a.layers):
        writer.add_tensor(name + ".weight", rng.normal(mean, 0.1 * mean, length).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
