#!/usr/bin/env python3
"""What the ears rest on: ears.Ears computes what transformers computes, sounds.log_mel what its feature extractor does, and the trained ears
of state/, in transformers, hear the questions of examples/demo.

    python test_ears.py [--untrained]        # for train.sh, before there are any trained ones
"""
import csv
import os
import sys
import wave

import numpy as np
import torch
from PIL import Image

import cache
import decoder
import ears
import export
import model
import sounds
from sizes import AUDIO_SOFT_TOKEN, END_OF_AUDIO, SOUND_POSITIONS, START_OF_AUDIO
from state import load_snapshot

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "..", "examples", "demo")


@torch.no_grad()
def computes_the_same():
    """Clips of different lengths in one batch, with random weights."""
    torch.manual_seed(2)
    m, ours = model.build().eval(), ears.Ears()
    for p in ours.parameters():
        p.add_(torch.randn_like(p) * .1)
    export.wear(m, ours.state_dict())
    lengths = torch.tensor([230, 97, 160])
    frames = torch.randn(3, 230, ears.BINS) * 3 - 4
    silent = torch.arange(230) >= lengths[:, None]
    frames[silent] = 0
    x, valid, prompt, end = ours(frames, lengths)
    out = m.model.get_audio_features(frames, silent)
    theirs, n = out.pooler_output, out.pooler_output.shape[1]
    kept = valid[:, ::ears.REDUCTION]
    worst = (prompt[:, :n] - theirs)[kept].abs().max().item()
    hard = m.model.embed_audio(input_ids=torch.tensor([model.END_OF_AUDIO, model.N_TEXT + model.N_VISION + model.N_AUDIO - 1]))
    worst_hard = max((hard[0] - end).abs().max().item(), (hard[1] - prompt[0, -1]).abs().max().item())
    print(f"soft tokens {tuple(theirs.shape)}, largest difference {worst:.2e}; of the special tokens {worst_hard:.2e}")
    return worst < 1e-4 and worst_hard < 1e-5


def recorded(name):
    """Samples in -1..1 of a WAV file of examples/demo."""
    with wave.open(os.path.join(DEMO, name)) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (sounds.RATE, 1, 2), name
        return np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float32) / 32768


def frames_are_the_same():
    from transformers import Gemma3nAudioFeatureExtractor
    x = recorded("one.wav")
    theirs = Gemma3nAudioFeatureExtractor()(x, return_tensors="np")
    mel, mask = sounds.log_mel(x)
    n = min(len(mel), len(theirs["input_features"][0]))
    worst = np.abs(mel[:n] - theirs["input_features"][0, :n])[mask[:n]].max()
    same = mask[:n].tolist() == theirs["input_features_mask"][0, :n].tolist() and mask.sum() == theirs["input_features_mask"].sum()
    print(f"{mask.sum()} frames of one.wav, largest difference {worst:.2e}, {'the same' if same else 'OTHERS'} of them sound")
    return bool(worst < 2e-4 and same)


def whole_model():
    m, _ = cache.trained_encoder("")
    d = decoder.Decoder()
    d.load_state_dict(load_snapshot(os.path.join(HERE, "state", "text.npz"))[0])
    d.to_hf(m)
    export.wear(m, export.trained_ears("")[0])
    return m.eval()


@torch.no_grad()
def hears():
    """Greedy decoding gives the right answer: at each of its places the right token, given those before, is the likeliest."""
    m, prompt, right, asked = whole_model(), model.Prompt(os.path.join(HERE, "state", "tokenizer.model")), 0, 0
    spoken = prompt.sp.encode("\n\n") + [START_OF_AUDIO] + [AUDIO_SOFT_TOKEN] * SOUND_POSITIONS + [END_OF_AUDIO] + prompt.sp.encode("\n\n")
    with open(os.path.join(DEMO, "spoken.tsv")) as f:
        for picture, sound, question, answer in csv.reader(f, delimiter="\t"):
            pixels = torch.from_numpy(np.array(Image.open(os.path.join(DEMO, picture)).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
            mel, mask = sounds.log_mel(recorded(sound))
            start, wanted = prompt.prefix + spoken + prompt.question(""), prompt.answer(answer)
            hidden = m.model(input_ids=torch.tensor([start + wanted[:-1]]), pixel_values=pixels, use_cache=False,
                             input_features=torch.from_numpy(mel * mask[:, None])[None], input_features_mask=torch.from_numpy(mask)[None])
            given = m.lm_head(hidden.last_hidden_state[0, len(start) - 1:]).argmax(-1).tolist()
            print(f"{picture}, {sound} ({question}): {prompt.text(given)}")
            right, asked = right + (given == wanted), asked + 1
    return right == asked == 3


if __name__ == "__main__":
    checks = [computes_the_same, frames_are_the_same] + ([] if "--untrained" in sys.argv else [hears])
    sys.exit(0 if all([check() for check in checks]) else 1)
