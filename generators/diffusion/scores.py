"""How well a picture is what was asked for in each way of looking at it, by a judge's eye.

Geng et al. 2024, Visual Anagrams, eqs. 8 and 9, over S (…, V, V): S_ij is the similarity of the
picture in view i and the prompt of view j.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

TEMPERATURE = 0.01
Look: TypeAlias = Callable[[Tensor], Tensor]


class Judge(Protocol):
    """A model that was shown pictures and texts together."""

    def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return the cosines (B, P) between images (B, 3, H, W) in [-1, 1] and prompts."""


def seen(judge: Judge, images: Tensor, looks: Sequence[Look], prompts: Sequence[str]) -> Tensor:
    """Return S (B, V, V) of images (B, 3, H, W) that should be `prompts[i]` under `looks[i]`."""
    return torch.stack([judge.similarities(look(images), prompts) for look in looks], dim=1)


def alignment(similarity: Tensor) -> Tensor:
    """Return A = min_i S_ii: how well the worst view shows its prompt."""
    return similarity.diagonal(dim1=-2, dim2=-1).amin(dim=-1)


def concealment(similarity: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return C = tr softmax(S / τ) / V: how surely each view is told from the other prompts.

    Averaged over the softmax over prompts, for each view, and the one over views, for each prompt;
    1 is certainty, 1/V chance.
    """
    scaled = similarity / temperature
    certainty = (scaled.softmax(dim=-1) + scaled.softmax(dim=-2)) / 2
    return certainty.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
