#!/usr/bin/env python3
"""decoder.Decoder computes what transformers computes, for single turns behind all 256 soft tokens.

    python test_decoder.py TOKENIZER.model
"""
import random
import sys

import torch

import decoder
import model
import scenes
import text


@torch.no_grad()
def reference_logits(m, batch, soft, prompt):
    """Logits of each turn token, computed turn by turn behind a whole prompt."""
    n, length, out = batch.turns.n_prefix, batch.turns.shape[2], []
    which = batch.turns.valid // length
    for turn in range(batch.turns.shape[0] * batch.turns.shape[1]):
        own = batch.ids[n:][which == turn].tolist()
        picture = turn // batch.turns.shape[1]
        image = type("Output", (), {"pooler_output": soft[picture:picture + 1]})()
        hidden = m.model(input_ids=torch.tensor([prompt.prefix + own]), mm_encoder_outputs={"image": image}, use_cache=False)
        out.append(30 * torch.tanh(m.lm_head(hidden.last_hidden_state[0, len(prompt.prefix):]) / 30))
    return torch.cat(out)


@torch.no_grad()
def compare(full):
    rng, prompt = random.Random(5), model.Prompt(sys.argv[1])
    m, d = model.build().eval(), decoder.Decoder()
    if full:     # values under which every branch matters
        g = torch.Generator().manual_seed(3)
        for name in ("predict", "correct", "ple_out_norm", "ple_table", "attention_norm", "ffn_norm", "laurel_norm"):
            d.p[name].copy_(torch.randn(d.p[name].shape, generator=g) * .3)
    d.to_hf(m)
    soft = decoder.rms(torch.randn(2, 256, model.HIDDEN))
    pictures = [scenes.make_scene(rng) for _ in range(2)]
    end = m.model.embed_vision(input_ids=torch.tensor([model.END_OF_IMAGE]))[0]
    batch = text.make_batch(prompt, pictures, soft, end, 3, 256, text.longest_turn(prompt), rng)
    ours = d(batch, full) if full else d(batch, full, awake=decoder.AWAKE)
    theirs = reference_logits(m, batch, soft, prompt)[batch.at]
    worst = (ours - theirs).abs().max().item()
    print(f"{'full' if full else 'core'}: logits std {theirs.std():.3f}, largest difference {worst:.2e}")
    return worst < 1e-3


if __name__ == "__main__":
    sys.exit(0 if all([compare(False), compare(True)]) else 1)
