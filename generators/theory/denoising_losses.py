"""T3: what the bound asks of a denoiser, and what it costs, in nats, at every step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from generators.figure import Context, Number, Output, Plot, Series
from generators.parameters import Range
from generators.theory.mixture import mixture
from generators.theory.nats import entropy, nats
from generators.theory.variational_diffusion import cosine

VARIANCES = ("β̃", "β", "best")


@dataclass(frozen=True)
class Parameters:
    weights: tuple[float, ...] = (0.5, 0.3, 0.2)
    means: tuple[float, ...] = (-0.8, 0.3, 1.2)
    deviations: tuple[float, ...] = (0.15, 0.1, 0.2)
    counts: Annotated[tuple[int, ...], Range(2, 1000)] = (4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Results:
    """The entropy of the data, and for each number of steps the bound with each variance."""

    entropy: float
    bounds: tuple[tuple[float, ...], ...]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Evaluate the bound with the exact denoiser, for every number of steps."""
    data = mixture(parameters.weights, parameters.means, parameters.deviations)
    noises = cosine()
    bounds = []
    for step, count in enumerate(parameters.counts):
        context.progress(f"{count} steps", step, len(parameters.counts))
        bounds.append(tuple(nats(data, noises, count, name) for name in VARIANCES))
    return Results(entropy(data), tuple(bounds))


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield bound_weights()
    yield plain_weights()
    yield variances()
    yield from gap(results, parameters)


def bound_weights() -> Plot:
    """Return the weights of the bound on ‖x_0-x̂_0‖², ‖ε-ε̂‖² and ‖v-v̂‖² at each time."""
    noises = cosine()
    times = [t for t in range(1, 1000) if t < 10 or t % 5 == 4]
    ratio = [signal_to_noise(noises.at(t)) for t in times]
    gain = [(signal_to_noise(noises.at(t - 1)) - r) / 2 for t, r in zip(times, ratio, strict=True)]
    weights = {
        "squared error of x₀": gain,
        "of ε": [g / r for g, r in zip(gain, ratio, strict=True)],
        "of v": [g / (1 + r) for g, r in zip(gain, ratio, strict=True)],
    }
    return Plot(
        "bound-weights",
        r"What the bound multiplies each squared error with, over the schedule of Part A: "
        r"$\tfrac12 (\mathrm{SNR}(t-1) - \mathrm{SNR}(t))$ for $x_0$, that over "
        r"$\mathrm{SNR}(t)$ for $\epsilon$, over $1 + \mathrm{SNR}(t)$ for $v$.",
        "Three curves over t in powers of ten: the weight of x_0 falls over many powers of "
        "ten; those of ε and v are far flatter.",
        [Series(label, times, np.log10(values).tolist()) for label, values in weights.items()],
        "t",
        "weight in the bound, as a power of ten",
    )


def plain_weights() -> Plot:
    """Return what each plain squared error puts on ‖x_0-x̂_0‖² at each log SNR."""
    logarithms = np.linspace(-6, 6, 121)
    ratio = np.exp(logarithms)
    weights = {
        "plain error of x₀": np.ones_like(ratio),
        "of ε: SNR": ratio,
        "of v: 1 + SNR": 1 + ratio,
    }
    return Plot(
        "plain-weights",
        r"The same errors without weights, as the simplified losses use them, and how much each "
        r"counts an error in $\hat x_0$. The loss of $\epsilon$ forgets it where noise prevails "
        r"(left); that of $v$ does not.",
        "Three curves over log SNR: a constant, a straight line, and one that goes from the "
        "constant to the line.",
        [Series(label, logarithms.tolist(), values.tolist()) for label, values in weights.items()],
        "log SNR",
        "weight of the error of x₀",
        True,
    )


def variances() -> Plot:
    """Return β̃ / β at each time, for a step of one and for the stride of Part A."""
    noises = cosine()
    curves = {}
    for stride in (1, 30):
        times = list(range(stride, 1000, max(1, stride // 6)))
        steps = [noises.stride(t, t - stride) for t in times]
        curves[f"stride {stride}"] = (times, [each.beta_tilde / each.beta for each in steps])
    return Plot(
        "variances",
        r"The least variance of a step over the greatest, $\tilde\beta_t / \beta_t$: in small "
        "steps the two differ only close to the data, where much of the bound is at stake; in "
        "steps of 30 they do for longer.",
        "Two curves that rise from near zero to one, the one of stride 1 almost at once.",
        [Series(label, x, y) for label, (x, y) in curves.items()],
        "t",
        "ratio",
    )


def gap(results: Results, parameters: Parameters) -> Iterator[Output]:
    """Yield how far the bound is from the entropy, for each variance and number of steps."""
    steps = [math.log2(count) for count in parameters.counts]
    series = []
    for index, name in enumerate(VARIANCES):
        gaps = [bound[index] - results.entropy for bound in results.bounds]
        series.append(Series(f"σ² = {name}", steps, gaps))
        for count, value in zip(parameters.counts, gaps, strict=True):
            yield Number(f"gap-{('small', 'large', 'best')[index]}-{count}", f"{value:.3f}")
    yield Number("entropy", f"{results.entropy:.3f}")
    yield Plot(
        "gap",
        "What finitely many Gaussian steps lose, even with the exact denoiser: the negative "
        rf"bound less the entropy of the data ({results.entropy:.3f} nats), for a mixture of "
        f"{len(parameters.means)} Gaussians on a line and three choices of the variance. The times "
        r"are spread evenly over the schedule of Part A; the last step, where $\tilde\beta = 0$, "
        "has the best variance in all three.",
        "Three falling curves on a logarithmic axis; the best variance is below the two fixed "
        "ones, which it meets as steps grow many.",
        series,
        "number of steps, as a power of two",
        "nats above the entropy",
        True,
    )


def signal_to_noise(alpha_bar: float) -> float:
    """Return SNR = ᾱ / (1 - ᾱ)."""
    return alpha_bar / (1 - alpha_bar)
