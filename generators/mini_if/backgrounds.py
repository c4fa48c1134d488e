"""Grounds behind the objects, each with the words for it."""

from collections.abc import Callable
from random import Random

from generators.mini_if.drawn import Colour, Drawing, shaded
from generators.mini_if.glyphs import glyph

COLOURS: dict[str, Colour] = {
    "white": (255, 255, 255),
    "black": (24, 24, 28),
    "red": (206, 56, 52),
    "orange": (240, 146, 58),
    "yellow": (248, 214, 88),
    "green": (92, 168, 90),
    "blue": (62, 112, 200),
    "light blue": (164, 208, 240),
    "purple": (134, 88, 178),
    "pink": (246, 176, 196),
    "grey": (158, 162, 168),
    "brown": (138, 98, 68),
}


def plain(name: str, random: Random, size: int) -> Drawing:
    """One colour, a little lighter or darker from picture to picture, or slightly graded."""
    colour = COLOURS[name]
    if name != "white":
        colour = shaded(colour, random.uniform(0.9, 1.1))
    drawing = Drawing(size, colour)
    if name != "white" and random.random() < 0.4:
        drawing.fade(shaded(colour, 1.08), shaded(colour, 0.88))
    return drawing


def sky(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade(random.choice([(92, 160, 232), (120, 182, 240)]), (216, 236, 250))
    for _ in range(random.randint(2, 4)):
        x, y, radius = random.random(), random.uniform(0.05, 0.9), random.uniform(0.04, 0.09)
        for step in (-1.2, 0.0, 1.2):
            drawing.disc(x + step * radius, y, radius * (1.2 - 0.3 * abs(step)), (250, 252, 255))
    return drawing


def snow(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((158, 190, 226), (226, 236, 248), 0.8)
    hill = random.uniform(0.55, 0.7)
    drawing.polygon(
        [(0, hill), (0.5, hill - 0.06), (1, hill + 0.04), (1, 1), (0, 1)], (246, 249, 254)
    )
    for _ in range(24):
        drawing.disc(random.random(), random.random(), 0.01, (255, 255, 255))
    return drawing


def sea(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((120, 190, 240), (222, 240, 250), 0.5)
    drawing.box(0, 0.45, 1, 1, (38, 134, 190))
    drawing.box(0, 0.58, 1, 0.6, (92, 178, 218))
    shore = random.uniform(0.74, 0.82)
    drawing.polygon([(0, shore), (0.5, shore + 0.04), (1, shore - 0.02), (1, 1), (0, 1)], SAND)
    return drawing


SAND = (238, 214, 160)


def meadow(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((140, 200, 244), (226, 242, 250), 0.75)
    hill = random.uniform(0.5, 0.62)
    drawing.polygon(
        [(0, hill), (0.4, hill - 0.07), (1, hill + 0.04), (1, 1), (0, 1)], (122, 186, 84)
    )
    drawing.polygon([(0, 0.8), (0.6, 0.74), (1, 0.84), (1, 1), (0, 1)], (98, 164, 70))
    for _ in range(12):
        colour = random.choice([(252, 240, 120), (250, 250, 250), (236, 120, 140)])
        drawing.disc(random.random(), random.uniform(hill + 0.08, 1), 0.012, colour)
    return drawing


def night(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((14, 18, 52), (48, 52, 104))
    for _ in range(26):
        radius = random.uniform(0.004, 0.012)
        drawing.disc(random.random(), random.random(), radius, (252, 248, 220))
    if random.random() < 0.5:
        drawing.place(glyph("\U0001f319"), random.choice([0.12, 0.88]), 0.24, 0.16)
    return drawing


def desert(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((150, 200, 236), (250, 230, 196), 0.75)
    dune = random.uniform(0.52, 0.64)
    drawing.polygon(
        [(0, dune), (0.3, dune - 0.06), (1, dune + 0.05), (1, 1), (0, 1)], (230, 184, 112)
    )
    drawing.polygon([(0, 0.86), (0.7, 0.72), (1, 0.78), (1, 1), (0, 1)], (214, 162, 92))
    return drawing


def mountains(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((112, 172, 234), (222, 236, 248))
    for peak in sorted(random.uniform(0.0, 1.0) for _ in range(3)):
        top, rock = random.uniform(0.4, 0.55), random.choice([(104, 118, 146), (92, 108, 140)])
        drawing.polygon([(peak - 0.4, 1), (peak, top), (peak + 0.4, 1)], rock)
        cap = [(peak - 0.14, top + 0.2), (peak, top), (peak + 0.14, top + 0.2)]
        drawing.polygon(
            [*cap, (peak + 0.04, top + 0.16), (peak - 0.05, top + 0.22)], (246, 250, 255)
        )
    drawing.polygon([(0, 0.9), (0.5, 0.86), (1, 0.92), (1, 1), (0, 1)], (240, 245, 253))
    return drawing


def sunset(random: Random, size: int) -> Drawing:
    drawing = Drawing(size)
    drawing.fade((86, 70, 146), (250, 160, 92), 0.85)
    drawing.disc(random.uniform(0.2, 0.8), 0.74, 0.12, (255, 222, 140))
    drawing.box(0, 0.78, 1, 1, (70, 54, 92))
    return drawing


VIEWS: dict[str, tuple[Callable[[Random, int], Drawing], tuple[str, ...]]] = {
    "sky": (sky, ("in the sky", "before a blue sky", "under a cloudy sky")),
    "snow": (snow, ("in the snow", "in winter", "on a snowy hill")),
    "sea": (sea, ("by the sea", "on a beach", "at the beach")),
    "meadow": (meadow, ("in a meadow", "in a green field", "on a summer meadow")),
    "night": (night, ("at night", "under the stars", "in the night sky")),
    "desert": (desert, ("in the desert", "on the sand of a desert")),
    "mountains": (mountains, ("above a snowy mountain", "in the mountains", "before mountains")),
    "sunset": (sunset, ("at sunset", "before the setting sun")),
}
