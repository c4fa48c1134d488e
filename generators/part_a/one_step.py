"""A1.3: the network's guess at the clean picture, in a single step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from generators.diffusion.pictures import to_bytes
from generators.figure import Context, Number, Output, Panels
from generators.parameters import File, Range
from generators.part_a.descents import noised, one_step, pictures
from generators.part_a.showing import Pixels, at_times


@dataclass(frozen=True)
class Parameters:
    image: File = "images/bell-tower.png"
    prompt: str = "a high quality photo"
    times: Annotated[tuple[int, ...], Range(0, 999)] = (250, 500, 750)


@dataclass(frozen=True)
class Results:
    """The picture (1, h, w, 3); x_t and x̂_0 (T, h, w, 3); mean squared errors of x̂_0."""

    original: Pixels
    noisy: Pixels
    estimates: Pixels
    errors: tuple[float, ...]
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Estimate the noise in x_t at every time, and take it away at once."""
    cascade = context.cascade()
    stage = cascade.stage(1)
    x_0 = pictures(context, [parameters.image], stage.size)
    x_t = noised(stage.schedule, x_0, parameters.times, context.stream("noise"))
    found = one_step(stage.schedule, cascade.told([parameters.prompt]), x_t, parameters.times)
    errors = (found - x_0).square().mean(dim=(1, 2, 3))
    return Results(
        to_bytes(x_0), to_bytes(x_t), to_bytes(found), tuple(errors.tolist()), context.seed
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    for t, error in zip(parameters.times, results.errors, strict=True):
        yield Number(f"error-{t}", f"{error:.3f}")
    originals = [results.original[0]] * len(parameters.times)
    yield Panels(
        "estimates",
        r"The test picture, $x_t$, and the network's $\hat x_0$ from that $x_t$ alone; it was told "
        f"“{parameters.prompt}” (seed {results.seed}).",
        "Three rows: the clean picture, noisy versions of it, and the estimates, which are less "
        "certain where there was more noise.",
        [originals, results.noisy, results.estimates],
        at_times(parameters.times),
        ["x₀", "xₜ", "x̂₀"],
    )
