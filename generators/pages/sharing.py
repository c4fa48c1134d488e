"""The card that stands for a page where its address is shared: a figure of it, 1200 × 630."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from generators.files import digest
from generators.store import damage_of, read_sealed

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT, EDGE = 1200, 630, 60
PAPER = "#f3f2ee"


def card_name(part: str, figure: str) -> str:
    """Return a card's file name from its figure's digest: another figure, another name."""
    code = digest(Path(__file__).read_bytes())
    return f"card-{part}-{digest(f'{code}{figure}'.encode())[:12]}.png"


def card(out: Path, name: str, figure: str, tile: int) -> bytes:
    """Return a card as it stands in `out`, drawn anew where there is none or it is damaged."""
    record = read_sealed(out, verify=False).record
    expected = record["files"].get(name) if isinstance(record, dict) else None
    if expected and not damage_of(out / name, expected):
        return (out / name).read_bytes()
    return draw_card(out / figure, tile)


def draw_card(figure: Path, tile: int) -> bytes:
    """Draw a card with as many whole columns, `tile` pixels wide, of a PNG sheet as fit on it."""
    from PIL import Image

    with Image.open(figure) as file:
        sheet = fitted(file.convert("RGBA"), tile)
    card = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    card.paste(sheet, ((WIDTH - sheet.width) // 2, (HEIGHT - sheet.height) // 2), sheet)
    content = io.BytesIO()
    card.save(content, "PNG", optimize=True)
    return content.getvalue()


def fitted(sheet: "Image", tile: int) -> "Image":
    """Enlarge a sheet by whole pixels, or make it smaller, to fit; cut it between its columns."""
    from PIL.Image import Resampling

    width, height = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    # Three columns at least: one image alone, large, would be all blocks.
    room = min(height / sheet.height, width / min(sheet.width, 3 * tile))
    scale, filtering = (int(room), Resampling.NEAREST) if room >= 1 else (room, Resampling.LANCZOS)
    columns = max(1, int(width / (tile * scale)))
    sheet = sheet.crop((0, 0, min(sheet.width, columns * tile), sheet.height))
    return sheet.resize((round(sheet.width * scale), round(sheet.height * scale)), filtering)
