"""B2.3: a time-conditioned UNet that predicts the velocity from noise to data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from generators.digits.conditioned import time_unet
from generators.digits.flow import euler, integrate, velocity_of
from generators.digits.samples import Results, no_class, sample_figures, sampled, streams_for
from generators.digits.sampling import Step, unguided
from generators.figure import Context, Output
from generators.parameters import Range


@dataclass(frozen=True)
class Parameters:
    network: str = "flow-time"
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5, 10)
    steps: Annotated[int, Range(1, 10000)] = 50
    rows: Annotated[int, Range(1, 20)] = 4
    frames: Annotated[int, Range(2, 300)] = 41


def experiment(context: Context, parameters: Parameters) -> Results:
    """Integrate from the same noise with the network as it was after each epoch asked for."""
    trained = context.networks[parameters.network]
    count = 10 * parameters.rows

    def descend(epoch: int) -> Iterable[Step]:
        network = time_unet(trained.weights(epoch), torch.mul).to(context.device)
        velocity = velocity_of(unguided(network, no_class(count, context.device)))
        noise = streams_for(context, "samples", count).normal()
        return integrate(velocity, noise, parameters.steps, euler)

    return sampled(context, trained, parameters.epochs, descend, parameters.frames)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield from sample_figures(results, parameters.epochs, (), "handwritten digits")
