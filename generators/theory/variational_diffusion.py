"""T2: what one step back is made of, when both ends are known."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from generators.diffusion.schedule import Schedule, schedule_of, strided
from generators.diffusion.scheduler_config import SchedulerConfig
from generators.digits.ddpm import linear
from generators.figure import Context, Number, Output, Plot, Series
from generators.parameters import Range
from generators.theory.nats import prior_term

DIGIT_STEPS = 300
"""The T of the schedule of Part B."""
MNIST_SQUARE = 0.112
"""The mean of the squared pixels of MNIST's training images, in [0, 1]."""


@dataclass(frozen=True)
class Parameters:
    stride: Annotated[int, Range(1, 500)] = 30
    t: Annotated[int, Range(1, 999)] = 690


@dataclass(frozen=True)
class Results:
    """Times t of the steps, and what each step to the next time is made of."""

    times: tuple[int, ...]
    of_x_0: tuple[float, ...]
    of_x_t: tuple[float, ...]
    deviation: tuple[float, ...]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Take the steps from the same schedule, with the same numbers, as Part A does."""
    times = strided(1000, parameters.stride)
    noises = cosine()
    strides = [noises.stride(t, t_next) for t, t_next in pairwise(times)]
    return Results(
        tuple(times[:-1]),
        tuple(each.of_x_0 for each in strides),
        tuple(each.of_x_t for each in strides),
        tuple(math.sqrt(each.beta_tilde) for each in strides),
    )


def cosine() -> Schedule:
    """Return the schedule of Part A: T = 1000, cosine (Nichol & Dhariwal 2021)."""
    return schedule_of(SchedulerConfig(beta_schedule="squaredcos_cap_v2", clip_sample=False))


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    curves = {
        "weight of x₀": results.of_x_0,
        "weight of xₜ": results.of_x_t,
        "deviation": results.deviation,
    }
    yield Plot(
        "step",
        rf"The step from $t$ to $t' = t - {parameters.stride}$ on the schedule of Part A: the "
        r"weights of $x_0$ and of $x_t$ in its mean, and its deviation $\tilde\beta_t^{1/2}$. "
        r"Near the data, on the left, the step goes all the way to $x_0$; in the middle it keeps "
        "most of $x_t$; in the first steps, on the right, nearly all of the old noise is "
        "replaced by new.",
        "Three curves over t: the weight of x_0 falls from one to nearly nothing, that of x_t "
        "rises to a plateau and falls again, the deviation rises throughout.",
        [Series(label, results.times, values) for label, values in curves.items()],
        "t",
        "",
    )
    index = min(range(len(results.times)), key=lambda k: abs(results.times[k] - parameters.t))
    yield Number("t", f"{results.times[index]}")
    yield Number("of-x-0", f"{results.of_x_0[index]:.4f}")
    yield Number("of-x-t", f"{results.of_x_t[index]:.4f}")
    yield Number("deviation", f"{results.deviation[index]:.4f}")
    last = cosine().at(999)
    yield Number("alpha-bar-last", scientific(last))
    yield Number("prior-term", scientific(prior_term(last, 1.0)))
    last = linear(DIGIT_STEPS).alpha_bar[-1].item()
    yield Number("alpha-bar-digits", f"{last:.3f}")
    yield Number("prior-term-digits", f"{prior_term(last, 1.0):.3f}")
    yield Number("prior-term-mnist", f"{prior_term(last, MNIST_SQUARE):.4f}")


def scientific(value: float) -> str:
    """Return a small number as TeX: 2.4·10⁻⁹."""
    digits, power = f"{value:.1e}".split("e")
    return rf"${digits} \cdot 10^{{{int(power)}}}$"
