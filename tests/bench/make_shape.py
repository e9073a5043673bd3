#!/usr/bin/env python3
"""Writes a text GGUF with the layers of Gemma 3n E2B, or of Gemma 4 E2B where the small file given is one of that family, and random
weights, so that what a real layer costs can be counted.  Gemma 3n: hidden 2,048, feed-forward 8,192, 8 heads of 256 over 2 key heads, 30
layers of which 10 are sparse and 10 share keys.  Gemma 4: 35 layers as published, but for keys that shared layers would not use.  Tokenizer and vocabulary are
those of the small file given, so the LM head and the embedding tables are small.  Types are as llama.cpp's quantiser leaves them: Q4_0,
F16 for what it does not quantise.  llama.cpp and gemlet-pack read it (pip install gguf numpy):

    make_shape.py tests/data/tiny/text-q4_0.gguf OUT.gguf [--dense] [--layers N] [--hidden N] [--feed-forward N]

--dense and the numbers: of Gemma 3n.  --dense: no layer is sparse.  llama.cpp has its own rule which layers are sparse or share keys, by number: 30 layers keep it right.
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


def gemma3n(a, template, vocabulary):
    return {
        "gemma3n.block_count": a.layers, "gemma3n.context_length": 32768, "gemma3n.embedding_length": a.hidden,
        "gemma3n.feed_forward_length": [a.feed_forward] * a.layers, "gemma3n.attention.head_count": HEADS,
        "gemma3n.attention.head_count_kv": KEY_HEADS, "gemma3n.attention.key_length": HEAD_WIDTH,
        "gemma3n.attention.value_length": HEAD_WIDTH, "gemma3n.attention.sliding_window": WINDOW,
        "gemma3n.attention.shared_kv_layers": SHARED,
        "gemma3n.activation_sparsity_scale": [0.0 if a.dense or i >= SPARSE else DEVIATIONS for i in range(a.layers)],
        "gemma3n.attention.sliding_window_pattern": [i % 5 != 4 for i in range(a.layers)]
    }, matrices(a.hidden, a.feed_forward, a.layers, vocabulary), norms(a.hidden, a.layers)


# Gemma 4 E2B: every fifth layer is global and has wider heads, the last 20 share keys and are twice as wide.
GEMMA4_LAYERS, GEMMA4_SHARED, GEMMA4_HIDDEN, GEMMA4_INNER, GEMMA4_HEADS, GEMMA4_GLOBAL_HEAD = 35, 20, 1536, 6144, 8, 512


def gemma4_widths(layer):
    """Of a head, of the feed-forward."""
    return GEMMA4_GLOBAL_HEAD if layer % 5 == 4 else HEAD_WIDTH, GEMMA4_INNER * (2 if layer >= GEMMA4_LAYERS - GEMMA4_SHARED else 1)


def gemma4_matrices(vocabulary):
    q4, f16, hidden = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.F16, GEMMA4_HIDDEN
    yield "token_embd", (vocabulary, hidden), q4
    yield "per_layer_token_embd", (vocabulary, GEMMA4_LAYERS * PER_LAYER), q4
    yield "per_layer_model_proj", (GEMMA4_LAYERS * PER_LAYER, hidden), f16
    for i in range(GEMMA4_LAYERS):
        head, inner = gemma4_widths(i)
        if i < GEMMA4_LAYERS - GEMMA4_SHARED:
            yield f"blk.{i}.attn_k", (head, hidden), q4
            yield f"blk.{i}.attn_v", (head, hidden), q4
        for name, rows, columns in (("attn_q", GEMMA4_HEADS * head, hidden), ("attn_output", hidden, GEMMA4_HEADS * head), ("ffn_gate", inner, hidden),
                                    ("ffn_up", inner, hidden), ("ffn_down", hidden, inner), ("inp_gate", PER_LAYER, hidden), ("proj", hidden, PER_LAYER)):
            yield f"blk.{i}.{name}", (rows, columns), q4


def gemma4_norms():
    yield "output_norm", GEMMA4_HIDDEN, 1.0
    yield "per_layer_proj_norm", PER_LAYER, 1.0
    for i in range(GEMMA4_LAYERS):
        head, _ = gemma4_widths(i)
        if i < GEMMA4_LAYERS - GEMMA4_SHARED:
            yield f"blk.{i}.attn_k_norm", head, 0.07
        for name, length, mean in (("attn_norm", GEMMA4_HIDDEN, 1.0), ("attn_q_norm", head, 1.0), ("post_attention_norm", GEMMA4_HIDDEN, 0.15),
                                   ("ffn_norm", GEMMA4_HIDDEN, 1.0), ("post_ffw_norm", GEMMA4_HIDDEN, 0.15), ("post_norm", GEMMA4_HIDDEN, 0.15),
                                   ("layer_output_scale", 1, 0.9)):
            yield f"blk.{i}.{name}", length, mean


def gemma4(_, template, vocabulary):
    local = [i % 5 != 4 for i in range(GEMMA4_LAYERS)]
    return {
        "gemma4.block_count": GEMMA4_LAYERS, "gemma4.context_length": 131072, "gemma4.embedding_length": GEMMA4_HIDDEN,
        "gemma4.feed_forward_length": [gemma4_widths(i)[1] for i in range(GEMMA4_LAYERS)], "gemma4.attention.head_count": GEMMA4_HEADS,
        "gemma4.attention.head_count_kv": 1, "gemma4.attention.key_length": GEMMA4_GLOBAL_HEAD, "gemma4.attention.value_length": GEMMA4_GLOBAL_HEAD,
        "gemma4.attention.key_length_swa": HEAD_WIDTH, "gemma4.attention.value_length_swa": HEAD_WIDTH, "gemma4.attention.sliding_window": WINDOW,
        "gemma4.attention.sliding_window_pattern": local, "gemma4.attention.shared_kv_layers": GEMMA4_SHARED,
        "gemma4.embedding_length_per_layer_input": PER_LAYER, "gemma4.rope.dimension_count": GEMMA4_GLOBAL_HEAD, "gemma4.rope.dimension_count_swa": HEAD_WIDTH
    }, gemma4_matrices(vocabulary), gemma4_norms()


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
    family = template.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(a.out, family)
    metadata, all_matrices, all_norms = {"gemma3n": gemma3n, "gemma4": gemma4}[family](a, template, vocabulary)
    copy_metadata(writer, template, metadata)
    rng = np.random.default_rng(1)
    for name, shape, kind in all_matrices:
        raw = kind if kind == gguf.GGMLQuantizationType.Q4_0 else None
        writer.add_tensor(name + ".weight", random_matrix(rng, shape, kind), raw_dtype=raw)
    for name, length, mean in all_norms:
        writer.add_tensor(name + ".weight", rng.normal(mean, 0.1 * mean, length).astype(np.float32))
    if family == "gemma4":  # a quarter of a global head's pairs turn
        pairs = GEMMA4_GLOBAL_HEAD // 2
        writer.add_tensor("rope_freqs.weight", np.repeat(np.float32([1, 1e30]), [pairs // 4, pairs - pairs // 4]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
