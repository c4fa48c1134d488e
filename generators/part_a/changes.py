"""How much two renderings of the same thing differ, and what was changed between them."""

from torch import Tensor
from torch.nn.functional import avg_pool2d

BLOCKS = 16
"""Differences at large are those of means over blocks, so many to a side."""


def change(before: Tensor, after: Tensor) -> tuple[float, float]:
    """Return the mean absolute difference of pixels, and of means over blocks."""
    difference = (after.clamp(-1, 1) - before.clamp(-1, 1)) / 2
    at_large = avg_pool2d(difference, difference.shape[-1] // BLOCKS)
    return difference.abs().mean().item(), at_large.abs().mean().item()


def what_changes(before: tuple[int, int], after: tuple[int, int]) -> str:
    """Say which stage has other steps in the second of two settings."""
    parts = [
        f"{new} instead of {old} updates in stage {stage}"
        for stage, old, new in zip((1, 2), before, after, strict=True)
        if old != new
    ]
    return " and ".join(parts) or "nothing"
