"""Figures as files: PNG sheets at native size, GIF, SVG with CSV, and what a page must know."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from generators.encoding import Pixels, alike, gif, joined, pixels, png
from generators.errors import AuthorError
from generators.figure import (
    Animation,
    Comparison,
    Distance,
    Figure,
    Number,
    Output,
    Pad,
    Panels,
    Plot,
    Trajectory,
    Turning,
)
from generators.plotting import plot_svg
from generators.store import Shown
from generators.turnings import between, motion

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class Drawn(NamedTuple):
    """A figure's files by name, and what a page needs to show them (JSON)."""

    files: dict[str, bytes]
    shown: Shown


def outputs_of(outputs: object) -> Iterator[Output]:
    """Pass on what `figures` yields.

    Raises: AuthorError at what is no figure or Number, and at a name that has been.
    """
    if not isinstance(outputs, Iterable):
        raise AuthorError(f"figures() returned {type(outputs).__name__}, expected it to yield")
    found: set[tuple[bool, str]] = set()
    for output in outputs:
        if not isinstance(output, Output):
            kind = type(output).__name__
            raise AuthorError(
                f"figures() yields an object of type {kind}, expected figures, Numbers"
            )
        is_number = isinstance(output, Number)
        if (is_number, output.name) in found:
            raise AuthorError(f"two {'numbers' if is_number else 'figures'} called {output.name!r}")
        found.add((is_number, output.name))
        yield output


def draw(figure: Figure, provenance: dict[str, object]) -> Drawn:
    """Draw a figure; `provenance` is written into its PNG files.

    Raises: AuthorError naming the figure when its name is no file name, or when its images and
    labels do not fit together.
    """
    if not NAME.fullmatch(figure.name):
        raise AuthorError(f"a figure called {figure.name!r}, expected a name such as 'test-loss'")
    try:
        return drawn(figure, provenance)
    except AuthorError as error:
        raise AuthorError(f"figure {figure.name!r}: {error}") from None


def drawn(figure: Figure, provenance: dict[str, object]) -> Drawn:
    match figure:
        case Plot():
            return plot(figure, str(provenance.get("section")))
        case Animation():
            return animation(figure, provenance)
        case Trajectory():
            return trajectory(figure, provenance)
        case Turning():
            return turning(figure, provenance)
        case Comparison():
            return comparison(figure, provenance)
        case Distance():
            return distance(figure, provenance)
        case Pad():
            return pad(figure)
        case Panels():
            return panels(figure, provenance)


def panels(figure: Panels, provenance: dict[str, object]) -> Drawn:
    rows = [[pixels(image) for image in row] for row in figure.rows]
    counts = {len(row) for row in rows}
    if len(counts) != 1 or (figure.columns and len(figure.columns) not in counts):
        raise AuthorError(f"rows of {sorted(counts)}, {len(figure.columns)} labels")
    if figure.labels and len(figure.labels) != len(rows):
        raise AuthorError(f"{len(rows)} rows, {len(figure.labels)} labels")
    alike(image for row in rows for image in row)
    sheet = joined(rows)
    file = f"{figure.name}.png"
    shown = described(figure, "panels", sheet.shape[1::-1], {"image": file})
    shown["columns"], shown["labels"] = list(figure.columns), list(figure.labels)
    shown["across"], shown["down"] = counts.pop(), len(rows)
    return Drawn({file: png(sheet, provenance)}, shown)


def trajectory(figure: Trajectory, provenance: dict[str, object]) -> Drawn:
    frames = [[pixels(image) for image in frame] for frame in figure.frames]
    if len(frames) != len(figure.steps) or len({len(frame) for frame in frames}) > 1:
        raise AuthorError(f"{len(frames)} frames, {len(figure.steps)} steps")
    alike(image for frame in frames for image in frame)
    columns = [joined([[image] for image in frame]) for frame in frames]
    sheet = np.concatenate(columns, axis=1)
    file = f"{figure.name}.png"
    shown = described(figure, "trajectory", sheet.shape[1::-1], {"image": file})
    shown["columns"], shown["across"] = list(figure.steps), len(columns)
    shown["down"] = len(frames[0])
    return Drawn({file: png(sheet, provenance)}, shown)


def animation(figure: Animation, provenance: dict[str, object]) -> Drawn:
    frames = alike(figure.frames)
    still, moving = f"{figure.name}.png", f"{figure.name}.gif"
    size = frames[-1].shape[1::-1]
    shown = described(figure, "animation", size, {"image": moving, "still": still})
    shown["frames"], shown["milliseconds"] = len(frames), figure.milliseconds
    return Drawn(
        {moving: gif(frames, figure.milliseconds), still: png(frames[-1], provenance)}, shown
    )


def plot(figure: Plot, section: str) -> Drawn:
    image, table = f"{figure.name}.svg", f"{figure.name}.csv"
    for series in figure.series:
        if len(series.x) != len(series.y):
            raise AuthorError(f"{series.label!r} has {len(series.x)} x, {len(series.y)} y")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["series", figure.x, figure.y])
    for series in figure.series:
        writer.writerows([series.label, x, y] for x, y in zip(series.x, series.y, strict=True))
    numbers = [value for series in figure.series for value in (*series.x, *series.y)]
    if not numbers or not np.isfinite(numbers).all():
        raise AuthorError("no numbers, or a value that is none")
    svg, size = plot_svg(figure, f"{section}-{figure.name}")
    shown = described(figure, "plot", size, {"image": image, "table": table})
    return Drawn({image: svg.encode(), table: text.getvalue().encode()}, shown)


def turning(figure: Turning, provenance: dict[str, object]) -> Drawn:
    images = alike(figure.images)
    if len(images) < 2:
        raise AuthorError("one image, expected it and its views")
    if images[0].shape[0] != images[0].shape[1]:
        raise AuthorError(f"images of shape {images[0].shape}, expected square ones")
    result = row(figure, "turning", images, provenance)
    result.shown["motions"] = [motion(images[0], view) for view in images]
    strip, count = between(images, figure.frames)
    if count:
        file = f"{figure.name}-frames.webp"
        result.files[file] = strip
        result.shown["files"]["frames"] = file
        result.shown["frames"] = count
    return result


def comparison(figure: Comparison, provenance: dict[str, object]) -> Drawn:
    return row(figure, "comparison", alike([figure.before, figure.after]), provenance)


def row(
    figure: Turning | Comparison, kind: str, images: list[Pixels], provenance: dict[str, object]
) -> Drawn:
    """Draw images side by side: what stands there until the reader touches it."""
    if len(figure.labels) != len(images):
        raise AuthorError(f"{len(images)} images, {len(figure.labels)} labels")
    sheet, file = joined([images]), f"{figure.name}.png"
    shown = described(figure, kind, sheet.shape[1::-1], {"image": file})
    shown["columns"], shown["across"], shown["down"] = list(figure.labels), len(images), 1
    return Drawn({file: png(sheet, provenance)}, shown)


def distance(figure: Distance, provenance: dict[str, object]) -> Drawn:
    image, file = pixels(figure.image), f"{figure.name}.png"
    if len(figure.labels) != 2:
        raise AuthorError(f"{len(figure.labels)} labels, expected 2")
    shown = described(figure, "distance", image.shape[1::-1], {"image": file})
    shown["columns"], shown["across"] = list(figure.labels), 1
    return Drawn({file: png(image, provenance)}, shown)


def pad(figure: Pad) -> Drawn:
    if not 16 <= figure.size <= 1024:
        raise AuthorError(f"a pad of {figure.size} pixels, expected 16 … 1024")
    return Drawn({}, described(figure, "pad", (figure.size, figure.size), {}))


def described(figure: Figure, kind: str, size: tuple[int, ...], files: dict[str, str]) -> Shown:
    width, height = size
    return {
        "name": figure.name,
        "kind": kind,
        "caption": figure.caption,
        "alt": figure.alt,
        "width": width,
        "height": height,
        "files": files,
    }
