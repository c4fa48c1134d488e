"""B1.3: the denoiser of one noise strength, asked to remove others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.digits.data import load, of_each_class, scaled
from generators.digits.denoising import denoiser, estimate, mean_squared_error, noised
from generators.digits.linear import wiener
from generators.figure import Context, Number, Output, Panels, Plot, Series
from generators.parameters import Range, TrainedBy


@dataclass(frozen=True)
class Parameters:
    network: Annotated[str, TrainedBy("digits.denoising")] = "denoiser"
    trained_at: Annotated[float, Range(0, 10)] = 0.5
    sigmas: Annotated[tuple[float, ...], Range(0, 10)] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
    digit: Annotated[int, Range(0, 9)] = 7
    test_images: Annotated[int, Range(1, 10000)] = 10000


@dataclass(frozen=True)
class Results:
    """One digit (σ, 28, 28), noisy and denoised; errors over the test set, one per σ."""

    noisy: NDArray[np.float32]
    estimates: NDArray[np.float32]
    network_errors: tuple[float, ...]
    linear_errors: tuple[float, ...]
    noise_errors: tuple[float, ...]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Denoise the test set at every σ, by the network and by the best linear denoiser."""
    trained = context.networks[parameters.network]
    trained.expect(signal=1.0, noise=parameters.trained_at)
    network = denoiser(trained.weights(trained.epochs)).to(context.device)
    folder = context.dataset("mnist")
    linear = wiener(scaled(load(folder, "train").images))
    test = load(folder, "t10k")
    digit = scaled(of_each_class(test, (parameters.digit,), context.stream("digit")))
    whole = scaled(test.first(parameters.test_images).images)
    noisy, errors = [], []
    for step, sigma in enumerate(parameters.sigmas):
        context.progress(f"σ = {sigma:g}", step, len(parameters.sigmas))
        noisy.append(noised(digit, 1.0, sigma, context.stream("noise")))
        z = noised(whole, 1.0, sigma, context.stream("test"))
        candidates = (estimate(network, z), linear(z, sigma), z)
        errors.append([mean_squared_error(candidate, whole) for candidate in candidates])
    estimates = estimate(network, torch.cat(noisy))
    by_network, by_line, by_nothing = zip(*errors, strict=True)
    return Results(
        torch.cat(noisy)[:, 0].numpy(), estimates[:, 0].numpy(), by_network, by_line, by_nothing
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Panels(
        "digit",
        rf"One test digit under more and more noise (above) and what the denoiser trained at "
        rf"$\sigma = {parameters.trained_at:g}$ makes of it (below).",
        "A handwritten digit, noisier from left to right, above its denoised versions.",
        [results.noisy, results.estimates],
        columns=[f"σ = {sigma:g}" for sigma in parameters.sigmas],
        labels=["noisy", "denoised"],
    )
    # Without noise the noisy image is the clean one, the linear denoiser leaves it so, and the
    # signal-to-noise ratio of both is infinite: the network's alone is drawn there.
    named = {
        "network": results.network_errors,
        "best linear denoiser": results.linear_errors,
        "noisy image": results.noise_errors,
    }
    decibels = {
        label: {
            sigma: float(-10 * np.log10(error))
            for sigma, error in zip(parameters.sigmas, errors, strict=True)
            if sigma > 0 or label == "network"
        }
        for label, errors in named.items()
    }
    yield Plot(
        "psnr",
        "Peak signal-to-noise ratio over the test set against the strength of the noise: the "
        rf"network, trained at $\sigma = {parameters.trained_at:g}$ alone; the best linear "
        r"denoiser, Wiener's, which is told $\sigma$; and the noisy image as it is. Without noise "
        "the last two have no error, and no ratio to be drawn.",
        "Three falling curves of decibels over sigma.",
        [Series(label, tuple(at), tuple(at.values())) for label, at in decibels.items()],
        "σ",
        "PSNR in dB",
    )
    yield Number("trained-at", f"{parameters.trained_at:g}")
    errors = results.network_errors, results.linear_errors
    yield Number("verdict", verdict(parameters.sigmas, *errors))
    for sigma, error in zip(parameters.sigmas, results.network_errors, strict=True):
        yield Number(f"network-error-{sigma:g}", f"{error:.4f}")
    for label, at in decibels.items():
        for sigma, value in at.items():
            yield Number(f"{label.replace(' ', '-')}-psnr-{sigma:g}", f"{round(value, 1) + 0.0} dB")


def verdict(sigmas: Sequence[float], network: Sequence[float], linear: Sequence[float]) -> str:
    """Say at which σ above 0 the error of the linear denoiser is less than that of the network."""
    behind = [
        sigma
        for sigma, ours, other in zip(sigmas, network, linear, strict=True)
        if sigma > 0 and other < ours
    ]
    if not behind:
        return r"Where there is noise, the network is ahead at every $\sigma$ shown."
    if len(behind) == 1 or behind != list(sigmas)[-len(behind) :]:
        listed = ", ".join(f"{sigma:g}" for sigma in behind)
        return (
            f"Where there is noise, the linear denoiser is ahead only at a $\\sigma$ of {listed}."
        )
    return f"From $\\sigma = {behind[0]:g}$ on, the linear denoiser is ahead."
