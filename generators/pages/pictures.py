"""How large the images of a figure are, what stands above them, and which one goes first."""

from itertools import takewhile
from typing import TypedDict

from generators.store import Record, Shown

FOR_A_CARD = ("panels", "turning", "distance", "comparison", "trajectory", "animation", "plot")
SMALL = 100
FINE = 60
"""Images of so many pixels need not be enlarged by whole ones, smaller ones must."""


class Picture(TypedDict):
    """The figure that stands for its section on the index, and the width of each of its images."""

    file: str
    alt: str
    width: int
    height: int
    tile: int
    is_small: bool


def picture(record: Record, chosen: str = "") -> Picture | None:
    """Return the image that stands for a section: the one `chosen`, else what shows best."""
    pictures = [shown for shown in record["shown"] if shown["kind"] in FOR_A_CARD]
    if not pictures:
        return None
    shown = min(pictures, key=lambda each: (each["name"] != chosen, FOR_A_CARD.index(each["kind"])))
    file = shown["files"].get("still", shown["files"]["image"])
    return {
        "file": f"{record['section']}/{file}",
        "alt": shown["alt"],
        "width": shown["width"],
        "height": shown["height"],
        "tile": tile(shown),
        "is_small": tile(shown) < SMALL,
    }


def tile(shown: Shown) -> int:
    """Return how many pixels wide the images of a figure are."""
    return shown["width"] // shown.get("across", max(1, shown["width"] // shown["height"]))


def heading(columns: list[str]) -> tuple[str, list[str]]:
    """Split labels into the words that all begin with, such as "σ =", and the rest of each."""
    if len(columns) < 2:
        return "", columns
    words = [column.split() for column in columns]
    beginnings = zip(*(each[:-1] for each in words), strict=False)
    stub = [each[0] for each in takewhile(lambda each: len(set(each)) == 1, beginnings)]
    return " ".join(stub), [" ".join(each[len(stub) :]) for each in words]
