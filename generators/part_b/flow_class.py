"""B2.4: flow matching told the digit, and guided towards it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from generators.digits.conditioned import class_unet
from generators.digits.flow import euler, integrate, velocity_of
from generators.digits.samples import Guidance, Sheet, guided_figures, guided_samples
from generators.digits.samples import GuidedResults as Results
from generators.digits.sampling import Step, Streams, guided
from generators.figure import Context, Number, Output
from generators.parameters import Range, TrainedBy


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.flow", classes=True)] = "flow-class"
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10)
    steps: Annotated[int, Range(1, 10000)] = 300
    scale: Annotated[float, Range(0, 100)] = 5.0
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (0.0, 1.0, 2.0, 5.0, 10.0)
    rows: Annotated[int, Range(1, 20)] = 4
    frames: Annotated[int, Range(2, 300)] = 41


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample every digit after each epoch, and one row at every guidance scale."""
    trained = context.networks[parameters.network]

    def descend(epoch: int, classes: Tensor, scales: Tensor, streams: Streams) -> Iterable[Step]:
        network = class_unet(trained.weights(epoch)).to(context.device)
        velocity = velocity_of(guided(network, classes, scales))
        return integrate(velocity, streams.normal(), parameters.steps, euler)

    sheet = Sheet(parameters.epochs, parameters.rows, 0, parameters.frames)
    return guided_samples(context, trained, sheet, descend, guidance(parameters))


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Number("steps", f"{parameters.steps}")
    yield from guided_figures(results, parameters.epochs, guidance(parameters))


def guidance(parameters: Parameters) -> Guidance:
    return Guidance(parameters.scale, parameters.scales)
