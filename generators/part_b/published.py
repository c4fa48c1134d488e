"""B3.3: both methods judged at the exercise's own settings, and diffusion begun where it should."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from generators.digits.comparison import Cell, comparison_with, drawn
from generators.digits.data import load
from generators.digits.ddpm import linear
from generators.digits.flow import euler
from generators.digits.jury import Score
from generators.digits.leaking import Leaking, end_of
from generators.digits.many import Ancestral, Integrated
from generators.digits.scores import least_share, score_numbers
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range, TrainedBy

SHOWN = 10
ROWS = ("diffusion-plain", "diffusion", "begun-plain", "begun", "flow-plain", "flow")
"""Diffusion from noise, then from the end of its own noising, then flow matching: each without
guidance and with it."""


@dataclass(frozen=True)
class Parameters:
    diffusion: Annotated[str, TrainedBy("digits.ddpm", classes=True)] = "ddpm-class"
    flow: Annotated[str, TrainedBy("digits.flow", classes=True)] = "flow-class"
    features: Annotated[str, TrainedBy("digits.classifier")] = "judge-features"
    answers: Annotated[str, TrainedBy("digits.classifier")] = "judge-answers"
    steps: Annotated[int, Range(1, 10000)] = 300
    scale: Annotated[float, Range(0, 100)] = 5.0
    count: Annotated[int, Range(10, 10000)] = 10000
    references: Annotated[int, Range(100, 60000)] = 60000


@dataclass(frozen=True)
class Results:
    """Scores along the last axis, in the order of `jury.Score`, of each of `ROWS`.

    `floors` (draw, 5) is what real test digits get, `scores` (row, 5) of `count` samples each;
    `brightness` (1 + row,) the mean pixel in [0, 1], of the test digits first; `samples`
    (row, 10, 28, 28) from one noise, of the digits `asked` (10,).
    """

    floors: NDArray[np.float32]
    scores: NDArray[np.float32]
    brightness: NDArray[np.float32]
    samples: NDArray[np.uint8]
    asked: NDArray[np.int64]
    count: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample and judge every row, of the same digits and from the same noise."""
    context.networks[parameters.diffusion].expect(steps=parameters.steps)
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    fresh = load(folder, "t10k")
    test = drawn(fresh, parameters.count, context.stream("test"))
    judges = (parameters.features, parameters.answers)
    comparison = comparison_with(context, judges, data, test)
    schedule = linear(parameters.steps)
    rows = (
        (parameters.diffusion, Ancestral(schedule)),
        (parameters.diffusion, Leaking(schedule, end_of(schedule, data))),
        (parameters.flow, Integrated(euler, 1)),
    )
    cells = [
        Cell(network.weights(network.epochs), sampler, parameters.steps, scale)
        for name, sampler in rows
        for network in [context.networks[name]]
        for scale in (1.0, parameters.scale)
    ]
    table = comparison.table(cells, lambda done: context.progress("rows", done, len(cells)))
    bright = [images.float().mean().item() / 255 for images in (test.images, *table.images)]
    return Results(
        comparison.floors(fresh, context.stream("floors")),
        table.scores,
        np.array(bright, np.float32),
        table.images[:, :SHOWN].numpy(),
        test.labels[:SHOWN].long().numpy(),
        len(test.labels),
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    floor = results.floors.mean(axis=0)
    yield Number("count", f"{results.count:,}")
    yield Number("floors", f"{len(results.floors)}")
    yield Number("steps", f"{parameters.steps}")
    yield Number("scale", f"{parameters.scale:g}")
    alpha_bar = linear(parameters.steps).alpha_bar[-1].item()
    yield Number("signal-last", f"{alpha_bar**0.5:.2f}")
    scores = np.concatenate([floor[None], results.scores])
    yield from score_numbers(["floor", *ROWS], scores, floor)
    for name, score in zip(ROWS, results.scores, strict=True):
        right = round(Score(*score.tolist()).accuracy * results.count)
        least = math.floor(1000 * least_share(right, results.count)) / 10
        yield Number(f"{name}-least", f"{least} %")
    for name, bright in zip(("floor", *ROWS), results.brightness, strict=True):
        yield Number(f"{name}-brightness", f"{bright:.3f}")
    scale = f"γ = {parameters.scale:g}"
    yield Panels(
        "samples",
        "The same noise in every row, without guidance and with it; above each column the digit "
        "asked for.",
        "Rows of ten handwritten digits, the same ten in each, a row for each method and scale.",
        results.samples,
        [str(digit) for digit in results.asked],
        [
            f"{kind}, {each}"
            for kind in ("diffusion", "better start", "flow")
            for each in ("γ = 1", scale)
        ],
    )
