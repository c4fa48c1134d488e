"""Flow matching on digits: straight paths, a velocity, and three ways to follow it.

Time runs the other way than in diffusion: t = 0 is noise, t = 1 is data (Lipman et al. 2023).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from generators.digits.conditioned import ClassUNet, TimeUNet, one_hot
from generators.digits.data import load
from generators.digits.sampling import Prediction, Step
from generators.digits.training import Plan, fit
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream

Velocity = Callable[[Tensor, float], Tensor]
"""(x (B, …), t in [0, 1]) to dx/dt of the same shape."""
Increment = Callable[[Velocity, Tensor, float, float], tuple[Tensor, Tensor]]
"""(velocity, x, t, h) to the change of x over h and the velocity at the beginning."""


def euler(velocity: Velocity, x: Tensor, t: float, h: float) -> tuple[Tensor, Tensor]:
    """First order, one evaluation: h v(x, t)."""
    v = velocity(x, t)
    return h * v, v


def midpoint(velocity: Velocity, x: Tensor, t: float, h: float) -> tuple[Tensor, Tensor]:
    """Second order, two evaluations: h v(x + h/2 v(x, t), t + h/2)."""
    v = velocity(x, t)
    return h * velocity(x + h / 2 * v, t + h / 2), v


def heun(velocity: Velocity, x: Tensor, t: float, h: float) -> tuple[Tensor, Tensor]:
    """Second order, two evaluations: the mean of the velocities at both ends of the step."""
    v = velocity(x, t)
    return h / 2 * (v + velocity(x + h * v, t + h)), v


def integrate(velocity: Velocity, x: Tensor, steps: int, increment: Increment) -> Iterator[Step]:
    """Follow dx/dt = v(x, t) from noise at t = 0 to data at t = 1 in equal steps.

    The data estimated at each state is x + (1-t) v, where a straight path from there would end.
    """
    for index in range(steps):
        t = index / steps
        change, v = increment(velocity, x, t, 1 / steps)
        data = x + (1 - t) * v
        x = x + change
        yield Step((index + 1) / steps, x, data)


def velocity_of(predict: Prediction) -> Velocity:
    """Return a network's prediction as a velocity: one time for the whole batch."""
    return lambda x, t: predict(x, torch.full((len(x),), t, device=x.device))


@dataclass(frozen=True)
class Recipe:
    """A network that predicts x_1 - x_0; `classes` tells it the digit, left out with `p_uncond`."""

    classes: bool = False
    hidden: Annotated[int, Range(1, 1024)] = 64
    epochs: Annotated[int, Range(1, 1000)] = 10
    batch: Annotated[int, Range(2, 60000)] = 64
    rate: Annotated[float, Range(0, 1)] = 1e-2
    decay: Annotated[float, Range(0, 1)] = 0.1
    p_uncond: Annotated[float, Range(0, 1)] = 0.1
    images: Annotated[int, Range(2, 60000)] = 60000


def train(run: Run, recipe: Recipe) -> None:
    """Minimise ‖v(x_t, t) - (x_1 - x_0)‖² on x_t = (1-t) x_0 + t x_1, t uniform in [0, 1].

    x_0 is noise and x_1 a digit. The learning rate falls by `recipe.decay` over the training.
    """
    digits = load(run.dataset("mnist"), "train").first(recipe.images).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(run.seed, "weights"))
        network = ClassUNet(recipe.hidden) if recipe.classes else TimeUNet(recipe.hidden, torch.mul)

    def loss(network: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        t = torch.rand(len(x), device=x.device, generator=generator)
        noise = torch.randn(x.shape, device=x.device, generator=generator)
        keep = torch.rand(len(x), device=x.device, generator=generator) >= recipe.p_uncond
        along = t.reshape(-1, 1, 1, 1)
        x_t = (1 - along) * noise + along * x
        return mse_loss(network(x_t, t, one_hot(labels, keep)), x - noise)

    plan = Plan(recipe.epochs, recipe.batch, recipe.rate, recipe.decay ** (1 / recipe.epochs))
    fit(network, loss, digits, plan, run)
