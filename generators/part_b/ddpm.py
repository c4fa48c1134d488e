"""B2.1: a time-conditioned UNet that predicts the noise, and the descent it makes possible."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from generators.digits.conditioned import time_unet
from generators.digits.ddpm import ancestral, last_signal, linear
from generators.digits.samples import Results, Sheet, no_class, sample_figures, sampled
from generators.digits.sampling import Step, Streams, unguided
from generators.figure import Context, Number, Output
from generators.parameters import Range, TrainedBy


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.ddpm", classes=False)] = "ddpm-time"
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10, 15, 20)
    steps: Annotated[int, Range(1, 10000)] = 300
    rows: Annotated[int, Range(1, 20)] = 4
    frames: Annotated[int, Range(2, 300)] = 41


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample from the same noise with the network as it was after each epoch asked for."""
    trained, schedule = context.networks[parameters.network], linear(parameters.steps)
    trained.expect(steps=parameters.steps)

    def descend(epoch: int, streams: Streams) -> Iterable[Step]:
        network = time_unet(trained.weights(epoch), torch.add).to(context.device)
        predict = unguided(network, no_class(len(streams.generators), context.device))
        return ancestral(predict, schedule, streams)

    sheet = Sheet(parameters.epochs, parameters.rows, parameters.steps, parameters.frames)
    return sampled(context, trained, sheet, descend)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Number("steps", f"{parameters.steps}")
    yield from last_signal(parameters.steps)
    yield from sample_figures(results, parameters.epochs)
