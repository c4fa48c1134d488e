"""A1.4: from a noisy picture to a clean one in many small steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from generators.diffusion.filters import gaussian
from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import denoise, generators_of
from generators.figure import Animation, Context, Number, Output, Panels, Trajectory
from generators.parameters import File, Range
from generators.part_a.descents import (
    check_kernel,
    noised,
    one_step,
    pictures,
    reported,
    times_of,
)
from generators.part_a.editing import check_starts
from generators.part_a.showing import Pixels, at_times, beside

RIVALS = ("iterative", "one-step", "blur")


@dataclass(frozen=True)
class Parameters:
    image: File = "images/bell-tower.png"
    prompt: str = "a high quality photo"
    stride: Annotated[int, Range(1, 499)] = 30
    start: Annotated[int, Range(0, 997)] = 10
    every: Annotated[int, Range(1, 100)] = 5
    kernel: Annotated[int, Range(3, 63)] = 5
    sigma: Annotated[float, Range(0.1, 20)] = 2.0


@dataclass(frozen=True)
class Results:
    """x_t (U + 1, h, w, 3) at `times`; x̂_0 (U, h, w, 3) of each update.

    `compared` (4, h, w, 3) are the original and what each of the RIVALS made of it; `errors` the
    mean squared error of these.
    """

    states: Pixels
    estimates: Pixels
    times: tuple[int, ...]
    compared: Pixels
    errors: tuple[float, ...]
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Denoise one x_t step by step, in one step, and by a blur."""
    cascade = context.cascade()
    stage = cascade.stage(1)
    times = times_of(stage.schedule, parameters.stride)
    check_starts(context, [parameters.start], times)
    times = times[parameters.start :]
    check_kernel(context, parameters.kernel, stage.size)
    x_0 = pictures(context, [parameters.image], stage.size)
    x_t = noised(stage.schedule, x_0, times[:1], context.stream("noise"))
    estimate = cascade.told([parameters.prompt])
    generators = generators_of(context.stream("steps"), 1)
    steps = denoise(x_t, estimate, stage.schedule, times, generators=generators)
    kept = list(reported(context, "updates", steps, times))
    once = one_step(stage.schedule, estimate, x_t, times[:1])
    blurred = gaussian(parameters.kernel, parameters.sigma)(x_t)
    compared = torch.cat([x_0, kept[-1].x_t, once, blurred])
    return Results(
        to_bytes(torch.cat([x_t, *(step.x_t for step in kept)])),
        to_bytes(torch.cat([step.x_0 for step in kept])),
        tuple(times),
        to_bytes(compared),
        tuple((compared[1:] - x_0).square().mean(dim=(1, 2, 3)).tolist()),
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    for name, error in zip(RIVALS, results.errors, strict=True):
        yield Number(name, f"{error:.3f}")
    chosen = slice(0, -1, parameters.every)
    every = "update" if parameters.every == 1 else f"{parameters.every} updates"
    yield Panels(
        "steps",
        rf"$x_t$ every {every} from $i = {parameters.start}$ on, where $t = {results.times[0]}$; "
        f"told “{parameters.prompt}”, without guidance, seed {results.seed}.",
        "The noisy picture at falling times, each less noisy than the one before.",
        [results.states[chosen]],
        at_times(results.times[chosen]),
    )
    yield Panels(
        "comparison",
        f"The original, and what became of it after noise of $t = {results.times[0]}$: "
        f"{len(results.estimates)} updates, a single step, and a Gaussian blur "
        rf"({parameters.kernel}×{parameters.kernel} pixels, $\sigma = {parameters.sigma:g}$).",
        "Four pictures side by side: original, iterative, one-step and blurred result.",
        [results.compared],
        ["original", *RIVALS],
    )
    yield Trajectory(
        "way",
        r"The state $x_t$ and the $\hat x_0$ estimated from it (under All steps, below it).",
        "Noise recedes from the upper picture while the lower one, smooth at first, gains detail.",
        list(zip(results.states, results.estimates, strict=False)),
        at_times(results.times[:-1]),
    )
    yield Animation(
        "descent",
        r"All updates in turn: left the $x_{t'}$ made, right the $\hat x_0$ it was made with.",
        "Two pictures in motion: the left one loses its noise, the right one gains detail.",
        [beside(pair) for pair in zip(results.states[1:], results.estimates, strict=True)],
        120,
    )
