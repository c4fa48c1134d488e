"""How an image gets from the one to the other of its views: read off its pixels."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from generators.encoding import Pixels, alike, webp
from generators.errors import AuthorError

if TYPE_CHECKING:
    from generators.figure import Image

Move = Callable[[Pixels], Pixels]

WIDEST = 16383
"""What a lossy WebP can hold: sides of 14 bits (RFC 6386, section 9.1)."""

MOTIONS: dict[str, Move] = {
    "none": lambda image: image,
    "over": lambda image: image[::-1],
    "round": lambda image: image[::-1, ::-1],
    "right": lambda image: np.rot90(image, -1),
    "left": lambda image: np.rot90(image),
    "aside": lambda image: image[:, ::-1],
}
"""The rigid motions of a square that the style sheet knows, each as it rearranges pixels."""


def motion(image: Pixels, view: Pixels) -> str:
    """Return the motion that brings an image exactly to its view, or "fade" where none does."""
    found = (name for name, move in MOTIONS.items() if np.array_equal(move(image), view))
    return next(found, "fade")


def between(images: Sequence[Pixels], frames: "Iterable[Image]") -> tuple[bytes, int]:
    """Return a strip of the frames between an image and its view, and their number (or 0).

    Raises: AuthorError when they do not begin with the image and end with the view.
    """
    given = [*frames]
    if not given:
        return b"", 0
    if len(images) != 2:
        raise AuthorError(f"frames between {len(images)} images, expected 2")
    strip = alike([*images, *given])[2:]
    for frame, image, word in ((strip[0], images[0], "first"), (strip[-1], images[1], "last")):
        if not np.array_equal(frame, image):
            raise AuthorError(f"the {word} frame is not the {word} image")
    sheet = np.concatenate(strip, axis=1)
    if sheet.shape[1] > WIDEST:
        most = WIDEST // strip[0].shape[1]
        raise AuthorError(f"{len(strip)} frames, expected {most} at most")
    return webp(sheet), len(strip)
