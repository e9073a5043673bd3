#!/usr/bin/env python3
"""Writes an mmproj GGUF with the shapes of Gemma 4 E's image encoder (gemma4v: 16 layers of width 768, 12 heads of 64, feed-forward 3,072) and
random weights on grids of int8, one step a row, so that packing loses nothing; and a PPM that neither gemlet (70 soft tokens) nor llama.cpp
scales: 480 x 336 pixels are 10 x 7 squares of 48.  The projector has the width of the small text model given (pip install gguf numpy):

    make_vit_shape.py TEXT.gguf OUT.gguf PICTURE.ppm [--layers N]
"""
import argparse

import gguf
import numpy as np

WIDTH, HEADS, INNER, PATCH, POSITIONS, ACROSS, DOWN = 768, 12, 3072, 16, 1120, 480, 336


def on_grid(rng, rows, columns):
    least = 2.0 ** np.floor(np.log2(1 / 40 / np.sqrt(columns)))
    steps = (least / 8 * rng.integers(8, 16, (rows, 1))).astype(np.float32)  # products with codes are exact in float16
    codes = np.clip(np.rint(rng.normal(0, 40, (rows, columns))), -127, 127).astype(np.float32)
    codes[:, 0] = 127  # so that the packer finds the step
    return (codes * steps).astype(np.float16)


def picture(rng):
    y, x = np.mgrid[0:DOWN, 0:ACROSS] / ACROSS
    image = np.stack([0.5 + 0.5 * np.sin(23 * x + 9 * y), (y * x * 7) % 1.0, ((x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.06) * 0.8], -1)
    return (np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1) * 255).round().astype(np.uint8)


def add_layer(writer, rng, i):
    norm = lambda name, length, mean: writer.add_tensor(f"v.blk.{i}.{name}.weight", rng.normal(mean, 0.05, length).astype(np.float32))
    for name, rows, columns, bound in (("attn_q", WIDTH, WIDTH, 4.0), ("attn_k", WIDTH, WIDTH, 4.0), ("attn_v", WIDTH, WIDTH, 4.0),
                                       ("attn_out", WIDTH, WIDTH, 3.0), ("ffn_gate", INNER, WIDTH, 4.0), ("ffn_up", INNER, WIDTH, 4.0),
                                       ("ffn_down", WIDTH, INNER, 6.0)):
        writer.add_tensor(f"v.blk.{i}.{name}.weight", on_grid(rng, rows, columns))
        for side, most in (("input", bound), ("output", 16.0)):
            most = np.float32(most)
            writer.add_tensor(f"v.blk.{i}.{name}.{side}_max", np.array([most]))
            writer.add_tensor(f"v.blk.{i}.{name}.{side}_min", np.array([-most * 128 / 127], np.float32))
    norm("ln1", WIDTH, 1.0)
    norm("ln2", WIDTH, 1.0)
    norm("attn_post_norm", WIDTH, 0.3)
    norm("ffn_post_norm", WIDTH, 0.3)
    norm("attn_q_norm", WIDTH // HEADS, 0.38)
    norm("attn_k_norm", WIDTH // HEADS, 1.3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("out")
    parser.add_argument("picture")
    parser.add_argument("--layers", type=int, default=16)
    a = parser.parse_args()
    text_width = int(gguf.GGUFReader(a.text).fields["gemma4.embedding_length"].contents())
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(a.out, "clip")
    writer.add_string("general.type", "mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.vision.projector_type", "gemma4v")
    for key, value in (("projection_dim", text_width), ("image_size", 224), ("patch_size", PATCH), ("embedding_length", WIDTH),
                       ("feed_forward_length", INNER), ("block_count", a.layers), ("attention.head_count", HEADS)):
        writer.add_uint32("clip.vision." + key, value)
    writer.add_array("clip.vision.image_mean", [0.0] * 3)
    writer.add_array("clip.vision.image_std", [1.0] * 3)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_tensor("mm.input_projection.weight", on_grid(rng, text_width, WIDTH))
    writer.add_tensor("v.patch_embd.weight", rng.normal(0, 1 / np.sqrt(3 * PATCH * PATCH), (WIDTH, 3, PATCH, PATCH)).astype(np.float32))
    writer.add_tensor("v.position_embd.weight", rng.normal(0, 0.3, (2, POSITIONS, WIDTH)).astype(np.float32))
    for i in range(a.layers):
        add_layer(writer, rng, i)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open(a.picture, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (ACROSS, DOWN) + picture(rng).tobytes())


main()
