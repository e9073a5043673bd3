#!/usr/bin/env python3
"""The pictures and questions of examples/demo, from a sequence that no training or test picture comes from.

    python pictures.py OUT       # one.jpg, two.jpg, three.jpg, questions.tsv: picture, question, right answer
"""
import os
import random
import sys

import scenes

SEED = 20_000_003
WANTED = [("one.jpg", 1, "position"), ("two.jpg", 2, "describe"), ("three.jpg", 3, "color")]


def main(out):
    rng = random.Random(SEED)
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "questions.tsv"), "w") as table:
        for name, things, kind in WANTED:
            scene = scenes.make_scene(rng, (things,))
            with open(os.path.join(out, name), "wb") as f:
                f.write(scenes.jpeg(scenes.render(scene, rng), rng))
            print(name, *scenes.question(scene, kind, rng), sep="\t", file=table)


if __name__ == "__main__":
    main(sys.argv[1])
