"""How much noise there is at each time, and what one step from t to t' is made of.

Times are the indices 0 … T-1 of the scheduler's betas: index 0 already holds a little noise. The
clean image is the time `CLEAN` = -1, where ᾱ = 1. (The papers count from 1, with ᾱ_0 = 1.)
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from generators.diffusion.scheduler_config import SPREADS, SchedulerConfig

CLEAN = -1


class Stride(NamedTuple):
    """One step from t to t' < t, as numbers: x_t' ~ N(of_x_0 · x_0 + of_x_t · x_t, β̃).

    α = ᾱ_t / ᾱ_t', β = 1 - α, β̃ = (1 - ᾱ_t') / (1 - ᾱ_t) β; the mean is Ho et al. 2020, eq. 7,
    with t' in the place of t-1.
    """

    alpha: float
    beta: float
    beta_tilde: float
    of_x_0: float
    of_x_t: float


@dataclass(frozen=True)
class Schedule:
    """The noise of a trained network: ᾱ (T,) in float64, and what its config says beside it.

    `spread` is the v of a fixed variance (see `variance`), None where the network predicts it.
    """

    alpha_bar: Tensor
    spread: float | None
    config: SchedulerConfig

    def at(self, t: int) -> float:
        """Return ᾱ_t, which is 1 for the clean image.

        Raises: ValueError when t is not in CLEAN … T-1.
        """
        if not CLEAN <= t < len(self.alpha_bar):
            raise ValueError(f"time is {t}, expected {CLEAN} … {len(self.alpha_bar) - 1}")
        return 1.0 if t == CLEAN else self.alpha_bar[t].item()

    def add_noise(self, x: Tensor, t: int, noise: Tensor, start: int = CLEAN) -> Tensor:
        """Return x_t = √α x + √(1-α) ε for images x at the time `start`, α = ᾱ_t / ᾱ_start.

        Ho et al. 2020, eq. 4, for a clean x; ε ~ N(0, I) has the shape of x.
        """
        alpha = self.at(t) / self.at(start)
        return math.sqrt(alpha) * x + math.sqrt(1 - alpha) * noise

    def clean(self, x_t: Tensor, t: int, noise: Tensor) -> Tensor:
        """Return x̂_0 = (x_t - √(1-ᾱ_t) ε̂) / √ᾱ_t (Ho et al. 2020, eq. 15), not thresholded."""
        alpha_bar = self.at(t)
        return (x_t - math.sqrt(1 - alpha_bar) * noise) / math.sqrt(alpha_bar)

    def threshold(self, x_0: Tensor) -> Tensor:
        """Bring x̂_0 (B, C, H, W) into range, each image by itself, as the config says.

        Dynamic: s = a high quantile of |x̂_0| within 1 … sample_max_value, then
        clip(x̂_0, -s, s) / s (Saharia et al. 2022, section 2.3). Where the largest is 1, so is s.
        """
        config = self.config
        if config.thresholding and config.sample_max_value != 1:
            sizes = x_0.flatten(1).abs().float()
            s = high_quantile(sizes, config.dynamic_thresholding_ratio)
            s = s.clamp(1, config.sample_max_value).to(x_0).reshape(-1, 1, 1, 1)
            return x_0.clamp(-s, s) / s
        clipped = config.clip_sample_range if config.clip_sample else math.inf
        limit = 1.0 if config.thresholding else clipped
        return x_0.clamp(-limit, limit)

    def stride(self, t: int, t_next: int) -> Stride:
        """Return the numbers of a step from t to the less noisy t_next."""
        now, after = self.at(t), self.at(t_next)
        alpha = now / after
        beta = 1 - alpha
        beta_tilde = (1 - after) / (1 - now) * beta
        of_x_0 = math.sqrt(after) * beta / (1 - now)
        return Stride(alpha, beta, beta_tilde, of_x_0, math.sqrt(alpha) * (1 - after) / (1 - now))

    def variance(self, t: int, t_next: int, spread: Tensor | None) -> Tensor:
        """Return σ² with log σ² = f log β + (1-f) log β̃, f = (v+1)/2, v in [-1, 1].

        Nichol & Dhariwal 2021, eq. 15, where v = -1 … 1 is called 0 … 1.
        Raises: ValueError when the spread v is missing, or given though the variance is fixed.
        """
        if (spread is None) == (self.spread is None):
            found = "none" if spread is None else "one"
            raise ValueError(f"{self.config.variance_type}: the estimate has {found} spread")
        f = (torch.as_tensor(self.spread if spread is None else spread) + 1) / 2
        _, beta, beta_tilde, *_ = self.stride(t, t_next)
        # β̃ is zero on the way to the clean image; diffusers has the same floor.
        return torch.exp(f * math.log(beta) + (1 - f) * math.log(max(beta_tilde, 1e-20)))


def high_quantile(values: Tensor, share: float) -> Tensor:
    """Return the quantile of each row of values (B, N), linear between neighbours, as (B,).

    `Tensor.quantile` sorts whole rows, which takes seven times as long as to select what is above.
    """
    rank = share * (values.shape[1] - 1)
    below = math.floor(rank)
    top = values.topk(values.shape[1] - below, dim=1).values
    return torch.lerp(top[:, -1], top[:, max(-2, -top.shape[1])], rank - below)


def schedule_of(config: SchedulerConfig) -> Schedule:
    """Return the schedule that a scheduler config describes."""
    alpha_bar = torch.cumprod(1 - betas(config), dim=0)
    return Schedule(alpha_bar, SPREADS[config.variance_type], config)


def betas(config: SchedulerConfig) -> Tensor:
    """Return β (T,) in float64: linear, or the cosine of Nichol & Dhariwal 2021, eq. 17."""
    steps = config.num_train_timesteps
    if config.beta_schedule == "linear":
        return torch.linspace(config.beta_start, config.beta_end, steps, dtype=torch.float64)
    time = torch.arange(steps + 1, dtype=torch.float64) / steps
    level = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - level[1:] / level[:-1]).clamp(max=0.999)


def strided(steps: int, stride: int) -> list[int]:
    """Return the multiples of `stride` below `steps`, descending: 990, 960, …, 0 for 1000, 30.

    Raises: ValueError when the stride is not in 1 … steps - 1.
    """
    if not 1 <= stride < steps:
        raise ValueError(f"stride is {stride}, expected 1 … {steps - 1}")
    return list(range((steps - 1) // stride * stride, -1, -stride))


def counted(steps: int, count: int) -> list[int]:
    """Return the times of `count` updates down to the clean image, spaced as diffusers does.

    Multiples of ⌊steps / count⌋ from count - 1 down to 0, then CLEAN.
    Raises: ValueError when the count is not in 1 … steps.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"step count is {count}, expected 1 … {steps}")
    return [steps // count * index for index in reversed(range(count))] + [CLEAN]
