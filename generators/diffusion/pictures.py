"""Pictures from files as tensors, refused in one line when they cannot be one; tensors as bytes."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from generators.errors import AuthorError

if TYPE_CHECKING:
    Bytes: TypeAlias = NDArray[np.uint8]

Fit: TypeAlias = Literal["crop", "pad"]
MOST_PIXELS = 50_000_000
WHITE, BLACK = (255, 255, 255, 255), (0, 0, 0, 255)


def to_bytes(images: Tensor) -> "Bytes":
    """Return images (B, 3, H, W) in [-1, 1] as bytes (B, H, W, 3); what lies beyond is clipped."""
    scaled = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_bytes(images: "Bytes") -> Tensor:
    """Return bytes (B, H, W, 3) as images (B, 3, H, W) in [-1, 1]."""
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def read_picture(path: Path, size: int, fit: Fit = "crop") -> Tensor:
    """Return a picture (1, 3, size, size) in [-1, 1], transparent parts white.

    What is not square is cropped to its middle, or padded with white.
    Raises: AuthorError naming the file, what was found and what was expected.
    """
    picture = flattened(opened(path), WHITE).convert("RGB")
    if fit == "pad":
        picture = ImageOps.pad(picture, (size, size), Image.Resampling.LANCZOS, color="white")
    else:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    return from_bytes(np.asarray(picture)[None])


def read_mask(path: Path, size: int, picture: Path | None = None) -> Tensor:
    """Return a mask (1, 1, size, size) in {0, 1}: 1, to be made anew, where the file is light.

    Raises: AuthorError naming the file when it is no picture, when nothing in it is light, or when
    it has not the proportions of the `picture` that it belongs to.
    """
    mask = opened(path)
    if picture is not None:
        expected = opened(picture).size
        if abs(mask.width * expected[1] - mask.height * expected[0]) > max(mask.size + expected):
            found = f"{mask.width} × {mask.height} pixels"
            raise AuthorError(
                f"{path}: a mask of {found}, expected the proportions of {picture.name}, "
                f"{expected[0]} × {expected[1]}"
            )
    grey = flattened(mask, BLACK).convert("L")
    values = np.asarray(ImageOps.fit(grey, (size, size), Image.Resampling.BOX))
    chosen = torch.tensor(values[None, None] > 127).float()
    if not chosen.any():
        raise AuthorError(f"{path}: nothing to be made anew, expected light pixels in the mask")
    return chosen


def opened(path: Path) -> Image.Image:
    """Return the one picture in a file, upright, 8 bits a channel.

    Raises: AuthorError naming the file.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what `refuse` refuses.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(path)
        with file:
            refuse(file, path)
            file.load()
            return in_eight_bits(ImageOps.exif_transpose(file), path)
    except UnidentifiedImageError:
        raise AuthorError(
            f"{path}: not a picture that Pillow reads, expected PNG, JPEG …"
        ) from None
    except Image.DecompressionBombError:
        raise AuthorError(f"{path}: {too_many('too many pixels')}") from None
    except (OSError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or f"damaged ({error})"
        raise AuthorError(f"{path}: {reason}, expected a picture") from None


def refuse(file: Image.Image, path: Path) -> None:
    if file.width * file.height > MOST_PIXELS:
        raise AuthorError(f"{path}: {too_many(f'{file.width} × {file.height} pixels')}")
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        raise AuthorError(f"{path}: an animation of {frames} frames, expected one picture")


def too_many(found: str) -> str:
    return f"{found}, expected at most {MOST_PIXELS // 1_000_000} million"


def in_eight_bits(picture: Image.Image, path: Path) -> Image.Image:
    """Scale a picture of 16 bits down; the other deep ones have no known range."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture).astype(np.uint32) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise AuthorError(f"{path}: 32 bits a channel, expected 8 or 16")
    return picture


def flattened(picture: Image.Image, ground: tuple[int, int, int, int]) -> Image.Image:
    """Return a picture without transparency, laid on a ground of one colour."""
    if not picture.has_transparency_data:
        return picture
    above = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, ground), above)
