"""Denoising diffusion on digits: the schedule, the loss and two samplers (Ho et al. 2020).

Times run t = 1 … T, and arrays have T + 1 entries so that index and time agree: ᾱ_0 = 1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from generators.digits.conditioned import ClassUNet, TimeUNet, one_hot
from generators.digits.data import load
from generators.digits.sampling import Prediction, Step, Streams
from generators.digits.training import Plan, fit
from generators.figure import Number
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream

Noising = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_0 (B, 1, 28, 28), t (B,) in 0 … T, ε like x_0) to x_t."""


@dataclass(frozen=True)
class Schedule:
    """β_t and ᾱ_t = ∏ (1 - β_s) for t = 0 … T, float64; β_0 = 0."""

    beta: Tensor
    alpha_bar: Tensor

    @property
    def steps(self) -> int:
        return len(self.beta) - 1

    def noising(self, device: torch.device) -> "Noising":
        """Return x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε (Ho et al. 2020, eq. 4) as a function there.

        Both roots lie on the device from then on: each update would wait for them to come.
        """
        roots = (self.alpha_bar.sqrt(), (1 - self.alpha_bar).sqrt())
        signal, spread = (each.float().to(device).reshape(-1, 1, 1, 1) for each in roots)
        return lambda x, t, noise: signal[t] * x + spread[t] * noise


def linear(steps: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """Return the schedule whose β grows linearly from β_1 = `first` to β_T = `last`."""
    rising = torch.linspace(first, last, steps, dtype=torch.float64)
    beta = torch.cat((torch.zeros(1, dtype=torch.float64), rising))
    return Schedule(beta, (1 - beta).cumprod(dim=0))


def ancestral(predict: Prediction, schedule: Schedule, streams: Streams) -> Iterator[Step]:
    """Descend from x_T ~ N(0, I) one time at a time, with noise of variance β_t after each.

    x_{t-1} = √ᾱ_{t-1} β_t / (1-ᾱ_t) x̂_0 + √α_t (1-ᾱ_{t-1}) / (1-ᾱ_t) x_t + √β_t z
    (Ho et al. 2020, eq. 7 with x̂_0 in the place of x_0); nothing is added at the last step.
    """
    x = streams.normal()
    for t in range(schedule.steps, 0, -1):
        now, then = schedule.alpha_bar[t].item(), schedule.alpha_bar[t - 1].item()
        beta = schedule.beta[t].item()
        x_0 = estimate(predict, x, t, schedule)
        of_estimate = then**0.5 * beta / (1 - now)
        of_state = (1 - beta) ** 0.5 * (1 - then) / (1 - now)
        x = of_estimate * x_0 + of_state * x
        if t > 1:
            x = x + beta**0.5 * streams.normal()
        yield Step(t - 1, x, x_0)


def ddim(
    predict: Prediction, schedule: Schedule, times: Sequence[int], streams: Streams
) -> Iterator[Step]:
    """Descend without noise along falling `times`, the last of them 0.

    x_{t'} = √ᾱ_{t'} x̂_0 + √(1-ᾱ_{t'}) ε̂ (Song et al. 2021, eq. 12 with σ = 0).
    """
    x = streams.normal()
    for t, following in pairwise(times):
        now, then = schedule.alpha_bar[t].item(), schedule.alpha_bar[following].item()
        x_0 = estimate(predict, x, t, schedule)
        noise = (x - now**0.5 * x_0) / (1 - now) ** 0.5
        x = then**0.5 * x_0 + (1 - then) ** 0.5 * noise
        yield Step(following, x, x_0)


def estimate(predict: Prediction, x: Tensor, t: int, schedule: Schedule) -> Tensor:
    """Return x̂_0 = (x_t - √(1-ᾱ_t) ε̂) / √ᾱ_t; the network is told t / T."""
    alpha_bar = schedule.alpha_bar[t].item()
    times = torch.full((len(x),), t / schedule.steps, device=x.device)
    x_0: Tensor = (x - (1 - alpha_bar) ** 0.5 * predict(x, times)) / alpha_bar**0.5
    return x_0


def last_signal(steps: int) -> Iterator[Number]:
    """Yield how much of the data is left at the last time, where sampling assumes none."""
    alpha_bar = linear(steps).alpha_bar[-1].item()
    yield Number("alpha-bar-last", f"{alpha_bar:.3f}")
    yield Number("signal-last", f"{alpha_bar**0.5:.2f}")


@dataclass(frozen=True)
class Recipe:
    """A network that predicts ε; `classes` tells it the digit, left out with `p_uncond`."""

    classes: bool = False
    steps: Annotated[int, Range(1, 10000)] = 300
    hidden: Annotated[int, Range(1, 1024)] = 64
    epochs: Annotated[int, Range(1, 1000)] = 20
    batch: Annotated[int, Range(2, 60000)] = 128
    rate: Annotated[float, Range(0, 1)] = 1e-3
    decay: Annotated[float, Range(0, 1)] = 0.1
    p_uncond: Annotated[float, Range(0, 1)] = 0.1
    images: Annotated[int, Range(2, 60000)] = 60000


def train(run: Run, recipe: Recipe) -> None:
    """Minimise ‖ε - ε̂(x_t, t)‖² with t uniform in 1 … T (Ho et al. 2020, eq. 14).

    The learning rate falls by `recipe.decay` over the whole training, a little after each epoch.
    """
    digits = load(run.dataset("mnist"), "train").first(recipe.images).to(run.device)
    schedule = linear(recipe.steps)
    noised = schedule.noising(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(run.seed, "weights"))
        network = ClassUNet(recipe.hidden) if recipe.classes else TimeUNet(recipe.hidden, torch.add)

    def loss(network: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        device = x.device
        t = torch.randint(1, schedule.steps + 1, (len(x),), device=device, generator=generator)
        noise = torch.randn(x.shape, device=device, generator=generator)
        keep = torch.rand(len(x), device=device, generator=generator) >= recipe.p_uncond
        x_t = noised(x, t, noise)
        return mse_loss(network(x_t, t / schedule.steps, one_hot(labels, keep)), noise)

    plan = Plan(recipe.epochs, recipe.batch, recipe.rate, recipe.decay ** (1 / recipe.epochs))
    fit(network, loss, digits, plan, run)
