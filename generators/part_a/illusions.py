"""Pictures that show one thing in one way of looking at them and another in another way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from generators.diffusion.estimators import Combine
from generators.diffusion.sampling import generators_of
from generators.diffusion.scores import Look, alignment, concealment, seen
from generators.figure import Context
from generators.part_a.descents import check_as_many, sample, times_of

NOUGHT = 0.1
"""A similarity below this is one of pictures and texts that have nothing to do with each other."""


@dataclass(frozen=True)
class Manner:
    """How pictures are drawn: their stream, guidance, stride, and among how many to choose."""

    stream: str
    scale: float
    stride: int
    candidates: int = 1


class Illusions(NamedTuple):
    """Pictures (N, 3, h, w), the scores of each where there is a judge, and how they were made."""

    images: Tensor
    alignments: tuple[float, ...]
    concealments: tuple[float, ...]
    tried: int
    updates: int


def illusions(
    context: Context,
    prompts: Mapping[str, tuple[str, ...]],
    looks: Sequence[Look],
    combine: Combine,
    manner: Manner,
) -> Illusions:
    """Make pictures that under `looks[v]` are what the v-th list of prompts says, in one batch.

    Each list has one prompt per picture. Where there is a judge, every picture is the best aligned
    of its candidates; candidate k of picture n is the same however many there are of either.
    """
    check_as_many(context, {name: len(each) for name, each in prompts.items()})
    cascade, judge = context.cascade(), context.judge()
    told = list(prompts.values())
    count, tried = len(told[0]), manner.candidates if judge else 1
    cascade.read([*(prompt for each in told for prompt in each), ""])
    times = times_of(cascade.stage(1).schedule, manner.stride)
    seed = context.stream(manner.stream)
    generators = [each for k in range(tried) for each in generators_of(seed, count, k)]
    estimate = combine([cascade.guided(each * tried, manner.scale) for each in told])
    images = sample(context, estimate, generators, times, manner.stream)
    if judge is None:
        return Illusions(images, (), (), 1, len(times) - 1)
    chosen, alignments, concealments = [], [], []
    for number in range(count):
        candidates = images[number::count]
        similarity = seen(judge, candidates, looks, [each[number] for each in told])
        best = int(alignment(similarity).argmax())
        chosen.append(candidates[best])
        alignments.append(alignment(similarity)[best].item())
        concealments.append(concealment(similarity)[best].item())
    return Illusions(
        torch.stack(chosen), tuple(alignments), tuple(concealments), tried, len(times) - 1
    )


def scored(
    alignments: Sequence[float], concealments: Sequence[float], tried: int, number: int
) -> str:
    """Say what the judge thinks of a picture, in the words of a caption; nothing without one."""
    if not alignments:
        return ""
    among = f", chosen among {tried} by alignment" if tried > 1 else ""
    scores = f"alignment {alignments[number]:.2f}, concealment {concealments[number]:.2f}"
    lost = "; the weaker side has not come out" if alignments[number] < NOUGHT else ""
    return f" By the judge: {scores}{among}{lost}."
