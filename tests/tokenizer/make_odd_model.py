"""Writes data/odd.model: a vocabulary that no training makes, to test what the tiny one has not.

    make_odd_model.py data/odd.model

Random pieces over a few letters, many unused, many equal scores, longer pieces that score above their parts, characters that are no
piece of their own, user-defined symbols that contain each other. Needs protobuf.
"""

import random
import sys

import make_seeds


def main():
    r = random.Random(3)
    pieces = {c: (r.choice([-20, -21]), r.choice([1, 1, 5])) for c in "abcdeh t"}
    del pieces["d"]
    for _ in range(600):
        text = "".join(r.choice("aabbcdeh té日") for _ in range(r.choice([2, 2, 2, 3, 3, 4, 5, 8])))
        pieces.setdefault(text, (-r.randint(0, 12) / 4, r.choice([1, 1, 1, 5])))
    for text in ("<b>", "<b><b>", "ttt", "heh", "日é"):
        pieces[text] = (0, 4)
    with open(sys.argv[1], "wb") as f:
        f.write(make_seeds.model([(text.replace(" ", "\u2581"), *rest) for text, rest in pieces.items() if "  " not in text]))


if __name__ == "__main__":
    main()
