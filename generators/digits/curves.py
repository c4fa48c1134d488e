"""Curves of training, as figures."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from generators.figure import Plot, Series


def loss_plot(
    name: str,
    losses: NDArray[np.float32],
    per_epoch: int,
    caption: str,
    rules: Mapping[str, float] = MappingProxyType({}),
) -> Plot:
    """Return the training loss of every update over epochs, on a logarithmic axis.

    `rules` are heights to draw across it, by their labels.
    """
    epochs = (np.arange(len(losses)) + 1) / per_epoch
    lines = [Series(label, (0.0,), (height,), rule=True) for label, height in rules.items()]
    curve = Series("training loss", epochs.tolist(), losses.tolist())
    alt = (
        f"A line that falls from {losses[0]:.2g} to about {np.mean(losses[-100:]):.2g} "
        f"in {epochs[-1]:.0f} epochs."
    )
    return Plot(name, caption, alt, (curve, *lines), "epoch", "mean squared error", True)
