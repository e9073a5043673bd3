#!/usr/bin/env python3
"""Writes what the tests of image encoders that are transformers compare with, out of the reference implementation's outputs.

    python make_vit_reference.py GOLDEN.npz model.safetensors tests/data/vision/gemma4
    python make_vit_reference.py GOLDEN.npz "" tests/data/vision/gemma3
    python make_vit_reference.py "" tests/data/vision/gemma3/hf tests/data/vision/gemma3    (adds what pan and scan gives, by transformers)

GOLDEN.npz of Gemma 4 holds for a picture K imageK_rgb, imageK_resized, imageK_ids, imageK_logits_tail, imageK_soft_tokens, visionK_rows (the
patches whose numbers are recorded) and visionK_STAGE.  A picture's files are K.rgb (height and width as two u32, then bytes), K.resized.rgb,
K.ids.u32, K.rows.u32 and K.STAGE.f32; the encoder's weights are vision.safetensors.  grids.u32 are sizes that transformers brings sizes to:
width, height, budget, width, height, the last two 0 where it refuses.

That of Gemma 3 holds one picture, source_rgb and image_rgb (at its size), and two_ids, two_logits_tail of a prompt with the picture and its
mirror image; logits.f32 and causal.f32 are those of the last 16 positions, causal as they would be if soft tokens saw no later ones.

Pan and scan: crops.ids.u32 are a user's turn with the picture, each of its pixels four, and a question, as the processor expands it;
crops.logits.f32 the logits of its last 8 positions; crops.K.resized.rgb every seventh row of picture (0) and crops as they are encoded.
"""
import os, random, sys
import numpy as np


def write_picture(path, rgb):
    with open(path, "wb") as f:
        f.write(np.array(rgb.shape[:2], "<u4").tobytes() + rgb.tobytes())


def grids():
    from transformers.models.gemma4.image_processing_gemma4 import get_aspect_ratio_preserving_size
    rng = random.Random(4)
    sizes = [(1, 1), (48, 48), (1, 8192), (8192, 1), (70, 1), (1, 71), (16384, 16384), (3, 200), (200, 3), (640, 480), (1920, 1080)]
    sizes += [(int(2 ** rng.uniform(0, 14)), int(2 ** rng.uniform(0, 14))) for _ in range(400)]
    rows = []
    for width, height in sizes:
        for budget in (70, 140, 280, 560, 1120):
            try:
                h, w = get_aspect_ratio_preserving_size(height, width, 16, budget * 9, 3)
            except ValueError:
                h = w = 0
            rows.append((width, height, budget, w, h))
    return np.array(rows, "<u4")


def write_gemma3(golden, out):
    write_picture(f"{out}/0.rgb", golden["source_rgb"])
    write_picture(f"{out}/0.resized.rgb", golden["image_rgb"])
    write_picture(f"{out}/1.rgb", np.ascontiguousarray(golden["image_rgb"][:, ::-1]))
    rows = np.arange(0, len(golden["vision_embed"]), 3)
    rows.astype("<u4").tofile(f"{out}/0.rows.u32")
    for name in golden.files:
        stage = name.removeprefix("vision_")
        if name.startswith("vision_") and (stage == "embed" or stage.removeprefix("layer").isdigit()):
            golden[name][rows].astype("<f4").tofile(f"{out}/0.{stage}.f32")
    golden["image_ids"].astype("<u4").tofile(f"{out}/0.ids.u32")
    golden["image_soft_tokens"].astype("<f4").tofile(f"{out}/0.soft.f32")
    golden["image_logits"][-16:].astype("<f4").tofile(f"{out}/0.logits.f32")
    golden["image_logits_if_causal"][-16:].astype("<f4").tofile(f"{out}/0.causal.f32")
    golden["two_ids"].astype("<u4").tofile(f"{out}/1.ids.u32")
    golden["two_logits_tail"].astype("<f4").tofile(f"{out}/1.logits.f32")


def write_crops(hf, out):
    import sentencepiece, torch
    from types import SimpleNamespace
    from transformers import Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor
    data = open(f"{out}/0.rgb", "rb").read()
    rgb = np.frombuffer(data[8:], np.uint8).reshape(*np.frombuffer(data[:8], "<u4"), 3).repeat(2, 0).repeat(2, 1)
    how = {k: v for k, v in Gemma3Processor.images_kwargs.items() if k.startswith("pan_and_scan_")}
    seen = Gemma3ImageProcessor.from_pretrained(hf)(torch.from_numpy(rgb).permute(2, 0, 1), return_tensors="pt", do_pan_and_scan=True, **how)
    model = Gemma3ForConditionalGeneration.from_pretrained(hf, dtype=torch.float32).eval()
    for k, square in enumerate((seen["pixel_values"] * 0.5 + 0.5).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()):
        write_picture(f"{out}/crops.{k}.resized.rgb", np.ascontiguousarray(square[::7]))
    soft, tokens = model.config.image_token_index, model.config.mm_tokens_per_image
    one = "\n\n<start_of_image>" + "<image_soft_token>" * tokens + "<end_of_image>\n\n"
    image = Gemma3Processor.replace_image_token(SimpleNamespace(full_image_sequence=one), {"num_crops": [int(seen["num_crops"][0])]}, 0)
    text = f"<start_of_turn>user\n{image}describe the picture<end_of_turn>\n<start_of_turn>model\n"
    pieces, ids = sentencepiece.SentencePieceProcessor(f"{hf}/tokenizer.model"), [2]
    for i, part in enumerate(text.split("<image_soft_token>")):
        ids += ([soft] if i else []) + pieces.encode(part)
    ids = torch.tensor(ids)[None]
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=seen["pixel_values"], token_type_ids=(ids == soft).long(), use_cache=False).logits
    ids[0].numpy().astype("<u4").tofile(f"{out}/crops.ids.u32")
    logits[0, -8:].numpy().astype("<f4").tofile(f"{out}/crops.logits.f32")


def main():
    if sys.argv[1] == "":
        write_crops(sys.argv[2], sys.argv[3])
        return
    golden, out = np.load(sys.argv[1]), sys.argv[3]
    os.makedirs(out, exist_ok=True)
    if "source_rgb" in golden:
        write_gemma3(golden, out)
        return
    k = 0
    while f"image{k}_rgb" in golden:
        write_picture(f"{out}/{k}.rgb", golden[f"image{k}_rgb"])
        write_picture(f"{out}/{k}.resized.rgb", golden[f"image{k}_resized"])
        golden[f"image{k}_ids"].astype("<u4").tofile(f"{out}/{k}.ids.u32")
        golden[f"vision{k}_rows"].astype("<u4").tofile(f"{out}/{k}.rows.u32")
        golden[f"image{k}_soft_tokens"].astype("<f4").tofile(f"{out}/{k}.soft.f32")
        golden[f"image{k}_logits_tail"].astype("<f4").tofile(f"{out}/{k}.logits.f32")
        for name in golden.files:
            stage = name.removeprefix(f"vision{k}_")
            if name.startswith(f"vision{k}_") and (stage == "embed" or stage.removeprefix("layer").isdigit()):
                golden[name].astype("<f4").tofile(f"{out}/{k}.{stage}.f32")
        k += 1
    grids().tofile(f"{out}/grids.u32")
    from safetensors.torch import load_file, save_file
    weights = load_file(sys.argv[2])
    save_file({k: v for k, v in weights.items() if k.startswith(("model.vision_tower.", "model.embed_vision."))}, f"{out}/vision.safetensors")


main()
