"""A1.9 and beyond: hybrids by colour, by motion, of three distances, and of a given picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generators.diffusion.constraints import hold
from generators.diffusion.estimators import factorised, unchanged
from generators.diffusion.filters import Filter, complement, gaussian, grey, motion
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.diffusion.sampling import denoise, generators_of, last
from generators.figure import Context, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import check_kernel, pictures, reported, times_of
from generators.part_a.illusions import Manner, illusions
from generators.part_a.showing import Pixels, made_with


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
    length: Annotated[int, Range(3, 127)] = 9
    kernel: Annotated[int, Range(3, 127)] = 33
    sigma_near: Annotated[float, Range(0.1, 30)] = 1.0
    sigma_far: Annotated[float, Range(0.1, 30)] = 3.0
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30


@dataclass(frozen=True)
class Results:
    """The given picture, and the hybrids of it, by colour, motion, distance: (1, h, w, 3) each."""

    picture: Pixels
    held: Pixels
    colour: Pixels
    motion: Pixels
    triple: Pixels
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Make one hybrid of each kind."""
    cascade = context.cascade()
    size = cascade.stage(1).size
    for width in (parameters.length, parameters.kernel):
        check_kernel(context, width, size)

    def made(name: str, filters: list[Filter], prompts: tuple[str, ...]) -> Pixels:
        told = {f"prompt {index}": (prompt,) for index, prompt in enumerate(prompts)}
        found = illusions(
            context,
            told,
            filters,
            lambda parts: factorised(list(zip(filters, parts, strict=True))),
            Manner(name, parameters.scale, parameters.stride),
        )
        return to_bytes(found.images)

    moving, bands = motion(parameters.length), distances(parameters)
    picture = pictures(context, [parameters.picture], size)
    schedule = cascade.stage(1).schedule
    times = times_of(schedule, parameters.stride)
    generators = generators_of(context.stream("held"), 1)
    steps = denoise(
        cascade.noise(generators),
        cascade.guided([parameters.details], parameters.scale),
        schedule,
        times,
        generators=generators,
        constrain=hold(picture, low_pass(parameters), schedule, generators),
    )
    return Results(
        to_bytes(picture),
        to_bytes(last(reported(context, "held", steps, times)).x_t),
        made("colour", [grey, complement(grey)], (parameters.grey, parameters.colour)),
        made("motion", [moving, complement(moving)], (parameters.moved, parameters.still)),
        made("triple", bands, (parameters.far, parameters.middle, parameters.near)),
        len(times) - 1,
        context.seed,
    )


def low_pass(parameters: Parameters) -> Filter:
    """Return the filter of what is seen from afar."""
    return gaussian(parameters.kernel, parameters.sigma_far)


def distances(parameters: Parameters) -> list[Filter]:
    """Return the filters of what is seen from afar, in addition from halfway, and from near."""
    far = low_pass(parameters)
    halfway = gaussian(parameters.kernel, parameters.sigma_near)

    def between(x: Tensor) -> Tensor:
        return halfway(x) - far(x)

    return [far, between, complement(halfway)]


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    made = made_with(parameters.scale, results.updates, results.seed)
    far = low_pass(parameters)
    halfway = gaussian(parameters.kernel, parameters.sigma_near)
    yield several_ways(
        "colour",
        f"One picture, with its colours and without; {made}",
        results.colour,
        {"in colour": (unchanged, parameters.colour), "in grey": (grey, parameters.grey)},
    )
    yield several_ways(
        "motion",
        f"One picture, still, and moved sideways by {parameters.length} pixels while the shutter "
        f"is open; {made}",
        results.motion,
        {
            "still": (unchanged, parameters.still),
            "moved": (motion(parameters.length), parameters.moved),
        },
    )
    yield several_ways(
        "triple",
        "One picture from three distances, the further ones by a Gaussian blur of "
        rf"$\sigma = {parameters.sigma_near:g}$ and ${parameters.sigma_far:g}$ pixels; {made}",
        results.triple,
        {
            "near": (unchanged, parameters.near),
            "halfway": (halfway, parameters.middle),
            "far": (far, parameters.far),
        },
    )
    given, hybrid = from_bytes(results.picture), from_bytes(results.held)
    yield Panels(
        "held",
        "A given picture, the hybrid that holds its low frequencies "
        rf"($\sigma = {parameters.sigma_far:g}$ pixels) and takes its details from "
        f"“{parameters.details}”, and both as they look from afar; {made}",
        "A picture, its hybrid, and blurred copies of the two.",
        [to_bytes(torch.cat([each, far(each)])) for each in (given, hybrid)],
        ["near", "far"],
        ["given picture", "hybrid"],
    )


def several_ways(
    name: str, words: str, image: Pixels, ways: Mapping[str, tuple[Filter, str]]
) -> Panels:
    """Show one picture through several filters, each with the prompt that it was told there."""
    x = from_bytes(image)
    wanted = ", ".join(f"{way} “{prompt}”" for way, (_, prompt) in ways.items())
    return Panels(
        name,
        f"{words} Asked for: {wanted}.",
        f"One picture in {len(ways)} ways of looking, asked to be {wanted}.",
        [to_bytes(torch.cat([look(x) for look, _ in ways.values()]))],
        list(ways),
    )
