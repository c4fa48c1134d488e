"""How the sections of Part A word and arrange what they show."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.diffusion.filters import Filter
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.figure import Panels

Pixels: TypeAlias = NDArray[np.uint8]
ROW = 8
"""How many pictures stand beside each other where there are many."""
Ways: TypeAlias = Mapping[str, tuple[Filter, str]]
"""Ways of looking at one picture by what they are called: a filter, and the prompt told there."""


def asked(prompts: str | Sequence[str], scale: float, updates: int, seed: int) -> str:
    """Say what pictures were asked to be and how they were made, in the words of a caption."""
    named = [prompts] if isinstance(prompts, str) else list(dict.fromkeys(prompts))
    quoted = ", ".join(f"“{prompt}”" for prompt in named)
    return f"Asked for: {quoted}; {made_with(scale, updates, seed)}"


def asked_both(
    first: Sequence[str], second: Sequence[str], scale: float, updates: int, seed: int
) -> str:
    """Say what each of several pictures was asked to be in either way of looking."""
    pairs = enumerate(zip(first, second, strict=True), 1)
    listed = "; ".join(f"{number}: “{one}”, “{other}”" for number, (one, other) in pairs)
    return f"Asked for: {listed}; {made_with(scale, updates, seed)}"


def made_with(scale: float, updates: int, seed: int) -> str:
    return f"{guidance(scale)}, {updates} updates, seed {seed}."


def guidance(scale: float) -> str:
    return "without guidance" if scale == 1 else rf"guidance $\gamma = {scale:g}$"


def enlarged_with(prompt: str, steps: int, scale: float) -> str:
    """Say how pictures were enlarged, in the words of a caption."""
    return f"Enlarged by stage 2 in {steps} updates, told {prompt}, {guidance(scale)}."


def in_rows(images: Tensor, rows: int) -> Pixels:
    """Return images (rows · columns, 3, h, w) as bytes (rows, columns, h, w, 3)."""
    shown = to_bytes(images)
    return shown.reshape(rows, -1, *shown.shape[1:])


def beside(images: Iterable[Pixels]) -> Pixels:
    """Return images (h, w, 3) as one, side by side."""
    return np.concatenate(list(images), axis=1)


def at_times(times: Iterable[int]) -> list[str]:
    return [f"t = {t}" for t in times]


def start_labels(starts: Iterable[int], times: Iterable[int]) -> list[str]:
    """Name starts by their place i in the list of times, and by the time there."""
    return [f"{start}: t {t}" for start, t in zip(starts, times, strict=True)]


def several_ways(name: str, words: str, image: Pixels, ways: Ways, score: str) -> Panels:
    """Show one picture (1, h, w, 3) in several ways, and say what it should be in each."""
    x = from_bytes(image)
    wanted = ", ".join(f"{way} “{prompt}”" for way, (_, prompt) in ways.items())
    return Panels(
        name,
        f"{words} Asked for: {wanted}.{score}",
        f"One picture in {len(ways)} ways of looking, asked to be {wanted}.",
        [to_bytes(torch.cat([look(x) for look, _ in ways.values()]))],
        list(ways),
    )


def filled(pictures: Pixels) -> list[list[Pixels]]:
    """Return pictures in rows of eight, the last row filled with white."""
    blank = np.full_like(pictures[0], 255)
    padded = [*pictures, *[blank] * (-len(pictures) % ROW)]
    return [padded[first : first + ROW] for first in range(0, len(padded), ROW)]
