"""Tables of scores: one cell per network, sampler, number of evaluations and guidance scale.

Every cell asks for the same digits and starts from the same noise, so that cells differ by what
they are called and not by luck.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.classifier import classifier
from generators.digits.conditioned import class_unet
from generators.digits.data import Digits
from generators.digits.jury import Jury, jury
from generators.digits.many import Sampler, samples, seeds_of
from generators.figure import Context
from generators.streams import stream

FLOORS = 20
"""How many times as many test digits as there are samples are drawn and judged."""


class Cell(NamedTuple):
    """Weights of a ClassUNet, and how to sample with them."""

    weights: Path
    sampler: Sampler
    evaluations: int
    scale: float


class Table(NamedTuple):
    """Samples (cell, N, 28, 28) uint8 and their scores (cell, 5), ordered as `jury.Score`."""

    images: Tensor
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """What all cells have in common: the judges, the digits asked for, the noise, the device.

    `wanted` are the test digits whose labels are asked for; they set the floor themselves.
    """

    jury: Jury
    wanted: Digits
    seeds: list[int]
    reference_seed: int
    device: torch.device

    def table(self, cells: Sequence[Cell], progress: Callable[[int], None]) -> Table:
        """Sample and score every cell, telling `progress` how many are done."""
        images: list[Tensor] = []
        for done, cell in enumerate(cells):
            progress(done)
            network = class_unet(cell.weights).to(self.device)
            labels = self.wanted.labels
            images.append(
                samples(network, cell.sampler, cell.evaluations, cell.scale, labels, self.seeds)
            )
        return Table(torch.stack(images), np.stack([self.score(each) for each in images]))

    def score(self, images: Tensor) -> NDArray[np.float32]:
        """Return the scores (5,) of images (N, 28, 28) uint8."""
        return np.array(self.jury.score(images, self.wanted.labels, self.reference_seed), "f4")

    def floors(self, fresh: Digits, seed: int) -> NDArray[np.float32]:
        """Return the scores (FLOORS, 5) of digits themselves, as many of `fresh` as are wanted."""
        several = draws(fresh, len(self.wanted.labels), seed)
        return np.stack([replace(self, wanted=each).score(each.images) for each in several])


def comparison_with(
    context: Context, judges: tuple[str, str], data: Tensor, test: Digits
) -> Comparison:
    """Return the comparison of samples with test digits, and with training digits `data`.

    `judges` name two networks of the section: one for features, one for answers.
    """
    trained = [context.networks[name] for name in judges]
    features, answers = (classifier(each.weights(each.epochs)) for each in trained)
    return Comparison(
        jury(features.to(context.device), answers.to(context.device), data),
        test,
        seeds_of(context.stream("samples"), len(test.labels)),
        context.stream("references"),
        context.device,
    )


def drawn(digits: Digits, count: int, seed: int) -> Digits:
    """Return `count` digits at random: MNIST's test set is easier in its first half."""
    order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(seed))
    return Digits(digits.images[order[:count]], digits.labels[order[:count]])


def draws(digits: Digits, count: int, seed: int) -> list[Digits]:
    """Return `count` digits at random, FLOORS times."""
    return [drawn(digits, count, stream(seed, draw)) for draw in range(FLOORS)]
