"""B1.2: a UNet trained to remove noise of one strength in one step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.digits.curves import loss_plot
from generators.digits.data import load, of_each_class, scaled
from generators.digits.denoising import denoiser, estimate, mean_squared_error, noised
from generators.digits.training import read_losses
from generators.figure import Context, Number, Output, Panels
from generators.parameters import Range, TrainedBy


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.denoising")] = "denoiser"
    sigma: Annotated[float, Range(0, 10)] = 0.5
    epochs: Annotated[tuple[int, ...], Range(1, 1000)] = (1, 5)
    digits: Annotated[tuple[int, ...], Range(0, 9)] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    test_images: Annotated[int, Range(1, 10000)] = 10000


@dataclass(frozen=True)
class Results:
    """Digits x, noisy z (digit, 28, 28), estimates (epoch, digit, 28, 28) and test errors."""

    x: NDArray[np.float32]
    z: NDArray[np.float32]
    estimates: NDArray[np.float32]
    errors: tuple[float, ...]
    losses: NDArray[np.float32]
    updates_per_epoch: int
    hidden: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Denoise a test digit of each class, and measure the error over the test set."""
    trained = context.networks[parameters.network]
    trained.expect(signal=1.0, noise=parameters.sigma)
    test = load(context.dataset("mnist"), "t10k")
    x = scaled(of_each_class(test, parameters.digits, context.stream("digits")))
    z = noised(x, 1.0, parameters.sigma, context.stream("noise"))
    whole = scaled(test.first(parameters.test_images).images)
    whole_z = noised(whole, 1.0, parameters.sigma, context.stream("test"))
    estimates, errors = [], []
    for epoch in parameters.epochs:
        network = denoiser(trained.weights(epoch)).to(context.device)
        estimates.append(estimate(network, z))
        errors.append(mean_squared_error(estimate(network, whole_z), whole))
    losses = read_losses(trained.losses)
    return Results(
        x[:, 0].numpy(),
        z[:, 0].numpy(),
        torch.stack(estimates)[:, :, 0].numpy(),
        tuple(errors),
        torch.cat(losses).numpy(),
        len(losses[0]),
        network.out.in_channels,
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    end = float(np.mean(results.losses[-results.updates_per_epoch :]))
    yield Number("final-loss", f"{end:.4f}")
    yield Number("hidden", f"{results.hidden}")
    for epoch, error in zip(parameters.epochs, results.errors, strict=True):
        yield Number(f"test-error-{epoch}", f"{error:.4f}")
        yield Number(f"test-psnr-{epoch}", f"{-10 * np.log10(error):.1f} dB")
    yield loss_plot(
        "loss",
        results.losses,
        results.updates_per_epoch,
        f"Training loss of every update. Over the last epoch it averages {end:.4f}.",
    )
    counted = " and ".join(f"{epoch}" for epoch in parameters.epochs)
    yield Panels(
        "estimates",
        rf"Test digits, the same with noise of $\sigma = {parameters.sigma:g}$, and the network's "
        f"estimates after epochs {counted}.",
        "Handwritten digits in clean, noisy and denoised rows; the denoised ones are legible, "
        "with slightly softer strokes than the clean ones.",
        [results.x, results.z, *results.estimates],
        labels=["x", "z", *(f"epoch {epoch}" for epoch in parameters.epochs)],
    )
