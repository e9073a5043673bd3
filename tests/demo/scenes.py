"""The demo model's world: one to three large coloured shapes on a textured background, and what can be said about them.

make_scene(rng) -> a list of objects, leftmost first; render(scene, rng) -> 256 x 256 RGB array; jpeg(...) -> file bytes;
questions(scene, rng) -> (kind, question, answer) triples; cell_labels(scene) -> what each of the 16 x 16 soft tokens should know.

Objects sit in the cells of a 3 x 3 grid with a margin between them, so that "at the top left" is never a matter of opinion.
"""
import io
import math
from collections import namedtuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 256
GRID = 16                 # soft tokens per side
SHAPES = ["circle", "square", "triangle", "star", "cross", "ring"]
COLOURS = {"red": (205, 35, 35), "green": (35, 150, 55), "blue": (40, 70, 205), "yellow": (235, 210, 45),
           "purple": (140, 55, 170), "orange": (240, 135, 30), "white": (242, 242, 242), "black": (22, 22, 22)}
COLOUR_NAMES = list(COLOURS)
ROWS, COLUMNS = ["top", "middle", "bottom"], ["left", "middle", "right"]
CENTRES = (.2, .5, .8)

Thing = namedtuple("Thing", "shape colour row column x y radius")


# ---------------------------------------------------------------------------------------------------------------- scenes

def place(rng, shape, colour, row, column):
    radius = rng.uniform(.105, .145)
    jitter = lambda c: min(max(c + rng.uniform(-.05, .05), radius + .01), .99 - radius)
    return Thing(shape, colour, row, column, jitter(CENTRES[column]), jitter(CENTRES[row]), radius)


def make_scene(rng, counts=(1, 1, 2, 2, 3)):
    """One to three things that differ in shape, in colour and in column, so that every question has one answer."""
    n = rng.choice(counts)
    shapes, colours, columns = rng.sample(SHAPES, n), rng.sample(COLOUR_NAMES, n), sorted(rng.sample(range(3), n))
    return [place(rng, s, c, rng.randrange(3), col) for s, c, col in zip(shapes, colours, columns)]


def make_crowd(rng):
    """Four to seven things: more to learn from in one picture while the encoder is trained."""
    cells = rng.sample([(r, c) for r in range(3) for c in range(3)], rng.randint(4, 7))
    return [place(rng, rng.choice(SHAPES), rng.choice(COLOUR_NAMES), r, c) for r, c in cells]


# --------------------------------------------------------------------------------------------------------------- pictures

def _outline(shape, angle):
    """Corners on the unit circle's scale; y points down."""
    turn = lambda r, t: (r * math.cos(angle - math.pi / 2 + t), r * math.sin(angle - math.pi / 2 + t))
    if shape == "square":
        return [turn(1, math.pi / 4 + k * math.pi / 2) for k in range(4)]
    if shape == "triangle":
        return [turn(1, k * 2 * math.pi / 3) for k in range(3)]
    if shape == "cross":
        arm = math.atan2(.32, .95)
        return [turn(r, k * math.pi / 2 + t) for k in range(4) for r, t in [(1, -arm), (1, arm), (.45, math.pi / 4)]]
    return [turn(1 if k % 2 == 0 else .42, k * math.pi / 5) for k in range(10)]   # star


def _stamp(canvas, thing, rng):
    """Paint one thing, drawn at twice the resolution for smooth edges."""
    colour = np.array([v + rng.randint(-16, 16) for v in COLOURS[thing.colour]], np.float32)
    r, x, y = (v * SIZE for v in (thing.radius, thing.x, thing.y))
    left, top = max(int(x - r) - 1, 0), max(int(y - r) - 1, 0)
    side = min(int(2 * r) + 4, SIZE - left, SIZE - top)
    mask = Image.new("L", (2 * side, 2 * side))
    draw, cx, cy = ImageDraw.Draw(mask), 2 * (x - left), 2 * (y - top)
    if thing.shape in ("circle", "ring"):
        draw.ellipse([cx - 2 * r, cy - 2 * r, cx + 2 * r, cy + 2 * r], fill=255)
        if thing.shape == "ring":
            draw.ellipse([cx - 1.1 * r, cy - 1.1 * r, cx + 1.1 * r, cy + 1.1 * r], fill=0)
    else:
        draw.polygon([(cx + 2 * r * px, cy + 2 * r * py) for px, py in _outline(thing.shape, rng.uniform(-.2, .2))], fill=255)
    a = np.asarray(mask.reduce(2), np.float32)[..., None] / 255
    region = canvas[top:top + side, left:left + side]
    region += a * (colour - region)


def render(scene, rng):
    g = np.random.default_rng(rng.getrandbits(32))
    base = rng.randint(85, 165) + g.uniform(-20, 20, 3)
    coarse = np.clip(base + g.normal(0, 12, (8, 8, 3)), 0, 255).astype(np.uint8)
    canvas = np.array(Image.fromarray(coarse).resize((SIZE, SIZE), Image.BICUBIC), np.float32)
    for thing in scene:
        _stamp(canvas, thing, rng)
    if rng.random() < .3:
        blurred = Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(.3, 1.)))
        canvas = np.array(blurred, np.float32)
    canvas *= rng.uniform(.82, 1.12)
    canvas += g.standard_normal(canvas.shape, np.float32) * rng.uniform(0, 6)
    return canvas.clip(0, 255).astype(np.uint8)


def jpeg(picture, rng):
    b = io.BytesIO()
    Image.fromarray(picture).save(b, "JPEG", quality=rng.randint(75, 95))
    return b.getvalue()


def photograph(scene, rng):
    """What a model gets to see: rendered, stored as JPEG, read again."""
    return np.asarray(Image.open(io.BytesIO(jpeg(render(scene, rng), rng))).convert("RGB"))


# ------------------------------------------------------------------------------------------------------------------ labels

# A role is a number of things in the scene and a rank from the left, or none for the background.
ROLES = [(n, rank) for n in (1, 2, 3) for rank in (*range(n), None)]
LABELS = {"thing": 2, "shape": len(SHAPES), "colour": len(COLOURS), "row": 3, "column": 3, "role": len(ROLES)}


def cell_labels(scene):
    """{name: GRID x GRID class indices, -1 where the label says nothing}; a crowd has no roles."""
    m = {name: np.full((GRID, GRID), -1, np.int64) for name in LABELS}
    m["thing"][:] = 0
    role = lambda rank: ROLES.index((len(scene), rank)) if len(scene) <= 3 else -1
    m["role"][:] = role(None)
    yy, xx = (np.mgrid[0:GRID, 0:GRID] + .5) / GRID
    for k, t in enumerate(scene):
        inside = np.hypot(xx - t.x, yy - t.y) < t.radius
        m["thing"][inside] = 1
        m["shape"][inside], m["colour"][inside] = SHAPES.index(t.shape), COLOUR_NAMES.index(t.colour)
        m["row"][inside], m["column"][inside] = t.row, t.column
        m["role"][inside] = role(k)
    return m


# ------------------------------------------------------------------------------------------------------------------- talk

KINDS = ["describe", "count", "color", "shape", "position", "exists"]


def _where(t):
    row, column = ROWS[t.row], COLUMNS[t.column]
    if row == column:
        return "in the middle"
    return f"at the {column}" if row == "middle" else f"at the {row}" if column == "middle" else f"at the {row} {column}"


def _a(word):
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def describe(scene):
    name = lambda t: f"{_a(t.colour)} {t.shape}"
    if len(scene) == 1:
        return f"There is {name(scene[0])} {_where(scene[0])}."
    if len(scene) == 2:
        return f"There is {name(scene[0])} to the left of {name(scene[1])}."
    return f"From left to right there is {name(scene[0])}, {name(scene[1])} and {name(scene[2])}."


def _exists(scene, rng):
    t = rng.choice(scene)
    shape, colour = t.shape, t.colour
    if rng.random() < .5:      # most wrong guesses are half right
        if rng.random() < .5:
            shape = rng.choice(SHAPES)
        else:
            colour = rng.choice(COLOUR_NAMES)
    found = any((t.shape, t.colour) == (shape, colour) for t in scene)
    return f"Is there {_a(colour)} {shape}?", "Yes, there is." if found else "No, there is not."


def question(scene, kind, rng):
    t = rng.choice(scene)
    if kind == "describe":
        return rng.choice(["Describe this image.", "What is in this image?", "What do you see?"]), describe(scene)
    if kind == "count":
        return "How many shapes are there?", ["There is one shape.", "There are two shapes.", "There are three shapes."][len(scene) - 1]
    if kind == "color":
        return f"What color is the {t.shape}?", f"The {t.shape} is {t.colour}."
    if kind == "shape":
        return f"What is the {t.colour} shape?", f"The {t.colour} shape is {_a(t.shape)}."
    if kind == "position":
        return f"Where is the {t.shape}?", f"The {t.shape} is {_where(t)}."
    return _exists(scene, rng)


def questions(scene, rng, n, kinds=("describe", "describe", "count", "color", "shape", "position", "position", "exists")):
    """n turns about one scene, as (kind, question, answer)."""
    return [(k, *question(scene, k, rng)) for k in (rng.choice(kinds) for _ in range(n))]
