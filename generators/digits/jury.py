"""Samples before their judges: the protocol by which every number of quality is made.

Images are 8-bit. Distances are taken from the features of all training digits; precision and
recall from as many random ones as there are samples, as Kynkäänniemi et al. (2019) do.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from generators.digits.classifier import Classifier, judge
from generators.digits.quality import (
    Gaussian,
    Neighbours,
    Standard,
    frechet_distance,
    kernel_alone,
    kernel_distance,
    moments,
    nearest,
    precision,
    recall,
    standard,
)


class Score(NamedTuple):
    """What the judges say: the share of right answers, two distances, two shares."""

    accuracy: float
    frechet: float
    kernel: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Jury:
    """Two judges, and what the features of the training digits are like.

    `scaled` (M, D) are those features on `scale`, `alone` their mean kernel among themselves.
    """

    by_features: Classifier
    by_answers: Classifier
    features: Tensor
    gaussian: Gaussian
    scale: Standard
    scaled: Tensor
    alone: float

    def score(self, images: Tensor, labels: Tensor, seed: int) -> Score:
        """Score images (N, 28, 28) uint8 that should show `labels` (N,).

        `seed` draws the training digits that precision and recall are counted with.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(self.features), generator=generator)[: len(images)]
        found = judge(self.by_features, images).features
        right = judge(self.by_answers, images).answers == labels
        return Score(
            right.double().mean().item(),
            frechet_distance(moments(found), self.gaussian),
            kernel_distance(self.scale(found), self.scaled, self.alone),
            precision(found, self.features[chosen]),
            recall(found, self.features[chosen]),
        )


def jury(by_features: Classifier, by_answers: Classifier, data: Tensor) -> Jury:
    """Return the jury that holds samples against `data` (M, 28, 28) uint8."""
    features = judge(by_features, data).features
    scale = standard(features)
    scaled = scale(features)
    gaussian, alone = moments(features), kernel_alone(scaled)
    return Jury(by_features, by_answers, features, gaussian, scale, scaled, alone)


def nearest_images(images: Tensor, data: Tensor, k: int) -> Neighbours:
    """Return the k nearest of `data` (M, 28, 28) to each image, as root mean squared difference.

    Both are uint8, the distances of pixels in [0, 1].
    """
    x, y = (each.flatten(1).float() / 255 for each in (images, data))
    found = nearest(x, y, k)
    return Neighbours(found.distances / x.shape[1] ** 0.5, found.indices)
