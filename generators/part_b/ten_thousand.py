"""B3.4: as many samples as there are test digits, gently guided, judged beside them and shown."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.comparison import Cell, Table, comparison_with, drawn
from generators.digits.conditioned import CLASSES
from generators.digits.data import load
from generators.digits.flow import midpoint
from generators.digits.jury import Score
from generators.digits.many import Integrated, seeds_of
from generators.digits.scores import score_numbers
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range, TrainedBy
from generators.processes import everywhere
from generators.streams import stream

ROWS = 3
"""How many rows of the figure are samples, and how many test digits."""


@dataclass(frozen=True)
class Parameters:
    """`count` is at most that of the test digits, each asked for from `draws` noises.

    `shown` is the scale of the figure, `evaluations` are those of one branch of the guidance.
    """

    flow: Annotated[str, TrainedBy("digits.flow", classes=True)] = "flow-class"
    features: Annotated[str, TrainedBy("digits.classifier")] = "judge-features"
    answers: Annotated[str, TrainedBy("digits.classifier")] = "judge-answers"
    count: Annotated[int, Range(60, 10000)] = 10000
    draws: Annotated[int, Range(1, 100)] = 3
    references: Annotated[int, Range(100, 60000)] = 60000
    evaluations: Annotated[int, Range(2, 10000)] = 10
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (1.25, 1.5, 1.75)
    shown: Annotated[float, Range(0, 100)] = 1.5


@dataclass(frozen=True)
class Results:
    """Scores along the last axis, in the order of `jury.Score`.

    `floor` (5,) is what `count` real test digits get, `scores` (draw, scale, 5) as many samples.
    `rows` (6, 10, 28, 28) holds a digit of each class in each, and `real` (6,) says which rows are
    test digits.
    """

    floor: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.uint8]
    real: tuple[bool, ...]
    count: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample with the labels of the test digits, judge both, and shuffle a few of each."""
    if parameters.shown not in parameters.scales:
        raise everywhere(AuthorError(f"shown = {parameters.shown:g}, expected one of scales"))
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    test = drawn(load(folder, "t10k"), parameters.count, context.stream("test"))
    judges = (parameters.features, parameters.answers)
    comparison = comparison_with(context, judges, data, test)
    real = first_rows(test.images, test.labels)
    network = context.networks[parameters.flow]
    cells = [
        Cell(
            network.weights(network.epochs), Integrated(midpoint, 2), parameters.evaluations, scale
        )
        for scale in parameters.scales
    ]
    total = parameters.draws * len(cells)

    def table(draw: int) -> Table:
        before = draw * len(cells)
        seeds = seeds_of(stream(context.stream("samples"), draw), len(test.labels))
        return replace(comparison, seeds=seeds).table(
            cells, lambda done: context.progress("draws", before + done, total)
        )

    tables = [table(draw) for draw in range(parameters.draws)]
    sampled = tables[0].images[parameters.scales.index(parameters.shown)]
    rows = torch.cat([first_rows(sampled, test.labels), real])
    generator = torch.Generator().manual_seed(context.stream("order"))
    order = torch.randperm(2 * ROWS, generator=generator)
    return Results(
        comparison.score(test.images),
        np.stack([each.scores for each in tables]),
        rows[order].numpy(),
        tuple((order >= ROWS).tolist()),
        len(test.labels),
    )


def first_rows(images: Tensor, labels: Tensor) -> Tensor:
    """Return the first images (N, 28, 28) of each label, as rows (ROWS, 10, 28, 28) of 0 … 9.

    Raises: AuthorError where there are too few of a label.
    """
    places = [torch.nonzero(labels == each).flatten()[:ROWS] for each in range(CLASSES)]
    if min(map(len, places)) < ROWS:
        raise everywhere(AuthorError(f"{len(labels)} digits, too few to show {ROWS} of each"))
    return images[torch.stack(places, dim=1)]


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Number("evaluations", f"{2 * parameters.evaluations}")
    yield Number("steps", f"{Integrated(midpoint, 2).steps(parameters.evaluations)}")
    yield Number("shown", f"{parameters.shown:g}")
    yield Number("count", f"{results.count:,}")
    yield Number("draws", f"{len(results.scores)}")
    names = [f"scale-{each:g}" for each in parameters.scales]
    scores = np.concatenate([results.floor[None], results.scores.mean(axis=0)])
    yield from score_numbers(["floor", *names], scores, results.floor, decimals=3)
    for name, of_scale in zip(names, results.scores.transpose(1, 0, 2).tolist(), strict=True):
        distances = [Score(*each).frechet for each in of_scale]
        yield Number(f"{name}-least", f"{min(distances):.3f}")
        yield Number(f"{name}-most", f"{max(distances):.3f}")
    real = [str(row) for row, is_real in enumerate(results.real, 1) if is_real]
    yield Number("real", f"{', '.join(real[:-1])} and {real[-1]}")
    yield Panels(
        "rows",
        "Three of these rows are test digits, three are samples at "
        rf"$\gamma = {parameters.shown:g}$: the first of each digit, none chosen.",
        "Six rows of handwritten digits, 0 to 9 in each.",
        results.rows,
        labels=[str(row) for row in range(1, 2 * ROWS + 1)],
    )
