"""As many samples as a statistic needs: a batch at a time, their end alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generators.digits.conditioned import one_hot
from generators.digits.ddpm import Schedule, ancestral, ddim, linear
from generators.digits.flow import Increment, euler, heun, integrate, midpoint, velocity_of
from generators.digits.respacing import falling, respaced, told_original_time
from generators.digits.sampling import Prediction, Step, Streams, guided, unguided
from generators.errors import AuthorError
from generators.machine import bfloat16_pays
from generators.processes import everywhere
from generators.streams import stream

Sampler = Callable[[Prediction, int, Streams], Iterable[Step]]
"""(prediction, how often to evaluate it, streams) to the steps of a descent."""
BATCH = 250


@dataclass(frozen=True)
class Ancestral:
    """Ho et al. 2020 on a schedule with as many times as there are evaluations."""

    schedule: Schedule

    def __call__(self, predict: Prediction, evaluations: int, streams: Streams) -> Iterable[Step]:
        times = falling(self.schedule.steps, evaluations)
        told = told_original_time(predict, times, self.schedule.steps)
        return ancestral(told, respaced(self.schedule, times), streams)


@dataclass(frozen=True)
class Ddim:
    """Song et al. 2021, without noise, one evaluation a step."""

    schedule: Schedule

    def __call__(self, predict: Prediction, evaluations: int, streams: Streams) -> Iterable[Step]:
        return ddim(predict, self.schedule, falling(self.schedule.steps, evaluations), streams)


@dataclass(frozen=True)
class Integrated:
    """Flow matching along `increment`, each step of which evaluates the velocity `cost` times."""

    increment: Increment
    cost: int

    def __call__(self, predict: Prediction, evaluations: int, streams: Streams) -> Iterable[Step]:
        noise, steps = streams.normal(), self.steps(evaluations)
        return integrate(velocity_of(predict), noise, steps, self.increment)

    def steps(self, evaluations: int) -> int:
        """Return how many steps so many evaluations make.

        Raises: AuthorError where they make no whole number of them.
        """
        steps, rest = divmod(evaluations, self.cost)
        if rest:
            told = f"{evaluations} evaluations, {self.cost} of which make a step"
            raise everywhere(AuthorError(told))
        return steps


def samplers(steps: int) -> dict[str, Sampler]:
    """Return all by their names: two of a diffusion of `steps` times, three of flow matching."""
    schedule = linear(steps)
    return {
        "ancestral": Ancestral(schedule),
        "DDIM": Ddim(schedule),
        "Euler": Integrated(euler, 1),
        "midpoint": Integrated(midpoint, 2),
        "Heun": Integrated(heun, 2),
    }


def samples(
    network: nn.Module,
    sampler: Sampler,
    evaluations: int,
    scale: float,
    labels: Tensor,
    seeds: list[int],
) -> Tensor:
    """Return one sample as an 8-bit image (N, 28, 28) for each of `labels` (N,) and its seed.

    Guidance of 1 is the plain conditional prediction, at half the cost of any other.
    """
    device = next(network.parameters()).device
    found: list[Tensor] = []
    for index in torch.arange(len(seeds)).split(BATCH):
        chosen = labels[index].to(device)
        classes = one_hot(chosen, torch.ones_like(chosen, dtype=torch.bool))
        predict = guided(network, classes, scale) if scale != 1 else unguided(network, classes)
        streams = Streams([seeds[each] for each in index.tolist()], device)
        found.append(end(sampler(predict, evaluations, streams), device))
    return torch.cat(found)


def end(steps: Iterable[Step], device: torch.device) -> Tensor:
    """Run a sampler and return its last images, clipped to [0, 1], as (B, 28, 28) uint8."""
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays(device))
    with torch.inference_mode(), autocast:
        for step in steps:
            x = step.x
        return (x[:, 0].float().clamp(0, 1) * 255).round().byte().cpu()


def seeds_of(seed: int, count: int) -> list[int]:
    """Return the seeds of the streams of `count` images."""
    return [stream(seed, index) for index in range(count)]
