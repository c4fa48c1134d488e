"""Image-to-image (Meng et al. 2022, SDEdit): noise a picture to some time, walk down from there."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from generators.diffusion.sampling import denoise, generators_of, last, unit_noise
from generators.errors import AuthorError
from generators.figure import Context
from generators.part_a.descents import reported, times_of


class Edits(NamedTuple):
    """Pictures noised to each start, and what became of them (N, S, 3, h, w); where the starts are.

    `starts` are the times (S,).
    """

    noised: Tensor
    results: Tensor
    times: list[int]
    updates: int


def edited(
    context: Context,
    images: Tensor,
    prompts: Sequence[str],
    starts: Sequence[int],
    stride: int,
    scale: float,
) -> Edits:
    """Edit images (N, 3, h, w), told one prompt each, from every start, in one descent.

    An image meets the same noise ε at all its starts. `starts` are places in the list of times.
    """
    cascade = context.cascade()
    schedule = cascade.stage(1).schedule
    times = times_of(schedule, stride)
    check_starts(context, starts, times)
    generators = [
        each for _ in starts for each in generators_of(context.stream("edits"), len(images))
    ]
    noise = unit_noise(generators, images).split(len(images))
    x_t = torch.cat(
        [
            schedule.add_noise(images, times[start], each)
            for start, each in zip(starts, noise, strict=True)
        ]
    )
    steps = denoise(
        x_t,
        cascade.guided(list(prompts) * len(starts), scale),
        schedule,
        times,
        generators=generators,
        starts=[start for start in starts for _ in images],
    )
    results = last(reported(context, "edits", steps, times)).x_t
    by_image = [each.unflatten(0, (len(starts), -1)).transpose(0, 1) for each in (x_t, results)]
    return Edits(by_image[0], by_image[1], [times[start] for start in starts], len(times) - 1)


def check_starts(context: Context, starts: Sequence[int], times: Sequence[int]) -> None:
    """Raise an AuthorError when starts are no places of the list of times, in ascending order."""
    highest = len(times) - 2
    is_ascending = list(starts) == sorted(set(starts))
    if not starts or not is_ascending or not 0 <= starts[0] <= starts[-1] <= highest:
        expected = f"ascending numbers from 0 to {highest}"
        raise AuthorError(f"{context.section}: starts are {list(starts)}, expected {expected}")
