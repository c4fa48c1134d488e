"""How the training of the embedded cascade is shown."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from generators.figure import Number, Output, Panels, Plot, Series
from generators.part_a.showing import Pixels


def training_shown(
    losses: NDArray[np.float32], samples: Pixels, pictures: Sequence[int]
) -> Iterator[Output]:
    """Show losses (K, 3), after pictures seen of a size, and samples (M, N, h, w, 3) on the way."""
    yield Plot(
        "loss",
        "The loss of stage 1 while it learned: the mean squared error of its prediction, first on "
        "small pictures, then on larger ones. Each curve begins where a level that had learned "
        "nothing yet was put around the others.",
        "Curves that fall steeply at first and then slowly, one for each size of picture.",
        curves(losses),
        "million pictures seen",
        "loss",
        logarithmic=True,
    )
    yield Panels(
        "along",
        "The same prompts and the same noise after so many pictures of training.",
        "Rows of small pictures that grow from noise into things.",
        samples,
        labels=[f"{count:,}" for count in pictures],
    )


def curves(losses: NDArray[np.float32]) -> list[Series]:
    """Return a loss curve for each size of picture, smallest first, over millions of pictures.

    Where training went back to an earlier checkpoint, what it gave up is left out.
    """
    found = []
    for size in np.unique(losses[:, 2]):
        pictures, values, _ = losses[losses[:, 2] == size].T
        from_here_on = np.minimum.accumulate(pictures[::-1])[::-1]
        is_kept = pictures == from_here_on
        name = f"{size:.0f} × {size:.0f} pixels"
        found.append(Series(name, (pictures[is_kept] / 1e6).tolist(), values[is_kept].tolist()))
    return found


def training_numbers(
    seen: Mapping[str, int], seconds: Sequence[float], device: str
) -> Iterator[Number]:
    """Yield how many pictures of each size were seen, and the hours of both stages."""
    yield Number("pictures", f"{sum(seen.values()):,}")
    yield from (Number(f"pictures-{size}", f"{count:,}") for size, count in seen.items())
    yield Number("hours", " and ".join(f"{each / 3600:.1f}" for each in seconds))
    yield Number("device", device)
