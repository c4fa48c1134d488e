"""The evidence lower bound of a diffusion model with the exact denoiser, term by term, in nats."""

import math
from itertools import pairwise

import torch

from generators.diffusion.schedule import CLEAN, Schedule, Stride
from generators.theory.mixture import Mixture

GRID = 2001


def nats(data: Mixture, noises: Schedule, count: int, variance: str) -> float:
    """Return the negative bound, in nats, of the best denoiser of the data in `count` steps.

    `variance` names that of the reverse steps. The last step, whose β̃ is zero, takes the best one.
    """
    times = spread_out(noises, count)
    total = prior_term(noises.at(times[0]), data.moment(2))
    for t, t_next in pairwise(times):
        stride = noises.stride(t, t_next)
        miss = clean_variance(data, noises.at(t))
        best = stride.beta_tilde + stride.of_x_0**2 * miss
        if t_next == CLEAN:
            total += (math.log(2 * math.pi * best) + 1) / 2
        else:
            chosen = {"β̃": stride.beta_tilde, "β": stride.beta, "best": best}[variance]
            total += step_term(stride, miss, chosen)
    return total


def step_term(stride: Stride, miss: float, variance: float) -> float:
    """Return E KL(q(x_t' | x_t, x_0) ‖ N(μ(x_t, x̂_0), σ²)), where x̂_0 is off by E(x_0-x̂_0)²."""
    missed = stride.beta_tilde + stride.of_x_0**2 * miss
    return (math.log(variance / stride.beta_tilde) + missed / variance - 1) / 2


def clean_variance(data: Mixture, alpha_bar: float) -> float:
    """Return E Var[x_0 | x_t] = E[x_0²] - E[E[x_0 | x_t]²], by quadrature over x_t."""
    signal, noise = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    seen = data.noised(signal, noise)
    x = grid(seen)
    explained = torch.trapezoid(seen.density(x) * data.clean(x, signal, noise).square(), x)
    return data.moment(2) - explained.item()


def entropy(data: Mixture) -> float:
    """Return -E[log p(x)] in nats, by quadrature."""
    x = grid(data)
    return -torch.trapezoid(data.density(x) * data.log_density(x), x).item()


def grid(density: Mixture) -> torch.Tensor:
    """Return points (GRID,) that cover a mixture to nine deviations of its outer parts."""
    low = (density.means - 9 * density.deviations).min().item()
    high = (density.means + 9 * density.deviations).max().item()
    return torch.linspace(low, high, GRID, dtype=torch.float64)


def spread_out(noises: Schedule, count: int) -> list[int]:
    """Return the times of `count` updates, evenly from the noisiest to index 0, and CLEAN."""
    last = len(noises.alpha_bar) - 1
    return [round(last * step / (count - 1)) for step in reversed(range(count))] + [CLEAN]


def prior_term(alpha_bar: float, second_moment: float) -> float:
    """Return KL(N(√ᾱ x_0, 1-ᾱ) ‖ N(0, 1)) in nats per dimension, averaged over E[x_0²]."""
    return (alpha_bar * (second_moment - 1) - math.log1p(-alpha_bar)) / 2
