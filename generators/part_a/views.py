"""A1.8 and beyond: anagrams in every view under which noise stays noise, and one of three views."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from generators.diffusion.estimators import anagram
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.diffusion.turning import turning
from generators.figure import Animation, Context, Output, Panels, Turning
from generators.parameters import Range
from generators.part_a.descents import check_as_many
from generators.part_a.illusions import Illusions, Manner, illusions, scored
from generators.part_a.named_views import view_named
from generators.part_a.showing import Pixels, asked, beside, made_with


@dataclass(frozen=True)
class Parameters:
    views: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    three_views: tuple[str, ...] = ("upright", "rotation-90", "rotation-180")
    three_prompts: tuple[str, ...] = (
        "an oil painting of an old man",
        "a photo of a dog",
        "a rocket ship",
    )
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30
    candidates: Annotated[int, Range(1, 16)] = 1
    frames: Annotated[int, Range(2, 100)] = 24


@dataclass(frozen=True)
class Results:
    """One anagram per view (V, h, w, 3), last the one of several views (1, h, w, 3)."""

    images: Pixels
    several: Pixels
    alignments: tuple[float, ...]
    concealments: tuple[float, ...]
    tried: int
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Make an anagram for each view, then one that has a prompt in each of several views."""
    counts = {name: len(getattr(parameters, name)) for name in ("views", "first", "second")}
    check_as_many(context, counts)
    check_as_many(
        context,
        {
            "three_views": len(parameters.three_views),
            "three_prompts": len(parameters.three_prompts),
        },
    )
    cascade = context.cascade()
    cascade.read([*parameters.first, *parameters.second, *parameters.three_prompts, ""])
    size = cascade.stage(1).size

    def made(names: tuple[str, ...], prompts: tuple[str, ...], stream: str) -> Illusions:
        views = [view_named(name, context.seed, size) for name in names]
        return illusions(
            context,
            {f"prompt {number}": (prompt,) for number, prompt in enumerate(prompts, 1)},
            [view.apply for view in views],
            lambda parts: anagram(list(zip(views, parts, strict=True))),
            Manner(stream, parameters.scale, parameters.stride, parameters.candidates),
        )

    pairs = zip(parameters.views, parameters.first, parameters.second, strict=True)
    found = [made(("upright", name), (one, other), name) for name, one, other in pairs]
    found.append(made(parameters.three_views, parameters.three_prompts, "several"))
    images = to_bytes(torch.cat([each.images for each in found]))
    return Results(
        images[:-1],
        images[-1:],
        tuple(score for each in found for score in each.alignments),
        tuple(score for each in found for score in each.concealments),
        found[-1].tried,
        found[-1].updates,
        context.seed,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    size = results.images.shape[1]
    views = [view_named(name, results.seed, size) for name in parameters.views]
    upright = from_bytes(results.images)
    seen = [view.apply(image) for view, image in zip(views, upright, strict=True)]
    settings = parameters.scale, results.updates, results.seed
    scores = results.alignments, results.concealments, results.tried
    yield Panels(
        "views",
        "One anagram for each view, with the two texts that were asked for and, where there is a "
        "judge, alignment and concealment; " + made_with(*settings),
        f"{len(views)} pictures, and beside each one its view.",
        list(zip(results.images, to_bytes(torch.stack(seen)), strict=True)),
        ["upright", "in the view"],
        row_labels(results, parameters),
    )
    moving = [
        to_bytes(turning(view, image, parameters.frames))
        for view, image in zip(views, upright, strict=True)
    ]
    yield Animation(
        "moving",
        "All of them on their way from upright to their view, in the same order.",
        "Pictures whose parts move to new places.",
        [beside(frame) for frame in zip(*moving, strict=True)],
        60,
    )
    three = [view_named(name, results.seed, size) for name in parameters.three_views]
    several = from_bytes(results.several)
    yield Turning(
        "several",
        f"One picture in {len(three)} views. {asked(parameters.three_prompts, *settings)}"
        + scored(*scores, len(views)),
        "A picture asked to be something else in each of its views.",
        list(np.concatenate([to_bytes(view.apply(several)) for view in three])),
        [
            f"{name}: {prompt}"
            for name, prompt in zip(parameters.three_views, parameters.three_prompts, strict=True)
        ],
    )


def row_labels(results: Results, parameters: Parameters) -> list[str]:
    """Name each view, its two texts and, where there is a judge, its scores."""
    count = len(parameters.views)
    marks = [
        f" ({a:.2f}, {c:.2f})"
        for a, c in zip(results.alignments, results.concealments, strict=True)
    ][:count] or [""] * count
    asked_for = zip(parameters.views, parameters.first, parameters.second, marks, strict=True)
    return [f"{name}: {one} / {other}{score}" for name, one, other, score in asked_for]
