"""What a section gets, and what it returns: a context in, figures and numbers out.

This module imports neither torch nor numpy; an image is anything that numpy takes for an array of
shape (H, W) or (H, W, 3), uint8, or float in [0, 1], which is clipped and rounded to 8 bits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from generators.errors import AuthorError, nearest
from generators.processes import everywhere
from generators.streams import stream

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from generators.diffusion.cascade import Cascade
    from generators.diffusion.scores import Judge
    from generators.parameters import Value

    Image: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]

LOSSES = "losses.safetensors"
Progress = Callable[[str, int, int], None]
"""(what is being done, steps done, steps in all)."""


@dataclass(frozen=True)
class Trained:
    """A trained network: a folder with the weights after each epoch and the losses of each.

    `name` and `recipe` are those of `[networks.NAME]` in content/site.toml.
    """

    folder: Path
    epochs: int
    name: str = "here"
    recipe: "Mapping[str, Value]" = field(default_factory=dict)

    def weights(self, epoch: int) -> Path:
        """Return the safetensors file with the weights after `epoch` (1 … `epochs`).

        Raises: AuthorError where training ended before.
        """
        if not 1 <= epoch <= self.epochs:
            found = f"epoch {epoch} of network {self.name!r}, trained for {self.epochs}"
            raise everywhere(AuthorError(found))
        return self.folder / epoch_file(epoch)

    def expect(self, **facts: "Value") -> None:
        """Refuse a network that was trained otherwise than a section tells its readers.

        Raises: AuthorError naming the entry of its recipe that is not as in `facts`.
        """
        for name, value in facts.items():
            found = self.recipe.get(name)
            if found != value:
                which = f"has {name} = {found}" if name in self.recipe else f"has no {name}"
                told = f"network {self.name!r} {which} in its recipe, expected {value}"
                raise everywhere(AuthorError(told))

    @property
    def losses(self) -> Path:
        """The safetensors file with the losses (one per update) of each epoch, "0", "1", …"""
        return self.folder / LOSSES


def epoch_file(epoch: int) -> str:
    """Return the name of the weights after `epoch` passes over the data, counted from 1."""
    return f"epoch-{epoch:04d}.safetensors"


class Networks(dict[str, Trained]):
    """The networks that a section names in its front matter."""

    def __missing__(self, name: str) -> Trained:
        told = f"network {name!r} is not among the section's{nearest(name, self)}"
        raise everywhere(AuthorError(told))


def no_cascade() -> "Cascade":
    """Stand for the cascade of a part without one.

    Raises: AuthorError.
    """
    raise AuthorError("content/site.toml: the section's part has no model, expected one")


def no_judge() -> None:
    """Return no judge: pictures are neither scored nor chosen."""


@dataclass(frozen=True)
class Context:
    """What an experiment may use beside its parameters.

    `cascade` gives the cascade of the section's part, loaded on its first use; `judge` the model
    that scores its pictures, or None.
    """

    section: str
    seed: int
    device: "torch.device"
    content: Path
    dataset: Callable[[str], Path]
    networks: Mapping[str, Trained]
    progress: Progress
    cascade: "Callable[[], Cascade]" = no_cascade
    judge: "Callable[[], Judge | None]" = no_judge

    def stream(self, figure: str) -> int:
        """Return the seed of the random stream that belongs to one figure of this section."""
        return stream(self.seed, self.section, figure)


@dataclass(frozen=True)
class Panels:
    """A grid of images of one size, with labels above its columns and beside its rows."""

    name: str
    caption: str
    alt: str
    rows: "Iterable[Iterable[Image]]"
    columns: Sequence[str] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Trajectory:
    """Images over time under a scrubber: `frames[k]` are the images at the step `steps[k]`."""

    name: str
    caption: str
    alt: str
    frames: "Iterable[Iterable[Image]]"
    steps: Sequence[str]


@dataclass(frozen=True)
class Animation:
    """A GIF that holds each frame for `milliseconds` and its last one for a second."""

    name: str
    caption: str
    alt: str
    frames: "Iterable[Image]"
    milliseconds: int = 80


@dataclass(frozen=True)
class Turning:
    """An image and its views, each with its own words: turned by the reader from one to the other.

    `images` are the image as it was made, then views of it, all square and of one size. How it
    moves is read off the pixels: a view that is a flip or a rotation turns, any other fades in or,
    where `frames` has the pictures from the image to its only view, both included, plays them.
    """

    name: str
    caption: str
    alt: str
    images: "Sequence[Image]"
    labels: Sequence[str]
    frames: "Iterable[Image]" = ()


@dataclass(frozen=True)
class Comparison:
    """Two images of one size under a slider that uncovers the one or the other."""

    name: str
    caption: str
    alt: str
    before: "Image"
    after: "Image"
    labels: tuple[str, str] = ("before", "after")


@dataclass(frozen=True)
class Distance:
    """An image that a slider moves away; `labels` say what it shows near and far."""

    name: str
    caption: str
    alt: str
    image: "Image"
    labels: tuple[str, str] = ("near", "far")


@dataclass(frozen=True)
class Pad:
    """An empty sheet for the reader to draw on and to download as a PNG, `size` pixels square."""

    name: str
    caption: str
    alt: str
    size: int = 256


@dataclass(frozen=True)
class Series:
    """One line of a plot, or its markers where `marks` is set, or a rule drawn at one height."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    marks: bool = False
    rule: bool = False


@dataclass(frozen=True)
class Plot:
    """Lines over a common axis, drawn as SVG with their numbers in a CSV file."""

    name: str
    caption: str
    alt: str
    series: Sequence[Series]
    x: str
    y: str
    logarithmic: bool = False
    size: tuple[float, float] = field(default=(7.0, 3.4))


@dataclass(frozen=True)
class Number:
    """A number for the prose, as it should read there: `[](number:name)`."""

    name: str
    text: str


Figure = Panels | Trajectory | Animation | Turning | Comparison | Distance | Pad | Plot
Output = Figure | Number
