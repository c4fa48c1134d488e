"""Scores as figures and as numbers for the prose."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from generators.digits.jury import Score
from generators.figure import Number, Panels, Plot, Series

Scores = NDArray[np.float32]


def score_numbers(
    names: Sequence[str], scores: Scores, floor: Scores, decimals: int = 2
) -> Iterator[Number]:
    """Yield scores (N, 5) as numbers whose names begin with `names`.

    Fréchet distances have as many `decimals`. `name`-times is the distance as a multiple of the
    one that real digits get, `floor`.
    """
    real = Score(*floor.tolist())
    for name, score in zip(names, scores, strict=True):
        each = Score(*score.tolist())
        yield Number(f"{name}-accuracy", f"{100 * each.accuracy:.1f} %")
        yield Number(f"{name}-distance", f"{each.frechet:.{decimals}f}")
        yield Number(f"{name}-times", f"{each.frechet / real.frechet:.1f}")
        yield Number(f"{name}-kernel", signed(each.kernel))
        yield Number(f"{name}-precision", f"{each.precision:.2f}")
        yield Number(f"{name}-recall", f"{each.recall:.2f}")


def signed(value: float) -> str:
    """Return a number of three decimals, below 0 with a minus that is none of a hyphen's."""
    return f"{value:.3f}".replace("-", "−")


def steps_plot(
    names: Sequence[str], evaluations: Sequence[int], scores: Scores, floor: Scores
) -> Plot:
    """Plot the Fréchet distance of every sampler, scores (sampler, evaluations, 5)."""
    column = Score._fields.index("frechet")
    lines = [
        Series(name, tuple(map(float, evaluations)), tuple(row[:, column].tolist()))
        for name, row in zip(names, scores, strict=True)
    ]
    height = float(floor[column])
    at = scores[:, :, column]
    return Plot(
        "steps",
        "Fréchet distance to the training digits against evaluations of the network, without "
        f"guidance. As many real test digits are at {height:.2f} on average, the dashed line.",
        f"A curve for each of {', '.join(names)}: between {at[:, 0].min():.2g} and "
        f"{at[:, 0].max():.2g} at {evaluations[0]} evaluations, between {at[:, -1].min():.2g} and "
        f"{at[:, -1].max():.2g} at {evaluations[-1]}; a dashed line at {height:.2g}.",
        [*lines, Series("real test digits", (0.0,), (height,), rule=True)],
        "evaluations",
        "Fréchet distance",
        logarithmic=True,
    )


def least_share(right: int, count: int, doubt: float = 0.05) -> float:
    """Return the share under which as many `right` of `count` or more come up with odds `doubt`.

    The true share is not below, with a confidence of 1 - `doubt` (Clopper & Pearson 1934).
    """

    def odds(share: float) -> float:
        logarithms = (
            math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
            + k * math.log(share) + (count - k) * math.log1p(-share)
            for k in range(right, count + 1)
        )  # fmt: skip
        return sum(map(math.exp, logarithms))

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if odds(middle) < doubt else (low, middle)
    return low


class Learning(NamedTuple):
    """Scores (N, 5) of a network after each of N epochs, of some updates each."""

    label: str
    epochs: Sequence[int]
    updates: int
    scores: Scores


def epochs_plot(learning: Sequence[Learning], floor: Scores) -> Plot:
    """Plot the Fréchet distance of several networks against the updates of their training."""
    column = Score._fields.index("frechet")
    lines = [
        Series(
            each.label,
            [float(epoch * each.updates) for epoch in each.epochs],
            each.scores[:, column].tolist(),
        )
        for each in learning
    ]
    height = float(floor[column])
    ends = [f"{line.label} from {line.y[0]:.2g} to {line.y[-1]:.2g}" for line in lines]
    looked = [f"{each.label} after epochs {', '.join(map(str, each.epochs))}" for each in learning]
    return Plot(
        "epochs",
        f"Fréchet distance to the training digits in the course of training: {'; '.join(looked)}. "
        f"As many real test digits are at {height:.2f} on average, the dashed line.",
        f"Two curves over the updates of the training: {', '.join(ends)}.",
        [*lines, Series("real test digits", (0.0,), (height,), rule=True)],
        "updates",
        "Fréchet distance",
        logarithmic=True,
    )


def guidance_plot(scales: Sequence[float], scores: Scores) -> Plot:
    """Plot the shares among scores (scale, 5) against the guidance scale."""
    columns = {"right": "accuracy", "precision": "precision", "recall": "recall"}
    shares = {name: Score._fields.index(field) for name, field in columns.items()}
    ends = [
        f"{name} from {scores[0, column]:.2f} to {scores[-1, column]:.2f}"
        for name, column in shares.items()
    ]
    return Plot(
        "guidance",
        r"What guidance buys and what it costs: the share of samples that show the digit asked "
        "for, the share that lies among the data, and the share of the data that samples come "
        "near to.",
        f"Three curves over growing guidance: {', '.join(ends)}.",
        [
            Series(name, tuple(scales), tuple(scores[:, column].tolist()))
            for name, column in shares.items()
        ],
        "γ",
        "share",
    )


def sampler_panels(
    name: str,
    samplers: Sequence[str],
    evaluations: int,
    images: NDArray[np.uint8],
    asked: Sequence[str],
) -> Panels:
    """Show samples (sampler, N, 28, 28) of the N digits `asked`, a row for each sampler."""
    return Panels(
        name,
        f"The same noise under every sampler, {evaluations} evaluations each; above each column "
        "the digit asked for.",
        f"Rows of handwritten digits, one row for each sampler, after {evaluations} evaluations.",
        images,
        asked,
        samplers,
    )
