"""A1.5: pictures out of nothing but noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import generators_of
from generators.figure import Context, Output, Panels
from generators.parameters import Range
from generators.part_a.descents import sample, times_of
from generators.part_a.showing import Pixels, asked


@dataclass(frozen=True)
class Parameters:
    prompt: str = "a high quality photo"
    samples: Annotated[int, Range(1, 20)] = 5
    stride: Annotated[int, Range(1, 499)] = 30


@dataclass(frozen=True)
class Results:
    """Samples (N, h, w, 3), and in how many updates they were made."""

    samples: Pixels
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Walk unit noise down all times, told the prompt."""
    cascade = context.cascade()
    times = times_of(cascade.stage(1).schedule, parameters.stride)
    generators = generators_of(context.stream("samples"), parameters.samples)
    samples = sample(context, cascade.told([parameters.prompt]), generators, times, "samples")
    return Results(to_bytes(samples), len(times) - 1, context.seed)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    count = len(results.samples)
    yield Panels(
        "samples",
        f"{count} samples, each out of its own noise. "
        + asked(parameters.prompt, 1, results.updates, results.seed),
        f"{count} pictures made from noise without guidance.",
        [results.samples],
        [str(number) for number in range(1, count + 1)],
    )
