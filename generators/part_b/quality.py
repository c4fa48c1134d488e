"""B3.1: both methods judged by numbers: by sampler and steps, by guidance, by epoch, by memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.digits.classifier import classifier
from generators.digits.comparison import Cell, Comparison, Table, drawn
from generators.digits.data import load
from generators.digits.ddpm import linear
from generators.digits.flow import euler, heun, midpoint
from generators.digits.jury import Score, jury, nearest_images
from generators.digits.many import Ancestral, Ddim, Integrated, Sampler
from generators.digits.scores import guidance_plot, sampler_panels, score_numbers, steps_plot
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range
from generators.streams import stream

SHOWN = 10
NEAREST = 3
HEUN = Integrated(heun, 2)


@dataclass(frozen=True)
class Parameters:
    diffusion: str = "ddpm-class"
    flow: str = "flow-class"
    features: str = "judge-features"
    answers: str = "judge-answers"
    steps: Annotated[int, Range(1, 10000)] = 300
    count: Annotated[int, Range(10, 10000)] = 10000
    references: Annotated[int, Range(100, 60000)] = 60000
    evaluations: Annotated[tuple[int, ...], Range(2, 10000)] = (4, 8, 16, 32)
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (1.0, 1.5, 2.0, 3.0, 5.0)
    scale: Annotated[float, Range(0, 100)] = 2.0
    guided_evaluations: Annotated[int, Range(2, 10000)] = 10
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 2)


@dataclass(frozen=True)
class Results:
    """Scores along the last axis, in the order of `jury.Score`, and the first ten samples of each.

    `floor` (5,) is what real test digits get, `steps` (sampler, evaluations, 5), `sweep` (scale,
    5), `earlier` (epoch, 5), `by_steps` and `by_scale` their pictures; `near` (10, 4, 28, 28) the
    samples nearest to training digits and their nearest three, `distances` (2, N) of samples and
    of test digits to the nearest one.
    """

    floor: NDArray[np.float32]
    steps: NDArray[np.float32]
    sweep: NDArray[np.float32]
    earlier: NDArray[np.float32]
    by_steps: NDArray[np.uint8]
    by_scale: NDArray[np.uint8]
    near: NDArray[np.uint8]
    distances: NDArray[np.float32]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Fill the tables, then look up the training digits nearest to the samples."""
    if parameters.scale not in parameters.scales:
        raise AuthorError(f"scale = {parameters.scale:g}, expected one of scales")
    folder = context.dataset("mnist")
    data = load(folder, "train").first(parameters.references).images
    test = drawn(load(folder, "t10k"), parameters.count, context.stream("test"))
    judges = [context.networks[name] for name in (parameters.features, parameters.answers)]
    by_features, by_answers = (
        classifier(each.weights(each.epochs)).to(context.device) for each in judges
    )
    seed = context.stream("samples")
    comparison = Comparison(
        jury(by_features, by_answers, data),
        test,
        [stream(seed, index) for index in range(len(test.labels))],
        context.stream("references"),
        context.device,
    )

    def table(what: str, cells: list[Cell]) -> Table:
        return comparison.table(cells, lambda done: context.progress(what, done, len(cells)))

    steps = table("samplers", cells_by_steps(context, parameters))
    sweep = table("guidance", cells_by_scale(context, parameters))
    earlier = table("epochs", cells_by_epoch(context, parameters))
    guided = sweep.images[parameters.scales.index(parameters.scale)]
    found = nearest_images(guided, data, NEAREST)
    closest = found.distances[:, 0].argsort()[:SHOWN]
    near = torch.cat((guided[closest, None], data[found.indices[closest]]), dim=1)
    of_test = nearest_images(test.images, data, 1).distances[:, 0]
    shape = (-1, len(parameters.evaluations))
    return Results(
        comparison.score(test.images),
        steps.scores.reshape(*shape, len(Score._fields)),
        sweep.scores,
        earlier.scores,
        steps.images[:, :SHOWN].reshape(*shape, SHOWN, 28, 28).numpy(),
        sweep.images[:, :SHOWN].numpy(),
        near.numpy(),
        torch.stack((found.distances[:, 0], of_test)).numpy(),
    )


def samplers(steps: int) -> dict[str, Sampler]:
    """Return the samplers that are compared: two of diffusion, three of flow matching."""
    schedule = linear(steps)
    return {
        "ancestral": Ancestral(schedule),
        "DDIM": Ddim(schedule),
        "Euler": Integrated(euler, 1),
        "midpoint": Integrated(midpoint, 2),
        "Heun": HEUN,
    }


def cells_by_steps(context: Context, parameters: Parameters) -> list[Cell]:
    """Return every sampler with every number of evaluations, without guidance."""
    cells = []
    for sampler, evaluations in product(
        samplers(parameters.steps).values(), parameters.evaluations
    ):
        is_flow = isinstance(sampler, Integrated)
        trained = context.networks[parameters.flow if is_flow else parameters.diffusion]
        cells.append(Cell(trained.weights(trained.epochs), sampler, evaluations, 1.0))
    return cells


def cells_by_scale(context: Context, parameters: Parameters) -> list[Cell]:
    flow = context.networks[parameters.flow]
    weights = flow.weights(flow.epochs)
    return [
        Cell(weights, HEUN, parameters.guided_evaluations, scale) for scale in parameters.scales
    ]


def cells_by_epoch(context: Context, parameters: Parameters) -> list[Cell]:
    flow = context.networks[parameters.flow]
    return [
        Cell(flow.weights(epoch), HEUN, parameters.guided_evaluations, parameters.scale)
        for epoch in parameters.epochs
    ]


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    names = list(samplers(parameters.steps))
    floor = results.floor
    yield Number("count", f"{results.distances.shape[1]:,}")
    yield Number("guided-evaluations", f"{2 * parameters.guided_evaluations}")
    yield from score_numbers("floor", floor, floor)
    for name, row in zip(names, results.steps, strict=True):
        for evaluations, score in zip(parameters.evaluations, row, strict=True):
            yield from score_numbers(f"{name.lower()}-{evaluations}", score, floor)
    for scale, score in zip(parameters.scales, results.sweep, strict=True):
        yield from score_numbers(f"scale-{scale:g}", score, floor)
    for epoch, score in zip(parameters.epochs, results.earlier, strict=True):
        yield from score_numbers(f"epoch-{epoch}", score, floor)
    yield steps_plot(names, parameters.evaluations, results.steps, floor)
    fewest, most = parameters.evaluations[0], parameters.evaluations[-1]
    yield sampler_panels("few", names, fewest, results.by_steps[:, 0])
    yield sampler_panels("many", names, most, results.by_steps[:, -1])
    yield guidance_plot(parameters.scales, results.sweep)
    yield Panels(
        "guided",
        r"The same noise and the same digits asked for, guidance $\gamma$ growing from row to row.",
        "Rows of handwritten digits that grow bolder and more alike as guidance grows.",
        results.by_scale,
        labels=[f"γ = {scale:g}" for scale in parameters.scales],
    )
    of_samples, of_test = results.distances
    yield Number("nearest-samples", f"{np.median(of_samples):.3f}")
    yield Number("nearest-test", f"{np.median(of_test):.3f}")
    closer = (of_samples < np.quantile(of_test, 0.01)).mean()
    yield Number("closer", f"{100 * closer:.1f} %")
    yield Panels(
        "nearest",
        rf"The ten samples at $\gamma = {parameters.scale:g}$ that are nearest to a training digit "
        "(first row), and the three training digits nearest to each.",
        "Ten handwritten digits, and under each the three training digits most like it.",
        results.near.transpose(1, 0, 2, 3),
        labels=["sample", "nearest", "second", "third"],
    )
