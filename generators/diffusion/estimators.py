"""Estimates of noise made of others: guidance, anagrams, hybrids. They nest in any order."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from generators.diffusion.batching import Combination, Part
from generators.diffusion.filters import Filter, complement
from generators.diffusion.sampling import Estimator, Noise
from generators.diffusion.views import View

Combine: TypeAlias = Callable[[Sequence[Estimator]], Estimator]
"""One estimator per way of looking, to the one that serves them all."""


def unchanged(x: Tensor) -> Tensor:
    return x


def guided(told: Estimator, free: Estimator, scale: float | Tensor) -> Combination:
    """Return ε = ε_free + γ (ε_told - ε_free), with the spread of the conditional branch.

    Ho & Salimans 2022, eq. 6, with γ = 1 + w: 1 is purely conditional, 0 unconditional. A tensor
    (B, 1, 1, 1) gives each image its own γ.
    """

    def join(parts: Sequence[Noise]) -> Noise:
        conditional, unconditional = parts
        strength = torch.as_tensor(scale).to(conditional.mean)
        if strength.dim():
            # Images that start later are not under way yet.
            strength = strength[: len(conditional.mean)]
        mean = unconditional.mean.lerp(conditional.mean, strength)
        return Noise(mean, conditional.spread)

    return Combination((Part(told, unchanged), Part(free, unchanged)), join)


def anagram(views: Sequence[tuple[View, Estimator]]) -> Combination:
    """Return ε = 1/N Σ v_i⁻¹(ε_i(v_i(x_t))): one image that is another in each view.

    Geng et al. 2024, Visual Anagrams. Spreads are brought back and averaged (ours); a view that
    moves no pixels leaves them alone, since a variance has no sign.
    """

    def join(parts: Sequence[Noise]) -> Noise:
        seen = list(zip(views, parts, strict=True))
        mean = torch.stack([view.invert(noise.mean) for (view, _), noise in seen]).mean(dim=0)
        return Noise(mean, averaged([brought_back(view, noise) for (view, _), noise in seen]))

    return Combination(tuple(Part(each, view.apply) for view, each in views), join)


def brought_back(view: View, noise: Noise) -> Tensor | None:
    if noise.spread is None or not view.moves_pixels:
        return noise.spread
    return view.invert(noise.spread)


def factorised(factors: Sequence[tuple[Filter, Estimator]]) -> Combination:
    """Return ε = Σ f_i(ε_i) for linear filters f_i that sum to the identity.

    Geng et al. 2024, Factorized Diffusion. Spreads are averaged (ours).
    """

    def join(parts: Sequence[Noise]) -> Noise:
        kept = [keep(each.mean) for (keep, _), each in zip(factors, parts, strict=True)]
        return Noise(torch.stack(kept).sum(dim=0), averaged([each.spread for each in parts]))

    return Combination(tuple(Part(each, unchanged) for _, each in factors), join)


def hybrid(far: Estimator, near: Estimator, low_pass: Filter) -> Combination:
    """Return ε = low(ε_far) + high(ε_near), high = identity - low: one image that is two."""
    return factorised([(low_pass, far), (complement(low_pass), near)])


def averaged(spreads: Sequence[Tensor | None]) -> Tensor | None:
    """Return the mean of the spreads, None where none has one.

    Raises: ValueError when only some have one.
    """
    present = [spread for spread in spreads if spread is not None]
    if len(present) not in (0, len(spreads)):
        raise ValueError(f"{len(present)} of {len(spreads)} estimates have a spread, expected all")
    return torch.stack(present).mean(dim=0) if present else None
