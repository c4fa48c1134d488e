"""B2.3: a time-conditioned UNet that predicts the velocity from noise to data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from generators.digits.conditioned import time_unet
from generators.digits.flow import euler, integrate, velocity_of
from generators.digits.samples import Results, Sheet, no_class, sample_figures, sampled
from generators.digits.sampling import Step, Streams, unguided
from generators.figure import Context, Number, Output
from generators.parameters import Range, TrainedBy


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.flow", classes=False)] = "flow-time"
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10)
    steps: Annotated[int, Range(1, 10000)] = 50
    rows: Annotated[int, Range(1, 20)] = 4
    frames: Annotated[int, Range(2, 300)] = 41


def experiment(context: Context, parameters: Parameters) -> Results:
    """Integrate from the same noise with the network as it was after each epoch asked for."""
    trained = context.networks[parameters.network]

    def descend(epoch: int, streams: Streams) -> Iterable[Step]:
        network = time_unet(trained.weights(epoch), torch.mul).to(context.device)
        velocity = velocity_of(unguided(network, no_class(len(streams.generators), context.device)))
        return integrate(velocity, streams.normal(), parameters.steps, euler)

    sheet = Sheet(parameters.epochs, parameters.rows, 0, parameters.frames)
    return sampled(context, trained, sheet, descend)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Number("steps", f"{parameters.steps}")
    yield from sample_figures(results, parameters.epochs)
