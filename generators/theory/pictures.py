"""A density that changes over time as a heat-map, with paths of the flow that carries it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from generators.theory.mixture import Mixture, stacked
from generators.theory.raster import PATH, Pixels, Values, heat_map, scaled_up, traced

REACH = 2.8
"""The values shown are -REACH … REACH."""
WIDTH, HEIGHT = 1000, 360


def density_map(densities: Sequence[Mixture]) -> Pixels:
    """Return densities, one for each column, as an image (HEIGHT, column, 3)."""
    x = torch.linspace(-REACH, REACH, HEIGHT, dtype=torch.float64)
    return heat_map(stacked(densities).density(x).numpy())


def carried(densities: Sequence[Mixture], start: int, x: Values) -> Values:
    """Return the paths (path, time) of the flow through densities that is at x (path,) at `start`.

    On a line no path crosses another, so each keeps the mass below it: it is one quantile.
    """
    share = densities[start].below(torch.from_numpy(x))
    return stacked(densities).quantile(share.expand(len(densities), -1)).T.numpy()


def drawn(image: Pixels, paths: Values) -> Pixels:
    """Return a map with paths (path, column) of values on it, and a scale of values beside it."""
    map_with_paths = traced(image, (paths + REACH) / (2 * REACH) * len(image), PATH, 2.2)
    return scaled_up(map_with_paths, -REACH, REACH)


def evenly(length: int, count: int) -> NDArray[np.int64]:
    """Return `count` indices from 0 to length - 1, as evenly as whole numbers are."""
    return np.linspace(0, length - 1, count).round().astype(np.int64)
