"""Samples of a trained network, and the way to them, as 8-bit images for the record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

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
Pixels = NDArray[np.uint8]
Descend = Callable[[int], Iterable[Step]]
"""The sampler's steps with the network as it was after an epoch."""
GuidedDescend = Callable[[int, Tensor, float, Streams], Iterable[Step]]
"""(epoch, one-hot classes (B, 10), guidance scale, streams) to the sampler's steps."""


@dataclass(frozen=True)
class Results:
    """Samples (epoch, 10 · rows, 28, 28), and the way to the first of the last epoch's.

    `states` are (frame, ≤ 20, 28, 28) and `estimates` of the data (frame, ≤ 5, 28, 28); `times`
    says where each frame is.
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


def sampled(
    context: Context, trained: Trained, epochs: Sequence[int], descend: Descend, frames: int
) -> Results:
    """Sample with the network as it was after each of `epochs`; keep `frames` of the last way."""
    samples: list[Pixels] = []
    for epoch in epochs:
        context.progress(f"samples of epoch {epoch}", len(samples), len(epochs))
        states, estimates, times = followed(descend(epoch), context.device)
        samples.append(states[-1])
    losses = read_losses(trained.losses)
    kept = np.unique(np.linspace(0, len(states) - 1, frames).round().astype(int))
    return Results(
        np.stack(samples),
        np.stack([states[index][: 2 * CLASSES] for index in kept]),
        np.stack([estimates[index][:SHOWN] for index in kept]),
        tuple(times[index] for index in kept),
        torch.cat(losses).numpy(),
        len(losses[0]),
        read_tensors(trained.weights(epochs[-1]))["unet.out.weight"].shape[1],
    )


@dataclass(frozen=True)
class Guidance:
    """`rows` of samples at one guidance `scale`, and one row more at each of `scales`."""

    rows: int
    scale: float
    scales: tuple[float, ...]


def guided_samples(
    context: Context,
    trained: Trained,
    epochs: Sequence[int],
    descend: GuidedDescend,
    guidance: Guidance,
    frames: int,
) -> GuidedResults:
    """Sample every digit at one scale after each epoch, then a row of them at every scale."""
    classes = every_digit(guidance.rows, context.device)

    def descend_rows(epoch: int) -> Iterable[Step]:
        streams = streams_for(context, "samples", len(classes))
        return descend(epoch, classes, guidance.scale, streams)

    results = sampled(context, trained, epochs, descend_rows, frames)
    sweep: list[Pixels] = []
    for scale in guidance.scales:
        context.progress(f"guidance {scale:g}", len(sweep), len(guidance.scales))
        streams = streams_for(context, "samples", CLASSES)
        steps = descend(epochs[-1], classes[:CLASSES], scale, streams)
        sweep.append(followed(steps, context.device)[0][-1])
    return GuidedResults(**vars(results), sweep=np.stack(sweep))


def followed(
    steps: Iterable[Step], device: torch.device
) -> tuple[list[Pixels], list[Pixels], list[float]]:
    """Run a sampler; return its states, its estimates of the data, and the times reached."""
    states, estimates, times = [], [], []
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays(device))
    with torch.inference_mode(), autocast:
        for step in steps:
            states.append(pixels(step.x))
            estimates.append(pixels(step.data))
            times.append(step.t)
    return states, estimates, times


def pixels(x: Tensor) -> Pixels:
    """Return images (B, 1, 28, 28), clipped to [0, 1], as (B, 28, 28) uint8."""
    array: Pixels = (x[:, 0].float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return array


def streams_for(context: Context, figure: str, count: int) -> Streams:
    """Return the streams of `count` images of a figure."""
    seed = context.stream(figure)
    return Streams([stream(seed, index) for index in range(count)], context.device)


def every_digit(rows: int, device: torch.device) -> Tensor:
    """Return one-hot classes (10 · rows, 10) that count 0 … 9 along each of `rows` rows."""
    labels = torch.arange(CLASSES, device=device).repeat(rows)
    return one_hot(labels, torch.ones_like(labels, dtype=torch.bool))


def no_class(count: int, device: torch.device) -> Tensor:
    """Return the classes (count, 10) of images that nobody said a digit for."""
    return torch.zeros(count, CLASSES, device=device)


def sample_figures(
    results: Results, epochs: Sequence[int], columns: Sequence[str], kind: str
) -> Iterator[Output]:
    """Yield the loss, a sheet of samples per epoch, the way to the last ones, and its animation."""
    end = float(np.mean(results.losses[-results.updates_per_epoch :]))
    yield Number("final-loss", f"{end:.4f}")
    yield Number("hidden", f"{results.hidden}")
    yield loss_plot(
        "loss",
        results.losses,
        results.updates_per_epoch,
        f"Training loss of every update. Over the last epoch it averages {end:.4f}.",
    )
    for epoch, samples in zip(epochs, results.samples, strict=True):
        yield Panels(
            f"samples-{epoch}",
            f"Samples after epoch {epoch}.",
            f"Rows of {kind}, sampled after epoch {epoch}.",
            samples.reshape(-1, CLASSES, 28, 28),
            columns,
        )
    last = len(results.times) - 1
    shown = np.unique(np.linspace(0, last, min(11, last + 1)).round().astype(int))
    pairs = zip(results.states[shown], results.estimates[shown], strict=True)
    yield Trajectory(
        "way",
        "The way to the first five samples: the states $x_t$ reached, then the digits that the "
        "network saw in the states before them.",
        "Noise from which digits emerge; in the estimates they can be seen earlier, blurred.",
        [[*state[:SHOWN], *estimate] for state, estimate in pairs],
        [f"t = {round(results.times[index], 3):g}" for index in shown],
    )
    yield Animation(
        "descent",
        f"The first samples of epoch {epochs[-1]} on their way from noise.",
        f"Noise turns into {kind}.",
        [tiled(state) for state in results.states],
        60,
    )


def guided_figures(
    results: GuidedResults, epochs: Sequence[int], guidance: Guidance
) -> Iterator[Output]:
    """Yield what `sample_figures` does, and the same noise under guidance of growing strength."""
    digits = [str(digit) for digit in range(CLASSES)]
    kind = "handwritten digits, a column for each"
    yield from sample_figures(results, epochs, digits, kind)
    yield Panels(
        "guidance",
        r"The same noise in every row, guidance scale $\gamma$ growing from row to row.",
        f"Rows of digits from guidance {guidance.scales[0]:g} to {guidance.scales[-1]:g}.",
        results.sweep,
        digits,
        [f"γ = {scale:g}" for scale in guidance.scales],
    )


def tiled(images: Pixels) -> Pixels:
    """Return images (10 · rows, 28, 28) as one image, ten to a row."""
    rows = images.reshape(-1, CLASSES, 28, 28).transpose(0, 2, 1, 3)
    return rows.reshape(-1, CLASSES * 28)
