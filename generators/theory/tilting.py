"""What guidance is said to sample: p(x) p(c | x)^γ, on the points of a grid."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from generators.theory.mixture import Mixture

LOW, HIGH, BINS = -3.0, 4.0, 140
"""Where samples are counted."""
LINE = np.linspace(-8.0, 8.0, 8001)
"""Where densities are evaluated."""


def of_class(data: Mixture) -> Mixture:
    """Return p(x | c) for the class c that is the first part of a mixture."""
    return Mixture(torch.ones(1, dtype=torch.float64), data.means[:1], data.deviations[:1])


def tilted(data: Mixture, scale: float) -> NDArray[np.float64]:
    """Return p(x) p(c | x)^γ on LINE, normalised; the class c is the first part."""
    x = torch.from_numpy(LINE)
    log_odds = data.log_parts(x).log_softmax(dim=-1)[..., 0]
    raw = (data.log_density(x) + scale * log_odds).exp().numpy()
    return np.asarray(raw / np.trapezoid(raw, LINE))


def moments(density: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and deviation of a density on LINE."""
    mean = float(np.trapezoid(density * LINE, LINE))
    return mean, math.sqrt(np.trapezoid(density * (LINE - mean) ** 2, LINE))


def distance(counts: NDArray[np.int32], points: int, density: NDArray[np.float64]) -> float:
    """Return the total variation between samples and a density on LINE, from 0 to 1.

    ½ Σ |share - probability| over the bins of LOW … HIGH, and of all that lies outside.
    """
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(LINE))])
    ends = np.interp(np.linspace(LOW, HIGH, BINS + 1), LINE, below)
    off = np.abs(counts / points - np.diff(ends)).sum()
    outside = abs((1 - counts.sum() / points) - (1 - (ends[-1] - ends[0])))
    return float(off + outside) / 2
