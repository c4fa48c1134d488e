"""How near samples are to the data, in the features of a judge: numbers without a network.

Features are (N, D), float; counts may differ. All distances are Euclidean.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BATCH = 500


class Gaussian(NamedTuple):
    """A mean (D,) and a covariance (D, D), float64."""

    mean: Tensor
    covariance: Tensor


class Neighbours(NamedTuple):
    """The k nearest of each row, nearest first: distances (N, k) and indices (N, k)."""

    distances: Tensor
    indices: Tensor


def moments(features: Tensor) -> Gaussian:
    """Return the mean and the unbiased covariance of features (N, D)."""
    return Gaussian(features.double().mean(dim=0), features.double().T.cov())


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return ‖μ_a - μ_b‖² + tr(A + B - 2 (AB)^½) (Dowson & Landau 1982; Heusel et al. 2017).

    AB has the eigenvalues of the symmetric A^½ B A^½, so that its root needs no general sqrtm.
    """
    values, directions = torch.linalg.eigh(a.covariance)
    root = directions * values.clamp(min=0).sqrt() @ directions.T
    product = torch.linalg.eigvalsh(root @ b.covariance @ root)
    overlap = product.clamp(min=0).sqrt().sum()
    shift = (a.mean - b.mean).square().sum()
    distance: float = (shift + a.covariance.trace() + b.covariance.trace() - 2 * overlap).item()
    return distance


class Standard(NamedTuple):
    """A scale for features: each one minus its mean (D,), over its spread (D,)."""

    mean: Tensor
    spread: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.spread


def standard(features: Tensor) -> Standard:
    """Return the scale on which features (N, D) have mean 0 and spread 1; constant ones stay 0."""
    return Standard(features.mean(dim=0), features.std(dim=0).clamp(min=1e-6))


def kernel_distance(x: Tensor, y: Tensor, y_alone: float | None = None) -> float:
    """Return the unbiased squared MMD of x (N, D) and y (M, D) (Bińkowski et al. 2018, eq. 4).

    The kernel is (x·y / D + 1)³. It is 0 on average for samples of one distribution, and may fall
    below. `y_alone`, where it is known, is `kernel_alone(y)`.
    """
    both = kernel_sum(x, y) / (len(x) * len(y))
    of_y = kernel_alone(y) if y_alone is None else y_alone
    return kernel_alone(x) + of_y - 2 * both


def kernel_alone(x: Tensor) -> float:
    """Return the mean kernel of two different rows of x (N, D)."""
    itself = (x.double().square().mean(dim=1) + 1).pow(3).sum().item()
    return (kernel_sum(x, x) - itself) / (len(x) * (len(x) - 1))


def kernel_sum(x: Tensor, y: Tensor) -> float:
    """Return the sum of (x·y / D + 1)³ over all pairs of rows."""
    total = 0.0
    for part in x.split(BATCH):
        products = (part @ y.T).div_(x.shape[1]).add_(1)
        total += products.pow_(3).sum(dtype=torch.float64).item()
    return total


def nearest(x: Tensor, y: Tensor, k: int) -> Neighbours:
    """Return the k rows of y (M, D) nearest to each row of x (N, D)."""
    found = [torch.cdist(part, y).topk(k, largest=False) for part in x.split(BATCH)]
    distances, indices = zip(*found, strict=True)
    return Neighbours(torch.cat(distances), torch.cat(indices))


def radii(features: Tensor, k: int) -> Tensor:
    """Return the distance (N,) from each row of features to its k-th neighbour, itself left out."""
    return nearest(features, features, k + 1).distances[:, k]


def covered(x: Tensor, y: Tensor, reach: Tensor) -> float:
    """Return the share of rows of x that lie within `reach` (M,) of some row of y (M, D)."""
    hits = [(torch.cdist(part, y) <= reach).any(dim=1) for part in x.split(BATCH)]
    return torch.cat(hits).double().mean().item()


def precision(samples: Tensor, data: Tensor, k: int = 3) -> float:
    """Return the share of samples within the data's neighbourhoods (Kynkäänniemi et al. 2019)."""
    return covered(samples, data, radii(data, k))


def recall(samples: Tensor, data: Tensor, k: int = 3) -> float:
    """Return the share of the data within the samples' neighbourhoods (the same, eq. 2)."""
    return covered(data, samples, radii(samples, k))
