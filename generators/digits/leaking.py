"""A descent that begins where training ended: in what the schedule leaves of the data at time T.

A schedule whose ᾱ_T is not 0 trains the network on x_T = √ᾱ_T x_0 + √(1-ᾱ_T) ε, never on noise
alone. Everaert et al. 2024 ("Exploiting the Signal-Leak Bias in Diffusion Models") begin sampling
from the Gaussian that is nearest to those x_T, which costs no training.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from generators.digits.ddpm import Schedule
from generators.digits.many import Ancestral
from generators.digits.sampling import Prediction, Step, Streams


@dataclass(frozen=True)
class Gaussian:
    """Mean (784,) and a root of the covariance (784, 784), float32: samples are mean + root ε."""

    mean: Tensor
    root: Tensor

    def of(self, noise: Tensor) -> Tensor:
        """Return images (B, 1, 28, 28) from standard normal ones, in float32 even in autocast."""
        with torch.autocast(noise.device.type, enabled=False):
            found: Tensor = self.mean.to(noise) + noise.flatten(1) @ self.root.to(noise).T
        return found.reshape(noise.shape)


def end_of(schedule: Schedule, images: Tensor) -> Gaussian:
    """Return the Gaussian with the moments of x_T, x_0 among `images` (M, 28, 28) uint8."""
    data = images.flatten(1).double() / 255
    left = schedule.alpha_bar[-1]
    covariance = left * data.T.cov() + (1 - left) * torch.eye(data.shape[1], dtype=torch.float64)
    root = torch.linalg.cholesky(covariance)
    return Gaussian((left.sqrt() * data.mean(dim=0)).float(), root.float())


class Begun(Streams):
    """Streams whose first images are drawn from a Gaussian, with the same numbers as before."""

    def __init__(self, streams: Streams, start: Gaussian) -> None:
        self.generators, self.device = streams.generators, streams.device
        self.start: Gaussian | None = start

    def normal(self) -> Tensor:
        drawn, start = super().normal(), self.start
        self.start = None
        return drawn if start is None else start.of(drawn)


@dataclass(frozen=True)
class Leaking:
    """Ho et al. 2020 on a schedule, from `start` instead of N(0, I)."""

    schedule: Schedule
    start: Gaussian

    def __call__(self, predict: Prediction, evaluations: int, streams: Streams) -> Iterable[Step]:
        return Ancestral(self.schedule)(predict, evaluations, Begun(streams, self.start))
