"""Cards for those who share a page: made once per figure, of whole images."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from generators.drawing import draw
from generators.figure import Panels
from generators.files import digest
from generators.pages.sharing import PAPER, card, card_name
from generators.store import write_sealed

GREYS = np.random.default_rng(0).integers(0, 256, (3, 12, 28, 28), np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (1, 6, 256, 256, 3), np.uint8)


def made(folder: Path, images: np.ndarray) -> np.ndarray:
    drawn = draw(Panels("sheet", "c", "a", images), {})
    (folder / "sheet.png").write_bytes(drawn.files["sheet.png"])
    content = card(folder, "card.png", "sheet.png", drawn.shown["width"] // len(images[0]))
    return np.asarray(Picture.open(io.BytesIO(content)))


def columns(shown: np.ndarray) -> np.ndarray:
    """Return the widths of what stands beside each other on a card."""
    paper = tuple(bytes.fromhex(PAPER[1:]))
    inked = (shown != paper).any(axis=(0, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inked, [False]]).astype(int)))
    return edges[1::2] - edges[::2]


def test_small_images_stand_whole_and_enlarged_by_whole_pixels(tmp_path: Path) -> None:
    shown = made(tmp_path, GREYS)
    assert shown.shape == (630, 1200, 3)
    widths = columns(shown)
    assert set(widths) == {28 * 5}
    assert 3 <= len(widths) < 12


def test_large_images_are_made_smaller_together(tmp_path: Path) -> None:
    shown = made(tmp_path, LARGE)
    assert shown.shape == (630, 1200, 3)
    assert len(columns(shown)) >= 3


@pytest.mark.parametrize("damage", [False, True])
def test_a_card_is_kept_until_it_is_damaged(tmp_path: Path, damage: bool) -> None:
    made(tmp_path, GREYS)
    (tmp_path / "card.png").write_bytes(b"kept")
    write_sealed(tmp_path, {"files": {"card.png": digest(b"kept")}})
    if damage:
        (tmp_path / "card.png").write_bytes(b"damaged")
    assert (card(tmp_path, "card.png", "sheet.png", 30) == b"kept") is not damage


def test_another_figure_has_another_card() -> None:
    assert card_name("a", "one") != card_name("a", "two") != card_name("b", "two")
