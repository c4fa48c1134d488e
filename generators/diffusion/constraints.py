"""What holds an image to something known while the rest of it is made."""

from collections.abc import Sequence

from torch import Tensor

from generators.diffusion.filters import Filter
from generators.diffusion.sampling import Constraint, Generators, unit_noise
from generators.diffusion.schedule import Schedule


def keep(image: Tensor, mask: Tensor, schedule: Schedule, generators: Generators) -> Constraint:
    """Keep `image` (B or 1, 3, H, W) where mask (B or 1, 1, H, W) is 0, make anew where it is 1.

    x ← m · x + (1-m) · forward(image, t'), with fresh noise at the level t' of the x just made:
    Lugmayr et al. 2022, eq. 8, whose mask is 1 where the image is kept.
    """

    def kept(x: Tensor) -> Tensor:
        return (1 - mask.to(x)[: len(x)]) * x

    return hold(image, kept, schedule, generators)


def hold(image: Tensor, part: Filter, schedule: Schedule, generators: Generators) -> Constraint:
    """Hold the part of a picture that a linear filter f lets through to that of `image`.

    x ← x - f(x) + f(forward(image, t')): f = (1-m) inpaints, a low-pass leaves the details of a
    given picture to be made (Geng et al. 2024, Factorized Diffusion). `image` is (B or 1, 3, H, W).
    """

    def constrain(x_t: Tensor, t: int) -> Tensor:
        known = image.to(x_t)[: len(x_t)].expand_as(x_t)
        noisy = schedule.add_noise(known, t, unit_noise(generators[: len(x_t)], x_t))
        return x_t - part(x_t) + part(noisy)

    return constrain


def resampled(timesteps: Sequence[int], length: int, times: int) -> list[int]:
    """Return `timesteps` in which every `length` updates are made `times` times.

    After `length` updates the times go up again to where these began (Lugmayr et al. 2022,
    sections 4.2 and 5.1: jump length j, r resamplings); what remains at the end is made once.
    Raises: ValueError when length or times is not positive.
    """
    if length < 1 or times < 1:
        raise ValueError(f"{times} times {length} updates, expected both to be positive")
    result = [timesteps[0]]
    for start in range(0, len(timesteps) - 1, length):
        part = list(timesteps[start : start + length + 1])
        result += part[1:] + part * (times - 1) if len(part) > length else part[1:]
    return result
