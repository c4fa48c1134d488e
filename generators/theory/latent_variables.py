"""T1: the evidence lower bound of a model so small that the evidence itself is known.

z ~ N(0, 1) and x given z ~ N(w z, s²), so x ~ N(0, w² + s²) and z given x is Gaussian as well.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch

from generators.figure import Context, Number, Output, Plot, Series
from generators.parameters import Range


@dataclass(frozen=True)
class Parameters:
    weight: Annotated[float, Range(0.01, 10)] = 1.0
    spread: Annotated[float, Range(0.01, 10)] = 0.5
    x: Annotated[float, Range(-10, 10)] = 1.0
    offset: Annotated[float, Range(-10, 10)] = 0.4
    draws: Annotated[int, Range(100, 10000000)] = 1000000


class Gaussian(NamedTuple):
    """N(mean, deviation²)."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Results:
    """Mean and variance of two estimates of one gradient, from single draws; its true value."""

    through_noise: tuple[float, float]
    through_density: tuple[float, float]
    gradient: float


def experiment(context: Context, parameters: Parameters) -> Results:
    """Estimate d/dm E_q[log p(x, z)] for q = N(m, d²) in both ways, from the same draws."""
    w, s, x = parameters.weight, parameters.spread, parameters.x
    truth = posterior(w, s, x)
    q = Gaussian(truth.mean + parameters.offset, truth.deviation)
    generator = torch.Generator().manual_seed(context.stream("gradients"))
    noise = torch.randn(parameters.draws, generator=generator).double()
    z = q.mean + q.deviation * noise
    log_joint = -(((x - w * z) / s) ** 2 + z**2) / 2 - math.log(2 * math.pi * s)
    slope = w * (x - w * z) / s**2 - z
    estimates = (slope, log_joint * noise / q.deviation)
    (by_noise, by_density) = ((e.mean().item(), e.var().item()) for e in estimates)
    return Results(by_noise, by_density, w * (x - w * q.mean) / s**2 - q.mean)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    w, s, x = parameters.weight, parameters.spread, parameters.x
    truth, evidence = posterior(w, s, x), log_evidence(w, s, x)
    deviations = np.geomspace(truth.deviation / 6, truth.deviation * 3, 120).tolist()
    shifted = truth.mean + parameters.offset
    curves = {"mean of the posterior": truth.mean, f"mean off by {parameters.offset:g}": shifted}
    yield Plot(
        "bound",
        rf"The bound for one observation, $x = {x:g}$, against the deviation $d$ of "
        r"$q = \mathcal{N}(m, d^2)$. It touches the evidence where $q$ is the posterior, at "
        rf"$d = {truth.deviation:.3f}$; the distance to the dashed line is the divergence from $q$ "
        "to the posterior.",
        "Two humped curves under a dashed line; one touches it in a single point, the other "
        "stays below.",
        [
            *(
                Series(label, deviations, [elbo(w, s, x, Gaussian(mean, d)) for d in deviations])
                for label, mean in curves.items()
            ),
            Series("log p(x)", (0.0,), (evidence,), rule=True),
        ],
        "deviation d of q",
        "nats",
    )
    best = elbo(w, s, x, truth)
    for name, value in {
        "evidence": evidence,
        "best-bound": best,
        "gradient": results.gradient,
    }.items():
        yield Number(name, f"{value:.3f}".replace("-", "−"))
    yield from measured("noise", results.through_noise)
    yield from measured("density", results.through_density)


def measured(name: str, estimate: Sequence[float]) -> Iterator[Number]:
    mean, variance = estimate
    yield Number(f"{name}-mean", f"{mean:.3f}".replace("-", "−"))
    yield Number(f"{name}-variance", f"{variance:.2f}")


def divergence(q: Gaussian, p: Gaussian) -> float:
    """Return KL(q ‖ p) = log(s_p / s_q) + (s_q² + (m_q - m_p)²) / (2 s_p²) - 1/2, in nats."""
    ratio = (q.deviation**2 + (q.mean - p.mean) ** 2) / p.deviation**2
    return math.log(p.deviation / q.deviation) + (ratio - 1) / 2


def posterior(weight: float, spread: float, x: float) -> Gaussian:
    """Return p(z | x), by completing the square in z."""
    total = weight**2 + spread**2
    return Gaussian(weight * x / total, spread / math.sqrt(total))


def log_evidence(weight: float, spread: float, x: float) -> float:
    """Return log p(x), x ~ N(0, w² + s²)."""
    total = weight**2 + spread**2
    return -(x**2 / total + math.log(2 * math.pi * total)) / 2


def elbo(weight: float, spread: float, x: float, q: Gaussian) -> float:
    """Return E_q[log p(x | z)] - KL(q ‖ N(0, 1)), Kingma & Welling 2014, eq. 3."""
    miss = (x - weight * q.mean) ** 2 + (weight * q.deviation) ** 2
    told = -(miss / spread**2 + math.log(2 * math.pi * spread**2)) / 2
    return told - divergence(q, Gaussian(0.0, 1.0))
