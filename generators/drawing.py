"""Figures as files: PNG sheets at native size, GIF, SVG with CSV, and what a page must know."""

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from generators.figure import Animation, Figure, Panels, Plot, Trajectory
from generators.plotting import plot_svg
from generators.store import Shown

if TYPE_CHECKING:
    from generators.figure import Image

Pixels: TypeAlias = NDArray[np.uint8]

MARGIN = 1
LAST_FRAME = 1000
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class Drawn(NamedTuple):
    """A figure's files by name, and what a page needs to show them (JSON)."""

    files: dict[str, bytes]
    shown: Shown


def draw(figure: Figure, provenance: dict[str, object]) -> Drawn:
    """Draw a figure; `provenance` is written into its PNG files.

    Raises: ValueError naming the figure when its name is no file name, or when its images and
    labels do not fit together.
    """
    if not NAME.fullmatch(figure.name):
        raise ValueError(f"a figure called {figure.name!r}, expected a name such as 'test-loss'")
    try:
        if isinstance(figure, Plot):
            return plot(figure, str(provenance.get("section")))
        if isinstance(figure, Animation):
            return animation(figure, provenance)
        if isinstance(figure, Trajectory):
            return trajectory(figure, provenance)
        return panels(figure, provenance)
    except (ValueError, IndexError) as error:
        raise ValueError(f"figure {figure.name!r}: {error}") from error


def panels(figure: Panels, provenance: dict[str, object]) -> Drawn:
    rows = [[pixels(image) for image in row] for row in figure.rows]
    counts = {len(row) for row in rows}
    if len(counts) != 1 or (figure.columns and len(figure.columns) not in counts):
        raise ValueError(f"rows of {sorted(counts)}, {len(figure.columns)} labels")
    if figure.labels and len(figure.labels) != len(rows):
        raise ValueError(f"{len(rows)} rows, {len(figure.labels)} labels")
    sheet = joined(rows)
    file = f"{figure.name}.png"
    shown = described(figure, "panels", sheet.shape[1::-1], {"image": file})
    shown["columns"], shown["labels"] = list(figure.columns), list(figure.labels)
    shown["across"], shown["down"] = counts.pop(), len(rows)
    return Drawn({file: png(sheet, provenance)}, shown)


def trajectory(figure: Trajectory, provenance: dict[str, object]) -> Drawn:
    frames = [[pixels(image) for image in frame] for frame in figure.frames]
    columns = [joined([[image] for image in frame]) for frame in frames]
    if len(columns) != len(figure.steps):
        raise ValueError(f"{len(columns)} frames, {len(figure.steps)} steps")
    sheet = np.concatenate(columns, axis=1)
    file = f"{figure.name}.png"
    shown = described(figure, "trajectory", sheet.shape[1::-1], {"image": file})
    shown["columns"], shown["across"] = list(figure.steps), len(columns)
    shown["down"] = len(frames[0])
    return Drawn({file: png(sheet, provenance)}, shown)


def animation(figure: Animation, provenance: dict[str, object]) -> Drawn:
    frames = [pixels(image) for image in figure.frames]
    still, moving = f"{figure.name}.png", f"{figure.name}.gif"
    size = frames[-1].shape[1::-1]
    shown = described(figure, "animation", size, {"image": moving, "still": still})
    shown["frames"], shown["milliseconds"] = len(frames), figure.milliseconds
    return Drawn(
        {moving: gif(frames, figure.milliseconds), still: png(frames[-1], provenance)}, shown
    )


def plot(figure: Plot, section: str) -> Drawn:
    image, table = f"{figure.name}.svg", f"{figure.name}.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["series", figure.x, figure.y])
    for series in figure.series:
        writer.writerows([series.label, x, y] for x, y in zip(series.x, series.y, strict=True))
    numbers = [value for series in figure.series for value in (*series.x, *series.y)]
    if not numbers or not np.isfinite(numbers).all():
        raise ValueError("no numbers, or a value that is none")
    svg, size = plot_svg(figure, f"{section}-{figure.name}")
    shown = described(figure, "plot", size, {"image": image, "table": table})
    return Drawn({image: svg.encode(), table: text.getvalue().encode()}, shown)


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


def pixels(image: "Image") -> Pixels:
    """Return an image as uint8 (H, W) or (H, W, 3)."""
    values: NDArray[np.generic] = np.asarray(image)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise ValueError(f"an image of shape {values.shape}, expected (H, W) or (H, W, 3)")
    if values.dtype != np.uint8:
        if not np.isfinite(values).all():
            raise ValueError("an image with a value that is no number")
        values = np.round(np.clip(values, 0, 1) * 255)
    return values.astype(np.uint8)


def joined(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Put images on one sheet with a transparent margin around each: (H, W, 2) or (H, W, 4)."""
    lines = [np.concatenate([framed(image) for image in row], axis=1) for row in rows]
    return np.concatenate(lines, axis=0)


def framed(image: Pixels) -> Pixels:
    """Add an opaque alpha channel, and a margin without opacity around it."""
    height, width, channels = (*image.shape, 1)[:3]
    result = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN, channels + 1), np.uint8)
    result[MARGIN:-MARGIN, MARGIN:-MARGIN, :-1] = image.reshape(height, width, channels)
    result[MARGIN:-MARGIN, MARGIN:-MARGIN, -1] = 255
    return result


def png(image: Pixels, provenance: dict[str, object]) -> bytes:
    """Encode an image, its provenance as JSON in the text chunk "Provenance"."""
    information = PngInfo()
    information.add_text("Provenance", json.dumps(provenance, sort_keys=True))
    file = io.BytesIO()
    Picture.fromarray(image).save(file, "PNG", optimize=True, pnginfo=information)
    return file.getvalue()


def gif(frames: Sequence[Pixels], milliseconds: int) -> bytes:
    """Encode frames of one size as a GIF at native size, with one palette taken from all of them.

    Indices go to imageio as if they were grey levels, with the palette beside them: given none,
    its writer would put a table of colours into every frame.
    """
    indices = np.stack(frames)
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    if indices.ndim == 4:
        together = Picture.fromarray(indices.reshape(-1, *indices.shape[2:]))
        reduced = together.quantize(256, Picture.Quantize.MEDIANCUT, dither=Picture.Dither.NONE)
        colours = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)
        palette, distinct = np.unique(colours, axis=0, return_inverse=True)
        indices = distinct.astype(np.uint8)[np.asarray(reduced)].reshape(indices.shape[:3])
    durations = [milliseconds] * (len(frames) - 1) + [max(milliseconds, LAST_FRAME)]
    content: bytes = imageio.imwrite(
        "<bytes>",
        indices,
        extension=".gif",
        plugin="pillow",
        palette=palette.tobytes(),
        duration=durations,
        loop=0,
    )
    return content
