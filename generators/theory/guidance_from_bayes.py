"""T5: guided sampling of a mixture by its exact scores, beside the density it is said to sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from generators.diffusion.estimators import guided
from generators.diffusion.sampling import denoise, last
from generators.diffusion.schedule import counted
from generators.figure import Context, Number, Output, Panels, Plot, Series
from generators.parameters import Range
from generators.theory.mixture import Mixture, mixture
from generators.theory.raster import histogram, scaled_along
from generators.theory.score import exact
from generators.theory.tilting import BINS, HIGH, LINE, LOW, distance, moments, of_class, tilted
from generators.theory.variational_diffusion import cosine

WIDTH, HEIGHT = 980, 170


@dataclass(frozen=True)
class Parameters:
    """The first part of the mixture is the class that is asked for."""

    weights: tuple[float, ...] = (0.5, 0.5)
    means: tuple[float, ...] = (0.6, -0.6)
    deviations: tuple[float, ...] = (0.6, 0.6)
    shown: Annotated[tuple[float, ...], Range(0, 100)] = (0.0, 1.0, 3.0, 7.0)
    scales: Annotated[tuple[float, ...], Range(0, 100)] = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0)
    steps: Annotated[int, Range(10, 1000)] = 250
    points: Annotated[int, Range(1000, 1000000)] = 30000


@dataclass(frozen=True)
class Results:
    """Counts (scale, bin) of samples over LOW … HIGH; their means and deviations (scale,)."""

    counts: NDArray[np.int32]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]


def experiment(context: Context, parameters: Parameters) -> Results:
    """Sample at every scale from the same noise, by the loop and the guidance of Part A."""
    data, noises = mixture(parameters.weights, parameters.means, parameters.deviations), cosine()
    told, free = exact(of_class(data), noises), exact(data, noises)
    times = counted(1000, parameters.steps)
    found = []
    for step, scale in enumerate(parameters.scales):
        context.progress(f"γ = {scale:g}", step, len(parameters.scales))
        generator = torch.Generator().manual_seed(context.stream("samples"))
        x_t = torch.randn(1, 1, 1, parameters.points, generator=generator).double()
        estimate = guided(told, free, scale)
        found.append(
            last(denoise(x_t, estimate, noises, times, generators=[generator])).x_t[0, 0, 0]
        )
    samples = torch.stack(found).numpy()
    return Results(
        np.stack([np.histogram(each, BINS, (LOW, HIGH))[0].astype(np.int32) for each in samples]),
        samples.mean(axis=1),
        samples.std(axis=1),
    )


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    data = mixture(parameters.weights, parameters.means, parameters.deviations)
    expected = [moments(tilted(data, scale)) for scale in parameters.scales]
    yield sheet(results, parameters, data)
    curves = {
        "mean, sampled": results.means.tolist(),
        "mean, tilted": [mean for mean, _ in expected],
        "deviation, sampled": results.deviations.tolist(),
        "deviation, tilted": [deviation for _, deviation in expected],
    }
    yield Plot(
        "moments",
        rf"Mean and deviation of {parameters.points:,} guided samples and of the tilted density "
        r"against the guidance scale.",
        "Four curves over the guidance scale: sampled and tilted means are equal up to scale one "
        "and part beyond it, and so are the deviations.",
        [Series(label, parameters.scales, values) for label, values in curves.items()],
        "guidance scale γ",
        "x",
    )
    yield Number("points", f"{parameters.points:,}")
    for index, scale in enumerate(parameters.scales):
        mean, deviation = expected[index]
        yield Number(f"sampled-mean-{scale:g}", signed(results.means[index]))
        yield Number(f"sampled-deviation-{scale:g}", f"{results.deviations[index]:.3f}")
        yield Number(f"tilted-mean-{scale:g}", signed(mean))
        yield Number(f"tilted-deviation-{scale:g}", f"{deviation:.3f}")
        far = distance(results.counts[index], parameters.points, tilted(data, scale))
        yield Number(f"distance-{scale:g}", f"{far:.3f}")


def signed(value: float) -> str:
    """Return a number with a minus sign that is one, and none before zero."""
    return f"{value:.3f}".replace("-0.000", "0.000").replace("-", "−")


def sheet(results: Results, parameters: Parameters, data: Mixture) -> Panels:
    """Return the histograms of the scales shown, each with its tilted density over it."""
    places = np.linspace(LOW, HIGH, WIDTH)
    chosen = [parameters.scales.index(scale) for scale in parameters.shown]
    lines = [np.interp(places, LINE, tilted(data, parameters.scales[k])) for k in chosen]
    heights = [results.counts[k] / parameters.points * BINS / (HIGH - LOW) for k in chosen]
    images = []
    for bars, line in zip(heights, lines, strict=True):
        top = 1.06 * max(bars.max(), line.max())
        bars_and_line = histogram(np.repeat(bars / top, WIDTH // BINS), line / top, HEIGHT)
        images.append(scaled_along(bars_and_line, LOW, HIGH))
    return Panels(
        "densities",
        r"Guided samples (bars) and $p(x)\, p(c \mid x)^\gamma$, normalised (line), at the "
        r"guidance scales named, over $x$; each picture has its own height.",
        "Histograms with a line each. With little guidance the line follows the bars; with more of "
        "it the bars stand to the right of the line.",
        [[image] for image in images],
        labels=[f"γ = {scale:g}" for scale in parameters.shown],
    )
