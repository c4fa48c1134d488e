"""A1.7.1: drawings and a found picture, taken for noisy pictures of something real."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import generators_of
from generators.figure import Context, Output, Pad, Panels
from generators.parameters import File, Range
from generators.part_a.descents import pictures
from generators.part_a.editing import edited
from generators.part_a.showing import Pixels, asked, enlarged_with, in_rows, start_labels


@dataclass(frozen=True)
class Parameters:
    images: tuple[File, ...] = (
        "images/found.png",
        "images/drawing-1.png",
        "images/drawing-2.png",
    )
    prompt: str = "a high quality photo"
    starts: Annotated[tuple[int, ...], Range(0, 997)] = (1, 3, 5, 7, 10, 20)
    stride: Annotated[int, Range(1, 499)] = 30
    scale: Annotated[float, Range(0, 100)] = 7.0
    upsampling_steps: Annotated[int, Range(1, 1000)] = 30
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0


@dataclass(frozen=True)
class Results:
    """Pictures small and large (N, h, w, 3); noised, edited and enlarged (N, S, h, w, 3)."""

    originals: Pixels
    large_originals: Pixels
    noised: Pixels
    edits: Pixels
    large: Pixels
    times: tuple[int, ...]
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Edit every picture from every start, and enlarge all results in one batch."""
    cascade = context.cascade()
    images = pictures(context, parameters.images, cascade.stage(1).size)
    prompts = [parameters.prompt] * len(images)
    edits = edited(context, images, prompts, parameters.starts, parameters.stride, parameters.scale)
    results = edits.results.flatten(0, 1)
    large = cascade.upsampled(
        results,
        [parameters.prompt],
        generators_of(context.stream("upsampled"), len(results)),
        steps=parameters.upsampling_steps,
        scale=parameters.upsampling_scale,
    )
    originals = pictures(context, parameters.images, large.shape[-1])
    return Results(
        to_bytes(images),
        to_bytes(originals),
        in_rows(edits.noised.flatten(0, 1), len(images)),
        in_rows(results, len(images)),
        in_rows(large, len(images)),
        tuple(edits.times),
        edits.updates,
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    columns = [*start_labels(parameters.starts, results.times), "original"]
    settings = asked(parameters.prompt, parameters.scale, results.updates, results.seed)
    told = f"“{parameters.prompt}”"
    enlarged = enlarged_with(told, parameters.upsampling_steps, parameters.upsampling_scale)
    for index, original in enumerate(results.originals):
        name = parameters.images[index].rpartition("/")[2]
        yield Panels(
            f"edits-{index + 1}",
            f"{name}: the picture under noise of each start ($i$: $t$), and what was made of it. "
            f"{settings}",
            "Two rows: a picture in receding noise, and results that come closer to the picture.",
            [[*results.noised[index], original], [*results.edits[index], original]],
            columns,
            ["input", "result"],
        )
        yield Panels(
            f"upsampled-{index + 1}",
            f"The results for {name}. {enlarged}",
            "The results in four times the resolution, the picture itself last.",
            [[*results.large[index], results.large_originals[index]]],
            columns,
        )
    yield Pad(
        "pad",
        "A sheet to draw on, kept in this browser alone until it is downloaded as a PNG.",
        "An empty square to draw on.",
        results.large_originals.shape[1],
    )
