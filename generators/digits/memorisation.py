"""Whether samples are remembered: the training digits nearest to them, pixel by pixel."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.digits.jury import nearest_images
from generators.figure import Number, Output, Panels

NEAREST = 3


def memory_of(
    several: tuple[Tensor, Tensor, Tensor], labels: Tensor, data: Tensor
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return pictures (digit, 4, 28, 28) and the distances (3, N) to the nearest of `data`.

    `several` are images (N, 28, 28) uint8 of flow matching, of diffusion and of test digits, all
    of digits `labels` (N,). Shown are the sample of flow matching of each digit that is nearest to
    one of `data`, and its nearest three.
    """
    found = [nearest_images(images, data, NEAREST) for images in several]
    closest = closest_of_each(found[0].distances[:, 0], labels)
    near = torch.cat((several[0][closest, None], data[found[0].indices[closest]]), dim=1)
    return near.numpy(), torch.stack([each.distances[:, 0] for each in found]).numpy()


def closest_of_each(distances: Tensor, labels: Tensor) -> Tensor:
    """Return which of distances (N,) is the least of each label (N,), labels rising."""
    places = torch.arange(len(labels))
    return torch.stack([places[labels == each][distances[labels == each].argmin()]
                        for each in labels.unique()])  # fmt: skip


def memory_figures(
    near: NDArray[np.uint8], distances: NDArray[np.float32], scale: float
) -> Iterator[Output]:
    """Yield what `memory_of` found, flow matching guided by `scale`."""
    *of_samples, of_test = distances
    yield Number("nearest-test", f"{np.median(of_test):.3f}")
    for name, each in zip(("flow", "diffusion"), of_samples, strict=True):
        closer = (each < np.quantile(of_test, 0.01)).mean()
        yield Number(f"nearest-{name}", f"{np.median(each):.3f}")
        yield Number(f"closer-{name}", f"{100 * closer:.1f} %")
    yield Panels(
        "nearest",
        rf"Of each digit asked for at $\gamma = {scale:g}$ the sample nearest to a "
        "training digit (first row), and the three training digits nearest to it.",
        "Ten handwritten digits, and under each the three training digits most like it.",
        near.transpose(1, 0, 2, 3),
        labels=["sample", "nearest", "second", "third"],
    )
