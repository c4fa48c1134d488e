"""Densities over time as images, with paths drawn on them. Rows run from high x to low x."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]

# Dark where nothing is, through blue to a warm white; paths in orange stand out on all of it.
RAMP = np.array([[17, 22, 28], [24, 58, 94], [60, 130, 180], [160, 210, 230], [253, 248, 232]])
PAPER, BAR, CURVE, PATH = (17, 22, 28), (60, 130, 180), (253, 248, 232), (255, 150, 60)
INK, LETTERS, MARK = (200, 205, 210), 22, 8
"""The colour of a scale, the height of its numbers and the length of its marks in pixels."""


def heat_map(density: Values) -> Pixels:
    """Return densities (column, row), rows from low x to high x, as an image (row, column, 3).

    The square root of each density over the greatest one of all, so that faint tails are seen.
    """
    level = np.sqrt(density / density.max()).T[::-1]
    places = np.linspace(0, 1, len(RAMP))
    channels = [np.interp(level, places, RAMP[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def traced(image: Pixels, heights: Values, colour: tuple[int, int, int], width: float) -> Pixels:
    """Return an image (H, W, 3) with curves on it, smoothed at their edges.

    heights (N, W) are in pixels from the bottom, one for each column; `width` is in pixels.
    """
    rows = np.arange(len(image))[::-1, None] + 0.5
    cover = np.zeros(image.shape[:2])
    for curve in heights:
        slope = np.gradient(curve)
        far = np.abs(rows - curve) / np.sqrt(1 + slope**2)
        cover = np.maximum(cover, np.clip(width / 2 + 0.5 - far, 0, 1))
    mixed = image + cover[..., None] * (np.array(colour) - image)
    return np.asarray(mixed.round(), np.uint8)


def histogram(heights: Values, curve: Values, rows: int) -> Pixels:
    """Return bars of the heights (W,) with a curve (W,) over them; 1 is the top of the image."""
    level = (np.arange(rows)[::-1, None] + 0.5) / rows
    image = np.where((level < heights)[..., None], np.array(BAR), np.array(PAPER))
    return traced(image.astype(np.uint8), rows * curve[None], CURVE, 2)


def scaled_up(image: Pixels, low: float, high: float) -> Pixels:
    """Return an image of values low … high with a scale of whole numbers to the left of it."""
    strip = Image.new("RGB", (2 * LETTERS + MARK, len(image)), PAPER)
    draw = ImageDraw.Draw(strip)
    for part, number in marks(low, high):
        y = len(image) * (1 - part)
        draw.line((strip.width - MARK, y, strip.width, y), INK, 2)
        draw.text((strip.width - 2 * MARK, y), number, INK, ImageFont.load_default(LETTERS), "rm")
    return np.concatenate([np.asarray(strip), image], axis=1)


def scaled_along(image: Pixels, low: float, high: float) -> Pixels:
    """Return an image of values low … high with a scale of whole numbers below it."""
    strip = Image.new("RGB", (image.shape[1], 2 * LETTERS), PAPER)
    draw = ImageDraw.Draw(strip)
    for part, number in marks(low, high):
        x = strip.width * part
        draw.line((x, 0, x, MARK), INK, 2)
        draw.text((x, strip.height - MARK), number, INK, ImageFont.load_default(LETTERS), "ms")
    return np.concatenate([image, np.asarray(strip)], axis=0)


def marks(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Yield where in parts of low … high the whole numbers between them are, and their names."""
    for value in range(math.floor(low) + 1, math.ceil(high)):
        yield (value - low) / (high - low), f"{value}"
