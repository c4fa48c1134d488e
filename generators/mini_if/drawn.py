"""What no single emoji shows, drawn from shapes and emoji: sprites (RGBA), and whole views.

Coordinates are parts of the side of the picture, (0, 0) its upper left corner.
"""

from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

from generators.mini_if.glyphs import glyph

Colour = tuple[int, int, int]
Point = tuple[float, float]
TONES = ("\U0001f3fb", "\U0001f3fc", "\U0001f3fd", "\U0001f3fe", "\U0001f3ff")
SPRITE = 192


class Drawing:
    """A square canvas with a few shapes, in parts of its side."""

    def __init__(self, size: int, colour: Colour | None = None):
        self.size = size
        self.image = Image.new("RGBA", (size, size), (*colour, 255) if colour else (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the shape with these corners."""
        self.pen.polygon([(x * self.size, y * self.size) for x, y in points], fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle around (x, y)."""
        corners = (x - radius, y - radius, x + radius, y + radius)
        self.pen.ellipse([corner * self.size for corner in corners], fill=colour)

    def fade(self, top: Colour, bottom: Colour, until: float = 1.0) -> None:
        """Colour the rows from the upper edge to `until`, from `top` to `bottom`."""
        ramp = Image.linear_gradient("L").resize((self.size, max(1, round(until * self.size))))
        high, low = (Image.new("RGBA", ramp.size, colour) for colour in (top, bottom))
        self.image.paste(Image.composite(low, high, ramp), (0, 0))

    def pale(self, share: float) -> None:
        """Move all colours towards white, at a share of 1 all the way."""
        white = Image.new("RGBA", self.image.size, "white")
        self.image.paste(Image.blend(self.image, white, share))

    def place(self, sprite: Image.Image, x: float, y: float, height: float) -> None:
        """Put a sprite with its foot at (x, y), as tall as a part of the side."""
        tall = max(1, round(height * self.size))
        wide = max(1, round(tall * sprite.width / sprite.height))
        small = sprite.resize((wide, tall), Image.Resampling.BILINEAR)
        corner = (round(x * self.size - wide / 2), round(y * self.size - tall))
        self.image.alpha_composite(small, (max(0, corner[0]), max(0, corner[1])))


def shaded(colour: Colour, factor: float) -> Colour:
    """Return a colour, lighter (factor above 1) or darker."""
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue


def toned(text: str, random: Random) -> Image.Image:
    """Return a person of some skin tone."""
    return glyph(text + random.choice(TONES))


def man(random: Random) -> Image.Image:
    return toned("\U0001f468", random)


def old_man(random: Random) -> Image.Image:
    return toned("\U0001f474", random)


def old_lady(random: Random) -> Image.Image:
    return toned("\U0001f475", random)


def woman(random: Random) -> Image.Image:
    return toned("\U0001f469", random)


def man_with_hat(random: Random) -> Image.Image:
    drawing = Drawing(SPRITE)
    drawing.place(man(random), 0.5, 1.0, 0.84)
    drawing.place(glyph("\U0001f3a9"), 0.5, 0.45, 0.45)
    return drawing.image.crop(drawing.image.getbbox())


def barista(random: Random) -> Image.Image:
    drawing = Drawing(SPRITE)
    drawing.place(toned("\U0001f9d4", random), 0.44, 0.9, 0.86)
    drawing.place(glyph("☕"), 0.72, 1.0, 0.46)
    return drawing.image.crop(drawing.image.getbbox())


def chip(random: Random) -> Image.Image:
    """A computer chip seen from above: a dark square with pins on its four sides."""
    drawing = Drawing(SPRITE)
    for number in range(6):
        along = 0.22 + number * 0.112
        drawing.box(along - 0.03, 0.04, along + 0.03, 0.96, (214, 178, 82))
        drawing.box(0.04, along - 0.03, 0.96, along + 0.03, (214, 178, 82))
    drawing.box(0.14, 0.14, 0.86, 0.86, (38, 92, 66))
    drawing.box(0.3, 0.3, 0.7, 0.7, random.choice([(52, 56, 64), (40, 44, 56)]))
    drawing.box(0.36, 0.36, 0.64, 0.64, (150, 158, 168))
    drawing.disc(0.21, 0.21, 0.025, (236, 236, 220))
    return drawing.image.crop(drawing.image.getbbox())


def bell_tower(random: Random) -> Image.Image:
    drawing = Drawing(SPRITE)
    stone = random.choice([(206, 170, 128), (196, 150, 120), (214, 196, 166)])
    shade, dark = shaded(stone, 0.8), (62, 50, 52)
    drawing.box(0.36, 0.32, 0.64, 1.0, stone)
    drawing.box(0.54, 0.32, 0.64, 1.0, shade)
    drawing.polygon([(0.33, 0.2), (0.5, 0.0), (0.67, 0.2)], (176, 78, 60))
    drawing.polygon([(0.5, 0.0), (0.67, 0.2), (0.55, 0.2)], (146, 60, 50))
    drawing.box(0.33, 0.2, 0.67, 0.23, shaded(stone, 0.7))
    drawing.box(0.36, 0.23, 0.64, 0.36, stone)
    drawing.box(0.42, 0.25, 0.485, 0.35, dark)
    drawing.box(0.515, 0.25, 0.58, 0.35, dark)
    drawing.box(0.33, 0.36, 0.67, 0.39, shaded(stone, 0.7))
    drawing.disc(0.5, 0.48, 0.075, (246, 240, 222))
    drawing.pen.line([(96, 92), (96, 82)], fill=dark, width=3)
    drawing.pen.line([(96, 92), (103, 95)], fill=dark, width=3)
    for top in (0.62, 0.78):
        drawing.box(0.47, top, 0.53, top + 0.09, dark)
    return drawing.image.crop(drawing.image.getbbox())


def village(random: Random, size: int) -> Image.Image:
    """A snowy mountain village."""
    drawing = Drawing(size)
    drawing.fade(*random.choice(SKIES), 0.7)
    for peak in sorted(random.uniform(0.1, 0.9) for _ in range(3)):
        top, wide = random.uniform(0.1, 0.28), random.uniform(0.3, 0.45)
        rock = random.choice([(104, 118, 146), (120, 130, 152), (90, 106, 138)])
        drawing.polygon([(peak - wide, 0.7), (peak, top), (peak + wide, 0.7)], rock)
        drawing.polygon([(peak, top), (peak + wide, 0.7), (peak + 0.1, 0.7)], shaded(rock, 0.82))
        cap = [(-0.45, 0.45), (0, 0), (0.45, 0.45), (0.2, 0.36), (0.05, 0.48), (-0.18, 0.38)]
        lean = 0.6 * wide
        points = [(peak + x * lean, top + y * 0.6 * (0.7 - top)) for x, y in cap]
        drawing.polygon(points, (244, 248, 255))
    drawing.polygon([(0, 0.66), (0.4, 0.6), (1, 0.68), (1, 1), (0, 1)], (238, 243, 252))
    drawing.polygon([(0, 0.86), (0.6, 0.8), (1, 0.9), (1, 1), (0, 1)], (222, 230, 244))
    for foot in (0.74, 0.82, 0.95):
        for _ in range(random.randint(1, 2)):
            cottage(drawing, random, random.uniform(0.1, 0.9), foot)
        drawing.place(glyph("\U0001f332"), random.uniform(0.05, 0.95), foot + 0.02, 0.2)
    return drawing.image


def cottage(drawing: Drawing, random: Random, x: float, foot: float) -> None:
    """A house under snow with lit windows."""
    wide, wall = 0.055 + 0.1 * (foot - 0.6), random.choice([(150, 88, 60), (176, 110, 72)])
    drawing.box(x - wide, foot - 1.3 * wide, x + wide, foot, wall)
    roof = [(x - 1.35 * wide, foot - 1.2 * wide), (x, foot - 2.5 * wide)]
    drawing.polygon([*roof, (x + 1.35 * wide, foot - 1.2 * wide)], (250, 252, 255))
    drawing.box(x - 0.6 * wide, foot - wide, x - 0.15 * wide, foot - 0.5 * wide, (255, 214, 110))
    drawing.box(x + 0.15 * wide, foot - 0.85 * wide, x + 0.6 * wide, foot, (88, 52, 40))


SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((96, 158, 224), (206, 228, 246)),
    ((120, 176, 232), (236, 240, 246)),
    ((94, 110, 176), (246, 196, 170)),
)


def coast(random: Random, size: int) -> Image.Image:
    """The Amalfi coast: houses in warm colours up a cliff above a blue sea."""
    drawing = Drawing(size)
    drawing.fade((92, 172, 236), (214, 236, 248), 0.5)
    horizon = random.uniform(0.4, 0.48)
    drawing.box(0, horizon, 1, 1, (30, 128, 188))
    drawing.polygon([(0, 0.78), (1, 0.7), (1, 1), (0, 1)], (44, 156, 200))
    top = random.uniform(0.1, 0.2)
    drawing.polygon([(0.25, 1), (0.38, 0.62), (0.6, 0.3), (0.8, top), (1, top), (1, 1)], GREEN)
    drawing.polygon([(0.25, 1), (0.38, 0.7), (0.5, 0.78), (0.62, 1)], (150, 132, 104))
    for row in range(6):
        foot = 0.42 + row * 0.11
        edge = 0.62 - (foot - 0.3) * 0.42
        x = edge + 0.08
        while x < 1.0:
            wide, tall = random.uniform(0.04, 0.06), random.uniform(0.07, 0.1)
            wall = random.choice(WALLS)
            drawing.box(x - wide, foot - tall, x + wide, foot, wall)
            drawing.box(x - wide, foot - tall, x + wide, foot - tall + 0.015, (188, 88, 62))
            drawing.box(x - 0.018, foot - 0.055, x + 0.018, foot - 0.015, (88, 84, 96))
            x += 2.2 * wide + random.uniform(0.0, 0.03)
    drawing.place(glyph("⛵"), random.uniform(0.1, 0.22), random.uniform(0.62, 0.74), 0.12)
    return drawing.image


GREEN = (84, 136, 74)
WALLS: tuple[Colour, ...] = (
    (244, 214, 150),
    (236, 156, 118),
    (250, 240, 222),
    (226, 120, 110),
    (246, 196, 188),
)


def waterfalls(random: Random, size: int) -> Image.Image:
    """Water that falls white over a dark cliff into a pool between trees."""
    drawing = Drawing(size)
    drawing.fade((150, 200, 236), (220, 236, 244), 0.3)
    rock = random.choice([(92, 88, 86), (104, 94, 82), (84, 92, 92)])
    top = random.uniform(0.16, 0.26)
    drawing.polygon(
        [(0, top), (0.3, top - 0.06), (0.7, top), (1, top - 0.05), (1, 1), (0, 1)], rock
    )
    for _ in range(10):
        x, y = random.random(), random.uniform(top + 0.05, 0.75)
        crack = [(x, y), (x + 0.07, y + 0.03), (x + 0.05, y + 0.15), (x - 0.02, y + 0.1)]
        drawing.polygon(crack, shaded(rock, random.uniform(0.75, 1.15)))
    drawing.box(0, top - 0.06, 1, top + 0.015, (78, 128, 64))
    middle, wide = random.uniform(0.4, 0.6), random.uniform(0.12, 0.2)
    sides = [(middle - wide, top), (middle + wide, top)]
    drawing.polygon(
        [*sides, (middle + 1.2 * wide, 0.8), (middle - 1.2 * wide, 0.8)], (138, 186, 218)
    )
    for number in range(6):
        x = middle - wide + (number + 0.5) * wide / 3
        drawing.box(x - 0.012, top + 0.01, x + 0.012, 0.8, (255, 255, 255))
    drawing.polygon(
        [(0, 0.84), (0.3, 0.77), (0.7, 0.77), (1, 0.84), (1, 1), (0, 1)], (66, 148, 178)
    )
    for number in range(9):
        x = middle + (number - 4) * wide / 3
        drawing.disc(x, 0.79, random.uniform(0.03, 0.055), (246, 252, 255))
    for x in (random.uniform(0.02, 0.1), random.uniform(0.2, 0.26)):
        drawing.place(glyph("\U0001f332"), x, random.uniform(0.8, 0.95), random.uniform(0.34, 0.5))
    for x in (random.uniform(0.78, 0.84), random.uniform(0.9, 0.97)):
        drawing.place(glyph("\U0001f333"), x, random.uniform(0.82, 0.96), random.uniform(0.3, 0.44))
    return drawing.image


def campfire(random: Random, size: int) -> Image.Image:
    """People around a campfire at night."""
    drawing = Drawing(size)
    drawing.fade((18, 22, 54), (52, 46, 88), 0.66)
    for _ in range(16):
        drawing.disc(random.random(), random.uniform(0, 0.5), 0.008, (250, 246, 214))
    drawing.box(0, 0.62, 1, 1, (52, 46, 38))
    for radius, glow in ((0.4, (84, 60, 40)), (0.3, (124, 78, 42)), (0.2, (168, 102, 46))):
        corners = [0.5 - radius, 0.84 - radius / 3, 0.5 + radius, 0.84 + radius / 3]
        drawing.pen.ellipse([corner * size for corner in corners], fill=glow)
    for x in (0.06, 0.94):
        drawing.place(glyph("\U0001f332"), x, 0.7, random.uniform(0.36, 0.5))
    people = [random.choice(PEOPLE) for _ in range(4)]
    for text, x, foot in zip(people, (0.17, 0.36, 0.64, 0.83), (0.86, 0.7, 0.7, 0.86), strict=True):
        person(drawing, random, text, x, foot)
    for lean in (-1, 1):
        log = [(0.5 - lean * 0.15, 0.93), (0.5 + lean * 0.13, 0.84), (0.5 + lean * 0.14, 0.88)]
        drawing.polygon([*log, (0.5 - lean * 0.14, 0.97)], (116, 72, 44))
    drawing.place(glyph("\U0001f525"), 0.5, 0.9, random.uniform(0.34, 0.4))
    return drawing.image


PEOPLE = ("\U0001f468", "\U0001f469", "\U0001f9d2", "\U0001f474", "\U0001f475")


def person(drawing: Drawing, random: Random, text: str, x: float, foot: float) -> None:
    """A seated figure: a round back in some colour under a head."""
    coat = random.choice([(176, 62, 56), (62, 104, 168), (84, 138, 78), (196, 150, 60)])
    corners = [x - 0.1, foot - 0.16, x + 0.1, foot + 0.12]
    drawing.pen.ellipse([corner * drawing.size for corner in corners], fill=coat)
    drawing.place(toned(text, random), x, foot - 0.08, 0.2)
