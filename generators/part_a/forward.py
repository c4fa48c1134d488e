"""A1.1: what the forward process leaves of a picture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.pictures import to_bytes
from generators.figure import Context, Number, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import noised, pictures
from generators.part_a.showing import Pixels, at_times


@dataclass(frozen=True)
class Parameters:
    image: File = "images/bell-tower.png"
    times: Annotated[tuple[int, ...], Range(0, 999)] = (250, 500, 750)


@dataclass(frozen=True)
class Results:
    """The picture (1, h, w, 3), and it at each time (T, h, w, 3); ᾱ at each time."""

    original: Pixels
    noisy: Pixels
    alpha_bars: tuple[float, ...]
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Add one and the same ε to a picture at every time."""
    stage = context.cascade().stage(1)
    x_0 = pictures(context, [parameters.image], stage.size)
    x_t = noised(stage.schedule, x_0, parameters.times, context.stream("noise"))
    levels = tuple(stage.schedule.at(t) for t in parameters.times)
    return Results(to_bytes(x_0), to_bytes(x_t), levels, context.seed)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    for t, level in zip(parameters.times, results.alpha_bars, strict=True):
        yield Number(f"signal-{t}", f"{math.sqrt(level):.2f}")
        yield Number(f"noise-{t}", f"{math.sqrt(1 - level):.2f}")
    size = results.original.shape[1]
    yield Panels(
        "noisy",
        rf"The test picture at {size}×{size} pixels, and $x_t$ at later times under one and the "
        rf"same noise $\epsilon$ (seed {results.seed}); values outside $[-1, 1]$ are clipped.",
        f"The test picture, then {len(parameters.times)} copies in ever more coloured noise.",
        [[*results.original, *results.noisy]],
        ["test picture", *at_times(parameters.times)],
    )
