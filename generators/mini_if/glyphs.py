"""Sprites cut from Noto Color Emoji (SIL OFL), which is read where it is installed."""

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from generators.errors import AuthorError

FONTS = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)
STRIKE = 109
"""The one size, in pixels, at which the font's bitmaps are stored."""


@cache
def font() -> ImageFont.FreeTypeFont:
    """Return the emoji font.

    Raises: AuthorError when it is not installed.
    """
    for path in FONTS:
        if path.is_file():
            return ImageFont.truetype(path, STRIKE)
    raise AuthorError(f"{FONTS[0]}: not found, expected Debian's package fonts-noto-color-emoji")


@cache
def glyph(text: str) -> Image.Image:
    """Return one emoji (a sequence is one) as RGBA, cut to what is drawn; about 128 pixels.

    Raises: AuthorError when the font does not have it.
    """
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((10, 10), text, font=font(), embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise AuthorError(f"{font().path!s}: has no {text!a}, expected a newer font")
    return canvas.crop(box)
