"""Samples of a trained network, and the way to them, as 8-bit images for the record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.conditioned import CLASSES, one_hot
from generators.digits.curves import loss_plot
from generators.digits.sampling import Step, Streams
from generators.digits.training import read_losses
from generators.figure import Animation, Context, Number, Output, Panels, Trained, Trajectory
from generators.machine import bfloat16_pays
from generators.streams import stream
from generators.weights import read_tensors

SHOWN = 5
"""Samples whose way is shown under a scrubber."""
ANIMATED, ACROSS, GAP = 20, 5, 8
"""Samples of the animation, how many to a row, and pixels between states and estimates."""
GREY = 128
"""What lies between states and estimates."""
Pixels = NDArray[np.uint8]
Descend = Callable[[int, Streams], Iterable[Step]]
"""(epoch, streams) to the sampler's steps with the network as it was after that epoch."""
GuidedDescend = Callable[[int, Tensor, Tensor, Streams], Iterable[Step]]
"""(epoch, one-hot classes (B, 10), scales (B, 1, 1, 1), streams) to the sampler's steps."""


@dataclass(frozen=True)
class Results:
    """Samples (epoch, 10 · rows, 28, 28), and the way to the first of the last epoch's.

    `states` (frame, ≤ 20, 28, 28), from the noise to the samples, are beside the `estimates` of the
    data that the network saw in them, of the same shape; `times` says where each frame is.
    """

    samples: Pixels
    states: Pixels
    estimates: Pixels
    times: tuple[float, ...]
    losses: NDArray[np.float32]
    updates_per_epoch: int
    hidden: int


@dataclass(frozen=True)
class GuidedResults(Results):
    """With the first row once more at every guidance scale: `sweep` (scale, 10, 28, 28)."""

    sweep: Pixels


@dataclass(frozen=True)
class Sheet:
    """`rows` of ten samples after each of `epochs`; of the last way, begun at `start`, `frames`."""

    epochs: Sequence[int]
    rows: int
    start: float
    frames: int


@dataclass(frozen=True)
class Guidance:
    """The scale of every sample, and those at which the first row is drawn once more."""

    scale: float
    scales: Sequence[float]


class Way(NamedTuple):
    """Where a descent was, what the network saw there, and when: a frame more than steps."""

    states: list[Pixels]
    estimates: list[Pixels]
    times: list[float]


def sampled(context: Context, trained: Trained, sheet: Sheet, descend: Descend) -> Results:
    """Sample from the same noise with the network as it was after each of `sheet.epochs`."""
    ways = ways_of(context, sheet, [list(range(CLASSES * sheet.rows))] * len(sheet.epochs), descend)
    return results_of(trained, sheet, *ways)


def guided_samples(
    context: Context, trained: Trained, sheet: Sheet, descend: GuidedDescend, guidance: Guidance
) -> GuidedResults:
    """Sample every digit at one scale after each epoch, and a row of them at every scale.

    The rows of the sweep share their noise with the first row, and one descent with the rows of
    the last epoch.
    """
    rows, sweep = sheet.rows, len(guidance.scales)
    count = CLASSES * rows
    seeds = list(range(count))
    scales = torch.tensor([guidance.scale] * rows + list(guidance.scales), device=context.device)
    scales = scales.repeat_interleave(CLASSES).reshape(-1, 1, 1, 1)

    def descend_all(epoch: int, streams: Streams) -> Iterable[Step]:
        classes = every_digit(len(streams.generators) // CLASSES, context.device)
        return descend(epoch, classes, scales[: len(classes)], streams)

    drawn = [seeds] * (len(sheet.epochs) - 1) + [seeds + list(range(CLASSES)) * sweep]
    ends, way = ways_of(context, sheet, drawn, descend_all)
    results = results_of(trained, sheet, [each[:count] for each in ends], way)
    return GuidedResults(**vars(results), sweep=ends[-1][count:].reshape(sweep, CLASSES, 28, 28))


def ways_of(
    context: Context, sheet: Sheet, drawn: Sequence[Sequence[int]], descend: Descend
) -> tuple[list[Pixels], Way]:
    """Return the samples of each epoch, one for each of the streams `drawn`, and the last way."""
    ends: list[Pixels] = []
    for epoch, numbers in zip(sheet.epochs, drawn, strict=True):
        context.progress(f"samples of epoch {epoch}", len(ends), len(sheet.epochs))
        noise = streams_for(context, "samples", numbers).normal()
        steps = descend(epoch, streams_for(context, "samples", numbers))
        way = followed(steps, noise, sheet.start)
        ends.append(way.states[-1])
    return ends, way


def results_of(trained: Trained, sheet: Sheet, samples: list[Pixels], way: Way) -> Results:
    losses = read_losses(trained.losses)
    last = len(way.states) - 1
    kept = np.unique(np.linspace(0, last, sheet.frames).round().astype(int))
    return Results(
        np.stack(samples),
        np.stack([way.states[index][:ANIMATED] for index in kept]),
        np.stack([way.estimates[index][:ANIMATED] for index in kept]),
        tuple(way.times[index] for index in kept),
        torch.cat(losses).numpy(),
        len(losses[0]),
        read_tensors(trained.weights(sheet.epochs[-1]))["unet.out.weight"].shape[1],
    )


def followed(steps: Iterable[Step], noise: Tensor, start: float) -> Way:
    """Run a sampler that begins with `noise` (B, 1, 28, 28) at the time `start`.

    In the samples themselves nothing is left to be seen but they.
    """
    states, estimates, times = [pixels(noise)], [], [start]
    device = noise.device
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays(device))
    with torch.inference_mode(), autocast:
        for step in steps:
            states.append(pixels(step.x))
            estimates.append(pixels(step.data))
            times.append(step.t)
    return Way(states, [*estimates, states[-1]], times)


def pixels(x: Tensor) -> Pixels:
    """Return images (B, 1, 28, 28), clipped to [0, 1], as (B, 28, 28) uint8."""
    array: Pixels = (x[:, 0].float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return array


def streams_for(context: Context, figure: str, numbers: Iterable[int]) -> Streams:
    """Return the streams of a figure's images with the given numbers."""
    seed = context.stream(figure)
    return Streams([stream(seed, number) for number in numbers], context.device)


def every_digit(rows: int, device: torch.device) -> Tensor:
    """Return one-hot classes (10 · rows, 10) that count 0 … 9 along each of `rows` rows."""
    labels = torch.arange(CLASSES, device=device).repeat(rows)
    return one_hot(labels, torch.ones_like(labels, dtype=torch.bool))


def no_class(count: int, device: torch.device) -> Tensor:
    """Return the classes (count, 10) of images that nobody said a digit for."""
    return torch.zeros(count, CLASSES, device=device)


def sample_figures(
    results: Results, epochs: Sequence[int], columns: Sequence[str] = ()
) -> Iterator[Output]:
    """Yield the loss, a sheet of samples per epoch, the way to the last ones, and its animation."""
    end = float(np.mean(results.losses[-results.updates_per_epoch :]))
    yield Number("final-loss", f"{end:.4f}")
    yield Number("hidden", f"{results.hidden}")
    yield Number("epochs", f"{len(results.losses) // results.updates_per_epoch}")
    yield loss_plot(
        "loss",
        results.losses,
        results.updates_per_epoch,
        f"Training loss of every update. Over the last epoch it averages {end:.4f}.",
    )
    each = ", a column for each class" if columns else ""
    for epoch, samples in zip(epochs, results.samples, strict=True):
        yield Panels(
            f"samples-{epoch}",
            f"Samples after epoch {epoch}.",
            f"Rows of small pictures, white on black, sampled after epoch {epoch}{each}.",
            samples.reshape(-1, CLASSES, 28, 28),
            columns,
        )
    yield from way_figures(results, epochs[-1])


def way_figures(results: Results, epoch: int) -> Iterator[Output]:
    """Yield the way to the first samples of the last `epoch`, under a scrubber and animated."""
    last = len(results.times) - 1
    shown = np.unique(np.linspace(0, last, min(11, last + 1)).round().astype(int))
    # A way that goes on with the sweep of guidance is no sample's.
    count = min(ANIMATED, results.samples.shape[1])
    states, estimates = results.states[:, :count], results.estimates[:, :count]
    pairs = zip(states[shown], estimates[shown], strict=True)
    between = np.full((28, 28), GREY, np.uint8)
    yield Trajectory(
        "way",
        "The way to the first five samples: the states $x_t$, then, after a grey tile, the digit "
        "that the network makes out in each.",
        "Noise from which pictures emerge; in the estimates they can be seen earlier, blurred.",
        [[*state[:SHOWN], between, *estimate[:SHOWN]] for state, estimate in pairs],
        [f"t = {round(results.times[index], 3):g}" for index in shown],
    )
    yield Animation(
        "descent",
        f"The first samples of epoch {epoch} on their way from noise: on the left the states "
        "$x_t$, on the right the digits that the network makes out in them.",
        "Noise turns into small pictures, white on black; beside it blurs turn into them sooner.",
        [beside(*each) for each in zip(states, estimates, strict=True)],
        60,
    )


def guided_figures(
    results: GuidedResults, epochs: Sequence[int], guidance: Guidance
) -> Iterator[Output]:
    """Yield what `sample_figures` does, and the same noise under guidance of growing strength."""
    digits = [str(digit) for digit in range(CLASSES)]
    yield Number("scale", f"{guidance.scale:g}")
    yield from sample_figures(results, epochs, digits)
    yield Panels(
        "guidance",
        r"The same noise in every row, guidance scale $\gamma$ growing from row to row.",
        f"Rows of samples from guidance {guidance.scales[0]:g} to {guidance.scales[-1]:g}.",
        results.sweep,
        digits,
        [f"γ = {scale:g}" for scale in guidance.scales],
    )


def beside(states: Pixels, estimates: Pixels) -> Pixels:
    """Return two blocks of images (B, 28, 28), five to a row, and between them a grey gap."""
    left, right = tiled(states), tiled(estimates)
    gap = np.full((len(left), GAP), GREY, np.uint8)
    return np.concatenate((left, gap, right), axis=1)


def tiled(images: Pixels) -> Pixels:
    """Return images (5 · rows, 28, 28) as one image, five to a row."""
    rows = images.reshape(-1, ACROSS, 28, 28).transpose(0, 2, 1, 3)
    return rows.reshape(-1, ACROSS * 28)
