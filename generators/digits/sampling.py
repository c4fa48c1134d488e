"""What the samplers of both methods share: guidance, and one random stream per image."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from generators.dividing import spread

Prediction = Callable[[Tensor, Tensor], Tensor]
"""(x (B, 1, 28, 28), t (B,) in [0, 1]) to an image of the same shape: a noise, or a velocity."""
Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, t, one-hot classes (B, 10) or zeros) to an image: a TimeUNet or ClassUNet in eval mode."""


def unguided(network: Network, classes: Tensor) -> Prediction:
    """Return the network's own prediction for one-hot `classes` (B, 10)."""
    return lambda x, t: spread(network, x, t, classes)


def guided(network: Network, classes: Tensor, scale: float | Tensor) -> Prediction:
    """Return u + γ (c - u) of the predictions without and with a class (Ho & Salimans 2022).

    γ = `scale`, one or (B, 1, 1, 1): 1 is purely conditional, 0 unconditional, which in the paper's
    terms is w = γ - 1. Both branches are one forward of twice the batch.
    """
    both = torch.cat((classes, torch.zeros_like(classes)))

    def predict(x: Tensor, t: Tensor) -> Tensor:
        told, free = spread(network, torch.cat((x, x)), torch.cat((t, t)), both).chunk(2)
        return free + scale * (told - free)

    return predict


class Step(NamedTuple):
    """One step of a sampler: the time reached, the images there, the data estimated on the way."""

    t: float
    x: Tensor
    data: Tensor


class Streams:
    """One random stream per image: a picture changes neither with its neighbours nor their number.

    Draws are made on the CPU in float32 and moved to `device`.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def normal(self) -> Tensor:
        """Return fresh standard normal images (B, 1, 28, 28)."""
        draws = [torch.randn(1, 28, 28, generator=each) for each in self.generators]
        return torch.stack(draws).to(self.device)
