#!/usr/bin/env python3
"""Exact answers of the program to spoken questions about unseen pictures, by voices kept for the test.

    python evaluate_sound.py PACKED.gguf --program "build/host/gemlet" [--count 200] [--set FOLDER] [--errors FILE] [--other N]

FOLDER gets the pictures and questions of evaluate.py's test (with --other, of another test), and each question spoken as a 16 kHz WAV file.
--written asks the same in writing.  Needs espeak-ng, numpy and scipy, nothing of PyTorch.
"""
import argparse
import os
import random
import shlex
import subprocess

import scenes
import sounds

PICTURE_SEED, SOUND_SEED = 4242, 20_000_000     # no training picture or clip comes from these sequences, nor from the other tests'


def make_set(folder, count, other):
    """[(picture, sound, kind, question, answer)]"""
    os.makedirs(folder, exist_ok=True)
    rng, items = random.Random(PICTURE_SEED + other), []
    for i in range(count):
        scene = scenes.make_scene(rng)
        kind, question, answer = scenes.questions(scene, rng, 1)[0]
        picture, sound = (os.path.join(folder, f"{i:04d}.{ext}") for ext in ("jpg", "wav"))
        with open(picture, "wb") as f:
            f.write(scenes.jpeg(scenes.render(scene, rng), rng))
        sounds.write_wav(sound, sounds.speak(question, "test", SOUND_SEED + other * 10_000 + i))
        items.append((picture, sound, kind, question, answer))
    return items


def ask(a, *what):
    command = shlex.split(a.program) + ["run", "-m", a.packed, "--temp", "0", "--ctx", "768", "--threads", "1", *what]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return run.stdout.strip() if run.returncode == 0 else f"(failed: {run.stderr.strip()[-200:]})"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("packed"), ap.add_argument("--program", required=True), ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--set", default="demo-sound-set"), ap.add_argument("--errors"), ap.add_argument("--written", action="store_true")
    ap.add_argument("--other", type=int, default=0, help="which other test, from 1")
    a = ap.parse_args()
    results = []
    for picture, sound, kind, question, answer in make_set(a.set, a.count, a.other):
        given = ask(a, "--image", picture, *(["-p", question] if a.written else ["--sound", sound, "-p", "<image><sound>"]))
        results.append((kind, given == answer))
        if a.errors and given != answer:
            with open(a.errors, "a") as f:
                print(picture, question, f"right: {answer}", f"given: {given}", sep="\n    ", file=f)
    for kind in scenes.KINDS + ["all"]:
        own = [right for k, right in results if kind in (k, "all")]
        print(f"{kind:10s} {len(own):4d} {100 * sum(own) / max(1, len(own)):6.1f} %")


if __name__ == "__main__":
    main()
