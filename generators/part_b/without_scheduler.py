"""B2.5: flow matching at constant learning rates, against one that decays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generators.digits.conditioned import TimeUNet, time_unet
from generators.digits.data import load, scaled
from generators.digits.flow import euler
from generators.digits.many import Integrated, samples, seeds_of
from generators.digits.training import read_losses
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels, Plot, Series, Trained
from generators.parameters import Range, TrainedBy
from generators.processes import everywhere

BATCH = 250
PER_EPOCH = 4
"""How many points of the curves come from one epoch: single updates scatter too much."""


@dataclass(frozen=True)
class Parameters:
    """`arms` are networks, and `labels` how each was trained, in words."""

    arms: Annotated[tuple[str, ...], TrainedBy("digits.flow", classes=False)]
    labels: tuple[str, ...]
    steps: Annotated[int, Range(1, 10000)] = 50
    samples: Annotated[int, Range(1, 40)] = 10
    test_images: Annotated[int, Range(1, 10000)] = 2000


@dataclass(frozen=True)
class Results:
    """Samples (arm, N, 28, 28) from one noise, the loss of every update, and on test digits.

    `losses` holds the arms one after the other, `epochs[i]` · `updates_per_epoch` numbers each.
    """

    samples: NDArray[np.uint8]
    losses: NDArray[np.float32]
    epochs: tuple[int, ...]
    updates_per_epoch: int
    test_losses: tuple[float, ...]
    test_images: int
    hidden: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample with every arm from the same noise; ask all the same about the same test digits.

    Raises: AuthorError when epochs differ in length.
    """
    test = scaled(load(context.dataset("mnist"), "t10k").first(parameters.test_images).images)
    generator = torch.Generator().manual_seed(context.stream("test"))
    noise = torch.randn(test.shape, generator=generator)
    t = torch.rand(len(test), generator=generator)
    seeds = seeds_of(context.stream("samples"), parameters.samples)
    nobody = torch.zeros(len(seeds), dtype=torch.long)
    images, losses, test_losses = [], [], []
    for done, name in enumerate(parameters.arms):
        context.progress(name, done, len(parameters.arms))
        trained = context.networks[name]
        network = last_of(trained, context.device)
        images.append(samples(network, Integrated(euler, 1), parameters.steps, 1.0, nobody, seeds))
        losses.append(read_losses(trained.losses))
        test_losses.append(velocity_error(network, test, noise, t))
    lengths = {len(epoch) for arm in losses for epoch in arm}
    if len(lengths) > 1:
        raise everywhere(AuthorError(f"epochs of {sorted(lengths)} updates, expected one length"))
    return Results(
        torch.stack(images).numpy(),
        torch.cat([torch.cat(arm) for arm in losses]).numpy(),
        tuple(len(arm) for arm in losses),
        lengths.pop(),
        tuple(test_losses),
        len(test),
        network.unet.out.in_channels,
    )


def last_of(trained: Trained, device: torch.device) -> TimeUNet:
    return time_unet(trained.weights(trained.epochs), torch.mul).to(device)


@torch.inference_mode()
def velocity_error(network: nn.Module, x: Tensor, noise: Tensor, t: Tensor) -> float:
    """Return the mean of (v(x_t, t) - (x_1 - x_0))² over digits x_1 = `x` (N, 1, 28, 28).

    x_t = (1-t) x_0 + t x_1 with x_0 = `noise` of the same shape, and `t` (N,) in [0, 1].
    """
    device = next(network.parameters()).device
    total = 0.0
    for index in torch.arange(len(x)).split(BATCH):
        data, start, time = (each[index].to(device) for each in (x, noise, t))
        along = time.reshape(-1, 1, 1, 1)
        error = network((1 - along) * start + along * data, time) - (data - start)
        total += error.square().mean(dim=(1, 2, 3)).sum().item()
    return total / len(x)


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    """Draw the curves and the samples.

    Raises: AuthorError when arms and labels do not pair up.
    """
    if len(parameters.arms) != len(parameters.labels):
        raise AuthorError(f"{len(parameters.arms)} arms, {len(parameters.labels)} labels")
    yield Number("steps", f"{parameters.steps}")
    yield Number("test-images", f"{results.test_images:,}")
    yield Number("hidden", f"{results.hidden}")
    yield Number("updates", f"{results.updates_per_epoch}")
    curves = losses_of(results)
    shared = min(results.epochs)
    yield Number("shared-epochs", f"{shared}")
    for name, curve, error in zip(parameters.arms, curves, results.test_losses, strict=True):
        by_epoch = curve.reshape(-1, results.updates_per_epoch).mean(axis=1)
        yield Number(f"epochs-{name}", f"{len(by_epoch)}")
        yield Number(f"loss-{name}", f"{by_epoch[-1]:.4f}")
        yield Number(f"shared-loss-{name}", f"{by_epoch[shared - 1]:.4f}")
        yield Number(f"test-loss-{name}", f"{error:.4f}")
    lines = [
        Series(label, *averaged(curve, results.updates_per_epoch))
        for label, curve in zip(parameters.labels, curves, strict=True)
    ]
    ends = [f"{line.label} ends at {line.y[-1]:.3f}" for line in lines]
    yield Plot(
        "losses",
        f"Training loss, averaged over every {1 / PER_EPOCH:g} epoch.",
        f"A falling curve for each rate: {', '.join(ends)}.",
        lines,
        "epoch",
        "mean squared error",
        logarithmic=True,
    )
    yield Panels(
        "samples",
        "Samples of each network at the end of its training, a column for each noise.",
        "Rows of handwritten digits, a row for each way to choose the rate.",
        results.samples,
        labels=list(parameters.labels),
    )


def losses_of(results: Results) -> list[NDArray[np.float32]]:
    """Return the losses of each arm, a number per update."""
    lengths = [epochs * results.updates_per_epoch for epochs in results.epochs]
    return np.split(results.losses, np.cumsum(lengths)[:-1])


def averaged(losses: NDArray[np.float32], per_epoch: int) -> tuple[list[float], list[float]]:
    """Return the middles of equal stretches, in epochs, and the mean loss of each."""
    count = len(losses) * PER_EPOCH // per_epoch
    parts = np.array_split(losses, min(count, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    middles = [(end - len(part) / 2) / per_epoch for end, part in zip(ends, parts, strict=True)]
    return middles, [float(part.mean()) for part in parts]
