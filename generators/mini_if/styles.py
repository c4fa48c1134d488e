"""Ways of making a picture, each with its words: (S, S, 3) float32 in [0, 1] in and out.

What a style adds is measured in parts of the side, so that a small picture is a reduced large one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from generators.mini_if.drawn import Colour

Picture = NDArray[np.float32]
Style = Callable[[Picture, np.random.Generator], Picture]


def photograph(picture: Picture, random: np.random.Generator) -> Picture:
    """Light from a side, and never so little that white turns grey.

    If a photograph's white were darker than paper, guidance would go on from there, to black.
    """
    y, x = grid(len(picture))
    side = random.uniform(-0.5, 0.5)
    light = 1.12 - 0.035 * ((x - side) ** 2 + y**2)
    return np.clip(picture * light[..., None], 0, 1)


def oil_painting(picture: Picture, random: np.random.Generator) -> Picture:
    """Thick strokes in the colours beneath them, a little warmer than these."""
    size = len(picture)
    canvas = to_image(picture).filter(ImageFilter.GaussianBlur(size / 64))
    pen = ImageDraw.Draw(canvas)
    count = 500
    places = random.integers(0, size, (count, 2))
    angles = random.normal(0.6, 0.7, count)
    lengths = random.uniform(0.018, 0.042, count) * size
    tints = random.normal(1.0, 0.05, (count, 1)) * picture[places[:, 1], places[:, 0]]
    colours = np.clip(tints * (262, 250, 232), 0, 255).astype(int)
    reach = np.stack([np.cos(angles), np.sin(angles)], 1) * lengths[:, None]
    strokes = np.concatenate([places - reach, places + reach], 1)
    for stroke, colour in zip(strokes.tolist(), colours.tolist(), strict=True):
        pen.line(stroke, fill=tuple(colour), width=max(2, size // 32))
    return np.asarray(0.65 * to_array(canvas) + 0.35 * picture, np.float32)


def lithograph(picture: Picture, random: np.random.Generator) -> Picture:
    """Black ink on cream paper: hatched where it is grey, solid where it is dark."""
    size = len(picture)
    grey = lightness(picture)
    low, high = np.quantile(grey, [0.03, 0.97])
    grey = np.clip((grey - low) / max(high - low, 0.2), 0, 1)
    y, x = grid(size)
    hatching = 0.5 + 0.5 * np.sin((x + y) * 62)
    ink = np.clip((0.3 + 0.35 * hatching - grey) * 3.2 + 0.35, 0, 1)
    grain = random.normal(0, 0.03, (size, size)).astype(np.float32)
    return printed(ink * 0.92 + grain, (34, 30, 32), (240, 230, 206))


def pencil_sketch(picture: Picture, random: np.random.Generator) -> Picture:
    """Graphite lines and light shading on white paper."""
    size = len(picture)
    grey = lightness(picture)
    edges = np.maximum(np.abs(np.gradient(blurred(grey, size / 110), axis=0)), 0)
    across = np.abs(np.gradient(blurred(grey, size / 110), axis=1))
    lines = np.clip((edges + across) * size / 6 - 0.04, 0, 1) ** 0.7
    grain = random.normal(0, 0.04, (size, size)).astype(np.float32)
    shade = 0.42 * (1 - grey) ** 1.5
    return printed(np.maximum(lines * 0.85, shade) + grain, (56, 56, 62), (252, 252, 250))


def watercolour(picture: Picture, random: np.random.Generator) -> Picture:
    """Pale washes that pool at their edges and fade into white paper at the border."""
    size = len(picture)
    smooth = to_array(to_image(picture).filter(ImageFilter.MedianFilter(5)))
    soft = to_array(to_image(smooth).filter(ImageFilter.GaussianBlur(size / 50)))
    pooled = np.abs(smooth - soft).mean(axis=2, keepdims=True)
    cloud = random.uniform(-1, 1, (8, 8)).astype(np.float32)
    wash = np.asarray(Image.fromarray(cloud).resize((size, size), Image.Resampling.BICUBIC))
    y, x = grid(size)
    paper = np.clip((np.maximum(np.abs(x), np.abs(y)) + 0.12 * wash - 0.86) * 8, 0, 1)
    paint = 1 - (1 - smooth) * (0.68 + 0.12 * wash[..., None]) - 0.6 * pooled
    paint = np.clip(paint, 0, 1)
    return np.asarray(paint + (0.985 - paint) * paper[..., None], np.float32)


def grid(size: int) -> tuple[Picture, Picture]:
    """Return y and x in [-1, 1], each (size, size)."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    return np.repeat(line[:, None], size, 1), np.repeat(line[None], size, 0)


def lightness(picture: Picture) -> Picture:
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32))


def blurred(grey: Picture, radius: float) -> Picture:
    soft = Image.fromarray((grey * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(soft, np.float32) / np.float32(255)


def printed(ink: Picture, dark: Colour, paper: Colour) -> Picture:
    """Lay ink (S, S) in [0, 1] of one colour on paper of another."""
    bright = np.array(paper, np.float32) / 255
    covered = np.clip(ink, 0, 1)[..., None]
    return np.asarray(bright + covered * (np.array(dark, np.float32) / 255 - bright), np.float32)


def to_image(picture: Picture) -> Image.Image:
    return Image.fromarray((picture * 255 + 0.5).astype(np.uint8))


def to_array(image: Image.Image) -> Picture:
    return np.asarray(image, np.float32) / np.float32(255)


STYLES: dict[str, tuple[Style, tuple[str, ...]]] = {
    "photo": (photograph, ("a photo of", "a photo of", "a high quality photo of", "")),
    "oil painting": (oil_painting, ("an oil painting of",)),
    "lithograph": (lithograph, ("a lithograph of",)),
    "pencil sketch": (pencil_sketch, ("a pencil sketch of",)),
    "watercolour": (watercolour, ("a watercolour of",)),
}
