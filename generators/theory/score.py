"""T4: a density on the line flows to noise and back, by the exact score."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.diffusion.sampling import Estimator, Noise, denoise
from generators.diffusion.schedule import CLEAN, Schedule, counted
from generators.figure import Animation, Context, Number, Output, Panels
from generators.parameters import Range
from generators.theory.mixture import Mixture, mixture
from generators.theory.pictures import REACH, WIDTH, carried, density_map, drawn, evenly
from generators.theory.raster import histogram, scaled_along
from generators.theory.variational_diffusion import cosine

FRAME = (640, 260)
BINS = 128


@dataclass(frozen=True)
class Parameters:
    weights: tuple[float, ...] = (0.5, 0.3, 0.2)
    means: tuple[float, ...] = (-1.2, 0.2, 1.4)
    deviations: tuple[float, ...] = (0.25, 0.2, 0.25)
    steps: Annotated[int, Range(10, 1000)] = 1000
    points: Annotated[int, Range(1000, 1000000)] = 20000
    paths: Annotated[int, Range(1, 40)] = 9
    frames: Annotated[int, Range(2, 100)] = 32


@dataclass(frozen=True)
class Results:
    """The first walks (walk, time) from noise to data; counts (frame, bin) of all points.

    `distance` is how far the distribution of the points that came back is from that of the data.
    """

    walks: NDArray[np.float32]
    forward: NDArray[np.int32]
    backward: NDArray[np.int32]
    distance: float


def experiment(context: Context, parameters: Parameters) -> Results:
    """Noise points and bring them back by the loop of Part A, with the exact score."""
    data, noises = mixture(parameters.weights, parameters.means, parameters.deviations), cosine()
    generator = torch.Generator().manual_seed(context.stream("walks"))
    times = counted(1000, parameters.steps)
    x_t = torch.randn(1, 1, 1, parameters.points, generator=generator).double()
    estimate = exact(data, noises)
    walked = {times[0]: x_t[0, 0, 0]}
    for step in denoise(x_t, estimate, noises, times, generators=[generator]):
        walked[step.t] = step.x_t[0, 0, 0]
    chosen = [times[index] for index in evenly(len(times), parameters.frames)]
    x_0 = data.draw(parameters.points, context.stream("data"))
    noise = torch.randn(parameters.points, generator=generator).double()
    forward = [noises.add_noise(x_0, t, noise) for t in chosen]
    return Results(
        torch.stack([walked[t][: parameters.paths] for t in times], dim=1).float().numpy(),
        np.stack([counts(each) for each in forward]),
        np.stack([counts(walked[t]) for t in chosen]),
        kolmogorov(walked[CLEAN], data),
    )


def exact(data: Mixture, noises: Schedule) -> Estimator:
    """Return the best estimate of the noise at points x_t, ε̂ = -√(1-ᾱ) d log p_t / dx."""

    def estimate(x_t: Tensor, t: int) -> Noise:
        return Noise(-math.sqrt(1 - noises.at(t)) * seen(data, noises, t).score(x_t))

    return estimate


def seen(data: Mixture, noises: Schedule, t: int) -> Mixture:
    """Return p_t, the density of x_t = √ᾱ x_0 + √(1-ᾱ) ε."""
    return data.noised(math.sqrt(noises.at(t)), math.sqrt(1 - noises.at(t)))


def counts(x: Tensor) -> NDArray[np.int32]:
    """Return how many points (N,) fall into each of the bins of -REACH … REACH."""
    return np.histogram(x.numpy(), BINS, (-REACH, REACH))[0].astype(np.int32)


def kolmogorov(x: Tensor, density: Mixture) -> float:
    """Return max |F_n - F|, the Kolmogorov distance from points (N,) to a density."""
    below = density.below(x.sort().values)
    steps = torch.arange(len(x) + 1, dtype=torch.float64) / len(x)
    return torch.maximum(steps[1:] - below, below - steps[:-1]).max().item()


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    data, noises = mixture(parameters.weights, parameters.means, parameters.deviations), cosine()
    times = counted(1000, parameters.steps)[::-1]
    columns = evenly(len(times), WIDTH)
    densities = [seen(data, noises, times[column]) for column in columns]
    walks = results.walks[:, ::-1][:, columns].astype(float)
    flow = density_map(densities)
    yield Panels(
        "there-and-back",
        rf"A density on the line, data at the left ($t = 0$) and noise at the right ($t = T$), "
        rf"bright where $p_t$ is high; $x$ runs upwards. Above, "
        f"{len(walks)} walks of the ancestral sampler in {parameters.steps} steps; below, from the "
        "same noises, the paths of the probability-flow ODE. Both have, the walks up to their "
        "finite steps, the same density at every time.",
        "Three bright bands at the left melt into one wide band at the right. In the upper picture "
        "jagged walks lead along them, in the lower one smooth curves that never cross.",
        [[drawn(flow, walks)], [drawn(flow, carried(densities, -1, walks[:, -1]))]],
        columns=["data, t = 0 ⟶ noise, t = T"],
        labels=["walks", "ODE"],
    )
    yield Animation(
        "animation",
        f"{parameters.points:,} points drawn from the data sink into noise; then as many others "
        f"come "
        "back from noise by the ancestral sampler. The line is the exact $p_t$.",
        "A histogram of three peaks spreads into one bell and returns to three peaks, always "
        "under a line that it follows.",
        list(moving(results, data, noises, parameters)),
        90,
    )
    yield Number("distance", f"{results.distance:.4f}")
    yield Number("points", f"{parameters.points:,}")
    yield Number("chance", f"{1.36 / math.sqrt(parameters.points):.4f}")


def moving(
    results: Results, data: Mixture, noises: Schedule, parameters: Parameters
) -> Iterator[NDArray[np.uint8]]:
    """Yield histograms with the exact density: from the data to noise, and back."""
    width, height = FRAME
    times = counted(1000, parameters.steps)
    x = torch.linspace(-REACH, REACH, width, dtype=torch.float64)
    top = 1.08 * data.density(x).max().item()
    scale = BINS / (2 * REACH) / parameters.points / top
    frames = list(enumerate(evenly(len(times), parameters.frames)))
    for found, order in ((results.forward, frames[::-1]), (results.backward, frames)):
        for frame, index in order:
            curve = seen(data, noises, times[index]).density(x).numpy() / top
            bars = histogram(np.repeat(found[frame] * scale, width // BINS), curve, height)
            yield scaled_along(bars, -REACH, REACH)
