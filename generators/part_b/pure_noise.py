"""B1.4: a denoiser that is shown nothing but noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.curves import loss_plot
from generators.digits.data import load, scaled
from generators.digits.denoising import denoiser, estimate, mean_squared_error
from generators.digits.training import read_losses
from generators.figure import Animation, Context, Number, Output, Panels, Trajectory
from generators.parameters import Range, TrainedBy

REPEATED = 0.5
"""The noise level of the denoiser that is applied again and again."""
VISIBLE = 0.25
"""A patch whose brightest pixel stays below this shows next to nothing."""


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.denoising")] = "pure-noise"
    denoiser: Annotated[str, TrainedBy("digits.denoising")] = "denoiser"
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5)
    samples: Annotated[int, Range(2, 20)] = 6
    applications: Annotated[int, Range(1, 200)] = 30


@dataclass(frozen=True)
class Results:
    """Noise and outputs (epoch, sample, 28, 28), and the mean training image.

    `floor` and `training_floor` are what the mean image of either split costs on that split: no
    constant answer costs less. `repeated` (application, sample, 28, 28) begins with the noise.
    """

    noise: NDArray[np.float32]
    outputs: NDArray[np.float32]
    mean: NDArray[np.float32]
    floor: float
    training_floor: float
    distance: float
    spread: float
    repeated: NDArray[np.float32]
    losses: NDArray[np.float32]
    updates_per_epoch: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Ask the network for digits out of noise, then the σ = 0.5 denoiser, again and again."""
    folder = context.dataset("mnist")
    x = scaled(load(folder, "train").images)
    mean = x.double().mean(dim=0, keepdim=True).float()
    trained = context.networks[parameters.network]
    trained.expect(signal=0.0, noise=1.0)
    generator = torch.Generator().manual_seed(context.stream("noise"))
    z = torch.randn(parameters.samples, 1, 28, 28, generator=generator)
    outputs = [
        estimate(denoiser(trained.weights(epoch)).to(context.device), z)
        for epoch in parameters.epochs
    ]
    other = context.networks[parameters.denoiser]
    other.expect(signal=1.0, noise=REPEATED)
    once = denoiser(other.weights(other.epochs)).to(context.device)
    repeated = [z]
    for _ in range(parameters.applications):
        repeated.append(estimate(once, repeated[-1]))
    losses = read_losses(trained.losses)
    return Results(
        z[:, 0].numpy(),
        torch.stack(outputs)[:, :, 0].numpy(),
        mean[0, 0].numpy(),
        spread_of(scaled(load(folder, "t10k").images)),
        spread_of(x),
        mean_squared_error(outputs[-1], mean.expand_as(z)),
        float(outputs[-1].std(dim=0).mean()),
        torch.stack(repeated)[:, :, 0].numpy(),
        torch.cat(losses).numpy(),
        len(losses[0]),
    )


def spread_of(x: Tensor) -> float:
    """Return the mean squared difference of images (N, 1, 28, 28) from their mean."""
    return x.double().var(dim=0, correction=0).mean().item()


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    end = float(np.mean(results.losses[-results.updates_per_epoch :]))
    yield Number("floor", f"{results.floor:.4f}")
    yield Number("training-floor", f"{results.training_floor:.4f}")
    yield Number("final-loss", f"{end:.4f}")
    yield Number("distance", f"{results.distance:.5f}")
    yield Number("spread", f"{results.spread:.4f}")
    yield loss_plot(
        "loss",
        results.losses,
        results.updates_per_epoch,
        f"Training loss of every update, with the error of the mean test image on the test set, "
        f"{results.floor:.4f}, as a dashed line (on the training set it is "
        f"{results.training_floor:.4f}). Over the last epoch the loss averages {end:.4f}.",
        {"error of the mean image": results.floor},
    )
    last = results.repeated[-1]
    black = int((last.max(axis=(1, 2)) < VISIBLE).sum())
    yield Number("vanished", f"{black} of the {len(last)}")
    columns = [results.mean] * len(results.noise)
    yield Panels(
        "outputs",
        r"Pure noise $\epsilon$ (shown as $\epsilon / 6 + 1/2$), what the network answers to it "
        "after each epoch named, and the mean of all training images, the same in every column.",
        "Panels of noise, and below them rows of blurred blobs: uneven after the first epoch, then "
        "nearly alike, like the average of all digits in the last row.",
        [results.noise / 6 + 0.5, *results.outputs, columns],
        labels=["ε", *(f"epoch {epoch}" for epoch in parameters.epochs), "mean"],
    )
    chosen = [step for step in (0, 1, 2, 3, 5, 8, 13, 21, 30) if step < len(results.repeated)]
    yield Trajectory(
        "repeated",
        rf"The denoiser of $\sigma = {REPEATED:g}$ applied to pure noise, then to its own output, "
        "and so on; all clipped to $[0, 1]$.",
        "Noise turns into broken strokes; some fade away, the others end as a few firm lines.",
        [list(results.repeated[step]) for step in chosen],
        [str(step) for step in chosen],
    )
    yield Animation(
        "repeated-animation",
        f"The same, all {len(results.repeated) - 1} applications one after the other.",
        "Patches of noise turn into strokes, which fade away or end as a few firm lines.",
        [np.concatenate(list(frame), axis=1) for frame in results.repeated],
        200,
    )
