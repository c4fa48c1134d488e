"""Scenes: what is in a picture and what it is called, then the picture itself."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from generators.files import digest
from generators.mini_if import backgrounds
from generators.mini_if.concepts import CORE, PROMPTED, VIEWS, concept, phrases
from generators.mini_if.drawn import Drawing
from generators.mini_if.styles import STYLES, to_array, to_image

Bytes = NDArray[np.uint8]
Places = tuple[tuple[float, float], ...]
SHARES = {
    "photo": 0.2, "oil painting": 0.14, "lithograph": 0.26, "pencil sketch": 0.26,
    "watercolour": 0.14,
}  # fmt: skip
"""How often each style is used. Photographs teach every style what things are; lines and hatching
are the hardest to learn."""
HELD_OUT = 0.05
MIRRORED = 0.1
"""How often a thing is seen from its other side. At one half a small network draws both at once."""
PLAIN = 0.2
"""How often a photograph's caption says nothing of what is on it. Many sections ask for that."""
UNSAID = 0.1
"""How often a caption is silent about a background that is not white."""
BESIDE = (
    ("to the left of", ((0.27, 0.78), (0.73, 0.78))),
    ("to the right of", ((0.73, 0.78), (0.27, 0.78))),
    ("next to", ((0.27, 0.78), (0.73, 0.78))),
    ("above", ((0.5, 0.47), (0.5, 0.96))),
    ("and", ((0.27, 0.8), (0.73, 0.8))),
)
THREE: Places = ((0.2, 0.74), (0.5, 0.9), (0.8, 0.74))
PALE = 0.6
"""How much nearer to white than in other manners a ground is under a pencil."""
COMPANY = (0.88, 0.1, 0.02)
"""How often a thing is alone, with one other, with two."""
HEIGHTS = ((0.62, 0.8), (0.4, 0.46), (0.3, 0.36))
"""How large a thing is then, in parts of the picture's side."""


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
    while True:
        made = composed(random, concepts)
        if not any(is_held_out(made.style, name, made.background) for name in made.concepts):
            return made


def composed(random: Random, concepts: Sequence[str]) -> Composition:
    style = random.choices(list(SHARES), list(SHARES.values()))[0]
    opening = random.choice(STYLES[style][1])
    name = random.choices(concepts, [1 + (each in PROMPTED) for each in concepts])[0]
    seed = random.getrandbits(48)
    if name in VIEWS:
        caption = f"{opening} {random.choice(phrases(name))}".strip()
        return Composition(maybe_plain(caption, style, random), (name,), style, "own", (), seed)
    background, words = ground(random)
    company = random.choices(range(len(COMPANY)), COMPANY)[0]
    others = random.sample(
        [each for each in concepts if each not in VIEWS and each != name], company
    )
    relation, places = (
        ("", (place(random),)), random.choice(BESIDE), ("and", THREE)
    )[company]  # fmt: skip
    chosen = (name, *others)
    phrase = f" {relation} ".join(random.choice(phrases(each)) for each in chosen)
    caption = " ".join(f"{opening} {phrase} {words}".split())
    caption = maybe_plain(caption, style, random)
    return Composition(caption, chosen, style, background, places, seed)


def maybe_plain(caption: str, style: str, random: Random) -> str:
    """Now and then a photograph is called just that."""
    is_plain = style == "photo" and random.random() < PLAIN
    return "a high quality photo" if is_plain else caption


def ground(random: Random) -> tuple[str, str]:
    """Return a background and the words for it; none of them mostly means white."""
    kind = random.random()
    if kind < 0.3:
        return "white", random.choice(["", "", "on a white background"])
    if kind < 0.75:
        name = random.choice(list(backgrounds.COLOURS)[1:])
        words: Sequence[str] = [f"on a {name} background"]
    else:
        name = random.choice(list(backgrounds.VIEWS))
        words = backgrounds.VIEWS[name][1]
    return name, "" if random.random() < UNSAID else random.choice(words)


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
        return (
            view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < MIRRORED else view
        )
    background = composition.background
    if background in backgrounds.COLOURS:
        canvas = backgrounds.plain(background, random, size)
    else:
        canvas = backgrounds.VIEWS[background][0](random, size)
    if composition.style == "pencil sketch":
        # Drawn as dark as the thing before it, the lines of a ground run through the thing.
        canvas.pale(PALE)
    sizes = HEIGHTS[len(composition.concepts) - 1]
    for each, (x, foot) in zip(composition.concepts, composition.places, strict=True):
        height = random.uniform(*sizes)
        sprite = concept(each).sprite(random)
        if composition.style == "lithograph":
            sprite = contoured(sprite)
        put(canvas, sprite, (x, foot), height, random)
    return canvas.image


def contoured(sprite: Image.Image) -> Image.Image:
    """Return an RGBA sprite with a dark line around it, and a light one around that.

    In print nothing else tells white from cream, or what is dark from a dark ground.
    """
    margin = 10
    size = (sprite.width + 2 * margin, sprite.height + 2 * margin)
    whole = Image.new("RGBA", size)
    whole.paste(sprite, (margin, margin))
    found = Image.new("RGBA", size)
    for radius, colour in ((4, (255, 255, 255)), (2, (20, 20, 24))):
        wider = whole.getchannel("A").filter(ImageFilter.GaussianBlur(radius))
        found.paste(colour, mask=wider.point(lambda alpha: min(255, 8 * alpha)))
    return Image.alpha_composite(found, whole)


def put(
    canvas: Drawing,
    sprite: Image.Image,
    where: tuple[float, float],
    side: float,
    random: Random,
) -> None:
    """Place a sprite whose longer side is a part of the canvas, mirrored or tilted a little."""
    if random.random() < MIRRORED:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilt = random.gauss(0, 4)
    sprite = sprite.rotate(tilt, Image.Resampling.BILINEAR, expand=True)
    height = side * sprite.height / max(sprite.size)
    x, foot = where
    canvas.place(sprite, x, foot - (side - height) / 2, height)
