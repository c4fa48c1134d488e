"""The best linear denoiser: what a network has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Wiener:
    """The linear map of least mean squared error for images of this mean and covariance.

    x̂ = μ + C (C + σ²I)⁻¹ (z - μ), with C = V diag(λ) Vᵀ: each principal direction of the data is
    shrunk by λ / (λ + σ²) (Wiener 1949). `mean` is (784,), `directions` V (784, 784).
    """

    mean: Tensor
    variances: Tensor
    directions: Tensor

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """Return x̂ for noisy images z (N, 1, 28, 28) = x + σε."""
        centred = z.flatten(1).double() - self.mean
        gains = self.variances / (self.variances + sigma**2)
        estimate = self.mean + centred @ self.directions * gains @ self.directions.T
        return estimate.reshape(z.shape).float()


def wiener(x: Tensor) -> Wiener:
    """Fit the linear denoiser to clean images x (N, 1, H, W).

    Directions in which no image varies keep a variance of 1e-12, so that σ = 0 changes nothing.
    """
    flat = x.flatten(1).double()
    mean = flat.mean(dim=0)
    centred = flat - mean
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(flat))
    return Wiener(mean, variances.clamp(min=1e-12), directions)
