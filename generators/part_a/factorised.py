"""A1.9 and beyond: hybrids by colour, by motion, of three distances, and of a given picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generators.diffusion.constraints import hold
from generators.diffusion.estimators import factorised, unchanged
from generators.diffusion.filters import Filter, bands, complement, gaussian, grey, motion
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.diffusion.sampling import denoise, generators_of, last
from generators.errors import AuthorError
from generators.figure import Context, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import check_kernel, pictures, reported, times_of
from generators.part_a.illusions import Illusions, Manner, illusions, scored
from generators.part_a.showing import Pixels, Ways, made_with, several_ways


@dataclass(frozen=True)
class Parameters:
    grey: str = "an oil painting of an old man"
    colour: str = "a photo of the amalfi coast"
    moved: str = "a photo of a man"
    still: str = "a lithograph of waterfalls"
    far: str = "a lithograph of a skull"
    middle: str = "a photo of a dog"
    near: str = "an oil painting of people around a campfire"
    picture: File = "images/bell-tower.png"
    details: str = "a lithograph of waterfalls"
    candidates: Annotated[int, Range(1, 16)] = 1
    length: Annotated[int, Range(3, 127)] = 9
    kernel: Annotated[int, Range(3, 127)] = 33
    sigma_near: Annotated[float, Range(0.1, 30)] = 1.0
    sigma_far: Annotated[float, Range(0.1, 30)] = 3.0
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30


@dataclass(frozen=True)
class Results:
    """The given picture and the hybrid of it (1, h, w, 3).

    `kinds` (3, h, w, 3) are the hybrids by colour, by motion and of three distances, with scores,
    each the best of `tried`.
    """

    picture: Pixels
    held: Pixels
    kinds: Pixels
    alignments: tuple[float, ...]
    concealments: tuple[float, ...]
    tried: int
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Make one hybrid of each kind."""
    cascade, kinds = context.cascade(), ways_of(parameters)
    wanted = [prompt for ways in kinds.values() for _, prompt in ways.values()]
    cascade.read([*wanted, parameters.details, ""])
    size = cascade.stage(1).size
    for width in (parameters.length, parameters.kernel):
        check_kernel(context, width, size)

    def made(name: str, filters: list[Filter], ways: Ways) -> Illusions:
        return illusions(
            context,
            {way: (prompt,) for way, (_, prompt) in ways.items()},
            [look for look, _ in ways.values()],
            lambda parts: factorised(list(zip(filters, parts, strict=True))),
            Manner(name, parameters.scale, parameters.stride, parameters.candidates),
        )

    distances = bands(parameters.kernel, sigmas(parameters))
    moving = motion(parameters.length)
    filters = {
        "colour": [complement(grey), grey],
        "motion": [complement(moving), moving],
        "triple": distances[::-1],
    }
    picture = pictures(context, [parameters.picture], size)
    held, updates = holding(context, parameters, picture, distances[0])
    found = [made(name, filters[name], ways) for name, ways in kinds.items()]
    return Results(
        to_bytes(picture),
        to_bytes(held),
        to_bytes(torch.cat([each.images for each in found])),
        tuple(score for each in found for score in each.alignments),
        tuple(score for each in found for score in each.concealments),
        found[0].tried,
        updates,
        context.seed,
    )


def holding(
    context: Context, parameters: Parameters, picture: Tensor, part: Filter
) -> tuple[Tensor, int]:
    """Return a picture whose part that a filter lets through is given, and the updates made."""
    cascade = context.cascade()
    schedule = cascade.stage(1).schedule
    times = times_of(schedule, parameters.stride)
    generators = generators_of(context.stream("held"), 1)
    steps = denoise(
        cascade.noise(generators),
        cascade.guided([parameters.details], parameters.scale),
        schedule,
        times,
        generators=generators,
        constrain=hold(picture, part, schedule, generators),
    )
    return last(reported(context, "held", steps, times)).x_t, len(times) - 1


def sigmas(parameters: Parameters) -> tuple[float, float]:
    """Return σ of the blurs from afar and from halfway.

    Raises: AuthorError when they are not in this order.
    """
    far, near = parameters.sigma_far, parameters.sigma_near
    if far <= near:
        raise AuthorError(f"sigma_far is {far:g}, expected more than sigma_near = {near:g}")
    return far, near


def ways_of(parameters: Parameters) -> dict[str, Ways]:
    """Return for each kind of hybrid how it is looked at, and what it should be then."""
    far, halfway = (gaussian(parameters.kernel, sigma) for sigma in sigmas(parameters))
    return {
        "colour": {"in colour": (unchanged, parameters.colour), "in grey": (grey, parameters.grey)},
        "motion": {
            "still": (unchanged, parameters.still),
            "moved": (motion(parameters.length), parameters.moved),
        },
        "triple": {
            "near": (unchanged, parameters.near),
            "halfway": (halfway, parameters.middle),
            "far": (far, parameters.far),
        },
    }


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    far, near = sigmas(parameters)
    words = {
        "colour": "One picture, with its colours and without",
        "motion": f"One picture, still, and with the camera moved by {parameters.length} pixels",
        "triple": "One picture from three distances, the further ones by a Gaussian blur of "
        rf"$\sigma = {near:g}$ and ${far:g}$ pixels",
    }
    made = made_with(parameters.scale, results.updates, results.seed)
    for index, (name, ways) in enumerate(ways_of(parameters).items()):
        score = scored(results.alignments, results.concealments, results.tried, index)
        image = results.kinds[index : index + 1]
        yield several_ways(name, f"{words[name]}; {made}", image, ways, score)
    blur = gaussian(parameters.kernel, far)
    given, hybrid = from_bytes(results.picture), from_bytes(results.held)
    yield Panels(
        "held",
        "A given picture, the hybrid that holds its low frequencies "
        rf"($\sigma = {far:g}$ pixels) and takes its details from “{parameters.details}”, and both "
        f"as they look from afar; {made}",
        "A picture, its hybrid, and blurred copies of the two.",
        [to_bytes(torch.cat([each, blur(each)])) for each in (given, hybrid)],
        ["near", "far"],
        ["given picture", "hybrid"],
    )
