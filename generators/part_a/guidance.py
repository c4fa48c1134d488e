"""A1.6: the same noise under guidance of growing strength."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generators.diffusion.estimators import guided
from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import generators_of
from generators.figure import Context, Output, Panels
from generators.parameters import Range
from generators.part_a.descents import check_as_many, sample, times_of
from generators.part_a.showing import Pixels, asked, enlarged_with, in_rows


@dataclass(frozen=True)
class Parameters:
    prompt: str = "a high quality photo"
    samples: Annotated[int, Range(1, 20)] = 5
    scale: Annotated[float, Range(0, 100)] = 7.0
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (0.0, 1.0, 3.0, 7.0, 12.0)
    subjects: tuple[str, ...] = (
        "a photo of a dog",
        "a rocket ship",
        "a photo of a strawberry",
        "a photo of the amalfi coast",
        "an oil painting of people around a campfire",
    )
    stride: Annotated[int, Range(1, 499)] = 30
    upsampling_steps: Annotated[int, Range(1, 1000)] = 30
    upsampling_scale: Annotated[float, Range(0, 100)] = 4.0


@dataclass(frozen=True)
class Results:
    """Samples (1 + scale, N, h, w, 3), first those at `Parameters.scale`; these enlarged.

    `subjects` (scale, subject, h, w, 3) are samples of prompts that name a subject.
    """

    samples: Pixels
    large: Pixels
    subjects: Pixels
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Walk the same noises down at every scale, all in one batch."""
    check_as_many(context, {"subjects": len(parameters.subjects)})
    check_as_many(context, {"scales": len(parameters.scales)})
    cascade, count = context.cascade(), parameters.samples
    cascade.read([parameters.prompt, *parameters.subjects, ""])
    times = times_of(cascade.stage(1).schedule, parameters.stride)
    scales = (parameters.scale, *parameters.scales)
    samples = swept(context, [parameters.prompt] * count, scales, times, "samples")
    subjects = swept(context, parameters.subjects, parameters.scales, times, "subjects")
    large = cascade.upsampled(
        samples[:count],
        [parameters.prompt],
        generators_of(context.stream("upsampled"), count),
        steps=parameters.upsampling_steps,
        scale=parameters.upsampling_scale,
    )
    return Results(
        in_rows(samples, len(scales)),
        to_bytes(large),
        in_rows(subjects, len(parameters.scales)),
        len(times) - 1,
        context.seed,
    )


def swept(
    context: Context,
    prompts: Sequence[str],
    scales: Sequence[float],
    times: Sequence[int],
    what: str,
) -> Tensor:
    """Return a sample of each prompt at each scale (scale · prompt, 3, h, w), in one batch.

    The n-th prompt begins with the n-th noise of the section at every scale.
    """
    cascade, count = context.cascade(), len(prompts)
    generators = [each for _ in scales for each in generators_of(context.stream("samples"), count)]
    strength = torch.tensor(scales, device=context.device).repeat_interleave(count)
    told, free = cascade.told([*prompts] * len(scales)), cascade.told([""])
    estimate = guided(told, free, strength.reshape(-1, 1, 1, 1))
    return sample(context, estimate, generators, times, what)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    settings = parameters.prompt, parameters.scale, results.updates, results.seed
    count = results.samples.shape[1]
    numbers = [str(number) for number in range(1, count + 1)]
    yield Panels(
        "samples",
        f"{count} samples with guidance. {asked(*settings)}",
        f"{count} pictures made from noise with guidance.",
        [results.samples[0]],
        numbers,
    )
    enlarged = enlarged_with(
        f"“{parameters.prompt}”", parameters.upsampling_steps, parameters.upsampling_scale
    )
    yield Panels(
        "upsampled",
        f"The same samples. {enlarged}",
        f"The {count} pictures in four times the resolution.",
        [results.large],
        numbers,
    )
    yield Panels(
        "sweep",
        r"The same noise in every row, and nothing but $\gamma$ changed from row to row: at "
        rf"$\gamma = 0$ the prompt “{parameters.prompt}” is not heard, at $\gamma = 1$ it is told "
        f"but not stressed. {results.updates} updates, seed {results.seed}.",
        f"Rows of samples from guidance {min(parameters.scales):g} to {max(parameters.scales):g}.",
        results.samples[1:],
        numbers,
        [f"γ = {scale:g}" for scale in parameters.scales],
    )
    yield Panels(
        "subjects",
        "The same noise and the same scales once more, told texts that name a subject: "
        + ", ".join(f"“{prompt}”" for prompt in parameters.subjects)
        + f". {results.updates} updates, seed {results.seed}.",
        "Rows of samples at growing guidance, a column for each text.",
        results.subjects,
        [str(number) for number in range(1, len(parameters.subjects) + 1)],
        [f"γ = {scale:g}" for scale in parameters.scales],
    )
