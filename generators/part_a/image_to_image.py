"""A1.7 and A1.7.3: pictures noised more or less, and what the network makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.pictures import to_bytes
from generators.figure import Context, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import check_as_many, pictures
from generators.part_a.editing import edited
from generators.part_a.showing import Pixels, asked, in_rows, start_labels


@dataclass(frozen=True)
class Parameters:
    images: tuple[File, ...] = ("images/bell-tower.png", "images/own-1.png", "images/own-2.png")
    prompts: tuple[str, ...] = ("a high quality photo",)
    starts: Annotated[tuple[int, ...], Range(0, 997)] = (1, 3, 5, 7, 10, 20)
    stride: Annotated[int, Range(1, 499)] = 30
    scale: Annotated[float, Range(0, 100)] = 7.0


@dataclass(frozen=True)
class Results:
    """The pictures (N, h, w, 3), and what became of them from every start (N, S, h, w, 3)."""

    originals: Pixels
    edits: Pixels
    times: tuple[int, ...]
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Edit every picture from every start; one prompt for all, or one each."""
    images = pictures(context, parameters.images, context.cascade().stage(1).size)
    prompts = parameters.prompts * (len(images) if len(parameters.prompts) == 1 else 1)
    check_as_many(context, {"images": len(images), "prompts": len(prompts)})
    edits = edited(context, images, prompts, parameters.starts, parameters.stride, parameters.scale)
    return Results(
        to_bytes(images),
        in_rows(edits.results.flatten(0, 1), len(images)),
        tuple(edits.times),
        edits.updates,
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    settings = parameters.prompts, parameters.scale, results.updates, results.seed
    labels = parameters.prompts if len(parameters.prompts) > 1 else ()
    yield Panels(
        "edits",
        "A picture in each row, noised to a time $t$ and denoised from there (above, $i$: $t$); "
        f"the same noise along a row, the picture itself on the right. {asked(*settings)} The "
        f"updates are those of a whole descent; a start at $i$ leaves out the first $i$.",
        f"{len(results.originals)} rows of pictures that come closer to the original on the right.",
        [
            [*edits, original]
            for edits, original in zip(results.edits, results.originals, strict=True)
        ],
        [*start_labels(parameters.starts, results.times), "original"],
        labels,
    )
