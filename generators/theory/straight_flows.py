"""T6: straight conditional paths, the curved flow that is their mean, and how it is integrated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.flow import Increment, Velocity, euler, heun, integrate, midpoint
from generators.figure import Context, Number, Output, Panels, Plot, Series
from generators.parameters import Range
from generators.theory.mixture import Mixture, mixture
from generators.theory.pictures import WIDTH, carried, density_map, drawn

METHODS: dict[str, Increment] = {"Euler": euler, "midpoint": midpoint, "Heun": heun}


@dataclass(frozen=True)
class Parameters:
    weights: tuple[float, ...] = (0.5, 0.3, 0.2)
    means: tuple[float, ...] = (-1.2, 0.2, 1.4)
    deviations: tuple[float, ...] = (0.25, 0.2, 0.25)
    paths: Annotated[int, Range(1, 60)] = 16
    points: Annotated[int, Range(10, 1000000)] = 2001
    steps: Annotated[tuple[int, ...], Range(1, 1000000)] = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Results:
    """Ends (path,) of straight paths, noise and data; errors (method, step count) of the flow."""

    noise: NDArray[np.float64]
    data: NDArray[np.float64]
    errors: NDArray[np.float64]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Join noise to data at random, and integrate the exact velocity from evenly spread noise."""
    target = mixture(parameters.weights, parameters.means, parameters.deviations)
    generator = torch.Generator().manual_seed(context.stream("noise"))
    noise = torch.randn(parameters.paths, generator=generator).double()
    share = (torch.arange(parameters.points, dtype=torch.float64) + 0.5) / parameters.points
    x_0, x_1 = torch.special.ndtri(share), target.quantile(share)
    errors = [
        [
            (arrival(target, x_0, steps, method) - x_1).square().mean().sqrt()
            for steps in parameters.steps
        ]
        for method in METHODS.values()
    ]
    return Results(
        noise.numpy(),
        target.draw(parameters.paths, context.stream("data")).numpy(),
        torch.tensor(errors, dtype=torch.float64).numpy(),
    )


def arrival(target: Mixture, x_0: Tensor, steps: int, method: Increment) -> Tensor:
    """Return where the points x_0 (N,) are at t = 1, by the integrator of Part B."""
    x = x_0
    for step in integrate(velocity(target), x_0, steps, method):
        x = step.x
    return x


def velocity(target: Mixture) -> Velocity:
    """Return the marginal velocity u(x, t) = E[x_1 - x_0 | x_t = x] of straight paths.

    x_t = (1-t) x_0 + t x_1 and x_0 ~ N(0, 1): u = (E[x_1 | x] - x) / (1-t), and at t = 1, where
    x_0 is unknown and has mean zero, u = x.
    """

    def u(x: Tensor, t: float) -> Tensor:
        return x if t >= 1 else (target.clean(x, t, 1 - t) - x) / (1 - t)

    return u


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    target = mixture(parameters.weights, parameters.means, parameters.deviations)
    times = np.linspace(0, 1, WIDTH)
    densities = [target.noised(t, 1 - t) for t in times.tolist()]
    image = density_map(densities)
    straight = (1 - times) * results.noise[:, None] + times * results.data[:, None]
    curved = carried(densities, 0, results.noise)
    yield Panels(
        "paths",
        r"Noise at the left ($t = 0$), data at the right ($t = 1$), bright where $p_t$ is high. "
        f"Above, {parameters.paths} straight paths from a noise to a random data point: the "
        f"network is trained "
        "on these, and they cross. Below, from the same noises, the paths of their mean "
        "velocity: they carry the same density, bend and never cross.",
        "One wide band at the left parts into three at the right; straight lines cross it above, "
        "below smooth curves part with it.",
        [[drawn(image, straight)], [drawn(image, curved)]],
        columns=["noise, t = 0 ⟶ data, t = 1"],
        labels=["trained on", "followed"],
    )
    powers = np.log2(parameters.steps)
    yield Plot(
        "order",
        "Error of the integrated flow, root of the mean square over "
        f"{parameters.points:,} points spread evenly over the noise, against the exact map. "
        "A method of order 1 falls with slope one, of order 2 with slope two.",
        "Three falling lines; two of them are twice as steep as that of Euler.",
        [
            Series(name, powers.tolist(), np.log2(errors).tolist())
            for name, errors in zip(METHODS, results.errors, strict=True)
        ],
        "number of steps, as a power of two",
        "error, as a power of two",
    )
    for name, errors in zip(METHODS, results.errors, strict=True):
        yield Number(f"order-{name.lower()}", f"{order(errors, powers):.2f}")
    yield Number("bend", f"{bend(curved, times):.2f}")


def order(errors: NDArray[np.float64], powers: NDArray[np.float64]) -> float:
    """Return the slope of log₂ error against log₂ steps, over the four greatest counts, negated."""
    return -float(np.polyfit(powers[-4:], np.log2(errors[-4:]), 1)[0])


def bend(paths: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Return the greatest distance of a path (path, time) from the chord between its ends."""
    chords = (1 - times) * paths[:, :1] + times * paths[:, -1:]
    return float(np.abs(paths - chords).max())
