"""A1.8: one picture that is another one upside down."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.estimators import anagram
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.diffusion.sampling import generators_of
from generators.diffusion.turning import turning
from generators.figure import Animation, Context, Output, Panels, Turning
from generators.parameters import Range
from generators.part_a.illusions import Manner, illusions, scored
from generators.part_a.named_views import view_named
from generators.part_a.showing import Pixels, asked_both, beside, enlarged_with


@dataclass(frozen=True)
class Parameters:
    first: tuple[str, ...]
    second: tuple[str, ...]
    view: str = "flip"
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30
    candidates: Annotated[int, Range(1, 16)] = 1
    upsampling_prompt: str = "a high quality photo"
    upsampling_steps: Annotated[int, Range(1, 1000)] = 30
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0
    frames: Annotated[int, Range(2, 100)] = 24


@dataclass(frozen=True)
class Results:
    """Anagrams as they were made, small (N, h, w, 3) and large (N, H, W, 3), and their scores."""

    small: Pixels
    large: Pixels
    alignments: tuple[float, ...]
    concealments: tuple[float, ...]
    tried: int
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Estimate the noise upright and in the view, and go on with the mean: all in one batch."""
    cascade = context.cascade()
    size = cascade.stage(1).size
    views = [view_named(name, context.seed, size) for name in ("upright", parameters.view)]
    found = illusions(
        context,
        {"first": parameters.first, "second": parameters.second},
        [view.apply for view in views],
        lambda parts: anagram(list(zip(views, parts, strict=True))),
        Manner("anagrams", parameters.scale, parameters.stride, parameters.candidates),
    )
    large = cascade.upsampled(
        found.images,
        [parameters.upsampling_prompt],
        generators_of(context.stream("upsampled"), len(found.images)),
        steps=parameters.upsampling_steps,
        scale=parameters.upsampling_scale,
    )
    return Results(to_bytes(found.images), to_bytes(large), *found[1:], context.seed)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    small = from_bytes(results.small)
    view = view_named(parameters.view, results.seed, small.shape[-1])
    numbers = [str(number) for number in range(1, len(small) + 1)]
    yield Panels(
        "anagrams",
        f"The same pictures upright and in the view “{parameters.view}”. "
        + asked_both(
            parameters.first, parameters.second, parameters.scale, results.updates, results.seed
        ),
        f"{len(small)} pictures upright, and below each its other view.",
        [results.small, to_bytes(view.apply(small))],
        numbers,
        ["upright", parameters.view],
    )
    moving = [to_bytes(turning(view, image, parameters.frames)) for image in small]
    yield Animation(
        "turning",
        f"All of them on the way from upright to the view “{parameters.view}”.",
        f"{len(small)} pictures turn from one view to the other.",
        [beside(frame) for frame in zip(*moving, strict=True)],
        60,
    )
    large = to_bytes(view.apply(from_bytes(results.large)))
    enlarged = enlarged_with(
        f"“{parameters.upsampling_prompt}”",
        parameters.upsampling_steps,
        parameters.upsampling_scale,
    )
    for index, (first, second) in enumerate(zip(parameters.first, parameters.second, strict=True)):
        score = scored(results.alignments, results.concealments, results.tried, index)
        yield Turning(
            f"anagram-{index + 1}",
            f"Number {index + 1}: “{first}” upright, “{second}” in the view “{parameters.view}”."
            f"{score} {enlarged}",
            f"A picture asked to be {first}, and {second} when seen in the other view.",
            [results.large[index], large[index]],
            [first, second],
        )
