"""The one loop: from noise to image, whatever estimates the noise and whatever holds the image."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from generators.diffusion.schedule import Schedule
from generators.streams import stream


class Noise(NamedTuple):
    """An estimate of the noise ε in x_t (B, 3, H, W), and where its variance lies.

    `spread` v in [-1, 1] runs from β̃ to β (`Schedule.variance`); None: the variance is fixed.
    """

    mean: Tensor
    spread: Tensor | None = None


class Step(NamedTuple):
    """What one update made: x_t at the time t reached, and the x̂_0 it was made with.

    Both (B, 3, H, W), over the images that have begun.
    """

    t: int
    x_t: Tensor
    x_0: Tensor


Estimator: TypeAlias = Callable[[Tensor, int], Noise]
Constraint: TypeAlias = Callable[[Tensor, int], Tensor]
Generators: TypeAlias = Sequence[torch.Generator]


def unconstrained(x_t: Tensor, t: int) -> Tensor:
    """Return the image as it is."""
    return x_t


@torch.no_grad()
def denoise(
    x_t: Tensor,
    estimate: Estimator,
    schedule: Schedule,
    timesteps: Sequence[int],
    *,
    generators: Generators,
    constrain: Constraint = unconstrained,
    starts: Sequence[int] | None = None,
) -> Iterator[Step]:
    """Walk the images x_t (B, 3, H, W) along `timesteps` and yield every update.

    x_t' = of_x_0 · x̂_0 + of_x_t · x_t + σz, then the constraint; no noise into the last entry.
    Where the times go up, the images are noised again (Lugmayr et al. 2022), which is no update
    and yields nothing. Image n joins at `timesteps[starts[n]]`, where it must be at that time;
    starts ascend, so that the images under way are the first of the batch. Each image draws from
    its own generator, and only for itself. The tensor given is not changed.

    Raises: ValueError when there is not one generator or start per image, when starts descend,
    when there is no step to make or a time follows itself.
    """
    starts = [0] * len(x_t) if starts is None else starts
    check(x_t, timesteps, generators, starts)
    for index, (t, t_next) in enumerate(pairwise(timesteps)):
        begun = bisect_right(starts, index)
        x, waiting = x_t[:begun], x_t[begun:]
        if not begun:
            continue
        is_last = index == len(timesteps) - 2
        z = torch.zeros_like(x) if is_last else unit_noise(generators[:begun], x)
        if t_next > t:
            x_t = torch.cat([schedule.add_noise(x, t_next, z, start=t), waiting])
            continue
        noise = estimate(x, t)
        x_0 = schedule.threshold(schedule.clean(x, t, noise.mean))
        stride = schedule.stride(t, t_next)
        sigma = schedule.variance(t, t_next, noise.spread).sqrt().to(x)
        x = constrain(stride.of_x_0 * x_0 + stride.of_x_t * x + sigma * z, t_next)
        x_t = torch.cat([x, waiting])
        yield Step(t_next, x, x_0)


def check(
    x_t: Tensor, timesteps: Sequence[int], generators: Generators, starts: Sequence[int]
) -> None:
    for name, given in (("generators", generators), ("starts", starts)):
        if len(given) != len(x_t):
            raise ValueError(f"{len(given)} {name} for {len(x_t)} images, expected one each")
    if len(timesteps) < 2 or any(t == t_next for t, t_next in pairwise(timesteps)):
        expected = "expected two or more, none twice in a row"
        raise ValueError(f"timesteps are {list(timesteps)}, {expected}")
    if list(starts) != sorted(starts) or not all(0 <= s < len(timesteps) - 1 for s in starts):
        expected = f"ascending from 0 to at most {len(timesteps) - 2}"
        raise ValueError(f"starts are {list(starts)}, expected them {expected}")


def unit_noise(generators: Generators, like: Tensor) -> Tensor:
    """Draw ε ~ N(0, I), one image from each generator, in the shape of `like`'s images.

    Drawn on the CPU in float32 and moved, so that every device and precision sees the same.
    """
    drawn = [torch.randn(like.shape[1:], generator=generator) for generator in generators]
    return torch.stack(drawn).to(like)


def generators_of(seed: int, count: int, *names: str | int) -> list[torch.Generator]:
    """Return one generator per image: number n is the same however many there are."""
    seeds = [stream(seed, *names, number) for number in range(count)]
    return [torch.Generator().manual_seed(each) for each in seeds]


def last(steps: Iterable[Step]) -> Step:
    """Run the steps to their end and return the last one; none of the others is kept."""
    return deque(steps, maxlen=1).pop()
