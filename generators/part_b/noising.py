"""B1.1: what noise of growing strength does to a digit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.digits.data import load, of_each_class, scaled
from generators.digits.denoising import noised
from generators.figure import Context, Output, Panels
from generators.parameters import Range


@dataclass(frozen=True)
class Parameters:
    sigmas: Annotated[tuple[float, ...], Range(0, 10)] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
    digits: Annotated[tuple[int, ...], Range(0, 9)] = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Results:
    """Noisy digits (digit, σ, 28, 28), not clipped."""

    noisy: NDArray[np.float32]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Add one and the same ε to a digit at every σ: z = x + σε."""
    test = load(context.dataset("mnist"), "t10k")
    x = scaled(of_each_class(test, parameters.digits, context.stream("digits")))
    seed = context.stream("noise")
    noisy = [noised(x, 1.0, sigma, seed) for sigma in parameters.sigmas]
    return Results(torch.cat(noisy, dim=1).numpy())


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Panels(
        "noisy",
        r"Test digits under noise of growing strength. Along a row the digit and its noise "
        r"$\epsilon$ stay the same and only $\sigma$ grows; values outside $[0, 1]$ are clipped "
        "for display.",
        f"{len(parameters.digits)} rows of handwritten digits that sink into grey noise, from "
        f"sigma {min(parameters.sigmas):g} to sigma {max(parameters.sigmas):g}.",
        list(results.noisy),
        columns=[f"σ = {sigma:g}" for sigma in parameters.sigmas],
    )
