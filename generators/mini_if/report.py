"""What is kept of a training beside the weights: its losses and samples along it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from generators.errors import AuthorError
from generators.files import write

REPORT = Path(__file__).parent / "weights" / "training.safetensors"


class Report(NamedTuple):
    """The log of stage 1: `losses` (L, 3), pictures seen, loss and pixels a side of the pictures.

    Row k of `samples` (K, N, h, w, 3) was drawn after `pictures[k]` of them; `seen` has how many of
    each size there were. `seconds` is how long stages 1 and 2 took on `device`, all processes
    together; `judge_accuracy` the share of fresh renderings that the judge names right.
    """

    losses: NDArray[np.float32]
    samples: NDArray[np.uint8]
    pictures: tuple[int, ...]
    judge_accuracy: float
    seen: dict[str, int]
    seconds: tuple[float, float]
    device: str


def write_report(report: Report, path: Path = REPORT) -> None:
    """Write a report as safetensors, what is no array in its metadata."""
    arrays = {"losses": report.losses, "samples": report.samples}
    rest = {name: each for name, each in report._asdict().items() if name not in arrays}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write(path, save(whole, {"rest": json.dumps(rest)}))


def read_report(path: Path = REPORT) -> Report:
    """Read a report.

    Raises: AuthorError when it is missing or damaged.
    """
    try:
        with safe_open(path, "numpy") as file:
            rest = json.loads((file.metadata() or {})["rest"])
            arrays = {name: file.get_tensor(name) for name in ("losses", "samples")}
        rest |= {name: tuple(value) for name, value in rest.items() if isinstance(value, list)}
        return Report(**arrays, **rest)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise AuthorError(f"{path}: not the report of a training ({error})") from None


def thinned(pictures: Sequence[int], rows: int) -> list[int]:
    """Return which of the sample sheets to keep: `rows` of them, each about twice as late."""
    if len(pictures) <= rows:
        return list(range(len(pictures)))
    wanted = np.geomspace(pictures[0], pictures[-1], rows)
    nearest = [int(np.abs(np.array(pictures) - each).argmin()) for each in wanted]
    return sorted(set(nearest))
