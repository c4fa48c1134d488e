"""A mixture of Gaussians on the line: noised, it stays one, so its score is known at every time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generators.errors import AuthorError

BISECTIONS = 48


@dataclass(frozen=True)
class Mixture:
    """The density Σ_k w_k N(x; m_k, s_k²); weights (sum 1), means, deviations (K,) in float64.

    A stack of C densities has means and deviations (C, 1, K), and takes x (C, N) or (N,).
    """

    weights: Tensor
    means: Tensor
    deviations: Tensor

    def noised(self, signal: float, noise: float) -> "Mixture":
        """Return the density of a x + b ε for x of this one and ε ~ N(0, 1); a, b the arguments."""
        spread = ((signal * self.deviations) ** 2 + noise**2).sqrt()
        return Mixture(self.weights, signal * self.means, spread)

    def log_parts(self, x: Tensor) -> Tensor:
        """Return log w_k N(x; m_k, s_k²) for x (…), as (…, K)."""
        z = (x[..., None] - self.means) / self.deviations
        constant = self.weights.log() - (self.deviations * (2 * torch.pi) ** 0.5).log()
        logarithms: Tensor = constant - z.square() / 2
        return logarithms

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) for x (…)."""
        return self.log_parts(x).logsumexp(dim=-1)

    def density(self, x: Tensor) -> Tensor:
        """Return p(x) for x (…)."""
        return self.log_density(x).exp()

    def score(self, x: Tensor) -> Tensor:
        """Return d log p(x) / dx = Σ_k r_k (m_k - x) / s_k² for x (…), r_k the odds of part k."""
        pull = (self.means - x[..., None]) / self.deviations.square()
        return (self.log_parts(x).softmax(dim=-1) * pull).sum(dim=-1)

    def below(self, x: Tensor) -> Tensor:
        """Return the probability F(x) of values up to x (…)."""
        z = (x[..., None] - self.means) / self.deviations
        shares: Tensor = (self.weights * torch.special.ndtr(z)).sum(dim=-1)
        return shares

    def quantile(self, p: Tensor) -> Tensor:
        """Return the x (…) with F(x) = p (…), by bisection within 12 deviations of each part."""
        low = (self.means - 12 * self.deviations).min().expand_as(p)
        high = (self.means + 12 * self.deviations).max().expand_as(p)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            is_above = self.below(middle) > p
            low, high = torch.where(is_above, low, middle), torch.where(is_above, middle, high)
        return (low + high) / 2

    def clean(self, x: Tensor, signal: float, noise: float) -> Tensor:
        """Return E[x_0 | x] for x = a x_0 + b ε (…) and x_0 of this density, by Bayes' rule.

        Within part k, x_0 and x are jointly Gaussian; the parts are weighed by their odds given x.
        """
        seen = self.noised(signal, noise)
        gain = signal * self.deviations.square() / seen.deviations.square()
        within = self.means + gain * (x[..., None] - seen.means)
        return (seen.log_parts(x).softmax(dim=-1) * within).sum(dim=-1)

    def moment(self, power: int) -> float:
        """Return E[x] for the power 1, E[x²] for 2."""
        inner = self.means if power == 1 else self.means.square() + self.deviations.square()
        return (self.weights * inner).sum().item()

    def draw(self, count: int, seed: int) -> Tensor:
        """Draw x (count,), from uniform numbers and normal noise in float32 on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        part = torch.rand(count, generator=generator)
        ends = self.weights.cumsum(dim=0).float()[:-1]
        chosen = torch.bucketize(part, ends)
        noise = torch.randn(count, generator=generator)
        return self.means[chosen] + self.deviations[chosen] * noise.double()


def stacked(densities: Sequence[Mixture]) -> Mixture:
    """Return densities of equal weights as one stack."""
    means = torch.stack([each.means for each in densities])[:, None]
    deviations = torch.stack([each.deviations for each in densities])[:, None]
    return Mixture(densities[0].weights, means, deviations)


def mixture(
    weights: Sequence[float], means: Sequence[float], deviations: Sequence[float]
) -> Mixture:
    """Return a mixture from numbers; the weights are scaled to sum to one.

    Raises: AuthorError when the lists differ in length, or when a weight or deviation is not
    positive.
    """
    counts = (len(weights), len(means), len(deviations))
    if len(set(counts)) != 1 or not counts[0]:
        raise AuthorError(f"weights, means, deviations: {counts} numbers, expected as many of each")
    if min(*weights, *deviations) <= 0:
        raise AuthorError(
            f"weights {list(weights)}, deviations {list(deviations)}: expected numbers above 0"
        )
    share = torch.tensor(weights, dtype=torch.float64)
    return Mixture(
        share / share.sum(),
        torch.tensor(means, dtype=torch.float64),
        torch.tensor(deviations, dtype=torch.float64),
    )
