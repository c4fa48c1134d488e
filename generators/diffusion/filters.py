"""Linear filters that take an image apart: by scale, by colour, by motion. Each keeps the size."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

Filter: TypeAlias = Callable[[Tensor], Tensor]


def complement(*filters: Filter) -> Filter:
    """Return what the filters leave over: x - Σ f_i(x)."""

    def rest(x: Tensor) -> Tensor:
        return x - torch.stack([each(x) for each in filters]).sum(dim=0)

    return rest


def gaussian(kernel: int, sigma: float) -> Filter:
    """Return the blur with weights ∝ exp(-d²/2σ²) over `kernel` × `kernel` pixels, σ in pixels.

    The border is reflected, its outermost pixel not repeated. Sizes are in pixels of the image
    given: 33 and 2 at 64 px are 129 and 8 at 256.
    Raises: ValueError when the kernel is not odd or σ is not positive.
    """
    if kernel % 2 != 1 or sigma <= 0:
        raise ValueError(f"kernel {kernel}, σ {sigma}: expected an odd kernel and σ > 0")
    distance = torch.arange(kernel, dtype=torch.float64) - kernel // 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    weights = weights / weights.sum()

    def blur(x: Tensor) -> Tensor:
        return along_rows(along_rows(x, weights).mT, weights).mT

    return blur


def bands(kernel: int, sigmas: Sequence[float]) -> list[Filter]:
    """Return filters by scale, the coarsest first, that sum to the identity.

    `sigmas` fall: what the first blur leaves, what each next one adds, and what none lets through.
    """
    blurs = [gaussian(kernel, sigma) for sigma in sigmas]
    between = [difference(finer, coarser) for coarser, finer in pairwise(blurs)]
    return [blurs[0], *between, complement(blurs[-1])]


def difference(first: Filter, second: Filter) -> Filter:
    """Return f - g."""
    return lambda x: first(x) - second(x)


def motion(length: int) -> Filter:
    """Return the blur of a camera that moves sideways by `length` pixels (odd).

    Raises: ValueError when the length is not odd.
    """
    if length % 2 != 1:
        raise ValueError(f"motion over {length} pixels, expected an odd number")
    weights = torch.full((length,), 1 / length, dtype=torch.float64)
    return lambda x: along_rows(x, weights)


def along_rows(x: Tensor, weights: Tensor) -> Tensor:
    """Convolve every row of images (B, C, H, W) with weights (odd number of them)."""
    reach = len(weights) // 2
    rows = pad(x, (reach, reach, 0, 0), mode="reflect").flatten(0, 1).unsqueeze(1)
    return conv2d(rows, weights.to(x).reshape(1, 1, 1, -1)).squeeze(1).reshape(x.shape)


def grey(x: Tensor) -> Tensor:
    """Return the mean of the colour channels in each of them; the complement is the colour."""
    return x.mean(dim=1, keepdim=True).expand_as(x)
