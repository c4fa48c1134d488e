"""Scenes: what is in a picture and what it is called, then the picture itself."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generators.files import digest
from generators.mini_if import backgrounds
from generators.mini_if.concepts import CORE, EXERCISE, OBJECTS, VIEWS, phrases
from generators.mini_if.drawn import Drawing
from generators.mini_if.styles import STYLES, to_array, to_image

Bytes = NDArray[np.uint8]
Places = tuple[tuple[float, float], ...]
SHARES = {"photo": 0.45, "oil painting": 0.27, "lithograph": 0.14, "pencil sketch": 0.07}
"""How often each style is used; watercolour is the rest."""
HELD_OUT = 0.05
BESIDE = (
    ("to the left of", ((0.27, 0.78), (0.73, 0.78))),
    ("to the right of", ((0.73, 0.78), (0.27, 0.78))),
    ("next to", ((0.27, 0.78), (0.73, 0.78))),
    ("above", ((0.5, 0.47), (0.5, 0.96))),
    ("and", ((0.27, 0.8), (0.73, 0.8))),
)


class Composition(NamedTuple):
    """Everything that a picture is made from; equal compositions give equal pictures."""

    caption: str
    concepts: tuple[str, ...]
    style: str
    background: str
    places: Places
    seed: int


@cache
def is_held_out(style: str, concept: str, background: str) -> bool:
    """Whether this combination is kept out of training, to show what the model can compose.

    A photograph of anything, and anything on white, is always trained with.
    """
    if style == "photo" or background == "white" or concept in VIEWS:
        return False
    number = int(digest(f"{style}/{concept}/{background}".encode())[:8], 16)
    return number / 16**8 < HELD_OUT


def compose(seed: int, number: int, concepts: Sequence[str] = CORE) -> Composition:
    """Return scene `number` of the endless sequence that belongs to a seed."""
    random = Random(f"{seed}/{number}")
    weights = [2.5 if name in EXERCISE else 1.0 for name in concepts]
    while True:
        made = composed(random, concepts, weights)
        if not any(is_held_out(made.style, name, made.background) for name in made.concepts):
            return made


def composed(random: Random, concepts: Sequence[str], weights: Sequence[float]) -> Composition:
    style = random.choices([*SHARES, "watercolour"], [*SHARES.values(), 0.07])[0]
    opening = random.choice(STYLES[style][1])
    name = random.choices(concepts, weights)[0]
    seed = random.getrandbits(48)
    if name in VIEWS:
        caption = f"{opening} {random.choice(phrases(name))}".strip()
        return Composition(maybe_plain(caption, style, random), (name,), style, "own", (), seed)
    background, words = ground(random)
    chosen: list[str] = [name]
    places: Places = (place(random),)
    phrase = random.choice(phrases(name))
    if random.random() < 0.1:
        relation, places = random.choice(BESIDE)
        chosen.append(
            random.choice([each for each in concepts if each in OBJECTS and each != name])
        )
        phrase = f"{phrase} {relation} {random.choice(phrases(chosen[1]))}"
    caption = " ".join(f"{opening} {phrase} {words}".split())
    caption = maybe_plain(caption, style, random)
    return Composition(caption, tuple(chosen), style, background, places, seed)


def maybe_plain(caption: str, style: str, random: Random) -> str:
    """Now and then a photograph is called just that."""
    is_plain = style == "photo" and random.random() < 0.08
    return "a high quality photo" if is_plain else caption


def ground(random: Random) -> tuple[str, str]:
    """Return a background and the words for it, or none of them."""
    kind = random.random()
    if kind < 0.4:
        return "white", random.choice(["", "", "on a white background"])
    if kind < 0.75:
        name = random.choice(list(backgrounds.COLOURS)[1:])
        return name, random.choice(["", f"on a {name} background", f"on a {name} background"])
    name = random.choice(list(backgrounds.VIEWS))
    return name, random.choice(["", *backgrounds.VIEWS[name][1]])


def place(random: Random) -> tuple[float, float]:
    """Return where the foot of a single object stands."""
    return random.uniform(0.44, 0.56), random.uniform(0.84, 0.94)


def render(composition: Composition, size: int) -> Bytes:
    """Return the picture (size, size, 3) of a composition, drawn at twice its size."""
    random = Random(composition.seed)
    image = drawn(composition, random, 2 * size)
    picture = to_array(image.convert("RGB"))
    style = STYLES[composition.style][0]
    styled = style(picture, np.random.default_rng(composition.seed))
    return np.asarray(to_image(styled).reduce(2))


def drawn(composition: Composition, random: Random, size: int) -> Image.Image:
    name = composition.concepts[0]
    if name in VIEWS:
        view = VIEWS[name].draw(random, size)
        return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else view
    background = composition.background
    if background in backgrounds.COLOURS:
        canvas = backgrounds.plain(background, random, size)
    else:
        canvas = backgrounds.VIEWS[background][0](random, size)
    is_single = len(composition.concepts) == 1
    for each, (x, foot) in zip(composition.concepts, composition.places, strict=True):
        height = random.uniform(0.62, 0.8) if is_single else random.uniform(0.4, 0.46)
        put(canvas, OBJECTS[each].sprite(random), (x, foot), height, random)
    return canvas.image


def put(
    canvas: Drawing,
    sprite: Image.Image,
    where: tuple[float, float],
    side: float,
    random: Random,
) -> None:
    """Place a sprite whose longer side is a part of the canvas, mirrored or tilted a little."""
    if random.random() < 0.5:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilt = random.gauss(0, 4)
    sprite = sprite.rotate(tilt, Image.Resampling.BILINEAR, expand=True)
    height = side * sprite.height / max(sprite.size)
    x, foot = where
    canvas.place(sprite, x, foot - (side - height) / 2, height)
