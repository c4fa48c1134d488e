"""A1.9 and A2: pictures that are one thing from afar and another from near."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.estimators import hybrid, unchanged
from generators.diffusion.filters import gaussian
from generators.diffusion.pictures import from_bytes, to_bytes
from generators.diffusion.sampling import generators_of
from generators.figure import Context, Distance, Output, Panels
from generators.parameters import Range
from generators.part_a.descents import check_kernel
from generators.part_a.illusions import Manner, illusions, scored
from generators.part_a.showing import Pixels, asked_both, enlarged_with


@dataclass(frozen=True)
class Parameters:
    far: tuple[str, ...]
    near: tuple[str, ...]
    kernel: Annotated[int, Range(3, 127)] = 33
    sigma: Annotated[float, Range(0.1, 30)] = 2.0
    scale: Annotated[float, Range(0, 100)] = 7.0
    stride: Annotated[int, Range(1, 499)] = 30
    candidates: Annotated[int, Range(1, 16)] = 1
    upsampling_prompt: str = "a high quality photo"
    upsampling_steps: Annotated[int, Range(1, 1000)] = 30
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0


@dataclass(frozen=True)
class Results:
    """Hybrids small (N, h, w, 3) and large (N, H, W, 3), and their scores."""

    small: Pixels
    large: Pixels
    alignments: tuple[float, ...]
    concealments: tuple[float, ...]
    tried: int
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Join the low frequencies of one estimate with the high ones of another, in one batch."""
    cascade = context.cascade()
    check_kernel(context, parameters.kernel, cascade.stage(1).size)
    low = gaussian(parameters.kernel, parameters.sigma)
    found = illusions(
        context,
        {"far": parameters.far, "near": parameters.near},
        [low, unchanged],
        lambda parts: hybrid(far=parts[0], near=parts[1], low_pass=low),
        Manner("hybrids", parameters.scale, parameters.stride, parameters.candidates),
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
    low = gaussian(parameters.kernel, parameters.sigma)
    count = len(results.small)
    yield Panels(
        "hybrids",
        "Above, the hybrids as they were made; below, what the low-pass filter leaves of them, as "
        f"distance would ({parameters.kernel}×{parameters.kernel} pixels, "
        rf"$\sigma = {parameters.sigma:g}$). "
        + asked_both(
            parameters.near, parameters.far, parameters.scale, results.updates, results.seed
        ),
        "In each column a hybrid picture, and below it a blurred copy of it.",
        [results.small, to_bytes(low(from_bytes(results.small)))],
        [str(number) for number in range(1, count + 1)],
        ["near", "far"],
    )
    enlarged = enlarged_with(
        f"“{parameters.upsampling_prompt}”",
        parameters.upsampling_steps,
        parameters.upsampling_scale,
    )
    for index, (far, near) in enumerate(zip(parameters.far, parameters.near, strict=True)):
        score = scored(results.alignments, results.concealments, results.tried, index)
        yield Distance(
            f"hybrid-{index + 1}",
            f"Number {index + 1}: “{near}” from near, “{far}” from afar.{score} {enlarged}",
            f"A picture asked to be {near} from near and {far} from afar.",
            results.large[index],
            (near, far),
        )
