"""B3.1: both methods judged by numbers: by sampler and steps, by guidance, by epoch, by memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from generators.digits.comparison import Cell, Table, comparison_with, drawn
from generators.digits.data import load
from generators.digits.ddpm import linear
from generators.digits.flow import midpoint
from generators.digits.jury import Score
from generators.digits.many import Ancestral, Integrated, Sampler, samplers
from generators.digits.memorisation import memory_figures, memory_of
from generators.digits.scores import (
    Learning,
    epochs_plot,
    guidance_plot,
    sampler_panels,
    score_numbers,
    steps_plot,
)
from generators.digits.training import read_losses
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range, TrainedBy
from generators.processes import everywhere

SHOWN = 10
MIDPOINT = Integrated(midpoint, 2)


@dataclass(frozen=True)
class Parameters:
    diffusion: Annotated[str, TrainedBy("digits.ddpm", classes=True)] = "ddpm-class"
    flow: Annotated[str, TrainedBy("digits.flow", classes=True)] = "flow-class"
    features: Annotated[str, TrainedBy("digits.classifier")] = "judge-features"
    answers: Annotated[str, TrainedBy("digits.classifier")] = "judge-answers"
    steps: Annotated[int, Range(1, 10000)] = 300
    count: Annotated[int, Range(10, 10000)] = 10000
    references: Annotated[int, Range(100, 60000)] = 60000
    evaluations: Annotated[tuple[int, ...], Range(2, 10000)] = (4, 8, 16, 32)
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (1.0, 1.5, 2.0, 3.0, 5.0)
    scale: Annotated[float, Range(0, 100)] = 2.0
    guided_evaluations: Annotated[int, Range(2, 10000)] = 10
    diffusion_epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10, 15)
    flow_epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5)


@dataclass(frozen=True)
class Results:
    """Scores along the last axis, in the order of `jury.Score`, and the first ten samples of each.

    `floors` (draw, 5) is what real test digits get, `steps` (sampler, evaluations, 5), `sweep`
    (scale, 5), `earlier` (epoch of diffusion, then of flow matching, 5), `by_steps` and `by_scale`
    their pictures, of the digits `asked` (10,); `near` (digit, 4, 28, 28) the sample of each digit
    that is nearest to a training digit and its nearest three, `distances` (3, N) of samples of flow
    matching, of diffusion and of test digits to the nearest of `references` training digits;
    `trainings` (2, 2) epochs and updates of diffusion and of flow matching.
    """

    floors: NDArray[np.float32]
    steps: NDArray[np.float32]
    sweep: NDArray[np.float32]
    earlier: NDArray[np.float32]
    by_steps: NDArray[np.uint8]
    by_scale: NDArray[np.uint8]
    asked: NDArray[np.int64]
    near: NDArray[np.uint8]
    distances: NDArray[np.float32]
    trainings: NDArray[np.int64]
    references: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Fill the tables, then look up the training digits nearest to the samples."""
    if parameters.scale not in parameters.scales:
        raise everywhere(AuthorError(f"scale = {parameters.scale:g}, expected one of scales"))
    context.networks[parameters.diffusion].expect(steps=parameters.steps)
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    fresh = load(folder, "t10k")
    test = drawn(fresh, parameters.count, context.stream("test"))
    judges = (parameters.features, parameters.answers)
    comparison = comparison_with(context, judges, data, test)

    def table(what: str, cells: list[Cell]) -> Table:
        return comparison.table(cells, lambda done: context.progress(what, done, len(cells)))

    steps = table("samplers", cells_by_steps(context, parameters))
    sweep = table("guidance", cells_by_guidance(context, parameters))
    earlier = table("epochs", cells_by_epochs(context, parameters))
    guided = sweep.images[parameters.scales.index(parameters.scale)]
    plain = steps.images[len(parameters.evaluations) - 1]
    near, distances = memory_of((guided, plain, test.images), test.labels, data)
    shape = (-1, len(parameters.evaluations))
    losses = [
        read_losses(context.networks[each].losses)
        for each in (parameters.diffusion, parameters.flow)
    ]
    return Results(
        comparison.floors(fresh, context.stream("floors")),
        steps.scores.reshape(*shape, len(Score._fields)),
        sweep.scores,
        earlier.scores,
        steps.images[:, :SHOWN].reshape(*shape, SHOWN, 28, 28).numpy(),
        sweep.images[:, :SHOWN].numpy(),
        test.labels[:SHOWN].numpy(),
        near,
        distances,
        np.array([[len(each), sum(map(len, each))] for each in losses]),
        len(data),
    )


def cells_by_steps(context: Context, parameters: Parameters) -> list[Cell]:
    """Return every sampler with every number of evaluations, without guidance."""
    cells = []
    every = samplers(parameters.steps).values()
    for sampler, evaluations in product(every, parameters.evaluations):
        is_flow = isinstance(sampler, Integrated)
        if isinstance(sampler, Integrated):
            sampler.steps(evaluations)
        trained = context.networks[parameters.flow if is_flow else parameters.diffusion]
        cells.append(Cell(trained.weights(trained.epochs), sampler, evaluations, 1.0))
    return cells


def cells_by_guidance(context: Context, parameters: Parameters) -> list[Cell]:
    """Return flow matching by the midpoint method at every scale."""
    trained = context.networks[parameters.flow]
    weights = trained.weights(trained.epochs)
    evaluations = parameters.guided_evaluations
    return [Cell(weights, MIDPOINT, evaluations, scale) for scale in parameters.scales]


def cells_by_epochs(context: Context, parameters: Parameters) -> list[Cell]:
    """Return both methods as they were after some epochs, with the most evaluations, unguided."""
    most = parameters.evaluations[-1]
    ways: list[tuple[str, Sampler, Sequence[int]]] = [
        (parameters.diffusion, Ancestral(linear(parameters.steps)), parameters.diffusion_epochs),
        (parameters.flow, MIDPOINT, parameters.flow_epochs),
    ]
    return [
        Cell(context.networks[name].weights(epoch), sampler, most, 1.0)
        for name, sampler, epochs in ways
        for epoch in epochs
    ]


def learning_of(results: Results, parameters: Parameters) -> list[Learning]:
    """Return how the distance of both methods fell, with the most evaluations, unguided."""
    earlier = np.split(results.earlier, [len(parameters.diffusion_epochs)])
    names = list(samplers(parameters.steps))
    ends = results.steps[names.index("ancestral"), -1], results.steps[names.index("midpoint"), -1]
    asked = parameters.diffusion_epochs, parameters.flow_epochs
    several = []
    for name, epochs, scores, end, (trained, updates) in zip(
        ("diffusion", "flow matching"), asked, earlier, ends, results.trainings, strict=True
    ):
        found = dict(zip(epochs, scores, strict=True)) | {int(trained): end}
        after = sorted(found)
        table = np.stack([found[epoch] for epoch in after])
        several.append(Learning(name, after, int(updates // trained), table))
    return several


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    names = list(samplers(parameters.steps))
    floor = results.floors.mean(axis=0)
    at = [Score(*each).frechet for each in results.floors.tolist()]
    yield Number("count", f"{results.distances.shape[1]:,}")
    yield Number("floors", f"{len(at)}")
    yield Number("floor-least", f"{min(at):.2f}")
    yield Number("floor-most", f"{max(at):.2f}")
    yield Number("references", f"{results.references:,}")
    yield Number("scale", f"{parameters.scale:g}")
    yield Number("guided-evaluations", f"{2 * parameters.guided_evaluations}")
    yield Number("guided-steps", f"{MIDPOINT.steps(parameters.guided_evaluations)}")
    yield from score_numbers(["floor"], floor[None], floor)
    for name, row in zip(names, results.steps, strict=True):
        labels = [f"{name.lower()}-{evaluations}" for evaluations in parameters.evaluations]
        yield from score_numbers(labels, row, floor)
    yield from score_numbers(
        [f"scale-{each:g}" for each in parameters.scales], results.sweep, floor
    )
    epochs = (("diffusion", parameters.diffusion_epochs), ("flow", parameters.flow_epochs))
    earlier = [f"{name}-epoch-{epoch}" for name, every in epochs for epoch in every]
    yield from score_numbers(earlier, results.earlier, floor)
    for (name, _), (trained, updates) in zip(epochs, results.trainings, strict=True):
        yield Number(f"{name}-epochs", f"{trained}")
        yield Number(f"{name}-updates", f"{updates:,}")
    yield steps_plot(names, parameters.evaluations, results.steps, floor)
    fewest, most = parameters.evaluations[0], parameters.evaluations[-1]
    asked = [str(digit) for digit in results.asked]
    yield sampler_panels("few", names, fewest, results.by_steps[:, 0], asked)
    yield sampler_panels("many", names, most, results.by_steps[:, -1], asked)
    yield guidance_plot(parameters.scales, results.sweep)
    yield epochs_plot(learning_of(results, parameters), floor)
    yield Panels(
        "guided",
        r"The same noise in every row, guidance $\gamma$ growing from row to row; above each "
        "column the digit asked for.",
        "Rows of handwritten digits, a row for each guidance scale.",
        results.by_scale,
        asked,
        [f"γ = {scale:g}" for scale in parameters.scales],
    )
    yield from memory_figures(results.near, results.distances, parameters.scale)
