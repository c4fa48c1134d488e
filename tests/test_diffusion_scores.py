"""Alignment and concealment, against their definitions."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from generators.diffusion.estimators import guided
from generators.diffusion.sampling import Noise
from generators.diffusion.scores import alignment, concealment, seen

SIMILARITY = torch.tensor([[[0.30, 0.20], [0.25, 0.28]], [[0.1, 0.1], [0.1, 0.1]]])


def test_alignment_is_the_worst_of_the_views() -> None:
    assert alignment(SIMILARITY).tolist() == pytest.approx([0.28, 0.1])


def sure(*apart: float) -> float:
    """Return the mean of two-way softmaxes whose right logit is ahead by so much / τ."""
    return sum(1 / (1 + math.exp(-each / 0.01)) for each in apart) / len(apart)


def test_concealment_is_how_surely_views_and_prompts_are_told_apart() -> None:
    matrix = SIMILARITY[0]
    lines = [matrix[0], matrix[1].flip(0), matrix[:, 0], matrix[:, 1].flip(0)]
    apart = [(right - wrong).item() for right, wrong in lines]
    assert concealment(SIMILARITY).tolist() == pytest.approx([sure(*apart), 0.5])
    swapped = SIMILARITY[:1].flip(-1)
    assert concealment(swapped).item() == pytest.approx(1 - sure(*apart), abs=1e-6)
    assert concealment(torch.eye(3)).item() == pytest.approx(1)
    assert concealment(torch.zeros(3, 3)).item() == pytest.approx(1 / 3), "chance"


def test_a_view_like_all_prompts_is_half_concealed() -> None:
    """Each view is told from the prompts, but the second prompt fits the first view better."""
    similarity = torch.tensor([[0.9, 0.5], [0.2, 0.3]])
    assert concealment(similarity).item() == pytest.approx(0.75, abs=1e-4)


def test_the_judge_sees_each_view_beside_every_prompt() -> None:
    class Mean:
        def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            lightness = images.mean(dim=(1, 2, 3))
            return torch.stack([lightness * len(prompt) for prompt in prompts], dim=1)

    images = torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    found = seen(Mean(), images, [lambda x: x, torch.neg], ["a", "abc"])
    assert found.tolist() == [[[1, 3], [-1, -3]], [[0.5, 1.5], [-0.5, -1.5]]]


def test_each_image_may_have_its_own_guidance() -> None:
    told = torch.full((3, 3, 2, 2), 2.0)
    free = torch.full((3, 3, 2, 2), 1.0)
    scales = torch.tensor([0.0, 1.0, 7.0]).reshape(3, 1, 1, 1)
    mean = guided(lambda x, t: Noise(told), lambda x, t: Noise(free), scales)(told, 5).mean
    assert mean[:, 0, 0, 0].tolist() == [1, 2, 8]
