"""B3.2: the time-only flow network, better by a moving average of its weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.classifier import Classifier, classifier, judge
from generators.digits.comparison import drawn
from generators.digits.conditioned import time_unet
from generators.digits.data import load
from generators.digits.flow import midpoint
from generators.digits.many import Integrated, samples, seeds_of
from generators.digits.quality import (
    frechet_distance,
    kernel_alone,
    kernel_distance,
    moments,
    precision,
    recall,
    standard,
)
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range

SHOWN = 10
MIDPOINT = Integrated(midpoint, 2)


class Score(NamedTuple):
    """What can be said of samples that nobody asked a digit of: two distances, two shares."""

    frechet: float
    kernel: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Parameters:
    plain: str = "flow-time"
    averaged: str = "flow-averaged"
    features: str = "judge-features"
    count: Annotated[int, Range(10, 10000)] = 10000
    references: Annotated[int, Range(100, 60000)] = 60000
    evaluations: Annotated[int, Range(2, 10000)] = 16
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 2)


@dataclass(frozen=True)
class Results:
    """Scores, in the order of `Score`, and the first ten samples of each network.

    `floor` (4,) is what real test digits get, `scores` (epoch, 2, 4) first the plain network's and
    then the averaged one's, `samples` (epoch, 2, 10, 28, 28) from one noise.
    """

    floor: NDArray[np.float32]
    scores: NDArray[np.float32]
    samples: NDArray[np.uint8]


@dataclass(frozen=True)
class Examination:
    """A judge, its features (M, D) of the training digits, and which of them shares count with."""

    judge: Classifier
    features: Tensor
    chosen: Tensor

    def scores(self, several: list[Tensor]) -> NDArray[np.float32]:
        """Return the scores (len(several), 4) of images (N, 28, 28) uint8, several times."""
        scale, gaussian = standard(self.features), moments(self.features)
        scaled, reference = scale(self.features), self.features[self.chosen]
        alone = kernel_alone(scaled)
        found = [judge(self.judge, images).features for images in several]
        table = [
            Score(
                frechet_distance(moments(each), gaussian),
                kernel_distance(scale(each), scaled, alone),
                precision(each, reference),
                recall(each, reference),
            )
            for each in found
        ]
        return np.array(table, np.float32)


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample with both networks after each epoch from the same noise, and judge all of it."""
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    test = drawn(load(folder, "t10k"), parameters.count, context.stream("test")).images
    trained = context.networks[parameters.features]
    by_features = classifier(trained.weights(trained.epochs)).to(context.device)
    generator = torch.Generator().manual_seed(context.stream("references"))
    chosen = torch.randperm(len(data), generator=generator)[: len(test)]
    seeds = seeds_of(context.stream("samples"), len(test))
    cells = list(product(parameters.epochs, (parameters.plain, parameters.averaged)))
    images = []
    for done, (epoch, name) in enumerate(cells):
        context.progress(f"{name}, epoch {epoch}", done, len(cells))
        weights = context.networks[name].weights(epoch)
        images.append(sampled(weights, parameters.evaluations, seeds, context.device))
    examination = Examination(by_features, judge(by_features, data).features, chosen)
    scores = examination.scores([test, *images])
    shape = (len(parameters.epochs), 2)
    return Results(
        scores[0],
        scores[1:].reshape(*shape, len(Score._fields)),
        torch.stack(images)[:, :SHOWN].reshape(*shape, -1, 28, 28).numpy(),
    )


def sampled(weights: Path, evaluations: int, seeds: list[int], device: torch.device) -> Tensor:
    """Return a sample (N, 28, 28) uint8 for each seed, by the midpoint method."""
    network = time_unet(weights, torch.mul).to(device)
    nobody = torch.zeros(len(seeds), dtype=torch.long)
    return samples(network, MIDPOINT, evaluations, 1.0, nobody, seeds)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Number("count", f"{parameters.count:,}")
    yield from numbers_of("floor", results.floor, results.floor)
    for epoch, pair in zip(parameters.epochs, results.scores, strict=True):
        for kind, scores in zip(("plain", "averaged"), pair, strict=True):
            yield from numbers_of(f"{kind}-{epoch}", scores, results.floor)
        plain, averaged = (Score(*scores.tolist()) for scores in pair)
        yield Number(f"gain-{epoch}", f"{plain.frechet / averaged.frechet:.2f}")
    labels = [
        f"{kind}, epoch {epoch}"
        for epoch, kind in product(parameters.epochs, ("plain", "averaged"))
    ]
    yield Panels(
        "samples",
        "The same noise under both networks, a column for each.",
        "Rows of handwritten digits, in pairs: the plain network and below it the averaged one.",
        results.samples.reshape(-1, *results.samples.shape[2:]),
        labels=labels,
    )


def numbers_of(
    name: str, scores: NDArray[np.float32], floor: NDArray[np.float32]
) -> Iterator[Number]:
    """Yield scores (4,) for the prose, distances also as multiples of what real digits get."""
    score, real = Score(*scores.tolist()), Score(*floor.tolist())
    yield Number(f"{name}-distance", f"{score.frechet:.2f}")
    yield Number(f"{name}-times", f"{score.frechet / real.frechet:.1f}")
    yield Number(f"{name}-kernel", f"{score.kernel:.3f}")
    yield Number(f"{name}-precision", f"{score.precision:.2f}")
    yield Number(f"{name}-recall", f"{score.recall:.2f}")
