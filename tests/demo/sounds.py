"""Spoken questions: espeak-ng's voices, kept apart for training, validation and test, as 16 kHz samples and as log-mel frames.

    python sounds.py FOLDER                 # sounds.npz: clips of the training and the validation voices, 8-bit log-mel frames

A clip is a function of (text, voices, seed) alone, on one version of espeak-ng (1.51 in Debian 12).
"""
import io
import os
import random
import subprocess
import sys
import wave
from multiprocessing import Pool

import numpy as np

import scenes

RATE, BINS = 16000, 128
ACCENTS = ["en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc"]
VOICES = {
    "train": ["m1", "m2", "m4", "m6", "m7", "m8", "f1", "f2", "f4", "klatt", "klatt3", "klatt4", "adam", "Alex", "Andrea", "Andy",
              "antonio", "belinda", "boris", "caleb", "david", "Diogo", "ed", "edward", "Gene", "gustave", "Henrique", "iven", "iven3",
              "Jacky", "john", "kaukovalta", "Lee", "marcelo", "Marco", "max", "michel", "miguel", "grandpa", "norbert", "pablo", "paul",
              "quincy", "rob", "sandro", "shelby", "steph", "steph3", "Storm", "travis", "grandma", "anika"],
    "validation": ["m3", "f3", "klatt2", "Annie", "benjamin", "Hugo", "robert", "steph2"],
    "test": ["m5", "f5", "klatt5", "Alicia", "Denis", "linda", "Michael", "Mike", "pedro", "victor"],
}
STEP, FLOOR = 0.2, -11.6       # of the 8-bit frames


def texts():
    """Every question of the world, once."""
    a = scenes._a
    out = ["Describe this image.", "What is in this image?", "What do you see?", "How many shapes are there?"]
    out += [f"What color is the {s}?" for s in scenes.SHAPES] + [f"Where is the {s}?" for s in scenes.SHAPES]
    out += [f"What is the {c} shape?" for c in scenes.COLOUR_NAMES]
    return out + [f"Is there {a(c)} {s}?" for c in scenes.COLOUR_NAMES for s in scenes.SHAPES]


def _resample(x, rate):
    from scipy.signal import resample_poly
    up, down = RATE, rate
    g = np.gcd(up, down)
    return resample_poly(x, up // g, down // g)


def speak(text, voices, seed):
    """Samples in -1..1, with pauses around the words and noise from 50 dB (hardly heard) to 12 dB below them."""
    rng, g = random.Random(seed), np.random.default_rng(seed)
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(VOICES[voices])}"
    command = ["espeak-ng", "-v", voice, "-s", str(rng.randint(120, 185)), "-p", str(rng.randint(25, 75)), "--stdout", text]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(made)) as w:
        rate = w.getframerate()
        x = np.frombuffer(w.readframes(1 << 24), np.int16).astype(np.float64) / 32768
    x = _resample(x, rate)
    loud = np.flatnonzero(np.abs(x) > .01)
    x = x[loud[0]:loud[-1] + 1]
    x = np.concatenate([np.zeros(int(rng.uniform(.05, .3) * RATE)), x, np.zeros(int(rng.uniform(.25, .45) * RATE))])
    level = rng.uniform(.03, .2)
    x *= level / np.sqrt(np.mean(x[x != 0] ** 2))
    noise = g.standard_normal(len(x))
    if rng.random() < .5:       # low frequencies, as of engines and wind
        noise = np.convolve(noise, np.ones(8) / 8 ** .5, "same")
    x += noise * level * 10 ** (-rng.uniform(12, 50) / 20)
    return np.clip(x, -1, 1).astype(np.float32)


def write_wav(path, x):
    with wave.open(path, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(RATE)
        w.writeframes((x * 32767).round().astype("<i2").tobytes())


_FILTERS = None


def _filters():
    """[513, BINS] triangles from 125 to 7600 Hz, equally wide on the HTK mel scale."""
    global _FILTERS
    if _FILTERS is None:
        mel = lambda f: 2595 * np.log10(1 + f / 700)
        points = 700 * (10 ** (np.linspace(mel(125.), mel(7600.), BINS + 2) / 2595) - 1)
        width, slopes = np.diff(points), points[None] - (np.arange(513) * (RATE / 1024))[:, None]
        _FILTERS = np.maximum(0, np.minimum(-slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]))
    return _FILTERS


def log_mel(x):
    """Gemma3nAudioFeatureExtractor's frames [n, BINS] and which of them are sound; of one clip, padded to 128 samples."""
    samples = len(x)
    x = np.pad(x.astype(np.float64), (0, -samples % 128))
    frames = np.lib.stride_tricks.sliding_window_view(x, 513)[::160]
    frames = np.concatenate([frames[:, :1] * .03, frames[:, 1:-1] - .97 * frames[:, :-2]], 1)
    window = .5 * (1 - np.cos(2 * np.pi * np.arange(512) / 512))
    mel = np.abs(np.fft.rfft(frames * window, 1024)) @ _filters()
    return np.log(np.maximum(mel, 1e-5)).astype(np.float32), np.arange(len(frames)) * 160 < samples


def _clip(job):
    mel, mask = log_mel(speak(*job))
    return np.clip(np.round((mel[mask] - FLOOR) / STEP), 0, 255).astype(np.uint8)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    jobs, which = [], []
    for part, (few, many), base in (("train", (22, 44), 0), ("validation", (3, 6), 10_000_000)):
        for t, text in enumerate(texts()):
            for k in range(few if text.startswith("Is there") else many):
                jobs.append((text, part, base + t * 1000 + k))
                which.append((part == "validation", t))
    with Pool(2) as pool:
        clips = pool.map(_clip, jobs, chunksize=16)
    np.savez_compressed(os.path.join(folder, "sounds.npz"), frames=np.concatenate(clips), lengths=np.array([len(c) for c in clips]),
                        validation=np.array([w[0] for w in which]), text=np.array([w[1] for w in which]))
    print(f"{len(clips)} clips, {sum(map(len, clips)) / 100:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
