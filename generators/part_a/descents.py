"""What the sections of Part A share on the way down from noise: times, pictures, progress."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from generators.diffusion.pictures import read_mask, read_picture
from generators.diffusion.sampling import (
    Estimator,
    Generators,
    Step,
    denoise,
    generators_of,
    last,
    unit_noise,
)
from generators.diffusion.schedule import Schedule, strided
from generators.errors import AuthorError
from generators.figure import Context


def times_of(schedule: Schedule, stride: int) -> list[int]:
    """Return the times of a descent: 990, 960, …, 0 for a stride of 30 of 1000."""
    return strided(len(schedule.alpha_bar), stride)


def pictures(context: Context, files: Sequence[str], size: int) -> Tensor:
    """Return pictures below content/ as (N, 3, size, size) in [-1, 1]."""
    read = [read_picture(context.content / file, size) for file in files]
    return torch.cat(read).to(context.device)


def masks_of(context: Context, files: Sequence[str], images: Sequence[str], size: int) -> Tensor:
    """Return the masks of images (N, 1, size, size), 1 where they are to be made anew."""
    pairs = zip(files, images, strict=True)
    read = [read_mask(context.content / a, size, context.content / b) for a, b in pairs]
    return torch.cat(read).to(context.device)


def noised(schedule: Schedule, image: Tensor, times: Sequence[int], seed: int) -> Tensor:
    """Return an image (1, 3, h, w) at each of the times (T, 3, h, w), under one and the same ε."""
    noise = unit_noise(generators_of(seed, 1), image)
    return torch.cat([schedule.add_noise(image, t, noise) for t in times])


def one_step(schedule: Schedule, estimate: Estimator, x_t: Tensor, times: Sequence[int]) -> Tensor:
    """Return the x̂_0 of images x_t (T, 3, h, w), each at its own time, thresholded."""
    estimates = []
    for x, t in zip(x_t.split(1), times, strict=True):
        with torch.no_grad():
            estimates.append(schedule.threshold(schedule.clean(x, t, estimate(x, t).mean)))
    return torch.cat(estimates)


def sample(
    context: Context, estimate: Estimator, generators: Generators, times: Sequence[int], what: str
) -> Tensor:
    """Return what becomes of unit noise in stage 1: (B, 3, h, w), one image per generator."""
    cascade = context.cascade()
    steps = denoise(
        cascade.noise(generators),
        estimate,
        cascade.stage(1).schedule,
        times,
        generators=generators,
    )
    return last(reported(context, what, steps, times)).x_t


def reported(
    context: Context, what: str, steps: Iterable[Step], times: Sequence[int]
) -> Iterator[Step]:
    """Pass the steps on, and tell how many of the descent's updates are done."""
    for done, step in enumerate(steps, 1):
        context.progress(what, done, len(times) - 1)
        yield step


def check_as_many(context: Context, counts: Mapping[str, int]) -> None:
    """Raise an AuthorError when the first list is empty, or another one not as long."""
    (first, expected), *others = counts.items()
    if not expected:
        raise AuthorError(f"{context.section}: {first} is empty, expected one or more")
    for name, found in others:
        if found != expected:
            wanted = f"{expected} as in {first}"
            raise AuthorError(f"{context.section}: found {found} {name}, expected {wanted}")


def check_kernel(context: Context, width: int, size: int) -> None:
    """Raise an AuthorError when a kernel has no middle, or reaches beyond a reflected border."""
    if width % 2 == 0 or width // 2 >= size:
        expected = f"an odd number below {2 * size}"
        raise AuthorError(f"{context.section}: a kernel of {width} pixels, expected {expected}")
