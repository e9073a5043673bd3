#!/usr/bin/env python3
"""The pictures and questions of examples/demo, from a sequence that no training or test picture comes from.

    python pictures.py OUT       # one.jpg, two.jpg, three.jpg, questions.tsv: picture, question, right answer;
                                 # one.wav, two.wav, three.wav, spoken.tsv: picture, sound, what is asked in it, right answer

The spoken questions are of other kinds than the written ones, by voices that training and validation lack.
"""
import os
import random
import sys

import scenes
import sounds

SEED = 20_000_003
WANTED = [("one.jpg", 1, "position"), ("two.jpg", 2, "describe"), ("three.jpg", 3, "color")]
SPOKEN = {"one.jpg": "shape", "two.jpg": "count", "three.jpg": "position"}


def main(out):
    rng, drawn = random.Random(SEED), {}
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "questions.tsv"), "w") as table:
        for name, things, kind in WANTED:
            scene = drawn[name] = scenes.make_scene(rng, (things,))
            with open(os.path.join(out, name), "wb") as f:
                f.write(scenes.jpeg(scenes.render(scene, rng), rng))
            print(name, *scenes.question(scene, kind, rng), sep="\t", file=table)
    with open(os.path.join(out, "spoken.tsv"), "w") as table:
        for i, (name, kind) in enumerate(SPOKEN.items()):
            question, answer = scenes.question(drawn[name], kind, rng)
            sound = name.replace(".jpg", ".wav")
            sounds.write_wav(os.path.join(out, sound), sounds.speak(question, "test", SEED + i))
            print(name, sound, question, answer, sep="\t", file=table)


if __name__ == "__main__":
    main(sys.argv[1])
