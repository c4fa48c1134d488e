"""A0: the cascade itself, and what the number of steps in either stage changes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import Generators, generators_of
from generators.diffusion.schedule import counted
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range
from generators.part_a.changes import change, what_changes
from generators.part_a.descents import check_as_many, sample
from generators.part_a.showing import Pixels, guidance


@dataclass(frozen=True)
class Parameters:
    prompts: tuple[str, ...] = (
        "an oil painting of a snowy mountain village",
        "a man wearing a hat",
        "a rocket ship",
    )
    first: Annotated[tuple[int, ...], Range(1, 1000)] = (20, 20, 64)
    second: Annotated[tuple[int, ...], Range(1, 1000)] = (20, 64, 64)
    compared: Annotated[tuple[int, ...], Range(1, 1000)] = (20, 200)
    candidates: Annotated[int, Range(1, 16)] = 1
    scale: Annotated[float, Range(0, 100)] = 7.0
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0


@dataclass(frozen=True)
class Results:
    """Pictures small (count, prompt, h, w, 3) and large (setting, prompt, H, W, 3), and seconds.

    `small` follows Parameters.compared. `changes` (setting - 1, 2) between a setting and the next,
    of pixels and at large, on a scale where black to white is 1. Each prompt has the best of
    `tried` noises.
    """

    small: Pixels
    large: Pixels
    seconds_small: tuple[float, ...]
    seconds_large: tuple[float, ...]
    changes: NDArray[np.float64]
    tried: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Make the prompts at every setting of both stages from the same seeds, and time it.

    Where there is a judge, it chooses each prompt's seed by what the first setting makes of it.
    """
    check_as_many(context, {"first": len(parameters.first), "second": len(parameters.second)})
    cascade, prompts = context.cascade(), parameters.prompts
    estimate = cascade.guided(prompts, parameters.scale)
    steps = len(cascade.stage(1).schedule.alpha_bar)
    tried = parameters.candidates if context.judge() else 1
    noises = best_noises(context, parameters, tried)
    small: dict[int, Tensor] = {}
    took: dict[int, float] = {}
    for count in sorted({*parameters.first, *parameters.compared}):
        generators = [each[n] for n, each in enumerate(starts(context, prompts, noises))]
        began = time.perf_counter()
        small[count] = sample(
            context, estimate, generators, counted(steps, count), f"{count} steps of stage 1"
        ).cpu()
        took[count] = time.perf_counter() - began
    cascade.stage(2)
    large, seconds = [], []
    for done, (first, second) in enumerate(zip(parameters.first, parameters.second, strict=True)):
        context.progress(f"{second} steps of stage 2", done, len(parameters.first))
        generators = generators_of(context.stream("upsampled"), len(prompts))
        began = time.perf_counter()
        large.append(
            cascade.upsampled(
                small[first],
                prompts,
                generators,
                steps=second,
                scale=parameters.upsampling_scale,
            ).cpu()
        )
        seconds.append(time.perf_counter() - began)
    return Results(
        np.stack([to_bytes(small[count]) for count in parameters.compared]),
        np.stack([to_bytes(each) for each in large]),
        tuple(round(took[count], 1) for count in (*parameters.compared, *parameters.first)),
        tuple(round(each, 1) for each in seconds),
        np.array([change(a, b) for a, b in pairwise(large)]),
        tried,
        context.seed,
    )


def best_noises(context: Context, parameters: Parameters, tried: int) -> list[int]:
    """Return which of so many noises the judge likes best for each prompt."""
    cascade, prompts, judge = context.cascade(), parameters.prompts, context.judge()
    if judge is None or tried == 1:
        return [0] * len(prompts)
    every = starts(context, prompts, range(tried))
    generators = [each for candidate in every for each in candidate]
    estimate = cascade.guided(prompts * tried, parameters.scale)
    times = counted(len(cascade.stage(1).schedule.alpha_bar), parameters.first[0])
    images = sample(context, estimate, generators, times, f"{tried} noises")
    return [
        int(judge.similarities(images[number :: len(prompts)], [prompt]).argmax())
        for number, prompt in enumerate(prompts)
    ]


def starts(context: Context, prompts: Sequence[str], noises: Iterable[int]) -> list[Generators]:
    """Return fresh generators for all prompts, once for each of the noises."""
    seed = context.stream("samples")
    return [generators_of(seed, len(prompts), noise) for noise in noises]


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    settings = list(zip(parameters.first, parameters.second, strict=True))
    seconds_small = results.seconds_small[len(parameters.compared) :]
    seconds = list(zip(seconds_small, results.seconds_large, strict=True))
    for index, (pixel, at_large) in enumerate(results.changes.tolist(), 1):
        yield Number(f"change-{index}", f"{pixel:.3f}")
        yield Number(f"change-at-large-{index}", f"{at_large:.3f}")
        yield Number(f"what-{index}", what_changes(settings[index - 1], settings[index]))
    listed = "; ".join(
        f"{first}, {second}: {a:.1f} s and {b:.1f} s"
        for (first, second), (a, b) in zip(settings, seconds, strict=True)
    )
    how = f"{guidance(parameters.scale)} in stage 1, seed {results.seed}"
    if results.tried > 1:
        how += (
            f", each prompt with that of {results.tried} noises of which the judge likes best what "
            f"{parameters.first[0]} updates make"
        )
    yield Panels(
        "grid",
        f"The same prompts and the same noise; columns say the updates in stage 1 and in stage 2. "
        f"Time taken in the two stages for all {len(parameters.prompts)} pictures: {listed}; "
        f"{how}; stage 2 {guidance(parameters.upsampling_scale)}.",
        "A row for each prompt, a column for each pair of step counts.",
        results.large.swapaxes(0, 1),
        [f"{first} + {second}" for first, second in settings],
        parameters.prompts,
    )
    times = [
        f"{count} updates took {seconds:.1f} s"
        for count, seconds in zip(parameters.compared, results.seconds_small, strict=False)
    ]
    yield Panels(
        "steps",
        f"Stage 1 alone, few updates against many: {', '.join(times)}; {how}.",
        "A row for each prompt, a column for each number of updates.",
        results.small.swapaxes(0, 1),
        [f"{count} updates" for count in parameters.compared],
        parameters.prompts,
    )
