"""A1.7.2: a part of a picture made anew, so that it fits the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from torch import Tensor

from generators.diffusion.constraints import keep, resampled
from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import denoise, generators_of, last
from generators.figure import Comparison, Context, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import (
    check_as_many,
    masks_of,
    pictures,
    reported,
    times_of,
)
from generators.part_a.showing import Pixels, asked, enlarged_with, in_rows


@dataclass(frozen=True)
class Parameters:
    prompts: tuple[str, ...]
    images: tuple[File, ...] = ("images/bell-tower.png", "images/own-1.png", "images/own-2.png")
    masks: tuple[File, ...] = (
        "images/mask-bell-tower.png",
        "images/mask-own-1.png",
        "images/mask-own-2.png",
    )
    neutral: str = "a high quality photo"
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30
    resampling_length: Annotated[int, Range(1, 100)] = 4
    resampling_times: Annotated[int, Range(1, 50)] = 3
    upsampling_steps: Annotated[int, Range(1, 1000)] = 30
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0


@dataclass(frozen=True)
class Results:
    """Pictures (N, h, w, 3), masks (N, h, w, 3), and large pictures (N, H, W, 3).

    Made with the neutral prompt and with its own (2, N, …): plainly, by resampling, and the plain
    ones enlarged.
    """

    originals: Pixels
    masks: Pixels
    large_originals: Pixels
    plain: Pixels
    resampled: Pixels
    large: Pixels
    updates: tuple[int, int]
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Inpaint every picture with both prompts in one descent, then again with resampling."""
    names = ("images", "masks", "prompts")
    check_as_many(context, {name: len(getattr(parameters, name)) for name in names})
    cascade = context.cascade()
    stage, count = cascade.stage(1), len(parameters.images)
    images = pictures(context, parameters.images, stage.size)
    masks = masks_of(context, parameters.masks, parameters.images, stage.size)
    prompts = [parameters.neutral] * count + list(parameters.prompts)
    estimate = cascade.guided(prompts, parameters.scale)
    twice = images.repeat(2, 1, 1, 1), masks.repeat(2, 1, 1, 1)

    def inpainted(times: Sequence[int], what: str) -> Tensor:
        generators = generators_of(context.stream("inpainted"), 2 * count)
        kept = generators_of(context.stream("kept"), 2 * count)
        steps = denoise(
            cascade.noise(generators),
            estimate,
            stage.schedule,
            times,
            generators=generators,
            constrain=keep(*twice, stage.schedule, kept),
        )
        return last(reported(context, what, steps, times)).x_t

    times = times_of(stage.schedule, parameters.stride)
    longer = resampled(times, parameters.resampling_length, parameters.resampling_times)
    plain = inpainted(times, "inpainting")
    large = cascade.upsampled(
        plain,
        prompts,
        generators_of(context.stream("upsampled"), len(plain)),
        steps=parameters.upsampling_steps,
        scale=parameters.upsampling_scale,
    )
    descents = sum(later < earlier for earlier, later in pairwise(longer))
    return Results(
        to_bytes(images),
        to_bytes(2 * masks.expand_as(images) - 1),
        to_bytes(pictures(context, parameters.images, large.shape[-1])),
        in_rows(plain, 2),
        in_rows(inpainted(longer, "resampling"), 2),
        in_rows(large, 2),
        (len(times) - 1, descents),
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    plain, longer = results.updates
    enlarged = enlarged_with(
        "the same prompts", parameters.upsampling_steps, parameters.upsampling_scale
    )
    for index, own in enumerate(parameters.prompts):
        prompts = [parameters.neutral, own]
        original, mask = results.originals[index], results.masks[index]
        given = [original, mask, original * (mask > 0)]
        yield Panels(
            f"inpainting-{index + 1}",
            "A picture, its mask (white is made anew), what is to be replaced, and what was made: "
            f"plainly, and with resampling ({longer} updates in stretches of "
            f"{parameters.resampling_length}, each made {parameters.resampling_times} times). "
            + asked(prompts, parameters.scale, plain, results.seed),
            "Two rows: the picture, its mask, the part to be replaced, and two results.",
            [
                [*given, results.plain[row][index], results.resampled[row][index]]
                for row in range(len(prompts))
            ],
            ["picture", "mask", "to replace", "result", "resampled"],
            prompts,
        )
        yield Comparison(
            f"upsampled-{index + 1}",
            f"The picture, and the plain result for “{own}”. {enlarged} Stage 2 draws "
            "everything anew, outside the mask too.",
            f"The picture before, and with a part made anew as {own}.",
            results.large_originals[index],
            results.large[1][index],
            ("picture", own),
        )
