"""B3.2: a better network that is told the time, what makes it better, and how much."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from generators.digits.classifier import Classifier, classifier, judge
from generators.digits.comparison import draws
from generators.digits.conditioned import time_unet
from generators.digits.data import load
from generators.digits.deep import deep_unet
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
from generators.digits.scores import signed
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels, Trained
from generators.parameters import Range, TrainedBy

SHOWN = 10
FULL = {"plain": "the exercise's", "deep": "deep", "cooled": "deep and cooled"}
"""What numbers of the networks of all digits are called, and their rows."""
MIDPOINT = Integrated(midpoint, 2)


class Score(NamedTuple):
    """What can be said of samples that nobody asked a digit of: two distances, two shares."""

    frechet: float
    kernel: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Parameters:
    """Networks of a small budget and what each is called; and three of all digits, by epochs."""

    small: Annotated[
        tuple[str, ...], TrainedBy("digits.flow", classes=False), TrainedBy("digits.deep")
    ] = ("flow-decayed", "deep-small")
    labels: tuple[str, ...] = ("the exercise's", "deep")
    plain: Annotated[str, TrainedBy("digits.flow", classes=False)] = "flow-time"
    deep: Annotated[str, TrainedBy("digits.deep")] = "flow-deep"
    cooled: Annotated[str, TrainedBy("digits.deep")] = "flow-cooled"
    plain_epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10)
    deep_epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10)
    cooled_epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (5, 10)
    features: Annotated[str, TrainedBy("digits.classifier")] = "judge-features"
    count: Annotated[int, Range(10, 10000)] = 10000
    references: Annotated[int, Range(100, 60000)] = 60000
    evaluations: Annotated[int, Range(2, 10000)] = 16


@dataclass(frozen=True)
class Results:
    """Scores, in the order of `Score`, and the first ten samples of each network.

    `floors` (draw, 4) is what real test digits get; `scores` (N, 4), of `count` samples each, and
    `samples` (N, 10, 28, 28), all from one noise, are those of the small networks, then of the
    plain, the deep and the cooled one after each of their epochs. `computations` are the
    multiplications, in millions, of one evaluation by the same.
    """

    floors: NDArray[np.float32]
    scores: NDArray[np.float32]
    samples: NDArray[np.uint8]
    computations: tuple[float, ...]
    count: int


class Cell(NamedTuple):
    """A network as it was after an epoch, what its numbers are called, and its row."""

    network: str
    epoch: int
    name: str
    label: str


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
    """Sample with every network from the same noise, and judge all of it."""
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    test = draws(load(folder, "t10k"), parameters.count, context.stream("floors"))
    count = len(test[0].images)
    trained = context.networks[parameters.features]
    by_features = classifier(trained.weights(trained.epochs)).to(context.device)
    generator = torch.Generator().manual_seed(context.stream("references"))
    chosen = torch.randperm(len(data), generator=generator)[:count]
    seeds = seeds_of(context.stream("samples"), count)
    nobody = torch.zeros(len(seeds), dtype=torch.long)
    small = [Cell(name, context.networks[name].epochs, name, name) for name in parameters.small]
    full = cells_of(
        (parameters.plain, parameters.plain_epochs),
        (parameters.deep, parameters.deep_epochs),
        (parameters.cooled, parameters.cooled_epochs),
    )
    cells = [*small, *full]
    images, computations = [], []
    for done, cell in enumerate(cells):
        context.progress(f"{cell.network}, epoch {cell.epoch}", done, len(cells))
        network = network_of(context.networks[cell.network], cell.epoch)
        computations.append(multiplications(network) / 1e6)
        network.to(context.device)
        images.append(samples(network, MIDPOINT, parameters.evaluations, 1.0, nobody, seeds))
    examination = Examination(by_features, judge(by_features, data).features, chosen)
    return Results(
        examination.scores([each.images for each in test]),
        examination.scores(images),
        torch.stack(images)[:, :SHOWN].numpy(),
        tuple(computations),
        count,
    )


def cells_of(*networks: tuple[str, Sequence[int]]) -> list[Cell]:
    """Return the plain, the deep and the cooled network, each after each of its epochs."""
    return [
        Cell(network, epoch, f"{name}-{epoch}", f"{label}, epoch {epoch}")
        for (name, label), (network, epochs) in zip(FULL.items(), networks, strict=True)
        for epoch in epochs
    ]


def network_of(trained: Trained, epoch: int) -> nn.Module:
    """Return a network of either kind as it was after an epoch."""
    if "informed" in trained.recipe:
        return deep_unet(trained, epoch)
    return time_unet(trained.weights(epoch), torch.mul)


def multiplications(network: nn.Module) -> float:
    """Return how many multiplications one evaluation of one image takes, additions not counted."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 28, 28), torch.zeros(1))
    return float(counter.get_total_flops()) / 2


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    """Draw the samples, a row for each network.

    Raises: AuthorError when small networks and labels do not pair up.
    """
    if len(parameters.small) != len(parameters.labels):
        raise AuthorError(f"{len(parameters.small)} small, {len(parameters.labels)} labels")
    floor = results.floors.mean(axis=0)
    yield Number("count", f"{results.count:,}")
    yield Number("floors", f"{len(results.floors)}")
    yield Number("evaluations", f"{parameters.evaluations}")
    yield from numbers_of("floor", floor, floor)
    full = cells_of(
        (parameters.plain, parameters.plain_epochs),
        (parameters.deep, parameters.deep_epochs),
        (parameters.cooled, parameters.cooled_epochs),
    )
    names = [*parameters.small, *(cell.name for cell in full)]
    for name, scores, cost in zip(names, results.scores, results.computations, strict=True):
        yield from numbers_of(name, scores, floor)
        yield Number(f"{name}-computations", f"{cost:.0f}")
    first = len(parameters.small)
    plain = first + len(parameters.plain_epochs) - 1
    yield Number("cost", f"{results.computations[plain] / results.computations[-1]:.1f}")
    yield Panels(
        "small",
        "A row for each network of the small budget; all of a column begin with the same noise.",
        "Rows of handwritten digits, a row for each network.",
        results.samples[:first],
        labels=parameters.labels,
    )
    yield Panels(
        "full",
        "A row for each network that saw all digits; all of a column begin with the same noise.",
        "Rows of handwritten digits, a row for each network and epoch.",
        results.samples[first:],
        labels=[cell.label for cell in full],
    )


def numbers_of(
    name: str, scores: NDArray[np.float32], floor: NDArray[np.float32]
) -> Iterator[Number]:
    """Yield scores (4,) for the prose, distances also as multiples of what real digits get."""
    score, real = Score(*scores.tolist()), Score(*floor.tolist())
    yield Number(f"{name}-distance", f"{score.frechet:.2f}")
    yield Number(f"{name}-times", f"{score.frechet / real.frechet:.1f}")
    yield Number(f"{name}-kernel", signed(score.kernel))
    yield Number(f"{name}-precision", f"{score.precision:.2f}")
    yield Number(f"{name}-recall", f"{score.recall:.2f}")
