"""A1.2: blurring the noise away, as one did before there were networks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.diffusion.filters import gaussian
from generators.diffusion.pictures import to_bytes
from generators.figure import Context, Number, Output, Panels, Plot, Series
from generators.parameters import File, Range
from generators.part_a.descents import check_kernel, noised, pictures
from generators.part_a.showing import Pixels, at_times


@dataclass(frozen=True)
class Parameters:
    image: File = "images/bell-tower.png"
    times: Annotated[tuple[int, ...], Range(0, 999)] = (250, 500, 750)
    kernels: Annotated[tuple[int, ...], Range(3, 63)] = (3, 5, 9, 13)
    sigmas: Annotated[tuple[float, ...], Range(0.1, 20)] = (0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Results:
    """x_t (T, h, w, 3); it under every blur (T, kernel, σ, h, w, 3); their errors (T, kernel, σ).

    `unblurred` (T,) are the errors of x_t itself, `faded` (T,) those of √ᾱ_t x_0, which is x_t
    without noise. Errors are mean squares over values in [-1, 1].
    """

    noisy: Pixels
    blurred: Pixels
    errors: NDArray[np.float64]
    unblurred: NDArray[np.float64]
    faded: NDArray[np.float64]
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Blur x_t with every kernel and σ, and measure how far that is from x_0."""
    stage = context.cascade().stage(1)
    for kernel in parameters.kernels:
        check_kernel(context, kernel, stage.size)
    x_0 = pictures(context, [parameters.image], stage.size)
    x_t = noised(stage.schedule, x_0, parameters.times, context.stream("noise"))
    blurred = torch.stack(
        [
            torch.stack([gaussian(kernel, sigma)(x_t) for sigma in parameters.sigmas], dim=1)
            for kernel in parameters.kernels
        ],
        dim=1,
    )
    shown = to_bytes(blurred.flatten(0, 2)).reshape(*blurred.shape[:3], *x_0.shape[2:], 3)
    errors = (blurred - x_0).square().mean(dim=(-3, -2, -1))
    unblurred = (x_t - x_0).square().mean(dim=(-3, -2, -1))
    lost = np.array([1 - stage.schedule.at(t) ** 0.5 for t in parameters.times])
    return Results(
        to_bytes(x_t),
        shown,
        errors.cpu().double().numpy(),
        unblurred.cpu().double().numpy(),
        lost**2 * x_0.square().mean().item(),
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    best = [np.unravel_index(each.argmin(), each.shape) for each in results.errors]
    chosen = []
    for index, (t, (k, s)) in enumerate(zip(parameters.times, best, strict=True)):
        kernel, sigma = parameters.kernels[k], parameters.sigmas[s]
        chosen.append(rf"{kernel}×{kernel} pixels with $\sigma = {sigma:g}$ at $t = {t}$")
        yield Number(f"best-{t}", f"{results.errors[index].min():.3f}")
        yield Number(f"noisy-{t}", f"{results.unblurred[index]:.3f}")
        yield Number(f"faded-{t}", f"{results.faded[index]:.3f}")
    yield Panels(
        "best",
        f"Above $x_t$, below it the Gaussian blur of least squared error: {'; '.join(chosen)} "
        f"(seed {results.seed}).",
        "The noisy test picture at growing times, and below each a smooth, blurred version.",
        [results.noisy, [each[place] for each, place in zip(results.blurred, best, strict=True)]],
        at_times(parameters.times),
        ["xₜ", "blurred"],
    )
    yield Panels(
        "grid",
        "Every blur that was tried: a row for each time $t$ and width $k$ of the kernel in pixels, "
        r"a column for each $\sigma$.",
        "Rows of blurred versions of the noisy picture, smoother to the right and downwards.",
        [row for at_time in results.blurred for row in at_time],
        [f"σ = {sigma:g}" for sigma in parameters.sigmas],
        [f"t = {t}, k = {kernel}" for t in parameters.times for kernel in parameters.kernels],
    )
    yield Plot(
        "errors",
        r"Mean squared error to the clean picture, in $[-1, 1]$, of the best kernel at each "
        r"$\sigma$.",
        "One line per time, mean squared error over sigma.",
        [
            Series(f"t = {t}", parameters.sigmas, errors.min(axis=0).tolist())
            for t, errors in zip(parameters.times, results.errors, strict=True)
        ],
        "σ in pixels",
        "mean squared error",
    )
