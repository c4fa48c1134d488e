"""Images as bytes: pixels, sheets of them, PNG, GIF and WebP."""

import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from generators.errors import AuthorError

if TYPE_CHECKING:
    from generators.figure import Image

Pixels: TypeAlias = NDArray[np.uint8]

MARGIN = 1
LAST_FRAME = 1000
WEBP_QUALITY = 85


def pixels(image: "Image") -> Pixels:
    """Return an image as uint8 (H, W) or (H, W, 3).

    Raises: AuthorError when it is no image.
    """
    values: NDArray[np.generic] = np.asarray(image)
    if (
        values.ndim not in (2, 3)
        or (values.ndim == 3 and values.shape[2] != 3)
        or 0 in values.shape
    ):
        raise AuthorError(f"an image of shape {values.shape}, expected (H, W) or (H, W, 3)")
    if values.dtype != np.uint8:
        if not (np.issubdtype(values.dtype, np.floating) and np.isfinite(values).all()):
            raise AuthorError(
                f"an image ({values.dtype}) with values that are no numbers in [0, 1]"
            )
        values = np.round(np.clip(values, 0, 1) * 255)
    return values.astype(np.uint8)


def alike(images: "Iterable[Image]") -> list[Pixels]:
    """Return images as pixels.

    Raises: AuthorError when there is none, or when they differ in size or in having colours.
    """
    found = [pixels(image) for image in images]
    shapes = sorted({image.shape for image in found})
    if len(shapes) != 1:
        words = " and ".join("×".join(map(str, shape)) for shape in shapes) or "none"
        raise AuthorError(f"images of {words}, expected one or more of one size")
    return found


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


def webp(image: Pixels) -> bytes:
    """Encode what is only seen in passing; it loses detail."""
    file = io.BytesIO()
    Picture.fromarray(image).convert("RGB").save(file, "WEBP", quality=WEBP_QUALITY, method=4)
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
